/**
 * Pseudoterminals (pty(7), drivers/tty/pty.c): a terminal whose keyboard and screen are the master's descriptor. What is
 * written to the master is typed, what the slave writes (and what is echoed) can be read from the master.
 */
import { errno, sysError } from '../abi/errno.ts';
import { NSIG } from '../abi/signals.ts';
import type { Kernel } from '../kernel.ts';
import type { Task } from '../task/task.ts';
import { ByteQueue } from './byte-queue.ts';
import type { Inode } from './inode.ts';
import { LineDiscipline } from './line-discipline.ts';
import {
  type MaybePromise,
  O_CLOEXEC,
  OpenFile,
  POLLHUP,
  POLLIN,
  POLLOUT,
  POLLPRI,
  POLLRDNORM,
  POLLWRNORM,
} from './open-file.ts';
import { makedev } from './pseudo.ts';
import { defaultTermios, IUTF8, IXON, type Termios, VSTART, VSTOP } from './termios.ts';
import { Tty, type WindowSize } from './tty-device.ts';
import type { TtyFile } from './tty-file.ts';
import { ttyIoctl, ttyRequests } from './tty-ioctl.ts';
import { OutputProcessor } from './tty-output.ts';

const PTS_MAJOR = 136;
/** What either direction holds before its writer must wait (TTYB_DEFAULT_MEM_LIMIT). */
const BUFFER_LIMIT = 65536;
const CS8_CREAD = 0o60 | 0o200;
const CSIZE_PARENB = 0o60 | 0o400;
const EXTPROC = 0o200000;

export const ptyRequests = {
  TIOCPKT: 0x5420,
  TIOCGPTN: 0x80045430,
  TIOCSPTLCK: 0x40045431,
  TIOCSIG: 0x40045436,
  TIOCGPKT: 0x80045438,
  TIOCGPTLCK: 0x80045439,
  TIOCGPTPEER: 0x5441,
} as const;
const P = ptyRequests;

// Status bits of packet mode (ioctl_tty(2)).
const TIOCPKT_FLUSHREAD = 1;
const TIOCPKT_FLUSHWRITE = 2;
const TIOCPKT_STOP = 4;
const TIOCPKT_START = 8;
const TIOCPKT_NOSTOP = 16;
const TIOCPKT_DOSTOP = 32;
const TIOCPKT_IOCTL = 64;

/** The kernel's ^S and ^Q are in force. */
const hasFlowControl = (t: Termios): boolean => (t.iflag & IXON) !== 0 && t.cc[VSTOP] === 0x13 && t.cc[VSTART] === 0x11;

/** The slave side: the terminal programs use. */
export class Pty extends Tty {
  readonly index: number;
  readonly inode: Inode;
  readonly master: PtyMaster;
  /** TIOCSPTLCK: the slave cannot be opened yet. */
  locked = true;
  /** TIOCPKT. */
  packet = false;
  packetStatus = 0;
  /** Slaves were open and all are closed again (TTY_OTHER_CLOSED). */
  slaveClosed = false;
  /** What the master can read. */
  readonly output = new ByteQueue();
  /** Typed, and not yet taken by the line discipline. */
  readonly #typed = new ByteQueue();
  readonly #discipline: LineDiscipline;
  readonly #processor = new OutputProcessor();
  #size: WindowSize = { rows: 0, columns: 0, xpixel: 0, ypixel: 0 };
  readonly #onGone: () => void;

