/** Mistakes made on purpose, behind the passes: tests of --jit=verify see that each is found. */
import type { BlockFlow, RegionFlow } from './dataflow.ts';
import type { RegisterUnits } from './units.ts';

const faults: Readonly<Record<string, (flow: BlockFlow, units: RegisterUnits) => void>> = {
  /** The last setting of flags is taken to be dead. */
  flags({ block }, units) {
    const k = block.insts.findLastIndex((inst) => (units.writes(inst) & units.flags) !== 0n);
    if (k >= 0) block.insts.splice(k, 1);
  },
  /** A register that is not passed to others is not written back. */
  registers(flow, units) {
    const kept = flow.dirtyOut & ~units.params & ~units.results & ~units.flags;
    flow.dirtyOut &= ~(kept & -kept);
  },
  /** A register is taken to be dead at the start of a block. */
  liveness(flow, units) {
    const live = flow.liveIn & ~units.params & ~units.flags;
    flow.liveIn &= ~(live & -live);
  },
  /** A store is left out. */
  stores({ block }) {
    const k = block.insts.findIndex((inst) => inst.op.kind === 'store');
    if (k >= 0) block.insts.splice(k, 1);
  },
};

export const faultNames: readonly string[] = Object.keys(faults);

export function injectFault(name: string, flows: RegionFlow, units: RegisterUnits): void {
  const inject = faults[name];
  if (!inject) throw new Error(`no fault named ${name}`);
  for (const flow of flows.blocks.values()) inject(flow, units);
}
