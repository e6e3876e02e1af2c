/**
 * One TCP connection of the host's, on node:net. Where the handle behind a socket offers it, bytes take a short way around
 * Node's streams: all sockets read into one buffer, and what the system takes at once is written from guest memory.
 */
import { writeSync } from 'node:fs';
import type { Socket } from 'node:net';
import { errno } from '../kernel/abi/errno.ts';
import type { HostStream, HostStreamEvents } from '../kernel/net/host-network.ts';

/** How long a connection that the guest has closed waits for its peer to close. */
const LINGER_MS = 60_000;
/** What is read at once. */
const READ_SIZE = 65_536;
/** Written for its callback, which comes when what went before has left. */
const NOTHING = Buffer.alloc(0);

/** A host error's name as a Linux number. */
export function errorNumber(e: NodeJS.ErrnoException): number {
  const known = e.code === undefined ? undefined : (errno as Readonly<Record<string, number>>)[e.code];
  if (known !== undefined) return known;
  return e.code === 'ENOTFOUND' ? errno.EHOSTUNREACH : errno.EIO;
}

/** What is used of a socket's handle. Node documents none of it: without any part, its streams serve. */
interface Handle {
  readonly fd: number;
  /** Bytes read since it was opened. */
  readonly bytesRead: number;
  reading: boolean;
  /** Called after each read, at the end, and for an error. */
  onread: (this: Handle, data: ArrayBuffer | undefined) => void;
  readStart(): number;
  readStop(): number;
  /** Reads go into `buffer`. */
  useUserBuffer(buffer: Uint8Array): void;
}

function handleOf(socket: Socket): Handle | null {
  const { _handle: handle } = socket as unknown as { _handle: Partial<Handle> | null };
  if (!handle || !(typeof handle.fd === 'number' && handle.fd >= 0)) return null;
  const known =
    typeof handle.bytesRead === 'number' &&
    typeof handle.onread === 'function' &&
    typeof handle.readStart === 'function' &&
    typeof handle.readStop === 'function' &&
    typeof handle.useUserBuffer === 'function';
  return known ? (handle as Handle) : null;
}

/** Each chunk is taken out of it before the next is read. */
let readBuffer: Buffer | null = null;

export class NodeStream implements HostStream {
  readonly #socket: Socket;
  readonly #open: Set<NodeStream>;
  readonly #gather: () => void;
  #events: HostStreamEvents | null;
  /** Null: Node's streams read and write. */
  #handle: Handle | null = null;
  #fd = -1;
  #ended = false;
  #timer: NodeJS.Timeout | null = null;
  /** `written` is due when the host has taken what it holds. */
  #watching = false;
  /** Bytes that went around the stream. */
  #direct = 0;
  #noDelay: boolean | null = null;
  #keepAlive: number | null = null;

  /** `gather` is called before each event with data. */
  constructor(socket: Socket, events: HostStreamEvents, open: Set<NodeStream>, gather: () => void) {
    this.#socket = socket;
    this.#events = events;
    this.#open = open;
    this.#gather = gather;
    open.add(this);
    if (socket.connecting) socket.once('connect', () => this.#read());
    else this.#read();
    socket.on('end', () => {
      gather();
      this.#events?.end();
      if (this.#ended && this.#timer) this.#forget();
    });
    socket.on('error', (e) => {
      const told = this.#events;
      this.#forget();
      told?.failed(errorNumber(e));
    });
    socket.on('close', () => this.#forget());
  }

  /** The connection is there. */
  #read(): void {
    const socket = this.#socket;
    const handle = handleOf(socket);
    if (!handle) {
      socket.on('data', (chunk: Buffer) => this.#arrived(chunk));
      return;
    }
    this.#handle = handle;
    this.#fd = handle.fd;
    const buffer = (readBuffer ??= Buffer.allocUnsafeSlow(READ_SIZE));
    handle.useUserBuffer(buffer);
    const { onread } = handle;
    let before = handle.bytesRead;
    handle.onread = (data): void => {
      const now = handle.bytesRead;
      if (now === before) {
        // The end, or an error: the stream deals with it.
        onread.call(handle, data);
        return;
      }
      this.#arrived(buffer.subarray(0, now - before));
      before = now;
    };
    // Only the end comes this way.
    socket.resume();
  }
  #arrived(chunk: Uint8Array): void {
    this.#gather();
    this.#events?.data(chunk);
  }

  #forget(): void {
    this.#events = null;
    this.#handle = null;
    this.#open.delete(this);
    if (this.#timer) clearTimeout(this.#timer);
    this.#timer = null;
  }
  get held(): number {
    return this.#socket.writableLength;
  }
  /** Bytes given to the system or held. */
  get sent(): number {
    return this.#socket.bytesWritten + this.#direct;
  }
  get finished(): boolean {
    return this.#socket.destroyed || (this.#socket.writableFinished && this.held === 0) || !this.#ended;
  }

  write(data: Uint8Array): void {
    const done = this.#handle && this.held === 0 ? this.#writeNow(data) : 0;
    if (done === data.length) return;
    const copy = Buffer.allocUnsafe(data.length - done);
    copy.set(done === 0 ? data : data.subarray(done));
    // Most of the time the system takes it all at once, and nobody need be told.
    this.#socket.write(copy);
    if (this.#watching || this.held === 0) return;
    this.#watching = true;
    this.#socket.write(NOTHING, (e) => {
      this.#watching = false;
      if (!e) this.#events?.written();
    });
  }
  /** Bytes that the system takes at once; all when the connection is broken, which the stream will tell. */
  #writeNow(data: Uint8Array): number {
    const socket = this.#socket;
    // The descriptor is closed with the handle, and its number may be another file's by now.
    if (this.#ended || socket.destroyed) return 0;
    try {
      const n = writeSync(this.#fd, data, 0, data.length);
      this.#direct += n;
      return n;
    } catch (e) {
      if ((e as NodeJS.ErrnoException).code === 'EAGAIN') return 0;
      socket.destroy(e as Error);
      return data.length;
    }
  }
  end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#socket.end();
  }
  release(): void {
    this.#timer = setTimeout(() => this.destroy(false), LINGER_MS);
    this.#timer.unref();
    // A peer that has something to say is heard, to be told that nobody listens.
    this.resume();
  }
  pause(): void {
    this.#setReading(false);
  }
  resume(): void {
    this.#setReading(true);
  }
  #setReading(on: boolean): void {
    const handle = this.#handle;
    if (!handle) {
      if (on) this.#socket.resume();
      else this.#socket.pause();
      return;
    }
    if (handle.reading === on || this.#socket.destroyed) return;
    handle.reading = on;
    const failed = on ? handle.readStart() : handle.readStop();
    if (failed) this.#socket.destroy(new Error(`reading of a connection cannot be turned ${on ? 'on' : 'off'}`));
  }
  destroy(reset: boolean): void {
    this.#forget();
    this.#socket.on('error', () => undefined);
    if (reset) this.#socket.resetAndDestroy();
    else this.#socket.destroy();
  }
  setNoDelay(on: boolean): void {
    if (on === this.#noDelay) return;
    this.#noDelay = on;
    this.#socket.setNoDelay(on);
  }
  setKeepAlive(on: boolean, delaySeconds: number): void {
    const wanted = on ? delaySeconds : 0;
    if (wanted === this.#keepAlive) return;
    this.#keepAlive = wanted;
    this.#socket.setKeepAlive(on, delaySeconds * 1000);
  }
}
