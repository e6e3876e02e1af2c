/**
 * Lifted blocks of all memories. Programs and libraries lie at the same addresses in every process, so that a forked
 * child, and the next program with the same libc, find most of their blocks here. A block serves wherever the guest
 * bytes at its address are those it was made from. As long as there is one memory only, nothing is kept: tens of
 * thousands of blocks that nobody asks for again would cost a program's start a fifth of its time in garbage collections.
 */
import type { Block } from '../translator/ir/block.ts';
import { sameBytes } from '../translator/region/remember.ts';
import type { GuestFrontEnd, IsaRuntime } from './isa.ts';

/** Blocks kept; beyond it all are dropped. */
const CAPACITY = 100_000;
const FLAVOUR_SHIFT = 0x1_0000_0000;

interface Entry {
  readonly block: Block;
  /** The guest bytes `[pc, end)`. */
  readonly bytes: Uint8Array;
  /** It has fast floating point. */
  readonly float: boolean;
}

type FrontEndOptions = Parameters<IsaRuntime['createFrontEnd']>[0];

/** Tables and blocks for all engines with the same ISA and options. */
class Shared {
  /** Engines that there have been. */
  engines = 0;
  readonly entries = new Map<number, Entry>();
  readonly #make: () => GuestFrontEnd;
  #front: GuestFrontEnd | null = null;
  /** Hash of the bytecode that the interpreter was built for. */
  hash = 0;

  constructor(make: () => GuestFrontEnd) {
    this.#make = make;
  }
  /** Made when the first block is: a run that finds all of them in the cache does without. */
  get front(): GuestFrontEnd {
    if (this.#front) return this.#front;
    const made = this.#make();
    if (made.bytecode.hash !== this.hash)
      throw new Error("dist/wasm is of another version than the program: run 'npm run build'");
    this.#front = made;
    return made;
  }
}
/** By ISA and options. */
const shared = new Map<string, Shared>();

/** A front end for one engine: what of it belongs to one is whether its guest has used floating point. */
export class EngineFrontEnd implements GuestFrontEnd {
  readonly #shared: Shared;
  onFloatUse: (() => void) | null = null;
  floatUsed = false;

  static of(isa: IsaRuntime, options: FrontEndOptions): EngineFrontEnd {
    const key = [isa.name, options.verify, ...options.disabledPasses].join();
    let known = shared.get(key);
    if (!known) {
      known = new Shared(() => isa.createFrontEnd(options));
      shared.set(key, known);
    }
    known.engines++;
    return new EngineFrontEnd(known);
  }
  private constructor(shared: Shared) {
    this.#shared = shared;
  }
  get #front(): GuestFrontEnd {
    return this.#shared.front;
  }
  /** The interpreter was built for a bytecode with this hash. */
  expectHash(hash: number): void {
    this.#shared.hash = hash;
  }
  get keepsBlocks(): boolean {
    return this.#shared.engines > 1;
  }

  lift(code: Uint8Array, pc: number, limit: number, flavour: number, single: boolean): Block | null {
    // Single steps are rare, and would take the place of whole blocks.
    if (single) return this.#front.lift(code, pc, limit, flavour, true);
    if (!this.keepsBlocks) {
      const block = this.#front.lift(code, pc, limit, flavour, false);
      if (block && flavour === 0 && !this.floatUsed && this.#front.raisesFloatFlags(block)) this.noteFloatUse();
      return block;
    }
    const { entries } = this.#shared;
    const key = flavour * FLAVOUR_SHIFT + pc;
    let entry = entries.get(key);
    if (!entry || entry.block.end > limit || !sameBytes(code, pc, entry.bytes)) {
      const block = this.#front.lift(code, pc, limit, flavour, false);
      if (!block) return null;
      const float = flavour === 0 && this.#front.raisesFloatFlags(block);
      entry = { block, bytes: code.slice(pc, block.end), float };
      if (entries.size >= CAPACITY) entries.clear();
      entries.set(key, entry);
    }
    if (entry.float) this.noteFloatUse();
    return entry.block;
  }
  noteFloatUse(): void {
    if (this.floatUsed) return;
    this.floatUsed = true;
    this.onFloatUse?.();
  }

  get bytecode() {
    return this.#front.bytecode;
  }
  get abi() {
    return this.#front.abi;
  }
  get table() {
    return this.#front.table;
  }
  liftRegionBlock(...args: Parameters<GuestFrontEnd['liftRegionBlock']>) {
    return this.#front.liftRegionBlock(...args);
  }
  raisesFloatFlags(block: Block): boolean {
    return this.#front.raisesFloatFlags(block);
  }
  sameFlags(a: unknown, b: unknown): boolean {
    return this.#front.sameFlags(a, b);
  }
}
