// Floating-point operations by the Arm manual's pseudocode (J1.1.3, shared/functions/float), lane by lane.

import {
  aC, aE, aM, aS, bC, bM, bS, DENORMAL, DOWN, flags, IE, INF, NEAREST, NORMAL, QNAN, QUIET, resultA, resultB,
  resultSpecial, shiftRightJam, SNAN, TOP, UP, ZERO, zC, zE, zL, zM, zS,
} from './softfloat';
import {
  addNumbers, compareNumbers, divideNumbers, fromInteger, multiplyNumbers, normalize, squareRoot,
} from './softfloat-arith';
import { recipEstimate, recipSqrtEstimate } from './a64-simd';
import {
  collect, unpack, unpackBoth, unpack16, defaultResult, invalid, quiet, nanA, nans, pack, pack16, mode, flush,
  alternative, raised, IOC, DZC, OFC, UFC, IXC, CHOP, AWAY, ODD,
} from './a64-softfloat';

// Operations. Numbers mirror src/translator/aarch64/ops-softfloat.ts.
const ADD: u32 = 0;
const SUB: u32 = 1;
const MUL: u32 = 2;
const DIV: u32 = 3;
const MAX: u32 = 4;
const MIN: u32 = 5;
const MAXNM: u32 = 6;
const MINNM: u32 = 7;
const MULX: u32 = 8;
const RECPS: u32 = 9;
const RSQRTS: u32 = 10;
const SQRT: u32 = 11;
const RINT: u32 = 12;
const RECPE: u32 = 13;
const RSQRTE: u32 = 14;
const RECPX: u32 = 15;
const CMEQ: u32 = 16;
const CMGE: u32 = 17;
const CMGT: u32 = 18;
const ACGE: u32 = 19;
const ACGT: u32 = 20;
const COMPARE: u32 = 21;
const COMPAREE: u32 = 22;
const FMA: u32 = 23;
/** 24..43: to integers: i32, u32, i64, u64, five roundings each (n m p z a). */
const TO_INTEGER: u32 = 24;
/** 44..47: from i32, u32, i64, u64. */
const FROM_INTEGER: u32 = 44;
const SINGLE_DOUBLE: u32 = 48;
const DOUBLE_SINGLE: u32 = 49;
const HALF_SINGLE: u32 = 50;
const HALF_DOUBLE: u32 = 51;
const SINGLE_HALF: u32 = 52;
const DOUBLE_HALF: u32 = 53;
const DOUBLE_SINGLE_ODD: u32 = 54;
const NMUL: u32 = 55;
const ABD: u32 = 56;

// @ts-ignore: decorator
@inline
function signOf(wide: bool): u64 {
  return wide ? TOP : 0x80000000;
}

function arithmetic(operation: u32, a: u64, b: u64, wide: bool): u64 {
  unpackBoth(a, b, wide);
  if (nans()) return pack(wide);
  switch (operation) {
    case ADD:
      addNumbers(0);
      break;
    case SUB:
      addNumbers(1);
      break;
    case MUL:
      multiplyNumbers();
      break;
    case MULX:
      if ((aC == INF && bC == ZERO) || (aC == ZERO && bC == INF)) {
        resultSpecial(NORMAL, aS ^ bS);
        zE = 1;
      } else multiplyNumbers();
      break;
    default:
      divideNumbers();
  }
  if (flags & IE) defaultResult();
  collect();
  return pack(wide);
}

function extreme(operation: u32, a: u64, b: u64, wide: bool): u64 {
  unpackBoth(a, b, wide);
  const greatest = operation == MAX || operation == MAXNM;
  if (operation >= MAXNM) {
    // A quiet NaN gives way to a number.
    if (aC == QNAN && bC < QNAN) {
      resultB();
      return pack(wide);
    }
    if (bC == QNAN && aC < QNAN) {
      resultA();
      return pack(wide);
    }
  }
  if (nans()) return pack(wide);
  if (aC == ZERO && bC == ZERO) resultSpecial(ZERO, greatest ? aS & bS : aS | bS);
  else if (compareNumbers() > 0 == greatest) resultA();
  else resultB();
  return pack(wide);
}

