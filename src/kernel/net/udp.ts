/** UDP (udp(7)), and UDP-Lite (udplite(7)), which stays inside the guest. */
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
import {
  AF_INET,
  AF_INET6,
  AF_UNSPEC,
  IPPROTO_IP,
  IPPROTO_IPV6,
  IPPROTO_UDP,
  IPPROTO_UDPLITE,
  MSG,
  SHUTDOWN_MASK,
  SO,
  SOCK_DGRAM,
  SOL_SOCKET,
  WAKE_READ,
  WAKE_WRITE,
} from './constants.ts';
import type { HostDatagram } from './host-network.ts';
import { InetSocket, IP, IPV6 } from './inet.ts';
import {
  destinationOf,
  bytesOfV4,
  bytesOfV6,
  type Endpoint,
  formatV4,
  isAny,
  isBroadcast,
  isMulticast,
  isV6,
  LOOPBACK4,
} from './ip.ts';
import type { Network } from './network.ts';
import { getStored, type OptionValue, readInt, setStored, storedValue, type StoredOptions } from './options.ts';
import type { PortTable } from './ports.ts';
import { encodeEndpoint, familyOf } from './sockaddr.ts';
import type { Incoming, Outgoing } from './socket.ts';

const POLLWRBAND = 0x200;
/** 65535 less the headers of IPv4 and UDP. */
const MAX_DATAGRAM = 65507;
const MAX_DATAGRAM6 = 65527;
/** What a datagram counts for beyond its bytes. */
const OVERHEAD = 768;
const UDP_CORK = 1;
const UDP_SEGMENT = 103;
const UDP_GRO = 104;
/** UDPLITE_SEND_CSCOV and UDPLITE_RECV_CSCOV: no checksum is ever made here. */
const coverage: StoredOptions = { 10: { initial: 0, min: 0, max: 0xffff }, 11: { initial: 0, min: 0, max: 0xffff } };

/** What a datagram's IP header says. */
export interface IpHeader {
  readonly hops: number;
  readonly trafficClass: number;
}
const PLAIN: IpHeader = { hops: 64, trafficClass: 0 };

interface Datagram {
  readonly data: Uint8Array;
  readonly from: Endpoint;
  readonly to: Endpoint;
  /** Wall clock, milliseconds. */
  readonly time: number;
  readonly header: IpHeader;
}

export class UdpSocket extends InetSocket {
  readonly type = SOCK_DGRAM;
  readonly protocol: number;
  #queue: Datagram[] = [];
  #queued = 0;
  readonly #groups = new Set<string>();
  /** The host's socket this one sends by, made when something first leaves. */
  #host: { socket: HostDatagram; family: 4 | 6; connected: boolean } | null = null;
  /** Bytes the host holds. */
  #held = 0;
  drops = 0;

