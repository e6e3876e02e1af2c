/**
 * Directories of the host, through synchronous node:fs calls, by path. Nothing is cached but for the moment: the host's
 * files change behind our back. Names are bytes: those outside ASCII travel in Buffers.
 */
import * as fs from 'node:fs';
import { errno, sysError } from '../abi/errno.ts';
import { DirectoryFile } from './dir-file.ts';
import { hostCall } from './host-error.ts';
import { HostFile, hostChanges, hostOpenFlags, KEEP, seconds } from './host-file.ts';
import { HostSpecials } from './host-special.ts';
import {
  type AccessAttr,
  type DirEntry,
  type FileSystem,
  type Inode,
  type SetAttr,
  S_IFBLK,
  S_IFCHR,
  S_IFDIR,
  S_IFIFO,
  S_IFLNK,
  S_IFMT,
  S_IFREG,
  S_IFSOCK,
  type Stat,
  type StatFs,
  type Timespec,
} from './inode.ts';
import type { Task } from '../task/task.ts';
import { type MaybePromise, O_ACCMODE, O_RDONLY, type OpenFile } from './open-file.ts';
import { openSpecial } from './special.ts';

/** How long a directory on the way is believed to be what it was, milliseconds. */
const RECENT = 500;
const RENAME_EXCHANGE = 2;

type HostPath = string | Buffer;

/** A path of one char per byte as node:fs takes it. */
export function hostPath(path: string): HostPath {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: all of ASCII is meant.
  return /^[\x00-\x7f]*$/.test(path) ? path : Buffer.from(path, 'latin1');
}

const BILLION = 1_000_000_000n;

function timespec(ns: bigint): Timespec {
  // Rounded down, also before 1970.
  const sec = ns >= 0n ? ns / BILLION : -((-ns + BILLION - 1n) / BILLION);
  return { sec: Number(sec), nsec: Number(ns - sec * BILLION) };
}

/** Host stat to ours; the numbers of device and inode are the host's. */
export function toStat(st: fs.BigIntStats): Stat {
  return {
    dev: Number(st.dev),
    ino: Number(st.ino),
    mode: Number(st.mode),
    nlink: Number(st.nlink),
    uid: Number(st.uid),
    gid: Number(st.gid),
    rdev: Number(st.rdev),
    size: Number(st.size),
    blksize: Number(st.blksize),
    blocks: Number(st.blocks),
    atime: timespec(st.atimeNs),
    mtime: timespec(st.mtimeNs),
    ctime: timespec(st.ctimeNs),
    btime: timespec(st.birthtimeNs),
  };
}

const own = { uid: process.geteuid?.() ?? -1 };

export interface HostFsOptions {
  readOnly?: boolean;
}

export class HostFs implements FileSystem {
  readonly type = 'hostfs';
  readonly dev: number;
  readonly readOnly: boolean;
  /** Absolute host path of the root, without a slash at its end (empty for `/`). One char per byte. */
  readonly base: string;
  readonly #root: HostInode;
  readonly specials = new HostSpecials<HostInode>();
  /** Identities of files for mmap and locks, by device and inode number. */
  readonly #keys = new Map<string, WeakRef<object>>();

  /** `base` is a host path of one char per byte. Throws a SysError when there is nothing. */
  constructor(base: string, options: HostFsOptions = {}) {
    this.base = base.replace(/\/+$/, '');
    this.readOnly = options.readOnly ?? false;
    const st = hostCall(() => fs.statSync(hostPath(base || '/'), { bigint: true }));
    this.dev = Number(st.dev);
    this.#root = new HostInode(this, null, this.base, st);
  }
  root(): Inode {
    return this.#root;
  }
  statfs(): StatFs {
    const s = hostCall(() => fs.statfsSync(hostPath(this.base || '/')));
    const flags = this.readOnly ? 0x21 : 0x20;
    return { ...pick(s), namelen: 255, flags };
  }
  /** The same object for the same file, however it was reached. */
  keyOf(dev: number, ino: number): object {
    const id = `${dev}:${ino}`;
    const have = this.#keys.get(id)?.deref();
    if (have) return have;
    const key = { id };
    this.#keys.set(id, new WeakRef(key));
    return key;
  }
  writable(): void {
    if (this.readOnly) throw sysError(errno.EROFS);
  }
}

