/** Extended attributes (xattr(7)). */
import { errno, sysError } from '../abi/errno.ts';
import type { Path } from '../fs/fs-context.ts';
import { type AccessAttr, type Inode, S_IFDIR, S_IFMT, S_IFREG, type Xattrs } from '../fs/inode.ts';
import { IN_ATTRIB, notifyPath, watching } from '../fs/notify.ts';
import { accessOf, isOwner, mayAccess, R_OK, S_ISVTX, W_OK } from '../fs/permission.ts';
import { latin1Bytes } from '../mm/user-memory.ts';
import { CAP_SYS_ADMIN } from '../task/credentials.ts';
import type { Task } from '../task/task.ts';
import { AT_FDCWD } from './at-flags.ts';
import { row, type SyscallRow } from './row.ts';

const XATTR_NAME_MAX = 255;
const XATTR_SIZE_MAX = 65536;
const XATTR_LIST_MAX = 65536;
const XATTR_CREATE = 1;
const XATTR_REPLACE = 2;

interface Target {
  readonly inode: Inode;
  readonly attr: AccessAttr;
  readonly path: Path | null;
}
type Find = (task: Task, where: number) => Target;

const byPath =
  (followLast: boolean): Find =>
  (task, address) => {
    const path = task.kernel.vfs.resolve(task, AT_FDCWD, task.mem.readCString(address), { followLast });
    return { inode: path.dentry.inode, attr: accessOf(path.dentry.inode), path };
  };
const byFd: Find = (task, fd) => {
  const file = task.files.get(fd);
  if (!file.inode) throw sysError(errno.EOPNOTSUPP);
  return { inode: file.inode, attr: file.stat(), path: file.location };
};

/** Throws ERANGE for a name that is empty or too long. */
function readName(task: Task, address: number): string {
  const room = task.mem.accessible(address, XATTR_NAME_MAX + 1, 1);
  if (room === 0) throw sysError(errno.EFAULT);
  const length = task.mem.bytes(address, room).indexOf(0);
  if (length < 0) throw sysError(room <= XATTR_NAME_MAX ? errno.EFAULT : errno.ERANGE);
  if (length === 0) throw sysError(errno.ERANGE);
  return task.mem.readCString(address);
}

/** Who may touch an attribute, by its namespace. Throws EPERM, EACCES, ENODATA, EOPNOTSUPP. */
function checkName(task: Task, { inode, attr }: Target, name: string, write: boolean): Xattrs {
  const store = inode.xattrs?.();
  const [space] = name.split('.', 1);
  switch (space) {
    case 'user': {
      const type = attr.mode & S_IFMT;
      if (type !== S_IFREG && type !== S_IFDIR) throw sysError(write ? errno.EPERM : errno.ENODATA);
      if (write && type === S_IFDIR && attr.mode & S_ISVTX && !isOwner(task.cred, attr)) throw sysError(errno.EPERM);
      if (!mayAccess(task.cred, attr, write ? W_OK : R_OK)) throw sysError(errno.EACCES);
      break;
    }
    case 'trusted':
      if (!task.cred.capable(CAP_SYS_ADMIN)) throw sysError(write ? errno.EPERM : errno.ENODATA);
      break;
    case 'security':
      if (write && !task.cred.capable(CAP_SYS_ADMIN)) throw sysError(errno.EPERM);
      break;
    default:
      // ACLs (system.posix_acl_*) are not kept.
      throw sysError(errno.EOPNOTSUPP);
  }
  if (!store || name.length === space.length + 1) throw sysError(store ? errno.EINVAL : errno.EOPNOTSUPP);
  return store;
}

function checkWritable(task: Task, target: Target): void {
  if (target.path) task.kernel.vfs.checkWritable(target.path);
}

function told({ path }: Target): void {
  if (path && watching()) notifyPath(path, IN_ATTRIB);
}

