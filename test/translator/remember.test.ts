/** Blocks that are remembered from module to module are those of the guest's bytes as they are. */
import { expect, it } from 'vitest';
import { remembering } from '../../src/translator/region/remember.ts';
import { X86FrontEnd } from '../../src/translator/x86_64/front-end.ts';

const front = new X86FrontEnd();
const memory = remembering(front);
const PC = 0x100;

/** mov $value, %eax; ret */
function code(value: number): Uint8Array {
  const bytes = new Uint8Array(0x200);
  bytes.set([0xb8, value, 0, 0, 0, 0xc3], PC);
  return bytes;
}

it('lifts a block once', () => {
  const bytes = code(1);
  const lifted = memory.liftRegionBlock(bytes, PC, 0x200, null, null);
  expect(lifted!.block.end).toBe(PC + 6);
  expect(memory.liftRegionBlock(bytes, PC, 0x200, null, null)).toBe(lifted);
  expect(remembering(front)).toBe(memory);
});

it('lifts it again when its bytes are others', () => {
  const one = memory.liftRegionBlock(code(1), PC, 0x200, null, null)!;
  const two = memory.liftRegionBlock(code(2), PC, 0x200, null, null)!;
  expect(one.block.insts[0]!.imm).toBe(1);
  expect(two.block.insts[0]!.imm).toBe(2);
});

it('lifts it again when the executable bytes end elsewhere', () => {
  const bytes = code(1);
  const whole = memory.liftRegionBlock(bytes, PC, 0x200, null, null)!;
  const cut = memory.liftRegionBlock(bytes, PC, PC + 5, null, null)!;
  expect(cut.block.end).toBe(PC + 5);
  expect(memory.liftRegionBlock(bytes, PC, 0x200, null, null)!.block).toEqual(whole.block);
  expect(memory.liftRegionBlock(bytes, PC, PC + 2, null, null)).toBeNull();
});

it('does not remember what depends on its surroundings', () => {
  const bytes = code(1);
  const alone = memory.liftRegionBlock(bytes, PC, 0x200, new Set([PC + 5]), null)!;
  expect(alone.block.end).toBe(PC + 5);
  expect(memory.liftRegionBlock(bytes, PC, 0x200, null, null)!.block.end).toBe(PC + 6);
});
