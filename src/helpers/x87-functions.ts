// The transcendental instructions (SDM volume 1, 8.3.8), computed to some 120 bits and then rounded once. The processor's own
// results are within one unit in the last place of the exact ones; these are the exact ones, rounded.

import {
  aC, aE, aM, aS, bC, bE, bM, bS, DE, DENORMAL, flags, INF, invalid, NORMAL, pack80, PE, resultA, resultSpecial, TOP, UE, zC, ZE, zE, ZERO, zL, zM, zS,
} from './softfloat';
import {
  C2, empty, finish, finishRounded, full, INDEFINITE, INDEFINITE_SE, pop, propagate, propagateOne, push, put, putResult, refusedEarly, setCondition2,
  stackFault, underflowTo, unpackPair, unpackST,
} from './x87-state';
import {
  add, divide, exponent, factorialSeries, isZero, multiply, oddReciprocals, one, scaleBy, set, setInteger, setNormal, setSign, sign, W0, W1, W2, W3, W4, W5,
  W6, wideHigh, wideLow,
} from './x87-wide';

const LN2_H: u64 = 0xb17217f7d1cf79ab;
const LN2_L: u64 = 0xc9e3b39803f2f6af;
const LOG2E_H: u64 = 0xb8aa3b295c17f0bb;
const LOG2E_L: u64 = 0xbe87fed0691d3e88;
const PI_H: u64 = 0xc90fdaa22168c234;
const PI_L: u64 = 0xc4c6628b80dc1cd1;

/** The processor raises PE for every result that it computes, exact or not. */
function inexact(): void {
  flags |= PE;
}
/** A wide number, not zero, as the result; it is never exact. */
function resultWide(w: usize): void {
  zC = NORMAL;
  zS = sign(w);
  zE = exponent(w);
  zM = wideHigh(w);
  zL = wideLow(w) | 1;
}
/** The same for a function that is closer to zero than what its series begins with (x for the sine, 1 for the cosine). */
function resultBelow(w: usize): void {
  resultWide(w);
  if (wideLow(w) != 0) return;
  zL = <u64>-1;
  zM--;
  if (zM & TOP) return;
  zM = <u64>-1;
  zE--;
}
function wideA(w: usize): void {
  set(w, aM, 0, aE, aS);
}
function wideB(w: usize): void {
  set(w, bM, 0, bE, bS);
}

// 2^x - 1.

export function exponential(): i32 {
  if (empty(0)) {
    underflowTo(0);
    return finish();
  }
  unpackST(0);
  if (!propagateOne()) {
    if (aC == DENORMAL) flags |= DE;
    resultA();
    if (aC == INF) {
      if (aS) resultSpecial(NORMAL, 1), (zE = 0);
    } else if (aC != ZERO && (aE < 0 || (aE == 0 && aM == TOP))) {
      if (aE == 0) {
        // 2 - 1, and 1/2 - 1.
        zE = aS ? -1 : 0;
        inexact();
      } else {
        wideA(W0);
        set(W1, LN2_H, LN2_L, -1, 0);
        multiply(W0, W0, W1);
        let terms: u32 = 34;
        if (exponent(W0) < -4) terms = 24;
        if (exponent(W0) < -16) terms = 8;
        if (exponent(W0) < -64) terms = 2;
        factorialSeries(W2, W0, 2, false, terms);
        multiply(W0, W0, W2);
        resultWide(W0);
      }
    }
    // Beyond the range of the instruction the operand stays.
    else if (aC != ZERO) inexact();
  }
  if (!refusedEarly()) putResult(0, 64);
  return finishRounded();
}

// Logarithms.

/** d = log2 of (1 + s) / (1 - s). */
function logarithmOf(d: usize, s: usize): void {
  multiply(W5, s, s);
  let terms: u32 = 27;
  if (!isZero(s)) {
    if (exponent(s) < -8) terms = 9;
    if (exponent(s) < -32) terms = 3;
  }
  oddReciprocals(W6, W5, terms);
  multiply(d, s, W6);
  scaleBy(d, 1);
  set(W5, LOG2E_H, LOG2E_L, 0, 0);
  multiply(d, d, W5);
}

