/** When regions with indirect jumps may be translated again, with more targets of these: at growing intervals. */

/** Time until the second translation: so many times what the first took. */
const FIRST_INTERVAL = 5;
const MAX_FIRST_INTERVAL_MS = 1000;

export class Repeats {
  /** By entry, in milliseconds: the interval, and when it is over. */
  readonly #times = new Map<number, { interval: number; notBefore: number }>();

  /** Whether the region at `entry` is not to be made again so soon. */
  mustWait(entry: number): boolean {
    return performance.now() < (this.#times.get(entry)?.notBefore ?? 0);
  }
  /** The region has been made, in `tookMs` milliseconds. */
  noteMade(entry: number, tookMs: number): void {
    const interval = this.#times.get(entry)?.interval ?? Math.min(FIRST_INTERVAL * tookMs, MAX_FIRST_INTERVAL_MS);
    this.#times.set(entry, { interval: interval * 2, notBefore: performance.now() + interval });
  }
  /** Forgets those that are not to be kept. */
  keep(isKept: (entry: number) => boolean): void {
    for (const entry of this.#times.keys()) if (!isKept(entry)) this.#times.delete(entry);
  }
}
