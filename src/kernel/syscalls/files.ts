/** Opening, closing, reading and writing: open(2), read(2), readv(2), lseek(2), close_range(2), memfd_create(2). */
import { errno, sysError } from '../abi/errno.ts';
import {
  createMemfd,
  MEMFD_NAME_MAX,
  MFD_ALLOW_SEALING,
  MFD_CLOEXEC,
  MFD_EXEC,
  MFD_HUGETLB,
  MFD_NOEXEC_SEAL,
} from '../fs/memfd.ts';
import {
  RESOLVE_BENEATH,
  RESOLVE_CACHED,
  RESOLVE_IN_ROOT,
  RESOLVE_NO_MAGICLINKS,
  RESOLVE_NO_SYMLINKS,
  RESOLVE_NO_XDEV,
} from '../fs/namei.ts';
import {
  type MaybePromise,
  O_APPEND,
  O_CLOEXEC,
  O_CREAT,
  O_DIRECTORY,
  O_NOFOLLOW,
  O_PATH,
  O_TMPFILE,
  O_TRUNC,
  O_WRONLY,
  type OpenFile,
} from '../fs/open-file.ts';
import { after } from '../mm/promise.ts';
import type { Task } from '../task/task.ts';
import { AT_FDCWD } from './at-flags.ts';
import { readIovec, readUser, readVector, writeUser, writeVector } from './io.ts';
import { openFlagNames, openFlagsFromGuest, VALID_OPEN_FLAGS } from './open-flags.ts';
import { row, type SyscallRow } from './row.ts';

const PATH_FLAGS = O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;

export function installFile(task: Task, file: OpenFile, cloexec: boolean): number {
  try {
    return task.files.install(file, cloexec);
  } catch (e) {
    file.unref();
    throw e;
  }
}

function openFile(
  task: Task,
  dirfd: number,
  path: string,
  flags: number,
  mode: number,
  resolve = 0,
): MaybePromise<number> {
  const cloexec = (flags & O_CLOEXEC) !== 0;
  const opened = task.kernel.vfs.open(task, dirfd, path, flags, mode & 0o7777, resolve);
  return after(opened, (file) => installFile(task, file, cloexec));
}

/** O_TMPFILE goes with O_DIRECTORY and without O_CREAT. */
function checkTmpfile(flags: number): void {
  if ((flags & O_TMPFILE & ~O_DIRECTORY) === 0) return;
  if ((flags & (O_DIRECTORY | O_CREAT)) !== O_DIRECTORY) throw sysError(errno.EINVAL);
}

function openat(task: Task, dirfd: number, path: number, guestFlags: number, mode: number): MaybePromise<number> {
  let flags = openFlagsFromGuest(task.cpu.isa, guestFlags) & VALID_OPEN_FLAGS;
  if (flags & O_PATH) flags &= PATH_FLAGS;
  // __O_TMPFILE counts only together with O_DIRECTORY.
  else checkTmpfile(flags);
  return openFile(task, dirfd, task.mem.readCString(path), flags, mode);
}

const open = (task: Task, path: number, flags: number, mode: number): MaybePromise<number> =>
  openat(task, AT_FDCWD, path, flags, mode);
const creat = (task: Task, path: number, mode: number): MaybePromise<number> =>
  openFile(task, AT_FDCWD, task.mem.readCString(path), O_CREAT | O_WRONLY | O_TRUNC, mode);

const OPEN_HOW_SIZE = 24;
const ALL_RESOLVE =
  RESOLVE_NO_XDEV | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_SYMLINKS | RESOLVE_BENEATH | RESOLVE_IN_ROOT | RESOLVE_CACHED;

/** Trailing bytes of an extensible structure must be zero (copy_struct_from_user). */
function checkTail(task: Task, address: number, known: number, size: number): void {
  if (size > 4096) throw sysError(errno.E2BIG);
  if (size > known && task.mem.bytes(address + known, size - known).some((b) => b !== 0)) throw sysError(errno.E2BIG);
}

