/** Inodes that live in memory: attributes, extended attributes, and every kind but regular files (mem-file.ts). */
import { errno, sysError } from '../abi/errno.ts';
import type { Task } from '../task/task.ts';
import { fileTime } from './clock.ts';
import { DirectoryFile } from './dir-file.ts';
import {
  type DirEntry,
  type FileSystem,
  type Inode,
  type SetAttr,
  S_IFDIR,
  S_IFLNK,
  S_IFMT,
  S_IFREG,
  type Stat,
  type Timespec,
  type Xattrs,
} from './inode.ts';
import type { MaybePromise, OpenFile } from './open-file.ts';
import { S_ISGID } from './permission.ts';
import { openSpecial } from './special.ts';
import type { Tmpfs } from './tmpfs.ts';

export const RENAME_EXCHANGE = 2;
/** Size of a directory entry in st_size, as tmpfs counts (BOGO_DIRENT_SIZE). */
const DIRENT_SIZE = 20;
/** XATTR_SIZE_MAX, and what all attributes of an inode may take together. */
const XATTRS_MAX = 128 * 1024;

export class MemXattrs implements Xattrs {
  readonly #values = new Map<string, Uint8Array>();
  #bytes = 0;
  get(name: string): Uint8Array | null {
    return this.#values.get(name) ?? null;
  }
  set(name: string, value: Uint8Array | null): void {
    const old = this.#values.get(name);
    const bytes = this.#bytes - (old ? old.length + name.length : 0) + (value ? value.length + name.length : 0);
    if (bytes > XATTRS_MAX) throw sysError(errno.ENOSPC);
    this.#bytes = bytes;
    if (value) this.#values.set(name, value);
    else this.#values.delete(name);
  }
  names(): string[] {
    return [...this.#values.keys()];
  }
}

export abstract class MemInode implements Inode {
  readonly fs: FileSystem;
  readonly tmpfs: Tmpfs;
  readonly ino: number;
  mode: number;
  uid: number;
  gid: number;
  nlink = 1;
  rdev = 0;
  atime: Timespec;
  mtime: Timespec;
  ctime: Timespec;
  btime: Timespec;
  #xattrs: MemXattrs | null = null;

  constructor(fs: Tmpfs, mode: number, uid: number, gid: number) {
    this.fs = fs;
    this.tmpfs = fs;
    this.ino = fs.allocIno();
    this.mode = mode;
    this.uid = uid;
    this.gid = gid;
    this.atime = this.mtime = this.ctime = this.btime = fileTime();
  }

  get size(): number {
    return 0;
  }
  get allocated(): number {
    return 0;
  }
  get type(): number {
    return this.mode & S_IFMT;
  }

  access(): this {
    return this;
  }
  stat(): Stat {
    const { ino, mode, nlink, uid, gid, rdev, size, atime, mtime, ctime, btime } = this;
    const blocks = Math.ceil(this.allocated / 512);
    return {
      dev: this.fs.dev,
      ino,
      mode,
      nlink,
      uid,
      gid,
      rdev,
      size,
      blksize: 4096,
      blocks,
      atime,
      mtime,
      ctime,
      btime,
    };
  }
  setattr(attr: SetAttr): void {
    this.writable();
    if (attr.size !== undefined) this.resize(attr.size);
    if (attr.mode !== undefined) this.mode = this.type | (attr.mode & 0o7777);
    if (attr.uid !== undefined) this.uid = attr.uid;
    if (attr.gid !== undefined) this.gid = attr.gid;
    const now = fileTime();
    if (attr.atime) this.atime = attr.atime;
    if (attr.mtime) this.mtime = attr.mtime;
    else if (attr.size !== undefined) this.mtime = now;
    this.ctime = now;
  }
  protected resize(_size: number): void {
    throw sysError(this.type === S_IFDIR ? errno.EISDIR : errno.EINVAL);
  }
  /** Copies owner, mode and times of another inode (overlay copy-up). */
  copyAttributes(from: Stat): void {
    this.mode = this.type | (from.mode & 0o7777);
    this.uid = from.uid;
    this.gid = from.gid;
    this.rdev = from.rdev;
    this.atime = from.atime;
    this.mtime = from.mtime;
    this.ctime = from.ctime;
    if (from.btime) this.btime = from.btime;
  }
  xattrs(): Xattrs {
    this.#xattrs ??= new MemXattrs();
    return this.#xattrs;
  }
  /** Throws EROFS on a file system that is not to be changed. */
  writable(): void {
    if (this.tmpfs.readOnly) throw sysError(errno.EROFS);
  }
  touch(): void {
    this.mtime = this.ctime = fileTime();
  }
  /** One name less; the last one frees what nobody has open. */
  dropLink(): void {
    this.nlink--;
    this.ctime = fileTime();
    if (this.nlink === 0) this.gone();
  }
  /** Neither a name nor an open file leads here any more. */
  protected gone(): void {
    this.tmpfs.inodes--;
  }

