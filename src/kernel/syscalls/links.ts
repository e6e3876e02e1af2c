/** Names: link(2), unlink(2), symlink(2), readlink(2), rename(2), mknod(2). */
import { errno, sysError } from '../abi/errno.ts';
import { S_IFBLK, S_IFCHR, S_IFDIR, S_IFIFO, S_IFLNK, S_IFMT, S_IFREG, S_IFSOCK } from '../fs/inode.ts';
import {
  makeLink,
  makeNode,
  makeSymlink,
  RENAME_EXCHANGE,
  RENAME_NOREPLACE,
  removeDirectory,
  removeFile,
  renameName,
} from '../fs/names.ts';
import { fileType } from '../fs/permission.ts';
import { latin1Bytes } from '../mm/user-memory.ts';
import { CAP_DAC_READ_SEARCH } from '../task/credentials.ts';
import type { Task } from '../task/task.ts';
import { AT_EMPTY_PATH, AT_FDCWD, AT_REMOVEDIR, AT_SYMLINK_FOLLOW, atNames } from './at-flags.ts';
import { row, type SyscallRow } from './row.ts';

const CAP_MKNOD = 27;

function linkat(
  task: Task,
  oldDirfd: number,
  oldPath: number,
  newDirfd: number,
  newPath: number,
  flags: number,
): number {
  if (flags & ~(AT_SYMLINK_FOLLOW | AT_EMPTY_PATH)) throw sysError(errno.EINVAL);
  const emptyPath = (flags & AT_EMPTY_PATH) !== 0;
  const name = task.mem.readCString(oldPath);
  if (emptyPath && name === '' && !task.cred.capable(CAP_DAC_READ_SEARCH)) throw sysError(errno.ENOENT);
  const { vfs } = task.kernel;
  const followLast = (flags & AT_SYMLINK_FOLLOW) !== 0;
  const old = vfs.resolve(task, oldDirfd, name, { followLast, emptyPath });
  makeLink(vfs, task, old, newDirfd, task.mem.readCString(newPath));
  return 0;
}
const link = (task: Task, oldPath: number, newPath: number): number =>
  linkat(task, AT_FDCWD, oldPath, AT_FDCWD, newPath, 0);

function unlinkat(task: Task, dirfd: number, path: number, flags: number): number {
  if (flags & ~AT_REMOVEDIR) throw sysError(errno.EINVAL);
  const name = task.mem.readCString(path);
  if (flags & AT_REMOVEDIR) removeDirectory(task.kernel.vfs, task, dirfd, name);
  else removeFile(task.kernel.vfs, task, dirfd, name);
  return 0;
}
const unlink = (task: Task, path: number): number => unlinkat(task, AT_FDCWD, path, 0);

function symlinkat(task: Task, target: number, dirfd: number, path: number): number {
  const text = task.mem.readCString(target);
  if (text === '') throw sysError(errno.ENOENT);
  makeSymlink(task.kernel.vfs, task, text, dirfd, task.mem.readCString(path));
  return 0;
}
const symlink = (task: Task, target: number, path: number): number => symlinkat(task, target, AT_FDCWD, path);

/** The text without a NUL, cut to the buffer. An empty path reads the link `dirfd` itself (O_PATH|O_NOFOLLOW). */
function readlinkat(task: Task, dirfd: number, path: number, buf: number, size: number): number {
  if (size <= 0) throw sysError(errno.EINVAL);
  const name = task.mem.readCString(path);
  const { inode } = task.kernel.vfs.resolve(task, dirfd, name, {
    followLast: false,
    emptyPath: dirfd !== AT_FDCWD,
  }).dentry;
  if (fileType(inode) !== S_IFLNK) throw sysError(name === '' ? errno.ENOENT : errno.EINVAL);
  const text = latin1Bytes(inode.readlink(task)).subarray(0, size);
  task.mem.copyOut(buf, text);
  return text.length;
}
const readlink = (task: Task, path: number, buf: number, size: number): number =>
  readlinkat(task, AT_FDCWD, path, buf, size);

