/**
 * What CPUID says: x86-64-v2 without AVX, XSAVE, BMI, MOVBE and the like. The one place for it: the table of leaves below is
 * what the CPUID helper returns (src/helpers/cpuid.ts holds the same numbers, a test compares them), and /proc/cpuinfo and
 * AT_HWCAP take their facts from here. SDM volume 2, "CPUID".
 */

interface Feature {
  /** Name in the `flags` line of /proc/cpuinfo, null for bits Linux does not list. */
  name: string | null;
  leaf: number;
  register: 'ecx' | 'edx';
  bit: number;
}
const f = (name: string | null, leaf: number, register: 'ecx' | 'edx', bit: number): Feature => ({
  name,
  leaf,
  register,
  bit,
});

/** In the order of /proc/cpuinfo. */
const features: readonly Feature[] = [
  f('fpu', 1, 'edx', 0),
  f('tsc', 1, 'edx', 4),
  f('cx8', 1, 'edx', 8),
  f('cmov', 1, 'edx', 15),
  f('clflush', 1, 'edx', 19),
  f('mmx', 1, 'edx', 23),
  f('fxsr', 1, 'edx', 24),
  f('sse', 1, 'edx', 25),
  f('sse2', 1, 'edx', 26),
  f('syscall', 0x8000_0001, 'edx', 11),
  f('nx', 0x8000_0001, 'edx', 20),
  f('lm', 0x8000_0001, 'edx', 29),
  f('constant_tsc', 0x8000_0007, 'edx', 8),
  f('pni', 1, 'ecx', 0),
  f('ssse3', 1, 'ecx', 9),
  f('cx16', 1, 'ecx', 13),
  f('sse4_1', 1, 'ecx', 19),
  f('sse4_2', 1, 'ecx', 20),
  f('popcnt', 1, 'ecx', 23),
  f('lahf_lm', 0x8000_0001, 'ecx', 0),
];
const bitsOf = (leaf: number, register: 'ecx' | 'edx'): number =>
  features.reduce((word, x) => (x.leaf === leaf && x.register === register ? word | (1 << x.bit) : word), 0) >>> 0;

/** glibc and others tune by vendor and model: this is the first generation of x86-64-v2 machines, Nehalem. */
export const vendor = 'GenuineIntel';
export const family = 6;
export const model = 26;
export const stepping = 5;
export const brand = 'uktx virtual CPU';
export const physicalAddressBits = 40;
export const virtualAddressBits = 48;
export const cacheLineBytes = 64;

interface Cache {
  level: number;
  type: 'Data' | 'Instruction' | 'Unified';
  bytes: number;
  ways: number;
}
export const caches: readonly Cache[] = [
  { level: 1, type: 'Data', bytes: 32 << 10, ways: 8 },
  { level: 1, type: 'Instruction', bytes: 32 << 10, ways: 8 },
  { level: 2, type: 'Unified', bytes: 1 << 20, ways: 16 },
  { level: 3, type: 'Unified', bytes: 8 << 20, ways: 16 },
];

export interface Leaf {
  leaf: number;
  /** Null when the leaf has no sub-leaves: ECX is then ignored. */
  subleaf: number | null;
  /** EAX, EBX, ECX, EDX. */
  registers: readonly [number, number, number, number];
}

const word = (text: string, at: number): number => {
  let w = 0;
  for (let k = 0; k < 4; k++) w |= (text.charCodeAt(at + k) || 0) << (k * 8);
  return w >>> 0;
};
const leaf = (n: number, subleaf: number | null, a = 0, b = 0, c = 0, d = 0): Leaf => ({
  leaf: n,
  subleaf,
  registers: [a >>> 0, b >>> 0, c >>> 0, d >>> 0],
});
const ofCache = (c: Cache, n: number): Leaf => {
  const type = { Data: 1, Instruction: 2, Unified: 3 }[c.type];
  const sets = c.bytes / c.ways / cacheLineBytes;
  return leaf(4, n, type | (c.level << 5) | (1 << 8), ((c.ways - 1) << 22) | (cacheLineBytes - 1), sets - 1, 0);
};
const ofBrand = (k: number): Leaf =>
  leaf(
    0x8000_0002 + k,
    null,
    word(brand, k * 16),
    word(brand, k * 16 + 4),
    word(brand, k * 16 + 8),
    word(brand, k * 16 + 12),
  );
const l2 = caches.find((c) => c.level === 2)!;

/** Every leaf that is not all zeros. */
export const leaves: readonly Leaf[] = [
  leaf(0, null, 7, word(vendor, 0), word(vendor, 8), word(vendor, 4)),
  leaf(
    1,
    null,
    stepping | ((model & 15) << 4) | (family << 8) | ((model >> 4) << 16),
    ((cacheLineBytes / 8) << 8) | (1 << 16),
    bitsOf(1, 'ecx'),
    bitsOf(1, 'edx'),
  ),
  // Descriptor FF: no cache descriptors here, see leaf 4.
  leaf(2, null, 0x00ff_ff01),
  ...caches.map(ofCache),
  leaf(0x8000_0000, null, 0x8000_0008),
  leaf(0x8000_0001, null, 0, 0, bitsOf(0x8000_0001, 'ecx'), bitsOf(0x8000_0001, 'edx')),
  ofBrand(0),
  ofBrand(1),
  ofBrand(2),
  // L2: size in KiB, associativity code 8 (16 ways), line size.
  leaf(0x8000_0006, null, 0, 0, ((l2.bytes >> 10) << 16) | (8 << 12) | cacheLineBytes),
  leaf(0x8000_0007, null, 0, 0, 0, bitsOf(0x8000_0007, 'edx')),
  leaf(0x8000_0008, null, (virtualAddressBits << 8) | physicalAddressBits),
].filter((l) => l.registers.some((r) => r !== 0));

/** CPUID as the helper answers it. */
export function cpuid(leafNumber: number, subleaf: number): readonly [number, number, number, number] {
  const found = leaves.find((l) => l.leaf === leafNumber && (l.subleaf === null || l.subleaf === subleaf));
  return found?.registers ?? [0, 0, 0, 0];
}

/** The `flags` line of /proc/cpuinfo. */
export const flagNames: readonly string[] = features.flatMap((x) => x.name ?? []);
/** AT_HWCAP on x86 is leaf 1's EDX. */
export const hwcap: number = bitsOf(1, 'edx');
