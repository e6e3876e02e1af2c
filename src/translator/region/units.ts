/**
 * Registers as dataflow sees them: 8-byte units. A general register or a flags slot is one, a vector register two. Sets of
 * units are bigints where regions are emitted; dataflow itself, which makes most of them, has them as runs of 32-bit words.
 */
import type { Inst } from '../ir/block.ts';
import { isWhole, type OperandType } from '../ir/expr.ts';
import { CONST, VCPU_SIZE } from '../ir/layout.ts';
import type { Op } from '../ir/op.ts';
import type { RegionAbi } from './abi.ts';

export type Units = bigint;
/** A set, or several in a row, of RegisterUnits.width words each; the lowest unit is the lowest bit of the first word. */
export type UnitWords = Int32Array;

/** What an op reads and writes beside its operands. */
interface Fixed {
  readonly reads: Units;
  readonly writes: Units;
  readonly readWords: UnitWords;
  readonly writtenWords: UnitWords;
}

const known = new WeakMap<RegionAbi, RegisterUnits>();
/** Those of an ISA, made once. */
export function unitsOf(abi: RegionAbi): RegisterUnits {
  let units = known.get(abi);
  if (!units) {
    units = new RegisterUnits(abi);
    known.set(abi, units);
  }
  return units;
}

export class RegisterUnits {
  readonly abi: RegionAbi;
  /** Unit of each 8 bytes of the vCPU state, -1 where a slot is not kept in a local. */
  readonly #unitOf = new Int16Array(VCPU_SIZE / 8).fill(-1);
  /** The same as sets. */
  readonly #setOf = new Array<Units>(VCPU_SIZE / 8).fill(0n);
  /** Slot of each unit. */
  readonly slots: number[] = [];
  /** Words of a set. */
  readonly width: number;
  readonly flags: Units;
  /** The parameters of a region, sp and the kept ones included. */
  readonly params: Units;
  /** What a call gives back: sp, the result register, the kept ones. */
  readonly results: Units;
  readonly all: Units;
  /** What `look` has found. */
  readonly readWords: UnitWords;
  readonly writtenWords: UnitWords;
  readonly flagWords: UnitWords;
  readonly #fixed = new Map<Op, Fixed>();
  readonly #none: Fixed;

