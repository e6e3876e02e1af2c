/** Advanced SIMD floating point, vectors and scalars (Arm ARM, C4.1.96), translated and exact. */
import type { Operand } from '../ir/block.ts';
import type { LiftContext } from './lift.ts';
import { binaryOps, unaryOps } from './ops-simd-float.ts';
import { exact, type Float, type FloatOperation, type IntegerKind, type Rounding, softCode } from './ops-softfloat.ts';
import { ins } from './row.ts';
import { finish } from './rows-simd-basic.ts';

const q1 = (c: LiftContext): boolean => (c.word & 0x4000_0000) !== 0;
const shapeOf = { f32: 'f32x4', f64: 'f64x2' } as const;
const laneBits = { f32: 32, f64: 64 } as const;
const intShape = { f32: 'i32x4', f64: 'i64x2' } as const;
const floats = [
  ['0', 'f32'],
  ['1', 'f64'],
] as const;

/** Lanes the instruction works on: one in the scalar group. */
function lanesOf(c: LiftContext, f: Float): 1 | 2 | 4 {
  if (c.word & 0x1000_0000) return 1;
  return f === 'f32' && q1(c) ? 4 : 2;
}
/** An operation on up to three vectors; in translated code the lanes that are not worked on have any contents. */
function apply(
  c: LiftContext,
  operation: FloatOperation,
  f: Float,
  inputs: Operand[],
  imm = 0,
  lanes = lanesOf(c, f),
): Operand {
  if (c.exactFp) {
    const t = c.b.vectorTemp();
    exact(c, operation, f, lanes, t, inputs, imm);
    return t;
  }
  if (operation in binaryOps) return c.b.value(`a64.v${operation}.${f}`, inputs);
  if (operation in unaryOps) return c.b.value(`a64.v${operation}.${f}`, [inputs[0]!]);
  if (operation === 'fma') return c.b.value(`a64.vfma.${f}`, inputs);
  const [a = 0, b = a, third = a] = inputs;
  return c.b.valueConst('a64.soft', [a, b, third], softCode(operation, f, lanes, imm));
}
const move = (c: LiftContext, v: Operand): void => finish(c, 'mov.v128', [v]);
const scalar = (c: LiftContext, f: Float, v: Operand): void =>
  c.b.emit(f === 'f32' ? 'v128.zext32' : 'v128.zext64', c.v(c.d), [v]);
const negated = (c: LiftContext, f: Float, v: Operand): Operand => c.b.value(`${shapeOf[f]}.neg`, [v]);

/** A vector row, and a scalar one if wanted, of the group with the given bits before and after the type. */
function rows(
  u: number,
  a: number,
  tail: string,
  name: string,
  alsoScalar: boolean,
  value: (c: LiftContext, f: Float) => Operand,
): void {
  for (const [s, f] of floats) {
    ins(`0 q ${u} 01110 ${a}${s} ${tail}`, name, (c) => {
      if (f === 'f64' && !q1(c)) return c.undefined();
      move(c, value(c, f));
    });
    if (alsoScalar) ins(`01 ${u} 11110 ${a}${s} ${tail}`, name, (c) => scalar(c, f, value(c, f)));
  }
}
const same = (opcode: string): string => `1 mmmmm ${opcode} 1 nnnnn ddddd`;
const misc = (opcode: string): string => `10000 ${opcode} 10 nnnnn ddddd`;

// Three of the same.
for (const [u, a, opcode, fn, alsoScalar] of [
  [0, 0, '11000', 'fmaxnm', false],
  [0, 0, '11010', 'fadd', false],
  [0, 0, '11011', 'fmulx', true],
  [0, 0, '11110', 'fmax', false],
  [0, 0, '11111', 'frecps', true],
  [0, 1, '11000', 'fminnm', false],
  [0, 1, '11010', 'fsub', false],
  [0, 1, '11110', 'fmin', false],
  [0, 1, '11111', 'frsqrts', true],
  [1, 0, '11011', 'fmul', false],
  [1, 0, '11111', 'fdiv', false],
  [1, 1, '11010', 'fabd', true],
] as const)
  rows(u, a, same(opcode), fn, alsoScalar, (c, f) => apply(c, fn, f, [c.v(c.n), c.v(c.m)]));
