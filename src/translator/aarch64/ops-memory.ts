/** Guest accesses that AArch64 adds to the generic ones: into whole vector registers, ordered and exclusive ones, LSE atomics. */
import type { Expr, ExprBuilder } from '../ir/expr.ts';
import { load, type OpTable, store } from '../ir/op.ts';

type Access = 'i8' | 'i16' | 'i32' | 'i64';
export const accesses: Access[] = ['i8', 'i16', 'i32', 'i64'];
const shape = {
  i8: { bytes: 1, n: 'i32', load: 'load8_u', store: 'store8', signed: 'load8_s', rmw: 'rmw8_u' },
  i16: { bytes: 2, n: 'i32', load: 'load16_u', store: 'store16', signed: 'load16_s', rmw: 'rmw16_u' },
  i32: { bytes: 4, n: 'i32', load: 'load', store: 'store', signed: 'load', rmw: 'rmw' },
  i64: { bytes: 8, n: 'i64', load: 'load', store: 'store', signed: 'load', rmw: 'rmw' },
} as const;

export function defineA64MemoryOps(t: OpTable): void {
  load(t, 'load.v128.z8', 1, 'v128', 'load 1 byte, zero the rest', (m, p) =>
    m.i8x16.replace_lane(m.i64x2.splat(m.constI64(0n)), 0, m.i32.load8_u(0, 1, p)),
  );
  load(t, 'load.v128.z16', 2, 'v128', 'load 2 bytes, zero the rest', (m, p) =>
    m.i16x8.replace_lane(m.i64x2.splat(m.constI64(0n)), 0, m.i32.load16_u(0, 1, p)),
  );

  // Ordered and exclusive accesses must be aligned (Arm ARM, B2.5.2, without FEAT_LSE2).
  for (const w of accesses) {
    const { bytes, n } = shape[w];
    const result = w === 'i64' ? 'i64' : 'i32';
    load(
      t,
      `a64.load_ordered.${w}`,
      bytes,
      result,
      'zero-extending load that must be aligned',
      (m, p) => m[n][shape[w].load](0, bytes, p),
      bytes,
    );
    store(
      t,
      `a64.store_ordered.${w}`,
      bytes,
      w,
      'store that must be aligned',
      (m, p, v) => m[n][shape[w].store](0, bytes, p, v),
      bytes,
    );
  }

  /** An atomic that must be aligned. */
  const atomic = (
    name: string,
    bytes: number,
    signature: string,
    doc: string,
    sem: (m: ExprBuilder, p: Expr, ...inputs: Expr[]) => Expr,
  ): void => {
    const [ins, out] = signature.split(' -> ') as [string, 'i32' | 'i64' | 'v128'];
    t.add({
      name,
      kind: 'rmw',
      inputs: ['i64', ...(ins.split(' ') as ('i32' | 'i64' | 'v128')[])],
      result: out,
      doc,
      sem,
      bytes,
      align: bytes,
      reads: [],
      writes: [],
      opaque: false,
      constable: false,
    });
  };

  // Exclusive stores: 0 when done, 1 when the monitor does not fit. One thread runs all vCPUs, so that a plain sequence is atomic.
  for (const w of accesses) {
    const { bytes, n } = shape[w];
    const expected = (m: ExprBuilder, e: Expr): Expr => (w === 'i64' ? e : m.i32.wrap(e));
    atomic(
      `a64.store_exclusive.${w}`,
      bytes,
      `${w} i64 i64 -> i32`,
      'value, how the monitor differs from what is wanted, expected value: stores if that is 0, and the expected value there; 0 if so, else 1',
      (m, ptr, value, misfit, want) =>
        m.bind('i32', ptr, (p) =>
          m.if(
            m.i32.and(m.i64.eqz(misfit), m[n].eq(m[n][shape[w].load](0, bytes, p()), expected(m, want))),
            m.block('i32', [m[n][shape[w].store](0, bytes, p(), value), m.constI32(0)]),
            m.constI32(1),
          ),
        ),
    );
  }
  atomic(
    'a64.store_exclusive.v128',
    16,
    'v128 i64 v128 -> i32',
    'value, how the monitor differs from what is wanted, expected value: stores if that is 0, and the expected value there; 0 if so, else 1',
    (m, ptr, value, misfit, want) =>
      m.bind('i32', ptr, (p) =>
        m.if(
          m.i32.and(m.i64.eqz(misfit), m.i8x16.all_true(m.i8x16.eq(m.v128.load(0, 16, p()), want))),
          m.block('i32', [m.v128.store(0, 16, p(), value), m.constI32(0)]),
          m.constI32(1),
        ),
      ),
  );

  // LSE: the old value is the result.
  for (const w of accesses) {
    const { bytes, n } = shape[w];
    for (const name of ['add', 'and', 'or', 'xor', 'xchg'] as const)
      atomic(`a64.atomic_${name}.${w}`, bytes, `${w} -> ${n}`, 'aligned atomic; gives the old value', (m, p, v) =>
        m[n].atomic[shape[w].rmw][name](0, p, v),
      );
    atomic(
      `a64.atomic_cas.${w}`,
      bytes,
      `${w} ${w} -> ${n}`,
      'stores input 2 if memory equals input 1; gives the old value',
      (m, p, want, value) => m[n].atomic[shape[w].rmw].cmpxchg(0, p, want, value),
    );
    for (const [name, compare] of [
      ['smax', 'gt_s'],
      ['smin', 'lt_s'],
      ['umax', 'gt_u'],
      ['umin', 'lt_u'],
    ] as const) {
      const signed = name.startsWith('s');
      const operand = signed && w === 'i8' ? 's8' : signed && w === 'i16' ? 's16' : w;
      const mask = w === 'i8' ? 0xff : w === 'i16' ? 0xffff : 0;
      atomic(
        `a64.atomic_${name}.${w}`,
        bytes,
        `${operand} -> ${n}`,
        'aligned maximum or minimum; gives the old value',
        (m, ptr, value) =>
          m.bind('i32', ptr, (p) =>
            m.bind(n, value, (v) =>
              m.bind(n, m[n][signed ? shape[w].signed : shape[w].load](0, bytes, p()), (old) =>
                m.block(n, [
                  m[n][shape[w].store](0, bytes, p(), m.select(m[n][compare](old(), v()), old(), v())),
                  mask && signed ? m.i32.and(old(), m.constI32(mask)) : old(),
                ]),
              ),
            ),
          ),
      );
    }
  }
  atomic(
    'a64.atomic_cas.v128',
    16,
    'v128 v128 -> v128',
    'stores input 2 if memory equals input 1; gives the old value',
    (m, ptr, want, value) =>
      m.bind('i32', ptr, (p) =>
        m.bind('v128', m.v128.load(0, 16, p()), (old) =>
          m.block('v128', [
            m.v128.store(0, 16, p(), m.select(m.i8x16.all_true(m.i8x16.eq(old(), want)), value, old())),
            old(),
          ]),
        ),
      ),
  );
}
