// Exact arithmetic on unpacked numbers, NaNs excepted: the callers deal with those, since SSE and x87 differ.

import {
  aC, aE, aM, aS, bC, bE, bM, bS, CHOP, DOWN, flags, INF, invalid, mulHigh, NEAREST, NORMAL, resultA, resultB, resultSpecial, roundedUp, rounding,
  shiftRightJam, TOP, UP, zC, ZE, zE, ZERO, zL, zM, zS,
} from './softfloat';
import { x86_udiv128 } from './integer';

/** a + b, or a - b with `negate` 1. */
export function addNumbers(negate: u32): void {
  const s = bS ^ negate;
  if (aC == INF) {
    if (bC == INF && aS != s) invalid();
    else resultA();
    return;
  }
  if (bC == INF || aC == ZERO || bC == ZERO) {
    if (bC == ZERO && aC != ZERO) {
      resultA();
      return;
    }
    resultB();
    zS = s;
    if (aC == ZERO && bC == ZERO && aS != s) zS = u32(rounding == DOWN);
    return;
  }
  zC = NORMAL;
  // The smaller one, shifted, into zM:zL.
  let large: u64;
  if (aE > bE || (aE == bE && aM >= bM)) {
    zS = aS;
    large = aM;
    zM = bM;
    zL = 0;
    shiftRightJam(aE - bE);
    zE = aE;
  } else {
    zS = s;
    large = bM;
    zM = aM;
    zL = 0;
    shiftRightJam(bE - aE);
    zE = bE;
  }
  if (aS == s) {
    zM += large;
    if (zM < large) {
      zL = (zL >> 1) | (zL & 1) | (zM << 63);
      zM = (zM >> 1) | TOP;
      zE++;
    }
    return;
  }
  zM = large - zM - u64(zL != 0);
  zL = 0 - zL;
  normalize();
  if (zC == ZERO) zS = u32(rounding == DOWN);
}

/** Brings the first set bit of zM:zL to the top; zero becomes that. */
export function normalize(): void {
  if (zM == 0) {
    if (zL == 0) {
      zC = ZERO;
      return;
    }
    zM = zL;
    zL = 0;
    zE -= 64;
  }
  const n = clz(zM);
  if (n == 0) return;
  zM = (zM << n) | (zL >> (64 - n));
  zL <<= n;
  zE -= <i32>n;
}

export function multiplyNumbers(): void {
  const s = aS ^ bS;
  if (aC == INF || bC == INF) {
    if (aC == ZERO || bC == ZERO) invalid();
    else resultSpecial(INF, s);
    return;
  }
  if (aC == ZERO || bC == ZERO) {
    resultSpecial(ZERO, s);
    return;
  }
  zC = NORMAL;
  zS = s;
  zE = aE + bE + 1;
  zM = mulHigh(aM, bM);
  zL = aM * bM;
  if (!(zM & TOP)) {
    zM = (zM << 1) | (zL >> 63);
    zL <<= 1;
    zE--;
  }
}

export function divideNumbers(): void {
  const s = aS ^ bS;
  if (aC == INF) {
    if (bC == INF) invalid();
    else resultSpecial(INF, s);
    return;
  }
  if (bC == INF) {
    resultSpecial(ZERO, s);
    return;
  }
  if (bC == ZERO) {
    if (aC == ZERO) invalid();
    else {
      flags |= ZE;
      resultSpecial(INF, s);
    }
    return;
  }
  if (aC == ZERO) {
    resultSpecial(ZERO, s);
    return;
  }
  zC = NORMAL;
  zS = s;
  let high = aM;
  let low: u64 = 0;
  zE = aE - bE;
  if (high >= bM) {
    low = high << 63;
    high >>= 1;
  } else zE--;
  zM = x86_udiv128(high, low, bM);
  const rest = low - zM * bM;
  zL = rest == 0 ? 0 : x86_udiv128(rest, 0, bM) | 1;
}

