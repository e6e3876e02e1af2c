/** madvise(2) and msync(2). */
import { errno, sysError } from '../abi/errno.ts';
import type { MaybePromise } from '../fs/open-file.ts';
import type { Task } from '../task/task.ts';
import type { AddressSpace } from './address-space.ts';
import { GUEST_LIMIT, PAGE_SIZE, PROT_READ, PROT_WRITE } from './guest-memory.ts';
import { pageUp } from './layout.ts';
import {
  MADV_COLD,
  MADV_DODUMP,
  MADV_DOFORK,
  MADV_DONTDUMP,
  MADV_DONTFORK,
  MADV_DONTNEED,
  MADV_DONTNEED_LOCKED,
  MADV_FREE,
  MADV_HUGEPAGE,
  MADV_KEEPONFORK,
  MADV_MERGEABLE,
  MADV_NOHUGEPAGE,
  MADV_NORMAL,
  MADV_PAGEOUT,
  MADV_POPULATE_READ,
  MADV_POPULATE_WRITE,
  MADV_RANDOM,
  MADV_REMOVE,
  MADV_SEQUENTIAL,
  MADV_UNMERGEABLE,
  MADV_WILLNEED,
  MADV_WIPEONFORK,
  MAP_LOCKED,
  MS_ASYNC,
  MS_INVALIDATE,
  MS_SYNC,
} from './mman.ts';
import { forEachInOrder, after } from './promise.ts';
import { type Vma, VM_DONTDUMP, VM_DONTFORK, VM_HUGEPAGE, VM_NOHUGEPAGE, VM_WIPEONFORK } from './vma.ts';
import { flushRange, readPages } from './writeback.ts';

const FALLOC_FL_KEEP_SIZE = 1;
const FALLOC_FL_PUNCH_HOLE = 2;
const TWO64 = 2 ** 64;

/** Advice that changes flags of the VMA: [bits to set, bits to clear]. */
const flagAdvice: Readonly<Record<number, readonly [number, number]>> = {
  [MADV_DONTFORK]: [VM_DONTFORK, 0],
  [MADV_DOFORK]: [0, VM_DONTFORK],
  [MADV_HUGEPAGE]: [VM_HUGEPAGE, VM_NOHUGEPAGE],
  [MADV_NOHUGEPAGE]: [VM_NOHUGEPAGE, VM_HUGEPAGE],
  [MADV_DONTDUMP]: [VM_DONTDUMP, 0],
  [MADV_DODUMP]: [0, VM_DONTDUMP],
  [MADV_WIPEONFORK]: [VM_WIPEONFORK, 0],
  [MADV_KEEPONFORK]: [0, VM_WIPEONFORK],
};

/** Advice about paging, of which there is none; the range is only checked. */
const noEffect: readonly number[] = [
  MADV_NORMAL,
  MADV_RANDOM,
  MADV_SEQUENTIAL,
  MADV_WILLNEED,
  MADV_MERGEABLE,
  MADV_UNMERGEABLE,
  MADV_COLD,
  MADV_PAGEOUT,
];
const withEffect: readonly number[] = [
  MADV_DONTNEED,
  MADV_DONTNEED_LOCKED,
  MADV_FREE,
  MADV_REMOVE,
  MADV_POPULATE_READ,
  MADV_POPULATE_WRITE,
];

interface Part {
  vma: Vma;
  from: number;
  to: number;
}

/** Acts on everything mapped in the range; ENOMEM afterwards when there were holes. */
export function madvise(
  mm: AddressSpace,
  task: Task,
  address: number,
  length: number,
  advice: number,
): MaybePromise<void> {
  if (!noEffect.includes(advice) && !withEffect.includes(advice) && !flagAdvice[advice]) throw sysError(errno.EINVAL);
  const end = address + pageUp(length);
  if (address % PAGE_SIZE !== 0 || end >= TWO64) throw sysError(errno.EINVAL);
  if (length === 0) return;
  const stop = Math.min(end, GUEST_LIMIT);
  const populate = advice === MADV_POPULATE_READ || advice === MADV_POPULATE_WRITE;
  const complete = end <= GUEST_LIMIT && mm.list.covers(address, stop);
  if (populate && !complete) throw sysError(errno.ENOMEM);
  const parts: Part[] = [];
  mm.list.each(address, stop, (vma, from, to) => parts.push({ vma, from, to }));
  const acted = flagAdvice[advice]
    ? setFlags(mm, parts, advice)
    : forEachInOrder(parts, (part) => act(mm, task, part, advice));
  return after(acted, () => {
    if (!complete) throw sysError(errno.ENOMEM);
  });
}

