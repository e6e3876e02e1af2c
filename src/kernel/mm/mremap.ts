/** mremap(2), as mm/mremap.c judges its arguments. */
import { errno, sysError } from '../abi/errno.ts';
import type { MaybePromise } from '../fs/open-file.ts';
import type { Task } from '../task/task.ts';
import type { AddressSpace } from './address-space.ts';
import { GUEST_LIMIT, PAGE_SIZE, PROT_WRITE } from './guest-memory.ts';
import { pageUp } from './layout.ts';
import { MAP_GROWSDOWN, MMAP_MIN_ADDR, MREMAP_DONTUNMAP, MREMAP_FIXED, MREMAP_MAYMOVE, TASK_SIZE } from './mman.ts';
import { refuseAlias } from './mmap.ts';
import { after } from './promise.ts';
import { Vma } from './vma.ts';
import { discard } from './madvise.ts';
import { readPages } from './writeback.ts';

export function mremap(
  mm: AddressSpace,
  task: Task,
  address: number,
  oldSize: number,
  newSize: number,
  flags: number,
  newAddress: number,
): MaybePromise<number> {
  const bad = flags & ~(MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP);
  if (bad || (flags & (MREMAP_FIXED | MREMAP_DONTUNMAP) && !(flags & MREMAP_MAYMOVE))) throw sysError(errno.EINVAL);
  if (flags & MREMAP_DONTUNMAP && oldSize !== newSize) throw sysError(errno.EINVAL);
  if (address % PAGE_SIZE !== 0) throw sysError(errno.EINVAL);
  const oldLength = pageUp(oldSize);
  const newLength = pageUp(newSize);
  if (!(newLength > 0) || newLength > TASK_SIZE || oldLength > TASK_SIZE) throw sysError(errno.EINVAL);
  const vma = mm.list.find(address);
  if (flags & (MREMAP_FIXED | MREMAP_DONTUNMAP)) {
    if (flags & MREMAP_FIXED) checkTarget(address, oldLength, newLength, newAddress);
    if (!vma) throw sysError(errno.EFAULT);
    return moveTo(mm, task, vma, address, oldLength, newLength, flags, newAddress);
  }
  if (!vma) throw sysError(errno.EFAULT);
  if (oldLength >= newLength) {
    const from = Math.min(address + newLength, GUEST_LIMIT);
    return after(mm.munmap(task, from, Math.min(address + oldLength, GUEST_LIMIT)), () => address);
  }
  checkGrowth(mm, vma, address, oldLength, newLength);
  if (oldLength > 0 && address + oldLength === vma.end && canGrowInPlace(mm, vma, newLength - oldLength)) {
    return after(extend(mm, task, vma, newLength - oldLength), () => address);
  }
  if (!(flags & MREMAP_MAYMOVE)) throw sysError(errno.ENOMEM);
  return move(mm, task, vma, address, oldLength, newLength, mm.findFree(0, newLength), false);
}

function checkTarget(address: number, oldLength: number, newLength: number, newAddress: number): void {
  if (newAddress % PAGE_SIZE !== 0 || newAddress > TASK_SIZE - newLength) throw sysError(errno.EINVAL);
  if (address + oldLength > newAddress && newAddress + newLength > address) throw sysError(errno.EINVAL);
  if (newAddress < MMAP_MIN_ADDR) throw sysError(errno.EPERM);
  if (newAddress + newLength > GUEST_LIMIT) throw sysError(errno.ENOMEM);
}

/** vma_to_resize: the old range must lie in one VMA, and the new size fit the limits. */
function checkGrowth(mm: AddressSpace, vma: Vma, address: number, oldLength: number, newLength: number): void {
  // Size 0 duplicates a shared mapping, which cannot have a second writable alias here.
  if (oldLength === 0 && !vma.shared) throw sysError(errno.EINVAL);
  if (oldLength === 0 && (vma.prot & PROT_WRITE || !vma.file)) throw sysError(errno.ENOMEM);
  if (oldLength > vma.end - address) throw sysError(errno.EFAULT);
  if (newLength > GUEST_LIMIT) throw sysError(errno.ENOMEM);
  if (newLength > oldLength && vma.file && vma.object) {
    const offset = vma.offset + (address - vma.start) + oldLength;
    refuseAlias(mm, vma.object, offset, newLength - oldLength, (vma.prot & PROT_WRITE) !== 0, 0, 0);
  }
  // A range that is free for certain stands for the new pages: nothing there is replaced.
  if (newLength > oldLength) mm.checkLimits(GUEST_LIMIT, GUEST_LIMIT + newLength - oldLength, vma.prot, vma.flags);
}

