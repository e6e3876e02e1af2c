/** Advanced SIMD and floating-point moves: immediates, elements, general registers (Arm ARM, C4.1.96). */
import { CONST } from '../ir/layout.ts';
import type { LiftContext } from './lift.ts';
import { ins } from './row.ts';

// Modified immediates (AdvSIMDExpandImm).
const repeat = (v: bigint, bits: number): bigint => {
  let r = v;
  for (let k = bits; k < 64; k *= 2) r |= r << BigInt(k);
  return r;
};
/** 8-bit floating-point immediates (VFPExpandImm). */
export function floatImmediate(imm8: number, bits: 32 | 64): bigint {
  const sign = BigInt(imm8 >> 7);
  const b = (imm8 >> 6) & 1;
  const low = BigInt(imm8 & 0x3f);
  if (bits === 32) return (sign << 31n) | ((b ? 0x1fn : 0x20n) << 25n) | (low << 19n);
  return (sign << 63n) | ((b ? 0xffn : 0x100n) << 54n) | (low << 48n);
}
/** Null for a form that is not there; `how` says what is done with the value. */
function expand(cmode: number, op: number, imm8: number): { how: 'move' | 'or' | 'clear'; value: bigint } | null {
  const imm = BigInt(imm8);
  const invert = (v: bigint): bigint => BigInt.asUintN(64, op ? ~v : v);
  if (cmode < 12) {
    const bits = cmode < 8 ? 32 : 16;
    const value = repeat(imm << BigInt((cmode < 8 ? cmode >> 1 : (cmode >> 1) & 1) * 8), bits);
    if (cmode & 1) return { how: op ? 'clear' : 'or', value };
    return { how: 'move', value: invert(value) };
  }
  if (cmode < 14) {
    const shift = cmode === 12 ? 8n : 16n;
    return { how: 'move', value: invert(repeat((imm << shift) | ((1n << shift) - 1n), 32)) };
  }
  if (cmode === 14) {
    if (!op) return { how: 'move', value: repeat(imm, 8) };
    let value = 0n;
    for (let k = 0; k < 8; k++) if ((imm8 >> k) & 1) value |= 0xffn << BigInt(k * 8);
    return { how: 'move', value };
  }
  return { how: 'move', value: op ? floatImmediate(imm8, 64) : repeat(floatImmediate(imm8, 32), 32) };
}
ins('0 q o 0111100000 iii cccc 0 1 iiiii ddddd', 'movi', (c) => {
  const [q, op, cmode] = [c.u('q'), c.u('o'), c.u('c')];
  if (cmode === 15 && op && !q) return c.undefined();
  const { how, value } = expand(cmode, op, c.u('i'))!;
  const { b } = c;
  for (const half of q ? [0, 8] : [0]) {
    const d = c.v(c.d) + half;
    if (how === 'move') b.emit('mov.i64', d, [CONST], BigInt.asIntN(64, value));
    else if (how === 'or') b.emit('or.i64', d, [d, CONST], BigInt.asIntN(64, value));
    else b.emit('and.i64', d, [d, CONST], BigInt.asIntN(64, ~value));
  }
  if (!q) c.zeroTop(c.d);
});

// FMOV.
const setLow = (c: LiftContext, value: bigint): void => {
  c.b.emit('mov.i64', c.v(c.d), [CONST], BigInt.asIntN(64, value));
  c.zeroTop(c.d);
};
ins('00011110 00 1 iiiiiiii 100 00000 ddddd', 'fmov', (c) => setLow(c, floatImmediate(c.u('i'), 32)));
ins('00011110 01 1 iiiiiiii 100 00000 ddddd', 'fmov', (c) => setLow(c, floatImmediate(c.u('i'), 64)));
ins('00011110 00 1 000000 10000 nnnnn ddddd', 'fmov', (c) => c.b.emit('v128.zext32', c.v(c.d), [c.v(c.n)]));
ins('00011110 01 1 000000 10000 nnnnn ddddd', 'fmov', (c) => c.b.emit('v128.zext64', c.v(c.d), [c.v(c.n)]));
ins('0 00 11110 00 1 00 111 000000 nnnnn ddddd', 'fmov', (c) => c.b.emit('v128.zext32', c.v(c.d), [c.x(c.n)]));
ins('0 00 11110 00 1 00 110 000000 nnnnn ddddd', 'fmov', (c) => c.b.emit('mov.i32', c.to(c.d), [c.v(c.n)]));
ins('1 00 11110 01 1 00 111 000000 nnnnn ddddd', 'fmov', (c) => c.b.emit('v128.zext64', c.v(c.d), [c.x(c.n)]));
ins('1 00 11110 01 1 00 110 000000 nnnnn ddddd', 'fmov', (c) => c.b.emit('mov.i64', c.to(c.d), [c.v(c.n)]));
ins('1 00 11110 10 1 01 111 000000 nnnnn ddddd', 'fmov', (c) => c.b.emit('mov.i64', c.v(c.d) + 8, [c.x(c.n)]));
ins('1 00 11110 10 1 01 110 000000 nnnnn ddddd', 'fmov', (c) => c.b.emit('mov.i64', c.to(c.d), [c.v(c.n) + 8]));