rows(0, 0, same('11001'), 'fmla', false, (c, f) => apply(c, 'fma', f, [c.v(c.d), c.v(c.n), c.v(c.m)]));
rows(0, 1, same('11001'), 'fmls', false, (c, f) => apply(c, 'fma', f, [c.v(c.d), negated(c, f, c.v(c.n)), c.v(c.m)]));
for (const [u, a, opcode, name, op, absolute] of [
  [0, 0, '11100', 'fcmeq', 'eq', false],
  [1, 0, '11100', 'fcmge', 'ge', false],
  [1, 1, '11100', 'fcmgt', 'gt', false],
  [1, 0, '11101', 'facge', 'ge', true],
  [1, 1, '11101', 'facgt', 'gt', true],
] as const)
  rows(u, a, same(opcode), name, true, (c, f) => {
    if (c.exactFp) return apply(c, name, f, [c.v(c.n), c.v(c.m)]);
    const operand = (n: number): Operand => (absolute ? c.b.value(`${shapeOf[f]}.abs`, [c.v(n)]) : c.v(n));
    return c.b.value(`${shapeOf[f]}.${op}`, [operand(c.n), operand(c.m)]);
  });
// Neighbours of both operands.
for (const [a, opcode, name, fn] of [
  [0, '11000', 'fmaxnmp', 'fmaxnm'],
  [0, '11010', 'faddp', 'fadd'],
  [0, '11110', 'fmaxp', 'fmax'],
  [1, '11000', 'fminnmp', 'fminnm'],
  [1, '11110', 'fminp', 'fmin'],
] as const) {
  rows(1, a, same(opcode), name, false, (c, f) => {
    let [x, y] = [c.v(c.n), c.v(c.m)];
    if (!q1(c)) {
      const both = c.b.vectorTemp();
      c.b.emit('mov.i64', both, [x]);
      c.b.emit('mov.i64', both + 8, [y]);
      [x, y] = [both, both];
    }
    const part = (half: number): Operand => c.b.value(`a64.uzp${half}.${laneBits[f]}`, [x, y]);
    return apply(c, fn, f, [part(1), part(2)]);
  });
  const code = { '11000': '01100', '11010': '01101', '11110': '01111' }[opcode];
  /** One number of two. */
  const one = (c: LiftContext, f: Float, d: Operand, x: Operand, y: Operand): void => {
    if (c.exactFp) exact(c, fn, f, 1, d, [x, y]);
    else c.b.emit(`a64.${fn}.${f}`, d, [x, y]);
  };
  for (const [s, f] of floats)
    ins(`01 1 11110 ${a}${s} 11000 ${code} 10 nnnnn ddddd`, name, (c) =>
      one(c, f, c.v(c.d), c.v(c.n), c.v(c.n) + laneBits[f] / 8),
    );
  if (fn === 'fadd') continue;
  ins(`0 1 1 01110 ${a}0 11000 ${code} 10 nnnnn ddddd`, name.replace(/p$/, 'v'), (c) => {
    const n = c.v(c.n);
    const [low, high] = [c.b.vectorTemp(), c.b.vectorTemp()];
    one(c, 'f32', low, n, n + 4);
    one(c, 'f32', high, n + 8, n + 12);
    one(c, 'f32', c.v(c.d), low, high);
  });
}

// Two registers.
for (const [u, a, opcode, name, op] of [
  [0, 1, '01100', 'fcmgt', 'gt'],
  [0, 1, '01101', 'fcmeq', 'eq'],
  [0, 1, '01110', 'fcmlt', 'lt'],
  [1, 1, '01100', 'fcmge', 'ge'],
  [1, 1, '01101', 'fcmle', 'le'],
] as const)
  rows(u, a, misc(opcode), name, true, (c, f) => {
    const zero = c.b.value('i64x2.splat', [c.x(31)]);
    if (!c.exactFp) return c.b.value(`${shapeOf[f]}.${op}`, [c.v(c.n), zero]);
    if (name === 'fcmlt') return apply(c, 'fcmgt', f, [zero, c.v(c.n)]);
    if (name === 'fcmle') return apply(c, 'fcmge', f, [zero, c.v(c.n)]);
    return apply(c, name, f, [c.v(c.n), zero]);
  });
