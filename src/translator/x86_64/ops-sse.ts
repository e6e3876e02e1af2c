/**
 * Guest ops for the integer, shuffle and string instructions of SSE to SSE4.2 that WebAssembly has no single instruction
 * for. SDM volume 2. MMX rows use the same ops on widened registers.
 */
import type { Expr, ExprBuilder } from '../ir/expr.ts';
import { helperOp, type OpTable, pure } from '../ir/op.ts';
import { defineShuffle } from '../ir/ops/vector.ts';

const binary = 'v128 v128 -> v128';
const splat16 = (m: ExprBuilder, n: number): Expr => m.i16x8.splat(m.constI32(n));
const splat8 = (m: ExprBuilder, n: number): Expr => m.i8x16.splat(m.constI32(n));
const zero = (m: ExprBuilder): Expr => m.v128.const(new Array(16).fill(0));
/** Both operands bound, for use more than once. */
const bound = (m: ExprBuilder, a: Expr, b: Expr, body: (x: () => Expr, y: () => Expr) => Expr): Expr =>
  m.bind('v128', a, (x) => m.bind('v128', b, (y) => body(x, y)));

const bytes = (lane: number, size: number): number[] => Array.from({ length: size }, (_, k) => lane * size + k);
/** Byte indices of a shuffle given by lane numbers of `size` bytes; lanes of the second operand follow those of the first. */
export const lanesToBytes = (size: number, lanes: readonly number[]): number[] =>
  lanes.flatMap((lane) => bytes(lane, size));

/** Even or odd lanes of both operands, in order. */
const alternate = (bits: number, odd: 0 | 1): number[] => {
  const lanes = 256 / bits;
  return lanesToBytes(
    bits / 8,
    Array.from({ length: lanes / 2 }, (_, k) => 2 * k + odd),
  );
};
const interleave = (bits: number, high: boolean): number[] => {
  const lanes = 128 / bits;
  const from = high ? lanes / 2 : 0;
  return lanesToBytes(
    bits / 8,
    Array.from({ length: lanes }, (_, k) => from + (k >> 1) + (k & 1 ? lanes : 0)),
  );
};

/** Products of 16-bit lanes, high halves. */
const multiplyHigh = (m: ExprBuilder, sign: 's' | 'u', a: Expr, b: Expr): Expr =>
  bound(m, a, b, (x, y) =>
    m.shuffle(
      m.i32x4[`extmul_low_i16x8_${sign}`](x(), y()),
      m.i32x4[`extmul_high_i16x8_${sign}`](x(), y()),
      alternate(16, 1),
    ),
  );

const shifts = [
  { name: 'psll', wasm: 'shl' },
  { name: 'psrl', wasm: 'shr_u' },
  { name: 'psra', wasm: 'shr_s' },
] as const;

function defineShuffles(t: OpTable): void {
  for (const bits of [8, 16, 32, 64]) {
    defineShuffle(t, `x86.unpack.low.${bits}`, interleave(bits, false), `PUNPCKL, UNPCKL on ${bits}-bit lanes`);
    defineShuffle(t, `x86.unpack.high.${bits}`, interleave(bits, true), `PUNPCKH, UNPCKH on ${bits}-bit lanes`);
  }
  for (const bits of [32, 64]) {
    defineShuffle(t, `x86.even.${bits}`, alternate(bits, 0), 'even lanes of input 0, then of input 1');
    defineShuffle(t, `x86.odd.${bits}`, alternate(bits, 1), 'odd lanes of input 0, then of input 1');
  }
  defineShuffle(t, 'x86.movsldup', lanesToBytes(4, [0, 0, 2, 2]), 'MOVSLDUP of input 0');
  defineShuffle(t, 'x86.movshdup', lanesToBytes(4, [1, 1, 3, 3]), 'MOVSHDUP of input 0');
  pure(
    t,
    'x86.shuffle',
    'v128 v128 v128 -> v128',
    'bytes 0..15 of input 0 and 16..31 of input 1 chosen by input 2; zero for greater numbers',
    (m, a, b, mask) =>
      m.bind('v128', mask, (k) =>
        m.v128.or(m.i8x16.swizzle(a, k()), m.i8x16.swizzle(b, m.i8x16.sub(k(), splat8(m, 16)))),
      ),
  );
  pure(t, 'x86.pshufb', binary, 'PSHUFB', (m, a, mask) => m.i8x16.swizzle(a, m.v128.and(mask, splat8(m, 0x8f))));
  for (const [bits, shape] of [
    [8, 'i8x16'],
    [32, 'i32x4'],
    [64, 'i64x2'],
  ] as const)
    pure(
      t,
      `x86.blendv.${bits}`,
      'v128 v128 v128 -> v128',
      'lanes of input 1 where the top bit in input 2 is set, else of input 0',
      (m, a, b, mask) => m.v128.bitselect(b, a, m[shape].shr_s(mask, m.constI32(bits - 1))),
    );
}

