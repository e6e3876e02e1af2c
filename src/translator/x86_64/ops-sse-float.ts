/**
 * Guest ops for SSE floating point in the default mode: round to nearest, all exceptions masked, sticky flags not kept.
 * They differ from WebAssembly's own in the bits of NaN results, in MIN and MAX, and in conversions out of range.
 */
import type { Expr, ExprBuilder, WasmType } from '../ir/expr.ts';
import { type OpTable, pure, state } from '../ir/op.ts';
import { ccWord } from './ops-flags.ts';
import { CC_A, CC_B, CC_OP, CC_RES } from './state.ts';

type Scalar = 'f32' | 'f64';
type Packed = 'f32x4' | 'f64x2';
const scalars: Scalar[] = ['f32', 'f64'];
const packed: Packed[] = ['f32x4', 'f64x2'];
export const packedOf: Record<Scalar, Packed> = { f32: 'f32x4', f64: 'f64x2' };

const bound = (m: ExprBuilder, type: WasmType, a: Expr, b: Expr, body: (x: () => Expr, y: () => Expr) => Expr): Expr =>
  m.bind(type, a, (x) => m.bind(type, b, (y) => body(x, y)));

/** `value` unless it is a NaN, else `otherwise`. */
const unlessNan = (m: ExprBuilder, f: Scalar, value: Expr, otherwise: () => Expr): Expr =>
  m.x86Nans ? value : m.bind(f, value, (r) => m.if(m[f].eq(r(), r()), r(), otherwise()));
/** `value` unless a lane is NaN; `otherwise` gets it and puts it right. */
const unlessNans = (m: ExprBuilder, p: Packed, value: Expr, otherwise: (r: Expr) => Expr): Expr =>
  m.x86Nans ? value : m.bind('v128', value, (r) => m.if(m.v128.any_true(m[p].ne(r(), r())), otherwise(r()), r()));

/** The eight predicates of CMPPS, of which the last four negate the first. */
export const predicates = ['eq', 'lt', 'le', 'unord', 'neq', 'nlt', 'nle', 'ord'] as const;

function compareLane(m: ExprBuilder, f: Scalar, predicate: number, a: Expr, b: Expr): Expr {
  const name = predicates[predicate & 3]!;
  if (name !== 'unord') {
    const r = m[f][name](a, b);
    return predicate & 4 ? m.i32.eqz(r) : r;
  }
  return bound(m, f, a, b, (x, y) =>
    predicate & 4 ? m.i32.and(m[f].eq(x(), x()), m[f].eq(y(), y())) : m.i32.or(m[f].ne(x(), x()), m[f].ne(y(), y())),
  );
}
function comparePacked(m: ExprBuilder, p: Packed, predicate: number, a: Expr, b: Expr): Expr {
  const name = predicates[predicate & 3]!;
  if (name !== 'unord') {
    const r = m[p][name](a, b);
    return predicate & 4 ? m.v128.not(r) : r;
  }
  return bound(m, 'v128', a, b, (x, y) =>
    predicate & 4 ? m.v128.and(m[p].eq(x(), x()), m[p].eq(y(), y())) : m.v128.or(m[p].ne(x(), x()), m[p].ne(y(), y())),
  );
}

