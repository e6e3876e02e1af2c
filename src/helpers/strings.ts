// Repeated string instructions (SDM volume 2, "REP/REPE/REPZ/REPNE/REPNZ"). They go a page at a time; RCX, RSI and RDI are
// stored after each, so that at a fault the state is that between two iterations and the instruction can go on.

import { accessible, EXIT_FAULT, EXIT_NONE, PAGE_READ, PAGE_WRITE } from './memory';

// Slots: src/translator/x86_64/state.ts.
const RAX: u32 = 0x80;
const RCX: u32 = 0x88;
const RSI: u32 = 0xb0;
const RDI: u32 = 0xb8;
const CC_OP: u32 = 0x100;
const CC_A: u32 = 0x108;
const CC_B: u32 = 0x110;
const CC_RES: u32 = 0x118;
const FS_BASE: u32 = 0x120;
const GS_BASE: u32 = 0x128;
const DF: u32 = 0x130;
const CC_SUB: u32 = 8;

// Mode word: see rows-string.ts.
const MODE_ADDRSIZE: u32 = 4;
const MODE_FS: u32 = 8;
const MODE_GS: u32 = 16;
const MODE_REPNE: u32 = 32;

// @ts-ignore: decorator
@inline
function register(cpu: u32, slot: u32, mode: u32): u64 {
  return mode & MODE_ADDRSIZE ? load<u32>(cpu + slot) : load<u64>(cpu + slot);
}
// @ts-ignore: decorator
@inline
function setRegister(cpu: u32, slot: u32, mode: u32, value: u64): void {
  store<u64>(cpu + slot, mode & MODE_ADDRSIZE ? value & 0xffffffff : value);
}
// @ts-ignore: decorator
@inline
function sourceBase(cpu: u32, mode: u32): u64 {
  return mode & MODE_FS ? load<u64>(cpu + FS_BASE) : mode & MODE_GS ? load<u64>(cpu + GS_BASE) : 0;
}

/** How many whole elements from `address` on, up or down, lie in its page; 1 for an element that crosses pages. */
// @ts-ignore: decorator
@inline
function elementsInPage(address: u64, log2: u32, down: bool): u64 {
  const offset = <u32>address & 4095;
  const room: u32 = 4096 - offset;
  if (room < (<u32>1 << log2)) return 1;
  return down ? (offset >> log2) + 1 : room >> log2;
}

// @ts-ignore: decorator
@inline
function loadElement(p: u32, log2: u32): u64 {
  switch (log2) {
    case 0:
      return load<u8>(p);
    case 1:
      return load<u16>(p);
    case 2:
      return load<u32>(p);
    default:
      return load<u64>(p);
  }
}
// @ts-ignore: decorator
@inline
function storeElement(p: u32, log2: u32, value: u64): void {
  switch (log2) {
    case 0:
      store<u8>(p, <u8>value);
      break;
    case 1:
      store<u16>(p, <u16>value);
      break;
    case 2:
      store<u32>(p, <u32>value);
      break;
    default:
      store<u64>(p, value);
  }
}

/** Copies `n` elements, one after the other in effect: a destination just above the source repeats a pattern. */
function copyElements(d: u32, s: u32, n: u32, log2: u32, down: bool): void {
  const bytes = n << log2;
  const size: u32 = 1 << log2;
  if (down) {
    const low = bytes - size;
    if (d >= s || s - d >= bytes) memory.copy(d - low, s - low, bytes);
    else for (let k: u32 = 0; k < n; k++, d -= size, s -= size) storeElement(d, log2, loadElement(s, log2));
    return;
  }
  if (d <= s || d - s >= bytes) {
    memory.copy(d, s, bytes);
    return;
  }
  const end = d + bytes;
  if (d - s >= 8) for (; d + 8 <= end; d += 8, s += 8) store<u64>(d, load<u64>(s));
  for (; d < end; d += size, s += size) storeElement(d, log2, loadElement(s, log2));
}

