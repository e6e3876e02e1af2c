/**
 * Dentries: names in the tree. A dentry joins a name and its parent to an inode, so that a place has one identity for
 * mounts, working directories and open files, and its path can be told at any time.
 *
 * The cache is a hint: file systems whose contents change behind the kernel's back are asked again at every look-up
 * (namei.ts). What keeps a dentry alive is its use; those nobody uses are held by `WeakRef` once there are many.
 */
import { Registry } from '../registry.ts';
import type { PeerGroup } from '../ns/propagation.ts';
import type { MountNamespace } from '../ns/mnt.ts';
import type { FileSystem, Inode } from './inode.ts';

/** Dentries held strongly before the unused ones are let go. */
const STRONG_LIMIT = 20_000;

let strong = 0;

export class Dentry {
  inode: Inode;
  name: string;
  /** Null for the root of a file system, and for what was never in a tree (then `name` is all there is to tell). */
  parent: Dentry | null;
  /** Its name has been removed or replaced. */
  deleted = false;
  /** It never had one, but may still get one (O_TMPFILE, linkat(2)). */
  linkable = false;
  /** What is mounted here, by any parent mount; the last one with a parent counts. */
  mounts: Mount[] | null = null;
  #children: Registry<string, Dentry | WeakRef<Dentry>> | null = null;

  constructor(inode: Inode, name: string, parent: Dentry | null) {
    this.inode = inode;
    this.name = name;
    this.parent = parent;
  }

  child(name: string): Dentry | null {
    const have = this.#children?.get(name);
    if (!have) return null;
    if (have instanceof Dentry) return have;
    return have.deref() ?? null;
  }

  /** Enters a child; one of the same name that was there before counts as deleted. */
  adopt(name: string, inode: Inode): Dentry {
    const dentry = new Dentry(inode, name, this);
    this.#enter(dentry);
    return dentry;
  }
  #enter(dentry: Dentry): void {
    this.#children ??= new Registry();
    const old = this.child(dentry.name);
    if (old && old !== dentry) old.deleted = true;
    this.#children.set(dentry.name, dentry);
    strong++;
  }

  /** The name is gone. Open files and working directories may still lead here. */
  detach(): void {
    this.deleted = true;
    this.#leave();
  }
  #leave(): void {
    const { parent } = this;
    if (!parent || parent.child(this.name) !== this) return;
    if (parent.#children!.get(this.name) === this) strong--;
    parent.#children!.delete(this.name);
  }

  /** rename(2): takes the place `name` in `parent`; what stood there is deleted. */
  moveTo(parent: Dentry, name: string): void {
    this.#leave();
    this.name = name;
    this.parent = parent;
    parent.#enter(this);
  }

  /** Lets go of all children that nobody uses, here and below. */
  #weaken(): void {
    for (const [name, held] of this.#children ?? []) {
      const child = held instanceof Dentry ? held : held.deref();
      if (!child) this.#children!.delete(name);
      else {
        child.#weaken();
        if (!child.mounts && held instanceof Dentry) this.#children!.set(name, new WeakRef(child));
      }
    }
  }

  /** There are so many dentries that `prune` is worth its while. */
  static get crowded(): boolean {
    return strong >= STRONG_LIMIT;
  }
  /** Given the roots of all trees, keeps the number of unused dentries bounded. */
  static prune(roots: Iterable<Dentry>): void {
    strong = 0;
    for (const root of roots) root.#weaken();
  }
}

/** A file system in the tree (mount_namespaces(7)). */
export interface Mount {
  readonly id: number;
  readonly fs: FileSystem;
  readonly root: Dentry;
  /** Null for the root of everything, and for mounts outside the tree. */
  parent: Mount | null;
  mountpoint: Dentry | null;
  readOnly: boolean;
  /** MS_NOSUID, MS_NODEV, MS_NOEXEC of mount(2). */
  flags: number;
  /** Null for mounts outside the tree, and those that were taken out of it. */
  ns: MountNamespace | null;
  /** Came with the others from a more privileged namespace: it cannot be taken away by itself. */
  locked: boolean;
  /** MS_RDONLY and what of `flags` cannot be taken away, for the same reason. */
  kept: number;
  /** Propagation (ns/propagation.ts): peers, whom it follows, and whether it can be bound elsewhere. */
  group: PeerGroup | null;
  master: PeerGroup | null;
  unbindable: boolean;
  /** First field of /proc/mounts. */
  readonly source: string;
}

/** What holds for a mount outside the tree. */
export const OUTSIDE = {
  parent: null,
  mountpoint: null,
  ns: null,
  locked: false,
  kept: 0,
  group: null,
  master: null,
  unbindable: false,
} as const satisfies Partial<Mount>;

/** The mount on top of `dentry` as seen through `mount`, or null. */
export function mountedOn(mount: Mount, dentry: Dentry): Mount | null {
  const { mounts } = dentry;
  if (mounts) for (let i = mounts.length - 1; i >= 0; i--) if (mounts[i]!.parent === mount) return mounts[i]!;
  return null;
}
