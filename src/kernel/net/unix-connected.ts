/** AF_UNIX sockets that are connected before they carry anything: SOCK_STREAM and SOCK_SEQPACKET. */
import { errno, sysError } from '../abi/errno.ts';
import {
  type MaybePromise,
  POLLERR,
  POLLHUP,
  POLLIN,
  POLLOUT,
  POLLRDHUP,
  POLLRDNORM,
  POLLWRNORM,
} from '../fs/open-file.ts';
import type { Task } from '../task/task.ts';
import { RCV_SHUTDOWN, SEND_SHUTDOWN, SHUTDOWN_MASK, SOMAXCONN, WAKE_READ } from './constants.ts';
import { credentialsOf, type Socket } from './socket.ts';
import { UnixSocket } from './unix.ts';
import { encodeUnixName } from './unix-names.ts';

const POLLWRBAND = 0x200;

export abstract class UnixConnected extends UnixSocket {
  declare peer: UnixConnected | null;
  protected state: 'closed' | 'listen' | 'connected' = 'closed';
  /** Connections nobody has accepted yet. */
  #queue: UnixConnected[] = [];
  #backlog = 0;
  /** The other end of what `connect` makes; it takes the listener's place. */
  protected abstract sibling(): UnixConnected;

  /** socketpair(2). */
  pair(task: Task, other: UnixConnected): void {
    this.peer = other;
    other.peer = this;
    this.state = other.state = 'connected';
    this.peerCredentials = other.peerCredentials = credentialsOf(task);
  }

  override get listening(): boolean {
    return this.state === 'listen';
  }
  override listen(task: Task, backlog: number): void {
    if (!this.name || this.state === 'connected') throw sysError(errno.EINVAL);
    const more = this.state === 'listen' && backlog > this.#backlog;
    this.#backlog = Math.min(backlog >>> 0, SOMAXCONN);
    this.state = 'listen';
    this.ownCredentials = credentialsOf(task);
    if (more) this.waiters.wake();
  }
  get #full(): boolean {
    return this.#queue.length > this.#backlog;
  }

  override connect(task: Task, address: Uint8Array): MaybePromise<number> {
    const deadline = this.deadline(task, this.sendTimeout);
    const listener = this.find(task, address) as UnixConnected;
    if (listener.state !== 'listen' || listener.receiveShut) throw sysError(errno.ECONNREFUSED);
    // A full queue is met before the state of one's own (unix_stream_connect).
    if (listener.#full) {
      if (this.nonblocking) throw sysError(errno.EAGAIN);
      return this.#waitAndConnect(task, listener, address, deadline);
    }
    if (this.state === 'connected') throw sysError(errno.EISCONN);
    if (this.state !== 'closed') throw sysError(errno.EINVAL);
    return this.#join(task, listener);
  }
  async #waitAndConnect(task: Task, l: UnixConnected, address: Uint8Array, deadline: number | null): Promise<number> {
    await l.waitUntil(task, () => !l.#full || l.state !== 'listen' || l.closed, deadline);
    return this.connect(task, address);
  }
  #join(task: Task, listener: UnixConnected): number {
    if (this.passCredentials) this.autobind();
    const other = listener.sibling();
    other.name = listener.name;
    this.pair(task, other);
    this.peerCredentials = listener.ownCredentials;
    listener.#queue.push(other);
    listener.waiters.wake(WAKE_READ);
    return 0;
  }

  override waiting(): Socket | null {
    if (this.state !== 'listen' || this.receiveShut) throw sysError(errno.EINVAL);
    return this.#queue[0] ?? null;
  }
  override accepted(socket: Socket): void {
    const full = this.#full;
    this.#queue = this.#queue.filter((s) => s !== socket);
    // Those who wait to connect wait for this.
    if (full) this.waiters.wake();
  }

  override peerAddress(): Uint8Array {
    if (!this.peer) throw sysError(errno.ENOTCONN);
    return encodeUnixName(this.peer.name);
  }

  override shutdown(how: number): void {
    const bits = how + 1;
    this.shut |= bits;
    const { peer } = this;
    if (peer && !peer.closed) {
      peer.shut |= (bits & RCV_SHUTDOWN ? SEND_SHUTDOWN : 0) | (bits & SEND_SHUTDOWN ? RCV_SHUTDOWN : 0);
      peer.waiters.wake();
    }
    this.waiters.wake();
  }

  /** Something lies here that the other side sent and nobody read. */
  protected abstract readonly unread: boolean;
  protected abstract discard(): void;

  protected override closing(): void {
    for (const embryo of this.#queue) embryo.#orphan();
    this.#queue = [];
    this.#hangUp(this.unread);
    if (this.state === 'listen') this.waiters.wake();
    this.state = 'closed';
    this.discard();
  }
  /** A connection that was never accepted. */
  #orphan(): void {
    this.closed = true;
    this.net.sockets.delete(this);
    this.#hangUp(true);
    this.discard();
  }
  #hangUp(reset: boolean): void {
    const { peer } = this;
    if (!peer || peer.closed) return;
    peer.shut = SHUTDOWN_MASK;
    if (reset) peer.error = errno.ECONNRESET;
    peer.waiters.wake();
  }

  override poll(): number {
    let bits = 0;
    if (this.error !== 0) bits |= POLLERR;
    if (this.shut === SHUTDOWN_MASK) bits |= POLLHUP;
    if (this.receiveShut) bits |= POLLRDHUP | POLLIN | POLLRDNORM;
    if (this.unread || this.#queue.length > 0) bits |= POLLIN | POLLRDNORM;
    if (this.state === 'closed') bits |= POLLHUP;
    if (this.state !== 'listen' && this.roomToPoll()) bits |= POLLOUT | POLLWRNORM | POLLWRBAND;
    return bits;
  }
  protected get connected(): boolean {
    return this.state === 'connected';
  }
}
