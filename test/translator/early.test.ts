/** What is written back ahead of time, and flags that nobody asks for where an access is refused. */
import { describe, expect, it } from 'vitest';
import { analyse, type RegionFlow } from '../../src/translator/region/dataflow.ts';
import { formRegion } from '../../src/translator/region/discover.ts';
import { unitsOf } from '../../src/translator/region/units.ts';
import { X86FrontEnd } from '../../src/translator/x86_64/front-end.ts';
import { gpr } from '../../src/translator/x86_64/state.ts';

const PC = 0x10000;
const front = new X86FrontEnd();
const units = unitsOf(front.abi);

/** A region of code in which each memory access may leave it. Code behind it is not known. */
function flowOf(bytes: readonly number[]): RegionFlow {
  const memory = new Uint8Array(0x20000);
  memory.set(bytes, PC);
  const end = PC + bytes.length;
  const code = { bytes: memory, limit: (pc: number) => (pc >= PC && pc < end ? end : pc) };
  const region = formRegion(front, code, PC, new Set())!;
  return analyse(region, units, { checked: { loads: true, apart: false }, deadAt: () => 0n });
}
const early = (flow: RegionFlow, pc: number, register: number): boolean =>
  (flow.blocks.get(pc)!.early & units.of(gpr(register))) !== 0n;

const r9Is1 = [0x41, 0xb9, 1, 0, 0, 0];
const r9Is2 = [0x41, 0xb9, 2, 0, 0, 0];
const testEcx = [0x85, 0xc9];
const jeOver = (bytes: readonly number[]): number[] => [0x74, bytes.length, ...bytes];
const call = [0xe8, 0, 0, 0x10, 0]; // far away
const ret = [0xc3];
const load = [0x48, 0x8b, 0x06]; // mov rax, [rsi]

describe('a register is written back ahead of time', () => {
  it('where it will be on all ways', () => {
    const flow = flowOf([...r9Is1, ...testEcx, ...jeOver(call), ...ret]);
    expect(early(flow, PC, 9)).toBe(true);
    // Once.
    for (const { dirtyIn } of flow.blocks.values()) expect(dirtyIn & units.of(gpr(9))).toBe(0n);
  });
  it('not where some way writes it again before', () => {
    const flow = flowOf([...r9Is1, ...testEcx, ...jeOver(r9Is2), ...ret]);
    expect(early(flow, PC, 9)).toBe(false);
  });
  it('whatever ways leave the region, where another goes on in it', () => {
    // je far away
    const flow = flowOf([...r9Is1, ...testEcx, 0x0f, 0x84, 0, 0, 0x10, 0, ...testEcx, ...jeOver(call), ...ret]);
    expect(early(flow, PC, 9)).toBe(true);
  });
  it('not in a loop that writes it each time round', () => {
    // mov r9d, 1; dec ebx; jne the start; ret
    const flow = flowOf([...r9Is1, 0xff, 0xcb, 0x75, 256 - 10, ...ret]);
    expect(early(flow, PC, 9)).toBe(false);
  });
  it('not each time round a loop that does not write it', () => {
    // mov r9d, 1 or not; loop: test ecx, ecx; dec ebx; jne loop; ret
    const before = [...testEcx, ...jeOver(r9Is1)];
    const flow = flowOf([...before, ...testEcx, 0xff, 0xcb, 0x75, 256 - 6, ...ret]);
    expect(early(flow, PC + 4, 9)).toBe(true);
    expect(early(flow, PC + before.length, 9)).toBe(false);
  });
});

describe('flags, where a load may leave the region', () => {
  const idleAt = (bytes: readonly number[]): bigint => [...flowOf(bytes).blocks.get(PC)!.idleFlags.values()][0]!;

  it('are given up if they are overwritten before they are read', () => {
    expect(idleAt([...testEcx, ...load, ...testEcx, ...ret])).toBe(units.flags);
  });
  it('so they are in a block behind it', () => {
    expect(idleAt([...testEcx, ...load, 0xeb, 0, ...testEcx, ...ret])).toBe(units.flags);
  });
  it('are kept if they are read, or may be behind a return', () => {
    // setne al
    expect(idleAt([...testEcx, ...load, 0x0f, 0x95, 0xc0, ...testEcx, ...ret])).not.toBe(units.flags);
    expect(idleAt([...testEcx, ...load, ...ret])).toBe(0n);
  });
});
