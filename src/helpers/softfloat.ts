// Soft floating point: numbers taken apart, exact results, and the one place where they are rounded. A finite number is
// (-1)^sign * m / 2^63 * 2^e with bit 63 of m set; a result has 64 more bits `zl` below zm, of which the last is sticky (it
// stands for everything further down). Work is done in globals: helpers run to completion on one thread.

/** Classes of numbers. `bad` are the 80-bit encodings that are no numbers: unnormals, pseudo-infinities, pseudo-NaNs. */
export const ZERO: u32 = 0;
export const NORMAL: u32 = 1;
export const DENORMAL: u32 = 2;
export const INF: u32 = 3;
export const QNAN: u32 = 4;
export const SNAN: u32 = 5;
export const BAD: u32 = 6;

/** Exceptions as MXCSR and the x87 status word have them. */
export const IE: u32 = 1;
export const DE: u32 = 2;
export const ZE: u32 = 4;
export const OE: u32 = 8;
export const UE: u32 = 16;
export const PE: u32 = 32;

/** Rounding modes as MXCSR and the x87 control word have them. */
export const NEAREST: u32 = 0;
export const DOWN: u32 = 1;
export const UP: u32 = 2;
export const CHOP: u32 = 3;

export const TOP: u64 = 0x8000000000000000;
export const QUIET: u64 = 0x4000000000000000;

// Operands.
export let aS: u32 = 0;
export let aC: u32 = 0;
export let aE: i32 = 0;
export let aM: u64 = 0;
export let bS: u32 = 0;
export let bC: u32 = 0;
export let bE: i32 = 0;
export let bM: u64 = 0;

// The result.
export let zS: u32 = 0;
export let zC: u32 = 0;
export let zE: i32 = 0;
export let zM: u64 = 0;
export let zL: u64 = 0;

// The environment of the operation.
export let rounding: u32 = 0;
/** Exceptions that are not masked. */
export let unmasked: u32 = 0;
/** Tiny results become zero (MXCSR.FTZ). */
export let flushToZero: bool = false;
/** Denormal operands are zero (MXCSR.DAZ). */
export let denormalsAreZero: bool = false;

/** Exceptions raised so far. */
export let flags: u32 = 0;
/** The last rounding went away from zero. */
export let roundedUp: bool = false;

export function setEnvironment(rc: u32, notMasked: u32, ftz: bool, daz: bool): void {
  rounding = rc;
  unmasked = notMasked;
  flushToZero = ftz;
  denormalsAreZero = daz;
  flags = 0;
  roundedUp = false;
}

/** High half of a product of 64-bit numbers. */
export function mulHigh(a: u64, b: u64): u64 {
  const a0 = a & 0xffffffff;
  const a1 = a >> 32;
  const b0 = b & 0xffffffff;
  const b1 = b >> 32;
  const middle = a1 * b0 + ((a0 * b0) >> 32);
  const low = a0 * b1 + (middle & 0xffffffff);
  return a1 * b1 + (middle >> 32) + (low >> 32);
}

// Unpacking. The first operand's globals are `a`, the second's `b`.

function denormal(m: u64, e: i32): void {
  if (denormalsAreZero) {
    aC = ZERO;
    return;
  }
  const n = <i32>clz(m);
  aC = DENORMAL;
  aM = m << n;
  aE = e - n;
}

export function unpack32(x: u32): void {
  aS = x >> 31;
  const e = (x >> 23) & 0xff;
  const m = <u64>x << 40; // The lowest bit of the exponent falls on bit 63.
  if (e == 0) {
    if (m == 0) aC = ZERO;
    else denormal(m, -126);
    return;
  }
  aM = m | TOP;
  aE = <i32>e - 127;
  if (e != 0xff) aC = NORMAL;
  else if ((x & 0x7fffff) == 0) aC = INF;
  else aC = x & 0x400000 ? QNAN : SNAN;
}

export function unpack64(x: u64): void {
  aS = <u32>(x >> 63);
  const e = <i32>(x >> 52) & 0x7ff;
  const fraction = x & 0xfffffffffffff;
  if (e == 0) {
    if (fraction == 0) aC = ZERO;
    else denormal(fraction << 11, -1022);
    return;
  }
  aM = (fraction << 11) | TOP;
  aE = e - 1023;
  if (e != 0x7ff) aC = NORMAL;
  else if (fraction == 0) aC = INF;
  else aC = fraction & 0x8000000000000 ? QNAN : SNAN;
}

/** The 80-bit format: significand, then sign and exponent. */
export function unpack80(m: u64, se: u32): void {
  aS = (se >> 15) & 1;
  const e = <i32>(se & 0x7fff);
  aM = m;
  aE = e - 16383;
  if (e == 0) {
    if (m == 0) aC = ZERO;
    else denormal(m, -16382);
  } else if (m & TOP) {
    if (e != 0x7fff) aC = NORMAL;
    else if (m << 1 == 0) aC = INF;
    else aC = m & QUIET ? QNAN : SNAN;
  } else aC = BAD;
}

/** What was unpacked becomes the second operand. */
export function toSecond(): void {
  bS = aS;
  bC = aC;
  bE = aE;
  bM = aM;
}
/** The operands change places. */
export function swapOperands(): void {
  const s = aS;
  const c = aC;
  const e = aE;
  const m = aM;
  aS = bS;
  aC = bC;
  aE = bE;
  aM = bM;
  bS = s;
  bC = c;
  bE = e;
  bM = m;
}

