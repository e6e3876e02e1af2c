/** A terminal whose keyboard and screen are the test's. The host side echoes and edits nothing. */
import type { HostReader } from '../../../src/kernel/fs/host-reader.ts';
import type { TerminalPort } from '../../../src/kernel/fs/host-terminal.ts';
import type { Stat } from '../../../src/kernel/fs/inode.ts';

const RDEV = (136 << 8) | 3;

export class FakePort implements TerminalPort {
  readonly path = '/dev/pts/3';
  screen = '';
  raw = false;
  outputProcessing = true;
  rows = 24;
  columns = 80;
  #chunks: Buffer[] = [];
  #watcher: (() => void) | null = null;
  #resized: (() => void) | null = null;

  /** What the host hands over: keys when raw, whole lines when cooked; '' is end of file. */
  type(text: string): void {
    this.#chunks.push(Buffer.from(text, 'latin1'));
    const watcher = this.#watcher;
    this.#watcher = null;
    watcher?.();
  }
  resize(rows: number, columns: number): void {
    this.rows = rows;
    this.columns = columns;
    this.#resized?.();
  }

  readonly reader: HostReader = {
    read: (dst) => {
      const chunk = this.#chunks.shift();
      if (!chunk) return null;
      const n = Math.min(dst.length, chunk.length);
      dst.set(chunk.subarray(0, n));
      if (n < chunk.length) this.#chunks.unshift(chunk.subarray(n));
      return n;
    },
    ready: () => (this.#chunks.length === 0 ? null : this.#chunks[0]!.length === 0 ? 'eof' : 'data'),
    available: () => this.#chunks.reduce((n, c) => n + c.length, 0),
    watch: (onReady) => {
      this.#watcher = onReady;
    },
    unwatch: () => {
      this.#watcher = null;
    },
    flush: () => {
      this.#chunks = [];
    },
    close: () => undefined,
  };
  stat(): Stat {
    const t = { sec: 0, nsec: 0 };
    return {
      dev: 24,
      ino: 6,
      mode: 0o020620,
      nlink: 1,
      uid: 1000,
      gid: 5,
      rdev: RDEV,
      size: 0,
      blksize: 1024,
      blocks: 0,
      atime: t,
      mtime: t,
      ctime: t,
    };
  }
  write(bytes: Uint8Array): number {
    this.screen += Buffer.from(bytes).toString('latin1');
    return bytes.length;
  }
  setRaw(raw: boolean): void {
    this.raw = raw;
  }
  setOutputProcessing(on: boolean): void {
    this.outputProcessing = on;
  }
  size(): { rows: number; columns: number } {
    return { rows: this.rows, columns: this.columns };
  }
  onResize(listener: () => void): void {
    this.#resized = listener;
  }
}
