/** Attributes: chmod(2), chown(2), umask(2), utimensat(2), truncate(2), fallocate(2), fsync(2), posix_fadvise(2). */
import { errno, sysError } from '../abi/errno.ts';
import { fileTime } from '../fs/clock.ts';
import type { Path } from '../fs/fs-context.ts';
import {
  type AccessAttr,
  type Inode,
  type SetAttr,
  S_IFDIR,
  S_IFIFO,
  S_IFLNK,
  S_IFMT,
  S_IFREG,
  type Timespec,
} from '../fs/inode.ts';
import { breakLeases } from '../fs/leases.ts';
import { checkOwner } from '../fs/names.ts';
import { isRunning } from '../fs/open.ts';
import { IN_MODIFY, maskOfChange, notifyFile, notifyPath, watching } from '../fs/notify.ts';
import { type MaybePromise, O_WRONLY, type OpenFile } from '../fs/open-file.ts';
import { accessOf, checkAccess, isOwner, mayAccess, S_ISGID, S_ISUID, W_OK } from '../fs/permission.ts';
import {
  FALLOC_FL_COLLAPSE_RANGE,
  FALLOC_FL_INSERT_RANGE,
  FALLOC_FL_KEEP_SIZE,
  FALLOC_FL_PUNCH_HOLE,
  FALLOC_FL_UNSHARE_RANGE,
  FALLOC_FL_ZERO_RANGE,
  MAX_FILE_SIZE,
  writableLength,
} from '../fs/regular-file.ts';
import { anySharedFiles, sharedFileResized } from '../mm/file-coherence.ts';
import { after } from '../mm/promise.ts';
import { CAP_CHOWN, CAP_FSETID } from '../task/credentials.ts';
import type { Task } from '../task/task.ts';
import { AT_EMPTY_PATH, AT_FDCWD, AT_SYMLINK_NOFOLLOW, atNames } from './at-flags.ts';
import { row, type SyscallRow } from './row.ts';
import { kernelGid, kernelUid } from './ids.ts';

/** What an attribute is to be changed of: a place, or an open file (which may have none). */
interface Target {
  readonly inode: Inode | null;
  readonly attr: AccessAttr;
  readonly path: Path | null;
  set(attr: SetAttr): void;
}

function placeTarget(task: Task, dirfd: number, address: number, flags: number): Target {
  const emptyPath = (flags & AT_EMPTY_PATH) !== 0;
  const followLast = (flags & AT_SYMLINK_NOFOLLOW) === 0;
  const path = task.kernel.vfs.resolve(task, dirfd, task.mem.readCString(address), { followLast, emptyPath });
  const { inode } = path.dentry;
  const set = (attr: SetAttr): void => {
    inode.setattr(attr);
    if (watching()) notifyPath(path, maskOfChange(attr));
  };
  return { inode, attr: accessOf(inode), path, set };
}
function fileTarget(file: OpenFile): Target {
  const set = (attr: SetAttr): void => {
    file.setattr(attr);
    if (watching()) notifyFile(file, maskOfChange(attr));
  };
  return { inode: file.inode, attr: file.stat(), path: file.location, set };
}

/** Throws EROFS, EPERM. */
function checkTargetOwner(task: Task, target: Target): void {
  if (target.path) checkOwner(task.kernel.vfs, task, target.path);
  else if (!isOwner(task.cred, target.attr)) throw sysError(errno.EPERM);
}

function changeMode(task: Task, target: Target, mode: number): number {
  checkTargetOwner(task, target);
  if ((target.attr.mode & S_IFMT) === S_IFLNK) throw sysError(errno.EOPNOTSUPP);
  let bits = mode & 0o7777;
  // Only members of the group may make a file set-group-ID.
  if (!task.cred.inGroup(target.attr.gid) && !task.cred.capableOver(target.attr, CAP_FSETID)) bits &= ~S_ISGID;
  target.set({ mode: bits });
  return 0;
}

const chmod = (task: Task, path: number, mode: number): number =>
  changeMode(task, placeTarget(task, AT_FDCWD, path, 0), mode);
const fchmod = (task: Task, fd: number, mode: number): number => changeMode(task, fileTarget(task.files.get(fd)), mode);
const fchmodat = (task: Task, dirfd: number, path: number, mode: number): number =>
  changeMode(task, placeTarget(task, dirfd, path, 0), mode);
function fchmodat2(task: Task, dirfd: number, path: number, mode: number, flags: number): number {
  if (flags & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH)) throw sysError(errno.EINVAL);
  return changeMode(task, placeTarget(task, dirfd, path, flags), mode);
}

const UNCHANGED = 0xffff_ffff;

