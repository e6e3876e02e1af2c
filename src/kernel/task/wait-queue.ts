/** Wait queues: how a blocked system call learns that something it waits for has changed. */

/** `bits` are the POLL* bits that may have come to hold, 0 when the waker does not say. */
export type Waiter = (bits: number) => void;

/**
 * A set of callbacks run on each `wake`. Level-triggered by use: a waiter re-examines its condition after every wake,
 * so spurious wakes are harmless.
 */
export class WaitQueue {
  /** Not a Set, for what registry.ts says: waiters hold on to what they waited for. */
  readonly #waiters: Waiter[] = [];

  add(w: Waiter): void {
    if (!this.#waiters.includes(w)) this.#waiters.push(w);
  }
  remove(w: Waiter): void {
    const at = this.#waiters.lastIndexOf(w);
    if (at >= 0) this.#waiters.splice(at, 1);
  }
  get empty(): boolean {
    return this.#waiters.length === 0;
  }
  /** Calls every waiter present at the time of the call. `bits` is a hint for edge-triggered waiters (epoll). */
  wake(bits = 0): void {
    // Nearly always there is none or one: then there is nothing to copy.
    if (this.#waiters.length === 0) return;
    if (this.#waiters.length === 1) {
      this.#waiters[0]!(bits);
      return;
    }
    for (const w of [...this.#waiters]) w(bits);
  }
}
