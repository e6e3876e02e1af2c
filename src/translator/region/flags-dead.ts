/** Whether code elsewhere wants to know the flags. */
import type { RegionFrontEnd } from './abi.ts';
import type { CodeReader } from './discover.ts';
import type { RegisterUnits } from './units.ts';

/** Whether the code at `pc` sets every flag before it reads one. The bytes it looks at are added to `looked`. */
export function flagsDeadAt(
  front: RegionFrontEnd,
  code: CodeReader,
  units: RegisterUnits,
  pc: number,
  looked: [number, number][],
): boolean {
  let live = units.flags;
  let at = pc;
  for (let hop = 0; hop < 3; hop++) {
    const limit = code.limit(at);
    const lifted = limit > at ? front.liftRegionBlock(code.bytes, at, limit, null, null) : null;
    if (!lifted) return false;
    looked.push([at, lifted.block.end]);
    for (const inst of lifted.block.insts) {
      if (inst.op.opaque || (units.reads(inst) & live) !== 0n) return false;
      // Reads of flags that were set here are of no interest.
      live &= ~(units.writes(inst) & units.flags);
      if (live === 0n) return true;
    }
    const e = lifted.block.exit;
    if (e.kind === 'jump') at = e.target;
    else if (e.kind === 'call' && e.target !== null) at = e.target;
    else return false;
  }
  return false;
}
