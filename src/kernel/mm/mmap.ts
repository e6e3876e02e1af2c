/** mmap(2): what the arguments mean, in the order in which Linux looks at them (mm/mmap.c, do_mmap). */
import { errno, sysError } from '../abi/errno.ts';
import type { MaybePromise, OpenFile } from '../fs/open-file.ts';
import { RLIMIT_MEMLOCK } from '../task/rlimits.ts';
import type { Task } from '../task/task.ts';
import type { AddressSpace } from './address-space.ts';
import { flushSharedFile } from './file-coherence.ts';
import { GUEST_LIMIT, PAGE_SIZE, PROT_EXEC, PROT_READ, PROT_WRITE } from './guest-memory.ts';
import { isSettled, type Range } from './kept-files.ts';
import { pageDown, pageUp } from './layout.ts';
import { IMAGE_ALIGN } from './load-address-book.ts';
import {
  LEGACY_MAP_MASK,
  MAP_32BIT,
  MAP_ANONYMOUS,
  MAP_DROPPABLE,
  MAP_FIXED,
  MAP_FIXED_NOREPLACE,
  MAP_GROWSDOWN,
  MAP_HUGE_MASK,
  MAP_HUGE_SHIFT,
  MAP_HUGETLB,
  MAP_LOCKED,
  MAP_PRIVATE,
  MAP_SHARED,
  MAP_SHARED_VALIDATE,
  MAP_SYNC,
  MAP_TYPE,
  MMAP_MIN_ADDR,
  TASK_SIZE,
} from './mman.ts';
import { after, forEachInOrder } from './promise.ts';
import { type FileStamp, KEPT_MAP_FLAGS, sameStamp, Vma, VM_NO_WRITE } from './vma.ts';
import { flushRange, hasContents, readFully, readPages, startShadow } from './writeback.ts';

/** The arguments of mmap(2). `file` is null for MAP_ANONYMOUS; `offset` is a multiple of the page size. */
export interface MmapRequest {
  address: number;
  length: number;
  prot: number;
  flags: number;
  file: OpenFile | null;
  offset: number;
  name?: string;
}

interface Plan extends MmapRequest {
  /** Key and size of a file with contents, null for plain memory. */
  stamp: FileStamp | null;
  key: object | null;
  /** Flags of the VMA to be. */
  vmFlags: number;
}

/** CAP_IPC_LOCK: mlock without limit. */
const CAP_IPC_LOCK = 14;
/** Largest file offset (MAX_LFS_FILESIZE). */
const MAX_OFFSET = 2 ** 63;

export function mmap(mm: AddressSpace, task: Task, request: MmapRequest): MaybePromise<number> {
  if (request.flags & MAP_HUGETLB) refuseHugePages(request);
  if (!(request.length > 0)) throw sysError(errno.EINVAL);
  const length = pageUp(request.length);
  if (length > TASK_SIZE) throw sysError(errno.ENOMEM);
  if (request.file && request.offset + length > MAX_OFFSET) throw sysError(errno.EOVERFLOW);
  const fixed = (request.flags & (MAP_FIXED | MAP_FIXED_NOREPLACE)) !== 0;
  if (fixed) checkFixed(mm, request.address, length, request.flags);
  const plan = makePlan(task, mm, { ...request, length, prot: request.prot & (PROT_READ | PROT_WRITE | PROT_EXEC) });
  // What others have stored in their shared mappings of the file is part of it.
  return plan.stamp
    ? after(flushSharedFile(task, plan.stamp.key), () => put(mm, task, plan, fixed))
    : put(mm, task, plan, fixed);
}

function put(mm: AddressSpace, task: Task, plan: Plan, fixed: boolean): MaybePromise<number> {
  const { length } = plan;
  if (fixed) {
    const start = plan.address;
    return after(flushRange(mm, task, start, start + length), () => place(mm, task, plan, start));
  }
  if (length > GUEST_LIMIT) throw sysError(errno.ENOMEM);
  return after(chooseAddress(mm, task, plan), (start) => place(mm, task, plan, start));
}

/** No huge pages are configured: known sizes (default, 2 MiB, 1 GiB) are out of memory, others do not exist. */
function refuseHugePages(request: MmapRequest): never {
  const log2 = (request.flags >>> MAP_HUGE_SHIFT) & MAP_HUGE_MASK;
  const known = log2 === 0 || log2 === 21 || log2 === 30;
  throw sysError(request.file === null && known ? errno.ENOMEM : errno.EINVAL);
}

function checkFixed(mm: AddressSpace, address: number, length: number, flags: number): void {
  if (address > TASK_SIZE - length) throw sysError(errno.ENOMEM);
  if (address % PAGE_SIZE !== 0) throw sysError(errno.EINVAL);
  if (address < MMAP_MIN_ADDR) throw sysError(errno.EPERM);
  if (address + length > GUEST_LIMIT) throw sysError(errno.ENOMEM);
  if (flags & MAP_FIXED_NOREPLACE && mm.list.overlaps(address, address + length)) throw sysError(errno.EEXIST);
}

