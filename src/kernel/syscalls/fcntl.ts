/** Descriptors and descriptions: dup(2), fcntl(2), flock(2), ioctl(2). */
import { errno, sysError } from '../abi/errno.ts';
import { notifyDirectory } from '../fs/dnotify.ts';
import type { FdTable } from '../fs/fd-table.ts';
import { S_IFMT, S_IFREG } from '../fs/inode.ts';
import { getLease, setLease } from '../fs/leases.ts';
import { findConflict, flockFile, lockRange, type RecordLock, unlockRange } from '../fs/locks.ts';
import { addSeals, getSeals } from '../fs/memfd.ts';
import {
  type MaybePromise,
  O_ASYNC,
  O_CLOEXEC,
  O_NOATIME,
  O_NONBLOCK,
  O_PATH,
  type OpenFile,
} from '../fs/open-file.ts';
import { SETFL_MASK } from '../fs/open.ts';
import { isOwner } from '../fs/permission.ts';
import { getPipeSize, setPipeSize } from '../fs/pipe.ts';
import { MAX_FILE_SIZE } from '../fs/regular-file.ts';
import type { Task } from '../task/task.ts';
import { openFlagsFromGuest, openFlagsToGuest } from './open-flags.ts';
import { row, type SyscallRow } from './row.ts';
import { pidSeenBy } from '../ns/pid.ts';

/** Installs another reference; what `install` throws leaves nothing behind. */
function duplicate(file: OpenFile, install: (file: OpenFile) => number): number {
  file.ref();
  try {
    return install(file);
  } catch (e) {
    file.unref();
    throw e;
  }
}

const dup = (task: Task, fd: number): number => duplicate(task.files.getAny(fd), (file) => task.files.install(file));

function dup2(task: Task, oldFd: number, newFd: number): number {
  const file = task.files.getAny(oldFd);
  if (oldFd === newFd) return newFd;
  return duplicate(file, (f) => task.files.installAt(newFd, f, false));
}
function dup3(task: Task, oldFd: number, newFd: number, flags: number): number {
  if (flags & ~O_CLOEXEC || oldFd === newFd) throw sysError(errno.EINVAL);
  return duplicate(task.files.getAny(oldFd), (f) => task.files.installAt(newFd, f, (flags & O_CLOEXEC) !== 0));
}

const F = {
  F_DUPFD: 0,
  F_GETFD: 1,
  F_SETFD: 2,
  F_GETFL: 3,
  F_SETFL: 4,
  F_GETLK: 5,
  F_SETLK: 6,
  F_SETLKW: 7,
  F_SETOWN: 8,
  F_GETOWN: 9,
  F_SETSIG: 10,
  F_GETSIG: 11,
  F_SETOWN_EX: 15,
  F_GETOWN_EX: 16,
  F_OFD_GETLK: 36,
  F_OFD_SETLK: 37,
  F_OFD_SETLKW: 38,
  F_SETLEASE: 1024,
  F_GETLEASE: 1025,
  F_NOTIFY: 1026,
  F_DUPFD_CLOEXEC: 1030,
  F_SETPIPE_SZ: 1031,
  F_GETPIPE_SZ: 1032,
  F_ADD_SEALS: 1033,
  F_GET_SEALS: 1034,
  F_GET_RW_HINT: 1035,
  F_SET_RW_HINT: 1036,
  F_GET_FILE_RW_HINT: 1037,
  F_SET_FILE_RW_HINT: 1038,
} as const;

const FD_CLOEXEC = 1;
const F_RDLCK = 0;
const F_WRLCK = 1;
const F_UNLCK = 2;
const F_OWNER_TID = 0;
const F_OWNER_PID = 1;
const F_OWNER_PGRP = 2;

/** What F_SETOWN and F_SETSIG keep of a description. */
interface AsyncOwner {
  type: number;
  id: number;
  signal: number;
}
const asyncOwners = new WeakMap<OpenFile, AsyncOwner>();
function ownerOf(file: OpenFile): AsyncOwner {
  let owner = asyncOwners.get(file);
  if (!owner) {
    owner = { type: F_OWNER_PID, id: 0, signal: 0 };
    asyncOwners.set(file, owner);
  }
  return owner;
}

