/**
 * Cycles of a region: where they look for somebody who wants attention, and such as several ways lead into, which structured code
 * cannot express: what lies on all ways but one up to a common place gets a copy, if that is little (controlled node splitting,
 * J. Janssen and H. Corporaal, 1997).
 */
import type { Block, RegionExit } from '../ir/block.ts';
import { furtherCopyOf, redirected } from './copies.ts';
import { components } from './graph.ts';
import { REACH } from './saved.ts';

type Inner = Block<RegionExit>;
/** By block, where it leads to with a look for attention. */
export type Polls = Map<number, number[]>;

/** The graph of a region. `dispatch` and `isSite` are of the indirect jumps that stay inside. */
export interface CycleGraph {
  readonly blocks: Map<number, Inner>;
  readonly entry: number;
  readonly dispatch: readonly number[];
  readonly isSite: (block: Inner) => boolean;
  readonly successors: (block: Inner) => readonly number[];
}

/** Guest instructions copied for one cycle. */
const SHORT = 32;
/** Smaller numbers are for copies that saved.ts makes. */
const FIRST_NUMBER = REACH;
const MAX_COPIES = 4096;

/**
 * Ways back in the guest's code: without them there are no cycles but those through calls of the region's own entry and indirect
 * jumps, which look for themselves. Copies of functions have no loops.
 */
function backEdges(blocks: ReadonlyMap<number, Inner>): Polls {
  const out: Polls = new Map();
  for (const [pc, { exit, exitPc }] of blocks) {
    const to = exit.kind === 'jump' ? [exit.target] : exit.kind === 'branch' ? [exit.taken, exit.fallthrough] : [];
    const back = to.filter((target) => target <= exitPc && Number.isInteger(target) && blocks.has(target));
    if (back.length > 0) out.set(pc, back);
  }
  return out;
}

/** Adds copies to `blocks`, and returns where is to be looked for attention. */
export function settleCycles(graph: CycleGraph): Polls {
  const polls = backEdges(graph.blocks);
  if (polls.size === 0 && graph.dispatch.length === 0) return polls;
  const own = [...graph.blocks.values()].reduce((sum, block) => sum + block.guestInstructions, 0);
  const splitter = new Splitter(graph, polls, SHORT + (own >> 2));
  let all = new Numbered(graph, true);
  while (splitter.splitOne(all)) all = new Numbered(graph, true);
  if (polls.size > 0) onlyNeeded(graph.dispatch.length > 0 ? new Numbered(graph, false) : all, polls);
  return polls;
}

/** Nodes are numbers: those of blocks in their order, the dispatcher of indirect jumps, and where the region is entered. */
class Numbered {
  readonly blocks: readonly Inner[];
  readonly numbers = new Map<number, number>();
  readonly next: number[][];
  readonly previous: number[][];
  readonly dispatcher: number;
  readonly root: number;

  constructor({ blocks, entry, dispatch, isSite, successors }: CycleGraph, withDispatch: boolean) {
    this.blocks = [...blocks.values()];
    for (const pc of blocks.keys()) this.numbers.set(pc, this.numbers.size);
    const count = this.blocks.length;
    this.dispatcher = count;
    this.root = count + 1;
    const numbersOf = (pcs: readonly number[]): number[] =>
      pcs.map((pc) => this.numbers.get(pc)).filter((n) => n !== undefined);
    const jumps = withDispatch && dispatch.length > 0;
    this.next = this.blocks.map((block) => (jumps && isSite(block) ? [count] : numbersOf(successors(block))));
    this.next.push(jumps ? numbersOf(dispatch) : []);
    this.next.push([...numbersOf(dispatch.includes(entry) ? [] : [entry]), ...(jumps ? [count] : [])]);
    this.previous = this.next.map(() => []);
    for (const [from, to] of this.next.entries()) for (const n of to) this.previous[n]!.push(from);
  }
}

class Splitter {
  readonly #graph: CycleGraph;
  readonly #polls: Polls;
  /** Instructions that may yet be copied. */
  #room: number;
  #number = FIRST_NUMBER;

  constructor(graph: CycleGraph, polls: Polls, room: number) {
    this.#graph = graph;
    this.#polls = polls;
    this.#room = room;
  }

