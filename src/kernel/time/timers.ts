/** One-shot timers on the host's event loop, by deadline on the monotonic clock. */

export interface Timer {
  cancel(): void;
}

/** Longest delay setTimeout takes without overflowing, in milliseconds. */
const MAX_DELAY = 0x3fff_ffff;

/** `now()` is CLOCK_MONOTONIC in milliseconds with fractions. */
export class Timers {
  readonly #now: () => number;
  /** Timers that will fire. */
  armed = 0;
  constructor(now: () => number) {
    this.#now = now;
  }

  /**
   * Calls `fire` once, at or after `deadline` (milliseconds of the monotonic clock; Infinity: never), never within
   * this call. Delays below a millisecond go round the event loop, as setTimeout would round them up.
   */
  at(deadline: number, fire: () => void): Timer {
    let timeout: NodeJS.Timeout | null = null;
    let immediate: NodeJS.Immediate | null = null;
    let seen = Number.NaN;
    const arm = (): void => {
      timeout = null;
      immediate = null;
      const now = this.#now();
      const left = deadline - now;
      // A clock that stands still (as a test's may) must not make a timer wait for ever.
      if (left <= 0 || now === seen) {
        this.armed--;
        done = true;
        fire();
      } else schedule(now, left);
    };
    const schedule = (now: number, left: number): void => {
      if (left >= 1) {
        if (left < MAX_DELAY) seen = now;
        timeout = setTimeout(arm, Math.min(Math.floor(left), MAX_DELAY));
      } else {
        immediate = setImmediate(arm);
      }
    };
    const now = this.#now();
    let done = deadline === Infinity;
    if (!done) {
      this.armed++;
      schedule(now, Math.max(0, deadline - now));
    }
    return {
      cancel: (): void => {
        if (done) return;
        done = true;
        this.armed--;
        if (timeout) clearTimeout(timeout);
        if (immediate) clearImmediate(immediate);
      },
    };
  }
}
