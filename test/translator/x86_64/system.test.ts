/**
 * System instructions as user mode sees them. The expected values are those of Linux on x86-64: selectors and access
 * rights from its GDT, the emulated results of SGDT, SIDT, SLDT, STR and SMSW from a kernel on a CPU with UMIP.
 */
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { Engine } from '../../../src/runtime/engine.ts';
import { LinearMemory } from '../../../src/runtime/linear-memory.ts';
import { X86Context } from '../../../src/runtime/x86-context.ts';
import { exitReason, SLOT_EXIT_ARG, SLOT_EXIT_IP, trap } from '../../../src/translator/ir/layout.ts';
import { RAX, RBX, RCX, RDX, RSP } from '../../../src/translator/x86_64/state.ts';

const CODE = 0x10_0000;
const DATA = 0x20_0000;
let memory: LinearMemory;
let engine: Engine;
let cpu: X86Context;
beforeAll(() => {
  memory = new LinearMemory();
  engine = new Engine(memory, { verifyIr: true });
  cpu = new X86Context(memory, engine.allocateVcpu(), engine.flags);
  engine.enter(cpu);
  memory.protect(CODE, CODE + 0x1000, 7);
  memory.protect(DATA, DATA + 0x1000, 3);
});
beforeEach(() => {
  cpu.reset(CODE, DATA + 0x800);
  memory.u8.fill(0xff, DATA, DATA + 0x1000);
});

/** Runs code up to a HLT; returns null, or the trap that came before it. */
function run(...code: number[]): number | null {
  memory.u8.fill(0xf4, CODE, CODE + 0x100);
  memory.u8.set(code, CODE);
  engine.code.invalidate(CODE, CODE + 0x1000);
  for (;;) {
    const reason = engine.run(engine.code.entry(cpu.pc, 0), 1000);
    if (reason === exitReason.link || reason === exitReason.miss) continue;
    if (reason !== exitReason.trap) throw new Error(`exit ${reason}`);
    const slot = (s: number): number => memory.u32[(cpu.address + s) >>> 2]!;
    const at = engine.code.locate(slot(SLOT_EXIT_IP))!.pc;
    const number = slot(SLOT_EXIT_ARG);
    return number === trap.privileged && memory.u8[at] === 0xf4 ? null : number;
  }
}
const reg = (n: number): bigint => cpu.getGpr(n);

describe('segment registers', () => {
  it.each([
    [0xd8, 0],
    [0xc0, 0],
    [0xe0, 0],
    [0xe8, 0],
    [0xc8, 0x33],
    [0xd0, 0x2b],
  ])('mov eax, sreg (8c %x)', (modrm, selector) => {
    cpu.setGpr(RAX, -1n);
    expect(run(0x8c, modrm)).toBe(null);
    expect(reg(RAX)).toBe(BigInt(selector));
    expect(run(0x66, 0x8c, modrm)).toBe(null);
  });

  it.each([
    [0, true],
    [3, true],
    [0x2b, true],
    [0x28, true],
    [0x23, true],
    [0x33, true],
    [0x7b, true],
    [4, false],
    [0x10, false],
    [0x18, false],
    [0x63, false],
    [0x80, false],
    [0xffff, false],
  ])('mov gs, %x', (selector, allowed) => {
    cpu.gsBase = 0x1234;
    cpu.setGpr(RAX, BigInt(selector));
    expect(run(0x8e, 0xe8)).toBe(allowed ? null : trap.protection);
    expect(cpu.gsBase).toBe(allowed ? 0 : 0x1234);
  });

  it('mov ss takes only the data segment', () => {
    for (const selector of [0, 0x23, 0x28, 0x33]) {
      cpu.reset(CODE, 0);
      cpu.setGpr(RAX, BigInt(selector));
      expect(run(0x8e, 0xd0)).toBe(trap.protection);
    }
    cpu.reset(CODE, 0);
    cpu.setGpr(RAX, 0x2bn);
    expect(run(0x8e, 0xd0)).toBe(null);
  });

  it('mov cs and mov to segments 6 and 7 are invalid', () => {
    for (const modrm of [0xc8, 0xf0, 0xf8]) expect(run(0x8e, modrm)).toBe(trap.invalidOpcode);
  });

  it('push fs, pop fs and lfs drop the base; a refused selector leaves all', () => {
    cpu.tls = 0x5678;
    expect(run(0x0f, 0xa0, 0x0f, 0xa1)).toBe(null);
    expect([cpu.tls, cpu.sp]).toEqual([0, DATA + 0x800]);
    cpu.reset(CODE, DATA + 0x800);
    cpu.tls = 0x5678;
    cpu.setGpr(RBX, BigInt(DATA));
    expect(run(0x0f, 0xb4, 0x03)).toBe(trap.protection);
    expect([cpu.tls, reg(RAX)]).toEqual([0x5678, 0n]);
    memory.view.setUint16(DATA + 4, 0x2b, true);
    cpu.pc = CODE;
    expect(run(0x0f, 0xb4, 0x03)).toBe(null);
    expect([cpu.tls, reg(RAX)]).toEqual([0, 0xffff_ffffn]);
  });
});

