/** What code elsewhere does not want to know. */
import type { Block, RegionExit } from '../ir/block.ts';
import { CONST, TEMPS } from '../ir/layout.ts';
import type { RegionFrontEnd } from './abi.ts';
import type { CodeReader } from './discover.ts';
import type { RegisterUnits, Units } from './units.ts';

/** How many blocks are looked at to find out about one place. */
const REACH = 6;

/** What a block does to registers, and how it ends; null where nothing is known of what comes then. */
interface Effect {
  /** Read before they are written. */
  readonly read: Units;
  /** Written before they are read. */
  readonly dead: Units;
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
      let left = this.#reach;
      const from = (at: number): Units => {
        if (left-- <= 0) return 0n;
        const { read, dead, exit } = this.#effect(at);
        return dead | (this.#behind(exit, from) & ~read);
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
    if (!lifted) return { read: 0n, dead: 0n, exit: null };
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
  const { width, readWords, writtenWords } = units;
  const reads = new Int32Array(width);
  const kills = new Int32Array(width);
  let { exit }: { exit: RegionExit | null } = block;
  for (const inst of block.insts) {
    if (inst.op.opaque) {
      exit = null;
      break;
    }
    units.look(inst);
    for (let w = 0; w < width; w++) {
      reads[w]! |= readWords[w]! & ~kills[w]!;
      kills[w]! |= writtenWords[w]! & ~reads[w]!;
    }
  }
  let read = units.set(reads, 0);
  const dead = units.set(kills, 0);
  if (exit?.kind === 'branch')
    for (const slot of [exit.condition.a, exit.condition.b])
      if (slot !== CONST && slot < TEMPS) read |= units.of(slot) & ~dead;
  return { read, dead, exit };
}
