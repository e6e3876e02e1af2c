/** Inodes of the overlay: see overlay.ts for how changes are kept. */
import { errno, sysError } from '../abi/errno.ts';
import type { Task } from '../task/task.ts';
import { DirectoryFile } from './dir-file.ts';
import {
  type AccessAttr,
  type DirEntry,
  type Inode,
  type SetAttr,
  S_IFDIR,
  S_IFLNK,
  S_IFMT,
  S_IFREG,
  type Stat,
  type Xattrs,
} from './inode.ts';
import type { MemFile } from './mem-file.ts';
import { MemDir, type MemInode, MemSpecial, MemSymlink, RENAME_EXCHANGE } from './mem-inode.ts';
import { type MaybePromise, O_RDONLY, type OpenFile } from './open-file.ts';
import type { Overlay } from './overlay.ts';
import { OverlayFile, readLower } from './overlay-file.ts';
import { accessOf, S_ISGID } from './permission.ts';
import { openSpecial } from './special.ts';

const COPY_CHUNK = 1 << 20;

export class OverlayInode implements Inode {
  readonly fs: Overlay;
  /** What it stood for before it was changed; null for what is new. */
  readonly lower: Inode | null;
  /** Its attributes and contents in memory, once they differ. Of a directory only the attributes: see `changed`. */
  upper: MemInode | null;
  /** Directories: names that differ from the lower directory; null is a name that is gone. */
  changed: Map<string, OverlayInode | null> | null = null;
  readonly type: number;
  /** Where it stands; null once it has been removed. Of several names the one it was found by. */
  parent: OverlayInode | null;
  name: string;
  /** Links (of directories: subdirectories) made less those removed, while the count is still the lower's. */
  linkDelta = 0;
  /** What is new shows the device number of the lower directory it would be in. */
  readonly #dev: number;
  /** The lower file as it was when it was copied: its numbers stay. */
  #origin: Stat | null = null;