export function x86_rep_movs(cpu: u32, mode: u32): i32 {
  const log2 = mode & 3;
  const size: u64 = 1 << log2;
  const down = load<u32>(cpu + DF) != 0;
  const base = sourceBase(cpu, mode);
  let count = register(cpu, RCX, mode);
  let si = register(cpu, RSI, mode);
  let di = register(cpu, RDI, mode);
  while (count) {
    const s = base + si;
    const n = min(count, min(elementsInPage(s, log2, down), elementsInPage(di, log2, down)));
    if (!accessible(cpu, s, <u32>size, PAGE_READ) || !accessible(cpu, di, <u32>size, PAGE_WRITE)) return EXIT_FAULT;
    copyElements(<u32>di, <u32>s, <u32>n, log2, down);
    const step = down ? -(n << log2) : n << log2;
    count -= n;
    si += step;
    di += step;
    if (mode & MODE_ADDRSIZE) {
      si &= 0xffffffff;
      di &= 0xffffffff;
    }
    setRegister(cpu, RCX, mode, count);
    setRegister(cpu, RSI, mode, si);
    setRegister(cpu, RDI, mode, di);
  }
  return EXIT_NONE;
}

/** Stores `n` elements from `p` upwards. */
function fillElements(p: u32, n: u32, log2: u32, value: u64): void {
  const byte = value & 0xff;
  const bytes = n << log2;
  const repeated = log2 == 0 ? byte : log2 == 1 ? (value & 0xffff) * 0x0001000100010001 : log2 == 2 ? (value & 0xffffffff) * 0x0000000100000001 : value;
  if (log2 == 0 || repeated == byte * 0x0101010101010101) {
    memory.fill(p, <u8>byte, bytes);
    return;
  }
  const end = p + bytes;
  for (; p + 8 <= end; p += 8) store<u64>(p, repeated);
  for (; p < end; p += 1 << log2) storeElement(p, log2, value);
}

export function x86_rep_stos(cpu: u32, mode: u32): i32 {
  const log2 = mode & 3;
  const size: u64 = 1 << log2;
  const down = load<u32>(cpu + DF) != 0;
  const value = load<u64>(cpu + RAX);
  let count = register(cpu, RCX, mode);
  let di = register(cpu, RDI, mode);
  while (count) {
    const n = min(count, elementsInPage(di, log2, down));
    if (!accessible(cpu, di, <u32>size, PAGE_WRITE)) return EXIT_FAULT;
    const bytes = n << log2;
    fillElements(<u32>(down ? di - bytes + size : di), <u32>n, log2, value);
    count -= n;
    di += down ? -bytes : bytes;
    if (mode & MODE_ADDRSIZE) di &= 0xffffffff;
    setRegister(cpu, RCX, mode, count);
    setRegister(cpu, RDI, mode, di);
  }
  return EXIT_NONE;
}

export function x86_rep_lods(cpu: u32, mode: u32): i32 {
  const log2 = mode & 3;
  const size: u64 = 1 << log2;
  const down = load<u32>(cpu + DF) != 0;
  const base = sourceBase(cpu, mode);
  let count = register(cpu, RCX, mode);
  let si = register(cpu, RSI, mode);
  while (count) {
    const s = base + si;
    const n = min(count, elementsInPage(s, log2, down));
    if (!accessible(cpu, s, <u32>size, PAGE_READ)) return EXIT_FAULT;
    const step = down ? -(n << log2) : n << log2;
    // Only the last element is seen.
    const last = <u32>(s + step) - <u32>(down ? -size : size);
    const value = loadElement(last, log2);
    if (log2 == 2) store<u64>(cpu + RAX, value);
    else storeElement(cpu + RAX, log2, value);
    count -= n;
    si += step;
    if (mode & MODE_ADDRSIZE) si &= 0xffffffff;
    setRegister(cpu, RCX, mode, count);
    setRegister(cpu, RSI, mode, si);
  }
  return EXIT_NONE;
}

function setCompareFlags(cpu: u32, a: u64, b: u64, log2: u32): void {
  store<u64>(cpu + CC_OP, CC_SUB + log2);
  store<u64>(cpu + CC_A, a);
  store<u64>(cpu + CC_B, b);
  store<u64>(cpu + CC_RES, (a - b) & (<u64>-1 >> (64 - (8 << log2))));
}

