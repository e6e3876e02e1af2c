/** AF_UNIX sockets that keep messages apart: SOCK_DGRAM and SOCK_SEQPACKET. */
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
import { AF_UNSPEC, MSG, SHUTDOWN_MASK, SOCK_DGRAM, SOCK_SEQPACKET, WAKE_READ, WAKE_WRITE } from './constants.ts';
import type { Incoming, Outgoing, Ucred } from './socket.ts';
import { credentialsOf } from './socket.ts';
import { type Ancillary, dropRights, UnixSocket } from './unix.ts';
import { UnixConnected } from './unix-connected.ts';
import { encodeUnixName, parseUnixName } from './unix-names.ts';

const POLLWRBAND = 0x200;
/** net.unix.max_dgram_qlen. */
const QUEUE_LIMIT = 10;

interface Message {
  readonly data: Uint8Array;
  readonly rights: Ancillary['rights'];
  readonly credentials: Ucred | null;
  readonly from: UnixSocket & Sender;
  readonly address: Uint8Array;
  /** Bytes it counts for in the sender's buffer. */
  readonly cost: number;
  taken: boolean;
}
interface Sender {
  underWay: number;
}

/** Memory of a socket buffer of `length` bytes: a power of two for data and its trailer, and the header (SKB_TRUESIZE). */
function cost(length: number): number {
  let bucket = 512;
  while (bucket < length + 320 && bucket < 32768) bucket *= 2;
  return 256 + Math.max(bucket, length);
}

/** The receive queue of both types. */
class MessageQueue {
  #messages: Message[] = [];
  get length(): number {
    return this.#messages.length;
  }
  /** Bytes of all messages. */
  get bytes(): number {
    return this.#messages.reduce((sum, m) => sum + m.data.length, 0);
  }
  get first(): Message | undefined {
    return this.#messages[0];
  }
  push(message: Message): void {
    this.#messages.push(message);
  }
  /** One message into `dst`; what does not fit is lost. */
  take(dst: Uint8Array, flags: number, into: Incoming | null, credentials: boolean): number {
    const message = this.#messages[0]!;
    const { data } = message;
    const n = Math.min(dst.length, data.length);
    dst.set(n === data.length ? data : data.subarray(0, n));
    const peek = (flags & MSG.MSG_PEEK) !== 0;
    if (into) {
      into.address = message.address;
      if (n < data.length) into.flags |= MSG.MSG_TRUNC;
      if (credentials) into.credentials = message.credentials;
      if (message.rights) into.rights = peek ? message.rights.map((f) => f.ref()) : message.rights;
    }
    if (!peek) {
      this.#messages.shift();
      if (!into) dropRights(message.rights);
      settle(message);
    }
    return flags & MSG.MSG_TRUNC ? data.length : n;
  }
  clear(): void {
    for (const message of this.#messages) {
      dropRights(message.rights);
      settle(message);
    }
    this.#messages = [];
  }
  /** Takes out what one sender sent. */
  dropFrom(sender: UnixSocket): void {
    const gone = this.#messages.filter((m) => m.from === sender);
    this.#messages = this.#messages.filter((m) => m.from !== sender);
    for (const message of gone) {
      dropRights(message.rights);
      settle(message);
    }
  }
}
/** The message no longer counts for its sender. */
function settle(message: Message): void {
  if (message.taken) return;
  message.taken = true;
  message.from.underWay -= message.cost;
  message.from.drained();
}

function makeMessage(from: UnixSocket & Sender, src: Uint8Array, extra: Ancillary | null): Message {
  const message: Message = {
    data: src.slice(),
    rights: extra?.rights ?? null,
    credentials: extra?.credentials ?? null,
    from,
    address: from.name ? encodeUnixName(from.name) : new Uint8Array(0),
    cost: cost(src.length),
    taken: false,
  };
  from.underWay += message.cost;
  return message;
}

/** The largest message: the buffer less what its header takes (unix_dgram_sendmsg). */
const checkSize = (s: UnixSocket, length: number): void => {
  if (length > s.sendBuffer - 32) throw sysError(errno.EMSGSIZE);
};

export class UnixSeqpacket extends UnixConnected implements Sender {
  readonly type = SOCK_SEQPACKET;
  underWay = 0;
  readonly #queue = new MessageQueue();

  protected override sibling(): UnixSeqpacket {
    return new UnixSeqpacket(this.net, null, 0);
  }
  protected override get unread(): boolean {
    return this.#queue.length > 0;
  }
  protected override discard(): void {
    this.#queue.clear();
  }
  override available(): number {
    return this.#queue.bytes;
  }
  override outstanding(): number {
    return this.underWay;
  }

