/**
 * Dataflow over a region: which registers may be dirty (newer in their local than in the vCPU state), and which are live
 * (needed in their local). Where a region is left, dirty ones are written back, which makes them live there.
 */
import type { Block, Inst, RegionExit } from '../ir/block.ts';
import { isWhole } from '../ir/expr.ts';
import { CONST, TEMPS } from '../ir/layout.ts';
import { isBackEdge, isDispatch, type Region, successors } from './discover.ts';
import { loadsOnEdge, placeRegisters, storesOnEdge } from './placement.ts';
import type { RegisterUnits, Units } from './units.ts';

export interface BlockFlow {
  readonly block: Block<RegionExit>;
  /** Dirty at the start. */
  dirtyIn: Units;
  /** Dirty at the end, before the exit. */
  dirtyOut: Units;
  /** Dirty for the blocks that follow: behind a call, what it gave back. */
  dirtyNext: Units;
  /** Not in their locals at the start, and for the blocks that follow. */
  absentIn: Units;
  absentOut: Units;
  /** To be read into their locals at the start. */
  loads: Units;
  /** At the start: the others are written before anybody could see them. */
  matters: Units;
  liveIn: Units;
  /**
   * Flags at its end come from an adjustment of the stack pointer. They say nothing that the code a return goes to could want
   * to know, and most returns have them: they are not written back there.
   */
  readonly flagsOfStack: boolean;
  /** What faults anywhere in the block write back (exact mode). */
  faultSpill: Units;
}

export interface FlowOptions {
  /** Memory accesses may fault with exact state: the block's dirty registers are live throughout. */
  exactFaults: boolean;
  /** What is dead when the guest goes to `pc`, inside of the region or not. */
  deadAt: (pc: number) => Units;
}

/** Whether an instruction may leave the region after having looked at its inputs. */
export const mayLeave = (inst: Inst): boolean => inst.op.kind === 'helper';
export const isAccess = (inst: Inst): boolean =>
  inst.op.kind === 'load' || inst.op.kind === 'store' || inst.op.kind === 'rmw';

/** What the blocks of a region share. */
export interface RegionFlow {
  readonly blocks: Map<number, BlockFlow>;
  readonly dispatch: readonly number[];
  /** Dirty between the indirect jumps inside the region and their targets. */
  dispatchDirty: Units;
  /** In the vCPU state alone there: no target wants them in their locals. */
  dispatchAbsent: Units;
  /** Live at any of their targets. */
  dispatchLive: Units;
}

/** Runs the analysis, and removes from the blocks what turns out dead. */
export function analyse(region: Region, units: RegisterUnits, options: FlowOptions): RegionFlow {
  const blocks = new Map<number, BlockFlow>();
  for (const [pc, block] of region.blocks)
    blocks.set(pc, {
      block,
      dirtyIn: 0n,
      dirtyOut: 0n,
      dirtyNext: 0n,
      absentIn: 0n,
      absentOut: 0n,
      loads: 0n,
      matters: 0n,
      liveIn: 0n,
      flagsOfStack: flagsOfStack(block, units),
      faultSpill: 0n,
    });
  const flows: RegionFlow = {
    blocks,
    dispatch: region.dispatch,
    dispatchDirty: 0n,
    dispatchAbsent: 0n,
    dispatchLive: 0n,
  };
  placeRegisters(region, units, flows, options);
  spreadLive(region, units, flows, options);
  for (const flow of blocks.values()) removeDead(flow, units, flows, options);
  // With dead writes gone fewer registers are dirty, and fewer live.
  placeRegisters(region, units, flows, options);
  spreadLive(region, units, flows, options);
  return flows;
}

/** What a return writes back. */
export const atReturn = (flow: BlockFlow, units: RegisterUnits): Units =>
  flow.flagsOfStack ? flow.dirtyOut & ~units.flags : flow.dirtyOut;

/** Whether the flags at the end of a block come from an adjustment of the stack pointer. */
function flagsOfStack(block: Block<RegionExit>, units: RegisterUnits): boolean {
  const setter = block.insts.findLast((inst) => (units.writes(inst) & units.flags) !== 0n);
  return (setter?.op.name.startsWith('flags.') ?? false) && setter?.inputs[0] === units.abi.sp;
}

/** Live at the end of a block, after its instructions. */
export function liveAtExit(flow: BlockFlow, units: RegisterUnits, regionFlow: RegionFlow, options: FlowOptions): Units {
  const flows = regionFlow.blocks;
  const e = flow.block.exit;
  const leaving = flow.dirtyOut | units.params;
  const operand = (slot: number): Units => (slot >= TEMPS ? 0n : units.of(slot));
  const to = (pc: number): Units => {
    const next = flows.get(pc);
    if (!next) return leave(pc);
    // A back edge polls, and may leave with everything written back.
    const inside = (next.liveIn & ~loadsOnEdge(flow, next) & ~next.absentIn) | storesOnEdge(flow, next);
    return inside | (isBackEdge(flow.block, pc) ? writtenBack(flow.dirtyOut, pc) : 0n);
  };
  const writtenBack = (set: Units, pc: number): Units => set & ~options.deadAt(pc);
  const leave = (pc: number): Units => writtenBack(leaving, pc);
  switch (e.kind) {
    case 'jump':
      return to(e.target);
    case 'branch':
      return (
        to(e.taken) |
        to(e.fallthrough) |
        operand(e.condition.a) |
        (e.condition.b === CONST ? 0n : operand(e.condition.b))
      );
    case 'call':
      return e.target === null ? leaving | operand(e.slot) : leave(e.target);
    case 'return':
      return to(e.to) | leaving | operand(e.slot);
    case 'ret':
      return atReturn(flow, units) | units.results | operand(e.slot);
    case 'indirect': {
      if (regionFlow.dispatch.length === 0 || !isDispatch(flow.block)) return leaving | operand(e.slot);
      const stored = flow.dirtyNext & regionFlow.dispatchAbsent;
      return stored | ((regionFlow.dispatchDirty | regionFlow.dispatchLive) & ~flow.absentOut) | operand(e.slot);
    }
    case 'syscall':
    case 'trap':
      return flow.dirtyOut;
  }
}

