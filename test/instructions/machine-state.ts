/**
 * Initial machine states of the instruction tests. They are made from a seed, so that fixtures hold only what an
 * instruction changed; a change to what is made here invalidates all fixtures.
 */

// tools/native/run-instructions.c has the same numbers.
export const CODE_PAGE = 0x1000_0000;
export const CODE = 0x1000_0800;
export const DATA_PAGE = 0x2000_0000;
/** The data buffer: the last 256 bytes of its page; the pages around are not mapped, the rest of its own is zero. */
export const DATA = 0x2000_0f00;
export const DATA_BYTES = 256;
export const GS_BASE = 0x1ff0_0000;
export const PAGE = 4096;
export const FX_BYTES = 512;

/** What random values look like. */
export const profiles = ['integer', 'small', 'f32', 'f64', 'x87', 'alike'] as const;
export type Profile = (typeof profiles)[number];

/** A value put where the seed's would not do: register number, `DATA_OVERRIDE` + offset in the buffer (8 bytes), or a word below. */
export interface Override {
  place: number;
  value: bigint;
}
export const RFLAGS_OVERRIDE = 0x20;
export const MXCSR_OVERRIDE = 0x21;
export const FCW_OVERRIDE = 0x22;
/** FSW and the abridged tag word above it (bits 16 to 23). */
export const FSW_OVERRIDE = 0x23;
/** MMX register n, or significand of ST(n). */
export const MM_OVERRIDE = 0x28;
export const DATA_OVERRIDE = 0x100;

export interface MachineState {
  gpr: BigUint64Array;
  rflags: bigint;
  /** FXSAVE image (SDM volume 1, table 10-2). */
  fx: Uint8Array;
  data: Uint8Array;
}

