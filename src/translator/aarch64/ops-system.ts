/** IR ops of system registers. */
import { helperOp, type OpTable, state } from '../ir/op.ts';
import { FP_EXACT, FPCR, FPSR } from './state.ts';

export function defineA64SystemOps(t: OpTable): void {
  // Not pure: two reads of the clock must stay two.
  state(t, 'a64.counter', '-> i64', {}, 'CNTVCT_EL0: monotonic nanoseconds', (m) =>
    m.i64.trunc_s_sat.f64(m.helper('host_counter', [], 'f64')),
  );
  state(t, 'a64.fpcr', '-> i32', { reads: [FPCR] }, 'FPCR', (m) => m.get(FPCR, 'i32'));
  state(t, 'a64.fpsr', '-> i32', { reads: [FPSR] }, 'FPSR', (m) => m.get(FPSR, 'i32'));
  const touched = { reads: [FPCR, FPSR, FP_EXACT], writes: [FPCR, FPSR, FP_EXACT] };
  const doc = 'exits with the address of the next instruction (input 1) when the floating-point mode changes';
  helperOp(t, 'a64.set_fpcr', 'i64 i64', 'a64_set_fpcr', `sets FPCR; ${doc}`, touched);
  helperOp(t, 'a64.set_fpsr', 'i64 i64', 'a64_set_fpsr', `sets FPSR; ${doc}`, touched);
}
