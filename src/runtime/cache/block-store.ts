/**
 * Interpreter code of one image, as earlier runs have made it. Of a short run's time, making it takes more than running it.
 *
 * The file is little-endian 32-bit words: a header, the guest addresses of the blocks in ascending order, the place of each
 * one's record, and the records. A record holds the guest bytes it was made from, which are compared when it is used, and
 * a checksum of its own: a run reads only the records it needs, so it checks only those. Of a large file it reads the parts
 * that they lie in.
 */
import type { Block } from '../../translator/ir/block.ts';
import type { CodeTemplate } from '../code-template.ts';
import { exitLayout } from '../../translator/ir/bytecode.ts';
import { positionOf } from './sorted.ts';

export const BLOCKS = 'blocks';
const MAGIC = 0x424b5455;
const HEADER = 4;
/** Words of records beyond which none is added. */
const MAX_WORDS = 16 * 2 ** 20;
/** As many new blocks, or this part of all, are worth writing the file anew. */
const WORTH_BLOCKS = 16;
const WORTH_PART = 64;

const exitKinds = [
  'jump',
  'branch',
  'call',
  'ret',
  'indirect',
  'syscall',
  'trap',
] as const satisfies Block['exit']['kind'][];

// Words of a record.
const CHECKSUM = 0;
const PC = 1;
/** Guest bytes in bits 0-11, exit kind 12-15, float 16, whether there is a return address 17. */
const KIND = 2;
const RETURN_PC = 3;
/** Words of code, and number of links in the upper half. */
const SIZE = 4;
const INSTRUCTIONS = 5;
const FIXED = 6;
const FLOAT = 1 << 16;
const HAS_RETURN = 1 << 17;

export interface StoredBlock {
  pc: number;
  end: number;
  exit: Block['exit']['kind'];
  returnPc: number | null;
  guestInstructions: number;
  /** It has fast floating point. */
  float: boolean;
  /** Words of code. */
  words: number;
  /** Addresses of its link ops; 0: none. No block has more than two. */
  firstLink: number;
  secondLink: number;
}

/**
 * FNV-1a over words, with a shift: a product carries upwards only, so that without it two words with damage in their highest
 * bytes would make up for each other in one of 256 cases.
 */
function checksum(words: Uint32Array, from: number, to: number): number {
  let h = 0x811c9dc5;
  for (let k = from; k < to; k++) {
    h = Math.imul(h ^ words[k]!, 0x01000193);
    h ^= h >>> 15;
  }
  return h >>> 0;
}

const EMPTY = new Uint32Array(0);

/** Words of one part of a large file; and beyond its end, for a record that begins in it: the longest has fewer. */
const PART = 1 << 16;
const OVERLAP = 0x4800;
/** Bytes up to which a file is read as a whole. */
const SMALL_FILE = 12 * 2 ** 20;

/** What the blocks are read from: see CacheFile. */
export interface BlockFile {
  readonly size: number;
  read(at: number, length: number): Buffer | null;
}
const inMemory = (bytes: Buffer): BlockFile => ({
  size: bytes.length,
  read: (at, length) => bytes.subarray(at, at + length),
});
const wordsOf = (bytes: Buffer): Uint32Array<ArrayBuffer> =>
  new Uint32Array(bytes.buffer as ArrayBuffer, bytes.byteOffset, bytes.length >>> 2);

export class BlockStore {
  #pcs = EMPTY;
  #places = EMPTY;
  /** Words of records in the file. */
  #length = 0;
  readonly #file: BlockFile | null;
  /** Where records begin in the file, in bytes. */
  #start = 0;
  /** By number; of a small file there is one, the whole. */
  readonly #parts: (Uint32Array | undefined)[] = [];
  #whole = true;
  /** Made in this run, by pc: place in `#fresh`. */
  readonly #new = new Map<number, number>();
  #fresh = EMPTY;
  #used = 0;
  /** Records that could not be used. */
  rejected = 0;

