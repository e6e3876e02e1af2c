/**
 * Building blocks of file systems whose contents the kernel makes up: procfs, sysfs, devfs, and the inodes of things
 * that have no name (pipes, eventfds). Directories hold registered entries; files are generated when they are read.
 */
import { errno, sysError } from '../abi/errno.ts';
import { latin1, latin1Bytes } from '../mm/user-memory.ts';
import type { Task } from '../task/task.ts';
import { DirectoryFile } from './dir-file.ts';
import {
  type DirEntry,
  type FileSystem,
  type Inode,
  type MagicTarget,
  type SetAttr,
  S_IFDIR,
  S_IFLNK,
  S_IFMT,
  S_IFREG,
  type Stat,
  type StatFs,
  type Timespec,
} from './inode.ts';
import { O_ACCMODE, O_RDONLY, OpenFile } from './open-file.ts';

/** dev_t as makedev(3) encodes it, for numbers below 2^32. */
export const makedev = (major: number, minor: number): number =>
  ((minor & 0xff) | ((major & 0xfff) << 8)) + (minor >>> 8) * 0x10_0000;

// statfs(2) f_type values (linux/magic.h).
export const PROC_SUPER_MAGIC = 0x9fa0;
export const SYSFS_MAGIC = 0x6265_6572;
export const TMPFS_MAGIC = 0x0102_1994;
export const PIPEFS_MAGIC = 0x5049_5045;
export const DEVPTS_SUPER_MAGIC = 0x1cd1;
export const MQUEUE_MAGIC = 0x1980_0202;
export const ANON_INODE_FS_MAGIC = 0x0904_1934;

export function now(): Timespec {
  const ms = Date.now();
  const sec = Math.floor(ms / 1000);
  return { sec, nsec: Math.round((ms - sec * 1000) * 1e6) };
}

/** A file system without storage. */
export class PseudoFs implements FileSystem {
  readonly type: string;
  readonly dev: number;
  readonly magic: number;
  readonly readOnly = false;
  readonly mounted = now();
  #root: Inode | null = null;
  #nextIno: number;
  #named = new Map<string, number>();

  constructor(type: string, dev: number, magic: number, firstIno = 1) {
    this.type = type;
    this.dev = dev;
    this.magic = magic;
    this.#nextIno = firstIno;
  }
  setRoot(root: Inode): void {
    this.#root = root;
  }
  root(): Inode {
    if (!this.#root) throw sysError(errno.ENODEV);
    return this.#root;
  }
  /** A fresh inode number. */
  allocIno(): number {
    return this.#nextIno++;
  }
  /** The inode number of something that is made anew at every look-up: the same for the same key. */
  inoOf(key: string): number {
    let ino = this.#named.get(key);
    if (ino === undefined) {
      ino = this.allocIno();
      this.#named.set(key, ino);
    }
    return ino;
  }
  statfs(): StatFs {
    return {
      type: this.magic,
      bsize: 4096,
      blocks: 0,
      bfree: 0,
      bavail: 0,
      files: 0,
      ffree: 0,
      namelen: 255,
      flags: 0,
    };
  }
}

export interface PseudoInit {
  fs: PseudoFs;
  /** File type and permission bits. */
  mode: number;
  ino?: number;
  uid?: number;
  gid?: number;
  rdev?: number;
  size?: number;
  nlink?: number;
}

/** Everything an inode refuses by default. */
export abstract class PseudoInode implements Inode {
  readonly fs: PseudoFs;
  readonly ino: number;
  mode: number;
  uid: number;
  gid: number;
  rdev: number;
  size: number;
  nlink: number;
  times: { atime: Timespec; mtime: Timespec; ctime: Timespec };

  constructor(init: PseudoInit) {
    this.fs = init.fs;
    this.ino = init.ino ?? init.fs.allocIno();
    this.mode = init.mode;
    this.uid = init.uid ?? 0;
    this.gid = init.gid ?? 0;
    this.rdev = init.rdev ?? 0;
    this.size = init.size ?? 0;
    this.nlink = init.nlink ?? ((init.mode & S_IFMT) === S_IFDIR ? 2 : 1);
    const t = init.fs.mounted;
    this.times = { atime: t, mtime: t, ctime: t };
  }

