/**
 * File bytes that stay in a memory from one program to the next. Programs and libraries lie at the same addresses in every
 * process, so a memory that is used again mostly gets what it held before: then nothing is read, and what was translated
 * from the bytes still serves. Bytes are kept whole mappings at a time, and count only for a mapping that holds all of
 * them; anything else that comes to their place forgets them.
 */
import type { Timespec } from '../fs/inode.ts';
import { type GuestMemory, PROT_EXEC } from './guest-memory.ts';
import { type FileStamp, sameStamp, type Vma } from './vma.ts';

export type Range = readonly [start: number, end: number];

interface Kept {
  readonly start: number;
  readonly end: number;
  /** Place in the file of `start`. */
  readonly offset: number;
  readonly stamp: FileStamp;
  /** Mapped, but not executable: what was translated from it must not run yet. */
  shown: boolean;
}

/** Bytes kept in one memory. More than this is not worth the host's memory. */
const LIMIT = 48 << 20;
/** A file changed this short a time ago may change again without its times showing it, in nanoseconds. */
const UNSETTLED_NS = 2e9;

/** Whether later changes of a file will show in its times. */
export function isSettled(ctime: Timespec, nowMs: number): boolean {
  return ctime.sec * 1e9 + ctime.nsec < nowMs * 1e6 - UNSETTLED_NS;
}

const NONE: readonly Range[] = [];

export class KeptFiles {
  /** The program last started in the memory, by its file's map key. */
  program: object | null = null;
  readonly #memory: GuestMemory;
  /** In address order. */
  #list: Kept[] = [];

  constructor(memory: GuestMemory) {
    this.#memory = memory;
  }

  get ranges(): readonly Range[] {
    return this.#list.map(({ start, end }) => [start, end] as const);
  }
  /** Whether the pages of the mapping are kept when it goes. */
  holds(vma: Vma): boolean {
    return this.#list.some((k) => k.start === vma.start && k.end === vma.eof);
  }

  /** All mappings are about to go: keeps what has never been written, and what was kept and not in the way. */
  renew(vmas: readonly Vma[]): void {
    if (!this.#memory.hide) return;
    const now: Kept[] = [];
    for (const { start, eof, offset, stamp, pristine, shared } of vmas)
      if (pristine && !shared && stamp?.settled && eof > start)
        now.push({ start, end: eof, offset, stamp, shown: false });
    let total = 0;
    const fits = (k: Kept): boolean => (total += k.end - k.start) <= LIMIT;
    const kept = now.filter(fits);
    const older = this.#list.filter((k) => !k.shown);
    const still = older.filter(fits);
    this.#list = [...kept, ...still].sort((a, b) => a.start - b.start);
    // Of those there was no room for.
    for (const k of older) if (!still.includes(k)) this.#memory.written(k.start, k.end);
  }

  /** The parts of a file mapping about to be made whose bytes are there already. They are not asked for again. */
  take(vma: Vma): readonly Range[] {
    if (this.#list.length === 0 || !vma.stamp || vma.shared) return NONE;
    const { start, eof, offset, stamp, prot } = vma;
    const fits = (k: Kept): boolean =>
      k.start >= start && k.end <= eof && k.offset - k.start === offset - start && sameStamp(k.stamp, stamp);
    const found = this.#list.filter(fits);
    if (found.length === 0) return NONE;
    if (prot & PROT_EXEC) this.#list = this.#list.filter((k) => !found.includes(k));
    else for (const k of found) k.shown = true;
    return found.map((k) => [k.start, k.end] as const);
  }

  /** Something comes to `[start, end)`: forgets what is kept there, but for what lies inside of a range of `but`. */
  drop(start: number, end: number, but: readonly Range[] = NONE): void {
    if (this.#list.length === 0) return;
    const gone = this.#list.filter(
      (k) => k.start < end && start < k.end && !but.some(([a, b]) => a <= k.start && k.end <= b),
    );
    if (gone.length === 0) return;
    this.#list = this.#list.filter((k) => !gone.includes(k));
    for (const k of gone) this.#memory.written(k.start, k.end);
  }
}

const known = new WeakMap<GuestMemory, KeptFiles>();

export function keptFiles(memory: GuestMemory): KeptFiles {
  let kept = known.get(memory);
  if (!kept) {
    kept = new KeptFiles(memory);
    known.set(memory, kept);
  }
  return kept;
}
