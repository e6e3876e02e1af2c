/** Open regular files of the host. */
import * as fs from 'node:fs';
import { errno, sysError } from '../abi/errno.ts';
import { hostCall } from './host-error.ts';
import type { HostInode } from './hostfs.ts';
import type { SetAttr, Stat } from './inode.ts';
import { O_ACCMODE, O_RDWR, O_WRONLY } from './open-file.ts';
import {
  FALLOC_FL_KEEP_SIZE,
  FALLOC_FL_PUNCH_HOLE,
  FALLOC_FL_ZERO_RANGE,
  MAX_FILE_SIZE,
  RegularFile,
} from './regular-file.ts';

/** Counts every change made to host files: what was seen before one is no longer believed. */
export const hostChanges = { count: 0 };

/** Flags for opening an existing host file. What a look-up saw as a file must not become a link or block meanwhile. */
export function hostOpenFlags(flags: number): number {
  const { O_RDONLY, O_WRONLY: write, O_RDWR: both, O_NOFOLLOW = 0, O_NONBLOCK = 0 } = fs.constants;
  const mode = flags & O_ACCMODE;
  return (mode === O_RDWR ? both : mode === O_WRONLY ? write : O_RDONLY) | O_NOFOLLOW | O_NONBLOCK;
}

/** uid or gid for node:fs, where -1 means "leave". */
export const KEEP = -1;

/** Seconds as node:fs takes them: a double, good to the microsecond. */
export const seconds = (t: { sec: number; nsec: number }): number => t.sec + t.nsec / 1e9;

const ZEROS = new Uint8Array(65536);

export class HostFile extends RegularFile {
  readonly #fd: number;
  readonly host: HostInode;

  constructor(flags: number, inode: HostInode, fd: number) {
    super(flags);
    this.inode = inode;
    this.host = inode;
    this.#fd = fd;
    inode.files.add(this);
  }
  /** Another descriptor of the file, which has no name any more. Only Linux hosts can do this. */
  reopen(flags: number): number {
    const { O_NOFOLLOW = 0 } = fs.constants;
    return hostCall(() => fs.openSync(`/proc/self/fd/${this.#fd}`, hostOpenFlags(flags) & ~O_NOFOLLOW));
  }
  protected override release(): void {
    this.host.files.delete(this);
    hostCall(() => fs.closeSync(this.#fd));
  }
  protected override size(): number {
    return hostCall(() => fs.fstatSync(this.#fd)).size;
  }
  protected override readAt(dst: Uint8Array, position: number): number {
    if (position > MAX_FILE_SIZE) return 0;
    return hostCall(() => fs.readSync(this.#fd, dst, 0, dst.length, position));
  }
  protected override writeAt(src: Uint8Array, position: number): number {
    hostChanges.count++;
    return hostCall(() => fs.writeSync(this.#fd, src, 0, src.length, position));
  }
  override stat(): Stat {
    return this.host.statOf(hostCall(() => fs.fstatSync(this.#fd, { bigint: true })));
  }
  override setattr(attr: SetAttr): void {
    const fd = this.#fd;
    this.host.fs.writable();
    hostChanges.count++;
    hostCall(() => {
      if (attr.size !== undefined) fs.ftruncateSync(fd, attr.size);
      if (attr.uid !== undefined || attr.gid !== undefined) fs.fchownSync(fd, attr.uid ?? KEEP, attr.gid ?? KEEP);
      if (attr.mode !== undefined) fs.fchmodSync(fd, attr.mode & 0o7777);
      if (!attr.atime && !attr.mtime) return;
      const now = this.stat();
      fs.futimesSync(fd, seconds(attr.atime ?? now.atime), seconds(attr.mtime ?? now.mtime));
    });
  }
  /** The host's fallocate(2) cannot be reached from Node: space is not reserved, ranges are zeroed by writing. */
  override fallocate(mode: number, offset: number, length: number): void {
    this.host.fs.writable();
    if ((mode & ~(FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE)) !== 0)
      throw sysError(errno.EOPNOTSUPP);
    const size = this.size();
    const end = offset + length;
    if (mode & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE)) this.#zero(offset, Math.min(end, size));
    if ((mode & FALLOC_FL_KEEP_SIZE) === 0 && end > size) this.setattr({ size: end });
  }
  #zero(from: number, to: number): void {
    for (let at = from; at < to; ) at += this.writeAt(ZEROS.subarray(0, Math.min(ZEROS.length, to - at)), at);
  }
  override sync(): void {
    hostCall(() => fs.fsyncSync(this.#fd));
  }
  override mapKey(): object {
    return this.host.key;
  }
}
