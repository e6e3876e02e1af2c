/** IR ops that interleave and separate vector elements: ZIP, UZP, and loads and stores of structures. */
import type { OpTable } from '../ir/op.ts';
import { defineShuffle } from '../ir/ops/vector.ts';

export function defineA64SimdMoveOps(t: OpTable): void {
  for (const bits of [8, 16, 32, 64]) {
    const size = bits / 8;
    const count = 16 / size;
    /** Byte lanes of a shuffle, from element numbers (those of the second operand follow those of the first). */
    const lanes = (element: (k: number) => number): number[] =>
      Array.from({ length: 16 }, (_, n) => element(Math.floor(n / size)) * size + (n % size));
    for (const half of [0, 1]) {
      const which = half ? 'odd' : 'even';
      defineShuffle(
        t,
        `a64.uzp${half + 1}.${bits}`,
        lanes((k) => 2 * k + half),
        `${which} elements of both, in order`,
      );
      defineShuffle(
        t,
        `a64.zip${half + 1}.${bits}`,
        lanes((k) => (k >> 1) + (k & 1) * count + half * (count / 2)),
        `${half ? 'high' : 'low'} halves, element by element`,
      );
    }
  }
}