/** Puts ST(1) * log2 into ST(1) and pops; W0 holds the logarithm, not zero, and B is ST(1). */
function timesB(): void {
  wideB(W1);
  multiply(W0, W0, W1);
  resultWide(W0);
}

/** FYL2X: ST(1) * log2(ST(0)). */
export function logarithm(): i32 {
  if (empty(0) || empty(1)) {
    if (underflowTo(1)) pop();
    return finish();
  }
  unpackPair(0, 1);
  if (!propagate()) {
    const before = flags;
    if (aC == ZERO) {
      if (bC == ZERO) invalid();
      else {
        if (bC != INF) flags |= ZE;
        resultSpecial(INF, bS ^ 1);
      }
    } else if (aS) invalid();
    else if (aC == INF) {
      if (bC == ZERO) invalid();
      else resultSpecial(INF, bS);
    } else if (aE == 0 && aM == TOP) {
      if (bC == INF) invalid();
      else resultSpecial(ZERO, bS);
    } else if (bC == INF || bC == ZERO) resultSpecial(bC, bS ^ u32(aE < 0));
    else {
      // ST(0) = m * 2^e with m between the square roots of 1/2 and 2.
      let e = aE;
      wideA(W2);
      if (aM > 0xb504f333f9de6484) e++;
      scaleBy(W2, -e);
      if (aM == TOP) setInteger(W0, e);
      else {
        one(W3);
        add(W4, W2, W3, 0);
        add(W2, W2, W3, 1);
        divide(W2, W2, W4);
        logarithmOf(W0, W2);
        setInteger(W3, e);
        add(W0, W0, W3, 0);
      }
      timesB();
      if (aM == TOP) exactProduct(e);
      inexact();
    }
    if ((flags & ~PE) == before && (aC == DENORMAL || bC == DENORMAL)) flags |= DE;
  }
  return replaceTwo();
}

/** B times a small integer, which is exact before rounding. */
function exactProduct(n: i32): void {
  setInteger(W0, n);
  wideB(W1);
  multiply(W0, W0, W1);
  resultWide(W0);
  zL = wideLow(W0);
}

/** Stores into ST(1) and pops. */
function replaceTwo(): i32 {
  if (refusedEarly()) {
    flags &= ~PE;
    return finish();
  }
  const se = pack80(64);
  // What is inexact on principle is so when tiny, too.
  if (flags & PE && (se & 0x7fff) == 0 && zM != 0) flags |= UE;
  put(1, zM, se);
  pop();
  return finishRounded();
}

/** FYL2XP1: ST(1) * log2(ST(0) + 1). */
export function logarithmPlusOne(): i32 {
  if (empty(0) || empty(1)) {
    if (underflowTo(1)) pop();
    return finish();
  }
  unpackPair(0, 1);
  if (!propagate()) {
    const before = flags;
    if (aC == ZERO) {
      if (bC == INF) invalid();
      else resultSpecial(ZERO, aS ^ bS);
    } else if (aC == INF) {
      if (aS || bC == ZERO) invalid();
      else resultSpecial(INF, bS);
    } else if (bC == INF || bC == ZERO) resultSpecial(bC, aS ^ bS);
    else {
      wideA(W2);
      setInteger(W3, 2);
      add(W3, W3, W2, 0);
      divide(W2, W2, W3);
      logarithmOf(W0, W2);
      timesB();
    }
    if ((flags & ~PE) == before && (aC == DENORMAL || bC == DENORMAL)) flags |= DE;
  }
  return replaceTwo();
}

// Trigonometric functions. The processor's pi has 66 bits, and so the reduction of large arguments.

const PI66_H: u64 = 3;
const PI66_L: u64 = 0x243f6a8885a308d3;

