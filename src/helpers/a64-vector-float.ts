// Advanced SIMD floating point lane by lane: what Wasm lacks, and whatever has a NaN in it (Arm ARM, J1.1.3). The function
// comes in `fn`: src/translator/aarch64/ops-simd-float.ts. FPCR is zero.
import { a64_fma_f32, a64_fma_f64, a64_nan_f32, a64_nan_f64, a64_number_f32, a64_number_f64 } from './a64-float';
import { recipEstimate, rootEstimate } from './a64-lanes';

const A: usize = memory.data(16, 16);
const B: usize = memory.data(16, 16);
const C: usize = memory.data(16, 16);

function estimate64(x: u64, root: bool): u64 {
  const a = x & 0x7fffffffffffffff;
  const sign = x & 0x8000000000000000;
  if (a > 0x7ff0000000000000) return a64_nan_f64(x, 0);
  if (root) {
    if (a == 0) return sign | 0x7ff0000000000000;
    if (sign) return 0x7ff8000000000000;
    if (a == 0x7ff0000000000000) return 0;
  } else {
    if (a == 0x7ff0000000000000) return sign;
    if (a < 0x0004000000000000) return sign | 0x7ff0000000000000;
  }
  return sign | estimate(a & 0xfffffffffffff, <i32>(a >> 52), root, root ? 3068 : 2045);
}
/** Exponent and fraction of an estimate, for double's width; single's come in with their fractions moved up. */
function estimate(f: u64, e: i32, root: bool, bias: i32): u64 {
  let fraction = f;
  let exp = e;
  if (root) {
    if (exp == 0) {
      while (!(fraction >> 51)) {
        fraction <<= 1;
        exp--;
      }
      fraction = (fraction << 1) & 0xfffffffffffff;
    }
    const scaled = exp & 1 ? 128 | <u32>(fraction >> 45) : 256 | <u32>(fraction >> 44);
    return (<u64>((bias - exp) / 2) << 52) | (<u64>(rootEstimate(scaled) & 255) << 44);
  }
  if (exp == 0) {
    if (!(fraction >> 51)) {
      exp = -1;
      fraction = (fraction << 2) & 0xfffffffffffff;
    } else fraction = (fraction << 1) & 0xfffffffffffff;
  }
  let out = bias - exp;
  fraction = <u64>(recipEstimate(256 | <u32>(fraction >> 44)) & 255) << 44;
  if (out == 0) fraction = (fraction >> 1) | 0x8000000000000;
  else if (out == -1) {
    fraction = (fraction >> 2) | 0x4000000000000;
    out = 0;
  }
  return (<u64>out << 52) | fraction;
}
function estimate32(x: u32, root: bool): u32 {
  const a = x & 0x7fffffff;
  const sign = x & 0x80000000;
  if (a > 0x7f800000) return a64_nan_f32(x, 0);
  if (root) {
    if (a == 0) return sign | 0x7f800000;
    if (sign) return 0x7fc00000;
    if (a == 0x7f800000) return 0;
  } else {
    if (a == 0x7f800000) return sign;
    if (a < 0x00200000) return sign | 0x7f800000;
  }
  const r = estimate(<u64>(a & 0x7fffff) << 29, <i32>(a >> 23), root, root ? 380 : 253);
  return sign | (<u32>(r >> 52) << 23) | (<u32>(r >> 29) & 0x7fffff);
}

function away32(x: f32): f32 {
  const t = trunc<f32>(x);
  return abs<f32>(x - t) >= 0.5 ? t + copysign<f32>(1, x) : t;
}
function away64(x: f64): f64 {
  const t = trunc<f64>(x);
  return abs<f64>(x - t) >= 0.5 ? t + copysign<f64>(1, x) : t;
}