  stat(): Stat {
    const { fs, ino, mode, nlink, uid, gid, rdev, size } = this;
    return { dev: fs.dev, ino, mode, nlink, uid, gid, rdev, size, blksize: this.blksize, blocks: 0, ...this.times };
  }
  protected get blksize(): number {
    return (this.mode & S_IFMT) === S_IFREG || (this.mode & S_IFMT) === S_IFDIR ? 1024 : 4096;
  }
  setattr(attr: SetAttr): void {
    if (attr.mode !== undefined) this.mode = (this.mode & S_IFMT) | (attr.mode & 0o7777);
    if (attr.uid !== undefined) this.uid = attr.uid;
    if (attr.gid !== undefined) this.gid = attr.gid;
    const { atime, mtime } = this.times;
    this.times = { atime: attr.atime ?? atime, mtime: attr.mtime ?? mtime, ctime: now() };
  }
  abstract open(flags: number, task?: Task): OpenFile | Promise<OpenFile>;

  lookup(_name: string, _task?: Task): Inode | null {
    throw sysError(errno.ENOTDIR);
  }
  readdir(_task?: Task): DirEntry[] {
    throw sysError(errno.ENOTDIR);
  }
  create(): Inode {
    return this.#refuse();
  }
  mkdir(): Inode {
    return this.#refuse();
  }
  mknod(): Inode {
    return this.#refuse();
  }
  symlink(): Inode {
    return this.#refuse();
  }
  link(): void {
    this.#refuse();
  }
  unlink(): void {
    this.#refuse();
  }
  rmdir(): void {
    this.#refuse();
  }
  rename(): void {
    this.#refuse();
  }
  readlink(_task?: Task): string {
    throw sysError(errno.EINVAL);
  }
  /** Nothing can be made in or taken out of these directories: EPERM, as procfs and sysfs say. */
  #refuse(): never {
    throw sysError((this.mode & S_IFMT) === S_IFDIR ? errno.EPERM : errno.ENOTDIR);
  }
}

/** A directory of fixed entries, to which a subclass may add others that come and go. */
export class PseudoDir extends PseudoInode {
  readonly #made = new Map<string, Inode>();
  #fill: (() => void) | null = null;

  constructor(fs: PseudoFs, init: Partial<PseudoInit> = {}) {
    super({ fs, mode: S_IFDIR | 0o555, ...init });
  }
  /** Has `fill` register entries, so many of them directories, once somebody looks: most programs never do. */
  fillLater(directories: number, fill: () => void): void {
    this.nlink += directories;
    this.#fill = () => {
      this.nlink -= directories;
      fill();
    };
  }
  get #children(): Map<string, Inode> {
    const fill = this.#fill;
    if (fill) {
      this.#fill = null;
      fill();
    }
    return this.#made;
  }
  /** Registers an entry and returns it. */
  add<T extends Inode>(name: string, inode: T): T {
    this.#children.set(name, inode);
    if ((inode.stat().mode & S_IFMT) === S_IFDIR) this.nlink++;
    return inode;
  }
  /** A subdirectory by name, made when there is none. */
  dir(name: string): PseudoDir {
    const have = this.#children.get(name);
    return have instanceof PseudoDir ? have : this.add(name, new PseudoDir(this.fs));
  }
  /** Registers a file under a relative path, making the directories on the way. */
  addPath(path: string, inode: Inode): void {
    const names = path.split('/');
    const last = names.pop()!;
    let at: PseudoDir = this;
    for (const name of names) at = at.dir(name);
    at.add(last, inode);
  }
  /** Entries that are not registered. Called after the registered ones had no such name. */
  protected dynamicLookup(_name: string, _task?: Task): Inode | null {
    return null;
  }
  protected dynamicEntries(_task?: Task): DirEntry[] {
    return [];
  }
  override lookup(name: string, task?: Task): Inode | null {
    return this.#children.get(name) ?? this.dynamicLookup(name, task);
  }
  override readdir(task?: Task): DirEntry[] {
    const fixed = [...this.#children].map(([name, inode]) => {
      const { ino, mode } = inode.stat();
      return { name, ino, type: mode & S_IFMT };
    });
    return [...fixed, ...this.dynamicEntries(task)];
  }
  override open(flags: number): OpenFile {
    return new DirectoryFile(flags, this);
  }
}

/** Contents of a generated file: text of one char per byte, or bytes. */
export type Generate = (task: Task) => string | Uint8Array;
/** Takes what was written. Throws EINVAL for text that is not understood. */
export type Accept = (task: Task, text: string) => void;

export interface GeneratedInit extends Partial<PseudoInit> {
  /** Permission bits, default 0444. */
  perm?: number;
  write?: Accept;
  /** poll(2) and epoll(7) find it ready; false: epoll refuses it. */
  pollable?: boolean;
  /** Checked at open, for files only some may open. Throws EACCES or EPERM. */
  check?: (task: Task | undefined, flags: number) => void;
}

