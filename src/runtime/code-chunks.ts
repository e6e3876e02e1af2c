/** Code of earlier runs in a code space, by chunk: many blocks that were put in place at once, and that nothing is made of but what is asked for. */
import { stubLayout } from '../translator/ir/bytecode.ts';
import { exitKinds, exitOf, bytesOf, codeWordsOf, FLOAT, type StoredChunk } from './cache/chunk.ts';
import { placeOf, positionOf } from './cache/sorted.ts';
import { MIN_BLOCK } from '../translator/ir/bytecode.ts';
import type { CodeBlock } from './code-blocks.ts';

/** Result of the helper that puts a chunk in place. */
const restored = ['damaged', 'other bytes', 'done'] as const;
/** That helper: src/helpers/code.ts. */
export type RestoreCode = (
  chunk: number,
  words: number,
  base: number,
  count: number,
  usual: number,
  usualReturn: number,
  returns: number,
) => number;

/** How code of a chunk is counted: opcode of stubs, how often until it is hot (0: not counted), and how often after a return. */
export interface Counting {
  opcode: number;
  usual: number;
  usualReturn: number;
  /** Whether return sites go into the jump cache. */
  returns: boolean;
  /** Whether the guest has used floating point. */
  float: boolean;
}

/** A chunk in its place. */
export class CodeChunk {
  readonly stored: StoredChunk;
  /** Addresses of its first byte, and of the one after it. */
  readonly ip: number;
  readonly ipEnd: number;
  /** Guest addresses of its first and its last block, and those between which its open links lead. */
  readonly first: number;
  readonly last: number;
  readonly firstOpen: number;
  readonly lastOpen: number;
  dead = false;
  /** By index; stubs behind the blocks. */
  readonly #made = new Map<number, CodeBlock>();

  constructor(stored: StoredChunk, ip: number) {
    this.stored = stored;
    this.ip = ip;
    this.ipEnd = ip + stored.size;
    const { pcs, openTargets } = stored;
    this.first = pcs[0]!;
    this.last = pcs[pcs.length - 1]!;
    this.firstOpen = openTargets[0] ?? Number.POSITIVE_INFINITY;
    this.lastOpen = openTargets[openTargets.length - 1] ?? -1;
  }
  isFloat(k: number): boolean {
    return (this.stored.kinds[k]! & FLOAT) !== 0;
  }
  ipOf(k: number): number {
    return this.ip + this.stored.places[k]!;
  }
  block(k: number): CodeBlock {
    const known = this.#made.get(k);
    if (known) return known;
    const { stored, dead } = this;
    const pc = stored.pcs[k]!;
    const kind = stored.kinds[k]!;
    const ip = this.ipOf(k);
    const code: CodeBlock = {
      pc,
      end: pc + bytesOf(kind),
      ip,
      ipEnd: ip + Math.max(MIN_BLOCK, codeWordsOf(kind) * 4),
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
    if (place < stored.stubBytes) {
      const stub = Math.floor(place / stubLayout.size);
      const pc = stored.stubPcs[stub]!;
      const start = this.ip + stub * stubLayout.size;
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
  /** Address of the stub at `pc`; 0: it has none. */
  stub(pc: number): number {
    const k = positionOf(this.stored.stubPcs, pc);
    return k < 0 ? 0 : this.ip + k * stubLayout.size;
  }
  *stubs(): Generator<{ pc: number; ip: number }> {
    const { stubPcs } = this.stored;
    for (let k = 0; k < stubPcs.length; k++) yield { pc: stubPcs[k]!, ip: this.ip + k * stubLayout.size };
  }
  /**
   * Links of this chunk that lead to `to` and have not been met yet lead there at once. `counted`: to what counts them, where there
   * is such; `float`: to floating point, too.
   */
  linkTo(to: CodeChunk, u32: Uint32Array, counted: boolean, float: boolean): void {
    const { openTargets, open, places, links } = this.stored;
    const { pcs, places: toPlaces, kinds } = to.stored;
    const { ip: here } = this;
    const { ip: there, last } = to;
    const { length } = openTargets;
    // Both are in order: what has been passed is not looked at again. V8 optimises nothing yet, so that calls count.
    let at = 0;
    const { length: blocks } = pcs;
    for (let k = placeOf(openTargets, to.first); k < length; k++) {
      const target = openTargets[k]!;
      if (target > last) return;
      for (let high = blocks; at < high; ) {
        const middle = (at + high) >>> 1;
        if (pcs[middle]! < target) at = middle + 1;
        else high = middle;
      }
      if (pcs[at] !== target || (!float && kinds[at]! & FLOAT)) continue;
      const ip = counted && open[k]! & 1 ? to.stub(target) : there + toPlaces[at]!;
      const link = open[k]! >>> 1;
      const block = here + places[link >>> 1]!;
      const word = (block + (links[link]! & 0xffff)) >>> 2;
      if (ip !== 0 && u32[word] === block + (links[link]! >>> 16)) u32[word] = ip;
    }
  }
  /** Its code is to be used no more. */
  kill(): void {
    this.dead = true;
    for (const [k, code] of this.#made) if (k < this.stored.pcs.length) code.dead = true;
  }
}

/** The chunks of a code space. */
export class CodeChunks {
  /** In order of `ip`, dead ones too. */
  #all: CodeChunk[] = [];
  /** Those alive, in order of guest addresses. */
  #alive: CodeChunk[] = [];

  get alive(): readonly CodeChunk[] {
    return this.#alive;
  }
  /** Puts a chunk in place at `base`, behind all others, and links it to them; or says why not. Up to its size is used behind it. */
  place(
    stored: StoredChunk,
    base: number,
    u32: Uint32Array,
    restore: RestoreCode,
    { opcode, usual, usualReturn, returns, float }: Counting,
  ): CodeChunk | 'damaged' | 'other bytes' {
    const { words, size } = stored;
    u32.set(words, (base + size) >>> 2);
    const result = restored[restore(base + size, words.length, base, opcode, usual, usualReturn, returns ? 1 : 0)]!;
    if (result !== 'done') return result;
    const chunk = new CodeChunk(stored, base);
    this.#add(chunk);
    this.#link(chunk, u32, usual > 0, float);
    return chunk;
  }
  /** Links a chunk to all, itself too, and all to it. There may be hundreds, and V8 optimises nothing yet: few steps count. */
  #link(chunk: CodeChunk, u32: Uint32Array, counted: boolean, float: boolean): void {
    const alive = this.#alive;
    const { first, last, firstOpen, lastOpen } = chunk;
    for (let at = 0; at < alive.length; at++) {
      const other = alive[at]!;
      if (firstOpen <= other.last && lastOpen >= other.first) chunk.linkTo(other, u32, counted, float);
      if (other.firstOpen <= last && other.lastOpen >= first && other !== chunk)
        other.linkTo(chunk, u32, counted, float);
    }
  }
  #add(chunk: CodeChunk): void {
    this.#all.push(chunk);
    const { first } = chunk;
    let k = this.#alive.length;
    while (k > 0 && this.#alive[k - 1]!.first > first) k--;
    this.#alive.splice(k, 0, chunk);
  }
  /** Takes it out of what is found by guest address. */
  remove(chunk: CodeChunk): void {
    this.#alive = this.#alive.filter((c) => c !== chunk);
    chunk.kill();
  }
  clear(): void {
    for (const chunk of this.#all) chunk.kill();
    this.#all = [];
    this.#alive = [];
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
