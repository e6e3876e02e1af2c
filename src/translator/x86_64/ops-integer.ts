/** IR ops of x86 integer instructions that generic ops do not cover: flags of shifts and rotates, division checks, CRC32. */
import type { IntWidth } from '../ir/block.ts';
import type { Expr, ExprBuilder, OperandType } from '../ir/expr.ts';
import { exitReason, SLOT_EXIT_ARG, type TrapNumber, trap } from '../ir/layout.ts';
import { type OpTable, pure, state } from '../ir/op.ts';
import { ccWord, currentFlags } from './ops-flags.ts';
import { CC_A, CC_B, CC_OP, CC_RES, CF, OF, ZF } from './state.ts';

const widths: IntWidth[] = ['i8', 'i16', 'i32', 'i64'];
const bitsOf: Record<IntWidth, number> = { i8: 8, i16: 16, i32: 32, i64: 64 };
const signed: Record<IntWidth, OperandType> = { i8: 's8', i16: 's16', i32: 'i32', i64: 'i64' };
const flagSlots = [CC_OP, CC_A, CC_B, CC_RES];

const ns = (m: ExprBuilder, w: IntWidth) => (w === 'i64' ? m.i64 : m.i32);
const typeOf = (w: IntWidth): 'i32' | 'i64' => (w === 'i64' ? 'i64' : 'i32');
const num = (m: ExprBuilder, w: IntWidth, n: number): Expr => (w === 'i64' ? m.constI64(BigInt(n)) : m.constI32(n));
/** An i32 expression as an integer of the width's Wasm type. */
const widen = (m: ExprBuilder, w: IntWidth, e: Expr): Expr => (w === 'i64' ? m.i64.extend_u(e) : e);
/** An expression of the width's Wasm type as i64, zero-extended; narrow values above their width are cut. */
const wide = (m: ExprBuilder, w: IntWidth, e: Expr): Expr => {
  if (w === 'i64') return e;
  if (w === 'i32') return m.i64.extend_u(e);
  return m.i64.extend_u(m.i32.and(e, m.constI32(w === 'i8' ? 0xff : 0xffff)));
};
/** Bit 0 of a width-typed expression, as i64 (0 or 1). */
const bit0 = (m: ExprBuilder, w: IntWidth, e: Expr): Expr =>
  m.i64.and(w === 'i64' ? e : m.i64.extend_u(e), m.constI64(1n));

/** Records result, CF and OF (i64, 0 or 1) in the lazy form `res`. */
const setRes = (m: ExprBuilder, w: IntWidth, result: Expr, cf: Expr, of: Expr): Expr =>
  m.seq([
    m.set(CC_OP, 'i64', m.constI64(BigInt(ccWord('res', w)))),
    m.set(CC_RES, 'i64', result),
    m.set(CC_A, 'i64', cf),
    m.set(CC_B, 'i64', of),
  ]);

/** A full flags word: those of `mask` from `bits` (i32), the others as they were. */
const flagsWord = (m: ExprBuilder, mask: number, bits: Expr): Expr =>
  m.i32.or(m.i32.and(m.helper('x86_eflags', currentFlags(m), 'i32'), m.constI32(0x8d5 & ~mask)), bits);
/** Records that. */
const patchFlags = (m: ExprBuilder, mask: number, bits: Expr): Expr =>
  m.seq([m.set(CC_RES, 'i64', m.i64.extend_u(flagsWord(m, mask, bits))), m.set(CC_OP, 'i64', m.constI64(0n))]);

/** Flags of SHL, SHR, SAR (SDM: "SAL/SAR/SHL/SHR") for a count of 1 or more, already masked to 5 or 6 bits. */
function shiftFlags(m: ExprBuilder, name: 'shl' | 'shr' | 'sar', w: IntWidth, a: () => Expr, count: () => Expr): Expr {
  const n = () => widen(m, w, count());
  const x = ns(m, w);
  const bits = bitsOf[w];
  const type = typeOf(w);
  const narrow = bits < 32;
  if (name === 'shl') {
    if (narrow) {
      // In 32 bits nothing that matters is lost: CF is the bit just above the operand.
      return m.bind('i32', m.i32.shl(a(), count()), (r) =>
        setRes(
          m,
          w,
          wide(m, w, r()),
          bit0(m, w, m.i32.shr_u(r(), m.constI32(bits))),
          bit0(m, w, m.i32.shr_u(m.i32.xor(r(), m.i32.shl(r(), m.constI32(1))), m.constI32(bits))),
        ),
      );
    }
    return m.bind(type, x.shl(a(), n()), (r) =>
      m.bind(type, x.shr_u(a(), x.sub(num(m, w, bits), n())), (out) =>
        setRes(m, w, wide(m, w, r()), bit0(m, w, out()), bit0(m, w, x.xor(x.shr_u(r(), num(m, w, bits - 1)), out()))),
      ),
    );
  }
  const shift = name === 'shr' ? 'shr_u' : 'shr_s';
  return m.bind(type, x[shift](a(), n()), (r) =>
    setRes(
      m,
      w,
      wide(m, w, r()),
      bit0(m, w, x[shift](a(), x.sub(n(), num(m, w, 1)))),
      // SHR by 1 overflows when the sign bit was set, which then is the second bit from the top.
      name === 'shr' ? bit0(m, w, x.shr_u(r(), num(m, w, bits - 2))) : m.constI64(0n),
    ),
  );
}

