/** devpts: /dev/pts with one entry a pseudoterminal, and ptmx, whose opening makes one (pts(4)). */
import { errno, sysError } from '../abi/errno.ts';
import type { Task } from '../task/task.ts';
import { type DirEntry, type Inode, S_IFCHR, S_IFDIR, type SetAttr } from './inode.ts';
import type { OpenFile } from './open-file.ts';
import { DEVPTS_SUPER_MAGIC, makedev, now, PseudoDir, PseudoFs, PseudoInode } from './pseudo.ts';
import { Pty } from './pty.ts';
import { mayBecomeControlling, type Tty } from './tty-device.ts';

/** kernel.pty.max. */
const MAX_PTYS = 4096;
/** Group `tty`, who may write to terminals (mount option gid=5). */
const TTY_GID = 5;
const PTMX_RDEV = makedev(5, 2);
const CAP_SYS_ADMIN = 21;

/** Throws EBUSY for a terminal in exclusive mode. */
export function checkExclusive(tty: Tty, task: Task | undefined): void {
  if (tty.exclusive && task && !task.cred.capable(CAP_SYS_ADMIN)) throw sysError(errno.EBUSY);
}

/** /dev/pts/N. */
class PtsInode extends PseudoInode {
  readonly #pty: Pty;
  constructor(fs: PseudoFs, pty: Pty, uid: number) {
    super({ fs, mode: S_IFCHR | 0o620, ino: pty.index + 3, uid, gid: TTY_GID, rdev: pty.rdev });
    const t = now();
    this.times = { atime: t, mtime: t, ctime: t };
    this.#pty = pty;
  }
  protected override get blksize(): number {
    return 1024;
  }
  override open(flags: number, task?: Task): OpenFile {
    const pty = this.#pty;
    if (pty.locked || pty.hungUp) throw sysError(errno.EIO);
    checkExclusive(pty, task);
    const file = pty.open(flags);
    mayBecomeControlling(pty, file, flags, task);
    return file;
  }
  override setattr(attr: SetAttr): void {
    const { size: _, ...rest } = attr;
    super.setattr(rest);
  }
}

class PtsDir extends PseudoDir {
  readonly #ptys: ReadonlyMap<number, Pty>;
  constructor(fs: PseudoFs, ptys: ReadonlyMap<number, Pty>) {
    super(fs, { mode: S_IFDIR | 0o755, ino: 1 });
    this.#ptys = ptys;
  }
  protected override dynamicLookup(name: string): Inode | null {
    return /^(0|[1-9]\d*)$/.test(name) ? (this.#ptys.get(Number(name))?.inode ?? null) : null;
  }
  protected override dynamicEntries(): DirEntry[] {
    return [...this.#ptys].map(([index]) => ({ name: String(index), ino: index + 3, type: S_IFCHR }));
  }
}

class PtmxInode extends PseudoInode {
  readonly #pts: DevPts;
  constructor(pts: DevPts) {
    super({ fs: pts, mode: S_IFCHR | 0o666, ino: 2, rdev: PTMX_RDEV });
    this.#pts = pts;
  }
  override open(flags: number, task?: Task): OpenFile {
    const file = this.#pts.openMaster(flags, task);
    file.inode = this;
    return file;
  }
  override setattr(attr: SetAttr): void {
    const { size: _, ...rest } = attr;
    super.setattr(rest);
  }
}

export class DevPts extends PseudoFs {
  readonly #ptys = new Map<number, Pty>();
  readonly #dir: PtsDir;
  /** Numbers the host's terminals have. */
  readonly #taken = new Set<number>();

  constructor() {
    super('devpts', makedev(0, 22), DEVPTS_SUPER_MAGIC);
    this.#dir = new PtsDir(this, this.#ptys);
    this.#dir.add('ptmx', new PtmxInode(this));
    this.setRoot(this.#dir);
  }

  /** A terminal of the host's under its own number. */
  reserve(index: number, inode: Inode): void {
    this.#taken.add(index);
    this.#dir.add(String(index), inode);
  }

  /** open("/dev/ptmx"): a new pseudoterminal with the lowest free number. Throws ENOSPC. */
  openMaster(flags: number, task?: Task): OpenFile {
    if (!task) throw sysError(errno.ENXIO);
    let index = 0;
    while (this.#ptys.has(index) || this.#taken.has(index)) index++;
    if (this.#ptys.size >= MAX_PTYS) throw sysError(errno.ENOSPC);
    const uid = task.cred.fsuid;
    const pty = new Pty(
      task.kernel,
      index,
      flags,
      (made) => new PtsInode(this, made, uid),
      () => this.#ptys.delete(index),
    );
    this.#ptys.set(index, pty);
    return pty.master;
  }
}
