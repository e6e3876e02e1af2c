/**
 * Region forming: from an entry along jumps, branches and the return sites of calls, so that a region is the part of a
 * guest function that can be reached from there, up to a limit.
 */
import type { Block } from '../ir/block.ts';
import { trap } from '../ir/layout.ts';
import type { RegionBlock, RegionFrontEnd } from './abi.ts';

export interface RegionLimits {
  maxBlocks: number;
  maxInstructions: number;
}
export const defaultLimits: RegionLimits = { maxBlocks: 400, maxInstructions: 2000 };

export interface Region {
  readonly entry: number;
  /** In order of discovery; the first is the entry. */
  readonly blocks: Map<number, Block>;
  readonly guestInstructions: number;
  /** Guest addresses that direct calls go to. */
  readonly callees: ReadonlySet<number>;
}

/** Guest bytes as the translator may read them. */
export interface CodeReader {
  readonly bytes: Uint8Array;
  /** End of the executable bytes that begin at `pc`; `pc` itself when it cannot be executed. */
  limit(pc: number): number;
}

/** Targets inside the function: where control goes from the block without leaving it. */
export function successors(block: Block): number[] {
  const e = block.exit;
  switch (e.kind) {
    case 'jump':
      return [e.target];
    case 'branch':
      return e.taken === e.fallthrough ? [e.taken] : [e.fallthrough, e.taken];
    case 'call':
      return [e.returnPc];
    case 'ret':
    case 'indirect':
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

/** Null when nothing worth translating begins at `entry`. */
export function formRegion(
  front: RegionFrontEnd,
  code: CodeReader,
  entry: number,
  limits: RegionLimits = defaultLimits,
): Region | null {
  const lift = (pc: number, leaders: ReadonlySet<number> | null, flags: unknown): RegionBlock | null => {
    const limit = code.limit(pc);
    const lifted = limit > pc ? front.liftRegionBlock(code.bytes, pc, limit, leaders, flags) : null;
    return lifted && withoutOpaque(lifted);
  };
  const found = new Map<number, RegionBlock>();
  const rejected = new Set<number>();
  const queue = [entry];
  let instructions = 0;
  for (let k = 0; k < queue.length; k++) {
    const pc = queue[k]!;
    if (found.has(pc) || rejected.has(pc)) continue;
    if (found.size >= limits.maxBlocks || instructions >= limits.maxInstructions) break;
    const lifted = lift(pc, null, null);
    if (!lifted) {
      rejected.add(pc);
      continue;
    }
    found.set(pc, lifted);
    instructions += lifted.block.guestInstructions;
    queue.push(...successors(lifted.block));
  }
  if (!found.has(entry)) return null;
  splitAtLeaders(found, lift);
  keepLoop(found, entry);
  specialiseFlags(front, found, entry, lift);

  const blocks = new Map<number, Block>();
  const callees = new Set<number>();
  instructions = 0;
  for (const [pc, { block }] of found) {
    blocks.set(pc, block);
    instructions += block.guestInstructions;
    if (block.exit.kind === 'call' && block.exit.target !== null) callees.add(block.exit.target);
  }
  return { entry, blocks, guestInstructions: instructions, callees };
}

/**
 * Where the entry is a loop header, the region is that loop alone: the code behind it is the business of the function's own
 * region, or of an outer loop's. Of the loops around an entry it is the innermost that counts, the one that lies behind the
 * entry in memory.
 */
function keepLoop(found: Map<number, RegionBlock>, entry: number): void {
  const predecessors = new Map<number, number[]>();
  for (const [pc, { block }] of found)
    for (const next of successors(block)) {
      const list = predecessors.get(next);
      if (list) list.push(pc);
      else predecessors.set(next, [pc]);
    }
  const loop = new Set([entry]);
  const work = [entry];
  for (let pc = work.pop(); pc !== undefined; pc = work.pop())
    for (const p of predecessors.get(pc) ?? [])
      if (p > entry && !loop.has(p)) {
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
  lift: (pc: number, leaders: ReadonlySet<number> | null, flags: unknown) => RegionBlock | null,
): void {
  // undefined: not reached yet; null: not known.
  const atEntry = new Map<number, unknown>([[entry, null]]);
  const work = [entry];
  while (work.length > 0) {
    const pc = work.pop()!;
    const { block, flagsOrigin } = found.get(pc)!;
    const out = block.exit.kind === 'call' ? null : flagsOrigin === undefined ? atEntry.get(pc) : flagsOrigin;
    for (const next of successors(block)) {
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
