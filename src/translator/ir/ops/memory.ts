/** Guest loads, stores and atomics. Input 0 is the 64-bit guest address, `imm` a displacement added to it. */
import type { Expr, ExprBuilder } from '../expr.ts';
import { load, type OpTable, rmw, store } from '../op.ts';

export function defineMemoryOps(t: OpTable): void {
  const u8 = (m: ExprBuilder, p: Expr) => m.i32.load8_u(0, 1, p);
  const u16 = (m: ExprBuilder, p: Expr) => m.i32.load16_u(0, 1, p);
  const s8 = (m: ExprBuilder, p: Expr) => m.i32.load8_s(0, 1, p);
  const s16 = (m: ExprBuilder, p: Expr) => m.i32.load16_s(0, 1, p);
  load(t, 'load.u8', 1, 'i32', 'zero-extending load', u8);
  load(t, 'load.u16', 2, 'i32', 'zero-extending load', u16);
  load(t, 'load.i8', 1, 'i8', 'load into the low byte, the rest stays', u8);
  load(t, 'load.i16', 2, 'i16', 'load into the low 2 bytes, the rest stays', u16);
  load(t, 'load.u8.i16', 1, 'i16', 'zero-extending load into the low 2 bytes', u8);
  load(t, 'load.s8.i16', 1, 'i16', 'sign-extending load into the low 2 bytes', s8);
  load(t, 'load.s8.i32', 1, 'i32', 'sign-extending load', s8);
  load(t, 'load.s16.i32', 2, 'i32', 'sign-extending load', s16);
  load(t, 'load.i32', 4, 'i32', 'load', (m, p) => m.i32.load(0, 1, p));
  load(t, 'load.s8.i64', 1, 'i64', 'sign-extending load', (m, p) => m.i64.load8_s(0, 1, p));
  load(t, 'load.s16.i64', 2, 'i64', 'sign-extending load', (m, p) => m.i64.load16_s(0, 1, p));
  load(t, 'load.s32.i64', 4, 'i64', 'sign-extending load', (m, p) => m.i64.load32_s(0, 1, p));
  load(t, 'load.i64', 8, 'i64', 'load', (m, p) => m.i64.load(0, 1, p));
  load(t, 'load.l32', 4, 'l32', 'load into the low 4 bytes, the rest stays', (m, p) => m.i32.load(0, 1, p));
  load(t, 'load.v128', 16, 'v128', 'load', (m, p) => m.v128.load(0, 1, p));
  load(
    t,
    'load.v128.aligned',
    16,
    'v128',
    'load that faults when not 16-byte aligned',
    (m, p) => m.v128.load(0, 1, p),
    16,
  );
  load(t, 'load.v128.z32', 4, 'v128', 'load 4 bytes, zero the rest', (m, p) => m.v128.load32_zero(0, 1, p));
  load(t, 'load.v128.z64', 8, 'v128', 'load 8 bytes, zero the rest', (m, p) => m.v128.load64_zero(0, 1, p));

  store(t, 'store.i8', 1, 'i8', 'store', (m, p, v) => m.i32.store8(0, 1, p, v));
  store(t, 'store.i16', 2, 'i16', 'store', (m, p, v) => m.i32.store16(0, 1, p, v));
  store(t, 'store.i32', 4, 'i32', 'store', (m, p, v) => m.i32.store(0, 1, p, v));
  store(t, 'store.i64', 8, 'i64', 'store', (m, p, v) => m.i64.store(0, 1, p, v));
  store(t, 'store.v128', 16, 'v128', 'store', (m, p, v) => m.v128.store(0, 1, p, v));
  store(
    t,
    'store.v128.aligned',
    16,
    'v128',
    'store that faults when not 16-byte aligned',
    (m, p, v) => m.v128.store(0, 1, p, v),
    16,
  );

  // Wasm atomics trap when misaligned; the plain sequence is as atomic, since one thread runs all vCPUs.
  const access = {
    i8: { bytes: 1, n: 'i32', suffix: '8_u', store: 'store8', atomic: 'rmw8_u' },
    i16: { bytes: 2, n: 'i32', suffix: '16_u', store: 'store16', atomic: 'rmw16_u' },
    i32: { bytes: 4, n: 'i32', suffix: '', store: 'store', atomic: 'rmw' },
    i64: { bytes: 8, n: 'i64', suffix: '', store: 'store', atomic: 'rmw' },
  } as const;
  for (const w of ['i8', 'i16', 'i32', 'i64'] as const) {
    const { bytes, n, suffix, store: st, atomic } = access[w];
    const result = w === 'i64' ? 'i64' : 'i32';
    const misaligned = (m: ExprBuilder, p: Expr) => m.i32.and(p, m.constI32(bytes - 1));
    const either = (m: ExprBuilder, p: Expr, slow: Expr, fast: Expr) =>
      bytes === 1 ? fast : m.if(misaligned(m, p), slow, fast);
    for (const name of ['add', 'sub', 'and', 'or', 'xor', 'xchg'] as const) {
      rmw(
        t,
        `atomic.${name}.${w}`,
        bytes,
        `${w} -> ${result}`,
        `atomic ${name}; gives the old value`,
        (m, ptr, value) =>
          m.bind('i32', ptr, (p) =>
            m.bind(n, value, (v) =>
              either(
                m,
                p(),
                m.bind(n, m[n][`load${suffix}`](0, 1, p()), (old) =>
                  m.block(n, [m[n][st](0, 1, p(), name === 'xchg' ? v() : m[n][name](old(), v())), old()]),
                ),
                m[n].atomic[atomic][name](0, p(), v()),
              ),
            ),
          ),
      );
    }
    rmw(
      t,
      `atomic.cmpxchg.${w}`,
      bytes,
      `${w} ${w} -> ${result}`,
      'stores input 2 if memory equals input 1; gives the old value',
      (m, ptr, expected, desired) =>
        m.bind('i32', ptr, (p) =>
          m.bind(n, expected, (e) =>
            m.bind(n, desired, (v) =>
              either(
                m,
                p(),
                m.bind(n, m[n][`load${suffix}`](0, 1, p()), (old) =>
                  m.block(n, [m[n][st](0, 1, p(), m.select(m[n].eq(old(), e()), v(), old())), old()]),
                ),
                m[n].atomic[atomic].cmpxchg(0, p(), e(), v()),
              ),
            ),
          ),
        ),
    );
  }
}
