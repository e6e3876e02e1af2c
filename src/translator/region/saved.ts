/**
 * Registers that a function saves where it begins, and takes back on its way out. On ways that have changed neither them nor
 * what is saved, as a function has that returns early, they need not be taken back.
 */
import type { Block, Inst, RegionExit } from '../ir/block.ts';
import { CONST, TEMPS } from '../ir/layout.ts';
import { furtherCopyOf, redirected } from './copies.ts';
import type { RegisterUnits, Units } from './units.ts';

type Inner = Block<RegionExit>;

/** Displacements from here on are not of a stack frame. */
export const STACK_REACH = 0x8000;
/** How many blocks behind the entry are looked at. */
export const REACH = 12;

/** How much an instruction moves the stack pointer; null when it does something else to it. */
export function stackStep(inst: Inst, sp: number): number | null {
  const { op, d, inputs, imm } = inst;
  if (d !== sp || inputs[0] !== sp || inputs[1] !== CONST) return null;
  const by = Number(imm);
  if (Math.abs(by) >= STACK_REACH) return null;
  return op.name === 'add.i64' ? by : op.name === 'sub.i64' ? -by : null;
}

/** What is known on one way from a region's entry. */
class Way {
  readonly #units: RegisterUnits;
  /** Of the stack pointer since the entry. */
  #moved = 0;
  /** Registers whose values at the entry lie on the stack, by where: relative to the stack pointer at the entry. */
  readonly #saved: Map<number, number>;
  #written: Units = 0n;

  constructor(units: RegisterUnits, before?: Way) {
    this.#units = units;
    this.#saved = new Map(before ? before.#saved : []);
    if (!before) return;
    this.#moved = before.#moved;
    this.#written = before.#written;
  }

  /** Follows an instruction; false when nothing is known behind it. Stores to other places than the frame may go there. */
  follow(inst: Inst): boolean {
    const { op, inputs } = inst;
    const { sp, integers } = this.#units.abi;
    if (op.kind === 'helper' || op.opaque) return false;
    if (op.kind === 'store' || op.kind === 'rmw') {
      if (inputs[0] !== sp) return false;
      const at = this.#moved + Number(inst.imm);
      for (const other of this.#saved.keys()) if (at < other + 8 && other < at + op.bytes) this.#saved.delete(other);
      const slot = inputs[1]!;
      if (op.name === 'store.i64' && integers.includes(slot) && this.#isUnchanged(slot)) this.#saved.set(at, slot);
    }
    const writes = this.#units.writes(inst);
    if ((writes & this.#units.of(sp)) !== 0n) {
      const by = stackStep(inst, sp);
      if (by === null) return false;
      this.#moved += by;
    }
    this.#written |= writes & ~this.#units.of(sp);
    return true;
  }
  #isUnchanged(slot: number): boolean {
    return (this.#written & this.#units.of(slot)) === 0n;
  }
  /** The register that a load takes back, if it has that value still; null otherwise. */
  takesBack({ op, inputs, imm }: Inst): number | null {
    if (op.name !== 'load.i64' || inputs[0] !== this.#units.abi.sp) return null;
    const slot = this.#saved.get(this.#moved + Number(imm));
    return slot !== undefined && this.#isUnchanged(slot) ? slot : null;
  }
}

/** The instruction that brings what instruction `k` loads into a register: itself, or a move from a temporary that nothing else reads. */
function intoRegister(insts: readonly Inst[], k: number, slot: number): Inst | null {
  const { d, pc } = insts[k]!;
  if (d === slot) return insts[k]!;
  if (d < TEMPS) return null;
  const readers = insts.filter((inst, n) => n > k && inst.pc === pc && inst.inputs.includes(d));
  const [reader] = readers;
  return readers.length === 1 && reader!.op.name === 'mov.i64' && reader!.d === slot ? reader! : null;
}

/** Instructions of a block that a way leads to, without what takes back registers that are as they were; null when it does not. */
function shortened(insts: readonly Inst[], before: Way, units: RegisterUnits): Inst[] | null {
  const way = new Way(units, before);
  const dropped = new Set<Inst>();
  for (const [k, inst] of insts.entries()) {
    if (dropped.has(inst)) continue;
    const slot = way.takesBack(inst);
    const last = slot === null ? null : intoRegister(insts, k, slot);
    if (last) dropped.add(inst).add(last);
    else if (!way.follow(inst)) break;
  }
  return dropped.size > 0 ? insts.filter((inst) => !dropped.has(inst)) : null;
}

/** Changes blocks of a region, and adds copies of them. `successors` are of a block, in the region or not. */
export function keepUnchanged(
  blocks: Map<number, Inner>,
  entry: number,
  units: RegisterUnits,
  successors: (block: Inner) => readonly number[],
): void {
  const comeFrom = new Map<number, number>();
  for (const block of blocks.values())
    for (const to of successors(block)) comeFrom.set(to, (comeFrom.get(to) ?? 0) + 1);
  if (comeFrom.has(entry)) return;
  let left = REACH;
  const follow = (pc: number, before?: Way): void => {
    const way = new Way(units, before);
    const block = blocks.get(pc)!;
    const { exit } = block;
    if ((exit.kind !== 'jump' && exit.kind !== 'branch') || !block.insts.every((inst) => way.follow(inst))) return;
    for (const to of successors(block)) {
      const next = blocks.get(to);
      if (!next || left-- <= 0) continue;
      const isOnlyWay = comeFrom.get(to) === 1;
      if (next.exit.kind !== 'ret') {
        if (isOnlyWay) follow(to, way);
        continue;
      }
      const insts = shortened(next.insts, way, units);
      if (!insts) continue;
      if (isOnlyWay) blocks.set(to, { ...next, insts });
      else if (to > block.exitPc) {
        const copy = furtherCopyOf(to, left);
        blocks.set(copy, { ...next, pc: copy, insts });
        blocks.set(pc, { ...blocks.get(pc)!, exit: redirected(blocks.get(pc)!.exit, (at) => (at === to ? copy : at)) });
      }
    }
  };
  follow(entry);
}
