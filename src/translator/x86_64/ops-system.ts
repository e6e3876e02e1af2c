/** IR ops of string instructions, rflags transfers, CPUID, time stamp and descriptor queries. */
import type { Expr, ExprBuilder } from '../ir/expr.ts';
import { trap } from '../ir/layout.ts';
import { hostCounter } from '../ir/ops/counter.ts';
import { helperOp, type OpTable, pure, state } from '../ir/op.ts';
import { currentFlags } from './ops-flags.ts';
import { guard } from './ops-integer.ts';
import { CC_A, CC_B, CC_OP, CC_RES, DF, FLAGS_MISC, gpr, RAX, RBX, RCX, RDI, RDX, RSI } from './state.ts';

/** rflags bits: reserved-one and IF, always set as user mode sees them; DF; and those user mode may toggle: AC and ID. */
export const RFLAGS_FIXED = 0x202;
export const RFLAGS_DF = 0x400;
export const RFLAGS_MISC = 0x24_0000;

export function defineX86SystemOps(t: OpTable): void {
  const flagSlots = [CC_OP, CC_A, CC_B, CC_RES];
  const indices = [gpr(RCX), gpr(RSI), gpr(RDI)];
  for (const name of ['movs', 'stos', 'lods', 'scas', 'cmps']) {
    const touched = name === 'movs' ? indices : [...indices, gpr(RAX), ...flagSlots];
    helperOp(
      t,
      `x86.rep_${name}`,
      'i32',
      `x86_rep_${name}`,
      `repeated ${name}; input is the mode word of rows-string.ts`,
      { reads: touched, writes: touched },
    );
  }

  state(
    t,
    'x86.rflags',
    '-> i32',
    { reads: [...flagSlots, DF, FLAGS_MISC] },
    'rflags',
    (m: ExprBuilder): Expr =>
      m.i32.or(
        m.i32.or(m.helper('x86_eflags', currentFlags(m), 'i32'), m.i32.shl(m.get(DF, 'i32'), m.constI32(10))),
        m.i32.or(m.i32.and(m.get(FLAGS_MISC, 'i32'), m.constI32(RFLAGS_MISC)), m.constI32(RFLAGS_FIXED)),
      ),
  );
  state(
    t,
    'x86.set_rflags',
    'i32 ->',
    { writes: [...flagSlots, DF, FLAGS_MISC] },
    'sets the rflags bits user mode may change; single-stepping (TF) is not there',
    (m, word) =>
      m.bind('i32', word, (w) =>
        m.seq([
          m.set(CC_OP, 'i64', m.constI64(0n)),
          m.set(CC_RES, 'i64', m.i64.extend_u(m.i32.and(w(), m.constI32(0x8d5)))),
          m.set(DF, 'i64', m.i64.extend_u(m.i32.and(m.i32.shr_u(w(), m.constI32(10)), m.constI32(1)))),
          m.set(FLAGS_MISC, 'i64', m.i64.extend_u(m.i32.and(w(), m.constI32(RFLAGS_MISC)))),
        ]),
      ),
  );

  const identified = [RAX, RBX, RCX, RDX].map(gpr);
  helperOp(t, 'x86.cpuid', '', 'x86_cpuid', 'CPUID: leaf in EAX, sub-leaf in ECX', {
    reads: identified,
    writes: identified,
  });
  // Not pure: two reads of the clock must stay two.
  state(t, 'x86.rdtsc', '-> i64', {}, 'time stamp counter: monotonic nanoseconds', hostCounter);

  pure(t, 'x86.lar', 'i16 -> i64', 'access rights of a selector, -1 if LAR would refuse it', (m, selector) =>
    m.helper('x86_lar', [selector], 'i64'),
  );
  pure(t, 'x86.lsl', 'i16 -> i64', 'limit of a selector, -1 if LSL would refuse it', (m, selector) =>
    m.helper('x86_lsl', [selector], 'i64'),
  );
  guard(t, 'x86.guard_zero', 'i16', trap.protection, '#GP unless the input is 0', (_m, value) => value);
  guard(
    t,
    'x86.guard_selector',
    'i16 i32',
    trap.protection,
    '#GP unless the selector can be loaded (second input: into SS)',
    (m, selector, ss) => m.i32.eqz(m.helper('x86_loadable', [selector, ss], 'i32')),
  );
}
