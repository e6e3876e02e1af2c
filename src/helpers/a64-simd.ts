// Advanced SIMD lane by lane, for what WebAssembly's own vectors lack: saturating and rounding shifts by registers,
// saturating arithmetic on wide lanes, counts, polynomial products (Arm ARM, C7.2). A lane is taken as a 64-bit number,
// extended as its type says. Sizes are log2 of bytes.

const A = memory.data(16, 16);
const B = memory.data(16, 16);
const C = memory.data(16, 16);
const R = memory.data(16, 16);

/** FPSR.QC, collected since `a64_saturated` last looked. */
let saturated: u32 = 0;
const QC: u32 = 1 << 27;
export function a64_saturated(): u32 {
  const s = saturated;
  saturated = 0;
  return s;
}

// @ts-ignore: decorator
@inline
function signedLane(at: usize, size: u32): i64 {
  switch (size) {
    case 0:
      return load<i8>(at);
    case 1:
      return load<i16>(at);
    case 2:
      return load<i32>(at);
    default:
      return load<i64>(at);
  }
}
// @ts-ignore: decorator
@inline
function unsignedLane(at: usize, size: u32): i64 {
  switch (size) {
    case 0:
      return load<u8>(at);
    case 1:
      return load<u16>(at);
    case 2:
      return load<u32>(at);
    default:
      return load<i64>(at);
  }
}
// @ts-ignore: decorator
@inline
function lane(at: usize, size: u32, unsigned: bool): i64 {
  return unsigned ? unsignedLane(at, size) : signedLane(at, size);
}
// @ts-ignore: decorator
@inline
function put(at: usize, size: u32, value: i64): void {
  switch (size) {
    case 0:
      store<i8>(at, <i8>value);
      return;
    case 1:
      store<i16>(at, <i16>value);
      return;
    case 2:
      store<i32>(at, <i32>value);
      return;
    default:
      store<i64>(at, value);
  }
}

/** The greatest or least number of `bits`. */
function most(bits: u32, unsigned: bool): i64 {
  return unsigned ? (bits == 64 ? -1 : (<i64>1 << bits) - 1) : <i64>(<u64>-1 >> (65 - bits));
}
function least(bits: u32, unsigned: bool): i64 {
  return unsigned ? 0 : <i64>-1 << (bits - 1);
}
function limit(bits: u32, unsigned: bool, negative: bool): i64 {
  saturated = QC;
  return negative ? least(bits, unsigned) : most(bits, unsigned);
}
/** A signed number that is exact, to `bits`. */
function saturate(x: i64, bits: u32, unsigned: bool): i64 {
  if (unsigned) {
    if (x < 0) return limit(bits, true, true);
    return bits < 64 && x > most(bits, true) ? limit(bits, true, false) : x;
  }
  if (bits == 64) return x;
  if (x > most(bits, false)) return limit(bits, false, false);
  return x < least(bits, false) ? limit(bits, false, true) : x;
}

function addSaturating(x: i64, y: i64, bits: u32, unsigned: bool): i64 {
  const r = x + y;
  if (bits < 64) return saturate(r, bits, unsigned);
  if (unsigned) return <u64>r < <u64>x ? limit(64, true, false) : r;
  return ((x ^ r) & (y ^ r)) < 0 ? limit(64, false, x < 0) : r;
}
function subtractSaturating(x: i64, y: i64, bits: u32, unsigned: bool): i64 {
  const r = x - y;
  if (bits < 64) return saturate(r, bits, unsigned);
  if (unsigned) return <u64>x < <u64>y ? limit(64, true, true) : r;
  return ((x ^ y) & (x ^ r)) < 0 ? limit(64, false, x < 0) : r;
}

/** Halves rounded up go away from the number below: shifted right by n, which may be more than the width. */
function shiftRight(x: i64, n: u32, unsigned: bool, rounded: bool): i64 {
  if (!rounded) return unsigned ? (n > 63 ? 0 : <i64>(<u64>x >> n)) : x >> min(n, 63);
  const m = n - 1;
  const t = unsigned ? (m > 63 ? 0 : <i64>(<u64>x >> m)) : x >> min(m, 63);
  return (unsigned ? <i64>(<u64>t >> 1) : t >> 1) + (t & 1);
}
/** Shifted left and saturated to `bits`; `unsigned` is the result's, the number is signed unless `from`. */
function shiftLeft(x: i64, n: u32, bits: u32, unsigned: bool, from: bool): i64 {
  if (x == 0) return 0;
  const negative = !from && x < 0;
  if (unsigned && negative) return limit(bits, true, true);
  if (n >= bits) return limit(bits, unsigned, negative);
  const r = x << n;
  if (unsigned) return <u64>x > <u64>most(bits, true) >> n ? limit(bits, true, false) : r;
  return r >> n != x || r > most(bits, false) || r < least(bits, false) ? limit(bits, false, negative) : r;
}

