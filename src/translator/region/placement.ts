/**
 * Where registers are read from the vCPU state into their locals, and written back. At each point a register is in one of
 * three states: in the vCPU state alone (_absent_), in both, or newer in its local (_dirty_). Reads happen as late as
 * possible, so that the short ways through a function do not pay for the long ones. Where ways meet that disagree, code on
 * the edges makes them agree.
 */
import type { BlockFlow, FlowSets } from './dataflow.ts';
import { earlyWrites } from './early.ts';
import type { FlowGraph } from './flow-graph.ts';
import type { Units, UnitWords } from './units.ts';

/** Reads into locals that an edge makes. */
export const loadsOnEdge = (from: BlockFlow, to: BlockFlow): Units => from.absentOut & ~to.absentIn & to.liveIn;
/** Writes to the vCPU state that an edge makes. */
export const storesOnEdge = (from: BlockFlow, to: BlockFlow): Units => from.dirtyNext & to.absentIn & to.matters;

/** Block numbers that wait, each once at most. */
export class WorkList {
  readonly #waiting: number[] = [];
  readonly #isIn: Uint8Array;

  /** All of `count` blocks, the last one first. */
  constructor(count: number) {
    this.#isIn = new Uint8Array(count).fill(1);
    for (let k = 0; k < count; k++) this.#waiting.push(k);
  }
  add(numbers: readonly number[]): void {
    for (const k of numbers)
      if (this.#isIn[k] === 0) {
        this.#isIn[k] = 1;
        this.#waiting.push(k);
      }
  }
  /** -1: none is left. */
  take(): number {
    const k = this.#waiting.pop() ?? -1;
    if (k >= 0) this.#isIn[k] = 0;
    return k;
  }
}

/** Whether a block ends with a call, which leaves nothing but its results in locals. */
const callsAt =
  (graph: FlowGraph) =>
  (k: number): boolean =>
    graph.blocks[k]!.exit.kind === 'call';

/** Registers that some instruction may still read before they are written, at the start of each block. */
function usedLater(graph: FlowGraph): UnitWords {
  const { width, needed, written, targets } = graph;
  const used = graph.sets();
  const atDispatch = new Int32Array(width);
  const work = new WorkList(graph.blocks.length);
  for (let k = work.take(); k >= 0; k = work.take()) {
    // A call leaves nothing in locals.
    const next = graph.blocks[k]!.exit.kind === 'call' ? [] : graph.next[k]!;
    let changed = false;
    let spread = false;
    for (let w = 0, at = k * width; w < width; w++, at++) {
      let out = graph.isSite[k] ? atDispatch[w]! : 0;
      for (const to of next) out |= used[to * width + w]!;
      const now = needed[at]! | (out & ~written[at]!);
      if (used[at] !== now) {
        used[at] = now;
        changed = true;
      }
      if (graph.isTarget[k] && (now & ~atDispatch[w]!) !== 0) {
        atDispatch[w]! |= now;
        spread = true;
      }
    }
    if (changed) work.add(graph.previous[k]!);
    if (spread && targets.length > 0) work.add(graph.sites);
  }
  return used;
}

/**
 * Spreads `own` sets of blocks along the ways between them: each block gets its own and all of those that it looks at.
 *
 * @param ahead whether blocks look at those that follow, or else at those that precede
 * @param isBlind of blocks that look at none
 */
function spread(graph: FlowGraph, own: UnitWords, ahead: boolean, isBlind: (k: number) => boolean): UnitWords {
  const { width, blocks } = graph;
  const [looked, lookers] = ahead ? [graph.next, graph.previous] : [graph.previous, graph.next];
  const all = own.slice();
  const work = new WorkList(blocks.length);
  for (let k = work.take(); k >= 0; k = work.take()) {
    if (isBlind(k)) continue;
    let grown = false;
    for (let w = 0, at = k * width; w < width; w++, at++) {
      let now = all[at]!;
      for (const other of looked[k]!) now |= all[other * width + w]!;
      if (now === all[at]) continue;
      all[at] = now;
      grown = true;
    }
    if (grown) work.add(lookers[k]!);
  }
  return all;
}

