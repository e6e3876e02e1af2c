/**
 * Where registers are read from the vCPU state into their locals, and written back. At each point a register is in one of
 * three states: in the vCPU state alone (_absent_), in both, or newer in its local (_dirty_). Reads happen as late as
 * possible, so that the short ways through a function do not pay for the long ones. Where ways meet that disagree, code on
 * the edges makes them agree.
 */
import { CONST, TEMPS } from '../ir/layout.ts';
import { atReturn, type BlockFlow, type FlowOptions, isAccess, mayLeave, type RegionFlow } from './dataflow.ts';
import { isBackEdge, isDispatch, type Region, successors } from './discover.ts';
import { components } from './graph.ts';
import type { RegisterUnits, Units } from './units.ts';

/** What a block does to registers, whatever surrounds it. */
interface Effect {
  /** Needed in their locals at the start: read before they are written. */
  readonly needed: Units;
  readonly touched: Units;
  readonly written: Units;
  /** Given up before anybody could see them: written before they are read, with no way out of the region in between. */
  readonly hidden: Units;
}

/** What goes from a block to the next one. */
interface Out {
  readonly absent: Units;
  readonly dirty: Units;
}

/** Reads into locals that an edge makes. */
export const loadsOnEdge = (from: BlockFlow, to: BlockFlow): Units => from.absentOut & ~to.absentIn & to.liveIn;
/** Writes to the vCPU state that an edge makes. */
export const storesOnEdge = (from: BlockFlow, to: BlockFlow): Units => from.dirtyNext & to.absentIn & to.matters;

function effectOf(flow: BlockFlow, region: Region, units: RegisterUnits, options: FlowOptions): Effect {
  const { block } = flow;
  let needed = 0n;
  let written = 0n;
  let touched = 0n;
  let seen = 0n;
  const faults = options.exactFaults && block.insts.some(isAccess);
  for (const inst of block.insts) {
    const reads = units.reads(inst);
    seen |= (mayLeave(inst) || faults ? units.all : reads) & ~written;
    needed |= reads & ~written;
    touched |= reads;
    written |= units.writes(inst);
  }
  // A fault in the block writes back all that is dirty at its end.
  if (faults) needed |= written;
  const e = block.exit;
  const ends = (slot: number): void => {
    const set = slot === CONST || slot >= TEMPS ? 0n : units.of(slot);
    needed |= set & ~written;
    touched |= set;
  };
  if (e.kind === 'branch') {
    ends(e.condition.a);
    ends(e.condition.b);
  } else if ('slot' in e) ends(e.slot);
  let passed = 0n;
  if (e.kind === 'ret') passed = units.results;
  else if (
    e.kind === 'call' ||
    e.kind === 'return' ||
    (e.kind === 'indirect' && (region.dispatch.length === 0 || !isDispatch(block)))
  )
    passed = units.params;
  else if (e.kind !== 'indirect' && successors(block, []).some((pc) => !region.blocks.has(pc))) passed = units.params;
  needed |= passed & ~written;
  touched |= passed | written | needed;
  return { needed, touched, written, hidden: written & ~(seen | needed) };
}

/** Registers that some instruction may still read before they are written, at the start of each block. */
function usedLater(region: Region, effects: ReadonlyMap<number, Effect>): Map<number, Units> {
  const used = new Map<number, Units>();
  const predecessors = predecessorsOf(region);
  const work = [...region.blocks.keys()];
  let atDispatch = 0n;
  const targets = new Set(region.dispatch);
  while (work.length > 0) {
    const pc = work.pop()!;
    const block = region.blocks.get(pc)!;
    const { needed, written } = effects.get(pc)!;
    let out = 0n;
    // A call leaves nothing in locals.
    if (block.exit.kind !== 'call') for (const next of successors(block, [])) out |= used.get(next) ?? 0n;
    if (isDispatch(block)) out |= atDispatch;
    const now = needed | (out & ~written);
    if (used.get(pc) === now) continue;
    used.set(pc, now);
    work.push(...(predecessors.get(pc) ?? []));
    if (targets.has(pc) && (atDispatch | now) !== atDispatch) {
      atDispatch |= now;
      for (const [site, b] of region.blocks) if (isDispatch(b)) work.push(site);
    }
  }
  return used;
}

/** Registers that somebody may come to see, at the start of each block. Sets `matters`. */
function spreadMatters(
  region: Region,
  units: RegisterUnits,
  regionFlow: RegionFlow,
  options: FlowOptions,
  effects: ReadonlyMap<number, Effect>,
): void {
  const flows = regionFlow.blocks;
  const predecessors = predecessorsOf(region);
  const work = [...flows.keys()];
  for (const flow of flows.values()) flow.matters = 0n;
  const outside = (pc: number): Units => units.all & ~options.deadAt(pc);
  const reached = new Set<number>();
  while (work.length > 0) {
    const pc = work.pop()!;
    const flow = flows.get(pc)!;
    const { exit } = flow.block;
    let out = 0n;
    if (exit.kind === 'call') out = exit.target === null ? units.all : outside(exit.target);
    else if (exit.kind === 'ret') out = atReturn({ ...flow, dirtyOut: units.all }, units);
    else if (exit.kind === 'jump' || exit.kind === 'branch')
      for (const next of successors(flow.block, [])) {
        const to = flows.get(next);
        // Back edges poll.
        if (!to || isBackEdge(flow.block, next)) out |= outside(next);
        if (to) out |= to.matters;
      }
    else out = units.all;
    const { needed, hidden } = effects.get(pc)!;
    const now = needed | (out & ~hidden);
    if (now === flow.matters && reached.has(pc)) continue;
    reached.add(pc);
    flow.matters = now;
    work.push(...(predecessors.get(pc) ?? []));
  }
}