describe('descriptor queries', () => {
  const rights: [number, bigint | null, bigint | null, boolean][] = [
    [0, null, null, false],
    [0x10, null, null, false],
    [0x23, 0xcffb00n, 0xffff_ffffn, false],
    [0x28, 0xcff300n, 0xffff_ffffn, true],
    [0x2b, 0xcff300n, 0xffff_ffffn, true],
    [0x33, 0xaffb00n, 0xffff_ffffn, false],
    [0x7b, 0x40f500n, 0n, false],
    [0x2f, null, null, false],
    [0xffff, null, null, false],
  ];
  it.each(rights)('selector %x', (selector, lar, lsl, writable) => {
    const before = 0x1234_5678_1234_5678n;
    const zf = (): boolean => (cpu.getFlags() & 0x40n) !== 0n;
    for (const [opcode, value] of [
      [0x02, lar],
      [0x03, lsl],
    ] as const) {
      cpu.reset(CODE, 0);
      cpu.setFlags(0x895n);
      cpu.setGpr(RCX, BigInt(selector));
      cpu.setGpr(RAX, before);
      expect(run(0x0f, opcode, 0xc1)).toBe(null);
      expect(reg(RAX)).toBe(value ?? before);
      expect(zf()).toBe(value !== null);
      expect(cpu.getFlags() & 0x895n).toBe(0x895n);
    }
    for (const [modrm, ok] of [
      [0xe1, lar !== null],
      [0xe9, writable],
    ] as const) {
      cpu.pc = CODE;
      expect(run(0x0f, 0x00, modrm)).toBe(null);
      expect(zf()).toBe(ok);
    }
  });

  it('sldt, str, smsw', () => {
    const cases: [number[], bigint][] = [
      [[0x0f, 0x00, 0xc0], 0xffff_ffff_0000_0000n],
      [[0x0f, 0x00, 0xc8], 0xffff_ffff_0000_0040n],
      [[0x48, 0x0f, 0x01, 0xe0], 0x8005_0033n],
      [[0x0f, 0x01, 0xe0], 0xffff_ffff_8005_0033n],
      [[0x66, 0x0f, 0x01, 0xe0], 0xffff_ffff_ffff_0033n],
    ];
    for (const [code, value] of cases) {
      cpu.reset(CODE, 0);
      cpu.setGpr(RAX, -1n);
      expect(run(...code)).toBe(null);
      expect(reg(RAX)).toBe(value);
    }
  });

  it('sgdt, sidt', () => {
    for (const [modrm, byte] of [
      [0x03, 0xfe],
      [0x0b, 0xff],
    ] as const) {
      cpu.reset(CODE, 0);
      cpu.setGpr(RBX, BigInt(DATA));
      expect(run(0x0f, 0x01, modrm)).toBe(null);
      expect([...memory.u8.subarray(DATA, DATA + 10)]).toEqual([0, 0, 0, 0, byte, 0xff, 0xff, 0xff, 0xff, 0xff]);
    }
  });
});

describe('rflags', () => {
  const pop = (bits: bigint, size = 8): bigint => {
    cpu.reset(CODE, DATA);
    memory.view.setBigUint64(DATA, bits, true);
    expect(run(...(size === 2 ? [0x66] : []), 0x9d, 0x9c)).toBe(null);
    return memory.view.getBigUint64(Number(cpu.sp), true);
  };
  it('user mode changes the arithmetic flags, DF, AC and ID', () => {
    expect(pop(0xffff_ffff_ffff_feffn)).toBe(0x24_0ed7n);
    expect(pop(0n)).toBe(0x202n);
  });
  it('a 16-bit popf keeps the high bits', () => {
    cpu.reset(CODE, DATA + 0x10);
    memory.view.setUint32(DATA + 0x10, 0x20_0000, true);
    memory.view.setUint32(DATA + 0x14, 0, true);
    memory.view.setUint16(DATA + 0x18, 0x8d5, true);
    expect(run(0x9d, 0x66, 0x9d, 0x9c)).toBe(null);
    expect(memory.view.getBigUint64(Number(cpu.sp), true)).toBe(0x20_0ad7n);
  });
  it('syscall puts rflags in r11', () => {
    cpu.setFlags(0xc41n);
    memory.u8.set([0x0f, 0x05], CODE);
    engine.code.invalidate(CODE, CODE + 0x1000);
    expect(engine.run(engine.code.entry(CODE, 0), 10)).toBe(exitReason.syscall);
    expect([reg(RCX), reg(11), cpu.pc]).toEqual([BigInt(CODE + 2), 0xe43n, CODE + 2]);
  });
});