  /** Has one cycle entered at one place only; false when there is none left for which little is to be copied. */
  splitOne(all: Numbered): boolean {
    const work: (Set<number> | null)[] = [null];
    for (let nodes = work.pop(); nodes !== undefined; nodes = work.pop())
      for (const component of components(all.next, nodes)) {
        const inside = new Set(component);
        const entries = component.filter((n) => all.previous[n]!.some((from) => !inside.has(from)));
        // Nothing leads to it, as it may be with originals.
        if (entries.length === 0) continue;
        if (entries.length > 1 && this.#split(all, inside, entries)) return true;
        // The others are entered by way of one more node (wasm/reducible.ts).
        for (const header of inside.has(all.dispatcher) ? [all.dispatcher] : entries) inside.delete(header);
        if (inside.size > 1) work.push(inside);
      }
    return false;
  }

  #split(all: Numbered, inside: ReadonlySet<number>, entries: readonly number[]): boolean {
    let best: ReadonlySet<number> | null = null;
    let least = Math.min(SHORT, this.#room) + 1;
    for (const header of inside.has(all.dispatcher) ? [all.dispatcher] : entries) {
      const before = reached(all, inside, entries, header);
      let size = 0;
      for (const n of before) size += all.blocks[n]?.guestInstructions ?? least;
      if (size >= least || !this.#canDivert(all, inside, before)) continue;
      best = before;
      least = size;
    }
    if (!best || this.#number + best.size > MAX_COPIES) return false;
    this.#room -= least;
    this.#divert(all, inside, best);
    return true;
  }

  /**
   * Whose ways to what is copied lead to the copies. What indirect jumps lead to keeps its number, so that in a cycle with such
   * jumps those from outside of it lead to the copies, and else those from inside.
   */
  #isDiverted(all: Numbered, inside: ReadonlySet<number>, copied: ReadonlySet<number>, from: number): boolean {
    return inside.has(all.dispatcher) !== inside.has(from) && !copied.has(from);
  }
  #canDivert(all: Numbered, inside: ReadonlySet<number>, copied: ReadonlySet<number>): boolean {
    for (const to of copied)
      for (const from of all.previous[to]!) {
        if (!copied.has(from) && !this.#isDiverted(all, inside, copied, from)) continue;
        // Where a call returns to is known by its address.
        const kind = all.blocks[from]?.exit.kind;
        if (kind !== 'jump' && kind !== 'branch') return false;
      }
    return true;
  }
  #divert(all: Numbered, inside: ReadonlySet<number>, copied: ReadonlySet<number>): void {
    const { blocks } = this.#graph;
    const copies = new Map<number, number>();
    for (const n of copied) {
      const { pc } = all.blocks[n]!;
      copies.set(pc, furtherCopyOf(pc, this.#number++));
    }
    const other = (pc: number): number => copies.get(pc) ?? pc;
    for (const n of copied) {
      const block = all.blocks[n]!;
      const pc = other(block.pc);
      blocks.set(pc, { ...block, pc, insts: [...block.insts], exit: redirected(block.exit, other) });
      const polls = this.#polls.get(block.pc);
      if (polls) this.#polls.set(pc, polls.map(other));
    }
    const sources = new Set([...copied].flatMap((n) => all.previous[n]!));
    for (const from of sources) {
      if (!this.#isDiverted(all, inside, copied, from)) continue;
      const block = all.blocks[from]!;
      blocks.set(block.pc, { ...block, exit: redirected(block.exit, other) });
      const polls = this.#polls.get(block.pc);
      if (polls) this.#polls.set(block.pc, polls.map(other));
    }
  }
}

/** What the entries beside `header` lead to without passing that. */
function reached(
  all: Numbered,
  inside: ReadonlySet<number>,
  entries: readonly number[],
  header: number,
): ReadonlySet<number> {
  const out = new Set(entries.filter((n) => n !== header));
  for (const n of out) for (const to of all.next[n]!) if (to !== header && inside.has(to)) out.add(to);
  return out;
}

/** Takes those out of `polls` without which each cycle still has one. */
function onlyNeeded(all: Numbered, polls: Polls): void {
  const cycleOf = new Int32Array(all.next.length).fill(-1);
  for (const [k, component] of components(all.next).entries()) for (const n of component) cycleOf[n] = k;
  // What is left of the graph without ways that look; a way that closes no cycle there need not look, either.
  const open = all.next.map((next, from) => {
    const looking = polls.get(all.blocks[from]?.pc ?? -1);
    return next.filter((to) => cycleOf[to] === cycleOf[from] && !looking?.includes(all.blocks[to]!.pc));
  });
  const leadsTo = (from: number, to: number): boolean => {
    const seen = new Set([from]);
    for (const n of seen) {
      if (n === to) return true;
      for (const next of open[n]!) seen.add(next);
    }
    return false;
  };
  for (const [pc, looking] of polls) {
    const from = all.numbers.get(pc)!;
    const needed = looking.filter((target) => {
      const to = all.numbers.get(target)!;
      if (cycleOf[from] !== cycleOf[to] || cycleOf[to] === -1) return from === to;
      if (leadsTo(to, from)) return true;
      open[from]!.push(to);
      return false;
    });
    if (needed.length > 0) polls.set(pc, needed);
    else polls.delete(pc);
  }
}