function openat2(task: Task, dirfd: number, path: number, how: number, size: number): MaybePromise<number> {
  if (size < OPEN_HOW_SIZE) throw sysError(errno.EINVAL);
  checkTail(task, how, OPEN_HOW_SIZE, size);
  const [rawFlags, mode, resolve] = [0, 8, 16].map((at) => task.mem.readU64(how + at)) as [number, number, number];
  const flags = openFlagsFromGuest(task.cpu.isa, rawFlags % 2 ** 32);
  if (rawFlags >= 2 ** 32 || flags & ~VALID_OPEN_FLAGS || resolve >= 2 ** 32 || resolve & ~ALL_RESOLVE)
    throw sysError(errno.EINVAL);
  if (resolve & RESOLVE_BENEATH && resolve & RESOLVE_IN_ROOT) throw sysError(errno.EINVAL);
  const creates = (flags & O_CREAT) !== 0 || (flags & O_TMPFILE) === O_TMPFILE;
  if (creates ? mode > 0o7777 : mode !== 0) throw sysError(errno.EINVAL);
  if (flags & O_PATH && flags & ~PATH_FLAGS) throw sysError(errno.EINVAL);
  checkTmpfile(flags);
  const name = task.mem.readCString(path);
  // "Only if everything is cached": it never is for certain.
  if (resolve & RESOLVE_CACHED) throw sysError(errno.EAGAIN);
  return openFile(task, dirfd, name, flags, mode, resolve);
}

function close(task: Task, fd: number): number {
  task.files.close(fd);
  return 0;
}

const CLOSE_RANGE_UNSHARE = 2;
const CLOSE_RANGE_CLOEXEC = 4;

function closeRange(task: Task, first: number, last: number, flags: number): number {
  if (flags & ~(CLOSE_RANGE_UNSHARE | CLOSE_RANGE_CLOEXEC) || first > last) throw sysError(errno.EINVAL);
  if (flags & CLOSE_RANGE_UNSHARE) unshareFiles(task);
  for (const [fd] of [...task.files.entries()]) {
    if (fd < first || fd > last) continue;
    if (flags & CLOSE_RANGE_CLOEXEC) task.files.setCloexec(fd, true);
    else task.files.close(fd);
  }
  return 0;
}

/** Gives the task a descriptor table of its own. */
export function unshareFiles(task: Task): void {
  for (const other of task.kernel.tasks.values()) {
    if (other !== (task as unknown) && other.files === task.files) {
      task.files = task.files.fork();
      return;
    }
  }
}

const read = (task: Task, fd: number, buf: number, count: number): MaybePromise<number> =>
  readUser(task, task.files.get(fd), buf, count, null);
const write = (task: Task, fd: number, buf: number, count: number): MaybePromise<number> =>
  writeUser(task, task.files.get(fd), buf, count, null);

/** A file with positions. Throws EINVAL for a negative one, EBADF, ESPIPE. */
function positioned(task: Task, fd: number, position: number): OpenFile {
  if (position < 0) throw sysError(errno.EINVAL);
  const file = task.files.get(fd);
  if (!file.seekable) throw sysError(errno.ESPIPE);
  return file;
}
const pread64 = (task: Task, fd: number, buf: number, count: number, position: number): MaybePromise<number> =>
  readUser(task, positioned(task, fd, position), buf, count, position);
const pwrite64 = (task: Task, fd: number, buf: number, count: number, position: number): MaybePromise<number> =>
  writeUser(task, positioned(task, fd, position), buf, count, position);

const readv = (task: Task, fd: number, iov: number, count: number): MaybePromise<number> =>
  readVector(task, task.files.get(fd), readIovec(task, iov, count), null);
const writev = (task: Task, fd: number, iov: number, count: number): MaybePromise<number> =>
  writeVector(task, task.files.get(fd), readIovec(task, iov, count), null);
const preadv = (task: Task, fd: number, iov: number, count: number, position: number): MaybePromise<number> =>
  readVector(task, positioned(task, fd, position), readIovec(task, iov, count), position);
const pwritev = (task: Task, fd: number, iov: number, count: number, position: number): MaybePromise<number> =>
  writeVector(task, positioned(task, fd, position), readIovec(task, iov, count), position);

const RWF = { RWF_HIPRI: 0x01, RWF_DSYNC: 0x02, RWF_SYNC: 0x04, RWF_NOWAIT: 0x08, RWF_APPEND: 0x10 };
const ALL_RWF = 0x1f;

