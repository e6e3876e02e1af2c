/** Mount namespaces (mount_namespaces(7)): a tree of mounts each, over the same file systems. */
import type { Dentry, Mount } from '../fs/dentry.ts';
import { Namespace } from './namespace.ts';
import type { UserNamespace } from './user.ts';
import type { FsContext } from '../fs/fs-context.ts';
import type { FileSystem } from '../fs/inode.ts';
import { makePrivate } from './propagation.ts';

export class MountNamespace extends Namespace {
  readonly kind = 'mnt';
  /** In order of mounting. */
  readonly mounts: Mount[] = [];
  /** The root of all others. */
  root!: Mount;
  /** Which mount is the copy of which, until who made it has moved in. */
  origin: ReadonlyMap<Mount, Mount> | null = null;
  /** Threads in it and descriptors of it: without any, the mounts go. */
  #users = 0;
  /** The VFS's list of those that are in use. */
  readonly #all: Set<MountNamespace>;

  constructor(owner: UserNamespace, all: Set<MountNamespace>, initialIno = 0) {
    super(owner, initialIno);
    this.#all = all;
    all.add(this);
  }
  /** File systems of the mounts. */
  get filesystems(): FileSystem[] {
    return this.mounts.map((m) => m.fs);
  }
  joined(): void {
    this.#users++;
  }
  left(): void {
    if (--this.#users <= 0) this.abandon();
  }
  /** Nobody is here, or ever was. */
  abandon(): void {
    this.#all.delete(this);
    for (const mount of this.mounts) {
      detachFromPoint(mount);
      makePrivate(mount);
    }
    this.mounts.length = 0;
  }
}

/** Takes a mount out of the tree: its mount point no longer leads there. */
export function detachFromPoint(mount: Mount): void {
  const point = mount.mountpoint;
  if (!point?.mounts) return;
  const left = point.mounts.filter((m) => m !== mount);
  point.mounts = left.length > 0 ? left : null;
}

/** Enters a mount at a place. */
export function attachAt(mount: Mount, parent: Mount, mountpoint: Dentry): void {
  mount.parent = parent;
  mount.mountpoint = mountpoint;
  mountpoint.mounts = [...(mountpoint.mounts ?? []), mount];
}

/** `mount` and all mounts below it, parents first. */
export function mountsBelow(mount: Mount): Mount[] {
  const found = [mount];
  for (const at of found) for (const m of mount.ns?.mounts ?? []) if (m.parent === at) found.push(m);
  return found;
}

/** Root and working directory change to the same places in a mount namespace just copied. */
export function moveToCopy(fs: FsContext, ns: MountNamespace): void {
  const { origin } = ns;
  if (!origin) return;
  ns.origin = null;
  const moved = ({ mount, dentry }: FsContext['root']): FsContext['root'] => ({
    mount: origin.get(mount) ?? mount,
    dentry,
  });
  fs.root = moved(fs.root);
  fs.cwd = moved(fs.cwd);
}
