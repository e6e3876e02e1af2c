// Numbers with 128 bits of significand, for functions whose results must be right to 64. They live in a small static
// area, 32 bytes each, and are named by address: significand (two u64, high first, bit 63 of the high one set unless the
// number is zero), exponent, sign. The value is (-1)^sign * m / 2^127 * 2^exponent. Results are truncated.

import { mulHigh, TOP } from './softfloat';

const AREA: usize = memory.data(8 * 32);
export const W0: usize = AREA;
export const W1: usize = AREA + 32;
export const W2: usize = AREA + 64;
export const W3: usize = AREA + 96;
export const W4: usize = AREA + 128;
export const W5: usize = AREA + 160;
export const W6: usize = AREA + 192;
// Scratch of the operations here.
const T0: usize = AREA + 224;

// @ts-ignore: decorator
@inline
function high(w: usize): u64 {
  return load<u64>(w);
}
// @ts-ignore: decorator
@inline
function low(w: usize): u64 {
  return load<u64>(w, 8);
}
// @ts-ignore: decorator
@inline
export function exponent(w: usize): i32 {
  return load<i32>(w, 16);
}
// @ts-ignore: decorator
@inline
export function sign(w: usize): u32 {
  return load<u32>(w, 20);
}
export function wideHigh(w: usize): u64 {
  return high(w);
}
export function wideLow(w: usize): u64 {
  return low(w);
}
export function isZero(w: usize): bool {
  return high(w) == 0;
}

export function set(w: usize, h: u64, l: u64, e: i32, s: u32): void {
  store<u64>(w, h);
  store<u64>(w, l, 8);
  store<i32>(w, e, 16);
  store<u32>(w, s, 20);
}
export function copy(d: usize, a: usize): void {
  set(d, high(a), low(a), exponent(a), sign(a));
}
export function setSign(w: usize, s: u32): void {
  store<u32>(w, s, 20);
}
export function scaleBy(w: usize, n: i32): void {
  store<i32>(w, exponent(w) + n, 16);
}
/** The same, brought to normal form. */
export function setNormal(w: usize, h: u64, l: u64, e: i32, s: u32): void {
  if (h == 0) {
    if (l == 0) {
      set(w, 0, 0, 0, s);
      return;
    }
    h = l;
    l = 0;
    e -= 64;
  }
  const n = clz(h);
  if (n != 0) {
    h = (h << n) | (l >> (64 - n));
    l <<= n;
    e -= <i32>n;
  }
  set(w, h, l, e, s);
}
export function setInteger(w: usize, n: i32): void {
  setNormal(w, <u64>(n < 0 ? -<i64>n : <i64>n), 0, 63, u32(n < 0));
}

export function multiply(d: usize, a: usize, b: usize): void {
  const ah = high(a);
  const al = low(a);
  const bh = high(b);
  const bl = low(b);
  if (ah == 0 || bh == 0) {
    set(d, 0, 0, 0, sign(a) ^ sign(b));
    return;
  }
  // The lowest word only gives its carry.
  let middle = mulHigh(al, bl);
  let l = ah * bh;
  let h = mulHigh(ah, bh);
  let carry: u64 = 0;
  const x = ah * bl;
  middle += x;
  carry += u64(middle < x);
  const y = al * bh;
  middle += y;
  carry += u64(middle < y);
  const xh = mulHigh(ah, bl);
  const yh = mulHigh(al, bh);
  l += xh;
  h += u64(l < xh);
  l += yh;
  h += u64(l < yh);
  l += carry;
  h += u64(l < carry);
  let e = exponent(a) + exponent(b) + 1;
  if (!(h & TOP)) {
    h = (h << 1) | (l >> 63);
    l = (l << 1) | (middle >> 63);
    e--;
  }
  set(d, h, l, e, sign(a) ^ sign(b));
}