function spreadLive(region: Region, units: RegisterUnits, regionFlow: RegionFlow, options: FlowOptions): void {
  const flows = regionFlow.blocks;
  const predecessors = new Map<number, number[]>();
  for (const [pc, { block }] of flows)
    for (const next of successors(block, [])) {
      const list = predecessors.get(next);
      if (list) list.push(pc);
      else predecessors.set(next, [pc]);
    }
  // What a block needs of its own accord, and what it hides from those before it.
  const gen = new Map<number, Units>();
  const kill = new Map<number, Units>();
  for (const [pc, flow] of flows) {
    flow.liveIn = 0n;
    let needed = 0n;
    let hidden = 0n;
    let dirty = flow.dirtyIn;
    if (options.exactFaults && flow.block.insts.some(isAccess)) needed |= flow.faultSpill;
    for (const inst of flow.block.insts) {
      let reads = units.reads(inst);
      if (mayLeave(inst)) reads |= dirty;
      needed |= reads & ~hidden;
      const writes = units.writes(inst);
      hidden |= writes;
      dirty |= writes;
    }
    gen.set(pc, needed);
    kill.set(pc, hidden);
  }
  regionFlow.dispatchLive = 0n;
  const targets = new Set(region.dispatch);
  const sites = targets.size === 0 ? [] : [...region.blocks].filter(([, b]) => isDispatch(b)).map(([pc]) => pc);
  const work = [...region.blocks.keys()];
  const queued = new Set(work);
  while (work.length > 0) {
    const pc = work.pop()!;
    queued.delete(pc);
    const flow = flows.get(pc)!;
    const live = gen.get(pc)! | (liveAtExit(flow, units, regionFlow, options) & ~kill.get(pc)!);
    if (live === flow.liveIn) continue;
    flow.liveIn = live;
    const again = [...(predecessors.get(pc) ?? [])];
    if (targets.has(pc) && (regionFlow.dispatchLive | live) !== regionFlow.dispatchLive) {
      regionFlow.dispatchLive |= live;
      again.push(...sites);
    }
    for (const p of again)
      if (!queued.has(p)) {
        queued.add(p);
        work.push(p);
      }
  }
}

/** Removes ops without effect whose results nobody needs: settings of flags above all. */
function removeDead(flow: BlockFlow, units: RegisterUnits, flows: RegionFlow, options: FlowOptions): void {
  const { block } = flow;
  const { insts } = block;
  let live = liveAtExit(flow, units, flows, options);
  /** Temporaries read later in the same guest instruction, by 8 bytes. */
  const temps = new Set<number>();
  const readTemp = (slot: number, wide: boolean): void => {
    if (slot < TEMPS) return;
    temps.add(slot >> 3);
    if (wide) temps.add((slot >> 3) + 1);
  };
  const e = block.exit;
  if (e.kind === 'branch') {
    readTemp(e.condition.a, false);
    if (e.condition.b !== CONST) readTemp(e.condition.b, false);
  } else if ('slot' in e) readTemp(e.slot, false);
  const dirtyBefore: Units[] = [];
  let dirty = flow.dirtyIn;
  for (const inst of insts) {
    dirtyBefore.push(dirty);
    dirty |= units.writes(inst);
  }
  let pc = block.exitPc;
  const kept: Inst[] = [];
  for (let k = insts.length - 1; k >= 0; k--) {
    const inst = insts[k]!;
    if (inst.pc !== pc) {
      temps.clear();
      pc = inst.pc;
    }
    const { op, d } = inst;
    const writes = units.writes(inst);
    const tempResult = op.result !== null && d >= TEMPS;
    const removable = op.kind === 'pure' || (op.kind === 'state' && (op.writes.length > 0 || op.result !== null));
    if (removable && !effectful(inst)) {
      const tempNeeded = tempResult && (temps.has(d >> 3) || (isWhole(op.result) && temps.has((d >> 3) + 1)));
      const registersKept =
        op.writes.every((slot) => units.has(slot)) && (op.result === null || d >= TEMPS || units.has(d));
      if (registersKept && !tempNeeded && (writes & live) === 0n) continue;
    }
    if (tempResult && (d & 7) === 0 && !['i8', 'i16', 'l32', 'f32'].includes(op.result!)) {
      temps.delete(d >> 3);
      if (isWhole(op.result)) temps.delete((d >> 3) + 1);
    }
    live &= ~writes;
    live |= units.reads(inst);
    if (mayLeave(inst)) live |= dirtyBefore[k]!;
    if (options.exactFaults && isAccess(inst)) live |= flow.faultSpill;
    for (let n = 0; n < op.inputs.length; n++)
      if (inst.inputs[n] !== CONST) readTemp(inst.inputs[n]!, op.inputs[n] === 'v128');
    kept.push(inst);
  }
  block.insts.splice(0, insts.length, ...kept.reverse());
}

/** Reads of a clock must stay, though nothing says what they touch. */
const effectful = (inst: Inst): boolean =>
  inst.op.kind === 'state' && inst.op.reads.length === 0 && inst.op.writes.length === 0;
