/** Descriptors and their flags: dup(2), fcntl(2), ioctl(2), flock(2). */
import { errno, sysError } from '../abi/errno.ts';
import { S_IFDIR, S_IFMT, S_IFREG } from '../fs/inode.ts';
import { flockFile, type LockType } from '../fs/locks.ts';
import { addSeals, getSeals } from '../fs/memfd.ts';
import { SETFL_MASK } from '../fs/open.ts';
import { type MaybePromise, O_ASYNC, O_CLOEXEC, O_NOATIME, O_NONBLOCK, O_PATH, type OpenFile } from '../fs/open-file.ts';
import { accessOf, isOwner } from '../fs/permission.ts';
import { getPipeSize, setPipeSize } from '../fs/pipe.ts';
import type { Task } from '../task/task.ts';
import { openFlagsFromGuest, openFlagsToGuest } from './open-flags.ts';
import { getLock, setLock } from './record-locks.ts';
import { row, type SyscallRow } from './row.ts';

const FD_CLOEXEC = 1;

function duplicate(task: Task, file: OpenFile, cloexec: boolean, min: number): number {
  const copy = file.ref();
  try {
    return task.files.install(copy, cloexec, min);
  } catch (e) {
    copy.unref();
    throw e;
  }
}

const dup = (task: Task, fd: number): number => duplicate(task, task.files.getAny(fd), false, 0);

function duplicateAt(task: Task, fd: number, newFd: number, cloexec: boolean): number {
  if (newFd < 0 || newFd >= task.files.limit) throw sysError(errno.EBADF);
  task.files.installAt(newFd, task.files.getAny(fd).ref(), cloexec);
  return newFd;
}

function dup2(task: Task, fd: number, newFd: number): number {
  if (fd !== newFd) return duplicateAt(task, fd, newFd, false);
  task.files.getAny(fd);
  return fd;
}

function dup3(task: Task, fd: number, newFd: number, flags: number): number {
  if (flags & ~O_CLOEXEC || fd === newFd) throw sysError(errno.EINVAL);
  return duplicateAt(task, fd, newFd, (flags & O_CLOEXEC) !== 0);
}

/** Who is to be told of input (F_SETOWN: a pid, or a negated process group) and by what signal. */
const owners = new WeakMap<OpenFile, { type: number; id: number; signal: number }>();
const ownerOf = (file: OpenFile) => owners.get(file) ?? { type: F_OWNER_PID, id: 0, signal: 0 };
const F_OWNER_TID = 0;
const F_OWNER_PID = 1;
const F_OWNER_PGRP = 2;

function setOwner(task: Task, file: OpenFile, type: number, id: number): number {
  if (type < F_OWNER_TID || type > F_OWNER_PGRP || id < 0) throw sysError(errno.EINVAL);
  const { kernel } = task;
  const exists =
    type === F_OWNER_TID ? kernel.tasks.has(id)
    : type === F_OWNER_PID ? kernel.processes.has(id)
    : [...kernel.processes.values()].some((p) => p.pgid === id);
  if (id !== 0 && !exists) throw sysError(errno.ESRCH);
  owners.set(file, { ...ownerOf(file), type, id });
  return 0;
}

function setStatusFlags(task: Task, file: OpenFile, raw: number): number {
  const flags = openFlagsFromGuest(task.cpu.isa, raw);
  if (flags & O_NOATIME && !(file.flags & O_NOATIME) && file.inode && !isOwner(task.cred, accessOf(file.inode).uid)) {
    throw sysError(errno.EPERM);
  }
  file.flags = (file.flags & ~SETFL_MASK) | (flags & SETFL_MASK);
  return 0;
}

const commands = {
  F_DUPFD: 0, F_GETFD: 1, F_SETFD: 2, F_GETFL: 3, F_SETFL: 4, F_GETLK: 5, F_SETLK: 6, F_SETLKW: 7, F_SETOWN: 8, F_GETOWN: 9,
  F_SETSIG: 10, F_GETSIG: 11, F_SETOWN_EX: 15, F_GETOWN_EX: 16, F_OFD_GETLK: 36, F_OFD_SETLK: 37, F_OFD_SETLKW: 38,
  F_SETLEASE: 1024, F_GETLEASE: 1025, F_NOTIFY: 1026, F_DUPFD_CLOEXEC: 1030, F_SETPIPE_SZ: 1031, F_GETPIPE_SZ: 1032,
  F_ADD_SEALS: 1033, F_GET_SEALS: 1034,
} as const;
const C = commands;
const F_UNLCK = 2;

/** What works on a descriptor opened with O_PATH, too. Null for other commands. */
function descriptorCommand(task: Task, fd: number, file: OpenFile, cmd: number, arg: number): number | null {
  switch (cmd) {
    case C.F_DUPFD:
    case C.F_DUPFD_CLOEXEC:
      if (arg >= task.files.limit) throw sysError(errno.EINVAL);
      return duplicate(task, file, cmd === C.F_DUPFD_CLOEXEC, arg);
    case C.F_GETFD:
      return task.files.getCloexec(fd) ? FD_CLOEXEC : 0;
    case C.F_SETFD:
      task.files.setCloexec(fd, (arg % 2) === FD_CLOEXEC);
      return 0;
    case C.F_GETFL:
      return openFlagsToGuest(task.cpu.isa, file.flags);
    default:
      return null;
  }
}

