// The x87 register stack, control, status and tag words (SDM volume 1, chapter 8), and the frame of every instruction:
// begin, unpack, compute, store, finish. Nothing of the guest's state changes before the instruction can no longer fault.

import { raise, TRAP_X87 } from './memory';
import {
  aC, aM, aS, BAD, bC, bM, bS, DE, flags, IE, invalid, pack80, PE, QNAN, QUIET, quietA, quietB, roundedUp, setEnvironment, SNAN, TOP, toSecond, unmasked,
  unpack80, ZE, zM,
} from './softfloat';

// Slots: src/translator/x86_64/state.ts.
export const CC_OP: u32 = 0x100;
export const CC_RES: u32 = 0x118;
export const FPR: u32 = 0x280;
export const FCW: u32 = 0x300;
export const FSW: u32 = 0x304;
export const FTOP: u32 = 0x308;
export const FTW: u32 = 0x30c;
export const FOP: u32 = 0x310;
export const FIP: u32 = 0x318;
export const FDP: u32 = 0x320;

// Status word.
export const SF: u32 = 0x40;
export const ES: u32 = 0x80;
export const C0: u32 = 0x100;
export const C1: u32 = 0x200;
export const C2: u32 = 0x400;
export const C3: u32 = 0x4000;
export const BUSY: u32 = 0x8000;

/** The default NaN ("real indefinite"). */
export const INDEFINITE: u64 = TOP | QUIET;
export const INDEFINITE_SE: u32 = 0xffff;

// The instruction being executed.
export let cpu: u32 = 0;
export let top: u32 = 0;
export let tags: u32 = 0;
export let fcw: u32 = 0;
/** Status word: the flags raised are added by `finish`. */
export let fsw: u32 = 0;
/** Significand bits under precision control. */
export let precision: u32 = 64;

/** Takes up the state; false if an unmasked exception is pending (then the instruction raises it). */
export function begin(at: u32): bool {
  cpu = at;
  fsw = load<u32>(at + FSW);
  fcw = load<u32>(at + FCW);
  top = load<u32>(at + FTOP) & 7;
  tags = load<u32>(at + FTW);
  const pc = (fcw >> 8) & 3;
  precision = pc == 0 ? 24 : pc == 2 ? 53 : 64;
  setEnvironment((fcw >> 10) & 3, ~fcw & 0x3f, false, false);
  if (fsw & ES) return false;
  fsw &= ~C1;
  return true;
}

/** For the instructions that leave C1 as it was. */
export function keepCondition1(): void {
  fsw |= load<u32>(cpu + FSW) & C1;
}

export function pending(at: u32): i32 {
  return raise(at, TRAP_X87);
}

/** Stores status, top and tags. */
export function finish(): i32 {
  fsw |= flags;
  store<u32>(cpu + FSW, summarized(fsw, fcw));
  store<u32>(cpu + FTOP, top);
  store<u32>(cpu + FTW, tags);
  return 0;
}
/** The same after an arithmetic instruction: C1 tells of rounding up. */
export function finishRounded(): i32 {
  if (roundedUp && flags & PE) fsw |= C1;
  return finish();
}

/** A status word with the summary bits as its flags and the masks want them. */
export function summarized(status: u32, control: u32): u32 {
  return status & ~control & 0x3f ? status | ES | BUSY : status & ~(ES | BUSY);
}

export function setStatus(bits: u32): void {
  fsw |= bits;
}
export function setConditions(codes: u32): void {
  fsw = (fsw & ~(C0 | C2 | C3)) | codes;
}

/** Sets C2, with C2 or 0. */
export function setCondition2(code: u32): void {
  fsw = (fsw & ~C2) | code;
}

// The stack.

export function physical(i: u32): u32 {
  return (top + i) & 7;
}
export function slot(i: u32): u32 {
  return cpu + FPR + (physical(i) << 4);
}
export function empty(i: u32): bool {
  return ((tags >> physical(i)) & 1) == 0;
}
export function free(i: u32): void {
  tags &= ~(1 << physical(i));
}
export function put(i: u32, m: u64, se: u32): void {
  const at = slot(i);
  store<u64>(at, m);
  store<u16>(at, se, 8);
  tags |= 1 << physical(i);
}
export function pop(): void {
  free(0);
  top = (top + 1) & 7;
}
export function moveTop(by: i32): void {
  top = (top + by) & 7;
}
export function significand(i: u32): u64 {
  return load<u64>(slot(i));
}
export function signExponent(i: u32): u32 {
  return load<u16>(slot(i), 8);
}
/** ST(i) as the first operand. */
export function unpackST(i: u32): void {
  unpack80(significand(i), signExponent(i));
}

// Stack faults.

/** Records a stack fault; true if the response is masked. */
export function stackFault(overflow: bool): bool {
  fsw |= SF;
  flags |= IE;
  if (overflow) fsw |= C1;
  return (unmasked & IE) == 0;
}
/** An operand is missing: masked, ST(i) becomes the default NaN. True if masked. */
export function underflowTo(i: u32): bool {
  if (!stackFault(false)) return false;
  put(i, INDEFINITE, INDEFINITE_SE);
  return true;
}
/** Whether a push would overflow. */
export function full(): bool {
  return !empty(7);
}
export function push(m: u64, se: u32): void {
  top = (top - 1) & 7;
  put(0, m, se);
}
/** Pushes after looking for overflow, whose masked response is the default NaN. */
export function pushChecked(m: u64, se: u32): void {
  if (full()) {
    if (stackFault(true)) push(INDEFINITE, INDEFINITE_SE);
  } else push(m, se);
}

// Exceptions.

/** True if an exception that comes before computing is not masked: the instruction changes nothing else then. */
export function refusedEarly(): bool {
  return (flags & unmasked & (IE | DE | ZE)) != 0;
}

/** Two operands, of which the result is a NaN or the operation invalid for their encoding (SDM volume 1, table 4-7). */
export function propagate(): bool {
  if (aC < QNAN && bC < QNAN) return false;
  if (aC == BAD || bC == BAD) {
    invalid();
    return true;
  }
  if (aC == SNAN || bC == SNAN) flags |= IE;
  let first: bool;
  if (bC < QNAN) first = true;
  else if (aC < QNAN) first = false;
  else if (aC != bC) first = aC == QNAN;
  else if (aM != bM) first = aM > bM;
  else first = aS <= bS;
  if (first) quietA();
  else quietB();
  return true;
}
/** The same for one operand. */
export function propagateOne(): bool {
  if (aC < QNAN) return false;
  if (aC == BAD) {
    invalid();
    return true;
  }
  if (aC == SNAN) flags |= IE;
  quietA();
  return true;
}

/** Rounds the result to `bits` and puts it into ST(i). */
export function putResult(i: u32, bits: u32): void {
  const se = pack80(bits);
  put(i, zM, se);
}
/** ST(i) as the second operand, ST(j) as the first. */
export function unpackPair(j: u32, i: u32): void {
  unpackST(i);
  toSecond();
  unpackST(j);
}
