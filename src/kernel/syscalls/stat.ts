/** File status: stat(2), statx(2), statfs(2), access(2). */
import { errno, sysError } from '../abi/errno.ts';
import { S_IFBLK, S_IFCHR, S_IFIFO, S_IFMT, S_IFSOCK, type Stat, type StatFs, type Timespec } from '../fs/inode.ts';
import { accessOf, mayAccess, W_OK } from '../fs/permission.ts';
import type { Credentials } from '../task/credentials.ts';
import type { Task } from '../task/task.ts';
import {
  AT_EACCESS,
  AT_EMPTY_PATH,
  AT_FDCWD,
  AT_NO_AUTOMOUNT,
  AT_STATX_DONT_SYNC,
  AT_STATX_FORCE_SYNC,
  AT_SYMLINK_NOFOLLOW,
  atNames,
} from './at-flags.ts';
import { row, type SyscallRow } from './row.ts';

const TWO32 = 0x1_0000_0000;

/** Writes 64-bit fields without BigInt; values are integers of magnitude below 2^53. */
function put64(view: DataView, at: number, value: number): void {
  view.setUint32(at, value >>> 0, true);
  view.setUint32(at + 4, Math.floor(value / TWO32) >>> 0, true);
}

function putTime(view: DataView, at: number, t: Timespec): void {
  put64(view, at, t.sec);
  put64(view, at + 8, t.nsec);
}

/** struct stat of x86-64 (144 bytes) or of all newer ISAs (128 bytes; asm-generic/stat.h). */
export function encodeStat(st: Stat, isa: 'x86_64' | 'aarch64'): Uint8Array {
  const x86 = isa === 'x86_64';
  const out = new Uint8Array(x86 ? 144 : 128);
  const view = new DataView(out.buffer);
  put64(view, 0, st.dev);
  put64(view, 8, st.ino);
  if (x86) put64(view, 16, st.nlink);
  else view.setUint32(20, st.nlink, true);
  view.setUint32(x86 ? 24 : 16, st.mode, true);
  view.setUint32(x86 ? 28 : 24, st.uid, true);
  view.setUint32(x86 ? 32 : 28, st.gid, true);
  put64(view, x86 ? 40 : 32, st.rdev);
  put64(view, 48, st.size);
  put64(view, 56, st.blksize);
  put64(view, 64, st.blocks);
  putTime(view, 72, st.atime);
  putTime(view, 88, st.mtime);
  putTime(view, 104, st.ctime);
  return out;
}

/** With the owner as the caller knows him. */
function ownedAs(task: Task, st: Stat): Stat {
  const { userNs } = task.cred;
  return userNs.level === 0 ? st : { ...st, uid: userNs.shown('uid', st.uid), gid: userNs.shown('gid', st.gid) };
}

function putStat(task: Task, address: number, st: Stat): number {
  task.mem.copyOut(address, encodeStat(ownedAs(task, st), task.cpu.isa));
  return 0;
}

/** The status of what `dirfd` and `path` name; AT_EMPTY_PATH with an empty path is the description itself. */
function statAt(task: Task, dirfd: number, path: string, flags: number): Stat {
  if (path === '' && flags & AT_EMPTY_PATH && dirfd !== AT_FDCWD) return task.files.getAny(dirfd).stat();
  const followLast = (flags & AT_SYMLINK_NOFOLLOW) === 0;
  return task.kernel.vfs
    .resolve(task, dirfd, path, { followLast, emptyPath: (flags & AT_EMPTY_PATH) !== 0 })
    .dentry.inode.stat();
}

const stat = (task: Task, path: number, buf: number): number =>
  putStat(task, buf, statAt(task, AT_FDCWD, task.mem.readCString(path), 0));
const lstat = (task: Task, path: number, buf: number): number =>
  putStat(task, buf, statAt(task, AT_FDCWD, task.mem.readCString(path), AT_SYMLINK_NOFOLLOW));
const fstat = (task: Task, fd: number, buf: number): number => putStat(task, buf, task.files.getAny(fd).stat());

const SYNC_TYPE = AT_STATX_FORCE_SYNC | AT_STATX_DONT_SYNC;
const STAT_FLAGS = AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_EMPTY_PATH | SYNC_TYPE;