function renameat2(
  task: Task,
  oldDirfd: number,
  oldPath: number,
  newDirfd: number,
  newPath: number,
  flags: number,
): number {
  if (flags & ~(RENAME_NOREPLACE | RENAME_EXCHANGE)) throw sysError(errno.EINVAL);
  if (flags & RENAME_NOREPLACE && flags & RENAME_EXCHANGE) throw sysError(errno.EINVAL);
  const from = { dirfd: oldDirfd, path: task.mem.readCString(oldPath) };
  const to = { dirfd: newDirfd, path: task.mem.readCString(newPath) };
  renameName(task.kernel.vfs, task, from, to, flags);
  return 0;
}
const renameat = (task: Task, oldDirfd: number, oldPath: number, newDirfd: number, newPath: number): number =>
  renameat2(task, oldDirfd, oldPath, newDirfd, newPath, 0);
const rename = (task: Task, oldPath: number, newPath: number): number =>
  renameat2(task, AT_FDCWD, oldPath, AT_FDCWD, newPath, 0);

function mknodat(task: Task, dirfd: number, path: number, mode: number, dev: number): number {
  const type = mode & S_IFMT;
  const name = task.mem.readCString(path);
  switch (type) {
    case 0:
    case S_IFREG:
    case S_IFIFO:
    case S_IFSOCK:
      break;
    case S_IFCHR:
    case S_IFBLK:
      if (!task.cred.capable(CAP_MKNOD)) throw sysError(errno.EPERM);
      break;
    case S_IFDIR:
      throw sysError(errno.EPERM);
    default:
      throw sysError(errno.EINVAL);
  }
  const rdev = type === S_IFCHR || type === S_IFBLK ? dev : 0;
  makeNode(task.kernel.vfs, task, dirfd, name, (mode & 0o7777) | (type || S_IFREG), rdev);
  return 0;
}
const mknod = (task: Task, path: number, mode: number, dev: number): number => mknodat(task, AT_FDCWD, path, mode, dev);

const renameNames = { RENAME_NOREPLACE, RENAME_EXCHANGE, RENAME_WHITEOUT: 4 };
const renameExtra = { note: 'no RENAME_WHITEOUT', flagNames: { flags: renameNames } };

export const linkRows: SyscallRow[] = [
  row('link', 86, null, 'oldpath:path newpath:path', link),
  row('linkat', 265, 37, 'olddirfd:dirfd oldpath:path newdirfd:dirfd newpath:path flags:flags', linkat, {
    flagNames: { flags: atNames },
  }),
  row('unlink', 87, null, 'pathname:path', unlink),
  row('unlinkat', 263, 35, 'dirfd:dirfd pathname:path flags:flags', unlinkat, {
    flagNames: { flags: { AT_REMOVEDIR } },
  }),
  row('symlink', 88, null, 'target:path linkpath:path', symlink),
  row('symlinkat', 266, 36, 'target:path newdirfd:dirfd linkpath:path', symlinkat),
  row('readlink', 89, null, 'pathname:path buf:outbuf=2 bufsiz:int', readlink),
  row('readlinkat', 267, 78, 'dirfd:dirfd pathname:path buf:outbuf=3 bufsiz:int', readlinkat),
  row('rename', 82, null, 'oldpath:path newpath:path', rename),
  row('renameat', 264, 38, 'olddirfd:dirfd oldpath:path newdirfd:dirfd newpath:path', renameat),
  row(
    'renameat2',
    316,
    276,
    'olddirfd:dirfd oldpath:path newdirfd:dirfd newpath:path flags:flags',
    renameat2,
    renameExtra,
  ),
  row('mknod', 133, null, 'pathname:path mode:mode dev:uint', mknod),
  row('mknodat', 259, 33, 'dirfd:dirfd pathname:path mode:mode dev:uint', mknodat),
];
