/**
 * Path resolution (path_resolution(7), openat2(2)): from a string of one char per byte to a place in the tree.
 * It follows symlinks, crosses mounts and checks search permission; what is to be done at the end is the caller's.
 */
import { errno, sysError } from '../abi/errno.ts';
import type { Credentials } from '../task/credentials.ts';
import type { Task } from '../task/task.ts';
import { type Dentry, mountedOn } from './dentry.ts';
import { detachedPath, type FsContext, type Path, samePath } from './fs-context.ts';
import { type AccessAttr, type Inode, type MagicTarget, S_IFDIR, S_IFLNK, S_IFMT } from './inode.ts';
import { accessOf, mayAccess, X_OK } from './permission.ts';

export const PATH_MAX = 4096;
export const NAME_MAX = 255;
/** MAXSYMLINKS. */
const MAX_LINKS = 40;

// RESOLVE_* of openat2(2).
export const RESOLVE_NO_XDEV = 0x01;
export const RESOLVE_NO_MAGICLINKS = 0x02;
export const RESOLVE_NO_SYMLINKS = 0x04;
export const RESOLVE_BENEATH = 0x08;
export const RESOLVE_IN_ROOT = 0x10;
export const RESOLVE_CACHED = 0x20;
/** Not openat2's: a slash behind the last name is EISDIR, whatever the name is (open with O_CREAT). */
export const RESOLVE_CREATE = 0x1_0000;

/**
 * Where a walk ended. `kind` tells what the last component was: an ordinary name, `.`, `..`, or none at all (`/`).
 * `path` is null when the name does not exist; `parent` is the directory it stands, or would stand, in.
 */
export interface Found {
  readonly kind: 'name' | 'dot' | 'dotdot' | 'root';
  readonly parent: Path;
  readonly name: string;
  readonly path: Path | null;
  /** The last component had slashes behind it. */
  readonly slash: boolean;
}

/**
 * - follow: a symlink at the end is followed, and a trailing slash demands a directory.
 * - nofollow: a symlink at the end is the result, unless a slash follows.
 * - parent: the last component is never followed, and `slash` is for the caller to judge (create, remove, rename).
 */
export type LastComponent = 'follow' | 'nofollow' | 'parent';

export interface Walker {
  readonly fs: FsContext;
  readonly cred: Credentials;
  /** Undefined for the kernel's own look-ups. */
  readonly task: Task | undefined;
}

export const isDirectory = (inode: Inode): boolean => (accessOf(inode).mode & S_IFMT) === S_IFDIR;

/** The child of a directory, asked of the file system, and its dentry. Null when there is none. */
export function lookupChild(dir: Dentry, name: string, task: Task | undefined): Dentry | null {
  const have = dir.child(name);
  if (have?.mounts) return have;
  const inode = dir.inode.lookup(name, task, have?.inode ?? null);
  if (!inode) {
    have?.detach();
    return null;
  }
  if (have && (have.inode === inode || sameFile(have.inode, inode))) {
    have.inode = inode;
    return have;
  }
  return dir.adopt(name, inode);
}

/** File systems that make their inodes anew (procfs at each look-up, the overlay for hard links) keep the numbers. */
function sameFile(a: Inode, b: Inode): boolean {
  const x = a.stat();
  const y = b.stat();
  return x.ino === y.ino && x.dev === y.dev && ((x.mode ^ y.mode) & S_IFMT) === 0 && a.fs === b.fs;
}

/** Steps onto what is mounted at a place. */
export function crossMounts(path: Path): Path {
  let at = path;
  while (at.dentry.mounts) {
    const mount = mountedOn(at.mount, at.dentry);
    if (!mount) break;
    at = { mount, dentry: mount.root };
  }
  return at;
}

/** `..`: the parent, out of mounts, but never out of `root`. */
export function parentOf(path: Path, root: Path): Path {
  let { mount, dentry } = path;
  for (;;) {
    if (mount === root.mount && dentry === root.dentry) return path;
    if (dentry !== mount.root) break;
    if (!mount.parent || !mount.mountpoint) return path;
    dentry = mount.mountpoint;
    mount = mount.parent;
  }
  return dentry.parent ? crossMounts({ mount, dentry: dentry.parent }) : path;
}

/** A place for what a magic link leads to. */
function magicPath(target: MagicTarget): Path {
  switch (target.kind) {
    case 'place':
      return target.place;
    case 'inode':
      return detachedPath(target.inode, target.path);
    case 'file': {
      const { file } = target;
      if (file.location) return file.location;
      // Descriptors without an inode (there should be none) cannot be opened again.
      if (!file.inode) throw sysError(errno.ENXIO);
      return detachedPath(file.inode, file.path);
    }
  }
}

class Walk {
  readonly walker: Walker;
  readonly root: Path;
  readonly base: Path;
  readonly resolve: number;
  links = 0;

  constructor(walker: Walker, base: Path, resolve: number) {
    this.walker = walker;
    this.base = base;
    this.resolve = resolve;
    this.root = resolve & (RESOLVE_BENEATH | RESOLVE_IN_ROOT) ? base : walker.fs.root;
  }