function makePlan(task: Task, mm: AddressSpace, request: MmapRequest): Plan {
  const { flags, file } = request;
  let vmFlags = flags & KEPT_MAP_FLAGS & ~MAP_TYPE;
  if (mm.lockFuture) vmFlags |= MAP_LOCKED;
  if (flags & MAP_LOCKED) checkLock(task, mm, request.length);
  const type = flags & MAP_TYPE;
  if (!file) {
    const shared = type === MAP_SHARED;
    if (!shared && type !== MAP_PRIVATE && type !== MAP_DROPPABLE) throw sysError(errno.EINVAL);
    if (shared && flags & MAP_GROWSDOWN) throw sysError(errno.EINVAL);
    vmFlags |= shared ? MAP_SHARED : MAP_PRIVATE;
    return { ...request, offset: 0, stamp: null, key: shared ? { anonymous: true } : null, vmFlags };
  }
  return planFile(request, file, type, vmFlags);
}

function planFile(request: MmapRequest, file: OpenFile, type: number, keptFlags: number): Plan {
  const { flags, prot } = request;
  let vmFlags = keptFlags;
  if (type < MAP_SHARED || type > MAP_SHARED_VALIDATE) throw sysError(errno.EINVAL);
  if (flags & MAP_SYNC) throw sysError(errno.EOPNOTSUPP);
  if (type === MAP_SHARED_VALIDATE && flags & ~LEGACY_MAP_MASK) throw sysError(errno.EOPNOTSUPP);
  const shared = type !== MAP_PRIVATE;
  if (shared && prot & PROT_WRITE && !file.writable) throw sysError(errno.EACCES);
  if (!file.readable) throw sysError(errno.EACCES);
  const key = file.mapKey();
  if (!key) throw sysError(errno.ENODEV);
  if (flags & MAP_GROWSDOWN) throw sysError(errno.EINVAL);
  vmFlags |= shared ? MAP_SHARED : MAP_PRIVATE;
  if (!hasContents(file)) {
    // /dev/zero: private or shared memory of its own, whatever the offset.
    return {
      ...request,
      file: null,
      offset: 0,
      stamp: null,
      key: shared ? { anonymous: true } : null,
      vmFlags: vmFlags | MAP_ANONYMOUS,
    };
  }
  if (shared && file.mapsReadOnly && prot & PROT_WRITE) throw sysError(errno.EPERM);
  if (shared && (!file.writable || file.mapsReadOnly)) vmFlags |= VM_NO_WRITE;
  return { ...request, stamp: stampOf(key, file), key: shared ? key : null, vmFlags };
}

function stampOf(key: object, file: OpenFile): FileStamp {
  const { size, mtime, ctime } = file.stat();
  const settled = isSettled(ctime, Date.now());
  return { key, size, mtime: mtime.sec * 1e9 + mtime.nsec, ctime: ctime.sec * 1e9 + ctime.nsec, settled };
}

function checkLock(task: Task, mm: AddressSpace, length: number): void {
  if (task.cred.capable(CAP_IPC_LOCK)) return;
  const limit = task.process.rlimits[RLIMIT_MEMLOCK]?.soft ?? Infinity;
  if (limit === 0) throw sysError(errno.EPERM);
  if (mm.stats.locked + length > limit) throw sysError(errno.EAGAIN);
}

/** Address of a mapping that is not fixed. Images of ELF files go where the load-address book says. */
function chooseAddress(mm: AddressSpace, task: Task, plan: Plan): MaybePromise<number> {
  const { length } = plan;
  const page = plan.address > GUEST_LIMIT ? 0 : pageDown(plan.address);
  const hint = page === 0 ? 0 : Math.max(page, MMAP_MIN_ADDR);
  if (plan.flags & MAP_32BIT) {
    const low = hint > 0 && hint + length <= 0x8000_0000 && !mm.list.overlaps(hint, hint + length);
    return low ? hint : mm.findLow(length);
  }
  const mayBeImage =
    plan.file !== null && plan.stamp !== null && hint === 0 && plan.offset === 0 && !(plan.vmFlags & MAP_SHARED);
  if (!mayBeImage) return mm.findFree(hint, length);
  return after(isElf(task, plan.file!), (elf) => {
    const start = elf ? imageAddress(mm, plan.file!, length) : -1;
    return start >= 0 ? start : mm.findFree(0, length);
  });
}

const ELF_MAGIC = 0x464c457f;

function isElf(task: Task, file: OpenFile): MaybePromise<boolean> {
  const head = new Uint8Array(4);
  return after(
    readFully(task, file, head, 0),
    (n) => n === 4 && new DataView(head.buffer).getUint32(0, true) === ELF_MAGIC,
  );
}

