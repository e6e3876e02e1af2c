/** IR ops of Advanced SIMD integer instructions beyond the plain ones: halving, multiplying, widening, saturating. */
import type { Expr, ExprBuilder } from '../ir/expr.ts';
import { type OpTable, pure, state } from '../ir/op.ts';
import { shapes } from './ops-simd-basic.ts';
import { FPSR } from './state.ts';

const two = 'v128 v128 -> v128';

/** Sets FPSR.QC if `condition` (an i32) is not zero. */
const setQc = (m: ExprBuilder, word: Expr): Expr => m.set(FPSR, 'l32', m.i32.or(m.get(FPSR, 'l32'), word));
/** An op whose helper says by `a64_saturated` whether it saturated. */
function saturating(
  t: OpTable,
  name: string,
  signature: string,
  doc: string,
  sem: (m: ExprBuilder, ...a: Expr[]) => Expr,
): void {
  state(t, name, signature, { reads: [FPSR], writes: [FPSR] }, `${doc}; FPSR.QC`, (m, ...inputs) =>
    m.bind('v128', sem(m, ...inputs), (r) => m.block('v128', [setQc(m, m.helper('a64_saturated', [], 'i32')), r()])),
  );
}

/** Numbers of the operations of `a64_lanes` and `a64_lane` (src/helpers/a64-simd.ts). */
const lanesOperations = ['shl', 'rshl', 'qshl', 'qrshl', 'qadd', 'qsub', 'uqadd'] as const;
const laneOperations = ['cls', 'clz', 'qabs', 'qneg', 'urecpe', 'ursqrte'] as const;

