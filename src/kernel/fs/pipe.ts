/**
 * Pipes and FIFOs (pipe(7)): a ring of page-sized buffers as in fs/pipe.c, so that fullness, merging of small writes and
 * the atomicity of PIPE_BUF bytes are Linux's own.
 */
import { errno, sysError } from '../abi/errno.ts';
import { SI_USER, SIGPIPE } from '../abi/signals.ts';
import { sendSignal } from '../signals/send.ts';
import type { Credentials } from '../task/credentials.ts';
import type { Task } from '../task/task.ts';
import { WaitQueue } from '../task/wait-queue.ts';
import { S_IFIFO } from './inode.ts';
import {
  type MaybePromise,
  O_ACCMODE,
  O_DIRECT,
  O_NONBLOCK,
  O_RDONLY,
  O_RDWR,
  O_WRONLY,
  OpenFile,
  POLLERR,
  POLLHUP,
  POLLIN,
  POLLOUT,
  POLLRDNORM,
  POLLWRNORM,
} from './open-file.ts';
import { makedev, now, PIPEFS_MAGIC, PseudoFs, PseudoInode } from './pseudo.ts';

export const PIPE_BUF = 4096;
export const PIPE_DEFAULT_SIZE = 65536;
/** /proc/sys/fs/pipe-max-size. */
export const PIPE_MAX_SIZE = 1 << 20;
const PAGE = 4096;
const FIONREAD = 0x541b;

interface Slot {
  readonly page: Uint8Array;
  start: number;
  end: number;
  /** Written in packet mode (O_DIRECT): never merged, read as a whole. */
  readonly packet: boolean;
}

/** Pages of drained slots, kept for the next write. */
const sparePages: Uint8Array[] = [];
const takePage = (): Uint8Array => sparePages.pop() ?? new Uint8Array(PAGE);
const givePage = (page: Uint8Array): void => {
  if (sparePages.length < 32) sparePages.push(page);
};

/** The buffer between readers and writers. It knows nothing of blocking. */
export class Pipe {
  readonly slots: Slot[] = [];
  maxSlots = PIPE_DEFAULT_SIZE / PAGE;
  readonly ends = new Set<PipeEnd>();
  readers = 0;
  writers = 0;
  /** Count of opens for reading and for writing: what a FIFO's open waits for to change. */
  readerOpens = 0;
  writerOpens = 0;
  readonly openWaiters = new WaitQueue();
  readonly inode: PipeInode;

  constructor(inode?: PipeInode) {
    this.inode = inode ?? new PipeInode(this);
  }

  get empty(): boolean {
    return this.slots.length === 0;
  }
  get full(): boolean {
    return this.slots.length >= this.maxSlots;
  }
  /** Bytes that wait to be read. */
  get length(): number {
    return this.slots.reduce((sum, s) => sum + (s.end - s.start), 0);
  }

  /** Takes up to `dst.length` bytes; one packet at most. */
  take(dst: Uint8Array): number {
    const wasFull = this.full;
    let done = 0;
    while (done < dst.length) {
      const slot = this.slots[0];
      if (!slot) break;
      const n = Math.min(dst.length - done, slot.end - slot.start);
      dst.set(slot.page.subarray(slot.start, slot.start + n), done);
      slot.start += n;
      done += n;
      // What does not fit of a packet is thrown away.
      if (slot.start === slot.end || slot.packet) {
        this.slots.shift();
        givePage(slot.page);
        if (slot.packet) break;
      }
    }
    if (wasFull && !this.full) this.wakeWriters();
    return done;
  }

  /** Copies up to `dst.length` bytes without taking them. */
  peek(dst: Uint8Array): number {
    let done = 0;
    for (const slot of this.slots) {
      const n = Math.min(dst.length - done, slot.end - slot.start);
      dst.set(slot.page.subarray(slot.start, slot.start + n), done);
      done += n;
      if (done === dst.length) break;
    }
    return done;
  }

  /** Puts in as much as fits, the way pipe_write does: first merging the odd bytes into the last page. */
  put(src: Uint8Array, packet: boolean, first: boolean): number {
    let done = 0;
    const odd = src.length % PAGE;
    const last = this.slots.at(-1);
    if (first && odd > 0 && last && !last.packet && last.end + odd <= PAGE) {
      last.page.set(src.subarray(0, odd), last.end);
      last.end += odd;
      done = odd;
    }
    while (done < src.length && !this.full) {
      const n = Math.min(PAGE, src.length - done);
      const page = takePage();
      page.set(src.subarray(done, done + n));
      this.slots.push({ page, start: 0, end: n, packet });
      done += n;
    }
    if (done > 0) this.wakeReaders();
    return done;
  }

  wakeReaders(bits = POLLIN | POLLRDNORM): void {
    for (const end of this.ends) if (end.readable) end.waiters.wake(bits);
  }
  wakeWriters(bits = POLLOUT | POLLWRNORM): void {
    for (const end of this.ends) if (end.writable) end.waiters.wake(bits);
  }

