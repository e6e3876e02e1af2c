/** Wait queues: how a blocked system call learns that something it waits for has changed. */

/** `bits` are the POLL* bits that may have come to hold, 0 when the waker does not say. */
export type Waiter = (bits: number) => void;

/**
 * A set of callbacks run on each `wake`. Level-triggered by use: a waiter re-examines its condition after every wake,
 * so spurious wakes are harmless.
 */
export class WaitQueue {
  #waiters = new Set<Waiter>();

  add(w: Waiter): void {
    this.#waiters.add(w);
  }
  remove(w: Waiter): void {
    this.#waiters.delete(w);
  }
  get empty(): boolean {
    return this.#waiters.size === 0;
  }
  /** Calls every waiter present at the time of the call. `bits` is a hint for edge-triggered waiters (epoll). */
  wake(bits = 0): void {
    // Nearly always there is none or one: then there is nothing to copy.
    if (this.#waiters.size === 0) return;
    if (this.#waiters.size === 1) {
      const [only] = this.#waiters;
      only!(bits);
      return;
    }
    for (const w of [...this.#waiters]) w(bits);
  }
}
