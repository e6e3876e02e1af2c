/**
 * A region's blocks as dataflow sees them: by number, in the order they were found in, with what each of them does to registers.
 * Sets of units are runs of words (units.ts), those of block `k` from word `k * width` on.
 */
import type { Block, Inst, RegionExit } from '../ir/block.ts';
import { CONST, TEMPS } from '../ir/layout.ts';
import { type CheckOptions, type Checks, checksOf } from './checks.ts';
import { isDispatch, type Region, successors } from './discover.ts';
import { components } from './graph.ts';
import type { RegisterUnits, Units, UnitWords } from './units.ts';

export interface FlowOptions {
  /** Which memory accesses may leave the region with exact state; null: none. */
  checked: CheckOptions | null;
  /** What is dead when the guest goes to `pc`, inside of the region or not. */
  deadAt: (pc: number) => Units;
}

/** A way out of a block by a jump, a branch or a call of a known function. */
export interface Way {
  /** Number of the block it leads to, if that is in the region; a call's returns are not meant. */
  readonly to: number;
  /** What is dead there, where the region may be left: outside of it, and where it polls. */
  readonly dead: UnitWords | null;
}

const UNCHECKED: Checks = new Map();

export class FlowGraph {
  readonly units: RegisterUnits;
  readonly width: number;
  readonly blocks: Block<RegionExit>[];
  /** By guest address. */
  readonly numbers = new Map<number, number>();
  /** `successors` and what precedes, without indirect jumps and what is not in the region. */
  readonly next: number[][];
  readonly previous: number[][];
  readonly ways: Way[][];
  /** Of indirect jumps inside of the region. */
  readonly targets: number[];
  readonly isTarget: Uint8Array;
  /** Blocks that end with such jumps. */
  readonly isSite: Uint8Array;
  readonly sites: number[] = [];
  readonly entry: number;
  /** Can be reached from itself, otherwise than by indirect jumps. */
  readonly isCyclic: Uint8Array;
  /** Can be reached from itself. */
  readonly isDispatched: Uint8Array;

  // What blocks do to registers, whatever surrounds them: set by `summarise`.
  /** Needed in their locals at the start: read before they are written. */
  readonly needed: UnitWords;
  readonly touched: UnitWords;
  readonly written: UnitWords;
  /**
   * Given up before anybody could see them: written before they are read, with no way out of the region in between. (Who is left to
   * go on there overwrites flags as well.)
   */
  readonly hidden: UnitWords;
  /** Read by instructions before they are written. */
  readonly read: UnitWords;
  /** Not written yet where the region may first be left by an instruction. */
  readonly atLeaving: UnitWords;
  /** What the blocks' memory accesses are checked by. */
  readonly checks: Checks[];

  constructor(region: Region, units: RegisterUnits, options: FlowOptions) {
    this.units = units;
    this.width = units.width;
    this.blocks = [...region.blocks.values()];
    const count = this.blocks.length;
    for (const pc of region.blocks.keys()) this.numbers.set(pc, this.numbers.size);
    this.next = [];
    this.previous = Array.from({ length: count }, () => []);
    this.ways = [];
    this.isSite = new Uint8Array(count);
    const dead = new Map<number, UnitWords>();
    const deadAt = (pc: number): UnitWords => {
      let words = dead.get(pc);
      if (!words) {
        words = units.words(options.deadAt(pc));
        dead.set(pc, words);
      }
      return words;
    };
    for (const [k, block] of this.blocks.entries()) {
      const next: number[] = [];
      for (const pc of successors(block, [])) {
        const to = this.numbers.get(pc);
        if (to === undefined) continue;
        next.push(to);
        this.previous[to]!.push(k);
      }
      this.next.push(next);
      const { exit } = block;
      const ways: Way[] = [];
      if (exit.kind === 'call' && exit.target !== null) ways.push({ to: -1, dead: deadAt(exit.target) });
      else if (exit.kind === 'jump' || exit.kind === 'branch' || exit.kind === 'return')
        for (const pc of successors(block, [])) {
          const to = this.numbers.get(pc) ?? -1;
          const leaves = to < 0 || region.polls.get(block.pc)?.includes(pc);
          ways.push({ to, dead: leaves ? deadAt(Math.floor(pc)) : null });
        }
      this.ways.push(ways);
      if (!isDispatch(block)) continue;
      this.isSite[k] = 1;
      this.sites.push(k);
    }
    this.isTarget = new Uint8Array(count);
    this.targets = region.dispatch.map((pc) => this.numbers.get(pc)!);
    for (const k of this.targets) this.isTarget[k] = 1;
    this.entry = this.numbers.get(region.entry)!;
    this.isCyclic = cyclic(this.next);
    this.isDispatched =
      this.targets.length === 0
        ? this.isCyclic
        : cyclic(this.next.map((next, k) => (this.isSite[k] ? this.targets : next)));
    this.needed = this.sets();
    this.touched = this.sets();
    this.written = this.sets();
    this.hidden = this.sets();
    this.read = this.sets();
    this.atLeaving = this.sets();
    const { checked } = options;
    this.checks = this.blocks.map(({ insts }) => (checked ? checksOf(insts, checked) : UNCHECKED));
  }

