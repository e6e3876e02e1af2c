/** The CPU's counter, which both ISAs have. */
import type { Expr, ExprBuilder } from '../expr.ts';
import { COUNTER } from '../layout.ts';

/** Nanoseconds by the host's monotonic clock (i64): the host leaves them in memory, and returns 0. */
export const hostCounter = (m: ExprBuilder): Expr => m.i64.load(COUNTER, 8, m.helper('host_counter', [], 'i32'));
