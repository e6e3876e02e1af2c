/**
 * What all terminals have in common (tty_ioctl(4), credentials(7) "Process groups"): settings, the line discipline, the
 * session and foreground group, and the open files. The host's terminal (tty.ts) and pseudoterminals (pty.ts) extend it.
 */
import { errno, sysError } from '../abi/errno.ts';
import { SI_KERNEL, SIGCONT, SIGHUP, SIGTTIN, SIGTTOU, SIGWINCH } from '../abi/signals.ts';
import type { Kernel } from '../kernel.ts';
import { sendSignal } from '../signals/send.ts';
import type { Process } from '../task/process.ts';
import type { Task } from '../task/task.ts';
import { WaitQueue } from '../task/wait-queue.ts';
import type { Inode } from './inode.ts';
import { O_NOCTTY, POLLIN, POLLOUT, POLLRDNORM, POLLWRNORM } from './open-file.ts';
import { cloneTermios, ICANON, type Termios, TOSTOP } from './termios.ts';
import { TtyFile } from './tty-file.ts';

/** struct winsize. */
export interface WindowSize {
  rows: number;
  columns: number;
  xpixel: number;
  ypixel: number;
}

export abstract class Tty {
  termios: Termios;
  /** Foreground process group and session; 0 for none. */
  pgrp = 0;
  session = 0;
  /** TIOCEXCL: nobody else may open it. */
  exclusive = false;
  /** The other side has gone: reads give the end of the file, the rest EIO. */
  hungUp = false;
  /** Output is held by ^S or TCXONC. */
  outputStopped = false;
  readonly outputWaiters = new WaitQueue();
  protected kernel: Kernel | null = null;
  protected readonly files = new Set<TtyFile>();

  constructor(termios: Termios) {
    this.termios = termios;
  }

  /** Device number, as process.ttyDev and stat have it. */
  abstract get rdev(): number;
  abstract get inode(): Inode;
  /** Name in the guest, e.g. /dev/pts/3; empty when unknown. */
  abstract get path(): string;
  /** TCSETS. `drop`: unread input is thrown away (TCSETSF). */
  abstract setTermios(next: Termios, drop: boolean): void;
  abstract get size(): WindowSize;
  protected abstract storeSize(size: WindowSize): void;
  /** Bytes, 0 for end of file, null for nothing yet. */
  abstract take(dst: Uint8Array): number | null;
  /** Whether a read would return at once, with at least `min` bytes in non-canonical mode. */
  abstract inputState(min: number): 'data' | 'eof' | null;
  /** FIONREAD. */
  abstract get availableInput(): number;
  abstract flushInput(): void;
  /** Bytes written, fewer than given when there is no room for all. */
  abstract write(bytes: Uint8Array): number;
  /** Whether `write` would take anything. */
  get writable(): boolean {
    return !this.outputStopped;
  }
  /** Asks for a wake-up when there may be input; only the host's terminal needs asking. */
  watchInput(): void {}
  unwatchInput(): void {}
  /** TCOFLUSH, TIOCOUTQ. */
  flushOutput(): void {}
  get queuedOutput(): number {
    return 0;
  }
  /** TCXONC: TCIOFF and TCION send the other side a STOP or START character. */
  sendCharacter(_c: number): void {}

  get canonical(): boolean {
    return (this.termios.lflag & ICANON) !== 0;
  }

  /** A description; `flags` as in open(2). */
  open(flags: number): TtyFile {
    const file = new TtyFile(flags & ~O_NOCTTY, this);
    file.path = this.path;
    this.files.add(file);
    return file;
  }
  closed(file: TtyFile): void {
    this.files.delete(file);
  }
  /** Who waits on the terminal looks again. */
  wake(bits: number): void {
    for (const file of this.files) file.waiters.wake(bits);
    if (bits & POLLOUT) this.outputWaiters.wake(bits);
  }

  /** ^S and ^Q, TCXONC. */
  setOutputStopped(on: boolean): void {
    if (this.outputStopped === on) return;
    this.outputStopped = on;
    if (!on) this.wake(POLLOUT | POLLWRNORM);
  }

  /** TIOCSWINSZ. */
  setSize(size: WindowSize): void {
    const old = this.size;
    const same =
      old.rows === size.rows &&
      old.columns === size.columns &&
      old.xpixel === size.xpixel &&
      old.ypixel === size.ypixel;
    if (same) return;
    this.storeSize(size);
    this.signalForeground(SIGWINCH);
  }

