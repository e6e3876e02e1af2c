/**
 * Interpreter code of one image, as earlier runs have made it. Of a short run's time, making it takes more than running it.
 *
 * The file is little-endian 32-bit words: a header, a directory, and chunks (chunk.ts) in ascending order of guest addresses. A
 * run reads the directory, and the chunks that blocks it enters lie in. Blocks that a run makes are kept as records, which
 * other address spaces of the run may use, until the file is written anew.
 */
import type { Block } from '../../translator/ir/block.ts';
import type { CodeTemplate } from '../code-template.ts';
import { exitLayout } from '../../translator/ir/bytecode.ts';
import { checksumOf } from './checked.ts';
import {
  bytesOf,
  type ChunkBlock,
  codeWordsOf,
  countedTargets,
  encodeChunk,
  exitKinds,
  exitOf,
  FLOAT,
  guestSum,
  kindOf,
  MAX_BYTES,
  MAX_CODE,
  StoredChunk,
} from './chunk.ts';

export const BLOCKS = 'blocks';
const MAGIC = 0x434b5455;
// Header: magic number, chunks, blocks, checksum of the numbers and the directory.
const HEADER = 5;
// Directory, for each chunk: its first and last address, its place in words from the file's beginning, its words.
const ENTRY = 4;
/** Words of code of all blocks beyond which none is added. */
const MAX_WORDS = 16 * 2 ** 20;
/** Words of code of a chunk beyond which it becomes several. */
const CHUNK_WORDS = 1 << 14;
/** As many new blocks, or this part of all, are worth writing the file anew. */
const WORTH_BLOCKS = 1;
const WORTH_PART = 256;

// Words of a record.
const PC = 0;
const KIND = 1;
const FIRST_LINK = 2;
const SECOND_LINK = 3;
const FIXED = 4;

export interface StoredBlock {
  pc: number;
  end: number;
  exit: Block['exit']['kind'];
  /** It has fast floating point. */
  float: boolean;
  /** Words of code. */
  words: number;
}

const EMPTY: Uint32Array = new Uint32Array(0);

/** What the blocks are read from: see CacheFile. */
export interface BlockFile {
  readonly size: number;
  read(at: number, length: number): Buffer | null;
  /** Reads to `to` what comes at `at`. False when that is less than fits there, or cannot be read. */
  readInto(to: Uint8Array, at: number): boolean;
}
export const inMemory = (bytes: Buffer): BlockFile => ({
  size: bytes.length,
  read: (at, length) => Buffer.from(bytes.subarray(at, at + length)),
  readInto(to, at) {
    to.set(bytes.subarray(at, at + to.length));
    return at + to.length <= bytes.length;
  },
});
/** A chunk of a file. */
export interface ChunkPlace {
  readonly number: number;
  /** Guest addresses of its first and its last block. */
  readonly first: number;
  readonly last: number;
  readonly words: number;
  /** Reads it, all of its words. False when that cannot be done. */
  read(to: Uint8Array): boolean;
}
const wordsOf = (bytes: Buffer): Uint32Array =>
  bytes.byteOffset % 4 === 0
    ? new Uint32Array(bytes.buffer as ArrayBuffer, bytes.byteOffset, bytes.length >>> 2)
    : new Uint32Array(new Uint8Array(bytes).buffer, 0, bytes.length >>> 2);

export class BlockStore {
  readonly #file: BlockFile | null;
  #directory = EMPTY;
  #blocks = 0;
  /** By number. */
  readonly #places: (ChunkPlace | undefined)[] = [];
  /** By number; null: damaged. */
  readonly #chunks: (StoredChunk | null | undefined)[] = [];
  /** Made in this run, by pc: place in `#fresh`. */
  readonly #new = new Map<number, number>();
  #fresh = EMPTY;
  #used = 0;
  /** Chunks that could not be used, or the file. */
  rejected = 0;

