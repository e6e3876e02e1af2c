/** A GuestMemory over a plain SharedArrayBuffer, with a page table that can be looked at. */
import { GUEST_LIMIT, type GuestMemory, PAGE_SIZE } from '../../../src/kernel/mm/guest-memory.ts';

export class FakeGuestMemory implements GuestMemory {
  readonly u8: Uint8Array;
  readonly u32: Uint32Array;
  readonly view: DataView;
  /** Bytes of memory behind the addresses; rights are kept for all of them up to GUEST_LIMIT. */
  readonly size: number;
  /** PROT_* + 1 for each page, 0 when not mapped. */
  readonly pages = new Uint8Array(GUEST_LIMIT / PAGE_SIZE);
  /** Pages with translated code, as a test says it. */
  readonly translated = new Set<number>();
  /** Number of calls and bytes, for tests of what is not done twice. */
  readonly counts = { protect: 0, zero: 0, zeroed: 0, written: 0 };

  /** 4 GiB cost nothing until they are written. A smaller `size` makes accesses beyond it a RangeError. */
  constructor(size = GUEST_LIMIT) {
    this.size = size;
    const buffer = new SharedArrayBuffer(size);
    this.u8 = new Uint8Array(buffer);
    this.u32 = new Uint32Array(buffer);
    this.view = new DataView(buffer);
  }

  #check(start: number, end: number): void {
    if (!(Number.isInteger(start) && Number.isInteger(end) && start >= 0 && start <= end && end <= GUEST_LIMIT)) {
      throw new RangeError(`bad range ${start}..${end}`);
    }
  }

  protect(start: number, end: number, prot: number): void {
    this.#check(start, end);
    if (start % PAGE_SIZE || end % PAGE_SIZE) throw new RangeError(`not page-aligned: ${start}..${end}`);
    if (!(prot >= -1 && prot <= 7)) throw new RangeError(`bad prot ${prot}`);
    this.counts.protect++;
    this.#forget(start, end);
    this.pages.fill(prot + 1, start / PAGE_SIZE, end / PAGE_SIZE);
  }
  hide(start: number, end: number): void {
    this.#check(start, end);
    this.pages.fill(0, start / PAGE_SIZE, end / PAGE_SIZE);
  }
  show(start: number, end: number, prot: number): void {
    this.#check(start, end);
    if (prot & 2) throw new RangeError('kept pages are not writable');
    this.pages.fill(prot + 1, start / PAGE_SIZE, end / PAGE_SIZE);
  }
  #forget(start: number, end: number): void {
    for (const page of [...this.translated])
      if (page * PAGE_SIZE < end && start < (page + 1) * PAGE_SIZE) this.translated.delete(page);
  }
  protection(address: number): number {
    if (!(address >= 0 && address < GUEST_LIMIT)) return -1;
    return this.pages[Math.floor(address / PAGE_SIZE)]! - 1;
  }
  zero(start: number, end: number): void {
    this.#check(start, end);
    // The runtime looks at whole pages.
    if (start % PAGE_SIZE || end % PAGE_SIZE) throw new RangeError(`not page-aligned: ${start}..${end}`);
    this.counts.zero++;
    this.counts.zeroed += end - start;
    this.u8.fill(0, start, end);
  }
  written(start: number, end: number): void {
    this.#check(start, end);
    this.counts.written++;
    this.#forget(start, end);
  }
}