function newfstatat(task: Task, dirfd: number, path: number, buf: number, flags: number): number {
  if (flags & ~STAT_FLAGS) throw sysError(errno.EINVAL);
  return putStat(task, buf, statAt(task, dirfd, task.mem.readCString(path), flags));
}

const STATX_BASIC_STATS = 0x7ff;
const STATX_BTIME = 0x800;
const STATX_MNT_ID = 0x1000;
const STATX_RESERVED = 0x8000_0000;
const STATX_ATTR_MOUNT_ROOT = 0x2000;

// dev_t as stat(2) shows it (new_encode_dev).
const major = (dev: number): number => Math.floor(dev / 256) % 4096;
const minor = (dev: number): number => (dev % 256) + Math.floor(dev / 0x10_0000) * 256;

function putStatxTime(view: DataView, at: number, t: Timespec): void {
  put64(view, at, t.sec);
  view.setUint32(at + 8, t.nsec, true);
}

/** struct statx. Everything that is known is told, whatever was asked for (statx(2)). */
function encodeStatx(st: Stat, mountId: number | null, mountRoot: boolean): Uint8Array {
  const out = new Uint8Array(256);
  const view = new DataView(out.buffer);
  view.setUint32(0, STATX_BASIC_STATS | (st.btime ? STATX_BTIME : 0) | (mountId === null ? 0 : STATX_MNT_ID), true);
  view.setUint32(4, st.blksize, true);
  put64(view, 8, mountRoot ? STATX_ATTR_MOUNT_ROOT : 0);
  view.setUint32(16, st.nlink, true);
  view.setUint32(20, st.uid, true);
  view.setUint32(24, st.gid, true);
  view.setUint16(28, st.mode, true);
  put64(view, 32, st.ino);
  put64(view, 40, st.size);
  put64(view, 48, st.blocks);
  put64(view, 56, STATX_ATTR_MOUNT_ROOT);
  putStatxTime(view, 64, st.atime);
  if (st.btime) putStatxTime(view, 80, st.btime);
  putStatxTime(view, 96, st.ctime);
  putStatxTime(view, 112, st.mtime);
  view.setUint32(128, major(st.rdev), true);
  view.setUint32(132, minor(st.rdev), true);
  view.setUint32(136, major(st.dev), true);
  view.setUint32(140, minor(st.dev), true);
  put64(view, 144, mountId ?? 0);
  return out;
}

function statx(task: Task, dirfd: number, path: number, flags: number, mask: number, buf: number): number {
  if (mask & STATX_RESERVED || flags & ~STAT_FLAGS || (flags & SYNC_TYPE) === SYNC_TYPE) throw sysError(errno.EINVAL);
  const name = task.mem.readCString(path);
  if (name === '' && flags & AT_EMPTY_PATH && dirfd !== AT_FDCWD) {
    const file = task.files.getAny(dirfd);
    const at = file.location;
    task.mem.copyOut(
      buf,
      encodeStatx(file.stat(), at ? at.mount.id : null, at !== null && at.dentry === at.mount.root),
    );
    return 0;
  }
  const followLast = (flags & AT_SYMLINK_NOFOLLOW) === 0;
  const { mount, dentry } = task.kernel.vfs.resolve(task, dirfd, name, {
    followLast,
    emptyPath: (flags & AT_EMPTY_PATH) !== 0,
  });
  task.mem.copyOut(buf, encodeStatx(dentry.inode.stat(), mount.id, dentry === mount.root));
  return 0;
}

const ST_RDONLY = 1;

/** struct statfs, the same on both ISAs. */
function encodeStatfs(s: StatFs, dev: number, readOnly: boolean): Uint8Array {
  const out = new Uint8Array(120);
  const view = new DataView(out.buffer);
  put64(view, 0, s.type);
  put64(view, 8, s.bsize);
  put64(view, 16, s.blocks);
  put64(view, 24, s.bfree);
  put64(view, 32, s.bavail);
  put64(view, 40, s.files);
  put64(view, 48, s.ffree);
  put64(view, 56, dev);
  put64(view, 64, s.namelen);
  put64(view, 72, s.bsize);
  put64(view, 80, (s.flags & ~ST_RDONLY) | (readOnly ? ST_RDONLY : 0));
  return out;
}