/** Registers that somebody may come to see, at the start and at the end of each block. Sets `matters` and `mattersOut`. */
function spreadMatters(graph: FlowGraph, sets: FlowSets): void {
  const { units, width, needed, hidden } = graph;
  const { matters, mattersOut } = sets;
  const all = units.words(units.all);
  const withoutFlags = units.words(units.all & ~units.flags);
  matters.fill(0);
  const work = new WorkList(graph.blocks.length);
  for (let k = work.take(); k >= 0; k = work.take()) {
    const { kind } = graph.blocks[k]!.exit;
    const ways = graph.ways[k]!;
    const known = kind === 'jump' || kind === 'branch' || (kind === 'call' && ways.length > 0);
    const otherwise = kind === 'ret' && sets.flagsOfStack[k] ? withoutFlags : all;
    let changed = false;
    for (let w = 0, at = k * width; w < width; w++, at++) {
      let out = known ? 0 : otherwise[w]!;
      if (known)
        for (const { to, dead } of ways) {
          if (dead) out |= all[w]! & ~dead[w]!;
          if (to >= 0) out |= matters[to * width + w]!;
        }
      mattersOut[at] = out;
      const now = needed[at]! | (out & ~hidden[at]!);
      if (now === matters[at]) continue;
      matters[at] = now;
      changed = true;
    }
    if (changed) work.add(graph.previous[k]!);
  }
}

/**
 * What it costs to have a register in its local around an interpreter's loop, in accesses to the vCPU state: a host register, or
 * the moves and spills for want of one, before each indirect jump. Found by trial: 0.5 to 1 are the same, 0.3 and 1.3 slower.
 */
const CARRYING = 0.8;
/** Blocks beyond a target in which a read counts: further on it is likely not to be reached. */
const NEAR = 2;

/**
 * Registers that are read soon behind enough of the indirect jumps' targets, or changed before enough of the jumps, to stay in their
 * locals from the ones to the others. A call leaves nothing in locals.
 */
function worthCarrying(graph: FlowGraph): UnitWords {
  const { width, blocks, next, needed, written, targets, sites } = graph;
  const isCall = callsAt(graph);
  let near = needed;
  for (let depth = 0; depth < NEAR; depth++) {
    const nearer = near;
    near = needed.slice();
    for (let k = 0; k < blocks.length; k++)
      if (!isCall(k))
        for (const to of next[k]!)
          for (let w = 0, at = k * width; w < width; w++, at++) near[at]! |= nearer[to * width + w]! & ~written[at]!;
  }
  const left = written.slice();
  for (let k = 0; k < blocks.length; k++) if (isCall(k)) left.fill(0, k * width, (k + 1) * width);
  const changed = spread(graph, left, false, isCall);
  const share = (words: UnitWords, among: readonly number[], w: number, bit: number): number =>
    among.reduce((sum, k) => sum + ((words[k * width + w]! >>> bit) & 1), 0) / among.length;
  const carried = new Int32Array(width);
  for (let w = 0; w < width; w++)
    for (let bit = 0; bit < 32; bit++)
      if (share(near, targets, w, bit) + share(changed, sites, w, bit) > CARRYING) carried[w]! |= 1 << bit;
  return carried;
}

