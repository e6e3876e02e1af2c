/** Registers that a function takes back unchanged where it returns early. */
import { describe, expect, it } from 'vitest';
import { formRegion } from '../../src/translator/region/discover.ts';
import { A64FrontEnd } from '../../src/translator/aarch64/front-end.ts';
import { X86FrontEnd } from '../../src/translator/x86_64/front-end.ts';
import type { RegionFrontEnd } from '../../src/translator/region/abi.ts';

const PC = 0x10000;

/** How many words from the stack the returning blocks of the function's region load, fewest first. */
function loads(code: readonly number[], front: RegionFrontEnd = new X86FrontEnd()): number[] {
  const bytes = new Uint8Array(0x20000);
  bytes.set(code, PC);
  const end = PC + code.length;
  const { sp } = front.abi;
  const region = formRegion(front, { bytes, limit: (at) => (at >= PC && at < end ? end : at) }, PC)!;
  return [...region.blocks.values()]
    .filter(({ exit }) => exit.kind === 'ret')
    .map(({ insts }) => insts.filter(({ op, inputs }) => op.kind === 'load' && inputs[0] === sp).length)
    .sort((a, b) => a - b);
}

const push = [0x53, 0x55]; // push rbx; push rbp
const pop = [0x5d, 0x5b, 0xc3]; // pop rbp; pop rbx; ret
const test = [0x85, 0xff]; // test edi, edi
/** `early`, then a way out if edi is 0, else one through `body` to the same end. */
const early = (before: number[], body: number[], end = pop): number[] => [
  ...push,
  ...before,
  ...test,
  0x74,
  body.length,
  ...body,
  ...end,
];
const change = [0x89, 0xfb, 0x31, 0xed, 0xff, 0xc7]; // mov ebx, edi; xor ebp, ebp; inc edi

describe('registers taken back unchanged', () => {
  it('need no load on the way that returns early, and need it on the other', () => {
    expect(loads(early([], change))).toEqual([1, 3]);
  });
  it('need it where the register has changed before', () => {
    expect(loads(early([0x89, 0xfb], change))).toEqual([2, 3]);
  });
  it('need it where it was changed and changed back: only what is saved counts', () => {
    // xchg rbx, rbp, twice
    expect(loads(early([0x48, 0x87, 0xeb, 0x48, 0x87, 0xeb], change))).toEqual([3]);
  });
  it('need it behind a store that may go to the stack', () => {
    // mov [rsi], eax
    expect(loads(early([0x89, 0x06], change))).toEqual([3]);
  });
  it('need it where the place on the stack was overwritten, if only in part', () => {
    // mov byte [rsp+3], 1: of rbp
    expect(loads(early([0xc6, 0x44, 0x24, 0x03, 0x01], change))).toEqual([2, 3]);
    // mov [rsp-8], eax: below
    expect(loads(early([0x89, 0x44, 0x24, 0xf8], change))).toEqual([1, 3]);
  });
  it('need it when they come back in another order', () => {
    expect(loads(early([], change, [0x5b, 0x5d, 0xc3]))).toEqual([3]);
  });
  it('need it where the stack pointer comes from elsewhere', () => {
    // mov rsp, rsi
    expect(loads(early([0x48, 0x89, 0xf4], change))).toEqual([3]);
    // and rsp, -16
    expect(loads(early([0x48, 0x83, 0xe4, 0xf0], change))).toEqual([3]);
  });
  it('need it where something was called', () => {
    // call the next instruction, whose pushed address is dropped: lea rsp, [rsp+8]
    expect(loads(early([0xe8, 0, 0, 0, 0, 0x48, 0x8d, 0x64, 0x24, 0x08], change))).toEqual([3]);
  });
  it('need no load in AArch64 code either', () => {
    const words = [
      0xf81f0ff3, // str x19, [sp, #-16]!
      0xb4000060, // cbz x0, out
      0xaa0003f3, // mov x19, x0
      0x91000400, // add x0, x0, #1
      0xf84107f3, // out: ldr x19, [sp], #16
      0xd65f03c0, // ret
    ];
    const code = words.flatMap((word) => [word & 255, (word >>> 8) & 255, (word >>> 16) & 255, word >>> 24]);
    expect(loads(code, new A64FrontEnd())).toEqual([0, 1]);
  });
});
