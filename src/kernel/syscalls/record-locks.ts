/** struct flock and the F_*LK commands of fcntl(2). */
import { errno, sysError } from '../abi/errno.ts';
import { findConflict, lockRange, type LockType, type RecordLock, unlockRange } from '../fs/locks.ts';
import type { MaybePromise, OpenFile } from '../fs/open-file.ts';
import type { Task } from '../task/task.ts';
import { pidSeenBy } from '../ns/pid.ts';

const F_RDLCK = 0;
const F_WRLCK = 1;
const F_UNLCK = 2;
const FLOCK_SIZE = 32;
const OFFSET_MAX = 2 ** 63;

interface Flock {
  readonly type: number;
  readonly start: number;
  /** The last byte; Infinity for "to the end, wherever that will be". */
  readonly end: number;
  readonly pid: number;
}

/** Throws EFAULT, EINVAL, EOVERFLOW (flock64_to_posix_lock). */
function readFlock(task: Task, file: OpenFile, addr: number): Flock {
  const { mem } = task;
  mem.bytes(addr, FLOCK_SIZE);
  const type = mem.readU16(addr);
  const whence = mem.readU16(addr + 2);
  const start = mem.readI64(addr + 8);
  const length = mem.readI64(addr + 16);
  const pid = mem.readI32(addr + 24);
  let from: number;
  switch (whence) {
    case 0:
      from = start;
      break;
    case 1:
      from = file.offset + start;
      break;
    case 2:
      from = file.stat().size + start;
      break;
    default:
      throw sysError(errno.EINVAL);
  }
  if (from >= OFFSET_MAX) throw sysError(errno.EOVERFLOW);
  if (from < 0 || (length < 0 && from + length < 0)) throw sysError(errno.EINVAL);
  if (length > 0 && from + length - 1 >= OFFSET_MAX) throw sysError(errno.EOVERFLOW);
  if (length === 0) return { type, start: from, end: Number.POSITIVE_INFINITY, pid };
  if (length > 0) return { type, start: from, end: from + length - 1, pid };
  return { type, start: from + length, end: from - 1, pid };
}

const lockTypes: readonly (LockType | undefined)[] = ['read', 'write'];

/** `ofd`: the lock belongs to the description, else to the process, that is to its descriptor table. */
function toLock(task: Task, file: OpenFile, { start, end, pid }: Flock, type: LockType, ofd: boolean): RecordLock {
  if (ofd && pid !== 0) throw sysError(errno.EINVAL);
  return { owner: ofd ? file : task.files, pid: ofd ? -1 : task.process.pid, type, start, end };
}

export function getLock(task: Task, file: OpenFile, addr: number, ofd: boolean): number {
  const request = readFlock(task, file, addr);
  const type = lockTypes[request.type];
  if (!type) throw sysError(errno.EINVAL);
  const found = findConflict(file, toLock(task, file, request, type, ofd));
  const out = task.mem.copyIn(addr, FLOCK_SIZE);
  const view = new DataView(out.buffer, out.byteOffset);
  if (!found) view.setInt16(0, F_UNLCK, true);
  else {
    view.setInt16(0, found.type === 'read' ? F_RDLCK : F_WRLCK, true);
    view.setInt16(2, 0, true);
    view.setBigInt64(8, BigInt(found.start), true);
    view.setBigInt64(16, Number.isFinite(found.end) ? BigInt(found.end - found.start + 1) : 0n, true);
    view.setInt32(24, found.pid === -1 ? -1 : pidSeenBy(task, found.pid), true);
  }
  task.mem.copyOut(addr, out);
  return 0;
}

export function setLock(task: Task, file: OpenFile, addr: number, ofd: boolean, wait: boolean): MaybePromise<number> {
  const request = readFlock(task, file, addr);
  if (request.type === F_UNLCK) {
    const { owner, start, end } = toLock(task, file, request, 'read', ofd);
    unlockRange(file, owner, start, end);
    return 0;
  }
  const type = lockTypes[request.type];
  if (!type) throw sysError(errno.EINVAL);
  if (type === 'read' ? !file.readable : !file.writable) throw sysError(errno.EBADF);
  return lockRange(task, file, toLock(task, file, request, type, ofd), wait);
}
