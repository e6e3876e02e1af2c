import { describe, expect, it } from 'vitest';
import { trap } from '../../src/translator/ir/layout.ts';
import { BareMachine, CODE, DATA } from '../support/bare-machine.ts';

const UD2 = [0x0f, 0x0b];
const RAX = 0;
const imm32 = (v: number): number[] => [v & 255, (v >> 8) & 255, (v >> 16) & 255, (v >>> 24) & 255];

describe('code space', () => {
  it('links a loop and counts its budget down', () => {
    const m = new BareMachine();
    // mov ecx, 1000; 1: add eax, 2; dec ecx; jnz 1b; ud2
    m.load([0xb9, ...imm32(1000), 0x83, 0xc0, 2, 0xff, 0xc9, 0x75, 0xf9, ...UD2]);
    expect(m.run(7)).toEqual({ kind: 'trap', trap: trap.invalidOpcode, pc: CODE + 12 });
    expect(m.cpu.getGpr(RAX)).toBe(2000n);
  });

  it('runs code that the guest has overwritten since it was translated', () => {
    const m = new BareMachine();
    const f = CODE + 0x100;
    // call f; mov byte [f + 1], 7; call f; ud2      f: mov eax, 5; add ebx, eax; ret
    m.load([0xe8, ...imm32(0x100 - 5), 0xc6, 0x04, 0x25, ...imm32(f + 1), 7, 0xe8, ...imm32(0x100 - 18), ...UD2]);
    m.load([0xb8, ...imm32(5), 0x01, 0xc3, 0xc3], f);
    expect(m.run().kind).toBe('trap');
    expect(m.cpu.getGpr(3)).toBe(12n);
    expect(m.engine.code.stats.invalidated).toBeGreaterThan(0);
  });

  it('sees a store to the very block that makes it', () => {
    const m = new BareMachine();
    // mov byte [next + 1], 9; next: mov al, 1; ud2
    m.load([0xc6, 0x04, 0x25, ...imm32(CODE + 9), 9, 0xb0, 1, ...UD2]);
    m.run();
    expect(m.cpu.getGpr(RAX)).toBe(9n);
  });

  it('drops translations when a page loses its permission to execute', () => {
    const m = new BareMachine();
    m.load([0x90, ...UD2]);
    m.run();
    m.memory.protect(CODE, CODE + 0x1000, 3);
    m.cpu.pc = CODE;
    expect(m.run()).toEqual({ kind: 'fault', address: CODE, pc: CODE });
  });

  it('reports the faulting instruction and leaves its registers alone', () => {
    const m = new BareMachine();
    m.cpu.setGpr(RAX, 5n);
    // add eax, [0x10]; the NULL page is not mapped
    m.load([0x90, 0x03, 0x04, 0x25, ...imm32(0x10), ...UD2]);
    expect(m.run()).toEqual({ kind: 'fault', address: 0x10, pc: CODE + 1 });
    expect(m.cpu.getGpr(RAX)).toBe(5n);
  });

  it('faults on an access that ends in an unmapped page', () => {
    const m = new BareMachine();
    m.load([0x48, 0x8b, 0x04, 0x25, ...imm32(DATA + 0xfffc), ...UD2]);
    expect(m.run()).toMatchObject({ kind: 'fault', pc: CODE });
    m.memory.protect(DATA + 0x1_0000, DATA + 0x1_1000, 1);
    expect(m.run().kind).toBe('trap');
  });
});
