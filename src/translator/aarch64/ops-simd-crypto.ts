/** IR ops of the AES, SHA-1 and SHA-256 instructions. */
import type { Expr, ExprBuilder } from '../ir/expr.ts';
import { type OpTable, pure } from '../ir/op.ts';

export function defineA64SimdCryptoOps(t: OpTable): void {
  for (const name of ['aese', 'aesd'])
    pure(t, `a64.${name}`, 'v128 v128 -> v128', 'one round without its columns; input 1 is the key', (m, a, b) =>
      m.helper(`a64_${name}`, [a, b], 'v128'),
    );
  for (const name of ['aesmc', 'aesimc'])
    pure(t, `a64.${name}`, 'v128 -> v128', 'columns mixed', (m, a) => m.helper(`a64_${name}`, [a], 'v128'));
  for (const [kind, name] of ['sha1c', 'sha1p', 'sha1m'].entries())
    pure(t, `a64.${name}`, 'v128 i32 v128 -> v128', 'four rounds of SHA-1', (m, a, e, w) =>
      m.helper('a64_sha1', [m.constI32(kind), a, e, w], 'v128'),
    );
  for (const [second, name] of ['sha256h', 'sha256h2'].entries())
    pure(t, `a64.${name}`, 'v128 v128 v128 -> v128', 'four rounds of SHA-256', (m, a, b, w) =>
      m.helper('a64_sha256', [m.constI32(second), a, b, w], 'v128'),
    );

  // Message schedules.
  const rotate = (m: ExprBuilder, v: () => Expr, n: number): Expr =>
    m.v128.or(m.i32x4.shl(v(), m.constI32(32 - n)), m.i32x4.shr_u(v(), m.constI32(n)));
  const zero = (m: ExprBuilder): Expr => m.i64x2.splat(m.constI64(0n));
  pure(t, 'a64.sha1h', 'i32 -> i32', 'rotated left by 30', (m, a) => m.i32.rotl(a, m.constI32(30)));
  pure(t, 'a64.sha1su0', 'v128 v128 v128 -> v128', 'SHA1SU0', (m, d, n, w) =>
    m.bind('v128', d, (x) =>
      m.v128.xor(m.v128.xor(m.shuffle(x(), n, [8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23]), x()), w),
    ),
  );
  pure(t, 'a64.sha1su1', 'v128 v128 -> v128', 'SHA1SU1', (m, d, n) =>
    m.bind(
      'v128',
      m.v128.xor(d, m.shuffle(n, zero(m), [4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19])),
      (x) =>
        m.bind('v128', rotate(m, x, 31), (r) =>
          // The last word takes in the first one, rotated once more.
          m.bind('i32', m.i32x4.extract_lane(r(), 0), (first) =>
            m.i32x4.replace_lane(r(), 3, m.i32.xor(m.i32x4.extract_lane(r(), 3), m.i32.rotl(first(), m.constI32(1)))),
          ),
        ),
    ),
  );
  pure(t, 'a64.sha256su0', 'v128 v128 -> v128', 'SHA256SU0', (m, d, n) =>
    m.bind('v128', d, (x) =>
      m.bind('v128', m.shuffle(x(), n, [4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19]), (v) =>
        m.i32x4.add(x(), m.v128.xor(m.v128.xor(rotate(m, v, 7), rotate(m, v, 18)), m.i32x4.shr_u(v(), m.constI32(3)))),
      ),
    ),
  );
  // sigma1 of the last two words gives the first two, and that of these the last two.
  const sigma = (m: ExprBuilder, v: () => Expr): Expr =>
    m.v128.xor(m.v128.xor(rotate(m, v, 17), rotate(m, v, 19)), m.i32x4.shr_u(v(), m.constI32(10)));
  pure(t, 'a64.sha256su1', 'v128 v128 v128 -> v128', 'SHA256SU1', (m, d, n, w) =>
    m.bind('v128', w, (z) => {
      const middle = m.shuffle(n, z(), [4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19]);
      return m.bind('v128', m.i32x4.add(d, middle), (sum) => {
        const high = m.shuffle(z(), zero(m), [8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23]);
        return m.bind('v128', high, (v) =>
          m.bind(
            'v128',
            m.i32x4.add(
              sum(),
              m.shuffle(sigma(m, v), zero(m), [0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23]),
            ),
            (r) =>
              m.i32x4.add(
                r(),
                m.shuffle(zero(m), sigma(m, r), [0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23]),
              ),
          ),
        );
      });
    }),
  );
}
