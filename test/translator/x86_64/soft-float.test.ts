/** x87 and exact SSE against what a processor did: bits, status flags, register stack, memory. */
import { describe, expect, test } from 'vitest';
import { helperMachine, recorded, runSse, runX87, SSE_CASE_BYTES, ulps, X87_CASE_BYTES } from './soft-float.ts';

const machine = helperMachine();
/** C1 tells which way a result was rounded: not comparable where results may differ. */
const C1 = 0x200;

describe('x87', () => {
  test('every instruction but the transcendental ones', () => {
    const seen = new Set<string>();
    const wrong: string[] = [];
    for (const c of recorded('x87', X87_CASE_BYTES)) {
      const { name, input, got, want } = runX87(machine, c);
      seen.add(name);
      if (JSON.stringify(got) !== JSON.stringify(want))
        wrong.push(`${name} ${input}\n  got  ${JSON.stringify(got)}\n  want ${JSON.stringify(want)}`);
    }
    expect(wrong.slice(0, 5)).toEqual([]);
    expect(seen.size).toBeGreaterThan(110);
  });
  test('transcendental instructions: right to one unit in the last place, mostly to the last bit', () => {
    const counts = new Map<string, { cases: number; same: number }>();
    const wrong: string[] = [];
    for (const c of recorded('x87-functions', X87_CASE_BYTES)) {
      const { name, input, got, want, roundToNearest } = runX87(machine, c);
      const distance = Math.max(...got.registers.map((r, k) => ulps(r, want.registers[k]!)));
      if (distance > 1 || (got.status & ~C1) !== (want.status & ~C1) || got.rest !== want.rest)
        wrong.push(`${name} ${input}\n  got  ${JSON.stringify(got)}\n  want ${JSON.stringify(want)}`);
      if (!roundToNearest) continue;
      const count = counts.get(name) ?? { cases: 0, same: 0 };
      counts.set(name, { cases: count.cases + 1, same: count.same + (distance === 0 ? 1 : 0) });
    }
    expect(wrong.slice(0, 5)).toEqual([]);
    expect(counts.size).toBe(8);
    for (const [name, { cases, same }] of counts) expect(same / cases, name).toBeGreaterThan(0.93);
  });
});

test('exact SSE under every rounding mode, mask, FTZ and DAZ', () => {
  const seen = new Set<string>();
  const wrong: string[] = [];
  for (const c of recorded('sse-exact', SSE_CASE_BYTES)) {
    const result = runSse(machine, c);
    if (!result) continue;
    seen.add(result.name);
    if (result.got !== result.want)
      wrong.push(`${result.name} ${result.input}\n  got  ${result.got}\n  want ${result.want}`);
  }
  expect(wrong.slice(0, 5)).toEqual([]);
  expect(seen.size).toBe(64);
});
