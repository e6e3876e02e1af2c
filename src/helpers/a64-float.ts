// AArch64 floating point beyond what Wasm does: NaN results, fused multiply-add, half precision (Arm ARM, J1.1.3,
// shared/functions/float). FPCR is zero: nearest even, no flushing, NaNs are propagated.

const F64_QUIET: u64 = 0x0008000000000000;
const F64_DEFAULT: u64 = 0x7ff8000000000000;
const F32_QUIET: u32 = 0x00400000;
const F32_DEFAULT: u32 = 0x7fc00000;

// @ts-ignore: decorator
@inline
function nan64(a: u64): bool {
  return (a & 0x7fffffffffffffff) > 0x7ff0000000000000;
}
// @ts-ignore: decorator
@inline
function nan32(a: u32): bool {
  return (a & 0x7fffffff) > 0x7f800000;
}

/** The NaN of an operation on a and b: signalling ones go first, then quiet ones, then the default (FPProcessNaNs). */
export function a64_nan_f64(a: u64, b: u64): u64 {
  if (nan64(a) && !(a & F64_QUIET)) return a | F64_QUIET;
  if (nan64(b) && !(b & F64_QUIET)) return b | F64_QUIET;
  if (nan64(a)) return a;
  if (nan64(b)) return b;
  return F64_DEFAULT;
}
export function a64_nan_f32(a: u32, b: u32): u32 {
  if (nan32(a) && !(a & F32_QUIET)) return a | F32_QUIET;
  if (nan32(b) && !(b & F32_QUIET)) return b | F32_QUIET;
  if (nan32(a)) return a;
  if (nan32(b)) return b;
  return F32_DEFAULT;
}

/** FMAXNM and FMINNM where one operand is a NaN: a quiet one gives way to a number. */
export function a64_number_f64(a: u64, b: u64): u64 {
  const quietA = nan64(a) && a & F64_QUIET;
  const quietB = nan64(b) && b & F64_QUIET;
  if (quietA && !nan64(b)) return b;
  if (quietB && !nan64(a)) return a;
  return a64_nan_f64(a, b);
}
export function a64_number_f32(a: u32, b: u32): u32 {
  const quietA = nan32(a) && a & F32_QUIET;
  const quietB = nan32(b) && b & F32_QUIET;
  if (quietA && !nan32(b)) return b;
  if (quietB && !nan32(a)) return a;
  return a64_nan_f32(a, b);
}

/** NaN to NaN of the other width (FPConvertNaN). */
export function a64_nan_widen(a: u32): u64 {
  return (<u64>(a >> 31) << 63) | 0x7ff8000000000000 | (<u64>(a & 0x3fffff) << 29);
}
export function a64_nan_demote(a: u64): u32 {
  return (<u32>(a >> 63) << 31) | 0x7fc00000 | (<u32>(a >> 29) & 0x3fffff);
}

/** The NaN of addend + a * b, default where it comes from infinity times zero, even beside a quiet addend. */
function nanOfSum64(addend: u64, a: u64, b: u64): u64 {
  const infinityTimesZero =
    ((a << 1) == 0xffe0000000000000 && (b << 1) == 0) || ((b << 1) == 0xffe0000000000000 && (a << 1) == 0);
  if (nan64(addend) && !(addend & F64_QUIET)) return addend | F64_QUIET;
  if (nan64(a) && !(a & F64_QUIET)) return a | F64_QUIET;
  if (nan64(b) && !(b & F64_QUIET)) return b | F64_QUIET;
  if (infinityTimesZero) return F64_DEFAULT;
  if (nan64(addend)) return addend;
  if (nan64(a)) return a;
  if (nan64(b)) return b;
  return F64_DEFAULT;
}
function nanOfSum32(addend: u32, a: u32, b: u32): u32 {
  const infinityTimesZero = ((a << 1) == 0xff000000 && (b << 1) == 0) || ((b << 1) == 0xff000000 && (a << 1) == 0);
  if (nan32(addend) && !(addend & F32_QUIET)) return addend | F32_QUIET;
  if (nan32(a) && !(a & F32_QUIET)) return a | F32_QUIET;
  if (nan32(b) && !(b & F32_QUIET)) return b | F32_QUIET;
  if (infinityTimesZero) return F32_DEFAULT;
  if (nan32(addend)) return addend;
  if (nan32(a)) return a;
  if (nan32(b)) return b;
  return F32_DEFAULT;
}

/**
 * Whether the host's relaxed multiply-add rounds once: (1 + 2^-30)^2 - (1 + 2^-29) is 2^-60 then, else 0. The numbers come
 * from memory so that no compiler has an opinion.
 */
const PROBE = memory.data<f64>([1.000000000931322574615478515625, -1.00000000186264514923095703125]);
const fused: bool =
  f64x2.extract_lane(
    f64x2.relaxed_madd(
      f64x2.splat(load<f64>(PROBE)),
      f64x2.splat(load<f64>(PROBE)),
      f64x2.splat(load<f64>(PROBE, 8)),
    ),
    0,
  ) != 0;