// Operations on two lanes; bit 0 is "unsigned". Mirrors src/translator/aarch64/ops-simd-saturate.ts.
const SHL: u32 = 0;
const RSHL: u32 = 1;
const QSHL: u32 = 2;
const QRSHL: u32 = 3;
const QADD: u32 = 4;
const QSUB: u32 = 5;
/** Accumulate the other signedness. */
const SUQADD: u32 = 6;

function byRegister(operation: u32, x: i64, y: i32, bits: u32, unsigned: bool): i64 {
  if (y < 0) return shiftRight(x, -y, unsigned, (operation & 1) != 0);
  if (operation >= QSHL) return shiftLeft(x, y, bits, unsigned, unsigned);
  return y >= <i32>bits ? 0 : x << y;
}

/** SUQADD and USQADD: accumulator `x` of one signedness, `y` of the other. */
function addOther(x: i64, y: i64, bits: u32, unsigned: bool): i64 {
  if (bits < 64) return saturate(x + y, bits, unsigned);
  const r = x + y;
  if (unsigned) {
    // y is signed.
    if (y >= 0) return <u64>r < <u64>x ? limit(64, true, false) : r;
    return <u64>x < <u64>-y ? limit(64, true, true) : r;
  }
  // y is unsigned: the sum is too great if it has passed the greatest number.
  const room = <u64>i64.MAX_VALUE - <u64>x;
  return <u64>y > room ? limit(64, false, false) : r;
}

export function a64_lanes(operation: u32, size: u32, a: v128, b: v128): v128 {
  v128.store(A, a);
  v128.store(B, b);
  const unsigned = (operation & 1) != 0;
  const kind = operation >> 1;
  const bits: u32 = 8 << size;
  for (let k: u32 = 0; k < 16; k += 1 << size) {
    const x = lane(A + k, size, unsigned);
    let r: i64;
    if (kind <= QRSHL) r = byRegister(kind, x, load<i8>(B + k), bits, unsigned);
    else if (kind == QADD) r = addSaturating(x, lane(B + k, size, unsigned), bits, unsigned);
    else if (kind == QSUB) r = subtractSaturating(x, lane(B + k, size, unsigned), bits, unsigned);
    else r = addOther(x, lane(B + k, size, !unsigned), bits, unsigned);
    put(R + k, size, r);
  }
  return v128.load(R);
}

// Operations on one lane.
const CLS: u32 = 0;
const CLZ: u32 = 1;
const QABS: u32 = 2;
const QNEG: u32 = 3;
const RECPE: u32 = 4;
const RSQRTE: u32 = 5;

/** The estimates' table: 1/a for a in 256..511 as 9 bits with the first one set (RecipEstimate). */
export function recipEstimate(a: u32): u32 {
  const doubled = a * 2 + 1;
  return (((1 << 19) / doubled) + 1) >> 1;
}
/** 1/sqrt(a) for a in 128..511 (RecipSqrtEstimate). */
export function recipSqrtEstimate(n: u32): u32 {
  let a = n;
  if (a < 256) a = a * 2 + 1;
  else a = ((a >> 1) << 1) + 1 << 1;
  let b: u32 = 512;
  while (a * (b + 1) * (b + 1) < 1 << 28) b++;
  return (b + 1) >> 1;
}

export function a64_lane(operation: u32, size: u32, a: v128): v128 {
  v128.store(A, a);
  const bits: u32 = 8 << size;
  for (let k: u32 = 0; k < 16; k += 1 << size) {
    const x = signedLane(A + k, size);
    let r: i64;
    switch (operation) {
      case CLS:
        r = clz(x ^ (x >> 63)) - (64 - bits) - 1;
        break;
      case CLZ:
        r = clz(unsignedLane(A + k, size)) - (64 - bits);
        break;
      case QABS:
        r = x == least(bits, false) ? limit(bits, false, false) : abs(x);
        break;
      case QNEG:
        r = x == least(bits, false) ? limit(bits, false, false) : -x;
        break;
      case RECPE:
        r = <u32>x >> 31 ? recipEstimate((<u32>x >> 23) & 0x1ff) << 23 : 0xffffffff;
        break;
      default:
        r = <u32>x >> 30 ? recipSqrtEstimate((<u32>x >> 23) & 0x1ff) << 23 : 0xffffffff;
    }
    put(R + k, size, r);
  }
  return v128.load(R);
}

/** Shifts left by a constant, saturating: kind 0 signed, 1 unsigned, 2 signed to unsigned. */
export function a64_qshl(kind: u32, size: u32, a: v128, n: u32): v128 {
  v128.store(A, a);
  const bits: u32 = 8 << size;
  for (let k: u32 = 0; k < 16; k += 1 << size)
    put(R + k, size, shiftLeft(lane(A + k, size, kind == 1), n, bits, kind != 0, kind == 1));
  return v128.load(R);
}

