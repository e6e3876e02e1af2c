/** /proc/stat, /proc/uptime, /proc/loadavg and what else counts time and events of the whole system (proc(5)). */
import type { Kernel } from '../../kernel.ts';
import { cpuTimeMs, systemEntry, ticks } from './entry.ts';

/** Milliseconds since boot, and how many of them nothing ran. */
function uptimeMs(kernel: Kernel): { up: number; idle: number } {
  const up = kernel.monotonicMs();
  return { up, idle: Math.max(0, up - cpuTimeMs(kernel)) };
}

const seconds = (ms: number): string => {
  const hundredths = Math.floor(ms / 10);
  return `${Math.floor(hundredths / 100)}.${String(hundredths % 100).padStart(2, '0')}`;
};

/** Highest pid given out so far. */
const lastPid = (kernel: Kernel): number => Math.max(1, ...kernel.tasks.keys(), ...kernel.processes.keys());

export const stat = systemEntry('stat', (kernel) => {
  const { idle } = uptimeMs(kernel);
  const [sec, nsec] = kernel.host.realtime();
  const boot = Math.floor(sec + nsec / 1e9 - kernel.monotonicMs() / 1000);
  const times = `${ticks(cpuTimeMs(kernel))} 0 0 ${ticks(idle)} 0 0 0 0 0 0`;
  return (
    `cpu  ${times}\ncpu0 ${times}\nintr 0\nctxt 0\nbtime ${boot}\nprocesses ${lastPid(kernel)}\n` +
    'procs_running 1\nprocs_blocked 0\nsoftirq 0 0 0 0 0 0 0 0 0 0 0\n'
  );
});

export const uptime = systemEntry('uptime', (kernel) => {
  const { up, idle } = uptimeMs(kernel);
  return `${seconds(up)} ${seconds(idle)}\n`;
});

export const loadavg = systemEntry('loadavg', (kernel) => {
  const running = [...kernel.tasks.values()].filter((t) => !t.waiting).length;
  return `0.00 0.00 0.00 ${Math.max(1, running)}/${Math.max(1, kernel.tasks.size)} ${lastPid(kernel)}\n`;
});

export const interrupts = systemEntry('interrupts', () => '           CPU0       \n');
export const softirqs = systemEntry('softirqs', () => {
  const names = ['HI', 'TIMER', 'NET_TX', 'NET_RX', 'BLOCK', 'IRQ_POLL', 'TASKLET', 'SCHED', 'HRTIMER', 'RCU'];
  return `                    CPU0       \n${names.map((n) => `${`${n}:`.padStart(12)} ${'0'.padStart(10)}\n`).join('')}`;
});
