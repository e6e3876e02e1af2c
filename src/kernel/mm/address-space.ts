/**
 * The address space of a process: its VMAs, its heap break, what it may use and what it uses. There is no demand
 * paging: memory holds its contents from the moment it is mapped, and the page table (GuestMemory.protect) always
 * says what the VMAs say.
 *
 * This file has the bookkeeping; the calls themselves are in mmap.ts, mremap.ts, madvise.ts, mlock.ts and writeback.ts.
 */
import { errno, sysError } from '../abi/errno.ts';
import type { MaybePromise } from '../fs/open-file.ts';
import { RLIMIT_AS, RLIMIT_DATA, type Limited } from '../task/rlimits.ts';
import type { Task } from '../task/task.ts';
import { forgetShared, registerShared } from './file-coherence.ts';
import { GapFinder, highestGap, lowestGap } from './gaps.ts';
import { GUEST_LIMIT, type GuestMemory, PAGE_SIZE, PROT_EXEC, PROT_READ, PROT_WRITE } from './guest-memory.ts';
import { HighWindow } from './high-window.ts';
import { type KeptFiles, keptFiles, type Range } from './kept-files.ts';
import { type Layout, makeLayout, pageUp } from './layout.ts';
import { LoadAddressBook } from './load-address-book.ts';
import { madvise } from './madvise.ts';
import {
  MAP_ANONYMOUS,
  MAP_GROWSDOWN,
  MAP_LOCKED,
  MAP_PRIVATE,
  MAP_SHARED,
  MAX_MAP_COUNT,
  MMAP_MIN_ADDR,
} from './mman.ts';
import { type MmapRequest, mmap } from './mmap.ts';
import { mprotect } from './mprotect.ts';
import { mremap } from './mremap.ts';
import { after } from './promise.ts';
import { claimShared, publish } from './shared-memory.ts';
import { effectiveProt, Vma, VmaList, VM_DONTFORK, VM_WIPEONFORK } from './vma.ts';
import { flushRange } from './writeback.ts';

const DEFAULT_MEMORY_LIMIT = 2 * 1024 ** 3;
const PAGES = GUEST_LIMIT / PAGE_SIZE;

/** Sizes in bytes, for /proc/PID/statm and /proc/PID/status. */
export interface MemoryStats {
  /** Everything mapped (VmSize). */
  total: number;
  /** Mapped with some access; without demand paging also what is resident (VmRSS). */
  accessible: number;
  peakTotal: number;
  peakAccessible: number;
  /** Shared or file-backed and accessible (RssFile + RssShmem). */
  file: number;
  /** Private writable, without stacks (VmData). */
  data: number;
  /** Main stack (VmStk). */
  stack: number;
  /** Executable file mappings (VmExe + VmLib). */
  exec: number;
  /** mlocked (VmLck). */
  locked: number;
}

/** How a fault at an address is to be reported: signal number and si_code (sigaction(2)). */
export interface FaultInfo {
  signo: number;
  code: number;
}
const SIGBUS = 7;
const SIGSEGV = 11;

/** Of memories that are used again: what programs before have left there is cleared when it is mapped. */
const staleMaps = new WeakMap<GuestMemory, Buffer>();

