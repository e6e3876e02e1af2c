/** What translated regions must know of an ISA: which registers they keep in Wasm locals and pass to each other. */
import type { Block, RegionExit } from '../ir/block.ts';
import type { OpTable } from '../ir/op.ts';

/** Slots, as in the ISA's state.ts. */
export interface RegionAbi {
  /** Stack pointer: parameter and result of every region. */
  readonly sp: number;
  /** Registers passed as parameters beside it: V8 has five integer parameters in host registers, the host stack left and sp among them. */
  readonly params: readonly [number, number, number];
  /**
   * Registers that functions give back as they got them, and use most: passed and handed back, too. V8 has six floating-point
   * parameters and two such results in host registers.
   */
  readonly kept: readonly [number, number];
  /** Whether a return takes its address off the stack. */
  readonly returnPops: boolean;
  /** Register handed back as a result. */
  readonly result: number;
  /** All general registers, 8 bytes each. */
  readonly integers: readonly number[];
  /** All vector registers, 16 bytes each. */
  readonly vectors: readonly number[];
  /** First and last slot of the lazy flags, 8 bytes each. */
  readonly flags: { readonly first: number; readonly last: number };
}

/** A block of a region and what the front end knows of the flags at its end; see FlagsOrigin of the ISA. */
export interface RegionBlock {
  readonly block: Block;
  /** undefined: no instruction of the block set the flags. null: set, but the form is not known here. */
  readonly flagsOrigin: unknown;
}

/** A table of distances that an indirect jump reads its target from. */
export interface SwitchTable {
  /** Guest address; null: one of the addresses that the function makes elsewhere. */
  readonly table: number | null;
  /** What a scaled entry is added to; `'table'`: the table itself. Null: not known. */
  readonly base: number | 'table' | null;
  readonly bytes: 1 | 2 | 4;
  readonly signed: boolean;
  /** An entry is multiplied by 2 to this. */
  readonly shift: number;
  /** How many; null: not known. */
  readonly entries: number | null;
}

/** What a block makes of addresses by arithmetic that the IR's constants do not show. */
export interface BlockAddresses {
  readonly addresses: readonly number[];
  /** Of the indirect jump at its end. */
  readonly table: SwitchTable | null;
}

/** The front end as region forming uses it. */
export interface RegionFrontEnd {
  readonly table: OpTable;
  readonly abi: RegionAbi;
  /**
   * Lifts the block at `pc`, which ends before the first address in `leaders`. `flags` is what set the flags on every way
   * to it (null: not known). Null when nothing can be fetched there.
   */
  liftRegionBlock(
    code: Uint8Array,
    pc: number,
    limit: number,
    leaders: ReadonlySet<number> | null,
    flags: unknown,
  ): RegionBlock | null;
  /** For an ISA whose instructions make addresses in parts. `code` are guest bytes from address 0 on. */
  blockAddresses?(code: Uint8Array, block: Block): BlockAddresses;
  /** Whether the block uses floating point that raises sticky flags (see FrontEnd of the runtime). */
  raisesFloatFlags(block: Block<RegionExit>): boolean;
  /** Whether two flag origins are the same. */
  sameFlags(a: unknown, b: unknown): boolean;
}
