/** Regular files in memory, and what memfd_create(2) adds to them: seals. */
import { errno, sysError } from '../abi/errno.ts';
import { atimeIsOld, fileTime } from './clock.ts';
import { ChunkedData, type FileData } from './file-data.ts';
import { S_IFREG } from './inode.ts';
import { MemInode } from './mem-inode.ts';
import { O_NOATIME } from './open-file.ts';
import {
  FALLOC_FL_KEEP_SIZE,
  FALLOC_FL_PUNCH_HOLE,
  FALLOC_FL_ZERO_RANGE,
  MAX_FILE_SIZE,
  RegularFile,
} from './regular-file.ts';
import type { Tmpfs } from './tmpfs.ts';

export const F_SEAL_SEAL = 0x01;
export const F_SEAL_SHRINK = 0x02;
export const F_SEAL_GROW = 0x04;
export const F_SEAL_WRITE = 0x08;
export const F_SEAL_FUTURE_WRITE = 0x10;
export const F_SEAL_EXEC = 0x20;

export class MemFile extends MemInode {
  readonly data: FileData;
  /** F_SEAL_*. Files that are not memfds can be neither sealed nor unsealed. */
  seals = F_SEAL_SEAL;
  opens = 0;

  constructor(fs: Tmpfs, mode: number, uid: number, gid: number, data: FileData = new ChunkedData(fs.budget)) {
    super(fs, S_IFREG | (mode & 0o7777), uid, gid);
    this.data = data;
  }
  override get size(): number {
    return this.data.size;
  }
  override get allocated(): number {
    return this.data.allocated;
  }
  override open(flags: number): MemOpenFile {
    return new MemOpenFile(flags, this);
  }
  protected override resize(size: number): void {
    if (size > MAX_FILE_SIZE) throw sysError(errno.EFBIG);
    this.checkSeals(size < this.size ? F_SEAL_SHRINK : size > this.size ? F_SEAL_GROW : 0);
    this.data.truncate(size);
  }
  checkSeals(seals: number): void {
    if (this.seals & seals) throw sysError(errno.EPERM);
  }
  protected override gone(): void {
    if (this.opens !== 0) return;
    super.gone();
    if (this.data instanceof ChunkedData) this.data.free();
  }
  opened(): this {
    this.opens++;
    return this;
  }
  closed(): void {
    if (--this.opens === 0 && this.nlink <= 0) this.gone();
  }

  /** Bytes read. The access time follows `relatime`. */
  readBytes(dst: Uint8Array, position: number, noAtime: boolean): number {
    const n = this.data.read(dst, position);
    if (!noAtime && !this.tmpfs.readOnly) {
      const now = fileTime();
      if (atimeIsOld(this.atime, this.mtime, this.ctime, now)) this.atime = now;
    }
    return n;
  }
  writeBytes(src: Uint8Array, position: number): number {
    this.writable();
    if (this.seals & ~F_SEAL_SEAL) {
      this.checkSeals(F_SEAL_WRITE | F_SEAL_FUTURE_WRITE);
      if (position + src.length > this.size) this.checkSeals(F_SEAL_GROW);
    }
    const n = this.data.write(src, position);
    this.touch();
    return n;
  }

  /** fallocate(2) as tmpfs has it, and ZERO_RANGE besides. The range has been checked against the largest file size. */
  allocate(mode: number, offset: number, length: number): void {
    this.writable();
    const { data } = this;
    const end = offset + length;
    const grows = end > this.size && (mode & FALLOC_FL_KEEP_SIZE) === 0;
    if (mode & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE)) this.checkSeals(F_SEAL_WRITE | F_SEAL_FUTURE_WRITE);
    if (mode === (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE)) data.punch(offset, length);
    else {
      if ((mode & ~(FALLOC_FL_KEEP_SIZE | FALLOC_FL_ZERO_RANGE)) !== 0) throw sysError(errno.EOPNOTSUPP);
      if (grows) this.checkSeals(F_SEAL_GROW);
      if (mode & FALLOC_FL_ZERO_RANGE) data.punch(offset, length);
      data.reserve(offset, length);
      if (grows) data.truncate(end);
    }
    this.touch();
  }
}

export class MemOpenFile extends RegularFile {
  readonly file: MemFile;

  constructor(flags: number, file: MemFile) {
    super(flags);
    this.inode = file;
    this.file = file.opened();
  }
  protected override release(): void {
    this.file.closed();
  }
  protected override size(): number {
    return this.file.data.size;
  }
  protected override readAt(dst: Uint8Array, position: number): number {
    return this.file.readBytes(dst, position, (this.flags & O_NOATIME) !== 0);
  }
  protected override writeAt(src: Uint8Array, position: number): number {
    return this.file.writeBytes(src, position);
  }
  protected override seekData(offset: number): number {
    return this.file.data.seekData(offset);
  }
  protected override seekHole(offset: number): number {
    return this.file.data.seekHole(offset);
  }
  override fallocate(mode: number, offset: number, length: number): void {
    this.file.allocate(mode, offset, length);
  }
  override mapKey(): object {
    return this.file;
  }
  override get mapsReadOnly(): boolean {
    return (this.file.seals & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE)) !== 0;
  }
}
