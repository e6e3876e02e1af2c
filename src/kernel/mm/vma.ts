/** Virtual memory areas: what is mapped where, and the sorted list that holds them. */
import type { OpenFile } from '../fs/open-file.ts';
import { PAGE_SIZE, PROT_EXEC, PROT_READ, PROT_WRITE } from './guest-memory.ts';
import { MAP_ANONYMOUS, MAP_GROWSDOWN, MAP_LOCKED, MAP_NORESERVE, MAP_SHARED, MAP_STACK } from './mman.ts';

// Properties of a VMA that are no MAP_* flag, in bits mmap(2) does not use.
/** A shared mapping of a file not open for writing: mprotect(PROT_WRITE) is EACCES. */
export const VM_NO_WRITE = 0x20_0000;
export const VM_DONTFORK = 0x40_0000;
export const VM_WIPEONFORK = 0x80_0000;
export const VM_DONTDUMP = 0x100_0000;
export const VM_HUGEPAGE = 0x200_0000;
export const VM_NOHUGEPAGE = 0x800_0000;

/** The MAP_* bits kept in `Vma.flags`. */
export const KEPT_MAP_FLAGS =
  MAP_SHARED | 0x02 | MAP_ANONYMOUS | MAP_GROWSDOWN | MAP_LOCKED | MAP_NORESERVE | MAP_STACK;

/** What a file looked like when it was mapped: equal stamps and keys mean equal bytes. */
export interface FileStamp {
  readonly key: object;
  readonly size: number;
  readonly mtime: number;
  /** Status change, by which a file is known that was put back in time. */
  readonly ctime: number;
  /** Changed long enough ago for a later change to show in the times. */
  readonly settled: boolean;
}

export interface VmaInit {
  start: number;
  end: number;
  prot: number;
  flags: number;
  file?: OpenFile | null;
  offset?: number;
  name?: string;
  stamp?: FileStamp | null;
  object?: object | null;
  anonName?: string;
}

/**
 * One area `[start, end)` of equal properties. `file`, when set, is a reference held by the VMA.
 * Fields are changed by `AddressSpace` and `VmaList` only.
 */
export class Vma {
  start: number;
  end: number;
  /** PROT_* as asked for. */
  prot: number;
  /** MAP_SHARED or MAP_PRIVATE, kept MAP_* bits and VM_* bits. */
  flags: number;
  readonly file: OpenFile | null;
  /** Offset in the file (or shared object) of `start`, in bytes. */
  offset: number;
  /** `[heap]`, `[stack]`, `[vdso]`, or empty: then it is named by its file. */
  readonly name: string;
  /** File mappings: what was mapped. */
  stamp: FileStamp | null;
  /** Identity of a shared anonymous object, or the file's map key when shared. Null for private mappings. */
  readonly object: object | null;
  /** Name given by PR_SET_VMA_ANON_NAME, empty without. */
  anonName: string;
  /** The memory may hold something else than zeros. */
  touched = false;
  /** The memory holds the file's bytes as they were at `stamp`: it has never been writable. */
  pristine = false;
  /** Shared writable file mappings: contents last known to be in the file, `end - start` bytes. */
  shadow: Uint8Array | null = null;

  constructor(init: VmaInit) {
    this.start = init.start;
    this.end = init.end;
    this.prot = init.prot;
    this.flags = init.flags;
    this.file = init.file?.ref() ?? null;
    this.offset = init.offset ?? 0;
    this.name = init.name ?? '';
    this.stamp = init.stamp ?? null;
    this.object = init.object ?? null;
    this.anonName = init.anonName ?? '';
  }

  get length(): number {
    return this.end - this.start;
  }
  get shared(): boolean {
    return (this.flags & MAP_SHARED) !== 0;
  }
  /** First address whose page lies wholly beyond the end of the file; `end` when there is none. */
  get eof(): number {
    if (!this.stamp) return this.end;
    const pages = Math.ceil(this.stamp.size / PAGE_SIZE) * PAGE_SIZE;
    return Math.min(this.end, Math.max(this.start, this.start + pages - this.offset));
  }
  /** As /proc/self/maps shows it. */
  get label(): string {
    return this.name || this.file?.path || (this.anonName && `[anon:${this.anonName}]`);
  }