/** Position -1 is the file offset. */
function preadv2(
  task: Task,
  fd: number,
  iov: number,
  count: number,
  position: number,
  _high: number,
  flags: number,
): MaybePromise<number> {
  const file = position === -1 ? task.files.get(fd) : positioned(task, fd, position);
  const segments = readIovec(task, iov, count);
  if (flags & ~ALL_RWF || flags & RWF.RWF_APPEND) throw sysError(errno.EOPNOTSUPP);
  return readVector(task, file, segments, position === -1 ? null : position);
}
function pwritev2(
  task: Task,
  fd: number,
  iov: number,
  count: number,
  position: number,
  _high: number,
  flags: number,
): MaybePromise<number> {
  const file = position === -1 ? task.files.get(fd) : positioned(task, fd, position);
  const segments = readIovec(task, iov, count);
  if (flags & ~ALL_RWF) throw sysError(errno.EOPNOTSUPP);
  const append = flags & RWF.RWF_APPEND && file.seekable && !(file.flags & O_APPEND) ? O_APPEND : 0;
  file.flags |= append;
  try {
    return after(writeVector(task, file, segments, position === -1 ? null : position), (n) => {
      if (flags & (RWF.RWF_SYNC | RWF.RWF_DSYNC)) file.sync();
      return n;
    });
  } finally {
    // Files with positions never wait.
    file.flags &= ~append;
  }
}

const lseek = (task: Task, fd: number, offset: number, whence: number): number => {
  const file = task.files.get(fd);
  if (whence > 4) throw sysError(errno.EINVAL);
  return file.lseek(offset, whence);
};

function memfdCreate(task: Task, nameAddress: number, flags: number): number {
  if (flags & ~(MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_HUGETLB | MFD_NOEXEC_SEAL | MFD_EXEC))
    throw sysError(errno.EINVAL);
  if (flags & MFD_EXEC && flags & MFD_NOEXEC_SEAL) throw sysError(errno.EINVAL);
  // No huge pages are configured.
  if (flags & MFD_HUGETLB) throw sysError(errno.ENOENT);
  const name = readName(task, nameAddress, MEMFD_NAME_MAX + 1);
  return installFile(task, createMemfd(task, name, flags), (flags & MFD_CLOEXEC) !== 0);
}

/** A string of fewer than `max` bytes; longer ones are EINVAL. */
function readName(task: Task, address: number, max: number): string {
  const room = task.mem.accessible(address, max, 1);
  if (room === 0) throw sysError(errno.EFAULT);
  const view = task.mem.bytes(address, room);
  if (view.indexOf(0) < 0) throw sysError(room < max ? errno.EFAULT : errno.EINVAL);
  return task.mem.readCString(address);
}

const flagNames = { flags: openFlagNames };

export const fileRows: SyscallRow[] = [
  row('read', 0, 63, 'fd:fd buf:outbuf=2 count:size', read),
  row('write', 1, 64, 'fd:fd buf:inbuf=2 count:size', write),
  row('open', 2, null, 'pathname:path flags:flags mode:mode', open, { flagNames }),
  row('openat', 257, 56, 'dirfd:dirfd pathname:path flags:flags mode:mode', openat, { flagNames }),
  row('openat2', 437, 437, 'dirfd:dirfd pathname:path how:instruct size:size', openat2, {
    note: 'RESOLVE_CACHED always fails with EAGAIN',
  }),
  row('creat', 85, null, 'pathname:path mode:mode', creat),
  row('close', 3, 57, 'fd:fd', close),
  row('close_range', 436, 436, 'first:uint last:uint flags:flags', closeRange, {
    flagNames: { flags: { CLOSE_RANGE_UNSHARE, CLOSE_RANGE_CLOEXEC } },
  }),
  row('pread64', 17, 67, 'fd:fd buf:outbuf=2 count:size offset:off', pread64),
  row('pwrite64', 18, 68, 'fd:fd buf:inbuf=2 count:size offset:off', pwrite64),
  row('readv', 19, 65, 'fd:fd iov:iovec iovcnt:ulong', readv),
  row('writev', 20, 66, 'fd:fd iov:iovec iovcnt:ulong', writev),
  row('preadv', 295, 69, 'fd:fd iov:iovec iovcnt:ulong offset:off', preadv),
  row('pwritev', 296, 70, 'fd:fd iov:iovec iovcnt:ulong offset:off', pwritev),
  row('preadv2', 327, 286, 'fd:fd iov:iovec iovcnt:ulong offset:off offset_high:ulong flags:flags', preadv2, {
    flagNames: { flags: RWF },
  }),
  row('pwritev2', 328, 287, 'fd:fd iov:iovec iovcnt:ulong offset:off offset_high:ulong flags:flags', pwritev2, {
    flagNames: { flags: RWF },
  }),
  row('lseek', 8, 62, 'fd:fd offset:off whence:uint', lseek),
  row('memfd_create', 319, 279, 'name:string flags:flags', memfdCreate, {
    note: 'no huge pages',
    flagNames: { flags: { MFD_CLOEXEC, MFD_ALLOW_SEALING, MFD_HUGETLB, MFD_NOEXEC_SEAL, MFD_EXEC } },
  }),
];