/** Integer square root of high:low, at least 2^126; the remainder's comparison with the root goes into zL as rounding bits. */
function root128(high: u64, low: u64): void {
  const estimate = Math.sqrt(<f64>high) * 4294967296.0;
  let r: u64 = estimate >= 18446744073709549568.0 ? 0xfffffffffffff800 : <u64>estimate;
  // high:low - r * r, signed.
  let restLow = low - r * r;
  let restHigh = high - mulHigh(r, r) - u64(restLow > low);
  const rest = <f64>(<i64>restHigh) * 18446744073709551616.0 + <f64>restLow;
  const step = <i64>(rest / (2.0 * <f64>r));
  const next = r + <u64>step;
  r = step > 0 && next < r ? <u64>-1 : next;
  restLow = low - r * r;
  restHigh = high - mulHigh(r, r) - u64(restLow > low);
  while (<i64>restHigh < 0) {
    r--;
    // rest += 2r + 1
    const twice = (r << 1) | 1;
    restLow += twice;
    restHigh += u64(restLow < twice) + (r >> 63);
  }
  while (restHigh > (r >> 63) || (restHigh == r >> 63 && restLow > r << 1)) {
    const twice = (r << 1) | 1;
    restHigh -= (r >> 63) + u64(restLow < twice);
    restLow -= twice;
    r++;
  }
  zM = r;
  zL = restHigh != 0 || restLow > r ? TOP | 1 : u64(restLow != 0);
}

export function squareRoot(): void {
  if (aC == ZERO) {
    resultA();
    return;
  }
  if (aS) {
    invalid();
    return;
  }
  if (aC == INF) {
    resultA();
    return;
  }
  zC = NORMAL;
  zS = 0;
  zE = aE >> 1;
  if (aE & 1) root128(aM, 0);
  else root128(aM >> 1, aM << 63);
}

/** -1, 0 or 1 as a is less than, equal to or greater than b. */
export function compareNumbers(): i32 {
  if (aC == ZERO) return bC == ZERO ? 0 : bS ? 1 : -1;
  if (bC == ZERO) return aS ? -1 : 1;
  if (aS != bS) return aS ? -1 : 1;
  const greater = aS ? -1 : 1;
  if (aC == INF) return bC == INF ? 0 : greater;
  if (bC == INF) return -greater;
  if (aE != bE) return aE > bE ? greater : -greater;
  if (aM != bM) return aM > bM ? greater : -greater;
  return 0;
}

/** Where the fraction of `a` goes: bits above the point are the result, zL gets the rounding bits. For a below 2^64. */
function splitA(): u64 {
  if (aE >= 63) {
    zL = 0;
    return aM;
  }
  const n = <u32>(63 - aE);
  zM = aM;
  zL = 0;
  shiftRightJam(n);
  return zM;
}

/** |a| rounded to an integer under `rc`; a is finite, not zero, and below 2^64. Sets roundedUp; zL is not zero if inexact. */
export function integerOf(rc: u32): u64 {
  const n = splitA();
  let up = zL > TOP || (zL == TOP && (n & 1) != 0);
  if (rc != NEAREST) up = zL != 0 && rc != CHOP && rc == (aS ? DOWN : UP);
  roundedUp = up;
  // A carry out of 64 bits would need a fraction, and then there are fewer than 64 bits.
  return n + u64(up);
}

/** a rounded to an integral value under `rc`: gives whether that was inexact. Not for NaNs. */
export function roundIntegral(rc: u32): bool {
  resultA();
  if (aC == ZERO || aC == INF || aE >= 63) return false;
  const n = integerOf(rc);
  const inexact = zL != 0;
  zL = 0;
  if (n == 0) zC = ZERO;
  else {
    zE = 63;
    zM = n;
    normalize();
  }
  return inexact;
}

/** An integer as the result. */
export function fromInteger(x: i64): void {
  zS = u32(x < 0);
  zM = x < 0 ? <u64>-x : <u64>x;
  zL = 0;
  zC = NORMAL;
  zE = 63;
  normalize();
}

/** Set by toInteger: the value does not fit (or is a NaN). */
export let refused: bool = false;

/** a as a signed integer of `bits` under `rc`; does not touch the flags, zL is not zero if inexact. */
export function toInteger(bits: u32, rc: u32): i64 {
  refused = false;
  zL = 0;
  if (aC == ZERO) return 0;
  if (aC >= INF || aE > 63) {
    refused = true;
    return 0;
  }
  const n = integerOf(rc);
  const limit: u64 = <u64>1 << (bits - 1);
  if (aS ? n > limit : n >= limit) {
    refused = true;
    return 0;
  }
  return aS ? <i64>(0 - n) : <i64>n;
}