  constructor(fs: Overlay, lower: Inode | null, upper: MemInode | null, parent: OverlayInode | null, name: string) {
    this.fs = fs;
    this.lower = lower;
    this.upper = upper;
    this.parent = parent;
    this.name = name;
    this.type = (upper ? upper.mode : accessOf(lower!).mode) & S_IFMT;
    this.#dev = lower ? 0 : parent ? parent.#device() : fs.dev;
  }
  #device(): number {
    return this.#origin?.dev ?? this.lower?.stat().dev ?? this.#dev;
  }

  access(): AccessAttr {
    return this.upper ?? accessOf(this.lower!);
  }
  recent(): boolean {
    return this.type === S_IFDIR && (this.lower === null || (this.lower.recent?.() ?? false));
  }
  stat(): Stat {
    const { upper, lower } = this;
    if (!upper) return this.unchanged(lower!.stat());
    const st = upper.stat();
    if (!lower) {
      if (this.type === S_IFDIR) st.size = upper.nlink === 0 ? 0 : 4096;
      return { ...st, dev: this.#dev, nlink: upper.nlink + this.linkDelta };
    }
    const { dev, ino } = this.#origin!;
    if (this.type === S_IFDIR) st.size = upper.nlink === 0 ? 0 : this.#origin!.size;
    return { ...st, dev, ino, nlink: upper.nlink + this.linkDelta };
  }
  /** `st` of the lower file, as this inode shows it. */
  unchanged(st: Stat): Stat {
    return this.linkDelta === 0 ? st : { ...st, nlink: Math.max(0, st.nlink + this.linkDelta) };
  }

  setattr(attr: SetAttr): void {
    this.copyUp(attr.size === 0).setattr(attr);
  }
  xattrs(): Xattrs {
    const current = (): Xattrs | null => (this.upper ?? this.lower!).xattrs?.() ?? null;
    return {
      get: (name) => current()?.get(name) ?? null,
      names: () => current()?.names() ?? [],
      set: (name, value) => this.copyUp(false).xattrs().set(name, value),
    };
  }

  /** Makes the path to this inode part of the upper tree, so that look-ups find the change. */
  pin(): void {
    const { parent, name } = this;
    if (!parent || parent.changed?.get(name) === this) return;
    parent.changes().set(name, this);
    parent.pin();
  }
  changes(): Map<string, OverlayInode | null> {
    this.changed ??= new Map();
    return this.changed;
  }
  /** Whether the lower directory `dir` does not have it under this name. */
  isNewAt(dir: OverlayInode, name: string): boolean {
    return this.lower === null || dir.lower === null || this.lower !== dir.lower.lookup(name, undefined, this.lower);
  }

  /** Moves attributes and, unless they are about to be cut off, contents to memory. */
  copyUp(discardContents: boolean): MemInode {
    if (this.upper) return this.upper;
    const lower = this.lower!;
    const st = lower.stat();
    const twin = st.nlink > 1 && this.type !== S_IFDIR ? this.fs.findLinked(lower) : null;
    if (twin?.upper && twin !== this) {
      this.#origin = st;
      this.upper = twin.upper;
      return this.upper;
    }
    const upper = this.#copyOf(lower, st, discardContents);
    upper.copyAttributes(st);
    upper.nlink = st.nlink;
    if (this.type !== S_IFDIR) {
      upper.nlink += this.linkDelta;
      this.linkDelta = 0;
    }
    for (const name of lower.xattrs?.().names() ?? []) upper.xattrs().set(name, lower.xattrs!().get(name));
    this.#origin = st;
    this.upper = upper;
    this.fs.remember(this, st);
    this.pin();
    return upper;
  }
  #copyOf(lower: Inode, st: Stat, discardContents: boolean): MemInode {
    const { memory } = this.fs;
    switch (this.type) {
      case S_IFDIR:
        return new MemDir(memory, st.mode & 0o7777, st.uid, st.gid);
      case S_IFLNK:
        return new MemSymlink(memory, lower.readlink(), st.uid, st.gid);
      case S_IFREG: {
        const file = memory.newFile(st.mode, st.uid, st.gid);
        if (!discardContents) copyContents(lower, file);
        return file;
      }
      default:
        return new MemSpecial(memory, st.mode, st.rdev, st.uid, st.gid);
    }
  }

  open(flags: number, task?: Task): MaybePromise<OpenFile> {
    switch (this.type) {
      case S_IFDIR:
        return new DirectoryFile(flags, this);
      case S_IFREG:
        return OverlayFile.open(this, flags, task);
      default:
        // The lower file system knows whether it can be opened: the host's FIFOs and devices cannot.
        if (!this.upper) return this.lower!.open(flags, task);
        return openSpecial(this, this.upper.mode, this.upper.rdev, flags, task);
    }
  }
  readlink(task?: Task): string {
    return (this.upper ?? this.lower!).readlink(task);
  }

  #directory(): void {
    if (this.type !== S_IFDIR) throw sysError(errno.ENOTDIR);
  }
  lookup(name: string, task?: Task, known?: Inode | null): OverlayInode | null {
    this.#directory();
    const changed = this.changed?.get(name);
    if (changed !== undefined) return changed;
    if (!this.lower) return null;
    const before = known instanceof OverlayInode && known.fs === this.fs ? known : null;
    const lower = this.lower.lookup(name, task, before?.lower ?? null);
    if (!lower) return null;
    const linked = this.fs.findLinked(lower);
    if (linked) return linked;
    if (before && before.lower === lower && before.parent === this && before.name === name) return before;
    return new OverlayInode(this.fs, lower, null, this, name);
  }
  readdir(task?: Task): DirEntry[] {
    this.#directory();
    const below = this.lower?.readdir(task) ?? [];
    const { changed } = this;
    if (!changed || changed.size === 0) return below;
    const entry = (name: string, inode: OverlayInode): DirEntry => ({ name, ino: inode.stat().ino, type: inode.type });
    // Names that were there keep their place; new ones follow.
    const seen = new Set<string>();
    const entries: DirEntry[] = [];
    for (const e of below) {
      const now = changed.get(e.name);
      seen.add(e.name);
      if (now === undefined) entries.push(e);
      else if (now) entries.push(entry(e.name, now));
    }
    for (const [name, inode] of changed) if (inode && !seen.has(name)) entries.push(entry(name, inode));
    return entries;
  }
  get isEmpty(): boolean {
    const { changed } = this;
    for (const inode of changed?.values() ?? []) if (inode) return false;
    return !this.lower?.readdir().some((e) => !changed?.has(e.name));
  }
  /** Removed directories take nothing in. */
  #alive(): void {
    this.#directory();
    if (!this.parent && this.name !== '') throw sysError(errno.ENOENT);
  }

  #enter(name: string, upper: MemInode): OverlayInode {
    this.#alive();
    if (this.lookup(name)) throw sysError(errno.EEXIST);
    const inode = new OverlayInode(this.fs, null, upper, this, name);
    this.#put(name, inode);
    if (inode.type === S_IFDIR) this.linkDelta++;
    return inode;
  }
  #put(name: string, inode: OverlayInode | null): void {
    this.copyUp(false).touch();
    // A name that neither tree has needs no trace.
    if (inode === null && !this.lower?.lookup(name)) this.changes().delete(name);
    else this.changes().set(name, inode);
    this.pin();
  }
  create(name: string, mode: number, uid: number, gid: number): OverlayInode {
    return this.#enter(name, this.fs.memory.newFile(mode, uid, gid));
  }
  mkdir(name: string, mode: number, uid: number, gid: number): OverlayInode {
    const setgid = this.access().mode & S_ISGID;
    return this.#enter(name, new MemDir(this.fs.memory, (mode & 0o7777) | setgid, uid, gid));
  }
  mknod(name: string, mode: number, rdev: number, uid: number, gid: number): OverlayInode {
    if ((mode & S_IFMT) === S_IFREG) return this.create(name, mode, uid, gid);
    return this.#enter(name, new MemSpecial(this.fs.memory, mode, rdev, uid, gid));
  }
  symlink(name: string, target: string, uid: number, gid: number): OverlayInode {
    return this.#enter(name, new MemSymlink(this.fs.memory, target, uid, gid));
  }
  tmpfile(mode: number, uid: number, gid: number): OverlayInode {
    this.#directory();
    const file = this.fs.memory.newFile(mode, uid, gid);
    file.nlink = 0;
    const inode = new OverlayInode(this.fs, null, file, this, '');
    inode.parent = null;
    return inode;
  }
  link(name: string, target: Inode): void {
    this.#alive();
    const inode = this.fs.own(target);
    if (this.lookup(name)) throw sysError(errno.EEXIST);
    // The link count is an attribute: it is kept in memory.
    const upper = inode.copyUp(false);
    upper.nlink++;
    upper.setattr({});
    if (!inode.parent) {
      inode.parent = this;
      inode.name = name;
    }
    this.#put(name, inode);
  }

  #take(name: string, known: Inode | undefined): OverlayInode {
    this.#directory();
    const inode = this.lookup(name, undefined, known ?? null);
    if (!inode) throw sysError(errno.ENOENT);
    return inode;
  }
  unlink(name: string, known?: Inode): void {
    const inode = this.#take(name, known);
    if (inode.type === S_IFDIR) throw sysError(errno.EISDIR);
    this.#drop(name, inode);
  }
  /** A name of a file is gone. */
  #drop(name: string, inode: OverlayInode): void {
    if (inode.upper) inode.upper.dropLink();
    else {
      // The other names lead here, too, and show the lower count.
      inode.linkDelta--;
      this.fs.remember(inode, inode.lower!.stat());
    }
    if (inode.parent === this && inode.name === name) inode.parent = null;
    this.#put(name, null);
  }
  rmdir(name: string, known?: Inode): void {
    const inode = this.#take(name, known);
    if (inode.type !== S_IFDIR) throw sysError(errno.ENOTDIR);
    if (!inode.isEmpty) throw sysError(errno.ENOTEMPTY);
    inode.copyUp(false).nlink = 0;
    inode.linkDelta = 0;
    inode.parent = null;
    this.#put(name, null);
    this.linkDelta--;
  }

  rename(
    name: string,
    newParent: Inode,
    newName: string,
    flags: number,
    known?: Inode,
    knownTarget?: Inode | null,
  ): void {
    const to = this.fs.own(newParent);
    to.#alive();
    const inode = this.#take(name, known);
    const other = to.lookup(newName, undefined, knownTarget ?? null);
    if (flags & RENAME_EXCHANGE) {
      if (!other) throw sysError(errno.ENOENT);
      this.#place(name, other);
      to.#place(newName, inode);
      const moved = Number(inode.type === S_IFDIR) - Number(other.type === S_IFDIR);
      this.linkDelta -= moved;
      to.linkDelta += moved;
      return;
    }
    if (other === inode) return;
    if (other) to.#makeRoom(newName, inode, other);
    this.#put(name, null);
    to.#place(newName, inode);
    if (inode.type === S_IFDIR) {
      this.linkDelta--;
      to.linkDelta++;
    }
  }
  #place(name: string, inode: OverlayInode): void {
    // Its other names must go on leading to it.
    if (!inode.upper && inode.type !== S_IFDIR) this.fs.remember(inode, inode.lower!.stat());
    inode.parent = this;
    inode.name = name;
    this.#put(name, inode);
  }
  #makeRoom(name: string, inode: OverlayInode, other: OverlayInode): void {
    if (other.type === S_IFDIR) {
      if (inode.type !== S_IFDIR) throw sysError(errno.EISDIR);
      this.rmdir(name, other);
    } else {
      if (inode.type === S_IFDIR) throw sysError(errno.ENOTDIR);
      this.unlink(name, other);
    }
  }
}

/** The lower file's bytes; lower file systems answer at once. */
function copyContents(lower: Inode, to: MemFile): void {
  const from = lower.open(O_RDONLY);
  if (from instanceof Promise) throw sysError(errno.EIO);
  try {
    const buffer = new Uint8Array(COPY_CHUNK);
    for (let at = 0; ; ) {
      const n = readLower(from, buffer, at);
      if (n === 0) break;
      for (let done = 0; done < n; ) done += to.data.write(buffer.subarray(done, n), at + done);
      at += n;
    }
  } catch (e) {
    to.nlink = 0;
    to.dropLink();
    throw e;
  } finally {
    from.unref();
  }
}