/** 64-bit lanes to 32 bits, saturating, in the low half: kinds as above. */
export function a64_qxtn(kind: u32, a: v128): v128 {
  v128.store(A, a);
  store<u64>(R, 0, 8);
  for (let k: u32 = 0; k < 8; k += 4) {
    const x = load<i64>(A + (k << 1));
    let r: i64;
    if (kind == 1) r = <u64>x > 0xffffffff ? limit(32, true, false) : x;
    else r = saturate(x, 32, kind == 2);
    store<u32>(R + k, <u32>r);
  }
  return v128.load(R);
}

/** SQRDMLAH (kind 0), SQRDMLSH (1): high halves of twice the products, rounded, added to or subtracted from c. */
export function a64_qrdmla(kind: u32, size: u32, a: v128, b: v128, c: v128): v128 {
  v128.store(A, a);
  v128.store(B, b);
  v128.store(C, c);
  const bits: u32 = 8 << size;
  const half: i64 = <i64>1 << (bits - 2);
  for (let k: u32 = 0; k < 16; k += 1 << size) {
    const p = signedLane(A + k, size) * signedLane(B + k, size);
    const acc = signedLane(C + k, size) << (bits - 1);
    const sum = kind == 1 ? acc - p : acc + p;
    put(R + k, size, saturate((sum + half) >> (bits - 1), bits, false));
  }
  return v128.load(R);
}

// SSHL and USHL. In narrow lanes all at once, a power of two at a time; the count is the signed low byte.

// @ts-ignore: decorator
@inline
function narrowShift<T>(x: v128, count: v128, bits: i32, unsigned: bool): v128 {
  const zero = i64x2.splat(0);
  const left = v128.max<T>(count, zero);
  const right = v128.max<T>(v128.neg<T>(count), zero);
  let r = x;
  for (let n: i32 = 1; n < bits; n <<= 1) {
    const chosen = v128.ne<T>(v128.and(left, v128.splat<T>(<T>n)), zero);
    r = v128.bitselect(v128.shl<T>(r, n), r, chosen);
  }
  for (let n: i32 = 1; n < bits; n <<= 1) {
    const chosen = v128.ne<T>(v128.and(right, v128.splat<T>(<T>n)), zero);
    const shifted = unsigned ? (sizeof<T>() == 1 ? i8x16.shr_u(r, n) : i16x8.shr_u(r, n)) : v128.shr<T>(r, n);
    r = v128.bitselect(shifted, r, chosen);
  }
  // Counts of the width and more.
  const most = v128.splat<T>(<T>(bits - 1));
  const gone = unsigned ? zero : v128.and(v128.lt<T>(x, zero), v128.gt<T>(right, most));
  return v128.bitselect(gone, r, v128.or(v128.gt<T>(left, most), v128.gt<T>(right, most)));
}
// The negative of -128 is itself: as a count -127 is as good.
export function a64_sshl_8(a: v128, b: v128): v128 {
  return narrowShift<i8>(a, v128.max<i8>(b, i8x16.splat(-127)), 8, false);
}
export function a64_ushl_8(a: v128, b: v128): v128 {
  return narrowShift<i8>(a, v128.max<i8>(b, i8x16.splat(-127)), 8, true);
}
// @ts-ignore: decorator
@inline
function lowBytes(b: v128): v128 {
  return i16x8.shr_s(i16x8.shl(b, 8), 8);
}
export function a64_sshl_16(a: v128, b: v128): v128 {
  return narrowShift<i16>(a, lowBytes(b), 16, false);
}
export function a64_ushl_16(a: v128, b: v128): v128 {
  return narrowShift<i16>(a, lowBytes(b), 16, true);
}
// @ts-ignore: decorator
@inline
function signedShift<T>(x: T, n: i32): T {
  const bits = <i32>(sizeof<T>() * 8);
  if (n < 0) return x >> <T>min(-n, bits - 1);
  return n < bits ? x << <T>n : 0;
}
// @ts-ignore: decorator
@inline
function unsignedShift<T>(x: T, n: i32): T {
  const bits = <i32>(sizeof<T>() * 8);
  if (n < 0) return -n < bits ? x >> <T>-n : 0;
  return n < bits ? x << <T>n : 0;
}
export function a64_sshl_32(a: v128, b: v128): v128 {
  return i32x4(
    signedShift<i32>(i32x4.extract_lane(a, 0), i8x16.extract_lane_s(b, 0)),
    signedShift<i32>(i32x4.extract_lane(a, 1), i8x16.extract_lane_s(b, 4)),
    signedShift<i32>(i32x4.extract_lane(a, 2), i8x16.extract_lane_s(b, 8)),
    signedShift<i32>(i32x4.extract_lane(a, 3), i8x16.extract_lane_s(b, 12)),
  );
}
export function a64_ushl_32(a: v128, b: v128): v128 {
  let r = a;
  r = i32x4.replace_lane(r, 0, unsignedShift<u32>(i32x4.extract_lane(a, 0), i8x16.extract_lane_s(b, 0)));
  r = i32x4.replace_lane(r, 1, unsignedShift<u32>(i32x4.extract_lane(a, 1), i8x16.extract_lane_s(b, 4)));
  r = i32x4.replace_lane(r, 2, unsignedShift<u32>(i32x4.extract_lane(a, 2), i8x16.extract_lane_s(b, 8)));
  return i32x4.replace_lane(r, 3, unsignedShift<u32>(i32x4.extract_lane(a, 3), i8x16.extract_lane_s(b, 12)));
}
export function a64_sshl_64(a: v128, b: v128): v128 {
  return i64x2(
    signedShift<i64>(i64x2.extract_lane(a, 0), i8x16.extract_lane_s(b, 0)),
    signedShift<i64>(i64x2.extract_lane(a, 1), i8x16.extract_lane_s(b, 8)),
  );
}
export function a64_ushl_64(a: v128, b: v128): v128 {
  return i64x2(
    unsignedShift<u64>(i64x2.extract_lane(a, 0), i8x16.extract_lane_s(b, 0)),
    unsignedShift<u64>(i64x2.extract_lane(a, 1), i8x16.extract_lane_s(b, 8)),
  );
}