/** Addend c, product of a and b: rounded once, then divided by 2 to the power `down`. */
function fused(c: u64, a: u64, b: u64, wide: bool, down: i32): u64 {
  unpackBoth(a, b, wide);
  const pS = aS;
  const pC = aC;
  const pE = aE;
  const pM = aM;
  unpack(c, wide);
  const cS = aS;
  const cC = aC;
  const cE = aE;
  const cM = aM;
  aS = pS;
  aC = pC;
  aE = pE;
  aM = pM;
  const impossible = (aC == INF && bC == ZERO) || (aC == ZERO && bC == INF);
  if (cC >= QNAN || aC >= QNAN || bC >= QNAN) {
    if (cC == SNAN || aC == SNAN || bC == SNAN) raised |= IOC;
    if (cC == SNAN) quiet(cS, cM);
    else if (aC == SNAN) quiet(aS, aM);
    else if (bC == SNAN) quiet(bS, bM);
    else if (impossible) invalid();
    else if (cC == QNAN) quiet(cS, cM);
    else if (aC == QNAN) quiet(aS, aM);
    else quiet(bS, bM);
    return pack(wide);
  }
  const s = aS ^ bS;
  const infinite = aC == INF || bC == INF;
  if (impossible || (infinite && cC == INF && cS != s)) {
    invalid();
    return pack(wide);
  }
  if (cC == INF || infinite) {
    resultSpecial(INF, cC == INF ? cS : s);
    return pack(wide);
  }
  if (aC == ZERO || bC == ZERO) {
    if (cC == ZERO) resultSpecial(ZERO, cS == s ? s : u32(mode == DOWN));
    else {
      zC = NORMAL;
      zS = cS;
      zE = cE - down;
      zM = cM;
      zL = 0;
    }
    return pack(wide);
  }
  multiplyNumbers();
  if (cC != ZERO) sum(cS, cE, cM);
  if (zC == NORMAL) zE -= down;
  return pack(wide);
}
/** Adds a number to the exact product in zM:zL, whose lowest 16 bits and more are zero. */
function sum(cS: u32, cE: i32, cM: u64): void {
  let largeM = zM;
  let largeL = zL;
  let largeS = zS;
  let largeE = zE;
  let smallS = cS;
  if (cE > zE || (cE == zE && cM > zM)) {
    largeM = cM;
    largeL = 0;
    largeS = cS;
    largeE = cE;
    smallS = zS;
    shiftRightJam(cE - zE);
  } else {
    const n = zE - cE;
    zM = cM;
    zL = 0;
    shiftRightJam(n);
  }
  zE = largeE;
  zS = largeS;
  if (largeS == smallS) {
    const l = largeL + zL;
    const carry = u64(l < largeL);
    const m = largeM + zM;
    const h = m + carry;
    const over = m < largeM || h < m;
    zM = h;
    zL = l;
    if (over) {
      zL = (zL >> 1) | (zL & 1) | (zM << 63);
      zM = (zM >> 1) | TOP;
      zE++;
    }
    return;
  }
  const borrow = u64(largeL < zL);
  zL = largeL - zL;
  zM = largeM - zM - borrow;
  normalize();
  if (zC == ZERO) zS = u32(mode == DOWN);
}

/** FRECPS: 2 - a * b; FRSQRTS: (3 - a * b) / 2. */
function step(operation: u32, x: u64, b: u64, wide: bool): u64 {
  const a = x ^ signOf(wide);
  const root = operation == RSQRTS;
  unpackBoth(a, b, wide);
  if (nans()) return pack(wide);
  if ((aC == INF && bC == ZERO) || (aC == ZERO && bC == INF)) {
    resultSpecial(NORMAL, 0);
    zE = root ? 0 : 1;
    if (root) zM = TOP | QUIET;
    return pack(wide);
  }
  const before = raised;
  const addend: u64 = root ? (wide ? 0x4008000000000000 : 0x40400000) : wide ? 0x4000000000000000 : 0x40000000;
  const r = fused(addend, a, b, wide, root ? 1 : 0);
  raised |= before;
  return r;
}

function squareRootOf(a: u64, wide: bool): u64 {
  unpack(a, wide);
  if (!nanA()) {
    squareRoot();
    if (flags & IE) defaultResult();
    collect();
  }
  return pack(wide);
}

