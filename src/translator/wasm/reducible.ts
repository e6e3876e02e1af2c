/** Adds nodes that tell apart the entries of cycles which have several, until structured code can express the graph. */
import type { Expr } from '../ir/expr.ts';
import { type FlowShape, type Irreducible, severalEntries, shapeOf } from '../region/graph.ts';
import type { Assembler } from './assembler.ts';
import { type Edge, moveEntry, type Node } from './structure.ts';

/** A node that goes by number, and the local the number is in. */
interface Switch {
  readonly node: number;
  readonly label: number;
}

/**
 * Changes `nodes` in place.
 *
 * @param newLabel a new local of type i32
 * @param dispatcher a node of `nodes` that goes by number already: ways into a cycle which it is part of may lead through it
 */
export function makeReducible(
  m: Assembler,
  nodes: Node[],
  newLabel: () => number,
  dispatcher: Switch | null,
): FlowShape {
  const successors = (): number[][] => nodes.map((n) => n.edges.flatMap((e) => (e.to === null ? [] : [e.to])));
  for (;;) {
    const shape = shapeOf(successors());
    if (shape.reducible) return shape;
    const found = severalEntries(successors());
    if (!found) throw new Error('control flow is neither reducible nor not');
    if (dispatcher && found.nodes.has(dispatcher.node)) enterThrough(m, nodes, found, dispatcher);
    else tellApart(m, nodes, found.entries, newLabel());
  }
}

/** All ways to the entries go by a new node. */
function tellApart(m: Assembler, nodes: Node[], entries: readonly number[], label: number): void {
  const through = { node: nodes.length, label };
  const edges: Edge[] = [];
  nodes.push({ code: [], condition: null, index: m.local.get(label, m.types.i32), edges });
  for (const to of entries.toReversed()) divert(m, nodes, to, () => true, through);
}

/** The ways into a cycle go by a node that is in it; ways inside of the cycle stay as they are. */
function enterThrough(m: Assembler, nodes: Node[], { entries, nodes: inside }: Irreducible, through: Switch): void {
  for (const to of entries.toReversed())
    if (to !== through.node) divert(m, nodes, to, (from) => !inside.has(from), through);
}

/** Has the edges to `to` from nodes that are `meant` lead there by way of `through`. To be called for node 0 last: it moves. */
function divert(
  m: Assembler,
  nodes: Node[],
  to: number,
  meant: (from: number) => boolean,
  { node, label }: Switch,
): void {
  const { edges } = nodes[node]!;
  const number = edges.length;
  const choose = (): Expr => m.local.set(label, m.i32.const(number));
  for (const [from, other] of nodes.entries())
    if (from !== node && meant(from))
      for (const edge of other.edges)
        if (edge.to === to) {
          edge.code = [...edge.code, choose()];
          edge.to = node;
        }
  edges.push({ to, code: [] });
  // The entry of the graph is not entered through an edge.
  if (to === 0) moveEntry(nodes, { code: [choose()], condition: null, index: null, edges: [{ to: node, code: [] }] });
}