function changeOwner(task: Task, target: Target, newUid: number, newGid: number): number {
  const { cred } = task;
  const uid = kernelUid(task, newUid);
  const gid = kernelGid(task, newGid);
  if (target.path) task.kernel.vfs.checkWritable(target.path);
  const { attr } = target;
  const owns = cred.fsuid === attr.uid;
  if (!cred.capableOver(attr, CAP_CHOWN)) {
    if (uid !== UNCHANGED && !(owns && uid === attr.uid)) throw sysError(errno.EPERM);
    if (gid !== UNCHANGED && !(owns && (gid === attr.gid || cred.inGroup(gid)))) throw sysError(errno.EPERM);
  }
  const change: SetAttr = { ...(uid !== UNCHANGED && { uid }), ...(gid !== UNCHANGED && { gid }) };
  // A new owner does not inherit the right to lend an identity.
  const { mode } = attr;
  const lent = S_ISUID | ((mode & 0o010) !== 0 ? S_ISGID : 0);
  if ((mode & S_IFMT) === S_IFREG && mode & lent) change.mode = mode & 0o7777 & ~lent;
  target.set(change);
  return 0;
}

const chown = (task: Task, path: number, uid: number, gid: number): number =>
  changeOwner(task, placeTarget(task, AT_FDCWD, path, 0), uid, gid);
const lchown = (task: Task, path: number, uid: number, gid: number): number =>
  changeOwner(task, placeTarget(task, AT_FDCWD, path, AT_SYMLINK_NOFOLLOW), uid, gid);
const fchown = (task: Task, fd: number, uid: number, gid: number): number =>
  changeOwner(task, fileTarget(task.files.get(fd)), uid, gid);
function fchownat(task: Task, dirfd: number, path: number, uid: number, gid: number, flags: number): number {
  if (flags & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH)) throw sysError(errno.EINVAL);
  return changeOwner(task, placeTarget(task, dirfd, path, flags), uid, gid);
}

function umask(task: Task, mask: number): number {
  const old = task.fs.umask;
  task.fs.umask = mask & 0o777;
  return old;
}

const UTIME_NOW = 0x3fff_ffff;
const UTIME_OMIT = 0x3fff_fffe;

/** `null` is "now"; `undefined` leaves it. */
type NewTime = Timespec | null | undefined;

/** Throws EPERM, or EACCES when both are "now" and the file may not be written either. */
function changeTimes(task: Task, target: Target, atime: NewTime, mtime: NewTime): number {
  if (target.path) task.kernel.vfs.checkWritable(target.path);
  if (!isOwner(task.cred, target.attr)) {
    if (atime !== null || mtime !== null) throw sysError(errno.EPERM);
    if (!mayAccess(task.cred, target.attr, W_OK)) throw sysError(errno.EACCES);
  }
  const now = fileTime();
  const a = atime === null ? now : atime;
  const m = mtime === null ? now : mtime;
  target.set({ ...(a && { atime: a }), ...(m && { mtime: m }) });
  return 0;
}

function readNewTime(task: Task, address: number): NewTime {
  const sec = task.mem.readI64(address);
  const nsec = task.mem.readI64(address + 8);
  if (nsec === UTIME_NOW) return null;
  if (nsec === UTIME_OMIT) return undefined;
  if (!(nsec >= 0 && nsec < 1e9)) throw sysError(errno.EINVAL);
  return { sec, nsec };
}

function utimensat(task: Task, dirfd: number, path: number, times: number, flags: number): number {
  if (times !== 0) task.mem.bytes(times, 32);
  const atime = times === 0 ? null : readNewTime(task, times);
  const mtime = times === 0 ? null : readNewTime(task, times + 16);
  if (atime === undefined && mtime === undefined) return 0;
  if (flags & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH)) throw sysError(errno.EINVAL);
  // No path: the description itself (futimens).
  if (path === 0 && dirfd !== AT_FDCWD) {
    if (flags !== 0) throw sysError(errno.EINVAL);
    return changeTimes(task, fileTarget(task.files.get(dirfd)), atime, mtime);
  }
  return changeTimes(task, placeTarget(task, dirfd, path, flags), atime, mtime);
}

