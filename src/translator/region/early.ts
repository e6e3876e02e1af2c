/**
 * Registers that are written back to the vCPU state ahead of time. Where code is left in many places, each of them writes back all
 * that is newer in its local, which then has to be kept until there. What is written back in any case had better be at once.
 */
import type { FlowSets } from './dataflow.ts';
import type { FlowGraph } from './flow-graph.ts';
import { WorkList } from './placement.ts';
import type { UnitWords } from './units.ts';

/** Registers to be written back at the end of each block, if they are newer in their locals there. */
export function earlyWrites(graph: FlowGraph, { flagsOfStack }: FlowSets): UnitWords {
  const { width, blocks, written, isCyclic } = graph;
  const early = writtenBackAhead(graph, flagsOfStack);
  for (let k = 0; k < blocks.length; k++) {
    const { kind } = blocks[k]!.exit;
    const isInside = kind === 'jump' || kind === 'branch';
    for (let w = 0, at = k * width; w < width; w++, at++) {
      if (!isInside) early[at] = 0;
      // Elsewhere it may have been written back on the way there, and a loop would do that each time.
      else if (isCyclic[k]) early[at]! &= written[at]!;
    }
  }
  return early;
}

/**
 * Registers that are written back before they are written again whatever way the region goes on, at the end of each block. Ways
 * that leave it are not looked at where there are others.
 */
function writtenBackAhead(graph: FlowGraph, flagsOfStack: Uint8Array): UnitWords {
  const { units, width, blocks, next, ways, written, isSite } = graph;
  const { flagWords } = units;
  const all = units.words(units.all);
  const params = units.words(units.params);
  const results = units.words(units.results);
  const atEnd = graph.sets();
  for (let at = 0; at < atEnd.length; at++) atEnd[at] = all[at % width]!;
  const work = new WorkList(blocks.length);
  for (let k = work.take(); k >= 0; k = work.take()) {
    const { kind } = blocks[k]!.exit;
    const inside = kind === 'jump' || kind === 'branch' ? next[k]! : [];
    let changed = false;
    for (let w = 0, at = k * width; w < width; w++, at++) {
      let now = all[w]!;
      if (inside.length > 0) for (const to of inside) now &= atEnd[to * width + w]! & ~written[to * width + w]!;
      else {
        for (const { dead } of ways[k]!) if (dead) now &= ~dead[w]!;
        // What is passed on or given back stays in a host register.
        if (kind === 'ret') now &= ~results[w]! & (flagsOfStack[k] ? ~flagWords[w]! : -1);
        else if (kind !== 'syscall' && kind !== 'trap') now &= ~params[w]!;
        if (isSite[k]) now = 0;
      }
      if (now === atEnd[at]) continue;
      atEnd[at] = now;
      changed = true;
    }
    if (changed) work.add(graph.previous[k]!);
  }
  return atEnd;
}