  /** `file` is what `encode` has made; null when there is none yet. */
  constructor(file: Buffer | BlockFile | null) {
    this.#file = Buffer.isBuffer(file) ? inMemory(file) : file;
    if (!this.#file) return;
    const { size } = this.#file;
    this.#whole = size <= SMALL_FILE;
    const first = this.#file.read(0, this.#whole ? size : HEADER * 4);
    const [magic, count, length] = first ? wordsOf(first) : EMPTY;
    this.#start = (HEADER + 2 * count!) * 4;
    const tables = magic === MAGIC && this.#start + length! * 4 === size && size % 4 === 0;
    const head = tables ? (this.#whole ? first : this.#file.read(0, this.#start)) : null;
    if (!head || head.length < this.#start) {
      this.rejected++;
      return;
    }
    const words = wordsOf(head);
    this.#pcs = words.subarray(HEADER, HEADER + count!);
    this.#places = words.subarray(HEADER + count!, HEADER + 2 * count!);
    this.#length = length!;
    if (this.#whole) this.#parts[0] = words.subarray(HEADER + 2 * count!);
  }
  /** The words that the record at `place` lies in; it begins at `place - base`. */
  #part(place: number): Uint32Array {
    const k = this.#whole ? 0 : Math.floor(place / PART);
    let part = this.#parts[k];
    if (!part) {
      const bytes = this.#file!.read(this.#start + k * PART * 4, Math.min(PART + OVERLAP, this.#length - k * PART) * 4);
      part = bytes ? wordsOf(bytes) : EMPTY;
      this.#parts[k] = part;
    }
    return part;
  }
  #baseOf(place: number): number {
    return this.#whole ? 0 : Math.floor(place / PART) * PART;
  }
  /** All records of the file. */
  #records(): Uint32Array {
    if (!this.#file || this.#length === 0) return EMPTY;
    if (this.#whole) return this.#parts[0]!;
    const bytes = this.#file.read(this.#start, this.#length * 4);
    return bytes ? wordsOf(bytes) : EMPTY;
  }
  get size(): number {
    return this.#pcs.length + this.#new.size;
  }
  /** Guest addresses of the blocks, in order. */
  get addresses(): Iterable<number> {
    return this.#pcs;
  }

  /** Reads every record: how many are damaged. */
  damagedRecords(): number {
    const w = this.#records();
    let bad = this.rejected;
    for (let k = 0; k < this.#pcs.length; k++) {
      const r = this.#places[k]!;
      const bytes = w[r + KIND]! & 0xfff;
      const end = r + FIXED + ((bytes + 3) >> 2) + (w[r + SIZE]! >>> 16) + (w[r + SIZE]! & 0xffff);
      const fits = r + FIXED <= w.length && end <= w.length;
      if (!fits || w[r + PC] !== this.#pcs[k] || checksum(w, r + 1, end) !== w[r + CHECKSUM]) bad++;
      if (k > 0 && this.#pcs[k]! <= this.#pcs[k - 1]!) bad++;
    }
    return bad;
  }

  #find(pc: number): number {
    const k = positionOf(this.#pcs, pc);
    return k < 0 ? -1 : this.#places[k]!;
  }

  /** Puts the code of the block at `pc` at address `at`; null when there is none, it was made from other bytes, or has floating point and must not. */
  load(pc: number, guest: Uint8Array, u32: Uint32Array, at: number, noFloat = false): StoredBlock | null {
    const fresh = this.#new.get(pc);
    const place = fresh ?? this.#find(pc);
    if (place < 0) return null;
    const words = fresh === undefined ? this.#part(place) : this.#fresh;
    const r = fresh === undefined ? place - this.#baseOf(place) : place;
    if (r + FIXED > words.length) return this.#bad();
    const kind = words[r + KIND]!;
    if (noFloat && kind & FLOAT) return null;
    const bytes = kind & 0xfff;
    const codeWords = words[r + SIZE]! & 0xffff;
    const links = words[r + SIZE]! >>> 16;
    const firstLink = r + FIXED + ((bytes + 3) >> 2);
    const firstCode = firstLink + links;
    const end = firstCode + codeWords;
    if (end > words.length || words[r + PC] !== pc || checksum(words, r + 1, end) !== words[r + CHECKSUM])
      return this.#bad();
    for (let k = 0; k < bytes; k++)
      if (guest[pc + k] !== ((words[r + FIXED + (k >> 2)]! >>> ((k & 3) * 8)) & 0xff)) return null;
    const to = at >>> 2;
    for (let k = 0; k < codeWords; k++) u32[to + k] = words[firstCode + k]!;
    let linkOp = 0;
    let otherOp = 0;
    for (let k = firstLink; k < firstCode; k++) {
      const link = words[k]!;
      const word = at + (link & 0xffff);
      const op = at + (link >>> 16);
      if (linkOp === 0) linkOp = op;
      else otherOp = op;
      u32[word >>> 2] = op;
      u32[(op + exitLayout.linkAddress) >>> 2] = word;
    }
    return {
      pc,
      end: pc + bytes,
      exit: exitKinds[(kind >> 12) & 7] ?? 'trap',
      returnPc: kind & HAS_RETURN ? words[r + RETURN_PC]! : null,
      guestInstructions: words[r + INSTRUCTIONS]!,
      float: (kind & FLOAT) !== 0,
      words: codeWords,
      firstLink: linkOp,
      secondLink: otherOp,
    };
  }
  #bad(): null {
    this.rejected++;
    return null;
  }

  has(pc: number): boolean {
    return this.#new.has(pc) || this.#find(pc) >= 0;
  }
  /** Blocks that are not in the file. */
  get added(): number {
    return this.#new.size;
  }

  /** Notes a block that was just made of the bytes that are there. */
  add(block: Block, { words: code, links }: CodeTemplate, float: boolean, guest: Uint8Array): void {
    const { pc, end, exit } = block;
    const bytes = end - pc;
    const size = FIXED + ((bytes + 3) >> 2) + links.length + code.length;
    if (bytes > 0xfff || links.length > 2 || code.length > 0x3fff || this.#new.has(pc)) return;
    if (this.#length + this.#used + size > MAX_WORDS) return;
    if (this.#used + size > this.#fresh.length) {
      const larger = new Uint32Array(Math.max(0x4000, this.#fresh.length * 2));
      larger.set(this.#fresh.subarray(0, this.#used));
      this.#fresh = larger;
    }
    const w = this.#fresh;
    const r = this.#used;
    const returnPc = exit.kind === 'call' ? exit.returnPc : null;
    w[r + PC] = pc;
    w[r + KIND] =
      bytes | (exitKinds.indexOf(exit.kind) << 12) | (float ? FLOAT : 0) | (returnPc === null ? 0 : HAS_RETURN);
    w[r + RETURN_PC] = returnPc ?? 0;
    w[r + SIZE] = code.length | (links.length << 16);
    w[r + INSTRUCTIONS] = block.guestInstructions;
    let at = r + FIXED;
    for (let k = 0; k < bytes; k += 4, at++) {
      const left = bytes - k;
      w[at] =
        guest[pc + k]! |
        (left > 1 ? guest[pc + k + 1]! << 8 : 0) |
        (left > 2 ? guest[pc + k + 2]! << 16 : 0) |
        (left > 3 ? guest[pc + k + 3]! << 24 : 0);
    }
    for (const { word, op } of links) w[at++] = word | (op << 16);
    for (let k = 0; k < code.length; k++) w[at++] = code[k]!;
    w[r + CHECKSUM] = checksum(w, r + 1, at);
    this.#new.set(pc, r);
    this.#used = at;
  }

  /** Whether enough has come to be worth a new file. */
  get worthWriting(): boolean {
    // One with damaged records gets whole again: those that were needed have been made.
    return this.rejected > 0 || this.#new.size >= Math.max(WORTH_BLOCKS, this.#pcs.length / WORTH_PART);
  }
  /** The file: what was there, and what came. */
  encode(): Uint8Array[] {
    const records = this.#records();
    const old = records.length;
    const places = new Map<number, number>();
    for (let k = 0; k < this.#pcs.length; k++) places.set(this.#pcs[k]!, this.#places[k]!);
    for (const [pc, r] of this.#new) places.set(pc, old + r);
    const pcs = Uint32Array.from(places.keys()).sort();
    const size = old + this.#used;
    const head = new Uint32Array(HEADER + 2 * pcs.length);
    head.set([MAGIC, pcs.length, size, 0]);
    head.set(pcs, HEADER);
    for (let k = 0; k < pcs.length; k++) head[HEADER + pcs.length + k] = places.get(pcs[k]!)!;
    return [head, records, this.#fresh.subarray(0, this.#used)].map(
      (w) => new Uint8Array(w.buffer, w.byteOffset, w.byteLength),
    );
  }
}
