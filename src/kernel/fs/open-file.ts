/**
 * Open file descriptions (open(2), "file description"): shared by dup'ed descriptors and across fork.
 * Every kind of file is a subclass: regular files of each file system, directories, pipes, eventfd, epoll, terminals.
 */
import { errno, sysError } from '../abi/errno.ts';
import { WaitQueue } from '../task/wait-queue.ts';
import type { Task } from '../task/task.ts';
import { type Path, pathName } from './fs-context.ts';
import { IN_CLOSE_NOWRITE, IN_CLOSE_WRITE, notifyFile, notifyOrphanClosed, watching } from './notify.ts';
import type { DirEntry, Inode, SetAttr, Stat, StatFs } from './inode.ts';

export const O_RDONLY = 0;
export const O_WRONLY = 1;
export const O_RDWR = 2;
export const O_ACCMODE = 3;
export const O_CREAT = 0o100;
export const O_EXCL = 0o200;
export const O_NOCTTY = 0o400;
export const O_TRUNC = 0o1000;
export const O_APPEND = 0o2000;
export const O_NONBLOCK = 0o4000;
export const O_DSYNC = 0o10000;
export const O_ASYNC = 0o20000;
// O_DIRECT, O_LARGEFILE, O_DIRECTORY and O_NOFOLLOW differ on AArch64: the ABI layer maps them to these x86-64 values.
export const O_DIRECT = 0o40000;
export const O_LARGEFILE = 0o100000;
export const O_DIRECTORY = 0o200000;
export const O_NOFOLLOW = 0o400000;
export const O_NOATIME = 0o1000000;
export const O_CLOEXEC = 0o2000000;
export const O_SYNC = 0o4010000;
export const O_PATH = 0o10000000;
export const O_TMPFILE = 0o20200000;

export const POLLIN = 0x001;
export const POLLPRI = 0x002;
export const POLLOUT = 0x004;
export const POLLERR = 0x008;
export const POLLHUP = 0x010;
export const POLLNVAL = 0x020;
export const POLLRDNORM = 0x040;
export const POLLWRNORM = 0x100;
export const POLLRDHUP = 0x2000;

export type MaybePromise<T> = T | Promise<T>;

/** Numbers are byte counts, or thrown SysErrors. A description that cannot do something throws what Linux returns. */
export abstract class OpenFile {
  /** O_* access mode and status flags (F_GETFL); O_CLOEXEC is per descriptor and not here. */
  flags: number;
  /** File offset for read, write, lseek and getdents. */
  offset = 0;
  /** Where the VFS found it; null for what was not opened by name. */
  location: Path | null = null;
  #path = '';
  /** Null for things without one (epoll, eventfd, ...). */
  inode: Inode | null = null;
  /** Woken whenever the answer of `poll()` may have changed. */
  readonly waiters = new WaitQueue();
  #refs = 1;
  #observers: Set<() => void> | null = null;

  constructor(flags: number) {
    this.flags = flags;
  }

  /** Absolute path for /proc/self/fd and /proc/self/maps: `/tmp/x`, `pipe:[12]`, `/tmp/x (deleted)`. Follows renames. */
  get path(): string {
    return this.location ? pathName(this.location) : this.#path;
  }
  /** For files without a `location`. */
  set path(name: string) {
    this.#path = name;
  }

  get readable(): boolean {
    return (this.flags & O_ACCMODE) !== O_WRONLY && (this.flags & O_PATH) === 0;
  }
  get writable(): boolean {
    return (this.flags & O_ACCMODE) !== O_RDONLY && (this.flags & O_PATH) === 0;
  }
  get nonblocking(): boolean {
    return (this.flags & O_NONBLOCK) !== 0;
  }

  ref(): this {
    this.#refs++;
    return this;
  }
  /** Drops one reference; the last one closes the description. */
  unref(): void {
    if (--this.#refs !== 0) return;
    const observers = this.#observers;
    this.#observers = null;
    for (const observer of observers ?? []) observer();
    if (watching() && this.location && (this.flags & O_PATH) === 0) this.#tellClosed();
    this.release();
  }
  #tellClosed(): void {
    notifyFile(this, this.writable ? IN_CLOSE_WRITE : IN_CLOSE_NOWRITE);
    // The last use of a file without a name ends its watches.
    if (this.inode && this.location!.dentry.deleted) notifyOrphanClosed(this.inode);
  }
  /** Has `observer` called when the last reference goes, just before `release` (epoll forgets the file then). */
  onRelease(observer: () => void): void {
    this.#observers ??= new Set();
    this.#observers.add(observer);
  }
  offRelease(observer: () => void): void {
    this.#observers?.delete(observer);
  }
  protected release(): void {}

  /** True for files with an offset (regular, directories, block devices): lseek, pread and pwrite work. */
  get seekable(): boolean {
    return false;
  }

  /**
   * Reads into `dst` at `position` (pread) or, when null, at the description's own offset, which moves. 0 is end of
   * file. When nothing is there yet: a promise, or EAGAIN when `nonblocking`. `task` is who waits: use `task.wait`.
   */
  read(_task: Task, _dst: Uint8Array, _position: number | null): MaybePromise<number> {
    throw sysError(errno.EINVAL);
  }
  /** Counterpart of `read`. O_APPEND is honoured here. */
  write(_task: Task, _src: Uint8Array, _position: number | null): MaybePromise<number> {
    throw sysError(errno.EINVAL);
  }
  lseek(_offset: number, _whence: number): number {
    throw sysError(errno.ESPIPE);
  }
  /** False for files without readiness (regular files, directories): epoll refuses them with EPERM. */
  get pollable(): boolean {
    return !this.seekable;
  }
  /** POLL* bits that hold now, among all bits (not only those asked for). `task` is who asks (a signalfd cares). */
  poll(_task?: Task): number {
    return POLLIN | POLLOUT | POLLRDNORM | POLLWRNORM;
  }
  /** `arg` is the raw third argument: a guest address or an int. */
  ioctl(_task: Task, _request: number, _arg: number): MaybePromise<number> {
    throw sysError(errno.ENOTTY);
  }
  stat(): Stat {
    if (this.inode) return this.inode.stat();
    throw sysError(errno.EBADF);
  }
  setattr(attr: SetAttr): void {
    if (!this.inode) throw sysError(errno.EBADF);
    this.inode.setattr(attr);
  }
  statfs(): StatFs {
    if (!this.inode) throw sysError(errno.ENOSYS);
    return this.inode.fs.statfs();
  }
  /** Directory stream from `offset`, for getdents64; each entry carries the offset that follows it. */
  readdir(_task?: Task): { entry: DirEntry; next: number }[] {
    throw sysError(errno.ENOTDIR);
  }
  truncate(size: number): void {
    if (!this.writable) throw sysError(errno.EINVAL);
    this.setattr({ size });
  }
  /** fallocate(2) with `mode` of FALLOC_FL_*. */
  fallocate(_mode: number, _offset: number, _length: number): void {
    throw sysError(errno.ENODEV);
  }
  sync(): void {}

  /**
   * Whether mmap may map it, and the object that gives shared mappings one identity: two descriptions of one inode
   * return the same key. Null: ENODEV.
   */
  mapKey(): object | null {
    return null;
  }
  /** Whether shared mappings must never be writable (seals of a memfd): mmap with PROT_WRITE is EPERM. */
  get mapsReadOnly(): boolean {
    return false;
  }
}