/** Index of the first of `n` bytes at `p` that equals (`wanted`) or differs from the byte, or `n`. */
function findByte(p: u32, n: u32, byte: u8, wanted: bool): u32 {
  const pattern = i8x16.splat(byte);
  const invert: i32 = wanted ? 0 : 0xffff;
  let k: u32 = 0;
  for (; k + 16 <= n; k += 16) {
    const hits = i8x16.bitmask(i8x16.eq(v128.load(p + k), pattern)) ^ invert;
    if (hits) return k + ctz(hits);
  }
  for (; k < n; k++) if ((load<u8>(p + k) == byte) == wanted) return k;
  return n;
}

// After a fault part of the way flags are as before the instruction; the registers tell where to go on.
export function x86_rep_scas(cpu: u32, mode: u32): i32 {
  const log2 = mode & 3;
  const size: u64 = 1 << log2;
  const down = load<u32>(cpu + DF) != 0;
  const until = (mode & MODE_REPNE) != 0;
  const a = loadElement(cpu + RAX, log2);
  let count = register(cpu, RCX, mode);
  let di = register(cpu, RDI, mode);
  if (count == 0) return EXIT_NONE;
  const step = down ? -size : size;
  let v: u64 = 0;
  let found = false;
  while (count && !found) {
    const n = min(count, elementsInPage(di, log2, down));
    if (!accessible(cpu, di, <u32>size, PAGE_READ)) return EXIT_FAULT;
    let p = <u32>di;
    let k: u64 = 0;
    if (log2 == 0 && !down) {
      k = findByte(p, <u32>n, <u8>a, until);
      found = k < n;
      if (found) k++;
      v = load<u8>(p + <u32>k - 1);
    } else {
      while (k < n && !found) {
        v = loadElement(p, log2);
        found = (v == a) == until;
        p += <u32>step;
        k++;
      }
    }
    count -= k;
    di += k * step;
    if (mode & MODE_ADDRSIZE) di &= 0xffffffff;
    setRegister(cpu, RCX, mode, count);
    setRegister(cpu, RDI, mode, di);
  }
  setCompareFlags(cpu, a, v, log2);
  return EXIT_NONE;
}

export function x86_rep_cmps(cpu: u32, mode: u32): i32 {
  const log2 = mode & 3;
  const size: u64 = 1 << log2;
  const down = load<u32>(cpu + DF) != 0;
  const until = (mode & MODE_REPNE) != 0;
  const base = sourceBase(cpu, mode);
  let count = register(cpu, RCX, mode);
  let si = register(cpu, RSI, mode);
  let di = register(cpu, RDI, mode);
  if (count == 0) return EXIT_NONE;
  const step = down ? -size : size;
  let a: u64 = 0;
  let b: u64 = 0;
  let found = false;
  while (count && !found) {
    const linear = base + si;
    const n = min(count, min(elementsInPage(linear, log2, down), elementsInPage(di, log2, down)));
    if (!accessible(cpu, linear, <u32>size, PAGE_READ) || !accessible(cpu, di, <u32>size, PAGE_READ)) return EXIT_FAULT;
    let s = <u32>linear;
    let d = <u32>di;
    let k: u64 = 0;
    // Equal stretches of a REPE go by 8 bytes; the last element is compared below.
    if (!until && !down) {
      const skip = 8 >> log2;
      while (k + skip < n && load<u64>(s) == load<u64>(d)) {
        k += skip;
        s += 8;
        d += 8;
      }
    }
    while (k < n && !found) {
      a = loadElement(s, log2);
      b = loadElement(d, log2);
      found = (a == b) == until;
      s += <u32>step;
      d += <u32>step;
      k++;
    }
    count -= k;
    si += k * step;
    di += k * step;
    if (mode & MODE_ADDRSIZE) {
      si &= 0xffffffff;
      di &= 0xffffffff;
    }
    setRegister(cpu, RCX, mode, count);
    setRegister(cpu, RSI, mode, si);
    setRegister(cpu, RDI, mode, di);
  }
  setCompareFlags(cpu, a, b, log2);
  return EXIT_NONE;
}