/** Four or two at once; lanes that are NaN need another look. */
export function a64_vfma_f32(c: v128, a: v128, b: v128): v128 {
  if (fused) {
    const r = f32x4.relaxed_madd(a, b, c);
    if (!v128.any_true(f32x4.ne(r, r))) return r;
  }
  let r = i64x2.splat(0);
  r = i32x4.replace_lane(r, 0, a64_fma_f32(i32x4.extract_lane(c, 0), i32x4.extract_lane(a, 0), i32x4.extract_lane(b, 0)));
  r = i32x4.replace_lane(r, 1, a64_fma_f32(i32x4.extract_lane(c, 1), i32x4.extract_lane(a, 1), i32x4.extract_lane(b, 1)));
  r = i32x4.replace_lane(r, 2, a64_fma_f32(i32x4.extract_lane(c, 2), i32x4.extract_lane(a, 2), i32x4.extract_lane(b, 2)));
  return i32x4.replace_lane(r, 3, a64_fma_f32(i32x4.extract_lane(c, 3), i32x4.extract_lane(a, 3), i32x4.extract_lane(b, 3)));
}
export function a64_vfma_f64(c: v128, a: v128, b: v128): v128 {
  if (fused) {
    const r = f64x2.relaxed_madd(a, b, c);
    if (!v128.any_true(f64x2.ne(r, r))) return r;
  }
  const low = a64_fma_f64(i64x2.extract_lane(c, 0), i64x2.extract_lane(a, 0), i64x2.extract_lane(b, 0));
  const high = a64_fma_f64(i64x2.extract_lane(c, 1), i64x2.extract_lane(a, 1), i64x2.extract_lane(b, 1));
  return i64x2(low, high);
}

/**
 * addend + a * b, rounded once. The product is exact in double precision; the sum is rounded to odd there, which makes the
 * second rounding right (Boldo and Melquiond, "Emulation of FMA and correctly rounded sums", 2008).
 */
export function a64_fma_f32(addend: u32, a: u32, b: u32): u32 {
  if (fused) {
    const r = i32x4.extract_lane(f32x4.relaxed_madd(i32x4.splat(a), i32x4.splat(b), i32x4.splat(addend)), 0);
    if (!nan32(r)) return r;
  }
  const x = <f64>reinterpret<f32>(a) * <f64>reinterpret<f32>(b);
  const y = <f64>reinterpret<f32>(addend);
  let s = x + y;
  if (!(abs(s) < Infinity)) {
    if (s != s) return nanOfSum32(addend, a, b);
    return reinterpret<u32>(<f32>s);
  }
  // Knuth's exact error of the sum.
  const t = s - x;
  const error = x - (s - t) + (y - t);
  if (error != 0 && !(reinterpret<u64>(s) & 1)) {
    const away = (error > 0) == (s > 0);
    s = reinterpret<f64>(reinterpret<u64>(s) + (away ? 1 : -1));
  }
  return reinterpret<u32>(<f32>s);
}

/** High half of a 64x64-bit product. */
function mulHigh(a: u64, b: u64): u64 {
  const a0 = a & 0xffffffff;
  const a1 = a >> 32;
  const b0 = b & 0xffffffff;
  const b1 = b >> 32;
  const t = a1 * b0 + ((a0 * b0) >> 32);
  return a1 * b1 + (t >> 32) + ((a0 * b1 + (t & 0xffffffff)) >> 32);
}

