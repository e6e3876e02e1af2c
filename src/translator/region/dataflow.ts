/**
 * Dataflow over a region: which registers may be dirty (newer in their local than in the vCPU state), and which are live
 * (needed in their local). Where a region is left, dirty ones are written back, which makes them live there.
 */
import type { Block, Inst, RegionExit } from '../ir/block.ts';
import { isWhole } from '../ir/expr.ts';
import { CONST, TEMPS, VCPU_SIZE } from '../ir/layout.ts';
import type { Region } from './discover.ts';
import type { Checks } from './checks.ts';
import { FlowGraph, type FlowOptions } from './flow-graph.ts';
import { placeRegisters, WorkList } from './placement.ts';
import { isPartial, type RegisterUnits, type Units, type UnitWords } from './units.ts';

export interface BlockFlow {
  readonly block: Block<RegionExit>;
  /** Dirty at the start. */
  dirtyIn: Units;
  /** Written back at the end, before the exit. */
  early: Units;
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
  /** What the block's memory accesses are checked by. */
  readonly checks: Checks;
  /** Flags that nobody asks for any more where an instruction leaves the region. */
  readonly idleFlags: ReadonlyMap<Inst, Units>;
}

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

/** The same while it is being found out: sets of all blocks (flow-graph.ts), and sets of the region. */
export class FlowSets {
  readonly dirtyIn: UnitWords;
  readonly early: UnitWords;
  readonly dirtyOut: UnitWords;
  readonly dirtyNext: UnitWords;
  readonly absentIn: UnitWords;
  readonly absentOut: UnitWords;
  readonly loads: UnitWords;
  readonly matters: UnitWords;
  readonly mattersOut: UnitWords;
  readonly liveIn: UnitWords;
  readonly flagsOfStack: Uint8Array;
  readonly dispatchDirty: UnitWords;
  readonly dispatchAbsent: UnitWords;
  readonly dispatchLive: UnitWords;

  constructor(graph: FlowGraph) {
    this.dirtyIn = graph.sets();
    this.early = graph.sets();
    this.dirtyOut = graph.sets();
    this.dirtyNext = graph.sets();
    this.absentIn = graph.sets();
    this.absentOut = graph.sets();
    this.loads = graph.sets();
    this.matters = graph.sets();
    this.mattersOut = graph.sets();
    this.liveIn = graph.sets();
    this.flagsOfStack = Uint8Array.from(graph.blocks, (block) => Number(flagsOfStack(block, graph.units)));
    this.dispatchDirty = new Int32Array(graph.width);
    this.dispatchAbsent = new Int32Array(graph.width);
    this.dispatchLive = new Int32Array(graph.width);
  }
}

/** Runs the analysis, and removes from the blocks what turns out dead. */
export function analyse(region: Region, units: RegisterUnits, options: FlowOptions): RegionFlow {
  const graph = new FlowGraph(region, units, options);
  const sets = new FlowSets(graph);
  const liveness = new Liveness(graph, sets);
  graph.summarise();
  placeRegisters(graph, sets);
  liveness.spread();
  for (let k = 0; k < graph.blocks.length; k++) liveness.removeDead(k);
  // With dead writes gone fewer registers are dirty, and fewer live.
  graph.summarise();
  placeRegisters(graph, sets);
  liveness.spread();
  const blocks = new Map<number, BlockFlow>();
  for (const [k, block] of graph.blocks.entries()) {
    const of = (words: UnitWords): Units => units.set(words, k * graph.width);
    blocks.set(block.pc, {
      block,
      dirtyIn: of(sets.dirtyIn),
      early: of(sets.early),
      dirtyOut: of(sets.dirtyOut),
      dirtyNext: of(sets.dirtyNext),
      absentIn: of(sets.absentIn),
      absentOut: of(sets.absentOut),
      loads: of(sets.loads),
      matters: of(sets.matters),
      liveIn: of(sets.liveIn),
      flagsOfStack: sets.flagsOfStack[k] === 1,
      checks: graph.checks[k]!,
      idleFlags: idleFlags(graph, sets, k),
    });
  }
  return {
    blocks,
    dispatch: region.dispatch,
    dispatchDirty: units.set(sets.dispatchDirty, 0),
    dispatchAbsent: units.set(sets.dispatchAbsent, 0),
    dispatchLive: units.set(sets.dispatchLive, 0),
  };
}

/** What a return writes back. */
export const atReturn = (flow: BlockFlow, units: RegisterUnits): Units =>
  flow.flagsOfStack ? flow.dirtyOut & ~units.flags : flow.dirtyOut;

/** Whether the flags at the end of a block come from an adjustment of the stack pointer. */
function flagsOfStack(block: Block<RegionExit>, units: RegisterUnits): boolean {
  const setter = block.insts.findLast((inst) => units.setsFlags(inst));
  return (setter?.op.name.startsWith('flags.') ?? false) && setter?.inputs[0] === units.abi.sp;
}

