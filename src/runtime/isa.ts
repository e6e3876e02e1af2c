/**
 * What the runtime has to know of an instruction set. x86-64 is always there; AArch64 is loaded when the first program of
 * it is, so that the tables of one do not slow the start of the other.
 */
import type { Fault } from '../kernel/signals/deliver.ts';
import type { CpuContext, Isa } from '../kernel/task/cpu-context.ts';
import type { Inst } from '../translator/ir/block.ts';
import type { SlotNames } from '../translator/ir/print.ts';
import type { RegionFrontEnd } from '../translator/region/abi.ts';
import type { FrontEnd } from './code-blocks.ts';
import { x86 } from './isa-x86_64.ts';
import type { LinearMemory } from './linear-memory.ts';
import type { Vcpu } from './vcpu.ts';

/** A vCPU as the runtime sees it. */
export interface GuestContext extends CpuContext, Vcpu {
  /** Picks among translations of one block. */
  readonly flavour: number;
}

/** Computes the arithmetic flags of a vCPU from their lazy form; the helper module provides it. */
export type FlagReader = (op: number, a: bigint, b: bigint, res: bigint) => number;

export interface GuestFrontEnd extends FrontEnd, RegionFrontEnd {
  /** Called before the first block with fast floating point goes out. */
  onFloatUse: (() => void) | null;
  floatUsed: boolean;
  noteFloatUse(): void;
}

/** A synchronous exception that is no memory fault. */
export interface TrapSite {
  /** One of `trap`. */
  number: number;
  /** Address of the instruction, and of what follows its block. */
  pc: number;
  end: number;
  /** The op, null when the block's end raised it. */
  inst: Inst | null;
  /** A 32-bit word of the vCPU state. */
  slot(at: number): number;
}

export interface IsaRuntime {
  readonly name: Isa;
  /** File of dist/wasm. */
  readonly interpreter: string;
  /** Helper that computes flags. */
  readonly flagReader: string;
  /** Helper to be told of the first fast floating point, if there is one. */
  readonly floatUsed: string | null;
  /** AT_HWCAP and AT_HWCAP2. */
  readonly hwcap: number;
  readonly hwcap2: number;
  readonly slotNames: SlotNames;
  /** Assembly of guest bytes from `pc` on, for --dump; null: see translator/x86_64/disassemble.ts. */
  readonly listing: ((code: Uint8Array, pc: number) => string) | null;
  createFrontEnd(options: { verify: boolean; disabledPasses: Iterable<string> }): GuestFrontEnd;
  createContext(memory: LinearMemory, home: number, flags: FlagReader): GuestContext;
  /**
   * A data access beyond 4 GiB, with these upper 32 bits of the address: a page fault, an address that no page can have, or
   * one to run again in the flavour that the context now has.
   */
  highAddress(context: GuestContext, high: number): 'page' | 'protection' | 'retry';
  /** The signal of a trap, and the pc its handler sees. */
  trap(site: TrapSite): { fault: Fault; pc: number };
}

const loaded = new Map<Isa, IsaRuntime>([['x86_64', x86]]);

/** Makes an instruction set ready for `isaRuntime`. */
export async function loadIsa(isa: Isa): Promise<void> {
  if (!loaded.has(isa)) loaded.set(isa, (await import('./isa-aarch64.ts')).aarch64);
}
export function isaRuntime(isa: Isa): IsaRuntime {
  const found = loaded.get(isa);
  if (!found) throw new Error(`${isa} is not loaded`);
  return found;
}
