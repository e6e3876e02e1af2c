import { describe, expect, it } from 'vitest';
import { BlockStore } from '../../src/runtime/cache/block-store.ts';
import { stubLayout } from '../../src/translator/ir/bytecode.ts';
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

  /** A machine whose code space is given chunks of `store`, and keeps in it what it makes. */
  const withStore = (store: BlockStore): { m: BareMachine; rejected: boolean[] } => {
    const m = new BareMachine();
    const rejected: boolean[] = [];
    m.engine.code.source = {
      chunkAround: (pc) => store.around(pc),
      noteChunk() {},
      noteDamage: (_, all) => rejected.push(all),
      floatUsed: false,
      noteFloatUse() {},
      loadBlock: () => null,
      keepBlock: (block, template) => store.add(block, template, false, m.memory.u8),
    };
    return { m, rejected };
  };
  // mov ecx, 3; 1: call f; dec ecx; jnz 1b; ud2      f: mov eax, 5; add ebx, eax; ret
  const caller = [0xb9, ...imm32(3), 0xe8, ...imm32(0x100 - 10), 0xff, 0xc9, 0x75, 0xf7, ...UD2];
  const callee = [0xb8, ...imm32(5), 0x01, 0xc3, 0xc3];
  const run = (m: BareMachine, f = callee): bigint => {
    m.load(caller);
    m.load(f, CODE + 0x100);
    m.cpu.setGpr(3, 0n);
    m.cpu.pc = CODE;
    expect(m.run()).toMatchObject({ kind: 'trap', pc: CODE + 14 });
    return m.cpu.getGpr(3);
  };
  const kept = (): BlockStore => {
    const store = new BlockStore(null);
    expect(run(withStore(store).m)).toBe(15n);
    return new BlockStore(Buffer.concat(store.encode()));
  };

  it('runs what is put in place together, and makes nothing of it', () => {
    const { m } = withStore(kept());
    expect(run(m)).toBe(15n);
    expect(m.engine.code.stats).toMatchObject({ blocks: 0, stored: 5 });
    expect(m.engine.code.blockAt(m.engine.code.entry(CODE + 0x100, 0))).toMatchObject({
      pc: CODE + 0x100,
      exit: 'ret',
    });
  });
  it('does not use it for other code, and makes that', () => {
    const { m, rejected } = withStore(kept());
    expect(run(m, [0xb8, ...imm32(6), ...callee.slice(5)])).toBe(18n);
    expect(rejected).toEqual([]);
    expect(m.engine.code.stats).toMatchObject({ blocks: 1, stored: 5 });
  });
  it('drops it when the code changes', () => {
    const store = kept();
    const { m } = withStore(store);
    expect(run(m)).toBe(15n);
    const old = m.engine.code.entry(CODE + 0x100, 0);
    const held = m.engine.code.blockAt(old)!;
    m.memory.u8[CODE + 0x101] = 7;
    m.memory.written(CODE + 0x101, CODE + 0x102);
    expect(held.dead).toBe(true);
    m.cpu.setGpr(3, 0n);
    m.cpu.pc = CODE;
    m.run();
    expect(m.cpu.getGpr(3)).toBe(21n);
    // Who still has its address finds out.
    expect(m.engine.code.blockAt(old)).toBe(held);
    // The guest's own stores are noticed, too.
    const other = withStore(kept()).m;
    other.load([0xc6, 0x04, 0x25, ...imm32(CODE + 0x101), 9, ...UD2], CODE + 0x200);
    expect(run(other)).toBe(15n);
    other.cpu.pc = CODE + 0x200;
    other.run();
    other.cpu.setGpr(3, 0n);
    other.cpu.pc = CODE;
    other.run();
    expect(other.cpu.getGpr(3)).toBe(27n);
  });
  it('has those who count what was dropped lead to what is in its place', () => {
    const { m } = withStore(kept());
    const { code } = m.engine;
    code.stubs.hotThreshold = 1000;
    expect(run(m)).toBe(15n);
    const before = code.countedEntry(CODE + 0x100, 0);
    m.memory.protect(CODE, CODE + 0x1_0000, 3);
    m.memory.protect(CODE, CODE + 0x1_0000, 7);
    expect(code.countedEntry(CODE + 0x100, 0)).toBe(before);
    const ip = m.memory.u32[(before + stubLayout.ip) >>> 2]!;
    expect(code.blockAt(ip)).toMatchObject({ pc: CODE + 0x100, dead: false, exit: 'ret' });
  });
  it('puts it in place again after all was forgotten', () => {
    const { m } = withStore(kept());
    expect(run(m)).toBe(15n);
    m.engine.code.flush();
    m.cpu.setGpr(3, 0n);
    m.cpu.pc = CODE;
    m.run();
    expect(m.cpu.getGpr(3)).toBe(15n);
    expect(m.engine.code.stats).toMatchObject({ blocks: 0, stored: 10 });
  });
});