function dupFrom(task: Task, file: OpenFile, min: number, cloexec: boolean): number {
  if (!(min >= 0 && min < task.files.limit)) throw sysError(errno.EINVAL);
  return duplicate(file, (f) => task.files.install(f, cloexec, min));
}

function fcntl(task: Task, fd: number, command: number, arg: number): MaybePromise<number> {
  const { files } = task;
  const file = files.getAny(fd);
  const int = arg | 0;
  switch (command) {
    case F.F_DUPFD:
      return dupFrom(task, file, int, false);
    case F.F_DUPFD_CLOEXEC:
      return dupFrom(task, file, int, true);
    case F.F_GETFD:
      return files.getCloexec(fd) ? FD_CLOEXEC : 0;
    case F.F_SETFD:
      files.setCloexec(fd, (int & FD_CLOEXEC) !== 0);
      return 0;
    case F.F_GETFL:
      return openFlagsToGuest(task.cpu.isa, file.flags);
    default:
      if (file.flags & O_PATH) throw sysError(errno.EBADF);
      return fcntlFile(task, file, fd, command, arg);
  }
}

function fcntlFile(task: Task, file: OpenFile, fd: number, command: number, arg: number): MaybePromise<number> {
  const int = arg | 0;
  switch (command) {
    case F.F_SETFL:
      return setFlags(task, file, openFlagsFromGuest(task.cpu.isa, int));
    case F.F_GETLK:
    case F.F_OFD_GETLK:
      return getLock(task, file, arg, command === F.F_OFD_GETLK);
    case F.F_SETLK:
    case F.F_SETLKW:
      return setLock(task, file, arg, false, command === F.F_SETLKW);
    case F.F_OFD_SETLK:
    case F.F_OFD_SETLKW:
      return setLock(task, file, arg, true, command === F.F_OFD_SETLKW);
    case F.F_SETOWN: {
      const id = ownerNamed(task, Math.abs(int));
      Object.assign(ownerOf(file), { type: int < 0 ? F_OWNER_PGRP : F_OWNER_PID, id });
      return 0;
    }
    case F.F_GETOWN: {
      const { type, id } = ownerOf(file);
      const seen = pidSeenBy(task, id);
      return type === F_OWNER_PGRP ? -seen : seen;
    }
    case F.F_SETOWN_EX: {
      const type = task.mem.readI32(arg);
      if (type < F_OWNER_TID || type > F_OWNER_PGRP) throw sysError(errno.EINVAL);
      Object.assign(ownerOf(file), { type, id: ownerNamed(task, task.mem.readI32(arg + 4)) });
      return 0;
    }
    case F.F_GETOWN_EX: {
      const { type, id } = ownerOf(file);
      task.mem.copyOut(arg, new Uint8Array(new Int32Array([type, pidSeenBy(task, id)]).buffer));
      return 0;
    }
    case F.F_SETSIG:
      if (int < 0 || int > 64) throw sysError(errno.EINVAL);
      ownerOf(file).signal = int;
      return 0;
    case F.F_GETSIG:
      return ownerOf(file).signal;
    case F.F_GETLEASE:
      return getLease(file);
    case F.F_SETLEASE:
      return setLease(task, file, fd, int, ownerOf(file));
    case F.F_NOTIFY:
      return notifyDirectory(file, task.process, fd, int, () => ownerOf(file).signal);
    case F.F_SETPIPE_SZ:
      return setPipeSize(task, file, int);
    case F.F_GETPIPE_SZ:
      return getPipeSize(file);
    case F.F_ADD_SEALS:
      return addSeals(task, file, int);
    case F.F_GET_SEALS:
      return getSeals(file);
    case F.F_GET_RW_HINT:
    case F.F_GET_FILE_RW_HINT:
      task.mem.writeU64(arg, 0);
      return 0;
    case F.F_SET_RW_HINT:
    case F.F_SET_FILE_RW_HINT:
      if (task.mem.readU64(arg) > 5) throw sysError(errno.EINVAL);
      return 0;
    default:
      throw sysError(errno.EINVAL);
  }
}

