// x87 control: environment and state in memory (SDM volume 1, 8.1.10 and 8.1.11), and FXSAVE's part of it.

import { accessible, EXIT_FAULT, EXIT_NONE, PAGE_READ, PAGE_WRITE } from './memory';
import { aC, NORMAL, unpack80, ZERO } from './softfloat';
import { FCW, FDP, FIP, FOP, FPR, FSW, FTOP, FTW, summarized } from './x87-state';

/** Linux' selectors in user mode. */
const CS: u32 = 0x33;
const DS: u32 = 0x2b;

/** Bit 6 of the control word reads as 1, the other reserved ones as 0. */
export function setControl(at: u32, value: u32): void {
  const control = (value & 0x1f3f) | 0x40;
  store<u32>(at + FCW, control);
  store<u32>(at + FSW, summarized(load<u32>(at + FSW), control));
}

export function statusWord(at: u32): u32 {
  return load<u32>(at + FSW) | ((load<u32>(at + FTOP) & 7) << 11);
}
export function setStatusWord(at: u32, value: u32): void {
  store<u32>(at + FSW, summarized(value & 0xc7ff, load<u32>(at + FCW)));
  store<u32>(at + FTOP, (value >> 11) & 7);
}

/** FNINIT. */
export function initialize(at: u32): void {
  store<u32>(at + FCW, 0x37f);
  store<u32>(at + FSW, 0);
  store<u32>(at + FTOP, 0);
  store<u32>(at + FTW, 0);
  store<u32>(at + FOP, 0);
  store<u64>(at + FIP, 0);
  store<u64>(at + FDP, 0);
}

/** The tag word with two bits a register: 0 valid, 1 zero, 2 special, 3 empty. */
function fullTags(at: u32): u32 {
  const abridged = load<u32>(at + FTW);
  let word: u32 = 0;
  for (let k: u32 = 0; k < 8; k++) {
    let tag: u32 = 3;
    if ((abridged >> k) & 1) {
      unpack80(load<u64>(at + FPR + (k << 4)), load<u16>(at + FPR + (k << 4), 8));
      tag = aC == NORMAL ? 0 : aC == ZERO ? 1 : 2;
    }
    word |= tag << (k << 1);
  }
  return word;
}

/** Bytes of the environment. */
export function environmentBytes(short: bool): u32 {
  return short ? 14 : 28;
}

function storeEnvironment(at: u32, p: u32, short: bool): void {
  const control = load<u32>(at + FCW);
  const status = statusWord(at);
  const tag = fullTags(at);
  const ip = load<u32>(at + FIP);
  const dp = load<u32>(at + FDP);
  const opcode = load<u32>(at + FOP) & 0x7ff;
  // There are no slots for the selectors: they come with the pointers.
  const cs: u32 = ip ? CS : 0;
  const ds: u32 = dp ? DS : 0;
  if (short) {
    store<u16>(p, control);
    store<u16>(p, status, 2);
    store<u16>(p, tag, 4);
    store<u16>(p, ip, 6);
    store<u16>(p, cs, 8);
    store<u16>(p, dp, 10);
    store<u16>(p, ds, 12);
    return;
  }
  store<u32>(p, control | 0xffff0000);
  store<u32>(p, status | 0xffff0000, 4);
  store<u32>(p, tag | 0xffff0000, 8);
  store<u32>(p, ip, 12);
  store<u32>(p, (opcode << 16) | cs, 16);
  store<u32>(p, dp, 20);
  store<u32>(p, 0xffff0000 | ds, 24);
}

function loadEnvironment(at: u32, p: u32, short: bool): void {
  const step: u32 = short ? 2 : 4;
  setControl(at, load<u16>(p));
  setStatusWord(at, load<u16>(p + step));
  const word = <u32>load<u16>(p + 2 * step);
  let abridged: u32 = 0;
  for (let k: u32 = 0; k < 8; k++) if (((word >> (k << 1)) & 3) != 3) abridged |= 1 << k;
  store<u32>(at + FTW, abridged);
  if (short) {
    store<u64>(at + FIP, load<u16>(p, 6));
    store<u64>(at + FDP, load<u16>(p, 10));
    return;
  }
  store<u64>(at + FIP, load<u32>(p, 12));
  store<u32>(at + FOP, (load<u32>(p, 16) >> 16) & 0x7ff);
  store<u64>(at + FDP, load<u32>(p, 20));
}

/** FNSTENV: masks every exception after storing. */
export function saveEnvironment(at: u32, address: u64, short: bool): i32 {
  if (!accessible(at, address, environmentBytes(short), PAGE_WRITE)) return EXIT_FAULT;
  storeEnvironment(at, <u32>address, short);
  setControl(at, load<u32>(at + FCW) | 0x3f);
  return EXIT_NONE;
}

export function restoreEnvironment(at: u32, address: u64, short: bool): i32 {
  if (!accessible(at, address, environmentBytes(short), PAGE_READ)) return EXIT_FAULT;
  loadEnvironment(at, <u32>address, short);
  return EXIT_NONE;
}

/** FNSAVE: environment and registers, then FNINIT. */
export function saveState(at: u32, address: u64, short: bool): i32 {
  const head = environmentBytes(short);
  if (!accessible(at, address, head + 80, PAGE_WRITE)) return EXIT_FAULT;
  storeEnvironment(at, <u32>address, short);
  storeRegisters(at, <u32>address + head, 10);
  initialize(at);
  return EXIT_NONE;
}

export function restoreState(at: u32, address: u64, short: bool): i32 {
  const head = environmentBytes(short);
  if (!accessible(at, address, head + 80, PAGE_READ)) return EXIT_FAULT;
  loadEnvironment(at, <u32>address, short);
  loadRegisters(at, <u32>address + head, 10);
  return EXIT_NONE;
}

/** The registers in stack order, 10 bytes each, every `stride` bytes. */
export function storeRegisters(at: u32, p: u32, stride: u32): void {
  const first = load<u32>(at + FTOP);
  for (let k: u32 = 0; k < 8; k++) {
    const from = at + FPR + (((first + k) & 7) << 4);
    store<u64>(p, load<u64>(from));
    store<u16>(p, load<u16>(from, 8), 8);
    p += stride;
  }
}
export function loadRegisters(at: u32, p: u32, stride: u32): void {
  const first = load<u32>(at + FTOP);
  for (let k: u32 = 0; k < 8; k++) {
    const to = at + FPR + (((first + k) & 7) << 4);
    store<u64>(to, load<u64>(p));
    store<u16>(to, load<u16>(p, 8), 8);
    p += stride;
  }
}