  #canSend(): boolean {
    const peer = this.peer as UnixSeqpacket;
    if (this.sendShut || peer.closed || peer.receiveShut) return true;
    return this.underWay < this.sendBuffer && peer.#queue.length <= QUEUE_LIMIT;
  }
  override send(task: Task, src: Uint8Array, flags: number, out: Outgoing | null): MaybePromise<number> {
    if (flags & MSG.MSG_OOB) throw sysError(errno.EOPNOTSUPP);
    this.throwPending();
    if (!this.connected) throw sysError(errno.ENOTCONN);
    checkSize(this, src.length);
    const peer = this.peer as UnixSeqpacket;
    const extra = this.ancillary(task, out, this.passCredentials || peer.passCredentials);
    if (this.#canSend()) return this.#put(task, src, flags, extra);
    if (this.dontWait(flags)) throw sysError(errno.EAGAIN);
    const deadline = this.deadline(task, this.sendTimeout);
    const wait = async (): Promise<number> => {
      while (!this.#canSend()) await this.waitUntil(task, () => this.#canSend(), deadline);
      return this.#put(task, src, flags, extra);
    };
    return wait();
  }
  #put(task: Task, src: Uint8Array, flags: number, extra: Ancillary | null): number {
    const peer = this.peer as UnixSeqpacket;
    if (this.sendShut || peer.closed || peer.receiveShut) this.broken(task, flags);
    peer.#queue.push(makeMessage(this, src, extra));
    peer.waiters.wake(WAKE_READ);
    return src.length;
  }
  override receive(task: Task, dst: Uint8Array, flags: number, into: Incoming | null): MaybePromise<number> {
    if (!this.connected) throw sysError(errno.ENOTCONN);
    if (flags & MSG.MSG_OOB) throw sysError(errno.EOPNOTSUPP);
    const take = (): number | null => {
      if (this.unread) return this.#take(dst, flags, into);
      this.throwPending();
      return this.receiveShut ? 0 : null;
    };
    const n = take();
    if (n !== null) return n;
    if (this.dontWait(flags)) throw sysError(errno.EAGAIN);
    const deadline = this.deadline(task, this.receiveTimeout);
    const wait = async (): Promise<number> => {
      for (;;) {
        await this.waitUntil(task, () => this.unread || this.error !== 0 || this.receiveShut, deadline);
        const got = take();
        if (got !== null) return got;
      }
    };
    return wait();
  }
  #take(dst: Uint8Array, flags: number, into: Incoming | null): number {
    const n = this.#queue.take(dst, flags, into, this.passCredentials);
    if (into) into.address = null;
    // The queue's own limit may have been what the sender waits for.
    if (this.#queue.length <= QUEUE_LIMIT) this.peer?.waiters.wake(WAKE_WRITE);
    return n;
  }
}

export class UnixDatagram extends UnixSocket implements Sender {
  readonly type = SOCK_DGRAM;
  underWay = 0;
  readonly #queue = new MessageQueue();
  /** Sockets connected to this one. */
  readonly #senders = new Set<UnixDatagram>();
  declare peer: UnixDatagram | null;

