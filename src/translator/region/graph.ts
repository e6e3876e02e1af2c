/**
 * The shape of a region's control flow, for structured code: reverse postorder, dominators, loop headers and merge points
 * (N. Ramsey, "Beyond Relooper", ICFP 2022). Nodes are numbers from 0, the entry; not all need be reachable.
 */
export interface FlowShape {
  /** Position in reverse postorder; -1 when not reachable. */
  readonly order: Int32Array;
  /** Immediate dominator; the entry's is itself. */
  readonly idom: Int32Array;
  /** Dominator-tree children in reverse postorder. */
  readonly children: readonly number[][];
  readonly isLoopHeader: Uint8Array;
  /** Reached by two forward edges or more. */
  readonly isMerge: Uint8Array;
  /** No cycle is entered but through its header. */
  readonly reducible: boolean;
}

export function shapeOf(successors: readonly (readonly number[])[]): FlowShape {
  const count = successors.length;
  const sequence = postorder(successors).reverse();
  const order = new Int32Array(count).fill(-1);
  sequence.forEach((node, k) => {
    order[node] = k;
  });
  const predecessors: number[][] = Array.from({ length: count }, () => []);
  for (const node of sequence) for (const next of successors[node]!) predecessors[next]!.push(node);
  const idom = dominators(sequence, order, predecessors);

  const dominates = (a: number, b: number): boolean => {
    let node = b;
    while (order[node]! > order[a]!) node = idom[node]!;
    return node === a;
  };
  const isLoopHeader = new Uint8Array(count);
  const isMerge = new Uint8Array(count);
  let reducible = true;
  for (const node of sequence) {
    let forward = 0;
    for (const p of predecessors[node]!) {
      if (order[p]! < order[node]!) forward++;
      else if (dominates(node, p)) isLoopHeader[node] = 1;
      else reducible = false;
    }
    if (forward > 1) isMerge[node] = 1;
  }
  const children: number[][] = Array.from({ length: count }, () => []);
  for (const node of sequence) if (node !== 0) children[idom[node]!]!.push(node);
  return { order, idom, children, isLoopHeader, isMerge, reducible };
}

function postorder(successors: readonly (readonly number[])[]): number[] {
  const out: number[] = [];
  const seen = new Uint8Array(successors.length);
  const stack: { node: number; next: number }[] = [{ node: 0, next: 0 }];
  seen[0] = 1;
  for (let top = stack.at(-1); top; top = stack.at(-1)) {
    const to = successors[top.node]![top.next++];
    if (to === undefined) {
      out.push(top.node);
      stack.pop();
    } else if (seen[to] === 0) {
      seen[to] = 1;
      stack.push({ node: to, next: 0 });
    }
  }
  return out;
}

/** K. Cooper, T. Harvey, K. Kennedy, "A Simple, Fast Dominance Algorithm" (2001). */
function dominators(
  sequence: readonly number[],
  order: Int32Array,
  predecessors: readonly (readonly number[])[],
): Int32Array {
  const idom = new Int32Array(order.length).fill(-1);
  idom[0] = 0;
  const meet = (a: number, b: number): number => {
    let [x, y] = [a, b];
    while (x !== y) {
      while (order[x]! > order[y]!) x = idom[x]!;
      while (order[y]! > order[x]!) y = idom[y]!;
    }
    return x;
  };
  for (let changed = true; changed; ) {
    changed = false;
    for (const node of sequence) {
      if (node === 0) continue;
      let best = -1;
      for (const p of predecessors[node]!) if (idom[p]! >= 0) best = best < 0 ? p : meet(best, p);
      if (best === idom[node]) continue;
      idom[node] = best;
      changed = true;
    }
  }
  return idom;
}

/** A cycle that has several entries. */
export interface Irreducible {
  readonly entries: readonly number[];
  readonly nodes: ReadonlySet<number>;
}

/**
 * A cycle with several entries: going to them by way of one node that tells them apart makes it reducible. Null when there is
 * none; otherwise apply it and ask again.
 */
export function severalEntries(successors: readonly (readonly number[])[]): Irreducible | null {
  return entriesWithin(successors, null);
}

function entriesWithin(
  successors: readonly (readonly number[])[],
  nodes: ReadonlySet<number> | null,
): Irreducible | null {
  for (const component of components(successors, nodes)) {
    const inside = new Set(component);
    const entries = new Set<number>();
    if (inside.has(0)) entries.add(0);
    for (let node = 0; node < successors.length; node++)
      if (!inside.has(node)) for (const to of successors[node]!) if (inside.has(to)) entries.add(to);
    if (entries.size > 1) return { entries: [...entries], nodes: inside };
    const [header] = entries;
    inside.delete(header!);
    const found = entriesWithin(successors, inside);
    if (found) return found;
  }
  return null;
}

/** Strongly connected components of more than one node among `nodes`, null for all (R. Tarjan, 1972), without recursion. */
export function components(
  successors: readonly (readonly number[])[],
  nodes: ReadonlySet<number> | null = null,
): number[][] {
  const index = new Int32Array(successors.length).fill(-1);
  const low = new Int32Array(successors.length);
  const onStack = new Uint8Array(successors.length);
  const stack: number[] = [];
  const out: number[][] = [];
  let counter = 0;
  for (const root of nodes ?? successors.keys()) {
    if (index[root]! >= 0) continue;
    const calls: { node: number; next: number }[] = [{ node: root, next: 0 }];
    for (let top = calls.at(-1); top; top = calls.at(-1)) {
      const { node } = top;
      if (top.next === 0) {
        index[node] = counter;
        low[node] = counter++;
        stack.push(node);
        onStack[node] = 1;
      }
      const to = successors[node]![top.next++];
      if (to !== undefined) {
        if (nodes && !nodes.has(to)) continue;
        if (index[to]! < 0) calls.push({ node: to, next: 0 });
        else if (onStack[to]) low[node] = Math.min(low[node]!, index[to]!);
        continue;
      }
      calls.pop();
      const parent = calls.at(-1);
      if (parent) low[parent.node] = Math.min(low[parent.node]!, low[node]!);
      if (low[node] !== index[node]) continue;
      const component = stack.splice(stack.lastIndexOf(node));
      for (const member of component) onStack[member] = 0;
      if (component.length > 1) out.push(component);
    }
  }
  return out;
}
