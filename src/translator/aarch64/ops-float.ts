/** IR ops of scalar floating point. Results are vectors with zeros above the number. */
import type { Expr, ExprBuilder } from '../ir/expr.ts';
import { type OpTable, pure, state } from '../ir/op.ts';
import { type Float, type Rounding, roundings } from './ops-softfloat.ts';
import { CC_A, CC_B, CC_OP, CC_RES } from './state.ts';

const floats: Float[] = ['f32', 'f64'];
const integers = ['i32', 'i64'] as const;
const bitsType = (f: Float): 'i32' | 'i64' => (f === 'f32' ? 'i32' : 'i64');

const bitsOf = (m: ExprBuilder, f: Float, e: Expr): Expr => m[bitsType(f)].reinterpret(e);
/** A number from its bits. */
const fromBits = (m: ExprBuilder, f: Float, e: Expr): Expr => m[f].reinterpret(e);
const constant = (m: ExprBuilder, f: Float, value: number): Expr =>
  f === 'f32' ? m.f32.const(value) : m.f64.const(value);

/** `result`, or what `helper` says of the operands' bits when it is a NaN, whose bits Wasm leaves open. */
function orNan(m: ExprBuilder, f: Float, result: Expr, helper: string, args: () => Expr[]): Expr {
  return m.bind(f, result, (r) =>
    m.if(m[f].ne(r(), r()), fromBits(m, f, m.helper(`${helper}_${f}`, args(), bitsType(f))), r()),
  );
}

/** To an integral number in a rounding mode. */
function round(m: ExprBuilder, f: Float, mode: Rounding, value: Expr): Expr {
  switch (mode) {
    case 'n':
      return m[f].nearest(value);
    case 'p':
      return m[f].ceil(value);
    case 'm':
      return m[f].floor(value);
    case 'z':
      return m[f].trunc(value);
    case 'a':
      // The distance to the truncated value is exact.
      return m.bind(f, value, (x) =>
        m.bind(f, m[f].trunc(x()), (t) =>
          m.select(
            m[f].ge(m[f].abs(m[f].sub(x(), t())), constant(m, f, 0.5)),
            m[f].add(t(), m[f].copysign(constant(m, f, 1), x())),
            t(),
          ),
        ),
      );
  }
}

