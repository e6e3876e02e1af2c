// The Arm manual's environment of floating point (J1.1.3, shared/functions/float) for softfloat.ts's numbers: every rounding
// mode, flushing, default NaNs and cumulative exceptions. Tininess is detected before rounding.

import {
  aC, aE, aM, aS, bC, bM, bS, DENORMAL, DOWN, flags, IE, INF, NEAREST, NORMAL, QNAN, QUIET, setEnvironment,
  shiftRightJam, SNAN, TOP, toSecond, unpack32, unpack64, UP, ZE, ZERO, zC, zE, zL, zM, zS,
} from './softfloat';

// Cumulative exceptions, as FPSR has them.
export const IOC: u32 = 1;
export const DZC: u32 = 2;
export const OFC: u32 = 4;
export const UFC: u32 = 8;
export const IXC: u32 = 16;
const IDC: u32 = 128;

const AHP: u32 = 1 << 26;
const DN: u32 = 1 << 25;
const FZ: u32 = 1 << 24;

/** Rounding modes beside softfloat.ts's: nearest, ties away; to odd. */
export const CHOP: u32 = 3;
export const AWAY: u32 = 4;
export const ODD: u32 = 5;

// The environment.
export let mode: u32 = 0;
let defaultNan: bool = false;
export let flush: bool = false;
export let alternative: bool = false;
/** Exceptions raised since `begin`. */
export let raised: u32 = 0;

export function begin(fpcr: u32): void {
  // RMode: nearest, up, down, toward zero.
  const r = (fpcr >> 22) & 3;
  mode = r == 1 ? UP : r == 2 ? DOWN : r;
  defaultNan = (fpcr & DN) != 0;
  flush = (fpcr & FZ) != 0;
  alternative = (fpcr & AHP) != 0;
  raised = 0;
  setEnvironment(mode, 0, false, false);
}
/** What operations have raised, as bits of FPSR. */
export function exceptions(): u32 {
  return raised;
}
/** softfloat.ts's flags, which know only invalid operations and divisions by zero. */
export function collect(): void {
  if (flags & IE) raised |= IOC;
  if (flags & ZE) raised |= DZC;
  setEnvironment(mode, 0, false, false);
}

export function unpack(x: u64, wide: bool): void {
  if (wide) {
    if (flush && !(x & 0x7ff0000000000000) && x << 1 != 0) {
      raised |= IDC;
      unpack64(x & TOP);
    } else unpack64(x);
  } else {
    const y = <u32>x;
    if (flush && !(y & 0x7f800000) && y << 1 != 0) {
      raised |= IDC;
      unpack32(y & 0x80000000);
    } else unpack32(y);
  }
}
export function unpackBoth(a: u64, b: u64, wide: bool): void {
  unpack(b, wide);
  toSecond();
  unpack(a, wide);
}
export function unpack16(h: u32): void {
  aS = (h >> 15) & 1;
  const e = <i32>((h >> 10) & 31);
  const m = <u64>h << 54; // The fraction's top bit comes to bit 63.
  if (e == 0) {
    if (m == 0) {
      aC = ZERO;
      return;
    }
    const n = <i32>clz(m);
    aC = DENORMAL;
    aM = m << n;
    aE = -15 - n;
    return;
  }
  aM = (m >> 1) | TOP;
  aE = e - 15;
  if (e != 31 || alternative) aC = NORMAL;
  else if (m == 0) aC = INF;
  else aC = h & 0x200 ? QNAN : SNAN;
}

// NaNs.

