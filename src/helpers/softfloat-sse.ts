// Exact SSE floating point under MXCSR (SDM volume 1, chapter 11.5 and appendix E).

import { raise, TRAP_SIMD } from './memory';
import {
  aC, aS, bC, bS, CHOP, DE, DENORMAL, flags, IE, pack32, pack64, PE, QNAN, quietA, quietB, resultA, rounding, setEnvironment, SNAN, toSecond, unmasked,
  unpack32, unpack64, ZERO, zL,
} from './softfloat';
import { addNumbers, compareNumbers, divideNumbers, fromInteger, multiplyNumbers, refused, roundIntegral, squareRoot, toInteger } from './softfloat-arith';

const MXCSR: u32 = 0x140;

// Operation numbers: src/translator/x86_64/ops-softfloat.ts.
const ADD: u32 = 0;
const SUB: u32 = 1;
const MUL: u32 = 2;
const DIV: u32 = 3;
const MIN: u32 = 4;
const MAX: u32 = 5;
const SQRT: u32 = 6;
const CMP: u32 = 7;
const COMIS: u32 = 8;
const UCOMIS: u32 = 9;
const ROUND: u32 = 10;
const ADDSUB: u32 = 11;
const DEMOTE: u32 = 12;
const PROMOTE: u32 = 13;
const FROM_I32: u32 = 14;
const FROM_I64: u32 = 15;
const TO_I32: u32 = 16;
const TO_I64: u32 = 17;

function unpack(x: u64, wide: bool): void {
  if (wide) unpack64(x);
  else unpack32(<u32>x);
}
function pack(wide: bool): u64 {
  return wide ? pack64() : pack32();
}
function unpackBoth(a: u64, b: u64, wide: bool): void {
  unpack(b, wide);
  toSecond();
  unpack(a, wide);
}
/** The flags raised by other lanes, put aside. */
function clearFlags(): u32 {
  const others = flags;
  flags = 0;
  return others;
}
/** Raises DE if an operand is denormal. */
function denormalOperands(): void {
  if (aC == DENORMAL || bC == DENORMAL) flags |= DE;
}
/** The NaN that results if an operand is one: the first, made quiet. */
function propagate(): bool {
  if (aC < QNAN && bC < QNAN) return false;
  if (aC == SNAN || bC == SNAN) flags |= IE;
  if (aC >= QNAN) quietA();
  else quietB();
  return true;
}

function arithmetic(operation: u32, a: u64, b: u64, wide: bool): u64 {
  unpackBoth(a, b, wide);
  if (!propagate()) {
    const others = clearFlags();
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
      default:
        divideNumbers();
    }
    // Invalid operations and division by zero come before denormal operands.
    if (flags == 0) denormalOperands();
    flags |= others;
  }
  return pack(wide);
}

function extreme(operation: u32, a: u64, b: u64, wide: bool): u64 {
  unpackBoth(a, b, wide);
  let first = false;
  if (aC >= QNAN || bC >= QNAN) flags |= IE;
  else {
    denormalOperands();
    const order = compareNumbers();
    first = operation == MIN ? order < 0 : order > 0;
  }
  // The operand as it is, but for denormals that are taken as zeros.
  if ((first ? aC : bC) == ZERO) return (first ? a : b) & (wide ? <u64>1 << 63 : 1 << 31);
  // One of the operands as it is, but under DAZ a denormal one is zero by now.
  const sign = wide ? <u64>(first ? aS : bS) << 63 : <u64>(first ? aS : bS) << 31;
  if ((first ? aC : bC) == ZERO) return sign;
  return first ? a : b;
}

/** CF 1: less, ZF 0x40: equal, all three with PF: unordered. `quiet`: only signalling NaNs are invalid. */
function relation(a: u64, b: u64, wide: bool, quiet: bool): u32 {
  unpackBoth(a, b, wide);
  if (aC >= QNAN || bC >= QNAN) {
    if (!quiet || aC == SNAN || bC == SNAN) flags |= IE;
    return 0x45;
  }
  denormalOperands();
  const order = compareNumbers();
  return order < 0 ? 1 : order > 0 ? 0 : 0x40;
}

function predicate(n: u32, a: u64, b: u64, wide: bool): u64 {
  const low = n & 3;
  const r = relation(a, b, wide, low == 0 || low == 3);
  let holds: bool;
  switch (low) {
    case 0:
      holds = r == 0x40;
      break;
    case 1:
      holds = r == 1;
      break;
    case 2:
      holds = r == 1 || r == 0x40;
      break;
    default:
      holds = r == 0x45;
  }
  return holds != ((n & 4) != 0) ? <u64>-1 : 0;
}

function integral(a: u64, wide: bool, imm: u32): u64 {
  unpack(a, wide);
  if (aC >= QNAN) {
    if (aC == SNAN) flags |= IE;
    quietA();
  } else if (roundIntegral(imm & 4 ? rounding : imm & 3) && !(imm & 8)) flags |= PE;
  return pack(wide);
}