function predecessorsOf(region: Region): Map<number, number[]> {
  const predecessors = new Map<number, number[]>();
  for (const [pc, block] of region.blocks)
    for (const next of successors(block, [])) {
      const list = predecessors.get(next);
      if (list) list.push(pc);
      else predecessors.set(next, [pc]);
    }
  return predecessors;
}

/** Blocks that can be reached from themselves. */
function blocksInCycles(region: Region): Set<number> {
  const all = [...region.blocks.keys()];
  const number = new Map(all.map((pc, k) => [pc, k]));
  const next = all.map((pc) =>
    successors(region.blocks.get(pc)!, region.dispatch).flatMap((to) => (number.has(to) ? [number.get(to)!] : [])),
  );
  const out = new Set<number>();
  for (const component of components(next)) for (const node of component) out.add(all[node]!);
  return out;
}

/** States at the starts and ends of all blocks. `flows` is changed in place. */
export function placeRegisters(
  region: Region,
  units: RegisterUnits,
  regionFlow: RegionFlow,
  options: FlowOptions,
): void {
  const flows = regionFlow.blocks;
  const effects = new Map<number, Effect>();
  for (const [pc, flow] of flows) {
    effects.set(pc, effectOf(flow, region, units, options));
    flow.dirtyIn = 0n;
    flow.absentIn = 0n;
  }
  const used = usedLater(region, effects);
  spreadMatters(region, units, regionFlow, options, effects);
  const predecessors = predecessorsOf(region);
  const cyclic = blocksInCycles(region);
  const outs = new Map<number, Out>();
  const targets = new Set(region.dispatch);
  // Few of an interpreter's handlers want what another has left in a register: it is not carried around the loop.
  let wanted = units.params;
  for (const pc of targets) wanted |= used.get(pc)!;
  const dispatchAbsent = targets.size > 0 ? units.all & ~wanted : 0n;
  // Entered at several places, a region has its registers read before any of them.
  const first: Out = { absent: targets.size > 0 ? 0n : units.all & ~units.params, dirty: units.params };
  let atDispatch = units.params;
  const work = [...targets, region.entry];
  while (work.length > 0) {
    const pc = work.pop()!;
    const flow = flows.get(pc)!;
    const ins: Out[] = pc === region.entry ? [first] : [];
    if (targets.has(pc)) ins.push({ absent: dispatchAbsent, dirty: atDispatch });
    for (const p of predecessors.get(pc) ?? []) {
      const out = outs.get(p);
      if (out) ins.push(out);
    }
    let dirty = 0n;
    let some = 0n;
    let every = units.all;
    for (const out of ins) {
      dirty |= out.dirty;
      some |= out.absent;
      every &= out.absent;
    }
    // Nobody wants it here. If it is dirty on another way it had better be written back there, except in loops, where it
    // is likely to be written again before the loop ends.
    const unwanted = some & ~used.get(pc)!;
    // Nothing is read or written between an indirect jump's target and the node before it.
    flow.absentIn = targets.has(pc)
      ? dispatchAbsent
      : every | (cyclic.has(pc) ? unwanted & ~(dirty & flow.matters) : unwanted);
    flow.dirtyIn = dirty & ~flow.absentIn;
    const { touched, written } = effects.get(pc)!;
    flow.dirtyOut = flow.dirtyIn | written;
    const call = flow.block.exit.kind === 'call';
    const out: Out = call
      ? { absent: units.all & ~units.results, dirty: units.results }
      : { absent: flow.absentIn & ~touched, dirty: flow.dirtyOut };
    flow.loads = flow.absentIn & effects.get(pc)!.needed;
    const before = outs.get(pc);
    if (before && before.absent === out.absent && before.dirty === out.dirty) continue;
    outs.set(pc, out);
    flow.absentOut = out.absent;
    flow.dirtyNext = out.dirty;
    for (const next of successors(flow.block, [])) if (flows.has(next)) work.push(next);
    // All indirect jumps meet before they part again.
    const kept = out.dirty & ~dispatchAbsent;
    if (isDispatch(flow.block) && (atDispatch | kept) !== atDispatch) {
      atDispatch |= kept;
      work.push(...targets);
    }
  }
  regionFlow.dispatchDirty = atDispatch;
  regionFlow.dispatchAbsent = dispatchAbsent;
  for (const flow of flows.values()) flow.faultSpill = flow.dirtyOut;
}
