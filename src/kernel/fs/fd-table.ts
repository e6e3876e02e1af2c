/** File descriptor tables: small numbers to open file descriptions, with the close-on-exec flag of each. */
import { type Limited, RLIMIT_NOFILE } from '../task/rlimits.ts';
import { errno, sysError } from '../abi/errno.ts';
import { releasePosixLocks } from './locks.ts';
import { O_PATH, type OpenFile } from './open-file.ts';

interface Slot {
  readonly file: OpenFile;
  cloexec: boolean;
}

/** fs.nr_open: no limit lets descriptors go beyond. */
const NR_OPEN = 1 << 20;

export class FdTable {
  #slots: (Slot | undefined)[] = [];
  /** No descriptor below is free. */
  #lowest = 0;
  readonly #limits: Limited;

  /** `limits`: whose RLIMIT_NOFILE counts. */
  constructor(limits: Limited) {
    this.#limits = limits;
  }

  get limit(): number {
    return Math.min(this.#limits.rlimits[RLIMIT_NOFILE]!.soft, NR_OPEN);
  }

  /** The description for I/O. Throws EBADF, also for one opened with O_PATH. */
  get(fd: number): OpenFile {
    const file = this.#slots[fd]?.file;
    if (!file || (file.flags & O_PATH) !== 0) throw sysError(errno.EBADF);
    return file;
  }
  tryGet(fd: number): OpenFile | null {
    const file = this.#slots[fd]?.file;
    return file && (file.flags & O_PATH) === 0 ? file : null;
  }
  /** The description, O_PATH or not: for what open(2) lists under O_PATH (fstat, fchdir, dup, dirfd). Throws EBADF. */
  getAny(fd: number): OpenFile {
    const slot = this.#slots[fd];
    if (!slot) throw sysError(errno.EBADF);
    return slot.file;
  }

  /** Takes over the caller's reference. Lowest free number from `min`. Throws EMFILE (the reference stays the caller's). */
  install(file: OpenFile, cloexec = false, min = 0): number {
    let fd = Math.max(min, this.#lowest);
    while (this.#slots[fd]) fd++;
    if (fd >= this.limit) throw sysError(errno.EMFILE);
    if (min <= this.#lowest) this.#lowest = fd + 1;
    this.#slots[fd] = { file, cloexec };
    return fd;
  }

  /** Takes over the caller's reference; what was there is closed. Throws EBADF beyond the limit. */
  installAt(fd: number, file: OpenFile, cloexec: boolean): number {
    if (!(fd >= 0 && fd < this.limit)) throw sysError(errno.EBADF);
    const old = this.#slots[fd];
    this.#slots[fd] = { file, cloexec };
    if (old) this.#drop(old.file);
    return fd;
  }

  close(fd: number): void {
    const slot = this.#slots[fd];
    if (!slot) throw sysError(errno.EBADF);
    this.#slots[fd] = undefined;
    if (fd < this.#lowest) this.#lowest = fd;
    if (fd === this.#slots.length - 1) this.#slots.length = fd;
    this.#drop(slot.file);
  }
  #drop(file: OpenFile): void {
    // Closing any descriptor of a file drops the process's record locks on it (fcntl(2)).
    releasePosixLocks(this, file);
    file.unref();
  }

  getCloexec(fd: number): boolean {
    const slot = this.#slots[fd];
    if (!slot) throw sysError(errno.EBADF);
    return slot.cloexec;
  }
  setCloexec(fd: number, on: boolean): void {
    const slot = this.#slots[fd];
    if (!slot) throw sysError(errno.EBADF);
    slot.cloexec = on;
  }

  *entries(): Generator<[number, OpenFile]> {
    for (let fd = 0; fd < this.#slots.length; fd++) {
      const slot = this.#slots[fd];
      if (slot) yield [fd, slot.file];
    }
  }

  /** A copy for a new process: the descriptions are shared, record locks are not inherited. */
  fork(limits = this.#limits): FdTable {
    const copy = new FdTable(limits);
    copy.#lowest = this.#lowest;
    copy.#slots = this.#slots.map((slot) => slot && { file: slot.file.ref(), cloexec: slot.cloexec });
    return copy;
  }
  closeOnExec(): void {
    for (let fd = this.#slots.length - 1; fd >= 0; fd--) if (this.#slots[fd]?.cloexec) this.close(fd);
  }
  closeAll(): void {
    for (let fd = this.#slots.length - 1; fd >= 0; fd--) if (this.#slots[fd]) this.close(fd);
  }
}
