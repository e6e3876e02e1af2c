/** The interpreter's cache for indirect jumps: pairs of entries { pc, address of its code } (translator/ir/layout.ts); and that of regions. */
import {
  CALL_SITES,
  CALL_SITES_SIZE,
  cacheIndex,
  JUMP_CACHE,
  JUMP_CACHE_ENTRIES,
  REGION_CACHE,
  REGION_CACHE_SIZE,
  regionCacheEntry,
} from '../translator/ir/layout.ts';
import type { LinearMemory } from './linear-memory.ts';

/** A pc without code, which entries may have that nobody looks into for it. */
const NOWHERE = 0xffff_fff0;

/** Pairs in use that are listed; with more of them, all of the cache is gone through. */
const MAX_LISTED = 8192;
/** Words of a pair of entries. */
const PAIR = 4;

/** Empties the place for `pc` in the cache of regions, if `pc` has it. */
export function dropRegionEntry(u32: Uint32Array, pc: number): void {
  const at = regionCacheEntry(pc) >>> 2;
  if (u32[at] === pc) u32.fill(0, at, at + 2);
}

export const clearRegionCache = (u8: Uint8Array): void => {
  u8.fill(0, REGION_CACHE, REGION_CACHE + REGION_CACHE_SIZE);
  clearCallSites(u8);
};

/** To be called when a region goes, or another one comes in its place: calls look it up again. */
export const clearCallSites = (u8: Uint8Array): void => {
  u8.fill(0, CALL_SITES, CALL_SITES + CALL_SITES_SIZE);
};

/** Index into the memory's words of the entry where `pc` is looked for first. */
const placeOf = (pc: number): number => (JUMP_CACHE + cacheIndex(pc, JUMP_CACHE_ENTRIES) * 8) >>> 2;

export class JumpCache {
  readonly #memory: LinearMemory;
  /** First words of pairs that have been written to, some more than once; null when there are too many. */
  #used: number[] | null = [];

  constructor(memory: LinearMemory) {
    this.#memory = memory;
    this.#closeFirst();
  }
  add(pc: number, ip: number): void {
    const { u32 } = this.#memory;
    const at = placeOf(pc);
    // What was there takes the other place: two that are jumped to in turn must not drive each other out.
    if (u32[at] !== pc) {
      u32[at ^ 2] = u32[at]!;
      u32[(at ^ 2) + 1] = u32[at + 1]!;
    }
    u32[at] = pc;
    u32[at + 1] = ip;
    if (this.#used && this.#used.push(at & -PAIR) > MAX_LISTED) this.#used = null;
  }
  remove(pc: number, ip: number): void {
    const { u32 } = this.#memory;
    const first = placeOf(pc);
    for (const at of [first, first ^ 2]) if (u32[at] === pc && u32[at + 1] === ip) u32[at] = NOWHERE;
  }
  /** Something else has written to these pairs, by address; null: to any. */
  noteWritten(pairs: ArrayLike<number> | null): void {
    if (!this.#used) return;
    if (!pairs || this.#used.length + pairs.length > MAX_LISTED) this.#used = null;
    else for (let k = 0; k < pairs.length; k++) this.#used.push(pairs[k]! >>> 2);
  }
  /** Empties the cache; `visit` is told what was in it. */
  drain(visit: (pc: number, ip: number) => void): void {
    const { u32 } = this.#memory;
    const take = (pair: number): void => {
      for (let at = pair; at < pair + PAIR; at += 2) {
        const pc = u32[at]!;
        const ip = u32[at + 1]!;
        if (ip !== 0 && pc !== NOWHERE) visit(pc, ip);
        u32[at] = 0;
        u32[at + 1] = 0;
      }
    };
    if (this.#used) for (const pair of this.#used) take(pair);
    else for (let k = 0; k < JUMP_CACHE_ENTRIES / 2; k++) take((JUMP_CACHE >>> 2) + k * PAIR);
    this.#used = [];
    this.#closeFirst();
  }
  clear(): void {
    if (this.#used) {
      this.drain(() => {});
      return;
    }
    this.#memory.u8.fill(0, JUMP_CACHE, JUMP_CACHE + JUMP_CACHE_ENTRIES * 8);
    this.#used = [];
    this.#closeFirst();
  }
  /** An empty entry has pc 0, which in the first two would be found by jumps to address 0. */
  #closeFirst(): void {
    for (const at of [JUMP_CACHE >>> 2, (JUMP_CACHE >>> 2) + 2]) this.#memory.u32[at] ||= NOWHERE;
  }
}
