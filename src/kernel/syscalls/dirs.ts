/** Directories: getcwd(2), chdir(2), chroot(2), mkdir(2), rmdir(2), getdents(2). */
import { errno, sysError } from '../abi/errno.ts';
import { locate, type Path } from '../fs/fs-context.ts';
import { S_IFDIR } from '../fs/inode.ts';
import { makeDirectory, removeDirectory } from '../fs/names.ts';
import { IN_ACCESS, notifyFile, watching } from '../fs/notify.ts';
import type { OpenFile } from '../fs/open-file.ts';
import { checkAccess, fileType, X_OK } from '../fs/permission.ts';
import { latin1Bytes } from '../mm/user-memory.ts';
import { CAP_SYS_CHROOT } from '../task/credentials.ts';
import type { Task } from '../task/task.ts';
import { AT_FDCWD } from './at-flags.ts';
import { row, type SyscallRow } from './row.ts';

const PATH_MAX = 4096;

/** Returns the length with its NUL. Throws ENOENT for a removed directory, ERANGE. */
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

/** Throws ENOTDIR, EACCES. */
function enterable(task: Task, place: Path): Path {
  const { inode } = place.dentry;
  if (fileType(inode) !== S_IFDIR) throw sysError(errno.ENOTDIR);
  checkAccess(task.cred, inode, X_OK);
  return place;
}

function chdir(task: Task, path: number): number {
  task.fs.cwd = enterable(task, task.kernel.vfs.resolve(task, AT_FDCWD, task.mem.readCString(path)));
  return 0;
}
function fchdir(task: Task, fd: number): number {
  task.fs.cwd = enterable(task, task.kernel.vfs.pathOf(task.files.getAny(fd)));
  return 0;
}
function chroot(task: Task, path: number): number {
  const place = enterable(task, task.kernel.vfs.resolve(task, AT_FDCWD, task.mem.readCString(path)));
  if (!task.cred.mayInOwn(CAP_SYS_CHROOT)) throw sysError(errno.EPERM);
  task.fs.root = place;
  return 0;
}

function mkdirat(task: Task, dirfd: number, path: number, mode: number): number {
  makeDirectory(task.kernel.vfs, task, dirfd, task.mem.readCString(path), mode);
  return 0;
}
const mkdir = (task: Task, path: number, mode: number): number => mkdirat(task, AT_FDCWD, path, mode);

function rmdir(task: Task, path: number): number {
  removeDirectory(task.kernel.vfs, task, AT_FDCWD, task.mem.readCString(path));
  return 0;
}

/** More than this is not returned at once. */
const MAX_BATCH = 1 << 20;

/** struct linux_dirent64, or linux_dirent when `old`: that one has the type in its last byte. */
function getdentsAs(task: Task, fd: number, buf: number, count: number, old: boolean): number {
  const file: OpenFile = task.files.get(fd);
  const entries = file.readdir(task);
  const out = new Uint8Array(Math.min(count, MAX_BATCH));
  const view = new DataView(out.buffer);
  let at = 0;
  let next = file.offset;
  for (const { entry, next: behind } of entries) {
    const name = latin1Bytes(entry.name);
    const nameAt = old ? 18 : 19;
    const length = Math.ceil((nameAt + name.length + (old ? 2 : 1)) / 8) * 8;
    if (at + length > out.length) {
      if (at === 0) throw sysError(errno.EINVAL);
      break;
    }
    const { ino } = entry;
    view.setUint32(at, ino >>> 0, true);
    view.setUint32(at + 4, Math.floor(ino / 2 ** 32) >>> 0, true);
    view.setUint32(at + 8, behind >>> 0, true);
    view.setUint32(at + 12, Math.floor(behind / 2 ** 32) >>> 0, true);
    view.setUint16(at + 16, length, true);
    out[old ? at + length - 1 : at + 18] = entry.type >>> 12;
    out.set(name, at + nameAt);
    at += length;
    next = behind;
  }
  task.mem.copyOut(buf, out.subarray(0, at));
  file.offset = next;
  if (watching()) notifyFile(file, IN_ACCESS);
  return at;
}

const getdents64 = (task: Task, fd: number, buf: number, count: number): number =>
  getdentsAs(task, fd, buf, count, false);
const getdents = (task: Task, fd: number, buf: number, count: number): number => getdentsAs(task, fd, buf, count, true);

export const dirRows: SyscallRow[] = [
  row('getcwd', 79, 17, 'buf:outstruct size:size', getcwd),
  row('chdir', 80, 49, 'path:path', chdir),
  row('fchdir', 81, 50, 'fd:fd', fchdir),
  row('chroot', 161, 51, 'path:path', chroot),
  row('mkdir', 83, null, 'pathname:path mode:mode', mkdir),
  row('mkdirat', 258, 34, 'dirfd:dirfd pathname:path mode:mode', mkdirat),
  row('rmdir', 84, null, 'pathname:path', rmdir),
  row('getdents', 78, null, 'fd:fd dirp:outstruct count:uint', getdents),
  row('getdents64', 217, 61, 'fd:fd dirp:outstruct count:uint', getdents64),
];
