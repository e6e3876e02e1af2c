/**
 * Shifts and rotates. SDM volume 2. Counts are masked to 5 bits (6 with REX.W); a masked count of 0 leaves the flags, but
 * a 32-bit register still loses its high half. Where the manual leaves OF (counts other than 1) or CF (counts beyond the
 * operand) undefined, they are what AMD's and Intel's CPUs agree on: the formula for a count of 1 applied to the result.
 */
import { CONST } from '../ir/layout.ts';
import type { IntWidth, Operand } from '../ir/block.ts';
import type { LiftContext } from './lift.ts';
import { ins, type Lift } from './row.ts';
import { AF, gpr, RCX } from './state.ts';

const bits: Record<IntWidth, number> = { i8: 8, i16: 16, i32: 32, i64: 64 };
const irOp = { rol: 'rotl', ror: 'rotr', shl: 'shl', shr: 'shr_u', sar: 'shr_s' } as const;

/** The count operand `k`: a number, or the slot of the masked CL. */
function shiftCount(c: LiftContext, k: number, w: IntWidth): number | { slot: Operand } {
  const spec = c.i.row.operands[k]!;
  const mask = w === 'i64' ? 63 : 31;
  if (spec.kind === 'fixed' && spec.size === '1') return 1;
  if (spec.kind === 'I') return (c.i.imm as number) & mask;
  return { slot: c.b.valueConst('and.i32', [gpr(RCX)], mask) };
}

/** Writes `result(source)` to operand 0 and then calls `flags` with both; memory first, so that a fault leaves the flags. */
function update(
  c: LiftContext,
  w: IntWidth,
  compute: (d: Operand, a: Operand) => void,
  flags: (a: Operand, r: Operand) => void,
  flagsNeedSource: boolean,
): void {
  if (c.isMemory(0)) {
    const a = c.load(w);
    const r = c.b.temp();
    compute(r, a);
    c.store(w, r);
    flags(a, r);
    return;
  }
  const d = c.register(0);
  if (flagsNeedSource) {
    flags(d, d);
    compute(d, d);
  } else {
    compute(d, d);
    flags(d, d);
  }
}

/** A count of 0 only clears the high half of a 32-bit register. */
function noShift(c: LiftContext, w: IntWidth): void {
  if (!c.isMemory(0)) {
    if (w === 'i32') c.b.emit('mov.i32', c.register(0), [c.register(0)]);
  } else c.store(w, c.load(w));
}

const shift =
  (name: 'shl' | 'shr' | 'sar'): Lift =>
  (c) => {
    const w = c.widthOf(0);
    const n = shiftCount(c, 1, w);
    if (n === 0) return noShift(c, w);
    if (typeof n === 'number') {
      update(
        c,
        w,
        (d, a) => c.b.emit(`${irOp[name]}.${w}`, d, [a, CONST], n),
        (a) => c.flagsOp(`flags.${name}.${w}`, 'res', w, [a, CONST], n),
        true,
      );
      return;
    }
    update(
      c,
      w,
      (d, a) => c.b.emit(`${irOp[name]}.${w}`, d, [a, n.slot]),
      (a) => {
        c.b.emit(`flags.${name}_if.${w}`, 0, [a, n.slot]);
        c.flagsUnknown();
      },
      true,
    );
  };

const rotate =
  (name: 'rol' | 'ror'): Lift =>
  (c) => {
    const w = c.widthOf(0);
    const n = shiftCount(c, 1, w);
    if (n === 0) return noShift(c, w);
    const constant = typeof n === 'number';
    update(
      c,
      w,
      (d, a) =>
        constant ? c.b.emit(`${irOp[name]}.${w}`, d, [a, CONST], n) : c.b.emit(`${irOp[name]}.${w}`, d, [a, n.slot]),
      (_a, r) => {
        if (constant) return c.flagsOp(`flags.${name}.${w}`, 'eflags', 'i32', [r]);
        c.b.emit(`flags.${name}_if.${w}`, 0, [n.slot, r]);
        c.flagsUnknown();
      },
      false,
    );
  };

/** Bit `k` of a value, as 0 or 1. */
function bitOf(c: LiftContext, slot: Operand, k: number, w: IntWidth): Operand {
  const shifted = k === 0 ? slot : c.b.valueConst(`shr_u.${w}`, [slot], k);
  return c.b.valueConst('and.i32', [shifted], 1);
}