  // Job control.

  isControllingOf(process: Process): boolean {
    return this.session !== 0 && process.sid === this.session && process.ttyDev === this.rdev;
  }

  signalForeground(signo: number): void {
    if (this.pgrp !== 0) signalGroup(this.kernel, this.pgrp, signo);
  }

  /** Makes it the controlling terminal of a session leader, with that process's group in the foreground. */
  takeSession(process: Process): void {
    this.kernel = process.kernel;
    register(process.kernel, this);
    this.session = process.sid;
    this.pgrp = process.pgid;
    process.ttyDev = this.rdev;
  }

  /** disassociate_ctty: the session leader lets go (TIOCNOTTY) or exits. */
  leaveSession(exits: boolean): void {
    const { kernel, session, pgrp } = this;
    if (pgrp !== 0) {
      signalGroup(kernel, pgrp, SIGHUP);
      if (!exits) signalGroup(kernel, pgrp, SIGCONT);
    }
    this.#forget(session);
  }

  /** tty_vhangup: the other side is gone for good. */
  hangUp(): void {
    const { kernel, session } = this;
    this.hungUp = true;
    if (session !== 0) {
      for (const process of kernel?.processes.values() ?? []) {
        if (process.pid !== session || process.ttyDev !== this.rdev || process.exitStatus !== null) continue;
        sendSignal(process, SIGHUP, { code: SI_KERNEL });
        sendSignal(process, SIGCONT, { code: SI_KERNEL });
      }
      this.#forget(session);
    }
    this.wake(POLLIN | POLLRDNORM | POLLOUT | POLLWRNORM);
    this.outputWaiters.wake();
  }
  #forget(session: number): void {
    for (const process of this.kernel?.processes.values() ?? [])
      if (process.sid === session && process.ttyDev === this.rdev) process.ttyDev = 0;
    this.session = 0;
    this.pgrp = 0;
  }

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
    signalGroup(task.kernel, process.pgid, signo);
    throw sysError(errno.ERESTARTSYS);
  }
  checkRead(task: Task): void {
    this.checkForeground(task, SIGTTIN);
  }
  checkWrite(task: Task): void {
    if (this.termios.lflag & TOSTOP) this.checkForeground(task, SIGTTOU);
  }

  /** Keeps a copy of new settings. */
  protected storeTermios(next: Termios): void {
    this.termios = cloneTermios(next);
  }
}

function signalGroup(kernel: Kernel | null, pgrp: number, signo: number): void {
  for (const process of kernel?.processes.values() ?? [])
    if (process.pgid === pgrp && process.exitStatus === null) sendSignal(process, signo, { code: SI_KERNEL });
}

/** No member of the group has a parent in another group of the same session. */
function isOrphaned(kernel: Kernel, process: Process): boolean {
  for (const p of kernel.processes.values()) {
    if (p.pgid === process.pgid && p.parent && p.parent.pgid !== p.pgid && p.parent.sid === p.sid) return false;
  }
  return true;
}

/** Terminals that are or were some session's, by device number. */
const controlling = new WeakMap<Kernel, Map<number, Tty>>();

function register(kernel: Kernel, tty: Tty): void {
  let ttys = controlling.get(kernel);
  if (!ttys) {
    const made = new Map<number, Tty>();
    ttys = made;
    controlling.set(kernel, made);
    kernel.onProcessExit((process) => {
      const own = made.get(process.ttyDev);
      if (own && process.pid === process.sid && own.session === process.sid) own.leaveSession(true);
    });
  }
  ttys.set(tty.rdev, tty);
}

/** The controlling terminal of a process, or null. */
export function controllingTty(process: Process): Tty | null {
  const tty = controlling.get(process.kernel)?.get(process.ttyDev);
  return tty?.isControllingOf(process) ? tty : null;
}

/** What opening a terminal without O_NOCTTY does for a session leader that has none (tty_open_proc_set_tty). */
export function mayBecomeControlling(tty: Tty, file: TtyFile, flags: number, task: Task | undefined): void {
  if (!task || flags & O_NOCTTY || !file.readable || tty.session !== 0) return;
  const { process } = task;
  if (process.sid === process.pid && controllingTty(process) === null) tty.takeSession(process);
}
