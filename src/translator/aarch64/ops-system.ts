/** IR ops of system registers. */
import { helperOp, type OpTable, state } from '../ir/op.ts';
import { hostCounter } from '../ir/ops/counter.ts';
import { FP_EXACT, FP_HISTORY, FPCR, FPSR } from './state.ts';

export function defineA64SystemOps(t: OpTable): void {
  // Not pure: two reads of the clock must stay two.
  state(t, 'a64.counter', '-> i64', {}, 'CNTVCT_EL0: monotonic nanoseconds', hostCounter);
  state(t, 'a64.fpcr', '-> i32', { reads: [FPCR] }, 'FPCR', (m) => m.get(FPCR, 'l32'));
  state(t, 'a64.fpsr', '-> i32', { reads: [FPSR] }, 'FPSR, nobody looking at the flags', (m) => m.get(FPSR, 'l32'));
  helperOp(
    t,
    'a64.watch_fpsr',
    'i64',
    'a64_watch_fpsr',
    'FPSR for somebody who wants to know: input 0 is the address of the next instruction and the slot for it (from bit 48)',
  );
  const slots = [FPCR, FPSR, FP_EXACT, FP_HISTORY];
  const touched = { reads: slots, writes: slots };
  const doc = 'exits with the address of the next instruction (input 1) when the floating-point mode changes';
  helperOp(t, 'a64.set_fpcr', 'i64 i64', 'a64_set_fpcr', `sets FPCR; ${doc}`, touched);
  helperOp(t, 'a64.set_fpsr', 'i64 i64', 'a64_set_fpsr', `sets FPSR; ${doc}`, touched);
}
