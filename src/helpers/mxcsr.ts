// MXCSR, and the choice between translated and exact floating point. docs/floating-point.md has the rule and its reasons.

import { accessible, EXIT_FAULT, EXIT_MODE, EXIT_NONE, PAGE_WRITE, raise, TRAP_PROTECTION } from './memory';

// Slots: src/translator/x86_64/state.ts and ops-softfloat.ts.
const SLOT_PC: u32 = 0;
const MXCSR: u32 = 0x140;
const FP_EXACT: u32 = 0x144;
const FP_HISTORY: u32 = 0x148;

const FLAGS: u32 = 0x3f;
const INEXACT: u32 = 0x20;
/** Round to nearest, everything masked, no FTZ, no DAZ. */
const DEFAULT: u32 = 0x1f80;

/** Translated floating point has been entered in this address space: flags that it would have raised are not known. */
let floatUsed: bool = false;
/** The runtime calls this when it first translates a block with operations that raise flags. */
export function x86_float_used(): void {
  floatUsed = true;
}
function historyOf(cpu: u32): u32 {
  const history = load<u32>(cpu + FP_HISTORY) | (floatUsed ? TOUCHED : 0);
  store<u32>(cpu + FP_HISTORY, history);
  return history;
}

// FP_HISTORY.
/** `floatUsed`, remembered through fork. */
const TOUCHED: u32 = 1;
/** The guest cleared a flag: from then on they must be right. */
const TRACKED: u32 = 2;
/** It did so together with a change of mode, as feholdexcept_setround in the C library does around one computation. */
const SCOPED: u32 = 4;
/** Since then it has seen just the flags that it saw before, so that a value with them says nothing about its origin. */
const SEEN: u32 = 8;
/** Bits 8 to 13: the flags it saw when translated floating point was left. */
const BEFORE: u32 = 8;

/** MXCSR as the guest sees it. In translated code nobody keeps the flags; nearly all code has had inexact results. */
export function visibleMxcsr(cpu: u32): u32 {
  const value = load<u32>(cpu + MXCSR);
  const history = historyOf(cpu);
  if (load<u32>(cpu + FP_EXACT) == 0) return history & TOUCHED ? value | INEXACT : value;
  if ((value & FLAGS) == ((history >> BEFORE) & FLAGS)) store<u32>(cpu + FP_HISTORY, history | SEEN);
  return value;
}

/** Sets MXCSR to a valid value; true if the mode changed. */
export function setMxcsr(cpu: u32, value: u32): bool {
  const history = historyOf(cpu);
  const plain = (value & ~FLAGS) == DEFAULT;
  const given = value & FLAGS;
  if (load<u32>(cpu + FP_EXACT) == 0) {
    const before = visibleMxcsr(cpu) & FLAGS;
    store<u32>(cpu + MXCSR, value);
    const cleared = (before & ~given) != 0;
    if (plain && !cleared && (history & TOUCHED || given == FLAGS)) return false;
    let next = (history & TOUCHED) | (before << BEFORE);
    if (plain) next |= TRACKED;
    else if (cleared) next |= TRACKED | SCOPED;
    store<u32>(cpu + FP_HISTORY, next);
    store<u32>(cpu + FP_EXACT, 1);
    return true;
  }
  const now = load<u32>(cpu + MXCSR) & FLAGS;
  const before = (history >> BEFORE) & FLAGS;
  store<u32>(cpu + MXCSR, value);
  if (plain) {
    const kept = (before & ~given) == 0;
    let back: bool;
    if (!(history & TRACKED)) back = kept;
    else if (history & SCOPED) back = kept;
    else back = before != 0 && given == before && !(history & SEEN);
    if (back || given == FLAGS) {
      store<u32>(cpu + FP_HISTORY, history & TOUCHED);
      store<u32>(cpu + FP_EXACT, 0);
      return true;
    }
    store<u32>(cpu + FP_HISTORY, (history & ~SCOPED) | TRACKED);
  } else if (now & ~given) store<u32>(cpu + FP_HISTORY, (history & ~SCOPED) | TRACKED);
  return false;
}

/** FXRSTOR's part: the dynamic loader's trampolines put back what was there, which is no request for anything. */
export function restoreMxcsr(cpu: u32, value: u32): bool {
  const now = load<u32>(cpu + FP_EXACT) ? load<u32>(cpu + MXCSR) : visibleMxcsr(cpu);
  return now != value && setMxcsr(cpu, value);
}

/** LDMXCSR. `next` is the address of the next instruction. Reserved bits are refused before anything else is done. */
export function x86_ldmxcsr(cpu: u32, value: u32, next: u64): i32 {
  if (value & 0xffff0000) return raise(cpu, TRAP_PROTECTION);
  if (!setMxcsr(cpu, value)) return EXIT_NONE;
  store<u64>(cpu + SLOT_PC, next);
  return EXIT_MODE;
}

export function x86_stmxcsr(cpu: u32, address: u64): i32 {
  if (!accessible(cpu, address, 4, PAGE_WRITE)) return EXIT_FAULT;
  store<u32>(<u32>address, visibleMxcsr(cpu));
  return EXIT_NONE;
}
