// FPCR and FPSR (Arm ARM, C5.2), slots of src/translator/aarch64/state.ts.
import { EXIT_MODE, EXIT_NONE } from './memory';

const SLOT_PC: u32 = 0x00;
const FPCR: u32 = 0x1a8;
const FPSR: u32 = 0x1ac;
const FP_EXACT: u32 = 0x1b8;
const FP_HISTORY: u32 = 0x1d0;

/** AHP, DN, FZ, RMode. Traps and half-precision flush (FZ16) are not there. */
const FPCR_BITS: u32 = 0x07c00000;
/** QC, IDC, IXC, UFC, OFC, DZC, IOC. */
const FPSR_BITS: u32 = 0x0800009f;

/** Translated floating point has been entered in this address space: flags that it would have raised are not known. */
let floatUsed: bool = false;
/** The runtime calls this when it first translates a block with operations that raise flags. */
export function a64_float_used(): void {
  floatUsed = true;
}

// FP_HISTORY. The rule and its reasons: docs/floating-point.md.
/** `floatUsed`, remembered through fork. */
const TOUCHED: u32 = 1;
/** The guest has looked at the flags, or cleared some: from then on they must be right. */
const TRACKED: u32 = 2;
/** It has cleared some. */
const CLEARED: u32 = 4;
/** Since then it has seen just the flags of before, so that a value with them says nothing about its origin. */
const SEEN: u32 = 8;
/** Bits 8 to 15: the flags when translated floating point was left. */
const BEFORE: u32 = 8;

const FLAGS: u32 = 0x9f;
const INEXACT: u32 = 0x10;

/** Leaves translated floating point: the flags are what they were, and inexact if there has been any. Gives the history. */
function leaveFast(cpu: u32): u32 {
  const old = load<u32>(cpu + FP_HISTORY) | (floatUsed ? TOUCHED : 0);
  const fpsr = load<u32>(cpu + FPSR) | (old & TOUCHED ? INEXACT : 0);
  store<u32>(cpu + FPSR, fpsr);
  return (old & TOUCHED) | ((fpsr & FLAGS) << BEFORE);
}
/** Puts the mode in force; leaves for code of the other flavour if it is another. */
function enforce(cpu: u32, history: u32, next: u64): i32 {
  const exact = u32(load<u32>(cpu + FPCR) != 0 || (history & TRACKED) != 0);
  store<u32>(cpu + FP_HISTORY, exact ? history : history & TOUCHED);
  if (load<u32>(cpu + FP_EXACT) == exact) return EXIT_NONE;
  store<u32>(cpu + FP_EXACT, exact);
  store<u64>(cpu + SLOT_PC, next);
  return EXIT_MODE;
}

export function a64_set_fpcr(cpu: u32, value: u64, next: u64): i32 {
  const fpcr = <u32>value & FPCR_BITS;
  let history = load<u32>(cpu + FP_HISTORY);
  if (fpcr && !load<u32>(cpu + FP_EXACT)) history = leaveFast(cpu);
  store<u32>(cpu + FPCR, fpcr);
  return enforce(cpu, history, next);
}

export function a64_set_fpsr(cpu: u32, value: u64, next: u64): i32 {
  const fast = load<u32>(cpu + FP_EXACT) == 0;
  let history = fast ? leaveFast(cpu) : load<u32>(cpu + FP_HISTORY);
  const before = (history >> BEFORE) & FLAGS;
  const given = <u32>value & FLAGS;
  const cleared = (load<u32>(cpu + FPSR) & FLAGS & ~given) != 0;
  store<u32>(cpu + FPSR, <u32>value & FPSR_BITS);
  // Nothing can change any more where all are set. What was before is an environment that is put back.
  if (given == FLAGS || (!fast && (history & (CLEARED | SEEN)) == CLEARED && before != 0 && given == before))
    history &= ~(TRACKED | CLEARED | SEEN);
  else if (cleared || (fast && !(history & TOUCHED))) history = (history | TRACKED | CLEARED) & ~(cleared ? SEEN : 0);
  return enforce(cpu, history, next);
}

/** FPSR into a register. `word`: the address of the next instruction, the register's slot from bit 48. */
export function a64_watch_fpsr(cpu: u32, word: u64): i32 {
  let history: u32;
  if (load<u32>(cpu + FP_EXACT) == 0) history = leaveFast(cpu);
  else {
    history = load<u32>(cpu + FP_HISTORY);
    if (history & CLEARED && (load<u32>(cpu + FPSR) & FLAGS) == ((history >> BEFORE) & FLAGS)) history |= SEEN;
  }
  store<u64>(cpu + <u32>(word >> 48), load<u32>(cpu + FPSR));
  return enforce(cpu, history | TRACKED, word & 0xffffffffffff);
}
