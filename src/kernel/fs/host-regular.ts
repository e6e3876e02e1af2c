/**
 * The host's stdin, stdout or stderr when it is a regular file (or a device that never waits). The offset is shared with
 * the process that started us and with its other children, so the host's own offset is kept where the guest's is: Node
 * has no lseek(2), but reading and writing without a position move it.
 */
import * as fs from 'node:fs';
import { errno, sysError } from '../abi/errno.ts';
import type { Task } from '../task/task.ts';
import { hostError } from './host-error.ts';
import { HOST_CHUNK, hostFdInfo, hostStat, isHostCode } from './host-fd.ts';
import { HostFdInode } from './host-inode.ts';
import { S_IFCHR, S_IFMT, S_IFREG } from './inode.ts';
import { O_APPEND, OpenFile } from './open-file.ts';

/**
 * How far reading goes without moving the host's offset: a program that reads a block and seeks back (head, a shell
 * reading a script) leaves it where it should be. Later, host and guest move together.
 */
const DETACHED_BYTES = 256 * 1024;
/** How far the host's offset is moved by reading when the guest is done. */
const CATCH_UP_BYTES = 64 * 1024 * 1024;

export class HostRegularFile extends OpenFile {
  readonly fd: number;
  /** Descriptor opened by us, closed with the file; the standard ones stay. */
  readonly #owned: boolean;
  readonly #regular: boolean;
  /** The host's offset as far as known; the guest's is `offset`. */
  #hostOffset = 0;
  /** Offsets known and reads done by position; false: the host's own offset is used. */
  #detached = false;
  #started = false;

  constructor(fd: number, flags: number, owned = false) {
    super(flags);
    this.fd = fd;
    this.#owned = owned;
    this.inode = new HostFdInode(fd);
    this.#regular = (hostStat(fd).mode & S_IFMT) === S_IFREG;
  }

  override get seekable(): boolean {
    return true;
  }
  get #isDevice(): boolean {
    return (this.stat().mode & S_IFMT) === S_IFCHR;
  }

  /** Takes over the host's offset. Without knowledge of it the count starts at zero. */
  #attach(): void {
    this.#hostOffset = hostFdInfo(this.fd)?.pos ?? this.#hostOffset;
    this.offset = this.#hostOffset;
  }
  #start(): void {
    if (this.#started) return;
    this.#started = true;
    if (!this.#regular) return;
    this.#attach();
    // What is only written is never detached: its offset could not be moved later.
    this.#detached = this.readable && !this.writable;
  }

  override read(_task: Task, dst: Uint8Array, position: number | null): number {
    this.#start();
    if (position !== null) return this.#readHost(dst, this.#regular ? position : null);
    if (this.#detached && this.offset - this.#hostOffset >= DETACHED_BYTES) this.#catchUp();
    const n = this.#readHost(dst, this.#detached ? this.offset : null);
    this.offset += n;
    if (!this.#detached) this.#hostOffset = this.offset;
    return n;
  }
  #readHost(dst: Uint8Array, position: number | null): number {
    if (position !== null && position > Number.MAX_SAFE_INTEGER) return 0;
    try {
      return fs.readSync(this.fd, dst, 0, dst.length, position);
    } catch (e) {
      if (isHostCode(e, 'EOF')) return 0;
      throw hostError(e);
    }
  }

  /** Moves the host's offset up to the guest's by reading, if it is behind. */
  #catchUp(): void {
    const scratch = new Uint8Array(Math.min(HOST_CHUNK, Math.max(0, this.offset - this.#hostOffset)));
    while (this.#hostOffset < this.offset) {
      const n = this.#readHost(scratch.subarray(0, Math.min(scratch.length, this.offset - this.#hostOffset)), null);
      if (n === 0) return;
      this.#hostOffset += n;
    }
    this.#detached = this.#hostOffset !== this.offset;
  }

  override write(_task: Task, src: Uint8Array, position: number | null): number {
    this.#start();
    const append = (this.flags & O_APPEND) !== 0;
    const atHost =
      !this.#regular || append || (position === null && (!this.#detached || this.offset === this.#hostOffset));
    try {
      const at = atHost ? null : (position ?? this.offset);
      const n = fs.writeSync(this.fd, src, 0, src.length, at);
      if (position === null) this.#moved(n, atHost, append);
      return n;
    } catch (e) {
      throw hostError(e);
    }
  }
  #moved(n: number, atHost: boolean, append: boolean): void {
    if (append && this.#regular) this.#attach();
    else this.offset += n;
    if (atHost) this.#hostOffset = this.offset;
  }

  override lseek(offset: number, whence: number): number {
    this.#start();
    if (!this.#regular) {
      if (this.#isDevice) return 0;
      throw sysError(errno.ESPIPE);
    }
    if (!this.#detached) this.#attach();
    const { size } = this.stat();
    const target = seekTarget(offset, whence, this.offset, size);
    this.offset = target;
    this.#detached = target !== this.#hostOffset || (this.readable && !this.writable);
    return target;
  }

  override get pollable(): boolean {
    return false;
  }
  override truncate(size: number): void {
    if (!this.writable) throw sysError(errno.EINVAL);
    try {
      fs.ftruncateSync(this.fd, size);
    } catch (e) {
      throw hostError(e);
    }
  }
  override sync(): void {
    try {
      fs.fsyncSync(this.fd);
    } catch (e) {
      throw hostError(e);
    }
  }
  override mapKey(): object | null {
    return this.#regular ? this : null;
  }
  protected override release(): void {
    if (this.#detached && this.readable && this.offset - this.#hostOffset <= CATCH_UP_BYTES) this.#catchUp();
    if (this.#owned) fs.closeSync(this.fd);
  }
}

/** lseek(2) in a regular file; SEEK_DATA and SEEK_HOLE see no holes. Throws EINVAL, ENXIO. */
export function seekTarget(offset: number, whence: number, current: number, size: number): number {
  switch (whence) {
    case 0:
    case 1:
    case 2: {
      const target = offset + (whence === 0 ? 0 : whence === 1 ? current : size);
      if (!(target >= 0) || target > Number.MAX_SAFE_INTEGER) throw sysError(errno.EINVAL);
      return target;
    }
    case 3:
    case 4:
      if (!(offset >= 0 && offset < size)) throw sysError(errno.ENXIO);
      return whence === 3 ? offset : size;
    default:
      throw sysError(errno.EINVAL);
  }
}
