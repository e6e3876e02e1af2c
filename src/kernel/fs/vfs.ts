/**
 * The virtual file system: the tree of mounts, and what system calls do to it by name. File systems below only do what
 * they are told; who may do what is decided here.
 */
import { errno, sysError } from '../abi/errno.ts';
import { Credentials } from '../task/credentials.ts';
import type { Task } from '../task/task.ts';
import { Dentry, type Mount, OUTSIDE } from './dentry.ts';
import { detachedPath, FsContext, locate, type Path, pathName } from './fs-context.ts';
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
import { attachAt, detachFromPoint, MountNamespace, mountsBelow } from '../ns/mnt.ts';
import { INITIAL_INO } from '../ns/namespace.ts';
import type { PidNamespace } from '../ns/pid.ts';
import { initialUserNamespace, type UserNamespace } from '../ns/user.ts';
import { copyPropagation, makePrivate, propagationFields } from '../ns/propagation.ts';

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
  /** MS_NOSUID, MS_NODEV, MS_NOEXEC. */
  flags?: number;
}

/** One line of /proc/self/mountinfo (proc(5)). */
export interface MountInfo {
  readonly id: number;
  readonly parentId: number;
  readonly dev: number;
  /** What of the file system is mounted: `/` but for bind mounts. */
  readonly root: string;
  /** Mount point as seen from `root`. */
  readonly path: string;
  readonly type: string;
  readonly source: string;
  readonly readOnly: boolean;
  readonly flags: number;
  /** Of the file system: whether it is read-only, and its options as mount(8) shows them. */
  readonly fsReadOnly: boolean;
  readonly options: string;
  /** `shared:1 ` and the like. */
  readonly propagation: string;
}

/** A procfs that shows a PID namespace other than the initial one. */
export interface ShowsPids {
  readonly pidNs: PidNamespace | null;
}

export class Vfs {
  /** The mount namespace a guest starts in. */
  readonly initial: MountNamespace;
  /** Those that are in use. */
  readonly #namespaces = new Set<MountNamespace>();
  readonly #roots = new WeakMap<FileSystem, Dentry>();
  #nextMountId = 21;
  /** The kernel's own look-ups: everything is allowed. */
  readonly #kernelCred = new Credentials(0, 0);

  constructor(rootFs: FileSystem, options: MountOptions = {}) {
    this.initial = new MountNamespace(initialUserNamespace, this.#namespaces, INITIAL_INO.mnt);
    this.initial.joined();
    const root = this.newMount(rootFs, options);
    root.ns = this.initial;
    this.initial.root = root;
    this.initial.mounts.push(root);
  }
  get rootMount(): Mount {
    return this.initial.root;
  }

  /** A mount outside of the tree. `options.root`: what of the file system it shows. */
  newMount(fs: FileSystem, options: MountOptions & { root?: Dentry } = {}): Mount {
    return {
      ...OUTSIDE,
      id: this.#nextMountId++,
      fs,
      root: options.root ?? this.#rootOf(fs),
      readOnly: options.readOnly ?? fs.readOnly,
      source: options.source ?? fs.type,
      flags: options.flags ?? 0,
    };
  }
  /** All mounts of a file system share its dentries. */
  #rootOf(fs: FileSystem): Dentry {
    let root = this.#roots.get(fs);
    if (!root) {
      root = new Dentry(fs.root(), '', null);
      this.#roots.set(fs, root);
    }
    return root;
  }

  /** A copy of all mounts for a new mount namespace. With another owner than `from` none of them can be taken away singly. */
  copyNamespace(from: MountNamespace, owner: UserNamespace): MountNamespace {
    const ns = new MountNamespace(owner, this.#namespaces);
    const copies = new Map<Mount, Mount>();
    for (const mount of from.mounts) {
      const { root, readOnly, source, flags } = mount;
      const copy = this.newMount(mount.fs, { root, readOnly, source, flags });
      copy.ns = ns;
      const foreign = owner !== from.owner;
      copy.locked = mount.locked || foreign;
      copy.kept = mount.kept | (foreign ? flags | Number(readOnly) : 0);
      copyPropagation(mount, copy, foreign);
      copy.unbindable = mount.unbindable;
      copies.set(mount, copy);
      ns.mounts.push(copy);
    }
    // A mount may have been moved below a later one.
    for (const [{ parent, mountpoint }, copy] of copies)
      if (parent && mountpoint) attachAt(copy, copies.get(parent)!, mountpoint);
    ns.root = copies.get(from.root)!;
    ns.origin = copies;
    return ns;
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
    return this.attach(this.newMount(fs, options), at);
  }
  /** Puts a mount on a place, in the namespace of that place. */
  attach(mount: Mount, at: Path): Mount {
    mount.ns = at.mount.ns;
    at.mount.ns?.mounts.push(mount);
    attachAt(mount, at.mount, at.dentry);
    return mount;
  }
  /** Takes the topmost mount at a place away. Throws EINVAL when the place is no mount's root, EBUSY while others are on top. */
  unmount(at: Path): void {
    const { mount } = at;
    if (at.dentry !== mount.root || !mount.parent || !mount.mountpoint) throw sysError(errno.EINVAL);
    if (mountsBelow(mount).length > 1) throw sysError(errno.EBUSY);
    this.detach(mount);
  }
  /** Takes a mount and all below it out of the tree. Who is inside stays there. */
  detach(mount: Mount): void {
    const { ns } = mount;
    for (const m of mountsBelow(mount)) {
      detachFromPoint(m);
      if (ns) ns.mounts.splice(ns.mounts.indexOf(m), 1);
      m.ns = m.parent = m.mountpoint = null;
      makePrivate(m);
    }
  }

  /** A process has gone, which was called `number` there: its dentry would keep what it stood for (proc_flush_pid). */
  forgetProcess(ns: PidNamespace, number: number): void {
    const name = String(number);
    for (const { mounts } of this.#namespaces)
      for (const { fs, root } of mounts)
        if (fs.type === 'proc' && ((fs as Partial<ShowsPids>).pidNs ?? null) === (ns.level === 0 ? null : ns))
          root.child(name)?.detach();
  }

  /** The mounts of a namespace, in order of mounting, for /proc/mounts and /proc/self/mountinfo; those out of reach of `root` are left out. */
  mounts(root: Path | null = null, ns: MountNamespace = this.initial): MountInfo[] {
    const all = ns.mounts.map((m) => ({
      reachable: root === null || locate({ mount: m, dentry: m.root }, root).reachable,
      id: m.id,
      parentId: m.parent?.id ?? 1,
      dev: m.fs.dev,
      root: rootName(m.root),
      path: pathName({ mount: m, dentry: m.root }, root),
      type: m.fs.type,
      source: m.source,
      readOnly: m.readOnly || m.fs.readOnly,
      flags: m.flags,
      fsReadOnly: m.fs.readOnly,
      options: m.fs.options ?? '',
      propagation: propagationFields(m),
    }));
    return all.filter((m) => m.reachable);
  }

  walkerOf(task: Task): Walker {
    return { fs: task.fs, cred: task.cred, task };
  }

  /** A walk on behalf of a task. `dirfd` counts when `path` is relative. */
  walk(task: Task, dirfd: number, path: string, last: LastComponent, resolve = 0): Found {
    if (Dentry.crowded) Dentry.prune(new Set([...this.#namespaces].flatMap((ns) => ns.mounts.map((m) => m.root))));
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

/** The path of a dentry within its file system. */
function rootName(dentry: Dentry): string {
  let name = '';
  for (let at = dentry; at.parent; at = at.parent) name = `/${at.name}${name}`;
  return name || '/';
}

export type { Path };
