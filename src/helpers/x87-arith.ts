// x87 arithmetic, comparisons, loads and stores.

import { accessible, EXIT_FAULT, PAGE_READ, PAGE_WRITE } from './memory';
import {
  aC, aS, bC, CHOP, DE, DENORMAL, flags, IE, OE, pack32, pack64, pack80, PE, QNAN, resultA, roundedUp, rounding, SNAN, swapOperands, toSecond, UE, unmasked,
  unpack80, zL, zM,
} from './softfloat';
import { addNumbers, compareNumbers, divideNumbers, fromInteger, multiplyNumbers, refused, roundIntegral, squareRoot, toInteger } from './softfloat-arith';
import {
  C0, C1, C2, C3, CC_OP, CC_RES, cpu, empty, finish, finishRounded, full, INDEFINITE, INDEFINITE_SE, keepCondition1, pop, precision, propagate, propagateOne,
  push, pushChecked, put, putResult, refusedEarly, setConditions, setStatus, signExponent, significand, stackFault, underflowTo, unpackST,
} from './x87-state';

/** Raises DE for a denormal operand, unless the operation was invalid or a division by zero. */
function denormalOperands(before: u32): void {
  if (flags == before && (aC == DENORMAL || bC == DENORMAL)) flags |= DE;
}

/**
 * ST(d) = ST(0) op B, the second operand unpacked already; `r` is ModRM.reg of D8: 0 add, 1 multiply, 4 subtract, 5 reverse,
 * 6 divide, 7 reverse. False if an unmasked exception kept it from happening.
 */
export function arithmetic(r: u32, d: u32): bool {
  unpackST(0);
  if (r == 5 || r == 7) swapOperands();
  if (!propagate()) {
    const before = flags;
    switch (r) {
      case 0:
        addNumbers(0);
        break;
      case 1:
        multiplyNumbers();
        break;
      case 4:
      case 5:
        addNumbers(1);
        break;
      default:
        divideNumbers();
    }
    denormalOperands(before);
  }
  if (refusedEarly()) return false;
  putResult(d, precision);
  return true;
}

/** Condition codes of ST(0) against B: C0 less, C3 equal, all of them unordered. `quiet`: a QNaN is not invalid. */
function relation(quiet: bool): u32 {
  unpackST(0);
  if (aC >= QNAN || bC >= QNAN) {
    if (!quiet || aC >= SNAN || bC >= SNAN) flags |= IE;
    return C0 | C2 | C3;
  }
  denormalOperands(flags);
  const order = compareNumbers();
  return order < 0 ? C0 : order == 0 ? C3 : 0;
}

/** FCOM and its like with B unpacked; false if an exception is not masked: then nothing is popped, but the codes are set. */
export function compareST(quiet: bool): bool {
  setConditions(relation(quiet));
  return !refusedEarly();
}
/** The same where an operand is missing. */
function compareMissing(): bool {
  setConditions(C0 | C2 | C3);
  return stackFault(false);
}

/** Forms on registers of D8, DC and DE: ST(0) and ST(i), result in ST(d). */
export function registerArithmetic(r: u32, i: u32, d: u32, pops: u32): i32 {
  let done: bool;
  if (empty(0) || empty(i)) {
    done = r == 2 || r == 3 ? compareMissing() : underflowTo(d);
  } else {
    unpackST(i);
    toSecond();
    done = r == 2 || r == 3 ? compareST(false) : arithmetic(r, d);
  }
  if (done) for (let k: u32 = 0; k < pops; k++) pop();
  return finishRounded();
}

export function unorderedCompare(i: u32, pops: u32): i32 {
  let done: bool;
  if (empty(0) || empty(i)) done = compareMissing();
  else {
    unpackST(i);
    toSecond();
    done = compareST(true);
  }
  if (done) for (let k: u32 = 0; k < pops; k++) pop();
  return finish();
}