// By 1, the form bignum code uses, without a helper.
const rotateCarry =
  (name: 'rcl' | 'rcr'): Lift =>
  (c) => {
    const { b } = c;
    const w = c.widthOf(0);
    const n = shiftCount(c, 1, w);
    if (n === 0) return noShift(c, w);
    const cf = c.carry();
    const a = c.isMemory(0) ? c.load(w) : c.register(0);
    const top = bits[w] - 1;
    let r: Operand;
    let out: Operand;
    if (n === 1) {
      if (name === 'rcl') {
        r = b.value(`or.${w}`, [b.valueConst(`shl.${w}`, [a], 1), cf]);
        out = bitOf(c, a, top, w);
      } else {
        r = b.value(`or.${w}`, [b.valueConst(`shr_u.${w}`, [a], 1), b.valueConst(`shl.${w}`, [cf], top)]);
        out = bitOf(c, a, 0, w);
      }
    } else {
      const count = typeof n === 'number' ? b.constant(n) : n.slot;
      r = b.value(`x86.${name}.${w}`, [a, count, cf]);
      out = b.value(`x86.${name}_cf.${w}`, [a, count, cf]);
    }
    if (c.isMemory(0)) c.store(w, r);
    const of = b.value('xor.i32', [bitOf(c, r, top, w), name === 'rcl' ? out : bitOf(c, r, top - 1, w)]);
    if (typeof n === 'number') c.flagsOp('flags.cf_of', 'eflags', 'i32', [out, of]);
    else {
      b.emit('flags.cf_of_if', 0, [n.slot, out, of]);
      c.flagsUnknown();
    }
    if (!c.isMemory(0)) b.emit(`mov.${w}`, a, [r]);
  };

const groups: [number, string, Lift, number][] = [
  [0, 'rol', rotate('rol'), 0],
  [1, 'ror', rotate('ror'), 0],
  [2, 'rcl', rotateCarry('rcl'), 0],
  [3, 'rcr', rotateCarry('rcr'), 0],
  [4, 'shl', shift('shl'), AF],
  [5, 'shr', shift('shr'), AF],
  [6, 'shl', shift('shl'), AF], // An alias every CPU has.
  [7, 'sar', shift('sar'), AF],
];
for (const [n, name, lift, undefinedFlags] of groups) {
  for (const [opcode, operands] of [
    ['c0', 'Eb Ib'],
    ['c1', 'Ev Ib'],
    ['d0', 'Eb 1'],
    ['d1', 'Ev 1'],
    ['d2', 'Eb cl'],
    ['d3', 'Ev cl'],
  ] as const)
    ins(`${opcode} /${n}`, name, operands, lift, { undefinedFlags });
}

const double =
  (name: 'shld' | 'shrd'): Lift =>
  (c) => {
    const { b } = c;
    const w = c.width;
    const n = shiftCount(c, 2, w);
    if (n === 0) return noShift(c, w);
    const count = typeof n === 'number' ? b.constant(n) : n.slot;
    const a = c.isMemory(0) ? c.load(w) : c.register(0);
    const r = b.value(`x86.${name}.${w}`, [a, c.register(1), count]);
    if (c.isMemory(0)) c.store(w, r);
    const top = bits[w] - 1;
    let out: Operand;
    let of: Operand;
    if (w === 'i16' && name === 'shld') {
      // From the first operand alone: beyond 16 places, where the manual leaves all undefined, CF and OF come out clear.
      const t = b.value('shl.i32', [b.value('ext.u16.i32', [a]), count]);
      out = bitOf(c, t, 16, 'i32');
      of = b.value('xor.i32', [bitOf(c, t, 15, 'i32'), out]);
    } else {
      // The last bit shifted out: at width - n, or n - 1.
      const at =
        name === 'shld' ? b.value('sub.i32', [b.constant(bits[w]), count]) : b.valueConst('sub.i32', [count], 1);
      out = b.valueConst('and.i32', [b.value(`shr_u.${w}`, [a, at])], 1);
      of = b.value('xor.i32', [bitOf(c, r, top, w), name === 'shld' ? out : bitOf(c, r, top - 1, w)]);
    }
    if (typeof n === 'number') c.flags('res', w, [r, out, of]);
    else {
      b.emit(`flags.res_if.${w}`, 0, [n.slot, r, out, of]);
      c.flagsUnknown();
    }
    if (!c.isMemory(0)) b.emit(`mov.${w}`, a, [r]);
  };
for (const [opcode, name] of [
  ['a4', 'shld'],
  ['ac', 'shrd'],
] as const) {
  ins(`0f ${opcode}`, name, 'Ev Gv Ib', double(name), { undefinedFlags: AF });
  ins(`0f ${(Number.parseInt(opcode, 16) + 1).toString(16)}`, name, 'Ev Gv cl', double(name), { undefinedFlags: AF });
}
