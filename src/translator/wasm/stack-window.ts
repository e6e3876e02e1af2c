/**
 * Accesses relative to the stack pointer while that moves by constants only (pushes, pops, making room): all of them are at
 * constant offsets from one address, which is computed once.
 */
import type { Inst } from '../ir/block.ts';
import { CONST } from '../ir/layout.ts';
import type { RegisterUnits } from '../region/units.ts';

export interface StackAccess {
  /** For the first one of the accesses: what is to be added to the stack pointer to get the address; null: it is there. */
  readonly opens: number | null;
  /** From the address on. */
  readonly offset: number;
}

/** Highest offset of one address; displacements beyond are not of a stack frame. */
const REACH = 0x8000;

interface Member {
  readonly inst: Inst;
  /** Of the stack pointer since the window's start. */
  readonly moved: number;
  readonly at: number;
}

/** How much an instruction moves the stack pointer; null when it does something else to it. */
function step(inst: Inst, sp: number): number | null {
  const { op, d, inputs, imm } = inst;
  if (d !== sp || inputs[0] !== sp || inputs[1] !== CONST) return null;
  const by = Number(imm);
  if (Math.abs(by) >= REACH) return null;
  return op.name === 'add.i64' ? by : op.name === 'sub.i64' ? -by : null;
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
      if (Math.abs(by) < REACH && Math.abs(moved) < REACH) members.push({ inst, moved, at: moved + by });
    }
    if ((units.writes(inst) & units.of(sp)) === 0n) continue;
    const by = step(inst, sp);
    if (by === null) close();
    else moved += by;
  }
  close();
  return out;
}
