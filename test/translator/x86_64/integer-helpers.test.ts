import { beforeAll, describe, expect, it } from 'vitest';
import { HelperModule } from './helpers.ts';

let call: HelperModule['call'];
beforeAll(() => {
  ({ call } = new HelperModule());
});

const u64 = (x: bigint): bigint => BigInt.asUintN(64, x);
const i64 = (x: bigint): bigint => BigInt.asIntN(64, x);
const edges = [
  0n,
  1n,
  2n,
  3n,
  0x7fff_ffffn,
  0x8000_0000n,
  0xffff_ffffn,
  0x1_0000_0000n,
  0x7fff_ffff_ffff_ffffn,
  0x8000_0000_0000_0000n,
  0x8000_0000_0000_0001n,
  0xffff_ffff_0000_0000n,
  0xffff_ffff_ffff_fffen,
  0xffff_ffff_ffff_ffffn,
];
let state = 88172645463325252n;
const random = (): bigint => {
  state = u64(state ^ (state << 13n));
  state ^= state >> 7n;
  state = u64(state ^ (state << 17n));
  return state >> (state & 63n);
};
const samples = [...edges, ...Array.from({ length: 24 }, random)];

describe('128-bit division', () => {
  it('unsigned', () => {
    for (const d of samples)
      for (const high of samples)
        for (const low of samples)
          if (high < d) expect(u64(call.x86_udiv128!(high, low, d))).toBe(((high << 64n) | low) / d);
  });

  it('signed, refused exactly when the quotient does not fit', () => {
    let refused = 0;
    for (const d of samples)
      for (const h of [...samples, ...samples.map((x) => u64(-x))])
        for (const low of samples) {
          const n = (i64(h) << 64n) | low;
          const q = d === 0n ? null : n / i64(d);
          const fits = q !== null && i64(q) === q;
          expect(call.x86_idiv128_refused!(h, low, d), `${h}:${low} / ${d}`).toBe(fits ? 0 : 1);
          if (fits) expect(call.x86_idiv128!(h, low, d)).toBe(q);
          else refused++;
        }
    expect(refused).toBeGreaterThan(1000);
  });

  it('narrow signed quotients', () => {
    for (const half of [0x80n, 0x8000n, 0x8000_0000n])
      for (const n of samples)
        for (const d of samples) {
          const q = d === 0n ? null : i64(n) / i64(d);
          expect(call.x86_idiv_refused!(n, d, half)).toBe(q !== null && q >= -half && q < half ? 0 : 1);
        }
  });
});

describe('CRC32', () => {
  it('gives the CRC-32C check value in any grouping of the bytes', () => {
    const text = Buffer.from('123456789');
    let bytes = 0xffff_ffff;
    for (const b of text) bytes = call.x86_crc32!(bytes, BigInt(b), 1);
    expect(~bytes >>> 0).toBe(0xe306_9283);
    const wide = call.x86_crc32!(call.x86_crc32!(0xffff_ffff, text.readBigUInt64LE(0), 8), BigInt(text[8]!), 1);
    expect(wide).toBe(bytes);
    const words = call.x86_crc32!(
      call.x86_crc32!(0xffff_ffff, BigInt(text.readUInt32LE(0)), 4),
      BigInt(text.readUInt16LE(4)),
      2,
    );
    expect(words).toBe(call.x86_crc32!(0xffff_ffff, text.readBigUInt64LE(0) & 0xffff_ffff_ffffn, 6));
  });
});

describe('rotate through carry', () => {
  it('is a rotation of bits + 1 places', () => {
    for (const bits of [8, 16, 32, 64])
      for (let count = 0; count < (bits === 64 ? 64 : 32); count++)
        for (const x of samples)
          for (const cf of [0, 1]) {
            const n = BigInt(count % (bits + 1));
            const width = BigInt(bits + 1);
            const a = BigInt.asUintN(bits, x);
            const whole = (BigInt(cf) << BigInt(bits)) | a;
            const left = BigInt.asUintN(bits + 1, (whole << n) | (whole >> (width - n)));
            const right = BigInt.asUintN(bits + 1, (whole >> n) | (whole << (width - n)));
            for (const [name, expected] of [
              ['rcl', left],
              ['rcr', right],
            ] as const) {
              expect(BigInt.asUintN(bits, call[`x86_${name}`]!(a, count, cf, bits))).toBe(
                BigInt.asUintN(bits, expected),
              );
              expect(call[`x86_${name}_cf`]!(a, count, cf, bits)).toBe(Number(expected >> BigInt(bits)));
            }
          }
  });
});
