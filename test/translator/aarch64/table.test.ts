import { describe, expect, it } from 'vitest';
import { decode } from '../../../src/translator/aarch64/decode.ts';
import '../../../src/translator/aarch64/index.ts';
import { bitMask } from '../../../src/translator/aarch64/bit-mask.ts';
import { type Row, rows } from '../../../src/translator/aarch64/row.ts';
import { Random } from './machine-state.ts';

const overlap = (a: Row, b: Row): boolean => ((a.value ^ b.value) & a.mask & b.mask) === 0;
/** Every word of `a` is one of `b`. */
const within = (a: Row, b: Row): boolean => overlap(a, b) && (a.mask & b.mask) === b.mask;
const name = (r: Row): string => `${r.mnemonic} ${r.encoding}`;

describe('the AArch64 decoder table', () => {
  it('has rows that overlap only where one is a special case of the other', () => {
    const bad: string[] = [];
    rows.forEach((a, i) => {
      for (const b of rows.slice(i + 1))
        if (overlap(a, b) && (a.mask === b.mask || !(within(a, b) || within(b, a))))
          bad.push(`${name(a)} | ${name(b)}`);
    });
    expect(bad).toEqual([]);
  });

  it('finds the row that a search through all of them finds', () => {
    const r = new Random(1);
    const ordered = [...rows].sort((a, b) => b.fixed - a.fixed);
    const bad: string[] = [];
    for (let n = 0; n < 40_000; n++) {
      const row = r.pick(rows);
      // Words of rows, a few bits flipped in every other one.
      let word = (r.word() & ~row.mask) | row.value | 0;
      if (n & 1) word ^= 1 << r.below(32);
      const expected = ordered.find((x) => (word & x.mask) === x.value) ?? null;
      if (decode(word) !== expected) bad.push((word >>> 0).toString(16));
    }
    expect(bad).toEqual([]);
  });

  it('has fields that stand in words as the encodings say', () => {
    for (const row of rows) expect(row.encoding, row.mnemonic).toMatch(/^[01a-zA-Z-]{32}$/);
  });
});

describe('logical immediates', () => {
  it('are runs of ones, rotated and repeated', () => {
    expect(bitMask(1, 0, 0, 64)).toBe(1n);
    expect(bitMask(0, 0b111100, 0, 64)).toBe(0x5555_5555_5555_5555n);
    expect(bitMask(0, 0b110000, 1, 32)).toBe(0x8080_8080 | 0);
    expect(bitMask(0, 0b000111, 4, 32)).toBe(0xf000_000f | 0);
    expect(bitMask(1, 0b111110, 63, 64)).toBe(-2n);
  });
  it('exclude what is reserved', () => {
    expect(bitMask(1, 0, 0, 32)).toBeNull();
    expect(bitMask(1, 63, 0, 64)).toBeNull();
    expect(bitMask(0, 0b111110, 0, 64)).toBeNull();
    expect(bitMask(0, 0b111101, 0, 64)).toBeNull();
  });
  it('number 5334 in 64 bits', () => {
    const all = new Set<bigint>();
    for (let n = 0; n < 2; n++)
      for (let s = 0; s < 64; s++)
        for (let r = 0; r < 64; r++) {
          const v = bitMask(n, s, r, 64);
          if (v !== null) all.add(v as bigint);
        }
    expect(all.size).toBe(5334);
  });
});