/** States at the starts and ends of all blocks. `sets` is changed in place. */
export function placeRegisters(graph: FlowGraph, sets: FlowSets): void {
  const { units, width, targets, isTarget, isCyclic, isDispatched, needed, touched, written } = graph;
  const { dirtyIn, early, dirtyOut, dirtyNext, absentIn, absentOut, loads, matters, dispatchAbsent, dispatchDirty } =
    sets;
  dirtyIn.fill(0);
  absentIn.fill(0);
  const used = usedLater(graph);
  // Before a call has all written back.
  const rewritten = spread(graph, written, true, callsAt(graph));
  spreadMatters(graph, sets);
  const ahead = earlyWrites(graph, sets);
  const all = units.words(units.all);
  const params = units.words(units.params);
  const results = units.words(units.results);
  const hasTargets = targets.length > 0;
  // Few of an interpreter's handlers want what another has left in a register: it is not carried around the loop.
  const sp = units.words(units.of(units.abi.sp));
  const carried = hasTargets ? worthCarrying(graph) : sp;
  for (let w = 0; w < width; w++) {
    let wanted = 0;
    for (const k of targets) wanted |= used[k * width + w]!;
    wanted = (wanted & carried[w]!) | sp[w]!;
    dispatchAbsent[w] = hasTargets ? all[w]! & ~wanted : 0;
    dispatchDirty[w] = params[w]! & ~dispatchAbsent[w]!;
  }
  // Whether anything is known yet of the end of a block.
  const reached = new Uint8Array(graph.blocks.length);
  const work = [...targets, graph.entry];
  while (work.length > 0) {
    const k = work.pop()!;
    const previous = graph.previous[k]!;
    const call = graph.blocks[k]!.exit.kind === 'call';
    let changed = reached[k] === 0;
    let spread = false;
    for (let w = 0, at = k * width; w < width; w++, at++) {
      let dirty = 0;
      let some = 0;
      let every = all[w]!;
      if (k === graph.entry) {
        dirty = params[w]!;
        // Entered at several places, a region has its registers read before any of them.
        some = hasTargets ? 0 : all[w]! & ~params[w]!;
        every = some;
      }
      if (isTarget[k]) {
        dirty |= dispatchDirty[w]!;
        some |= dispatchAbsent[w]!;
        every &= dispatchAbsent[w]!;
      }
      for (const p of previous)
        if (reached[p]) {
          dirty |= dirtyNext[p * width + w]!;
          const absent = absentOut[p * width + w]!;
          some |= absent;
          every &= absent;
        }
      // Nobody wants it here. If it is dirty on another way it had better be written back there, except in loops that
      // may write it again before their next call. In an interpreter's loop it is written back before each jump, if
      // it is not carried around.
      const unwanted = some & ~used[at]!;
      const around = isCyclic[k] ? rewritten[at]! : isDispatched[k] ? ~dispatchAbsent[w]! : 0;
      // Nothing is read or written between an indirect jump's target and the node before it.
      const absent = isTarget[k] ? dispatchAbsent[w]! : every | (unwanted & ~(dirty & matters[at]! & around));
      absentIn[at] = absent;
      dirtyIn[at] = dirty & ~absent;
      const dirtyAtEnd = dirtyIn[at]! | written[at]!;
      early[at] = dirtyAtEnd & ahead[at]!;
      dirtyOut[at] = dirtyAtEnd & ~early[at]!;
      loads[at] = absent & needed[at]!;
      const outAbsent = call ? all[w]! & ~results[w]! : absent & ~touched[at]!;
      const outDirty = call ? results[w]! : dirtyOut[at]!;
      if (outAbsent !== absentOut[at] || outDirty !== dirtyNext[at]) changed = true;
      absentOut[at] = outAbsent;
      dirtyNext[at] = outDirty;
    }
    if (!changed) continue;
    reached[k] = 1;
    for (const to of graph.next[k]!) work.push(to);
    if (!graph.isSite[k]) continue;
    // All indirect jumps meet before they part again.
    for (let w = 0; w < width; w++) {
      const kept = dirtyNext[k * width + w]! & ~dispatchAbsent[w]!;
      if ((kept & ~dispatchDirty[w]!) === 0) continue;
      dispatchDirty[w]! |= kept;
      spread = true;
    }
    if (spread) work.push(...targets);
  }
}
