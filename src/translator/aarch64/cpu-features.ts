/**
 * What the AArch64 CPU says of itself: HWCAP bits (arch/arm64/include/uapi/asm/hwcap.h) and the identification registers
 * as Linux shows them to user mode (Documentation/arch/arm64/cpu-feature-registers.rst). An instruction exists if and only
 * if its feature is named here.
 */
export const hwcapBits = {
  fp: 0,
  asimd: 1,
  evtstrm: 2,
  aes: 3,
  pmull: 4,
  sha1: 5,
  sha2: 6,
  crc32: 7,
  atomics: 8,
  fphp: 9,
  asimdhp: 10,
  cpuid: 11,
  asimdrdm: 12,
  asimddp: 20,
} as const;
export type Feature = keyof typeof hwcapBits;

export const features: readonly Feature[] = [
  'fp',
  'asimd',
  'aes',
  'pmull',
  'sha1',
  'sha2',
  'crc32',
  'atomics',
  'cpuid',
  'asimdrdm',
  'asimddp',
];

export const hwcap = features.reduce((sum, f) => sum | (1 << hwcapBits[f]), 0) >>> 0;
export const hwcap2 = 0;

const has = (f: Feature, value: number): bigint => (features.includes(f) ? BigInt(value) : 0n);

/** MIDR_EL1: a Cortex-A72 r0p3. */
export const MIDR = 0x410f_d083n;

/** By op0, op1, CRn, CRm, op2; those of CRm 2 to 7 that are not here read as zero. */
export const idRegisters: ReadonlyMap<string, bigint> = new Map([
  ['3 0 0 0 0', MIDR],
  // MPIDR_EL1 without affinity, REVIDR_EL1.
  ['3 0 0 0 5', 0x8000_0000n],
  ['3 0 0 0 6', 0n],
  // ID_AA64PFR0_EL1: EL0 and EL1 are AArch64 only; floating point and Advanced SIMD are there.
  ['3 0 0 4 0', 0x11n],
  [
    '3 0 0 6 0', // ID_AA64ISAR0_EL1
    ((has('pmull', 2) || has('aes', 1)) << 4n) |
      (has('sha1', 1) << 8n) |
      (has('sha2', 1) << 12n) |
      (has('crc32', 1) << 16n) |
      (has('atomics', 2) << 20n) |
      (has('asimdrdm', 1) << 28n) |
      (has('asimddp', 1) << 44n),
  ],
  // ID_AA64MMFR0_EL1: hidden fields show their safe values.
  ['3 0 0 7 0', 0xff00_0000n],
]);

/** CTR_EL0: 64-byte lines of both caches, PIPT instruction cache. */
export const CTR = 0x8444_c004n;
/** DCZID_EL0: DC ZVA zeroes 4 << 4 bytes. */
export const DCZID = 4n;
export const ZVA_BYTES = 64;
/** CNTFRQ_EL0: the counter counts nanoseconds. */
export const COUNTER_HZ = 1_000_000_000n;
