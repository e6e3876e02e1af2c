/**
 * Where things lie in a guest's address space. Nothing is random: the same program sees the same addresses in every
 * run, and an image its translations were made for.
 *
 *   0x0001_0000  vm.mmap_min_addr
 *   0x0040_0000  non-PIE executables (their own choice), their heap behind them
 *   0x5555_4000  PIE executables, their heap behind them
 *   ...          mmap area, filled from the top down
 *   0xcb00_0000  image window: shared libraries and interpreters, each at an address of its own (load-address-book.ts)
 *   0xeb7f_f000  end of the mmap area
 *                64 MiB never given out by mmap, so that stack overflows hit unmapped memory
 *   0xef7f_f000  main stack (8 MiB by default)
 *   0xefff_f000  its end
 */
import { GUEST_LIMIT, PAGE_SIZE } from './guest-memory.ts';

export const PIE_BASE = 0x5555_4000;
export const STACK_TOP = GUEST_LIMIT - PAGE_SIZE;
/** Unmapped space kept below the main stack. */
export const STACK_GUARD = 64 << 20;
export const IMAGE_WINDOW_SIZE = 512 << 20;
/** The largest main stack; RLIMIT_STACK above it (or unlimited) gives this much. */
export const MAX_STACK = 512 << 20;

export interface Layout {
  readonly stackBottom: number;
  readonly stackTop: number;
  /** End of the mmap area and of the image window. */
  readonly mmapTop: number;
  /** Start of the image window: where the top-down search of the mmap area begins. */
  readonly mmapBase: number;
}

/** Layout for a main stack of `stackSize` bytes (rounded up to pages, clamped to MAX_STACK). */
export function makeLayout(stackSize: number): Layout {
  const size = Math.min(Math.max(pageUp(stackSize), 32 * PAGE_SIZE), MAX_STACK);
  const stackBottom = STACK_TOP - size;
  const mmapTop = stackBottom - STACK_GUARD;
  return { stackBottom, stackTop: STACK_TOP, mmapTop, mmapBase: mmapTop - IMAGE_WINDOW_SIZE };
}

/** Rounds up to a page; exact for every double below 2^53 and harmless above. */
export function pageUp(n: number): number {
  return Math.ceil(n / PAGE_SIZE) * PAGE_SIZE;
}
export function pageDown(n: number): number {
  return n - (n % PAGE_SIZE);
}
export function pageOffset(n: number): number {
  return n % PAGE_SIZE;
}
