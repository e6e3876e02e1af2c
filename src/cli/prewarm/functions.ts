/** Where the functions of an ELF file begin: its symbols, and the unwind tables, which stripped files keep, too. Nothing throws, whatever the bytes. */

const SHT_SYMTAB = 2;
const SHT_DYNSYM = 11;
const STT_FUNC = 2;
const STT_GNU_IFUNC = 10;
const PT_GNU_EH_FRAME = 0x6474e550;
/** DW_EH_PE_datarel | DW_EH_PE_sdata4, and DW_EH_PE_udata4 (LSB Core, 10.5.1): what linkers write. */
const SORTED_TABLE = 0x3b;
const UDATA4 = 0x03;
const MAX_SYMBOLS = 2_000_000;

/** Reads of a 64-bit address that is no number the guest could use give NaN. */
class Reader {
  readonly view: DataView;
  constructor(bytes: Uint8Array) {
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }
  has(at: number, length: number): boolean {
    return at >= 0 && length >= 0 && at + length <= this.view.byteLength;
  }
  u16(at: number): number {
    return this.has(at, 2) ? this.view.getUint16(at, true) : Number.NaN;
  }
  u32(at: number): number {
    return this.has(at, 4) ? this.view.getUint32(at, true) : Number.NaN;
  }
  i32(at: number): number {
    return this.has(at, 4) ? this.view.getInt32(at, true) : Number.NaN;
  }
  u64(at: number): number {
    const n = this.u32(at) + this.u32(at + 4) * 2 ** 32;
    return Number.isSafeInteger(n) ? n : Number.NaN;
  }
}

/** Addresses in the file's own terms, before the load bias; some may lie outside of it. */
export function functionsOf(file: Uint8Array): Set<number> {
  const found = new Set<number>();
  const r = new Reader(file);
  found.add(r.u64(24));
  symbols(r, file, found);
  unwindTable(r, found);
  dynamicFunctions(r, found);
  found.delete(0);
  found.delete(Number.NaN);
  return found;
}

function symbols(r: Reader, file: Uint8Array, found: Set<number>): void {
  const shoff = r.u64(40);
  const shentsize = r.u16(58);
  const shnum = r.u16(60);
  for (let k = 0; k < shnum; k++) {
    const at = shoff + k * shentsize;
    const type = r.u32(at + 4);
    if (type !== SHT_SYMTAB && type !== SHT_DYNSYM) continue;
    const offset = r.u64(at + 24);
    const size = r.u64(at + 32);
    if (!r.has(offset, size)) continue;
    for (let s = offset; s + 24 <= offset + Math.min(size, MAX_SYMBOLS * 24); s += 24) {
      const kind = file[s + 4]! & 15;
      if ((kind === STT_FUNC || kind === STT_GNU_IFUNC) && r.u16(s + 6) !== 0) found.add(r.u64(s + 8));
    }
  }
}

/** The sorted table of .eh_frame_hdr. */
function unwindTable(r: Reader, found: Set<number>): void {
  const phoff = r.u64(32);
  const phnum = r.u16(56);
  for (let k = 0; k < phnum; k++) {
    const at = phoff + k * 56;
    if (r.u32(at) !== PT_GNU_EH_FRAME) continue;
    const offset = r.u64(at + 8);
    const address = r.u64(at + 16);
    if (!r.has(offset, 12)) return;
    const encodings = r.u32(offset);
    // Version 1, any pointer to .eh_frame of four bytes, a count of four bytes, a sorted table.
    if ((encodings & 0xff) !== 1 || ((encodings >>> 16) & 0xff) !== UDATA4 || encodings >>> 24 !== SORTED_TABLE) return;
    const count = r.u32(offset + 8);
    for (let entry = 0; entry < count && r.has(offset + 12 + entry * 8, 8); entry++)
      found.add(address + r.i32(offset + 12 + entry * 8));
    return;
  }
}

const PT_DYNAMIC = 2;
const DT_INIT = 12;
const DT_FINI = 13;