/**
 * Flags that are overwritten before they are read, where instructions of block `k` may leave the region: who goes on there
 * overwrites them, too.
 */
function idleFlags(graph: FlowGraph, sets: FlowSets, k: number): ReadonlyMap<Inst, Units> {
  const idle = new Map<Inst, Units>();
  const { units } = graph;
  const { insts } = graph.blocks[k]!;
  if (!insts.some((inst) => graph.mayLeave(k, inst))) return idle;
  const seen = seenAtEnd(graph, sets, k);
  for (const inst of insts.toReversed()) {
    lookBack(seen, units, inst);
    if (graph.mayLeave(k, inst)) idle.set(inst, units.flags & ~units.set(seen, 0));
  }
  return idle;
}

/** What is seen where an instruction of the block leaves, from the end of block `k` on: flags that somebody may ask for, and all else. */
function seenAtEnd(graph: FlowGraph, { mattersOut }: FlowSets, k: number): UnitWords {
  const { units, width } = graph;
  const seen = units.words(units.all);
  for (let w = 0; w < width; w++) seen[w]! &= ~units.flagWords[w]! | mattersOut[k * width + w]!;
  graph.operands(k, seen, 0);
  return seen;
}
/** The same before `inst`, from what it is behind it. */
function lookBack(seen: UnitWords, units: RegisterUnits, inst: Inst): void {
  const { readWords, writtenWords, flagWords } = units;
  units.look(inst);
  for (let w = 0; w < seen.length; w++) seen[w] = (seen[w]! & ~(writtenWords[w]! & flagWords[w]!)) | readWords[w]!;
}

class Liveness {
  readonly #graph: FlowGraph;
  readonly #sets: FlowSets;
  readonly #params: UnitWords;
  readonly #results: UnitWords;
  readonly #flags: UnitWords;
  /** What `#atExit` has found, and has been working with. */
  readonly #live: UnitWords;
  readonly #operands: UnitWords;
  /** For each 8 bytes of the vCPU state the number of the guest instruction in which they are a temporary that is read later. */
  readonly #temps = new Int32Array(VCPU_SIZE / 8);
  #instruction = 0;

  constructor(graph: FlowGraph, sets: FlowSets) {
    this.#graph = graph;
    this.#sets = sets;
    const { units, width } = graph;
    this.#params = units.words(units.params);
    this.#results = units.words(units.results);
    this.#flags = units.words(units.flags);
    this.#live = new Int32Array(width);
    this.#operands = new Int32Array(width);
  }

