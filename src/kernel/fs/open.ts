/** What open(2) does by name: creation, permission, truncation, and the description that comes out of it (fs/namei.c). */
import { errno, sysError } from '../abi/errno.ts';
import { sharedFileResized } from '../mm/file-coherence.ts';
import { after } from '../mm/promise.ts';
import type { Task } from '../task/task.ts';
import { Dentry } from './dentry.ts';
import type { Path } from './fs-context.ts';
import { type Inode, S_IFBLK, S_IFCHR, S_IFDIR, S_IFIFO, S_IFLNK, S_IFMT, S_IFREG, S_IFSOCK } from './inode.ts';
import { breakLeases } from './leases.ts';
import { type Found, RESOLVE_CREATE } from './namei.ts';
import { IN_CREATE, IN_MODIFY, IN_OPEN, notifyName, notifyPath, watching } from './notify.ts';
import {
  type MaybePromise,
  O_ACCMODE,
  O_APPEND,
  O_CLOEXEC,
  O_CREAT,
  O_DIRECTORY,
  O_EXCL,
  O_LARGEFILE,
  O_NOATIME,
  O_NOCTTY,
  O_NOFOLLOW,
  O_PATH,
  O_RDONLY,
  O_RDWR,
  O_TMPFILE,
  O_TRUNC,
  O_WRONLY,
  OpenFile,
} from './open-file.ts';
import { accessOf, checkAccess, isOwner, R_OK, S_ISGID, W_OK, X_OK } from './permission.ts';
import type { Vfs } from './vfs.ts';

/** A description that only stands for a place (O_PATH). */
export class PathFile extends OpenFile {
  constructor(flags: number, path: Path) {
    super(flags);
    this.location = path;
    this.inode = path.dentry.inode;
  }
  override get readable(): boolean {
    return false;
  }
  override get writable(): boolean {
    return false;
  }
}

/** Flags that are not kept in the description: they act once, or belong to the descriptor. */
const TRANSIENT = O_CREAT | O_EXCL | O_NOCTTY | O_TRUNC | O_CLOEXEC;

/** The gid of what is made in a directory: its own when the directory is set-group-ID. */
export function groupOfNew(task: Task, dir: Inode): number {
  const { mode, gid } = accessOf(dir);
  return mode & S_ISGID ? gid : task.cred.fsgid;
}

/** What the access mode asks for; 3 is "neither, but check both" (open(2), NOTES). */
/** Of mount(2). */
const MS_NODEV = 4;
const accessMask = (flags: number): number => [R_OK, W_OK, R_OK | W_OK, R_OK | W_OK][flags & O_ACCMODE]!;

export function openPath(
  vfs: Vfs,
  task: Task,
  dirfd: number,
  path: string,
  flags: number,
  mode: number,
  resolve: number,
): MaybePromise<OpenFile> {
  if (flags & O_PATH) return openPlace(vfs, task, dirfd, path, flags, resolve);
  if ((flags & O_TMPFILE) === O_TMPFILE) return openUnnamed(vfs, task, dirfd, path, flags, mode, resolve);
  const exclusive = (flags & (O_CREAT | O_EXCL)) === (O_CREAT | O_EXCL);
  if (flags & O_CREAT && flags & O_DIRECTORY) throw sysError(errno.EINVAL);
  const last = exclusive ? 'parent' : flags & O_NOFOLLOW ? (flags & O_CREAT ? 'parent' : 'nofollow') : 'follow';
  const found = vfs.walk(task, dirfd, path, last, flags & O_CREAT ? resolve | RESOLVE_CREATE : resolve);
  if (flags & O_CREAT) {
    if (exclusive && found.path) throw sysError(errno.EEXIST);
    if (!found.path) return openNew(vfs, task, found, flags, mode);
  }
  if (!found.path) throw sysError(errno.ENOENT);
  return openExisting(vfs, task, found.path, flags);
}

function finish(task: Task, path: Path, flags: number): MaybePromise<OpenFile> {
  // Terminals still look at O_NOCTTY.
  const opened = path.dentry.inode.open(flags & (~TRANSIENT | O_NOCTTY), task);
  const name = (file: OpenFile): OpenFile => {
    file.location = path;
    file.flags = (file.flags & ~TRANSIENT) | O_LARGEFILE;
    if (watching()) notifyPath(path, IN_OPEN);
    return file;
  };
  return opened instanceof Promise ? opened.then(name) : name(opened);
}

