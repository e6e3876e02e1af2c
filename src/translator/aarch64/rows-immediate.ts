/** Data processing, immediate (Arm ARM, C4.1.92). */
import { CONST } from '../ir/layout.ts';
import { bitMask } from './bit-mask.ts';
import type { LiftContext, Width } from './lift.ts';
import { ins, type Lift } from './row.ts';

// PC-relative addressing.
ins('0 ii 10000 iiiiiiiiiiiiiiiiiii ddddd', 'adr', (c) => {
  const high = (c.word << 8) >> 13;
  c.setConstant(c.d, BigInt(c.pc + high * 4 + ((c.word >>> 29) & 3)));
});
ins('1 ii 10000 iiiiiiiiiiiiiiiiiii ddddd', 'adrp', (c) => {
  const high = (c.word << 8) >> 13;
  const pages = high * 4 + ((c.word >>> 29) & 3);
  c.setConstant(c.d, BigInt(c.pc - (c.pc % 4096) + pages * 4096));
});

// Add and subtract, immediate. SP is both a source and, without flags, a destination.
const addSub =
  (name: 'add' | 'sub', setFlags: boolean): Lift =>
  (c) => {
    const imm = c.u('i') * (c.u('h') ? 4096 : 1);
    const { w } = c;
    const from = c.xsp(c.n);
    if (setFlags) {
      c.flags(name, w, [from, CONST], imm);
      if (c.d !== 31) c.b.emit(`${name}.${w}`, c.x(c.d), [from, CONST], imm);
    } else if (imm === 0) c.b.emit(`mov.${w}`, c.xsp(c.d), [from]);
    else c.b.emit(`${name}.${w}`, c.xsp(c.d), [from, CONST], imm);
  };
ins('z 0 0 100010 h iiiiiiiiiiii nnnnn ddddd', 'add', addSub('add', false));
ins('z 0 1 100010 h iiiiiiiiiiii nnnnn ddddd', 'adds', addSub('add', true));
ins('z 1 0 100010 h iiiiiiiiiiii nnnnn ddddd', 'sub', addSub('sub', false));
ins('z 1 1 100010 h iiiiiiiiiiii nnnnn ddddd', 'subs', addSub('sub', true));

// Logical, immediate.
const logical =
  (name: 'and' | 'or' | 'xor', setFlags: boolean): Lift =>
  (c) => {
    const mask = bitMask(c.u('N'), c.u('s'), c.u('r'), c.bits);
    if (mask === null) return c.undefined();
    const { w } = c;
    if (setFlags) {
      const r = c.b.valueConst(`and.${w}`, [c.x(c.n)], mask);
      c.flags('logic', w, [r]);
      if (c.d !== 31) c.b.emit(`mov.${w}`, c.x(c.d), [r]);
      return;
    }
    // ORR of the zero register is MOV.
    if (name === 'or' && c.n === 31 && c.d !== 31) c.setConstant(c.d, BigInt.asUintN(c.bits, BigInt(mask)));
    else c.b.emit(`${name}.${w}`, c.xsp(c.d), [c.x(c.n), CONST], mask);
  };
ins('z 00 100100 N rrrrrr ssssss nnnnn ddddd', 'and', logical('and', false));
ins('z 01 100100 N rrrrrr ssssss nnnnn ddddd', 'orr', logical('or', false));
ins('z 10 100100 N rrrrrr ssssss nnnnn ddddd', 'eor', logical('xor', false));
ins('z 11 100100 N rrrrrr ssssss nnnnn ddddd', 'ands', logical('and', true));

// Move wide.
const shiftOf = (c: LiftContext): number | null => {
  const shift = c.u('h') * 16;
  return shift < c.bits ? shift : null;
};
ins('z 00 100101 hh iiiiiiiiiiiiiiii ddddd', 'movn', (c) => {
  const shift = shiftOf(c);
  if (shift === null) return c.undefined();
  c.setConstant(c.d, BigInt.asUintN(c.bits, ~(BigInt(c.u('i')) << BigInt(shift))));
});
ins('z 10 100101 hh iiiiiiiiiiiiiiii ddddd', 'movz', (c) => {
  const shift = shiftOf(c);
  if (shift === null) return c.undefined();
  c.setConstant(c.d, BigInt(c.u('i')) << BigInt(shift));
});
ins('z 11 100101 hh iiiiiiiiiiiiiiii ddddd', 'movk', (c) => {
  const shift = shiftOf(c);
  if (shift === null) return c.undefined();
  if (c.d === 31) return;
  const known = c.constantIn(c.d);
  if (known !== null) {
    const kept = BigInt.asUintN(c.bits, known & ~(0xffffn << BigInt(shift)));
    c.setConstant(c.d, kept | (BigInt(c.u('i')) << BigInt(shift)));
    return;
  }
  const d = c.x(c.d);
  if (c.bits === 32) c.b.emit('mov.i32', d, [d]);
  c.b.emit('mov.i16', d + shift / 8, [CONST], c.u('i'));
});

