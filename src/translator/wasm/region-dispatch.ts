/**
 * Indirect jumps inside of a region. All of them come together in one node, the dispatcher, which goes to their targets by
 * number; each looks its target up before it goes there. Those that have none in the region leave it by another node.
 */
import type { Expr } from '../ir/expr.ts';
import { SLOT_ENTRY, SLOT_LIMIT, SLOT_PC } from '../ir/layout.ts';
import type { BlockFlow } from '../region/dataflow.ts';
import type { Units } from '../region/units.ts';
import { types } from './assembler.ts';
import type { RegionEmitter } from './region.ts';
import { traceIsFull } from './region-journal.ts';
import { type Edge, moveEntry, type Node } from './structure.ts';

const { i32, i64 } = types;
/** Beyond all numbers of edges. */
const MOST = 0xffff;

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
  /** What all targets write before they read it. */
  readonly #dead: Units;

  constructor(emitter: RegionEmitter) {
    this.#e = emitter;
    const { region, locals, out, units, flows } = emitter;
    const { dispatch } = region;
    this.target = locals.add('i64');
    this.edge = locals.add('i32');
    this.#exit = flows.size;
    this.node = flows.size + 1;
    this.#low = Math.min(...dispatch);
    this.#size = Math.max(...dispatch) - this.#low + 1;
    // One entry more, for what is out of reach.
    this.#table = out.jumpTable(this.#low, this.#size + 1, dispatch);
    this.#dead = dispatch.reduce((set, pc) => set & out.deadAt(pc), units.all);
  }

  /** Sets `edge`, to a number beyond all for a target that has none. */
  lookUp(): Expr[] {
    const { m, locals } = this.#e;
    const distance = locals.take('i64');
    const from = (): Expr => m.local.get(distance, i64);
    // Unsigned, what lies below is out of reach, too.
    const inReach = m.i64.lt_u(from(), m.i64.const(BigInt(this.#size)));
    const at = m.select(inReach, m.i32.wrap(from()), m.i32.const(this.#size));
    const entry = m.i32.add(m.global.get('tables', i32), m.i32.shl(at, m.i32.const(1)));
    return [
      m.local.set(distance, m.i64.sub(m.local.get(this.target, i64), this.#e.constPc(this.#low))),
      m.local.set(this.edge, m.i32.sub(m.i32.load16_u(this.#table, 2, entry), m.i32.const(1))),
    ];
  }

  /** Whether the target that has been looked up is outside of the region, or somebody wants attention. */
  isElsewhere(): Expr {
    const { m, options } = this.#e;
    const beyond = (e: Expr): Expr => m.i32.gt_u(e, m.i32.const(MOST));
    const edge = m.local.get(this.edge, i32);
    if (options.verify) return m.i32.or(beyond(edge), traceIsFull(m));
    // Wanted, it is a large number.
    return beyond(m.i32.or(edge, m.i32.load(SLOT_LIMIT, 4, this.#e.cpu())));
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
    return this.#edges(leading(written), leading(written & ~this.#dead));
  }
  #edges(out: Expr[], on: Expr[]): Edge[] {
    return [
      { to: this.#exit, code: out, rare: true },
      { to: this.node, code: on },
    ];
  }

  /** Adds the two nodes behind those of the blocks, and before the entry some for those who enter the region at a target. */
  addNodes(nodes: Node[], numberOf: ReadonlyMap<number, number>): void {
    const { m, region, flow } = this.#e;
    const { dispatch } = region;
    const leave = this.#e.jumpTo(m.local.get(this.target, i64), flow.dispatchDirty);
    nodes.push({ code: [], condition: null, index: null, edges: [{ to: null, code: leave }] });
    nodes.push({
      code: [],
      condition: null,
      index: m.local.get(this.edge, i32),
      edges: dispatch.map((target) => ({ to: numberOf.get(target)!, code: [] })),
    });
    const atTarget = nodes.length;
    nodes.push({ code: this.lookUp(), condition: this.isElsewhere(), index: null, edges: this.#edges([], []) });
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
