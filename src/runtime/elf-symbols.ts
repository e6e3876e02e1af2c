/** Function symbols of an ELF file. Nothing throws, whatever the bytes. */

const SHT_SYMTAB = 2;
const SHT_DYNSYM = 11;
const STT_FUNC = 2;
const STT_GNU_IFUNC = 10;
const PT_LOAD = 1;
const SYMBOL_SIZE = 24;
const MAX_SYMBOLS = 1_000_000;

export interface ElfSymbol {
  /** Address in the file's own terms. */
  readonly start: number;
  /** Bytes; 0 when the file does not say. */
  readonly size: number;
  readonly name: string;
}

/** 64-bit little-endian files; others have no symbols. */
export class ElfSymbols {
  /** In order of address, one an address. */
  readonly #symbols: ElfSymbol[] = [];
  readonly #segments: { offset: number; address: number; length: number }[] = [];

  constructor(file: Uint8Array) {
    const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
    const has = (at: number, length: number): boolean => at >= 0 && length >= 0 && at + length <= file.length;
    const u16 = (at: number): number => (has(at, 2) ? view.getUint16(at, true) : 0);
    const u32 = (at: number): number => (has(at, 4) ? view.getUint32(at, true) : 0);
    const u64 = (at: number): number => u32(at) + u32(at + 4) * 2 ** 32;
    for (let k = 0; k < u16(56); k++) {
      const at = u64(32) + k * 56;
      if (u32(at) === PT_LOAD)
        this.#segments.push({ offset: u64(at + 8), address: u64(at + 16), length: u64(at + 32) });
    }
    const found = new Map<number, ElfSymbol>();
    const section = (k: number): number => u64(40) + k * 64;
    for (let k = 0; k < u16(60); k++) {
      const header = section(k);
      const type = u32(header + 4);
      if (type !== SHT_SYMTAB && type !== SHT_DYNSYM) continue;
      const [offset, size] = [u64(header + 24), u64(header + 32)];
      const strings = section(u32(header + 40));
      const [names, namesEnd] = [u64(strings + 24), u64(strings + 24) + u64(strings + 32)];
      if (!has(offset, size) || !has(names, namesEnd - names)) continue;
      const count = Math.min(Math.floor(size / SYMBOL_SIZE), MAX_SYMBOLS);
      for (let at = offset; at < offset + count * SYMBOL_SIZE; at += SYMBOL_SIZE) {
        const kind = file[at + 4]! & 15;
        if ((kind !== STT_FUNC && kind !== STT_GNU_IFUNC) || u16(at + 6) === 0) continue;
        const start = u64(at + 8);
        const from = names + u32(at);
        const end = from < namesEnd ? file.indexOf(0, from) : -1;
        // Of several names for one place the global one that comes first; local ones stand before those.
        const isGlobal = file[at + 4]! >> 4 !== 0;
        if (end <= from || end >= namesEnd || (found.has(start) && !isGlobal)) continue;
        const known = found.get(start);
        if (known && isGlobal && known.size >= u64(at + 16)) continue;
        found.set(start, { start, size: u64(at + 16), name: Buffer.from(file.subarray(from, end)).toString('latin1') });
      }
    }
    this.#symbols = [...found.values()].sort((a, b) => a.start - b.start);
  }

  /** Address, in the file's own terms, of the byte at `offset`; null when that is not loaded. */
  addressOf(offset: number): number | null {
    const s = this.#segments.find((segment) => offset >= segment.offset && offset < segment.offset + segment.length);
    return s ? offset - s.offset + s.address : null;
  }
  /** The function around an address. */
  at(address: number): ElfSymbol | null {
    let low = 0;
    let high = this.#symbols.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#symbols[middle]!.start <= address) low = middle + 1;
      else high = middle;
    }
    const found = this.#symbols[low - 1];
    return found && (found.size === 0 || address < found.start + found.size) ? found : null;
  }
}
