/** Threads of one memory take turns at the place where code finds its registers. */
import { expect, it } from 'vitest';
import { Engine } from '../../src/runtime/engine.ts';
import { LinearMemory } from '../../src/runtime/linear-memory.ts';
import { VCPU } from '../../src/translator/ir/layout.ts';
import { gpr, RBX, xmm } from '../../src/translator/x86_64/state.ts';

it('registers of threads that take turns stay their own, read and written from outside or in place', () => {
  const memory = new LinearMemory();
  const engine = new Engine(memory, {});
  const threads = [engine.newContext(), engine.newContext(), engine.newContext()];
  const inPlace = (VCPU + gpr(RBX)) >>> 3;
  threads.forEach((t, k) => t.setGpr(RBX, BigInt(k + 1)));
  for (let round = 0; round < 3; round++) {
    for (const [k, t] of threads.entries()) {
      engine.enter(t);
      expect(memory.i64[inPlace]).toBe(BigInt(k + 1 + round * 10));
      memory.i64[inPlace]! += 5n;
      expect(t.getGpr(RBX)).toBe(BigInt(k + 6 + round * 10));
      // The last slots of the state are taken along, too.
      expect(memory.u8[VCPU + xmm(15) + 15]).toBe(round === 0 ? 0 : k + 1);
      memory.u8[VCPU + xmm(15) + 15] = k + 1;
    }
    for (const t of threads) t.setGpr(RBX, t.getGpr(RBX) + 5n);
  }
});

it('a thread that has ended leaves nothing to the next one', () => {
  const memory = new LinearMemory();
  const engine = new Engine(memory, {});
  const [first, second] = [engine.newContext(), engine.newContext()];
  engine.enter(first);
  first.setGpr(RBX, 7n);
  first.leave();
  engine.enter(second);
  expect(second.getGpr(RBX)).toBe(0n);
  expect(memory.u8[first.home + gpr(RBX)]).toBe(0);
});