export function defineA64FloatOps(t: OpTable): void {
  for (const f of floats) {
    const z = f === 'f32' ? 'z32' : 'z64';
    const two = `${f} ${f} -> ${z}`;
    for (const [name, op] of [
      ['fadd', 'add'],
      ['fsub', 'sub'],
      ['fmul', 'mul'],
      ['fdiv', 'div'],
      ['fmax', 'max'],
      ['fmin', 'min'],
    ] as const)
      pure(t, `a64.${name}.${f}`, two, 'NaNs as the Arm manual has them', (m, a, b) =>
        m.bind(f, a, (x) =>
          m.bind(f, b, (y) => orNan(m, f, m[f][op](x(), y()), 'a64_nan', () => [bitsOf(m, f, x()), bitsOf(m, f, y())])),
        ),
      );
    for (const [name, op] of [
      ['fmaxnm', 'max'],
      ['fminnm', 'min'],
    ] as const)
      pure(t, `a64.${name}.${f}`, two, 'a number goes before a quiet NaN', (m, a, b) =>
        m.bind(f, a, (x) =>
          m.bind(f, b, (y) =>
            orNan(m, f, m[f][op](x(), y()), 'a64_number', () => [bitsOf(m, f, x()), bitsOf(m, f, y())]),
          ),
        ),
      );
    pure(t, `a64.fsqrt.${f}`, `${f} -> ${z}`, 'square root', (m, a) =>
      m.bind(f, a, (x) =>
        orNan(m, f, m[f].sqrt(x()), 'a64_nan', () => [bitsOf(m, f, x()), bitsOf(m, f, constant(m, f, 0))]),
      ),
    );
    for (const mode of roundings) {
      pure(t, `a64.frint${mode}.${f}`, `${f} -> ${z}`, 'rounded to an integral number', (m, a) =>
        m.bind(f, a, (x) =>
          orNan(m, f, round(m, f, mode, x()), 'a64_nan', () => [bitsOf(m, f, x()), bitsOf(m, f, constant(m, f, 0))]),
        ),
      );
      for (const to of integers)
        for (const s of ['s', 'u'] as const)
          pure(
            t,
            `a64.fcvt${mode}${s}.${to}.${f}`,
            `${f} i32 -> ${to}`,
            'times 2 to the power of input 1, rounded to an integer, saturating, NaN to 0',
            (m, a, power) => m[to][`trunc_${s}_sat`][f](round(m, f, mode, scaled(m, f, a, power))),
          );
    }
    for (const from of integers)
      for (const s of ['s', 'u'] as const)
        pure(
          t,
          `a64.${s}cvtf.${f}.${from}`,
          `${from} i32 -> ${z}`,
          'integer to float, times 2 to the power of input 1',
          (m, a, power) => scaled(m, f, m[f][`convert_${s}`][from](a), power),
        );
    for (const name of ['abs', 'neg'])
      pure(t, `a64.f${name}.${f}`, `${f} -> ${z}`, 'the sign alone, of NaNs as well', (m, a) => m[f][name](a));
    pure(t, `a64.fcsel.${f}`, `i32 ${f} ${f} -> ${z}`, 'input 1 if input 0 is not zero, else input 2', (m, c, x, y) =>
      m.select(c, x, y),
    );
    const shape = f === 'f32' ? 'f32x4' : 'f64x2';
    pure(t, `a64.fma.${f}`, `${f} ${f} ${f} -> ${z}`, 'input 0 + input 1 * input 2, rounded once', (m, c, x, y) =>
      m.bind(f, c, (addend) =>
        m.bind(f, x, (a) =>
          m.bind(f, y, (b) => {
            const bits = (e: Expr): Expr => bitsOf(m, f, e);
            const exact = (): Expr =>
              fromBits(m, f, m.helper(`a64_fma_${f}`, [bits(addend()), bits(a()), bits(b())], bitsType(f)));
            if (!m.relaxedMadd) return exact();
            const wide = (e: Expr): Expr => m[shape].splat(e);
            const sum = m.relaxedMadd(shape, wide(a()), wide(b()), wide(addend()));
            return m.bind(f, m[shape].extract_lane(sum, 0), (r) => m.if(m[f].ne(r(), r()), exact(), r()));
          }),
        ),
      ),
    );
    const nzcv = (m: ExprBuilder, x: () => Expr, y: () => Expr): Expr => {
      const word = (n: number): Expr => m.constI32((n << 28) | 0);
      return m.select(
        m[f].lt(x(), y()),
        word(8),
        m.select(m[f].eq(x(), y()), word(6), m.select(m[f].gt(x(), y()), word(2), word(3))),
      );
    };
    pure(t, `a64.fcmp.${f}`, `${f} ${f} -> i32`, 'NZCV of a comparison', (m, a, c) =>
      m.bind(f, a, (x) => m.bind(f, c, (y) => nzcv(m, x, y))),
    );
    state(
      t,
      `a64.flags.fcmp.${f}`,
      `${f} ${f} ->`,
      { writes: [CC_OP, CC_A, CC_B, CC_RES] },
      'flags of a comparison',
      (m, a, c) =>
        m.bind(f, a, (x) =>
          m.bind(f, c, (y) =>
            m.seq([m.set(CC_OP, 'i64', m.constI64(0n)), m.set(CC_RES, 'i64', m.i64.extend_u(nzcv(m, x, y)))]),
          ),
        ),
    );
  }
  pure(t, 'a64.fcvt.f64.f32', 'f32 -> z64', 'single to double', (m, a) =>
    m.bind('f32', a, (x) =>
      m.if(
        m.f32.ne(x(), x()),
        fromBits(m, 'f64', m.helper('a64_nan_widen', [m.i32.reinterpret(x())], 'i64')),
        m.f64.promote(x()),
      ),
    ),
  );
  pure(t, 'a64.fcvt.f32.f64', 'f64 -> z32', 'double to single', (m, a) =>
    m.bind('f64', a, (x) =>
      m.if(
        m.f64.ne(x(), x()),
        fromBits(m, 'f32', m.helper('a64_nan_demote', [m.i64.reinterpret(x())], 'i32')),
        m.f32.demote(x()),
      ),
    ),
  );
  pure(t, 'a64.half_widen', 'i16 -> i64', 'half precision to the bits of a double', (m, a) =>
    m.helper('a64_half_widen', [a], 'i64'),
  );
  pure(t, 'a64.half_round', 'i64 -> i32', 'the bits of a double to half precision', (m, a) =>
    m.helper('a64_half_round', [a], 'i32'),
  );
}

/** Times a power of two, which loses nothing here; power 0 is folded away by whoever compiles it. */
function scaled(m: ExprBuilder, f: Float, value: Expr, power: Expr): Expr {
  const factor =
    f === 'f32'
      ? m.f32.reinterpret(m.i32.shl(m.i32.add(power, m.constI32(127)), m.constI32(23)))
      : m.f64.reinterpret(m.i64.shl(m.i64.extend_u(m.i32.add(power, m.constI32(1023))), m.constI64(52n)));
  return m[f].mul(value, factor);
}
