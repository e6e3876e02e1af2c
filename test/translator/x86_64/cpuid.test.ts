import { beforeAll, describe, expect, it } from 'vitest';
import { brand, caches, cpuid, flagNames, hwcap, leaves, vendor } from '../../../src/translator/x86_64/cpuid.ts';
import { gpr, RAX, RBX, RCX, RDX } from '../../../src/translator/x86_64/state.ts';
import { HelperModule } from './helpers.ts';

let helpers: HelperModule;
beforeAll(() => {
  helpers = new HelperModule();
});

function execute(leaf: number, subleaf: number): number[] {
  helpers.set(gpr(RAX), leaf);
  helpers.set(gpr(RCX), subleaf);
  expect(helpers.call.x86_cpuid!(helpers.cpu)).toBe(0);
  return [RAX, RBX, RCX, RDX].map((n) => Number(helpers.get(gpr(n))));
}

describe('CPUID', () => {
  it('answers as the table says, for every leaf in and around it', () => {
    const numbers = new Set([
      ...leaves.map((l) => l.leaf),
      3,
      5,
      6,
      7,
      8,
      0xb,
      0xd,
      0x14,
      0x15,
      0x4000_0000,
      0x8000_0005,
      0x8000_0009,
      0xffff_ffff,
    ]);
    for (const leaf of numbers)
      for (const subleaf of [0, 1, 2, 3, 4, 5, 0xffff_ffff])
        expect(execute(leaf, subleaf), `leaf ${leaf.toString(16)}.${subleaf}`).toEqual(cpuid(leaf, subleaf));
  });

  it('is x86-64-v2 and no more', () => {
    const [, , ecx, edx] = execute(1, 0) as [number, number, number, number];
    const bits = (word: number): number[] => Array.from({ length: 32 }, (_, k) => k).filter((k) => (word >>> k) & 1);
    // SSE3, SSSE3, CMPXCHG16B, SSE4.1, SSE4.2, POPCNT; not PCLMUL 1, FMA 12, MOVBE 22, AES 25, XSAVE 26, OSXSAVE 27, AVX 28, F16C 29, RDRAND 30.
    expect(bits(ecx)).toEqual([0, 9, 13, 19, 20, 23]);
    expect(bits(edx)).toEqual([0, 4, 8, 15, 19, 23, 24, 25, 26]);
    expect(edx).toBe(hwcap);
    expect(execute(7, 0)).toEqual([0, 0, 0, 0]);
    expect(bits(execute(0x8000_0001, 0)[2]!)).toEqual([0]);
    expect(bits(execute(0x8000_0001, 0)[3]!)).toEqual([11, 20, 29]);
  });

  it('names vendor and brand', () => {
    const text = (words: number[]): string => Buffer.from(Uint32Array.from(words).buffer).toString('latin1');
    const [max, b, c, d] = execute(0, 0) as [number, number, number, number];
    expect([max, text([b, d, c])]).toEqual([7, vendor]);
    expect(text([0x8000_0002, 0x8000_0003, 0x8000_0004].flatMap((l) => execute(l, 0))).replace(/\0+$/, '')).toBe(brand);
  });

  it('describes the caches in leaf 4', () => {
    for (const [n, cache] of caches.entries()) {
      const [a, b, c] = execute(4, n) as [number, number, number, number];
      expect(((b >>> 22) + 1) * (((b >>> 12) & 0x3ff) + 1) * ((b & 0xfff) + 1) * (c + 1)).toBe(cache.bytes);
      expect((a >> 5) & 7).toBe(cache.level);
    }
    expect(execute(4, caches.length)[0]).toBe(0);
  });

  it('gives the flags of /proc/cpuinfo', () => {
    expect(flagNames).toContain('sse4_2');
    expect(flagNames).toContain('lahf_lm');
    expect(new Set(flagNames).size).toBe(flagNames.length);
    for (const absent of ['avx', 'xsave', 'aes', 'rdrand', 'bmi1', 'movbe', 'rdtscp'])
      expect(flagNames).not.toContain(absent);
  });
});
