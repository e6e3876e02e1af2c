/** Scalar floating point (Arm ARM, C4.1.97), translated and exact. */
import type { Operand } from '../ir/block.ts';
import { CONST } from '../ir/layout.ts';
import type { LiftContext } from './lift.ts';
import { exact, type Float, type FloatOperation, type Rounding } from './ops-softfloat.ts';
import { ins } from './row.ts';

const types = [
  ['00', 'f32'],
  ['01', 'f64'],
] as const;
const bitsType = (f: Float): 'i32' | 'i64' => (f === 'f32' ? 'i32' : 'i64');
const flip = (c: LiftContext, f: Float, slot: Operand): Operand => c.b.value(`${f}.neg`, [slot]);

/** An operation whose result is a vector with zeros above the number. */
function scalar(c: LiftContext, f: Float, operation: FloatOperation, fast: string, inputs: Operand[]): void {
  if (c.exactFp) exact(c, operation, f, 1, c.v(c.d), inputs);
  else c.b.emit(fast, c.v(c.d), inputs);
}

for (const [type, f] of types) {
  const ftype = `00011110 ${type} 1`;
  const bits = bitsType(f);

  // Two sources.
  for (const [opcode, name] of [
    ['0000', 'fmul'],
    ['0001', 'fdiv'],
    ['0010', 'fadd'],
    ['0011', 'fsub'],
    ['0100', 'fmax'],
    ['0101', 'fmin'],
    ['0110', 'fmaxnm'],
    ['0111', 'fminnm'],
  ] as const)
    ins(`${ftype} mmmmm ${opcode} 10 nnnnn ddddd`, name, (c) =>
      scalar(c, f, name, `a64.${name}.${f}`, [c.v(c.n), c.v(c.m)]),
    );
  ins(`${ftype} mmmmm 1000 10 nnnnn ddddd`, 'fnmul', (c) => {
    if (c.exactFp) return exact(c, 'fnmul', f, 1, c.v(c.d), [c.v(c.n), c.v(c.m)]);
    const product = c.b.value(`a64.fmul.${f}`, [c.v(c.n), c.v(c.m)]);
    c.b.emit(`a64.fneg.${f}`, c.v(c.d), [product]);
  });

  // One source.
  ins(`${ftype} 000001 10000 nnnnn ddddd`, 'fabs', (c) => c.b.emit(`a64.fabs.${f}`, c.v(c.d), [c.v(c.n)]));
  ins(`${ftype} 000010 10000 nnnnn ddddd`, 'fneg', (c) => c.b.emit(`a64.fneg.${f}`, c.v(c.d), [c.v(c.n)]));
  ins(`${ftype} 000011 10000 nnnnn ddddd`, 'fsqrt', (c) => scalar(c, f, 'fsqrt', `a64.fsqrt.${f}`, [c.v(c.n)]));
  for (const [opcode, suffix, mode] of [
    ['000', 'n', 'n'],
    ['001', 'p', 'p'],
    ['010', 'm', 'm'],
    ['011', 'z', 'z'],
    ['100', 'a', 'a'],
    ['110', 'x', 'n'],
    ['111', 'i', 'n'],
  ] as const)
    ins(`${ftype} 001${opcode} 10000 nnnnn ddddd`, `frint${suffix}`, (c) =>
      scalar(c, f, `frint${suffix}`, `a64.frint${mode}.${f}`, [c.v(c.n)]),
    );

  // Comparisons; the signalling ones differ in FPSR alone.
  for (const [e, name] of [
    ['0', 'fcmp'],
    ['1', 'fcmpe'],
  ] as const) {
    const word = (c: LiftContext, a: Operand, b: Operand): Operand => {
      if (!c.exactFp) return c.b.value(`a64.fcmp.${f}`, [a, b]);
      const t = c.b.temp();
      exact(c, name, f, 0, t, [a, b]);
      return t;
    };
    const compare = (c: LiftContext, a: Operand, b: Operand): void => {
      if (c.exactFp) c.setNzcv(word(c, a, b), 0, 'fcmp');
      else c.compareFloats(f, a, b);
    };
    ins(`${ftype} mmmmm 00 1000 nnnnn ${e} 0 000`, name, (c) => compare(c, c.v(c.n), c.v(c.m)));
    ins(`${ftype} ----- 00 1000 nnnnn ${e} 1 000`, name, (c) => compare(c, c.v(c.n), c.x(31)));
    ins(`${ftype} mmmmm cccc 01 nnnnn ${e} ffff`, name.replace('cmp', 'ccmp'), (c) => {
      const nzcv = c.u('f');
      const holds = c.conditionValue(c.u('c'));
      // What is not compared raises no exception: zeros instead.
      const operand = (n: number): Operand =>
        c.exactFp ? c.b.value(`select.${bits}`, [holds, c.v(n), c.x(31)]) : c.v(n);
      const compared = word(c, operand(c.n), operand(c.m));
      // Any NZCV without both N and V keeps to the rules of comparisons.
      const chosen = c.b.valueConst('select.i32', [holds, compared], (nzcv << 28) | 0);
      c.setNzcv(chosen, 0, (nzcv & 9) === 9 ? 'nzcv' : 'fcmp');
    });
  }
  ins(`${ftype} mmmmm cccc 11 nnnnn ddddd`, 'fcsel', (c) =>
    c.b.emit(`a64.fcsel.${f}`, c.v(c.d), [c.conditionValue(c.u('c')), c.v(c.n), c.v(c.m)]),
  );

  // Three sources: addend, factors; signs are flipped before.
  for (const [o1, o0, name, flipProduct, flipAddend] of [
    [0, 0, 'fmadd', false, false],
    [0, 1, 'fmsub', true, false],
    [1, 0, 'fnmadd', true, true],
    [1, 1, 'fnmsub', false, true],
  ] as const)
    ins(`00011111 ${type} ${o1} mmmmm ${o0} aaaaa nnnnn ddddd`, name, (c) => {
      const addend = flipAddend ? flip(c, f, c.v(c.a)) : c.v(c.a);
      const n = flipProduct ? flip(c, f, c.v(c.n)) : c.v(c.n);
      scalar(c, f, 'fma', `a64.fma.${f}`, [addend, n, c.v(c.m)]);
    });

  // To and from integers and fixed-point numbers.
  for (const [sf, to] of [
    [0, 'i32'],
    [1, 'i64'],
  ] as const) {
    const modes: [bits: string, mode: Rounding][] = [
      ['00', 'n'],
      ['01', 'p'],
      ['10', 'm'],
      ['11', 'z'],
    ];
    for (const [u, s] of [
      [0, 's'],
      [1, 'u'],
    ] as const) {
      const kind = `${s}${sf ? 64 : 32}` as const;
      const toInteger = (c: LiftContext, mode: Rounding, fraction: number): void => {
        if (c.exactFp) exact(c, `fcvt${mode}.${kind}`, f, 0, c.to(c.d), [c.v(c.n)], fraction);
        else c.b.emit(`a64.fcvt${mode}${s}.${to}.${f}`, c.to(c.d), [c.v(c.n), CONST], fraction);
      };
      const fromInteger = (c: LiftContext, fraction: number): void => {
        if (c.exactFp) exact(c, `cvtf.${kind}`, f, 1, c.v(c.d), [c.x(c.n)], fraction);
        else c.b.emit(`a64.${s}cvtf.${f}.${to}`, c.v(c.d), [c.x(c.n), CONST], -fraction);
      };
      const convert = (rmode: string, opcode: string, mode: Rounding): void =>
        ins(`${sf} 00 11110 ${type} 1 ${rmode} ${opcode} 000000 nnnnn ddddd`, `fcvt${mode}${s}`, (c) =>
          toInteger(c, mode, 0),
        );
      for (const [rmode, mode] of modes) convert(rmode, `00${u}`, mode);
      convert('00', `10${u}`, 'a');
      ins(`${sf} 00 11110 ${type} 1 00 01${u} 000000 nnnnn ddddd`, `${s}cvtf`, (c) => fromInteger(c, 0));
      const fraction = (c: LiftContext): number | null => {
        const scale = c.u('s');
        return sf === 0 && scale < 32 ? null : 64 - scale;
      };
      ins(`${sf} 00 11110 ${type} 0 11 00${u} ssssss nnnnn ddddd`, `fcvtz${s}`, (c) => {
        const bitsBelow = fraction(c);
        if (bitsBelow === null) return c.undefined();
        toInteger(c, 'z', bitsBelow);
      });
      ins(`${sf} 00 11110 ${type} 0 00 01${u} ssssss nnnnn ddddd`, `${s}cvtf`, (c) => {
        const bitsBelow = fraction(c);
        if (bitsBelow === null) return c.undefined();
        fromInteger(c, bitsBelow);
      });
    }
  }
}