  /** A VMA like this one over a part of it (the shadow included) or, with `at`, somewhere else. */
  slice(start: number, end: number, at = start): Vma {
    // Private anonymous memory has no offset (proc(5) shows 0).
    const offset = this.file || this.object ? this.offset + (start - this.start) : 0;
    const part = new Vma({ ...this.#init(), start: at, end: at + (end - start), offset });
    part.touched = this.touched;
    part.pristine = this.pristine;
    part.shadow = this.shadow?.subarray(start - this.start, end - this.start) ?? null;
    return part;
  }

  #init(): VmaInit {
    const { start, end, prot, flags, file, offset, name, stamp, object, anonName } = this;
    return { start, end, prot, flags, file, offset, name, stamp, object, anonName };
  }

  /** Drops the VMA's hold on its file. */
  release(): void {
    this.file?.unref();
  }
}

/** What the page table holds for `prot`: on both ISAs writable or executable pages can be read, too. */
export function effectiveProt(prot: number): number {
  const p = prot & (PROT_READ | PROT_WRITE | PROT_EXEC);
  return p & (PROT_WRITE | PROT_EXEC) ? p | PROT_READ : p;
}

export function sameStamp(a: FileStamp | null, b: FileStamp | null): boolean {
  return (
    a === b ||
    (a !== null && b !== null && a.key === b.key && a.size === b.size && a.mtime === b.mtime && a.ctime === b.ctime)
  );
}

function shadowsJoin(a: Vma, b: Vma): boolean {
  if (a.shadow === null || b.shadow === null) return a.shadow === b.shadow;
  return a.shadow.buffer === b.shadow.buffer && a.shadow.byteOffset + a.shadow.length === b.shadow.byteOffset;
}

function canMerge(a: Vma, b: Vma): boolean {
  return (
    a.end === b.start &&
    a.prot === b.prot &&
    a.flags === b.flags &&
    a.file === b.file &&
    a.name === b.name &&
    a.anonName === b.anonName &&
    sameStamp(a.stamp, b.stamp) &&
    a.object === b.object &&
    ((a.file === null && a.object === null) || a.offset + a.length === b.offset) &&
    shadowsJoin(a, b)
  );
}

/** VMAs sorted by address, none overlapping. Look-ups are binary searches; nothing ever rebuilds the list. */
export class VmaList {
  readonly items: Vma[] = [];

  /** Index of the first VMA that ends above `address`; `items.length` when there is none. */
  indexFrom(address: number): number {
    let low = 0;
    let high = this.items.length;
    while (low < high) {
      const mid = (low + high) >>> 1;
      if (this.items[mid]!.end > address) high = mid;
      else low = mid + 1;
    }
    return low;
  }

  /** The VMA that holds `address`. */
  find(address: number): Vma | null {
    const vma = this.items[this.indexFrom(address)];
    return vma && vma.start <= address ? vma : null;
  }

  overlaps(start: number, end: number): boolean {
    const vma = this.items[this.indexFrom(start)];
    return vma !== undefined && vma.start < end;
  }

  /** Calls `visit` for every VMA with a part in `[start, end)`, in order, with that part's bounds. */
  each(start: number, end: number, visit: (vma: Vma, from: number, to: number) => void): void {
    for (let i = this.indexFrom(start); i < this.items.length; i++) {
      const vma = this.items[i]!;
      if (vma.start >= end) break;
      visit(vma, Math.max(start, vma.start), Math.min(end, vma.end));
    }
  }

  /** True when every page of `[start, end)` is mapped. */
  covers(start: number, end: number): boolean {
    let at = start;
    for (let i = this.indexFrom(start); at < end; i++) {
      const vma = this.items[i];
      if (!vma || vma.start > at) return false;
      at = vma.end;
    }
    return true;
  }

  /** Splits the VMA that straddles `address`, if any. Returns the index of the first VMA at or above `address`. */
  splitAt(address: number): number {
    const i = this.indexFrom(address);
    const vma = this.items[i];
    if (!vma || vma.start >= address) return i;
    const right = vma.slice(address, vma.end);
    vma.shadow = vma.shadow?.subarray(0, address - vma.start) ?? null;
    vma.end = address;
    this.items.splice(i + 1, 0, right);
    return i + 1;
  }

  /** Takes out `[start, end)` and returns the pieces, still holding their files. */
  cut(start: number, end: number): Vma[] {
    if (!this.overlaps(start, end)) return [];
    const first = this.splitAt(start);
    const last = this.splitAt(end);
    return this.items.splice(first, last - first);
  }

  /** Inserts a VMA into free space and merges it with equal neighbours. */
  insert(vma: Vma): void {
    const i = this.indexFrom(vma.start);
    this.items.splice(i, 0, vma);
    this.mergeAround(i, i);
  }

  /** Merges equal neighbours among the VMAs `first..last` and those next to them. */
  mergeAround(first: number, last: number): void {
    const stop = Math.max(first - 1, 0);
    for (let i = Math.min(last + 1, this.items.length - 1); i > stop; i--) {
      const a = this.items[i - 1]!;
      const b = this.items[i]!;
      if (canMerge(a, b)) this.#join(a, b, i);
    }
  }

  #join(a: Vma, b: Vma, index: number): void {
    if (a.shadow && b.shadow) {
      a.shadow = new Uint8Array(a.shadow.buffer, a.shadow.byteOffset, a.shadow.length + b.shadow.length);
    }
    a.end = b.end;
    a.touched ||= b.touched;
    a.pristine &&= b.pristine;
    b.release();
    this.items.splice(index, 1);
  }
}