function openNew(vfs: Vfs, task: Task, found: Found, flags: number, mode: number): MaybePromise<OpenFile> {
  const { parent, name } = found;
  vfs.checkWritable(parent);
  const dir = parent.dentry.inode;
  if (parent.dentry.deleted) throw sysError(errno.ENOENT);
  checkAccess(task.cred, dir, W_OK | X_OK);
  const inode = dir.create(name, mode & 0o7777 & ~task.fs.umask, task.cred.fsuid, groupOfNew(task, dir));
  if (watching()) notifyName(dir, name, IN_CREATE, inode);
  // Whoever makes a file may open it, whatever its mode says.
  return finish(task, { mount: parent.mount, dentry: parent.dentry.adopt(name, inode) }, flags);
}

function openExisting(vfs: Vfs, task: Task, path: Path, flags: number): MaybePromise<OpenFile> {
  const { inode } = path.dentry;
  const attr = accessOf(inode);
  const { mode } = attr;
  const type = mode & S_IFMT;
  if (flags & O_DIRECTORY && type !== S_IFDIR) throw sysError(errno.ENOTDIR);
  const writes = (flags & O_ACCMODE) !== O_RDONLY || (flags & O_TRUNC) !== 0;
  switch (type) {
    case S_IFLNK:
      throw sysError(errno.ELOOP);
    case S_IFDIR:
      if (writes || flags & O_CREAT) throw sysError(errno.EISDIR);
      break;
    case S_IFREG:
      if (writes) vfs.checkWritable(path);
      break;
    case S_IFSOCK:
      throw sysError(errno.ENXIO);
    case S_IFBLK:
    case S_IFCHR:
      if (path.mount.flags & MS_NODEV) throw sysError(errno.EACCES);
      break;
    case S_IFIFO:
  }
  checkAccess(task.cred, inode, accessMask(flags) | (flags & O_TRUNC ? W_OK : 0));
  if (flags & O_NOATIME && !isOwner(task.cred, attr)) throw sysError(errno.EPERM);
  if (type === S_IFREG && writes && isRunning(task, inode)) throw sysError(errno.ETXTBSY);
  if (type !== S_IFREG) return finish(task, path, flags);
  return after(breakLeases(task, inode, flags), () => openRegular(task, path, flags));
}

function openRegular(task: Task, path: Path, flags: number): MaybePromise<OpenFile> {
  const { inode } = path.dentry;
  if ((flags & O_TRUNC) === 0) return finish(task, path, flags);
  inode.setattr({ size: 0 });
  const opened = finish(task, path, flags);
  const resized = (file: OpenFile): OpenFile => {
    sharedFileResized(file.mapKey(), 0);
    if (watching()) notifyPath(path, IN_MODIFY);
    return file;
  };
  return opened instanceof Promise ? opened.then(resized) : resized(opened);
}

/** Whether some process executes the file (ETXTBSY). */
export function isRunning(task: Task, inode: Inode): boolean {
  for (const process of task.kernel?.processes?.values() ?? []) if (process.exe?.dentry.inode === inode) return true;
  return false;
}

function openPlace(vfs: Vfs, task: Task, dirfd: number, path: string, flags: number, resolve: number): OpenFile {
  const followLast = (flags & O_NOFOLLOW) === 0;
  const place = vfs.resolve(task, dirfd, path, { followLast, resolve });
  if (flags & O_DIRECTORY && (accessOf(place.dentry.inode).mode & S_IFMT) !== S_IFDIR) throw sysError(errno.ENOTDIR);
  return new PathFile(flags & (O_PATH | O_DIRECTORY | O_NOFOLLOW), place);
}

function openUnnamed(
  vfs: Vfs,
  task: Task,
  dirfd: number,
  path: string,
  flags: number,
  mode: number,
  resolve: number,
): MaybePromise<OpenFile> {
  const access = flags & O_ACCMODE;
  if (access !== O_WRONLY && access !== O_RDWR) throw sysError(errno.EINVAL);
  const place = vfs.resolve(task, dirfd, path, { resolve });
  const dir = place.dentry.inode;
  if ((accessOf(dir).mode & S_IFMT) !== S_IFDIR) throw sysError(errno.ENOTDIR);
  vfs.checkWritable(place);
  checkAccess(task.cred, dir, W_OK | X_OK);
  if (!dir.tmpfile) throw sysError(errno.EOPNOTSUPP);
  const inode = dir.tmpfile(mode & 0o7777 & ~task.fs.umask, task.cred.fsuid, groupOfNew(task, dir));
  const dentry = new Dentry(inode, `#${inode.stat().ino}`, place.dentry);
  dentry.deleted = true;
  dentry.linkable = (flags & O_EXCL) === 0;
  const opened = finish(task, { mount: place.mount, dentry }, flags & ~O_DIRECTORY);
  return after(opened, (file) => {
    file.flags |= O_TMPFILE;
    return file;
  });
}

/** Flags fcntl(F_SETFL) may change. */
export const SETFL_MASK = O_APPEND | 0o4000 | 0o20000 | 0o40000 | O_NOATIME;
