/**
 * Lifted blocks of all memories. Programs and libraries lie at the same addresses in every process, so that a forked
 * child, and the next program with the same libc, find most of their blocks here. A block serves wherever the guest
 * bytes at its address are those it was made from. As long as there is one memory only, nothing is kept: tens of
 * thousands of blocks that nobody asks for again would cost a program's start a fifth of its time in garbage collections.
 */
import type { Block } from '../translator/ir/block.ts';
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

interface Shared {
  /** Engines that there have been. */
  engines: number;
  readonly front: GuestFrontEnd;
  readonly entries: Map<number, Entry>;
}
/** By ISA and options. */
const shared = new Map<string, Shared>();

/** A front end for one engine. All engines with the same ISA and options share its tables and the blocks. */
export function engineFrontEnd(isa: IsaRuntime, options: FrontEndOptions): GuestFrontEnd {
  const key = [isa.name, options.verify, ...options.disabledPasses].join();
  let known = shared.get(key);
  if (!known) {
    known = { engines: 0, front: isa.createFrontEnd(options), entries: new Map() };
    shared.set(key, known);
  }
  known.engines++;
  return new EngineFrontEnd(known);
}

/** What of a front end belongs to one engine: whether its guest has used floating point. */
class EngineFrontEnd implements GuestFrontEnd {
  readonly #front: GuestFrontEnd;
  readonly #shared: Shared;
  onFloatUse: (() => void) | null = null;
  floatUsed = false;

  constructor(shared: Shared) {
    this.#front = shared.front;
    this.#shared = shared;
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

function sameBytes(code: Uint8Array, at: number, bytes: Uint8Array): boolean {
  for (let k = 0; k < bytes.length; k++) if (code[at + k] !== bytes[k]) return false;
  return true;
}
