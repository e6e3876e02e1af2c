/**
 * Removes flag settings that are overwritten before they are read, and side-effect-free ops whose temporary is never read.
 * One backward walk over a block; flags and all registers are live at its end, temporaries are not.
 */
import type { Block, Inst } from '../block.ts';
import { CONST, TEMPS } from '../layout.ts';

/** The slots of an ISA's lazy flags: set as a group, read as a group. */
export interface FlagSlots {
  readonly first: number;
  readonly last: number;
}

const slotsOfExit = (block: Block): number[] => {
  const e = block.exit;
  switch (e.kind) {
    case 'branch':
      return e.condition.b === CONST ? [e.condition.a] : [e.condition.a, e.condition.b];
    case 'call':
      return e.target === null ? [e.slot] : [];
    case 'ret':
    case 'indirect':
      return [e.slot];
    default:
      return [];
  }
};

export function eliminateDeadCode(block: Block, flags: FlagSlots): void {
  const isFlag = (slot: number): boolean => slot >= flags.first && slot <= flags.last;
  let flagsLive = true;
  const live = new Set<number>();
  const read = (slot: number): void => {
    if (slot >= TEMPS) live.add(slot & ~7);
    else if (isFlag(slot)) flagsLive = true;
  };
  for (const slot of slotsOfExit(block)) read(slot);
  // A block that ends in a trap or leaves the interpreter shows its flags to a debugger or signal handler: they are live.
  const kept: Inst[] = [];
  for (let k = block.insts.length - 1; k >= 0; k--) {
    const inst = block.insts[k]!;
    const { op } = inst;
    const writesTemp = op.result !== null && inst.d >= TEMPS;
    if (op.kind === 'state' && op.writes.length > 0) {
      const conditional = op.reads.length > 0;
      if (!flagsLive && op.writes.every(isFlag)) continue;
      if (!conditional && op.writes.some(isFlag)) flagsLive = false;
    } else if (writesTemp && (op.kind === 'pure' || op.kind === 'state') && !isLive(live, inst)) continue;
    if (writesTemp && covers(inst)) {
      live.delete(inst.d & ~7);
      if (op.result === 'v128') live.delete((inst.d + 8) & ~7);
    }
    for (const slot of op.reads) if (isFlag(slot)) flagsLive = true;
    if (op.kind === 'helper') {
      // A helper may read any register, and vector temporaries by offset.
      flagsLive = true;
      if (inst.inputs.includes(CONST)) keepTemporaries(block, k, live);
    }
    for (let n = 0; n < inst.inputs.length; n++) {
      const slot = inst.inputs[n]!;
      if (slot === CONST) continue;
      read(slot);
      if (op.inputs[n] === 'v128' && slot >= TEMPS) live.add((slot + 8) & ~7);
    }
    kept.push(inst);
  }
  block.insts = kept.reverse();
}

function isLive(live: Set<number>, inst: Inst): boolean {
  return live.has(inst.d & ~7) || (inst.op.result === 'v128' && live.has((inst.d + 8) & ~7));
}

/** Whether the write replaces the whole 8-byte unit it falls in (partial writes keep the rest alive). */
function covers(inst: Inst): boolean {
  const r = inst.op.result;
  return (r === 'i32' || r === 'i64' || r === 'f64' || r === 'v128') && (inst.d & 7) === 0;
}

/** Helpers address slots by constant offset: whatever temporaries the instruction wrote before stay. */
function keepTemporaries(block: Block, at: number, live: Set<number>): void {
  const { pc } = block.insts[at]!;
  for (let k = at - 1; k >= 0 && block.insts[k]!.pc === pc; k--) {
    const inst = block.insts[k]!;
    if (inst.op.result === null || inst.d < TEMPS) continue;
    live.add(inst.d & ~7);
    if (inst.op.result === 'v128') live.add((inst.d + 8) & ~7);
  }
}