function canGrowInPlace(mm: AddressSpace, vma: Vma, more: number): boolean {
  const end = vma.end + more;
  return end <= mm.layout.mmapTop && !(vma.flags & MAP_GROWSDOWN) && !mm.list.overlaps(vma.end, end);
}

/** Adds `more` bytes behind a VMA, as a VMA of their own that then merges. */
function extend(mm: AddressSpace, task: Task, vma: Vma, more: number): MaybePromise<void> {
  return addTail(mm, task, vma, vma.end, vma.offset + vma.length, more);
}

/** Maps `length` new bytes at `start` that continue `like`: zeros, or the file from `offset`. */
function addTail(
  mm: AddressSpace,
  task: Task,
  like: Vma,
  start: number,
  offset: number,
  length: number,
): MaybePromise<void> {
  const { prot, flags, file, name, stamp, object } = like;
  const tail = new Vma({
    start,
    end: start + length,
    prot,
    flags,
    file,
    offset: file || object ? offset : 0,
    name,
    stamp,
    object,
  });
  if (!tail.stamp) {
    mm.clear(tail.start, tail.end);
    mm.insert(tail);
    return;
  }
  return after(readPages(mm, task, tail, tail.start, tail.eof), () => {
    tail.pristine = true;
    if (like.shadow) tail.shadow = mm.memory.u8.slice(tail.start, tail.end);
    mm.insert(tail);
  });
}

function moveTo(
  mm: AddressSpace,
  task: Task,
  vma: Vma,
  address: number,
  oldLength: number,
  newLength: number,
  flags: number,
  newAddress: number,
): MaybePromise<number> {
  const keep = (flags & MREMAP_DONTUNMAP) !== 0;
  const length = Math.min(oldLength, newLength);
  // Both places would show the same shared pages, which cannot be had here.
  if (keep && vma.shared) throw sysError(errno.ENOMEM);
  checkGrowth(mm, vma, address, length, newLength);
  if (keep) mm.checkLimits(GUEST_LIMIT, GUEST_LIMIT + newLength, vma.prot, vma.flags);
  const clear = flags & MREMAP_FIXED ? mm.munmap(task, newAddress, newAddress + newLength) : undefined;
  return after(clear, () => {
    // A range that shrinks loses its end first.
    const shrink =
      oldLength > newLength
        ? mm.munmap(task, address + newLength, Math.min(address + oldLength, GUEST_LIMIT))
        : undefined;
    return after(shrink, () => {
      const target = flags & MREMAP_FIXED ? newAddress : mm.findFree(newAddress, newLength);
      const source = mm.list.find(address);
      if (!source || address + length > source.end) throw sysError(errno.EFAULT);
      return move(mm, task, source, address, length, newLength, target, keep);
    });
  });
}

/** Moves `[address, address + length)` of one VMA to the free place `target` and adds what is missing to `newLength`. */
function move(
  mm: AddressSpace,
  task: Task,
  vma: Vma,
  address: number,
  length: number,
  newLength: number,
  target: number,
  keep: boolean,
): MaybePromise<number> {
  const offset = vma.offset + (address - vma.start);
  const like = vma.slice(vma.start, vma.end);
  const moved = length > 0 ? copyTo(mm, task, vma, address, length, target, keep) : undefined;
  const grown = after(moved, () => {
    if (newLength > length) return addTail(mm, task, like, target + length, offset + length, newLength - length);
  });
  return after(grown, () => {
    like.release();
    return target;
  });
}

function copyTo(
  mm: AddressSpace,
  task: Task,
  vma: Vma,
  address: number,
  length: number,
  target: number,
  keep: boolean,
): MaybePromise<void> {
  const moved = vma.slice(address, address + length, target);
  if (moved.shadow) moved.shadow = moved.shadow.slice();
  if (moved.touched) {
    mm.memory.u8.copyWithin(target, address, address + length);
    mm.filled(target, target + length);
    mm.memory.written(target, target + length);
  } else {
    mm.clear(target, target + length);
  }
  mm.insert(moved);
  if (!keep) {
    mm.remove(address, address + length);
    return;
  }
  // The old range stays mapped and reads as zeros, or as the file.
  const source = mm.list.find(address);
  if (source) return discard(mm, task, source, address, address + length);
}