  open(flags: number, task?: Task): MaybePromise<OpenFile> {
    return openSpecial(this, this.mode, this.rdev, flags, task);
  }
  lookup(_name: string): Inode | null {
    throw sysError(errno.ENOTDIR);
  }
  readdir(): DirEntry[] {
    throw sysError(errno.ENOTDIR);
  }
  create(_name: string, _mode: number, _uid: number, _gid: number): Inode {
    throw sysError(errno.ENOTDIR);
  }
  mkdir(_name: string, _mode: number, _uid: number, _gid: number): Inode {
    throw sysError(errno.ENOTDIR);
  }
  mknod(_name: string, _mode: number, _rdev: number, _uid: number, _gid: number): Inode {
    throw sysError(errno.ENOTDIR);
  }
  symlink(_name: string, _target: string, _uid: number, _gid: number): Inode {
    throw sysError(errno.ENOTDIR);
  }
  link(_name: string, _target: Inode): void {
    throw sysError(errno.ENOTDIR);
  }
  unlink(_name: string): void {
    throw sysError(errno.ENOTDIR);
  }
  rmdir(_name: string): void {
    throw sysError(errno.ENOTDIR);
  }
  rename(_name: string, _newParent: Inode, _newName: string, _flags: number): void {
    throw sysError(errno.ENOTDIR);
  }
  readlink(): string {
    throw sysError(errno.EINVAL);
  }
}

export class MemSymlink extends MemInode {
  readonly target: string;
  constructor(fs: Tmpfs, target: string, uid: number, gid: number) {
    super(fs, S_IFLNK | 0o777, uid, gid);
    this.target = target;
  }
  override get size(): number {
    return this.target.length;
  }
  override readlink(): string {
    return this.target;
  }
  override open(): OpenFile {
    throw sysError(errno.ELOOP);
  }
}

/** A FIFO, socket or device: only its name and numbers live here. */
export class MemSpecial extends MemInode {
  constructor(fs: Tmpfs, mode: number, rdev: number, uid: number, gid: number) {
    super(fs, mode, uid, gid);
    this.rdev = rdev;
  }
}

export class MemDir extends MemInode {
  readonly entries = new Map<string, MemInode>();

  constructor(fs: Tmpfs, mode: number, uid: number, gid: number) {
    super(fs, S_IFDIR | mode, uid, gid);
    this.nlink = 2;
  }
  override get size(): number {
    return (this.entries.size + 2) * DIRENT_SIZE;
  }
  override open(flags: number): OpenFile {
    return new DirectoryFile(flags, this);
  }
  override lookup(name: string): MemInode | null {
    return this.entries.get(name) ?? null;
  }
  override readdir(): DirEntry[] {
    // Newest first, as tmpfs lists (dcache_readdir).
    return [...this.entries].map(([name, { ino, type }]) => ({ name, ino, type })).reverse();
  }