function defineArithmetic(t: OpTable): void {
  for (const f of scalars) {
    for (const name of ['add', 'sub', 'mul', 'div'] as const)
      pure(t, `x86.${f}.${name}`, `${f} ${f} -> ${f}`, `${name} with x86's NaN`, (m, a, b) =>
        bound(m, f, a, b, (x, y) =>
          unlessNan(m, f, m[f][name](x(), y()), () => m.helper(`x86_nan_${f}`, [x(), y()], f)),
        ),
      );
    // The second operand where either is NaN or both are zero.
    pure(t, `x86.${f}.min`, `${f} ${f} -> ${f}`, 'input 0 if it is less, else input 1', (m, a, b) =>
      bound(m, f, a, b, (x, y) => m.select(m[f].lt(x(), y()), x(), y())),
    );
    pure(t, `x86.${f}.max`, `${f} ${f} -> ${f}`, 'input 0 if it is greater, else input 1', (m, a, b) =>
      bound(m, f, a, b, (x, y) => m.select(m[f].gt(x(), y()), x(), y())),
    );
    for (const name of ['sqrt', 'nearest', 'floor', 'ceil', 'trunc'] as const)
      pure(t, `x86.${f}.${name}`, `${f} -> ${f}`, `${name} with x86's NaN`, (m, a) =>
        m.bind(f, a, (x) => unlessNan(m, f, m[f][name](x()), () => m.helper(`x86_nan_${f}`, [x(), x()], f))),
      );
  }
  for (const p of packed) {
    const fix = (m: ExprBuilder, x: Expr, y: Expr, r: Expr): Expr => m.helper(`x86_nan_${p}`, [x, y, r], 'v128');
    for (const name of ['add', 'sub', 'mul', 'div'] as const)
      pure(t, `x86.${p}.${name}`, 'v128 v128 -> v128', `${name} with x86's NaN`, (m, a, b) =>
        bound(m, 'v128', a, b, (x, y) => unlessNans(m, p, m[p][name](x(), y()), (r) => fix(m, x(), y(), r))),
      );
    pure(t, `x86.${p}.addsub`, 'v128 v128 -> v128', 'difference in even lanes, sum in odd ones', (m, a, b) =>
      bound(m, 'v128', a, b, (x, y) => {
        const half = p === 'f32x4' ? 4 : 8;
        const lanes = Array.from({ length: 16 }, (_, k) => (Math.floor(k / half) & 1 ? 16 + k : k));
        return unlessNans(m, p, m.shuffle(m[p].sub(x(), y()), m[p].add(x(), y()), lanes), (r) => fix(m, x(), y(), r));
      }),
    );
    pure(t, `x86.${p}.min`, 'v128 v128 -> v128', 'lanes of input 0 where less, else of input 1', (m, a, b) =>
      bound(m, 'v128', a, b, (x, y) => m[p].pmin(y(), x())),
    );
    pure(t, `x86.${p}.max`, 'v128 v128 -> v128', 'lanes of input 0 where greater, else of input 1', (m, a, b) =>
      bound(m, 'v128', a, b, (x, y) => m[p].pmax(y(), x())),
    );
    for (const name of ['sqrt', 'nearest', 'floor', 'ceil', 'trunc'] as const)
      pure(t, `x86.${p}.${name}`, 'v128 -> v128', `${name} with x86's NaN`, (m, a) =>
        m.bind('v128', a, (x) => unlessNans(m, p, m[p][name](x()), (r) => fix(m, x(), x(), r))),
      );
  }
  for (const name of ['rcp', 'rsqrt'] as const)
    pure(t, `x86.f32.${name}`, 'f32 -> f32', `${name.toUpperCase()}SS: 12-bit approximation`, (m, a) =>
      m.helper(`x86_${name}`, [a], 'f32'),
    );
}

function defineComparisons(t: OpTable): void {
  predicates.forEach((name, k) => {
    pure(t, `x86.f32.cmp.${name}`, 'f32 f32 -> l32', 'all ones if the predicate holds, else zero', (m, a, b) =>
      m.i32.sub(m.constI32(0), compareLane(m, 'f32', k, a, b)),
    );
    pure(t, `x86.f64.cmp.${name}`, 'f64 f64 -> i64', 'all ones if the predicate holds, else zero', (m, a, b) =>
      m.i64.sub(m.constI64(0n), m.i64.extend_u(compareLane(m, 'f64', k, a, b))),
    );
    for (const p of packed)
      pure(t, `x86.${p}.cmp.${name}`, 'v128 v128 -> v128', 'all ones in lanes where the predicate holds', (m, a, b) =>
        comparePacked(m, p, k, a, b),
      );
  });
  // Lazy, too: the operands as doubles, which hold every single exactly. CF: less or unordered; ZF: equal or unordered; PF:
  // unordered.
  const asDouble = (m: ExprBuilder, f: Scalar, e: Expr): Expr => m.i64.reinterpret(f === 'f32' ? m.f64.promote(e) : e);
  for (const f of scalars)
    for (const name of ['comis', 'ucomis'])
      state(
        t,
        `x86.${f}.${name}`,
        `${f} ${f} ->`,
        { writes: [CC_OP, CC_A, CC_B, CC_RES] },
        'sets ZF, PF and CF, clears the other flags',
        (m, a, b) =>
          m.seq([
            m.set(CC_A, 'i64', asDouble(m, f, a)),
            m.set(CC_B, 'i64', asDouble(m, f, b)),
            m.set(CC_OP, 'i64', m.constI64(BigInt(ccWord('fcmp', 'i64')))),
          ]),
      );
  const read = (m: ExprBuilder): [Expr, Expr] => [m.get(CC_A, 'f64'), m.get(CC_B, 'f64')];
  const reads = [CC_A, CC_B];
  state(t, 'x86.fcmp.ge', '-> i32', { reads }, 'CF is clear after a comparison of floats', (m) => m.f64.ge(...read(m)));
  state(t, 'x86.fcmp.gt', '-> i32', { reads }, 'CF and ZF are clear', (m) => m.f64.gt(...read(m)));
  state(t, 'x86.fcmp.differ', '-> i32', { reads }, 'ZF is clear', (m) =>
    m.i32.or(m.f64.lt(...read(m)), m.f64.gt(...read(m))),
  );
  state(t, 'x86.fcmp.ordered', '-> i32', { reads }, 'PF is clear', (m) => {
    const [a, b] = read(m);
    const [c, d] = read(m);
    return m.i32.and(m.f64.eq(a, c), m.f64.eq(b, d));
  });
}

