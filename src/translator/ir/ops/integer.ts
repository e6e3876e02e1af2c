/** Integer ops: arithmetic, logic, shifts, comparisons, extensions, selection. */
import type { CompareName, IntWidth } from '../block.ts';
import type { Expr, ExprBuilder, OperandType } from '../expr.ts';
import { type OpTable, pure } from '../op.ts';

const widths: IntWidth[] = ['i8', 'i16', 'i32', 'i64'];
const signed: Record<IntWidth, OperandType> = { i8: 's8', i16: 's16', i32: 'i32', i64: 'i64' };
const ns = (m: ExprBuilder, w: IntWidth) => (w === 'i64' ? m.i64 : m.i32);
const bitsOf: Record<IntWidth, number> = { i8: 8, i16: 16, i32: 32, i64: 64 };

/** Comparisons in Wasm's spelling, by width; shared with block exits. */
export const compareNames: CompareName[] = ['eq', 'ne', 'lt_s', 'lt_u', 'le_s', 'le_u', 'gt_s', 'gt_u', 'ge_s', 'ge_u'];
export const compareOperand = (name: CompareName, w: IntWidth): OperandType => (name.endsWith('_s') ? signed[w] : w);
export const compareExpr = (m: ExprBuilder, name: CompareName, w: IntWidth, a: Expr, b: Expr): Expr =>
  ns(m, w)[name](a, b);

/** High 64 bits of an unsigned 64x64-bit product, from four 32-bit ones (Wasm has no wide multiply). */
function mulHighUnsigned(m: ExprBuilder, a: Expr, b: Expr): Expr {
  const low = (e: Expr) => m.i64.and(e, m.constI64(0xffffffffn));
  const high = (e: Expr) => m.i64.shr_u(e, m.constI64(32n));
  return m.bind('i64', a, (x) =>
    m.bind('i64', b, (y) =>
      m.bind('i64', m.i64.add(m.i64.mul(high(x()), low(y())), high(m.i64.mul(low(x()), low(y())))), (t) =>
        m.i64.add(
          m.i64.add(m.i64.mul(high(x()), high(y())), high(t())),
          high(m.i64.add(m.i64.mul(low(x()), high(y())), low(t()))),
        ),
      ),
    ),
  );
}

function rotateNarrow(m: ExprBuilder, bits: number, left: boolean, a: Expr, n: Expr): Expr {
  return m.bind('i32', a, (x) =>
    m.bind('i32', m.i32.and(n, m.constI32(bits - 1)), (k) => {
      const back = m.i32.and(m.i32.sub(m.constI32(0), k()), m.constI32(bits - 1));
      return left
        ? m.i32.or(m.i32.shl(x(), k()), m.i32.shr_u(x(), back))
        : m.i32.or(m.i32.shr_u(x(), k()), m.i32.shl(x(), back));
    }),
  );
}

function bswap32(m: ExprBuilder, a: Expr): Expr {
  return m.bind('i32', a, (x) =>
    m.i32.or(
      m.i32.and(m.i32.rotl(x(), m.constI32(8)), m.constI32(0x00ff00ff)),
      m.i32.and(m.i32.rotr(x(), m.constI32(8)), m.constI32(0xff00ff00 | 0)),
    ),
  );
}

