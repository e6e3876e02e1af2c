/**
 * Directories of the host, through synchronous node:fs calls, by path. Nothing is cached but for the moment: the host's
 * files change behind our back. Names are bytes: those outside ASCII travel in Buffers.
 */
import * as fs from 'node:fs';
import { errno, sysError } from '../abi/errno.ts';
import { DirectoryFile } from './dir-file.ts';
import { hostCall, hostError } from './host-error.ts';
import { HostFile, hostOpenFlags } from './host-file.ts';
import {
  type AccessAttr, type DirEntry, type FileSystem, type Inode, type SetAttr, S_IFBLK, S_IFCHR, S_IFDIR, S_IFIFO, S_IFLNK, S_IFMT,
  S_IFREG, S_IFSOCK, type Stat, type StatFs, type Timespec,
} from './inode.ts';
import type { OpenFile } from './open-file.ts';
import { S_ISGID } from './permission.ts';

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
    dev: Number(st.dev), ino: Number(st.ino), mode: Number(st.mode), nlink: Number(st.nlink), uid: Number(st.uid),
    gid: Number(st.gid), rdev: Number(st.rdev), size: Number(st.size), blksize: Number(st.blksize), blocks: Number(st.blocks),
    atime: timespec(st.atimeNs), mtime: timespec(st.mtimeNs), ctime: timespec(st.ctimeNs), btime: timespec(st.birthtimeNs),
  };
}

const own = { uid: process.geteuid?.() ?? -1, gid: process.getegid?.() ?? -1 };

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
  /** Identities of files for mmap and locks, by device and inode number. */
  readonly #keys = new Map<string, WeakRef<object>>();

  /** `base` is a host path of one char per byte. Throws a SysError when there is nothing. */
  constructor(base: string, options: HostFsOptions = {}) {
    this.base = base.replace(/\/+$/, '');
    this.readOnly = options.readOnly ?? false;
    const st = hostCall(() => fs.statSync(hostPath(base || '/'), { bigint: true }));
    this.dev = Number(st.dev);
    this.#root = new HostInode(this, null, this.base, Number(st.ino), Number(st.mode) & S_IFMT, Number(st.dev));
    this.#root.seen(st);
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

const pick = ({ type, bsize, blocks, bfree, bavail, files, ffree }: fs.StatsFs) => ({ type, bsize, blocks, bfree, bavail, files, ffree });

export class HostInode implements Inode {
  readonly fs: HostFs;
  parent: HostInode | null;
  /** Name in the parent; for the root its whole path. */
  name: string;
  readonly ino: number;
  readonly dev: number;
  readonly type: number;
  #access: AccessAttr = { mode: 0, uid: 0, gid: 0 };
  /** The last look, until somebody asks for it. */
  #fresh: fs.BigIntStats | null = null;
  #last: fs.BigIntStats | null = null;
  #seenAt = 0;
  #path: HostPath | null = null;
  #key: object | null = null;

  constructor(hostFs: HostFs, parent: HostInode | null, name: string, ino: number, type: number, dev: number) {
    this.fs = hostFs;
    this.parent = parent;
    this.name = name;
    this.ino = ino;
    this.type = type;
    this.dev = dev;
  }

  /** Host path, one char per byte. */
  get pathText(): string {
    return this.parent ? `${this.parent.pathText}/${this.name}` : this.name;
  }
  get path(): HostPath {
    this.#path ??= hostPath(this.pathText || '/');
    return this.#path;
  }
  /** It, or a directory above it, has another name now. */
  moved(parent: HostInode, name: string): void {
    this.parent = parent;
    this.name = name;
    generation++;
  }
  #childPath(name: string): HostPath {
    return hostPath(`${this.pathText}/${name}`);
  }
  /** Identity for mmap and locks. */
  get key(): object {
    this.#key ??= this.fs.keyOf(this.dev, this.ino);
    return this.#key;
  }

  seen(st: fs.BigIntStats): void {
    this.#fresh = st;
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

  stat(): Stat {
    // A look-up has just looked: that answer serves once.
    const fresh = this.#fresh;
    this.#fresh = null;
    if (fresh && freshness === mutations && Date.now() - this.#seenAt <= 1) return toStat(fresh);
    const st = hostCall(() => fs.lstatSync(this.path, { bigint: true, throwIfNoEntry: false }));
    if (st && Number(st.ino) === this.ino) {
      this.seen(st);
      this.#fresh = null;
      return toStat(st);
    }
    // Removed while in use (a working directory, say): what it was, without a name.
    if (!this.#last) throw sysError(errno.ENOENT);
    return { ...toStat(this.#last), nlink: 0 };
  }
}
