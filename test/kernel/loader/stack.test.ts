import { describe, expect, it } from 'vitest';
import { argumentLimit, argumentsError, buildStack, type StackInit } from '../../../src/kernel/loader/stack.ts';

const TOP = 0x1000_0000;
const base: StackInit = {
  isa: 'x86_64',
  top: TOP,
  argv: [],
  envp: [],
  execfn: './au',
  random: Uint8Array.from({ length: 16 }, (_, i) => i + 1),
  hwcap: 0x78bfbff,
  hwcap2: 2,
  minSigStackSize: 0xd30,
  phdr: 0x55554040,
  phnum: 13,
  base: 0xd0000000,
  entry: 0x55555070,
  uid: 1,
  euid: 2,
  gid: 3,
  egid: 4,
  secure: true,
  vdso: 0xc0000000,
};

function read(init: StackInit) {
  const stack = buildStack(init);
  const view = new DataView(stack.bytes.buffer);
  const u64 = (at: number): number => Number(view.getBigUint64(at - stack.sp, true));
  const text = (at: number): string => {
    const from = stack.bytes.subarray(at - stack.sp);
    return Buffer.from(from.subarray(0, from.indexOf(0))).toString('latin1');
  };
  let at = stack.sp;
  const argc = u64(at);
  at += 8;
  const argv: number[] = [];
  for (; u64(at) !== 0; at += 8) argv.push(u64(at));
  at += 8;
  const envp: number[] = [];
  for (; u64(at) !== 0; at += 8) envp.push(u64(at));
  at += 8;
  const auxvAt = at;
  const aux = new Map<number, number>();
  for (; u64(at) !== 0; at += 16) aux.set(u64(at), u64(at + 8));
  return { stack, argc, argv, envp, aux, text, auxvAt, auxvEnd: at + 16 };
}

describe('initial stack', () => {
  it('has everything where Linux puts it', () => {
    // Recorded on Linux 6: env -i A=b CC=dd ./au x yy, addresses relative to the top of the stack. That system's vector
    // has two entries more (AT_RSEQ_*), which is 32 bytes.
    const { stack, argc, argv, envp, aux, text, auxvEnd } = read({
      ...base,
      argv: ['./au', 'x', 'yy'],
      envp: ['A=b', 'CC=dd'],
    });
    const fromTop = (at: number): number => TOP - at;
    expect(argc).toBe(3);
    expect(argv.map(text)).toEqual(['./au', 'x', 'yy']);
    expect(envp.map(text)).toEqual(['A=b', 'CC=dd']);
    expect(fromTop(aux.get(31)!)).toBe(0x7ffffffff000 - 0x7fffffffeff3);
    expect(fromTop(argv[0]!)).toBe(0x7ffffffff000 - 0x7fffffffefdf);
    expect(fromTop(aux.get(15)!)).toBe(0x7ffffffff000 - 0x7fffffffefc9);
    expect(fromTop(aux.get(25)!)).toBe(0x7ffffffff000 - 0x7fffffffefb9);
    expect(fromTop(auxvEnd)).toBe(0x7ffffffff000 - 0x7fffffffefb0);
    expect(fromTop(stack.sp)).toBe(0x7ffffffff000 - 0x7fffffffee00 - 32);
    expect(text(aux.get(31)!)).toBe('./au');
    expect(text(aux.get(15)!)).toBe('x86_64');
    expect([...stack.bytes.subarray(-8)]).toEqual([0, 0, 0, 0, 0, 0, 0, 0]);
    expect(stack.sp + stack.bytes.length).toBe(TOP);
  });

  it('has the auxiliary vector in the order of the kernel', () => {
    const { aux, stack, auxvAt, auxvEnd } = read({ ...base, argv: ['a'] });
    const { random } = base;
    expect([...aux.keys()]).toEqual([33, 51, 16, 6, 17, 3, 4, 5, 7, 8, 9, 11, 12, 13, 14, 23, 25, 26, 31, 15]);
    const plain = [33, 51, 16, 6, 17, 3, 4, 5, 7, 8, 9, 11, 12, 13, 14, 23, 26].map((k) => aux.get(k));
    expect(plain).toEqual([
      0xc0000000, 0xd30, 0x78bfbff, 4096, 100, 0x55554040, 56, 13, 0xd0000000, 0, 0x55555070, 1, 2, 3, 4, 1, 2,
    ]);
    const at = aux.get(25)! - stack.sp;
    expect(stack.bytes.slice(at, at + 16)).toEqual(random);
    expect(stack.auxv).toEqual(stack.bytes.slice(auxvAt - stack.sp, auxvEnd - stack.sp));
    expect([...read({ ...base, vdso: 0 }).aux.keys()][0]).toBe(51);
  });

  it('is aligned to 16 bytes whatever the counts and lengths', () => {
    for (let args = 0; args < 6; args++) {
      for (let length = 0; length < 20; length++) {
        const argv = Array.from({ length: args }, () => 'x'.repeat(length));
        const { stack, argc, aux } = read({ ...base, argv, envp: ['E=1'] });
        expect(stack.sp % 16).toBe(0);
        expect(argc).toBe(args);
        expect(aux.get(9)).toBe(base.entry);
        expect(stack.argEnd - stack.argStart).toBe(args * (length + 1));
        expect(stack.envStart).toBe(stack.argEnd);
        expect(stack.envEnd - stack.envStart).toBe(4);
      }
    }
  });

  it('keeps bytes above 0x7f', () => {
    const { argv, text } = read({ ...base, argv: ['\xff\xfe\x80'] });
    expect(text(argv[0]!)).toBe('\xff\xfe\x80');
  });

  it('is too big at the limits of Linux', () => {
    const MB = 1 << 20;
    expect(argumentLimit(8 * MB)).toBe(2 * MB);
    expect(argumentLimit(Infinity)).toBe(6 * MB);
    expect(argumentLimit(65536)).toBe(131072);
    expect(argumentsError(['x'.repeat(131071)], [], 'f', 8 * MB)).toBe(0);
    expect(argumentsError(['x'.repeat(131072)], [], 'f', 8 * MB)).toBe(7);
    // 2 MiB of environment: strings with their NULs, pointers and the file name count.
    const many = Array.from({ length: 20 }, () => 'y'.repeat(100_000));
    const used = 20 * (100_001 + 8) + 8 + 2 + 2;
    expect(argumentsError(['a'], [...many, 'z'.repeat(2 * MB - used - 9)], 'f', 8 * MB)).toBe(0);
    expect(argumentsError(['a'], [...many, 'z'.repeat(2 * MB - used - 8)], 'f', 8 * MB)).toBe(7);
  });
});