/** Octants are not needed: A, below 2^63, minus the nearest multiple of pi/2, into W0; gives the multiple's low two bits. */
function reduce(): u32 {
  if (aE < -1) {
    wideA(W0);
    return 0;
  }
  // In units of 2^-65, where pi/2 is PI66.
  let rh: u64 = 0;
  let rl: u64 = 0;
  let quotient: u32 = 0;
  let m = aM;
  for (let k = 0; k < 64 + 2 + aE; k++) {
    rh = (rh << 1) | (rl >> 63);
    rl = (rl << 1) | (m >> 63);
    m <<= 1;
    quotient <<= 1;
    if (rh > PI66_H || (rh == PI66_H && rl >= PI66_L)) {
      rh -= PI66_H + u64(rl < PI66_L);
      rl -= PI66_L;
      quotient |= 1;
    }
  }
  // To the nearest: PI66 is odd, so there are no ties.
  const oh = PI66_H - rh - u64(PI66_L < rl);
  const ol = PI66_L - rl;
  let s = aS;
  if (oh < rh || (oh == rh && ol < rl)) {
    rh = oh;
    rl = ol;
    s ^= 1;
    quotient++;
  }
  setNormal(W0, rh, rl, 127 - 65, s);
  return quotient & 3;
}

/** d = sine of W0; uses W1. */
function sineOf(d: usize): void {
  multiply(W1, W0, W0);
  setSign(W1, 1);
  factorialSeries(d, W1, 2, true, terms());
  multiply(d, d, W0);
}
/** d = cosine of W0. */
function cosineOf(d: usize): void {
  multiply(W1, W0, W0);
  setSign(W1, 1);
  factorialSeries(d, W1, 1, true, terms());
}
function terms(): u32 {
  const e = exponent(W0);
  return e < -32 ? 3 : e < -8 ? 8 : 17;
}
function reducedSine(d: usize, quotient: u32): void {
  if (quotient & 1) cosineOf(d);
  else sineOf(d);
  // The reduced argument has the sign of A; the multiple counts its magnitude.
  if (quotient & 1) setSign(d, aS);
  if (quotient & 2) setSign(d, sign(d) ^ 1);
}
function reducedCosine(d: usize, quotient: u32): void {
  if (quotient & 1) {
    sineOf(d);
    setSign(d, sign(d) ^ aS ^ 1);
  } else cosineOf(d);
  if (quotient & 2) setSign(d, sign(d) ^ 1);
}

/** A sine or cosine as the result; zero only where the reduction left nothing. */
function resultOf(w: usize): void {
  if (isZero(w)) resultSpecial(ZERO, sign(w));
  else resultBelow(w);
}

/** FSIN and FCOS. */
export function circular(cosine: bool): i32 {
  setCondition2(0);
  if (empty(0)) {
    underflowTo(0);
    return finish();
  }
  unpackST(0);
  if (!propagateOne()) {
    if (aC == INF) invalid();
    else if (aC == ZERO) {
      if (cosine) resultSpecial(NORMAL, 0), (zE = 0);
      else resultA();
    } else if (aE >= 63) {
      setCondition2(C2);
      return finish();
    } else {
      if (aC == DENORMAL) flags |= DE;
      const quotient = reduce();
      if (cosine) reducedCosine(W2, quotient);
      else reducedSine(W2, quotient);
      resultOf(W2);
    }
  }
  if (!refusedEarly()) putResult(0, 64);
  return finishRounded();
}

/** FSINCOS: ST(0) becomes the sine, the cosine is pushed. FPTAN: the tangent, then 1. */
export function circularPair(tangent: bool): i32 {
  setCondition2(0);
  if (empty(0) || full()) {
    if (stackFault(!empty(0))) {
      put(0, INDEFINITE, INDEFINITE_SE);
      push(INDEFINITE, INDEFINITE_SE);
    }
    return finish();
  }
  unpackST(0);
  let m: u64 = 0;
  let se: u32 = 0;
  let nan = propagateOne();
  if (!nan && aC == INF) {
    invalid();
    nan = true;
  }
  if (nan) {
    if (refusedEarly()) return finish();
    putResult(0, 64);
    push(zM, zS ? 0xffff : 0x7fff);
    return finish();
  }
  if (aC == ZERO) {
    resultA();
    putResult(0, 64);
    push(TOP, 0x3fff);
    return finish();
  }
  if (aE >= 63) {
    setCondition2(C2);
    return finish();
  }
  if (aC == DENORMAL) flags |= DE;
  if (refusedEarly()) return finish();
  const quotient = reduce();
  reducedSine(W2, quotient);
  reducedCosine(W3, quotient);
  if (tangent) {
    divide(W2, W2, W3);
    resultWide(W2);
    putResult(0, 64);
    push(TOP, 0x3fff);
    return finishRounded();
  }
  resultOf(W3);
  se = pack80(64);
  m = zM;
  resultOf(W2);
  putResult(0, 64);
  push(m, se);
  return finishRounded();
}

