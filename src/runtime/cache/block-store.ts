/**
 * Interpreter code of one image, as earlier runs have made it. Of a short run's time, making it takes more than running it.
 *
 * The file is little-endian 32-bit words: a header, the guest addresses of the blocks in ascending order, the place of each
 * one's record, and the records. A record holds the guest bytes it was made from, which are compared when it is used, and
 * a checksum of its own: a run reads only the records it needs, so it checks only those.
 */
import type { Block } from '../../translator/ir/block.ts';
import type { CodeTemplate } from '../code-template.ts';
import { exitLayout } from '../../translator/ir/bytecode.ts';

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
}

/** FNV-1a over words. */
function checksum(words: Uint32Array, from: number, to: number): number {
  let h = 0x811c9dc5;
  for (let k = from; k < to; k++) h = Math.imul(h ^ words[k]!, 0x01000193);
  return h >>> 0;
}

const EMPTY = new Uint32Array(0);

export class BlockStore {
  #pcs = EMPTY;
  #places = EMPTY;
  #records = EMPTY;
  /** Made in this run, by pc: place in `#fresh`. */
  readonly #new = new Map<number, number>();
  #fresh = EMPTY;
  #used = 0;
  /** Records that could not be used. */
  rejected = 0;

  /** `file` is what `encode` has made; null when there is none yet. */
  constructor(file: Buffer | null) {
    if (!file) return;
    const words = new Uint32Array(file.buffer as ArrayBuffer, file.byteOffset, file.length >>> 2);
    const [magic, count, size] = words;
    if (magic !== MAGIC || HEADER + 2 * count! + size! !== words.length) {
      this.rejected++;
      return;
    }
    this.#pcs = words.subarray(HEADER, HEADER + count!);
    this.#places = words.subarray(HEADER + count!, HEADER + 2 * count!);
    this.#records = words.subarray(HEADER + 2 * count!);
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
    const w = this.#records;
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
    const pcs = this.#pcs;
    let low = 0;
    let high = pcs.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (pcs[middle]! < pc) low = middle + 1;
      else high = middle;
    }
    return low < pcs.length && pcs[low] === pc ? this.#places[low]! : -1;
  }

  /** Puts the code of the block at `pc` at address `at`; null when there is none, or it was made from other bytes. */
  load(pc: number, guest: Uint8Array, u32: Uint32Array, at: number): StoredBlock | null {
    const fresh = this.#new.get(pc);
    const words = fresh === undefined ? this.#records : this.#fresh;
    const r = fresh ?? this.#find(pc);
    if (r < 0) return null;
    if (r + FIXED > words.length) return this.#bad();
    const kind = words[r + KIND]!;
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
    for (let k = firstLink; k < firstCode; k++) {
      const link = words[k]!;
      const word = at + (link & 0xffff);
      const op = at + (link >>> 16);
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
    };
  }
  #bad(): null {
    this.rejected++;
    return null;
  }

  /** Notes a block that was just made of the bytes that are there. */
  add(block: Block, { words: code, links }: CodeTemplate, float: boolean, guest: Uint8Array): void {
    const { pc, end, exit } = block;
    const bytes = end - pc;
    const size = FIXED + ((bytes + 3) >> 2) + links.length + code.length;
    if (bytes > 0xfff || code.length > 0x3fff || this.#new.has(pc)) return;
    if (this.#records.length + this.#used + size > MAX_WORDS) return;
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
    const old = this.#records.length;
    const places = new Map<number, number>();
    for (let k = 0; k < this.#pcs.length; k++) places.set(this.#pcs[k]!, this.#places[k]!);
    for (const [pc, r] of this.#new) places.set(pc, old + r);
    const pcs = Uint32Array.from(places.keys()).sort();
    const size = old + this.#used;
    const head = new Uint32Array(HEADER + 2 * pcs.length);
    head.set([MAGIC, pcs.length, size, 0]);
    head.set(pcs, HEADER);
    for (let k = 0; k < pcs.length; k++) head[HEADER + pcs.length + k] = places.get(pcs[k]!)!;
    return [head, this.#records, this.#fresh.subarray(0, this.#used)].map(
      (w) => new Uint8Array(w.buffer, w.byteOffset, w.byteLength),
    );
  }
}
