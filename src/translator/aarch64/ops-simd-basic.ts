/** IR ops of the plain Advanced SIMD integer instructions that generic ops do not cover. */
import type { Expr, ExprBuilder } from '../ir/expr.ts';
import { type OpTable, pure } from '../ir/op.ts';
import { defineShuffle } from '../ir/ops/vector.ts';

export const shapes = ['i8x16', 'i16x8', 'i32x4', 'i64x2'] as const;

export function defineA64SimdBasicOps(t: OpTable): void {
  for (const [size, bits] of [8, 16, 32, 64].entries()) {
    const bytes = bits / 8;
    const lanes = (element: (k: number) => number): number[] =>
      Array.from({ length: 16 }, (_, n) => element(Math.floor(n / bytes)) * bytes + (n % bytes));
    const count = 16 / bytes;
    for (const half of [0, 1])
      defineShuffle(
        t,
        `a64.trn${half + 1}.${bits}`,
        lanes((k) => (k & 1) * count + (k & ~1) + half),
        `${half ? 'odd' : 'even'} elements of both, in pairs`,
      );
    // Reversals within containers of 16, 32 and 64 bits.
    for (const container of [16, 32, 64])
      if (container > bits) {
        const per = container / bits;
        defineShuffle(
          t,
          `a64.rev${container}.${bits}`,
          lanes((k) => k - (k % per) + (per - 1 - (k % per))),
          `elements in reverse order in each ${container} bits of the first`,
        );
      }
    const shape = shapes[size]!;
    const s = (m: ExprBuilder) => m[shape];
    pure(t, `a64.cmtst.${bits}`, 'v128 v128 -> v128', 'ones where both have a bit in common', (m, a, b) =>
      s(m).ne(m.v128.and(a, b), m.i64x2.splat(m.constI64(0n))),
    );
    if (size === 3) {
      // Wasm has no unsigned comparison of 64-bit lanes.
      const flip = (m: ExprBuilder, e: Expr): Expr => m.v128.xor(e, m.i64x2.splat(m.constI64(-(1n << 63n))));
      for (const name of ['gt', 'ge'] as const)
        pure(t, `a64.${name}_u.64`, 'v128 v128 -> v128', 'unsigned comparison', (m, a, b) =>
          m.i64x2[`${name}_s`](flip(m, a), flip(m, b)),
        );
    }
  }
  // Extraction at a byte offset, one op an offset: shuffles take their lanes as constants.
  for (let k = 1; k < 16; k++)
    defineShuffle(
      t,
      `a64.ext.${k}`,
      Array.from({ length: 16 }, (_, n) => n + k),
      `bytes ${k} on of both, one after the other`,
    );

  // Across lanes, of n lanes from the lowest; the others are not looked at.
  for (const [size, bits] of [8, 16, 32].entries())
    for (const q of [0, 1]) {
      const count = (q ? 128 : 64) / bits;
      const lane = (m: ExprBuilder, v: Expr, k: number, signed: boolean): Expr => {
        if (size === 2) return m.i32x4.extract_lane(v, k);
        const shape = m[shapes[size]!];
        return signed ? shape.extract_lane_s(v, k) : shape.extract_lane_u(v, k);
      };
      const across =
        (signed: boolean, combine: (m: ExprBuilder, a: Expr, b: Expr) => Expr) =>
        (m: ExprBuilder, v: Expr): Expr =>
          m.bind('v128', v, (get) => {
            let all = lane(m, get(), 0, signed);
            for (let k = 1; k < count; k++) all = combine(m, all, lane(m, get(), k, signed));
            return all;
          });
      const add = (m: ExprBuilder, a: Expr, b: Expr): Expr => m.i32.add(a, b);
      const suffix = `${bits}.${q}`;
      if (size < 2) {
        pure(t, `a64.addlv_u.${suffix}`, 'v128 -> i32', 'sum of the lanes, unsigned', across(false, add));
        pure(t, `a64.addlv_s.${suffix}`, 'v128 -> i32', 'sum of the lanes, signed', across(true, add));
      } else
        for (const signed of [false, true])
          pure(t, `a64.addlv_${signed ? 's' : 'u'}.${suffix}`, 'v128 -> i64', 'sum of the lanes, 64 bits', (m, v) =>
            m.bind('v128', v, (get) => {
              const wide = (k: number): Expr =>
                signed
                  ? m.i64.extend_s(m.i32x4.extract_lane(get(), k))
                  : m.i64.extend_u(m.i32x4.extract_lane(get(), k));
              let all = wide(0);
              for (let k = 1; k < count; k++) all = m.i64.add(all, wide(k));
              return all;
            }),
          );
      if (size < 2 || q) pure(t, `a64.addv.${suffix}`, 'v128 -> i32', 'sum of the lanes', across(false, add));
      for (const [name, signed, compare] of [
        ['smaxv', true, 'gt_s'],
        ['sminv', true, 'lt_s'],
        ['umaxv', false, 'gt_u'],
        ['uminv', false, 'lt_u'],
      ] as const)
        if (size < 2 || q)
          pure(
            t,
            `a64.${name}.${suffix}`,
            'v128 -> i32',
            'greatest or least of the lanes',
            across(signed, (m, a, b) =>
              m.bind('i32', a, (x) => m.bind('i32', b, (y) => m.select(m.i32[compare](x(), y()), x(), y()))),
            ),
          );
    }
}
