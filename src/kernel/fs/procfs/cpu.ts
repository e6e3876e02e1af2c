/** The CPU as /proc/cpuinfo and sysfs describe it. */

export interface CpuCache {
  readonly level: number;
  readonly type: 'Data' | 'Instruction' | 'Unified';
  readonly bytes: number;
  readonly ways: number;
}

export interface CpuDescription {
  readonly vendor: string;
  readonly family: number;
  readonly model: number;
  readonly stepping: number;
  readonly name: string;
  /** Highest basic CPUID leaf. */
  readonly cpuidLevel: number;
  readonly mhz: number;
  readonly flags: readonly string[];
  readonly cacheLineBytes: number;
  readonly physicalBits: number;
  readonly virtualBits: number;
  readonly caches: readonly CpuCache[];
  /** The CPU that AArch64 programs see. */
  readonly aarch64?: { readonly features: readonly string[]; readonly midr: number };
}

/** An x86-64-v2 machine; the runtime passes what its CPUID says. */
export const defaultCpu: CpuDescription = {
  vendor: 'GenuineIntel',
  family: 6,
  model: 26,
  stepping: 5,
  name: 'uktx virtual CPU',
  cpuidLevel: 7,
  mhz: 1000,
  flags: [
    'fpu',
    'tsc',
    'cx8',
    'cmov',
    'clflush',
    'mmx',
    'fxsr',
    'sse',
    'sse2',
    'syscall',
    'nx',
    'lm',
    'constant_tsc',
    'pni',
    'ssse3',
    'cx16',
    'sse4_1',
    'sse4_2',
    'popcnt',
    'lahf_lm',
  ],
  cacheLineBytes: 64,
  physicalBits: 40,
  virtualBits: 48,
  caches: [
    { level: 1, type: 'Data', bytes: 32 << 10, ways: 8 },
    { level: 1, type: 'Instruction', bytes: 32 << 10, ways: 8 },
    { level: 2, type: 'Unified', bytes: 1 << 20, ways: 16 },
    { level: 3, type: 'Unified', bytes: 8 << 20, ways: 16 },
  ],
};
