/** Opening a file in order to execute it (fs/exec.c, do_open_execat). */
import { errno, sysError } from '../abi/errno.ts';
import { detachedPath, type Path } from '../fs/fs-context.ts';
import { S_IFLNK, S_IFMT, S_IFREG } from '../fs/inode.ts';
import { O_RDONLY, type OpenFile } from '../fs/open-file.ts';
import { accessOf, mayAccess, X_OK } from '../fs/permission.ts';
import type { Task } from '../task/task.ts';

export const AT_FDCWD = -100;
export const AT_SYMLINK_NOFOLLOW = 0x100;
export const AT_EMPTY_PATH = 0x1000;

/** Of mount(2). */
const MS_NOEXEC = 8;

export interface Executable {
  /** Open for reading, whether or not the caller may read it. */
  readonly file: OpenFile;
  readonly path: Path;
}

/**
 * Finds and opens an executable regular file. Throws what execve(2) returns: ENOENT, EACCES (not a regular file, no
 * execute permission), ELOOP (a symlink under AT_SYMLINK_NOFOLLOW), EINVAL (unknown flags).
 */
export async function openExecutable(task: Task, dirfd: number, name: string, flags: number): Promise<Executable> {
  if (flags & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH)) throw sysError(errno.EINVAL);
  const path = find(task, dirfd, name, flags);
  const { inode } = path.dentry;
  const attr = accessOf(inode);
  const type = attr.mode & S_IFMT;
  if (type === S_IFLNK) throw sysError(errno.ELOOP);
  if (path.mount.flags & MS_NOEXEC) throw sysError(errno.EACCES);
  if (type !== S_IFREG || !mayAccess(task.cred, attr, X_OK)) throw sysError(errno.EACCES);
  const file = await inode.open(O_RDONLY, task);
  file.inode ??= inode;
  file.location = path;
  return { file, path };
}

function find(task: Task, dirfd: number, name: string, flags: number): Path {
  if (name !== '') return task.kernel.vfs.resolve(task, dirfd, name, { followLast: !(flags & AT_SYMLINK_NOFOLLOW) });
  if (!(flags & AT_EMPTY_PATH)) throw sysError(errno.ENOENT);
  if (dirfd === AT_FDCWD) return task.fs.cwd;
  const file = task.files.get(dirfd);
  if (file.location) return file.location;
  if (!file.inode) throw sysError(errno.EACCES);
  return detachedPath(file.inode, file.path);
}