function statfs(task: Task, path: number, buf: number): number {
  const { mount, dentry } = task.kernel.vfs.resolve(task, AT_FDCWD, task.mem.readCString(path));
  const { fs } = dentry.inode;
  task.mem.copyOut(buf, encodeStatfs(fs.statfs(), fs.dev, mount.readOnly || fs.readOnly));
  return 0;
}
function fstatfs(task: Task, fd: number, buf: number): number {
  const file = task.files.getAny(fd);
  const { location, inode } = file;
  const readOnly = location ? location.mount.readOnly || location.mount.fs.readOnly : false;
  task.mem.copyOut(buf, encodeStatfs(file.statfs(), inode?.fs.dev ?? 0, readOnly));
  return 0;
}

/** access(2) asks for the real user; capabilities count as after a switch to it. */
function realCredentials(cred: Credentials): Credentials {
  const real = cred.clone();
  real.fsuid = cred.uid;
  real.fsgid = cred.gid;
  real.capEffective = cred.uid === cred.rootUid ? cred.capPermitted : 0n;
  return real;
}

const SPECIAL = new Set([S_IFCHR, S_IFBLK, S_IFIFO, S_IFSOCK]);

function faccessat2(task: Task, dirfd: number, path: number, mode: number, flags: number): number {
  if (mode & ~7 || flags & ~(AT_EACCESS | AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH)) throw sysError(errno.EINVAL);
  const { fsuid, fsgid, uid, gid } = task.cred;
  const cred = flags & AT_EACCESS || (fsuid === uid && fsgid === gid) ? task.cred : realCredentials(task.cred);
  const name = task.mem.readCString(path);
  // The walk itself is made with these credentials, too.
  const place = withCredentials(task, cred, () =>
    task.kernel.vfs.resolve(task, dirfd, name, {
      followLast: (flags & AT_SYMLINK_NOFOLLOW) === 0,
      emptyPath: (flags & AT_EMPTY_PATH) !== 0,
    }),
  );
  if (mode === 0) return 0;
  const attr = accessOf(place.dentry.inode);
  if (!mayAccess(cred, attr, mode)) throw sysError(errno.EACCES);
  if (mode & W_OK && !SPECIAL.has(attr.mode & S_IFMT)) task.kernel.vfs.checkWritable(place);
  return 0;
}

function withCredentials<T>(task: Task, cred: Credentials, act: () => T): T {
  const own = task.cred;
  task.cred = cred;
  try {
    return act();
  } finally {
    task.cred = own;
  }
}

const faccessat = (task: Task, dirfd: number, path: number, mode: number): number =>
  faccessat2(task, dirfd, path, mode, 0);
const access = (task: Task, path: number, mode: number): number => faccessat2(task, AT_FDCWD, path, mode, 0);

const modes = { R_OK: 4, W_OK: 2, X_OK: 1 };
const accessNames = { AT_EACCESS, ...atNames };

export const statRows: SyscallRow[] = [
  row('stat', 4, null, 'pathname:path statbuf:outstruct', stat),
  row('fstat', 5, 80, 'fd:fd statbuf:outstruct', fstat),
  row('lstat', 6, null, 'pathname:path statbuf:outstruct', lstat),
  row('newfstatat', 262, 79, 'dirfd:dirfd pathname:path statbuf:outstruct flags:flags', newfstatat, {
    flagNames: { flags: atNames },
  }),
  row('statx', 332, 291, 'dirfd:dirfd pathname:path flags:flags mask:hex statxbuf:outstruct', statx, {
    flagNames: { flags: { ...atNames, AT_STATX_FORCE_SYNC, AT_STATX_DONT_SYNC } },
  }),
  row('statfs', 137, 43, 'path:path buf:outstruct', statfs),
  row('fstatfs', 138, 44, 'fd:fd buf:outstruct', fstatfs),
  row('access', 21, null, 'pathname:path mode:flags', access, { flagNames: { mode: modes } }),
  row('faccessat', 269, 48, 'dirfd:dirfd pathname:path mode:flags', faccessat, { flagNames: { mode: modes } }),
  row('faccessat2', 439, 439, 'dirfd:dirfd pathname:path mode:flags flags:flags', faccessat2, {
    flagNames: { mode: modes, flags: accessNames },
  }),
];