/** The kernel's number of the owner that `task` names: a process, a thread, or a group. Throws ESRCH. */
function ownerNamed(task: Task, number: number): number {
  const { kernel } = task;
  const pid = task.process.pidNs.initial(number);
  if (number === 0 || kernel.processes.has(pid) || kernel.tasks.has(pid)) return pid;
  for (const p of kernel.processes.values()) if (p.pgid === pid || p.sid === pid) return pid;
  throw sysError(errno.ESRCH);
}

function setFlags(task: Task, file: OpenFile, flags: number): number {
  if (flags & O_NOATIME && !(file.flags & O_NOATIME) && !isOwner(task.cred, file.stat())) throw sysError(errno.EPERM);
  file.flags = (file.flags & ~SETFL_MASK) | (flags & SETFL_MASK);
  return 0;
}

/** struct flock, 32 bytes. */
interface Flock {
  type: number;
  start: number;
  end: number;
  pid: number;
}

/** Throws EINVAL for a range that starts before 0, EOVERFLOW for one that ends beyond the largest offset. */
function readFlock(task: Task, file: OpenFile, address: number): Flock {
  const { mem } = task;
  mem.bytes(address, 32);
  const type = (mem.readU16(address) << 16) >> 16;
  const whence = (mem.readU16(address + 2) << 16) >> 16;
  const from = mem.readI64(address + 8);
  const length = mem.readI64(address + 16);
  const pid = mem.readI32(address + 24);
  const bases = [0, file.offset, whence === 2 ? file.stat().size : 0];
  const base = bases[whence];
  if (base === undefined) throw sysError(errno.EINVAL);
  let start = base + from;
  if (start > MAX_FILE_SIZE * 1024) throw sysError(errno.EOVERFLOW);
  if (start < 0) throw sysError(errno.EINVAL);
  let end = Number.POSITIVE_INFINITY;
  if (length > 0) {
    end = start + length - 1;
    if (end >= 2 ** 63) throw sysError(errno.EOVERFLOW);
  } else if (length < 0) {
    end = start - 1;
    start += length;
    if (start < 0) throw sysError(errno.EINVAL);
  }
  return { type, start, end, pid };
}

/** POSIX locks belong to the descriptor table, OFD locks to the description. */
function lockOwner(task: Task, file: OpenFile, ofd: boolean): { owner: FdTable | OpenFile; pid: number } {
  return ofd ? { owner: file, pid: -1 } : { owner: task.files, pid: task.process.pid };
}

function checkOfd({ pid }: Flock, ofd: boolean): void {
  if (ofd && pid !== 0) throw sysError(errno.EINVAL);
}

function getLock(task: Task, file: OpenFile, address: number, ofd: boolean): number {
  const wanted = readFlock(task, file, address);
  checkOfd(wanted, ofd);
  if (wanted.type !== F_RDLCK && wanted.type !== F_WRLCK) throw sysError(errno.EINVAL);
  const lock: RecordLock = {
    ...lockOwner(task, file, ofd),
    type: wanted.type === F_WRLCK ? 'write' : 'read',
    start: wanted.start,
    end: wanted.end,
  };
  const conflict = findConflict(file, lock);
  task.mem.writable(address, 32);
  if (!conflict) {
    task.mem.writeU16(address, F_UNLCK);
    return 0;
  }
  task.mem.writeU16(address, conflict.type === 'write' ? F_WRLCK : F_RDLCK);
  task.mem.writeU16(address + 2, 0);
  task.mem.writeU64(address + 8, conflict.start);
  task.mem.writeU64(address + 16, conflict.end === Number.POSITIVE_INFINITY ? 0 : conflict.end - conflict.start + 1);
  task.mem.writeU32(address + 24, conflict.pid === -1 ? -1 : pidSeenBy(task, conflict.pid));
  return 0;
}

