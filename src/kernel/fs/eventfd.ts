/** eventfd(2): a 64-bit counter that can be read, written and polled. */
import { errno, sysError } from '../abi/errno.ts';
import type { Task } from '../task/task.ts';
import { type MaybePromise, O_NONBLOCK, O_RDWR, OpenFile, POLLERR, POLLIN, POLLOUT } from './open-file.ts';
import { anonInode } from './pseudo.ts';

const MAX = 0xffff_ffff_ffff_fffen;

export class EventFd extends OpenFile {
  #count: bigint;
  readonly #semaphore: boolean;

  /** `initial` is an unsigned 32-bit integer. */
  constructor(initial: number, semaphore: boolean, nonblocking: boolean) {
    super(O_RDWR | (nonblocking ? O_NONBLOCK : 0));
    this.#count = BigInt(initial);
    this.#semaphore = semaphore;
    this.inode = anonInode;
    this.path = 'anon_inode:[eventfd]';
  }
  get count(): bigint {
    return this.#count;
  }

  override read(task: Task, dst: Uint8Array, _position: number | null): MaybePromise<number> {
    if (dst.length < 8) throw sysError(errno.EINVAL);
    if (this.#count > 0n) return this.#take(dst);
    if (this.nonblocking) throw sysError(errno.EAGAIN);
    return this.#waitAndRead(task, dst);
  }
  async #waitAndRead(task: Task, dst: Uint8Array): Promise<number> {
    for (;;) {
      const result = await task.wait([this.waiters], () => this.#count > 0n, null);
      if (this.#count > 0n) return this.#take(dst);
      if (result === 'signal') throw sysError(errno.ERESTARTSYS);
    }
  }
  #take(dst: Uint8Array): number {
    const value = this.#semaphore ? 1n : this.#count;
    this.#count -= value;
    new DataView(dst.buffer, dst.byteOffset, 8).setBigUint64(0, value, true);
    this.waiters.wake(POLLOUT);
    return 8;
  }

  override write(task: Task, src: Uint8Array, _position: number | null): MaybePromise<number> {
    if (src.length < 8) throw sysError(errno.EINVAL);
    const value = new DataView(src.buffer, src.byteOffset, 8).getBigUint64(0, true);
    if (value > MAX) throw sysError(errno.EINVAL);
    if (this.#count + value <= MAX) return this.#put(value);
    if (this.nonblocking) throw sysError(errno.EAGAIN);
    return this.#waitAndWrite(task, value);
  }
  async #waitAndWrite(task: Task, value: bigint): Promise<number> {
    for (;;) {
      const result = await task.wait([this.waiters], () => this.#count + value <= MAX, null);
      if (this.#count + value <= MAX) return this.#put(value);
      if (result === 'signal') throw sysError(errno.ERESTARTSYS);
    }
  }
  #put(value: bigint): number {
    this.#count += value;
    this.waiters.wake(POLLIN);
    return 8;
  }

  override lseek(): number {
    return 0;
  }
  override poll(): number {
    // The counter can be at 2^64-1 only after an in-kernel signal, which there is none of: POLLERR never shows.
    return (this.#count > 0n ? POLLIN : 0) | (this.#count < MAX ? POLLOUT : 0) | (this.#count > MAX ? POLLERR : 0);
  }
  /** For /proc/PID/fdinfo. */
  fdinfo(): string {
    return `eventfd-count: ${this.#count.toString(16).padStart(16)}\neventfd-id: 0\neventfd-semaphore: ${this.#semaphore ? 1 : 0}\n`;
  }
}