/** FCOMI, FUCOMI: the result goes to ZF, PF and CF. */
export function compareToFlags(i: u32, quiet: bool, pops: u32): i32 {
  let codes: u32 = C0 | C2 | C3;
  let done: bool;
  if (empty(0) || empty(i)) done = stackFault(false);
  else {
    keepCondition1();
    unpackST(i);
    toSecond();
    codes = relation(quiet);
    done = !refusedEarly();
  }
  store<u64>(cpu + CC_OP, 0);
  store<u64>(cpu + CC_RES, codes == (C0 | C2 | C3) ? 0x45 : codes == C0 ? 1 : codes == C3 ? 0x40 : 0);
  if (done) for (let k: u32 = 0; k < pops; k++) pop();
  return finish();
}

/** Arithmetic and comparison with B from memory. */
export function memoryArithmetic(r: u32): i32 {
  let done: bool;
  if (empty(0)) done = r == 2 || r == 3 ? compareMissing() : underflowTo(0);
  else done = r == 2 || r == 3 ? compareST(false) : arithmetic(r, 0);
  if (done && r == 3) pop();
  return finishRounded();
}

export function test(): i32 {
  if (empty(0)) compareMissing();
  else {
    unpack80(0, 0);
    toSecond();
    compareST(false);
  }
  return finish();
}

export function examine(): i32 {
  const se = signExponent(0);
  let codes: u32;
  if (empty(0)) codes = C3 | C0;
  else {
    unpackST(0);
    switch (aC) {
      case 0:
        codes = C3;
        break;
      case 1:
        codes = C2;
        break;
      case 2:
        codes = C3 | C2;
        break;
      case 3:
        codes = C2 | C0;
        break;
      case 6:
        codes = 0;
        break;
      default:
        codes = C0;
    }
  }
  setConditions(codes);
  if (se >> 15) setStatus(C1);
  return finish();
}

// Loads. The number is unpacked as A.

/** Pushes A, converted from a shorter format. */
export function loadReal(): i32 {
  if (full()) {
    if (stackFault(true)) push(INDEFINITE, INDEFINITE_SE);
    return finish();
  }
  if (!propagateOne()) {
    if (aC == DENORMAL) flags |= DE;
    resultA();
  }
  // A denormal is loaded even when its exception is not masked.
  if (!(flags & unmasked & IE)) {
    const se = pack80(64);
    push(zM, se);
  }
  return finish();
}

export function loadInteger(x: i64): i32 {
  fromInteger(x);
  const se = pack80(64);
  pushChecked(zM, se);
  return finish();
}

export function integerOperand(x: i64): void {
  fromInteger(x);
  const se = pack80(64);
  unpack80(zM, se);
  toSecond();
}

// Stores.

/** FST and FSTP to 4 or 8 bytes. */
export function storeReal(address: u64, bytes: u32, pops: bool): i32 {
  let bits: u64;
  if (empty(0)) {
    if (!stackFault(false)) return finish();
    bits = bytes == 4 ? 0xffc00000 : 0xfff8000000000000;
  } else {
    unpackST(0);
    if (!propagateOne()) resultA();
    if (refusedEarly()) return finish();
    bits = bytes == 4 ? pack32() : pack64();
    // Unmasked overflow or underflow: nothing is stored, and nothing known about inexactness.
    if (flags & unmasked & (OE | UE)) {
      flags &= ~PE;
      return finish();
    }
  }
  if (!accessible(cpu, address, bytes, PAGE_WRITE)) return EXIT_FAULT;
  if (bytes == 4) store<u32>(<u32>address, <u32>bits);
  else store<u64>(<u32>address, bits);
  if (pops) pop();
  return finishRounded();
}

export function storeExtended(address: u64): i32 {
  let m = significand(0);
  let se = signExponent(0);
  if (empty(0)) {
    if (!stackFault(false)) return finish();
    m = INDEFINITE;
    se = INDEFINITE_SE;
  }
  if (!accessible(cpu, address, 10, PAGE_WRITE)) return EXIT_FAULT;
  store<u64>(<u32>address, m);
  store<u16>(<u32>address, se, 8);
  pop();
  return finish();
}

