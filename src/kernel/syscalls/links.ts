/** Names: link(2), unlink(2), symlink(2), readlink(2), rename(2), mknod(2). */
import { errno, sysError } from '../abi/errno.ts';
import { S_IFBLK, S_IFCHR, S_IFDIR, S_IFIFO, S_IFLNK, S_IFMT, S_IFREG, S_IFSOCK } from '../fs/inode.ts';
import {
  makeLink, makeNode, makeSymlink, RENAME_EXCHANGE, RENAME_NOREPLACE, removeDirectory, removeFile, renameName,
} from '../fs/names.ts';
import { fileType } from '../fs/permission.ts';
import { AT_FDCWD } from '../fs/vfs.ts';
import { latin1Bytes } from '../mm/user-memory.ts';
import { CAP_DAC_READ_SEARCH } from '../task/credentials.ts';
import type { Task } from '../task/task.ts';
import { AT_EMPTY_PATH, AT_REMOVEDIR, AT_SYMLINK_FOLLOW } from './at-flags.ts';
import { row, type SyscallRow } from './row.ts';

const RENAME_WHITEOUT = 4;
const CAP_MKNOD = 27;

function linkat(task: Task, oldDirfd: number, oldPath: number, newDirfd: number, newPath: number, flags: number): number {
  if (flags & ~(AT_SYMLINK_FOLLOW | AT_EMPTY_PATH)) throw sysError(errno.EINVAL);
  const { vfs } = task.kernel;
  const emptyPath = (flags & AT_EMPTY_PATH) !== 0;
  if (emptyPath && !task.cred.capable(CAP_DAC_READ_SEARCH)) throw sysError(errno.ENOENT);
  const old = vfs.resolve(task, oldDirfd, task.mem.readCString(oldPath), { followLast: (flags & AT_SYMLINK_FOLLOW) !== 0, emptyPath });
  makeLink(vfs, task, old, newDirfd, task.mem.readCString(newPath));
  return 0;
}

function unlinkat(task: Task, dirfd: number, path: number, flags: number): number {
  if (flags & ~AT_REMOVEDIR) throw sysError(errno.EINVAL);
  const remove = flags & AT_REMOVEDIR ? removeDirectory : removeFile;
  remove(task.kernel.vfs, task, dirfd, task.mem.readCString(path));
  return 0;
}

function symlinkat(task: Task, target: number, dirfd: number, path: number): number {
  const text = task.mem.readCString(target);
  if (text === '') throw sysError(errno.ENOENT);
  makeSymlink(task.kernel.vfs, task, text, dirfd, task.mem.readCString(path));
  return 0;
}

/** The empty path names a symlink opened with O_PATH | O_NOFOLLOW; anything else so named is ENOENT. */
function readlinkat(task: Task, dirfd: number, path: number, buf: number, size: number): number {
  if (size <= 0) throw sysError(errno.EINVAL);
  const name = task.mem.readCString(path);
  const { inode } = task.kernel.vfs.resolve(task, dirfd, name, { followLast: false, emptyPath: true }).dentry;
  if (fileType(inode) !== S_IFLNK) throw sysError(name === '' ? errno.ENOENT : errno.EINVAL);
  const text = latin1Bytes(inode.readlink(task)).subarray(0, size);
  task.mem.copyOut(buf, text);
  return text.length;
}

function renameat2(task: Task, oldDirfd: number, oldPath: number, newDirfd: number, newPath: number, flags: number): number {
  if (flags & ~(RENAME_NOREPLACE | RENAME_EXCHANGE | RENAME_WHITEOUT)) throw sysError(errno.EINVAL);
  if (flags & RENAME_EXCHANGE && flags & (RENAME_NOREPLACE | RENAME_WHITEOUT)) throw sysError(errno.EINVAL);
  // No file system here has whiteouts.
  if (flags & RENAME_WHITEOUT) throw sysError(task.cred.capable(CAP_MKNOD) ? errno.EINVAL : errno.EPERM);
  const from = { dirfd: oldDirfd, path: task.mem.readCString(oldPath) };
  const to = { dirfd: newDirfd, path: task.mem.readCString(newPath) };
  renameName(task.kernel.vfs, task, from, to, flags);
  return 0;
}

function mknodat(task: Task, dirfd: number, path: number, mode: number, dev: number): number {
  const type = mode & S_IFMT || S_IFREG;
  if (type === S_IFDIR) throw sysError(errno.EPERM);
  if (![S_IFREG, S_IFCHR, S_IFBLK, S_IFIFO, S_IFSOCK].includes(type)) throw sysError(errno.EINVAL);
  const device = type === S_IFCHR || type === S_IFBLK;
  if (device && !task.cred.capable(CAP_MKNOD)) throw sysError(errno.EPERM);
  makeNode(task.kernel.vfs, task, dirfd, task.mem.readCString(path), type | (mode & 0o7777), device ? dev : 0);
  return 0;
}

const linkFlags = { flagNames: { flags: { AT_SYMLINK_FOLLOW, AT_EMPTY_PATH } } };
const renameFlags = {
  flagNames: { flags: { RENAME_NOREPLACE, RENAME_EXCHANGE, RENAME_WHITEOUT } },
  support: 'partial', note: 'RENAME_WHITEOUT fails with EINVAL; RENAME_EXCHANGE too on host folders',
} as const;

export const linkRows: SyscallRow[] = [
  row('link', 86, null, 'oldpath:path newpath:path', (task, from: number, to: number) => linkat(task, AT_FDCWD, from, AT_FDCWD, to, 0)),
  row('linkat', 265, 37, 'olddirfd:dirfd oldpath:path newdirfd:dirfd newpath:path flags:flags', linkat, linkFlags),
  row('unlink', 87, null, 'pathname:path', (task, path: number) => unlinkat(task, AT_FDCWD, path, 0)),
  row('unlinkat', 263, 35, 'dirfd:dirfd pathname:path flags:flags', unlinkat, { flagNames: { flags: { AT_REMOVEDIR } } }),
  row('symlink', 88, null, 'target:path linkpath:path', (task, target: number, path: number) => symlinkat(task, target, AT_FDCWD, path)),
  row('symlinkat', 266, 36, 'target:path newdirfd:dirfd linkpath:path', symlinkat),
  row('readlink', 89, null, 'pathname:path buf:outbuf=2 bufsiz:int', (task, path: number, buf: number, size: number) => {
    // Unlike readlinkat, readlink does not take an empty path.
    if (size > 0 && task.mem.readCString(path) === '') throw sysError(errno.ENOENT);
    return readlinkat(task, AT_FDCWD, path, buf, size);
  }),
  row('readlinkat', 267, 78, 'dirfd:dirfd pathname:path buf:outbuf=3 bufsiz:int', readlinkat),
  row('rename', 82, null, 'oldpath:path newpath:path', (task, from: number, to: number) =>
    renameat2(task, AT_FDCWD, from, AT_FDCWD, to, 0)),
  row('renameat', 264, 38, 'olddirfd:dirfd oldpath:path newdirfd:dirfd newpath:path', (task, ...ends: [number, number, number, number]) =>
    renameat2(task, ...ends, 0)),
  row('renameat2', 316, 276, 'olddirfd:dirfd oldpath:path newdirfd:dirfd newpath:path flags:flags', renameat2, renameFlags),
  row('mknod', 133, null, 'pathname:path mode:octal dev:uint', (task, path: number, mode: number, dev: number) =>
    mknodat(task, AT_FDCWD, path, mode, dev)),
  row('mknodat', 259, 33, 'dirfd:dirfd pathname:path mode:octal dev:uint', mknodat),
];
