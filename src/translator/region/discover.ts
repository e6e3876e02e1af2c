/**
 * Region forming: from an entry along jumps, branches and the return sites of calls, so that a region is the part of a
 * guest function that can be reached from there, up to a limit.
 */
import type { Block, RegionExit } from '../ir/block.ts';
import { trap } from '../ir/layout.ts';
import type { RegionBlock, RegionFrontEnd } from './abi.ts';
import { settleCycles } from './cycles.ts';
import { fixedWord, withCallee } from './inline.ts';
import { keepUnchanged } from './saved.ts';
import { unitsOf } from './units.ts';

export interface RegionLimits {
  maxBlocks: number;
  maxInstructions: number;
}
export const defaultLimits: RegionLimits = { maxBlocks: 400, maxInstructions: 2000 };
/** With an interpreter's loop inside: leaving it for want of room would cost more than anything else. */
const dispatchLimits: RegionLimits = { maxBlocks: 2000, maxInstructions: 10_000 };

export interface Region {
  readonly entry: number;
  /** In order of discovery; the first is the entry. Copies have fractions for a pc, as do those of functions that stand in the region. */
  readonly blocks: Map<number, Block<RegionExit>>;
  readonly guestInstructions: number;
  /** Guest addresses that calls are known to go to. */
  readonly callees: ReadonlySet<number>;
  /** Blocks of the region that its indirect jumps (`isDispatch`) are known to go to; none: they leave the region. */
  readonly dispatch: readonly number[];
  /** Ways inside of the region on which somebody who wants attention is looked for, by block: each cycle has one, or an indirect jump. */
  readonly polls: ReadonlyMap<number, readonly number[]>;
  /** Guest bytes beside those of the blocks that it was made from: [start, end) pairs. */
  readonly looked: readonly (readonly [number, number])[];
}

/** Guest bytes as the translator may read them. */
export interface CodeReader {
  readonly bytes: Uint8Array;
  /** End of the executable bytes that begin at `pc`; `pc` itself when it cannot be executed. */
  limit(pc: number): number;
}

/** How far from an indirect jump its targets are looked for: about the size of the largest functions. */
export const JUMP_REACH = 0x8000;
/** How far from a region's entry: code made by programs may jump from one function into the next, and from there on. */
const REGION_REACH = 8 * JUMP_REACH;

/** Whether what is known to be jumped to at `target` may be inside of the region at `entry`, by a jump or a target near `pc` of the same function. */
export const isNear = (target: number, pc: number, entry: number): boolean =>
  Math.abs(target - pc) < JUMP_REACH && Math.abs(target - entry) < REGION_REACH;

