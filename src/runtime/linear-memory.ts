/** A guest's memory: one shared WebAssembly.Memory of 4 GiB and the page table the interpreter checks against. */
import {
  type GuestMemory,
  GUEST_LIMIT,
  PAGE_SIZE,
  PROT_EXEC,
  PROT_READ,
  PROT_WRITE,
} from '../kernel/mm/guest-memory.ts';
import {
  ADDRESS_MASK,
  PAGE_EXEC,
  PAGE_GUEST_WRITE,
  PAGE_KEPT,
  PAGE_MAPPED,
  PAGE_READ,
  PAGE_TABLE,
  PAGE_WRITE,
} from '../translator/ir/layout.ts';
import type { Vcpu } from './vcpu.ts';

const WASM_PAGES = 65536;
/** Bytes compared with zeros at once. */
const STRETCH = 16 * PAGE_SIZE;
const ZEROS = new Uint8Array(STRETCH);
// The global `Buffer` is a getter.
const { compare } = Buffer;

/** Who must know that guest code may have changed. */
export interface CodeOwner {
  /** Drops translations made from bytes in [start, end). */
  invalidate(start: number, end: number): void;
  /** Some code cannot be executed any more, for now. */
  hidden?(): void;
  /** What was made from bytes in [start, end) before they were unmapped is good again: they are mapped for execution. */
  shown(start: number, end: number): void;
}

export class LinearMemory implements GuestMemory {
  readonly memory: WebAssembly.Memory;
  readonly u8: Uint8Array;
  /** The page table, by page number: V8 is slow with an index beyond 2^31, as its place in `u8` is. */
  readonly pages: Uint8Array;
  readonly u16: Uint16Array;
  readonly u32: Uint32Array;
  readonly i64: BigInt64Array;
  readonly view: DataView;
  code: CodeOwner | null = null;
  /** There are, or were, pages that are writable and executable. */
  writableCode = false;
  onWritten: ((start: number, end: number) => void) | null = null;
  /** Whose registers lie at VCPU. */
  vcpu: Vcpu | null = null;

  constructor() {
    // Created small and grown: creation at full size forces a garbage collection.
    this.memory = new WebAssembly.Memory({ initial: 16, maximum: WASM_PAGES, shared: true });
    this.memory.grow(WASM_PAGES - 16);
    const { buffer } = this.memory;
    this.u8 = new Uint8Array(buffer);
    this.pages = new Uint8Array(buffer, PAGE_TABLE, GUEST_LIMIT / PAGE_SIZE);
    this.u16 = new Uint16Array(buffer);
    this.u32 = new Uint32Array(buffer);
    this.i64 = new BigInt64Array(buffer);
    this.view = new DataView(buffer);
    this.foldAddresses(0);
  }

  foldAddresses(high: number): void {
    this.u32[ADDRESS_MASK >>> 2] = 0xffff_ffff;
    this.u32[(ADDRESS_MASK + 4) >>> 2] = ~high;
  }

  protect(start: number, end: number, prot: number): void {
    const first = start / PAGE_SIZE;
    const last = end / PAGE_SIZE;
    this.code?.invalidate(start, end);
    let bits = 0;
    if (prot >= 0) {
      // x86 and AArch64 page tables have no write-only or execute-only pages for user mode as Linux sets them up.
      bits = PAGE_MAPPED;
      if (prot !== 0) bits |= PAGE_READ;
      if (prot & PROT_WRITE) bits |= PAGE_WRITE | PAGE_GUEST_WRITE;
      if (prot & PROT_EXEC) bits |= PAGE_EXEC;
      if (prot & PROT_WRITE && prot & PROT_EXEC) this.writableCode = true;
    }
    this.pages.fill(bits, first, last);
  }

  hide(start: number, end: number): void {
    this.code?.hidden?.();
    const first = start / PAGE_SIZE;
    const bits = this.pages[first]! & PAGE_EXEC ? PAGE_KEPT : 0;
    this.pages.fill(bits, first, end / PAGE_SIZE);
  }
  show(start: number, end: number, prot: number): void {
    const bits = PAGE_MAPPED | (prot === 0 ? 0 : PAGE_READ) | (prot & PROT_EXEC ? PAGE_EXEC : 0);
    this.pages.fill(bits, start / PAGE_SIZE, end / PAGE_SIZE);
    if (prot & PROT_EXEC) this.code?.shown(start, end);
  }

  protection(address: number): number {
    if (!(address >= 0 && address < GUEST_LIMIT)) return -1;
    const bits = this.pages[Math.floor(address / PAGE_SIZE)]!;
    if (!(bits & PAGE_MAPPED)) return -1;
    return (
      (bits & PAGE_READ ? PROT_READ : 0) |
      (bits & PAGE_GUEST_WRITE ? PROT_WRITE : 0) |
      (bits & PAGE_EXEC ? PROT_EXEC : 0)
    );
  }

  zero(start: number, end: number): void {
    // Reading an untouched page does not make it resident; writing it would. Most of what is looked at is untouched.
    for (let at = start; at < end; ) {
      const to = Math.min(at - (at % STRETCH) + STRETCH, end);
      if (!this.#isZero(at, to)) this.#zeroPages(at, to);
      at = to;
    }
  }
  #zeroPages(start: number, end: number): void {
    for (let at = start; at < end; ) {
      const to = Math.min(at - (at % PAGE_SIZE) + PAGE_SIZE, end);
      if (!this.#isZero(at, to)) this.u8.fill(0, at, to);
      at = to;
    }
  }
  #isZero(start: number, end: number): boolean {
    return (
      compare(this.u8.subarray(start, end), end - start === STRETCH ? ZEROS : ZEROS.subarray(0, end - start)) === 0
    );
  }

  written(start: number, end: number): void {
    this.onWritten?.(start, end);
    this.code?.invalidate(start, end);
  }
}
