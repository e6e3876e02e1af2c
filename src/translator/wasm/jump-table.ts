/**
 * Tables by which indirect jumps find their targets in a region, indexed by the distance in bytes from the first: the number of the
 * target, NO_TARGET where there is none. Where targets are few and far between there is a table of pages before those.
 */

/** In tables: there is no such target. */
export const NO_TARGET = 0xffff;
/** Bytes of guest code by entry of the first table of two. */
export const PAGE_BITS = 8;
const PAGE = 1 << PAGE_BITS;
/** Of guest code, with one table: so many bytes, and so many more by target. */
const ALWAYS = 4096;
const BY_TARGET = 1024;

export interface JumpTable {
  readonly words: Uint16Array;
  /** Two: entry distance >> PAGE_BITS is where the page's own table begins in `words`, in units of PAGE. */
  readonly levels: 1 | 2;
}

/** Table for `size` bytes from `low` on, which all `targets` are in: 0 for the first of them, and so on. */
export function jumpTable(low: number, size: number, targets: readonly number[]): JumpTable {
  if (size <= ALWAYS + BY_TARGET * targets.length) {
    const words = new Uint16Array((size + 3) & ~3).fill(NO_TARGET);
    targets.forEach((pc, k) => {
      words[pc - low] = k;
    });
    return { words, levels: 1 };
  }
  const first = Math.ceil(size / PAGE);
  // In front of all the page that has no target.
  const empty = Math.ceil(first / PAGE);
  const pages = new Map<number, number>();
  for (const pc of targets) {
    const page = (pc - low) >>> PAGE_BITS;
    if (!pages.has(page)) pages.set(page, empty + 1 + pages.size);
  }
  const words = new Uint16Array((empty + 1 + pages.size) * PAGE).fill(NO_TARGET);
  for (let page = 0; page < first; page++) words[page] = pages.get(page) ?? empty;
  targets.forEach((pc, k) => {
    const distance = pc - low;
    words[pages.get(distance >>> PAGE_BITS)! * PAGE + (distance & (PAGE - 1))] = k;
  });
  return { words, levels: 2 };
}
