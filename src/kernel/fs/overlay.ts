/**
 * A writable view of a read-only file system: what the guest changes is kept in memory, and the lower tree is never
 * touched.
 *
 * The upper half is a tree of overlay inodes that differ from the lower tree: a directory's `changed` map holds, by name,
 * the inodes that do, and null for names that are gone. An inode with `upper` has its attributes and contents in memory,
 * one without still has the lower's. Renaming moves the inode, whatever it stands for, so no tree is ever copied.
 */
import { errno, sysError } from '../abi/errno.ts';
import type { MemoryBudget } from './file-data.ts';
import { type FileSystem, type Inode, S_IFDIR, type Stat, type StatFs } from './inode.ts';
import { OverlayInode } from './overlay-inode.ts';
import { Tmpfs } from './tmpfs.ts';

/** Inode numbers of new files start here, above those of common host file systems. */
const FIRST_INO = 2 ** 40;

export interface OverlayChanges {
  /** Files written, made or removed. */
  files: number;
  /** Their paths in the guest, sorted; removed ones, too. One char per byte. */
  paths: string[];
}

export class Overlay implements FileSystem {
  readonly type = 'overlay';
  readonly readOnly = false;
  readonly lower: FileSystem;
  /** Makes the inodes that hold changes. */
  readonly memory: Tmpfs;
  /**
   * Lower files with several names that have been changed, by device and inode number: all names must lead to the
   * change. Holds what the lower file looked like, since the host may use the number again.
   */
  readonly linked = new Map<string, { inode: OverlayInode; mtime: number; size: number }>();
  readonly #root: OverlayInode;
  #baseline = new Set<string>();

  /** `limit`: bytes of contents the changes may hold. */
  constructor(lower: FileSystem, limit?: number) {
    this.lower = lower;
    this.memory = new Tmpfs({ firstIno: FIRST_INO, ...(limit !== undefined && { limit }) });
    this.#root = new OverlayInode(this, lower.root(), null, null, '');
  }
  get dev(): number {
    return this.lower.dev;
  }
  get budget(): MemoryBudget {
    return this.memory.budget;
  }
  root(): Inode {
    return this.#root;
  }
  statfs(): StatFs {
    return this.lower.statfs();
  }

  /** Everything done so far (mount points made at start) is not the guest's. */
  forgetChanges(): void {
    this.#baseline = new Set(this.#collect());
  }
  /** What the guest has changed: written, new and removed files. Directories count when they are new and empty. */
  changes(): OverlayChanges {
    const paths = this.#collect()
      .filter((p) => !this.#baseline.has(p))
      .sort();
    return { files: paths.length, paths };
  }
  #collect(): string[] {
    const paths: string[] = [];
    const visit = (dir: OverlayInode, prefix: string): void => {
      for (const [name, inode] of dir.changed ?? []) {
        const path = `${prefix}/${name}`;
        if (inode === null) paths.push(path);
        else if (inode.type !== S_IFDIR) paths.push(path);
        else {
          const before = paths.length;
          visit(inode, path);
          // A directory that is new here, by mkdir or rename, and holds nothing that is.
          if (paths.length === before && inode.isNewAt(dir, name)) paths.push(path);
        }
      }
    };
    visit(this.#root, '');
    return paths;
  }

  /** The changed inode that stands for a lower file with several names, or null. */
  findLinked(lower: Inode): OverlayInode | null {
    if (this.linked.size === 0) return null;
    const st = lower.stat();
    const found = this.linked.get(linkKey(st));
    if (!found) return null;
    return found.mtime === st.mtime.sec + st.mtime.nsec / 1e9 && found.size === st.size ? found.inode : null;
  }
  remember(inode: OverlayInode, st: Stat): void {
    if (st.nlink < 2 || inode.type === S_IFDIR) return;
    const key = linkKey(st);
    if (!this.linked.has(key))
      this.linked.set(key, { inode, mtime: st.mtime.sec + st.mtime.nsec / 1e9, size: st.size });
  }

  /** Throws EXDEV for an inode of another file system. */
  own(inode: Inode): OverlayInode {
    if (!(inode instanceof OverlayInode) || inode.fs !== this) throw sysError(errno.EXDEV);
    return inode;
  }
}

const linkKey = ({ dev, ino }: Stat): string => `${dev}:${ino}`;
