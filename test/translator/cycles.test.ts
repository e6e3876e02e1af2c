/** Cycles of regions: entered at one place where little has to be copied for that, and each looks for attention somewhere. */
import { describe, expect, it } from 'vitest';
import type { Block, RegionExit } from '../../src/translator/ir/block.ts';
import { settleCycles, type Polls } from '../../src/translator/region/cycles.ts';
import { components, shapeOf } from '../../src/translator/region/graph.ts';
import { random } from '../kernel/mm/mem-file.ts';

type Inner = Block<RegionExit>;
interface Graph {
  blocks: Map<number, Inner>;
  entry: number;
  dispatch: number[];
}

const SIZE = 4;
const branch = (taken: number, fallthrough: number): RegionExit => ({
  kind: 'branch',
  condition: { compare: 'eq', width: 'i64', a: 0, b: 0, imm: 0 },
  taken,
  fallthrough,
});
const isSite = ({ exit }: Inner): boolean => exit.kind === 'indirect';
const successors = ({ exit }: Inner): number[] => {
  if (exit.kind === 'jump') return [exit.target];
  if (exit.kind === 'branch') return [exit.fallthrough, exit.taken];
  return exit.kind === 'call' ? [exit.returnPc] : [];
};

/** Blocks one behind the other from address 0x1000 on. */
function graph(exits: readonly RegionExit[], dispatch: number[] = [], instructions = 2): Graph {
  const blocks = new Map<number, Inner>();
  for (const [k, exit] of exits.entries()) {
    const pc = at(k);
    blocks.set(pc, { pc, end: pc + SIZE, insts: [], exit, exitPc: pc + SIZE - 1, guestInstructions: instructions });
  }
  return { blocks, entry: at(0), dispatch };
}
const at = (k: number): number => 0x1000 + k * SIZE;
const jump = (k: number): RegionExit => ({ kind: 'jump', target: at(k) });
const settle = (g: Graph): Polls => settleCycles({ ...g, isSite, successors });

/** The graph with a node for the indirect jumps and one for the entry, without the ways in `without`. */
function shape({ blocks, entry, dispatch }: Graph, without: Polls = new Map(), jumps = true) {
  const number = new Map([...blocks.keys()].map((pc, k) => [pc, k + 2]));
  const numbers = (pcs: readonly number[]): number[] => pcs.filter((pc) => number.has(pc)).map((pc) => number.get(pc)!);
  const next = [
    [...numbers(dispatch.includes(entry) ? [] : [entry]), ...(dispatch.length > 0 ? [1] : [])],
    jumps ? numbers(dispatch) : [],
    ...[...blocks.values()].map((block) =>
      isSite(block) && dispatch.length > 0
        ? [1]
        : numbers(successors(block).filter((pc) => !without.get(block.pc)?.includes(pc))),
    ),
  ];
  return { reducible: shapeOf(next).reducible, cyclic: components(next).length > 0, next };
}

describe('cycles of regions', () => {
  it('that have one entry stay as they are, and look where they go back', () => {
    const g = graph([jump(1), branch(at(1), at(2)), { kind: 'ret', slot: 0 }]);
    expect(settle(g)).toEqual(new Map([[at(1), [at(1)]]]));
    expect(g.blocks.size).toBe(3);
  });
  it('need not look where a way back closes none', () => {
    // 0 -> 3 -> 1 -> 2: out of line, and back.
    expect(settle(graph([jump(3), jump(2), { kind: 'ret', slot: 0 }, jump(1)])).size).toBe(0);
  });
  it('look once, not at each of their ways back', () => {
    // 1 -> 3 -> 2 -> 1, where both 3 -> 2 and 2 -> 1 go back.
    const polls = settle(graph([jump(1), jump(3), branch(at(1), at(4)), jump(2), { kind: 'ret', slot: 0 }]));
    expect([...polls.values()].flat()).toHaveLength(1);
  });
  it('with two entries have what lies before one of them copied', () => {
    const g = graph([branch(at(2), at(1)), jump(2), branch(at(1), at(3)), { kind: 'ret', slot: 0 }]);
    expect(shape(g).reducible).toBe(false);
    const polls = settle(g);
    expect(shape(g)).toMatchObject({ reducible: true });
    expect(shape(g, polls)).toMatchObject({ cyclic: false });
    expect(g.blocks.size).toBe(5);
  });
  it('stay as they are when much would have to be copied, or a call returns to it', () => {
    const large = graph([branch(at(2), at(1)), jump(2), branch(at(1), at(3)), { kind: 'ret', slot: 0 }], [], 100);
    settle(large);
    expect(large.blocks.size).toBe(4);
    const call = (k: number): RegionExit => ({ kind: 'call', target: 0x9000, slot: 0, returnPc: at(k) });
    const calls = graph([branch(at(2), at(1)), call(2), branch(at(1), at(3)), call(1), { kind: 'ret', slot: 0 }]);
    settle(calls);
    expect([...calls.blocks.keys()].every((pc) => Number.isInteger(pc) || Math.floor(pc) !== at(2))).toBe(true);
  });
  it('around indirect jumps are entered there: the targets keep their addresses', () => {
    // The switch of an interpreter: 1 jumps, 2 and 3 are targets, 0 enters at 1.
    const g = graph([jump(1), { kind: 'indirect', slot: 0 }, jump(1), jump(1)], [at(2), at(3)]);
    expect(shape(g).reducible).toBe(false);
    expect(settle(g).size).toBe(0);
    expect(shape(g).reducible).toBe(true);
    expect(g.blocks.has(at(2)) && g.blocks.has(at(3))).toBe(true);
  });

  it('of random graphs go where they went, and none is without a look', () => {
    const next = random(7);
    let copied = 0;
    let mended = 0;
    for (let round = 0; round < 3000; round++) {
      const count = 3 + next(12);
      const any = (): number => at(next(count));
      const dispatch = next(3) === 0 ? [...new Set([any(), any(), any()])] : [];
      const exits = Array.from({ length: count }, (_, k): RegionExit => {
        const kind = next(8);
        if (kind === 0) return { kind: 'ret', slot: 0 };
        if (kind === 1 && dispatch.length > 0) return { kind: 'indirect', slot: 0 };
        // Calls return to what stands behind them.
        if (kind === 2 && k + 1 < count) return { kind: 'call', target: 0x9000, slot: 0, returnPc: at(k + 1) };
        return kind < 5 ? { kind: 'jump', target: any() } : branch(any(), any());
      });
      const g = graph(exits, dispatch, 1 + next(6));
      const before = new Map(g.blocks);
      const wasReducible = shape(g).reducible;
      const polls = settle(g);
      if (!wasReducible && shape(g).reducible) mended++;
      copied += g.blocks.size - before.size;
      expect(shape(g, polls, false).cyclic, `round ${round}`).toBe(false);
      for (const [pc, targets] of polls)
        for (const to of targets) expect(successors(g.blocks.get(pc)!), `round ${round}`).toContain(to);
      for (const block of g.blocks.values()) {
        const original = before.get(Math.floor(block.pc))!;
        expect(successors(block).map(Math.floor), `round ${round}`).toEqual(successors(original));
        for (const to of successors(block)) expect(g.blocks.has(to), `round ${round}`).toBe(true);
        if (block.exit.kind === 'call') expect(block.exit).toEqual(original.exit);
      }
    }
    expect(copied).toBeGreaterThan(1000);
    expect(mended).toBeGreaterThan(300);
  });
});
