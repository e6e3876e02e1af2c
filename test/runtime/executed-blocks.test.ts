import { describe, expect, it } from 'vitest';
import { ExecutedBlocks } from '../../src/runtime/executed-blocks.ts';

describe('blocks that have run', () => {
  it('are not more for running again after each change', () => {
    const blocks = new ExecutedBlocks();
    const alive = new Map([0x1000, 0x1010, 0x1020].map((pc) => [pc, null]));
    for (let change = 0; change < 10_000; change++) {
      for (const pc of alive.keys()) blocks.add(pc);
      if (change % 100 === 0) blocks.list(alive, []);
    }
    expect(blocks.list(alive, []).length).toBeLessThan(10_000);
    expect(new Set(blocks.list(alive, []))).toEqual(new Set(alive.keys()));
  });
  it('come with those of chunks, and without what is not kept', () => {
    const blocks = new ExecutedBlocks();
    for (const pc of [0x1000, 0xc000_0000]) blocks.add(pc);
    blocks.keep((pc) => pc > 0x2000);
    expect([...blocks.list(undefined, [Uint32Array.of(7, 8)])]).toEqual([0xc000_0000, 7, 8]);
    blocks.clear();
    expect([...blocks.list(undefined, [])]).toEqual([]);
  });
});
