/**
 * Reading from a host descriptor that may have nothing to give yet, without blocking the event loop and without a
 * blocked thread of the host's pool (which would keep the process from exiting).
 */
import * as fs from 'node:fs';
import type * as net from 'node:net';
import type * as tty from 'node:tty';
import { netModule, ttyModule } from './host-tty-module.ts';
import { hostError } from './host-error.ts';
import { HOST_CHUNK, isHostCode, reopenHostFd } from './host-fd.ts';
import { O_NONBLOCK, O_RDONLY } from './open-file.ts';

export interface HostReader {
  /** Bytes read, 0 at the end of the file, null when there is nothing yet. Throws SysError. */
  read(dst: Uint8Array): number | null;
  /** Whether `read` would give bytes, or report the end (`eof`). */
  ready(): 'data' | 'eof' | null;
  /** Bytes that have been read from the host but not by the guest, after taking what the host has. */
  available(): number;
  /** Calls `onReady` once when `ready` may have become true, perhaps in vain. Keeps the event loop alive until then. */
  watch(onReady: () => void): void;
  unwatch(): void;
  /** Drops what has been read ahead. */
  flush(): void;
  close(): void;
}

/** A stream that reads one byte at a time when told to resume. */
type Watcher = net.Socket;

/**
 * Over a description of its own with O_NONBLOCK: reads are synchronous, and readiness is learnt from a libuv stream that
 * takes a single byte, so that no more than that is taken from other readers of the same pipe.
 */
export class NonblockingReader implements HostReader {
  readonly #fd: number;
  readonly #makeWatcher: (onByte: (byte: number) => void, onEnd: () => void) => Watcher | null;
  /** Decides whether a read goes on behind bytes read ahead; a terminal's line must not be joined with the next. */
  readonly #goesOn: (lastByte: number) => boolean;
  #ahead: Uint8Array = new Uint8Array(0);
  #eof = false;
  #watcher: Watcher | null = null;
  #onReady: (() => void) | null = null;

  constructor(
    fd: number,
    makeWatcher: (onByte: (byte: number) => void, onEnd: () => void) => Watcher | null,
    goesOn: (lastByte: number) => boolean = () => true,
  ) {
    this.#fd = fd;
    this.#makeWatcher = makeWatcher;
    this.#goesOn = goesOn;
  }

  #readHost(dst: Uint8Array): number | null {
    try {
      return fs.readSync(this.#fd, dst, 0, Math.min(dst.length, HOST_CHUNK), null);
    } catch (e) {
      if (isHostCode(e, 'EAGAIN')) return null;
      if (isHostCode(e, 'EOF')) return 0;
      throw hostError(e);
    }
  }

