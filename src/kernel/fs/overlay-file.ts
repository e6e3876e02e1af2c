/** Open regular files of the overlay. They follow their inode: once it is copied up, reads see the copy. */
import { errno, sysError } from '../abi/errno.ts';
import type { Task } from '../task/task.ts';
import type { Stat } from './inode.ts';
import type { MemFile } from './mem-file.ts';
import { type MaybePromise, O_ACCMODE, O_NOATIME, O_RDONLY, type OpenFile } from './open-file.ts';
import type { OverlayInode } from './overlay-inode.ts';
import { RegularFile } from './regular-file.ts';

/** Lower file systems answer at once, and for nobody in particular. */
export function readLower(file: OpenFile, dst: Uint8Array, position: number): number {
  const n = file.read(undefined as unknown as Task, dst, position);
  if (n instanceof Promise) throw sysError(errno.EIO);
  return n;
}

export class OverlayFile extends RegularFile {
  readonly #overlay: OverlayInode;
  /** The lower file, as long as nothing has been changed. */
  #lower: OpenFile | null;
  #upper: MemFile | null = null;

  static open(inode: OverlayInode, flags: number, task?: Task): MaybePromise<OverlayFile> {
    if ((flags & O_ACCMODE) !== O_RDONLY) inode.copyUp(false);
    if (inode.upper) return new OverlayFile(flags, inode, null);
    const lower = inode.lower!.open(O_RDONLY, task);
    if (lower instanceof Promise) return lower.then((file) => new OverlayFile(flags, inode, file));
    return new OverlayFile(flags, inode, lower);
  }

  constructor(flags: number, inode: OverlayInode, lower: OpenFile | null) {
    super(flags);
    this.inode = inode;
    this.#overlay = inode;
    this.#lower = lower;
    if (!lower) this.#copy();
  }
  /** The copy in memory, or null while there is none. */
  #copy(): MemFile | null {
    if (!this.#upper && this.#overlay.upper) {
      this.#upper = (this.#overlay.upper as MemFile).opened();
      this.#lower?.unref();
      this.#lower = null;
    }
    return this.#upper;
  }
  protected override release(): void {
    this.#lower?.unref();
    this.#upper?.closed();
  }

  protected override size(): number {
    return this.#copy()?.data.size ?? this.#lower!.stat().size;
  }
  protected override readAt(dst: Uint8Array, position: number): number {
    const upper = this.#copy();
    if (upper) return upper.readBytes(dst, position, (this.flags & O_NOATIME) !== 0);
    return readLower(this.#lower!, dst, position);
  }
  protected override writeAt(src: Uint8Array, position: number): number {
    this.#overlay.copyUp(false);
    return this.#copy()!.writeBytes(src, position);
  }
  protected override seekData(offset: number): number {
    return this.#copy()?.data.seekData(offset) ?? offset;
  }
  protected override seekHole(offset: number): number {
    return this.#copy()?.data.seekHole(offset) ?? this.size();
  }
  override stat(): Stat {
    return this.#copy() ? this.#overlay.stat() : this.#overlay.unchanged(this.#lower!.stat());
  }
  override fallocate(mode: number, offset: number, length: number): void {
    this.#overlay.copyUp(false);
    this.#copy()!.allocate(mode, offset, length);
  }
  override mapKey(): object {
    return this.#overlay;
  }
}