/** CF and OF of a rotated result in rflags layout (i32): `rol` takes CF from bit 0, `ror` from the top bit. */
function rotateBits(m: ExprBuilder, name: 'rol' | 'ror', w: IntWidth, r: () => Expr): Expr {
  const x = ns(m, w);
  const bits = bitsOf[w];
  const at = (k: number): Expr => {
    const e = k === 0 ? r() : x.shr_u(r(), num(m, w, k));
    return m.i32.and(w === 'i64' ? m.i32.wrap(e) : e, m.constI32(1));
  };
  const carry = () => at(name === 'rol' ? 0 : bits - 1);
  const other = at(name === 'rol' ? bits - 1 : bits - 2);
  return m.i32.or(carry(), m.i32.shl(m.i32.xor(carry(), other), m.constI32(11)));
}

/**
 * A check that ends the instruction with a synchronous exception when `refuse` (i32) is non-zero; it touches no slot
 * otherwise. The instruction writes nothing before it.
 */
export function guard(
  t: OpTable,
  name: string,
  signature: string,
  number: TrapNumber,
  doc: string,
  refuse: (m: ExprBuilder, ...inputs: Expr[]) => Expr,
): void {
  const inputs = signature.split(' ').filter(Boolean) as OperandType[];
  t.add({
    name,
    kind: 'helper',
    inputs,
    result: null,
    doc,
    bytes: 0,
    align: 0,
    reads: [],
    writes: [],
    opaque: false,
    constable: true,
    sem: (m, ...args) =>
      m.if(
        refuse(m, ...args),
        m.block('i32', [m.set(SLOT_EXIT_ARG, 'l32', m.constI32(number)), m.constI32(exitReason.trap)]),
        m.constI32(0),
      ),
  });
}