  /** F_SETPIPE_SZ: the new size, a power of two of pages. Throws EBUSY when more is in use, EPERM above the limit, EINVAL. */
  resize(size: number, privileged: boolean): number {
    if (size < 0 || size > 0x8000_0000) throw sysError(errno.EINVAL);
    let bytes = PAGE;
    while (bytes < size) bytes *= 2;
    if (bytes > PIPE_MAX_SIZE && !privileged) throw sysError(errno.EPERM);
    if (bytes / PAGE < this.slots.length) throw sysError(errno.EBUSY);
    this.maxSlots = bytes / PAGE;
    this.wakeWriters();
    return bytes;
  }

  /** Opens an end. */
  open(flags: number): PipeEnd {
    const end = new PipeEnd(flags, this);
    this.ends.add(end);
    if (end.readable) {
      this.readers++;
      this.readerOpens++;
    }
    if (end.writable) {
      this.writers++;
      this.writerOpens++;
    }
    this.openWaiters.wake();
    return end;
  }
  close(end: PipeEnd): void {
    this.ends.delete(end);
    if (end.readable) this.readers--;
    if (end.writable) this.writers--;
    if (this.readers === 0 && this.writers === 0) this.#discard();
    else {
      if (end.writable && this.writers === 0) this.wakeReaders(POLLHUP);
      if (end.readable && this.readers === 0) this.wakeWriters(POLLERR);
    }
  }
  #discard(): void {
    for (const slot of this.slots) givePage(slot.page);
    this.slots.length = 0;
  }
}

const pipefs = new PseudoFs('pipefs', makedev(0, 14), PIPEFS_MAGIC, 16_000);

/** The inode of a pipe without a name. Opened through /proc/PID/fd it behaves like a FIFO. */
export class PipeInode extends PseudoInode {
  readonly #pipe: Pipe;
  constructor(pipe: Pipe) {
    super({ fs: pipefs, mode: S_IFIFO | 0o600 });
    this.#pipe = pipe;
    const t = now();
    this.times = { atime: t, mtime: t, ctime: t };
  }
  /** By /proc/PID/fd/N: unlike that of a FIFO, this open waits for nobody at the other end (fs/pipe.c, fifo_open). */
  override open(flags: number): OpenFile {
    return this.#pipe.open(flags);
  }
}

/** One open file description on a pipe. */
export class PipeEnd extends OpenFile {
  readonly pipe: Pipe;
  /** Fixed at open: F_SETFL cannot change the access mode. */
  readonly #reads: boolean;
  readonly #writes: boolean;
  /** A FIFO opened for reading without a writer: no POLLHUP until one has come and gone (pipe_poll, f_version). */
  readonly #opensSeen: number;

  constructor(flags: number, pipe: Pipe) {
    super(flags);
    this.pipe = pipe;
    this.inode = pipe.inode;
    const mode = flags & O_ACCMODE;
    this.#reads = mode !== O_WRONLY;
    this.#writes = mode !== O_RDONLY;
    this.#opensSeen = pipe.writers === 0 ? pipe.writerOpens : -1;
  }
  override get readable(): boolean {
    return this.#reads;
  }
  override get writable(): boolean {
    return this.#writes;
  }
  protected override release(): void {
    this.pipe.close(this);
  }

  override read(task: Task, dst: Uint8Array, _position: number | null): MaybePromise<number> {
    if (dst.length === 0) return 0;
    const { pipe } = this;
    if (!pipe.empty) return pipe.take(dst);
    if (pipe.writers === 0) return 0;
    if (this.nonblocking) throw sysError(errno.EAGAIN);
    return this.#waitAndRead(task, dst);
  }
  async #waitAndRead(task: Task, dst: Uint8Array): Promise<number> {
    const { pipe } = this;
    for (;;) {
      const result = await task.wait([this.waiters], () => !pipe.empty || pipe.writers === 0, null);
      if (!pipe.empty) return pipe.take(dst);
      if (pipe.writers === 0) return 0;
      if (result === 'signal') throw sysError(errno.ERESTARTSYS);
    }
  }

  override write(task: Task, src: Uint8Array, _position: number | null): MaybePromise<number> {
    if (src.length === 0) return 0;
    const { pipe } = this;
    if (pipe.readers === 0) return this.#broken(task);
    const packet = (this.flags & O_DIRECT) !== 0;
    const done = pipe.put(src, packet, true);
    if (done === src.length) return done;
    if (this.nonblocking) {
      if (done === 0) throw sysError(errno.EAGAIN);
      return done;
    }
    return this.#waitAndWrite(task, src, done, packet);
  }
  async #waitAndWrite(task: Task, src: Uint8Array, written: number, packet: boolean): Promise<number> {
    const { pipe } = this;
    let done = written;
    for (;;) {
      const result = await task.wait([this.waiters], () => !pipe.full || pipe.readers === 0, null);
      if (pipe.readers === 0) {
        const error = this.#broken(task, done > 0);
        return done > 0 ? done : error;
      }
      done += pipe.put(src.subarray(done), packet, false);
      if (done === src.length) return done;
      if (result === 'signal') {
        if (done > 0) return done;
        throw sysError(errno.ERESTARTSYS);
      }
    }
  }
  /** No reader is left: SIGPIPE, and EPIPE unless something has been written before. */
  #broken(task: Task, partial = false): number {
    sendSignal(task, SIGPIPE, { code: SI_USER, pid: task.process.pid, uid: task.cred.uid });
    if (!partial) throw sysError(errno.EPIPE);
    return 0;
  }

  override poll(): number {
    const { pipe } = this;
    let bits = 0;
    if (this.#reads) {
      if (!pipe.empty) bits |= POLLIN | POLLRDNORM;
      if (pipe.writers === 0 && pipe.writerOpens !== this.#opensSeen) bits |= POLLHUP;
    }
    if (this.#writes) {
      if (!pipe.full) bits |= POLLOUT | POLLWRNORM;
      if (pipe.readers === 0) bits |= POLLERR;
    }
    return bits;
  }

  override ioctl(task: Task, request: number, arg: number): number {
    if (request !== FIONREAD) throw sysError(errno.ENOTTY);
    task.mem.writeU32(arg, this.pipe.length);
    return 0;
  }

  /** F_GETPIPE_SZ, bytes. */
  get size(): number {
    return this.pipe.maxSlots * PAGE;
  }
}

