/**
 * Code of earlier runs in a code space, by chunk: many blocks, which nothing is made of but what control comes to, or somebody asks
 * for. The chunks are listed in the guest's memory, too, where the interpreter finds code for links and returns by itself
 * (src/helpers/code.ts).
 */
import { CHUNK_TABLE, CHUNK_TABLE_END, PAGE_EXEC } from '../translator/ir/layout.ts';
import { stubLayout } from '../translator/ir/bytecode.ts';
import type { ChunkPlace } from './cache/block-store.ts';
import {
  bytesOf,
  DAMAGED_WORD,
  exitKinds,
  exitOf,
  FLOAT,
  READY,
  RETURN_SITE,
  StoredChunk,
  wordsIn,
} from './cache/chunk.ts';
import { placeOf, positionOf } from './cache/sorted.ts';
import type { CodeBlock } from './code-blocks.ts';
import type { LinearMemory } from './linear-memory.ts';

/** Helpers for chunks: src/helpers/code.ts. */
export interface ChunkHelpers {
  place_code(chunk: number, words: number, count: number, usual: number, usualReturn: number): number;
  ready_code(chunk: number, k: number): number;
}

/** How code of a chunk is counted: opcode of stubs, how often until it is hot (0: not counted), and how often after a return. */
export interface Counting {
  opcode: number;
  usual: number;
  usualReturn: number;
}

// The table: words of its head, and of an entry.
const TABLE = CHUNK_TABLE >>> 2;
const [COUNT, LAST_USED, RETURNS, FLOAT_USED, COUNTING] = [TABLE, TABLE + 1, TABLE + 2, TABLE + 3, TABLE + 4];
const WRITTEN = TABLE + 5;
const ENTRIES = TABLE + 8;
const ENTRY = 4;
/** Pairs of the jump cache that the interpreter has written to by itself, at the table's end. */
const MAX_WRITTEN = 0x2000;
const WRITTEN_PAIRS = (CHUNK_TABLE_END >>> 2) - MAX_WRITTEN;
const MAX_CHUNKS = (WRITTEN_PAIRS - ENTRIES) / ENTRY;

/** A chunk in its place. */
export class CodeChunk {
  readonly stored: StoredChunk;
  /** Addresses of its first byte, and of the one after it. */
  readonly ip: number;
  readonly ipEnd: number;
  /** Guest addresses of its first and its last block. */
  readonly first: number;
  readonly last: number;
  dead = false;
  /** By index; stubs behind the blocks. */
  readonly #made = new Map<number, CodeBlock>();
  readonly #helpers: () => ChunkHelpers;

