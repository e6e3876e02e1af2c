/**
 * The guest's terminal: the host's, with settings, job control and window size of its own. While the guest keeps the
 * default settings the host edits lines, echoes and sends signals; with others the host is put into raw mode and the line
 * discipline here does all that (line-discipline.ts).
 */
import { errno, sysError } from '../abi/errno.ts';
import { SI_KERNEL, SIGTTIN, SIGTTOU, SIGWINCH } from '../abi/signals.ts';
import type { Kernel } from '../kernel.ts';
import { sendSignal } from '../signals/send.ts';
import type { Process } from '../task/process.ts';
import type { Task } from '../task/task.ts';
import { WaitQueue } from '../task/wait-queue.ts';
import { HostTerminalPort, type TerminalPort } from './host-terminal.ts';
import type { SetAttr, Stat } from './inode.ts';
import { LineDiscipline } from './line-discipline.ts';
import { type MaybePromise, O_NOCTTY, O_RDWR, OpenFile, POLLIN, POLLOUT, POLLRDNORM, POLLWRNORM } from './open-file.ts';
import { makedev, PseudoFs, PseudoInode, TMPFS_MAGIC } from './pseudo.ts';
import {
  cloneTermios,
  defaultTermios,
  differsFromDefault,
  ICANON,
  ONLCR,
  OPOST,
  type Termios,
  TOSTOP,
  VMIN,
  VTIME,
} from './termios.ts';
import { ttyIoctl } from './tty-ioctl.ts';
import * as fs from 'node:fs';

const terminals = new WeakMap<Kernel, Terminal>();
/** For opens that do not say on whose behalf they are made. */
let lastAttached: Terminal | null = null;

export class Terminal {
  readonly port: TerminalPort;
  readonly inode: TtyInode;
  termios: Termios = defaultTermios();
  /** Foreground process group and session; 0 until attached. */
  pgrp = 0;
  session = 0;
  #kernel: Kernel | null = null;
  #rawHost = false;
  #outputPlain = false;
  #suspended = false;
  /** Output held by ^S. */
  #stopped = false;
  #size: { rows: number; columns: number; xpixel: number; ypixel: number } | null = null;
  readonly #discipline: LineDiscipline;
  readonly #files = new Set<TtyFile>();
  readonly outputWaiters = new WaitQueue();

