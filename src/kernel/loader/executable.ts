/** Opening a file in order to execute it (fs/exec.c, do_open_execat). */
import { errno, sysError } from '../abi/errno.ts';
import { type Path, pathName } from '../fs/fs-context.ts';
import { type Inode, S_IFLNK, S_IFMT, S_IFREG } from '../fs/inode.ts';
import { O_RDONLY, type OpenFile } from '../fs/open-file.ts';
import { CAP_DAC_OVERRIDE } from '../task/credentials.ts';
import type { Task } from '../task/task.ts';

export const AT_SYMLINK_NOFOLLOW = 0x100;
export const AT_EMPTY_PATH = 0x1000;

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
  const emptyPath = (flags & AT_EMPTY_PATH) !== 0;
  if (name === '' && !emptyPath) throw sysError(errno.ENOENT);
  const followLast = !(flags & AT_SYMLINK_NOFOLLOW);
  const path = task.kernel.vfs.resolve(task, dirfd, name, { followLast, emptyPath });
  const { inode } = path.dentry;
  checkExecutable(task, inode);
  const file = await inode.open(O_RDONLY);
  file.path = pathName(path);
  return { file, path };
}

function checkExecutable(task: Task, inode: Inode): void {
  const { mode, uid, gid } = inode.stat();
  if ((mode & S_IFMT) === S_IFLNK) throw sysError(errno.ELOOP);
  if ((mode & S_IFMT) !== S_IFREG) throw sysError(errno.EACCES);
  if (!mayExecute(task, mode, uid, gid)) throw sysError(errno.EACCES);
}

/** Also with all capabilities somebody must have the right to execute (path_resolution(7)). */
function mayExecute({ cred }: Task, mode: number, uid: number, gid: number): boolean {
  if (cred.capable(CAP_DAC_OVERRIDE) && mode & 0o111) return true;
  if (uid === cred.fsuid) return (mode & 0o100) !== 0;
  return (mode & (cred.inGroup(gid) ? 0o010 : 0o001)) !== 0;
}
