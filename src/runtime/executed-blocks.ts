/** Where blocks that have been made of guest code begin: what has run. */
import { AddressList } from './address-list.ts';

/** Blocks that are noted and have been dropped, at most, where these are more than what is there. */
const MAX_GONE = 8192;

export class ExecutedBlocks {
  readonly #pcs = new AddressList();

  add(pc: number): void {
    this.#pcs.push(pc);
  }
  /** All of them, and what is in `more`; `alive`: those that have not been dropped since, by pc. */
  list(alive: ReadonlyMap<number, unknown> | undefined, more: readonly Uint32Array[]): Uint32Array {
    // What changes again and again is noted each time that it runs anew.
    if (alive && this.#pcs.length > 2 * alive.size + MAX_GONE) {
      this.#pcs.clear();
      for (const pc of alive.keys()) this.#pcs.push(pc);
    }
    return this.#pcs.with(more);
  }
  keep(isKept: (pc: number) => boolean): void {
    this.#pcs.keep(isKept);
  }
  clear(): void {
    this.#pcs.clear();
  }
}
