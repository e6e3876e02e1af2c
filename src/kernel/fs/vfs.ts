/**
 * The virtual file system: the tree of mounts, and what system calls do to it by name. File systems below only do what
 * they are told; who may do what is decided here.
 */
import { errno, sysError } from '../abi/errno.ts';
import { Credentials } from '../task/credentials.ts';
import type { Task } from '../task/task.ts';
import { Dentry, type Mount } from './dentry.ts';
import { detachedPath, FsContext, type Path, pathName } from './fs-context.ts';
import { type FileSystem, S_IFDIR } from './inode.ts';
import {
  crossMounts,
  type Found,
  type LastComponent,
  RESOLVE_BENEATH,
  RESOLVE_IN_ROOT,
  walk,
  type Walker,
} from './namei.ts';
import { openPath } from './open.ts';
import type { MaybePromise, OpenFile } from './open-file.ts';
import { fileType } from './permission.ts';

export const AT_FDCWD = -100;

export interface ResolveOptions {
  /** Follow a symlink at the end. Default true. */
  followLast?: boolean;
  /** AT_EMPTY_PATH: an empty path is the place `dirfd` itself. */
  emptyPath?: boolean;
  /** RESOLVE_* of openat2(2). */
  resolve?: number;
}

export interface MountOptions {
  readOnly?: boolean;
  /** First field of /proc/mounts; default the file system's type. */
  source?: string;
}

/** One line of /proc/self/mountinfo (proc(5)). */
export interface MountInfo {
  readonly id: number;
  readonly parentId: number;
  readonly dev: number;
  /** Mount point as seen from `root`. */
  readonly path: string;
  readonly type: string;
  readonly source: string;
  readonly readOnly: boolean;
}

export class Vfs {
  readonly rootMount: Mount;
  readonly #mounts: Mount[] = [];
  #nextMountId = 21;
  /** The kernel's own look-ups: everything is allowed. */
  readonly #kernelCred = new Credentials(0, 0);

  constructor(rootFs: FileSystem, options: MountOptions = {}) {
    this.rootMount = this.#newMount(rootFs, null, null, options);
  }

