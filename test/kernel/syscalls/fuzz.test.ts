import { expect, it } from 'vitest';
import { fuzzSyscalls, skipped } from './fuzz.ts';
import { syscallRows } from '../../../src/kernel/syscalls/table.ts';

// 10,000 calls, the same ones every time.
it.each([1, 2, 3, 4])('random calls, seed %i', { timeout: 60_000 }, async (seed) => {
  const report = await fuzzSyscalls(seed, 2500);
  expect(report.findings.slice(0, 20)).toEqual([]);
  // Not everything may fail: the arguments must be good enough to get somewhere.
  expect(report.succeeded.size).toBeGreaterThan(60);
});

it('skips only calls that exist', () => {
  const names = new Set(syscallRows.map((r) => r.name));
  expect(Object.keys(skipped).filter((n) => !names.has(n))).toEqual([]);
});
