/** The state that instruction vectors begin with, made from a seed, and the layout both machines have. */

/** Code page: filled with BRK, the instruction in its middle. */
export const CODE_PAGE = 0x1000_0000;
export const CODE = CODE_PAGE + 0x800;
/** Data page between unmapped ones; the buffer is the part of it that has contents. */
export const DATA_PAGE = 0x2000_0000;
export const DATA = DATA_PAGE + 0x700;
export const DATA_BYTES = 512;
export const BRK = 0xd420_0000;

/** Places for overrides: x0..x30, sp, then these. */
export const SP_PLACE = 31;
export const NZCV_PLACE = 32;
export const FPCR_PLACE = 33;
export const FPSR_PLACE = 34;
/** Place of 8-byte half `h` of vector register `n` is `VECTOR_PLACE + n * 2 + h`. */
export const VECTOR_PLACE = 64;
export const DATA_PLACE = 128;

export type Override = readonly [place: number, value: bigint];

export interface MachineState {
  /** x0..x30, sp. */
  gpr: BigUint64Array;
  /** Bits 31..28. */
  nzcv: number;
  fpcr: number;
  fpsr: number;
  /** v0..v31. */
  vectors: Uint8Array;
  data: Uint8Array;
}

/** splitmix32. */
export class Random {
  #state: number;
  constructor(seed: number) {
    this.#state = seed | 0;
  }
  word(): number {
    this.#state = (this.#state + 0x9e3779b9) | 0;
    let t = this.#state ^ (this.#state >>> 16);
    t = Math.imul(t, 0x21f0aaad);
    t ^= t >>> 15;
    t = Math.imul(t, 0x735a2d97);
    return (t ^ (t >>> 15)) >>> 0;
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

export function hash(text: string): number {
  let h = 0x811c9dc5;
  for (let k = 0; k < text.length; k++) h = Math.imul(h ^ text.charCodeAt(k), 0x01000193);
  return h;
}

/** Integers where edges are likely. */
export function randomInteger(r: Random): bigint {
  switch (r.below(8)) {
    case 0:
      return BigInt(r.below(16));
    case 1:
      return BigInt.asUintN(64, -BigInt(r.below(16)));
    case 2:
      return BigInt.asUintN(64, (1n << BigInt(r.below(64))) - BigInt(r.below(2)));
    case 3:
      return BigInt.asUintN(64, -(1n << BigInt(r.below(64))) - BigInt(r.below(2)));
    case 4:
      return r.pick([0x7fff_ffffn, 0x8000_0000n, 0xffff_ffffn, 0x7fff_ffff_ffff_ffffn, 0x8000_0000_0000_0000n]);
    case 5:
      return BigInt(r.word());
    default:
      return r.u64();
  }
}

const f16Edges = [
  0x0000, 0x8000, 0x3c00, 0xbc00, 0x7c00, 0xfc00, 0x7e00, 0x7d01, 0xfe12, 0x0001, 0x83ff, 0x0400, 0x7bff, 0x3555,
];
const f32Edges = [
  0x0000_0000, 0x8000_0000, 0x3f80_0000, 0xbf80_0000, 0x7f80_0000, 0xff80_0000, 0x7fc0_0000, 0x7f80_0001, 0xffc1_2345,
  0xff81_2345, 0x0000_0001, 0x807f_ffff, 0x0080_0000, 0x7f7f_ffff, 0x4f00_0000, 0xcf00_0000, 0x4f80_0000, 0x5f00_0000,
  0x5f80_0000, 0x3f00_0000, 0x3fc0_0000, 0x4020_0000, 0xc020_0000, 0x3eaa_aaab, 0x4b00_0001, 0x3380_0000,
];
const f64Edges = [
  0n,
  1n << 63n,
  0x3ff0n << 48n,
  0xbff0n << 48n,
  0x7ff0n << 48n,
  0xfff0n << 48n,
  0x7ff8n << 48n,
  (0x7ff0n << 48n) | 1n,
  (0xfff8n << 48n) | 0x12345n,
  (0xfff0n << 48n) | 0x12345n,
  1n,
  (0x800fn << 48n) | 0xffff_ffff_ffffn,
  0x0010n << 48n,
  (0x7fefn << 48n) | 0xffff_ffff_ffffn,
  0x41e0n << 48n,
  0xc1e0n << 48n,
  0x43e0n << 48n,
  0xc3e0n << 48n,
  0x43f0n << 48n,
  0x3fe0n << 48n,
  0x3ff8n << 48n,
  0x4004n << 48n,
  0xc004n << 48n,
  0x3fd5_5555_5555_5555n,
  0x47f0n << 48n,
  0x36a0n << 48n,
];
function randomF32(r: Random): number {
  if (r.chance(45)) return r.pick(f32Edges);
  // Ordinary magnitudes, so that sums and products are ordinary, too.
  return r.chance(70) ? ((r.word() & 0x807f_ffff) | ((110 + r.below(36)) << 23)) >>> 0 : r.word();
}
function randomF64(r: Random): bigint {
  if (r.chance(45)) return r.pick(f64Edges);
  const v = r.u64();
  return r.chance(70) ? (v & ((0x800fn << 48n) | 0xffff_ffff_ffffn)) | (BigInt(1000 + r.below(48)) << 52n) : v;
}

export type Profile = 'integer' | 'f16' | 'f32' | 'f64';

function randomVector(r: Random, profile: Profile, v: DataView, at: number): void {
  if (profile === 'f64') for (let k = 0; k < 16; k += 8) v.setBigUint64(at + k, randomF64(r), true);
  else if (profile === 'f32') for (let k = 0; k < 16; k += 4) v.setUint32(at + k, randomF32(r), true);
  else if (profile === 'f16')
    for (let k = 0; k < 16; k += 2) v.setUint16(at + k, r.chance(60) ? r.pick(f16Edges) : r.word(), true);
  else {
    const edges = r.chance(60);
    const size = r.pick([1, 2, 4, 8]);
    for (let k = 0; k < 16; k += 8) v.setBigUint64(at + k, r.u64(), true);
    if (edges)
      for (let k = 0; k < 16; k += size) {
        if (r.chance(35)) continue;
        const value = randomInteger(r) >> BigInt(64 - size * 8 > 0 && r.chance(50) ? 64 - size * 8 : 0);
        if (size === 1) v.setUint8(at + k, Number(value & 0xffn));
        else if (size === 2) v.setUint16(at + k, Number(value & 0xffffn), true);
        else if (size === 4) v.setUint32(at + k, Number(value & 0xffff_ffffn), true);
        else v.setBigUint64(at + k, value, true);
      }
  }
}

export function initialState(seed: number, profile: Profile, overrides: readonly Override[]): MachineState {
  const r = new Random(seed);
  const gpr = new BigUint64Array(32);
  for (let k = 0; k < 32; k++) gpr[k] = randomInteger(r);
  gpr[31] = BigInt(DATA + 256);
  const vectors = new Uint8Array(512);
  const v = new DataView(vectors.buffer);
  for (let n = 0; n < 32; n++) randomVector(r, profile, v, n * 16);
  const data = new Uint8Array(DATA_BYTES);
  const d = new DataView(data.buffer);
  for (let k = 0; k < DATA_BYTES; k += 16) randomVector(r, profile, d, k);
  const state: MachineState = { gpr, nzcv: (r.word() & 0xf000_0000) >>> 0, fpcr: 0, fpsr: 0, vectors, data };
  for (const [place, value] of overrides) {
    if (place < 32) gpr[place] = value;
    else if (place === NZCV_PLACE) state.nzcv = Number(value);
    else if (place === FPCR_PLACE) state.fpcr = Number(value);
    else if (place === FPSR_PLACE) state.fpsr = Number(value);
    else if (place >= DATA_PLACE) d.setBigUint64((place - DATA_PLACE) * 8, value, true);
    else v.setBigUint64((place - VECTOR_PLACE) * 8, value, true);
  }
  return state;
}
