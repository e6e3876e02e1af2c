/** What code elsewhere does not want to know. */
import type { Block, Inst, RegionExit } from '../ir/block.ts';
import { isWhole, type OperandType } from '../ir/expr.ts';
import { CONST, TEMPS } from '../ir/layout.ts';
import type { RegionFrontEnd } from './abi.ts';
import type { CodeReader } from './discover.ts';
import { isPartial, type RegisterUnits, type Units } from './units.ts';

/** How many blocks are looked at to find out about one place. */
const REACH = 6;

/** What a block does to registers, and how it ends; null where nothing is known of what comes then. */
interface Effect {
  readonly written: Units;
  /** Asked for where it begins, if what comes then asks for no flags. */
  readonly read: Units;
  /** The same if it does: flags may be made of others. */
  readonly readForFlags: Units;
  readonly exit: RegionExit | null;
}

/** Registers and flags that the guest's code writes before it reads them, whatever way it takes. */
export class DeadRegisters {
  readonly #front: RegionFrontEnd;
  readonly #code: CodeReader;
  readonly #units: RegisterUnits;
  readonly #looked: [number, number][];
  readonly #effects = new Map<number, Effect>();
  readonly #known = new Map<number, Units>();
  readonly #reach: number;

  /** The bytes it looks at are added to `looked`: [start, end) pairs. `reach`: at so many blocks for one place. */
  constructor(
    front: RegionFrontEnd,
    code: CodeReader,
    units: RegisterUnits,
    looked: [number, number][],
    reach: number = REACH,
  ) {
    this.#reach = reach;
    this.#front = front;
    this.#code = code;
    this.#units = units;
    this.#looked = looked;
  }

  /** Dead at `pc`. The stack pointer never is: the runtime looks at it. */
  at(pc: number): Units {
    let known = this.#known.get(pc);
    if (known === undefined) {
      const { flags } = this.#units;
      let left = this.#reach;
      const from = (at: number): Units => {
        if (left-- <= 0) return 0n;
        const { written, read, readForFlags, exit } = this.#effect(at);
        const dead = this.#behind(exit, from);
        return (dead | written) & ~((dead & flags) === flags ? read : readForFlags);
      };
      known = from(pc) & ~this.#units.of(this.#units.abi.sp);
      this.#known.set(pc, known);
    }
    return known;
  }
  #behind(exit: RegionExit | null, from: (pc: number) => Units): Units {
    if (exit?.kind === 'jump') return from(exit.target);
    if (exit?.kind === 'branch') return from(exit.fallthrough) & from(exit.taken);
    if (exit?.kind === 'call' && exit.target !== null) return from(exit.target);
    return 0n;
  }
  #effect(pc: number): Effect {
    let effect = this.#effects.get(pc);
    if (!effect) {
      effect = this.#look(pc);
      this.#effects.set(pc, effect);
    }
    return effect;
  }
  #look(pc: number): Effect {
    const limit = this.#code.limit(pc);
    const lifted = limit > pc ? this.#front.liftRegionBlock(this.#code.bytes, pc, limit, null, null) : null;
    if (!lifted) return { written: 0n, read: 0n, readForFlags: 0n, exit: null };
    const { block } = lifted;
    this.#looked.push([pc, block.end]);
    let effect = effects.get(block);
    if (!effect) {
      effect = effectOf(block, this.#units);
      effects.set(block, effect);
    }
    return effect;
  }
}

/** Of blocks that are remembered from module to module (remember.ts). */
const effects = new WeakMap<Block, Effect>();

function effectOf(block: Block, units: RegisterUnits): Effect {
  const opaque = block.insts.findIndex((inst) => inst.op.opaque);
  const insts = opaque < 0 ? block.insts : block.insts.slice(0, opaque);
  const exit = opaque < 0 ? block.exit : null;
  let written = 0n;
  for (const inst of insts) written |= units.writes(inst);
  const read = readBy(insts, exit, 0n, units);
  const readForFlags = (written & units.flags) === 0n ? read : readBy(insts, exit, units.flags, units);
  return { written, read, readForFlags, exit };
}

/** What instructions ask for, and what comes behind them, but for what they do about flags that nobody asks for. */
function readBy(insts: readonly Inst[], exit: RegionExit | null, behind: Units, units: RegisterUnits): Units {
  const { width, flagWords, readWords, writtenWords } = units;
  const live = units.words(behind);
  const temps = new Set<number>();
  const ask = (slot: number, type: OperandType): void => {
    if (slot === CONST) return;
    if (slot < TEMPS) units.mark(live, 0, slot, type);
    else {
      temps.add(slot);
      if (isWhole(type)) temps.add(slot + 8);
    }
  };
  if (exit?.kind === 'branch') {
    ask(exit.condition.a, 'i64');
    ask(exit.condition.b, 'i64');
  } else if (exit && 'slot' in exit) ask(exit.slot, 'i64');
  for (const inst of insts.toReversed()) {
    const { op, d, inputs } = inst;
    units.look(inst);
    // Flags and temporaries are made for those who ask for them; all else counts.
    const isForOthers = (op.kind === 'pure' || op.kind === 'state') && (op.writes.length > 0 || op.result !== null);
    let isAskedFor = !isForOthers;
    for (let w = 0; w < width; w++) {
      if (writtenWords[w]! & (live[w]! | ~flagWords[w]!)) isAskedFor = true;
      live[w]! &= ~writtenWords[w]!;
    }
    if (op.result !== null && d >= TEMPS) {
      const wide = isWhole(op.result);
      if (exit === null || temps.has(d) || (wide && temps.has(d + 8))) isAskedFor = true;
      if (!isPartial(op.result, d)) {
        temps.delete(d);
        if (wide) temps.delete(d + 8);
      }
    }
    if (!isAskedFor) continue;
    for (let w = 0; w < width; w++) live[w]! |= readWords[w]!;
    for (let k = 0; k < inputs.length; k++) if (inputs[k]! >= TEMPS) ask(inputs[k]!, op.inputs[k]!);
  }
  return units.set(live, 0);
}