  /** Where an absolute path starts. */
  absolute(from: Path): Path {
    if (this.resolve & RESOLVE_BENEATH) throw sysError(errno.EXDEV);
    if (this.resolve & RESOLVE_NO_XDEV && from.mount !== this.root.mount) throw sysError(errno.EXDEV);
    return this.root;
  }

  /** Directories may be passed when they may be searched. */
  checkSearch(at: Path): void {
    const attr: AccessAttr = accessOf(at.dentry.inode);
    if ((attr.mode & S_IFMT) !== S_IFDIR) throw sysError(errno.ENOTDIR);
    // The common case, without asking for capabilities.
    if ((attr.mode & 0o111) !== 0o111 && !mayAccess(this.walker.cred, attr, X_OK)) throw sysError(errno.EACCES);
  }

  child(at: Path, name: string, last: boolean): Path | null {
    const dir = at.dentry;
    // On the way a directory seen a moment ago is believed: the look-up of the last name tells whether it still is there.
    const have = last ? null : dir.child(name);
    const dentry = have?.inode.recent?.() ? have : lookupChild(dir, name, this.walker.task);
    if (!dentry) return null;
    if (!dentry.mounts) return { mount: at.mount, dentry };
    return this.moved(at, crossMounts({ mount: at.mount, dentry }));
  }

  up(at: Path): Path {
    if (this.resolve & RESOLVE_BENEATH && samePath(at, this.root)) throw sysError(errno.EXDEV);
    return this.moved(at, parentOf(at, this.root));
  }

  moved(from: Path, to: Path): Path {
    if (this.resolve & RESOLVE_NO_XDEV && from.mount !== to.mount) throw sysError(errno.EXDEV);
    return to;
  }

  /** A symlink is about to be followed: its place when it is magic, else its text. */
  link(at: Path, inode: Inode): Path | string {
    const { task } = this.walker;
    if (this.resolve & RESOLVE_NO_SYMLINKS || ++this.links > MAX_LINKS) throw sysError(errno.ELOOP);
    const magic = inode.magicTarget?.(task);
    if (magic) {
      if (this.resolve & RESOLVE_NO_MAGICLINKS) throw sysError(errno.ELOOP);
      if (this.resolve & (RESOLVE_BENEATH | RESOLVE_IN_ROOT)) throw sysError(errno.EXDEV);
      return this.moved(at, magicPath(magic));
    }
    const text = inode.readlink(task);
    if (text === '') throw sysError(errno.ENOENT);
    return text;
  }

  run(path: string, lastMode: LastComponent): Found {
    let rest = path;
    let i = 0;
    let at = path.charCodeAt(0) === SLASH ? this.absolute(this.base) : this.base;
    for (;;) {
      while (rest.charCodeAt(i) === SLASH) i++;
      if (i >= rest.length) return { kind: 'root', parent: at, name: '', path: at, slash: false };
      const end = rest.indexOf('/', i);
      const name = end < 0 ? rest.slice(i) : rest.slice(i, end);
      let next = end < 0 ? rest.length : end;
      while (rest.charCodeAt(next) === SLASH) next++;
      const last = next >= rest.length;
      const slash = last && end >= 0;
      this.checkSearch(at);
      i = next;
      if (name === '.' || name === '..') {
        const from = at;
        if (name === '..') at = this.up(at);
        if (last) return { kind: name === '.' ? 'dot' : 'dotdot', parent: from, name, path: at, slash };
        continue;
      }
      if (name.length > NAME_MAX) throw sysError(errno.ENAMETOOLONG);
      if (slash && this.resolve & RESOLVE_CREATE) throw sysError(errno.EISDIR);
      const found = this.child(at, name, last);
      if (!found) {
        if (!last) throw sysError(errno.ENOENT);
        return { kind: 'name', parent: at, name, path: null, slash };
      }
      const type = accessOf(found.dentry.inode).mode & S_IFMT;
      const follow = type === S_IFLNK && (!last || lastMode === 'follow' || (slash && lastMode === 'nofollow'));
      if (!follow) {
        if (!last) {
          at = found;
          continue;
        }
        if (slash && lastMode !== 'parent' && type !== S_IFDIR) throw sysError(errno.ENOTDIR);
        return { kind: 'name', parent: at, name, path: found, slash };
      }
      const target = this.link(at, found.dentry.inode);
      if (typeof target === 'string') {
        if (target.charCodeAt(0) === SLASH) at = this.absolute(at);
        rest = last ? (slash ? `${target}/` : target) : `${target}/${rest.slice(next)}`;
        i = 0;
        continue;
      }
      if (last) {
        if (slash && !isDirectory(target.dentry.inode)) throw sysError(errno.ENOTDIR);
        return { kind: 'name', parent: at, name, path: target, slash };
      }
      at = target;
    }
  }
}

const SLASH = 0x2f;

/**
 * Walks `path` from `base` (its starting directory when it is relative). The empty path is ENOENT; callers that allow
 * it deal with it before. Throws ENOENT, ENOTDIR, EACCES, ELOOP, ENAMETOOLONG, EXDEV.
 */
export function walk(walker: Walker, base: Path, path: string, last: LastComponent, resolve = 0): Found {
  if (path === '') throw sysError(errno.ENOENT);
  if (path.length >= PATH_MAX) throw sysError(errno.ENAMETOOLONG);
  return new Walk(walker, base, resolve).run(path, last);
}
