/** The interpreter's cache for indirect jumps: pairs of entries { pc, address of its code } (translator/ir/layout.ts). */
import { cacheIndex, JUMP_CACHE, JUMP_CACHE_ENTRIES } from '../translator/ir/layout.ts';
import type { LinearMemory } from './linear-memory.ts';

/** A pc without code, which entries may have that nobody looks into for it. */
const NOWHERE = 0xffff_fff0;

/** Index into the memory's words of the entry where `pc` is looked for first. */
const placeOf = (pc: number): number => (JUMP_CACHE + cacheIndex(pc, JUMP_CACHE_ENTRIES) * 8) >>> 2;

export class JumpCache {
  readonly #memory: LinearMemory;

  constructor(memory: LinearMemory) {
    this.#memory = memory;
    this.#closeFirst();
  }
  add(pc: number, ip: number): void {
    const { u32 } = this.#memory;
    const at = placeOf(pc);
    // What was there takes the other place: two that are jumped to in turn must not drive each other out.
    if (u32[at] !== pc) u32.copyWithin(at ^ 2, at, at + 2);
    u32[at] = pc;
    u32[at + 1] = ip;
  }
  remove(pc: number, ip: number): void {
    const { u32 } = this.#memory;
    const first = placeOf(pc);
    for (const at of [first, first ^ 2]) if (u32[at] === pc && u32[at + 1] === ip) u32[at] = NOWHERE;
  }
  clear(): void {
    this.#memory.u8.fill(0, JUMP_CACHE, JUMP_CACHE + JUMP_CACHE_ENTRIES * 8);
    this.#closeFirst();
  }
  /** An empty entry has pc 0, which in the first two would be found by jumps to address 0. */
  #closeFirst(): void {
    for (const at of [JUMP_CACHE >>> 2, (JUMP_CACHE >>> 2) + 2]) this.#memory.u32[at] ||= NOWHERE;
  }
}
