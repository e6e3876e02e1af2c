/** The Host interface on Node. */
import { openSync, readSync, writeSync } from 'node:fs';
import { totalmem } from 'node:os';
import type { Host } from '../kernel/task/host.ts';

/** The guest's memory is one 4 GiB linear memory: more than 2 GiB in use leaves no room for reservations. */
const MEMORY_CEILING = 2 * 1024 ** 3;

const NSEC = 1e9;
/** Difference to the host's real-time clock that does not matter: Date.now() is coarse, and clocks are slewed. */
const TOLERANCE_MS = 50;

const { hrtime } = process;
const [counterStart] = hrtime();
let second = counterStart;
/** Nanoseconds from `counterStart` to `second`. */
let wholeSeconds = 0;
/**
 * The CPU's counter: nanoseconds of the monotonic clock since its second `counterStart`, exact for 100 days. What
 * RDTSC and CNTVCT_EL0 read; a guest that calibrates it finds 1 GHz.
 */
export function counter(): number {
  // The guest's clocks come through here: indexing is a fifth faster than destructuring, and a comparison than arithmetic.
  const now = hrtime();
  if (now[0] !== second) {
    second = now[0];
    wholeSeconds = (second - counterStart) * NSEC;
  }
  return wholeSeconds + now[1];
}

/**
 * The same as a function that leaves it in `cell` and returns 0: an integer of 64 bits on its way there is no object, which
 * makes it a third faster than `counter`.
 */
export function counterInto(cell: BigInt64Array): () => number {
  const { bigint } = hrtime;
  const start = BigInt(counterStart) * BigInt(NSEC);
  return () => {
    cell[0] = bigint() - start;
    return 0;
  };
}

export class NodeHost implements Host {
  readonly memoryTotal: number;
  /** CLOCK_REALTIME at counter 0. */
  readonly #realtimeStart: [sec: number, nsec: number] = [0, 0];
  #random: ((dst: Uint8Array) => number) | null = null;

  constructor(memoryLimit?: number) {
    this.memoryTotal = Math.min(memoryLimit ?? totalmem(), MEMORY_CEILING);
    this.#adjust(0);
  }
  monotonic(): [number, number] {
    const [sec, nsec] = process.hrtime();
    return [sec, nsec];
  }
  /** The monotonic clock with an offset: as fine as that, and in step with the vDSO. */
  realtime(): [number, number] {
    const [sec, nsec] = this.#realtimeStart;
    const total = nsec + counter();
    const whole = Math.floor(total / NSEC);
    return [sec + whole, total - whole * NSEC];
  }
  counterStart(): { monotonic: [number, number]; realtime: [number, number] } {
    this.#adjust(TOLERANCE_MS);
    return { monotonic: [counterStart, 0], realtime: [...this.#realtimeStart] };
  }
  /** Follows Date.now(), which is the host's clock in milliseconds, when it is off by more than `tolerance` of them. */
  #adjust(tolerance: number): void {
    const [sec, nsec] = this.realtime();
    const now = Date.now();
    if (Math.abs(now - (sec * 1000 + nsec / 1e6)) <= tolerance) return;
    const total = (now % 1000) * 1e6 - counter();
    const whole = Math.floor(total / NSEC);
    this.#realtimeStart[0] = Math.floor(now / 1000) + whole;
    this.#realtimeStart[1] = total - whole * NSEC;
  }
  cpuTime(): [number, number] {
    const { user, system } = process.cpuUsage();
    const us = user + system;
    return [Math.floor(us / 1e6), (us % 1e6) * 1000];
  }
  randomFill(dst: Uint8Array): void {
    // Every program takes 16 bytes at its start; loading node:crypto for them would cost more than the rest of it.
    this.#random ??= openRandom();
    for (let at = 0; at < dst.length; ) at += this.#random(dst.subarray(at));
  }
  diagnostic(line: string): void {
    this.raw(`uktx: ${line}\n`);
  }
  /** Text to stderr as it is. */
  raw(text: string): void {
    try {
      writeSync(2, text);
    } catch {
      // Nobody can be told when stderr itself is gone.
    }
  }
}

/** A source of random bytes: fills at least one byte and returns how many. */
function openRandom(): (dst: Uint8Array) => number {
  try {
    const fd = openSync('/dev/urandom', 'r');
    return (dst) => readSync(fd, dst);
  } catch {
    const { randomFillSync } = process.getBuiltinModule('node:crypto');
    return (dst) => randomFillSync(dst).length;
  }
}

/**
 * Processor time that this process has used since it began, in milliseconds, Node's own start (some 25) among it. What is
 * worth while only for a run that goes on is measured by it: the clock on the wall says nothing on a machine with more to do.
 */
export function usedMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

let knownUsed = 0;
/** Whether `usedMs()` has come to `ms`. Cheap once it has. */
export function hasUsed(ms: number): boolean {
  if (knownUsed < ms) knownUsed = usedMs();
  return knownUsed >= ms;
}

/** Monotonic milliseconds. The global `performance` loads modules that a short run does not need. */
export function nowMs(): number {
  const [sec, nsec] = process.hrtime();
  return sec * 1000 + nsec / 1e6;
}
