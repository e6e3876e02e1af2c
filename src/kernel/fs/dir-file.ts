/** Open directories: a snapshot of the names, taken when the stream is at its start. */
import { errno, sysError } from '../abi/errno.ts';
import type { Task } from '../task/task.ts';
import { type DirEntry, type Inode, S_IFDIR } from './inode.ts';
import { OpenFile } from './open-file.ts';
import { SEEK_CUR, SEEK_SET } from './regular-file.ts';

export class DirectoryFile extends OpenFile {
  #entries: { entry: DirEntry; next: number }[] | null = null;

  constructor(flags: number, inode: Inode) {
    super(flags);
    this.inode = inode;
  }
  override get seekable(): boolean {
    return true;
  }
  override read(): number {
    throw sysError(errno.EISDIR);
  }
  override write(): number {
    throw sysError(errno.EBADF);
  }
  override lseek(offset: number, whence: number): number {
    const target = whence === SEEK_SET ? offset : whence === SEEK_CUR ? this.offset + offset : -1;
    if (!(target >= 0)) throw sysError(errno.EINVAL);
    if (target === 0) this.#entries = null;
    this.offset = target;
    return target;
  }

  /** Offsets are positions in the snapshot: `.` is 0, `..` is 1. */
  override readdir(task?: Task): { entry: DirEntry; next: number }[] {
    if (!this.#entries || this.offset === 0) {
      const inode = this.inode!;
      if (this.location?.dentry.deleted) throw sysError(errno.ENOENT);
      const { ino } = inode.stat();
      const up = this.location?.dentry.parent?.inode.stat().ino ?? ino;
      const all = [{ name: '.', ino, type: S_IFDIR }, { name: '..', ino: up, type: S_IFDIR }, ...inode.readdir(task)];
      this.#entries = all.map((entry, i) => ({ entry, next: i + 1 }));
    }
    return this.offset === 0 ? this.#entries : this.#entries.slice(this.offset);
  }
}
