/** Root, working directory and umask of a process (what CLONE_FS shares), and how a place in the tree is named. */
import { Dentry, type Mount, OUTSIDE } from './dentry.ts';
import type { Inode } from './inode.ts';

/** A place in the tree: a dentry, and the mount through which it was reached. */
export interface Path {
  readonly mount: Mount;
  readonly dentry: Dentry;
}

export const samePath = (a: Path, b: Path): boolean => a.dentry === b.dentry && a.mount === b.mount;

export class FsContext {
  root: Path;
  cwd: Path;
  umask: number;

  constructor(root: Path, cwd: Path = root, umask = 0o022) {
    this.root = root;
    this.cwd = cwd;
    this.umask = umask;
  }
  fork(): FsContext {
    return new FsContext(this.root, this.cwd, this.umask);
  }
}

/** What `pathName` knows about a place. */
export interface Located {
  /** Absolute, seen from `root`. */
  readonly name: string;
  /** False when the place is not below `root`: `name` then starts at the real root. */
  readonly reachable: boolean;
}

/** The name of a place without any `(deleted)`. */
export function locate({ mount, dentry }: Path, root: Path | null = null): Located {
  let name = '';
  for (;;) {
    if (root && mount === root.mount && dentry === root.dentry) return { name: name || '/', reachable: true };
    if (dentry === mount.root) {
      if (!mount.parent || !mount.mountpoint) return { name: name || '/', reachable: root === null };
      dentry = mount.mountpoint;
      mount = mount.parent;
    } else if (!dentry.parent) {
      // Never was in a tree: a memfd, or what a magic link led to.
      return { name: dentry.name + name, reachable: root === null };
    } else {
      name = `/${dentry.name}${name}`;
      dentry = dentry.parent;
    }
  }
}

/** Absolute path as /proc shows it: with ` (deleted)` behind a name that is gone. */
export function pathName(path: Path, root: Path | null = null): string {
  const { name } = locate(path, root);
  return path.dentry.deleted ? `${name} (deleted)` : name;
}

/** A place outside every tree, for what has an inode but no name. `name` is told as it is. */
export function detachedPath(inode: Inode, name: string): Path {
  const root = new Dentry(inode, '', null);
  const mount: Mount = {
    ...OUTSIDE,
    id: 0,
    fs: inode.fs,
    root,
    readOnly: inode.fs.readOnly,
    source: 'none',
    flags: 0,
  };
  return { mount, dentry: new Dentry(inode, name, null) };
}