  /** Enters a new name. Throws EEXIST, EROFS, and ENOENT in a removed directory. */
  enter<T extends MemInode>(name: string, inode: T): T {
    this.writable();
    if (this.nlink === 0) throw sysError(errno.ENOENT);
    if (this.entries.has(name)) throw sysError(errno.EEXIST);
    this.entries.set(name, inode);
    if (inode.type === S_IFDIR) this.nlink++;
    this.touch();
    return inode;
  }
  override create(name: string, mode: number, uid: number, gid: number): MemInode {
    return this.enter(name, this.tmpfs.newFile(mode, uid, gid));
  }
  override mkdir(name: string, mode: number, uid: number, gid: number): MemDir {
    const setgid = this.mode & S_ISGID;
    return this.enter(name, new MemDir(this.tmpfs, (mode & 0o7777) | setgid, uid, gid));
  }
  override mknod(name: string, mode: number, rdev: number, uid: number, gid: number): MemInode {
    if ((mode & S_IFMT) === S_IFREG) return this.create(name, mode, uid, gid);
    return this.enter(name, new MemSpecial(this.tmpfs, mode, rdev, uid, gid));
  }
  override symlink(name: string, target: string, uid: number, gid: number): MemInode {
    return this.enter(name, new MemSymlink(this.tmpfs, target, uid, gid));
  }
  tmpfile(mode: number, uid: number, gid: number): MemInode {
    this.writable();
    const file = this.tmpfs.newFile(mode, uid, gid);
    file.nlink = 0;
    return file;
  }
  override link(name: string, target: Inode): void {
    if (!(target instanceof MemInode) || target.fs !== this.fs) throw sysError(errno.EXDEV);
    this.enter(name, target);
    target.nlink++;
    target.ctime = fileTime();
  }

  #take(name: string): MemInode {
    this.writable();
    const inode = this.entries.get(name);
    if (!inode) throw sysError(errno.ENOENT);
    return inode;
  }
  override unlink(name: string): void {
    const inode = this.#take(name);
    if (inode.type === S_IFDIR) throw sysError(errno.EISDIR);
    this.entries.delete(name);
    this.touch();
    inode.dropLink();
  }
  override rmdir(name: string): void {
    const inode = this.#take(name);
    if (!(inode instanceof MemDir)) throw sysError(errno.ENOTDIR);
    if (inode.entries.size > 0) throw sysError(errno.ENOTEMPTY);
    this.entries.delete(name);
    inode.nlink = 0;
    inode.gone();
    this.nlink--;
    this.touch();
  }

  override rename(name: string, newParent: Inode, newName: string, flags: number): void {
    if (!(newParent instanceof MemDir) || newParent.fs !== this.fs) throw sysError(errno.EXDEV);
    const inode = this.#take(name);
    if (newParent.nlink === 0) throw sysError(errno.ENOENT);
    const other = newParent.entries.get(newName);
    if (flags & RENAME_EXCHANGE) {
      if (!other) throw sysError(errno.ENOENT);
      this.#replace(name, inode, other);
      newParent.#replace(newName, other, inode);
    } else {
      if (other === inode) return;
      if (other) newParent.#makeRoom(newName, inode, other);
      this.entries.delete(name);
      if (inode.type === S_IFDIR) this.nlink--;
      newParent.entries.set(newName, inode);
      if (inode.type === S_IFDIR) newParent.nlink++;
    }
    this.touch();
    newParent.touch();
    inode.ctime = fileTime();
  }
  #replace(name: string, old: MemInode, now: MemInode): void {
    this.entries.set(name, now);
    this.nlink += Number(now.type === S_IFDIR) - Number(old.type === S_IFDIR);
  }
  #makeRoom(name: string, inode: MemInode, other: MemInode): void {
    if (other instanceof MemDir) {
      if (inode.type !== S_IFDIR) throw sysError(errno.EISDIR);
      this.rmdir(name);
    } else {
      if (inode.type === S_IFDIR) throw sysError(errno.ENOTDIR);
      this.unlink(name);
    }
  }
}
