/**
 * Which accesses of a block are checked, and where, when refused ones have to leave the region with exact state. What lies at constant
 * distances from one value (fields of a structure, pushes, a function's frame) is checked at once, before the first of these
 * accesses; and so is what is relative to registers whose values are there already. A check that refuses leaves all of it to the
 * interpreter, which finds the instruction that faults, if any does. Permissions do not change within a block.
 */
import type { Inst } from '../ir/block.ts';
import { isWhole } from '../ir/expr.ts';
import { CONST, SLOT_ZERO, TEMPS } from '../ir/layout.ts';
import type { Op } from '../ir/op.ts';

export interface CheckOptions {
  /** Loads are checked, too, not only what stores. */
  readonly loads: boolean;
  /** Loads and stores are not checked together: there is memory that may be read, but not written, next to what may be. */
  readonly apart: boolean;
}

/** Of [slot + from, slot + from + bytes), with the slot's value where it is checked. */
export interface Check {
  readonly slot: number;
  from: number;
  bytes: number;
  reads: boolean;
  writes: boolean;
  /** slot + alignedAt has to be a multiple of it; 1: nothing has to be aligned. */
  align: number;
  alignedAt: number;
  /** Number of the check in its block. */
  readonly index: number;
}

export interface CheckedAccess {
  /** It is at `offset` from the first byte of the check. */
  readonly check: Check;
  /** From the slot's value where it is checked. */
  readonly at: number;
  /** What is checked before this instruction; null when it is covered by what came before. */
  readonly before: Check[] | null;
}
export type Checks = ReadonlyMap<Inst, CheckedAccess>;

/** Bytes of a check at most: the pages of the first and the last byte are all there are. */
const MOST_BYTES = 4096;
/** Offsets are exact, and what is added to an address stays small. */
const MOST_OFFSET = 2 ** 30;
const TWO32 = 2 ** 32;

export const isAccess = (inst: Inst): boolean =>
  inst.op.kind === 'load' || inst.op.kind === 'store' || inst.op.kind === 'rmw';

/** A value: `offset` from another one that is not looked into. */
interface Value {
  readonly root: number;
  readonly offset: number;
}
/** Root of constants. */
const ZERO = -1;

/** What the slots of a block hold, as far as that can be told from one another. */
class Values {
  #values = new Map<number, Value>();
  readonly #computed = new Map<string, number>();
  #roots = TEMPS * 2;

  of(slot: number): Value {
    if (slot === SLOT_ZERO) return { root: ZERO, offset: 0 };
    // A register's value at the start is a root that has its number.
    return this.#values.get(slot) ?? { root: slot, offset: 0 };
  }
  /** As it is now. */
  copy(): Values {
    const copy = new Values();
    copy.#values = new Map(this.#values);
    return copy;
  }

  follow(inst: Inst): void {
    const { op, d } = inst;
    const value = op.result === 'i64' && (d & 7) === 0 ? this.#result(inst) : this.#unknown();
    for (const slot of op.writes) this.#values.set(slot & ~7, this.#unknown());
    if (op.result) this.#values.set(d & ~7, value);
    if (isWhole(op.result)) this.#values.set((d & ~7) + 8, this.#unknown());
  }
  #unknown(): Value {
    return { root: this.#roots++, offset: 0 };
  }
  #result(inst: Inst): Value {
    const { op, inputs, imm } = inst;
    const [a, b] = inputs;
    if (op.kind !== 'pure' || a === undefined) return this.#unknown();
    if (op.name === 'mov.i64') {
      if (a !== CONST) return this.of(a);
      return imm >= 0 && imm < TWO32 ? { root: ZERO, offset: Number(imm) } : this.#unknown();
    }
    if (b === CONST && a !== CONST && (op.name === 'add.i64' || op.name === 'sub.i64')) {
      const { root, offset } = this.of(a);
      const by = Number(BigInt.asIntN(64, BigInt(imm)));
      const sum = op.name === 'add.i64' ? offset + by : offset - by;
      if (root === ZERO ? sum >= 0 && sum < TWO32 : Math.abs(sum) < MOST_OFFSET) return { root, offset: sum };
    }
    if (op.inputs.some(isWhole)) return this.#unknown();
    // The same computation with the same values gives the same: an index into an array.
    const key = [op.id, ...inputs.map((slot) => (slot === CONST ? `#${imm}` : this.#name(slot)))].join();
    let root = this.#computed.get(key);
    if (root === undefined) {
      root = this.#roots++;
      this.#computed.set(key, root);
    }
    return { root, offset: 0 };
  }
  #name(slot: number): string {
    const { root, offset } = this.of(slot & ~7);
    return `${root}+${offset}.${slot & 7}`;
  }
}

interface Group {
  readonly check: Check;
  readonly root: number;
  /** Of the slot where it is checked, from the root. */
  readonly base: number;
}

/** The checks of a block's accesses; empty when none is checked. */
export function checksOf(insts: readonly Inst[], { loads, apart }: CheckOptions): Checks {
  const out = new Map<Inst, CheckedAccess>();
  let values = new Values();
  let groups: Group[] = [];
  /** The last place where something is checked, and what slots held there. */
  let place: { before: Check[]; values: Values } | null = null;
  let count = 0;
  for (const inst of insts) {
    const { op } = inst;
    if (op.kind === 'helper') {
      // It may write any register.
      values = new Values();
      groups = [];
      place = null;
      continue;
    }
    if (isAccess(inst) && (loads || op.kind !== 'load')) {
      const slot = inst.inputs[0]!;
      const { root, offset } = values.of(slot);
      const at = offset + Number(inst.imm);
      let group = groups.find((g) => g.root === root && extended(g, op, at, apart));
      let before: Check[] | null = null;
      if (!group) {
        const there = slot < TEMPS && place ? place.values.of(slot) : null;
        if (!place || there?.root !== root) {
          before = [];
          place = { before, values: values.copy() };
        }
        const base = there?.root === root ? there.offset : offset;
        const check: Check = {
          slot,
          from: at - base,
          bytes: op.bytes,
          reads: false,
          writes: false,
          align: 1,
          alignedAt: 0,
          index: count++,
        };
        group = { check, root, base };
        extend(group, op, at);
        groups.push(group);
        place.before.push(check);
      }
      out.set(inst, { check: group.check, at: at - group.base, before });
    }
    values.follow(inst);
  }
  return out;
}

/** Whether an access can be checked with the others of a group, which then includes it. */
function extended(group: Group, op: Op, at: number, apart: boolean): boolean {
  const { check, root, base } = group;
  if (apart && (op.kind === 'load') === check.writes) return false;
  const own = at - base;
  const from = Math.min(check.from, own);
  const end = Math.max(check.from + check.bytes, own + op.bytes);
  if (end - from > MOST_BYTES) return false;
  // Of constant addresses it is known when they are in one page: pages of one file may differ.
  if (root === ZERO && Math.floor((from + base) / MOST_BYTES) !== Math.floor((end - 1 + base) / MOST_BYTES))
    return false;
  const align = Math.min(check.align, Math.max(op.align, 1));
  if ((own - check.alignedAt) % align !== 0) return false;
  check.from = from;
  check.bytes = end - from;
  extend(group, op, at);
  return true;
}
function extend({ check, base }: Group, op: Op, at: number): void {
  if (op.kind !== 'store') check.reads = true;
  if (op.kind !== 'load') check.writes = true;
  if (op.align <= check.align) return;
  check.align = op.align;
  check.alignedAt = at - base;
}