/** A file made by a function. The size in stat is 0, as for most files of procfs. */
export class GeneratedFile extends PseudoInode {
  readonly generate: Generate | null;
  readonly accept: Accept | null;
  readonly pollable: boolean;
  readonly #check: GeneratedInit['check'];

  constructor(fs: PseudoFs, generate: Generate | null, init: GeneratedInit = {}) {
    super({ fs, mode: S_IFREG | (init.perm ?? 0o444), ...init });
    this.generate = generate;
    this.accept = init.write ?? null;
    this.pollable = init.pollable ?? false;
    this.#check = init.check;
  }
  override setattr(attr: SetAttr): void {
    // Truncation (`echo x > /proc/...`) is allowed and does nothing.
    if (attr.mode !== undefined || attr.uid !== undefined || attr.gid !== undefined) throw sysError(errno.EPERM);
  }
  override open(flags: number, task?: Task): OpenFile {
    this.#check?.(task, flags);
    if ((flags & O_ACCMODE) !== O_RDONLY && !this.accept) throw sysError(errno.EACCES);
    return new GeneratedOpenFile(flags, this);
  }
}

const MAX_WRITE = 4096;

class GeneratedOpenFile extends OpenFile {
  readonly #file: GeneratedFile;
  #contents: Uint8Array | null = null;

  constructor(flags: number, file: GeneratedFile) {
    super(flags);
    this.inode = file;
    this.#file = file;
  }
  override get seekable(): boolean {
    return true;
  }
  override get pollable(): boolean {
    return this.#file.pollable;
  }
  override read(task: Task, dst: Uint8Array, position: number | null): number {
    const at = position ?? this.offset;
    // Read from its start, a file is made anew (seq_file does the same).
    if (!this.#contents || at === 0) {
      const made = this.#file.generate?.(task);
      if (made === undefined) throw sysError(errno.EIO);
      this.#contents = typeof made === 'string' ? latin1Bytes(made) : made;
    }
    const part =
      at < this.#contents.length ? this.#contents.subarray(at, at + dst.length) : this.#contents.subarray(0, 0);
    dst.set(part);
    if (position === null) this.offset += part.length;
    return part.length;
  }
  override write(task: Task, src: Uint8Array, position: number | null): number {
    if (!this.#file.accept) throw sysError(errno.EIO);
    const n = Math.min(src.length, MAX_WRITE);
    this.#file.accept(task, latin1(src.slice(0, n)));
    this.#contents = null;
    if (position === null) this.offset += n;
    return n;
  }
  override lseek(offset: number, whence: number): number {
    const target = whence === 0 ? offset : whence === 1 ? this.offset + offset : -1;
    if (!(target >= 0)) throw sysError(errno.EINVAL);
    this.offset = target;
    return target;
  }
  override truncate(): void {
    // Accepted and without effect, like O_TRUNC.
  }
}

/** A symbolic link whose text is fixed or computed for the thread that follows it. */
export class PseudoLink extends PseudoInode {
  readonly #target: string | ((task?: Task) => string);

  constructor(fs: PseudoFs, target: string | ((task?: Task) => string), init: Partial<PseudoInit> = {}) {
    super({ fs, mode: S_IFLNK | 0o777, ...init });
    this.#target = target;
    if (typeof target === 'string' && init.size === undefined) this.size = target.length;
  }
  override setattr(): void {
    throw sysError(errno.EPERM);
  }
  override open(): OpenFile {
    throw sysError(errno.ELOOP);
  }
  override readlink(task?: Task): string {
    return typeof this.#target === 'string' ? this.#target : this.#target(task);
  }
}

/** A link that leads to a place itself rather than to a path (proc(5), /proc/PID/fd). */
export class MagicLink extends PseudoLink {
  readonly #place: (task?: Task) => MagicTarget | null;

  constructor(
    fs: PseudoFs,
    text: (task?: Task) => string,
    place: (task?: Task) => MagicTarget | null,
    init: Partial<PseudoInit> = {},
  ) {
    super(fs, text, init);
    this.#place = place;
  }
  magicTarget(task?: Task): MagicTarget | null {
    return this.#place(task);
  }
}

const anonFs = new PseudoFs('anon_inodefs', makedev(0, 15), ANON_INODE_FS_MAGIC);

/** The inode behind descriptors that have none of their own (eventfd, epoll, timerfd). It cannot be opened again. */
export class AnonInode extends PseudoInode {
  constructor() {
    super({ fs: anonFs, mode: 0o600 });
  }
  override open(): OpenFile {
    throw sysError(errno.ENXIO);
  }
  override setattr(): void {
    throw sysError(errno.EPERM);
  }
}

/** Linux has one such inode for all of them. */
export const anonInode = new AnonInode();
