/** What the code space keeps account of. */
import type { Block } from '../translator/ir/block.ts';

/** Interpreter code. */
export interface CodeBlock {
  pc: number;
  end: number;
  /** Address of its code, and of the first byte after it. */
  ip: number;
  ipEnd: number;
  flavour: number;
  /** Not entered in any map: made to step over one instruction. */
  transient: boolean;
  dead: boolean;
  /** How it ends; null for stubs. */
  exit: Block['exit']['kind'] | null;
  /** It is one of `span`. */
  isSpan?: boolean;
}

/** A translated region as the code space watches it. */
export interface RegionCode {
  readonly pc: number;
  /** Guest bytes it was made from. */
  readonly ranges: readonly (readonly [number, number])[];
  /** Number in the table of regions. */
  readonly slot: number;
  /** Takes it out of the table, with those that call it directly. */
  drop(): void;
}

/** What stands before a block that is counted, or has a region. */
export interface Stub {
  pc: number;
  ip: number;
  region: RegionCode | null;
}