/** |a| as an integer under `how`; a is finite, not zero, and below 2^64. zL is not zero if inexact. */
function integerOf(how: u32): u64 {
  zM = aM;
  zL = 0;
  shiftRightJam(63 - aE);
  const n = zM;
  let up = false;
  if (how == NEAREST) up = zL > TOP || (zL == TOP && (n & 1) != 0);
  else if (how == AWAY) up = zL >= TOP;
  else if (how != CHOP) up = zL != 0 && how == (aS ? DOWN : UP);
  return n + u64(up);
}
/** Rounding by number: n m p z a, and 5, 6 as FPCR says (5 raises inexact). */
function roundingOf(how: u32): u32 {
  return how >= 5 ? mode : how;
}
function integral(a: u64, wide: bool, how: u32): u64 {
  unpack(a, wide);
  if (nanA()) return pack(wide);
  resultA();
  if (aC == NORMAL || aC == DENORMAL) {
    if (aE < 63) {
      const n = integerOf(roundingOf(how));
      if (zL != 0 && how == 5) raised |= IXC;
      zL = 0;
      if (n == 0) zC = ZERO;
      else {
        zE = 63;
        zM = n;
        normalize();
      }
    }
  }
  return pack(wide);
}
function toInteger(a: u64, wide: bool, bits: u32, unsigned: bool, how: u32, fraction: u32): u64 {
  unpack(a, wide);
  if (aC >= QNAN) {
    raised |= IOC;
    return 0;
  }
  if (aC == ZERO) return 0;
  const most: u64 = unsigned ? <u64>-1 >> (64 - bits) : <u64>-1 >> (65 - bits);
  aE += fraction;
  let n: u64 = 0;
  const outside = aC == INF || aE > 63;
  if (!outside) n = integerOf(how);
  if (aS ? outside || n > (unsigned ? 0 : most + 1) : outside || n > most) {
    raised |= IOC;
    n = aS ? (unsigned ? 0 : most + 1) : most;
    return (aS ? 0 - n : n) & (<u64>-1 >> (64 - bits));
  }
  if (zL != 0) raised |= IXC;
  return (aS ? 0 - n : n) & (<u64>-1 >> (64 - bits));
}
function fromIntegerOf(x: u64, kind: u32, wide: bool, fraction: u32): u64 {
  if (kind == 0) fromInteger(<i64>(<i32>x));
  else if (kind == 2) fromInteger(<i64>x);
  else {
    zS = 0;
    zM = kind == 1 ? x & 0xffffffff : x;
    zL = 0;
    zC = NORMAL;
    zE = 63;
    normalize();
  }
  if (zC == NORMAL) zE -= fraction;
  return pack(wide);
}

/** NZCV of a comparison in the low bits: less 8, equal 6, greater 2, unordered 3. */
function relation(a: u64, b: u64, wide: bool, signalling: bool): u32 {
  unpackBoth(a, b, wide);
  if (aC >= QNAN || bC >= QNAN) {
    if (signalling || aC == SNAN || bC == SNAN) raised |= IOC;
    return 3;
  }
  const order = compareNumbers();
  return order < 0 ? 8 : order > 0 ? 2 : 6;
}
function predicate(operation: u32, a: u64, b: u64, wide: bool): u64 {
  let r: u32;
  if (operation >= ACGE) r = relation(a & ~signOf(wide), b & ~signOf(wide), wide, true);
  else r = relation(a, b, wide, operation != CMEQ);
  let holds: bool;
  if (operation == CMEQ) holds = r == 6;
  else if (operation == CMGE || operation == ACGE) holds = r == 6 || r == 2;
  else holds = r == 2;
  return holds ? <u64>-1 : 0;
}

/** FRECPE, FRSQRTE, FRECPX. */
function estimate(operation: u32, x: u64, wide: bool): u64 {
  unpack(x, wide);
  if (nanA()) return pack(wide);
  if (operation == RECPX) {
    const top: u64 = wide ? 0x7ff0000000000000 : 0x7f800000;
    const step: u64 = wide ? 0x0010000000000000 : 0x00800000;
    const sign = x & signOf(wide);
    return sign | (x & top ? ~x & top : top - step);
  }
  const root = operation == RSQRTE;
  if (aC == ZERO) {
    raised |= DZC;
    resultSpecial(INF, aS);
    return pack(wide);
  }
  if (root && aS) {
    invalid();
    return pack(wide);
  }
  if (aC == INF) {
    resultSpecial(ZERO, aS);
    return pack(wide);
  }
  zS = aS;
  zL = 0;
  zC = NORMAL;
  // Eight bits of fraction below the leading one.
  if (root) {
    const odd = (aE & 1) != 0;
    // Even and odd biased exponents: scaled from 0.25 up to 1.
    const scaled = <u32>(odd ? aM >> 55 : (aM >> 56) & 0xff);
    zM = <u64>(recipSqrtEstimate(scaled) & 0xff | 0x100) << 55;
    zE = odd ? (-1 - aE) / 2 : (-2 - aE) / 2;
    return pack(wide);
  }
  const limit = wide ? -1024 : -128;
  if (aE < limit) {
    raised |= OFC | IXC;
    if (mode == NEAREST || mode == (aS ? DOWN : UP)) resultSpecial(INF, aS);
    else {
      zM = wide ? 0xfffffffffffff800 : 0xffffff0000000000;
      zE = wide ? 1023 : 127;
    }
    return pack(wide);
  }
  if (flush && aE >= (wide ? 1022 : 126)) {
    raised |= UFC;
    resultSpecial(ZERO, aS);
    return pack(wide);
  }
  zM = <u64>(recipEstimate(<u32>(aM >> 55)) & 0xff | 0x100) << 55;
  zE = -1 - aE;
  return pack(wide);
}

