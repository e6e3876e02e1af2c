/** Modes, owners, times and sizes of files, and making them durable: chmod(2), chown(2), utimensat(2), truncate(2), fsync(2). */
import { errno, sysError } from '../abi/errno.ts';
import { fileTime } from '../fs/clock.ts';
import type { Path } from '../fs/fs-context.ts';
import { type Inode, S_IFBLK, S_IFDIR, S_IFIFO, S_IFLNK, S_IFMT, S_IFREG, type SetAttr } from '../fs/inode.ts';
import { isRunning } from '../fs/open.ts';
import { type MaybePromise, O_RDONLY, type OpenFile } from '../fs/open-file.ts';
import { accessOf, checkAccess, fileType, isOwner, mayAccess, S_ISGID, S_ISUID, W_OK } from '../fs/permission.ts';
import {
  FALLOC_FL_COLLAPSE_RANGE, FALLOC_FL_INSERT_RANGE, FALLOC_FL_KEEP_SIZE, FALLOC_FL_PUNCH_HOLE, FALLOC_FL_UNSHARE_RANGE,
  FALLOC_FL_ZERO_RANGE, MAX_FILE_SIZE,
} from '../fs/regular-file.ts';
import { AT_FDCWD } from '../fs/vfs.ts';
import { anySharedFiles, flushSharedFile, sharedFileResized, sharedFileWritten } from '../mm/file-coherence.ts';
import { after } from '../mm/promise.ts';
import { sendSignal } from '../signals/send.ts';
import { CAP_CHOWN, CAP_FSETID } from '../task/credentials.ts';
import { RLIMIT_FSIZE } from '../task/rlimits.ts';
import type { Task } from '../task/task.ts';
import { AT_EMPTY_PATH, AT_SYMLINK_NOFOLLOW } from './at-flags.ts';
import { row, type SyscallRow } from './row.ts';

const SIGXFSZ = 25;

/** What attributes are changed of: a place by name, or an open file, whose own `setattr` outlives its name. */
interface Target {
  readonly inode: Inode;
  readonly place: Path | null;
  set(attr: SetAttr): void;
}

function named(task: Task, dirfd: number, path: string, flags: number): Target {
  const options = { followLast: (flags & AT_SYMLINK_NOFOLLOW) === 0 };
  if (path === '' && flags & AT_EMPTY_PATH && dirfd !== AT_FDCWD) return opened(task.files.getAny(dirfd));
  const place = path === '' && flags & AT_EMPTY_PATH ? task.fs.cwd : task.kernel.vfs.resolve(task, dirfd, path, options);
  const { inode } = place.dentry;
  return { inode, place, set: (attr) => inode.setattr(attr) };
}

function opened(file: OpenFile): Target {
  if (!file.inode) throw sysError(errno.EPERM);
  return { inode: file.inode, place: file.location, set: (attr) => file.setattr(attr) };
}

function checkWritable(task: Task, { place }: Target): void {
  if (place) task.kernel.vfs.checkWritable(place);
}

function chmod(task: Task, target: Target, mode: number): number {
  checkWritable(task, target);
  const attr = accessOf(target.inode);
  if (!isOwner(task.cred, attr.uid)) throw sysError(errno.EPERM);
  if ((attr.mode & S_IFMT) === S_IFLNK) throw sysError(errno.EOPNOTSUPP);
  const foreign = !task.cred.inGroup(attr.gid) && !task.cred.capable(CAP_FSETID);
  target.set({ mode: mode & 0o7777 & ~(foreign ? S_ISGID : 0) });
  return 0;
}

const fchmodat = (task: Task, dirfd: number, path: number, mode: number): number =>
  chmod(task, named(task, dirfd, task.mem.readCString(path), 0), mode);

/** -1 for an id that stays. */
function chown(task: Task, target: Target, uid: number, gid: number): number {
  checkWritable(task, target);
  const attr = accessOf(target.inode);
  const { cred } = task;
  const owner = cred.fsuid === attr.uid;
  if (!cred.capable(CAP_CHOWN)) {
    if (uid !== -1 && !(owner && uid >>> 0 === attr.uid)) throw sysError(errno.EPERM);
    if (gid !== -1 && !(owner && (gid >>> 0 === attr.gid || cred.inGroup(gid >>> 0)))) throw sysError(errno.EPERM);
  }
  const change: SetAttr = {};
  if (uid !== -1) change.uid = uid >>> 0;
  if (gid !== -1) change.gid = gid >>> 0;
  // A program must not keep its privileges under another owner, whoever changes it.
  const drop = (attr.mode & S_ISUID) | ((attr.mode & 0o2010) === 0o2010 ? S_ISGID : 0);
  if ((attr.mode & S_IFMT) !== S_IFDIR && drop) change.mode = attr.mode & 0o7777 & ~drop;
  target.set(change);
  return 0;
}

