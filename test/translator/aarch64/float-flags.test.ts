import { describe, expect, it } from 'vitest';
import { initialState, VECTOR_PLACE } from './machine-state.ts';
import { Replayer } from './replay.ts';

const FDIV = 0x1e62_1820; // fdiv d0, d1, d2
const mrs = (t: number): number => 0xd53b_4420 | t; // mrs xt, fpsr
const msr = (t: number): number => 0xd51b_4420 | t;
/** and xd, xn, #0x9f is no logical immediate; this is and xd, xn, #0x1f. */
const low = (d: number, n: number): number => 0x9240_1000 | (n << 5) | d;
const XZR = 31;
const DZC = 2;
const IXC = 16;

/** Registers and FPSR after instructions with d1 = 1 and d2 = `divisor`. */
function run(words: number[], divisor: number, fpsr = 0) {
  const bits = new BigUint64Array(Float64Array.of(1, divisor).buffer);
  const before = initialState(1, 'integer', [
    [VECTOR_PLACE + 2, bits[0]!],
    [VECTOR_PLACE + 4, bits[1]!],
  ]);
  before.fpsr = fpsr;
  const outcome = new Replayer().run({ words, seed: 1, profile: 'integer', overrides: [] }, before);
  return {
    x: (n: number): number => Number(outcome.gpr.find(([k]) => k === n)?.[1] ?? before.gpr[n]!),
    fpsr: outcome.fpsr,
  };
}

describe('FPSR', () => {
  it('is right from the first read on that somebody uses', () => {
    const { x } = run([mrs(1), low(2, 1), FDIV, mrs(3), low(4, 3)], 0);
    // Before, there may have been anything inexact.
    expect(x(2) & ~IXC).toBe(0);
    expect(x(4) & ~IXC).toBe(DZC);
  });
  it('is right once flags have been cleared', () => {
    const { x } = run([msr(XZR), FDIV, mrs(3), low(4, 3), msr(XZR), mrs(5), low(6, 5)], 3);
    expect([x(4), x(6)]).toEqual([IXC, 0]);
  });
  it('is not kept for a read whose value is dropped', () => {
    expect(run([mrs(1), FDIV, mrs(1)], 0).fpsr & DZC).toBe(0);
    expect(run([mrs(1), low(1, 1), FDIV, mrs(1)], 0).fpsr & DZC).toBe(DZC);
  });
  it('is no longer kept when an earlier environment is put back', () => {
    // x1: FPSR; cleared; put back; then a division that nobody looks at.
    const words = [mrs(1), low(2, 1), msr(XZR), FDIV, msr(1), FDIV];
    expect(run(words, 0, 1).fpsr & DZC).toBe(0);
    expect(run(words.slice(0, 4), 0, 1).fpsr & DZC).toBe(DZC);
  });
});
