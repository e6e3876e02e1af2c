/** Lifting each block once for all who look at it while a module is made. */
import type { RegionBlock, RegionFrontEnd } from './abi.ts';

/** The front end, which remembers blocks that were lifted without knowing anything of what surrounds them. They are not to be changed. */
export function remembering(front: RegionFrontEnd): RegionFrontEnd {
  const known = new Map<number, RegionBlock | null>();
  const liftRegionBlock: RegionFrontEnd['liftRegionBlock'] = (code, pc, limit, leaders, flags) => {
    if (leaders !== null || flags !== null) return front.liftRegionBlock(code, pc, limit, leaders, flags);
    let block = known.get(pc);
    if (block === undefined) {
      block = front.liftRegionBlock(code, pc, limit, null, null);
      known.set(pc, block);
    }
    return block;
  };
  return {
    table: front.table,
    abi: front.abi,
    liftRegionBlock,
    raisesFloatFlags: (block) => front.raisesFloatFlags(block),
    sameFlags: (a, b) => front.sameFlags(a, b),
  };
}