  /** `file` is what `encode` has made; null when there is none yet. */
  constructor(file: Buffer | BlockFile | null) {
    this.#file = Buffer.isBuffer(file) ? inMemory(file) : file;
    if (!this.#file) return;
    const first = this.#file.read(0, HEADER * 4);
    const head = first ? wordsOf(first) : EMPTY;
    const size = (head[1] ?? 0) * ENTRY * 4;
    const fits = head[0] === MAGIC && HEADER * 4 + size <= this.#file.size;
    const rest = fits ? this.#file.read(HEADER * 4, size) : null;
    if (!rest || rest.length < size || !sealMatches(head, wordsOf(rest))) {
      this.rejected++;
      return;
    }
    this.#directory = wordsOf(rest);
    this.#blocks = head[2]!;
  }
  get #count(): number {
    return this.#directory.length / ENTRY;
  }
  /** Number of the chunk whose addresses are around `pc`; -1: none. */
  #around(pc: number): number {
    const d = this.#directory;
    let low = 0;
    let high = this.#count;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (d[middle * ENTRY + 1]! < pc) low = middle + 1;
      else high = middle;
    }
    return low < this.#count && d[low * ENTRY]! <= pc ? low : -1;
  }
  #chunk(k: number): StoredChunk | null {
    let chunk = this.#chunks[k];
    if (chunk !== undefined) return chunk;
    const [first, last, place, length] = this.#directory.subarray(k * ENTRY, k * ENTRY + ENTRY) as unknown as number[];
    const bytes = this.#file!.read(place! * 4, length! * 4);
    chunk = bytes && bytes.length === length! * 4 ? StoredChunk.of(wordsOf(bytes)) : null;
    if (chunk && (chunk.pcs[0] !== first || chunk.pcs.at(-1) !== last)) chunk = null;
    if (!chunk) this.rejected++;
    this.#chunks[k] = chunk;
    return chunk;
  }
  /** The chunk with the block at `pc`, to be checked; null when there is none. */
  chunkWith(pc: number): StoredChunk | null {
    const k = this.#around(pc);
    const chunk = k < 0 ? null : this.#chunk(k);
    return chunk && chunk.indexOf(pc) >= 0 ? chunk : null;
  }
  /** The chunk that a block at `pc` would be in, not looked into yet; null when there is none. */
  around(pc: number): ChunkPlace | null {
    const number = this.#around(pc);
    if (number < 0 || this.#chunks[number] === null) return null;
    const known = this.#places[number];
    if (known) return known;
    const [first, last, place, words] = this.#directory.subarray(number * ENTRY, number * ENTRY + ENTRY) as unknown as [
      number,
      number,
      number,
      number,
    ];
    const file = this.#file!;
    const inside = (place + words) * 4 <= file.size;
    const made = { number, first, last, words, read: (to: Uint8Array) => inside && file.readInto(to, place * 4) };
    this.#places[number] = made;
    return made;
  }
  /** A chunk turned out to be damaged: it is not used any more. */
  reject(number: number): void {
    if (this.#chunks[number] === null) return;
    this.#chunks[number] = null;
    this.rejected++;
  }
  /** A block turned out to be damaged. */
  noteDamage(): void {
    this.rejected++;
  }
  /** All chunks of the file that are whole. */
  *#whole(): Generator<StoredChunk> {
    for (let k = 0; k < this.#count; k++) {
      const chunk = this.#chunk(k);
      if (chunk && !chunk.isWhole()) this.reject(k);
      else if (chunk) yield chunk;
    }
  }

  /** Number of blocks. */
  get size(): number {
    return this.#blocks + this.#new.size;
  }
  /** Reads all: how many chunks, or the file, are damaged. */
  damaged(): number {
    let blocks = 0;
    let before = -1;
    let bad = 0;
    for (const chunk of this.#whole()) {
      const { pcs } = chunk;
      blocks += pcs.length;
      for (let k = 0; k < pcs.length; k++) {
        if (pcs[k]! <= before || !chunk.isWholeBlock(k)) bad++;
        before = pcs[k]!;
      }
    }
    return this.rejected + bad + (this.rejected === 0 && blocks !== this.#blocks ? 1 : 0);
  }

  /** Puts the code of a block that this run has made at address `at`; null when there is none, or it was made from other bytes. */
  load(pc: number, guest: Uint8Array, u32: Uint32Array, at: number): StoredBlock | null {
    const r = this.#new.get(pc);
    if (r === undefined) return null;
    const words = this.#fresh;
    const kind = words[r + KIND]!;
    const bytes = bytesOf(kind);
    for (let k = 0; k < bytes; k++)
      if (guest[pc + k] !== ((words[r + FIXED + (k >> 2)]! >>> ((k & 3) * 8)) & 0xff)) return null;
    const codeWords = codeWordsOf(kind);
    const code = r + FIXED + ((bytes + 3) >> 2);
    const to = at >>> 2;
    for (let k = 0; k < codeWords; k++) u32[to + k] = words[code + k]!;
    for (let k = FIRST_LINK; k <= SECOND_LINK; k++) {
      const link = words[r + k]!;
      if (link === 0) continue;
      const word = at + (link & 0xffff);
      const op = at + (link >>> 16);
      u32[word >>> 2] = op;
      u32[(op + exitLayout.linkAddress) >>> 2] = word;
    }
    return { pc, end: pc + bytes, exit: exitKinds[exitOf(kind)]!, float: (kind & FLOAT) !== 0, words: codeWords };
  }

  has(pc: number): boolean {
    return this.#new.has(pc) || this.chunkWith(pc) !== null;
  }
  /** Blocks that are not in the file. */
  get added(): number {
    return this.#new.size;
  }

  /** Notes a block that was just made of the bytes that are there. */
  add(block: Block, { words: code, links }: CodeTemplate, float: boolean, guest: Uint8Array): void {
    const { pc, end, exit } = block;
    const bytes = end - pc;
    const size = FIXED + ((bytes + 3) >> 2) + code.length;
    if (bytes > MAX_BYTES || links.length > 2 || code.length > MAX_CODE || this.#new.has(pc)) return;
    // Where it returns to is not kept: it is what follows.
    if (exit.kind === 'call' && exit.returnPc !== end) return;
    if ((this.#file?.size ?? 0) / 4 + this.#used + size > MAX_WORDS) return;
    if (this.#used + size > this.#fresh.length) {
      const larger = new Uint32Array(Math.max(0x4000, this.#fresh.length * 2));
      larger.set(this.#fresh.subarray(0, this.#used));
      this.#fresh = larger;
    }
    const w = this.#fresh;
    const r = this.#used;
    w[r + PC] = pc;
    w[r + KIND] = kindOf(bytes, exitKinds.indexOf(exit.kind), float, code.length);
    for (let k = 0; k < 2; k++) {
      const link = links[k];
      w[r + FIRST_LINK + k] = link ? link.word | (link.op << 16) : 0;
    }
    let at = r + FIXED;
    for (let k = 0; k < bytes; k += 4, at++) {
      const left = bytes - k;
      w[at] =
        guest[pc + k]! |
        (left > 1 ? guest[pc + k + 1]! << 8 : 0) |
        (left > 2 ? guest[pc + k + 2]! << 16 : 0) |
        (left > 3 ? guest[pc + k + 3]! << 24 : 0);
    }
    for (let k = 0; k < code.length; k++) w[at++] = code[k]!;
    this.#new.set(pc, r);
    this.#used = at;
  }
  /** A block of this run as chunks have it. */
  #record(r: number): ChunkBlock {
    const w = this.#fresh;
    const kind = w[r + KIND]!;
    const bytes = bytesOf(kind);
    return {
      pc: w[r + PC]!,
      kind,
      sum: guestSum(w, r + FIXED, bytes),
      firstLink: w[r + FIRST_LINK]!,
      secondLink: w[r + SECOND_LINK]!,
      code: w,
      at: r + FIXED + ((bytes + 3) >> 2),
    };
  }

  /** Whether enough has come to be worth a new file. */
  get worthWriting(): boolean {
    // One with damaged chunks gets whole again: those blocks that were needed have been made.
    return this.rejected > 0 || this.#new.size >= Math.max(WORTH_BLOCKS, this.#blocks / WORTH_PART);
  }
  /** The file: what was there, and what came. Chunks that nothing came to stay as they are. */
  encode(): Uint8Array[] {
    const fresh = Uint32Array.from(this.#new.keys()).sort();
    const parts: (StoredChunk | ChunkBlock[])[] = [];
    let next = 0;
    const add = (blocks: ChunkBlock[]): void => {
      parts.push(...groups(blocks));
    };
    for (let k = 0; k < this.#count; k++) {
      const chunk = this.#chunk(k);
      if (!chunk) continue;
      // What lies before the chunk after this one comes to this one.
      const end = k + 1 < this.#count ? this.#directory[(k + 1) * ENTRY]! : 2 ** 32;
      const from = next;
      while (next < fresh.length && fresh[next]! < end) next++;
      // A file with damage is looked through.
      if (next === from && this.rejected === 0) {
        parts.push(chunk);
        continue;
      }
      const blocks = new Map<number, ChunkBlock>();
      if (chunk.isWhole()) for (const block of chunk.wholeBlocks()) blocks.set(block.pc, block);
      else this.rejected++;
      for (const pc of fresh.subarray(from, next)) blocks.set(pc, this.#record(this.#new.get(pc)!));
      add([...blocks.values()].sort((a, b) => a.pc - b.pc));
    }
    // All chunks may have been damaged.
    if (next < fresh.length) add(Array.from(fresh.subarray(next), (pc) => this.#record(this.#new.get(pc)!)));
    const counted = new Set<number>();
    for (const part of parts)
      for (const block of part instanceof StoredChunk ? part.blocks() : part)
        for (const pc of countedTargets(block)) counted.add(pc);
    return fileOf(parts.map((p) => (p instanceof StoredChunk ? p : StoredChunk.of(encodeChunk(p, counted))!)));
  }
}

/** Blocks in order, in groups of the size of a chunk. */
function* groups(blocks: readonly ChunkBlock[]): Generator<ChunkBlock[]> {
  let total = 0;
  for (const { kind } of blocks) total += codeWordsOf(kind);
  const limit = total / Math.ceil(total / CHUNK_WORDS);
  let group: ChunkBlock[] = [];
  let words = 0;
  for (const block of blocks) {
    group.push(block);
    words += codeWordsOf(block.kind);
    if (words < limit) continue;
    yield group;
    group = [];
    words = 0;
  }
  if (group.length > 0) yield group;
}

function fileOf(chunks: readonly StoredChunk[]): Uint8Array[] {
  const head = new Uint32Array(HEADER + chunks.length * ENTRY);
  let place = head.length;
  let blocks = 0;
  for (const [k, { words, pcs }] of chunks.entries()) {
    head.set([pcs[0]!, pcs.at(-1)!, place, words.length], HEADER + k * ENTRY);
    place += words.length;
    blocks += pcs.length;
  }
  head.set([MAGIC, chunks.length, blocks]);
  head.set(seal(head, head.subarray(HEADER)), 3);
  return [head, ...chunks.map(({ words }) => words)].map((w) => new Uint8Array(w.buffer, w.byteOffset, w.byteLength));
}
const seal = (head: Uint32Array, directory: Uint32Array): [number, number] => {
  const all = new Uint32Array(3 + directory.length);
  all.set(head.subarray(0, 3));
  all.set(directory, 3);
  return checksumOf(all);
};
function sealMatches(head: Uint32Array, directory: Uint32Array): boolean {
  const [low, high] = seal(head, directory);
  return head[3] === low && head[4] === high;
}
