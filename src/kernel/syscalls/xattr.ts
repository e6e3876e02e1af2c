/** Extended attributes (xattr(7)): those of files in memory, and of the overlay. The host's own cannot be reached. */
import { errno, type ErrnoName, sysError } from '../abi/errno.ts';
import type { Path } from '../fs/fs-context.ts';
import { type Inode, S_IFDIR, S_IFREG, type Xattrs } from '../fs/inode.ts';
import { accessOf, checkAccess, fileType, isOwner, R_OK, S_ISVTX, W_OK } from '../fs/permission.ts';
import { AT_FDCWD } from '../fs/vfs.ts';
import { latin1Bytes } from '../mm/user-memory.ts';
import { CAP_SYS_ADMIN } from '../task/credentials.ts';
import type { Task } from '../task/task.ts';
import { row, type SyscallRow } from './row.ts';

const XATTR_NAME_MAX = 255;
/** XATTR_SIZE_MAX and XATTR_LIST_MAX. */
const XATTR_SIZE_MAX = 65536;
const XATTR_CREATE = 1;
const XATTR_REPLACE = 2;

interface Target {
  readonly inode: Inode;
  readonly place: Path | null;
}
/** The first argument of a call: a path that is followed or not, or a descriptor. */
type Find = (task: Task, where: number) => Target;

const byPath = (followLast: boolean): Find => (task, path) => {
  const place = task.kernel.vfs.resolve(task, AT_FDCWD, task.mem.readCString(path), { followLast });
  return { inode: place.dentry.inode, place };
};
const byFd: Find = (task, fd) => {
  const { inode, location } = task.files.get(fd | 0);
  if (!inode) throw sysError(errno.EOPNOTSUPP);
  return { inode, place: location };
};

/** ERANGE for an empty or overlong name. */
function readName(task: Task, addr: number): string {
  try {
    const name = task.mem.readCString(addr, XATTR_NAME_MAX + 1);
    if (name !== '') return name;
  } catch (e) {
    if (e !== sysError(errno.ENAMETOOLONG)) throw e;
  }
  throw sysError(errno.ERANGE);
}

/** The attributes, when `name` is in a namespace that is kept, and the caller may use it so (xattr_permission). */
function attributes(task: Task, inode: Inode, name: string, mask: number): Xattrs {
  const refuse = (write: ErrnoName): never => {
    throw sysError(mask === W_OK ? errno[write] : errno.ENODATA);
  };
  const dot = name.indexOf('.');
  const space = dot < 0 ? '' : name.slice(0, dot);
  switch (space) {
    case 'user': {
      const type = fileType(inode);
      if (type !== S_IFREG && type !== S_IFDIR) refuse('EPERM');
      const { mode, uid } = accessOf(inode);
      if (type === S_IFDIR && mode & S_ISVTX && mask === W_OK && !isOwner(task.cred, uid)) throw sysError(errno.EPERM);
      checkAccess(task.cred, inode, mask);
      break;
    }
    case 'trusted':
      if (!task.cred.capable(CAP_SYS_ADMIN)) refuse('EPERM');
      break;
    case 'security':
      if (mask === W_OK && !task.cred.capable(CAP_SYS_ADMIN)) throw sysError(errno.EPERM);
      break;
    default:
      // system.posix_acl_* among them: there are no access control lists.
      throw sysError(errno.EOPNOTSUPP);
  }
  if (dot === name.length - 1) throw sysError(errno.EINVAL);
  if (!inode.xattrs) throw sysError(errno.EOPNOTSUPP);
  return inode.xattrs();
}

function forWriting(task: Task, { inode, place }: Target, name: string): Xattrs {
  if (place) task.kernel.vfs.checkWritable(place);
  return attributes(task, inode, name, W_OK);
}

const setxattr = (find: Find) => (task: Task, where: number, nameAddr: number, value: number, size: number, flags: number): number => {
  if (flags & ~(XATTR_CREATE | XATTR_REPLACE)) throw sysError(errno.EINVAL);
  const name = readName(task, nameAddr);
  if (size > XATTR_SIZE_MAX) throw sysError(errno.E2BIG);
  const bytes = task.mem.copyIn(value, size);
  const all = forWriting(task, find(task, where), name);
  const exists = all.get(name) !== null;
  if (flags & XATTR_CREATE && exists) throw sysError(errno.EEXIST);
  if (flags & XATTR_REPLACE && !exists) throw sysError(errno.ENODATA);
  all.set(name, bytes);
  return 0;
};

/** The length when `size` is 0. */
function putResult(task: Task, addr: number, size: number, bytes: Uint8Array): number {
  if (size === 0) return bytes.length;
  if (bytes.length > size) throw sysError(errno.ERANGE);
  task.mem.copyOut(addr, bytes);
  return bytes.length;
}

const getxattr = (find: Find) => (task: Task, where: number, nameAddr: number, value: number, size: number): number => {
  const name = readName(task, nameAddr);
  const { inode } = find(task, where);
  const bytes = attributes(task, inode, name, R_OK).get(name);
  if (!bytes) throw sysError(errno.ENODATA);
  return putResult(task, value, size, bytes);
};

const listxattr = (find: Find) => (task: Task, where: number, list: number, size: number): number => {
  const { inode } = find(task, where);
  const privileged = task.cred.capable(CAP_SYS_ADMIN);
  const names = (inode.xattrs?.().names() ?? []).filter((n) => privileged || !n.startsWith('trusted.'));
  return putResult(task, list, size, latin1Bytes(names.map((n) => `${n}\0`).join('')));
};

const removexattr = (find: Find) => (task: Task, where: number, nameAddr: number): number => {
  const name = readName(task, nameAddr);
  const all = forWriting(task, find(task, where), name);
  if (all.get(name) === null) throw sysError(errno.ENODATA);
  all.set(name, null);
  return 0;
};

const note = { support: 'partial', note: 'not on host folders (EOPNOTSUPP); no access control lists' } as const;
const setFlags = { ...note, flagNames: { flags: { XATTR_CREATE, XATTR_REPLACE } } };

/** The path, symlink and descriptor forms of one call: numbers follow each other on both ABIs. */
function family(
  call: string, x86_64: number, aarch64: number, args: string, make: (find: Find) => SyscallRow['handler'], extra: Parameters<typeof row>[5],
): SyscallRow[] {
  const forms: [string, string, Find][] = [['', 'pathname:path', byPath(true)], ['l', 'pathname:path', byPath(false)], ['f', 'fd:fd', byFd]];
  return forms.map(([prefix, where, find], i) => row(`${prefix}${call}`, x86_64 + i, aarch64 + i, `${where} ${args}`, make(find), extra));
}

export const xattrRows: SyscallRow[] = [
  ...family('setxattr', 188, 5, 'name:string value:inbuf=3 size:size flags:flags', setxattr, setFlags),
  ...family('getxattr', 191, 8, 'name:string value:outbuf=3 size:size', getxattr, note),
  ...family('listxattr', 194, 11, 'list:outbuf=2 size:size', listxattr, note),
  ...family('removexattr', 197, 14, 'name:string', removexattr, note),
];
