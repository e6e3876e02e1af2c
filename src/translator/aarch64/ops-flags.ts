/**
 * Guest ops for NZCV. Flags are lazy: a flag-setting op records (kind and width, a, b, result) in the CC_* slots; flags are
 * computed when read. Right after such an op in the same block, the lifter compares the CC_* slots directly; otherwise the
 * helpers in src/helpers/a64-flags.ts look at CC_OP.
 */
import type { Expr, ExprBuilder } from '../ir/expr.ts';
import { type OpTable, state } from '../ir/op.ts';
import { CC_A, CC_B, CC_OP, CC_RES, type CcKind, cc } from './state.ts';

type Width = 'i32' | 'i64';
const widths: Width[] = ['i32', 'i64'];
export const ccWord = (kind: CcKind, w: Width): number => (kind === 'nzcv' ? 0 : cc[kind] * 4 + (w === 'i64' ? 3 : 2));

const slots = [CC_OP, CC_A, CC_B, CC_RES];
const wide = (m: ExprBuilder, w: Width, e: Expr): Expr => (w === 'i64' ? e : m.i64.extend_u(e));
const kindIs = (m: ExprBuilder, kind: CcKind, w: Width): Expr =>
  m.set(CC_OP, 'i64', m.constI64(BigInt(ccWord(kind, w))));

/** The lazy flags as arguments of the helpers. */
export const currentFlags = (m: ExprBuilder): Expr[] => [
  m.i32.wrap(m.get(CC_OP, 'i64')),
  m.get(CC_A, 'i64'),
  m.get(CC_B, 'i64'),
  m.get(CC_RES, 'i64'),
];

export function defineFlagOps(t: OpTable): void {
  for (const w of widths) {
    for (const kind of ['add', 'sub'] as const)
      state(
        t,
        `a64.flags.${kind}.${w}`,
        `${w} ${w} ->`,
        { writes: slots },
        `flags of a ${kind === 'add' ? '+' : '-'} b`,
        (m, a, b) =>
          m.bind(w, a, (x) =>
            m.bind(w, b, (y) =>
              m.seq([
                kindIs(m, kind, w),
                m.set(CC_A, 'i64', wide(m, w, x())),
                m.set(CC_B, 'i64', wide(m, w, y())),
                m.set(CC_RES, 'i64', wide(m, w, m[w][kind](x(), y()))),
              ]),
            ),
          ),
      );
    state(
      t,
      `a64.flags.adc.${w}`,
      `${w} ${w} ${w} ->`,
      { writes: slots },
      'flags of a sum with carry: a, b, result',
      (m, a, b, r) =>
        m.seq([
          kindIs(m, 'adc', w),
          m.set(CC_A, 'i64', wide(m, w, a)),
          m.set(CC_B, 'i64', wide(m, w, b)),
          m.set(CC_RES, 'i64', wide(m, w, r)),
        ]),
    );
    state(t, `a64.flags.logic.${w}`, `${w} ->`, { writes: slots }, 'N and Z of a result, C and V clear', (m, r) =>
      m.seq([kindIs(m, 'logic', w), m.set(CC_RES, 'i64', wide(m, w, r))]),
    );
  }
  state(t, 'a64.flags.nzcv', 'i32 ->', { writes: slots }, 'sets the flags from bits 31 to 28 of a word', (m, word) =>
    m.seq([
      m.set(CC_OP, 'i64', m.constI64(0n)),
      m.set(CC_RES, 'i64', m.i64.extend_u(m.i32.and(word, m.constI32(0xf000_0000)))),
    ]),
  );
  state(t, 'a64.nzcv', '-> i32', { reads: slots }, 'the flags in bits 31 to 28', (m) =>
    m.helper('a64_nzcv', currentFlags(m), 'i32'),
  );
  state(t, 'a64.cond', 'i32 -> i32', { reads: slots }, '1 if condition code 0..13 holds', (m, code) =>
    m.helper('a64_cond', [...currentFlags(m), code], 'i32'),
  );
  state(t, 'a64.carry', '-> i32', { reads: slots }, 'the carry flag, 0 or 1', (m) =>
    m.helper('a64_carry', currentFlags(m), 'i32'),
  );
}
