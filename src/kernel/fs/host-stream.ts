/** The host's stdin, stdout and stderr as open files of the guest. */
import * as fs from 'node:fs';
import { errno, sysError } from '../abi/errno.ts';
import { SI_USER, SIGPIPE } from '../abi/signals.ts';
import { sendSignal } from '../signals/send.ts';
import type { Task } from '../task/task.ts';
import { hostError } from './host-error.ts';
import { defaultFlags, hostFdInfo, hostFdName, hostStat, isHostCode, reopenHostFd, retireHostFd } from './host-fd.ts';
import { HostFdInode } from './host-inode.ts';
import { type HostReader, NonblockingReader, pipeWatcher, StreamReader } from './host-reader.ts';
import { HostRegularFile } from './host-regular.ts';
import { HostTerminalPort } from './host-terminal.ts';
import { S_IFDIR, S_IFIFO, S_IFMT, S_IFREG, S_IFSOCK } from './inode.ts';
import {
  type MaybePromise,
  O_ACCMODE,
  O_APPEND,
  O_NONBLOCK,
  O_RDONLY,
  O_WRONLY,
  OpenFile,
  POLLHUP,
  POLLIN,
  POLLOUT,
  POLLRDHUP,
  POLLRDNORM,
  POLLWRNORM,
} from './open-file.ts';
import { isTerminal } from './host-tty-module.ts';
import { Terminal } from './tty.ts';

const FIONREAD = 0x541b;
/** How long a full pipe is tried again at every turn of the event loop, before the tries become rarer. */
const EAGER_MS = 1;
const SLOWEST_RETRY_MS = 10;

/** A pipe or socket of the host. */
export class HostStream extends OpenFile {
  readonly fd: number;
  readonly #socket: boolean;
  #reader: HostReader | null = null;
  /** A description of our own with O_NONBLOCK, for writing. */
  #writeFd: number;
  #ownWriteFd = false;
  /** The last write found no room: not writable until tried again. */
  #full = false;
  #fullSince: number | null = null;

