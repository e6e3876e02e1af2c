/**
 * Chunks of interpreter code: some hundred blocks of neighbouring guest addresses, with the stubs before those that are counted,
 * linked to each other, so that all of them are put in place at once (src/helpers/code.ts does so, and checks them).
 *
 * A chunk is little-endian 32-bit words: the checksum of the rest (2), the numbers of blocks, stubs, words of code, call targets,
 * pages and open links; then, in ascending order of guest addresses, for each block its address, the place of its code, its
 * kind, the sum of its guest bytes, its two links; for each stub its address and its block; the call targets; the guest pages;
 * where each open link leads to, and its number; the code. Places are bytes from where the chunk's code begins, which is with
 * the stubs. The word of a link that leads to code of the chunk holds the place of that, with the lowest bit set; that of an
 * open one 0.
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

// Kind of a block: guest bytes in bits 0-11, exit kind 12-14, float 16, words of code 17-30, pairs of them.
export const MAX_BYTES = 0xfff;
export const FLOAT = 1 << 16;
export const MAX_CODE = 0x3fff;
export const kindOf = (bytes: number, exit: number, float: boolean, words: number): number =>
  bytes | (exit << 12) | (float ? FLOAT : 0) | (words << 17);
export const bytesOf = (kind: number): number => kind & MAX_BYTES;
export const exitOf = (kind: number): number => (kind >>> 12) & 7;
export const codeWordsOf = (kind: number): number => (kind >>> 17) & MAX_CODE;

const HEADER = 8;
/** The stub's block is entered when a call returns. */
export const RETURN_SITE = 0x8000_0000;

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

/** Sum of the guest bytes of a block, which are words with zeros behind their end. */
export function guestSum(words: Uint32Array, at: number, bytes: number): number {
  let h = 0x811c9dc5 ^ bytes;
  for (let k = 0; k <= bytes >> 2; k++) {
    h = Math.imul(h ^ (k < (bytes + 3) >> 2 ? words[at + k]! : 0), 0x01000193);
    h ^= h >>> 15;
  }
  return h >>> 0;
}

/** A chunk as the file has it. */
export class StoredChunk {
  readonly words: Uint32Array;
  readonly pcs: Uint32Array;
  readonly places: Uint32Array;
  readonly kinds: Uint32Array;
  readonly sums: Uint32Array;
  readonly links: Uint32Array;
  readonly stubPcs: Uint32Array;
  readonly stubBlocks: Uint32Array;
  readonly calls: Uint32Array;
  readonly pages: Uint32Array;
  /** Targets of open links, in order, and the number of each among all links, doubled; odd when it goes to the stub. */
  readonly openTargets: Uint32Array;
  readonly open: Uint32Array;
  readonly code: Uint32Array;
  /** Bytes of stubs, and of them and the code. */
  readonly stubBytes: number;
  readonly size: number;

  private constructor(words: Uint32Array) {
    const [blocks, stubs, , calls, pages, open] = words.subarray(2) as unknown as [
      number,
      number,
      number,
      number,
      number,
      number,
    ];
    let at = HEADER;
    const column = (length: number): Uint32Array => words.subarray(at, (at += length));
    this.words = words;
    this.pcs = column(blocks);
    this.places = column(blocks);
    this.kinds = column(blocks);
    this.sums = column(blocks);
    this.links = column(2 * blocks);
    this.stubPcs = column(stubs);
    this.stubBlocks = column(stubs);
    this.calls = column(calls);
    this.pages = column(pages);
    this.openTargets = column(open);
    this.open = column(open);
    this.code = words.subarray(at);
    this.stubBytes = stubs * stubLayout.size;
    this.size = this.stubBytes + this.code.length * 4;
  }
  /** Null when the numbers do not fit the length; nothing else is checked. */
  static of(words: Uint32Array): StoredChunk | null {
    if (words.length < HEADER) return null;
    const size = HEADER + 6 * words[2]! + 2 * words[3]! + words[4]! + words[5]! + words[6]! + 2 * words[7]!;
    return size === words.length && words[2]! > 0 ? new StoredChunk(words) : null;
  }
  /** Whether it is as it was written. Slow: a run has src/helpers/code.ts do it. */
  isWhole(): boolean {
    const [low, high] = checksumOf(this.words.subarray(2));
    return this.words[0] === low && this.words[1] === high;
  }
  end(k: number): number {
    return this.pcs[k]! + bytesOf(this.kinds[k]!);
  }
  indexOf(pc: number): number {
    return positionOf(this.pcs, pc);
  }
  /** Its blocks, to be put into other chunks. */
  blocks(): ChunkBlock[] {
    const { pcs, places, kinds, sums, links, code } = this;
    return Array.from(pcs, (pc, k) => ({
      pc,
      kind: kinds[k]!,
      sum: sums[k]!,
      firstLink: links[2 * k]!,
      secondLink: links[2 * k + 1]!,
      code,
      at: (places[k]! - this.stubBytes) >> 2,
    }));
  }
}