function defineShiftOps(t: OpTable): void {
  for (const w of widths) {
    const type = typeOf(w);
    for (const name of ['shl', 'shr', 'sar'] as const) {
      const operand = name === 'sar' ? signed[w] : w;
      state(
        t,
        `flags.${name}.${w}`,
        `${operand} i32 ->`,
        { writes: flagSlots },
        `flags of ${name} of a by a masked count that is not 0`,
        (m, a, n) => m.bind(type, a, (x) => m.bind('i32', n, (count) => shiftFlags(m, name, w, x, count))),
      );
      state(
        t,
        `flags.${name}_if.${w}`,
        `${operand} i32 ->`,
        { reads: flagSlots, writes: flagSlots },
        `flags of ${name} of a by a masked count; nothing if it is 0`,
        (m, a, n) =>
          m.bind(type, a, (x) => m.bind('i32', n, (count) => m.if(count(), shiftFlags(m, name, w, x, count), m.nop()))),
      );
    }
    for (const name of ['rol', 'ror'] as const) {
      state(
        t,
        `flags.${name}.${w}`,
        `${w} ->`,
        { reads: flagSlots, writes: flagSlots },
        `CF and OF from the result of ${name}`,
        (m, r) => m.bind(type, r, (x) => patchFlags(m, CF | OF, rotateBits(m, name, w, x))),
      );
      state(
        t,
        `flags.${name}_if.${w}`,
        `i32 ${w} ->`,
        { reads: flagSlots, writes: flagSlots },
        `CF and OF from the result of ${name}; nothing if the count (first) is 0`,
        (m, n, r) => m.bind(type, r, (x) => m.if(n, patchFlags(m, CF | OF, rotateBits(m, name, w, x)), m.nop())),
      );
    }
    for (const name of ['rcl', 'rcr'] as const) {
      pure(
        t,
        `x86.${name}.${w}`,
        `${w} i32 i32 -> ${w}`,
        'rotate through carry: value, masked count, CF',
        (m, a, n, cf) => {
          const r = m.helper(`x86_${name}`, [w === 'i64' ? a : m.i64.extend_u(a), n, cf, m.constI32(bitsOf[w])], 'i64');
          return w === 'i64' ? r : m.i32.wrap(r);
        },
      );
      pure(t, `x86.${name}_cf.${w}`, `${w} i32 i32 -> i32`, 'the carry after a rotate through carry', (m, a, n, cf) =>
        m.helper(`x86_${name}_cf`, [w === 'i64' ? a : m.i64.extend_u(a), n, cf, m.constI32(bitsOf[w])], 'i32'),
      );
    }
  }
  // Counts above 16 shift the second operand in twice, as the CPUs tested do (undefined in the manual).
  const triple = (m: ExprBuilder, high: Expr, middle: Expr, low: Expr): Expr =>
    m.i64.or(
      m.i64.or(m.i64.shl(m.i64.extend_u(high), m.constI64(32n)), m.i64.shl(m.i64.extend_u(middle), m.constI64(16n))),
      m.i64.extend_u(low),
    );
  pure(t, 'x86.shld.i16', 'i16 i16 i32 -> i16', 'double shift left by a masked count', (m, a, b, n) =>
    m.bind('i32', b, (y) =>
      m.i32.wrap(m.i64.shr_u(m.i64.shl(triple(m, a, y(), y()), m.i64.extend_u(n)), m.constI64(32n))),
    ),
  );
  pure(t, 'x86.shrd.i16', 'i16 i16 i32 -> i16', 'double shift right by a masked count', (m, a, b, n) =>
    m.bind('i32', b, (y) => m.i32.wrap(m.i64.shr_u(triple(m, y(), y(), a), m.i64.extend_u(n)))),
  );
  const pair = (m: ExprBuilder, high: Expr, low: Expr): Expr =>
    m.i64.or(m.i64.shl(m.i64.extend_u(high), m.constI64(32n)), m.i64.extend_u(low));
  pure(t, 'x86.shld.i32', 'i32 i32 i32 -> i32', 'double shift left by a masked count', (m, a, b, n) =>
    m.i32.wrap(m.i64.shr_u(m.i64.shl(pair(m, a, b), m.i64.extend_u(n)), m.constI64(32n))),
  );
  pure(t, 'x86.shrd.i32', 'i32 i32 i32 -> i32', 'double shift right by a masked count', (m, a, b, n) =>
    m.i32.wrap(m.i64.shr_u(pair(m, b, a), m.i64.extend_u(n))),
  );
  // The other operand moves by 64 - n, which Wasm would take modulo 64: one place first, then 63 - n.
  for (const [name, shift, back] of [
    ['shld', 'shl', 'shr_u'],
    ['shrd', 'shr_u', 'shl'],
  ] as const)
    pure(
      t,
      `x86.${name}.i64`,
      'i64 i64 i64 -> i64',
      `double shift ${name === 'shld' ? 'left' : 'right'} by a masked count`,
      (m, a, b, n) =>
        m.bind('i64', n, (count) =>
          m.i64.or(
            m.i64[shift](a, count()),
            m.i64[back](m.i64[back](b, m.constI64(1n)), m.i64.xor(count(), m.constI64(63n))),
          ),
        ),
    );
}

function definePartialFlagOps(t: OpTable): void {
  const slots = { reads: flagSlots, writes: flagSlots };
  // Two ops for what sets CF alone: only the second is needed where nobody asks for the other flags, and the first is a call.
  state(
    t,
    'flags.word',
    'i32 ->',
    { reads: flagSlots, writes: [CC_RES] },
    'a flags word with this CF (0 or 1)',
    (m, cf) => m.set(CC_RES, 'i64', m.i64.extend_u(flagsWord(m, CF, cf))),
  );
  state(t, 'flags.cf', 'i32 ->', { writes: [CC_OP, CC_A, CC_B] }, 'flags are a word now; its CF (0 or 1)', (m, cf) =>
    m.seq([m.set(CC_OP, 'i64', m.constI64(0n)), m.set(CC_A, 'i64', m.i64.extend_u(cf))]),
  );
  state(t, 'flags.zf', 'i32 ->', slots, 'sets ZF (0 or 1), keeps the others', (m, zf) =>
    patchFlags(m, ZF, m.i32.shl(zf, m.constI32(6))),
  );
  const both = (m: ExprBuilder, cf: Expr, of: Expr): Expr =>
    patchFlags(m, CF | OF, m.i32.or(cf, m.i32.shl(of, m.constI32(11))));
  state(t, 'flags.cf_of', 'i32 i32 ->', slots, 'sets CF and OF (0 or 1), keeps the others', both);
  state(
    t,
    'flags.cf_of_if',
    'i32 i32 i32 ->',
    slots,
    'flags.cf_of if the first input is non-zero, else nothing',
    (m, c, cf, of) => m.bind('i32', cf, (x) => m.bind('i32', of, (y) => m.if(c, both(m, x(), y()), m.nop()))),
  );
}