function root(a: u64, wide: bool): u64 {
  unpack(a, wide);
  if (aC >= QNAN) {
    if (aC == SNAN) flags |= IE;
    quietA();
  } else {
    if (aC == DENORMAL && !aS) flags |= DE;
    squareRoot();
  }
  return pack(wide);
}

/** From one format to the other. */
function reformat(a: u64, wideSource: bool): u64 {
  unpack(a, wideSource);
  if (aC >= QNAN) {
    if (aC == SNAN) flags |= IE;
    quietA();
  } else {
    if (aC == DENORMAL) flags |= DE;
    resultA();
  }
  return pack(!wideSource);
}

/** To an integer; what does not fit becomes the integer indefinite. */
function integer(a: u64, wide: bool, bits: u32, truncate: u32): i64 {
  unpack(a, wide);
  const n = toInteger(bits, truncate ? CHOP : rounding);
  if (refused) {
    flags |= IE;
    return bits == 32 ? -0x80000000 : i64.MIN_VALUE;
  }
  if (zL != 0) flags |= PE;
  return n;
}

function lane(operation: u32, wide: bool, a: u64, b: u64, imm: u32, odd: u32): u64 {
  switch (operation) {
    case ADD:
    case SUB:
    case MUL:
    case DIV:
      return arithmetic(operation, a, b, wide);
    case ADDSUB:
      return arithmetic(odd ? ADD : SUB, a, b, wide);
    case MIN:
    case MAX:
      return extreme(operation, a, b, wide);
    case SQRT:
      return root(a, wide);
    case CMP:
      return predicate(imm, a, b, wide);
    case COMIS:
      return relation(a, b, wide, false);
    case UCOMIS:
      return relation(a, b, wide, true);
    case ROUND:
      return integral(a, wide, imm);
    case DEMOTE:
      return reformat(a, true);
    case PROMOTE:
      return reformat(a, false);
    case FROM_I32:
      fromInteger(<i64>(<i32>a));
      return pack(wide);
    case FROM_I64:
      fromInteger(<i64>a);
      return pack(wide);
    case TO_I32:
      return <u64>integer(a, wide, 32, imm);
    default:
      return <u64>integer(a, wide, 64, imm);
  }
}

/** Bytes of a lane of the source and of the destination. */
function sourceBytes(operation: u32, wide: bool): u32 {
  if (operation == FROM_I32 || operation == PROMOTE) return 4;
  if (operation == FROM_I64) return 8;
  return wide ? 8 : 4;
}
function resultBytes(operation: u32, wide: bool): u32 {
  if (operation == TO_I32 || operation == DEMOTE) return 4;
  return wide || operation == TO_I64 ? 8 : 4;
}
function read(slot: u32, bytes: u32): u64 {
  return bytes == 8 ? load<u64>(slot) : load<u32>(slot);
}

/**
 * One operation, packed as in exactSse (src/translator/x86_64/ops-softfloat.ts). With an unmasked exception it writes the flags
 * and no result; unmasked exceptions found before computing keep those found after from being raised (SDM volume 1, 11.5.3).
 */
export function sse_exact(cpu: u32, word: u64): i32 {
  const operation = (<u32>word >> 2) & 0x3f;
  const wide = (<u32>word & 1) != 0;
  const packed = (<u32>word & 2) != 0;
  const d = cpu + (<u32>(word >> 16) & 0xfff);
  const a = cpu + (<u32>(word >> 28) & 0xfff);
  const b = cpu + (<u32>(word >> 40) & 0xfff);
  const imm = <u32>(word >> 52) & 0xff;
  const mxcsr = load<u32>(cpu + MXCSR);
  setEnvironment((mxcsr >> 13) & 3, ~(mxcsr >> 7) & 0x3f, (mxcsr & 0x8000) != 0, (mxcsr & 0x40) != 0);
  const from = sourceBytes(operation, wide);
  const to = resultBytes(operation, wide);
  let low: u64 = 0;
  let high: u64 = 0;
  const lanes: u32 = packed ? (wide ? 2 : 4) : 1;
  for (let k: u32 = 0; k < lanes; k++) {
    const r = lane(operation, wide, read(a + k * from, from), read(b + k * from, from), imm, k & 1);
    if (to == 8) {
      if (k == 0) low = r;
      else high = r;
    } else if (k < 2) low |= (r & 0xffffffff) << (k << 5);
    else high |= (r & 0xffffffff) << ((k & 1) << 5);
  }
  if (flags & unmasked) {
    const early = flags & 7;
    store<u32>(cpu + MXCSR, mxcsr | (early & unmasked ? early : flags));
    return raise(cpu, TRAP_SIMD);
  }
  store<u32>(cpu + MXCSR, mxcsr | flags);
  if (packed) {
    store<u64>(d, low);
    store<u64>(d, high, 8);
  } else if (to == 8 || operation == TO_I32 || operation == COMIS || operation == UCOMIS) store<u64>(d, low);
  else store<u32>(d, <u32>low);
  return 0;
}