export function defineIntegerOps(t: OpTable): void {
  for (const w of widths) {
    for (const [name, doc] of [
      ['add', 'sum'],
      ['sub', 'difference'],
      ['mul', 'low half of the product'],
      ['and', 'bitwise and'],
      ['or', 'bitwise or'],
      ['xor', 'bitwise exclusive or'],
    ] as const)
      pure(t, `${name}.${w}`, `${w} ${w} -> ${w}`, doc, (m, a, b) => ns(m, w)[name](a, b));
    const count = w === 'i64' ? 'i64' : 'i32';
    const note = w === 'i8' || w === 'i16' ? ', count 0..31' : ', count modulo the width';
    pure(t, `shl.${w}`, `${w} ${count} -> ${w}`, `shift left${note}`, (m, a, b) => ns(m, w).shl(a, b));
    pure(t, `shr_u.${w}`, `${w} ${count} -> ${w}`, `logical shift right${note}`, (m, a, b) => ns(m, w).shr_u(a, b));
    pure(t, `shr_s.${w}`, `${signed[w]} ${count} -> ${w}`, `arithmetic shift right${note}`, (m, a, b) =>
      ns(m, w).shr_s(a, b),
    );
    for (const left of [true, false]) {
      const name = left ? 'rotl' : 'rotr';
      pure(
        t,
        `${name}.${w}`,
        `${w} ${count} -> ${w}`,
        `rotate ${left ? 'left' : 'right'}, count modulo the width`,
        (m, a, b) => (w === 'i8' || w === 'i16' ? rotateNarrow(m, bitsOf[w], left, a, b) : ns(m, w)[name](a, b)),
      );
    }
    pure(t, `mov.${w}`, `${w} -> ${w}`, 'copy', (_m, a) => a);
    for (const name of compareNames) {
      const operand = compareOperand(name, w);
      pure(t, `${name}.${w}`, `${operand} ${operand} -> i32`, '1 if the comparison holds, else 0', (m, a, b) =>
        compareExpr(m, name, w, a, b),
      );
    }
    pure(
      t,
      `select.${w}`,
      `i32 ${w} ${w} -> ${w}`,
      'second input if the first is non-zero, else the third',
      (m, c, a, b) => m.select(c, a, b),
    );
  }
  pure(t, 'mov.l32', 'i32 -> l32', 'copy into the low 4 bytes, the rest of the slot stays', (_m, a) => a);
  pure(t, 'mov.v128', 'v128 -> v128', 'copy', (_m, a) => a);
  pure(
    t,
    'select.v128',
    'i32 v128 v128 -> v128',
    'second input if the first is non-zero, else the third',
    (m, c, a, b) => m.select(c, a, b),
  );

  pure(t, 'ext.u8.i32', 'i8 -> i32', 'zero-extend', (_m, a) => a);
  pure(t, 'ext.u16.i32', 'i16 -> i32', 'zero-extend', (_m, a) => a);
  pure(t, 'ext.u8.i16', 'i8 -> i16', 'zero-extend', (_m, a) => a);
  pure(t, 'ext.s8.i16', 's8 -> i16', 'sign-extend', (_m, a) => a);
  pure(t, 'ext.s8.i32', 's8 -> i32', 'sign-extend', (_m, a) => a);
  pure(t, 'ext.s16.i32', 's16 -> i32', 'sign-extend', (_m, a) => a);
  pure(t, 'ext.s8.i64', 's8 -> i64', 'sign-extend', (m, a) => m.i64.extend_s(a));
  pure(t, 'ext.s16.i64', 's16 -> i64', 'sign-extend', (m, a) => m.i64.extend_s(a));
  pure(t, 'ext.s32.i64', 'i32 -> i64', 'sign-extend', (m, a) => m.i64.extend_s(a));

  for (const w of ['i32', 'i64'] as const) {
    for (const [name, doc] of [
      ['clz', 'leading zeros'],
      ['ctz', 'trailing zeros'],
      ['popcnt', 'set bits'],
    ] as const)
      pure(t, `${name}.${w}`, `${w} -> ${w}`, doc, (m, a) => ns(m, w)[name](a));
    for (const name of ['div_s', 'div_u', 'rem_s', 'rem_u'])
      pure(t, `${name}.${w}`, `${w} ${w} -> ${w}`, 'Wasm division; the lifter has excluded what traps', (m, a, b) =>
        ns(m, w)[name](a, b),
      );
  }
  pure(t, 'mulh_u.i64', 'i64 i64 -> i64', 'high half of the unsigned product', mulHighUnsigned);
  pure(t, 'mulh_s.i64', 'i64 i64 -> i64', 'high half of the signed product', (m, a, b) =>
    m.bind('i64', a, (x) =>
      m.bind('i64', b, (y) =>
        m.i64.sub(
          m.i64.sub(mulHighUnsigned(m, x(), y()), m.i64.and(m.i64.shr_s(x(), m.constI64(63n)), y())),
          m.i64.and(m.i64.shr_s(y(), m.constI64(63n)), x()),
        ),
      ),
    ),
  );
  pure(t, 'bswap.i16', 'i16 -> i16', 'reverse bytes', (m, a) => m.i32.shr_u(bswap32(m, a), m.constI32(16)));
  pure(t, 'bswap.i32', 'i32 -> i32', 'reverse bytes', bswap32);
  pure(t, 'bswap.i64', 'i64 -> i64', 'reverse bytes', (m, a) =>
    m.bind('i64', a, (x) =>
      m.i64.or(
        m.i64.shl(m.i64.extend_u(bswap32(m, m.i32.wrap(x()))), m.constI64(32n)),
        m.i64.extend_u(bswap32(m, m.i32.wrap(m.i64.shr_u(x(), m.constI64(32n))))),
      ),
    ),
  );
  for (const [shift, scale] of [
    [0, 1],
    [1, 2],
    [2, 4],
    [3, 8],
  ] as const)
    pure(t, `lea.${scale}`, 'i64 i64 i64 -> i64', `base + index * ${scale} + displacement`, (m, base, index, disp) =>
      m.i64.add(m.i64.add(base, shift === 0 ? index : m.i64.shl(index, m.constI64(BigInt(shift)))), disp),
    );
}
