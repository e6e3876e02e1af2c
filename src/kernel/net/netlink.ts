/** AF_NETLINK sockets of the routing family (netlink(7), rtnetlink(7)): requests are answered at once, from tables. */
import { errno, sysError } from '../abi/errno.ts';
import { type MaybePromise, POLLERR, POLLIN, POLLOUT, POLLRDNORM, POLLWRNORM } from '../fs/open-file.ts';
import type { Task } from '../task/task.ts';
import { AF_NETLINK, MSG, SOL_NETLINK, WAKE_READ } from './constants.ts';
import type { Network } from './network.ts';
import { answerRoute } from './netlink-route.ts';
import { type OptionValue, readInt } from './options.ts';
import { type Incoming, type Outgoing, Socket } from './socket.ts';
import { pidSeenBy } from '../ns/pid.ts';

const POLLWRBAND = 0x200;
const SIZE = 12;

function encode(port: number, groups: number): Uint8Array {
  const out = new Uint8Array(SIZE);
  const view = new DataView(out.buffer);
  view.setUint16(0, AF_NETLINK, true);
  view.setUint32(4, port, true);
  view.setUint32(8, groups, true);
  return out;
}

const CAP_NET_ADMIN = 12;

export class NetlinkSocket extends Socket {
  readonly domain = AF_NETLINK;
  readonly type: number;
  readonly protocol = 0;
  /** 0: not bound. */
  #port = 0;
  #groups = 0;
  #peer = { port: 0, groups: 0 };
  /** Datagrams of answers. */
  #queue: Uint8Array[] = [];
  #strict = 0;

  constructor(net: Network, task: Task, type: number, flags: number) {
    super(net, task, flags);
    this.type = type;
    net.sockets.add(this);
  }
  get portId(): number {
    return this.#port;
  }

  #decode(address: Uint8Array): { port: number; groups: number } {
    if (address.length < SIZE) throw sysError(errno.EINVAL);
    const view = new DataView(address.buffer, address.byteOffset, address.length);
    if (view.getUint16(0, true) !== AF_NETLINK) throw sysError(errno.EINVAL);
    return { port: view.getUint32(4, true), groups: view.getUint32(8, true) };
  }
  #taken(port: number): boolean {
    for (const s of this.net.sockets) if (s instanceof NetlinkSocket && s !== this && s.#port === port) return true;
    return false;
  }
  /** The process's id, or a negative number when that is taken (netlink_autobind). */
  #autobind(task: Task): void {
    if (this.#port !== 0) return;
    let port = pidSeenBy(task, task.process.pid);
    for (let next = 4096; this.#taken(port); next++) port = -next >>> 0;
    this.#port = port;
  }
  override bind(task: Task, address: Uint8Array): void {
    const { port, groups } = this.#decode(address);
    if (this.#port !== 0 && port !== this.#port) throw sysError(errno.EINVAL);
    if (port === 0) this.#autobind(task);
    else {
      if (this.#taken(port)) throw sysError(errno.EADDRINUSE);
      this.#port = port;
    }
    this.#groups = groups;
  }
  override connect(task: Task, address: Uint8Array): number {
    if (address.length >= 2 && address[0] === 0 && address[1] === 0) {
      this.#peer = { port: 0, groups: 0 };
      return 0;
    }
    const peer = this.#decode(address);
    if (peer.port !== 0 || peer.groups !== 0) throw sysError(errno.EPERM);
    this.#autobind(task);
    this.#peer = peer;
    return 0;
  }
  override shutdown(): void {
    throw sysError(errno.EOPNOTSUPP);
  }
  override localAddress(): Uint8Array {
    return encode(this.#port, this.#groups);
  }
  override peerAddress(): Uint8Array {
    return encode(this.#peer.port, this.#peer.groups);
  }

  override send(task: Task, src: Uint8Array, flags: number, out: Outgoing | null): number {
    if (flags & MSG.MSG_OOB) throw sysError(errno.EOPNOTSUPP);
    if (out?.address && this.#decode(out.address).port !== 0) throw sysError(errno.ECONNREFUSED);
    this.#autobind(task);
    if (src.length > this.sendBuffer - 32) throw sysError(errno.EMSGSIZE);
    const admin = task.cred.capableIn(this.net.owner, CAP_NET_ADMIN);
    const asker = { port: this.#port, strict: this.#strict !== 0, admin };
    for (const answer of answerRoute(this.net, src.slice(), asker)) this.#queue.push(answer);
    if (this.#queue.length > 0) this.waiters.wake(WAKE_READ);
    return src.length;
  }
  override receive(task: Task, dst: Uint8Array, flags: number, into: Incoming | null): MaybePromise<number> {
    if (flags & MSG.MSG_OOB) throw sysError(errno.EOPNOTSUPP);
    if (this.#queue.length > 0) return this.#take(dst, flags, into);
    if (this.dontWait(flags)) throw sysError(errno.EAGAIN);
    const deadline = this.deadline(task, this.receiveTimeout);
    const wait = async (): Promise<number> => {
      while (this.#queue.length === 0) await this.waitUntil(task, () => this.#queue.length > 0, deadline);
      return this.#take(dst, flags, into);
    };
    return wait();
  }
  #take(dst: Uint8Array, flags: number, into: Incoming | null): number {
    const data = this.#queue[0]!;
    const n = Math.min(dst.length, data.length);
    dst.set(data.subarray(0, n));
    if (into) {
      into.address = encode(0, 0);
      if (n < data.length) into.flags |= MSG.MSG_TRUNC;
    }
    if ((flags & MSG.MSG_PEEK) === 0) this.#queue.shift();
    return flags & MSG.MSG_TRUNC ? data.length : n;
  }
  override available(): number {
    return this.#queue[0]?.length ?? 0;
  }

  override getProtocolOption(level: number, name: number): OptionValue {
    if (level !== SOL_NETLINK) throw sysError(errno.ENOPROTOOPT);
    if (name === 12) return this.#strict;
    // NETLINK_PKTINFO, BROADCAST_ERROR, NO_ENOBUFS, CAP_ACK, EXT_ACK
    if ([3, 4, 5, 10, 11].includes(name)) return this.options.get(level * 0x1_0000 + name) ?? 0;
    throw sysError(errno.ENOPROTOOPT);
  }
  override setProtocolOption(_task: Task, level: number, name: number, value: Uint8Array): void {
    if (level !== SOL_NETLINK) throw sysError(errno.ENOPROTOOPT);
    const int = readInt(value);
    if (name === 12) this.#strict = int !== 0 ? 1 : 0;
    else if ([3, 4, 5, 10, 11].includes(name)) this.options.set(level * 0x1_0000 + name, int !== 0 ? 1 : 0);
    // Membership: nothing ever changes, so nothing is announced.
    else if (name !== 1 && name !== 2) throw sysError(errno.ENOPROTOOPT);
  }
  protected override release(): void {
    this.net.sockets.delete(this);
    this.#queue = [];
  }
  override poll(): number {
    const ready = this.#queue.length > 0 ? POLLIN | POLLRDNORM : 0;
    return ready | POLLOUT | POLLWRNORM | POLLWRBAND | (this.error ? POLLERR : 0);
  }
}