/** struct timeval. */
function readMicroTime(task: Task, address: number): Timespec {
  const usec = task.mem.readI64(address + 8);
  if (!(usec >= 0 && usec < 1_000_000)) throw sysError(errno.EINVAL);
  return { sec: task.mem.readI64(address), nsec: usec * 1000 };
}
function futimesat(task: Task, dirfd: number, path: number, times: number): number {
  if (times !== 0) task.mem.bytes(times, 32);
  const atime = times === 0 ? null : readMicroTime(task, times);
  const mtime = times === 0 ? null : readMicroTime(task, times + 16);
  if (path === 0 && dirfd !== AT_FDCWD) return changeTimes(task, fileTarget(task.files.get(dirfd)), atime, mtime);
  return changeTimes(task, placeTarget(task, dirfd, path, 0), atime, mtime);
}
const utimes = (task: Task, path: number, times: number): number => futimesat(task, AT_FDCWD, path, times);
/** struct utimbuf: whole seconds. */
function utime(task: Task, path: number, times: number): number {
  if (times === 0) return futimesat(task, AT_FDCWD, path, 0);
  task.mem.bytes(times, 16);
  const seconds = (at: number): Timespec => ({ sec: task.mem.readI64(at), nsec: 0 });
  return changeTimes(task, placeTarget(task, AT_FDCWD, path, 0), seconds(times), seconds(times + 8));
}

/** Throws EFBIG with SIGXFSZ beyond RLIMIT_FSIZE, when the file would grow. */
function checkSize(task: Task, length: number, size: number): void {
  if (length > MAX_FILE_SIZE) throw sysError(errno.EFBIG);
  if (length > size) writableLength(task, length - 1, 1);
}

function truncate(task: Task, path: number, length: number): MaybePromise<number> {
  if (length < 0) throw sysError(errno.EINVAL);
  const { vfs } = task.kernel;
  const place = vfs.resolve(task, AT_FDCWD, task.mem.readCString(path));
  const { inode } = place.dentry;
  const type = accessOf(inode).mode & S_IFMT;
  if (type === S_IFDIR) throw sysError(errno.EISDIR);
  if (type !== S_IFREG) throw sysError(errno.EINVAL);
  vfs.checkWritable(place);
  checkAccess(task.cred, inode, W_OK);
  if (isRunning(task, inode)) throw sysError(errno.ETXTBSY);
  return after(breakLeases(task, inode, O_WRONLY), () => truncateFile(task, place, length));
}

function truncateFile(task: Task, place: Path, length: number): number {
  const { inode } = place.dentry;
  checkSize(task, length, inode.stat().size);
  if (!anySharedFiles()) inode.setattr({ size: length });
  else {
    // Mappings know the file by the key an open description has.
    const file = inode.open(1, task);
    if (file instanceof Promise) throw sysError(errno.EINVAL);
    try {
      file.setattr({ size: length });
      sharedFileResized(file.mapKey(), length);
    } finally {
      file.unref();
    }
  }
  if (watching()) notifyPath(place, IN_MODIFY);
  return 0;
}

function ftruncate(task: Task, fd: number, length: number): number {
  if (length < 0) throw sysError(errno.EINVAL);
  const file = task.files.get(fd);
  const st = file.stat();
  if ((st.mode & S_IFMT) !== S_IFREG || !file.writable) throw sysError(errno.EINVAL);
  checkSize(task, length, st.size);
  file.truncate(length);
  if (watching()) notifyFile(file, IN_MODIFY);
  if (anySharedFiles()) sharedFileResized(file.mapKey(), length);
  return 0;
}

const fallocNames = {
  FALLOC_FL_KEEP_SIZE,
  FALLOC_FL_PUNCH_HOLE,
  FALLOC_FL_COLLAPSE_RANGE,
  FALLOC_FL_ZERO_RANGE,
  FALLOC_FL_INSERT_RANGE,
  FALLOC_FL_UNSHARE_RANGE,
};
const FALLOC_SUPPORTED = 0x7b;

function fallocate(task: Task, fd: number, mode: number, offset: number, length: number): number {
  const file = task.files.get(fd);
  if (offset < 0 || length <= 0) throw sysError(errno.EINVAL);
  if (mode & ~FALLOC_SUPPORTED) throw sysError(errno.EOPNOTSUPP);
  const punch = (mode & FALLOC_FL_PUNCH_HOLE) !== 0;
  if (punch && (mode & FALLOC_FL_ZERO_RANGE || !(mode & FALLOC_FL_KEEP_SIZE))) throw sysError(errno.EOPNOTSUPP);
  if (!file.writable) throw sysError(errno.EBADF);
  const type = file.stat().mode & S_IFMT;
  if (type === S_IFIFO) throw sysError(errno.ESPIPE);
  if (type === S_IFDIR) throw sysError(errno.EISDIR);
  if (type !== S_IFREG) throw sysError(errno.ENODEV);
  if (offset + length > MAX_FILE_SIZE) throw sysError(errno.EFBIG);
  if (mode & (FALLOC_FL_COLLAPSE_RANGE | FALLOC_FL_INSERT_RANGE)) throw sysError(errno.EOPNOTSUPP);
  if (!(mode & FALLOC_FL_KEEP_SIZE)) checkSize(task, offset + length, file.stat().size);
  file.fallocate(mode & ~FALLOC_FL_UNSHARE_RANGE, offset, length);
  if (watching()) notifyFile(file, IN_MODIFY);
  if (anySharedFiles()) sharedFileResized(file.mapKey(), file.stat().size);
  return 0;
}

