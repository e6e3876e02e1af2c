/** Control and state instructions of x87 and MXCSR, and the change between translated and exact floating point. */
import { beforeEach, describe, expect, test } from 'vitest';
import { exitReason, PAGE_TABLE, SLOT_EXIT_ARG, SLOT_PC, trap } from '../../../src/translator/ir/layout.ts';
import { FP_HISTORY } from '../../../src/translator/x86_64/ops-softfloat.ts';
import { FCW, FP_EXACT, FSW, FTOP, FTW, fpr, gpr, MXCSR, RAX, xmm } from '../../../src/translator/x86_64/state.ts';
import { CPU, helperMachine, OPERAND } from './soft-float.ts';

const { helpers, u8, view } = helperMachine();
const NEXT = 0x40_1234n;
const get = (slot: number): number => view.getUint32(CPU + slot, true);
const set = (slot: number, value: number): void => view.setUint32(CPU + slot, value, true);
const at = OPERAND + 0x100;

/** Executes an x87 instruction on registers, or on memory at `at` (low opcode bits and ModRM); gives the exit reason. */
const x87 = (op: number, modrm: number, short = false): number => {
  const word = (0x40_1000n << 32n) | BigInt((short ? 0x800 : 0) | ((op & 7) << 8) | modrm);
  return modrm < 0xc0 ? helpers.x87_memory(CPU, BigInt(at), word) : helpers.x87_register(CPU, word);
};
const loadDouble = (x: number): void => {
  view.setFloat64(at, x, true);
  expect(x87(0xdd, 0x06)).toBe(0);
};
const status = (): number => {
  expect(x87(0xdf, 0xe0)).toBe(0);
  return view.getUint16(CPU + gpr(RAX), true);
};

beforeEach(() => {
  u8.fill(0, CPU, CPU + 0x1000);
  u8.fill(0, OPERAND, OPERAND + 0x1000);
  set(FCW, 0x37f);
  set(MXCSR, 0x1f80);
});

describe('x87 exceptions', () => {
  test('an unmasked one is raised by the next instruction that waits', () => {
    view.setUint16(at, 0x37b, true); // ZM clear
    expect(x87(0xd9, 0x2e)).toBe(0); // fldcw
    loadDouble(0);
    expect(x87(0xd9, 0xe8)).toBe(0); // fld1
    expect(x87(0xd8, 0xf1)).toBe(0); // fdiv st0, st1: refused, pending
    expect(status()).toBe(0xb084);
    expect(x87(0xd8, 0xc1)).toBe(exitReason.trap);
    expect(get(SLOT_EXIT_ARG)).toBe(trap.x87);
    expect(helpers.x87_wait(CPU)).toBe(exitReason.trap);
    expect(x87(0xdb, 0xe2)).toBe(0); // fnclex
    expect(helpers.x87_wait(CPU)).toBe(0);
    expect(status()).toBe(0x3000);
  });
  test('unmasking a flag that is set makes it pending', () => {
    loadDouble(0);
    x87(0xd9, 0xe8);
    expect(x87(0xd8, 0xf1)).toBe(0);
    expect(status()).toBe(0x3004);
    view.setUint16(at, 0x37b, true);
    expect(x87(0xd9, 0x2e)).toBe(0);
    expect(status()).toBe(0xb084);
  });
});

test('FSTP by opcode D9 takes an empty register off without a fault', () => {
  x87(0xd9, 0xe8);
  x87(0xdd, 0xc0); // ffree st0
  expect(x87(0xd9, 0xd9)).toBe(0);
  expect([get(FSW), get(FTOP), get(FTW)]).toEqual([0, 0, 0]);
  expect(x87(0xdd, 0xd9)).toBe(0);
  expect([get(FSW), get(FTOP), get(FTW)]).toEqual([0x41, 1, 2]);
});

