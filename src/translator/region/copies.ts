/** Copies of blocks in a region. They have numbers of their own in place of a pc: that of the original and a fraction. */
import type { RegionExit } from '../ir/block.ts';

const UNIT = 1 / 0x4000;
/** Behind those that copies of functions have. */
const FURTHER = 0.5;

/** Of a function that stands in its caller; `number`: 1 to 4095, or a half more. */
export const inlineCopyOf = (pc: number, number: number): number => pc + number * UNIT;
/** Of a block of the region, itself a copy or not; `number` tells these copies apart, 0 to 8191. */
export const furtherCopyOf = (pc: number, number: number): number => Math.floor(pc) + FURTHER + number * UNIT;

/** A jump's or a branch's exit with other targets; others stay as they are. */
export function redirected(exit: RegionExit, other: (pc: number) => number): RegionExit {
  if (exit.kind === 'jump') return { ...exit, target: other(exit.target) };
  if (exit.kind === 'branch') return { ...exit, taken: other(exit.taken), fallthrough: other(exit.fallthrough) };
  return exit;
}
