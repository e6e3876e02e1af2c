/**
 * TCP (tcp(7)). A connection inside the guest is two sockets that push into each other's queues; one with the outside is
 * a socket and a `TcpPeer` that stands for the host's connection. States and error codes follow net/ipv4/tcp.c; there
 * are no segments, and so no retransmission and no TIME_WAIT.
 */
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
import { after } from '../mm/promise.ts';
import type { Task } from '../task/task.ts';
import { ByteQueue } from './byte-queue.ts';
import {
  AF_INET6,
  AF_UNSPEC,
  IPPROTO_TCP,
  MSG,
  RCV_SHUTDOWN,
  SEND_SHUTDOWN,
  SHUTDOWN_MASK,
  SOCK_STREAM,
  WAKE_READ,
  WAKE_WRITE,
} from './constants.ts';
import { InetSocket } from './inet.ts';
import { ANY6, destinationOf, type Endpoint, isAny, isBroadcast, isMulticast } from './ip.ts';
import type { Network } from './network.ts';
import { lingerSeconds, type OptionValue } from './options.ts';
import type { PortTable } from './ports.ts';
import { encodeEndpoint, familyOf } from './sockaddr.ts';
import type { Incoming, Outgoing, Socket } from './socket.ts';
import { HostPeer } from './tcp-host.ts';
import { Backlog } from './tcp-backlog.ts';
import { getTcpOption, setTcpOption, type TcpOptions, tcpDefaults } from './tcp-options.ts';
import type { TcpPeer } from './tcp-peer.ts';

/** net.ipv4.tcp_wmem and tcp_rmem: the defaults, and what a connection's send buffer grows to. */
const SEND_DEFAULT = 16384;
const RECEIVE_DEFAULT = 131_072;
const SEND_GROWN = 2_626_560;

export type TcpState = 'closed' | 'listen' | 'connecting' | 'connected';

export class TcpSocket extends InetSocket implements TcpPeer {
  readonly type = SOCK_STREAM;
  readonly protocol = IPPROTO_TCP;
  state: TcpState = 'closed';
  /** A connect(2) has begun whose end nobody has been told (SS_CONNECTING). */
  #connectPending = false;
  /** A connection was there, even if it broke since (SS_CONNECTED). */
  #joined = false;
  peer: TcpPeer | null = null;
  readonly #received = new ByteQueue();
  /** FIN has come: reads end with 0, whatever error follows (SOCK_DONE). */
  #finished = false;
  /** shutdown(SHUT_WR) or close has sent FIN. */
  #finSent = false;
  /** The description is closed; the socket lives on as its peer's other end. */
  orphan = false;
  /** The sender has been told that there is no room, and wants to hear of some. */
  #wantsRoom = false;
  tcp: TcpOptions = { ...tcpDefaults };
  /** Of a listener. */
  readonly #backlog = new Backlog();
  /** Bytes in and out, for TCP_INFO. */
  bytesReceived = 0;
  bytesSent = 0;

  constructor(net: Network, domain: number, task: Task | null, flags: number) {
    super(net, domain, task, flags);
    this.sendBuffer = SEND_DEFAULT;
    this.receiveBuffer = RECEIVE_DEFAULT;
  }
  protected override get ports(): PortTable {
    return this.net.tcp;
  }
  protected override get mayBind(): boolean {
    return this.state === 'closed';
  }

  // Listening.

