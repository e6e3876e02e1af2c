/**
 * Accesses relative to the stack pointer while that moves by constants only (pushes, pops, making room): all of them are at
 * constant offsets from one address, which is computed once.
 */
import type { Inst } from '../ir/block.ts';
import { STACK_REACH, stackStep } from '../region/saved.ts';
import type { RegisterUnits } from '../region/units.ts';

export interface StackAccess {
  /** For the first one of the accesses: what is to be added to the stack pointer to get the address; null: it is there. */
  readonly opens: number | null;
  /** From the address on. */
  readonly offset: number;
}

interface Member {
  readonly inst: Inst;
  /** Of the stack pointer since the window's start. */
  readonly moved: number;
  readonly at: number;
}

/** Those accesses of a block that are better not computed from the stack pointer as it is then. */
export function stackAccesses(insts: readonly Inst[], units: RegisterUnits): Map<Inst, StackAccess> {
  const { sp } = units.abi;
  const out = new Map<Inst, StackAccess>();
  let members: Member[] = [];
  let moved = 0;
  const close = (): void => {
    const [first] = members;
    // The stack pointer as it is serves as well.
    if (first && members.some(({ moved, at }) => moved !== first.moved || at < first.moved)) {
      const lowest = Math.min(first.moved, ...members.map(({ at }) => at));
      for (const { inst, at } of members)
        out.set(inst, { opens: inst === first.inst ? lowest - first.moved : null, offset: at - lowest });
    }
    members = [];
    moved = 0;
  };
  for (const inst of insts) {
    const { kind } = inst.op;
    if ((kind === 'load' || kind === 'store' || kind === 'rmw') && inst.inputs[0] === sp) {
      const by = Number(inst.imm);
      if (Math.abs(by) < STACK_REACH && Math.abs(moved) < STACK_REACH) members.push({ inst, moved, at: moved + by });
    }
    if ((units.writes(inst) & units.of(sp)) === 0n) continue;
    const by = stackStep(inst, sp);
    if (by === null) close();
    else moved += by;
  }
  close();
  return out;
}
