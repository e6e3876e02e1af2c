/**
 * Indirect jumps inside of a region. All of them come together in one node, the dispatcher, which goes to their targets by
 * number; each looks its target up before it goes there. Those that have none in the region leave it by another node.
 */
import type { Expr } from '../ir/expr.ts';
import { SLOT_ENTRY, SLOT_LIMIT, SLOT_PC } from '../ir/layout.ts';
import type { BlockFlow } from '../region/dataflow.ts';
import type { RegisterUnits, Units } from '../region/units.ts';
import { types } from './assembler.ts';
import { jumpTable, NO_TARGET, PAGE_BITS } from './jump-table.ts';
import type { RegionEmitter, RegionModule } from './region.ts';
import { traceIsFull } from './region-journal.ts';
import { type Edge, moveEntry, type Node } from './structure.ts';

const { i32, i64 } = types;

export class RegionDispatch {
  readonly #e: RegionEmitter;
  /** Local with the address that is jumped to. */
  readonly target: number;
  /** Local with the number of the dispatcher's edge that leads there. */
  readonly edge: number;
  /** Numbers of the nodes that leave the region, and go on in it. */
  readonly #exit: number;
  readonly node: number;
  /** The table of targets: where it lies, and which bytes of code it is for. */
  readonly #low: number;
  readonly #size: number;
  readonly #table: number;
  readonly #levels: 1 | 2;
  /** Local with the address of the module's tables. */
  readonly #tables: number;
  /** What most targets write before they read it, flags above all: it is not written back for them. They come first. */
  readonly #dead: Units;
  readonly #targets: readonly number[];
  readonly #simple: number;
  /** Ways of jumps to targets that are not simple, or outside: nodes tell these apart. */
  readonly #others: Edge[] = [];