function defineShifts(t: OpTable): void {
  for (const [bits, shape] of [
    [16, 'i16x8'],
    [32, 'i32x4'],
    [64, 'i64x2'],
  ] as const)
    for (const { name, wasm } of shifts) {
      if (name === 'psra' && bits === 64) continue;
      pure(
        t,
        `x86.${name}.${bits}`,
        'v128 i64 -> v128',
        `${name.toUpperCase()}: counts of ${bits} and more give ${name === 'psra' ? 'the sign' : 'zero'}`,
        (m, a, count) =>
          m.bind('i64', count, (n) => {
            const excess = m.i64.gt_u(n(), m.constI64(BigInt(bits - 1)));
            if (name === 'psra') return m[shape].shr_s(a, m.select(excess, m.constI32(bits - 1), m.i32.wrap(n())));
            return m.select(excess, zero(m), m[shape][wasm](a, m.i32.wrap(n())));
          }),
      );
    }
}

function defineMultiplies(t: OpTable): void {
  pure(t, 'x86.pmulhw', binary, 'PMULHW', (m, a, b) => multiplyHigh(m, 's', a, b));
  pure(t, 'x86.pmulhuw', binary, 'PMULHUW', (m, a, b) => multiplyHigh(m, 'u', a, b));
  // Q15 multiplication differs in one case: -1 * -1 saturates in WebAssembly and wraps to -1 here.
  pure(t, 'x86.pmulhrsw', binary, 'PMULHRSW', (m, a, b) =>
    bound(m, a, b, (x, y) =>
      m.v128.xor(
        m.i16x8.q15mulr_sat_s(x(), y()),
        m.v128.and(m.i16x8.eq(x(), splat16(m, -0x8000)), m.i16x8.eq(y(), splat16(m, -0x8000))),
      ),
    ),
  );
  for (const [name, sign] of [
    ['pmuldq', 's'],
    ['pmuludq', 'u'],
  ] as const)
    pure(t, `x86.${name}`, binary, name.toUpperCase(), (m, a, b) =>
      bound(m, a, b, (x, y) =>
        m.i64x2[`extmul_low_i32x4_${sign}`](
          m.shuffle(x(), x(), alternate(32, 0)),
          m.shuffle(y(), y(), alternate(32, 0)),
        ),
      ),
    );
  // A product of an unsigned and a signed byte fits 16 bits; only the sum saturates.
  pure(t, 'x86.pmaddubsw', binary, 'PMADDUBSW', (m, a, b) =>
    bound(m, a, b, (x, y) =>
      m.i16x8.add_saturate_s(
        m.i16x8.mul(m.v128.and(x(), splat16(m, 0xff)), m.i16x8.shr_s(m.i16x8.shl(y(), m.constI32(8)), m.constI32(8))),
        m.i16x8.mul(m.i16x8.shr_u(x(), m.constI32(8)), m.i16x8.shr_s(y(), m.constI32(8))),
      ),
    ),
  );
}

