/** A listener's queue of connections that wait to be accepted. */
import { SOMAXCONN } from './constants.ts';
import type { TcpSocket } from './tcp.ts';

export class Backlog {
  #queue: TcpSocket[] = [];
  #limit = 0;
  /** Connections beyond the limit: they wait as if their SYN had been dropped. */
  #pending: (() => void)[] = [];

  /** listen(2)'s argument, cut to net.core.somaxconn. */
  get limit(): number {
    return this.#limit;
  }
  set limit(backlog: number) {
    this.#limit = Math.min(backlog >>> 0, SOMAXCONN);
    this.#admit();
  }
  get length(): number {
    return this.#queue.length;
  }
  get first(): TcpSocket | null {
    return this.#queue[0] ?? null;
  }
  get #full(): boolean {
    return this.#queue.length > this.#limit;
  }
  push(child: TcpSocket): void {
    this.#queue.push(child);
  }
  remove(child: unknown): void {
    this.#queue = this.#queue.filter((s) => s !== child);
    this.#admit();
  }
  /** Runs `join` now, or when there is room. */
  whenRoom(join: () => void): void {
    if (this.#full) this.#pending.push(join);
    else join();
  }
  #admit(): void {
    while (!this.#full && this.#pending.length > 0) this.#pending.shift()!();
  }
  /** Empties it: connections nobody accepted, and what those do that waited to become one. */
  clear(): { queue: TcpSocket[]; pending: (() => void)[] } {
    const left = { queue: this.#queue, pending: this.#pending };
    this.#queue = [];
    this.#pending = [];
    return left;
  }
}