describe('x87 state in memory', () => {
  // As FNSTENV of the processor stores it, but for the addresses.
  test('FNSTENV and FLDENV', () => {
    loadDouble(3);
    loadDouble(0);
    loadDouble(Number.NaN);
    expect(x87(0xd9, 0x36)).toBe(0);
    const words = Array.from({ length: 7 }, (_, k) => view.getUint32(at + 4 * k, true));
    expect(words).toEqual([0xffff_037f, 0xffff_2800, 0xffff_1bff, 0x40_1000, 0x0506_0033, at, 0xffff_002b]);
    expect(get(FCW)).toBe(0x37f);
    view.setUint32(at, 0x40, true);
    view.setUint32(at + 4, 0x3924, true); // C1, C0, PE, ZE with no mask: pending
    view.setUint32(at + 8, 0xfffc, true);
    expect(x87(0xd9, 0x26)).toBe(0);
    expect([get(FCW), get(FSW), get(FTOP), get(FTW)]).toEqual([0x40, 0x81a4, 7, 1]);
  });
  test('the forms with 16-bit operand size', () => {
    loadDouble(1);
    expect(x87(0xd9, 0x36, true)).toBe(0);
    expect(Array.from({ length: 7 }, (_, k) => view.getUint16(at + 2 * k, true))).toEqual([
      0x37f,
      0x3800,
      0x3fff,
      0x1000,
      0x33,
      at & 0xffff,
      0x2b,
    ]);
  });
  test('FNSAVE and FRSTOR', () => {
    loadDouble(1.5);
    loadDouble(-2);
    expect(x87(0xdd, 0x36)).toBe(0);
    expect([get(FCW), get(FSW), get(FTOP), get(FTW)]).toEqual([0x37f, 0, 0, 0]);
    expect(view.getUint16(at + 28 + 8, true)).toBe(0xc000); // ST(0) first
    expect(view.getBigUint64(at + 38, true)).toBe(0xc000_0000_0000_0000n);
    u8.fill(0, CPU + fpr(0), CPU + fpr(0) + 128);
    expect(x87(0xdd, 0x26)).toBe(0);
    expect([get(FTOP), get(FTW)]).toEqual([6, 0xc0]);
    expect(view.getUint16(CPU + fpr(6) + 8, true)).toBe(0xc000);
    expect(view.getUint16(CPU + fpr(7) + 8, true)).toBe(0x3fff);
  });
  test('a store that memory refuses changes nothing', () => {
    loadDouble(1.5);
    const far = BigInt(OPERAND + 0x1000 - 4);
    u8[PAGE_TABLE + (OPERAND >> 12) + 1] = 0;
    const before = u8.slice(CPU + 0x80, CPU + 0x400);
    for (const [op, modrm] of [
      [0xdb, 0x3e],
      [0xdd, 0x1e],
      [0xdf, 0x3e],
      [0xd9, 0x36],
      [0xdd, 0x36],
      [0xdf, 0x36],
    ] as const)
      expect(helpers.x87_memory(CPU, far, BigInt(((op & 7) << 8) | modrm))).toBe(exitReason.fault);
    expect(u8.slice(CPU + 0x80, CPU + 0x400)).toEqual(before);
  });
  test('FXSAVE and FXRSTOR', () => {
    loadDouble(1.5);
    view.setBigUint64(CPU + xmm(15) + 8, 0x0123_4567_89ab_cdefn, true);
    expect(helpers.x86_fxsave(CPU, BigInt(at))).toBe(0);
    expect([0, 2, 4, 6].map((k) => view.getUint16(at + k, true))).toEqual([0x37f, 0x3800, 0x80, 0x506]);
    expect([view.getUint32(at + 24, true), view.getUint32(at + 28, true)]).toEqual([0x1f80, 0xffff]);
    expect(view.getUint16(at + 40, true)).toBe(0x3fff);
    expect(view.getBigUint64(at + 160 + 248, true)).toBe(0x0123_4567_89ab_cdefn);
    u8.fill(0, CPU + 0x140, CPU + 0x400);
    set(MXCSR, 0x1f80);
    expect(helpers.x86_fxrstor(CPU, BigInt(at), NEXT)).toBe(0);
    expect([get(FCW), get(FTOP), get(FTW)]).toEqual([0x37f, 7, 0x80]);
    expect(view.getUint16(CPU + fpr(7) + 8, true)).toBe(0x3fff);
    expect(view.getBigUint64(CPU + xmm(15) + 8, true)).toBe(0x0123_4567_89ab_cdefn);
  });
  test('FXSAVE and FXRSTOR refuse what is misaligned, FXRSTOR reserved bits', () => {
    expect(helpers.x86_fxsave(CPU, BigInt(at + 8))).toBe(exitReason.trap);
    expect(get(SLOT_EXIT_ARG)).toBe(trap.protection);
    expect(helpers.x86_fxrstor(CPU, BigInt(at + 8), NEXT)).toBe(exitReason.trap);
    view.setUint32(at + 24, 0x1_1f80, true);
    expect(helpers.x86_fxrstor(CPU, BigInt(at), NEXT)).toBe(exitReason.trap);
    expect(get(FCW)).toBe(0x37f);
    expect(helpers.x86_ldmxcsr(CPU, 0x1_1f80, NEXT)).toBe(exitReason.trap);
    expect(get(MXCSR)).toBe(0x1f80);
  });
});

