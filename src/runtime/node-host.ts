/** The Host interface on Node. */
import { openSync, readSync, writeSync } from 'node:fs';
import { totalmem } from 'node:os';
import type { Host } from '../kernel/task/host.ts';

/** The guest's memory is one 4 GiB linear memory: more than 2 GiB in use leaves no room for reservations. */
const MEMORY_CEILING = 2 * 1024 ** 3;

export class NodeHost implements Host {
  readonly memoryTotal: number;
  readonly #realtimeOffset: bigint;
  #random: ((dst: Uint8Array) => number) | null = null;

  constructor(memoryLimit?: number) {
    this.memoryTotal = Math.min(memoryLimit ?? totalmem(), MEMORY_CEILING);
    this.#realtimeOffset = BigInt(Date.now()) * 1_000_000n - process.hrtime.bigint();
  }
  monotonic(): [number, number] {
    const [sec, nsec] = process.hrtime();
    return [sec, nsec];
  }
  realtime(): [number, number] {
    // Date.now() follows clock adjustments; the monotonic clock supplies what lies below a millisecond.
    const now = process.hrtime.bigint() + this.#realtimeOffset;
    const drift = BigInt(Date.now()) * 1_000_000n - now;
    const exact = drift > 50_000_000n || drift < -50_000_000n ? now + drift : now;
    return [Number(exact / 1_000_000_000n), Number(exact % 1_000_000_000n)];
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
