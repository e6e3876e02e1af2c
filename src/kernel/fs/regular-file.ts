/** Open regular files: offset, append and size limits, on top of reads and writes at a position. */
import { errno, sysError } from '../abi/errno.ts';
import { sendSignal } from '../signals/send.ts';
import { CAP_FSETID } from '../task/credentials.ts';
import { RLIMIT_FSIZE } from '../task/rlimits.ts';
import type { Task } from '../task/task.ts';
import { type MaybePromise, O_APPEND, OpenFile } from './open-file.ts';
import { S_ISGID, S_ISUID } from './permission.ts';

export const SEEK_SET = 0;
export const SEEK_CUR = 1;
export const SEEK_END = 2;
export const SEEK_DATA = 3;
export const SEEK_HOLE = 4;

/** Largest file size: what a double counts exactly (Linux: 2^63-1). */
export const MAX_FILE_SIZE = Number.MAX_SAFE_INTEGER;

const SIGXFSZ = 25;

export const FALLOC_FL_KEEP_SIZE = 0x01;
export const FALLOC_FL_PUNCH_HOLE = 0x02;
export const FALLOC_FL_COLLAPSE_RANGE = 0x08;
export const FALLOC_FL_ZERO_RANGE = 0x10;
export const FALLOC_FL_INSERT_RANGE = 0x20;
export const FALLOC_FL_UNSHARE_RANGE = 0x40;

/** How many of `length` bytes at `position` may be written under RLIMIT_FSIZE. Throws EFBIG, with SIGXFSZ at the limit. */
export function writableLength(task: Task, position: number, length: number): number {
  const limit = task.process?.rlimits[RLIMIT_FSIZE]?.soft ?? Number.POSITIVE_INFINITY;
  if (position >= limit) {
    sendSignal(task, SIGXFSZ);
    throw sysError(errno.EFBIG);
  }
  if (position >= MAX_FILE_SIZE) throw sysError(errno.EFBIG);
  return Math.min(length, limit - position, MAX_FILE_SIZE - position);
}

export abstract class RegularFile extends OpenFile {
  protected abstract size(): number;
  /** Bytes read into `dst`; 0 at or behind the end. */
  protected abstract readAt(dst: Uint8Array, position: number): number;
  /** Bytes written, at least one unless it throws (ENOSPC, EIO). */
  protected abstract writeAt(src: Uint8Array, position: number): number;
  /** Start of data or of a hole at or behind `offset`; files that do not know their holes have none but the last. */
  protected seekData(offset: number): number {
    return offset;
  }
  protected seekHole(_offset: number): number {
    return this.size();
  }

  override get seekable(): boolean {
    return true;
  }

  override read(_task: Task, dst: Uint8Array, position: number | null): MaybePromise<number> {
    if (!this.readable) throw sysError(errno.EBADF);
    if (dst.length === 0) return 0;
    const n = this.readAt(dst, position ?? this.offset);
    if (position === null) this.offset += n;
    return n;
  }

  override write(task: Task, src: Uint8Array, position: number | null): MaybePromise<number> {
    if (!this.writable) throw sysError(errno.EBADF);
    if (src.length === 0) return 0;
    const at = this.flags & O_APPEND ? this.size() : (position ?? this.offset);
    const length = writableLength(task, at, src.length);
    this.#dropPrivileges(task);
    const n = this.writeAt(length < src.length ? src.subarray(0, length) : src, at);
    if (position === null) this.offset = at + n;
    return n;
  }

  /** Writing takes away set-user-ID and set-group-ID (write(2)). */
  #dropPrivileges(task: Task): void {
    const mode = this.inode?.access?.().mode ?? 0;
    if ((mode & (S_ISUID | S_ISGID)) === 0 || task.cred?.capable(CAP_FSETID) !== false) return;
    const group = (mode & 0o2010) === 0o2010 ? S_ISGID : 0;
    if (mode & (S_ISUID | group)) this.inode!.setattr({ mode: mode & 0o7777 & ~(S_ISUID | group) });
  }

  override lseek(offset: number, whence: number): number {
    const target = this.#target(offset, whence);
    if (!(target >= 0 && target <= MAX_FILE_SIZE)) throw sysError(errno.EINVAL);
    this.offset = target;
    return target;
  }
  #target(offset: number, whence: number): number {
    switch (whence) {
      case SEEK_SET:
        return offset;
      case SEEK_CUR:
        return this.offset + offset;
      case SEEK_END:
        return this.size() + offset;
      case SEEK_DATA:
      case SEEK_HOLE: {
        if (!(offset >= 0 && offset < this.size())) throw sysError(errno.ENXIO);
        const found = whence === SEEK_DATA ? this.seekData(offset) : this.seekHole(offset);
        if (found < 0) throw sysError(errno.ENXIO);
        return found;
      }
      default:
        throw sysError(errno.EINVAL);
    }
  }
}