  constructor(fd: number, flags: number, socket: boolean) {
    super(flags);
    this.fd = fd;
    this.#socket = socket;
    this.inode = new HostFdInode(fd);
    this.#writeFd = fd;
    if (this.writable && !socket) {
      const own = reopenHostFd(fd, O_WRONLY | O_NONBLOCK);
      if (own !== null) {
        this.#writeFd = own;
        this.#ownWriteFd = true;
      }
    }
  }
  protected override release(): void {
    this.#reader?.close();
    if (this.#ownWriteFd) fs.closeSync(this.#writeFd);
    // Standard error stays open for what the runtime itself has to say.
    if (this.fd !== 2) retireHostFd(this.fd);
  }

  /** Made at the first read, so that a program that never reads leaves its input alone. */
  get #input(): HostReader {
    if (!this.#reader) {
      const own = this.#socket ? null : reopenHostFd(this.fd, O_RDONLY | O_NONBLOCK);
      this.#reader = own === null ? new StreamReader(this.fd) : new NonblockingReader(own, pipeWatcher(own));
    }
    return this.#reader;
  }
  readonly #inputCame = (): void => {
    this.waiters.wake(POLLIN | POLLRDNORM);
    // Somebody else may have taken it, or it was nothing.
    if (this.#input.ready() === null) this.#watchIfAwaited();
  };
  #watchIfAwaited(): void {
    if (!this.waiters.empty) this.#input.watch(this.#inputCame);
  }

  override read(task: Task, dst: Uint8Array, _position: number | null): MaybePromise<number> {
    if (dst.length === 0) return 0;
    const n = this.#input.read(dst);
    // An edge-triggered epoll item gets no chance to look again.
    this.#watchIfAwaited();
    if (n !== null) return n;
    if (this.nonblocking) throw sysError(errno.EAGAIN);
    return this.#waitAndRead(task, dst);
  }
  async #waitAndRead(task: Task, dst: Uint8Array): Promise<number> {
    const input = this.#input;
    for (;;) {
      input.watch(this.#inputCame);
      const result = await task.wait([this.waiters], () => input.ready() !== null, null);
      const n = input.read(dst);
      if (this.waiters.empty) input.unwatch();
      if (n !== null) return n;
      if (result === 'signal') throw sysError(errno.ERESTARTSYS);
    }
  }

  override write(task: Task, src: Uint8Array, _position: number | null): MaybePromise<number> {
    if (src.length === 0) return 0;
    const done = this.#tryWrite(task, src) ?? 0;
    if (done === src.length) return done;
    if (this.nonblocking) {
      if (done === 0) throw sysError(errno.EAGAIN);
      return done;
    }
    return this.#waitAndWrite(task, src, done);
  }
  async #waitAndWrite(task: Task, src: Uint8Array, written: number): Promise<number> {
    let done = written;
    for (;;) {
      this.#markFull();
      const result = await task.wait([this.waiters], () => !this.#full, null);
      try {
        done += this.#tryWrite(task, src.subarray(done)) ?? 0;
      } catch (e) {
        if (done > 0) return done;
        throw e;
      }
      if (done === src.length) return done;
      if (result === 'signal') {
        if (done > 0) return done;
        throw sysError(errno.ERESTARTSYS);
      }
    }
  }
  /** Bytes written, null when there is no room. */
  #tryWrite(task: Task, src: Uint8Array): number | null {
    try {
      const n = fs.writeSync(this.#writeFd, src, 0, src.length, null);
      this.#fullSince = null;
      return n;
    } catch (e) {
      if (isHostCode(e, 'EAGAIN')) {
        this.#markFull();
        return null;
      }
      if (isHostCode(e, 'EPIPE'))
        sendSignal(task, SIGPIPE, { code: SI_USER, pid: task.process.pid, uid: task.cred.uid });
      throw hostError(e);
    }
  }
  /** Node cannot say when there is room again: the answer is to try, eagerly at first. */
  #markFull(): void {
    if (this.#full) return;
    this.#full = true;
    const retry = (): void => {
      this.#full = false;
      this.waiters.wake(POLLOUT | POLLWRNORM);
    };
    const now = performance.now();
    this.#fullSince ??= now;
    const waited = now - this.#fullSince;
    if (waited < EAGER_MS) setImmediate(retry);
    else setTimeout(retry, Math.min(SLOWEST_RETRY_MS, Math.ceil(waited / 4)));
  }

  override poll(): number {
    let bits = 0;
    if (this.readable) {
      const state = this.#input.ready();
      if (state === 'data') bits |= POLLIN | POLLRDNORM;
      else if (state === 'eof') bits |= this.#socket ? POLLIN | POLLRDNORM | POLLRDHUP : POLLHUP;
      else this.#input.watch(this.#inputCame);
    }
    if (this.writable && !this.#full) bits |= POLLOUT | POLLWRNORM;
    return bits;
  }

  override ioctl(task: Task, request: number, arg: number): number {
    if (request !== FIONREAD) throw sysError(errno.ENOTTY);
    task.mem.writeU32(arg, this.readable ? this.#input.available() : 0);
    return 0;
  }
}

export interface Stdio {
  /** For descriptors 0, 1 and 2; null where the host's is closed. */
  readonly files: readonly (OpenFile | null)[];
  /** The terminal behind one of them, to be attached to the first process. */
  readonly terminal: Terminal | null;
}

/** Opens the host's descriptors 0, 1 and 2 for the guest, each by what it is, but for those among the digits of `closed`. */
export function openStdio(closed = ''): Stdio {
  let terminal: Terminal | null = null;
  const files = [0, 1, 2].map((fd): OpenFile | null => {
    if (closed.includes(String(fd))) return null;
    let mode: number;
    try {
      mode = hostStat(fd).mode & S_IFMT;
    } catch {
      return null;
    }
    if (isTerminal(fd)) {
      terminal ??= new Terminal(new HostTerminalPort(fd));
      const file = terminal.open(statusFlags(fd, true));
      file.path = hostFdName(fd);
      return file;
    }
    return openHostFile(fd, mode);
  });
  return { files, terminal };
}

/** Access mode and status flags of a host descriptor, without those that only concern the host. */
function statusFlags(fd: number, isTty: boolean): number {
  const known = hostFdInfo(fd);
  if (!known) return defaultFlags(fd, isTty);
  return known.flags & (O_ACCMODE | O_APPEND | O_NONBLOCK | 0o100000);
}

function openHostFile(fd: number, type: number, owned = false): OpenFile {
  const flags = statusFlags(fd, false);
  const stream = type === S_IFIFO || type === S_IFSOCK;
  const file = stream ? new HostStream(fd, flags, type === S_IFSOCK) : new HostRegularFile(fd, flags, owned);
  file.path = hostFdName(fd) || (type === S_IFREG || type === S_IFDIR ? '' : `pipe:[${fd}]`);
  const inode = file.inode as HostFdInode;
  inode.reopen = (newFlags) => {
    // As open("/proc/self/fd/N") does on Linux: a description of its own. Elsewhere the one there is is shared.
    const own = type === S_IFSOCK ? null : reopenHostFd(fd, newFlags & (O_ACCMODE | O_APPEND | O_NONBLOCK));
    if (own === null) {
      if (type === S_IFSOCK || !compatible(flags, newFlags)) throw sysError(errno.ENXIO);
      return file.ref();
    }
    return openHostFile(own, type, true);
  };
  return file;
}

const compatible = (have: number, want: number): boolean =>
  (have & O_ACCMODE) === 2 || (have & O_ACCMODE) === (want & O_ACCMODE);