// Elements: the lowest bit set in imm5 gives the size, the bits above it the index.
const element = (imm5: number): { log2: number; index: number } | null => {
  if ((imm5 & 15) === 0) return null;
  const log2 = 31 - Math.clz32(imm5 & -imm5);
  return { log2, index: imm5 >> (log2 + 1) };
};
const splats = ['i8x16.splat', 'i16x8.splat', 'i32x4.splat', 'i64x2.splat'] as const;
/** Copies into one lane, the rest stays. */
const laneMoves = ['mov.i8', 'mov.i16', 'mov.l32', 'mov.i64'] as const;
const zeroExtends = ['ext.u8.i32', 'ext.u16.i32', 'mov.i32', 'mov.i64'] as const;

for (const general of [false, true])
  ins(`0 q 0 01110000 iiiii 0 000${general ? 1 : 0} 1 nnnnn ddddd`, 'dup', (c) => {
    const e = element(c.u('i'));
    const q = c.u('q');
    if (!e || (e.log2 === 3 && !q)) return c.undefined();
    c.b.emit(splats[e.log2]!, c.v(c.d), [general ? c.x(c.n) : c.v(c.n) + (e.index << e.log2)]);
    if (!q) c.zeroTop(c.d);
  });
ins('01 0 11110000 iiiii 0 0000 1 nnnnn ddddd', 'dup', (c) => {
  const e = element(c.u('i'));
  if (!e) return c.undefined();
  const value = c.b.value(zeroExtends[e.log2]!, [c.v(c.n) + (e.index << e.log2)]);
  c.b.emit('v128.zext64', c.v(c.d), [value]);
});
ins('0 1 0 01110000 iiiii 0 0011 1 nnnnn ddddd', 'ins', (c) => {
  const e = element(c.u('i'));
  if (!e) return c.undefined();
  c.b.emit(laneMoves[e.log2]!, c.v(c.d) + (e.index << e.log2), [c.x(c.n)]);
});
ins('0 1 1 01110000 iiiii 0 jjjj 1 nnnnn ddddd', 'ins', (c) => {
  const e = element(c.u('i'));
  if (!e) return c.undefined();
  const from = (c.u('j') >> e.log2) << e.log2;
  c.b.emit(laneMoves[e.log2]!, c.v(c.d) + (e.index << e.log2), [c.v(c.n) + from]);
});
ins('0 q 0 01110000 iiiii 0 0111 1 nnnnn ddddd', 'umov', (c) => {
  const e = element(c.u('i'));
  if (!e || (e.log2 === 3) !== (c.u('q') === 1)) return c.undefined();
  c.b.emit(zeroExtends[e.log2]!, c.to(c.d), [c.v(c.n) + (e.index << e.log2)]);
});
ins('0 q 0 01110000 iiiii 0 0101 1 nnnnn ddddd', 'smov', (c) => {
  const e = element(c.u('i'));
  const q = c.u('q');
  if (!e || e.log2 === 3 || (e.log2 === 2 && !q)) return c.undefined();
  c.b.emit(`ext.s${8 << e.log2}.${q ? 'i64' : 'i32'}`, c.to(c.d), [c.v(c.n) + (e.index << e.log2)]);
});