  constructor(net: Network, domain: number, protocol: number, task: Task | null, flags: number) {
    super(net, domain, task, flags);
    this.protocol = protocol;
  }
  protected override get ports(): PortTable {
    return this.#lite ? this.net.udplite : this.net.udp;
  }
  get #lite(): boolean {
    return this.protocol === IPPROTO_UDPLITE;
  }

  override bind(task: Task, address: Uint8Array): MaybePromise<void> {
    super.bind(task, address);
    return this.#lite ? undefined : this.net.publisher.bound(this.bound!.port);
  }

  override connect(_task: Task, address: Uint8Array): number {
    if (familyOf(address) === AF_UNSPEC) {
      this.remote = null;
      this.#closeHost();
      if (this.boundByUser) this.bound = { address: this.#boundAddress ?? this.anyAddress, port: this.bound!.port };
      else this.unbind();
      return 0;
    }
    const to = destinationOf(this.decode(address));
    this.#checkBroadcast(to.address);
    const source = this.sourceFor(isMulticast(to.address) ? this.#multicastRoute(to.address) : to.address);
    this.autobind();
    this.#boundAddress ??= this.bound!.address;
    this.bound = { address: source, port: this.bound!.port };
    this.remote = to;
    this.#closeHost();
    return 0;
  }
  /** What bind(2) had given, which disconnecting brings back. */
  #boundAddress: string | null = null;

  #multicastRoute(group: string): string {
    const own = this.net.interfaces.at(-1)!.addresses.find((a) => isV6(a.address) === isV6(group));
    if (!own) throw sysError(errno.ENETUNREACH);
    return own.address;
  }
  #checkBroadcast(address: string): void {
    if (isBroadcast(address) && storedValue(this, SOL_SOCKET, SO.SO_BROADCAST) !== 1) throw sysError(errno.EACCES);
  }

  override send(task: Task, src: Uint8Array, flags: number, out: Outgoing | null): MaybePromise<number> {
    if (flags & MSG.MSG_OOB) throw sysError(errno.EOPNOTSUPP);
    if (src.length > 0xffff) throw sysError(errno.EMSGSIZE);
    let to = this.remote;
    if (out?.address) {
      to = destinationOf(this.#decodeTarget(out.address));
      if (to.port === 0) throw sysError(errno.EINVAL);
    }
    if (!to) throw sysError(this.domain === AF_INET6 || this.domain === AF_INET ? errno.EDESTADDRREQ : errno.ENOTCONN);
    this.throwPending();
    if (src.length > (isV6(to.address) ? MAX_DATAGRAM6 : MAX_DATAGRAM)) throw sysError(errno.EMSGSIZE);
    if (this.sendShut) this.broken(task, flags);
    this.#checkBroadcast(to.address);
    const group = isMulticast(to.address);
    if (this.bound && !isAny(this.bound.address) && isV6(this.bound.address) !== isV6(to.address))
      throw sysError(isV6(to.address) ? errno.EINVAL : errno.ENETUNREACH);
    const source = this.sourceFor(
      group ? this.#multicastRoute(to.address) : isBroadcast(to.address) ? LOOPBACK4 : to.address,
    );
    const fresh = !this.bound;
    this.autobind();
    const from = { address: source, port: this.bound!.port };
    const published = fresh && !this.#lite ? this.net.publisher.bound(from.port) : undefined;
    const header = this.#header(to.address, group, out);
    if (published) return after(published, () => this.#deliver(task, src, flags, from, to, group, header));
    return this.#deliver(task, src, flags, from, to, group, header);
  }
  #decodeTarget(address: Uint8Array): Endpoint {
    // AF_UNSPEC is taken for AF_INET (udp_sendmsg).
    if (this.domain === AF_INET && address.length >= 16 && familyOf(address) === AF_UNSPEC) {
      const copy = address.slice();
      copy[0] = AF_INET;
      return this.decode(copy);
    }
    // A v6 socket may be given the v4 form as well (udpv6_sendmsg).
    if (this.domain === AF_INET6 && address.length >= 16 && familyOf(address) === AF_INET) {
      if (this.v6only) throw sysError(errno.ENETUNREACH);
      return { address: formatV4(address, 4), port: (address[2]! << 8) | address[3]! };
    }
    return this.decode(address);
  }

  #deliver(
    task: Task,
    src: Uint8Array,
    flags: number,
    from: Endpoint,
    to: Endpoint,
    group: boolean,
    header: IpHeader,
  ): MaybePromise<number> {
    if (group || isBroadcast(to.address)) {
      const loops =
        !group ||
        (isV6(to.address)
          ? storedValue(this, IPPROTO_IPV6, IPV6.IPV6_MULTICAST_LOOP)
          : storedValue(this, IPPROTO_IP, IP.IP_MULTICAST_LOOP)) !== 0;
      if (loops) for (const s of this.net.udpGroup(to, this.ports)) s.arrived(src.slice(), from, to, header);
      return src.length;
    }
    if (this.net.viaHost(to, this.ports)) {
      if (this.#lite) throw sysError(errno.ENETUNREACH);
      return this.#sendByHost(task, src, flags, to);
    }
    const receiver = this.net.udpReceiver(to, from, this.ports);
    if (receiver) receiver.arrived(src.slice(), from, to, header);
    // ICMP port unreachable reaches connected sockets alone.
    else if (this.remote) this.#refused();
    return src.length;
  }
  #header(to: string, group: boolean, out: Outgoing | null): IpHeader {
    if (this.options.size === 0 && !out) return PLAIN;
    const v6 = isV6(to);
    const names = v6
      ? [group ? IPV6.IPV6_MULTICAST_HOPS : IPV6.IPV6_UNICAST_HOPS, IPV6.IPV6_TCLASS]
      : [group ? IP.IP_MULTICAST_TTL : IP.IP_TTL, IP.IP_TOS];
    const kept = (name: number): number | null => {
      const value = storedValue(this, v6 ? IPPROTO_IPV6 : IPPROTO_IP, name);
      return typeof value === 'number' && value >= 0 ? value : null;
    };
    return {
      hops: out?.hops ?? kept(names[0]!) ?? (group ? 1 : 64),
      trafficClass: out?.trafficClass ?? kept(names[1]!) ?? 0,
    };
  }
  #refused(): void {
    this.error = errno.ECONNREFUSED;
    this.waiters.wake(POLLERR);
  }

  // Through the host.

  #room(): boolean {
    return this.#held < this.sendBuffer;
  }
  #sendByHost(task: Task, src: Uint8Array, flags: number, to: Endpoint): MaybePromise<number> {
    if (this.#room()) return this.#hand(src, to);
    if (this.dontWait(flags)) throw sysError(errno.EAGAIN);
    const deadline = this.deadline(task, this.sendTimeout);
    return this.waitUntil(task, () => this.#room(), deadline).then(() => this.#hand(src, to));
  }
  #hand(src: Uint8Array, to: Endpoint): number {
    const published = this.net.publisher.datagramFor(this.bound!.port, to);
    if (published) {
      published.send(src.slice(), to);
      return src.length;
    }
    const connected = this.remote === to;
    const family = isV6(to.address) ? 6 : 4;
    if (this.#host && (this.#host.family !== family || (this.#host.connected && !connected))) this.#closeHost();
    this.#host ??= { socket: this.#openHost(family, connected ? to : null), family, connected };
    this.#held += src.length + OVERHEAD;
    this.#host.socket.send(src.slice(), this.#host.connected ? null : to);
    return src.length;
  }
  #openHost(family: 4 | 6, peer: Endpoint | null): HostDatagram {
    const opened = this.net.host!.datagram(family, peer, {
      message: (data, from) => {
        if (this.#host?.socket !== opened) return;
        const address = this.net.sourceFor(from.address);
        this.arrived(data, from, { address, port: this.bound?.port ?? 0 });
      },
      sent: (bytes) => {
        this.#held = Math.max(0, this.#held - bytes - OVERHEAD);
        if (this.#room()) this.waiters.wake(WAKE_WRITE);
      },
      failed: (error) => {
        if (!this.remote) return;
        this.error = error;
        this.waiters.wake(POLLERR);
      },
    });
    return opened;
  }
  #closeHost(): void {
    this.#host?.socket.close();
    this.#host = null;
    this.#held = 0;
  }

  /** A datagram for this socket. `data` is given away. Dropped when the receive buffer is full. */
  arrived(data: Uint8Array, from: Endpoint, to: Endpoint, header: IpHeader = PLAIN): void {
    if (this.remote && (from.port !== this.remote.port || from.address !== this.remote.address)) return;
    if (this.#queued >= this.receiveBuffer) {
      this.drops++;
      return;
    }
    this.#queue.push({ data, from, to, time: Date.now(), header });
    this.#queued += data.length + OVERHEAD;
    this.waiters.wake(WAKE_READ);
  }

  override receive(task: Task, dst: Uint8Array, flags: number, into: Incoming | null): MaybePromise<number> {
    if (flags & MSG.MSG_ERRQUEUE) throw sysError(errno.EAGAIN);
    const take = (): number | null => {
      this.throwPending();
      if (this.#queue.length > 0) return this.#take(dst, flags, into);
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
  #take(dst: Uint8Array, flags: number, into: Incoming | null): number {
    const datagram = this.#queue[0]!;
    const { data } = datagram;
    const n = Math.min(dst.length, data.length);
    dst.set(n === data.length ? data : data.subarray(0, n));
    if (into) {
      into.address = encodeEndpoint(this.domain, datagram.from);
      if (n < data.length) into.flags |= MSG.MSG_TRUNC;
      this.#control(datagram, into);
    }
    if ((flags & MSG.MSG_PEEK) === 0) {
      this.#queue.shift();
      this.#queued -= data.length + OVERHEAD;
    }
    return flags & MSG.MSG_TRUNC ? data.length : n;
  }
  #control({ to, time, header }: Datagram, into: Incoming): void {
    const on = (level: number, name: number): boolean => (storedValue(this, level, name) ?? 0) !== 0;
    if (on(SOL_SOCKET, SO.SO_TIMESTAMPNS) || on(SOL_SOCKET, SO.SO_TIMESTAMP)) {
      const nanoseconds = on(SOL_SOCKET, SO.SO_TIMESTAMPNS);
      const stamp = new Uint8Array(16);
      const view = new DataView(stamp.buffer);
      view.setBigInt64(0, BigInt(Math.floor(time / 1000)), true);
      view.setBigInt64(8, BigInt(time % 1000) * (nanoseconds ? 1_000_000n : 1000n), true);
      const type = nanoseconds ? SO.SO_TIMESTAMPNS : SO.SO_TIMESTAMP;
      into.control.push({ level: SOL_SOCKET, type, data: stamp });
    }
    const index =
      this.net.isLocal(to.address) && to.address.startsWith('127.') ? 1 : (this.net.interfaces.at(-1)?.index ?? 1);
    const v4 = !isV6(to.address);
    if (v4 && on(IPPROTO_IP, IP.IP_PKTINFO)) {
      const info = new Uint8Array(12);
      new DataView(info.buffer).setInt32(0, index, true);
      info.set(bytesOfV4(to.address), 4);
      info.set(bytesOfV4(to.address), 8);
      into.control.push({ level: IPPROTO_IP, type: IP.IP_PKTINFO, data: info });
    }
    if (v4 && on(IPPROTO_IP, IP.IP_RECVTTL))
      into.control.push({ level: IPPROTO_IP, type: IP.IP_TTL, data: int32(header.hops) });
    if (v4 && on(IPPROTO_IP, IP.IP_RECVTOS))
      into.control.push({ level: IPPROTO_IP, type: IP.IP_TOS, data: Uint8Array.of(header.trafficClass) });
    if (this.domain !== AF_INET6) return;
    if (on(IPPROTO_IPV6, IPV6.IPV6_RECVPKTINFO)) {
      const info = new Uint8Array(20);
      info.set(bytesOfV6(to.address));
      new DataView(info.buffer).setInt32(16, index, true);
      into.control.push({ level: IPPROTO_IPV6, type: 50, data: info });
    }
    if (!v4 && on(IPPROTO_IPV6, 51)) into.control.push({ level: IPPROTO_IPV6, type: 52, data: int32(header.hops) });
    if (!v4 && on(IPPROTO_IPV6, 66))
      into.control.push({ level: IPPROTO_IPV6, type: 67, data: int32(header.trafficClass) });
  }

  override available(): number {
    return this.#queue[0]?.data.length ?? 0;
  }
  /** What waits to be read, with its overhead. */
  get queuedBytes(): number {
    return this.#queued;
  }
  override outstanding(): number {
    return this.#held;
  }
  override shutdown(how: number): void {
    if (!this.remote) {
      // It takes effect, and is told to have failed (inet_shutdown, datagram protocols).
      this.shut |= how + 1;
      this.waiters.wake();
      throw sysError(errno.ENOTCONN);
    }
    this.shut |= how + 1;
    this.waiters.wake();
  }
  override peerAddress(): Uint8Array {
    if (!this.remote || this.remote.port === 0) throw sysError(errno.ENOTCONN);
    return encodeEndpoint(this.domain, this.remote);
  }

  // Groups.

  inGroup(group: string): boolean {
    // IP_MULTICAST_ALL: whatever group anybody here has joined.
    return this.#groups.has(group) || storedValue(this, IPPROTO_IP, IP.IP_MULTICAST_ALL) !== 0;
  }
  protected override membership(name: number, value: Uint8Array): void {
    if (value.length < 8) throw sysError(errno.EINVAL);
    const group = formatV4(value);
    if (!isMulticast(group)) throw sysError(errno.EINVAL);
    const adding = name === IP.IP_ADD_MEMBERSHIP;
    if (this.#groups.has(group) === adding) throw sysError(adding ? errno.EADDRINUSE : errno.EADDRNOTAVAIL);
    if (adding) {
      if (this.#groups.size >= 20) throw sysError(errno.ENOBUFS);
      this.#groups.add(group);
    } else this.#groups.delete(group);
  }

  override getProtocolOption(level: number, name: number, task: Task): OptionValue {
    if (level === IPPROTO_UDPLITE && this.#lite) return getStored(this, level, name, coverage);
    if (level !== IPPROTO_UDP || this.#lite) return super.getProtocolOption(level, name, task);
    if (name === UDP_CORK || name === UDP_GRO || name === UDP_SEGMENT) {
      const value = this.options.get(level * 0x1_0000 + name);
      return value ?? 0;
    }
    throw sysError(errno.ENOPROTOOPT);
  }
  override setProtocolOption(task: Task, level: number, name: number, value: Uint8Array): void {
    if (level === IPPROTO_UDPLITE && this.#lite) {
      setStored(this, level, name, readInt(value), coverage);
      return;
    }
    if (level !== IPPROTO_UDP || this.#lite) {
      super.setProtocolOption(task, level, name, value);
      return;
    }
    const int = readInt(value);
    // Corking and segmentation offload would change what is sent.
    if (name !== UDP_GRO || int !== 0) {
      if (name === UDP_CORK || name === UDP_SEGMENT || name === UDP_GRO) {
        if (int === 0) return;
        throw sysError(errno.ENOPROTOOPT);
      }
      throw sysError(errno.ENOPROTOOPT);
    }
  }

  protected override release(): void {
    this.#closeHost();
    this.#queue = [];
    this.#queued = 0;
    this.net.sockets.delete(this);
    const port = this.bound?.port;
    this.unbind();
    if (port !== undefined && !this.#lite) this.net.publisher.unbound(port);
  }

  override poll(): number {
    let bits = 0;
    if (this.error !== 0) bits |= POLLERR;
    if (this.receiveShut) bits |= POLLRDHUP | POLLIN | POLLRDNORM;
    if (this.shut === SHUTDOWN_MASK) bits |= POLLHUP;
    if (this.#queue.length > 0) bits |= POLLIN | POLLRDNORM;
    if (this.#room()) bits |= POLLOUT | POLLWRNORM | POLLWRBAND;
    return bits;
  }
}

function int32(value: number): Uint8Array {
  const out = new Uint8Array(4);
  new DataView(out.buffer).setInt32(0, value, true);
  return out;
}
