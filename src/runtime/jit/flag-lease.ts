/**
 * Whose turn it is with V8's flags. They belong to the process, and a module is compiled by those that V8 finds when it begins
 * with it: were a worker's still set, a module that the guest's thread takes from the cache would keep that thread until all of
 * it is optimised, a fifth of a second for a large one.
 */

/** What a thread that compiles with flags of its own is given until others may change them. V8 reads them within 0.2 ms (of 350 KB, Node 26). */
const LEASE_MS = 10;
/** For compilations that take less than that: it is given back behind them. */
const LONG_MS = 1000;

/** Milliseconds, the same for all threads; wraps around. */
function now(): number {
  const [seconds, nanoseconds] = process.hrtime();
  return (seconds * 1000 + Math.trunc(nanoseconds / 1e6)) | 0;
}

/** The time at which the holder's turn ends, and 0 while the flags are the usual ones and nobody holds them. Shared by all threads. */
let word = new Int32Array(new SharedArrayBuffer(4));

/** For workers: the word of the thread that starts them. */
export function shareLease(shared: Int32Array<SharedArrayBuffer>): void {
  word = shared;
}
export const sharedLease = (): Int32Array<SharedArrayBuffer> => word;

/** Waits for its turn. Returns what the word is from now on, and whether somebody's flags may be set still. */
function take(ms: number): { mine: number; wereChanged: boolean } {
  for (;;) {
    const held = Atomics.load(word, 0);
    const left = held === 0 ? 0 : (held - now()) | 0;
    if (left > 0) {
      Atomics.wait(word, 0, held, left);
      continue;
    }
    const mine = (now() + ms) | 0 || 1;
    if (Atomics.compareExchange(word, 0, held, mine) === held) return { mine, wereChanged: held !== 0 };
  }
}

function release(): void {
  Atomics.store(word, 0, 0);
  Atomics.notify(word, 0);
}

/** Compiles with the usual flags, which `setUsual` sets. `compile` is to be short: nobody else begins meanwhile. */
export function withUsualFlags<T>(setUsual: () => void, compile: () => T): T {
  const { wereChanged } = take(LONG_MS);
  try {
    if (wereChanged) setUsual();
    return compile();
  } finally {
    release();
  }
}

/** Compiles with the flags that `setOwn` sets. Others begin, and change them, while it is at it. */
export function withOwnFlags<T>(setOwn: () => void, setUsual: () => void, compile: () => T): T {
  const { mine } = take(LEASE_MS);
  try {
    setOwn();
    return compile();
  } finally {
    // Whoever has had a turn since has set flags of his own, or the usual ones.
    if (Atomics.compareExchange(word, 0, mine, (now() + LONG_MS) | 0 || 1) === mine) {
      setUsual();
      release();
    }
  }
}