  /** Live at the end of block `k`, after its instructions. */
  #atExit(k: number): UnitWords {
    const { width, blocks, targets } = this.#graph;
    const { early, dirtyOut, dirtyNext, absentIn, absentOut, liveIn, matters } = this.#sets;
    const { dispatchAbsent, dispatchDirty, dispatchLive, flagsOfStack } = this.#sets;
    const operands = this.#operands.fill(0);
    this.#graph.operands(k, operands, 0);
    const { kind } = blocks[k]!.exit;
    const ways = this.#graph.ways[k]!;
    const dispatches = kind === 'indirect' && targets.length > 0 && this.#graph.isSite[k] === 1;
    for (let w = 0, at = k * width; w < width; w++, at++) {
      const dirty = dirtyOut[at]!;
      // What is passed, but not in its local, is read from the vCPU state.
      const leaving = dirty | (this.#params[w]! & (kind === 'call' ? -1 : ~absentOut[at]!));
      let live = kind === 'call' && ways.length > 0 ? 0 : operands[w]!;
      for (const { to, dead } of ways) {
        if (to < 0) live |= leaving & ~dead![w]!;
        else {
          const into = to * width + w;
          const absent = absentIn[into]!;
          live |= (liveIn[into]! & ~absent & ~absentOut[at]!) | (dirtyNext[at]! & absent & matters[into]!);
          // A back edge polls, and may leave with everything written back.
          if (dead) live |= dirty & ~dead[w]!;
        }
      }
      if (kind === 'return' || (kind === 'call' && ways.length === 0)) live |= leaving;
      else if (kind === 'ret') live |= (flagsOfStack[k] ? dirty & ~this.#flags[w]! : dirty) | this.#results[w]!;
      else if (kind === 'syscall' || kind === 'trap') live |= dirty;
      else if (dispatches)
        live |= (dirtyNext[at]! & dispatchAbsent[w]!) | ((dispatchDirty[w]! | dispatchLive[w]!) & ~absentOut[at]!);
      else if (kind === 'indirect') live |= leaving;
      this.#live[w] = live | early[at]!;
    }
    return this.#live;
  }

  /** Finds `liveIn`. */
  spread(): void {
    const { units, width, written, read, atLeaving, isTarget, targets } = this.#graph;
    const { liveIn, dirtyIn, dispatchLive, matters } = this.#sets;
    liveIn.fill(0);
    dispatchLive.fill(0);
    const work = new WorkList(this.#graph.blocks.length);
    for (let k = work.take(); k >= 0; k = work.take()) {
      const atExit = this.#atExit(k);
      let changed = false;
      let spread = false;
      for (let w = 0, at = k * width; w < width; w++, at++) {
        const leaving = dirtyIn[at]! & atLeaving[at]! & (matters[at]! | ~units.flagWords[w]!);
        const now = read[at]! | leaving | (atExit[w]! & ~written[at]!);
        if (now === liveIn[at]) continue;
        liveIn[at] = now;
        changed = true;
        if (!isTarget[k] || (now & ~dispatchLive[w]!) === 0) continue;
        dispatchLive[w]! |= now;
        spread = true;
      }
      if (changed) work.add(this.#graph.previous[k]!);
      if (spread && targets.length > 0) work.add(this.#graph.sites);
    }
  }

  #readTemp(slot: number, wide: boolean): void {
    if (slot < TEMPS) return;
    this.#temps[slot >> 3] = this.#instruction;
    if (wide) this.#temps[(slot >> 3) + 1] = this.#instruction;
  }

  /** Removes ops without effect whose results nobody needs: settings of flags above all. */
  removeDead(number: number): void {
    const { units, width } = this.#graph;
    const { readWords, writtenWords } = units;
    const block = this.#graph.blocks[number]!;
    const { insts } = block;
    const from = number * width;
    const live = this.#atExit(number);
    const temps = this.#temps;
    this.#instruction++;
    const e = block.exit;
    if (e.kind === 'branch') {
      this.#readTemp(e.condition.a, false);
      if (e.condition.b !== CONST) this.#readTemp(e.condition.b, false);
    } else if ('slot' in e) this.#readTemp(e.slot, false);
    const dirtyBefore = insts.some((inst) => this.#graph.mayLeave(number, inst))
      ? this.#dirtyBefore(insts, from)
      : null;
    const seen = seenAtEnd(this.#graph, this.#sets, number);
    let pc = block.exitPc;
    const kept: Inst[] = [];
    for (let k = insts.length - 1; k >= 0; k--) {
      const inst = insts[k]!;
      if (inst.pc !== pc) {
        this.#instruction++;
        pc = inst.pc;
      }
      const { op, d } = inst;
      lookBack(seen, units, inst);
      const tempResult = op.result !== null && d >= TEMPS;
      const wide = isWhole(op.result);
      const removable = op.kind === 'pure' || (op.kind === 'state' && (op.writes.length > 0 || op.result !== null));
      if (removable && !effectful(inst)) {
        const tempNeeded =
          tempResult && (temps[d >> 3] === this.#instruction || (wide && temps[(d >> 3) + 1] === this.#instruction));
        const registersKept =
          op.writes.every((slot) => units.has(slot)) && (op.result === null || d >= TEMPS || units.has(d));
        if (registersKept && !tempNeeded && !meet(writtenWords, live)) continue;
      }
      if (tempResult && !isPartial(op.result!, d)) {
        temps[d >> 3] = 0;
        if (wide) temps[(d >> 3) + 1] = 0;
      }
      const leaves = this.#graph.mayLeave(number, inst);
      for (let w = 0; w < width; w++) {
        let now = (live[w]! & ~writtenWords[w]!) | readWords[w]!;
        if (leaves) now |= dirtyBefore![k * width + w]! & seen[w]!;
        live[w] = now;
      }
      for (let n = 0; n < op.inputs.length; n++)
        if (inst.inputs[n] !== CONST) this.#readTemp(inst.inputs[n]!, op.inputs[n] === 'v128');
      kept.push(inst);
    }
    if (kept.length < insts.length) insts.splice(0, insts.length, ...kept.reverse());
  }
  /** Dirty before each of the instructions of a block. */
  #dirtyBefore(insts: readonly Inst[], from: number): UnitWords {
    const { units, width } = this.#graph;
    const out = new Int32Array((insts.length + 1) * width);
    for (let w = 0; w < width; w++) out[w] = this.#sets.dirtyIn[from + w]!;
    for (let k = 0; k < insts.length; k++) {
      units.look(insts[k]!);
      for (let w = 0; w < width; w++) out[(k + 1) * width + w] = out[k * width + w]! | units.writtenWords[w]!;
    }
    return out;
  }
}

function meet(a: UnitWords, b: UnitWords): boolean {
  for (let w = 0; w < a.length; w++) if (a[w]! & b[w]!) return true;
  return false;
}

/** Reads of a clock must stay, though nothing says what they touch. */
const effectful = (inst: Inst): boolean =>
  inst.op.kind === 'state' && inst.op.reads.length === 0 && inst.op.writes.length === 0;