  /** Whether an instruction of block `k` may leave the region after having looked at its inputs. */
  mayLeave(k: number, inst: Inst): boolean {
    return inst.op.kind === 'helper' || (this.checks[k]!.get(inst)?.before ?? null) !== null;
  }

  /** An empty set for each block. */
  sets(): UnitWords {
    return new Int32Array(this.blocks.length * this.width);
  }

  /** Looks at what the blocks do; again when some of their instructions have been removed. */
  summarise(): void {
    for (let k = 0; k < this.blocks.length; k++) this.#summarise(k);
  }
  #summarise(k: number): void {
    const { units, width, needed, touched, written, hidden, read, atLeaving } = this;
    const { insts, exit } = this.blocks[k]!;
    const from = k * width;
    const end = from + width;
    for (const words of [needed, touched, written, hidden, read, atLeaving]) words.fill(0, from, end);
    const { readWords, writtenWords } = units;
    // Until the end, `hidden` has what somebody may see before it is written.
    let left = false;
    for (const inst of insts) {
      units.look(inst);
      const leaving = this.mayLeave(k, inst);
      for (let w = 0, at = from; w < width; w++, at++) {
        const unwritten = ~written[at]!;
        if (leaving && !left) atLeaving[at] = unwritten;
        hidden[at]! |= (leaving ? ~units.flagWords[w]! | readWords[w]! : readWords[w]!) & unwritten;
        read[at]! |= readWords[w]! & unwritten;
        touched[at]! |= readWords[w]!;
        written[at]! |= writtenWords[w]!;
      }
      left ||= leaving;
    }
    for (let at = from; at < end; at++) needed[at] = read[at]!;
    const operands = units.readWords.fill(0);
    this.operands(k, operands, 0);
    let passed: Units = 0n;
    if (exit.kind === 'ret') passed = units.results;
    else if (exit.kind === 'call') passed = units.params;
    const passes = passed === 0n ? null : this.#wordsOf(passed);
    for (let w = 0, at = from; w < width; w++, at++) {
      const pass = passes ? passes[w]! : 0;
      needed[at]! |= (operands[w]! | pass) & ~written[at]!;
      touched[at]! |= operands[w]! | pass | written[at]! | needed[at]!;
      hidden[at] = written[at]! & ~(hidden[at]! | needed[at]!);
    }
  }
  readonly #converted = new Map<Units, UnitWords>();
  #wordsOf(set: Units): UnitWords {
    let words = this.#converted.get(set);
    if (!words) {
      words = this.units.words(set);
      this.#converted.set(set, words);
    }
    return words;
  }

  /** Adds the registers that the exit of block `k` reads to the set from word `at` on. */
  operands(k: number, words: UnitWords, at: number): void {
    const e = this.blocks[k]!.exit;
    const add = (slot: number): void => {
      if (slot !== CONST && slot < TEMPS) this.units.mark(words, at, slot, 'i64');
    };
    if (e.kind === 'branch') {
      add(e.condition.a);
      add(e.condition.b);
    } else if ('slot' in e) add(e.slot);
  }
}

/** Which nodes lie in a cycle of several. */
function cyclic(next: readonly (readonly number[])[]): Uint8Array {
  const out = new Uint8Array(next.length);
  for (const component of components(next)) for (const k of component) out[k] = 1;
  return out;
}
