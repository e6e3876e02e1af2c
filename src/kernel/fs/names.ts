/** Making, removing and renaming names: what mkdir(2), link(2), unlink(2), rename(2) and their kin have in common. */
import { errno, sysError } from '../abi/errno.ts';
import type { Task } from '../task/task.ts';
import { type Path, samePath } from './fs-context.ts';
import { type Inode, S_IFDIR } from './inode.ts';
import { type Found, isDirectory } from './namei.ts';
import {
  countOpen,
  IN_ATTRIB,
  IN_CREATE,
  IN_DELETE,
  IN_ISDIR,
  notifyInode,
  notifyMove,
  notifyName,
  notifyUnlinked,
  watching,
} from './notify.ts';
import { groupOfNew } from './open.ts';
import { accessOf, checkAccess, checkDelete, fileType, isOwner, S_ISVTX, W_OK, X_OK } from './permission.ts';
import type { Vfs } from './vfs.ts';

export const RENAME_NOREPLACE = 1;
export const RENAME_EXCHANGE = 2;

/** A name that is to be made. Throws EEXIST, ENOENT (in a removed directory, or a slash behind what is no directory), EROFS, EACCES. */
function newName(vfs: Vfs, task: Task, dirfd: number, path: string, directory: boolean): Found {
  const found = vfs.walk(task, dirfd, path, 'parent');
  if (found.kind !== 'name' || found.path) throw sysError(errno.EEXIST);
  if (found.slash && !directory) throw sysError(errno.ENOENT);
  vfs.checkWritable(found.parent);
  if (found.parent.dentry.deleted) throw sysError(errno.ENOENT);
  checkAccess(task.cred, found.parent.dentry.inode, W_OK | X_OK);
  return found;
}

export function makeDirectory(vfs: Vfs, task: Task, dirfd: number, path: string, mode: number): void {
  const { parent, name } = newName(vfs, task, dirfd, path, true);
  const dir = parent.dentry.inode;
  const perm = mode & (0o777 | S_ISVTX) & ~task.fs.umask;
  made(parent, name, dir.mkdir(name, perm, task.cred.fsuid, groupOfNew(task, dir)));
}

/** Enters a new name and tells who watches the directory. */
function made(parent: Path, name: string, inode: Inode): void {
  parent.dentry.adopt(name, inode);
  if (watching()) notifyName(parent.dentry.inode, name, IN_CREATE, inode);
}

/** `mode` holds a file type. */
export function makeNode(vfs: Vfs, task: Task, dirfd: number, path: string, mode: number, rdev: number): void {
  const { parent, name } = newName(vfs, task, dirfd, path, false);
  const dir = parent.dentry.inode;
  const kept = mode & ~(task.fs.umask & 0o777);
  made(parent, name, dir.mknod(name, kept, rdev, task.cred.fsuid, groupOfNew(task, dir)));
}

export function makeSymlink(vfs: Vfs, task: Task, target: string, dirfd: number, path: string): void {
  const { parent, name } = newName(vfs, task, dirfd, path, false);
  const dir = parent.dentry.inode;
  made(parent, name, dir.symlink(name, target, task.cred.fsuid, groupOfNew(task, dir)));
}

/** link(2): another name for `old`. Throws EXDEV, EPERM for directories. */
export function makeLink(vfs: Vfs, task: Task, old: Path, dirfd: number, path: string): void {
  const { parent, name } = newName(vfs, task, dirfd, path, false);
  const { inode } = old.dentry;
  if (old.mount !== parent.mount && old.mount.parent !== null) throw sysError(errno.EXDEV);
  if (inode.fs !== parent.mount.fs) throw sysError(errno.EXDEV);
  if (isDirectory(inode)) throw sysError(errno.EPERM);
  // A file whose last name has gone stays gone.
  if (old.dentry.deleted && !old.dentry.linkable && inode.stat().nlink === 0) throw sysError(errno.ENOENT);
  // The new name gets its dentry when it is looked up: inodes of some file systems know one name only.
  parent.dentry.inode.link(name, inode);
  if (!watching()) return;
  notifyInode(inode, IN_ATTRIB);
  notifyName(parent.dentry.inode, name, IN_CREATE, inode);
}

