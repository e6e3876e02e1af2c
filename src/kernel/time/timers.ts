/**
 * One-shot timers, by deadline on the monotonic clock, on one timer of the host's. Most timers limit a wait that ends long
 * before: cancelling one leaves the host's as it is, and setting a later one does, too.
 */

export interface Timer {
  cancel(): void;
}

/** Longest delay setTimeout takes without overflowing, in milliseconds. */
const MAX_DELAY = 0x3fff_ffff;
/** Cancelled timers that may stay before it is looked whether they are most of all. */
const FEW = 64;

class Entry implements Timer {
  readonly deadline: number;
  /** Null: it has fired, or was cancelled. */
  fire: (() => void) | null;
  readonly #order: number;
  readonly #cancelled: () => void;

  constructor(deadline: number, fire: (() => void) | null, order: number, cancelled: () => void) {
    this.deadline = deadline;
    this.fire = fire;
    this.#order = order;
    this.#cancelled = cancelled;
  }
  /** Of two with the same deadline the one that was set first is. */
  before(other: Entry): boolean {
    return this.deadline < other.deadline || (this.deadline === other.deadline && this.#order < other.#order);
  }
  cancel(): void {
    if (!this.fire) return;
    this.fire = null;
    this.#cancelled();
  }
}

/** `now()` is CLOCK_MONOTONIC in milliseconds with fractions. */
export class Timers {
  readonly #now: () => number;
  /** A binary heap: the earliest deadline is first. */
  #heap: Entry[] = [];
  /** The host's timer, and the deadline it is for. */
  #timeout: NodeJS.Timeout | null = null;
  #immediate: NodeJS.Immediate | null = null;
  #armedFor = Infinity;
  /** The clock when it was set. */
  #seen = Number.NaN;
  /** Timers that will fire. */
  armed = 0;
  #count = 0;
  constructor(now: () => number) {
    this.#now = now;
  }

  /**
   * Calls `fire` once, at or after `deadline` (milliseconds of the monotonic clock; Infinity: never), never within
   * this call. Delays below a millisecond go round the event loop, as setTimeout would round them up. A timer does not keep
   * the process alive.
   */
  at(deadline: number, fire: () => void): Timer {
    const entry = new Entry(deadline, deadline === Infinity ? null : fire, this.#count++, this.#cancelled);
    if (deadline === Infinity) return entry;
    this.armed++;
    this.#push(entry);
    if (deadline < this.#armedFor) this.#arm(deadline);
    return entry;
  }
  readonly #cancelled = (): void => {
    this.armed--;
    const gone = this.#heap.length - this.armed;
    if (gone <= FEW || gone * 2 < this.#heap.length) return;
    const left = this.#heap.filter((e) => e.fire !== null);
    this.#heap = [];
    for (const entry of left) this.#push(entry);
  };

  #disarm(): void {
    if (this.#timeout) clearTimeout(this.#timeout);
    if (this.#immediate) clearImmediate(this.#immediate);
    this.#timeout = this.#immediate = null;
    this.#armedFor = Infinity;
  }
  #arm(deadline: number): void {
    this.#disarm();
    this.#armedFor = deadline;
    const now = this.#now();
    const left = deadline - now;
    this.#seen = Number.NaN;
    if (left < 1) {
      this.#immediate = setImmediate(this.#fired);
      return;
    }
    // A clock that stands still (as a test's may) must not make a timer wait for ever.
    if (left < MAX_DELAY) this.#seen = now;
    this.#timeout = setTimeout(this.#fired, Math.min(Math.floor(left), MAX_DELAY));
    this.#timeout.unref();
  }
  readonly #fired = (): void => {
    const now = this.#now();
    const due = now === this.#seen ? Math.max(now, this.#armedFor) : now;
    this.#timeout = this.#immediate = null;
    this.#armedFor = Infinity;
    const ready: Entry[] = [];
    for (let first = this.#heap[0]; first; first = this.#heap[0]) {
      if (first.fire !== null && first.deadline > due) break;
      this.#pop();
      if (first.fire !== null) ready.push(first);
    }
    const next = this.#heap[0];
    if (next) this.#arm(next.deadline);
    for (const entry of ready) {
      // One that fires may cancel another.
      const { fire } = entry;
      if (fire === null) continue;
      entry.fire = null;
      this.armed--;
      fire();
    }
  };

  #push(entry: Entry): void {
    const heap = this.#heap;
    let k = heap.length;
    heap.push(entry);
    while (k > 0) {
      const parent = (k - 1) >> 1;
      if (!entry.before(heap[parent]!)) break;
      heap[k] = heap[parent]!;
      k = parent;
    }
    heap[k] = entry;
  }
  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop()!;
    const size = heap.length;
    if (size === 0) return;
    let k = 0;
    for (let child = 1; child < size; child = k * 2 + 1) {
      if (child + 1 < size && heap[child + 1]!.before(heap[child]!)) child++;
      if (!heap[child]!.before(last)) break;
      heap[k] = heap[child]!;
      k = child;
    }
    heap[k] = last;
  }
}