const POSIX_FADV_MAX = 5;

function fadvise64(task: Task, fd: number, _offset: number, length: number, advice: number): number {
  const file = task.files.get(fd);
  if ((file.stat().mode & S_IFMT) === S_IFIFO) throw sysError(errno.ESPIPE);
  if (length < 0 || advice > POSIX_FADV_MAX) throw sysError(errno.EINVAL);
  return 0;
}
function readahead(task: Task, fd: number): number {
  const file = task.files.get(fd);
  if (!file.readable) throw sysError(errno.EBADF);
  if ((file.stat().mode & S_IFMT) !== S_IFREG) throw sysError(errno.EINVAL);
  return 0;
}

const sync = (): number => 0;
const syncfs = (task: Task, fd: number): number => {
  task.files.get(fd);
  return 0;
};
function fsync(task: Task, fd: number): number {
  const file = task.files.get(fd);
  const type = file.stat().mode & S_IFMT;
  if (type !== S_IFREG && type !== S_IFDIR) throw sysError(errno.EINVAL);
  file.sync();
  return 0;
}
function syncFileRange(task: Task, fd: number, offset: number, length: number, flags: number): number {
  const file = task.files.get(fd);
  if (flags & ~7 || offset < 0 || length < 0 || offset + length > 2 ** 63) throw sysError(errno.EINVAL);
  const type = file.stat().mode & S_IFMT;
  if (type !== S_IFREG && type !== S_IFDIR) throw sysError(errno.ESPIPE);
  if (flags !== 0) file.sync();
  return 0;
}

const atFlags = { flagNames: { flags: atNames } };
const syncNames = { SYNC_FILE_RANGE_WAIT_BEFORE: 1, SYNC_FILE_RANGE_WRITE: 2, SYNC_FILE_RANGE_WAIT_AFTER: 4 };
const microseconds = { note: 'times of host files are set to the microsecond' };

export const permRows: SyscallRow[] = [
  row('chmod', 90, null, 'pathname:path mode:mode', chmod),
  row('fchmod', 91, 52, 'fd:fd mode:mode', fchmod),
  row('fchmodat', 268, 53, 'dirfd:dirfd pathname:path mode:mode', fchmodat),
  row('fchmodat2', 452, 452, 'dirfd:dirfd pathname:path mode:mode flags:flags', fchmodat2, atFlags),
  row('chown', 92, null, 'pathname:path owner:uint group:uint', chown),
  row('fchown', 93, 55, 'fd:fd owner:uint group:uint', fchown),
  row('lchown', 94, null, 'pathname:path owner:uint group:uint', lchown),
  row('fchownat', 260, 54, 'dirfd:dirfd pathname:path owner:uint group:uint flags:flags', fchownat, atFlags),
  row('umask', 95, 166, 'mask:octal', umask),
  row('utime', 132, null, 'filename:path times:ptr', utime, microseconds),
  row('utimes', 235, null, 'filename:path times:ptr', utimes, microseconds),
  row('futimesat', 261, null, 'dirfd:dirfd pathname:path times:ptr', futimesat, microseconds),
  row('utimensat', 280, 88, 'dirfd:dirfd pathname:path times:ptr flags:flags', utimensat, {
    ...microseconds,
    ...atFlags,
  }),
  row('truncate', 76, 45, 'path:path length:off', truncate),
  row('ftruncate', 77, 46, 'fd:fd length:off', ftruncate),
  row('fallocate', 285, 47, 'fd:fd mode:flags offset:off len:off', fallocate, {
    support: 'partial',
    note: 'no COLLAPSE_RANGE or INSERT_RANGE; on host files space is not reserved',
    flagNames: { mode: fallocNames },
  }),
  row('fadvise64', 221, 223, 'fd:fd offset:off len:off advice:uint', fadvise64, {
    note: 'advice is checked and ignored',
  }),
  row('readahead', 187, 213, 'fd:fd offset:off count:size', readahead, { note: 'nothing is read ahead' }),
  row('sync', 162, 81, '', sync),
  row('syncfs', 306, 267, 'fd:fd', syncfs),
  row('fsync', 74, 82, 'fd:fd', fsync),
  row('fdatasync', 75, 83, 'fd:fd', fsync),
  row('sync_file_range', 277, 84, 'fd:fd offset:off nbytes:off flags:flags', syncFileRange, {
    flagNames: { flags: syncNames },
  }),
];