/** An existing name that is to go. */
function oldName(vfs: Vfs, task: Task, found: Found): Path {
  if (!found.path) throw sysError(errno.ENOENT);
  vfs.checkWritable(found.parent);
  checkDelete(task.cred, found.parent.dentry.inode, found.path.dentry.inode);
  return found.path;
}

export function removeFile(vfs: Vfs, task: Task, dirfd: number, path: string): void {
  const found = vfs.walk(task, dirfd, path, 'parent');
  if (found.kind !== 'name') throw sysError(errno.EISDIR);
  if (found.slash && found.path) throw sysError(isDirectory(found.path.dentry.inode) ? errno.EISDIR : errno.ENOTDIR);
  const victim = oldName(vfs, task, found);
  if (fileType(victim.dentry.inode) === S_IFDIR) throw sysError(errno.EISDIR);
  if (vfs.isMountpoint(victim)) throw sysError(errno.EBUSY);
  const told = removal(task, victim);
  found.parent.dentry.inode.unlink(found.name, victim.dentry.inode);
  victim.dentry.detach();
  told?.changed();
  told?.gone();
  if (watching()) notifyName(found.parent.dentry.inode, found.name, IN_DELETE, victim.dentry.inode);
}

/**
 * What is to be told of a name that is about to be removed, once it is: that its links have changed, and perhaps that
 * the file is gone. Links are counted while they can be.
 */
function removal(task: Task, { dentry: { inode } }: Path): { changed(): void; gone(): void } | null {
  if (!watching()) return null;
  const directory = fileType(inode) === S_IFDIR;
  const last = directory || inode.stat().nlink <= 1;
  const tables = [...task.kernel.tasks.values()].map((t) => t.files);
  const open = last && !directory ? countOpen(inode, tables) : 0;
  return {
    changed: () => {
      if (!directory) notifyInode(inode, IN_ATTRIB);
    },
    gone: () => notifyUnlinked(inode, last, open),
  };
}

export function removeDirectory(vfs: Vfs, task: Task, dirfd: number, path: string): void {
  const found = vfs.walk(task, dirfd, path, 'parent');
  if (found.kind === 'dot') throw sysError(errno.EINVAL);
  if (found.kind === 'dotdot') throw sysError(errno.ENOTEMPTY);
  if (found.kind === 'root') throw sysError(errno.EBUSY);
  const victim = oldName(vfs, task, found);
  if (fileType(victim.dentry.inode) !== S_IFDIR) throw sysError(errno.ENOTDIR);
  if (vfs.isMountpoint(victim)) throw sysError(errno.EBUSY);
  const { inode } = victim.dentry;
  const told = removal(task, victim);
  found.parent.dentry.inode.rmdir(found.name, inode);
  victim.dentry.detach();
  told?.changed();
  told?.gone();
  if (watching()) notifyName(found.parent.dentry.inode, found.name, IN_DELETE | IN_ISDIR, inode);
}

/** Whether `path` is `top` or stands below it. */
function isWithin(path: Path, top: Path): boolean {
  for (let d: Path['dentry'] | null = path.dentry; d; d = d.parent) if (d === top.dentry) return true;
  return false;
}

export interface RenameEnd {
  readonly dirfd: number;
  readonly path: string;
}