function lane32(fn: u32, a: u32, b: u32): u32 {
  const x = reinterpret<f32>(a);
  const y = reinterpret<f32>(b);
  let r: f32 = 0;
  switch (fn) {
    case 0:
      r = x + y;
      break;
    case 1:
      r = x - y;
      break;
    case 2:
      r = x * y;
      break;
    case 3:
      r = x / y;
      break;
    case 4:
      r = max<f32>(x, y);
      break;
    case 5:
      r = min<f32>(x, y);
      break;
    case 6:
    case 7:
      r = fn == 6 ? max<f32>(x, y) : min<f32>(x, y);
      return r != r ? a64_number_f32(a, b) : reinterpret<u32>(r);
    case 8: // fmulx: infinity times zero is 2
      r = x * y;
      if (r != r && x == x && y == y) return ((a ^ b) & 0x80000000) | 0x40000000;
      break;
    case 9: // frecps: 2 - x * y
    case 10: {
      // frsqrts: (3 - x * y) / 2
      const n = a ^ 0x80000000;
      const p = reinterpret<f32>(n) * y;
      if (p != p) {
        if (x == x && y == y) return fn == 9 ? 0x40000000 : 0x3fc00000;
        return a64_nan_f32(n, b);
      }
      if (fn == 9) return a64_fma_f32(0x40000000, n, b);
      // Halving the greater factor is exact.
      if (abs<f32>(x) > abs<f32>(y)) return a64_fma_f32(0x3fc00000, reinterpret<u32>(reinterpret<f32>(n) * 0.5), b);
      return a64_fma_f32(0x3fc00000, n, reinterpret<u32>(y * 0.5));
    }
    case 11:
      return estimate32(a, false);
    case 12:
      return estimate32(a, true);
    case 13: {
      // frecpx
      if (x != x) return a64_nan_f32(a, 0);
      const e = (a >> 23) & 255;
      return (a & 0x80000000) | ((e == 0 ? 254 : ~e & 255) << 23);
    }
    case 14: // fabd
      r = x - y;
      if (r == r) return reinterpret<u32>(r) & 0x7fffffff;
      return a64_nan_f32(a, b) & 0x7fffffff;
    case 15:
      r = sqrt<f32>(x);
      break;
    case 16:
      r = nearest<f32>(x);
      break;
    case 17:
      r = ceil<f32>(x);
      break;
    case 18:
      r = floor<f32>(x);
      break;
    case 19:
      r = trunc<f32>(x);
      break;
    case 20:
      r = away32(x);
      break;
  }
  if (r == r) return reinterpret<u32>(r);
  return a64_nan_f32(a, fn >= 15 ? 0 : b);
}
function lane64(fn: u32, a: u64, b: u64): u64 {
  const x = reinterpret<f64>(a);
  const y = reinterpret<f64>(b);
  let r: f64 = 0;
  switch (fn) {
    case 0:
      r = x + y;
      break;
    case 1:
      r = x - y;
      break;
    case 2:
      r = x * y;
      break;
    case 3:
      r = x / y;
      break;
    case 4:
      r = max<f64>(x, y);
      break;
    case 5:
      r = min<f64>(x, y);
      break;
    case 6:
    case 7:
      r = fn == 6 ? max<f64>(x, y) : min<f64>(x, y);
      return r != r ? a64_number_f64(a, b) : reinterpret<u64>(r);
    case 8:
      r = x * y;
      if (r != r && x == x && y == y) return ((a ^ b) & 0x8000000000000000) | 0x4000000000000000;
      break;
    case 9:
    case 10: {
      const n = a ^ 0x8000000000000000;
      const p = reinterpret<f64>(n) * y;
      if (p != p) {
        if (x == x && y == y) return fn == 9 ? 0x4000000000000000 : 0x3ff8000000000000;
        return a64_nan_f64(n, b);
      }
      if (fn == 9) return a64_fma_f64(0x4000000000000000, n, b);
      if (abs<f64>(x) > abs<f64>(y)) return a64_fma_f64(0x3ff8000000000000, reinterpret<u64>(reinterpret<f64>(n) * 0.5), b);
      return a64_fma_f64(0x3ff8000000000000, n, reinterpret<u64>(y * 0.5));
    }
    case 11:
      return estimate64(a, false);
    case 12:
      return estimate64(a, true);
    case 13: {
      if (x != x) return a64_nan_f64(a, 0);
      const e = (a >> 52) & 0x7ff;
      return (a & 0x8000000000000000) | ((e == 0 ? 0x7fe : ~e & 0x7ff) << 52);
    }
    case 14:
      r = x - y;
      if (r == r) return reinterpret<u64>(r) & 0x7fffffffffffffff;
      return a64_nan_f64(a, b) & 0x7fffffffffffffff;
    case 15:
      r = sqrt<f64>(x);
      break;
    case 16:
      r = nearest<f64>(x);
      break;
    case 17:
      r = ceil<f64>(x);
      break;
    case 18:
      r = floor<f64>(x);
      break;
    case 19:
      r = trunc<f64>(x);
      break;
    case 20:
      r = away64(x);
      break;
  }
  if (r == r) return reinterpret<u64>(r);
  return a64_nan_f64(a, fn >= 15 ? 0 : b);
}

export function a64_lanes_f32(a: v128, b: v128, fn: u32): v128 {
  v128.store(A, a);
  v128.store(B, b);
  for (let k: u32 = 0; k < 16; k += 4) store<u32>(A + k, lane32(fn, load<u32>(A + k), load<u32>(B + k)));
  return v128.load(A);
}
export function a64_lanes_f64(a: v128, b: v128, fn: u32): v128 {
  v128.store(A, a);
  v128.store(B, b);
  for (let k: u32 = 0; k < 16; k += 8) store<u64>(A + k, lane64(fn, load<u64>(A + k), load<u64>(B + k)));
  return v128.load(A);
}

/** c + a * b in each lane, rounded once. */
export function a64_vfma_f32(c: v128, a: v128, b: v128): v128 {
  v128.store(A, a);
  v128.store(B, b);
  v128.store(C, c);
  for (let k: u32 = 0; k < 16; k += 4)
    store<u32>(C + k, a64_fma_f32(load<u32>(C + k), load<u32>(A + k), load<u32>(B + k)));
  return v128.load(C);
}
export function a64_vfma_f64(c: v128, a: v128, b: v128): v128 {
  v128.store(A, a);
  v128.store(B, b);
  v128.store(C, c);
  for (let k: u32 = 0; k < 16; k += 8)
    store<u64>(C + k, a64_fma_f64(load<u64>(C + k), load<u64>(A + k), load<u64>(B + k)));
  return v128.load(C);
}

/** FCVTXN: double to single, inexact results get an odd last bit. */
export function a64_round_odd(d: u64): u32 {
  const x = reinterpret<f64>(d);
  const sign = <u32>(d >> 32) & 0x80000000;
  if (x != x) return sign | 0x7fc00000 | (<u32>(d >> 29) & 0x3fffff);
  const f = <f32>x;
  if (<f64>f == x) return reinterpret<u32>(f);
  let bits = reinterpret<u32>(f);
  // Towards zero, then odd.
  if (abs<f64>(<f64>f) > abs<f64>(x)) bits--;
  return bits | 1;
}