function convert(operation: u32, x: u64): u64 {
  const fromHalf = operation == HALF_SINGLE || operation == HALF_DOUBLE;
  if (fromHalf) unpack16(<u32>x);
  else unpack(x, operation != SINGLE_DOUBLE && operation != SINGLE_HALF);
  if (!nanA()) resultA();
  if (operation == SINGLE_HALF || operation == DOUBLE_HALF) {
    // A NaN that there is no format for keeps its sign.
    if (alternative && aC >= QNAN) zS = aS;
    return pack16();
  }
  if (operation != DOUBLE_SINGLE_ODD) return pack(operation == SINGLE_DOUBLE || operation == HALF_DOUBLE);
  const kept = mode;
  mode = ODD;
  const r = pack(false);
  mode = kept;
  return r;
}

/** One lane. `imm` is a rounding, or the number of fraction bits. */
export function softLane(operation: u32, wide: bool, a: u64, b: u64, c: u64, imm: u32): u64 {
  switch (operation) {
    case ADD:
    case SUB:
    case MUL:
    case DIV:
    case MULX:
      return arithmetic(operation, a, b, wide);
    case NMUL:
      return arithmetic(MUL, a, b, wide) ^ signOf(wide);
    case ABD:
      return arithmetic(SUB, a, b, wide) & ~signOf(wide);
    case MAX:
    case MIN:
    case MAXNM:
    case MINNM:
      return extreme(operation, a, b, wide);
    case RECPS:
    case RSQRTS:
      return step(operation, a, b, wide);
    case SQRT:
      return squareRootOf(a, wide);
    case RINT:
      return integral(a, wide, imm);
    case RECPE:
    case RSQRTE:
    case RECPX:
      return estimate(operation, a, wide);
    case CMEQ:
    case CMGE:
    case CMGT:
    case ACGE:
    case ACGT:
      return predicate(operation, a, b, wide);
    case COMPARE:
      return relation(a, b, wide, false) << 28;
    case COMPAREE:
      return relation(a, b, wide, true) << 28;
    case FMA:
      return fused(a, b, c, wide, 0);
  }
  if (operation < FROM_INTEGER) {
    const n = operation - TO_INTEGER;
    const kind = n / 5;
    return toInteger(a, wide, kind < 2 ? 32 : 64, (kind & 1) != 0, n % 5, imm);
  }
  if (operation < SINGLE_DOUBLE) return fromIntegerOf(a, operation - FROM_INTEGER, wide, imm);
  return convert(operation, a);
}

/** Bytes of a lane of the source and of the destination. */
export function sourceBytes(operation: u32, wide: bool): u32 {
  if (operation >= FROM_INTEGER && operation < SINGLE_DOUBLE) return operation < FROM_INTEGER + 2 ? 4 : 8;
  if (operation < SINGLE_DOUBLE || operation > DOUBLE_SINGLE_ODD) return wide ? 8 : 4;
  if (operation == HALF_SINGLE || operation == HALF_DOUBLE) return 2;
  return operation == SINGLE_DOUBLE || operation == SINGLE_HALF ? 4 : 8;
}
export function resultBytes(operation: u32, wide: bool): u32 {
  if (operation >= TO_INTEGER && operation < FROM_INTEGER) return operation < TO_INTEGER + 10 ? 4 : 8;
  if (operation < SINGLE_DOUBLE || operation > DOUBLE_SINGLE_ODD) return wide ? 8 : 4;
  if (operation == SINGLE_HALF || operation == DOUBLE_HALF) return 2;
  return operation == SINGLE_DOUBLE || operation == HALF_DOUBLE ? 8 : 4;
}