/** What the dynamic section names: code that runs before and after the program, which has no symbol. */
function dynamicFunctions(r: Reader, found: Set<number>): void {
  for (const { type, offset, size } of segments(r)) {
    if (type !== PT_DYNAMIC || !r.has(offset, size)) continue;
    for (let at = offset; at + 16 <= offset + size; at += 16) {
      const tag = r.u64(at);
      if (tag === 0) return;
      if (tag === DT_INIT || tag === DT_FINI) found.add(r.u64(at + 8));
    }
  }
}
interface Segment {
  type: number;
  flags: number;
  offset: number;
  address: number;
  size: number;
}
function* segments(r: Reader): Generator<Segment> {
  for (let k = 0; k < r.u16(56); k++) {
    const at = r.u64(32) + k * 56;
    yield {
      type: r.u32(at),
      flags: r.u32(at + 4),
      offset: r.u64(at + 8),
      address: r.u64(at + 16),
      size: r.u64(at + 32),
    };
  }
}

const SHT_RELA = 4;
const SHT_RELR = 19;
const ET_EXEC = 2;
const PT_LOAD = 1;
const PF_X = 1;
/** R_X86_64_RELATIVE, R_X86_64_IRELATIVE, R_AARCH64_RELATIVE, R_AARCH64_IRELATIVE; those with an I hold where a resolver begins. */
const relative = new Set([8, 37, 1027, 1032]);
const R_X86_64_JUMP_SLOT = 7;
const R_AARCH64_JUMP_SLOT = 1026;

/** Places of relative relocations in their packed form (gABI, "Relative relocation table"): an address, then bitmaps of the words behind it. */
function* packedPlaces(r: Reader, offset: number, size: number): Generator<number> {
  let place = 0;
  for (let at = offset; at + 8 <= offset + size; at += 8) {
    const low = r.u32(at);
    if ((low & 1) === 0) {
      place = r.u64(at);
      yield place;
      place += 8;
      continue;
    }
    for (let bit = 1; bit < 64; bit++)
      if ((bit < 32 ? low >>> bit : r.u32(at + 4) >>> (bit - 32)) & 1) yield place + (bit - 1) * 8;
    place += 63 * 8;
  }
}

/**
 * Addresses that the file's data holds, before the load bias: addends of relative relocations, what slots for lazy binding hold
 * at first, and of a program with fixed addresses every aligned word. Those of code are where calls and jumps through memory may go to.
 */
export function pointersOf(file: Uint8Array): Set<number> {
  const found = new Set<number>();
  const r = new Reader(file);
  const shoff = r.u64(40);
  const loads = [...segments(r)].filter(({ type }) => type === PT_LOAD);
  const valueAt = (place: number): number => {
    const home = loads.find(({ address, size }) => place >= address && place < address + size);
    return home ? r.u64(place - home.address + home.offset) : Number.NaN;
  };
  for (let k = 0; k < r.u16(60); k++) {
    const at = shoff + k * r.u16(58);
    const offset = r.u64(at + 24);
    const size = r.u64(at + 32);
    if (!r.has(offset, size)) continue;
    if (r.u32(at + 4) === SHT_RELR) for (const place of packedPlaces(r, offset, size)) found.add(valueAt(place));
    if (r.u32(at + 4) !== SHT_RELA) continue;
    for (let e = offset; e + 24 <= offset + size; e += 24) {
      const type = r.u32(e + 8);
      if (relative.has(type)) found.add(r.u64(e + 16));
      if (type !== R_X86_64_JUMP_SLOT && type !== R_AARCH64_JUMP_SLOT) continue;
      found.add(valueAt(r.u64(e)));
    }
  }
  if (r.u16(16) === ET_EXEC)
    for (const { flags, offset, size } of loads) {
      if (flags & PF_X || !r.has(offset, size)) continue;
      for (let w = Math.ceil(offset / 8) * 8; w + 8 <= offset + size; w += 8)
        if (r.u32(w + 4) === 0 && r.u32(w) !== 0) found.add(r.u32(w));
    }
  found.delete(Number.NaN);
  return found;
}