describe('MXCSR', () => {
  const read = (): number => {
    expect(helpers.x86_stmxcsr(CPU, BigInt(at))).toBe(0);
    return view.getUint32(at, true);
  };
  /** Sets MXCSR; gives the mode then: 1 exact. Checks that a change is reported, and where to go on. */
  const write = (value: number): number => {
    const before = get(FP_EXACT);
    view.setBigUint64(CPU + SLOT_PC, 0n, true);
    const exit = helpers.x86_ldmxcsr(CPU, value, NEXT);
    expect(exit).toBe(get(FP_EXACT) === before ? 0 : exitReason.mode);
    expect(view.getBigUint64(CPU + SLOT_PC, true)).toBe(exit ? NEXT : 0n);
    return get(FP_EXACT);
  };
  /** What an operation in exact mode does. */
  const raise = (flags: number): void => set(MXCSR, get(MXCSR) | flags);
  const used = (): void => set(FP_HISTORY, 1);
  const [DEFAULT, UPWARD, INEXACT, DIVIDE] = [0x1f80, 0x4000, 0x20, 4];

  test('before any floating point, the flags are those at the start', () => {
    expect(read()).toBe(DEFAULT);
    used();
    expect(read()).toBe(DEFAULT | INEXACT);
  });
  test('another rounding mode is exact until the default is back', () => {
    used();
    expect(write(read() | UPWARD)).toBe(1);
    raise(DIVIDE);
    expect(read()).toBe(DEFAULT | UPWARD | INEXACT | DIVIDE);
    expect(write(read() & ~0x6000)).toBe(0);
    expect(read()).toBe(DEFAULT | INEXACT | DIVIDE);
  });
  test('setting what is there already changes nothing', () => {
    used();
    expect(write(read())).toBe(0);
  });
  test('flags that were cleared are kept from then on, whatever the modes', () => {
    used();
    expect(write(read() & ~0x3f)).toBe(1);
    expect(read()).toBe(DEFAULT);
    raise(INEXACT);
    for (const mode of [0x2000, 0x4000, 0x6000, 0]) expect(write((read() & ~0x6000) | mode)).toBe(1);
    expect(write(read() & ~0x3f)).toBe(1);
    raise(DIVIDE);
    expect(read()).toBe(DEFAULT | DIVIDE);
  });
  test('before any floating point, too', () => {
    expect(write(DEFAULT)).toBe(1);
    raise(INEXACT);
    expect(write(DEFAULT | INEXACT)).toBe(1);
  });
  test('an environment saved before goes back to translated code', () => {
    used();
    const saved = read();
    expect(write(saved & ~0x3f)).toBe(1);
    raise(DIVIDE);
    expect(write(saved)).toBe(0);
  });
  test('but not when it may be from after', () => {
    used();
    const saved = read();
    expect(write(saved & ~0x3f)).toBe(1);
    raise(INEXACT);
    expect(read()).toBe(saved);
    expect(write(saved)).toBe(1);
  });
  test('clearing and rounding at once, and both undone, is one computation', () => {
    used();
    const saved = read();
    expect(write((saved & ~0x3f) | 0x6000)).toBe(1);
    raise(INEXACT);
    expect(write(saved | (read() & 0x3f))).toBe(0);
  });
  test('with all flags set there is nothing to keep', () => {
    expect(write(DEFAULT)).toBe(1);
    expect(write(DEFAULT | 0x3f)).toBe(0);
  });
  test('unmasked exceptions and FTZ are exact', () => {
    used();
    expect(write(read() & ~0x200)).toBe(1);
    expect(write(read() | 0x200)).toBe(0);
    expect(write(read() | 0x8040)).toBe(1);
  });
  test('FXRSTOR of what is there changes no mode', () => {
    expect(helpers.x86_fxsave(CPU, BigInt(at))).toBe(0);
    expect(helpers.x86_fxrstor(CPU, BigInt(at), NEXT)).toBe(0);
    expect(get(FP_EXACT)).toBe(0);
    view.setUint32(at + 24, 0x7f80, true);
    expect(helpers.x86_fxrstor(CPU, BigInt(at), NEXT)).toBe(exitReason.mode);
    expect(get(FP_EXACT)).toBe(1);
  });
});
