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
 * Top-down search that remembers how far down it has looked: every gap above `#below` is smaller than `#largest + 1`,
 * so a larger request need not look there again. The answers are those of `highestGap`.
 */
export class GapFinder {
  readonly #list: VmaList;
  #below = Infinity;
  #largest = 0;

  constructor(list: VmaList) {
    this.#list = list;
  }

  /** Something at or above `start` was unmapped. */
  freed(end: number): void {
    if (end > this.#below) this.forget();
  }
  forget(): void {
    this.#below = Infinity;
    this.#largest = 0;
  }

  find(length: number, low: number, high: number): number {
    if (this.#below < high && length > this.#largest) {
      const start = highestGap(this.#list, length, low, this.#below);
      if (start >= 0) this.#below = start;
      return start;
    }
    const start = highestGap(this.#list, length, low, high);
    if (start >= 0) {
      // All gaps above the one found are smaller than the request.
      this.#below = start;
      this.#largest = length - 1;
    }
    return start;
  }
}
