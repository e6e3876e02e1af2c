/**
 * Chunks of interpreter code: some hundred blocks of neighbouring guest addresses, with room for the stubs before those that are
 * counted. A run reads a chunk to where its code stays; each block of it is checked, and made fit to run, when control first comes
 * to it (src/helpers/code.ts).
 *
 * A chunk is little-endian 32-bit words: the checksum of the rest but the code (2), the numbers of blocks, stubs, words of code,
 * call targets and pages, and a 0; then, in ascending order of guest addresses, for each block its address, the place of its code,
 * its kind, the sum of its guest bytes, the sum of its code, its two links; for each stub its address and its block; the call
 * targets; the guest pages; the code, at an even word. Places are bytes from the chunk's beginning; the stubs come behind the chunk.
 * The word of a link tells how it may be followed: see LINK.
 */
import { exitLayout, MIN_BLOCK, stubLayout } from '../../translator/ir/bytecode.ts';
import type { Block } from '../../translator/ir/block.ts';
import { PAGE_SIZE } from '../../kernel/mm/guest-memory.ts';
import { checksumOf } from './checked.ts';
import { positionOf } from './sorted.ts';

export const exitKinds = [
  'jump',
  'branch',
  'call',
  'ret',
  'indirect',
  'syscall',
  'trap',
] as const satisfies Block['exit']['kind'][];
const CALL = exitKinds.indexOf('call');

// Kind of a block: guest bytes in bits 0-11, exit kind 12-14, float 16, words of code 17-30, pairs of them. Bits 15 and 31 are set in a
// guest's memory only: the block can be run, it cannot be used.
export const MAX_BYTES = 0xfff;
export const FLOAT = 1 << 16;
export const MAX_CODE = 0x3fff;
export const kindOf = (bytes: number, exit: number, float: boolean, words: number): number =>
  bytes | (exit << 12) | (float ? FLOAT : 0) | (words << 17);
export const bytesOf = (kind: number): number => kind & MAX_BYTES;
export const exitOf = (kind: number): number => (kind >>> 12) & 7;
export const READY = 1 << 15;
export const codeWordsOf = (kind: number): number => (kind >>> 17) & MAX_CODE;

const HEADER = 8;
const even = (n: number): number => (n + 1) & ~1;
/** Words of a chunk in a guest's memory that is not 0 once a block of it turned out to be damaged. */
export const DAMAGED_WORD = 7;
/** The stub's block is entered when a call returns. */
export const RETURN_SITE = 0x8000_0000;
/** What the word of a link holds: it leads to an address that there may be code for; to what counts it, if there is such. */
const LINK = 1;
const COUNTED_LINK = 3;

/** A block to be put into a chunk. */
export interface ChunkBlock {
  pc: number;
  kind: number;
  /** Sum of its guest bytes: see guestSum. */
  sum: number;
  /** Link word in the lower, link op in the upper 16 bits, as offsets in its code; 0: none. */
  firstLink: number;
  secondLink: number;
  /** What its code is taken from: words of `code` from `at` on. */
  code: Uint32Array;
  at: number;
}

/** Words that a block's code takes. */
export const wordsIn = (kind: number): number => Math.max(MIN_BLOCK >> 2, codeWordsOf(kind));

/** Sum of the code of a block. */
export function codeSum(words: Uint32Array, at: number, length: number): number {
  let h = 0x811c9dc5 ^ length;
  for (let k = at; k < at + length; k++) {
    h = Math.imul(h ^ words[k]!, 0x01000193);
    h ^= h >>> 15;
  }
  return h >>> 0;
}
/** Sum of the guest bytes of a block, which are words with zeros behind their end. */
export function guestSum(words: Uint32Array, at: number, bytes: number): number {
  let h = 0x811c9dc5 ^ bytes;
  for (let k = 0; k <= bytes >> 2; k++) {
    h = Math.imul(h ^ (k < (bytes + 3) >> 2 ? words[at + k]! : 0), 0x01000193);
    h ^= h >>> 15;
  }
  return h >>> 0;
}

/** A chunk as the file has it, or in its place in a guest's memory. */
export class StoredChunk {
  readonly words: Uint32Array;
  readonly pcs: Uint32Array;
  readonly places: Uint32Array;
  readonly kinds: Uint32Array;
  readonly sums: Uint32Array;
  readonly codeSums: Uint32Array;
  readonly links: Uint32Array;
  readonly stubPcs: Uint32Array;
  readonly stubBlocks: Uint32Array;
  readonly calls: Uint32Array;
  readonly pages: Uint32Array;
  /** Where the code begins, in words; and its end, in bytes, where the stubs begin. */
  readonly codeAt: number;
  readonly stubsAt: number;
  /** Bytes with the stubs. */
  readonly size: number;