/** rename(2), renameat2(2) with RENAME_NOREPLACE or RENAME_EXCHANGE. The order of checks is do_renameat2's. */
export function renameName(vfs: Vfs, task: Task, from: RenameEnd, to: RenameEnd, flags: number): void {
  const source = vfs.walk(task, from.dirfd, from.path, 'parent');
  const target = vfs.walk(task, to.dirfd, to.path, 'parent');
  if (source.parent.mount !== target.parent.mount) throw sysError(errno.EXDEV);
  if (source.kind !== 'name') throw sysError(errno.EBUSY);
  if (target.kind !== 'name') throw sysError(flags & RENAME_NOREPLACE ? errno.EEXIST : errno.EBUSY);
  vfs.checkWritable(source.parent);
  if (!source.path) throw sysError(errno.ENOENT);
  if (target.path && flags & RENAME_NOREPLACE) throw sysError(errno.EEXIST);
  if (!target.path && flags & RENAME_EXCHANGE) throw sysError(errno.ENOENT);
  checkSlashes(source, target, flags);
  // A directory cannot go below itself, nor can what contains the target be replaced by something inside it.
  if (isWithin(target.parent, source.path)) throw sysError(errno.EINVAL);
  if (target.path && isWithin(source.parent, target.path))
    throw sysError(flags & RENAME_EXCHANGE ? errno.EINVAL : errno.ENOTEMPTY);
  if (target.path && sameInode(source.path, target.path)) return;
  checkRename(vfs, task, source, target, flags);
  const dir = source.parent.dentry;
  const newDir = target.parent.dentry;
  const moving = source.path.dentry.inode;
  const replaced = target.path && !(flags & RENAME_EXCHANGE) ? removal(task, target.path) : null;
  dir.inode.rename(source.name, newDir.inode, target.name, flags & RENAME_EXCHANGE, moving, target.path?.dentry.inode);
  moveDentries(source, target, (flags & RENAME_EXCHANGE) !== 0);
  if (!watching()) return;
  const ends = [
    { dir: dir.inode, name: source.name },
    { dir: newDir.inode, name: target.name },
  ] as const;
  notifyMove(ends[0], ends[1], moving, () => replaced?.changed());
  replaced?.gone();
  if (flags & RENAME_EXCHANGE && target.path) notifyMove(ends[1], ends[0], target.path.dentry.inode, () => {});
}

const sameInode = (a: Path, b: Path): boolean => {
  if (samePath(a, b) || a.dentry.inode === b.dentry.inode) return true;
  const x = a.dentry.inode.stat();
  const y = b.dentry.inode.stat();
  return x.ino === y.ino && x.dev === y.dev;
};

/** Slashes behind a name demand a directory. */
function checkSlashes(source: Found, target: Found, flags: number): void {
  const directory = isDirectory(source.path!.dentry.inode);
  if (!directory) {
    if (source.slash) throw sysError(errno.ENOTDIR);
    if (!(flags & RENAME_EXCHANGE) && target.slash) throw sysError(errno.ENOTDIR);
  }
  if (flags & RENAME_EXCHANGE && target.slash && !isDirectory(target.path!.dentry.inode)) throw sysError(errno.ENOTDIR);
}

function checkRename(vfs: Vfs, task: Task, source: Found, target: Found, flags: number): void {
  const { cred } = task;
  const moving = source.path!.dentry.inode;
  const directory = isDirectory(moving);
  checkDelete(cred, source.parent.dentry.inode, moving);
  if (target.path) {
    const other = target.path.dentry.inode;
    checkDelete(cred, target.parent.dentry.inode, other);
    if (!(flags & RENAME_EXCHANGE)) {
      if (directory && !isDirectory(other)) throw sysError(errno.ENOTDIR);
      if (!directory && isDirectory(other)) throw sysError(errno.EISDIR);
    }
  } else {
    if (target.parent.dentry.deleted) throw sysError(errno.ENOENT);
    checkAccess(cred, target.parent.dentry.inode, W_OK | X_OK);
  }
  // `..` of a directory that moves is written to.
  if (directory && source.parent.dentry !== target.parent.dentry) checkAccess(cred, moving, W_OK);
  if (vfs.isMountpoint(source.path!) || (target.path && vfs.isMountpoint(target.path))) throw sysError(errno.EBUSY);
}

function moveDentries(source: Found, target: Found, exchange: boolean): void {
  const moved = source.path!.dentry;
  const other = target.path?.dentry;
  const dir = source.parent.dentry;
  const newDir = target.parent.dentry;
  if (exchange && other) {
    // Out of the way first: entering a name marks who held it as deleted.
    moved.detach();
    other.detach();
    moved.deleted = other.deleted = false;
    other.moveTo(dir, source.name);
    other.inode.renamed?.(dir.inode, source.name);
  } else other?.detach();
  moved.moveTo(newDir, target.name);
  moved.inode.renamed?.(newDir.inode, target.name);
}

/** Whether the caller may change permissions and times of a place: EROFS, EPERM. */
export function checkOwner(vfs: Vfs, task: Task, path: Path): void {
  vfs.checkWritable(path);
  if (!isOwner(task.cred, accessOf(path.dentry.inode))) throw sysError(errno.EPERM);
}