export function defaultResult(): void {
  zC = QNAN;
  zS = 0;
  zM = TOP | QUIET;
}
export function invalid(): void {
  raised |= IOC;
  defaultResult();
}
/** A NaN operand as the result. */
export function quiet(sign: u32, significand: u64): void {
  if (defaultNan) defaultResult();
  else {
    zC = QNAN;
    zS = sign;
    zM = significand | QUIET;
  }
}
/** FPProcessNaN of the first operand: true if it is one. */
export function nanA(): bool {
  if (aC < QNAN) return false;
  if (aC == SNAN) raised |= IOC;
  quiet(aS, aM);
  return true;
}
/** FPProcessNaNs: signalling ones go first. */
export function nans(): bool {
  if (aC < QNAN && bC < QNAN) return false;
  if (aC == SNAN || bC == SNAN) raised |= IOC;
  if (aC == SNAN || (aC == QNAN && bC != SNAN)) quiet(aS, aM);
  else quiet(bS, bM);
  return true;
}

// Rounding and packing.

/** Rounds zM:zL to the first `p` bits of zM; gives whether that was inexact. */
function roundBits(p: u32): bool {
  const m = zM;
  const unit: u64 = <u64>1 << (64 - p);
  const rest = (m & (unit - 1)) | u64(zL != 0);
  const half = unit >> 1;
  const inexact = rest != 0;
  let up = false;
  if (mode == NEAREST) up = rest > half || (rest == half && (m & unit) != 0);
  else if (mode == AWAY) up = rest >= half;
  else if (mode == ODD) up = inexact && (m & unit) == 0;
  else up = inexact && mode == (zS ? DOWN : UP);
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
function round(p: u32, emin: i32, emax: i32, flushing: bool): void {
  if (zC != NORMAL) return;
  if (zE < emin) {
    if (flushing) {
      raised |= UFC;
      zC = ZERO;
      return;
    }
    shiftRightJam(emin - zE);
    zE = emin;
    if (roundBits(p)) raised |= UFC | IXC;
    if (zM == 0) zC = ZERO;
    return;
  }
  const inexact = roundBits(p);
  if (zE > emax) {
    raised |= OFC | IXC;
    if (mode == NEAREST || mode == AWAY || mode == (zS ? DOWN : UP)) zC = INF;
    else {
      zM = <u64>-1 << (64 - p);
      zE = emax;
    }
  } else if (inexact) raised |= IXC;
}
export function pack(wide: bool): u64 {
  if (wide) {
    round(53, -1022, 1023, flush);
    const s = <u64>zS << 63;
    if (zC == ZERO) return s;
    const fraction = (zM >> 11) & 0xfffffffffffff;
    if (zC == INF) return s | 0x7ff0000000000000;
    if (zC == QNAN) return s | 0x7ff0000000000000 | fraction;
    return s | (zM & TOP ? <u64>(zE + 1023) << 52 : 0) | fraction;
  }
  round(24, -126, 127, flush);
  const s = zS << 31;
  if (zC == ZERO) return s;
  const fraction = <u32>(zM >> 40) & 0x7fffff;
  if (zC == INF) return s | 0x7f800000;
  if (zC == QNAN) return s | 0x7f800000 | fraction;
  return s | (zM & TOP ? <u32>(zE + 127) << 23 : 0) | fraction;
}
export function pack16(): u64 {
  if (alternative) {
    // No infinities and NaNs: the greatest exponent is one of numbers.
    const s = zS << 15;
    if (zC == QNAN) {
      raised |= IOC;
      return s;
    }
    if (zC == ZERO) return s;
    const before = raised;
    raised = 0;
    round(11, -14, 16, false);
    if (zC == INF || raised & OFC) {
      raised = before | IOC;
      return s | 0x7fff;
    }
    raised |= before;
    if (zC == ZERO) return s;
    return s | (zM & TOP ? <u32>(zE + 15) << 10 : 0) | (<u32>(zM >> 53) & 0x3ff);
  }
  round(11, -14, 15, false);
  const s = zS << 15;
  if (zC == ZERO) return s;
  const fraction = <u32>(zM >> 53) & 0x3ff;
  if (zC == INF) return s | 0x7c00;
  if (zC == QNAN) return s | 0x7c00 | fraction;
  return s | (zM & TOP ? <u32>(zE + 15) << 10 : 0) | fraction;
}