export class AddressSpace {
  readonly memory: GuestMemory;
  readonly list = new VmaList();
  layout: Layout = makeLayout(8 << 20);
  /** Bytes that may be mapped accessible. */
  memoryLimit = DEFAULT_MEMORY_LIMIT;
  /** The owner's resource limits (RLIMIT_AS, RLIMIT_DATA, ...), null for none. */
  limits: Limited | null = null;
  book: LoadAddressBook = new LoadAddressBook();
  /** Tasks that share the address space count once per process (CLONE_VM without CLONE_THREAD). */
  users = 1;
  /** The heap: `[brkStart, brk)`, `brk` to the byte. */
  brkStart = 0;
  brkEnd = 0;
  /** mlockall(MCL_FUTURE). */
  lockFuture = false;
  /** Commands registered with membarrier(2). */
  membarrier = 0;
  readonly window: HighWindow;
  readonly gaps = new GapFinder(this.list);
  /** Keys of shared objects that other address spaces map, too (shared-memory.ts). */
  readonly coherent = new Set<object>();
  /** What the memory holds of files that are not mapped, and may be again. */
  readonly kept: KeptFiles;
  /** One byte a page: the page is not mapped (or not accessible) and may hold something else than zeros. */
  readonly #stale: Buffer;
  readonly #stats: MemoryStats = {
    total: 0,
    accessible: 0,
    peakTotal: 0,
    peakAccessible: 0,
    file: 0,
    data: 0,
    stack: 0,
    exec: 0,
    locked: 0,
  };

  /** `memory` must have nothing mapped, and when it is new read as zeros. */
  constructor(memory: GuestMemory) {
    this.memory = memory;
    this.window = new HighWindow(memory, this.list);
    this.kept = keptFiles(memory);
    let stale = staleMaps.get(memory);
    if (!stale) {
      stale = Buffer.alloc(PAGES);
      staleMaps.set(memory, stale);
    }
    this.#stale = stale;
  }

  /** In address order. Not to be kept across changes. */
  vmas(): readonly Vma[] {
    return this.list.items;
  }
  get stats(): Readonly<MemoryStats> {
    return this.#stats;
  }
  find(address: number): Vma | null {
    return this.list.find(address);
  }

  /** What signal an access to `address` that the page table refuses deserves. */
  faultInfo(address: number): FaultInfo {
    const vma = this.list.find(address);
    if (!vma) return { signo: SIGSEGV, code: 1 };
    return address >= vma.eof && vma.prot !== 0 ? { signo: SIGBUS, code: 2 } : { signo: SIGSEGV, code: 2 };
  }

  // The calls.

  /** mmap(2). A promise only when the file cannot be read at once. */
  mmap(task: Task, request: MmapRequest): MaybePromise<number> {
    return mmap(this, task, request);
  }
  /** munmap(2) of a page-aligned range below GUEST_LIMIT: dirty shared pages are written back first. */
  munmap(task: Task | null, start: number, end: number): MaybePromise<void> {
    if (start >= end || !this.list.overlaps(start, end)) return;
    return after(flushRange(this, task, start, end), () => this.remove(start, end));
  }
  /** mprotect(2). */
  mprotect(address: number, length: number, prot: number): void {
    mprotect(this, address, length, prot);
  }
  /** mremap(2). */
  mremap(
    task: Task,
    address: number,
    oldSize: number,
    newSize: number,
    flags: number,
    newAddress: number,
  ): MaybePromise<number> {
    return mremap(this, task, address, oldSize, newSize, flags, newAddress);
  }
  /** madvise(2). */
  madvise(task: Task, address: number, length: number, advice: number): MaybePromise<void> {
    return madvise(this, task, address, length, advice);
  }

  /** Anonymous private memory at a fixed free place, for the loader (images' bss, stack, vDSO). ENOMEM as for mmap. */
  mapAnonymous(start: number, end: number, prot: number, name = '', flags = 0): void {
    if (start >= end) return;
    this.checkLimits(start, end, prot, MAP_PRIVATE | flags);
    this.remove(start, end);
    this.clear(start, end);
    this.insert(new Vma({ start, end, prot, flags: MAP_PRIVATE | MAP_ANONYMOUS | flags, name }));
  }

  /** Starts the heap at `address`, page-aligned. */
  setBrk(address: number): void {
    this.brkStart = pageUp(address);
    this.brkEnd = this.brkStart;
  }

  /** brk(2) as the kernel has it: the break after the call, unchanged when it could not move. */
  brk(address: number): number {
    if (!(address >= this.brkStart) || address >= GUEST_LIMIT) return this.brkEnd;
    const dataLimit = this.#limit(RLIMIT_DATA);
    if (address - this.brkStart > dataLimit) return this.brkEnd;
    const oldEnd = pageUp(this.brkEnd);
    const newEnd = pageUp(address);
    if (newEnd < oldEnd) {
      this.remove(newEnd, oldEnd);
    } else if (newEnd > oldEnd) {
      // One page stays free above the heap (stack_guard_gap has no part in it: nothing grows down there).
      if (newEnd + PAGE_SIZE > this.layout.stackBottom || this.list.overlaps(oldEnd, newEnd + PAGE_SIZE))
        return this.brkEnd;
      if (!this.#grow(oldEnd, newEnd)) return this.brkEnd;
    }
    this.brkEnd = address;
    return address;
  }
  #grow(start: number, end: number): boolean {
    const prot = PROT_READ | PROT_WRITE;
    const flags = MAP_PRIVATE | MAP_ANONYMOUS | (this.lockFuture ? MAP_LOCKED : 0);
    if (!this.#fits(start, end, prot, flags)) return false;
    this.clear(start, end);
    this.insert(new Vma({ start, end, prot, flags, name: '[heap]' }));
    return true;
  }

  // Free space.

  /** A free place for `length` bytes: at `hint` (0: none) if it is free, else as high as possible; ENOMEM for none. */
  findFree(hint: number, length: number): number {
    const { mmapBase, mmapTop } = this.layout;
    if (hint >= MMAP_MIN_ADDR && hint + length <= mmapTop && !this.list.overlaps(hint, hint + length)) return hint;
    let start = this.gaps.find(length, MMAP_MIN_ADDR, mmapBase);
    if (start < 0) start = highestGap(this.list, length, mmapBase, mmapTop);
    if (start < 0) start = highestGap(this.list, length, MMAP_MIN_ADDR, mmapTop);
    if (start < 0) throw sysError(errno.ENOMEM);
    return start;
  }

  /** The highest free place that ends below 2 GiB (MAP_32BIT). */
  findLow(length: number): number {
    const start = highestGap(this.list, length, MMAP_MIN_ADDR, 0x8000_0000);
    if (start < 0) throw sysError(errno.ENOMEM);
    return start;
  }

  /** A free place in the image window at `preferred` or behind it, then anywhere in the window; -1 when it is full. */
  findImagePlace(preferred: number, length: number, align: number): number {
    const { mmapBase, mmapTop } = this.layout;
    const from = Math.max(Math.ceil(preferred / align) * align, mmapBase);
    const start = lowestGap(this.list, length, from, mmapTop, align);
    return start >= 0 ? start : lowestGap(this.list, length, Math.ceil(mmapBase / align) * align, mmapTop, align);
  }

  // Bookkeeping: the only places where VMAs come, change and go.

  /**
   * Adds a VMA over free space whose memory is already as it should be, and opens its pages. What has been translated from
   * the ranges `preserved` is still right.
   */
  insert(vma: Vma, preserved: readonly Range[] = []): void {
    this.kept.drop(vma.start, vma.end, preserved);
    this.#touch(vma);
    this.#account(vma, 1);
    this.protectPages(vma, preserved);
    const { object } = vma;
    this.list.insert(vma);
    if (object) registerShared(object, this);
  }

  /** Unmaps without writing back. `preserve`: the same bytes of the same files will be there again at once. */
  remove(start: number, end: number, preserve = false): void {
    if (this.coherent.size > 0) publish(this, start, end);
    const pieces = start < end ? this.list.cut(start, end) : [];
    for (const vma of pieces) {
      this.#account(vma, -1);
      if (vma.touched) this.#stale.fill(1, vma.start / PAGE_SIZE, vma.end / PAGE_SIZE);
      if (this.memory.hide && (preserve || this.#leaving)) this.#hide(vma, preserve);
      else {
        this.kept.drop(vma.start, vma.end);
        this.memory.protect(vma.start, vma.end, -1);
      }
      if (vma.object) forgetShared(vma.object, this);
      vma.release();
    }
    if (pieces.length > 0) this.gaps.freed(end);
  }

  /** Everything is going. */
  #leaving = false;
  #hide(vma: Vma, preserve: boolean): void {
    if (preserve || this.kept.holds(vma)) this.memory.hide!(vma.start, vma.end);
    else this.memory.protect(vma.start, vma.end, -1);
  }

  /** Changes a whole VMA; the caller merges. */
  change(vma: Vma, prot: number, flags = vma.flags): void {
    this.#account(vma, -1);
    const sameAccess = effectiveProt(prot) === effectiveProt(vma.prot);
    vma.prot = prot;
    vma.flags = flags;
    this.#touch(vma);
    this.#account(vma, 1);
    if (!sameAccess) this.protectPages(vma);
  }

  /** Writes a VMA's rights into the page table. Pages beyond the end of its file are not accessible. */
  protectPages(vma: Vma, preserved: readonly Range[] = []): void {
    const { start, end, eof } = vma;
    const prot = effectiveProt(vma.prot);
    let at = start;
    for (const [from, to] of preserved) {
      if (at < from) this.memory.protect(at, from, prot);
      this.memory.show!(from, to, prot);
      at = to;
    }
    if (eof > at) this.memory.protect(at, eof, prot);
    if (eof < end) this.memory.protect(eof, end, 0);
  }

  /** A file mapping's file has another size now. */
  resize(vma: Vma, size: number): void {
    if (!vma.stamp || vma.stamp.size === size) return;
    this.#account(vma, -1);
    const before = vma.eof;
    vma.stamp = { ...vma.stamp, size };
    vma.pristine = false;
    this.#account(vma, 1);
    if (vma.eof === before) return;
    this.zeroBytes(before, vma.eof);
    this.protectPages(vma);
  }

  #touch(vma: Vma): void {
    if (vma.prot & PROT_WRITE || vma.file) vma.touched = true;
    if (vma.prot & PROT_WRITE) vma.pristine = false;
  }

  /** Makes unmapped memory that is about to be mapped read as zeros. */
  clear(start: number, end: number): void {
    const first = start / PAGE_SIZE;
    const marks = this.#stale.subarray(first, end / PAGE_SIZE);
    for (let page = marks.indexOf(1); page >= 0; ) {
      const found = marks.indexOf(0, page);
      const stop = found < 0 ? marks.length : found;
      this.memory.zero((first + page) * PAGE_SIZE, (first + stop) * PAGE_SIZE);
      marks.fill(0, page, stop);
      page = marks.indexOf(1, stop);
    }
  }
  /** Makes `[start, end)` zero, to the byte; nothing for an empty range. */
  zeroBytes(start: number, end: number): void {
    const whole = Math.min(pageUp(start), end);
    if (start < whole) this.memory.u8.fill(0, start, whole);
    if (whole < end) this.memory.zero(whole, end);
  }
  /** The caller has just given every byte of `[start, end)` its value. */
  filled(start: number, end: number): void {
    this.#stale.fill(0, start / PAGE_SIZE, end / PAGE_SIZE);
  }

  #account(vma: Vma, sign: 1 | -1): void {
    const s = this.#stats;
    const size = sign * vma.length;
    const isStack = (vma.flags & MAP_GROWSDOWN) !== 0;
    s.total += size;
    if (vma.prot !== 0) {
      const open = sign * (vma.eof - vma.start);
      s.accessible += open;
      if (vma.file || vma.shared) s.file += open;
    }
    if (isStack) s.stack += size;
    else if (vma.prot & PROT_WRITE && !vma.shared) s.data += size;
    else if (vma.prot & PROT_EXEC && vma.file) s.exec += size;
    if (vma.flags & MAP_LOCKED) s.locked += size;
    if (s.total > s.peakTotal) s.peakTotal = s.total;
    if (s.accessible > s.peakAccessible) s.peakAccessible = s.accessible;
  }

  #limit(resource: number): number {
    return this.limits?.rlimits[resource]?.soft ?? Infinity;
  }

  /** ENOMEM when mapping `[start, end)` (over whatever is there) would pass a limit. */
  checkLimits(start: number, end: number, prot: number, flags: number): void {
    if (!this.#fits(start, end, prot, flags)) throw sysError(errno.ENOMEM);
  }
  #fits(start: number, end: number, prot: number, flags: number): boolean {
    const s = this.#stats;
    let total = s.total + (end - start);
    let { accessible } = s;
    if (prot !== 0) accessible += end - start;
    this.list.each(start, end, (vma, from, to) => {
      total -= to - from;
      if (vma.prot !== 0) accessible -= Math.max(0, Math.min(to, vma.eof) - from);
    });
    if (this.list.items.length >= MAX_MAP_COUNT || accessible > this.memoryLimit || total > this.#limit(RLIMIT_AS))
      return false;
    const isData = (prot & PROT_WRITE) !== 0 && (flags & (MAP_SHARED | MAP_GROWSDOWN)) === 0;
    return !isData || s.data + (end - start) <= this.#limit(RLIMIT_DATA);
  }
  /** ENOMEM when giving a mapped range these rights would pass a limit. */
  checkNewRights(vma: Vma, from: number, to: number, prot: number): void {
    const s = this.#stats;
    if (vma.prot === 0 && prot !== 0 && s.accessible + (to - from) > this.memoryLimit) throw sysError(errno.ENOMEM);
    const becomesData = !vma.shared && (prot & PROT_WRITE) !== 0 && (vma.prot & PROT_WRITE) === 0;
    if (becomesData && s.data + (to - from) > this.#limit(RLIMIT_DATA)) throw sysError(errno.ENOMEM);
  }

  // Whole life.

  /** Writes back and unmaps everything: at exit, and before a new program. */
  release(task: Task | null): MaybePromise<void> {
    return after(this.flush(task), () => this.reset());
  }

  /** Writes dirty shared mappings back, as the exit of a process does; everything stays mapped. */
  flush(task: Task | null): MaybePromise<void> {
    return flushRange(this, task, 0, GUEST_LIMIT);
  }

  /** Unmaps everything without writing back. */
  reset(): void {
    this.kept.renew(this.list.items);
    this.#leaving = true;
    try {
      this.remove(0, GUEST_LIMIT);
    } finally {
      this.#leaving = false;
    }
    this.gaps.forget();
    this.brkStart = 0;
    this.brkEnd = 0;
    this.lockFuture = false;
    this.membarrier = 0;
    this.#stats.peakTotal = 0;
    this.#stats.peakAccessible = 0;
  }

  /** A copy for fork(2) in a memory with nothing mapped. */
  fork(memory: GuestMemory): AddressSpace {
    const copy = new AddressSpace(memory);
    copy.kept.program = this.kept.program;
    const { layout, memoryLimit, limits, book, brkStart, brkEnd, membarrier } = this;
    copy.window.high = this.window.high;
    Object.assign(copy, { layout, memoryLimit, limits, book, brkStart, brkEnd, membarrier });
    for (const vma of this.list.items) {
      if (vma.flags & VM_DONTFORK) continue;
      const twin = vma.slice(vma.start, vma.end);
      twin.flags &= ~MAP_LOCKED;
      twin.shadow = vma.shadow?.slice() ?? null;
      const preserved = vma.pristine ? copy.kept.take(twin) : [];
      let at = vma.start;
      for (const [from, to] of [...preserved, [vma.eof, vma.eof] as const]) {
        if (at < from) {
          if (vma.touched && !(vma.flags & VM_WIPEONFORK)) copy.#copyFrom(this.memory, at, from);
          else copy.clear(at, from);
        }
        copy.filled(from, to);
        at = to;
      }
      copy.clear(vma.eof, vma.end);
      copy.insert(twin, preserved);
    }
    claimShared(this);
    return copy;
  }

  /**
   * Makes unmapped memory equal to that of another one, page by page where they differ: pages that were never written to stay
   * so, and what a child of the same program has left there is mostly what the next one needs.
   */
  #copyFrom(other: GuestMemory, start: number, end: number): void {
    const from = other.u8;
    const to = this.memory.u8;
    const marks = this.#stale.subarray(start / PAGE_SIZE, end / PAGE_SIZE);
    /** Where the next page begins that may not be zero; below `at` when there is none. */
    let dirty = start + marks.indexOf(1) * PAGE_SIZE;
    for (let at = start; at < end; at += STRETCH) {
      const stop = Math.min(at + STRETCH, end);
      if (dirty >= start && dirty < at) dirty = start + marks.indexOf(1, (at - start) / PAGE_SIZE) * PAGE_SIZE;
      const isClean = dirty < start || dirty >= stop;
      const held = isClean ? (stop - at === STRETCH ? ZEROS : ZEROS.subarray(0, stop - at)) : to.subarray(at, stop);
      if (compare(from.subarray(at, stop), held) === 0) continue;
      for (let page = at; page < stop; page += PAGE_SIZE) {
        const part = from.subarray(page, page + PAGE_SIZE);
        if (compare(part, to.subarray(page, page + PAGE_SIZE)) !== 0) to.set(part, page);
      }
    }
    this.filled(start, end);
  }
}

/** Bytes compared at once. */
const STRETCH = 16 * PAGE_SIZE;
const ZEROS = new Uint8Array(STRETCH);
// The global `Buffer` is a getter.
const { compare } = Buffer;
