/** IR ops of Advanced SIMD floating point. */
import type { Expr, ExprBuilder } from '../ir/expr.ts';
import { type OpTable, pure } from '../ir/op.ts';

/** Functions of `a64.flanes`, in src/helpers/a64-vector-float.ts. */
export const floatFunctions = {
  fadd: 0,
  fsub: 1,
  fmul: 2,
  fdiv: 3,
  fmax: 4,
  fmin: 5,
  fmaxnm: 6,
  fminnm: 7,
  fmulx: 8,
  frecps: 9,
  frsqrts: 10,
  frecpe: 11,
  frsqrte: 12,
  frecpx: 13,
  fabd: 14,
  fsqrt: 15,
  frintn: 16,
  frintp: 17,
  frintm: 18,
  frintz: 19,
  frinta: 20,
} as const;
export type FloatFunction = keyof typeof floatFunctions;

export function defineA64SimdFloatOps(t: OpTable): void {
  for (const [f, shape] of [
    ['f32', 'f32x4'],
    ['f64', 'f64x2'],
  ] as const) {
    const slow = (m: ExprBuilder, a: Expr, b: Expr, fn: FloatFunction): Expr =>
      m.helper(`a64_lanes_${f}`, [a, b, m.constI32(floatFunctions[fn])], 'v128');
    /** Wasm's result unless it has a NaN in it. */
    const checked = (m: ExprBuilder, result: Expr, otherwise: () => Expr): Expr =>
      m.bind('v128', result, (r) => m.if(m.v128.any_true(m[shape].ne(r(), r())), otherwise(), r()));
    for (const [fn, op] of [
      ['fadd', 'add'],
      ['fsub', 'sub'],
      ['fmul', 'mul'],
      ['fdiv', 'div'],
      ['fmax', 'max'],
      ['fmin', 'min'],
      ['fmaxnm', 'max'],
      ['fminnm', 'min'],
    ] as const)
      pure(t, `a64.v${fn}.${f}`, 'v128 v128 -> v128', 'lane by lane', (m, a, b) =>
        m.bind('v128', a, (x) =>
          m.bind('v128', b, (y) => checked(m, m[shape][op](x(), y()), () => slow(m, x(), y(), fn))),
        ),
      );
    for (const [fn, op] of [
      ['fsqrt', 'sqrt'],
      ['frintn', 'nearest'],
      ['frintp', 'ceil'],
      ['frintm', 'floor'],
      ['frintz', 'trunc'],
    ] as const)
      pure(t, `a64.v${fn}.${f}`, 'v128 -> v128', 'lane by lane', (m, a) =>
        m.bind('v128', a, (x) => checked(m, m[shape][op](x()), () => slow(m, x(), x(), fn))),
      );
    pure(t, `a64.flanes.${f}`, 'v128 v128 i32 -> v128', 'a function on pairs of lanes: see floatFunctions', (m, a, b, fn) =>
      m.helper(`a64_lanes_${f}`, [a, b, fn], 'v128'),
    );
    pure(t, `a64.vfma.${f}`, 'v128 v128 v128 -> v128', 'input 0 + input 1 * input 2, rounded once', (m, c, a, b) =>
      m.helper(`a64_vfma_${f}`, [c, a, b], 'v128'),
    );
  }
  pure(t, 'a64.fcvtxn', 'i64 -> i32', 'double to single, rounded to odd', (m, a) =>
    m.helper('a64_round_odd', [a], 'i32'),
  );
}
