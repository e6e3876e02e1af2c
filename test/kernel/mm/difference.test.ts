import { describe, expect, it } from 'vitest';
import { difference } from '../../../src/kernel/mm/writeback.ts';

describe('difference', () => {
  it('is the shortest piece outside of which both are equal', () => {
    let seed = 1;
    const random = (n: number): number => {
      seed = (seed * 1_103_515_245 + 12_345) & 0x7fff_ffff;
      return Math.floor((seed / 0x8000_0000) * n);
    };
    for (let round = 0; round < 2000; round++) {
      const length = 1 + random(round % 2 ? 4096 : 40);
      const a = new Uint8Array(length);
      const b = new Uint8Array(length);
      const places = Array.from({ length: 1 + random(3) }, () => random(length));
      for (const at of places) b[at] = 1 + random(255);
      expect(difference(a, b)).toEqual([Math.min(...places), Math.max(...places) + 1]);
    }
  });
});
