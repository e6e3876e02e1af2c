/**
 * Guest ops for the x86 arithmetic flags. Flags are lazy: a flag-setting op records (kind and width, a, b, result) in
 * the CC_* slots; flags are computed when read. Right after such an op in the same block, the lifter compares the CC_*
 * slots directly; otherwise the helpers in src/helpers/flags.ts look at CC_OP.
 */
import type { IntWidth } from '../ir/block.ts';
import type { Expr, ExprBuilder } from '../ir/expr.ts';
import { type OpTable, state } from '../ir/op.ts';
import { CC_A, CC_B, CC_OP, CC_RES, type CcKind, cc } from './state.ts';

const widths: IntWidth[] = ['i8', 'i16', 'i32', 'i64'];
export const log2Bytes: Record<IntWidth, number> = { i8: 0, i16: 1, i32: 2, i64: 3 };
/** The CC_OP word of a kind at a width. */
export const ccWord = (kind: CcKind, w: IntWidth): number => (kind === 'eflags' ? 0 : cc[kind] * 4 + log2Bytes[w]);

const reads = [CC_OP, CC_A, CC_B, CC_RES];
const writes = reads;

const wide = (m: ExprBuilder, w: IntWidth, e: Expr): Expr => (w === 'i64' ? e : m.i64.extend_u(e));
/** Truncates an i32 expression to the width: results of 8- and 16-bit arithmetic are stored zero-extended. */
const narrow = (m: ExprBuilder, w: IntWidth, e: Expr): Expr =>
  w === 'i8' ? m.i32.and(e, m.constI32(0xff)) : w === 'i16' ? m.i32.and(e, m.constI32(0xffff)) : e;
const n = (m: ExprBuilder, w: IntWidth) => (w === 'i64' ? m.i64 : m.i32);
const kindIs = (m: ExprBuilder, word: number): Expr => m.set(CC_OP, 'i64', m.constI64(BigInt(word)));

/** The lazy flags as arguments of the helpers that compute flags. */
export const currentFlags = (m: ExprBuilder): Expr[] => [
  m.i32.wrap(m.get(CC_OP, 'i64')),
  m.get(CC_A, 'i64'),
  m.get(CC_B, 'i64'),
  m.get(CC_RES, 'i64'),
];

export function defineFlagOps(t: OpTable): void {
  for (const w of widths) {
    const type = w === 'i64' ? 'i64' : 'i32';
    for (const kind of ['add', 'sub'] as const) {
      state(
        t,
        `flags.${kind}.${w}`,
        `${w} ${w} ->`,
        { writes },
        `flags of a ${kind === 'add' ? '+' : '-'} b`,
        (m, a, b) =>
          m.bind(type, a, (x) =>
            m.bind(type, b, (y) =>
              m.seq([
                kindIs(m, ccWord(kind, w)),
                m.set(CC_A, 'i64', wide(m, w, x())),
                m.set(CC_B, 'i64', wide(m, w, y())),
                m.set(CC_RES, 'i64', wide(m, w, narrow(m, w, n(m, w)[kind](x(), y())))),
              ]),
            ),
          ),
      );
    }
    for (const kind of ['adc', 'sbb'] as const) {
      state(
        t,
        `flags.${kind}.${w}`,
        `${w} ${w} ${w} ->`,
        { writes },
        'flags of an add or subtract with carry: a, b, result',
        (m, a, b, r) =>
          m.seq([
            kindIs(m, ccWord(kind, w)),
            m.set(CC_A, 'i64', wide(m, w, a)),
            m.set(CC_B, 'i64', wide(m, w, b)),
            m.set(CC_RES, 'i64', wide(m, w, r)),
          ]),
      );
    }
    state(t, `flags.logic.${w}`, `${w} ->`, { writes }, 'flags of a logical result: CF, OF and AF clear', (m, r) =>
      m.seq([kindIs(m, ccWord('logic', w)), m.set(CC_RES, 'i64', wide(m, w, r))]),
    );
    for (const kind of ['inc', 'dec'] as const)
      state(
        t,
        `flags.${kind}.${w}`,
        `${w} i32 ->`,
        { writes },
        'flags of an increment or decrement: result, CF to keep',
        (m, r, carry) =>
          m.seq([
            kindIs(m, ccWord(kind, w)),
            m.set(CC_RES, 'i64', wide(m, w, r)),
            m.set(CC_B, 'i64', m.i64.extend_u(carry)),
          ]),
      );
    state(
      t,
      `flags.res.${w}`,
      `${w} i32 i32 ->`,
      { writes },
      'SF, ZF, PF of a result, with CF and OF (0 or 1) given, AF clear',
      (m, r, cf, of) =>
        m.seq([
          kindIs(m, ccWord('res', w)),
          m.set(CC_RES, 'i64', wide(m, w, r)),
          m.set(CC_A, 'i64', m.i64.extend_u(cf)),
          m.set(CC_B, 'i64', m.i64.extend_u(of)),
        ]),
    );
    // Does not appear in `writes` as a kill: the flags stay when the condition is zero.
    state(
      t,
      `flags.res_if.${w}`,
      `i32 ${w} i32 i32 ->`,
      { reads, writes },
      'flags.res if the first input is non-zero, else nothing',
      (m, c, r, cf, of) =>
        m.bind(type, r, (result) =>
          m.bind('i32', cf, (carry) =>
            m.bind('i32', of, (overflow) =>
              m.if(
                c,
                m.seq([
                  kindIs(m, ccWord('res', w)),
                  m.set(CC_RES, 'i64', wide(m, w, result())),
                  m.set(CC_A, 'i64', m.i64.extend_u(carry())),
                  m.set(CC_B, 'i64', m.i64.extend_u(overflow())),
                ]),
                m.nop(),
              ),
            ),
          ),
        ),
    );
  }
  state(
    t,
    'flags.eflags',
    'i32 ->',
    { writes },
    'sets the six arithmetic flags from a word in rflags layout',
    (m, word) => m.seq([kindIs(m, 0), m.set(CC_RES, 'i64', m.i64.extend_u(m.i32.and(word, m.constI32(0x8d5))))]),
  );
  state(t, 'x86.eflags', '-> i32', { reads }, 'the six arithmetic flags in rflags layout', (m) =>
    m.helper('x86_eflags', currentFlags(m), 'i32'),
  );
  state(
    t,
    'x86.cond',
    'i32 -> i32',
    { reads },
    '1 if condition code 0..15 (the low opcode bits of Jcc) holds',
    (m, code) => m.helper('x86_cond', [...currentFlags(m), code], 'i32'),
  );
  // INC and DEC keep CF in CC_B, and in a loop on a counter they follow each other: no call then.
  state(t, 'x86.cf', '-> i32', { reads }, 'the carry flag, 0 or 1', (m) =>
    m.if(
      m.i32.eq(m.i32.and(m.i32.wrap(m.get(CC_OP, 'i64')), m.constI32(~3)), m.constI32(cc.dec * 4)),
      m.i32.wrap(m.get(CC_B, 'i64')),
      m.helper('x86_cf', currentFlags(m), 'i32'),
    ),
  );
}