  constructor(stored: StoredChunk, ip: number, helpers: () => ChunkHelpers) {
    this.stored = stored;
    this.ip = ip;
    this.ipEnd = ip + stored.size;
    this.#helpers = helpers;
    const { pcs } = stored;
    this.first = pcs[0]!;
    this.last = pcs[pcs.length - 1]!;
  }
  isFloat(k: number): boolean {
    return (this.stored.kinds[k]! & FLOAT) !== 0;
  }
  /** Whether control may have come to a block. */
  isReady(k: number): boolean {
    return (this.stored.kinds[k]! & READY) !== 0;
  }
  /** Address of a block, which can be run from now on; 0: it cannot, as it is damaged, or the guest has other bytes. */
  ready(k: number): number {
    if (this.isReady(k)) return this.ip + this.stored.places[k]!;
    return this.dead ? 0 : this.#helpers().ready_code(this.ip, k) >>> 0;
  }
  /** Whether a block turned out to be damaged since this was asked last. */
  takeDamage(): boolean {
    const { words } = this.stored;
    const found = words[DAMAGED_WORD] !== 0;
    words[DAMAGED_WORD] = 0;
    return found;
  }
  /** Guest addresses of the blocks that control may have come to. */
  readyPcs(): Uint32Array {
    const { pcs, kinds } = this.stored;
    const out = new Uint32Array(pcs.length);
    let count = 0;
    for (let k = 0; k < out.length; k++) if (kinds[k]! & READY) out[count++] = pcs[k]!;
    return out.subarray(0, count);
  }
  block(k: number): CodeBlock {
    const known = this.#made.get(k);
    if (known) return known;
    const { stored, dead } = this;
    const pc = stored.pcs[k]!;
    const kind = stored.kinds[k]!;
    const ip = this.ip + stored.places[k]!;
    const code: CodeBlock = {
      pc,
      end: pc + bytesOf(kind),
      ip,
      ipEnd: ip + wordsIn(kind) * 4,
      flavour: 0,
      transient: false,
      dead,
      exit: exitKinds[exitOf(kind)]!,
    };
    this.#made.set(k, code);
    return code;
  }
  /** What lies at `ip`, which is in the chunk. */
  at(ip: number): CodeBlock {
    const { stored } = this;
    const place = ip - this.ip;
    if (place >= stored.stubsAt) {
      const stub = Math.floor((place - stored.stubsAt) / stubLayout.size);
      const pc = stored.stubPcs[stub]!;
      const start = this.#stubAt(stub);
      const key = stored.pcs.length + stub;
      let made = this.#made.get(key);
      if (!made) {
        const ipEnd = start + stubLayout.size;
        made = { pc, end: pc + 1, ip: start, ipEnd, flavour: 0, transient: false, dead: false, exit: null };
        this.#made.set(key, made);
      }
      return made;
    }
    let low = 0;
    let high = stored.places.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (stored.places[middle]! <= place) low = middle + 1;
      else high = middle;
    }
    return this.block(low - 1);
  }
  #stubAt(stub: number): number {
    return this.ip + this.stored.stubsAt + stub * stubLayout.size;
  }
  #blockOf(stub: number): number {
    return (this.stored.stubBlocks[stub]! & ~RETURN_SITE) >>> 0;
  }
  /** Address of the stub at `pc`, whose block can be run; 0: it has none. */
  stub(pc: number): number {
    const stub = positionOf(this.stored.stubPcs, pc);
    return stub < 0 || this.ready(this.#blockOf(stub)) === 0 ? 0 : this.#stubAt(stub);
  }
  /** The same, whatever its block. */
  stubPlace(pc: number): number {
    const stub = positionOf(this.stored.stubPcs, pc);
    return stub < 0 ? 0 : this.#stubAt(stub);
  }
  /** Those whose blocks control may have come to; of these, with `isWanted`, those for which that holds by their address. */
  *stubs(isWanted: (ip: number) => boolean = () => true): Generator<{ pc: number; ip: number }> {
    const { length } = this.stored.stubPcs;
    let ip = this.#stubAt(0);
    for (let stub = 0; stub < length; stub++, ip += stubLayout.size)
      if (isWanted(ip) && this.isReady(this.#blockOf(stub))) yield { pc: this.stored.stubPcs[stub]!, ip };
  }
  /** Its code is to be used no more. */
  kill(): void {
    this.dead = true;
    for (const [k, code] of this.#made) if (k < this.stored.pcs.length) code.dead = true;
  }
}

/** The chunks of a code space. */
export class CodeChunks {
  readonly #memory: LinearMemory;
  /** In order of `ip`, dead ones too. */
  #all: CodeChunk[] = [];
  /** Those alive, in order of guest addresses. */
  #alive: CodeChunk[] = [];
  /** Null: chunks are not used. */
  helpers: ChunkHelpers | null = null;

  constructor(memory: LinearMemory) {
    this.#memory = memory;
  }
  get alive(): readonly CodeChunk[] {
    return this.#alive;
  }
  /** Addresses of the pairs of the jump cache that the interpreter has written to since this was asked last; null: too many. */
  takeWritten(): Uint32Array | null {
    const { u32 } = this.#memory;
    const count = u32[WRITTEN]!;
    u32[WRITTEN] = 0;
    return count > MAX_WRITTEN ? null : u32.subarray(WRITTEN_PAIRS, WRITTEN_PAIRS + count);
  }
  get isFull(): boolean {
    return this.#alive.length >= MAX_CHUNKS;
  }
  /** Puts a chunk in place at `base`, behind all others; or says why not. */
  place(
    place: ChunkPlace,
    base: number,
    { opcode, usual, usualReturn }: Counting,
  ): CodeChunk | 'damaged' | 'not executable' {
    const { pages, u8, u32 } = this.#memory;
    if (!place.read(u8.subarray(base, base + place.words * 4))) return 'damaged';
    const stored = StoredChunk.of(u32.subarray(base >>> 2, (base >>> 2) + place.words));
    if (!stored || stored.pcs[0] !== place.first || stored.pcs.at(-1) !== place.last) return 'damaged';
    if (this.helpers!.place_code(base, place.words, opcode, usual, usualReturn) === 0) return 'damaged';
    for (const page of stored.pages) if (!(pages[page]! & PAGE_EXEC)) return 'not executable';
    const chunk = new CodeChunk(stored, base, () => this.helpers!);
    this.#all.push(chunk);
    u32[COUNTING] = usual;
    let at = this.#alive.length;
    while (at > 0 && this.#alive[at - 1]!.first > chunk.first) at--;
    this.#alive.splice(at, 0, chunk);
    this.#list(at);
    return chunk;
  }
  /** Writes the table from the entry `from` on. */
  #list(from: number): void {
    const { u32 } = this.#memory;
    const alive = this.#alive;
    for (let k = from; k < alive.length; k++) {
      const { first, last, ip } = alive[k]!;
      const at = ENTRIES + k * ENTRY;
      u32[at] = first;
      u32[at + 1] = last;
      u32[at + 2] = ip;
    }
    u32[COUNT] = alive.length;
    u32[LAST_USED] = 0;
    // The one used last is looked at first, even if there is none.
    if (alive.length === 0) u32[ENTRIES] = u32[ENTRIES + 1] = 0;
  }
  /** What the interpreter may enter by itself: where calls return to, and blocks with floating point. */
  allow(returns: boolean, float: boolean): void {
    if (this.#all.length === 0) return;
    const { u32 } = this.#memory;
    u32[RETURNS] = returns ? 1 : 0;
    u32[FLOAT_USED] = float ? 1 : 0;
  }
  /** Takes it out of what is found by guest address. */
  remove(chunk: CodeChunk): void {
    this.#alive = this.#alive.filter((c) => c !== chunk);
    this.#list(0);
    chunk.kill();
  }
  clear(): void {
    for (const chunk of this.#all) chunk.kill();
    const { length } = this.#all;
    this.#all = [];
    this.#alive = [];
    if (length > 0) this.#list(0);
  }
  /** The chunk whose code `ip` lies in. */
  at(ip: number): CodeChunk | null {
    let low = 0;
    let high = this.#all.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#all[middle]!.ipEnd <= ip) low = middle + 1;
      else high = middle;
    }
    const chunk = this.#all[low];
    return chunk && chunk.ip <= ip ? chunk : null;
  }
  /** Guest addresses of the blocks that control may have come to, by chunk. */
  readyPcs(): Uint32Array[] {
    return this.alive.map((chunk) => chunk.readyPcs());
  }
  /** Whether a call of a chunk returns to `pc`. */
  isReturnSite(pc: number): boolean {
    const { stored } = this.#before(pc - 1) ?? {};
    if (!stored) return false;
    const k = placeOf(stored.pcs, pc) - 1;
    return k >= 0 && stored.end(k) === pc && exitKinds[exitOf(stored.kinds[k]!)] === 'call';
  }
  /** The chunk around a guest address: blocks of it lie at lower or equal, and at higher or equal ones. */
  around(pc: number): CodeChunk | null {
    const chunk = this.#before(pc);
    return chunk && chunk.last >= pc ? chunk : null;
  }
  /** The last one that has a block at `pc`, or below. */
  #before(pc: number): CodeChunk | null {
    let low = 0;
    let high = this.#alive.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#alive[middle]!.first <= pc) low = middle + 1;
      else high = middle;
    }
    return this.#alive[low - 1] ?? null;
  }
}
