/**
 * Removes flag settings that are overwritten before they are read, and side-effect-free ops whose temporary is never read.
 * One backward walk over a block; flags and all registers are live at its end, temporaries are not.
 */
import type { Block, Inst } from '../block.ts';
import { isWhole } from '../expr.ts';
import { CONST, TEMPS, VCPU_SIZE } from '../layout.ts';
import type { OpTable } from '../op.ts';

/** The slots of an ISA's lazy flags, 8 bytes each: read as a group. */
export interface FlagSlots {
  readonly first: number;
  readonly last: number;
}

// What the pass must know of an op, one bit each.
const REMOVABLE = 1; // no effect but its result
const SETS_FLAGS = 2;
const KILLS_FLAGS = 4; // sets all of them, whatever they were
const READS_FLAGS = 8;
const HELPER = 16;

export class DeadCodePass {
  readonly #flags: FlagSlots;
  /** Bits above, by op id. */
  readonly #traits: Uint8Array;
  /** One byte per 8-byte unit of the vCPU state: the temporary there is read later. */
  readonly #live = new Uint8Array(VCPU_SIZE / 8);

  constructor(table: OpTable, flags: FlagSlots) {
    this.#flags = flags;
    const isFlag = (slot: number): boolean => slot >= flags.first && slot <= flags.last;
    const count = ((flags.last - flags.first) >> 3) + 1;
    this.#traits = Uint8Array.from(table.ops, (op) => {
      const setsFlags = op.result === null && op.writes.length > 0 && op.writes.every(isFlag);
      const readsFlags = op.reads.some(isFlag);
      return (
        (op.kind === 'pure' || (op.kind === 'state' && op.writes.length === 0) ? REMOVABLE : 0) |
        (setsFlags ? SETS_FLAGS : 0) |
        (setsFlags && !readsFlags && op.writes.length === count ? KILLS_FLAGS : 0) |
        (readsFlags ? READS_FLAGS : 0) |
        (op.kind === 'helper' ? HELPER : 0)
      );
    });
  }

  run(block: Block): void {
    const live = this.#live;
    const { first, last } = this.#flags;
    live.fill(0, TEMPS >> 3);
    const e = block.exit;
    if (e.kind === 'branch') {
      live[e.condition.a >> 3] = 1;
      if (e.condition.b !== CONST) live[e.condition.b >> 3] = 1;
    } else if (e.kind === 'ret' || e.kind === 'indirect' || e.kind === 'call') live[e.slot >> 3] = 1;
    let flagsLive = true;
    const { insts } = block;
    let kept = insts.length;
    for (let k = insts.length - 1; k >= 0; k--) {
      const inst = insts[k]!;
      const { op, d, inputs } = inst;
      const traits = this.#traits[op.id]!;
      if (traits & SETS_FLAGS) {
        if (!flagsLive) continue;
        if (traits & KILLS_FLAGS) flagsLive = false;
      }
      if (op.result !== null && d >= TEMPS) {
        const unit = d >> 3;
        const wide = isWhole(op.result);
        if (traits & REMOVABLE && live[unit] === 0 && !(wide && live[unit + 1] === 1)) continue;
        // A partial write keeps what lies beside it alive.
        if ((d & 7) === 0 && op.result !== 'i8' && op.result !== 'i16' && op.result !== 'l32' && op.result !== 'f32') {
          live[unit] = 0;
          if (wide) live[unit + 1] = 0;
        }
      }
      if (traits & READS_FLAGS) flagsLive = true;
      if (traits & HELPER) {
        // A helper may look at any register, and at temporaries by their offset.
        flagsLive = true;
        if (inputs.length > 0 && inputs[inputs.length - 1] === CONST) this.#keepTemporaries(insts, k);
      }
      for (let n = 0; n < inputs.length; n++) {
        const slot = inputs[n]!;
        if (slot === CONST) continue;
        live[slot >> 3] = 1;
        if (op.inputs[n] === 'v128') live[(slot >> 3) + 1] = 1;
        if (slot >= first && slot <= last) flagsLive = true;
      }
      insts[--kept] = inst;
    }
    if (kept > 0) insts.splice(0, kept);
  }

  /** Whatever temporaries the instruction of `insts[at]` wrote before are live. */
  #keepTemporaries(insts: readonly Inst[], at: number): void {
    const { pc } = insts[at]!;
    for (let k = at - 1; k >= 0 && insts[k]!.pc === pc; k--) {
      const { op, d } = insts[k]!;
      if (op.result === null || d < TEMPS) continue;
      this.#live[d >> 3] = 1;
      if (isWhole(op.result)) this.#live[(d >> 3) + 1] = 1;
    }
  }
}