  private constructor(words: Uint32Array) {
    const [blocks, stubs, , calls, pages] = words.subarray(2) as unknown as [number, number, number, number, number];
    let at = HEADER;
    const column = (length: number): Uint32Array => words.subarray(at, (at += length));
    this.words = words;
    this.pcs = column(blocks);
    this.places = column(blocks);
    this.kinds = column(blocks);
    this.sums = column(blocks);
    this.codeSums = column(blocks);
    this.links = column(2 * blocks);
    this.stubPcs = column(stubs);
    this.stubBlocks = column(stubs);
    this.calls = column(calls);
    this.pages = column(pages);
    this.codeAt = even(at);
    this.stubsAt = words.length * 4;
    this.size = this.stubsAt + stubs * stubLayout.size;
  }
  /** Null when the numbers do not fit the length; nothing else is checked. */
  static of(words: Uint32Array): StoredChunk | null {
    if (words.length < HEADER) return null;
    const columns = HEADER + 7 * words[2]! + 2 * words[3]! + words[5]! + words[6]!;
    return even(columns) + words[4]! === words.length && words[2]! > 0 ? new StoredChunk(words) : null;
  }
  /** Whether all but the code is as it was written. Slow: a run has src/helpers/code.ts do it. */
  isWhole(): boolean {
    const [low, high] = checksumOf(this.words.subarray(2, this.codeAt));
    return this.words[0] === low && this.words[1] === high;
  }
  /** Whether the code of a block is as it was written. */
  isWholeBlock(k: number): boolean {
    return codeSum(this.words, this.places[k]! >> 2, wordsIn(this.kinds[k]!)) === this.codeSums[k];
  }
  end(k: number): number {
    return this.pcs[k]! + bytesOf(this.kinds[k]!);
  }
  indexOf(pc: number): number {
    return positionOf(this.pcs, pc);
  }
  /** Its blocks. */
  *blocks(): Generator<ChunkBlock> {
    const { pcs, places, kinds, sums, links, words } = this;
    for (let k = 0; k < pcs.length; k++) {
      const [firstLink, secondLink] = [links[2 * k]!, links[2 * k + 1]!];
      yield { pc: pcs[k]!, kind: kinds[k]!, sum: sums[k]!, firstLink, secondLink, code: words, at: places[k]! >> 2 };
    }
  }
  /** Those that are whole, to be put into other chunks. */
  wholeBlocks(): ChunkBlock[] {
    return [...this.blocks()].filter((_, k) => this.isWholeBlock(k));
  }
}

/** Where the links of a block lead to, in order; null: there is no such link, or it leads out of the guest's memory. */
function targets({ firstLink, secondLink, code, at }: ChunkBlock): (number | null)[] {
  return [firstLink, secondLink].map((link) => {
    const pc = at + (link >>> 18) + (exitLayout.pc >> 2);
    return link === 0 || code[pc + 1] !== 0 ? null : code[pc]!;
  });
}
/** Whether a link of the block to `target` goes to what counts entries. */
const isCounted = ({ pc, kind }: ChunkBlock, target: number): boolean =>
  exitOf(kind) === CALL || target < pc + bytesOf(kind);
/** Targets of the block's links that are counted. */
export const countedTargets = (b: ChunkBlock): number[] =>
  targets(b).filter((t): t is number => t !== null && isCounted(b, t));

/** Makes a chunk of blocks in ascending order. `counted`: what links from elsewhere lead to, too. */
export function encodeChunk(blocks: readonly ChunkBlock[], counted: ReadonlySet<number> = new Set()): Uint32Array {
  const n = blocks.length;
  const pcs = Uint32Array.from(blocks, (b) => b.pc);
  const stubs = new Map<number, number>();
  const calls = new Set<number>();
  const pages = new Set<number>();
  let codeWords = 0;
  for (let k = 0; k < n; k++) {
    const b = blocks[k]!;
    const end = b.pc + bytesOf(b.kind);
    const isCall = exitOf(b.kind) === CALL;
    codeWords += wordsIn(b.kind);
    for (let page = Math.floor(b.pc / PAGE_SIZE); page * PAGE_SIZE < end; page++) pages.add(page);
    if (counted.has(b.pc) && !stubs.has(k)) stubs.set(k, 0);
    for (const target of targets(b)) {
      if (target === null) continue;
      const to = positionOf(pcs, target);
      if (to >= 0 && isCounted(b, target) && !stubs.has(to)) stubs.set(to, 0);
      if (isCall) calls.add(target);
    }
    if (isCall) {
      const back = positionOf(pcs, end);
      if (back >= 0) stubs.set(back, RETURN_SITE);
    }
  }
  const order = Uint32Array.from(stubs.keys()).sort();
  const columns = even(HEADER + 7 * n + 2 * order.length + calls.size + pages.size);
  const out = new Uint32Array(columns + codeWords);
  out.set([0, 0, n, order.length, codeWords, calls.size, pages.size, 0]);
  const made = StoredChunk.of(out)!;
  made.pcs.set(pcs);
  made.calls.set(Uint32Array.from(calls).sort());
  made.pages.set(Uint32Array.from(pages).sort());
  for (let k = 0; k < order.length; k++) {
    made.stubPcs[k] = pcs[order[k]!]!;
    made.stubBlocks[k] = (order[k]! | stubs.get(order[k]!)!) >>> 0;
  }
  let at = made.codeAt;
  for (let k = 0; k < n; k++) {
    const b = blocks[k]!;
    const words = codeWordsOf(b.kind);
    made.places[k] = at * 4;
    made.kinds[k] = b.kind;
    made.sums[k] = b.sum;
    made.links[2 * k] = b.firstLink;
    made.links[2 * k + 1] = b.secondLink;
    for (let w = 0; w < words; w++) out[at + w] = b.code[b.at + w]!;
    for (const [which, target] of targets(b).entries()) {
      const link = which === 0 ? b.firstLink : b.secondLink;
      if (link === 0) continue;
      out[at + ((link & 0xffff) >> 2)] = target === null ? 0 : isCounted(b, target) ? COUNTED_LINK : LINK;
      out[at + (link >>> 18) + (exitLayout.linkAddress >> 2)] = 0;
    }
    made.codeSums[k] = codeSum(out, at, wordsIn(b.kind));
    at += wordsIn(b.kind);
  }
  const [low, high] = checksumOf(out.subarray(2, made.codeAt));
  out[0] = low;
  out[1] = high;
  return out;
}