function defineHorizontal(t: OpTable): void {
  for (const [name, bits, shape, op] of [
    ['phaddw', 16, 'i16x8', 'add'],
    ['phaddd', 32, 'i32x4', 'add'],
    ['phaddsw', 16, 'i16x8', 'add_saturate_s'],
    ['phsubw', 16, 'i16x8', 'sub'],
    ['phsubd', 32, 'i32x4', 'sub'],
    ['phsubsw', 16, 'i16x8', 'sub_saturate_s'],
  ] as const)
    pure(t, `x86.${name}`, binary, name.toUpperCase(), (m, a, b) =>
      bound(m, a, b, (x, y) =>
        m[shape][op](m.shuffle(x(), y(), alternate(bits, 0)), m.shuffle(x(), y(), alternate(bits, 1))),
      ),
    );
  const difference = (m: ExprBuilder, a: Expr, b: Expr): Expr =>
    bound(m, a, b, (x, y) => m.v128.or(m.i8x16.sub_saturate_u(x(), y()), m.i8x16.sub_saturate_u(y(), x())));
  pure(t, 'x86.psadbw', binary, 'PSADBW', (m, a, b) =>
    m.bind('v128', m.i32x4.extadd_pairwise_i16x8_u(m.i16x8.extadd_pairwise_i8x16_u(difference(m, a, b))), (s) =>
      m.i64x2.add(m.v128.and(s(), m.i64x2.splat(m.constI64(0xffffffffn))), m.i64x2.shr_u(s(), m.constI32(32))),
    ),
  );
  // Bit 2 of the immediate chooses where the 11 bytes of the first operand begin, bits 0 and 1 the 4 of the second.
  pure(t, 'x86.mpsadbw', 'v128 v128 i32 -> v128', 'MPSADBW; the last input is the immediate', (m, a, b, imm) =>
    bound(m, a, b, (x, y) =>
      m.bind('i32', imm, (k) => {
        const term = (j: number): Expr => {
          const from = m.i8x16.add(
            m.v128.const(Array.from({ length: 16 }, (_, n) => n + j)),
            m.i8x16.splat(m.i32.and(k(), m.constI32(4))),
          );
          const of = m.i8x16.splat(m.i32.add(m.i32.shl(m.i32.and(k(), m.constI32(3)), m.constI32(2)), m.constI32(j)));
          return m.i16x8.extend_low_i8x16_u(difference(m, m.i8x16.swizzle(x(), from), m.i8x16.swizzle(y(), of)));
        };
        return m.i16x8.add(m.i16x8.add(term(0), term(1)), m.i16x8.add(term(2), term(3)));
      }),
    ),
  );
  // Value and lane number in one word: the least is the least value, at its lowest lane.
  pure(t, 'x86.phminposuw', 'v128 -> v128', 'PHMINPOSUW', (m, a) =>
    m.bind('v128', a, (x) => {
      const keys = (half: 'low' | 'high', first: number): Expr =>
        m.v128.or(
          m.i32x4.shl(m.i32x4[`extend_${half}_i16x8_u`](x()), m.constI32(16)),
          m.v128.const(Array.from({ length: 16 }, (_, n) => (n % 4 === 0 ? first + n / 4 : 0))),
        );
      const fold = (v: Expr, lanes: number[]): Expr =>
        m.bind('v128', v, (g) => m.i32x4.min_u(g(), m.shuffle(g(), g(), lanesToBytes(4, lanes))));
      const least = m.i32x4.extract_lane(
        fold(fold(m.i32x4.min_u(keys('low', 0), keys('high', 4)), [2, 3, 0, 1]), [1, 0, 3, 2]),
        0,
      );
      return m.i32x4.replace_lane(zero(m), 0, m.i32.rotl(least, m.constI32(16)));
    }),
  );
  for (const [name, shape, bits] of [
    ['psignb', 'i8x16', 8],
    ['psignw', 'i16x8', 16],
    ['psignd', 'i32x4', 32],
  ] as const)
    pure(t, `x86.${name}`, binary, name.toUpperCase(), (m, a, b) =>
      m.bind('v128', b, (y) =>
        m.bind('v128', m[shape].shr_s(y(), m.constI32(bits - 1)), (negative) =>
          m.v128.and(m[shape].sub(m.v128.xor(a, negative()), negative()), m[shape].ne(y(), zero(m))),
        ),
      ),
    );
}

