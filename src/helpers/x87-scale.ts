// FSCALE, FXTRACT, FPREM and FPREM1, and the constants.

import {
  aC, aE, aM, aS, bC, bE, bM, bS, CHOP, DE, DENORMAL, flags, INF, invalid, NORMAL, pack80, resultA, resultSpecial, swapOperands, TOP, zC, ZE, zE, ZERO, zL,
  zM, zS,
} from './softfloat';
import { fromInteger, normalize, toInteger } from './softfloat-arith';
import {
  C0, C1, C2, C3, empty, finish, finishRounded, full, INDEFINITE, INDEFINITE_SE, propagate, propagateOne, push, pushChecked, put, putResult, refusedEarly,
  setCondition2, setConditions, setStatus, stackFault, underflowTo, unpackPair, unpackST,
} from './x87-state';

/** ST(0) * 2^trunc(ST(1)). */
export function scale(): i32 {
  if (empty(0) || empty(1)) {
    underflowTo(0);
    return finish();
  }
  unpackPair(0, 1);
  if (!propagate()) {
    const before = flags;
    if (bC == INF) {
      if (bS ? aC == INF : aC == ZERO) invalid();
      else if (aC == INF || aC == ZERO) resultA();
      else resultSpecial(bS ? ZERO : INF, aS);
    } else {
      swapOperands();
      const n = toInteger(32, CHOP);
      swapOperands();
      resultA();
      // Beyond any exponent, but not so far that sums overflow.
      if (bC != ZERO) zE += bE > 16 ? (bS ? -0x20000 : 0x20000) : <i32>n;
    }
    if (flags == before && (aC == DENORMAL || bC == DENORMAL)) flags |= DE;
  }
  if (!refusedEarly()) putResult(0, 64);
  return finishRounded();
}

/** ST(0) becomes its exponent, and its significand is pushed. */
export function extract(): i32 {
  if (empty(0) || full()) {
    const masked = stackFault(!empty(0));
    if (masked) {
      put(0, INDEFINITE, INDEFINITE_SE);
      push(INDEFINITE, INDEFINITE_SE);
    }
    return finish();
  }
  unpackST(0);
  let m: u64;
  let se: u32;
  if (propagateOne()) {
    if (refusedEarly()) return finish();
    se = pack80(64);
    m = zM;
    put(0, m, se);
  } else if (aC == ZERO) {
    flags |= ZE;
    if (refusedEarly()) return finish();
    put(0, TOP, 0xffff);
    m = 0;
    se = aS << 15;
  } else if (aC == INF) {
    put(0, TOP, 0x7fff);
    m = TOP;
    se = 0x7fff | (aS << 15);
  } else {
    if (aC == DENORMAL) flags |= DE;
    if (refusedEarly()) return finish();
    const e = aE;
    m = aM;
    se = 0x3fff | (aS << 15);
    fromInteger(e);
    const exponent = pack80(64);
    put(0, zM, exponent);
  }
  push(m, se);
  return finish();
}

/** FPREM (quotient chopped) and FPREM1 (quotient to nearest): ST(0) - ST(1) * quotient. */
export function remainder(nearest: bool): i32 {
  setCondition2(0);
  if (empty(0) || empty(1)) {
    underflowTo(0);
    return finish();
  }
  unpackPair(0, 1);
  // For NaNs and invalid operations the bits of the quotient stay.
  let divided = false;
  let codes: u32 = 0;
  if (!propagate()) {
    if (aC == INF || bC == ZERO) invalid();
    else {
      if (aC == DENORMAL || bC == DENORMAL) flags |= DE;
      resultA();
      if (aC != ZERO && bC != INF) codes = reduce(nearest);
      divided = true;
    }
  }
  if (!refusedEarly()) {
    if (divided) setConditions(codes & ~C1);
    setStatus(codes & C1);
    putResult(0, 64);
  }
  return finish();
}

/** The remainder of finite a, b; gives the condition codes: C2 if only part of the work was done, else three quotient bits. */
function reduce(nearest: bool): u32 {
  const d = aE - bE;
  const least = nearest ? -1 : 0;
  if (d < least) return 0;
  let steps = d;
  let partial = false;
  if (d > 63) {
    // Fewer steps: the quotient is chopped to a multiple of 2^(d - steps).
    steps = 32 + (d & 31);
    partial = true;
  }
  let rest = aM;
  let carry = false;
  let quotient: u32 = 0;
  for (let k = steps; k >= 0; k--) {
    quotient <<= 1;
    if (carry || rest >= bM) {
      rest -= bM;
      quotient |= 1;
    }
    if (k > 0) {
      carry = rest >> 63 != 0;
      rest <<= 1;
    }
  }
  zL = 0;
  zE = bE + d - steps;
  if (d == -1) {
    // a is less than b and more than a quarter of it: the comparison is with half of b.
    zE = aE;
    if (rest <= bM) return 0;
    // a - b, which is negative; b is twice bM in units of a's last place.
    zM = bM - (rest - bM);
    zS ^= 1;
    normalize();
    return codesOf(1);
  }
  if (nearest && !partial) {
    const other = bM - rest;
    if (rest > other || (rest == other && (quotient & 1) != 0)) {
      rest = other;
      zS ^= 1;
      quotient++;
    }
  }
  zM = rest;
  normalize();
  return partial ? C2 : codesOf(quotient);
}

function codesOf(quotient: u32): u32 {
  return (quotient & 1 ? C1 : 0) | (quotient & 2 ? C3 : 0) | (quotient & 4 ? C0 : 0);
}

/** FLD1 and its like, by ModRM.rm of D9 E8; rounded as RC says, without exceptions (SDM volume 2, "FLD1/FLDL2T/..."). */
export function loadConstant(n: u32): i32 {
  let m: u64 = 0;
  let l: u64 = 0;
  let e = 0;
  switch (n) {
    case 0: // 1
      m = TOP;
      break;
    case 1: // log2(10)
      m = 0xd49a784bcd1b8afe;
      l = 0x492bf6ff4dafdb4c;
      e = 1;
      break;
    case 2: // log2(e)
      m = 0xb8aa3b295c17f0bb;
      l = 0xbe87fed0691d3e88;
      break;
    case 3: // pi
      m = 0xc90fdaa22168c234;
      l = 0xc4c6628b80dc1cd1;
      e = 1;
      break;
    case 4: // log10(2)
      m = 0x9a209a84fbcff798;
      l = 0x8f8959ac0b7c9178;
      e = -2;
      break;
    case 5: // ln(2)
      m = 0xb17217f7d1cf79ab;
      l = 0xc9e3b39803f2f6af;
      e = -1;
      break;
  }
  zC = m == 0 ? ZERO : NORMAL;
  zS = 0;
  zM = m;
  zL = l;
  zE = e;
  const before = flags;
  const se = pack80(64);
  flags = before;
  pushChecked(zM, se);
  return finish();
}
