/** An open terminal: reading lines or keys, writing, readiness (n_tty_read, n_tty_write, n_tty_poll). */
import { errno, sysError } from '../abi/errno.ts';
import type { Task } from '../task/task.ts';
import { type MaybePromise, OpenFile, POLLERR, POLLHUP, POLLIN, POLLOUT, POLLRDNORM, POLLWRNORM } from './open-file.ts';
import { VMIN, VTIME } from './termios.ts';
import type { Tty } from './tty-device.ts';
import { ttyIoctl } from './tty-ioctl.ts';

const TIOCSPGRP = 0x5410;

export class TtyFile extends OpenFile {
  readonly terminal: Tty;

  constructor(flags: number, terminal: Tty) {
    super(flags);
    this.terminal = terminal;
    this.inode = terminal.inode;
  }
  protected override release(): void {
    this.terminal.closed(this);
  }

  override read(task: Task, dst: Uint8Array, _position: number | null): MaybePromise<number> {
    const { terminal } = this;
    if (terminal.hungUp) return 0;
    terminal.checkRead(task);
    if (dst.length === 0) return 0;
    if (!terminal.canonical) return this.#readRaw(task, dst);
    const n = terminal.take(dst);
    if (n !== null) return n;
    if (this.nonblocking) throw sysError(errno.EAGAIN);
    return this.#waitAndRead(task, dst);
  }
  async #waitAndRead(task: Task, dst: Uint8Array): Promise<number> {
    const { terminal } = this;
    for (;;) {
      terminal.watchInput();
      const ready = (): boolean => terminal.hungUp || terminal.inputState(1) !== null;
      const result = await task.wait([this.waiters], ready, null);
      if (terminal.hungUp) throw sysError(errno.EIO);
      // Another process may have come to the foreground, or the settings may have changed.
      terminal.checkRead(task);
      const n = terminal.take(dst);
      if (this.waiters.empty) terminal.unwatchInput();
      if (n !== null) return n;
      if (result === 'signal') throw sysError(errno.ERESTARTSYS);
    }
  }

  /** Non-canonical mode: VMIN and VTIME (termios(3)). */
  #readRaw(task: Task, dst: Uint8Array): MaybePromise<number> {
    const { terminal } = this;
    const min = terminal.termios.cc[VMIN]!;
    const time = terminal.termios.cc[VTIME]!;
    const n = terminal.take(dst) ?? 0;
    if (n >= Math.min(min, dst.length) && (n > 0 || (min === 0 && time === 0))) return n;
    if (this.nonblocking) {
      if (n > 0) return n;
      throw sysError(errno.EAGAIN);
    }
    return this.#waitRaw(task, dst, n, min, time);
  }
  async #waitRaw(task: Task, dst: Uint8Array, got: number, min: number, time: number): Promise<number> {
    const { terminal } = this;
    const enough = Math.max(1, Math.min(min, dst.length));
    let n = got;
    for (;;) {
      terminal.watchInput();
      // With VMIN the clock starts at the first byte, without it at once.
      const timeout = time > 0 && (min === 0 || n > 0) ? time * 100 : null;
      const ready = (): boolean => terminal.hungUp || terminal.inputState(1) !== null;
      const result = await task.wait([this.waiters], ready, timeout);
      if (terminal.hungUp) {
        if (n > 0) return n;
        throw sysError(errno.EIO);
      }
      n += terminal.take(dst.subarray(n)) ?? 0;
      if (n >= enough || result === 'timeout') return n;
      if (result === 'signal') {
        if (n > 0) return n;
        throw sysError(errno.ERESTARTSYS);
      }
    }
  }

  override write(task: Task, src: Uint8Array, _position: number | null): MaybePromise<number> {
    const { terminal } = this;
    if (terminal.hungUp) throw sysError(errno.EIO);
    terminal.checkWrite(task);
    if (src.length === 0) return 0;
    const n = terminal.outputStopped ? 0 : terminal.write(src);
    if (n === src.length) return n;
    if (!this.nonblocking) return this.#waitAndWrite(task, src, n);
    if (n === 0) throw sysError(errno.EAGAIN);
    return n;
  }
  async #waitAndWrite(task: Task, src: Uint8Array, written: number): Promise<number> {
    const { terminal } = this;
    let done = written;
    for (;;) {
      const ready = (): boolean => terminal.hungUp || terminal.writable;
      const result = await task.wait([terminal.outputWaiters], ready, null);
      if (terminal.hungUp) throw sysError(errno.EIO);
      if (!terminal.outputStopped) done += terminal.write(src.subarray(done));
      if (done === src.length) return done;
      if (result === 'signal') {
        if (done > 0) return done;
        throw sysError(errno.ERESTARTSYS);
      }
    }
  }

  override poll(): number {
    const { terminal } = this;
    // hung_up_tty_poll.
    if (terminal.hungUp) return POLLIN | POLLOUT | POLLERR | POLLHUP | POLLRDNORM | POLLWRNORM;
    const { cc } = terminal.termios;
    const state = terminal.inputState(terminal.canonical || cc[VTIME] !== 0 ? 1 : cc[VMIN]!);
    if (state === null) terminal.watchInput();
    const input = state === null ? 0 : POLLIN | POLLRDNORM;
    return input | (terminal.writable ? POLLOUT | POLLWRNORM : 0);
  }

  override ioctl(task: Task, request: number, arg: number): MaybePromise<number> {
    if (this.terminal.hungUp) throw sysError(request === TIOCSPGRP ? errno.ENOTTY : errno.EIO);
    return ttyIoctl(task, this.terminal, request, arg);
  }
}