  constructor(emitter: RegionEmitter) {
    this.#e = emitter;
    const { region, locals, out, units, flows } = emitter;
    const { dispatch } = region;
    this.target = locals.add('i64');
    this.edge = locals.add('i32');
    this.#tables = locals.add('i32');
    this.#exit = flows.size;
    this.node = flows.size + 1;
    const { dead, simple, others } = sortTargets(dispatch, out, units);
    this.#dead = dead;
    this.#simple = simple.length;
    this.#targets = [...simple, ...others];
    this.#low = Math.min(...dispatch);
    this.#size = Math.max(...dispatch) - this.#low + 1;
    const { words, levels } = jumpTable(this.#low, this.#size, this.#targets);
    this.#table = out.addTable(words);
    this.#levels = levels;
  }

  /** What is done where the region is entered. */
  prologue(): Expr {
    const { m } = this.#e;
    return m.local.set(this.#tables, m.global.get('tables', i32));
  }

  /** Sets `edge`, to a number beyond all for a target that has none, and when somebody wants attention. */
  lookUp(): Expr[] {
    const { m, locals } = this.#e;
    const distance = locals.take('i64');
    const from = (): Expr => m.local.get(distance, i64);
    // Unsigned, what lies below is out of reach, too.
    const outOfReach = m.i64.ge_u(from(), m.i64.const(BigInt(this.#size)));
    return [
      m.local.set(distance, m.i64.sub(m.local.get(this.target, i64), this.#e.constPc(this.#low))),
      m.branch(
        outOfReach,
        m.local.set(this.edge, m.i32.const(NO_TARGET)),
        m.local.set(
          this.edge,
          this.#orAttention(
            this.#entry(this.#levels === 1 ? m.i32.wrap(from()) : this.#inPage(m.i32.wrap(from()), m.i32.wrap(from()))),
          ),
        ),
        { first: true, second: false },
      ),
    ];
  }

  #entry(index: Expr): Expr {
    const { m } = this.#e;
    const at = m.i32.add(m.local.get(this.#tables, i32), m.i32.shl(index, m.i32.const(1)));
    return m.i32.load16_u(this.#table, 2, at);
  }
  /** Index for a distance with a table of pages; both are the distance. */
  #inPage(distance: Expr, again: Expr): Expr {
    const { m } = this.#e;
    const page = this.#entry(m.i32.shr_u(distance, m.i32.const(PAGE_BITS)));
    const within = m.i32.and(again, m.i32.const((1 << PAGE_BITS) - 1));
    return m.i32.or(m.i32.shl(page, m.i32.const(PAGE_BITS)), within);
  }

  /** Beyond all edges, too, when somebody wants attention: that is a large number then. */
  #orAttention(edge: Expr): Expr {
    const { m, options } = this.#e;
    return options.verify ? edge : m.i32.or(edge, m.i32.load(SLOT_LIMIT, 4, this.#e.cpu()));
  }

  /** Whether the target that has been looked up is not a simple one, or somebody wants attention. */
  isElsewhere(): Expr {
    return this.#isBeyond(this.#simple);
  }
  #isBeyond(count: number): Expr {
    const { m, options } = this.#e;
    const beyond = m.i32.gt_u(m.local.get(this.edge, i32), m.i32.const(count - 1));
    return options.verify ? m.i32.or(beyond, traceIsFull(m)) : beyond;
  }

  /** The ways of a block that ends with such a jump, behind `isElsewhere`. */
  edgesOf(flow: BlockFlow): Edge[] {
    const { registers } = this.#e;
    const { dispatchLive, dispatchDirty, dispatchAbsent } = this.#e.flow;
    const loads = flow.absentOut & (dispatchLive | dispatchDirty) & ~dispatchAbsent;
    const written = flow.dirtyNext & dispatchAbsent;
    const leading = (spilled: Units): Expr[] => [
      ...registers.spill(spilled),
      ...registers.reload(loads, flow.absentOut),
    ];
    const rare: Edge = { to: this.#exit, code: leading(written), rare: true };
    if (this.#simple < this.#targets.length) this.#others.push(rare);
    return [rare, { to: this.node, code: leading(written & ~this.#dead) }];
  }

  /** A node that goes to whatever target has been looked up, with all written back. */
  #toAny(code: Expr[]): Node {
    const edges: Edge[] = [
      { to: this.#exit, code: [], rare: true },
      { to: this.node, code: [] },
    ];
    return { code, condition: this.#isBeyond(this.#targets.length), index: null, edges };
  }

  /** Adds the two nodes behind those of the blocks, and before the entry some for those who enter the region at a target. */
  addNodes(nodes: Node[], numberOf: ReadonlyMap<number, number>): void {
    const { m, region, flow, registers, units } = this.#e;
    const { dispatch } = region;
    const leave = this.#e.jumpTo(m.local.get(this.target, i64), flow.dispatchDirty, flow.dispatchAbsent);
    nodes.push({ code: [], condition: null, index: null, edges: [{ to: null, code: leave }] });
    nodes.push({
      code: [],
      condition: null,
      index: m.local.get(this.edge, i32),
      edges: this.#targets.map((target) => ({ to: numberOf.get(target)!, code: [] })),
    });
    const atTarget = nodes.length;
    const spilled = registers.spill(units.params & flow.dispatchAbsent);
    nodes.push(this.#toAny([...this.lookUp(), ...spilled]));
    for (const edge of this.#others) {
      edge.to = nodes.length;
      nodes.push(this.#toAny(edge.code));
      edge.code = [];
    }
    const elsewhere: Edge = {
      to: atTarget,
      code: [
        m.i32.store(SLOT_ENTRY, 4, this.#e.cpu(), m.i32.const(0)),
        m.local.set(this.target, m.i64.load(SLOT_PC, 8, this.#e.cpu())),
      ],
    };
    // An entry inside of the loop around the dispatcher would be a second way into that loop.
    const usual: Edge = dispatch.includes(region.entry)
      ? { to: atTarget, code: [m.local.set(this.target, this.#e.constPc(region.entry))] }
      : { to: 0, code: [] };
    const entered = m.i32.load(SLOT_ENTRY, 4, this.#e.cpu());
    moveEntry(nodes, { code: [], condition: entered, index: null, edges: [elsewhere, usual] });
  }
}

/**
 * What seven of eight targets write before they read it, and the targets that write all of it. Where these would be few: what
 * all targets write.
 */
function sortTargets(
  targets: readonly number[],
  out: RegionModule,
  units: RegisterUnits,
): { dead: Units; simple: readonly number[]; others: readonly number[] } {
  const deadAt = new Map(targets.map((pc) => [pc, out.deadAt(pc)]));
  let dead = 0n;
  for (const slot of units.slots) {
    const unit = units.of(slot);
    const count = targets.reduce((sum, pc) => sum + ((deadAt.get(pc)! & unit) === 0n ? 0 : 1), 0);
    if (count * 8 >= targets.length * 7) dead |= unit;
  }
  const isSimple = (pc: number): boolean => (dead & ~deadAt.get(pc)!) === 0n;
  const simple = targets.filter(isSimple);
  if (simple.length * 2 >= targets.length) return { dead, simple, others: targets.filter((pc) => !isSimple(pc)) };
  return { dead: targets.reduce((set, pc) => set & deadAt.get(pc)!, units.all), simple: targets, others: [] };
}