/** Arc tangents of k/8 for k from 1 to 8: high and low word, exponent. */
const ARCTANGENTS: StaticArray<u64> = [
  0xfeadd4d5617b6e32, 0xc897989f3e888ef7, 0xfadbafc96406eb15, 0x6dc79ef5f7a217e5, 0xb7b0ca0f26f78473, 0x8aa32122dcfe4483, 0xed63382b0dda7b45, 0x6fe445ecbc3a8d03,
  0x8f005d5ef7f59f9b, 0x5c835e1665c43747, 0xa4bc7d1934f70924, 0x19a87f2a457dac9e, 0xb8053e2bc2319e73, 0xcb2da55210a4443d, 0xc90fdaa22168c234, 0xc4c6628b80dc1cd1,
];
/** Their exponents, plus 4. */
const ARCTANGENT_EXPONENTS: u32 = 0x33332210;

/** W0 = the arc tangent of W0, which is in (0, 1]. */
function arctangentOf(): void {
  // The nearest eighth.
  const e = exponent(W0);
  const k: u32 = e < -4 ? 0 : <u32>(((wideHigh(W0) >> (59 - e)) + 1) >> 1);
  if (k != 0) {
    setInteger(W1, k);
    scaleBy(W1, -3);
    multiply(W2, W0, W1);
    one(W3);
    add(W2, W2, W3, 0);
    add(W0, W0, W1, 1);
    divide(W0, W0, W2);
  }
  if (!isZero(W0)) {
    multiply(W4, W0, W0);
    setSign(W4, 1);
    oddReciprocals(W6, W4, exponent(W0) < -32 ? 3 : exponent(W0) < -12 ? 6 : 17);
    multiply(W0, W0, W6);
  }
  if (k != 0) {
    set(W1, unchecked(ARCTANGENTS[2 * k - 2]), unchecked(ARCTANGENTS[2 * k - 1]), <i32>((ARCTANGENT_EXPONENTS >> ((k - 1) << 2)) & 15) - 4, 0);
    add(W0, W0, W1, 0);
  }
}

/** pi * n / 4. */
function quarters(n: u32, s: u32): void {
  set(W0, PI_H, PI_L, -1, 0);
  setInteger(W1, n);
  multiply(W0, W0, W1);
  setSign(W0, s);
  resultWide(W0);
}

/** FPATAN: the angle of the point (ST(0), ST(1)). */
export function arctangent(): i32 {
  if (empty(0) || empty(1)) {
    if (underflowTo(1)) pop();
    return finish();
  }
  unpackPair(0, 1);
  if (!propagate()) {
    if (aC == DENORMAL || bC == DENORMAL) flags |= DE;
    if (bC == INF) quarters(aC == INF ? (aS ? 3 : 1) : 2, bS);
    else if (bC == ZERO || aC == INF) {
      if (aS) quarters(4, bS);
      else resultSpecial(ZERO, bS);
    } else if (aC == ZERO) quarters(2, bS);
    else {
      const steep = bE > aE || (bE == aE && bM > aM);
      wideA(W0);
      wideB(W1);
      setSign(W0, 0);
      setSign(W1, 0);
      if (steep) divide(W0, W0, W1);
      else divide(W0, W1, W0);
      arctangentOf();
      if (steep || aS) {
        set(W1, PI_H, PI_L, steep ? 0 : 1, 0);
        // pi/2 - t, pi/2 + t, pi - t.
        add(W0, W1, W0, u32(!steep || !aS));
      }
      setSign(W0, bS);
      if (steep || aS) resultWide(W0);
      else resultBelow(W0);
    }
  }
  return replaceTwo();
}