/** FIST, FISTP and FISTTP to 2, 4 or 8 bytes. */
export function storeInteger(address: u64, bytes: u32, pops: bool, truncate: bool): i32 {
  let n: i64;
  if (empty(0)) {
    if (!stackFault(false)) return finish();
    n = i64.MIN_VALUE >> (64 - (bytes << 3));
  } else {
    unpackST(0);
    n = toInteger(bytes << 3, truncate ? CHOP : rounding);
    if (refused) {
      flags |= IE;
      if (unmasked & IE) return finish();
      n = i64.MIN_VALUE >> (64 - (bytes << 3));
    } else if (zL != 0) flags |= PE;
  }
  if (!accessible(cpu, address, bytes, PAGE_WRITE)) return EXIT_FAULT;
  if (bytes == 2) store<u16>(<u32>address, <u16>n);
  else if (bytes == 4) store<u32>(<u32>address, <u32>n);
  else store<u64>(<u32>address, <u64>n);
  if (pops) pop();
  return finishRounded();
}

/** FSTP and FST to ST(i). */
export function storeRegister(i: u32, pops: bool): i32 {
  if (empty(0)) {
    if (!stackFault(false)) return finish();
    put(i, INDEFINITE, INDEFINITE_SE);
  } else put(i, significand(0), signExponent(0));
  if (pops) pop();
  return finish();
}

// Packed decimal: 18 digits, two a byte, then a byte with the sign.

export function loadDecimal(address: u64): i32 {
  if (!accessible(cpu, address, 10, PAGE_READ)) return EXIT_FAULT;
  let n: u64 = 0;
  for (let k: i32 = 8; k >= 0; k--) {
    const byte = load<u8>(<u32>address + k);
    n = n * 100 + (byte >> 4) * 10 + (byte & 15);
  }
  const sign = load<u8>(<u32>address, 9) >> 7;
  fromInteger(<i64>n);
  const se = pack80(64);
  pushChecked(zM, se | (<u32>sign << 15));
  return finish();
}

export function storeDecimal(address: u64): i32 {
  let low: u64 = 0xc000000000000000;
  let high: u32 = 0xffff;
  let ok = !empty(0);
  if (!ok) {
    if (!stackFault(false)) return finish();
  } else {
    unpackST(0);
    const n = toInteger(64, rounding);
    const magnitude = <u64>(n < 0 ? -n : n);
    if (refused || magnitude > 999999999999999999) {
      flags |= IE;
      ok = false;
      if (unmasked & IE) return finish();
    } else {
      if (zL != 0) flags |= PE;
      low = 0;
      let rest = magnitude;
      for (let k: u32 = 0; k < 16; k++) {
        low |= (rest % 10) << (k << 2);
        rest /= 10;
      }
      high = <u32>((rest / 10) << 4 | rest % 10) | (aS << 15);
    }
  }
  if (!accessible(cpu, address, 10, PAGE_WRITE)) return EXIT_FAULT;
  store<u64>(<u32>address, low);
  store<u16>(<u32>address, high, 8);
  pop();
  return finishRounded();
}

// One operand.

export function squareRootST(): i32 {
  if (empty(0)) {
    underflowTo(0);
    return finish();
  }
  unpackST(0);
  if (!propagateOne()) {
    if (aC == DENORMAL && !aS) flags |= DE;
    squareRoot();
  }
  if (!refusedEarly()) putResult(0, precision);
  return finishRounded();
}

export function roundST(): i32 {
  if (empty(0)) {
    underflowTo(0);
    return finish();
  }
  unpackST(0);
  if (!propagateOne()) {
    if (aC == DENORMAL) flags |= DE;
    if (!refusedEarly() && roundIntegral(rounding)) flags |= PE;
  }
  const up = roundedUp;
  if (!refusedEarly()) {
    const se = pack80(64);
    put(0, zM, se);
    if (up && flags & PE) setStatus(C1);
  }
  return finish();
}

/** FCHS (flip the sign) and FABS (clear it). */
export function changeSign(and: u32, xor: u32): i32 {
  if (empty(0)) underflowTo(0);
  else put(0, significand(0), (signExponent(0) & and) ^ xor);
  return finish();
}
