/** Directories: getcwd(2), chdir(2), mkdir(2), rmdir(2), getdents(2). */
import { errno, sysError } from '../abi/errno.ts';
import { locate, type Path } from '../fs/fs-context.ts';
import { type DirEntry, S_IFDIR } from '../fs/inode.ts';
import { makeDirectory, removeDirectory } from '../fs/names.ts';
import { checkAccess, fileType, X_OK } from '../fs/permission.ts';
import { AT_FDCWD } from '../fs/vfs.ts';
import { latin1Bytes } from '../mm/user-memory.ts';
import { CAP_SYS_CHROOT } from '../task/credentials.ts';
import type { Task } from '../task/task.ts';
import { row, type SyscallRow } from './row.ts';

const PATH_MAX = 4096;

/** Returns the length with its NUL. A directory outside the root is shown behind `(unreachable)`, as Linux does. */
function getcwd(task: Task, buf: number, size: number): number {
  const { cwd, root } = task.fs;
  if (cwd.dentry.deleted) throw sysError(errno.ENOENT);
  const { name, reachable } = locate(cwd, root);
  const bytes = latin1Bytes(`${reachable ? '' : '(unreachable)'}${name}\0`);
  if (bytes.length > PATH_MAX) throw sysError(errno.ENAMETOOLONG);
  if (bytes.length > size) throw sysError(errno.ERANGE);
  task.mem.copyOut(buf, bytes);
  return bytes.length;
}

/** A directory one may be in: ENOTDIR, EACCES. */
function enterable(task: Task, place: Path): Path {
  const { inode } = place.dentry;
  if (fileType(inode) !== S_IFDIR) throw sysError(errno.ENOTDIR);
  checkAccess(task.cred, inode, X_OK);
  return place;
}

const directoryAt = (task: Task, path: number): Path =>
  enterable(task, task.kernel.vfs.resolve(task, AT_FDCWD, task.mem.readCString(path), { followLast: true }));

function chdir(task: Task, path: number): number {
  task.fs.cwd = directoryAt(task, path);
  return 0;
}

function fchdir(task: Task, fd: number): number {
  const { location } = task.files.getAny(fd);
  if (!location) throw sysError(errno.ENOTDIR);
  task.fs.cwd = enterable(task, location);
  return 0;
}

function chroot(task: Task, path: number): number {
  const place = directoryAt(task, path);
  if (!task.cred.capable(CAP_SYS_CHROOT)) throw sysError(errno.EPERM);
  task.fs.root = place;
  return 0;
}

function mkdirat(task: Task, dirfd: number, path: number, mode: number): number {
  makeDirectory(task.kernel.vfs, task, dirfd, task.mem.readCString(path), mode);
  return 0;
}

function rmdir(task: Task, path: number): number {
  removeDirectory(task.kernel.vfs, task, AT_FDCWD, task.mem.readCString(path));
  return 0;
}

/** Writes one entry at `at` of `out`, which is zeroed; its size, or 0 when there is no room. `next` is the offset behind it. */
type EntryWriter = (out: DataView, at: number, room: number, entry: DirEntry, next: number) => number;

const align8 = (n: number): number => (n + 7) & ~7;

function putHead(out: DataView, at: number, { ino }: DirEntry, next: number, size: number): void {
  out.setBigUint64(at, BigInt(Math.trunc(ino)), true);
  out.setBigUint64(at + 8, BigInt(next), true);
  out.setUint16(at + 16, size, true);
}

function putName(out: DataView, at: number, name: string): void {
  for (let i = 0; i < name.length; i++) out.setUint8(at + i, name.charCodeAt(i));
}

/** struct linux_dirent64: the type before the name. */
const dirent64: EntryWriter = (out, at, room, entry, next) => {
  const size = align8(19 + entry.name.length + 1);
  if (size > room) return 0;
  putHead(out, at, entry, next, size);
  out.setUint8(at + 18, entry.type >>> 12);
  putName(out, at + 19, entry.name);
  return size;
};

/** struct linux_dirent: the type in the last byte. */
const dirent: EntryWriter = (out, at, room, entry, next) => {
  const size = align8(18 + entry.name.length + 2);
  if (size > room) return 0;
  putHead(out, at, entry, next, size);
  putName(out, at + 18, entry.name);
  out.setUint8(at + size - 1, entry.type >>> 12);
  return size;
};

/** The most that is written in one call; no C library asks for more than 1 MiB. */
const BATCH = 1 << 20;

function readEntries(write: EntryWriter) {
  return (task: Task, fd: number, buf: number, count: number): number => {
    const file = task.files.get(fd);
    const entries = file.readdir(task);
    const out = new DataView(new ArrayBuffer(Math.min(count, BATCH)));
    const start = file.offset;
    let used = 0;
    let offset = start;
    for (const { entry, next } of entries) {
      const size = write(out, used, out.byteLength - used, entry, next);
      if (size === 0) {
        if (used === 0) throw sysError(errno.EINVAL);
        break;
      }
      used += size;
      offset = next;
    }
    task.mem.copyOut(buf, new Uint8Array(out.buffer, 0, used));
    file.offset = offset;
    return used;
  };
}

export const dirRows: SyscallRow[] = [
  row('getcwd', 79, 17, 'buf:outbuf=1 size:size', getcwd),
  row('chdir', 80, 49, 'path:path', chdir),
  row('fchdir', 81, 50, 'fd:fd', fchdir),
  row('chroot', 161, 51, 'path:path', chroot),
  row('mkdir', 83, null, 'pathname:path mode:mode', (task, path: number, mode: number) => mkdirat(task, AT_FDCWD, path, mode)),
  row('mkdirat', 258, 34, 'dirfd:dirfd pathname:path mode:mode', mkdirat),
  row('rmdir', 84, null, 'pathname:path', rmdir),
  row('getdents', 78, null, 'fd:fd dirp:ptr count:uint', readEntries(dirent)),
  row('getdents64', 217, 61, 'fd:fd dirp:ptr count:uint', readEntries(dirent64)),
];
