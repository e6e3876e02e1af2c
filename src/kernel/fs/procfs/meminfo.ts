/** /proc/meminfo (fs/proc/meminfo.c). Memory in use is what the processes have mapped accessible. */
import type { Kernel } from '../../kernel.ts';
import { kB, systemEntry } from './entry.ts';

export interface MemoryUse {
  total: number;
  used: number;
  /** Of `used`: backed by files, and shared. */
  file: number;
}

/** In bytes, over all address spaces. */
export function memoryUse(kernel: Kernel): MemoryUse {
  const spaces = new Set([...kernel.tasks.values()].map((t) => t.mm));
  let used = 0;
  let file = 0;
  for (const mm of spaces) {
    used += mm.stats.accessible;
    file += mm.stats.file;
  }
  const total = kernel.options.memoryLimit;
  return { total, used: Math.min(used, total), file: Math.min(file, total) };
}

/** Values end at the same column, also behind long names. */
const row = (name: string, value: number, unit: string): string => {
  const label = `${name}:`.padEnd(16);
  return `${label}${String(value).padStart(24 - label.length)}${unit}\n`;
};

export const meminfo = systemEntry('meminfo', (kernel) => {
  const { total, used, file } = memoryUse(kernel);
  const free = total - used;
  const anonymous = used - file;
  const lines: [string, number][] = [
    ['MemTotal', kB(total)],
    ['MemFree', kB(free)],
    ['MemAvailable', kB(free + file)],
    ['Buffers', 0],
    ['Cached', kB(file)],
    ['SwapCached', 0],
    ['Active', kB(used)],
    ['Inactive', 0],
    ['Active(anon)', kB(anonymous)],
    ['Inactive(anon)', 0],
    ['Active(file)', kB(file)],
    ['Inactive(file)', 0],
    ['Unevictable', 0],
    ['Mlocked', 0],
    ['SwapTotal', 0],
    ['SwapFree', 0],
    ['Zswap', 0],
    ['Zswapped', 0],
    ['Dirty', 0],
    ['Writeback', 0],
    ['AnonPages', kB(anonymous)],
    ['Mapped', kB(file)],
    ['Shmem', 0],
    ['KReclaimable', 0],
    ['Slab', 0],
    ['SReclaimable', 0],
    ['SUnreclaim', 0],
    ['KernelStack', 16],
    ['PageTables', 0],
    ['SecPageTables', 0],
    ['NFS_Unstable', 0],
    ['Bounce', 0],
    ['WritebackTmp', 0],
    ['CommitLimit', kB(total / 2)],
    ['Committed_AS', kB(used)],
    ['VmallocTotal', 34359738367],
    ['VmallocUsed', 0],
    ['VmallocChunk', 0],
    ['Percpu', 0],
    ['HardwareCorrupted', 0],
    ['AnonHugePages', 0],
    ['ShmemHugePages', 0],
    ['ShmemPmdMapped', 0],
    ['FileHugePages', 0],
    ['FilePmdMapped', 0],
  ];
  const text = lines.map(([name, value]) => row(name, value, ' kB')).join('');
  const huge = ['HugePages_Total', 'HugePages_Free', 'HugePages_Rsvd', 'HugePages_Surp'];
  return (
    text +
    huge.map((name) => row(name, 0, '')).join('') +
    `Hugepagesize:       2048 kB\nHugetlb:               0 kB\nDirectMap4k:    ${String(kB(total)).padStart(8)} kB\n`
  );
});