  #newMount(fs: FileSystem, parent: Mount | null, mountpoint: Dentry | null, options: MountOptions): Mount {
    const mount: Mount = {
      id: this.#nextMountId++,
      fs,
      root: new Dentry(fs.root(), '', null),
      parent,
      mountpoint,
      readOnly: options.readOnly ?? fs.readOnly,
      source: options.source ?? fs.type,
    };
    this.#mounts.push(mount);
    return mount;
  }

  get root(): Path {
    return { mount: this.rootMount, dentry: this.rootMount.root };
  }
  /** Root and working directory `/`. */
  newContext(umask = 0o022): FsContext {
    return new FsContext(crossMounts(this.root), crossMounts(this.root), umask);
  }

  /** Mounts a file system on an existing place. Throws ENOENT, and ENOTDIR when one is a directory and the other is not. */
  mount(fs: FileSystem, atPath: string, options: MountOptions = {}): Mount {
    const at = this.lookup(atPath);
    if ((fileType(at.dentry.inode) === S_IFDIR) !== (fileType(fs.root()) === S_IFDIR)) throw sysError(errno.ENOTDIR);
    const mount = this.#newMount(fs, at.mount, at.dentry, options);
    at.dentry.mounts = [...(at.dentry.mounts ?? []), mount];
    return mount;
  }
  /** Takes the topmost mount at a place away. Throws EINVAL when the place is no mount's root, EBUSY while others are on top. */
  unmount(at: Path): void {
    const { mount } = at;
    if (at.dentry !== mount.root || !mount.parent || !mount.mountpoint) throw sysError(errno.EINVAL);
    if (this.#mounts.some((m) => m.parent === mount)) throw sysError(errno.EBUSY);
    this.#mounts.splice(this.#mounts.indexOf(mount), 1);
    const left = mount.mountpoint.mounts!.filter((m) => m !== mount);
    mount.mountpoint.mounts = left.length > 0 ? left : null;
  }

  /** A name at the root of all file systems of a type has gone: its dentry would keep what it stood for (proc_flush_pid). */
  forgetName(fsType: string, name: string): void {
    for (const { fs, root } of this.#mounts) if (fs.type === fsType) root.child(name)?.detach();
  }

  /** All mounts, in order of mounting, for /proc/mounts and /proc/self/mountinfo. */
  mounts(root: Path | null = null): MountInfo[] {
    return this.#mounts.map((m) => ({
      id: m.id,
      parentId: m.parent?.id ?? 1,
      dev: m.fs.dev,
      path: pathName({ mount: m, dentry: m.root }, root),
      type: m.fs.type,
      source: m.source,
      readOnly: m.readOnly || m.fs.readOnly,
    }));
  }

  walkerOf(task: Task): Walker {
    return { fs: task.fs, cred: task.cred, task };
  }

  /** A walk on behalf of a task. `dirfd` counts when `path` is relative. */
  walk(task: Task, dirfd: number, path: string, last: LastComponent, resolve = 0): Found {
    if (Dentry.crowded) Dentry.prune(this.#mounts.map((m) => m.root));
    // Confined walks start at `dirfd` even when the path is absolute.
    const confined = resolve & (RESOLVE_BENEATH | RESOLVE_IN_ROOT);
    return walk(this.walkerOf(task), this.basePath(task, dirfd, confined ? '.' : path), path, last, resolve);
  }

  /** Where a relative path starts. Throws EBADF, ENOTDIR. */
  basePath(task: Task, dirfd: number, path: string): Path {
    if (dirfd === AT_FDCWD || path.charCodeAt(0) === 0x2f) return task.fs.cwd;
    const { location } = task.files.getAny(dirfd);
    // A pipe, an eventfd: nothing can stand below them.
    if (!location) throw sysError(path === '' ? errno.ENOENT : errno.ENOTDIR);
    return location;
  }

  /** The place of an open file, also of one without a name. */
  pathOf(file: OpenFile): Path {
    if (file.location) return file.location;
    if (!file.inode) throw sysError(errno.EBADF);
    return detachedPath(file.inode, file.path);
  }

  /** Resolves an existing path. Throws what path_resolution(7) lists, and EBADF. */
  resolve(task: Task, dirfd: number, path: string, options: ResolveOptions = {}): Path {
    if (path === '' && options.emptyPath) {
      return dirfd === AT_FDCWD ? task.fs.cwd : this.pathOf(task.files.getAny(dirfd));
    }
    const last = options.followLast === false ? 'nofollow' : 'follow';
    const found = this.walk(task, dirfd, path, last, options.resolve);
    if (!found.path) throw sysError(errno.ENOENT);
    return found.path;
  }

  /** A look-up of the kernel's own, from the root of everything. */
  lookup(path: string): Path {
    const context = new FsContext(crossMounts(this.root));
    const found = walk({ fs: context, cred: this.#kernelCred, task: undefined }, context.root, path, 'follow');
    if (!found.path) throw sysError(errno.ENOENT);
    return found.path;
  }

  /** open(2). O_CLOEXEC is the caller's. `flags` are x86-64's; unknown bits have been dealt with. */
  open(task: Task, dirfd: number, path: string, flags: number, mode: number, resolve = 0): MaybePromise<OpenFile> {
    return openPath(this, task, dirfd, path, flags, mode, resolve);
  }

  /** Throws EROFS when nothing may be changed at a place. */
  checkWritable({ mount }: Path): void {
    if (mount.readOnly || mount.fs.readOnly) throw sysError(errno.EROFS);
  }
  isMountpoint({ mount, dentry }: Path): boolean {
    return dentry === mount.root || (dentry.mounts?.length ?? 0) > 0;
  }
}

export type { Path };
