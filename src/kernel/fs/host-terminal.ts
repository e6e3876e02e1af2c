/** The host's terminal, reduced to what the kernel's terminal needs of it. Tests put another one in its place. */
import * as fs from 'node:fs';
import type * as tty from 'node:tty';
import { ttyModule } from './host-tty-module.ts';
import { hostError } from './host-error.ts';
import { hostFdName, hostStat, isHostCode, reopenHostFd } from './host-fd.ts';
import { type HostReader, NonblockingReader, StreamReader, ttyWatcher } from './host-reader.ts';
import type { Stat } from './inode.ts';
import { O_NOCTTY, O_NONBLOCK, O_RDWR } from './open-file.ts';

export interface TerminalPort {
  /** Path of the terminal in the guest, e.g. /dev/pts/3; empty when unknown. */
  readonly path: string;
  readonly reader: HostReader;
  stat(): Stat;
  /** Writes everything; the host may block. */
  write(bytes: Uint8Array): number;
  /** Raw: the host passes every key on as it is, without echo. Cooked: as it was at the start. */
  setRaw(raw: boolean): void;
  /** Whether the host turns newlines into CR LF. Only tried while raw. */
  setOutputProcessing(on: boolean): void;
  size(): { rows: number; columns: number };
  /** Calls back when the size has changed. */
  onResize(listener: () => void): void;
}

const NEWLINE = 10;

export class HostTerminalPort implements TerminalPort {
  readonly fd: number;
  readonly path: string;
  #reader: HostReader | null = null;
  #rawStream: tty.ReadStream | null = null;
  #sizeStream: tty.WriteStream | null = null;
  #raw = false;

  constructor(fd: number) {
    this.fd = fd;
    this.path = hostFdName(fd);
  }

  get reader(): HostReader {
    if (!this.#reader) {
      const own = reopenHostFd(this.fd, O_RDWR | O_NOCTTY | O_NONBLOCK);
      this.#reader =
        own === null
          ? new StreamReader(this.fd)
          : // A cooked terminal gives one line a read: what follows a newline is the next one.
            new NonblockingReader(own, ttyWatcher(own), (last) => this.#raw || last !== NEWLINE);
    }
    return this.#reader;
  }
  stat(): Stat {
    return hostStat(this.fd);
  }
  write(bytes: Uint8Array): number {
    for (;;) {
      try {
        return fs.writeSync(this.fd, bytes);
      } catch (e) {
        // Another process has set the terminal non-blocking: it takes a moment, but only a moment.
        if (!isHostCode(e, 'EAGAIN')) throw hostError(e);
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1);
      }
    }
  }

  setRaw(raw: boolean): void {
    if (raw === this.#raw) return;
    this.#raw = raw;
    this.#rawStream ??=
      this.fd === 0 && process.stdin instanceof ttyModule().ReadStream
        ? process.stdin
        : new (ttyModule().ReadStream)(this.fd);
    this.#rawStream.setRawMode(raw);
  }
  setOutputProcessing(on: boolean): void {
    if (!this.#raw || process.platform === 'win32') return;
    // Node's raw mode leaves output processing on; stty is the only way to the flag. Without it lines are stepped.
    process
      .getBuiltinModule('node:child_process')
      .spawnSync('stty', [on ? 'opost' : '-opost'], { stdio: [this.fd, 'ignore', 'ignore'] });
  }

  #sizes(): tty.WriteStream {
    this.#sizeStream ??= process.stdout.isTTY ? process.stdout : new (ttyModule().WriteStream)(this.fd);
    return this.#sizeStream;
  }
  size(): { rows: number; columns: number } {
    const [columns, rows] = this.#sizes().getWindowSize();
    return { rows: rows || 0, columns: columns || 0 };
  }
  onResize(listener: () => void): void {
    process.on('SIGWINCH', () => {
      // Only process.stdout and process.stderr follow the signal by themselves.
      (this.#sizes() as unknown as { _refreshSize?: () => void })._refreshSize?.();
      listener();
    });
  }
}
