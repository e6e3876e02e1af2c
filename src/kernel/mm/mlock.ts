/** mlock(2) and its kin. Nothing is ever paged out; what remains are the limits and the bookkeeping. */
import { errno, sysError } from '../abi/errno.ts';
import { RLIMIT_MEMLOCK } from '../task/rlimits.ts';
import type { Task } from '../task/task.ts';
import type { AddressSpace } from './address-space.ts';
import { GUEST_LIMIT, PAGE_SIZE } from './guest-memory.ts';
import { pageDown, pageUp } from './layout.ts';
import { changeFlags } from './madvise.ts';
import { MAP_LOCKED, MCL_CURRENT, MCL_FUTURE, MCL_ONFAULT } from './mman.ts';

const CAP_IPC_LOCK = 14;
const TWO64 = 2 ** 64;

function lockLimit(task: Task): number {
  if (task.cred.capable(CAP_IPC_LOCK)) return Infinity;
  const limit = task.process.rlimits[RLIMIT_MEMLOCK]?.soft ?? Infinity;
  if (limit === 0) throw sysError(errno.EPERM);
  return limit;
}

/** Locks or unlocks up to the first hole, where it fails with ENOMEM. */
function apply(mm: AddressSpace, address: number, length: number, lock: boolean): void {
  const start = pageDown(address);
  const end = start + length;
  if (end >= TWO64) throw sysError(errno.EINVAL);
  const stop = Math.min(end, GUEST_LIMIT);
  let reached = start;
  mm.list.each(start, stop, (_vma, from, to) => {
    if (from === reached) reached = to;
  });
  if (reached > start) changeFlags(mm, start, reached, lock ? MAP_LOCKED : 0, lock ? 0 : MAP_LOCKED);
  if (reached < end) throw sysError(errno.ENOMEM);
}

export function mlock(mm: AddressSpace, task: Task, address: number, length: number): void {
  const limit = lockLimit(task);
  const size = pageUp(length + (address % PAGE_SIZE));
  if (size === 0) return;
  let already = 0;
  mm.list.each(pageDown(address), Math.min(pageDown(address) + size, GUEST_LIMIT), (vma, from, to) => {
    if (vma.flags & MAP_LOCKED) already += to - from;
  });
  if (mm.stats.locked - already + size > limit) throw sysError(errno.ENOMEM);
  apply(mm, address, size, true);
}

export function munlock(mm: AddressSpace, address: number, length: number): void {
  const size = pageUp(length + (address % PAGE_SIZE));
  if (size > 0) apply(mm, address, size, false);
}

export function mlockall(mm: AddressSpace, task: Task, flags: number): void {
  if (flags === 0 || flags & ~(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) || flags === MCL_ONFAULT)
    throw sysError(errno.EINVAL);
  const limit = lockLimit(task);
  if (flags & MCL_CURRENT && mm.stats.total > limit) throw sysError(errno.ENOMEM);
  mm.lockFuture = (flags & MCL_FUTURE) !== 0;
  if (flags & MCL_CURRENT) changeFlags(mm, 0, GUEST_LIMIT, MAP_LOCKED, 0);
}

export function munlockall(mm: AddressSpace): void {
  mm.lockFuture = false;
  changeFlags(mm, 0, GUEST_LIMIT, 0, MAP_LOCKED);
}