  override get listening(): boolean {
    return this.state === 'listen';
  }
  override listen(_task: Task, backlog: number): MaybePromise<void> {
    if (this.state !== 'closed' && this.state !== 'listen') throw sysError(errno.EINVAL);
    const grown = this.state === 'listen';
    if (!grown) {
      if (this.#connectPending) throw sysError(errno.EINVAL);
      if (!this.bound) this.#autobindToListen();
      this.ports.checkListen(this);
    }
    this.#backlog.limit = backlog;
    if (grown) return;
    this.state = 'listen';
    return this.net.publisher.listening(this.bound!.port);
  }
  #autobindToListen(): void {
    try {
      this.autobind();
    } catch {
      throw sysError(errno.EADDRINUSE);
    }
  }
  get backlog(): number {
    return this.#backlog.limit;
  }
  get queued(): number {
    return this.#backlog.length;
  }
  override waiting(): Socket | null {
    if (this.state !== 'listen') throw sysError(errno.EINVAL);
    return this.#backlog.first;
  }
  override accepted(socket: Socket): void {
    this.#backlog.remove(socket);
  }
  /** Runs `join` now, or when the queue of connections has room. */
  whenRoom(join: () => void): void {
    this.#backlog.whenRoom(join);
  }
  /** A connection to this listener, not yet accepted: the guest's end of it. */
  newConnection(local: Endpoint, remote: Endpoint): TcpSocket {
    const child = new TcpSocket(this.net, this.domain, null, 0);
    child.inherit(this);
    child.#joined = true;
    child.shut = this.shut;
    child.bound = local;
    child.remote = remote;
    child.ports.share(child);
    return child;
  }
  protected inherit(listener: TcpSocket): void {
    for (const [key, value] of listener.options) this.options.set(key, value);
    this.tcp = { ...listener.tcp };
    this.v6only = listener.v6only;
    this.reuseAddress = listener.reuseAddress;
    this.reusePort = listener.reusePort;
    this.lowWater = listener.lowWater;
    this.receiveTimeout = listener.receiveTimeout;
    this.sendTimeout = listener.sendTimeout;
    this.sendBuffer = listener.sendBuffer;
    this.receiveBuffer = listener.receiveBuffer;
    this.sendBufferLocked = listener.sendBufferLocked;
    this.receiveBufferLocked = listener.receiveBufferLocked;
  }
  /** Puts a connection into the queue. */
  enqueue(child: TcpSocket, peer: TcpPeer): void {
    child.establish(peer);
    this.#backlog.push(child);
    this.waiters.wake(WAKE_READ);
  }
  #stopListening(): void {
    this.state = 'closed';
    const { queue, pending } = this.#backlog.clear();
    for (const child of queue) child.abandon();
    // Each finds nobody listening.
    for (const join of pending) join();
    this.net.publisher.stopped(this.bound?.port ?? 0);
  }
  /** Never accepted, and never will be. */
  protected abandon(): void {
    this.peer?.reset();
    this.#dispose();
  }

  // Connecting.

  override connect(task: Task, address: Uint8Array): MaybePromise<number> {
    if (familyOf(address) === AF_UNSPEC) {
      this.#disconnect();
      return 0;
    }
    if (this.#connectPending) return this.#goOnConnecting(task);
    if (this.state === 'listen' || this.#joined) {
      this.decode(address);
      throw sysError(errno.EISCONN);
    }
    const to = destinationOf(this.decode(address));
    if (isMulticast(to.address) || isBroadcast(to.address)) throw sysError(errno.ENETUNREACH);
    this.#begin(to);
    return this.#goOnConnecting(task, true);
  }
  /** Sends the SYN: afterwards connecting, connected, or closed with an error. */
  #begin(to: Endpoint): void {
    const source = this.sourceFor(to.address);
    if (!this.bound) {
      try {
        this.autobind();
      } catch {
        throw sysError(errno.EADDRNOTAVAIL);
      }
    }
    this.bound = { address: source, port: this.bound!.port };
    this.#checkUnique(to);
    this.remote = to;
    this.state = 'connecting';
    this.#connectPending = true;
    if (this.net.viaHost(to, this.net.tcp)) {
      this.peer = HostPeer.connect(this.net.host!, this, to);
      return;
    }
    this.#joinLocal(to);
  }
  /** No two connections have all four numbers in common. */
  #checkUnique(to: Endpoint): void {
    const { address, port } = this.bound!;
    for (const s of this.ports.at(port) ?? []) {
      if (s === this || !s.remote || s.bound!.address !== address) continue;
      if (s.remote.address === to.address && s.remote.port === to.port) throw sysError(errno.EADDRNOTAVAIL);
    }
  }
  #joinLocal(to: Endpoint): void {
    const listener = this.net.tcpListener(to);
    if (!listener) {
      this.fail(errno.ECONNREFUSED);
      return;
    }
    listener.whenRoom(() => {
      if (this.state !== 'connecting' || this.remote !== to) return;
      if (!listener.listening) {
        this.#joinLocal(to);
        return;
      }
      const child = listener.newConnection(to, this.bound!);
      this.establish(child);
      listener.enqueue(child, this);
    });
  }
  /** The second half of connect(2): waits, or tells how it stands. */
  #goOnConnecting(task: Task, first = false): MaybePromise<number> {
    if (this.state === 'connecting' || (first && this.nonblocking)) {
      // Even a connection inside the guest is complete only after the call, as on Linux.
      if (this.nonblocking) throw sysError(first ? errno.EINPROGRESS : errno.EALREADY);
      return this.#waitConnected(task);
    }
    this.#connectPending = false;
    if (this.state === 'connected' || this.#finished) {
      this.#joined = true;
      return 0;
    }
    const error = this.takeError() || errno.ECONNABORTED;
    this.#reopen();
    throw sysError(error);
  }
  async #waitConnected(task: Task): Promise<number> {
    const deadline = this.deadline(task, this.sendTimeout);
    try {
      await this.waitUntil(task, () => this.state !== 'connecting', deadline);
    } catch (e) {
      throw e === sysError(errno.EAGAIN) ? sysError(errno.EINPROGRESS) : e;
    }
    return this.#goOnConnecting(task);
  }
  #disconnect(): void {
    // A connection that is cut leaves an error behind (tcp_disconnect).
    const cut = this.state === 'connected' || this.state === 'connecting';
    if (this.state === 'listen') this.#stopListening();
    else if (this.peer) {
      const { peer } = this;
      this.peer = null;
      peer.reset();
    }
    this.#reopen();
    this.error = cut ? errno.ECONNRESET : 0;
    if (this.boundByUser) {
      if (this.bound) this.bound = { address: this.anyAddress, port: this.bound.port };
    } else this.unbind();
    this.waiters.wake();
  }

  /** As new, but for its options and its port (tcp_disconnect). */
  #reopen(): void {
    this.state = 'closed';
    this.#connectPending = this.#joined = false;
    this.remote = null;
    this.shut = 0;
    this.#finished = this.#finSent = false;
    this.#received.clear();
  }

  // What the other side does.

  /** The connection is there. */
  establish(peer: TcpPeer): void {
    this.peer = peer;
    this.state = 'connected';
    if (!this.sendBufferLocked) this.sendBuffer = SEND_GROWN;
    this.waiters.wake();
  }
  /** It could not be made, or broke. */
  fail(error: number): void {
    this.peer = null;
    this.state = 'closed';
    this.shut = SHUTDOWN_MASK;
    this.error = error;
    this.waiters.wake();
  }
  /** FIN from the other side. */
  finish(): void {
    if (this.orphan) {
      // Both sides are done.
      this.peer = null;
      return;
    }
    this.shut |= RCV_SHUTDOWN;
    this.#finished = true;
    this.#checkDone();
    this.waiters.wake();
  }
  /** Both FINs have passed, and inside the guest nothing can be lost any more. */
  #checkDone(): void {
    if (!this.#finSent || !this.#finished || !(this.peer instanceof TcpSocket)) return;
    this.peer = null;
    this.state = 'closed';
  }
  /** RST from the other side (tcp_reset). */
  reset(): void {
    if (this.orphan || this.state !== 'connected') {
      this.peer = null;
      return;
    }
    this.fail(this.#finished ? errno.EPIPE : errno.ECONNRESET);
  }
  room(from: TcpSocket): number {
    const sending = from.sendBufferLocked ? from.sendBuffer / 2 : SEND_GROWN;
    const receiving = this.receiveBufferLocked ? this.receiveBuffer / 2 : RECEIVE_DEFAULT / 2;
    return Math.max(0, sending + receiving - this.#received.length);
  }
  held(): number {
    return this.#received.length;
  }
  deliver(src: Uint8Array): void {
    if (this.orphan) {
      // Nobody will read it.
      const { peer } = this;
      this.peer = null;
      peer?.reset();
      return;
    }
    this.bytesReceived += src.length;
    this.#received.push(src);
    this.waiters.wake(WAKE_READ);
  }
  /** More may be sent. */
  consumed(): void {
    if (!this.#wantsRoom || !this.#writable()) return;
    this.#wantsRoom = false;
    this.waiters.wake(WAKE_WRITE);
  }
  released(): void {}
  optionsChanged(): void {}
  /** Bytes the guest has not read: what bounds the host's sending. */
  get unread(): number {
    return this.#received.length;
  }
  get receiveCapacity(): number {
    return this.receiveBufferLocked ? this.receiveBuffer : RECEIVE_DEFAULT * 2;
  }

  // What this side does.

  #room(): number {
    return this.peer?.room(this) ?? 0;
  }
  /** __sk_stream_is_writeable: a third of the buffer is free. */
  #writable(): boolean {
    const { peer } = this;
    return peer === null || peer.room(this) * 2 >= peer.held();
  }

  override send(task: Task, src: Uint8Array, flags: number, out: Outgoing | null): MaybePromise<number> {
    if (flags & MSG.MSG_FASTOPEN && out?.address && this.state === 'closed') {
      return after(this.connect(task, out.address), () => this.send(task, src, flags & ~MSG.MSG_FASTOPEN, null));
    }
    const n = this.#trySend(task, src, flags);
    if (n !== null && n === src.length) return n;
    if (this.dontWait(flags)) {
      if (n) return n;
      this.#wantsRoom = true;
      throw sysError(errno.EAGAIN);
    }
    return this.#waitAndSend(task, src, n ?? 0, flags);
  }
  /** Bytes sent; null while connecting. */
  #trySend(task: Task, src: Uint8Array, flags: number): number | null {
    if (this.state !== 'connected' || this.error !== 0 || this.sendShut) {
      if (this.state === 'connecting') return null;
      const error = this.takeError();
      if (error !== 0 && error !== errno.EPIPE) throw sysError(error);
      this.broken(task, flags);
    }
    if (src.length === 0) return 0;
    const n = Math.min(src.length, this.#room());
    if (n > 0) {
      this.bytesSent += n;
      this.peer!.deliver(n === src.length ? src : src.subarray(0, n));
    }
    if (n < src.length) this.#wantsRoom = true;
    return n;
  }
  async #waitAndSend(task: Task, src: Uint8Array, sent: number, flags: number): Promise<number> {
    let done = sent;
    const deadline = this.deadline(task, this.sendTimeout);
    const ready = (): boolean =>
      this.state !== 'connecting' &&
      (this.state !== 'connected' || this.sendShut || this.error !== 0 || this.#writable());
    while (done < src.length || this.state === 'connecting') {
      try {
        this.#wantsRoom = true;
        await this.waitUntil(task, ready, deadline);
        done += this.#trySend(task, src.subarray(done), flags) ?? 0;
      } catch (e) {
        if (done > 0) return done;
        throw e;
      }
    }
    return done;
  }

  override receive(task: Task, dst: Uint8Array, flags: number, into: Incoming | null): MaybePromise<number> {
    if (this.state === 'listen') throw sysError(errno.ENOTCONN);
    if (flags & MSG.MSG_OOB) throw sysError(errno.EINVAL);
    if (flags & MSG.MSG_ERRQUEUE) throw sysError(errno.EAGAIN);
    void into;
    const target = flags & MSG.MSG_WAITALL ? dst.length : Math.min(this.lowWater, dst.length);
    const n = this.#take(dst, flags, 0);
    if (n > 0 && n >= target) return n;
    if (dst.length === 0 && (this.#received.length > 0 || target === 0)) return 0;
    if (this.#ended(n)) return n;
    if (this.dontWait(flags)) {
      if (n > 0) return n;
      throw sysError(errno.EAGAIN);
    }
    return this.#waitAndReceive(task, dst, n, target, flags);
  }
  /** Nothing more will come; with nothing read, the error that says so is thrown. */
  #ended(n: number): boolean {
    if (n > 0) return this.error !== 0 || this.receiveShut || this.state === 'closed';
    if (this.#finished) return true;
    this.throwPending();
    if (this.receiveShut) return true;
    if (this.state === 'closed') throw sysError(errno.ENOTCONN);
    return false;
  }
  async #waitAndReceive(task: Task, dst: Uint8Array, got: number, target: number, flags: number): Promise<number> {
    let done = got;
    const deadline = this.deadline(task, this.receiveTimeout);
    const peek = (flags & MSG.MSG_PEEK) !== 0;
    for (;;) {
      const seen = peek ? done : 0;
      const ready = (): boolean =>
        this.#received.length > seen ||
        this.error !== 0 ||
        this.receiveShut ||
        (this.state !== 'connected' && this.state !== 'connecting');
      try {
        await this.waitUntil(task, ready, deadline);
      } catch (e) {
        if (done > 0) return done;
        throw e;
      }
      done += this.#take(dst.subarray(done), flags, seen);
      if (done >= target && done > 0) return done;
      if (this.#received.length <= (peek ? done : 0) && this.#ended(done)) return done;
    }
  }
  #take(dst: Uint8Array, flags: number, offset: number): number {
    if (this.#received.length === 0) return 0;
    if (flags & MSG.MSG_PEEK) {
      if (flags & MSG.MSG_TRUNC) return Math.min(dst.length, this.#received.length - offset);
      return this.#received.peek(dst, offset);
    }
    const n = flags & MSG.MSG_TRUNC ? this.#received.skip(dst.length) : this.#received.take(dst);
    this.peer?.consumed();
    return n;
  }

  override available(): number {
    if (this.state === 'listen') throw sysError(errno.EINVAL);
    return this.#received.length;
  }
  override outstanding(): number {
    return this.peer?.held() ?? 0;
  }

  override shutdown(how: number): void {
    const bits = how + 1;
    if (this.state === 'closed') {
      // It takes effect all the same (inet_shutdown).
      this.shut |= bits;
      this.waiters.wake();
      throw sysError(errno.ENOTCONN);
    }
    if (this.state === 'listen') {
      if ((bits & RCV_SHUTDOWN) === 0) return;
      this.#stopListening();
      this.waiters.wake();
      return;
    }
    if (this.state === 'connecting' && bits & RCV_SHUTDOWN) {
      this.#disconnect();
      return;
    }
    this.shut |= bits;
    if (bits & SEND_SHUTDOWN) this.#sendFin();
    this.waiters.wake();
  }
  #sendFin(): void {
    if (this.#finSent) return;
    this.#finSent = true;
    const { peer } = this;
    peer?.finish();
    this.#checkDone();
  }

  protected override release(): void {
    if (this.state === 'listen') this.#stopListening();
    else if (this.peer) {
      const { peer } = this;
      if (this.#received.length > 0 || this.state === 'connecting' || lingerSeconds(this) === 0) {
        this.peer = null;
        peer.reset();
      } else {
        this.orphan = true;
        this.#sendFin();
        peer.released();
        if (this.#finished) this.peer = null;
      }
    }
    this.#dispose();
  }
  #dispose(): void {
    this.orphan = true;
    this.#received.clear();
    this.net.sockets.delete(this);
    this.ports.remove(this);
  }

  override peerAddress(): Uint8Array {
    if (!this.remote || this.state !== 'connected') throw sysError(errno.ENOTCONN);
    return encodeEndpoint(this.domain, this.remote);
  }
  override acceptedFrom(): Uint8Array {
    return encodeEndpoint(this.domain, this.remote!);
  }
  override localAddress(): Uint8Array {
    // The wildcard stays one of the socket's own family.
    if (this.bound && this.domain === AF_INET6 && isAny(this.bound.address))
      return encodeEndpoint(AF_INET6, { address: ANY6, port: this.bound.port });
    return super.localAddress();
  }

  override getProtocolOption(level: number, name: number, task: Task): OptionValue {
    return level === IPPROTO_TCP ? getTcpOption(this, name) : super.getProtocolOption(level, name, task);
  }
  override setProtocolOption(task: Task, level: number, name: number, value: Uint8Array): void {
    if (level !== IPPROTO_TCP) {
      super.setProtocolOption(task, level, name, value);
      return;
    }
    setTcpOption(this, name, value);
    this.peer?.optionsChanged(this.tcp);
  }
  /** Kept for /proc/net/tcp and TCP_INFO: FIN sent, FIN received. */
  get halves(): { finSent: boolean; finished: boolean } {
    return { finSent: this.#finSent, finished: this.#finished };
  }
  override keepAliveChanged(): void {
    this.peer?.optionsChanged(this.tcp);
  }
  override buffersChanged(): void {
    this.waiters.wake(WAKE_WRITE);
  }

  override poll(): number {
    if (this.state === 'listen') return this.#backlog.length > 0 ? POLLIN | POLLRDNORM : 0;
    let bits = 0;
    if (this.shut === SHUTDOWN_MASK || this.state === 'closed') bits |= POLLHUP;
    if (this.receiveShut) bits |= POLLIN | POLLRDNORM | POLLRDHUP;
    if (this.state !== 'connecting') {
      if (this.#received.length >= this.lowWater) bits |= POLLIN | POLLRDNORM;
      if (this.sendShut || this.#writable()) bits |= POLLOUT | POLLWRNORM;
      else this.#wantsRoom = true;
    }
    if (this.error !== 0) bits |= POLLERR;
    return bits;
  }
}