  /** `makeInode` gives /dev/pts/N; `onGone` is told when the master has closed. */
  constructor(kernel: Kernel, index: number, flags: number, makeInode: (pty: Pty) => Inode, onGone: () => void) {
    const termios = defaultTermios();
    termios.iflag &= ~IUTF8;
    super(termios);
    this.kernel = kernel;
    this.index = index;
    this.#onGone = onGone;
    this.inode = makeInode(this);
    this.#discipline = new LineDiscipline(termios, {
      echo: (bytes) => this.#echo(bytes),
      signal: (signo) => this.signalForeground(signo),
      stopped: (on) => this.setOutputStopped(on),
      flushed: () => this.setPacketStatus(TIOCPKT_FLUSHREAD, 0),
    });
    this.master = new PtyMaster(flags, this);
  }

  override get rdev(): number {
    return makedev(PTS_MAJOR, this.index);
  }
  override get path(): string {
    return `/dev/pts/${this.index}`;
  }

  override open(flags: number): TtyFile {
    if (this.hungUp) throw sysError(errno.EIO);
    this.slaveClosed = false;
    return super.open(flags);
  }
  override closed(file: TtyFile): void {
    super.closed(file);
    if (this.files.size > 0) return;
    this.slaveClosed = true;
    this.master.waiters.wake(POLLIN | POLLRDNORM | POLLHUP);
  }
  /** The master's last descriptor is gone. */
  masterClosed(): void {
    this.output.clear();
    this.hangUp();
    this.#onGone();
  }

  override setTermios(next: Termios, drop: boolean): void {
    if (drop) this.flushInput();
    const before = this.termios;
    this.storeTermios(next);
    this.termios.cflag = (this.termios.cflag & ~CSIZE_PARENB) | CS8_CREAD;
    this.#discipline.set(this.termios);
    this.#tellFlowControl(before);
    this.#pump();
    this.wake(POLLIN | POLLRDNORM);
  }
  #tellFlowControl(before: Termios): void {
    if (!this.packet) return;
    const flow = hasFlowControl(this.termios);
    if (flow !== hasFlowControl(before)) {
      if (flow) this.setPacketStatus(TIOCPKT_DOSTOP, TIOCPKT_NOSTOP);
      else this.setPacketStatus(TIOCPKT_NOSTOP, TIOCPKT_DOSTOP);
    }
    if ((before.lflag | this.termios.lflag) & EXTPROC) this.setPacketStatus(TIOCPKT_IOCTL, 0);
  }
  setPacketStatus(set: number, clear: number): void {
    if (!this.packet) return;
    this.packetStatus = (this.packetStatus & ~clear) | set;
    this.master.waiters.wake(POLLPRI | POLLIN | POLLRDNORM);
  }
  override setOutputStopped(on: boolean): void {
    if (on !== this.outputStopped)
      this.setPacketStatus(on ? TIOCPKT_STOP : TIOCPKT_START, on ? TIOCPKT_START : TIOCPKT_STOP);
    super.setOutputStopped(on);
  }

  override get size(): WindowSize {
    return this.#size;
  }
  protected override storeSize(size: WindowSize): void {
    this.#size = size;
  }

  // Keyboard: what the master writes.

  /** Takes as much as there is room for; 0 when the slave must read first. */
  type(bytes: Uint8Array): number {
    const taken = Math.min(bytes.length, Math.max(0, BUFFER_LIMIT - this.#typed.length));
    if (taken === 0) return 0;
    // Without a slave nobody edits, echoes, or will ever read it.
    if (this.slaveClosed) return taken;
    this.#typed.push(bytes.subarray(0, taken));
    this.#pump();
    return taken;
  }
  get canType(): boolean {
    return this.#typed.length < BUFFER_LIMIT;
  }
  /** Characters go to the line discipline as far as it has room. */
  #pump(): void {
    let any = false;
    const one = new Uint8Array(1);
    // One by one: each may change the room, the mode or the readers' fate (signals).
    while (this.#typed.length > 0 && this.#discipline.room > 0 && this.#typed.take(one) > 0) {
      this.#discipline.input(one);
      any = true;
    }
    if (any && this.#discipline.readable(1)) this.wake(POLLIN | POLLRDNORM);
  }
  #consumed(): void {
    if (this.#typed.length === 0) return;
    const full = !this.canType;
    this.#pump();
    if (full && this.canType) this.master.waiters.wake(POLLOUT | POLLWRNORM);
  }

  override take(dst: Uint8Array): number | null {
    const n = this.#discipline.take(dst);
    if (n !== null) this.#consumed();
    return n;
  }
  override inputState(min: number): 'data' | 'eof' | null {
    return this.#discipline.readable(min) ? 'data' : null;
  }
  override get availableInput(): number {
    return this.#discipline.available;
  }
  override flushInput(): void {
    this.#discipline.flush();
    this.#typed.clear();
    this.setPacketStatus(TIOCPKT_FLUSHREAD, 0);
    this.master.waiters.wake(POLLOUT | POLLWRNORM);
  }

  // Screen: what the master reads.

  override get writable(): boolean {
    return !this.outputStopped && this.output.length < BUFFER_LIMIT;
  }
  override write(bytes: Uint8Array): number {
    const room = Math.max(0, BUFFER_LIMIT - this.output.length);
    const { out, taken } = this.#processor.process(bytes, this.termios, room);
    this.#show(out);
    return taken;
  }
  /** Echo that finds no room is lost, as the kernel's echo buffer is bounded, too. */
  #echo(bytes: Uint8Array): void {
    const room = Math.max(0, BUFFER_LIMIT - this.output.length);
    this.#show(this.#processor.process(bytes, this.termios, room).out);
  }
  #show(bytes: Uint8Array): void {
    if (bytes.length === 0 || this.hungUp) return;
    this.output.push(bytes);
    this.master.waiters.wake(POLLIN | POLLRDNORM);
  }
  override flushOutput(): void {
    this.output.clear();
    this.setPacketStatus(TIOCPKT_FLUSHWRITE, 0);
    this.wake(POLLOUT | POLLWRNORM);
  }
  override sendCharacter(c: number): void {
    this.#show(Uint8Array.of(c));
  }
}

/** /dev/ptmx once opened. */
export class PtyMaster extends OpenFile {
  readonly pty: Pty;

