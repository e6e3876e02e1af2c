/** Where registers are in their locals around an interpreter's loop, and where they are written back. */
import { describe, expect, it } from 'vitest';
import { analyse, type RegionFlow } from '../../src/translator/region/dataflow.ts';
import { formRegion } from '../../src/translator/region/discover.ts';
import { unitsOf } from '../../src/translator/region/units.ts';
import { X86FrontEnd } from '../../src/translator/x86_64/front-end.ts';
import { gpr } from '../../src/translator/x86_64/state.ts';

const PC = 0x10000;
/** Distance of handlers. */
const STEP = 0x40;

const front = new X86FrontEnd();
const units = unitsOf(front.abi);

/** Registers in a set, by number. */
const registers = (set: bigint): number[] =>
  Array.from({ length: 16 }, (_, n) => n).filter((n) => (set & units.of(gpr(n))) !== 0n);

/** A region of pieces of code, STEP apart, some of which indirect jumps go to. */
function flowOf(pieces: readonly (readonly number[])[], targets: readonly number[]): RegionFlow {
  const bytes = new Uint8Array(0x20000);
  pieces.forEach((piece, k) => {
    bytes.set(piece, PC + k * STEP);
  });
  const end = PC + pieces.length * STEP;
  const code = { bytes, limit: (pc: number) => (pc >= PC && pc < end ? end : pc) };
  const region = formRegion(front, code, PC, new Set(targets.map((k) => PC + k * STEP)))!;
  return analyse(region, units, { checked: null, deadAt: () => 0n });
}
const numbers = (from: number, to: number): number[] => Array.from({ length: to - from }, (_, k) => from + k);

const next = [0x49, 0xff, 0xc5, 0x48, 0x8b, 0x03, 0xff, 0xe0]; // inc r13; mov rax, [rbx]; jmp rax
const incR12 = [0x49, 0xff, 0xc4];
const addToR14 = [0x4d, 0x01, 0xe6]; // add r14, r12
const r9Is1 = [0x41, 0xb9, 1, 0, 0, 0];
const call = [0xe8, 0, 0, 0x10, 0]; // far away

/** test ecx, ecx; je over; mov r9d, 1; jmp end; over: call; end: */
const eitherR9OrCall = [0x85, 0xc9, 0x74, 8, ...r9Is1, 0xeb, 5, ...call];

describe('around an interpreter’s loop', () => {
  it('registers stay in locals that most handlers read or change', () => {
    const { dispatchAbsent } = flowOf([next, ...numbers(0, 8).map(() => next)], numbers(1, 9));
    const absent = registers(dispatchAbsent);
    expect(absent).not.toContain(3);
    expect(absent).not.toContain(4);
    expect(absent).not.toContain(13);
  });
  it('those do not that one of eight handlers reads and changes', () => {
    const { dispatchAbsent } = flowOf([next, [...incR12, ...next], ...numbers(0, 7).map(() => next)], numbers(1, 9));
    expect(registers(dispatchAbsent)).toContain(12);
  });
  it('those do not that are read beyond a call, or far on', () => {
    const far = numbers(0, 6).flatMap(() => [0x85, 0xc9, 0x74, 0]); // test ecx, ecx; je the next instruction
    for (const before of [call, far]) {
      const handler = [...before, ...addToR14, ...next];
      const { dispatchAbsent } = flowOf([next, ...numbers(0, 8).map(() => handler)], numbers(1, 9));
      expect(registers(dispatchAbsent)).toContain(12);
    }
  });
  it('one that some way of a handler has changed is written back on that way, where another comes from a call', () => {
    const { blocks } = flowOf([next, [...eitherR9OrCall, ...next], ...numbers(0, 7).map(() => next)], numbers(1, 9));
    const end = blocks.get(PC + STEP + eitherR9OrCall.length)!;
    expect(registers(end.absentIn)).toContain(9);
    expect(registers(end.dirtyIn)).not.toContain(9);
  });
});

describe('in a loop', () => {
  it('a register that some way has changed stays in its local: it is likely to be changed again', () => {
    const body = eitherR9OrCall.length;
    // dec ebx; jne PC; ret
    const { blocks } = flowOf([[...eitherR9OrCall, 0xff, 0xcb, 0x75, 256 - (body + 4), 0xc3]], []);
    expect(registers(blocks.get(PC + body)!.dirtyIn)).toContain(9);
  });
  it('one that was changed before it, and no way changes again, is written back before it', () => {
    // test ecx, ecx; je over; call; over: dec ebx; jne the test; ret
    const loop = [0x85, 0xc9, 0x74, 5, ...call, 0xff, 0xcb, 0x75, 256 - 13, 0xc3];
    const { blocks } = flowOf([[...r9Is1, ...loop]], []);
    expect(registers(blocks.get(PC)!.early)).toContain(9);
    const header = blocks.get(PC + r9Is1.length)!;
    expect(registers(header.absentIn)).toContain(9);
    expect(registers(header.dirtyIn)).not.toContain(9);
  });
});
