/** What the guest's code ahead does not want to know. */
import { expect, it } from 'vitest';
import { DeadRegisters } from '../../src/translator/region/dead.ts';
import { unitsOf } from '../../src/translator/region/units.ts';
import { X86FrontEnd } from '../../src/translator/x86_64/front-end.ts';
import { gpr } from '../../src/translator/x86_64/state.ts';

const PC = 0x10000;
const front = new X86FrontEnd();
const units = unitsOf(front.abi);

/** Dead at the start of code behind which nothing is known. */
function deadAt(...bytes: readonly number[][]): bigint {
  const memory = new Uint8Array(0x20000);
  memory.set(bytes.flat(), PC);
  const end = PC + bytes.flat().length;
  const code = { bytes: memory, limit: (pc: number) => (pc >= PC && pc < end ? end : pc) };
  return new DeadRegisters(front, code, units, []).at(PC);
}
const isDead = (dead: bigint, register: number): boolean => (dead & units.of(gpr(register))) !== 0n;
const areFlagsDead = (dead: bigint): boolean => (dead & units.flags) === units.flags;

const testEcx = [0x85, 0xc9];
const incEax = [0xff, 0xc0]; // keeps the carry
const rolEaxBy5 = [0xc1, 0xc0, 5]; // keeps all flags but two
const jumpOn = [0xeb, 0];
const ret = [0xc3];

it('registers written before they are read are dead', () => {
  const dead = deadAt([0x89, 0xc1], ret); // mov ecx, eax
  expect(isDead(dead, 1)).toBe(true);
  expect(isDead(dead, 0)).toBe(false);
  expect(isDead(dead, 2)).toBe(false);
});
it('flags are, when all are overwritten', () => {
  expect(areFlagsDead(deadAt(testEcx, ret))).toBe(true);
  expect(areFlagsDead(deadAt([0x0f, 0x94, 0xc0], testEcx, ret))).toBe(false); // sete al
});
it('flags that are made of others ask for them only if they are asked for', () => {
  expect(areFlagsDead(deadAt(incEax, testEcx, ret))).toBe(true);
  expect(areFlagsDead(deadAt(rolEaxBy5, testEcx, ret))).toBe(true);
  expect(areFlagsDead(deadAt(incEax, ret))).toBe(false);
  expect(areFlagsDead(deadAt(rolEaxBy5, incEax, [0x19, 0xc0], ret))).toBe(false); // sbb eax, eax
});
it('also in blocks behind', () => {
  expect(areFlagsDead(deadAt(incEax, jumpOn, testEcx, ret))).toBe(true);
  expect(areFlagsDead(deadAt(incEax, jumpOn, ret))).toBe(false);
  expect(areFlagsDead(deadAt(incEax, jumpOn, [0x19, 0xc0], ret))).toBe(false);
});
it('a register that the flags are made of is read', () => {
  const ecxIs1 = [0xb9, 1, 0, 0, 0];
  expect(isDead(deadAt(testEcx, ecxIs1, ret), 1)).toBe(false);
  expect(isDead(deadAt(testEcx, ecxIs1, [0x85, 0xd2], ret), 1)).toBe(true); // test edx, edx
});
