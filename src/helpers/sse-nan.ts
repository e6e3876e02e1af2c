// The NaN that an SSE instruction gives, taken only when a result is NaN: the first operand that is one, made quiet, else
// the default NaN (SDM volume 1, table 4-7). Hosts differ in what their own instructions give.

const QUIET32: u32 = 0x400000;
const DEFAULT32: u32 = 0xffc00000;
const QUIET64: u64 = 0x8000000000000;
const DEFAULT64: u64 = 0xfff8000000000000;

export function x86_nan_f32(a: f32, b: f32): f32 {
  if (a != a) return reinterpret<f32>(reinterpret<u32>(a) | QUIET32);
  if (b != b) return reinterpret<f32>(reinterpret<u32>(b) | QUIET32);
  return reinterpret<f32>(DEFAULT32);
}

export function x86_nan_f64(a: f64, b: f64): f64 {
  if (a != a) return reinterpret<f64>(reinterpret<u64>(a) | QUIET64);
  if (b != b) return reinterpret<f64>(reinterpret<u64>(b) | QUIET64);
  return reinterpret<f64>(DEFAULT64);
}

/** `r` with those lanes replaced that are NaN. */
export function x86_nan_f32x4(a: v128, b: v128, r: v128): v128 {
  const quiet = i32x4.splat(QUIET32);
  const second = v128.bitselect(v128.or(b, quiet), i32x4.splat(DEFAULT32), f32x4.ne(b, b));
  const fixed = v128.bitselect(v128.or(a, quiet), second, f32x4.ne(a, a));
  return v128.bitselect(fixed, r, f32x4.ne(r, r));
}

export function x86_nan_f64x2(a: v128, b: v128, r: v128): v128 {
  const quiet = i64x2.splat(QUIET64);
  const second = v128.bitselect(v128.or(b, quiet), i64x2.splat(DEFAULT64), f64x2.ne(b, b));
  const fixed = v128.bitselect(v128.or(a, quiet), second, f64x2.ne(a, a));
  return v128.bitselect(fixed, r, f64x2.ne(r, r));
}

/** A NaN in the other format: the top of its payload stays. */
export function x86_nan_promote(a: f32): f64 {
  const bits = reinterpret<u32>(a);
  const sign = <u64>(bits >> 31) << 63;
  return reinterpret<f64>(sign | 0x7ff8000000000000 | (<u64>(bits & 0x7fffff) << 29));
}

export function x86_nan_demote(a: f64): f32 {
  const bits = reinterpret<u64>(a);
  const sign = <u32>(bits >> 63) << 31;
  return reinterpret<f32>(sign | 0x7fc00000 | (<u32>(bits >> 29) & 0x7fffff));
}

/** `r`, the promoted low lanes of `a`, with NaNs put right. */
export function x86_nan_promote_low(a: v128, r: v128): v128 {
  const bits = i64x2.extend_low_i32x4_u(a);
  const sign = i64x2.shl(v128.and(bits, i64x2.splat(0x80000000)), 32);
  const payload = i64x2.shl(v128.and(bits, i64x2.splat(0x7fffff)), 29);
  return v128.bitselect(v128.or(v128.or(sign, payload), i64x2.splat(0x7ff8000000000000)), r, f64x2.ne(r, r));
}

/** `r`, the demoted lanes of `a`, with NaNs put right. */
export function x86_nan_demote_zero(a: v128, r: v128): v128 {
  const sign = v128.and(i64x2.shr_u(a, 32), i64x2.splat(0x80000000));
  const payload = v128.and(i64x2.shr_u(a, 29), i64x2.splat(0x7fffff));
  const wide = v128.or(v128.or(sign, payload), i64x2.splat(0x7fc00000));
  const fixed = i8x16.swizzle(wide, i64x2(0x0b0a090803020100, -1));
  return v128.bitselect(fixed, r, f32x4.ne(r, r));
}
