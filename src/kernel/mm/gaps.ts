/** Free space between VMAs. */
import type { VmaList } from './vma.ts';

/** The highest `start` with `[start, start + length)` free inside `[low, high)`, or -1. */
export function highestGap(list: VmaList, length: number, low: number, high: number): number {
  const { items } = list;
  let top = high;
  for (let i = list.indexFrom(high - 1); i >= 0; i--) {
    const vma = items[i];
    if (!vma || vma.start >= top) continue;
    if (top - Math.max(vma.end, low) >= length) return top - length;
    top = Math.min(top, vma.start);
    if (top - length < low) return -1;
  }
  return top - length >= low ? top - length : -1;
}

/** The lowest free `start` inside `[low, high)` that is `low` or the end of a VMA rounded up to `align`; -1 for none. */
export function lowestGap(list: VmaList, length: number, low: number, high: number, align: number): number {
  let at = low;
  for (let i = list.indexFrom(low); at + length <= high; i++) {
    const vma = list.items[i];
    if (!vma || vma.start >= at + length) return at;
    at = Math.ceil(vma.end / align) * align;
  }
  return -1;
}

/**
 * Top-down search that remembers how far down it has looked: every gap above `#below` has at most `#largest` bytes, so
 * a larger request need not look there again. The answers are those of `highestGap`.
 */
export class GapFinder {
  readonly #list: VmaList;
  #below = Infinity;
  #largest = 0;

  constructor(list: VmaList) {
    this.#list = list;
  }

  /** Memory that ends at `end` was unmapped. */
  freed(end: number): void {
    if (end > this.#below) this.forget();
  }
  /** To be called, too, when a range found is not mapped after all. */
  forget(): void {
    this.#below = Infinity;
    this.#largest = 0;
  }

  find(length: number, low: number, high: number): number {
    const skip = length > this.#largest && this.#below < high;
    const start = highestGap(this.#list, length, low, skip ? this.#below : high);
    if (start >= 0 && length > this.#largest) {
      this.#below = start;
      this.#largest = length - 1;
    }
    return start;
  }
}
