/** Slots of the AArch64 vCPU state. */

/** General register `n` (0..30), 8 bytes. Number 31 is SP or the zero register: see LiftContext. */
export const gpr = (n: number): number => 0x80 + n * 8;
export const SP = 0x178;

/** Lazy flags: what produced them and its operands and result. See ops-flags.ts. */
export const CC_OP = 0x180;
export const CC_A = 0x188;
export const CC_B = 0x190;
export const CC_RES = 0x198;

export const TPIDR_EL0 = 0x1a0;
/** u32 each. */
export const FPCR = 0x1a8;
export const FPSR = 0x1ac;

/**
 * Exclusive monitor: the lower half of the address plus `bytes << 32`, 0 when it is open. An exclusive store succeeds where this still fits
 * and memory still holds EXCL_VALUE (16 bytes), which is what the exclusive load read.
 */
export const EXCL_TAG = 0x1b0;
/** u32: 0 when translated floating point (FPCR zero, sticky flags not kept) is right, 1 when exact. */
export const FP_EXACT = 0x1b8;
/** u32: 1 once the guest has used an address with a tag (Top Byte Ignore): code that masks addresses is wanted. */
export const TAGGED = 0x1bc;
export const EXCL_VALUE = 0x1c0;

/** u32: what is known of the sticky flags; the helpers' own (src/helpers/a64-system.ts). */
export const FP_HISTORY = 0x1d0;

/** Vector register `n` (0..31), 16 bytes. */
export const vec = (n: number): number => 0x200 + n * 16;

/** Kinds in CC_OP: `kind * 4 + log2(bytes)`; for `nzcv` the flags themselves are in CC_RES (bits 31 to 28). */
export const cc = { nzcv: 0, add: 1, sub: 2, logic: 3, adc: 4 } as const;
export type CcKind = keyof typeof cc;

export const N = 0x8000_0000;
export const Z = 0x4000_0000;
export const C = 0x2000_0000;
export const V = 0x1000_0000;

/** Bits of a translation's flavour. */
export const FLAVOUR_EXACT_FP = 1;
export const FLAVOUR_TAGGED = 2;
