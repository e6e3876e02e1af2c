/** What the code space keeps account of, and where it has its blocks from. */
import { PAGE_SIZE } from '../kernel/mm/guest-memory.ts';
import type { Block } from '../translator/ir/block.ts';
import type { Bytecode } from '../translator/ir/bytecode.ts';
import type { RegionFrontEnd } from '../translator/region/abi.ts';
import type { ChunkPlace, StoredBlock } from './cache/block-store.ts';
import type { CodeTemplate } from './code-template.ts';

/** Interpreter code. */
export interface CodeBlock {
  pc: number;
  end: number;
  /** Address of its code, and of the first byte after it. */
  ip: number;
  ipEnd: number;
  flavour: number;
  /** Not entered in any map: made to step over one instruction. */
  transient: boolean;
  dead: boolean;
  /** How it ends; null for stubs. */
  exit: Block['exit']['kind'] | null;
  /** It is one of `span`. */
  isSpan?: boolean;
}

/** A translated region as the code space watches it. */
export interface RegionCode {
  readonly pc: number;
  /** Guest bytes it was made from. */
  readonly ranges: readonly (readonly [number, number])[];
  /** Pages with further code that its module was made from: of functions that stand in it, and of what registers mean elsewhere. */
  readonly looked: readonly number[];
  /** Number in the table of regions. */
  readonly slot: number;
  /** Takes it out of the table, with those that call it directly. */
  drop(): void;
}

/** Each page that ranges touch, once. */
export function pagesIn(ranges: RegionCode['ranges'], others: readonly number[] = []): number[] {
  const pages = new Set(others);
  for (const [start, end] of ranges)
    for (let page = Math.floor(start / PAGE_SIZE); page * PAGE_SIZE < end; page++) pages.add(page);
  return [...pages];
}

const pageLists = new WeakMap<RegionCode['ranges'], readonly number[]>();
/** The pages of a region: its entries share hundreds of ranges. */
export function pagesOf({ ranges, looked }: RegionCode): readonly number[] {
  const known = pageLists.get(ranges);
  if (known) return known;
  const list = pagesIn(ranges, looked);
  pageLists.set(ranges, list);
  return list;
}

/** What stands before a block that is counted, or has a region. */
export interface Stub {
  pc: number;
  ip: number;
  region: RegionCode | null;
}

/** What a front end offers: blocks ready for encoding. */
export interface FrontEnd {
  readonly bytecode: Bytecode;
  /** Blocks are remembered, for other memories: their code is, too. */
  readonly keepsBlocks?: boolean;
  /** For `span`: see RegionFrontEnd. */
  liftRegionBlock: RegionFrontEnd['liftRegionBlock'];
  /** Null when not even the first instruction at `pc` can be fetched before `limit`. `single`: one guest instruction. */
  lift(code: Uint8Array, pc: number, limit: number, flavour: number, single: boolean): Block | null;
}

/** Blocks that earlier runs, or other address spaces of this one, have made. */
export interface BlockSource {
  /** The chunk that a block at `pc` would be in; null when there is none. Nothing of it has been checked. */
  chunkAround(pc: number): ChunkPlace | null;
  /** A chunk turned out to be damaged, or a block of it. */
  noteDamage(place: ChunkPlace, all: boolean): void;
  /** A chunk with so many blocks was put in place. */
  noteChunk(blocks: number): void;
  /** Whether the guest has entered blocks with floating point. */
  readonly floatUsed: boolean;
  /** A block with floating point, of a chunk, is about to be entered. */
  noteFloatUse(): void;
  /** Puts the code of the block at `pc` at address `at`, if this run has made it and the guest's bytes are the same. */
  loadBlock(pc: number, at: number): StoredBlock | null;
  /** A block was made. */
  keepBlock(block: Block, template: CodeTemplate): void;
}

export interface CodeStats {
  blocks: number;
  /** Blocks that did not have to be made (not counted in `blocks`). */
  stored: number;
  guestInstructions: number;
  invalidated: number;
  flushes: number;
}