export function defineA64SimdIntegerOps(t: OpTable): void {
  for (const [size, shape] of shapes.entries()) {
    const bits = 8 << size;
    const s = (m: ExprBuilder) => m[shape];
    const one = (m: ExprBuilder): Expr => m.constI32(1);
    const both = (m: ExprBuilder, a: Expr, b: Expr, body: (x: () => Expr, y: () => Expr) => Expr): Expr =>
      m.bind('v128', a, (x) => m.bind('v128', b, (y) => body(x, y)));
    for (const sign of ['s', 'u'] as const) {
      if (size < 3) {
        // Sums and differences of 8, 16 or 32 bits, halved without their carry.
        const half = (m: ExprBuilder, x: Expr, y: Expr): Expr => s(m)[`shr_${sign}`](m.v128.xor(x, y), one(m));
        pure(t, `a64.${sign}hadd.${bits}`, two, 'half of the sum', (m, a, b) =>
          both(m, a, b, (x, y) => s(m).add(m.v128.and(x(), y()), half(m, x(), y()))),
        );
        pure(t, `a64.${sign}rhadd.${bits}`, two, 'half of the sum, rounded up', (m, a, b) =>
          both(m, a, b, (x, y) => s(m).sub(m.v128.or(x(), y()), half(m, x(), y()))),
        );
        pure(t, `a64.${sign}hsub.${bits}`, two, 'half of the difference', (m, a, b) =>
          both(m, a, b, (x, y) => s(m).sub(half(m, x(), y()), m.v128.andnot(y(), x()))),
        );
        pure(t, `a64.${sign}abd.${bits}`, two, 'absolute difference', (m, a, b) =>
          both(m, a, b, (x, y) => s(m).sub(s(m)[`max_${sign}`](x(), y()), s(m)[`min_${sign}`](x(), y()))),
        );
        const wide = shapes[size + 1]!;
        pure(t, `a64.${sign}addlp.${bits}`, 'v128 -> v128', 'sums of neighbours, twice as wide', (m, a) =>
          size < 2
            ? m[wide][`extadd_pairwise_${shape}_${sign}`](a)
            : m.bind('v128', a, (x) => {
                const n = (): Expr => m.constI32(32);
                return m.i64x2.add(
                  m.i64x2[`shr_${sign}`](x(), n()),
                  m.i64x2[`shr_${sign}`](m.i64x2.shl(x(), n()), n()),
                );
              }),
        );
      }
      // Shifted right by 1 .. bits, rounded.
      pure(
        t,
        `a64.${sign}rshr.${bits}`,
        'v128 i32 -> v128',
        'shifted right and rounded, by 1 to the width',
        (m, a, n) =>
          m.bind('v128', s(m)[`shr_${sign}`](a, m.i32.sub(n, one(m))), (x) => {
            const ones = size === 3 ? m.i64x2.splat(m.constI64(1n)) : s(m).splat(one(m));
            return s(m).add(s(m)[`shr_${sign}`](x(), one(m)), m.v128.and(x(), ones));
          }),
      );
    }

    lanesOperations.forEach((name, n) => {
      for (const [unsigned, sign] of ['s', 'u'].entries()) {
        const call = (m: ExprBuilder, a: Expr, b: Expr): Expr =>
          m.helper('a64_lanes', [m.constI32(n * 2 + unsigned), m.constI32(size), a, b], 'v128');
        const full = `a64.${sign}${name}.${bits}`;
        if (n === 0)
          pure(t, full, two, 'shifted left or right by signed bytes', (m, a, b) =>
            m.helper(`a64_${sign}shl_${bits}`, [a, b], 'v128'),
          );
        else if (n === 1) pure(t, full, two, 'shifted left or right by signed bytes, rounded', call);
        else if (size < 2 && (name === 'qadd' || name === 'qsub')) {
          const op = name === 'qadd' ? 'add' : 'sub';
          state(t, full, two, { reads: [FPSR], writes: [FPSR] }, 'saturating; FPSR.QC', (m, a, b) =>
            both(m, a, b, (x, y) =>
              m.bind('v128', s(m)[`${op}_saturate_${sign}`](x(), y()), (r) => {
                const differs = m.v128.any_true(m.v128.xor(r(), s(m)[op](x(), y())));
                return m.block('v128', [setQc(m, m.i32.shl(differs, m.constI32(27))), r()]);
              }),
            ),
          );
        } else saturating(t, full, two, 'saturating', call);
      }
    });
    laneOperations.forEach((name, n) => {
      if ((n < 2 && size === 3) || (n >= 4 && size !== 2)) return;
      const call = (m: ExprBuilder, a: Expr): Expr =>
        m.helper('a64_lane', [m.constI32(n), m.constI32(size), a], 'v128');
      if (n < 2 || n >= 4) pure(t, `a64.${name}.${bits}`, 'v128 -> v128', 'lane by lane', call);
      else saturating(t, `a64.${name}.${bits}`, 'v128 -> v128', 'saturating', call);
    });
    for (const [kind, name] of ['sqshl', 'uqshl', 'sqshlu'].entries())
      saturating(t, `a64.${name}.imm.${bits}`, 'v128 i32 -> v128', 'shifted left', (m, a, n) =>
        m.helper('a64_qshl', [m.constI32(kind), m.constI32(size), a, n], 'v128'),
      );
    // Narrowing, to the low half: Wasm has it for the two narrow ones.
    if (size < 3)
      for (const [kind, name] of ['sqxtn', 'uqxtn', 'sqxtun'].entries()) {
        const doc = 'lanes to half their width, in the low half';
        if (size === 2) {
          saturating(t, `a64.${name}.${bits}`, 'v128 -> v128', doc, (m, a) =>
            m.helper('a64_qxtn', [m.constI32(kind), a], 'v128'),
          );
          continue;
        }
        const wide = shapes[size + 1]!;
        state(t, `a64.${name}.${bits}`, 'v128 -> v128', { reads: [FPSR], writes: [FPSR] }, `${doc}; FPSR.QC`, (m, a) =>
          m.bind('v128', a, (x) => {
            // The narrowing instructions take signed numbers: unsigned ones are cut to what fits before.
            const most = (): Expr => m[wide].splat(m.constI32(size === 0 ? 0xff : 0xffff));
            const fitting = kind === 1 ? m[wide].min_u(x(), most()) : x();
            const zeros = m.i64x2.splat(m.constI64(0n));
            return m.bind('v128', s(m)[`narrow_${wide}_${kind === 0 ? 's' : 'u'}`](fitting, zeros), (r) => {
              const back = m[wide][`extend_low_${shape}_${kind === 0 ? 's' : 'u'}`](r());
              const differs = m.v128.any_true(m.v128.xor(back, x()));
              return m.block('v128', [setQc(m, m.i32.shl(differs, m.constI32(27))), r()]);
            });
          }),
        );
      }
    if (size === 1 || size === 2) {
      const wide = shapes[size + 1]!;
      const constant = (m: ExprBuilder, n: bigint): Expr =>
        size === 1 ? m.i32x4.splat(m.constI32(Number(n))) : m.i64x2.splat(m.constI64(n));
      for (const name of ['sqdmulh', 'sqrdmulh'])
        state(
          t,
          `a64.${name}.${bits}`,
          two,
          { reads: [FPSR], writes: [FPSR] },
          'high half of twice the product; FPSR.QC',
          (m, a, b) =>
            both(m, a, b, (x, y) => {
              // Only the least number squared saturates: its product comes out as the least number again, all of it wrong.
              const least = (): Expr => s(m).splat(m.constI32(size === 1 ? -0x8000 : -0x8000_0000));
              const top = (half: 'low' | 'high'): Expr => {
                const p = m[wide][`extmul_${half}_${shape}_s`](x(), y());
                const rounded = name === 'sqdmulh' ? p : m[wide].add(p, constant(m, 1n << BigInt(bits - 2)));
                return m[wide].shl(rounded, one(m));
              };
              const bytes = bits / 8;
              const upper = Array.from(
                { length: 16 },
                (_, k) => Math.floor(k / bytes) * bytes * 2 + bytes + (k % bytes),
              );
              const wrong = m.v128.and(s(m).eq(x(), least()), s(m).eq(y(), least()));
              return m.bind('v128', wrong, (w) =>
                m.block('v128', [
                  setQc(m, m.i32.shl(m.v128.any_true(w()), m.constI32(27))),
                  m.v128.xor(m.shuffle(top('low'), top('high'), upper), w()),
                ]),
              );
            }),
        );
      for (const [kind, name] of ['sqrdmlah', 'sqrdmlsh'].entries())
        saturating(
          t,
          `a64.${name}.${bits}`,
          'v128 v128 v128 -> v128',
          'high half of twice the product, rounded, and input 2',
          (m, a, b, c) => m.helper('a64_qrdmla', [m.constI32(kind), m.constI32(size), a, b, c], 'v128'),
        );
      for (const [kind, name] of ['sqdmull', 'sqdmlal', 'sqdmlsl'].entries())
        saturating(
          t,
          `a64.${name}.${bits}`,
          'v128 v128 v128 -> v128',
          'twice the products of the low halves; input 2 is the accumulator',
          (m, a, b, c) => m.helper('a64_qdmull', [m.constI32(kind), m.constI32(size), a, b, c], 'v128'),
        );
    }
  }

  // Wasm has no product of bytes.
  const even = Array.from({ length: 16 }, (_, k) => k * 2);
  pure(t, 'i8x16.mul', two, 'low halves of products', (m, a, b) =>
    m.bind('v128', a, (x) =>
      m.bind('v128', b, (y) =>
        m.shuffle(m.i16x8.extmul_low_i8x16_u(x(), y()), m.i16x8.extmul_high_i8x16_u(x(), y()), even),
      ),
    ),
  );
  pure(t, 'a64.rbit.v', 'v128 -> v128', 'bits of each byte in reverse order', (m, a) =>
    m.bind('v128', a, (x) => {
      const table = (): Expr =>
        m.i64x2.replace_lane(m.i64x2.splat(m.constI64(0x0e060a020c040800n)), 1, m.constI64(0x0f070b030d050901n));
      const low = m.v128.and(x(), m.i8x16.splat(m.constI32(15)));
      const high = m.i8x16.shr_u(x(), m.constI32(4));
      return m.v128.or(m.i8x16.shl(m.i8x16.swizzle(table(), low), m.constI32(4)), m.i8x16.swizzle(table(), high));
    }),
  );
  pure(t, 'a64.pmul.8', two, 'polynomial products, low halves', (m, a, b) => m.helper('a64_pmul', [a, b], 'v128'));
  pure(t, 'a64.pmull.8', two, 'polynomial products of the low 8 bytes', (m, a, b) =>
    m.helper('a64_pmull_8', [a, b], 'v128'),
  );
  pure(t, 'a64.pmull.64', 'i64 i64 -> v128', 'polynomial product of 64-bit numbers', (m, a, b) =>
    m.helper('a64_pmull_64', [a, b], 'v128'),
  );
  for (const sign of ['s', 'u'] as const)
    pure(t, `a64.${sign}dot`, 'v128 v128 v128 -> v128', 'input 0 plus sums of four products of bytes', (m, c, a, b) =>
      m.bind('v128', a, (x) =>
        m.bind('v128', b, (y) => {
          const low = m.i16x8[`extmul_low_i8x16_${sign}`](x(), y());
          const high = m.i16x8[`extmul_high_i8x16_${sign}`](x(), y());
          const l = m.i32x4[`extadd_pairwise_i16x8_${sign}`](low);
          const h = m.i32x4[`extadd_pairwise_i16x8_${sign}`](high);
          return m.bind('v128', l, (p) =>
            m.bind('v128', h, (q) =>
              m.i32x4.add(
                c,
                m.i32x4.add(
                  m.shuffle(p(), q(), [0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19, 24, 25, 26, 27]),
                  m.shuffle(p(), q(), [4, 5, 6, 7, 12, 13, 14, 15, 20, 21, 22, 23, 28, 29, 30, 31]),
                ),
              ),
            ),
          );
        }),
      ),
    );
}