function fchownat(task: Task, dirfd: number, path: number, uid: number, gid: number, flags: number): number {
  if (flags & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH)) throw sysError(errno.EINVAL);
  return chown(task, named(task, dirfd, task.mem.readCString(path), flags), uid, gid);
}

function umask(task: Task, mask: number): number {
  const old = task.fs.umask;
  task.fs.umask = mask & 0o777;
  return old;
}

/** Seconds and nanoseconds; `now` and `omit` as UTIME_NOW and UTIME_OMIT. */
type NewTime = { sec: number; nsec: number } | 'now' | 'omit';
const UTIME_NOW = 0x3fff_ffff;
const UTIME_OMIT = 0x3fff_fffe;

/** Two timespecs; null times are both `now`. Throws EINVAL for nanoseconds beyond a second. */
function readTimes(task: Task, addr: number): [NewTime, NewTime] {
  if (addr === 0) return ['now', 'now'];
  task.mem.bytes(addr, 32);
  return [0, 16].map((at): NewTime => {
    const nsec = task.mem.readI64(addr + at + 8);
    if (nsec === UTIME_NOW) return 'now';
    if (nsec === UTIME_OMIT) return 'omit';
    if (!(nsec >= 0 && nsec < 1e9)) throw sysError(errno.EINVAL);
    return { sec: task.mem.readI64(addr + at), nsec };
  }) as [NewTime, NewTime];
}

/** Two timevals (utimes(2)). */
function readTimevals(task: Task, addr: number): [NewTime, NewTime] {
  if (addr === 0) return ['now', 'now'];
  task.mem.bytes(addr, 32);
  return [0, 16].map((at): NewTime => {
    const usec = task.mem.readI64(addr + at + 8);
    if (!(usec >= 0 && usec < 1e6)) throw sysError(errno.EINVAL);
    return { sec: task.mem.readI64(addr + at), nsec: usec * 1000 };
  }) as [NewTime, NewTime];
}

function setTimes(task: Task, target: Target, [atime, mtime]: [NewTime, NewTime]): number {
  checkWritable(task, target);
  const attr = accessOf(target.inode);
  const owner = isOwner(task.cred, attr.uid);
  // Setting both to the present is a touch: whoever may write the file may do it.
  if (atime === 'now' && mtime === 'now') {
    if (!owner && !mayAccess(task.cred, attr, W_OK)) throw sysError(errno.EACCES);
  } else if (!owner) throw sysError(errno.EPERM);
  const present = fileTime();
  const change: SetAttr = {};
  if (atime !== 'omit') change.atime = atime === 'now' ? present : atime;
  if (mtime !== 'omit') change.mtime = mtime === 'now' ? present : mtime;
  target.set(change);
  return 0;
}

/** A null path means the descriptor itself; with AT_FDCWD it is a bad address. */
function timesTarget(task: Task, dirfd: number, path: number, flags: number): Target {
  if (path !== 0 || dirfd === AT_FDCWD) return named(task, dirfd, task.mem.readCString(path), flags);
  if (flags !== 0) throw sysError(errno.EINVAL);
  return opened(task.files.get(dirfd));
}

function utimensat(task: Task, dirfd: number, path: number, times: number, flags: number): number {
  const values = readTimes(task, times);
  if (values[0] === 'omit' && values[1] === 'omit') return 0;
  if (flags & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH)) throw sysError(errno.EINVAL);
  return setTimes(task, timesTarget(task, dirfd, path, flags), values);
}

function futimesat(task: Task, dirfd: number, path: number, times: number): number {
  const values = readTimevals(task, times);
  return setTimes(task, timesTarget(task, dirfd, path, 0), values);
}

function utime(task: Task, path: number, times: number): number {
  let values: [NewTime, NewTime] = ['now', 'now'];
  if (times !== 0) {
    task.mem.bytes(times, 16);
    values = [{ sec: task.mem.readI64(times), nsec: 0 }, { sec: task.mem.readI64(times + 8), nsec: 0 }];
  }
  return setTimes(task, named(task, AT_FDCWD, task.mem.readCString(path), 0), values);
}

/** inode_newsize_ok: EFBIG, with SIGXFSZ when a limit is the reason. */
function checkNewSize(task: Task, size: number, old: number): void {
  const limit = task.process.rlimits[RLIMIT_FSIZE]?.soft ?? Number.POSITIVE_INFINITY;
  if (size > old && size > limit) {
    sendSignal(task, SIGXFSZ);
    throw sysError(errno.EFBIG);
  }
  if (size > MAX_FILE_SIZE) throw sysError(errno.EFBIG);
}