function fcntl(task: Task, fd: number, cmd: number, arg: number): MaybePromise<number> {
  const any = task.files.getAny(fd);
  const result = descriptorCommand(task, fd, any, cmd, arg);
  if (result !== null) return result;
  if (any.flags & O_PATH) throw sysError(errno.EBADF);
  // An int, for the commands that take no address.
  const value = (arg % 0x1_0000_0000) | 0;
  switch (cmd) {
    case C.F_SETFL:
      return setStatusFlags(task, any, value);
    case C.F_GETLK:
    case C.F_OFD_GETLK:
      return getLock(task, any, arg, cmd === C.F_OFD_GETLK);
    case C.F_SETLK:
    case C.F_SETLKW:
      return setLock(task, any, arg, false, cmd === C.F_SETLKW);
    case C.F_OFD_SETLK:
    case C.F_OFD_SETLKW:
      return setLock(task, any, arg, true, cmd === C.F_OFD_SETLKW);
    case C.F_SETOWN:
      if (value === -0x8000_0000) throw sysError(errno.EINVAL);
      return setOwner(task, any, value < 0 ? F_OWNER_PGRP : F_OWNER_PID, Math.abs(value));
    case C.F_GETOWN: {
      const { type, id } = ownerOf(any);
      return type === F_OWNER_PGRP ? -id : id;
    }
    case C.F_SETOWN_EX:
      task.mem.bytes(arg, 8);
      return setOwner(task, any, task.mem.readI32(arg), task.mem.readI32(arg + 4));
    case C.F_GETOWN_EX: {
      const { type, id } = ownerOf(any);
      task.mem.copyOut(arg, new Uint8Array(new Int32Array([type, id]).buffer));
      return 0;
    }
    case C.F_SETSIG:
      if (value < 0 || value > 64) throw sysError(errno.EINVAL);
      owners.set(any, { ...ownerOf(any), signal: value });
      return 0;
    case C.F_GETSIG:
      return ownerOf(any).signal;
    case C.F_GETLEASE:
      return F_UNLCK;
    case C.F_SETPIPE_SZ:
      return setPipeSize(task, any, value);
    case C.F_GETPIPE_SZ:
      return getPipeSize(any);
    case C.F_ADD_SEALS:
      return addSeals(task, any, value);
    case C.F_GET_SEALS:
      return getSeals(any);
    default:
      throw sysError(errno.EINVAL);
  }
}

// Requests that every file knows (do_vfs_ioctl).
const FIONCLEX = 0x5450;
const FIOCLEX = 0x5451;
const FIONBIO = 0x5421;
const FIOASYNC = 0x5452;
const FIOQSIZE = 0x5460;
const FIONREAD = 0x541b;
const FIGETBSZ = 2;
const FICLONE = 0x4004_9409;
const FICLONERANGE = 0x4020_940d;

function setFlag(file: OpenFile, flag: number, on: boolean): number {
  file.flags = on ? file.flags | flag : file.flags & ~flag;
  return 0;
}

function ioctl(task: Task, fd: number, request: number, arg: number): MaybePromise<number> {
  const file = task.files.get(fd);
  const { mem } = task;
  switch (request) {
    case FIOCLEX:
    case FIONCLEX:
      task.files.setCloexec(fd, request === FIOCLEX);
      return 0;
    case FIONBIO:
      return setFlag(file, O_NONBLOCK, mem.readI32(arg) !== 0);
    case FIOASYNC: {
      const on = mem.readI32(arg) !== 0;
      // Files without readiness cannot tell anybody of it.
      if (on && file.seekable) throw sysError(errno.ENOTTY);
      return setFlag(file, O_ASYNC, on);
    }
  }
  const type = file.inode ? accessOf(file.inode).mode & S_IFMT : 0;
  if (type === S_IFREG || type === S_IFDIR) {
    switch (request) {
      case FIOQSIZE:
        mem.writeU64(arg, file.stat().size);
        return 0;
      case FIGETBSZ:
        mem.writeU32(arg, file.statfs().bsize);
        return 0;
      case FICLONE:
      case FICLONERANGE:
        throw sysError(type === S_IFDIR ? errno.EISDIR : errno.EOPNOTSUPP);
      case FIONREAD:
        if (type !== S_IFREG) break;
        mem.writeU32(arg, Math.max(0, file.stat().size - file.offset));
        return 0;
    }
  }
  return file.ioctl(task, request, arg);
}

const LOCK_SH = 1;
const LOCK_EX = 2;
const LOCK_NB = 4;
const LOCK_UN = 8;

function flock(task: Task, fd: number, operation: number): MaybePromise<number> {
  const kind = operation & ~LOCK_NB;
  const type: LockType | null | undefined = ({ [LOCK_SH]: 'read', [LOCK_EX]: 'write', [LOCK_UN]: null } as const)[kind];
  if (type === undefined) throw sysError(errno.EINVAL);
  return flockFile(task, task.files.get(fd), type, (operation & LOCK_NB) === 0);
}

const lockFlags = { flagNames: { operation: { LOCK_SH, LOCK_EX, LOCK_NB, LOCK_UN } } };
const noSigio = { support: 'partial', note: 'O_ASYNC never sends SIGIO; leases and directory notification fail with EINVAL' } as const;

export const fcntlRows: SyscallRow[] = [
  row('dup', 32, 23, 'oldfd:fd', dup),
  row('dup2', 33, null, 'oldfd:fd newfd:fd', dup2),
  row('dup3', 292, 24, 'oldfd:fd newfd:fd flags:flags', dup3, { flagNames: { flags: { O_CLOEXEC } } }),
  row('fcntl', 72, 25, 'fd:fd cmd:int arg:ulong', fcntl, noSigio),
  row('ioctl', 16, 29, 'fd:fd request:hex argp:ptr', ioctl),
  row('flock', 73, 32, 'fd:fd operation:flags', flock, lockFlags),
];