/** A place in the image window for a file, the same in every process if it is free; -1 when the window is full. */
export function imageAddress(mm: AddressSpace, file: OpenFile, length: number, align = IMAGE_ALIGN): number {
  const { mmapBase, mmapTop } = mm.layout;
  const stat = file.stat();
  const preferred = mm.book.preferred(stat, file.path, length, mmapBase, mmapTop);
  const start = mm.findImagePlace(preferred, length, Math.max(align, IMAGE_ALIGN));
  if (start >= 0) mm.book.remember(stat, start);
  return start;
}

function place(mm: AddressSpace, task: Task, plan: Plan, start: number): MaybePromise<number> {
  const end = start + plan.length;
  const { prot, vmFlags, file, offset, stamp, key } = plan;
  try {
    mm.checkLimits(start, end, prot, vmFlags);
    if (key && stamp) refuseAlias(mm, key, offset, plan.length, (prot & PROT_WRITE) !== 0, start, end);
  } catch (e) {
    mm.gaps.forget();
    throw e;
  }
  const present = stamp !== null && !plan.key && isPresent(mm, stamp, offset, start, end);
  // What has been translated stays good, unless it must not run any more.
  const preserve =
    present &&
    mm.memory.show !== undefined &&
    (prot & PROT_WRITE) === 0 &&
    ((prot & PROT_EXEC) !== 0 || !isExecutable(mm, start, end));
  mm.remove(start, end, preserve);
  const vma = new Vma({ start, end, prot, flags: vmFlags, file, offset, name: plan.name ?? '', stamp, object: key });
  vma.pristine = stamp !== null;
  if (!stamp) {
    mm.clear(start, end);
    mm.insert(vma);
    return start;
  }
  const insert = (preserved: readonly Range[] = []): number => {
    for (const [from, to] of preserved) mm.filled(from, to);
    if (prot & PROT_WRITE) startShadow(mm, vma);
    mm.insert(vma, preserved);
    return start;
  };
  if (present) {
    mm.filled(start, vma.eof);
    if (preserve) mm.kept.take(vma);
    return insert(preserve ? [[start, vma.eof]] : []);
  }
  const kept = prot & PROT_WRITE ? [] : mm.kept.take(vma);
  return fill(mm, task, vma, kept, () => insert(kept));
}

function isExecutable(mm: AddressSpace, start: number, end: number): boolean {
  let found = false;
  mm.list.each(start, end, (vma) => {
    found ||= (vma.prot & PROT_EXEC) !== 0;
  });
  return found;
}

/** Reads the file's bytes but for those in the ranges `kept`, then lets the VMA in. While a read has to wait, the range is held by an empty mapping. */
function fill(
  mm: AddressSpace,
  task: Task,
  vma: Vma,
  kept: readonly Range[],
  insert: () => number,
): MaybePromise<number> {
  const parts: Range[] = [];
  let at = vma.start;
  for (const [from, to] of kept) {
    if (at < from) parts.push([at, from]);
    at = to;
  }
  if (at < vma.eof) parts.push([at, vma.eof]);
  let wait: MaybePromise<void>;
  try {
    wait = forEachInOrder(parts, ([from, to]) => readPages(mm, task, vma, from, to));
  } catch (e) {
    for (const [from, to] of kept) mm.memory.written(from, to);
    vma.release();
    mm.gaps.forget();
    throw e;
  }
  if (!(wait instanceof Promise)) return insert();
  const holder = new Vma({ start: vma.start, end: vma.end, prot: 0, flags: MAP_PRIVATE });
  holder.touched = true;
  mm.insert(holder);
  return wait.then(
    () => {
      mm.remove(vma.start, vma.end);
      mm.filled(vma.start, vma.eof);
      return insert();
    },
    (e) => {
      mm.remove(vma.start, vma.end);
      vma.release();
      throw e;
    },
  );
}

/** The range already holds these bytes of this file: ld.so maps a whole image first and its segments over it. */
function isPresent(mm: AddressSpace, stamp: FileStamp, offset: number, start: number, end: number): boolean {
  let at = start;
  let same = true;
  mm.list.each(start, end, (vma, from, to) => {
    same &&=
      from === at &&
      vma.pristine &&
      !vma.shared &&
      sameStamp(vma.stamp, stamp) &&
      vma.offset - vma.start === offset - start;
    at = to;
  });
  return same && at === end;
}

/**
 * Two mappings of the same part of one file share memory on Linux. Here they cannot, so a second one is refused when
 * either may be written. `[start, end)` is about to be replaced and does not count.
 */
export function refuseAlias(
  mm: AddressSpace,
  key: object,
  offset: number,
  length: number,
  writable: boolean,
  start: number,
  end: number,
): void {
  for (const other of mm.list.items) {
    if (other.object !== key || (!writable && !(other.prot & PROT_WRITE))) continue;
    if (other.start >= start && other.end <= end) continue;
    if (other.offset < offset + length && offset < other.offset + other.length) throw sysError(errno.ENOMEM);
  }
}