rows(0, 1, misc('01111'), 'fabs', false, (c, f) => c.b.value(`${shapeOf[f]}.abs`, [c.v(c.n)]));
rows(1, 1, misc('01111'), 'fneg', false, (c, f) => negated(c, f, c.v(c.n)));
for (const [u, a, opcode, name, fn, alsoScalar] of [
  [0, 0, '11000', 'frintn', 'frintn', false],
  [0, 0, '11001', 'frintm', 'frintm', false],
  [0, 1, '11000', 'frintp', 'frintp', false],
  [0, 1, '11001', 'frintz', 'frintz', false],
  [1, 0, '11000', 'frinta', 'frinta', false],
  [1, 0, '11001', 'frintx', 'frintx', false],
  [1, 1, '11001', 'frinti', 'frinti', false],
  [1, 1, '11111', 'fsqrt', 'fsqrt', false],
  [0, 1, '11101', 'frecpe', 'frecpe', true],
  [1, 1, '11101', 'frsqrte', 'frsqrte', true],
] as const)
  rows(u, a, misc(opcode), name, alsoScalar, (c, f) => apply(c, fn, f, [c.v(c.n)]));
for (const [s, f] of floats)
  ins(`01 0 11110 1${s} ${misc('11111')}`, 'frecpx', (c) => scalar(c, f, apply(c, 'frecpx', f, [c.v(c.n)])));

// To and from integers: `power` of two is multiplied in for fixed-point numbers.
const intOf = { f32: 'i32', f64: 'i64' } as const;
const kindOf = (s: 's' | 'u', f: Float): IntegerKind => `${s}${laneBits[f]}`;
function toInteger(c: LiftContext, f: Float, mode: Rounding, s: 's' | 'u', power: number): Operand {
  const { b } = c;
  if (c.exactFp) return apply(c, `fcvt${mode}.${kindOf(s, f)}`, f, [c.v(c.n)], power);
  if (f === 'f32' && power === 0) {
    const rounded = mode === 'z' ? c.v(c.n) : apply(c, `frint${mode}`, f, [c.v(c.n)]);
    return b.value(`i32x4.trunc_sat_f32x4_${s}`, [rounded]);
  }
  const t = b.vectorTemp();
  const bytes = laneBits[f] / 8;
  for (let k = 0; k < 16; k += bytes) {
    const v = b.valueConst(`a64.fcvt${mode}${s}.${intOf[f]}.${f}`, [c.v(c.n) + k], power);
    b.emit(f === 'f32' ? 'mov.l32' : 'mov.i64', t + k, [v]);
  }
  return t;
}
function fromInteger(c: LiftContext, f: Float, s: 's' | 'u', power: number): Operand {
  const { b } = c;
  if (c.exactFp) return apply(c, `cvtf.${kindOf(s, f)}`, f, [c.v(c.n)], -power);
  if (f === 'f32' && power === 0) return b.value(`f32x4.convert_i32x4_${s}`, [c.v(c.n)]);
  const t = b.vectorTemp();
  const bytes = laneBits[f] / 8;
  for (let k = 0; k < 16; k += bytes) {
    const v = b.valueConst(`a64.${s}cvtf.${f}.${intOf[f]}`, [c.v(c.n) + k], power);
    b.emit(f === 'f32' ? 'mov.l32' : 'mov.i64', t + k, [v]);
  }
  return t;
}
for (const [u, s] of [
  [0, 's'],
  [1, 'u'],
] as const) {
  for (const [a, opcode, mode] of [
    [0, '11010', 'n'],
    [0, '11011', 'm'],
    [0, '11100', 'a'],
    [1, '11010', 'p'],
    [1, '11011', 'z'],
  ] as const)
    rows(u, a, misc(opcode), `fcvt${mode}${s}`, true, (c, f) => toInteger(c, f, mode, s, 0));
  rows(u, 0, misc('11101'), `${s}cvtf`, true, (c, f) => fromInteger(c, f, s, 0));
  for (const [form, f] of [
    ['01 iiiii', 'f32'],
    ['1 iiiiii', 'f64'],
  ] as const)
    for (const [opcode, name, value] of [
      ['11100', `${s}cvtf`, (c: LiftContext, n: number) => fromInteger(c, f, s, -n)],
      ['11111', `fcvtz${s}`, (c: LiftContext, n: number) => toInteger(c, f, 'z', s, n)],
    ] as const) {
      const fraction = (c: LiftContext): number => laneBits[f] - c.u('i');
      ins(`0 q ${u} 011110 ${form} ${opcode} 1 nnnnn ddddd`, name, (c) => {
        if (f === 'f64' && !q1(c)) return c.undefined();
        move(c, value(c, fraction(c)));
      });
      ins(`01 ${u} 111110 ${form} ${opcode} 1 nnnnn ddddd`, name, (c) => scalar(c, f, value(c, fraction(c))));
    }
}