  constructor(port: TerminalPort) {
    this.port = port;
    this.inode = new TtyInode(this);
    this.#discipline = new LineDiscipline(this.termios, {
      echo: (bytes) => this.port.write(bytes),
      signal: (signo) => this.signalForeground(signo),
      stopped: (on) => {
        this.#stopped = on;
        if (!on) this.#wake(POLLOUT | POLLWRNORM);
      },
    });
  }

  /** Device number, as process.ttyDev and stat have it. */
  get rdev(): number {
    return this.port.stat().rdev;
  }
  get canonical(): boolean {
    return (this.termios.lflag & ICANON) !== 0;
  }
  get outputStopped(): boolean {
    return this.#stopped;
  }
  /** The line discipline of this kernel is in use, not the host's. */
  get emulated(): boolean {
    return this.#rawHost;
  }

  /** Makes it the controlling terminal of a session leader's process, with that process's group in the foreground. */
  attach(process: Process): void {
    this.#kernel = process.kernel;
    terminals.set(process.kernel, this);
    lastAttached = this;
    this.session = process.sid;
    this.pgrp = process.pgid;
    process.ttyDev = this.rdev;
    this.port.onResize(() => {
      this.#size = null;
      this.signalForeground(SIGWINCH);
    });
  }
  isControllingOf(process: Process): boolean {
    return this.session !== 0 && process.sid === this.session && process.ttyDev === this.rdev;
  }

  open(flags: number): TtyFile {
    const file = new TtyFile(flags & ~O_NOCTTY, this);
    file.path = this.port.path;
    this.#files.add(file);
    return file;
  }
  closed(file: TtyFile): void {
    this.#files.delete(file);
  }
  #wake(bits: number): void {
    for (const file of this.#files) file.waiters.wake(bits);
    this.outputWaiters.wake();
  }

  signalForeground(signo: number): void {
    for (const process of this.#kernel?.processes.values() ?? []) {
      if (process.pgid === this.pgrp && process.exitStatus === null) sendSignal(process, signo, { code: SI_KERNEL });
    }
  }

  // Settings.

  /** TCSETS. `drop`: unread input is thrown away (TCSETSF). */
  setTermios(next: Termios, drop: boolean): void {
    if (drop) this.flushInput();
    // Unread input of the emulated discipline survives a change of mode.
    if (this.#rawHost) this.#pump();
    this.termios = cloneTermios(next);
    this.#discipline.set(this.termios);
    this.#applyToHost();
    this.#wake(POLLIN | POLLRDNORM);
  }
  #applyToHost(): void {
    const raw = differsFromDefault(this.termios);
    const plain = raw && (this.termios.oflag & (OPOST | ONLCR)) !== (OPOST | ONLCR);
    if (this.#suspended) return;
    if (raw !== this.#rawHost) {
      this.#rawHost = raw;
      this.port.setRaw(raw);
      if (!raw) this.port.reader.unwatch();
      this.#outputPlain = false;
    }
    if (plain !== this.#outputPlain) {
      this.#outputPlain = plain;
      this.port.setOutputProcessing(!plain);
    }
    if (raw) this.#listen();
  }
  /** Gives the host its own settings back: at exit, and while the guest is stopped. */
  suspend(): void {
    if (this.#suspended) return;
    this.#suspended = true;
    if (this.#outputPlain) this.port.setOutputProcessing(true);
    if (this.#rawHost) this.port.setRaw(false);
    this.#rawHost = false;
    this.#outputPlain = false;
  }
  resume(): void {
    this.#suspended = false;
    this.#applyToHost();
  }

  get size(): { rows: number; columns: number; xpixel: number; ypixel: number } {
    this.#size ??= { ...this.port.size(), xpixel: 0, ypixel: 0 };
    return this.#size;
  }
  /** TIOCSWINSZ: what the guest sees until the host's window changes. */
  setSize(size: { rows: number; columns: number; xpixel: number; ypixel: number }): void {
    const old = this.size;
    this.#size = size;
    if (old.rows !== size.rows || old.columns !== size.columns) this.signalForeground(SIGWINCH);
  }

  // Input.

  /** Raw host: every key is taken when it comes, so that ^C works while nobody reads. */
  #listen(): void {
    this.port.reader.watch(() => {
      if (this.#rawHost) this.#pump();
      this.#wake(POLLIN | POLLRDNORM);
      if (this.#rawHost || this.port.reader.ready() === null) this.#listenIfAwaited();
    });
  }
  /** Raw: always. Cooked: while somebody waits, also for edges (epoll). */
  #listenIfAwaited(): void {
    if (this.#rawHost || [...this.#files].some((file) => !file.waiters.empty)) this.#listen();
  }
  #pump(): void {
    const scratch = new Uint8Array(1024);
    for (let n = this.port.reader.read(scratch); n; n = this.port.reader.read(scratch)) {
      this.#discipline.input(scratch.subarray(0, n));
    }
  }

  /** Bytes, 0 for end of file, null for nothing yet. `min` is VMIN in non-canonical mode. */
  take(dst: Uint8Array): number | null {
    if (this.#rawHost) this.#pump();
    // What was typed while the host was raw comes before what the host still holds.
    const own = this.#discipline.take(dst);
    if (own !== null || this.#rawHost) return own;
    const n = this.port.reader.read(dst);
    this.#listenIfAwaited();
    return n;
  }
  inputState(min: number): 'data' | 'eof' | null {
    if (this.#rawHost) this.#pump();
    if (this.#discipline.readable(min)) return 'data';
    return this.#rawHost ? null : this.port.reader.ready();
  }
  /** Asks to be woken when there may be input. */
  watchInput(): void {
    this.#listen();
  }
  unwatchInput(): void {
    if (!this.#rawHost) this.port.reader.unwatch();
  }
  get availableInput(): number {
    if (this.#rawHost) this.#pump();
    return this.#discipline.available + (this.#rawHost ? 0 : this.port.reader.available());
  }
  flushInput(): void {
    this.#discipline.flush();
    this.port.reader.flush();
  }

  // Job control.

  /**
   * __tty_check_change: what a background process gets for touching its terminal. Throws ERESTARTSYS once SIGTTIN or
   * SIGTTOU is sent, EIO where that would stop nobody.
   */
  checkForeground(task: Task, signo: number): void {
    const { process } = task;
    if (!this.isControllingOf(process) || this.pgrp === 0 || process.pgid === this.pgrp) return;
    const deaf = task.signals.blocked.has(signo) || task.sighand.ignores(signo);
    if (deaf) {
      if (signo === SIGTTIN) throw sysError(errno.EIO);
      return;
    }
    if (isOrphaned(task.kernel, process)) throw sysError(errno.EIO);
    for (const other of task.kernel.processes.values()) {
      if (other.pgid === process.pgid && other.exitStatus === null) sendSignal(other, signo, { code: SI_KERNEL });
    }
    throw sysError(errno.ERESTARTSYS);
  }
  checkRead(task: Task): void {
    this.checkForeground(task, SIGTTIN);
  }
  checkWrite(task: Task): void {
    if (this.termios.lflag & TOSTOP) this.checkForeground(task, SIGTTOU);
  }
}

/** No member of the group has a parent in another group of the same session. */
function isOrphaned(kernel: Kernel, process: Process): boolean {
  for (const p of kernel.processes.values()) {
    if (p.pgid === process.pgid && p.parent && p.parent.pgid !== p.pgid && p.parent.sid === p.sid) return false;
  }
  return true;
}

const devpts = new PseudoFs('devpts', makedev(0, 23), TMPFS_MAGIC);

/** /dev/pts/N of the host's terminal. */
export class TtyInode extends PseudoInode {
  readonly #terminal: Terminal;
  constructor(terminal: Terminal) {
    super({ fs: devpts, mode: 0o020620 });
    this.#terminal = terminal;
  }
  override stat(): Stat {
    return this.#terminal.port.stat();
  }
  override open(flags: number): OpenFile {
    return this.#terminal.open(flags);
  }
  override setattr(attr: SetAttr): void {
    // Times and O_TRUNC mean nothing here; owner and mode are the host's.
    if (attr.mode !== undefined || attr.uid !== undefined || attr.gid !== undefined) throw sysError(errno.EPERM);
  }
}

export class TtyFile extends OpenFile {
  readonly terminal: Terminal;

  constructor(flags: number, terminal: Terminal) {
    super(flags);
    this.terminal = terminal;
    this.inode = terminal.inode;
  }
  protected override release(): void {
    this.terminal.closed(this);
  }

  override read(task: Task, dst: Uint8Array, _position: number | null): MaybePromise<number> {
    const { terminal } = this;
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
      const result = await task.wait([this.waiters], () => terminal.inputState(1) !== null, null);
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
      const result = await task.wait([this.waiters], () => terminal.inputState(1) !== null, timeout);
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
    terminal.checkWrite(task);
    if (src.length === 0) return 0;
    if (!terminal.outputStopped) return terminal.port.write(src);
    if (this.nonblocking) throw sysError(errno.EAGAIN);
    return this.#waitAndWrite(task, src);
  }
  async #waitAndWrite(task: Task, src: Uint8Array): Promise<number> {
    const { terminal } = this;
    const result = await task.wait([terminal.outputWaiters], () => !terminal.outputStopped, null);
    if (result === 'signal') throw sysError(errno.ERESTARTSYS);
    return terminal.port.write(src);
  }

  override poll(): number {
    const { terminal } = this;
    const { cc } = terminal.termios;
    const state = terminal.inputState(terminal.canonical || cc[VTIME] !== 0 ? 1 : cc[VMIN]!);
    if (state === null) terminal.watchInput();
    const input = state === null ? 0 : POLLIN | POLLRDNORM;
    return input | (terminal.outputStopped ? 0 : POLLOUT | POLLWRNORM);
  }

  override ioctl(task: Task, request: number, arg: number): MaybePromise<number> {
    return ttyIoctl(task, this, request, arg);
  }
}

export const terminalOf = (kernel: Kernel): Terminal | null => terminals.get(kernel) ?? null;

/** open("/dev/tty"): the controlling terminal of the caller. Throws ENXIO without one. */
export function openControllingTerminal(flags: number, task?: Task): OpenFile {
  const terminal = task ? (terminalOf(task.kernel) ?? hostControllingTerminal(task)) : lastAttached;
  if (!terminal || (task && !terminal.isControllingOf(task.process))) throw sysError(errno.ENXIO);
  const file = terminal.open(flags);
  file.path = '/dev/tty';
  return file;
}

/** The host's controlling terminal when none of the standard descriptors is a terminal; the first process gets it. */
function hostControllingTerminal(task: Task): Terminal | null {
  const { init } = task.kernel;
  if (!init || init !== task.process || process.platform === 'win32') return null;
  let fd: number;
  try {
    fd = fs.openSync('/dev/tty', O_RDWR);
  } catch {
    return null;
  }
  const terminal = new Terminal(new HostTerminalPort(fd));
  terminal.attach(init);
  return terminal;
}

/** Gives the host's terminal the settings it had at the start. To be called before the runtime exits. */
export function restoreTerminal(): void {
  lastAttached?.suspend();
}
