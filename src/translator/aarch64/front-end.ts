/** The AArch64 front end as the runtime uses it. */
import type { Block } from '../ir/block.ts';
import { Bytecode } from '../ir/bytecode.ts';
import { DeadCodePass } from '../ir/passes/dead-code.ts';
import { verifyBlock } from '../ir/verify.ts';
import type { BlockAddresses, RegionBlock, RegionFrontEnd } from '../region/abi.ts';
import { abi } from './abi.ts';
import { createOpTable } from './index.ts';
import { type FlagsOrigin, liftBlock, liftRegionBlock } from './lift.ts';
import { slotNames } from './names.ts';
import { CC_OP, CC_RES } from './state.ts';
import { blockAddresses } from './switch-tables.ts';

const raisesFlags =
  /^(a64\.v?f(?!lags|p[cs]r)|a64\.flags\.fcmp|a64\.soft$|a64\.half_round|a64\.[su]cvtf|f(32x4|64x2)\.(eq|ge|gt|convert)|i32x4\.trunc_sat)/;

export class A64FrontEnd implements RegionFrontEnd {
  readonly abi = abi;
  readonly table = createOpTable();
  readonly bytecode = new Bytecode(this.table);
  readonly #deadCode = new DeadCodePass(this.table, { first: CC_OP, last: CC_RES });
  /** By op: translated floating point that raises sticky flags. */
  readonly #raisesFlags = this.table.ops.map(({ name }) => raisesFlags.test(name));
  /** Called before the first block with fast floating point goes out (docs/floating-point.md). */
  onFloatUse: (() => void) | null = null;
  floatUsed = false;
  /** Run the IR verifier after lifting and after each pass. */
  verify: boolean;
  /** Names of passes switched off, for bisection. */
  readonly disabled: ReadonlySet<string>;

  constructor(options: { verify?: boolean; disabledPasses?: Iterable<string> } = {}) {
    this.verify = options.verify ?? false;
    this.disabled = new Set(options.disabledPasses ?? []);
  }

  lift(code: Uint8Array, pc: number, limit: number, flavour: number, single: boolean): Block | null {
    const block = liftBlock(this.table, code, pc, limit, flavour, single ? 1 : undefined);
    if (!block) return null;
    if (this.verify) verifyBlock(block, slotNames);
    if (!this.disabled.has('dead-code')) {
      this.#deadCode.run(block);
      if (this.verify) verifyBlock(block, slotNames);
    }
    if (flavour === 0 && !this.floatUsed && this.raisesFloatFlags(block)) this.noteFloatUse();
    return block;
  }

  noteFloatUse(): void {
    if (this.floatUsed) return;
    this.floatUsed = true;
    this.onFloatUse?.();
  }

  liftRegionBlock(
    code: Uint8Array,
    pc: number,
    limit: number,
    leaders: ReadonlySet<number> | null,
    flags: unknown,
  ): RegionBlock | null {
    const lifted = liftRegionBlock(this.table, code, pc, limit, leaders, flags as FlagsOrigin | null);
    if (lifted && this.verify) verifyBlock(lifted.block, slotNames);
    return lifted;
  }
  raisesFloatFlags({ insts }: Block): boolean {
    for (let k = 0; k < insts.length; k++) if (this.#raisesFlags[insts[k]!.op.id]) return true;
    return false;
  }
  blockAddresses(code: Uint8Array, block: Block): BlockAddresses {
    return blockAddresses(code, block);
  }
  sameFlags(a: unknown, b: unknown): boolean {
    const [x, y] = [a as FlagsOrigin, b as FlagsOrigin];
    return x.kind === y.kind && x.width === y.width;
  }
}