  constructor(flags: number, pty: Pty) {
    super(flags);
    this.pty = pty;
    this.path = '/dev/ptmx';
  }
  protected override release(): void {
    this.pty.masterClosed();
  }

  #ready(): boolean {
    const { pty } = this;
    return pty.output.length > 0 || pty.slaveClosed || (pty.packet && pty.packetStatus !== 0);
  }
  override read(task: Task, dst: Uint8Array, _position: number | null): MaybePromise<number> {
    if (dst.length === 0) return 0;
    if (this.#ready()) return this.#take(dst);
    if (this.nonblocking) throw sysError(errno.EAGAIN);
    return this.#waitAndRead(task, dst);
  }
  async #waitAndRead(task: Task, dst: Uint8Array): Promise<number> {
    for (;;) {
      const result = await task.wait([this.waiters], () => this.#ready(), null);
      if (this.#ready()) return this.#take(dst);
      if (result === 'signal') throw sysError(errno.ERESTARTSYS);
    }
  }
  #take(dst: Uint8Array): number {
    const { pty } = this;
    if (pty.packet && pty.packetStatus !== 0) {
      dst[0] = pty.packetStatus;
      pty.packetStatus = 0;
      return 1;
    }
    if (pty.output.length === 0) throw sysError(errno.EIO);
    const head = pty.packet ? 1 : 0;
    if (head === 1) dst[0] = 0;
    const full = pty.output.length >= BUFFER_LIMIT;
    const n = pty.output.take(dst.subarray(head));
    if (full || n > 0) pty.wake(POLLOUT | POLLWRNORM);
    return head + n;
  }

  override write(task: Task, src: Uint8Array, _position: number | null): MaybePromise<number> {
    if (src.length === 0) return 0;
    const n = this.pty.type(src);
    if (n === src.length) return n;
    if (!this.nonblocking) return this.#waitAndWrite(task, src, n);
    if (n === 0) throw sysError(errno.EAGAIN);
    return n;
  }
  async #waitAndWrite(task: Task, src: Uint8Array, written: number): Promise<number> {
    let done = written;
    for (;;) {
      const result = await task.wait([this.waiters], () => this.pty.canType, null);
      done += this.pty.type(src.subarray(done));
      if (done === src.length) return done;
      if (result === 'signal') {
        if (done > 0) return done;
        throw sysError(errno.ERESTARTSYS);
      }
    }
  }

  override poll(): number {
    const { pty } = this;
    let bits = 0;
    if (pty.output.length > 0) bits |= POLLIN | POLLRDNORM;
    if (pty.packet && pty.packetStatus !== 0) bits |= POLLPRI | POLLIN | POLLRDNORM;
    if (pty.slaveClosed) bits |= POLLHUP;
    if (pty.canType) bits |= POLLOUT | POLLWRNORM;
    return bits;
  }

  override ioctl(task: Task, request: number, arg: number): MaybePromise<number> {
    const { pty } = this;
    const { mem } = task;
    switch (request >>> 0) {
      case P.TIOCGPTN:
        mem.writeU32(arg, pty.index);
        return 0;
      case P.TIOCSPTLCK:
        pty.locked = mem.readI32(arg) !== 0;
        return 0;
      case P.TIOCGPTLCK:
        mem.writeU32(arg, pty.locked ? 1 : 0);
        return 0;
      case P.TIOCPKT: {
        const on = mem.readI32(arg) !== 0;
        if (on && !pty.packet) pty.packetStatus = 0;
        pty.packet = on;
        return 0;
      }
      case P.TIOCGPKT:
        mem.writeU32(arg, pty.packet ? 1 : 0);
        return 0;
      case P.TIOCSIG:
        if (!(arg >= 1 && arg <= NSIG)) throw sysError(errno.EINVAL);
        pty.signalForeground(arg);
        return 0;
      case P.TIOCGPTPEER:
        return this.#openPeer(task, arg);
      case ttyRequests.FIONREAD:
        mem.writeU32(arg, pty.output.length);
        return 0;
      case ttyRequests.TIOCOUTQ:
        mem.writeU32(arg, 0);
        return 0;
      case ttyRequests.TCFLSH:
        return this.#flush(arg | 0);
      default:
        return ttyIoctl(task, pty, request, arg, true);
    }
  }
  /** The master's input is the slave's output, and the other way round. */
  #flush(queue: number): number {
    if (queue < 0 || queue > 2) throw sysError(errno.EINVAL);
    if (queue !== 1) {
      this.pty.output.clear();
      this.pty.wake(POLLOUT | POLLWRNORM);
    }
    if (queue !== 0) this.pty.flushInput();
    return 0;
  }
  /** The slave, whatever is mounted at /dev/pts, and locked or not. */
  #openPeer(task: Task, flags: number): number {
    const file = this.pty.open(flags & ~O_CLOEXEC);
    try {
      return task.files.install(file, (flags & O_CLOEXEC) !== 0);
    } catch (e) {
      file.unref();
      throw e;
    }
  }
}
