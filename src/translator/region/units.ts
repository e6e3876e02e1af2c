/**
 * Registers as dataflow sees them: 8-byte units. A general register or a flags slot is one, a vector register two. Sets of
 * units are bigints.
 */
import type { Inst } from '../ir/block.ts';
import { isWhole, type OperandType } from '../ir/expr.ts';
import { CONST, VCPU_SIZE } from '../ir/layout.ts';
import type { RegionAbi } from './abi.ts';

export type Units = bigint;

export class RegisterUnits {
  readonly abi: RegionAbi;
  /** Unit of each 8 bytes of the vCPU state, -1 where a slot is not kept in a local. */
  readonly #unitOf = new Int16Array(VCPU_SIZE / 8).fill(-1);
  /** Slot of each unit. */
  readonly slots: number[] = [];
  readonly flags: Units;
  /** The parameters of a region, sp included. */
  readonly params: Units;
  /** What a call gives back: sp and the result register. */
  readonly results: Units;
  readonly all: Units;

  constructor(abi: RegionAbi) {
    this.abi = abi;
    for (const slot of abi.integers) this.#add(slot);
    for (let slot = abi.flags.first; slot <= abi.flags.last; slot += 8) this.#add(slot);
    for (const slot of abi.vectors) {
      this.#add(slot);
      this.#add(slot + 8);
    }
    this.flags = this.#range(abi.flags.first, abi.flags.last + 8 - abi.flags.first);
    this.params = [abi.sp, ...abi.params].reduce((set, slot) => set | this.of(slot), 0n);
    this.results = this.of(abi.sp) | this.of(abi.result);
    this.all = (1n << BigInt(this.slots.length)) - 1n;
  }
  #add(slot: number): void {
    this.#unitOf[slot >> 3] = this.slots.length;
    this.slots.push(slot);
  }
  #range(slot: number, bytes: number): Units {
    let set = 0n;
    for (let at = slot & ~7; at < slot + bytes; at += 8) set |= this.of(at);
    return set;
  }
  /** The unit that holds a slot; empty when it is not kept in a local. */
  of(slot: number): Units {
    const unit = this.#unitOf[slot >> 3]!;
    return unit < 0 ? 0n : 1n << BigInt(unit);
  }
  /** Whether a slot is kept in a local. */
  has(slot: number): boolean {
    return this.#unitOf[slot >> 3]! >= 0;
  }
  access(slot: number, type: OperandType): Units {
    return isWhole(type) ? this.of(slot) | this.of(slot + 8) : this.of(slot);
  }
  /** Slots of a set, in order. */
  *list(set: Units): Iterable<number> {
    for (let unit = 0; set !== 0n; unit++, set >>= 1n) if (set & 1n) yield this.slots[unit]!;
  }
  #fixed(slots: readonly number[]): Units {
    let set = 0n;
    for (const slot of slots) set |= this.of(slot);
    return set;
  }

  /** Units an instruction reads; what it writes only in part it reads, too. */
  reads(inst: Inst): Units {
    const { op } = inst;
    let set = this.#fixed(op.reads);
    if (isZeroing(inst)) return set;
    for (let k = 0; k < op.inputs.length; k++) {
      const slot = inst.inputs[k]!;
      if (slot !== CONST) set |= this.access(slot, op.inputs[k]!);
    }
    if (op.result && isPartial(op.result, inst.d)) set |= this.access(inst.d, op.result);
    return set;
  }
  writes(inst: Inst): Units {
    const { op } = inst;
    const set = this.#fixed(op.writes);
    return op.result ? set | this.access(inst.d, op.result) : set;
  }
}

/** Whether a result of this type leaves part of its unit as it was. */
export const isPartial = (type: OperandType, slot: number): boolean =>
  type === 'i8' || type === 'i16' || type === 'l32' || type === 'f32' || (slot & 7) !== 0;

const zeroing = new Set(['xor.i32', 'xor.i64', 'sub.i32', 'sub.i64', 'v128.xor']);
/** The ways to clear a register, which do not read it. */
export const isZeroing = (inst: Inst): boolean =>
  zeroing.has(inst.op.name) && inst.inputs[0] === inst.inputs[1] && inst.inputs[0] !== CONST;