  pair(task: Task, other: UnixDatagram): void {
    this.#setPeer(other);
    other.#setPeer(this);
    this.peerCredentials = other.peerCredentials = credentialsOf(task);
  }
  #setPeer(peer: UnixDatagram | null): void {
    if (this.peer) this.peer.#senders.delete(this);
    this.peer = peer;
    if (peer) peer.#senders.add(this);
  }
  override available(): number {
    return this.#queue.first?.data.length ?? 0;
  }
  override outstanding(): number {
    return this.underWay;
  }

  override connect(task: Task, address: Uint8Array): number {
    if (address.length < 2) throw sysError(errno.EINVAL);
    const before = this.peer;
    if ((address[0]! | (address[1]! << 8)) === AF_UNSPEC) this.#setPeer(null);
    else {
      const other = this.find(task, address) as UnixDatagram;
      if (this.passCredentials) this.autobind();
      this.#check(other);
      this.#setPeer(other);
    }
    if (before && before !== this.peer) this.#queue.dropFrom(before);
    return 0;
  }
  /** unix_may_send: a connected socket hears its peer alone. */
  #check(other: UnixDatagram): void {
    if (other.peer && other.peer !== this) throw sysError(errno.EPERM);
  }

  override send(task: Task, src: Uint8Array, flags: number, out: Outgoing | null): MaybePromise<number> {
    if (flags & MSG.MSG_OOB) throw sysError(errno.EOPNOTSUPP);
    const named = out?.address ?? null;
    if (!named) {
      this.throwPending();
      if (!this.peer) throw sysError(errno.ENOTCONN);
    }
    if (this.passCredentials) this.autobind();
    checkSize(this, src.length);
    const deadline = this.deadline(task, this.sendTimeout);
    for (;;) {
      const to = named ? (this.find(task, named) as UnixDatagram) : this.peer;
      if (!to) throw sysError(errno.ENOTCONN);
      if (to.closed) {
        this.#setPeer(null);
        throw sysError(errno.ECONNREFUSED);
      }
      this.#check(to);
      if (this.sendShut || to.receiveShut) this.broken(task, flags);
      const extra = this.ancillary(task, out, this.passCredentials || to.passCredentials);
      const full = (): boolean => to.#queue.length > QUEUE_LIMIT && to.peer !== this && to !== this;
      const room = (): boolean => this.underWay < this.sendBuffer && !full();
      if (room()) {
        to.#queue.push(makeMessage(this, src, extra));
        to.waiters.wake(WAKE_READ);
        return src.length;
      }
      if (this.dontWait(flags)) throw sysError(errno.EAGAIN);
      return this.#waitAndSend(task, src, flags, out, to, room, deadline);
    }
  }
  async #waitAndSend(
    task: Task,
    src: Uint8Array,
    flags: number,
    out: Outgoing | null,
    to: UnixDatagram,
    room: () => boolean,
    deadline: number | null,
  ): Promise<number> {
    const ready = (): boolean => room() || this.sendShut || to.closed || to.receiveShut || this.error !== 0;
    // Room is made by the receiver's reading, which wakes its senders.
    to.#senders.add(this);
    try {
      while (!ready()) await this.waitUntil(task, ready, deadline);
    } finally {
      if (this.peer !== to) to.#senders.delete(this);
    }
    return this.send(task, src, flags, out);
  }

  override receive(task: Task, dst: Uint8Array, flags: number, into: Incoming | null): MaybePromise<number> {
    if (flags & MSG.MSG_OOB) throw sysError(errno.EOPNOTSUPP);
    const take = (): number | null => {
      if (this.#queue.length > 0) {
        const n = this.#queue.take(dst, flags, into, this.passCredentials);
        for (const s of this.#senders) s.waiters.wake(WAKE_WRITE);
        return n;
      }
      this.throwPending();
      return this.receiveShut ? 0 : null;
    };
    const n = take();
    if (n !== null) return n;
    if (this.dontWait(flags)) throw sysError(errno.EAGAIN);
    const deadline = this.deadline(task, this.receiveTimeout);
    const wait = async (): Promise<number> => {
      for (;;) {
        await this.waitUntil(task, () => this.#queue.length > 0 || this.error !== 0 || this.receiveShut, deadline);
        const got = take();
        if (got !== null) return got;
      }
    };
    return wait();
  }

  override peerAddress(): Uint8Array {
    if (!this.peer) throw sysError(errno.ENOTCONN);
    return encodeUnixName(this.peer.name);
  }
  override bind(task: Task, address: Uint8Array): void {
    parseUnixName(address);
    super.bind(task, address);
  }
  override shutdown(how: number): void {
    this.shut |= how + 1;
    this.waiters.wake();
  }

  protected override closing(): void {
    // Those who wait for room learn of the end; the others meet it when they send.
    const awaited = this.#queue.length > QUEUE_LIMIT;
    this.#queue.clear();
    if (awaited) for (const sender of this.#senders) sender.waiters.wake(WAKE_WRITE);
    if (this.peer) this.peer.#senders.delete(this);
  }

  override poll(): number {
    let bits = 0;
    if (this.error !== 0) bits |= POLLERR;
    if (this.receiveShut) bits |= POLLRDHUP | POLLIN | POLLRDNORM;
    if (this.shut === SHUTDOWN_MASK) bits |= POLLHUP;
    if (this.#queue.length > 0) bits |= POLLIN | POLLRDNORM;
    const { peer } = this;
    const peerFull = peer !== null && peer.peer !== this && peer.#queue.length > QUEUE_LIMIT;
    if (this.roomToPoll() && !peerFull) bits |= POLLOUT | POLLWRNORM | POLLWRBAND;
    return bits;
  }
}