/** addend + a * b, rounded once: by integers, 128 bits of product and sum. */
export function a64_fma_f64(addend: u64, a: u64, b: u64): u64 {
  if (fused) {
    const r = i64x2.extract_lane(f64x2.relaxed_madd(i64x2.splat(a), i64x2.splat(b), i64x2.splat(addend)), 0);
    if (!nan64(r)) return r;
  }
  const ea = <i32>(a >> 52) & 0x7ff;
  const eb = <i32>(b >> 52) & 0x7ff;
  const ec = <i32>(addend >> 52) & 0x7ff;
  const sign = (a ^ b) >> 63;
  if (ea == 0x7ff || eb == 0x7ff || ec == 0x7ff) {
    // Without finite operands no rounding happens: Wasm's own arithmetic says what it is.
    const product = reinterpret<f64>(a) * reinterpret<f64>(b);
    if (nan64(a) || nan64(b) || nan64(addend) || product != product) return nanOfSum64(addend, a, b);
    if (ea != 0x7ff && eb != 0x7ff) return addend;
    const sum = product + reinterpret<f64>(addend);
    return sum != sum ? F64_DEFAULT : reinterpret<u64>(sum);
  }
  const zeroProduct = (a << 1) == 0 || (b << 1) == 0;
  if (zeroProduct) {
    if (addend << 1) return addend;
    // Zeros of unequal sign add up to +0.
    return sign == addend >> 63 ? addend : 0;
  }
  // Significands with their leading bit at 63, exponents of that bit's weight.
  let ma = (a & 0xfffffffffffff) | (ea ? 0x10000000000000 : 0);
  let mb = (b & 0xfffffffffffff) | (eb ? 0x10000000000000 : 0);
  const sa = <i32>clz(ma);
  const sb = <i32>clz(mb);
  ma <<= sa;
  mb <<= sb;
  // Value of a: ma * 2^(max(ea,1) - 1075 - sa).
  let e = max(ea, 1) + max(eb, 1) - 2150 - sa - sb;
  let hi = mulHigh(ma, mb);
  let lo = ma * mb;
  // Bit 127 set, weight 2^(e + 127).
  if (!(hi >> 63)) {
    hi = (hi << 1) | (lo >> 63);
    lo <<= 1;
    e--;
  }
  let negative = sign;
  if (addend << 1) {
    let mc = (addend & 0xfffffffffffff) | (ec ? 0x10000000000000 : 0);
    const sc = <i32>clz(mc);
    mc <<= sc;
    let chi = mc;
    let clo: u64 = 0;
    let f = max(ec, 1) - 1075 - sc - 64;
    const signC = addend >> 63;
    // The greater one in (hi, lo), one bit below the top to leave room for a carry; the lesser shifted down, sticky.
    let swap = f > e || (f == e && chi > hi);
    if (swap) {
      const th = hi;
      const tl = lo;
      const te = e;
      hi = chi;
      lo = clo;
      e = f;
      chi = th;
      clo = tl;
      f = te;
    }
    negative = swap ? signC : sign;
    const other = swap ? sign : signC;
    // Nothing is lost: products have 22 zeros at the end.
    lo = (lo >> 1) | (hi << 63);
    hi >>= 1;
    e++;
    let shift = e - f;
    let sticky: u64 = 0;
    if (shift >= 128) {
      sticky = 1;
      chi = 0;
      clo = 0;
    } else {
      if (shift >= 64) {
        sticky = u64(clo != 0);
        clo = chi;
        chi = 0;
        shift -= 64;
      }
      if (shift > 0) {
        sticky |= u64(clo << (64 - shift) != 0);
        clo = (clo >> shift) | (chi << (64 - shift));
        chi >>= shift;
      }
    }
    if (negative == other) {
      const l = lo + clo;
      hi = hi + chi + u64(l < lo);
      lo = l | sticky;
    } else {
      // What went below the last bit is borrowed from it.
      const l = lo - clo;
      hi = hi - chi - u64(lo < clo);
      if (sticky && l == 0) hi--;
      lo = (l - sticky) | sticky;
      if (!(hi | lo)) return 0;
    }
  }
  // Normalise to bit 127.
  if (hi == 0) {
    hi = lo;
    lo = 0;
    e -= 64;
  }
  const up = clz(hi);
  if (up) {
    hi = (hi << up) | (lo >> (64 - up));
    lo <<= up;
    e -= <i32>up;
  }
  // Biased exponent of the leading bit.
  let biased = e + 127 + 1023;
  if (biased >= 0x7ff) return (negative << 63) | 0x7ff0000000000000;
  let rest = u64(lo != 0);
  if (biased <= 0) {
    const down = 1 - biased;
    if (down >= 64) {
      rest |= u64(hi != 0);
      hi = 0;
    } else {
      rest |= u64(hi << (64 - down) != 0);
      hi >>= down;
    }
    biased = 0;
  }
  // 53 bits stay, 11 go.
  let m = hi >> 11;
  const half = hi & 0x400;
  if (half && ((hi & 0x3ff) | rest | (m & 1))) m++;
  // A carry into the exponent comes out right by itself.
  const bits = biased == 0 ? m : (<u64>biased << 52) + (m - 0x10000000000000);
  return (negative << 63) | bits;
}

/** Half precision to double: exact; NaNs become quiet. */
export function a64_half_widen(h: u32): u64 {
  const sign = <u64>(h >> 15) << 63;
  const e = (h >> 10) & 31;
  const f = <u64>(h & 0x3ff);
  if (e == 31) return f ? sign | 0x7ff8000000000000 | (f << 42) : sign | 0x7ff0000000000000;
  if (e != 0) return sign | (<u64>(e + 1008) << 52) | (f << 42);
  return sign | reinterpret<u64>(<f64>f * 5.960464477539063e-8); // 2^-24
}
/** Double to half precision, nearest even; NaNs become quiet. */
export function a64_half_round(d: u64): u32 {
  const sign = <u32>(d >> 63) << 15;
  const a = d & 0x7fffffffffffffff;
  if (a > 0x7ff0000000000000) return sign | 0x7e00 | (<u32>(a >> 42) & 0x1ff);
  if (a >= 0x40effe0000000000) return sign | 0x7c00; // 65520: rounds to infinity
  const e = <i32>(a >> 52);
  // Bits to drop: 42 of a normal result, more of a subnormal one.
  let drop: u64 = 42;
  let m = a & 0xfffffffffffff;
  let base: u64 = 0;
  if (e < 1009) {
    if (e < 998) return sign;
    drop = <u64>(42 + 1009 - e);
    m |= 0x10000000000000;
  } else base = <u64>(e - 1008) << 10;
  const kept = m >> drop;
  const tail = m & ((<u64>1 << drop) - 1);
  const half = <u64>1 << (drop - 1);
  const up = u64(tail > half || (tail == half && (kept & 1) == 1));
  return sign | <u32>(base + kept + up);
}