/** d = a + b, or a - b with `negate` 1. */
export function add(d: usize, a: usize, b: usize, negate: u32): void {
  let sb = sign(b) ^ negate;
  if (high(b) == 0) {
    copy(d, a);
    return;
  }
  if (high(a) == 0) {
    copy(d, b);
    setSign(d, sb);
    return;
  }
  let x = a;
  let y = b;
  let sx = sign(a);
  if (exponent(b) > exponent(a) || (exponent(b) == exponent(a) && (high(b) > high(a) || (high(b) == high(a) && low(b) > low(a))))) {
    x = b;
    y = a;
    const s = sx;
    sx = sb;
    sb = s;
  }
  const n = <u32>(exponent(x) - exponent(y));
  let yh = high(y);
  let yl = low(y);
  if (n >= 128) {
    yh = 0;
    yl = 0;
  } else if (n >= 64) {
    yl = yh >> (n - 64);
    yh = 0;
  } else if (n != 0) {
    yl = (yl >> n) | (yh << (64 - n));
    yh >>= n;
  }
  let h = high(x);
  let l = low(x);
  const e = exponent(x);
  if (sx == sb) {
    l += yl;
    const c = u64(l < yl);
    const before = h;
    h += yh + c;
    if (h < before || (c != 0 && h == before)) {
      l = (l >> 1) | (h << 63);
      h = (h >> 1) | TOP;
      set(d, h, l, e + 1, sx);
    } else set(d, h, l, e, sx);
    return;
  }
  const c = u64(l < yl);
  l -= yl;
  h -= yh + c;
  setNormal(d, h, l, e, sx);
}

/** d = a / n, n below 2^32. */
export function divideBy(d: usize, a: usize, n: u32): void {
  const h = high(a);
  if (h == 0) {
    copy(d, a);
    return;
  }
  const l = low(a);
  const q3 = (h >> 32) / n;
  let r = (h >> 32) % n;
  let t = (r << 32) | (h & 0xffffffff);
  const q2 = t / n;
  r = t % n;
  t = (r << 32) | (l >> 32);
  const q1 = t / n;
  r = t % n;
  t = (r << 32) | (l & 0xffffffff);
  const q0 = t / n;
  r = t % n;
  // Up to 32 bits come in at the right when the quotient is brought to normal form.
  const k = clz((q3 << 32) | q2);
  let qh = (q3 << 32) | q2;
  let ql = (q1 << 32) | q0;
  if (k != 0) {
    qh = (qh << k) | (ql >> (64 - k));
    ql = (ql << k) | ((r << 32) / n) >> (32 - k);
  }
  set(d, qh, ql, exponent(a) - <i32>k, sign(a));
}

/** d = a / b, by digits. */
export function divide(d: usize, a: usize, b: usize): void {
  if (high(a) == 0) {
    copy(d, a);
    return;
  }
  let rh = high(a);
  let rl = low(a);
  const bh = high(b);
  const bl = low(b);
  let e = exponent(a) - exponent(b);
  let carry = false;
  if (rh < bh || (rh == bh && rl < bl)) {
    e--;
    carry = rh >> 63 != 0;
    rh = (rh << 1) | (rl >> 63);
    rl <<= 1;
  }
  let qh: u64 = 0;
  let ql: u64 = 0;
  for (let k = 0; k < 128; k++) {
    qh = (qh << 1) | (ql >> 63);
    ql <<= 1;
    if (carry || rh > bh || (rh == bh && rl >= bl)) {
      rh -= bh + u64(rl < bl);
      rl -= bl;
      ql |= 1;
    }
    carry = rh >> 63 != 0;
    rh = (rh << 1) | (rl >> 63);
    rl <<= 1;
  }
  set(d, qh, ql, e, sign(a) ^ sign(b));
}

export function one(d: usize): void {
  set(d, TOP, 0, 0, 0);
}

// Series, by Horner's rule.

/** d = sum of x^k / (2k + 1) for k below `terms`. */
export function oddReciprocals(d: usize, x: usize, terms: u32): void {
  set(d, 0, 0, 0, 0);
  for (let k: i32 = <i32>terms - 1; k >= 0; k--) {
    multiply(d, d, x);
    one(T0);
    divideBy(T0, T0, 2 * k + 1);
    add(d, d, T0, 0);
  }
}
/** d = 1 + x/n1 (1 + x/n2 (1 + ...)) where n_k = first, first + step, ..., or products of two neighbours for `pairs`. */
export function factorialSeries(d: usize, x: usize, first: u32, pairs: bool, terms: u32): void {
  one(d);
  for (let k: i32 = <i32>terms - 1; k >= 0; k--) {
    multiply(d, d, x);
    const n = pairs ? (first + 2 * k) * (first + 2 * k + 1) : first + k;
    divideBy(d, d, n);
    one(T0);
    add(d, T0, d, 0);
  }
}