  read(dst: Uint8Array): number | null {
    if (this.#ahead.length > 0) {
      const part = this.#ahead.subarray(0, dst.length);
      dst.set(part);
      this.#ahead = this.#ahead.subarray(part.length);
      if (this.#ahead.length > 0 || part.length === dst.length || !this.#goesOn(part[part.length - 1]!))
        return part.length;
      const more = this.#readHost(dst.subarray(part.length));
      return part.length + (more ?? 0);
    }
    if (this.#eof) {
      this.#eof = false;
      return 0;
    }
    return this.#readHost(dst);
  }

  ready(): 'data' | 'eof' | null {
    if (this.#ahead.length > 0) return 'data';
    if (this.#eof) return 'eof';
    const byte = new Uint8Array(1);
    const n = this.#readHost(byte);
    if (n === null) return null;
    if (n === 0) {
      this.#eof = true;
      return 'eof';
    }
    this.#ahead = byte;
    return 'data';
  }

  available(): number {
    const room = HOST_CHUNK - this.#ahead.length;
    if (room > 0 && !this.#eof) {
      const more = new Uint8Array(room);
      const n = this.#readHost(more);
      if (n === 0 && this.#ahead.length === 0) this.#eof = true;
      if (n) this.#ahead = Buffer.concat([this.#ahead, more.subarray(0, n)]);
    }
    return this.#ahead.length;
  }

  watch(onReady: () => void): void {
    this.#onReady = onReady;
    this.#watcher ??= this.#makeWatcher(
      (byte) => {
        this.#ahead = Buffer.concat([this.#ahead, Uint8Array.of(byte)]);
        this.#tell();
      },
      () => {
        this.#watcher = null;
        this.#eof = true;
        this.#tell();
      },
    );
    this.#watcher?.resume();
  }
  #tell(): void {
    const tell = this.#onReady;
    this.#onReady = null;
    tell?.();
  }
  unwatch(): void {
    this.#onReady = null;
    this.#watcher?.pause();
  }
  flush(): void {
    this.#ahead = new Uint8Array(0);
    const scratch = new Uint8Array(4096);
    for (let n = this.#readHost(scratch); n; n = this.#readHost(scratch));
  }
  close(): void {
    this.unwatch();
    this.#watcher?.destroy();
    fs.closeSync(this.#fd);
  }
}

/** Options that make a libuv stream give one byte and then wait to be resumed. */
export function oneByte(onByte: (byte: number) => void): {
  buffer: Uint8Array;
  callback: (n: number, buf: Uint8Array) => boolean;
} {
  return {
    buffer: new Uint8Array(1),
    callback: (n, buf) => {
      if (n > 0) onByte(buf[0]!);
      return false;
    },
  };
}

/** A watcher for a pipe, over one more description of it. */
export function pipeWatcher(fd: number): (onByte: (byte: number) => void, onEnd: () => void) => Watcher | null {
  return (onByte, onEnd) => {
    const own = reopenHostFd(fd, O_RDONLY | O_NONBLOCK);
    if (own === null) return null;
    const socket = new (netModule().Socket)({ fd: own, readable: true, writable: false, onread: oneByte(onByte) });
    return endOnce(socket, onEnd);
  };
}

/** A watcher for a terminal. libuv opens the terminal anew, so the descriptor given is not touched. */
export function ttyWatcher(fd: number): (onByte: (byte: number) => void, onEnd: () => void) => tty.ReadStream | null {
  return (onByte, onEnd) => {
    const options = { onread: oneByte(onByte) } as unknown as net.SocketConstructorOpts;
    return endOnce(new (ttyModule().ReadStream)(fd, options), onEnd);
  };
}

function endOnce<T extends Watcher>(stream: T, onEnd: () => void): T {
  let ended = false;
  const end = (): void => {
    if (ended) return;
    ended = true;
    stream.destroy();
    onEnd();
  };
  stream.on('end', end);
  stream.on('error', end);
  stream.on('close', end);
  return stream;
}

/** Over a Node stream: for sockets, and for hosts where a description cannot be opened anew. Reads ahead. */
export class StreamReader implements HostReader {
  readonly #stream: NodeJS.ReadStream | net.Socket;
  #ahead: Uint8Array = new Uint8Array(0);
  #ended = false;
  #onReady: (() => void) | null = null;

  constructor(fd: number) {
    this.#stream = fd === 0 ? process.stdin : new (netModule().Socket)({ fd, readable: true, writable: false });
    // Not only once: `readable` comes at the end, too, before `end`.
    const tell = (): void => this.#onReady?.();
    const end = (): void => {
      this.#ended = true;
      tell();
    };
    this.#stream.on('readable', tell);
    this.#stream.on('end', end);
    this.#stream.on('error', end);
    this.#stream.on('close', end);
  }
  #fill(): void {
    if (this.#ahead.length > 0) return;
    const chunk = this.#stream.read() as Uint8Array | null;
    if (chunk) this.#ahead = chunk;
  }
  read(dst: Uint8Array): number | null {
    this.#fill();
    if (this.#ahead.length === 0) return this.#ended ? 0 : null;
    const part = this.#ahead.subarray(0, dst.length);
    dst.set(part);
    this.#ahead = this.#ahead.subarray(part.length);
    return part.length;
  }
  ready(): 'data' | 'eof' | null {
    this.#fill();
    return this.#ahead.length > 0 ? 'data' : this.#ended ? 'eof' : null;
  }
  available(): number {
    this.#fill();
    return this.#ahead.length;
  }
  watch(onReady: () => void): void {
    this.#onReady = onReady;
  }
  unwatch(): void {
    this.#onReady = null;
  }
  flush(): void {
    this.#fill();
    this.#ahead = new Uint8Array(0);
  }
  close(): void {
    this.unwatch();
    if (this.#stream !== process.stdin) this.#stream.destroy();
  }
}
