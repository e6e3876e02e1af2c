/**
 * Advisory locks: flock(2), and record locks of both kinds (fcntl(2): POSIX locks belong to the process, that is to its
 * descriptor table; OFD locks to the open file description).
 */
import { errno, sysError } from '../abi/errno.ts';
import type { Task } from '../task/task.ts';
import { WaitQueue } from '../task/wait-queue.ts';
import type { FdTable } from './fd-table.ts';
import type { MaybePromise, OpenFile } from './open-file.ts';

export type LockType = 'read' | 'write';

/** A record lock on the bytes `start` to `end`, both included; `end` may be Infinity. */
export interface RecordLock {
  readonly owner: object;
  /** Of the process, or -1 for OFD locks. */
  readonly pid: number;
  readonly type: LockType;
  readonly start: number;
  readonly end: number;
}

interface FileLocks {
  records: RecordLock[];
  readonly flocks: Map<OpenFile, LockType>;
  readonly changed: WaitQueue;
}

const files = new WeakMap<object, FileLocks>();
/** Number of record locks that belong to processes: most closes need to look no further. */
let posixLocks = 0;
/** Who waits, and for whom. */
const blocked = new Map<object, object>();

/** Two descriptions of one file share their locks. */
const identity = (file: OpenFile): object => file.mapKey() ?? file.inode ?? file;

function locksOf(file: OpenFile): FileLocks {
  const key = identity(file);
  let locks = files.get(key);
  if (!locks) {
    locks = { records: [], flocks: new Map(), changed: new WaitQueue() };
    files.set(key, locks);
  }
  return locks;
}

const overlap = (a: RecordLock, b: { start: number; end: number }): boolean => a.start <= b.end && b.start <= a.end;
const excludes = (a: LockType, b: LockType): boolean => a === 'write' || b === 'write';

/** The first lock of somebody else that stands in the way, or null (F_GETLK). */
export function findConflict(file: OpenFile, wanted: RecordLock): RecordLock | null {
  const { records } = locksOf(file);
  return records.find((r) => r.owner !== wanted.owner && overlap(r, wanted) && excludes(r.type, wanted.type)) ?? null;
}

const isPosix = (r: RecordLock): boolean => r.pid >= 0;

function replaceRecords(locks: FileLocks, records: RecordLock[]): void {
  posixLocks += records.filter(isPosix).length - locks.records.filter(isPosix).length;
  locks.records = records;
  locks.changed.wake();
}

/** Takes `range` out of the owner's locks, splitting those that reach beyond it. */
function without(records: readonly RecordLock[], range: { owner: object; start: number; end: number }): RecordLock[] {
  return records.flatMap((r) => {
    if (r.owner !== range.owner || !overlap(r, range)) return [r];
    const rest: RecordLock[] = [];
    if (r.start < range.start) rest.push({ ...r, end: range.start - 1 });
    if (r.end > range.end) rest.push({ ...r, start: range.end + 1 });
    return rest;
  });
}

/** Adds a lock, joined with equal ones of the same owner that overlap or touch it. */
function joined(records: readonly RecordLock[], lock: RecordLock): RecordLock[] {
  let { start, end } = lock;
  const rest: RecordLock[] = [];
  const sorted = [...records].sort((a, b) => a.start - b.start);
  for (const r of sorted) {
    if (r.owner === lock.owner && r.type === lock.type && r.start <= end + 1 && start <= r.end + 1) {
      start = Math.min(start, r.start);
      end = Math.max(end, r.end);
    } else rest.push(r);
  }
  return [...rest, { ...lock, start, end }].sort((a, b) => a.start - b.start);
}

/** F_UNLCK. */
export function unlockRange(file: OpenFile, owner: object, start: number, end: number): void {
  const locks = locksOf(file);
  replaceRecords(locks, without(locks.records, { owner, start, end }));
}