  constructor(abi: RegionAbi) {
    this.abi = abi;
    for (const slot of abi.integers) this.#add(slot);
    for (let slot = abi.flags.first; slot <= abi.flags.last; slot += 8) this.#add(slot);
    for (const slot of abi.vectors) {
      this.#add(slot);
      this.#add(slot + 8);
    }
    this.width = Math.ceil(this.slots.length / 32);
    this.flags = this.#range(abi.flags.first, abi.flags.last + 8 - abi.flags.first);
    this.params = [abi.sp, ...abi.params, ...abi.kept].reduce((set, slot) => set | this.of(slot), 0n);
    this.results = [abi.sp, abi.result, ...abi.kept].reduce((set, slot) => set | this.of(slot), 0n);
    this.all = (1n << BigInt(this.slots.length)) - 1n;
    this.readWords = new Int32Array(this.width);
    this.writtenWords = new Int32Array(this.width);
    this.flagWords = this.words(this.flags);
    this.#none = { reads: 0n, writes: 0n, readWords: this.words(0n), writtenWords: this.words(0n) };
  }
  #add(slot: number): void {
    this.#unitOf[slot >> 3] = this.slots.length;
    this.#setOf[slot >> 3] = 1n << BigInt(this.slots.length);
    this.slots.push(slot);
  }
  #range(slot: number, bytes: number): Units {
    let set = 0n;
    for (let at = slot & ~7; at < slot + bytes; at += 8) set |= this.of(at);
    return set;
  }
  /** The unit that holds a slot; empty when it is not kept in a local. */
  of(slot: number): Units {
    return this.#setOf[slot >> 3]!;
  }
  /** Whether a slot is kept in a local. */
  has(slot: number): boolean {
    return this.#unitOf[slot >> 3]! >= 0;
  }
  access(slot: number, type: OperandType): Units {
    return isWhole(type) ? this.of(slot) | this.of(slot + 8) : this.of(slot);
  }
  /** Slots of a set, in order. */
  list(set: Units): number[] {
    const out: number[] = [];
    for (let rest = set, first = 0; rest !== 0n; rest >>= 32n, first += 32)
      for (let word = Number(BigInt.asUintN(32, rest)); word !== 0; word = (word & (word - 1)) >>> 0)
        out.push(this.slots[first + 31 - Math.clz32(word & -word)]!);
    return out;
  }
  #fixedOf(op: Op): Fixed {
    if (op.reads.length === 0 && op.writes.length === 0) return this.#none;
    let fixed = this.#fixed.get(op);
    if (!fixed) {
      const sum = (slots: readonly number[]): Units => slots.reduce((set, slot) => set | this.of(slot), 0n);
      const [reads, writes] = [sum(op.reads), sum(op.writes)];
      fixed = { reads, writes, readWords: this.words(reads), writtenWords: this.words(writes) };
      this.#fixed.set(op, fixed);
    }
    return fixed;
  }

  /** Units an instruction reads; what it writes only in part it reads, too. */
  reads(inst: Inst): Units {
    const { op } = inst;
    let set = this.#fixedOf(op).reads;
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
    const set = this.#fixedOf(op).writes;
    return op.result ? set | this.access(inst.d, op.result) : set;
  }

  /** Sets `readWords` and `writtenWords` to what `reads` and `writes` are. */
  look(inst: Inst): void {
    const { op, d } = inst;
    const { readWords, writtenWords } = this;
    const fixed = this.#fixedOf(op);
    for (let k = 0; k < this.width; k++) {
      readWords[k] = fixed.readWords[k]!;
      writtenWords[k] = fixed.writtenWords[k]!;
    }
    const { inputs, result } = op;
    if (result) this.mark(writtenWords, 0, d, result);
    if (isZeroing(inst)) return;
    for (let k = 0; k < inputs.length; k++) {
      const slot = inst.inputs[k]!;
      if (slot !== CONST) this.mark(readWords, 0, slot, inputs[k]!);
    }
    if (result && isPartial(result, d)) this.mark(readWords, 0, d, result);
  }
  /** Adds `access(slot, type)` to the set that begins at word `at`. */
  mark(words: UnitWords, at: number, slot: number, type: OperandType): void {
    const unit = this.#unitOf[slot >> 3]!;
    if (unit >= 0) words[at + (unit >> 5)]! |= 1 << (unit & 31);
    if (!isWhole(type)) return;
    const high = this.#unitOf[(slot >> 3) + 1]!;
    if (high >= 0) words[at + (high >> 5)]! |= 1 << (high & 31);
  }
  setsFlags(inst: Inst): boolean {
    this.look(inst);
    for (let k = 0; k < this.width; k++) if (this.writtenWords[k]! & this.flagWords[k]!) return true;
    return false;
  }

  words(set: Units): UnitWords {
    const words = new Int32Array(this.width);
    for (let k = 0, rest = set; rest !== 0n; k++, rest >>= 32n) words[k] = Number(BigInt.asIntN(32, rest));
    return words;
  }
  /** The set that begins at word `at`. */
  set(words: UnitWords, at: number): Units {
    let set = 0n;
    for (let k = this.width - 1; k >= 0; k--) {
      const word = words[at + k]!;
      if (set !== 0n) set = (set << 32n) | BigInt(word >>> 0);
      else if (word !== 0) set = BigInt(word >>> 0);
    }
    return set;
  }
}

/** Whether a result of this type leaves part of its unit as it was. */
export const isPartial = (type: OperandType, slot: number): boolean =>
  type === 'i8' || type === 'i16' || type === 'l32' || type === 'f32' || (slot & 7) !== 0;

const zeroing = new Set(['xor.i32', 'xor.i64', 'sub.i32', 'sub.i64', 'v128.xor']);
/** The ways to clear a register, which do not read it. */
export const isZeroing = ({ op, inputs }: Inst): boolean =>
  inputs[0] === inputs[1] && inputs[0] !== CONST && zeroing.has(op.name);