function act(mm: AddressSpace, task: Task, part: Part, advice: number): MaybePromise<void> {
  const { vma } = part;
  switch (advice) {
    case MADV_DONTNEED:
      if (vma.flags & MAP_LOCKED) throw sysError(errno.EINVAL);
      return discard(mm, task, vma, part.from, part.to);
    case MADV_DONTNEED_LOCKED:
      return discard(mm, task, vma, part.from, part.to);
    case MADV_FREE:
      // The contents may stay until memory is short, which it never gets: there is nothing to give back.
      if (vma.file || vma.shared) throw sysError(errno.EINVAL);
      return;
    case MADV_REMOVE:
      return punchHole(mm, part);
    case MADV_POPULATE_READ:
      if (!(vma.prot & (PROT_READ | PROT_WRITE))) throw sysError(errno.EINVAL);
      return;
    case MADV_POPULATE_WRITE:
      if (!(vma.prot & PROT_WRITE)) throw sysError(errno.EINVAL);
      return;
    default:
      return;
  }
}

/** Private pages go back to what the mapping started from: zeros, or the file. Shared ones stay in the page cache. */
export function discard(mm: AddressSpace, task: Task, vma: Vma, from: number, to: number): MaybePromise<void> {
  if (vma.shared || !vma.touched || vma.pristine) return;
  if (vma.stamp) return readPages(mm, task, vma, from, Math.min(to, Math.max(from, vma.eof)));
  mm.memory.zero(from, to);
  mm.memory.written(from, to);
}

function punchHole(mm: AddressSpace, { vma, from, to }: Part): void {
  if (vma.flags & MAP_LOCKED || !vma.shared) throw sysError(errno.EINVAL);
  if (!(vma.prot & PROT_WRITE)) throw sysError(errno.EACCES);
  vma.file?.fallocate(FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, vma.offset + (from - vma.start), to - from);
  mm.memory.zero(from, to);
  mm.memory.written(from, to);
  vma.shadow?.fill(0, from - vma.start, to - vma.start);
}

function setFlags(mm: AddressSpace, parts: readonly Part[], advice: number): void {
  const [set, clear] = flagAdvice[advice]!;
  for (const { vma, from, to } of parts) {
    if (advice === MADV_WIPEONFORK && (vma.file || vma.shared)) throw sysError(errno.EINVAL);
    changeFlags(mm, from, to, set, clear);
  }
}

/** Sets and clears VMA flags in a mapped range. */
export function changeFlags(mm: AddressSpace, start: number, end: number, set: number, clear: number): void {
  const { list } = mm;
  const first = list.splitAt(start);
  const last = list.splitAt(end);
  for (let i = first; i < last; i++) {
    const vma = list.items[i]!;
    mm.change(vma, vma.prot, (vma.flags & ~clear) | set);
  }
  list.mergeAround(first, last);
}

/**
 * Names private anonymous memory, for /proc/PID/maps (PR_SET_VMA_ANON_NAME); the empty name takes it away. As madvise does, it acts on
 * all that is mapped, and says ENOMEM afterwards when there were holes. EBADF for what has a file, or is shared.
 */
export function nameAnonymous(mm: AddressSpace, address: number, length: number, name: string): void {
  const end = address + pageUp(length);
  if (address % PAGE_SIZE !== 0 || end >= TWO64) throw sysError(errno.EINVAL);
  if (end === address) return;
  const { list } = mm;
  const stop = Math.min(end, GUEST_LIMIT);
  const complete = end <= GUEST_LIMIT && list.covers(address, stop);
  if (list.overlaps(address, stop)) {
    const first = list.splitAt(address);
    const last = list.splitAt(stop);
    const named = list.items.slice(first, last);
    const refused = named.findIndex((vma) => vma.file !== null || vma.shared);
    for (const vma of refused < 0 ? named : named.slice(0, refused)) vma.anonName = name;
    list.mergeAround(first, last);
    if (refused >= 0) throw sysError(errno.EBADF);
  }
  if (!complete) throw sysError(errno.ENOMEM);
}

/** Writes dirty pages of shared file mappings to their files, also under MS_ASYNC. */
export function msync(
  mm: AddressSpace,
  task: Task,
  address: number,
  length: number,
  flags: number,
): MaybePromise<void> {
  if (flags & ~(MS_ASYNC | MS_INVALIDATE | MS_SYNC) || address % PAGE_SIZE !== 0) throw sysError(errno.EINVAL);
  if (flags & MS_ASYNC && flags & MS_SYNC) throw sysError(errno.EINVAL);
  const end = address + pageUp(length);
  if (end >= TWO64) throw sysError(errno.ENOMEM);
  if (end === address) return;
  const stop = Math.min(end, GUEST_LIMIT);
  const files = new Set<Vma>();
  mm.list.each(address, stop, (vma) => {
    if (flags & MS_INVALIDATE && vma.flags & MAP_LOCKED) throw sysError(errno.EBUSY);
    if (vma.shadow) files.add(vma);
  });
  return after(flushRange(mm, task, address, stop, true), () => {
    if (flags & MS_SYNC) for (const vma of files) vma.file?.sync();
    if (end > GUEST_LIMIT || !mm.list.covers(address, stop)) throw sysError(errno.ENOMEM);
  });
}
