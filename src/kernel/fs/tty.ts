/**
 * The guest's terminal: the host's, with settings, job control and window size of its own. While the guest keeps the
 * default settings the host edits lines, echoes and sends signals; with others the host is put into raw mode and the line
 * discipline here does all that (line-discipline.ts).
 */
import { errno, sysError } from '../abi/errno.ts';
import { SIGWINCH } from '../abi/signals.ts';
import type { Kernel } from '../kernel.ts';
import type { Process } from '../task/process.ts';
import type { Task } from '../task/task.ts';
import { HostTerminalPort, type TerminalPort } from './host-terminal.ts';
import type { SetAttr, Stat } from './inode.ts';
import { LineDiscipline } from './line-discipline.ts';
import { O_RDWR, type OpenFile, POLLIN, POLLRDNORM } from './open-file.ts';
import { DEVPTS_SUPER_MAGIC, makedev, PseudoFs, PseudoInode } from './pseudo.ts';
import { cloneTermios, defaultTermios, differsFromDefault, ONLCR, OPOST, type Termios } from './termios.ts';
import { controllingTty, mayBecomeControlling, Tty, type WindowSize } from './tty-device.ts';
import * as fs from 'node:fs';

export { TtyFile } from './tty-file.ts';

const terminals = new WeakMap<Kernel, Terminal>();
/** For opens that do not say on whose behalf they are made. */
let lastAttached: Terminal | null = null;

export class Terminal extends Tty {
  readonly port: TerminalPort;
  readonly inode: TtyInode;
  #rawHost = false;
  #outputPlain = false;
  #suspended = false;
  #size: WindowSize | null = null;
  readonly #discipline: LineDiscipline;

  constructor(port: TerminalPort) {
    super(defaultTermios());
    this.port = port;
    this.inode = new TtyInode(this);
    this.#discipline = new LineDiscipline(this.termios, {
      echo: (bytes) => this.port.write(bytes),
      signal: (signo) => this.signalForeground(signo),
      stopped: (on) => this.setOutputStopped(on),
    });
  }

  override get rdev(): number {
    return this.port.stat().rdev;
  }
  override get path(): string {
    return this.port.path;
  }
  /** The line discipline of this kernel is in use, not the host's. */
  get emulated(): boolean {
    return this.#rawHost;
  }

  /** Makes it the controlling terminal of the first process's session, with that process's group in the foreground. */
  attach(process: Process): void {
    terminals.set(process.kernel, this);
    lastAttached = this;
    this.takeSession(process);
    this.port.onResize(() => {
      this.#size = null;
      this.signalForeground(SIGWINCH);
    });
  }

  // Settings.

  override setTermios(next: Termios, drop: boolean): void {
    if (drop) this.flushInput();
    // Unread input of the emulated discipline survives a change of mode.
    if (this.#rawHost) this.#pump();
    this.termios = cloneTermios(next);
    this.#discipline.set(this.termios);
    this.#applyToHost();
    this.wake(POLLIN | POLLRDNORM);
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
    if (!this.#suspended) return;
    this.#suspended = false;
    this.#applyToHost();
  }

  override get size(): WindowSize {
    this.#size ??= { ...this.port.size(), xpixel: 0, ypixel: 0 };
    return this.#size;
  }
  /** What the guest sees until the host's window changes. */
  protected override storeSize(size: WindowSize): void {
    this.#size = size;
  }

  // Input.

  /** Raw host: every key is taken when it comes, so that ^C works while nobody reads. */
  #listen(): void {
    this.port.reader.watch(() => {
      if (this.#rawHost) this.#pump();
      this.wake(POLLIN | POLLRDNORM);
      if (this.#rawHost || this.port.reader.ready() === null) this.#listenIfAwaited();
    });
  }
  /** Raw: always. Cooked: while somebody waits, also for edges (epoll). */
  #listenIfAwaited(): void {
    if (this.#rawHost || [...this.files].some((file) => !file.waiters.empty)) this.#listen();
  }
  #pump(): void {
    const scratch = new Uint8Array(1024);
    for (let n = this.port.reader.read(scratch); n; n = this.port.reader.read(scratch)) {
      this.#discipline.input(scratch.subarray(0, n));
    }
  }

  override take(dst: Uint8Array): number | null {
    if (this.#rawHost) this.#pump();
    // What was typed while the host was raw comes before what the host still holds.
    const own = this.#discipline.take(dst);
    if (own !== null || this.#rawHost) return own;
    const n = this.port.reader.read(dst);
    this.#listenIfAwaited();
    return n;
  }
  override inputState(min: number): 'data' | 'eof' | null {
    if (this.#rawHost) this.#pump();
    if (this.#discipline.readable(min)) return 'data';
    return this.#rawHost ? null : this.port.reader.ready();
  }
  override watchInput(): void {
    this.#listen();
  }
  override unwatchInput(): void {
    if (!this.#rawHost) this.port.reader.unwatch();
  }
  override get availableInput(): number {
    if (this.#rawHost) this.#pump();
    return this.#discipline.available + (this.#rawHost ? 0 : this.port.reader.available());
  }
  override flushInput(): void {
    this.#discipline.flush();
    this.port.reader.flush();
  }
  override write(bytes: Uint8Array): number {
    return this.port.write(bytes);
  }
}

const hostTerminals = new PseudoFs('devpts', makedev(0, 23), DEVPTS_SUPER_MAGIC);

/** /dev/pts/N of the host's terminal. */
export class TtyInode extends PseudoInode {
  readonly #terminal: Terminal;
  constructor(terminal: Terminal) {
    super({ fs: hostTerminals, mode: 0o020620 });
    this.#terminal = terminal;
  }
  override stat(): Stat {
    return this.#terminal.port.stat();
  }
  override open(flags: number, task?: Task): OpenFile {
    const file = this.#terminal.open(flags);
    mayBecomeControlling(this.#terminal, file, flags, task);
    return file;
  }
  override setattr(attr: SetAttr): void {
    // Times and O_TRUNC mean nothing here; owner and mode are the host's.
    if (attr.mode !== undefined || attr.uid !== undefined || attr.gid !== undefined) throw sysError(errno.EPERM);
  }
}

/** The host's terminal of a run, or null. */
export const terminalOf = (kernel: Kernel): Terminal | null => terminals.get(kernel) ?? null;

/** open("/dev/tty"): the controlling terminal of the caller. Throws ENXIO without one. */
export function openControllingTerminal(flags: number, task?: Task): OpenFile {
  const tty = task ? (controllingTty(task.process) ?? hostControllingTerminal(task)) : lastAttached;
  if (!tty || (task && !tty.isControllingOf(task.process))) throw sysError(errno.ENXIO);
  const file = tty.open(flags);
  file.path = '/dev/tty';
  return file;
}

/** The host's controlling terminal when none of the standard descriptors is a terminal; the first process gets it. */
function hostControllingTerminal(task: Task): Terminal | null {
  const { init } = task.kernel;
  if (!init || init !== task.process || terminals.has(task.kernel) || process.platform === 'win32') return null;
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