function setLock(task: Task, file: OpenFile, address: number, ofd: boolean, wait: boolean): MaybePromise<number> {
  const { type, start, end, pid } = readFlock(task, file, address);
  checkOfd({ type, start, end, pid }, ofd);
  const who = lockOwner(task, file, ofd);
  switch (type) {
    case F_UNLCK:
      unlockRange(file, who.owner, start, end);
      return 0;
    case F_RDLCK:
      if (!file.readable) throw sysError(errno.EBADF);
      return lockRange(task, file, { ...who, type: 'read', start, end }, wait);
    case F_WRLCK:
      if (!file.writable) throw sysError(errno.EBADF);
      return lockRange(task, file, { ...who, type: 'write', start, end }, wait);
    default:
      throw sysError(errno.EINVAL);
  }
}

const LOCK_SH = 1;
const LOCK_EX = 2;
const LOCK_NB = 4;
const LOCK_UN = 8;

function flock(task: Task, fd: number, operation: number): MaybePromise<number> {
  const file = task.files.get(fd);
  const wait = (operation & LOCK_NB) === 0;
  switch (operation & ~LOCK_NB) {
    case LOCK_SH:
      return flockFile(task, file, 'read', wait);
    case LOCK_EX:
      return flockFile(task, file, 'write', wait);
    case LOCK_UN:
      return flockFile(task, file, null, false);
    default:
      throw sysError(errno.EINVAL);
  }
}

const FIONREAD = 0x541b;
const FIONBIO = 0x5421;
const FIONCLEX = 0x5450;
const FIOCLEX = 0x5451;
const FIOASYNC = 0x5452;
const FIOQSIZE = 0x5460;
/** Cloning file contents: no file system here can (ioctl_ficlone(2)). */
const FICLONE = 0x4004_9409;
const FICLONERANGE = 0x4020_940d;

function setFlag(file: OpenFile, flag: number, on: boolean): number {
  file.flags = on ? file.flags | flag : file.flags & ~flag;
  return 0;
}

/** What every descriptor understands is done here, the rest by the file. */
function ioctl(task: Task, fd: number, request: number, arg: number): MaybePromise<number> {
  const file = task.files.get(fd);
  switch (request) {
    case FIOCLEX:
      task.files.setCloexec(fd, true);
      return 0;
    case FIONCLEX:
      task.files.setCloexec(fd, false);
      return 0;
    case FIONBIO:
      return setFlag(file, O_NONBLOCK, task.mem.readI32(arg) !== 0);
    case FIOASYNC:
      return setFlag(file, O_ASYNC, task.mem.readI32(arg) !== 0);
    case FICLONE:
    case FICLONERANGE:
      throw sysError(errno.EOPNOTSUPP);
    case FIONREAD:
    case FIOQSIZE: {
      const st = file.inode && file.seekable ? file.stat() : null;
      if (!st || (st.mode & S_IFMT) !== S_IFREG) return file.ioctl(task, request, arg);
      if (request === FIOQSIZE) task.mem.writeU64(arg, st.size);
      else task.mem.writeU32(arg, st.size - file.offset);
      return 0;
    }
    default:
      return file.ioctl(task, request, arg);
  }
}

export const fcntlRows: SyscallRow[] = [
  row('dup', 32, 23, 'oldfd:fd', dup),
  row('dup2', 33, null, 'oldfd:fd newfd:fd', dup2),
  row('dup3', 292, 24, 'oldfd:fd newfd:fd flags:flags', dup3, { flagNames: { flags: { O_CLOEXEC } } }),
  row('fcntl', 72, 25, 'fd:fd cmd:flags arg:long', fcntl, {
    support: 'partial',
    note: 'no leases; locks do not reach other programs of the host',
    flagNames: { cmd: F },
  }),
  row('flock', 73, 32, 'fd:fd operation:flags', flock, {
    note: 'among guest processes',
    flagNames: { operation: { LOCK_SH, LOCK_EX, LOCK_NB, LOCK_UN } },
  }),
  row('ioctl', 16, 29, 'fd:fd request:hex argp:hex', ioctl, {
    support: 'partial',
    note: 'of the requests, those of files, pipes and terminals',
  }),
];