/** Small fast counter-based generator (SFC32) of 32-bit words. */
export class Random {
  #a: number;
  #b: number;
  #c = 0x9e3779b9 | 0;
  #d = 1;
  constructor(seed: number) {
    this.#a = seed | 0;
    this.#b = Math.imul(seed, 0x85ebca6b) | 0;
    for (let k = 0; k < 12; k++) this.word();
  }
  /** 0 to 2^32 - 1. */
  word(): number {
    const t = (((this.#a + this.#b) | 0) + this.#d) | 0;
    this.#d = (this.#d + 1) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = (this.#c << 21) | (this.#c >>> 11);
    this.#c = (this.#c + t) | 0;
    return t >>> 0;
  }
  below(n: number): number {
    return this.word() % n;
  }
  chance(percent: number): boolean {
    return this.below(100) < percent;
  }
  pick<T>(list: readonly T[]): T {
    return list[this.below(list.length)]!;
  }
  u64(): bigint {
    return (BigInt(this.word()) << 32n) | BigInt(this.word());
  }
}

/** FNV-1a of a string, 32 bits. */
export function hash(text: string): number {
  let h = 0x811c9dc5;
  for (let k = 0; k < text.length; k++) h = Math.imul(h ^ text.charCodeAt(k), 0x01000193);
  return h >>> 0;
}

const integers = [
  0n,
  1n,
  2n,
  3n,
  7n,
  8n,
  15n,
  16n,
  31n,
  32n,
  33n,
  63n,
  64n,
  65n,
  0x7fn,
  0x80n,
  0x81n,
  0xffn,
  0x100n,
  0x7fffn,
  0x8000n,
  0xffffn,
  0x10000n,
  0x7fff_ffffn,
  0x8000_0000n,
  0x8000_0001n,
  0xffff_ffffn,
  0x1_0000_0000n,
  0x7fff_ffff_ffff_ffffn,
  0x8000_0000_0000_0000n,
  0x8000_0000_0000_0001n,
  0xffff_ffff_ffff_ffffn,
  0xffff_ffff_ffff_fffen,
  0xffff_ffff_8000_0000n,
  0xffff_ffff_7fff_ffffn,
  0x5555_5555_5555_5555n,
  0xaaaa_aaaa_aaaa_aaaan,
  0x0101_0101_0101_0101n,
  0x8080_8080_8080_8080n,
  0x7f7f_7f7f_7f7f_7f7fn,
  0x8000_8000_8000_8000n,
  0x7fff_7fff_7fff_7fffn,
  0xfff0_000f_ff00_00ffn,
] as const;
/** Zeros, ones, limits, denormals, infinities, quiet and signalling NaNs, halves, integer limits. */
const singles = [
  0, 0x80000000, 0x3f800000, 0xbf800000, 0x7f7fffff, 0xff7fffff, 0x00800000, 0x80800000, 0x00000001, 0x80000001,
  0x007fffff, 0x7f800000, 0xff800000, 0x7fc00000, 0xffc00000, 0x7fc12345, 0x7f800001, 0xffa00000, 0x3f000000,
  0xbf000000, 0x3fc00000, 0x40200000, 0xc0200000, 0x4f000000, 0xcf000000, 0x4effffff, 0x5f000000, 0xdf000000,
  0x4b000001, 0x3effffff, 0x3f7fffff, 0x34000000,
] as const;
const doubles = [
  0n,
  0x8000000000000000n,
  0x3ff0000000000000n,
  0xbff0000000000000n,
  0x7fefffffffffffffn,
  0xffefffffffffffffn,
  0x0010000000000000n,
  0x8010000000000000n,
  1n,
  0x8000000000000001n,
  0x000fffffffffffffn,
  0x7ff0000000000000n,
  0xfff0000000000000n,
  0x7ff8000000000000n,
  0xfff8000000000000n,
  0x7ff8123456789abcn,
  0x7ff0000000000001n,
  0xfff4000000000000n,
  0x3fe0000000000000n,
  0xbfe0000000000000n,
  0x3ff8000000000000n,
  0x4004000000000000n,
  0xc004000000000000n,
  0x41dfffffffc00000n,
  0x41e0000000000000n,
  0xc1e0000000000000n,
  0xc1e0000000100000n,
  0x43e0000000000000n,
  0xc3e0000000000000n,
  0x4330000000000001n,
  0x3fdfffffffffffffn,
  0x47efffffe0000000n,
  0x47effffff0000000n,
  0x36a0000000000000n,
  0x380fffffe0000000n,
  0x41efffffffe00000n,
] as const;
/** Sign and exponent, significand. */
const extended: readonly (readonly [number, bigint])[] = [
  [0, 0n],
  [0x8000, 0n],
  [0x3fff, 1n << 63n],
  [0xbfff, 1n << 63n],
  [0x7ffe, 0xffff_ffff_ffff_ffffn],
  [0xfffe, 0xffff_ffff_ffff_ffffn],
  [1, 1n << 63n],
  [0, 1n],
  [0, 0x7fff_ffff_ffff_ffffn],
  [0, 1n << 63n],
  [0x7fff, 1n << 63n],
  [0xffff, 1n << 63n],
  [0x7fff, 0xc000_0000_0000_0000n],
  [0xffff, 0xc000_0000_0000_0000n],
  [0x7fff, 0xc123_4567_89ab_cdefn],
  [0x7fff, 0x8000_0000_0000_0001n],
  [0x3ffe, 1n << 63n],
  [0x4000, 0xc000_0000_0000_0000n],
  [0xc000, 0xa000_0000_0000_0000n],
  [0x403d, 0xffff_ffff_ffff_fffen],
  [0x403e, 1n << 63n],
  [0xc03e, 1n << 63n],
  [0x401d, 0xffff_ffff_8000_0000n],
  [0x401e, 1n << 63n],
  [0x400e, 0x8000_0000_0000_0000n],
  [0x43fe, 0xffff_ffff_ffff_f800n],
  [0x3c00, 0x8000_0000_0000_0000n],
  [0x407e, 0xffff_ff00_0000_0000n],
  [0x4002, 0xc90f_daa2_2168_c235n],
  // Unnormal, pseudo-infinity, pseudo-NaN: invalid operands.
  [0x4000, 1n << 62n],
  [0x7fff, 0n],
  [0x7fff, 5n],
];

export function randomInteger(r: Random): bigint {
  const how = r.below(100);
  if (how < 35) return r.pick(integers);
  if (how < 45) return BigInt.asUintN(64, r.pick(integers) + BigInt(r.below(5) - 2));
  if (how < 60) return BigInt.asUintN(64, BigInt(r.below(256)) - BigInt(r.below(2) * 128));
  if (how < 75) return BigInt.asUintN(64, BigInt(r.word()) - (r.chance(50) ? 0n : 0x8000_0000n));
  return r.u64();
}
const single = (r: Random): number => {
  const how = r.below(100);
  if (how < 50) return r.pick(singles);
  // Exponents near that of 1, so that sums round and products stay finite.
  if (how < 90)
    return (
      ((r.below(2) << 31) | ((127 + r.below(40) - 20) << 23) | (r.word() & (r.chance(40) ? 0x700000 : 0x7fffff))) >>> 0
    );
  return r.word();
};
const double = (r: Random): bigint => {
  const how = r.below(100);
  if (how < 50) return r.pick(doubles);
  const fraction =
    r.u64() & (r.chance(40) ? 0xf_0000_0000_0000n : r.chance(30) ? 0xf_ffff_ffe0_0000n : 0xf_ffff_ffff_ffffn);
  if (how < 90) return (BigInt(r.below(2)) << 63n) | (BigInt(1023 + r.below(80) - 40) << 52n) | fraction;
  return r.u64();
};

/** Eight bytes of vector or memory contents. */
function chunk(r: Random, profile: Profile): bigint {
  switch (profile) {
    case 'f32':
      return (BigInt(single(r)) << 32n) | BigInt(single(r));
    case 'f64':
      return double(r);
    case 'small': {
      let v = 0n;
      for (let k = 0; k < 8; k++) v = (v << 8n) | BigInt(r.pick([0, 1, 2, 0x7f, 0x80, 0x81, 0xfe, 0xff, 0x41, 0x61]));
      return v;
    }
    case 'x87': {
      const how = r.below(3);
      return how === 0 ? double(r) : how === 1 ? (BigInt(single(r)) << 32n) | BigInt(single(r)) : randomInteger(r);
    }
    case 'alike': {
      // Text of few letters with zeros: for comparisons.
      let v = 0n;
      for (let k = 0; k < 8; k++) v = (v << 8n) | BigInt(r.below(12) === 0 ? 0 : 0x61 + r.below(3));
      return v;
    }
    case 'integer':
      return r.chance(50) ? r.u64() : randomInteger(r);
  }
}

/** The state of a seed. */
export function makeState(seed: number, profile: Profile, overrides: readonly Override[]): MachineState {
  const r = new Random(seed);
  const gpr = new BigUint64Array(16);
  for (let k = 0; k < 16; k++) gpr[k] = randomInteger(r);
  // IF and bit 1 are always set, TF, AC and NT never; DF must be asked for.
  let rflags = 0x202n | (BigInt(r.word()) & 0x8d5n);
  const fx = new Uint8Array(FX_BYTES);
  const v = new DataView(fx.buffer);
  v.setUint16(0, 0x37f, true);
  // Condition codes and TOP; no exception pending.
  v.setUint16(2, r.word() & 0x7f00, true);
  v.setUint8(4, r.chance(50) ? 0xff : r.word() & 0xff);
  v.setUint32(24, 0x1f80, true);
  v.setUint32(28, 0xffff, true);
  for (let k = 0; k < 8; k++) {
    const at = 32 + k * 16;
    if (profile === 'x87') {
      const how = r.below(100);
      const [e, m] =
        how < 45
          ? r.pick(extended)
          : [
              (r.below(2) << 15) | (0x3fff + r.below(140) - 70),
              (1n << 63n) | (r.chance(40) ? r.u64() & 0xff00_0000_0000_0000n : r.u64()),
            ];
      v.setBigUint64(at, m, true);
      v.setUint16(at + 8, e, true);
    } else {
      v.setBigUint64(at, chunk(r, profile), true);
      v.setUint16(at + 8, 0xffff, true);
    }
  }
  for (let at = 160; at < 416; at += 8) v.setBigUint64(at, chunk(r, profile), true);
  const data = new Uint8Array(DATA_BYTES);
  const d = new DataView(data.buffer);
  for (let at = 0; at < DATA_BYTES; at += 8) d.setBigUint64(at, chunk(r, profile), true);
  for (const { place, value } of overrides) {
    if (place < 16) gpr[place] = value;
    else if (place === RFLAGS_OVERRIDE) rflags = value;
    else if (place === MXCSR_OVERRIDE) v.setUint32(24, Number(value), true);
    else if (place === FCW_OVERRIDE) v.setUint16(0, Number(value), true);
    else if (place === FSW_OVERRIDE) {
      v.setUint16(2, Number(value & 0xffffn), true);
      v.setUint8(4, Number(value >> 16n));
    } else if (place >= MM_OVERRIDE && place < MM_OVERRIDE + 8)
      v.setBigUint64(32 + (place - MM_OVERRIDE) * 16, value, true);
    else d.setBigUint64(place - DATA_OVERRIDE, value, true);
  }
  return { gpr, rflags, fx, data };
}

/** The bytes of an FXSAVE image that are compared: FCW, FSW, tags, MXCSR, ST or MMX registers, XMM registers. */
export const fxCompared: Uint8Array = (() => {
  const mask = new Uint8Array(FX_BYTES);
  mask.fill(1, 0, 5);
  mask.fill(1, 24, 28);
  for (let k = 0; k < 8; k++) mask.fill(1, 32 + k * 16, 42 + k * 16);
  mask.fill(1, 160, 416);
  return mask;
})();