describe('iretq', () => {
  const frame = (...words: bigint[]): void => {
    for (const [k, w] of words.entries()) memory.view.setBigUint64(DATA + k * 8, w, true);
  };
  it('returns within user mode', () => {
    cpu.sp = DATA;
    frame(BigInt(CODE + 0x40), 0x33n, 0x8c1n, 0x1234n, 0x2bn);
    expect(run(0x48, 0xcf)).toBe(null);
    expect([reg(RSP), cpu.getFlags()]).toEqual([0x1234n, 0xac3n]);
    expect(engine.code.locate(memory.u32[(cpu.address + SLOT_EXIT_IP) >>> 2]!)!.pc).toBe(CODE + 0x40);
  });
  it.each([
    [0x23n, 0x2bn],
    [0x10n, 0x2bn],
    [0x33n, 0n],
  ])('refuses cs %x, ss %x', (cs, ss) => {
    cpu.sp = DATA;
    frame(BigInt(CODE + 0x40), cs, 0n, 0x1234n, ss);
    expect(run(0x48, 0xcf)).toBe(trap.protection);
    expect(cpu.sp).toBe(DATA);
  });
});

describe('time stamp and traps', () => {
  it('rdtsc goes up and clears the high halves', () => {
    const read = (): bigint => {
      cpu.reset(CODE, 0);
      cpu.setGpr(RAX, -1n);
      cpu.setGpr(RDX, -1n);
      expect(run(0x0f, 0x31)).toBe(null);
      expect(reg(RAX) >> 32n).toBe(0n);
      expect(reg(RDX) >> 32n).toBe(0n);
      return (reg(RDX) << 32n) | reg(RAX);
    };
    const first = read();
    expect(read()).toBeGreaterThan(first);
  });

  const traps: [string, number[], number][] = [
    ['int3', [0xcc], trap.breakpoint],
    ['int 3', [0xcd, 3], trap.breakpoint],
    ['int 0x80', [0xcd, 0x80], trap.protection],
    ['int 4', [0xcd, 4], trap.overflow],
    ['icebp', [0xf1], trap.debug],
    ['ud2', [0x0f, 0x0b], trap.invalidOpcode],
    ['ud1', [0x0f, 0xb9, 0xc0], trap.invalidOpcode],
    ['ud0', [0x0f, 0xff, 0xc0], trap.invalidOpcode],
    ['cli', [0xfa], trap.privileged],
    ['in al, dx', [0xec], trap.privileged],
    ['rdmsr', [0x0f, 0x32], trap.privileged],
    ['lgdt', [0x0f, 0x01, 0x10], trap.privileged],
    ['mov cr8, rax', [0x44, 0x0f, 0x22, 0xc0], trap.privileged],
    ['mov cr9, rax', [0x44, 0x0f, 0x22, 0xc8], trap.invalidOpcode],
    ['xgetbv', [0x0f, 0x01, 0xd0], trap.invalidOpcode],
    ['rdtscp', [0x0f, 0x01, 0xf9], trap.invalidOpcode],
    ['rdfsbase', [0xf3, 0x0f, 0xae, 0xc0], trap.invalidOpcode],
    ['rdrand', [0x0f, 0xc7, 0xf0], trap.invalidOpcode],
    ['movbe', [0x0f, 0x38, 0xf0, 0x00], trap.invalidOpcode],
    ['vex', [0xc5, 0xf8, 0x77], trap.invalidOpcode],
    ['retf', [0xcb], trap.invalidOpcode],
    ['jmp far', [0xff, 0x28], trap.invalidOpcode],
    ['push es', [0x06], trap.invalidOpcode],
    ['lock nop', [0xf0, 0x90], trap.invalidOpcode],
    ['lock cmp', [0xf0, 0x39, 0x03], trap.invalidOpcode],
    ['lock add to a register', [0xf0, 0x01, 0xd8], trap.invalidOpcode],
    ['lock bt', [0xf0, 0x0f, 0xa3, 0x03], trap.invalidOpcode],
    ['16 bytes', [...new Array<number>(15).fill(0x66), 0x90], trap.protection],
  ];
  it.each(traps)('%s', (_name, code, number) => expect(run(...code)).toBe(number));
  it('endbr64, pause, prefetch, fences and long NOPs do nothing', () => {
    const before = [...Array(16).keys()].map(reg);
    expect(
      run(
        0xf3,
        0x0f,
        0x1e,
        0xfa,
        0xf3,
        0x90,
        0x0f,
        0x18,
        0x08,
        0x0f,
        0x0d,
        0x08,
        0x0f,
        0xae,
        0xe8,
        0x0f,
        0xae,
        0xf0,
        0x0f,
        0xae,
        0xf8,
        0x66,
        0x0f,
        0x1f,
        0x44,
        0,
        0,
        0x0f,
        0x19,
        0xc0,
      ),
    ).toBe(null);
    expect([...Array(16).keys()].map(reg)).toEqual(before);
  });
});