function defineStrings(t: OpTable): void {
  pure(t, 'x86.ptest', 'v128 v128 -> i32', 'PTEST: ZF and CF in rflags layout', (m, a, b) =>
    bound(m, a, b, (x, y) =>
      m.i32.or(
        m.i32.shl(m.i32.eqz(m.v128.any_true(m.v128.and(x(), y()))), m.constI32(6)),
        m.i32.eqz(m.v128.any_true(m.v128.andnot(y(), x()))),
      ),
    ),
  );
  const result =
    'bits 0..15 the match bits (IntRes2), from bit 16 the flags in rflags layout; the last input is the immediate';
  pure(t, 'x86.pcmpistr', 'v128 v128 i32 -> i32', `PCMPISTRx: ${result}`, (m, a, b, imm) =>
    m.helper('x86_pcmpistr', [a, b, imm], 'i32'),
  );
  pure(
    t,
    'x86.pcmpestr',
    'v128 v128 i64 i64 i32 -> i32',
    `PCMPESTRx with signed lengths: ${result}`,
    (m, a, b, la, lb, imm) => m.helper('x86_pcmpestr', [a, b, la, lb, imm], 'i32'),
  );
  for (const [size, shape, lanes] of [
    ['b', 'i8x16', 16],
    ['w', 'i16x8', 8],
  ] as const) {
    pure(t, `x86.pcmpstr.first.${size}`, 'i32 -> i32', 'index of the lowest match bit, or the lane count', (m, r) =>
      m.i32.ctz(m.i32.or(m.i32.and(r, m.constI32(0xffff)), m.constI32(1 << lanes))),
    );
    pure(t, `x86.pcmpstr.last.${size}`, 'i32 -> i32', 'index of the highest match bit, or the lane count', (m, r) =>
      m.bind('i32', m.i32.and(r, m.constI32(0xffff)), (bits) =>
        m.select(bits(), m.i32.sub(m.constI32(31), m.i32.clz(bits())), m.constI32(lanes)),
      ),
    );
    pure(t, `x86.pcmpstr.mask.${size}`, 'i32 -> v128', 'the match bits as lanes of all ones or zero', (m, r) => {
      const bit = (n: number): number => (size === 'b' ? 1 << (n & 7) : n % 2 === 0 ? 1 << (n >> 1) : 0);
      const bitOf = (): Expr => m.v128.const(Array.from({ length: 16 }, (_, n) => bit(n)));
      const spread =
        size === 'b'
          ? m.i8x16.swizzle(m.i16x8.splat(r), m.v128.const(Array.from({ length: 16 }, (_, n) => n >> 3)))
          : m.i16x8.splat(r);
      return m[shape].eq(m.v128.and(spread, bitOf()), bitOf());
    });
  }
}

export function defineSseOps(t: OpTable): void {
  defineShuffles(t);
  defineShifts(t);
  defineMultiplies(t);
  defineHorizontal(t);
  defineStrings(t);
  helperOp(
    t,
    'x86.maskmov',
    'i64 v128 v128',
    'x86_maskmov',
    'MASKMOVDQU: stores the bytes of input 1 whose top bit in input 2 is set at the address',
    { reads: [], writes: [] },
  );
}