/** The operand as the result, exactly. */
export function resultA(): void {
  zS = aS;
  zC = aC == DENORMAL ? NORMAL : aC;
  zE = aE;
  zM = aM;
  zL = 0;
}
export function resultB(): void {
  zS = bS;
  zC = bC == DENORMAL ? NORMAL : bC;
  zE = bE;
  zM = bM;
  zL = 0;
}
export function resultSpecial(kind: u32, sign: u32): void {
  zC = kind;
  zS = sign;
  zM = TOP;
  zL = 0;
}
/** The default NaN, and the invalid-operation exception. */
export function invalid(): void {
  flags |= IE;
  zC = QNAN;
  zS = 1;
  zM = TOP | QUIET;
}
/** A NaN operand as the result: made quiet. */
export function quietA(): void {
  zC = QNAN;
  zS = aS;
  zM = aM | QUIET;
}
export function quietB(): void {
  zC = QNAN;
  zS = bS;
  zM = bM | QUIET;
}

// Rounding.

/** Shifts zM:zL right, jamming what falls out into the sticky bit. */
export function shiftRightJam(n: u32): void {
  if (n == 0) return;
  if (n < 64) {
    const lost = zL << (64 - n);
    zL = (zM << (64 - n)) | (zL >> n) | u64(lost != 0);
    zM >>= n;
  } else if (n < 128) {
    const lost = n == 64 ? zL : zL | (zM << (128 - n));
    zL = (n == 64 ? zM : zM >> (n - 64)) | u64(lost != 0);
    zM = 0;
  } else {
    zL = u64((zM | zL) != 0);
    zM = 0;
  }
}

/** Rounds zM:zL to the first `p` bits of zM; gives whether that was inexact. A carry out of the top is put into zE. */
function roundBits(p: u32): bool {
  let inexact: bool;
  let up: bool;
  let unit: u64;
  const m = zM;
  if (p == 64) {
    inexact = zL != 0;
    up = zL > TOP || (zL == TOP && (m & 1) != 0);
    unit = 1;
  } else {
    const s = 64 - p;
    unit = <u64>1 << s;
    const rest = (m & (unit - 1)) | u64(zL != 0);
    const half = unit >> 1;
    inexact = rest != 0;
    up = rest > half || (rest == half && (m & unit) != 0);
  }
  if (rounding != NEAREST) up = inexact && rounding == (zS ? DOWN : UP);
  roundedUp = up;
  zL = 0;
  zM = m & (0 - unit);
  if (up) {
    zM += unit;
    if (zM == 0) {
      zM = TOP;
      zE++;
    }
  }
  return inexact;
}

/** What unmasked overflow and underflow add to the exponent of an 80-bit result in a register (SDM volume 1, 8.5.4). */
const BIAS: i32 = 24576;

/**
 * Rounds the result to `p` bits and the exponent range of a format, and raises OE, UE and PE. Tininess is detected after
 * rounding (SDM volume 1, 4.9.1.5). A denormal result has exponent `emin` and bit 63 of zM clear.
 */
export function round(p: u32, emin: i32, emax: i32): void {
  if (zC != NORMAL) return;
  const m = zM;
  const l = zL;
  const e = zE;
  let inexact = roundBits(p);
  if (zE < emin) {
    if (unmasked & UE) {
      flags |= UE | (inexact ? PE : 0);
      zE += BIAS;
      // Too small even so, which only FSCALE brings about.
      if (zE < emin) {
        zC = ZERO;
        flags |= PE;
        roundedUp = false;
      }
      return;
    }
    if (flushToZero) {
      flags |= UE | PE;
      zC = ZERO;
      return;
    }
    zM = m;
    zL = l;
    zE = emin;
    shiftRightJam(emin - e);
    inexact = roundBits(p);
    if (inexact) flags |= UE | PE;
    if (zM == 0) zC = ZERO;
    return;
  }
  if (zE > emax) {
    if (unmasked & OE) {
      flags |= OE | (inexact ? PE : 0);
      zE -= BIAS;
      if (zE > emax) {
        zC = INF;
        flags |= PE;
        roundedUp = true;
      }
      return;
    }
    flags |= OE | PE;
    roundedUp = rounding == NEAREST || rounding == (zS ? DOWN : UP);
    if (roundedUp) zC = INF;
    else {
      zM = <u64>-1 << (64 - p);
      zE = emax;
    }
    return;
  }
  if (inexact) flags |= PE;
}

// Packing.

export function pack32(): u32 {
  round(24, -126, 127);
  const s = zS << 31;
  switch (zC) {
    case ZERO:
      return s;
    case INF:
      return s | 0x7f800000;
    case QNAN:
      return s | 0x7f800000 | (<u32>(zM >> 40) & 0x7fffff);
  }
  const e = zM & TOP ? <u32>(zE + 127) << 23 : 0;
  return s | e | (<u32>(zM >> 40) & 0x7fffff);
}

export function pack64(): u64 {
  round(53, -1022, 1023);
  const s = <u64>zS << 63;
  switch (zC) {
    case ZERO:
      return s;
    case INF:
      return s | 0x7ff0000000000000;
    case QNAN:
      return s | 0x7ff0000000000000 | ((zM >> 11) & 0xfffffffffffff);
  }
  const e = zM & TOP ? <u64>(zE + 1023) << 52 : 0;
  return s | e | ((zM >> 11) & 0xfffffffffffff);
}

/** Rounds to the 80-bit format with a significand of `p` bits: then zM is the significand and the result sign and exponent. */
export function pack80(p: u32): u32 {
  round(p, -16382, 16383);
  const s = zS << 15;
  switch (zC) {
    case ZERO:
      zM = 0;
      return s;
    case INF:
      zM = TOP;
      return s | 0x7fff;
    case QNAN:
      return s | 0x7fff;
  }
  return s | (zM & TOP ? <u32>(zE + 16383) : 0);
}
