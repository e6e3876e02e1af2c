/** What random vectors cannot show: machine registers, DC ZVA, jumps to nowhere. */
import { describe, expect, it } from 'vitest';
import { hwcap, idRegisters } from '../../../src/translator/aarch64/cpu-features.ts';
import { CODE, DATA, DATA_BYTES, initialState, type Override } from './machine-state.ts';
import { Replayer } from './replay.ts';
import type { Vector } from './vectors.ts';

const replayer = new Replayer();
function run(words: number[], overrides: Override[] = []) {
  const vector: Vector = { words, seed: 1, profile: 'integer', overrides };
  const before = initialState(vector.seed, vector.profile, overrides);
  return { before, after: replayer.run(vector, before) };
}
const register = (outcome: { gpr: [number, bigint][] }, n: number): bigint | undefined =>
  outcome.gpr.find(([k]) => k === n)?.[1];
const SIGSEGV = 11;
const SIGILL = 4;
const SIGBUS = 7;
const SIGTRAP = 5;

describe('an AArch64 vCPU', () => {
  it('faults at the target of a jump to address 0', () => {
    const { after } = run([0xd61f00a0], [[5, 0n]]); // br x5
    expect([after.signal, after.pc + CODE, after.address]).toEqual([SIGSEGV, 0, 0n]);
  });
  it('has an alignment fault at an odd pc', () => {
    const { after } = run([0xd61f00a0], [[5, BigInt(CODE + 2)]]);
    expect([after.signal, after.pc, after.address]).toEqual([SIGBUS, 2, BigInt(CODE + 2)]);
  });
  it('zeroes 64 bytes by DC ZVA, wherever in them the address points', () => {
    const { after } = run([0xd50b7425], [[5, BigInt(DATA + 64 + 13)]]); // dc zva, x5
    expect(after.signal).toBe(SIGTRAP);
    const words = after.data.map(([k]) => k * 8);
    expect(words.every((at) => at >= 64 && at < 128)).toBe(true);
    expect(after.data.every(([, v]) => v === 0n)).toBe(true);
    expect(words.length).toBeGreaterThan(4);
    expect(DATA_BYTES).toBeGreaterThan(128);
  });
  it('keeps the thread pointer, and shows what Linux shows of identification registers', () => {
    const { after } = run([0xd51bd045, 0xd53bd046], [[5, 0x1234_5678_9abcn]]); // msr tpidr_el0, x5; mrs x6, tpidr_el0
    expect(register(after, 6)).toBe(0x1234_5678_9abcn);
    expect(register(run([0xd5380605]).after, 5)).toBe(idRegisters.get('3 0 0 6 0')); // mrs x5, id_aa64isar0_el1
    expect(register(run([0xd53b0025]).after, 5)).toBe(0x8444_c004n); // mrs x5, ctr_el0
    expect(register(run([0xd53b00e5]).after, 5)).toBe(4n); // mrs x5, dczid_el0
    expect(hwcap & 3).toBe(3);
  });
  it('refuses registers of the kernel', () => {
    // mrs x5, sctlr_el1; msr daifset, #2; wrong op2 of the ID space; hvc #0; unallocated
    for (const word of [0xd5381005, 0xd50342df, 0xd53800e5, 0xd4000002, 0x00000000])
      expect(run([word]).after.signal, word.toString(16)).toBe(SIGILL);
  });
});