// Between precisions; half by way of double, which holds all of either.
const convert = (from: string, to: string, operation: FloatOperation, fast: (c: LiftContext) => void): void =>
  ins(`00011110 ${from} 1 0001${to} 10000 nnnnn ddddd`, 'fcvt', (c) => {
    if (c.exactFp) exact(c, operation, 'f64', 1, c.v(c.d), [c.v(c.n)]);
    else fast(c);
  });
const toHalf = (c: LiftContext, double: Operand): void =>
  c.b.emit('v128.zext32', c.v(c.d), [c.b.value('a64.half_round', [double])]);
const widened = (c: LiftContext): Operand => c.b.value('a64.half_widen', [c.v(c.n)]);
convert('00', '01', 'fcvt.f64.f32', (c) => c.b.emit('a64.fcvt.f64.f32', c.v(c.d), [c.v(c.n)]));
convert('01', '00', 'fcvt.f32.f64', (c) => c.b.emit('a64.fcvt.f32.f64', c.v(c.d), [c.v(c.n)]));
convert('00', '11', 'fcvt.f16.f32', (c) => toHalf(c, c.b.value('a64.fcvt.f64.f32', [c.v(c.n)])));
convert('01', '11', 'fcvt.f16.f64', (c) => toHalf(c, c.v(c.n)));
convert('11', '01', 'fcvt.f64.f16', (c) => c.b.emit('v128.zext64', c.v(c.d), [widened(c)]));
convert('11', '00', 'fcvt.f32.f16', (c) => c.b.emit('a64.fcvt.f32.f64', c.v(c.d), [widened(c)]));
