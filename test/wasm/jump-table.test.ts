/** Tables of jump targets: each address leads where it should, by one table or two. */
import { describe, expect, it } from 'vitest';
import { jumpTable, NO_TARGET, PAGE_BITS, type JumpTable } from '../../src/translator/wasm/jump-table.ts';
import { random } from '../kernel/mm/mem-file.ts';

const lookUp = ({ words, levels }: JumpTable, distance: number): number =>
  levels === 1
    ? words[distance]!
    : words[(words[distance >>> PAGE_BITS]! << PAGE_BITS) | (distance & ((1 << PAGE_BITS) - 1))]!;

describe('jump tables', () => {
  it.each([
    ['targets close together', 200, 20_000, 1],
    ['few targets close together', 2, 4000, 1],
    ['targets far apart', 30, 250_000, 2],
    ['two targets far apart', 2, 0x40000, 2],
  ] as const)('%s', (_, count, span, levels) => {
    const next = random(count);
    const low = 0x40_1234;
    const distances = new Set([0, span - 1]);
    while (distances.size < count) distances.add(next(span));
    const targets = [...distances].sort(() => next(3) - 1).map((distance) => low + distance);
    const table = jumpTable(low, span, targets);
    expect(table.levels).toBe(levels);
    const wanted = new Uint16Array(span).fill(NO_TARGET);
    targets.forEach((pc, k) => {
      wanted[pc - low] = k;
    });
    expect(Uint16Array.from({ length: span }, (_, distance) => lookUp(table, distance))).toEqual(wanted);
    expect(table.words.byteLength).toBeLessThan(levels === 1 ? 2 * span + 8 : 4096 + count * 512);
  });
});
