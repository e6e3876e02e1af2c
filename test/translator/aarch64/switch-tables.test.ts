import { describe, expect, it } from 'vitest';
import { A64FrontEnd } from '../../../src/translator/aarch64/front-end.ts';

const front = new A64FrontEnd();
const PC = 0x1000;

function tableOf(words: number[], inFront: number[] = []) {
  const code = new Uint8Array(0x2000);
  const view = new DataView(code.buffer);
  inFront.forEach((word, k) => void view.setUint32(PC - (inFront.length - k) * 4, word, true));
  words.forEach((word, k) => void view.setUint32(PC + k * 4, word, true));
  const { block } = front.liftRegionBlock(code, PC, PC + words.length * 4, null, null)!;
  return front.blockAddresses(code, block);
}

describe('switch tables of AArch64', () => {
  it('16 bits, scaled, with the table and the comparison in the block in front', () => {
    // cmp w3, #0x20; b.hi | ldrh w3, [x6, w3, uxtw #1]; adr x5, .+12; add x3, x5, w3, sxth #2; br x3
    const { table } = tableOf([0x786358c3, 0x10000065, 0x8b23a8a3, 0xd61f0060], [0x7100807f, 0x54ffff88]);
    expect(table).toEqual({ table: null, base: PC + 16, bytes: 2, signed: true, shift: 2, entries: 33 });
  });
  it('8 bits, with the table in the block', () => {
    // adrp x0, .+0x1000; add x0, x0, #0xe31; ldrb w0, [x0, w2, uxtw]; adr x2, .+12; add x0, x2, w0, sxtb #2; br x0
    const words = [0xb0000000, 0x9138c400, 0x38624800, 0x10000062, 0x8b208840, 0xd61f0000];
    const { table, addresses } = tableOf(words);
    expect(table).toEqual({ table: 0x2e31, base: PC + 24, bytes: 1, signed: true, shift: 2, entries: null });
    expect(addresses).toContain(0x2e31);
  });
  it('LLVM: unsigned with a shift, and 32 bits from the table', () => {
    // ldrb w11, [x9, x8]; add x10, x10, x11, lsl #2; br x10, with adr x10 in front of it
    expect(tableOf([0x1000006a, 0x3868692b, 0x8b0b094a, 0xd61f0140]).table).toMatchObject({
      ...{ base: PC + 12, bytes: 1, signed: false, shift: 2 },
    });
    // adrp x9; add x9, x9, #8; ldrsw x10, [x9, x8, lsl #2]; add x9, x10, x9; br x9
    expect(tableOf([0xb0000009, 0x91002129, 0xb8a8792a, 0x8b090149, 0xd61f0120]).table).toMatchObject({
      ...{ table: 0x2008, base: 0x2008, bytes: 4, signed: true, shift: 0 },
    });
  });
  it('none in an indirect call, a return, or a jump through a pointer', () => {
    // adrp x16; ldr x17, [x16]; br x17 (a PLT entry)
    expect(tableOf([0x90000490, 0xf9400211, 0xd61f0220]).table).toBe(null);
    expect(tableOf([0xd65f03c0]).table).toBe(null);
  });
});