const CAP_SYS_RESOURCE = 24;

/** fcntl(F_SETPIPE_SZ): the size that was set, or EBADF when the file is no pipe. */
export function setPipeSize(task: Task, file: OpenFile, size: number): number {
  if (!(file instanceof PipeEnd)) throw sysError(errno.EBADF);
  return file.pipe.resize(size >>> 0, task.cred.capable(CAP_SYS_RESOURCE));
}
/** fcntl(F_GETPIPE_SZ). */
export function getPipeSize(file: OpenFile): number {
  if (!(file instanceof PipeEnd)) throw sysError(errno.EBADF);
  return file.size;
}

/** pipe2(2) with O_NONBLOCK and O_DIRECT in `flags`: the reading and the writing end, owned by `cred`'s ids. */
export function createPipe(flags = 0, cred?: Credentials): [PipeEnd, PipeEnd] {
  const pipe = new Pipe();
  pipe.inode.uid = cred?.fsuid ?? 0;
  pipe.inode.gid = cred?.fsgid ?? 0;
  const path = `pipe:[${pipe.inode.ino}]`;
  const keep = flags & (O_NONBLOCK | O_DIRECT);
  const reader = pipe.open(O_RDONLY | keep);
  const writer = pipe.open(O_WRONLY | keep);
  reader.path = path;
  writer.path = path;
  return [reader, writer];
}

const fifos = new WeakMap<object, Pipe>();

/**
 * Opens a FIFO (fifo(7)). `key` identifies the inode: all that open the same key share one pipe. Opening for one direction
 * waits for the other end; O_RDONLY|O_NONBLOCK succeeds at once, O_WRONLY|O_NONBLOCK throws ENXIO without a reader.
 * Without a task the wait cannot be interrupted. The caller sets `inode` and `path` of the result.
 */
export function openFifo(key: object, flags: number, task?: Task): MaybePromise<OpenFile> {
  let pipe = fifos.get(key);
  if (!pipe) {
    pipe = new Pipe();
    fifos.set(key, pipe);
  }
  return openPipe(pipe, flags, task);
}

function openPipe(pipe: Pipe, flags: number, task?: Task): MaybePromise<OpenFile> {
  const mode = flags & O_ACCMODE;
  if (mode === O_RDWR) return pipe.open(flags);
  if (mode === O_RDONLY) {
    const end = pipe.open(flags);
    if (pipe.writers > 0 || end.nonblocking) return end;
    const seen = pipe.writerOpens;
    return waitForPartner(pipe, end, () => pipe.writerOpens !== seen, task);
  }
  if (mode !== O_WRONLY) throw sysError(errno.EINVAL);
  if ((flags & O_NONBLOCK) !== 0 && pipe.readers === 0) throw sysError(errno.ENXIO);
  const end = pipe.open(flags);
  if (pipe.readers > 0) return end;
  const seen = pipe.readerOpens;
  return waitForPartner(pipe, end, () => pipe.readerOpens !== seen, task);
}

async function waitForPartner(pipe: Pipe, end: PipeEnd, came: () => boolean, task?: Task): Promise<OpenFile> {
  if (!task) {
    await new Promise<void>((resolve) => {
      const look = (): void => {
        if (!came()) return;
        pipe.openWaiters.remove(look);
        resolve();
      };
      pipe.openWaiters.add(look);
    });
    return end;
  }
  const result = await task.wait([pipe.openWaiters], came, null);
  if (result === 'ready') return end;
  end.unref();
  throw sysError(errno.ERESTARTSYS);
}