/** Number of the last of `starts` (in order) that does not lie behind `pc`. */
export function functionOf(starts: ArrayLike<number>, pc: number): number {
  let low = 0;
  let high = starts.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (starts[middle]! <= pc) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

/** An indirect jump as of a switch: one through a fixed address in memory (a PLT entry) is a tail call. */
export function isDispatch(block: Block<RegionExit>): boolean {
  return block.exit.kind === 'indirect' && fixedWord(block) === null;
}

/** Targets inside the function: where control goes from the block without leaving it. `dispatch` is as in Region. */
export function successors(block: Block<RegionExit>, dispatch: readonly number[]): readonly number[] {
  const e = block.exit;
  switch (e.kind) {
    case 'jump':
      return [e.target];
    case 'branch':
      return e.taken === e.fallthrough ? [e.taken] : [e.fallthrough, e.taken];
    case 'call':
      return [e.returnPc];
    case 'return':
      return [e.to];
    case 'indirect':
      return isDispatch(block) ? dispatch : [];
    case 'ret':
    case 'syscall':
    case 'trap':
      return [];
  }
}

/**
 * Ends a block before the first instruction that regions cannot hold: one whose op may touch any register, or change the
 * floating-point mode. The interpreter runs it, as it does what traps. Null when that is the first one.
 */
function withoutOpaque(lifted: RegionBlock): RegionBlock | null {
  const { block } = lifted;
  const opaque = block.insts.find((inst) => inst.op.opaque);
  if (!opaque) return lifted;
  const insts = block.insts.filter((inst) => inst.pc < opaque.pc);
  if (insts.length === 0) return null;
  const end = { exit: { kind: 'trap', trap: trap.invalidOpcode }, exitPc: opaque.pc, end: opaque.pc } as const;
  return { block: { ...block, ...end, insts }, flagsOrigin: null };
}

/**
 * Null when nothing worth translating begins at `entry`. Code that is cold stays outside: what leads to it leaves the region.
 */
export function formRegion(
  front: RegionFrontEnd,
  code: CodeReader,
  entry: number,
  jumpTargets: ReadonlySet<number> = new Set(),
  functionStarts: ArrayLike<number> = [],
  limits: RegionLimits = defaultLimits,
  isCold: (pc: number) => boolean = () => false,
): Region | null {
  const lift = (pc: number, leaders: ReadonlySet<number> | null, flags: unknown): RegionBlock | null => {
    const limit = code.limit(pc);
    const lifted = limit > pc ? front.liftRegionBlock(code.bytes, pc, limit, leaders, flags) : null;
    return lifted && withoutOpaque(lifted);
  };
  const found = new Map<number, RegionBlock>();
  const rejected = new Set<number>();
  const targets = new Set<number>();
  const queue = [entry];
  // Known to be executed, unlike what branches may lead to.
  const first: number[] = [];
  let instructions = 0;
  for (let k = 0; k < queue.length || first.length > 0; ) {
    const pc = first.pop() ?? queue[k++]!;
    if (found.has(pc) || rejected.has(pc)) continue;
    const { maxBlocks, maxInstructions } = targets.size > 0 ? dispatchLimits : limits;
    if (found.size >= maxBlocks || instructions >= maxInstructions) break;
    const lifted = lift(pc, null, null);
    if (!lifted) {
      rejected.add(pc);
      continue;
    }
    found.set(pc, lifted);
    instructions += lifted.block.guestInstructions;
    for (const next of successors(lifted.block, [])) if (!isCold(next)) queue.push(next);
    if (!isDispatch(lifted.block)) continue;
    const f = functionOf(functionStarts, pc);
    for (const target of jumpTargets)
      if (isNear(target, pc, entry) && functionOf(functionStarts, target) === f && !targets.has(target)) {
        targets.add(target);
        first.push(target);
      }
  }
  if (!found.has(entry)) return null;
  splitAtLeaders(found, lift);
  const known = (): number[] => [...targets].filter((pc) => found.has(pc));
  keepLoop(found, entry, known());
  const dispatch = [...found.values()].some(({ block }) => isDispatch(block)) ? known() : [];
  specialiseFlags(front, found, entry, dispatch, lift);

  const blocks = new Map<number, Block<RegionExit>>();
  const callees = new Set<number>();
  const looked: [number, number][] = [];
  const own = [...found.values()].reduce((sum, { block }) => sum + block.guestInstructions, 0);
  const inliner = { code, lift: (pc: number) => lift(pc, null, null)?.block ?? null, isCold, looked };
  instructions = 0;
  let number = 0;
  for (const { block } of found.values()) {
    // A region at most doubles by what it calls.
    const whole = instructions < own * 2 && ++number < 4096 ? withCallee(block, number, inliner) : [block];
    for (const part of whole) {
      // The passes change the instructions, which others may have, too.
      blocks.set(part.pc, { ...part, insts: [...part.insts] });
      instructions += part.guestInstructions;
      if (part.exit.kind !== 'call') continue;
      const callee = part.exit.target ?? part.exit.guess;
      if (callee !== undefined) callees.add(callee);
    }
  }
  const ways = (block: Block<RegionExit>): readonly number[] => successors(block, []);
  const polls = settleCycles({ blocks, entry, dispatch, isSite: isDispatch, successors: ways });
  // With indirect jumps inside there are more entries.
  if (dispatch.length === 0) keepUnchanged(blocks, entry, unitsOf(front.abi), ways);
  return { entry, blocks, guestInstructions: instructions, callees, dispatch, polls, looked };
}

/**
 * Where the entry is a loop header, the region is that loop alone: the code behind it is the business of the function's own
 * region, or of an outer loop's. Of the loops around an entry it is the innermost that counts, the one that lies behind the
 * entry in memory; with indirect jumps inside it is all of an interpreter's loop.
 */
function keepLoop(found: Map<number, RegionBlock>, entry: number, dispatch: readonly number[]): void {
  const predecessors = new Map<number, number[]>();
  for (const [pc, { block }] of found)
    for (const next of successors(block, dispatch)) {
      const list = predecessors.get(next);
      if (list) list.push(pc);
      else predecessors.set(next, [pc]);
    }
  const loop = new Set([entry]);
  const work = [entry];
  for (let pc = work.pop(); pc !== undefined; pc = work.pop())
    for (const p of predecessors.get(pc) ?? [])
      if ((p > entry || dispatch.length > 0) && !loop.has(p)) {
        loop.add(p);
        work.push(p);
      }
  const selfLoop = predecessors.get(entry)?.includes(entry) ?? false;
  if (loop.size === 1 && !selfLoop) return;
  for (const pc of [...found.keys()]) if (!loop.has(pc)) found.delete(pc);
}

/** Blocks that run into the middle of which another one begins end there. */
function splitAtLeaders(
  found: Map<number, RegionBlock>,
  lift: (pc: number, leaders: ReadonlySet<number> | null, flags: unknown) => RegionBlock | null,
): void {
  const sorted = [...found.keys()].sort((a, b) => a - b);
  const leaders = new Set(sorted);
  for (let k = 0; k + 1 < sorted.length; k++) {
    const { block } = found.get(sorted[k]!)!;
    if (sorted[k + 1]! >= block.end) continue;
    // A leader between the bytes of one instruction changes nothing: the block does not pass it.
    found.set(block.pc, lift(block.pc, leaders, null)!);
  }
}

/** Lifts blocks again whose flags come from one kind of instruction on every way to them. */
function specialiseFlags(
  front: RegionFrontEnd,
  found: Map<number, RegionBlock>,
  entry: number,
  dispatch: readonly number[],
  lift: (pc: number, leaders: ReadonlySet<number> | null, flags: unknown) => RegionBlock | null,
): void {
  // undefined: not reached yet; null: not known.
  // Indirect jumps, and entries of the region at their targets, bring flags of any kind.
  const atEntry = new Map<number, unknown>([entry, ...dispatch].map((pc) => [pc, null]));
  const work = [...atEntry.keys()];
  while (work.length > 0) {
    const pc = work.pop()!;
    const { block, flagsOrigin } = found.get(pc)!;
    const out = block.exit.kind === 'call' ? null : flagsOrigin === undefined ? atEntry.get(pc) : flagsOrigin;
    for (const next of successors(block, dispatch)) {
      if (!found.has(next)) continue;
      const before = atEntry.get(next);
      const after =
        before === undefined ? out : before !== null && out !== null && front.sameFlags(before, out) ? before : null;
      if (after === before) continue;
      atEntry.set(next, after);
      work.push(next);
    }
  }
  const leaders = new Set(found.keys());
  for (const [pc, flags] of atEntry) {
    if (flags === null || flags === undefined) continue;
    found.set(pc, lift(pc, leaders, flags)!);
  }
}
