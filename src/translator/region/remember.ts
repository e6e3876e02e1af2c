/** Lifting each block once for all who look at it, from module to module. */
import type { RegionBlock, RegionFrontEnd } from './abi.ts';

/** Blocks that are remembered; with more, all are forgotten. */
const MOST = 2000;
/** Bytes behind a block that may have been looked at to find its end. */
const LONGEST_INSTRUCTION = 15;

interface Remembered {
  readonly lifted: RegionBlock;
  /** Where the bytes that may be executed ended. */
  readonly limit: number;
  /** Bytes of the guest that it was made from. */
  readonly bytes: Uint8Array;
}

const memories = new WeakMap<RegionFrontEnd, RegionFrontEnd>();

/**
 * The front end, which remembers blocks that were lifted without knowing anything of what surrounds them. They are not to be
 * changed.
 */
export function remembering(front: RegionFrontEnd): RegionFrontEnd {
  const made = memories.get(front);
  if (made) return made;
  const known = new Map<number, Remembered>();
  const liftRegionBlock: RegionFrontEnd['liftRegionBlock'] = (code, pc, limit, leaders, flags) => {
    if (leaders !== null || flags !== null) return front.liftRegionBlock(code, pc, limit, leaders, flags);
    const before = known.get(pc);
    if (before && isSame(before, code, pc, limit)) return before.lifted;
    const lifted = front.liftRegionBlock(code, pc, limit, null, null);
    if (!lifted) return null;
    if (known.size >= MOST) known.clear();
    known.set(pc, { lifted, limit, bytes: code.slice(pc, lifted.block.end) });
    return lifted;
  };
  const memory: RegionFrontEnd = {
    table: front.table,
    abi: front.abi,
    liftRegionBlock,
    raisesFloatFlags: (block) => front.raisesFloatFlags(block),
    sameFlags: (a, b) => front.sameFlags(a, b),
  };
  memories.set(front, memory);
  return memory;
}

/** Whether a block would be made of the same bytes now. */
function isSame({ limit: before, bytes }: Remembered, code: Uint8Array, pc: number, limit: number): boolean {
  const end = pc + bytes.length;
  if (limit !== before && end + LONGEST_INSTRUCTION > Math.min(limit, before)) return false;
  return sameBytes(code, pc, bytes);
}

/** Whether `code` has `bytes` at `at`. Indices stay small, for V8's sake. */
export function sameBytes(code: Uint8Array, at: number, bytes: Uint8Array): boolean {
  const now = code.subarray(at, at + bytes.length);
  for (let k = 0; k < bytes.length; k++) if (now[k] !== bytes[k]) return false;
  return true;
}