const pick = ({ type, bsize, blocks, bfree, bavail, files, ffree }: fs.StatsFs) => ({
  type,
  bsize,
  blocks,
  bfree,
  bavail,
  files,
  ffree,
});

export class HostInode implements Inode {
  readonly fs: HostFs;
  readonly ino: number;
  readonly dev: number;
  readonly type: number;
  #parent: HostInode | null;
  /** Name in the parent; for the root its whole path. */
  #name: string;
  #access: AccessAttr = { mode: 0, uid: 0, gid: 0 };
  #last: fs.BigIntStats | null = null;
  /** `#last` has not been asked for yet, and nothing has changed up to this count of changes. */
  #freshUntil = -1;
  #seenAt = 0;
  #key: object | null = null;
  /** Descriptor of a file made a moment ago: its mode may not allow to open it again. */
  #created = -1;
  /** A FIFO or socket of the guest's. */
  #special = false;
  /** The name has been removed: what is left of the file is reached through who has it open. */
  #gone = false;
  readonly files = new Set<HostFile>();

  constructor(hostFs: HostFs, parent: HostInode | null, name: string, st: fs.BigIntStats) {
    this.fs = hostFs;
    this.#parent = parent;
    this.#name = name;
    this.ino = Number(st.ino);
    this.dev = Number(st.dev);
    this.type = Number(st.mode) & S_IFMT;
    this.#seen(st);
    this.#freshUntil = hostChanges.count;
  }
  /** lstat of a path; null where there is nothing. */
  #lstat(path: HostPath): fs.BigIntStats | null {
    const st = hostCall(() => fs.lstatSync(path, { bigint: true, throwIfNoEntry: false }));
    if (!st) return null;
    this.fs.specials.apply(st);
    return st;
  }

  /** Host path, one char per byte; empty for `/`. */
  get pathText(): string {
    return this.#parent ? `${this.#parent.pathText}/${this.#name}` : this.#name;
  }
  #path(): HostPath {
    return hostPath(this.pathText || '/');
  }
  #childPath(name: string): HostPath {
    return hostPath(`${this.pathText}/${name}`);
  }
  renamed(parent: Inode, name: string): void {
    this.#parent = parent as HostInode;
    this.#name = name;
  }
  /** Identity for mmap and locks. */
  get key(): object {
    this.#key ??= this.fs.keyOf(this.dev, this.ino);
    return this.#key;
  }

  #seen(st: fs.BigIntStats): void {
    this.#last = st;
    this.#access = { mode: Number(st.mode), uid: Number(st.uid), gid: Number(st.gid) };
    this.#seenAt = Date.now();
  }
  access(): AccessAttr {
    return this.#access;
  }
  recent(): boolean {
    return this.type === S_IFDIR && Date.now() - this.#seenAt < RECENT;
  }
  /** The result of a stat of this very file. */
  statOf(st: fs.BigIntStats): Stat {
    this.#seen(st);
    this.#freshUntil = -1;
    return toStat(st);
  }
  stat(): Stat {
    // A look-up has just looked: that answer serves once.
    const fresh = this.#freshUntil === hostChanges.count && Date.now() - this.#seenAt <= 1;
    this.#freshUntil = -1;
    if (fresh) return toStat(this.#last!);
    if (this.#gone) return this.#openFile()?.stat() ?? this.#removed();
    const st = this.#lstat(this.#path());
    if (st && Number(st.ino) === this.ino) return this.statOf(st);
    return this.#removed();
  }
  /** Removed while in use (a working directory, say): what it was, without a name. */
  #removed(): Stat {
    const st = toStat(this.#last!);
    return { ...st, nlink: 0, size: this.type === S_IFDIR ? 0 : st.size };
  }

  #openFile(): HostFile | null {
    for (const file of this.files) return file;
    return null;
  }

  setattr(attr: SetAttr): void {
    this.fs.writable();
    if (this.#gone) {
      const file = this.#openFile();
      if (!file) throw sysError(errno.ENOENT);
      file.setattr(attr);
      return;
    }
    const path = this.#path();
    hostChanges.count++;
    hostCall(() => {
      if (attr.size !== undefined) fs.truncateSync(path, attr.size);
      if (attr.uid !== undefined || attr.gid !== undefined) fs.lchownSync(path, attr.uid ?? KEEP, attr.gid ?? KEEP);
      if (attr.mode !== undefined) fs.chmodSync(path, attr.mode & 0o7777);
      if (!attr.atime && !attr.mtime) return;
      const now = this.stat();
      fs.lutimesSync(path, seconds(attr.atime ?? now.atime), seconds(attr.mtime ?? now.mtime));
    });
    const st = this.#lstat(path);
    if (!st) throw sysError(errno.ENOENT);
    this.statOf(st);
  }

  open(flags: number, task?: Task): MaybePromise<OpenFile> {
    switch (this.type) {
      case S_IFDIR:
        return new DirectoryFile(flags, this);
      case S_IFREG: {
        if (this.#created >= 0) {
          const fd = this.#created;
          this.#created = -1;
          return new HostFile(flags, this, fd);
        }
        if ((flags & O_ACCMODE) !== O_RDONLY) this.fs.writable();
        if (this.#gone) {
          const file = this.#openFile();
          if (!file) throw sysError(errno.ENOENT);
          return new HostFile(flags, this, file.reopen(flags));
        }
        return new HostFile(
          flags,
          this,
          hostCall(() => fs.openSync(this.#path(), hostOpenFlags(flags))),
        );
      }
      case S_IFLNK:
        throw sysError(errno.ELOOP);
      default:
        // The host's FIFOs, sockets and devices are shown but not reached.
        if (!this.#special) throw sysError(errno.ENXIO);
        return openSpecial(this, this.type, 0, flags, task);
    }
  }

  lookup(name: string, _task?: Task, known?: Inode | null): HostInode | null {
    const st = hostCall(() => fs.lstatSync(this.#childPath(name), { bigint: true, throwIfNoEntry: false }));
    if (!st) return null;
    const special = this.fs.specials.apply(st);
    if (special) {
      special.renamed(this, name);
      special.#seen(st);
      return special;
    }
    if (known instanceof HostInode && known.#is(this, name, st)) {
      known.#seen(st);
      known.#freshUntil = hostChanges.count;
      return known;
    }
    return new HostInode(this.fs, this, name, st);
  }
  #is(parent: HostInode, name: string, st: fs.BigIntStats): boolean {
    if (this.ino !== Number(st.ino) || this.dev !== Number(st.dev) || this.type !== (Number(st.mode) & S_IFMT))
      return false;
    return this.#parent === parent && this.#name === name;
  }

  readdir(): DirEntry[] {
    return hostCall(() => {
      const dir = fs.opendirSync(this.#path() as string, { encoding: 'latin1' as BufferEncoding, bufferSize: 256 });
      try {
        const entries: DirEntry[] = [];
        for (let e = dir.readSync(); e; e = dir.readSync()) entries.push(new HostEntry(this, e));
        return entries;
      } finally {
        dir.closeSync();
      }
    });
  }
  /** Type bits of an entry that is a file for the host. */
  typeOf(name: string): number {
    const st = this.fs.specials.size > 0 ? this.#lstat(this.#childPath(name)) : null;
    return st ? Number(st.mode) & S_IFMT : S_IFREG;
  }
  /** Inode number of an entry, 0 when it has gone. */
  inoOf(name: string): number {
    return Number(
      hostCall(() => fs.lstatSync(this.#childPath(name), { bigint: true, throwIfNoEntry: false }))?.ino ?? 0,
    );
  }

  #make(name: string, uid: number, gid: number, mode: number, act: (path: HostPath) => void): HostInode {
    this.fs.writable();
    const path = this.#childPath(name);
    hostChanges.count++;
    hostCall(() => {
      act(path);
      this.#adjust(path, uid, gid, mode);
    });
    const made = this.lookup(name);
    if (!made) throw sysError(errno.ENOENT);
    return made;
  }
  /** Gives what was just made the guest's owner and mode: the host's umask and user may be others. `mode` -1: a symlink. */
  #adjust(path: HostPath, uid: number, gid: number, mode: number): void {
    const st = fs.lstatSync(path);
    if (own.uid === 0 && (st.uid !== uid || st.gid !== gid)) fs.lchownSync(path, uid, gid);
    if (mode >= 0 && (st.mode & 0o777) !== (mode & 0o777)) fs.chmodSync(path, (st.mode & 0o7000) | (mode & 0o777));
  }
  create(name: string, mode: number, uid: number, gid: number): HostInode {
    let fd = -1;
    const { O_RDWR, O_CREAT, O_EXCL, O_NOFOLLOW = 0 } = fs.constants;
    const made = this.#make(name, uid, gid, mode, (path) => {
      fd = fs.openSync(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, mode & 0o7777);
    });
    made.#created = fd;
    return made;
  }
  mkdir(name: string, mode: number, uid: number, gid: number): HostInode {
    return this.#make(name, uid, gid, mode, (path) => fs.mkdirSync(path, { mode: mode & 0o1777 }));
  }
  mknod(name: string, mode: number, _rdev: number, uid: number, gid: number): HostInode {
    const type = mode & S_IFMT;
    if (type !== S_IFREG && type !== S_IFIFO && type !== S_IFSOCK) throw sysError(errno.EPERM);
    const file = this.create(name, mode & 0o7777, uid, gid);
    fs.closeSync(file.#created);
    file.#created = -1;
    if (type === S_IFREG) return file;
    const st = hostCall(() => fs.lstatSync(file.#path(), { bigint: true }));
    const stands = { ...st, mode: (st.mode & ~BigInt(S_IFMT)) | BigInt(type) } as fs.BigIntStats;
    const made = new HostInode(this.fs, this, name, stands);
    made.#special = true;
    this.fs.specials.add(st, type, made);
    return made;
  }
  symlink(name: string, target: string, uid: number, gid: number): HostInode {
    return this.#make(name, uid, gid, -1, (path) => fs.symlinkSync(hostPath(target), path));
  }
  link(name: string, target: Inode): void {
    if (!(target instanceof HostInode) || target.fs !== this.fs) throw sysError(errno.EXDEV);
    this.#change(() => fs.linkSync(target.#path(), this.#childPath(name)));
  }
  unlink(name: string, known?: Inode): void {
    this.#change(() => fs.unlinkSync(this.#childPath(name)));
    markGone(known);
  }
  rmdir(name: string, known?: Inode): void {
    this.#change(() => fs.rmdirSync(this.#childPath(name)));
    markGone(known);
  }
  markGone(): void {
    this.#gone = true;
  }
  rename(
    name: string,
    newParent: Inode,
    newName: string,
    flags: number,
    _known?: Inode,
    knownTarget?: Inode | null,
  ): void {
    if (!(newParent instanceof HostInode) || newParent.fs !== this.fs) throw sysError(errno.EXDEV);
    if (flags & RENAME_EXCHANGE) throw sysError(errno.EINVAL);
    this.#change(() => fs.renameSync(this.#childPath(name), newParent.#childPath(newName)));
    markGone(knownTarget);
  }
  #change(act: () => void): void {
    this.fs.writable();
    hostChanges.count++;
    hostCall(act);
  }

  readlink(): string {
    if (this.type !== S_IFLNK) throw sysError(errno.EINVAL);
    return hostCall(() => fs.readlinkSync(this.#path(), { encoding: 'latin1' as BufferEncoding }));
  }
}

function markGone(inode: Inode | null | undefined): void {
  if (inode instanceof HostInode) inode.markGone();
}

/** A directory entry of the host. Its inode number costs a call and is got when it is asked for. */
class HostEntry implements DirEntry {
  readonly name: string;
  readonly type: number;
  readonly #dir: HostInode;
  constructor(dir: HostInode, entry: fs.Dirent) {
    this.#dir = dir;
    this.name = entry.name;
    this.type = entry.isFile() ? dir.typeOf(entry.name) : direntType(entry);
  }
  get ino(): number {
    return this.#dir.inoOf(this.name);
  }
}

function direntType(e: fs.Dirent): number {
  if (e.isFile()) return S_IFREG;
  if (e.isDirectory()) return S_IFDIR;
  if (e.isSymbolicLink()) return S_IFLNK;
  if (e.isFIFO()) return S_IFIFO;
  if (e.isSocket()) return S_IFSOCK;
  if (e.isCharacterDevice()) return S_IFCHR;
  return e.isBlockDevice() ? S_IFBLK : 0;
}