/** SQDMULL (kind 0), SQDMLAL (1), SQDMLSL (2) of low halves; `size` is that of the factors. */
export function a64_qdmull(kind: u32, size: u32, a: v128, b: v128, c: v128): v128 {
  v128.store(A, a);
  v128.store(B, b);
  v128.store(C, c);
  const bits: u32 = 16 << size;
  for (let k: u32 = 0; k < 8; k += 1 << size) {
    const p = signedLane(A + k, size) * signedLane(B + k, size);
    let r: i64;
    if (bits == 64) r = p == 0x4000000000000000 ? limit(64, false, false) : p << 1;
    else r = saturate(p << 1, bits, false);
    if (kind) {
      const acc = signedLane(C + (k << 1), size + 1);
      r = kind == 1 ? addSaturating(acc, r, bits, false) : subtractSaturating(acc, r, bits, false);
    }
    put(R + (k << 1), size + 1, r);
  }
  return v128.load(R);
}

/** Polynomial products of bytes, low 8 bits. */
export function a64_pmul(a: v128, b: v128): v128 {
  let r = i64x2.splat(0);
  for (let k: i32 = 0; k < 8; k++) {
    const bit = v128.and(i8x16.shr_u(b, k), i8x16.splat(1));
    r = v128.xor(r, v128.and(i8x16.shl(a, k), i8x16.neg(bit)));
  }
  return r;
}
/** Of the low 8 bytes, 16 bits each. */
export function a64_pmull_8(a: v128, b: v128): v128 {
  const x = i16x8.extend_low_i8x16_u(a);
  const y = i16x8.extend_low_i8x16_u(b);
  let r = i64x2.splat(0);
  for (let k: i32 = 0; k < 8; k++) {
    const bit = v128.and(i16x8.shr_u(y, k), i16x8.splat(1));
    r = v128.xor(r, v128.and(i16x8.shl(x, k), i16x8.neg(bit)));
  }
  return r;
}
/** Of two 64-bit polynomials: four bits at a time. */
export function a64_pmull_64(a: u64, b: u64): v128 {
  let low: u64 = 0;
  let high: u64 = 0;
  // Multiples of a by polynomials of degree below 4, 67 bits.
  const TABLE = POLYNOMIALS;
  store<u64>(TABLE, 0, 0);
  store<u64>(TABLE, 0, 8);
  for (let k: u32 = 1; k < 16; k++) {
    const half = TABLE + ((k >> 1) << 4);
    const l = load<u64>(half);
    store<u64>(TABLE + (k << 4), (l << 1) ^ (k & 1 ? a : 0));
    store<u64>(TABLE + (k << 4), (load<u64>(half, 8) << 1) | (l >> 63), 8);
  }
  for (let k: i32 = 60; k >= 0; k -= 4) {
    high = (high << 4) | (low >> 60);
    low <<= 4;
    const entry = TABLE + ((<u32>(b >> k) & 15) << 4);
    low ^= load<u64>(entry);
    high ^= load<u64>(entry, 8);
  }
  return i64x2(low, high);
}
const POLYNOMIALS = memory.data(256, 16);