/** F_SETLK and F_SETLKW. Throws EAGAIN, EDEADLK, ERESTARTSYS. */
export function lockRange(task: Task, file: OpenFile, lock: RecordLock, wait: boolean): MaybePromise<number> {
  const conflict = findConflict(file, lock);
  if (!conflict) return place(file, lock);
  if (!wait) throw sysError(errno.EAGAIN);
  return waitForRange(task, file, lock);
}

function place(file: OpenFile, lock: RecordLock): number {
  const locks = locksOf(file);
  if (!isPosix(lock) && !locks.records.some((r) => r.owner === lock.owner)) {
    file.onRelease(() => unlockRange(file, lock.owner, 0, Number.POSITIVE_INFINITY));
  }
  replaceRecords(locks, joined(without(locks.records, lock), lock));
  return 0;
}

async function waitForRange(task: Task, file: OpenFile, lock: RecordLock): Promise<number> {
  const { changed } = locksOf(file);
  for (;;) {
    const conflict = findConflict(file, lock);
    if (!conflict) return place(file, lock);
    if (isPosix(lock) && waitsFor(conflict.owner, lock.owner)) throw sysError(errno.EDEADLK);
    blocked.set(lock.owner, conflict.owner);
    const result = await task.wait([changed], () => findConflict(file, lock) === null, null);
    blocked.delete(lock.owner);
    if (result === 'signal' && findConflict(file, lock)) throw sysError(errno.ERESTARTSYS);
  }
}

/** Whether `owner` waits, directly or through others, for `whom`. */
function waitsFor(owner: object, whom: object): boolean {
  let at: object | undefined = owner;
  for (let steps = 0; at && steps <= blocked.size; steps++) {
    if (at === whom) return true;
    at = blocked.get(at);
  }
  return false;
}

/** A descriptor of the file is closed: the process loses all its POSIX locks on it. */
export function releasePosixLocks(table: FdTable, file: OpenFile): void {
  if (posixLocks === 0) return;
  const locks = files.get(identity(file));
  if (!locks?.records.some((r) => r.owner === table)) return;
  replaceRecords(
    locks,
    locks.records.filter((r) => r.owner !== table),
  );
}

function flockConflict(locks: FileLocks, file: OpenFile, type: LockType): boolean {
  for (const [other, held] of locks.flocks) if (other !== file && excludes(held, type)) return true;
  return false;
}

/** flock(2); `type` null unlocks. Throws EAGAIN (EWOULDBLOCK), ERESTARTSYS. */
export function flockFile(task: Task, file: OpenFile, type: LockType | null, wait: boolean): MaybePromise<number> {
  const locks = locksOf(file);
  const had = locks.flocks.get(file);
  if (type === null || (had !== undefined && had !== type)) {
    // Changing a lock is not atomic: the old one is given up first (flock(2)).
    locks.flocks.delete(file);
    if (had !== undefined) locks.changed.wake();
  }
  if (type === null) return 0;
  if (flockConflict(locks, file, type)) {
    if (!wait) throw sysError(errno.EAGAIN);
    return waitForFlock(task, locks, file, type);
  }
  return takeFlock(locks, file, type);
}

function takeFlock(locks: FileLocks, file: OpenFile, type: LockType): number {
  if (!locks.flocks.has(file)) {
    file.onRelease(() => {
      if (locks.flocks.delete(file)) locks.changed.wake();
    });
  }
  locks.flocks.set(file, type);
  locks.changed.wake();
  return 0;
}

async function waitForFlock(task: Task, locks: FileLocks, file: OpenFile, type: LockType): Promise<number> {
  for (;;) {
    const result = await task.wait([locks.changed], () => !flockConflict(locks, file, type), null);
    if (!flockConflict(locks, file, type)) return takeFlock(locks, file, type);
    if (result === 'signal') throw sysError(errno.ERESTARTSYS);
  }
}

/** What /proc/locks and /proc/self/fdinfo tell. */
export function locksOn(file: OpenFile): { records: readonly RecordLock[]; flock: LockType | null } {
  const locks = files.get(identity(file));
  return { records: locks?.records ?? [], flock: locks?.flocks.get(file) ?? null };
}