function truncate(task: Task, path: number, size: number): MaybePromise<number> {
  if (size < 0) throw sysError(errno.EINVAL);
  const target = named(task, AT_FDCWD, task.mem.readCString(path), 0);
  const { inode } = target;
  const type = fileType(inode);
  if (type === S_IFDIR) throw sysError(errno.EISDIR);
  if (type !== S_IFREG) throw sysError(errno.EINVAL);
  checkWritable(task, target);
  checkAccess(task.cred, inode, W_OK);
  if (isRunning(task, inode)) throw sysError(errno.ETXTBSY);
  checkNewSize(task, size, inode.stat().size);
  inode.setattr(withoutPrivileges(task, inode, size));
  if (!anySharedFiles()) return 0;
  return after(inode.open(O_RDONLY, task), (file) => {
    sharedFileResized(file.mapKey(), size);
    file.unref();
    return 0;
  });
}

/** Changing a file's size takes its set-user-ID and set-group-ID away, as writing does. */
function withoutPrivileges(task: Task, inode: Inode, size: number): SetAttr {
  const { mode } = accessOf(inode);
  const drop = (mode & S_ISUID) | ((mode & 0o2010) === 0o2010 ? S_ISGID : 0);
  return drop && !task.cred.capable(CAP_FSETID) ? { size, mode: mode & 0o7777 & ~drop } : { size };
}

function ftruncate(task: Task, fd: number, size: number): number {
  if (size < 0) throw sysError(errno.EINVAL);
  const file = task.files.get(fd);
  const st = file.stat();
  if ((st.mode & S_IFMT) !== S_IFREG || !file.writable) throw sysError(errno.EINVAL);
  checkNewSize(task, size, st.size);
  file.truncate(size);
  if (anySharedFiles()) sharedFileResized(file.mapKey(), size);
  return 0;
}

const FALLOC_ALL =
  FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE | FALLOC_FL_COLLAPSE_RANGE | FALLOC_FL_ZERO_RANGE | FALLOC_FL_INSERT_RANGE |
  FALLOC_FL_UNSHARE_RANGE;

/** The combinations vfs_fallocate refuses. */
function checkFallocMode(mode: number): void {
  const has = (bits: number): boolean => (mode & bits) === bits;
  if (mode & ~FALLOC_ALL || has(FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE)) throw sysError(errno.EOPNOTSUPP);
  if (has(FALLOC_FL_PUNCH_HOLE) && !has(FALLOC_FL_KEEP_SIZE)) throw sysError(errno.EOPNOTSUPP);
  for (const alone of [FALLOC_FL_COLLAPSE_RANGE, FALLOC_FL_INSERT_RANGE]) {
    if (has(alone) && mode !== alone) throw sysError(errno.EINVAL);
  }
  if (has(FALLOC_FL_UNSHARE_RANGE) && mode & ~(FALLOC_FL_UNSHARE_RANGE | FALLOC_FL_KEEP_SIZE)) throw sysError(errno.EINVAL);
}

function fallocate(task: Task, fd: number, mode: number, offset: number, length: number): MaybePromise<number> {
  const file = task.files.get(fd);
  if (offset < 0 || length <= 0) throw sysError(errno.EINVAL);
  checkFallocMode(mode);
  if (!file.writable) throw sysError(errno.EBADF);
  const st = file.stat();
  switch (st.mode & S_IFMT) {
    case S_IFREG:
      break;
    case S_IFIFO:
      throw sysError(errno.ESPIPE);
    case S_IFDIR:
      throw sysError(errno.EISDIR);
    default:
      throw sysError(errno.ENODEV);
  }
  if (offset + length > MAX_FILE_SIZE) throw sysError(errno.EFBIG);
  if ((mode & FALLOC_FL_KEEP_SIZE) === 0) checkNewSize(task, offset + length, st.size);
  const key = file.mapKey();
  return after(flushSharedFile(task, key), () => {
    file.fallocate(mode, offset, length);
    if (key && anySharedFiles(key)) showZeroes(file, key, mode, offset, length);
    return 0;
  });
}

const ZEROS = new Uint8Array(65536);

/** Shared mappings see the new size, and the zeroes that came to be. */
function showZeroes(file: OpenFile, key: object, mode: number, offset: number, length: number): void {
  const { size } = file.stat();
  sharedFileResized(key, size);
  if ((mode & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE)) === 0) return;
  const end = Math.min(offset + length, size);
  for (let at = offset; at < end; at += ZEROS.length) {
    sharedFileWritten(key, at, ZEROS.subarray(0, Math.min(ZEROS.length, end - at)), size);
  }
}

