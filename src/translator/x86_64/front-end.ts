/** The x86-64 front end as the runtime uses it. */
import type { Block } from '../ir/block.ts';
import { Bytecode } from '../ir/bytecode.ts';
import { DeadCodePass } from '../ir/passes/dead-code.ts';
import { verifyBlock } from '../ir/verify.ts';
import { createOpTable } from './index.ts';
import { liftBlock } from './lift.ts';
import { slotNames } from './names.ts';
import { raisesFloatFlags } from './ops-softfloat.ts';
import { CC_OP, CC_RES } from './state.ts';

export class X86FrontEnd {
  readonly table = createOpTable();
  readonly bytecode = new Bytecode(this.table);
  readonly #deadCode = new DeadCodePass(this.table, { first: CC_OP, last: CC_RES });
  /**
   * Called before the first block with fast floating point goes out: from then on the guest's sticky flags are not known
   * (docs/floating-point.md).
   */
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
    const block = liftBlock(this.table, code, pc, limit, flavour === 1, single ? 1 : undefined);
    if (!block) return null;
    if (this.verify) verifyBlock(block, slotNames);
    if (!this.disabled.has('dead-code')) {
      this.#deadCode.run(block);
      if (this.verify) verifyBlock(block, slotNames);
    }
    if (flavour === 0 && !this.floatUsed && raisesFloatFlags(block)) {
      this.floatUsed = true;
      this.onFloatUse?.();
    }
    return block;
  }
}
