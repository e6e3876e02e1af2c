// PCMPESTRx and PCMPISTRx (SDM volume 2, section 4.1): compares of two strings held in vector registers.

/** Lane `i` of `v` in all lanes. */
// @ts-ignore: decorator
@inline
function broadcast(v: v128, i: i32, words: bool): v128 {
  return i8x16.swizzle(v, words ? i16x8.splat(<i16>(i * 0x202 + 0x100)) : i8x16.splat(<i8>i));
}

/** Top bit of each lane. */
// @ts-ignore: decorator
@inline
function bits(v: v128, words: bool): u32 {
  return words ? i16x8.bitmask(v) : i8x16.bitmask(v);
}

// @ts-ignore: decorator
@inline
function equal(a: v128, b: v128, words: bool): v128 {
  return words ? i16x8.eq(a, b) : i8x16.eq(a, b);
}

/** Lanes where a >= b, by the signedness of the immediate (bit 1). */
// @ts-ignore: decorator
@inline
function notBelow(a: v128, b: v128, imm: u32): v128 {
  switch (imm & 3) {
    case 0:
      return i8x16.ge_u(a, b);
    case 1:
      return i16x8.ge_u(a, b);
    case 2:
      return i8x16.ge_s(a, b);
    default:
      return i16x8.ge_s(a, b);
  }
}

/**
 * Match bits of `b` against `a`, of which the first `la` and `lb` lanes are valid; bits 0..15, and the flags from bit 16
 * on: CF a match, ZF and SF that b and a are short, OF the lowest match bit. `words` is a constant wherever it is called.
 */
// @ts-ignore: decorator
@inline
function compare(a: v128, b: v128, la: i32, lb: i32, imm: u32, words: bool): u32 {
  const n: i32 = words ? 8 : 16;
  const all: u32 = (1 << n) - 1;
  const validA: u32 = (1 << la) - 1;
  const validB: u32 = (1 << lb) - 1;
  let r: u32 = 0;
  switch ((imm >> 2) & 3) {
    case 0: {
      // Equal any: the lane occurs in the set a.
      let any = i64x2.splat(0);
      for (let i = 0; i < la; i++) any = v128.or(any, equal(broadcast(a, i, words), b, words));
      r = bits(any, words) & validB;
      break;
    }
    case 1: {
      // Ranges: a holds pairs of bounds; a pair of which one is not valid matches nothing.
      let any = i64x2.splat(0);
      for (let i = 0; i + 1 < la; i += 2)
        any = v128.or(
          any,
          v128.and(notBelow(b, broadcast(a, i, words), imm), notBelow(broadcast(a, i + 1, words), b, imm)),
        );
      r = bits(any, words) & validB;
      break;
    }
    case 2: {
      // Equal each: two lanes that are both past the end are equal.
      r = (bits(equal(a, b, words), words) & validA & validB) | (all & ~(validA | validB));
      break;
    }
    default: {
      // Equal ordered: where the string a begins in b, perhaps cut off by the end of the register.
      r = all;
      for (let i = 0; i < la; i++) {
        const hits = bits(equal(broadcast(a, i, words), b, words), words) & validB;
        r &= (hits >> i) | ~(all >> i);
      }
    }
  }
  if (imm & 0x10) r ^= imm & 0x20 ? validB : all;
  r &= all;
  let flags: u32 = u32(r != 0);
  if (lb < n) flags |= 0x40;
  if (la < n) flags |= 0x80;
  if (r & 1) flags |= 0x800;
  return r | (flags << 16);
}

/** Lanes before the first that is zero. */
// @ts-ignore: decorator
@inline
function implicitLength(v: v128, words: bool): i32 {
  const end: u32 = words ? 0x100 : 0x10000;
  return ctz(bits(equal(v, i8x16.splat(0), words), words) | end);
}

function words(a: v128, b: v128, imm: u32): u32 {
  return compare(a, b, implicitLength(a, true), implicitLength(b, true), imm, true);
}
export function x86_pcmpistr(a: v128, b: v128, imm: u32): u32 {
  if (imm & 1) return words(a, b, imm);
  return compare(a, b, implicitLength(a, false), implicitLength(b, false), imm, false);
}

/** Explicit lengths count by their absolute value, at most the lanes of a register. */
function explicitLength(length: i64, words: bool): i32 {
  const magnitude = <u64>(length < 0 ? -length : length);
  const n: u64 = words ? 8 : 16;
  return <i32>(magnitude < n ? magnitude : n);
}

export function x86_pcmpestr(a: v128, b: v128, la: i64, lb: i64, imm: u32): u32 {
  if (imm & 1) return compare(a, b, explicitLength(la, true), explicitLength(lb, true), imm, true);
  return compare(a, b, explicitLength(la, false), explicitLength(lb, false), imm, false);
}
