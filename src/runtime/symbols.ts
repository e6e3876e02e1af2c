/** Names for guest addresses, from the symbols of the files that are mapped there. */
import type { AddressSpace } from '../kernel/mm/address-space.ts';
import type { Vma } from '../kernel/mm/vma.ts';
import type { Task } from '../kernel/task/task.ts';
import { ElfSymbols } from './elf-symbols.ts';

/** Larger files are not read. */
const MAX_FILE = 256 << 20;

export interface GuestSymbol {
  /** Of the function; without one, the file's and the place in it. */
  readonly name: string;
  /** Guest address; equal for all addresses of one function. */
  readonly start: number;
  /** The file's path, or what else is mapped there. */
  readonly file: string;
  /** It is a function of the symbol table. */
  readonly known: boolean;
}

/** One for all processes of a run. */
export class Symbols {
  readonly #files = new Map<string, ElfSymbols | null>();
  readonly #stamps = new WeakMap<object, ElfSymbols | null>();

  /** What lies at `pc`; null when nothing is mapped. `task` is for whom the file is read. */
  at(mm: AddressSpace, task: Task, pc: number): GuestSymbol | null {
    const vma = mm.find(pc);
    if (!vma) return null;
    const file = vma.label;
    const offset = pc - vma.start + vma.offset;
    const symbols = this.#symbolsOf(vma, task);
    const address = symbols?.addressOf(offset) ?? null;
    const symbol = address === null ? null : symbols!.at(address);
    if (symbol) return { name: symbol.name, start: pc - (address! - symbol.start), file, known: true };
    const label = file.slice(file.lastIndexOf('/') + 1) || '[anonymous]';
    // Without symbols a page is as good as a function.
    const page = pc - (pc % 4096);
    return { name: `${label}+0x${(offset - (pc - page)).toString(16)}`, start: page, file, known: false };
  }

  #symbolsOf({ file, stamp }: Vma, task: Task): ElfSymbols | null {
    if (!file) return null;
    const known = stamp && this.#stamps.get(stamp.key);
    if (known !== undefined && known !== null) return known;
    try {
      const { dev, ino, size, mtime } = file.stat();
      const key = `${dev}:${ino}:${size}:${mtime.sec}.${mtime.nsec}`;
      let symbols = this.#files.get(key);
      if (symbols === undefined) {
        symbols = size <= MAX_FILE ? new ElfSymbols(readAll(file, task, size)) : null;
        this.#files.set(key, symbols);
      }
      if (stamp) this.#stamps.set(stamp.key, symbols);
      return symbols;
    } catch {
      // A file that cannot be read has no names.
      return null;
    }
  }
}

function readAll(file: NonNullable<Vma['file']>, task: Task, size: number): Uint8Array {
  const bytes = new Uint8Array(size);
  for (let at = 0; at < size; ) {
    const n = file.read(task, bytes.subarray(at), at);
    if (typeof n !== 'number' || n <= 0) break;
    at += n;
  }
  return bytes;
}
