/**
 * Inodes: what every file system implements. All operations are synchronous except where a `Promise` is in the type;
 * failures are thrown as `SysError`. Permission checks, mount crossing, symlink following and O_* handling are done
 * once, by the VFS above (vfs.ts); an inode only does what it is told.
 *
 * `task` is the thread on whose behalf the VFS acts. Most file systems ignore it; /proc/self, /dev/tty and FIFOs (whose
 * opening waits) need it.
 */
import type { Task } from '../task/task.ts';
import type { Path } from './fs-context.ts';
import type { OpenFile } from './open-file.ts';

export const S_IFMT = 0o170000;
export const S_IFSOCK = 0o140000;
export const S_IFLNK = 0o120000;
export const S_IFREG = 0o100000;
export const S_IFBLK = 0o060000;
export const S_IFDIR = 0o040000;
export const S_IFCHR = 0o020000;
export const S_IFIFO = 0o010000;

export interface Timespec {
  sec: number;
  nsec: number;
}

/** The fields of stat(2), in host-independent form. `mode` includes the file type bits. `dev`/`rdev` as makedev(3). */
export interface Stat {
  dev: number;
  ino: number;
  mode: number;
  nlink: number;
  uid: number;
  gid: number;
  rdev: number;
  size: number;
  blksize: number;
  /** In units of 512 bytes. */
  blocks: number;
  atime: Timespec;
  mtime: Timespec;
  ctime: Timespec;
  btime?: Timespec;
}

/** The fields of statfs(2). */
export interface StatFs {
  type: number;
  bsize: number;
  blocks: number;
  bfree: number;
  bavail: number;
  files: number;
  ffree: number;
  namelen: number;
  flags: number;
}

/** The part of `Stat` that decides who may do what. */
export type AccessAttr = Pick<Stat, 'mode' | 'uid' | 'gid'>;

export interface DirEntry {
  name: string;
  ino: number;
  /** File type bits as in `Stat.mode` (S_IFREG, ...), 0 when unknown. */
  type: number;
}

/** What chmod, chown, truncate and utimensat change; absent fields stay. */
export interface SetAttr {
  mode?: number;
  uid?: number;
  gid?: number;
  size?: number;
  atime?: Timespec;
  mtime?: Timespec;
}

/** Extended attributes (xattr(7)). Names carry their namespace: `user.mime_type`. */
export interface Xattrs {
  get(name: string): Uint8Array | null;
  /** Replaces or adds; `null` removes. */
  set(name: string, value: Uint8Array | null): void;
  names(): string[];
}

export interface FileSystem {
  /** Name as in /proc/filesystems. */
  readonly type: string;
  readonly dev: number;
  readonly readOnly: boolean;
  /** Its mount options as /proc/mounts shows them, each behind a comma. */
  readonly options?: string;
  root(): Inode;
  statfs(): StatFs;
}

/**
 * Names are JavaScript strings holding one char per byte (latin1), so that names which are not UTF-8 survive.
 * `path-bytes.ts` converts.
 */
export interface Inode {
  readonly fs: FileSystem;
  stat(): Stat;
  /**
   * What a path walk asks of every component, at no more cost than the look-up just made; `stat()` serves when absent.
   */
  access?(): AccessAttr;
  /**
   * Directories whose look-up costs something: true when they were looked up a moment ago, so that a path walk may pass
   * without asking again.
   */
  recent?(): boolean;
  setattr(attr: SetAttr): void;

  /** Opens an existing inode. `flags` are the O_* of open(2), with O_CREAT, O_EXCL, O_NOFOLLOW and O_TRUNC already done. */
  open(flags: number, task?: Task): OpenFile | Promise<OpenFile>;

  /** Absent where the file system has no extended attributes (EOPNOTSUPP). */
  xattrs?(): Xattrs;

  // Directories only; others throw ENOTDIR.
  /** The child, or null when there is none. */
  /**
   * `known` is what this name led to before: a file system whose inodes are made at look-up returns it again when it
   * is still the same file, so that an inode keeps its identity.
   */
  lookup(name: string, task?: Task, known?: Inode | null): Inode | null;
  readdir(task?: Task): DirEntry[];
  create(name: string, mode: number, uid: number, gid: number): Inode;
  mkdir(name: string, mode: number, uid: number, gid: number): Inode;
  mknod(name: string, mode: number, rdev: number, uid: number, gid: number): Inode;
  symlink(name: string, target: string, uid: number, gid: number): Inode;
  link(name: string, target: Inode): void;
  /** `known`, here and below, as for `lookup`: what the name leads to now. */
  unlink(name: string, known?: Inode): void;
  rmdir(name: string, known?: Inode): void;
  /** rename(2) within one file system. RENAME_* flags are already checked, except RENAME_EXCHANGE. */
  rename(
    name: string,
    newParent: Inode,
    newName: string,
    flags: number,
    known?: Inode,
    knownTarget?: Inode | null,
  ): void;
  /** Told to what has been renamed, for inodes that know their own place. */
  renamed?(newParent: Inode, newName: string): void;
  /** A regular file without a name (O_TMPFILE); absent: EOPNOTSUPP. */
  tmpfile?(mode: number, uid: number, gid: number): Inode;

  // Symlinks only; others throw EINVAL.
  readlink(task?: Task): string;
  /** procfs "magic" links (/proc/self/fd/N, exe, cwd): the place itself, not a path. Null for ordinary symlinks. */
  magicTarget?(task?: Task): MagicTarget | null;
}

/** Where a magic link leads: an already open file, a place in the tree, or an inode with the path it was reached by. */
export type MagicTarget =
  | { kind: 'file'; file: OpenFile }
  | { kind: 'place'; place: Path }
  | { kind: 'inode'; inode: Inode; path: string };
