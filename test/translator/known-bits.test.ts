/** What is known of results: bits beyond which all are zero. */
import { describe, expect, it } from 'vitest';
import { CONST } from '../../src/translator/ir/layout.ts';
import type { Inst } from '../../src/translator/ir/block.ts';
import { significantBits } from '../../src/translator/region/known-bits.ts';
import { X86FrontEnd } from '../../src/translator/x86_64/front-end.ts';

const { table } = new X86FrontEnd();

/** Bits of the result of an op whose inputs have so many; the last one may be a constant. */
function bits(name: string, inputs: readonly number[], imm?: number | bigint): number {
  const op = table.get(name);
  const slots = inputs.map((_, k) => 0x400 + k * 8);
  const inst: Inst = { op, d: 0x480, inputs: imm === undefined ? slots : [...slots, CONST], imm: imm ?? 0, pc: 0 };
  return significantBits(inst, (slot) => inputs[(slot - 0x400) / 8]!);
}

describe('significant bits', () => {
  it('are those of what is combined', () => {
    expect(bits('and.i32', [32, 5])).toBe(5);
    expect(bits('and.i32', [32], 0xff)).toBe(8);
    expect(bits('or.i64', [3, 7])).toBe(7);
    expect(bits('xor.i32', [3], 0x100)).toBe(9);
    expect(bits('mov.i64', [16])).toBe(16);
    expect(bits('shr_u.i32', [16], 8)).toBe(8);
    expect(bits('shr_u.i32', [64], 8)).toBe(24);
    expect(bits('ext.u16.i32', [64])).toBe(16);
  });
  it('are no more than an input is wide', () => {
    expect(bits('or.i8', [64, 64])).toBe(8);
    expect(bits('mov.i16', [64])).toBe(16);
    expect(bits('shr_u.i16', [64], 4)).toBe(12);
  });
  it('are not known of what may carry or has a sign', () => {
    for (const name of ['add.i8', 'sub.i8', 'mul.i16']) expect(bits(name, [1, 1])).toBeGreaterThan(16);
    expect(bits('sub.i32', [1, 1])).toBe(32);
    expect(bits('ext.s8.i32', [64])).toBe(32);
    expect(bits('ext.s32.i64', [32])).toBe(64);
    expect(bits('ext.s32.i64', [31])).toBe(31);
    expect(bits('or.i64', [3], -1n)).toBe(64);
    expect(bits('mov.l32', [3])).toBe(64);
    expect(bits('mov.i32', [], -1)).toBe(32);
  });
});
