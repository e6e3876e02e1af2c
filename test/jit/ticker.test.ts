import { setTimeout as pause } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { Ticker } from '../../src/runtime/jit/ticker.ts';
import { ATTENTION, SLOT_LIMIT, VCPU } from '../../src/translator/ir/layout.ts';

const LIMIT = (VCPU + SLOT_LIMIT) >>> 2;

test('it asks guest code for attention, and rests when none runs', async () => {
  const memory = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true });
  const words = new Int32Array(memory.buffer);
  const ticker = new Ticker();
  const number = ticker.addMemory(memory);
  ticker.start();
  for (let round = 0; round < 5; round++) {
    words[LIMIT] = 0;
    if (round % 2 === 1) ticker.stir();
    ticker.run(number);
    await expect.poll(() => Atomics.load(words, LIMIT), { timeout: 10_000, interval: 1 }).toBe(ATTENTION);
  }
  // By then it has found that nobody answers.
  await pause(200);
  words[LIMIT] = 0;
  await pause(100);
  expect(Atomics.load(words, LIMIT)).toBe(0);
  ticker.run(number);
  await expect.poll(() => Atomics.load(words, LIMIT), { timeout: 10_000, interval: 1 }).toBe(ATTENTION);
});