/** Advice changes nothing: the host caches as it likes. */
function fadvise64(task: Task, fd: number, _offset: number, length: number, advice: number): number {
  const file = task.files.get(fd);
  if (file.inode && fileType(file.inode) === S_IFIFO) throw sysError(errno.ESPIPE);
  if (length < 0 || advice < 0 || advice > 5) throw sysError(errno.EINVAL);
  return 0;
}

function readahead(task: Task, fd: number): number {
  const file = task.files.get(fd);
  if (!file.readable) throw sysError(errno.EBADF);
  if (!file.inode || ![S_IFREG, S_IFBLK].includes(fileType(file.inode))) throw sysError(errno.EINVAL);
  return 0;
}

function fsync(task: Task, fd: number): MaybePromise<number> {
  const file = task.files.get(fd);
  if (!file.inode || ![S_IFREG, S_IFDIR, S_IFBLK].includes(fileType(file.inode))) throw sysError(errno.EINVAL);
  return after(flushSharedFile(task, file.mapKey()), () => {
    file.sync();
    return 0;
  });
}

/** Writes need no help to reach the host: only fsync(2) has something to wait for. */
function syncfs(task: Task, fd: number): number {
  task.files.get(fd);
  return 0;
}

function syncFileRange(task: Task, fd: number, offset: number, length: number, flags: number): MaybePromise<number> {
  const file = task.files.get(fd);
  if (flags & ~7 || offset < 0 || length < 0) throw sysError(errno.EINVAL);
  if (!file.inode || ![S_IFREG, S_IFDIR, S_IFBLK].includes(fileType(file.inode))) throw sysError(errno.ESPIPE);
  return after(flushSharedFile(task, file.mapKey()), () => 0);
}

const chownAt = (flags: number) => (task: Task, path: number, uid: number, gid: number): number =>
  fchownat(task, AT_FDCWD, path, uid, gid, flags);
const AT = { flagNames: { flags: { AT_SYMLINK_NOFOLLOW, AT_EMPTY_PATH } } };
const fallocFlags = {
  support: 'partial', note: 'collapsing and inserting ranges is not supported; host files are zeroed and extended, not allocated',
  flagNames: { mode: { FALLOC_FL_KEEP_SIZE, FALLOC_FL_PUNCH_HOLE, FALLOC_FL_COLLAPSE_RANGE, FALLOC_FL_ZERO_RANGE, FALLOC_FL_INSERT_RANGE } },
} as const;

export const permRows: SyscallRow[] = [
  row('chmod', 90, null, 'pathname:path mode:mode', (task, path: number, mode: number) => fchmodat(task, AT_FDCWD, path, mode)),
  row('fchmod', 91, 52, 'fd:fd mode:mode', (task, fd: number, mode: number) => chmod(task, opened(task.files.get(fd)), mode)),
  row('fchmodat', 268, 53, 'dirfd:dirfd pathname:path mode:mode', fchmodat),
  row('chown', 92, null, 'pathname:path owner:int group:int', chownAt(0)),
  row('lchown', 94, null, 'pathname:path owner:int group:int', chownAt(AT_SYMLINK_NOFOLLOW)),
  row('fchown', 93, 55, 'fd:fd owner:int group:int', (task, fd: number, uid: number, gid: number) =>
    chown(task, opened(task.files.get(fd)), uid, gid)),
  row('fchownat', 260, 54, 'dirfd:dirfd pathname:path owner:int group:int flags:flags', fchownat, AT),
  row('umask', 95, 166, 'mask:mode', umask),
  row('utime', 132, null, 'filename:path times:instruct', utime),
  row('utimes', 235, null, 'filename:path times:instruct', (task, path: number, times: number) =>
    setTimes(task, named(task, AT_FDCWD, task.mem.readCString(path), 0), readTimevals(task, times))),
  row('futimesat', 261, null, 'dirfd:dirfd pathname:path times:instruct', futimesat),
  row('utimensat', 280, 88, 'dirfd:dirfd pathname:path times:instruct flags:flags', utimensat, AT),
  row('truncate', 76, 45, 'path:path length:off', truncate),
  row('ftruncate', 77, 46, 'fd:fd length:off', ftruncate),
  row('fallocate', 285, 47, 'fd:fd mode:flags offset:off len:off', fallocate, fallocFlags),
  row('fadvise64', 221, 223, 'fd:fd offset:off len:off advice:int', fadvise64),
  row('readahead', 187, 213, 'fd:fd offset:off count:size', readahead),
  row('sync', 162, 81, '', () => 0),
  row('syncfs', 306, 267, 'fd:fd', syncfs),
  row('fsync', 74, 82, 'fd:fd', fsync),
  row('fdatasync', 75, 83, 'fd:fd', fsync),
  row('sync_file_range', 277, 84, 'fd:fd offset:off nbytes:off flags:hex', syncFileRange),
];
