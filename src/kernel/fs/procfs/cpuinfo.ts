/** /proc/cpuinfo: one processor (arch/x86/kernel/cpu/proc.c, arch/arm64/kernel/cpuinfo.c). */
import type { CpuDescription } from './cpu.ts';
import { systemEntry } from './entry.ts';

function x86(cpu: CpuDescription): string {
  const largest = Math.max(0, ...cpu.caches.map((c) => c.bytes));
  const fields: [string, string | number][] = [
    ['processor', 0],
    ['vendor_id', cpu.vendor],
    ['cpu family', cpu.family],
    ['model', cpu.model],
    ['model name', cpu.name],
    ['stepping', cpu.stepping],
    ['cpu MHz', cpu.mhz.toFixed(3)],
    ['cache size', `${largest / 1024} KB`],
    ['physical id', 0],
    ['siblings', 1],
    ['core id', 0],
    ['cpu cores', 1],
    ['apicid', 0],
    ['initial apicid', 0],
    ['fpu', 'yes'],
    ['fpu_exception', 'yes'],
    ['cpuid level', cpu.cpuidLevel],
    ['wp', 'yes'],
    ['flags', cpu.flags.join(' ')],
    ['bugs', ''],
    ['bogomips', (cpu.mhz * 2).toFixed(2)],
    ['clflush size', cpu.cacheLineBytes],
    ['cache_alignment', cpu.cacheLineBytes],
    ['address sizes', `${cpu.physicalBits} bits physical, ${cpu.virtualBits} bits virtual`],
    ['power management', ''],
  ];
  // Names are padded with tabs to two tab stops; those of eight and more letters need only one.
  const lines = fields.map(([name, value]) => {
    const label = `${name}${'\t'.repeat(name.length < 8 ? 2 : 1)}:`;
    return value === '' && name === 'power management' ? 'power management:' : `${label} ${value}`.trimEnd();
  });
  return `${lines.join('\n')}\n\n`;
}

function arm({ mhz, aarch64 }: CpuDescription): string {
  const { features, midr } = aarch64 ?? { features: ['fp', 'asimd', 'cpuid'], midr: 0 };
  const hex = (n: number, digits: number): string => `0x${n.toString(16).padStart(digits, '0')}`;
  return [
    'processor\t: 0',
    `BogoMIPS\t: ${(mhz * 2).toFixed(2)}`,
    `Features\t: ${features.join(' ')}`,
    `CPU implementer\t: ${hex(midr >>> 24, 2)}`,
    'CPU architecture: 8',
    `CPU variant\t: ${hex((midr >>> 20) & 15, 1)}`,
    `CPU part\t: ${hex((midr >>> 4) & 0xfff, 3)}`,
    `CPU revision\t: ${midr & 15}`,
    '\n',
  ].join('\n');
}

export const cpuinfo = systemEntry('cpuinfo', (kernel, { cpu }) => (kernel.isa === 'aarch64' ? arm(cpu) : x86(cpu)));