const places = (words: number): number => Math.max(MIN_BLOCK, words * 4);

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
  /** Links within the chunk: block, its link, the block it leads to, whether that is counted. */
  const inner: { word: number; to: number; counted: boolean; from: number }[] = [];
  const open: { target: number; link: number }[] = [];
  let codeWords = 0;
  for (let k = 0; k < n; k++) {
    const b = blocks[k]!;
    const end = b.pc + bytesOf(b.kind);
    const isCall = exitOf(b.kind) === CALL;
    codeWords += places(codeWordsOf(b.kind)) >> 2;
    for (let page = Math.floor(b.pc / PAGE_SIZE); page * PAGE_SIZE < end; page++) pages.add(page);
    if (counted.has(b.pc) && !stubs.has(k)) stubs.set(k, 0);
    for (const [which, target] of targets(b).entries()) {
      if (target === null) continue;
      const link = which === 0 ? b.firstLink : b.secondLink;
      const to = positionOf(pcs, target);
      const counted = isCounted(b, target);
      // Entering a block with floating point has an effect that the runtime must know of.
      if (to < 0 || blocks[to]!.kind & FLOAT) {
        open.push({ target, link: (2 * k + which) * 2 + (counted ? 1 : 0) });
        continue;
      }
      if (counted && !stubs.has(to)) stubs.set(to, 0);
      if (isCall) calls.add(target);
      inner.push({ from: k, word: (link & 0xffff) >> 2, to, counted });
    }
    if (isCall) {
      const back = positionOf(pcs, end);
      if (back >= 0) stubs.set(back, RETURN_SITE);
    }
  }
  const order = Uint32Array.from(stubs.keys()).sort();
  const stubOf = new Map<number, number>();
  for (let k = 0; k < order.length; k++) stubOf.set(order[k]!, k);
  open.sort((a, b) => a.target - b.target);
  const columns = 6 * n + 2 * order.length + calls.size + pages.size + 2 * open.length;
  const out = new Uint32Array(HEADER + columns + codeWords);
  out.set([0, 0, n, order.length, codeWords, calls.size, pages.size, open.length]);
  const made = StoredChunk.of(out)!;
  made.pcs.set(pcs);
  made.calls.set(Uint32Array.from(calls).sort());
  made.pages.set(Uint32Array.from(pages).sort());
  for (let k = 0; k < open.length; k++) {
    made.openTargets[k] = open[k]!.target;
    made.open[k] = open[k]!.link;
  }
  for (let k = 0; k < order.length; k++) {
    made.stubPcs[k] = pcs[order[k]!]!;
    made.stubBlocks[k] = (order[k]! | stubs.get(order[k]!)!) >>> 0;
  }
  let at = 0;
  for (let k = 0; k < n; k++) {
    const b = blocks[k]!;
    const words = codeWordsOf(b.kind);
    made.places[k] = made.stubBytes + at * 4;
    made.kinds[k] = b.kind;
    made.sums[k] = b.sum;
    made.links[2 * k] = b.firstLink;
    made.links[2 * k + 1] = b.secondLink;
    for (let w = 0; w < words; w++) made.code[at + w] = b.code[b.at + w]!;
    for (const link of [b.firstLink, b.secondLink])
      if (link !== 0) {
        made.code[at + ((link & 0xffff) >> 2)] = 0;
        made.code[at + (link >>> 18) + (exitLayout.linkAddress >> 2)] = 0;
      }
    at += places(words) >> 2;
  }
  for (const { from, word, to, counted } of inner) {
    const place = counted ? stubOf.get(to)! * stubLayout.size : made.places[to]!;
    made.code[((made.places[from]! - made.stubBytes) >> 2) + word] = place | 1;
  }
  const [low, high] = checksumOf(out.subarray(2));
  out[0] = low;
  out[1] = high;
  return out;
}
