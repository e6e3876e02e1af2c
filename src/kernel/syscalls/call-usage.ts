/** Account of the calls a program makes: how often, how they end, and how well each is supported. */
import { errno, errnoName } from '../abi/errno.ts';
import type { Support } from './row.ts';

/** As a row says, or `answered` for a call that was not made (--stub, --fake). */
export type UsedSupport = Support | 'answered';

export interface UsedCall {
  readonly name: string;
  calls: number;
  errors: number;
  /** How often by name of error. */
  readonly byError: Record<string, number>;
  readonly support: UsedSupport;
}

/** Names a guest may use up: one that probes all numbers must not fill the host's memory. */
const MAX_NAMES = 1024;

export class CallUsage {
  readonly #calls = new Map<string, UsedCall>();

  began(name: string, support: UsedSupport): void {
    const have = this.#calls.get(name);
    if (have) have.calls++;
    else if (this.#calls.size < MAX_NAMES) this.#calls.set(name, { name, calls: 1, errors: 0, byError: {}, support });
  }
  ended(name: string, result: number): void {
    // Restarts are no errors: the call is made again.
    if (result >= 0 || result < -4095 || -result >= errno.ERESTARTSYS) return;
    const call = this.#calls.get(name);
    if (!call) return;
    call.errors++;
    const error = errnoName(-result);
    call.byError[error] = (call.byError[error] ?? 0) + 1;
  }
  /** Most frequent first. */
  report(): UsedCall[] {
    return [...this.#calls.values()].sort((a, b) => b.calls - a.calls || (a.name < b.name ? -1 : 1));
  }
}