// Between precisions: the lower half, or in the second form the upper one.
const half = (c: LiftContext): number => (q1(c) ? 8 : 0);
function putHalf(c: LiftContext, v: Operand): void {
  if (q1(c)) c.b.emit('mov.i64', c.v(c.d) + 8, [v]);
  else c.b.emit('v128.zext64', c.v(c.d), [v]);
}
/** Rows of a conversion of `lanes` numbers to wider or narrower ones; `fast` is what translated code does. */
function between(
  encoding: string,
  name: string,
  operation: FloatOperation,
  lanes: 2 | 4,
  fast: ((c: LiftContext, from: Operand) => Operand) | null,
): void {
  ins(encoding, name, (c) => {
    const wider = name === 'fcvtl';
    const from = c.v(c.n) + (wider ? half(c) : 0);
    const result = fast && !c.exactFp ? fast(c, from) : apply(c, operation, 'f64', [from], 0, lanes);
    if (wider) c.b.emit('mov.v128', c.v(c.d), [result]);
    else putHalf(c, result);
  });
}
between(`0 q 0 01110 01 ${misc('10111')}`, 'fcvtl', 'fcvt.f64.f32', 2, (c, from) => {
  const t = c.b.vectorTemp();
  for (const k of [0, 1]) c.b.emit('mov.i64', t + k * 8, [c.b.value('a64.fcvt.f64.f32', [from + k * 4])]);
  return t;
});
between(`0 q 0 01110 00 ${misc('10111')}`, 'fcvtl', 'fcvt.f32.f16', 4, (c, from) => {
  const t = c.b.vectorTemp();
  for (let k = 0; k < 4; k++) {
    const double = c.b.value('a64.half_widen', [from + k * 2]);
    c.b.emit('mov.l32', t + k * 4, [c.b.value('a64.fcvt.f32.f64', [double])]);
  }
  return t;
});
between(`0 q 0 01110 01 ${misc('10110')}`, 'fcvtn', 'fcvt.f32.f64', 2, (c, from) => {
  const t = c.b.vectorTemp();
  for (const k of [0, 1]) c.b.emit('mov.l32', t + k * 4, [c.b.value('a64.fcvt.f32.f64', [from + k * 8])]);
  return t;
});
between(`0 q 0 01110 00 ${misc('10110')}`, 'fcvtn', 'fcvt.f16.f32', 4, (c, from) => {
  const t = c.b.vectorTemp();
  for (let k = 0; k < 4; k++) {
    const double = c.b.value('a64.fcvt.f64.f32', [from + k * 4]);
    c.b.emit('mov.i16', t + k * 2, [c.b.value('a64.half_round', [double])]);
  }
  return t;
});
between(`0 q 1 01110 01 ${misc('10110')}`, 'fcvtxn', 'fcvtx.f32.f64', 2, null);
ins(`01 1 11110 01 ${misc('10110')}`, 'fcvtxn', (c) =>
  c.b.emit('v128.zext32', c.v(c.d), [apply(c, 'fcvtx.f32.f64', 'f64', [c.v(c.n)])]),
);

// By element.
for (const [form, f] of [
  ['0 L', 'f32'],
  ['1 0', 'f64'],
] as const) {
  const element = (c: LiftContext): Operand => {
    const m = c.v((c.u('M') << 4) | c.u('m'));
    const index = f === 'f32' ? (c.u('H') << 1) | c.u('L') : c.u('H');
    return c.b.value(`${intShape[f]}.splat`, [m + index * (laneBits[f] / 8)]);
  };
  const row = (u: number, opcode: string, name: string, value: (c: LiftContext) => Operand): void => {
    ins(`0 q ${u} 01111 1 ${form} M mmmm ${opcode} H 0 nnnnn ddddd`, name, (c) => {
      if (f === 'f64' && !q1(c)) return c.undefined();
      move(c, value(c));
    });
    ins(`01 ${u} 11111 1 ${form} M mmmm ${opcode} H 0 nnnnn ddddd`, name, (c) => scalar(c, f, value(c)));
  };
  row(0, '1001', 'fmul', (c) => apply(c, 'fmul', f, [c.v(c.n), element(c)]));
  row(1, '1001', 'fmulx', (c) => apply(c, 'fmulx', f, [c.v(c.n), element(c)]));
  row(0, '0001', 'fmla', (c) => apply(c, 'fma', f, [c.v(c.d), c.v(c.n), element(c)]));
  row(0, '0101', 'fmls', (c) => apply(c, 'fma', f, [c.v(c.d), negated(c, f, c.v(c.n)), element(c)]));
}