// Bitfields.
const ones = (bits: number): bigint => (1n << BigInt(bits)) - 1n;
/** A mask as an immediate of the width. */
const immediate = (w: Width, mask: bigint): number | bigint =>
  w === 'i64' ? BigInt.asIntN(64, mask) : Number(BigInt.asIntN(32, mask));

function bitfield(kind: 'sbfm' | 'bfm' | 'ubfm'): Lift {
  return (c) => {
    const { w, bits, b } = c;
    const r = c.u('r');
    const s = c.u('s');
    if (c.u('N') !== (bits === 64 ? 1 : 0) || r >= bits || s >= bits) return c.undefined();
    const d = c.to(c.d);
    const n = c.x(c.n);
    // The field has `length` bits from `from` of the source and goes to bit `to`.
    const extract = s >= r;
    const length = extract ? s - r + 1 : s + 1;
    const from = extract ? r : 0;
    const to = extract ? 0 : bits - r;
    if (kind === 'ubfm') {
      if (extract && s === bits - 1) b.emit(`shr_u.${w}`, d, [n, CONST], r);
      else if (!extract && length + to === bits) b.emit(`shl.${w}`, d, [n, CONST], to);
      else {
        const shifted = from === 0 ? n : b.valueConst(`shr_u.${w}`, [n], from);
        if (to === 0) b.emit(`and.${w}`, d, [shifted, CONST], immediate(w, ones(length)));
        else b.emit(`shl.${w}`, d, [b.valueConst(`and.${w}`, [shifted], immediate(w, ones(length))), CONST], to);
      }
    } else if (kind === 'sbfm') {
      if (extract && s === bits - 1) b.emit(`shr_s.${w}`, d, [n, CONST], r);
      else if (extract && r === 0 && (length === 8 || length === 16)) b.emit(`ext.s${length}.${w}`, d, [n]);
      else if (extract && r === 0 && length === 32) b.emit('ext.s32.i64', d, [n]);
      else {
        const up = bits - from - length;
        const raised = up === 0 ? n : b.valueConst(`shl.${w}`, [n], up);
        b.emit(`shr_s.${w}`, d, [raised, CONST], up + from - to);
      }
    } else {
      if (c.d === 31) return;
      const mask = ones(length) << BigInt(to);
      const moved = from > 0 ? b.valueConst(`shr_u.${w}`, [n], from) : to > 0 ? b.valueConst(`shl.${w}`, [n], to) : n;
      const part = b.valueConst(`and.${w}`, [moved], immediate(w, mask));
      const rest = b.valueConst(`and.${w}`, [c.x(c.d)], immediate(w, ~mask));
      b.emit(`or.${w}`, d, [rest, part]);
    }
  };
}
ins('z 00 100110 N rrrrrr ssssss nnnnn ddddd', 'sbfm', bitfield('sbfm'));
ins('z 01 100110 N rrrrrr ssssss nnnnn ddddd', 'bfm', bitfield('bfm'));
ins('z 10 100110 N rrrrrr ssssss nnnnn ddddd', 'ubfm', bitfield('ubfm'));

// Extract.
ins('z 00 100111 N 0 mmmmm ssssss nnnnn ddddd', 'extr', (c) => {
  const { w, bits, b } = c;
  const shift = c.u('s');
  if (c.u('N') !== (bits === 64 ? 1 : 0) || shift >= bits) return c.undefined();
  const d = c.to(c.d);
  if (c.n === c.m) return b.emit(`rotr.${w}`, d, [c.x(c.n), CONST], shift);
  if (shift === 0) return b.emit(`mov.${w}`, d, [c.x(c.m)]);
  const low = b.valueConst(`shr_u.${w}`, [c.x(c.m)], shift);
  const high = b.valueConst(`shl.${w}`, [c.x(c.n)], bits - shift);
  b.emit(`or.${w}`, d, [high, low]);
});