const setter =
  (find: Find) =>
  (task: Task, where: number, nameAt: number, valueAt: number, size: number, flags: number): number => {
    if (flags & ~(XATTR_CREATE | XATTR_REPLACE)) throw sysError(errno.EINVAL);
    const name = readName(task, nameAt);
    if (size > XATTR_SIZE_MAX) throw sysError(errno.E2BIG);
    const value = task.mem.copyIn(valueAt, size);
    const target = find(task, where);
    checkWritable(task, target);
    const store = checkName(task, target, name, true);
    const exists = store.get(name) !== null;
    if (flags & XATTR_CREATE && exists) throw sysError(errno.EEXIST);
    if (flags & XATTR_REPLACE && !exists) throw sysError(errno.ENODATA);
    store.set(name, value);
    told(target);
    return 0;
  };

const getter =
  (find: Find) =>
  (task: Task, where: number, nameAt: number, valueAt: number, size: number): number => {
    const name = readName(task, nameAt);
    const value = checkName(task, find(task, where), name, false).get(name);
    if (!value) throw sysError(errno.ENODATA);
    if (size === 0) return value.length;
    if (size < value.length) throw sysError(errno.ERANGE);
    task.mem.copyOut(valueAt, value);
    return value.length;
  };

const lister =
  (find: Find) =>
  (task: Task, where: number, listAt: number, size: number): number => {
    const names = find(task, where).inode.xattrs?.().names() ?? [];
    const privileged = task.cred.capable(CAP_SYS_ADMIN);
    const list = latin1Bytes(
      names
        .filter((n) => privileged || !n.startsWith('trusted.'))
        .map((n) => `${n}\0`)
        .join(''),
    );
    if (size === 0) return list.length;
    if (list.length > Math.min(size, XATTR_LIST_MAX)) throw sysError(errno.ERANGE);
    task.mem.copyOut(listAt, list);
    return list.length;
  };

const remover =
  (find: Find) =>
  (task: Task, where: number, nameAt: number): number => {
    const name = readName(task, nameAt);
    const target = find(task, where);
    checkWritable(task, target);
    const store = checkName(task, target, name, true);
    if (store.get(name) === null) throw sysError(errno.ENODATA);
    store.set(name, null);
    told(target);
    return 0;
  };

const follow = byPath(true);
const nofollow = byPath(false);
const extra = { note: 'kept in memory; host files show none' };
const flags = { ...extra, flagNames: { flags: { XATTR_CREATE, XATTR_REPLACE } } };

export const xattrRows: SyscallRow[] = [
  row('setxattr', 188, 5, 'path:path name:string value:inbuf=3 size:size flags:flags', setter(follow), flags),
  row('lsetxattr', 189, 6, 'path:path name:string value:inbuf=3 size:size flags:flags', setter(nofollow), flags),
  row('fsetxattr', 190, 7, 'fd:fd name:string value:inbuf=3 size:size flags:flags', setter(byFd), flags),
  row('getxattr', 191, 8, 'path:path name:string value:outbuf=3 size:size', getter(follow), extra),
  row('lgetxattr', 192, 9, 'path:path name:string value:outbuf=3 size:size', getter(nofollow), extra),
  row('fgetxattr', 193, 10, 'fd:fd name:string value:outbuf=3 size:size', getter(byFd), extra),
  row('listxattr', 194, 11, 'path:path list:outbuf=2 size:size', lister(follow), extra),
  row('llistxattr', 195, 12, 'path:path list:outbuf=2 size:size', lister(nofollow), extra),
  row('flistxattr', 196, 13, 'fd:fd list:outbuf=2 size:size', lister(byFd), extra),
  row('removexattr', 197, 14, 'path:path name:string', remover(follow), extra),
  row('lremovexattr', 198, 15, 'path:path name:string', remover(nofollow), extra),
  row('fremovexattr', 199, 16, 'fd:fd name:string', remover(byFd), extra),
];
