/** IR ops of Advanced SIMD floating point, for FPCR = 0: Wasm's own, and soft float for whatever has a NaN in it. */
import type { Expr, ExprBuilder } from '../ir/expr.ts';
import { type OpTable, pure } from '../ir/op.ts';
import { type FloatOperation, softCode } from './ops-softfloat.ts';

/** Operations that have an op `a64.v<name>.<type>`. */
export const binaryOps = {
  fadd: 'add',
  fsub: 'sub',
  fmul: 'mul',
  fdiv: 'div',
  fmax: 'max',
  fmin: 'min',
  fmaxnm: 'max',
  fminnm: 'min',
} as const;
export const unaryOps = {
  fsqrt: 'sqrt',
  frintn: 'nearest',
  frintp: 'ceil',
  frintm: 'floor',
  frintz: 'trunc',
  frintx: 'nearest',
  frinti: 'nearest',
} as const;

export function defineA64SimdFloatOps(t: OpTable): void {
  for (const [f, shape] of [
    ['f32', 'f32x4'],
    ['f64', 'f64x2'],
  ] as const) {
    const soft = (m: ExprBuilder, name: string, a: Expr, b: Expr, c: Expr): Expr =>
      m.helper('a64_soft', [m.constI32(softCode(name as FloatOperation, f, f === 'f32' ? 4 : 2)), a, b, c], 'v128');
    /** Wasm's result unless it has a NaN in it. */
    const checked = (m: ExprBuilder, result: Expr, otherwise: () => Expr): Expr =>
      m.bind('v128', result, (r) => m.if(m.v128.any_true(m[shape].ne(r(), r())), otherwise(), r()));
    for (const [name, op] of Object.entries(binaryOps))
      pure(t, `a64.v${name}.${f}`, 'v128 v128 -> v128', 'lane by lane', (m, a, b) =>
        m.bind('v128', a, (x) =>
          m.bind('v128', b, (y) => checked(m, m[shape][op](x(), y()), () => soft(m, name, x(), y(), y()))),
        ),
      );
    for (const [name, op] of Object.entries(unaryOps))
      pure(t, `a64.v${name}.${f}`, 'v128 -> v128', 'lane by lane', (m, a) =>
        m.bind('v128', a, (x) => checked(m, m[shape][op](x()), () => soft(m, name, x(), x(), x()))),
      );
    pure(t, `a64.vfma.${f}`, 'v128 v128 v128 -> v128', 'input 0 + input 1 * input 2, rounded once', (m, c, a, b) =>
      m.bind('v128', c, (addend) =>
        m.bind('v128', a, (x) =>
          m.bind('v128', b, (y) => {
            const exact = (): Expr => m.helper(`a64_vfma_${f}`, [addend(), x(), y()], 'v128');
            return m.relaxedMadd ? checked(m, m.relaxedMadd(shape, x(), y(), addend()), exact) : exact();
          }),
        ),
      ),
    );
  }
}