function defineDivisionOps(t: OpTable): void {
  for (const w of widths)
    guard(
      t,
      `x86.guard_div_u.${w}`,
      `${w} ${w}`,
      trap.divide,
      '#DE unless high half of the dividend < divisor',
      (m, high, d) => ns(m, w).ge_u(high, d),
    );
  for (const w of ['i8', 'i16', 'i32'] as const) {
    const half = 1n << BigInt(bitsOf[w] - 1);
    guard(
      t,
      `x86.guard_div_s.${w}`,
      'i64 i64',
      trap.divide,
      '#DE unless the quotient of the signed inputs fits the width',
      (m, n, d) =>
        m.bind('i64', n, (x) =>
          m.bind('i64', d, (y) =>
            m.if(
              m.i64.lt_u(m.i64.add(x(), m.constI64(half)), m.constI64(half * 2n)),
              m.i32.or(m.i64.eqz(y()), m.i32.and(m.i64.eq(y(), m.constI64(-1n)), m.i64.eq(x(), m.constI64(-half)))),
              m.helper('x86_idiv_refused', [x(), y(), m.constI64(half)], 'i32'),
            ),
          ),
        ),
    );
  }
  /** `then` if the 128-bit dividend is its sign-extended low half, as after CQO. */
  const ifSignExtended = (m: ExprBuilder, high: Expr, low: () => Expr, then: Expr, otherwise: Expr): Expr =>
    m.if(m.i64.eq(high, m.i64.shr_s(low(), m.constI64(63n))), then, otherwise);
  guard(
    t,
    'x86.guard_div_s.i64',
    'i64 i64 i64',
    trap.divide,
    '#DE unless the quotient fits: high and low dividend, divisor',
    (m, high, low, d) =>
      m.bind('i64', high, (h) =>
        m.bind('i64', low, (l) =>
          m.bind('i64', d, (y) =>
            ifSignExtended(
              m,
              h(),
              l,
              m.i32.or(
                m.i64.eqz(y()),
                m.i32.and(m.i64.eq(y(), m.constI64(-1n)), m.i64.eq(l(), m.constI64(-(1n << 63n)))),
              ),
              m.helper('x86_idiv128_refused', [h(), l(), y()], 'i32'),
            ),
          ),
        ),
      ),
  );
  pure(
    t,
    'x86.div_u.i128',
    'i64 i64 i64 -> i64',
    'unsigned quotient of high:low by the divisor; guarded',
    (m, high, low, d) =>
      m.bind('i64', high, (h) =>
        m.bind('i64', low, (l) =>
          m.bind('i64', d, (y) =>
            m.if(m.i64.eqz(h()), m.i64.div_u(l(), y()), m.helper('x86_udiv128', [h(), l(), y()], 'i64')),
          ),
        ),
      ),
  );
  pure(
    t,
    'x86.div_s.i128',
    'i64 i64 i64 -> i64',
    'signed quotient of high:low by the divisor; guarded',
    (m, high, low, d) =>
      m.bind('i64', high, (h) =>
        m.bind('i64', low, (l) =>
          m.bind('i64', d, (y) =>
            ifSignExtended(m, h(), l, m.i64.div_s(l(), y()), m.helper('x86_idiv128', [h(), l(), y()], 'i64')),
          ),
        ),
      ),
  );
}

export function defineX86IntegerOps(t: OpTable): void {
  defineShiftOps(t);
  definePartialFlagOps(t);
  defineDivisionOps(t);
  for (const w of widths)
    pure(
      t,
      `x86.crc32.${w}`,
      `i32 ${w} -> i32`,
      'CRC-32C of the bytes of the second input, from the checksum in the first',
      (m, crc, value) =>
        m.helper('x86_crc32', [crc, w === 'i64' ? value : m.i64.extend_u(value), m.constI32(bitsOf[w] / 8)], 'i32'),
    );
}
