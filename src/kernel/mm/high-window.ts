/**
 * Memory above 4 GiB, for programs that insist on it. All that a guest can map lies below: another address than the one that mmap(2) was
 * asked for is the kernel's right, and most programs take it. The run-time system of GHC does not: it wants its heap above 8 GiB, where
 * nothing else is, gives back what lies below, and asks again a page further on, for ever (rts/posix/OSMem.c, osReserveHeapMemory).
 *
 * To such a program its memory is there a second time: bits of the upper half of an address that are set in `high` do not count. Translated
 * code looks at lower halves alone as a rule; the interpreter, and code that checks, leave the bits out (`GuestMemory.foldAddresses`).
 * Code is executed where it lies, below.
 */
import type { GuestMemory } from './guest-memory.ts';
import type { VmaList } from './vma.ts';

const TWO32 = 0x1_0000_0000;
/** As often in a row has a program given back what it got, and asked for as much next to where it had wanted it. */
const REFUSALS = 3;

export class HighWindow {
  readonly #memory: GuestMemory;
  readonly #list: VmaList;
  #high = 0;
  #refusals = 0;
  #last = { high: 0, start: 0, end: 0 };

  constructor(memory: GuestMemory, list: VmaList) {
    this.#memory = memory;
    this.#list = list;
    memory.foldAddresses?.(0);
  }

  /** Bits of the upper half of addresses that do not count; 0 for all but few programs. */
  get high(): number {
    return this.#high;
  }
  set high(high: number) {
    this.#high = high;
    this.#memory.foldAddresses?.(high);
  }

  /** Where what the program means by `address` lies. */
  low(address: number): number {
    return address - this.part(address);
  }
  /** What of `address` does not count. */
  part(address: number): number {
    if (address < TWO32 || this.#high === 0) return 0;
    return ((Math.floor(address / TWO32) & this.#high) >>> 0) * TWO32;
  }

  /**
   * A mapping of `length` bytes is wanted near an address with this upper half, which is not 0: the upper half that it gets.
   * `placed` is to follow.
   */
  ask(high: number, length: number): number {
    if (this.#high === 0 && this.#memory.foldAddresses !== undefined) {
      const { start, end, high: before } = this.#last;
      const givenBack = high === before && length === end - start && !this.#list.overlaps(start, end);
      this.#refusals = givenBack ? this.#refusals + 1 : 0;
      if (this.#refusals >= REFUSALS) this.high = high;
    }
    return high === this.#high ? high : 0;
  }
  /** What was asked for with that upper half lies at [start, end). */
  placed(high: number, start: number, end: number): void {
    this.#last = { high, start, end };
  }
}