function defineConversions(t: OpTable): void {
  const power = { i32: 2 ** 31, i64: 2 ** 63 } as const;
  const indefinite = (m: ExprBuilder, i: 'i32' | 'i64'): Expr =>
    i === 'i32' ? m.constI32(-0x8000_0000) : m.constI64(-0x8000_0000_0000_0000n);
  // Saturation gives the integer indefinite below the range; above it and for NaN it must be put in.
  for (const f of scalars)
    for (const i of ['i32', 'i64'] as const)
      for (const mode of ['trunc', 'nearest'] as const)
        pure(
          t,
          `x86.${i}.${mode}.${f}`,
          `${f} -> ${i}`,
          `to a signed integer, ${mode === 'trunc' ? 'toward zero' : 'nearest even'}; out of range: the integer indefinite`,
          (m, a) =>
            m.bind(f, mode === 'trunc' ? a : m[f].nearest(a), (x) =>
              m.select(m[f].lt(x(), m[f].const(power[i])), m[i].trunc_s_sat[f](x()), indefinite(m, i)),
            ),
        );
  for (const mode of ['trunc', 'nearest'] as const) {
    const rounded = (m: ExprBuilder, p: Packed, a: Expr): Expr => (mode === 'trunc' ? a : m[p].nearest(a));
    const minimum = (m: ExprBuilder): Expr => m.i32x4.splat(m.constI32(-0x8000_0000));
    pure(t, `x86.i32x4.${mode}.f32x4`, 'v128 -> v128', 'as the scalar op, by lane', (m, a) =>
      m.bind('v128', rounded(m, 'f32x4', a), (x) =>
        m.v128.bitselect(
          m.i32x4.trunc_sat_f32x4_s(x()),
          minimum(m),
          m.f32x4.lt(x(), m.f32x4.splat(m.f32.const(power.i32))),
        ),
      ),
    );
    pure(t, `x86.i32x4.${mode}.f64x2`, 'v128 -> v128', 'as the scalar op, by lane; the high lanes are zero', (m, a) =>
      m.bind('v128', rounded(m, 'f64x2', a), (x) =>
        m.bind('v128', m.f64x2.lt(x(), m.f64x2.splat(m.f64.const(power.i32))), (fits) => {
          const low = [0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19, 16, 17, 18, 19];
          const other = m.v128.andnot(m.i64x2.splat(m.constI64(0x8000_0000n)), fits());
          const zero = m.i64x2.splat(m.constI64(0n));
          return m.v128.or(
            m.v128.and(m.i32x4.trunc_sat_f64x2_s_zero(x()), m.shuffle(fits(), fits(), low)),
            m.shuffle(other, zero, low),
          );
        }),
      ),
    );
  }
  pure(t, 'x86.f32.demote', 'f64 -> f32', "CVTSD2SS with x86's NaN", (m, a) =>
    m.bind('f64', a, (x) => m.if(m.f64.eq(x(), x()), m.f32.demote(x()), m.helper('x86_nan_demote', [x()], 'f32'))),
  );
  pure(t, 'x86.f64.promote', 'f32 -> f64', "CVTSS2SD with x86's NaN", (m, a) =>
    m.bind('f32', a, (x) => m.if(m.f32.eq(x(), x()), m.f64.promote(x()), m.helper('x86_nan_promote', [x()], 'f64'))),
  );
  pure(t, 'x86.f32x4.demote', 'v128 -> v128', "CVTPD2PS with x86's NaN", (m, a) =>
    m.bind('v128', a, (x) =>
      unlessNans(m, 'f32x4', m.f32x4.demote_f64x2_zero(x()), (r) => m.helper('x86_nan_demote_zero', [x(), r], 'v128')),
    ),
  );
  pure(t, 'x86.f64x2.promote', 'v128 -> v128', "CVTPS2PD with x86's NaN", (m, a) =>
    m.bind('v128', a, (x) =>
      unlessNans(m, 'f64x2', m.f64x2.promote_low_f32x4(x()), (r) => m.helper('x86_nan_promote_low', [x(), r], 'v128')),
    ),
  );
}

export function defineSseFloatOps(t: OpTable): void {
  defineArithmetic(t);
  defineComparisons(t);
  defineConversions(t);
}
