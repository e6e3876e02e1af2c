/** Structured control flow from a graph of blocks: nested blocks and loops, in the shape of the dominator tree. */
import type { Expr } from '../ir/expr.ts';
import type { FlowShape } from '../region/graph.ts';
import type { Assembler } from './assembler.ts';

export interface Edge {
  /** Number of the node it leads to; null: the code leaves the region. */
  to: number | null;
  code: Expr[];
  /** It is not taken often. */
  rare?: boolean;
}
export interface Node {
  code: Expr[];
  /** Non-zero: the first edge is taken, else the second. Null where there is only one, or none. */
  condition: Expr | null;
  /** Number of the edge that is taken, where there are many. */
  index: Expr | null;
  edges: Edge[];
}

/** Makes `first` node 0; what was there becomes the last one. */
export function moveEntry(nodes: Node[], first: Node): void {
  const moved = nodes.length;
  for (const { edges } of [...nodes, first]) for (const edge of edges) if (edge.to === 0) edge.to = moved;
  nodes.push(nodes[0]!);
  nodes[0] = first;
}

/** Nodes as nested blocks and loops, without a variable to say where control is. */
export function structured(m: Assembler, nodes: readonly Node[], shape: FlowShape): Expr[] {
  const { order, children, isLoopHeader, isMerge } = shape;
  const branch = (from: number, edge: Edge): Expr[] => {
    const { to, code } = edge;
    if (to === null) return code;
    if (order[to]! <= order[from]!) return [...code, m.br(`loop${to}`)];
    if (isMerge[to]) return [...code, m.br(`at${to}`)];
    return [...code, ...tree(to)];
  };
  const tree = (node: number): Expr[] => {
    const { code, condition, index, edges } = nodes[node]!;
    const [first, second] = edges;
    let body = [...code];
    if (index !== null) {
      const labels = edges.map((_, k) => `case${node}.${k}`);
      let nest = [m.switch(labels, labels.at(-1)!, index)];
      for (const [k, edge] of edges.entries()) nest = [m.block(labels[k]!, nest), ...branch(node, edge)];
      body.push(...nest);
    } else if (condition !== null)
      body.push(
        m.branch(condition, m.block(null, branch(node, first!)), m.block(null, branch(node, second!)), {
          first: first!.rare === true,
          second: second!.rare === true,
        }),
      );
    else if (first) body.push(...branch(node, first));
    // What several ways lead to stands behind the block that they leave.
    for (const child of children[node]!) if (isMerge[child]) body = [m.block(`at${child}`, body), ...tree(child)];
    return isLoopHeader[node] ? [m.loop(`loop${node}`, m.block(null, body))] : body;
  };
  return tree(0);
}
