/** What TCP and UDP sockets share: addresses of either family, binding, and the options of ip(7) and ipv6(7). */
import { errno, sysError } from '../abi/errno.ts';
import type { Task } from '../task/task.ts';
import { AF_INET, AF_INET6, AF_UNSPEC, IPPROTO_IP, IPPROTO_IPV6, SOCK_STREAM } from './constants.ts';
import { type Endpoint, ANY4, ANY6, isAny, isMulticast, isBroadcast, isV6 } from './ip.ts';
import type { Network } from './network.ts';
import {
  getStored,
  type OptionValue,
  readInt,
  setStored,
  type StoredOption,
  type StoredOptions,
  storedValue,
} from './options.ts';
import type { PortTable } from './ports.ts';
import { decodeV4, decodeV6, encodeEndpoint, familyOf, isMappedV6 } from './sockaddr.ts';
import { Socket } from './socket.ts';

export const IP = {
  IP_TOS: 1,
  IP_TTL: 2,
  IP_HDRINCL: 3,
  IP_OPTIONS: 4,
  IP_PKTINFO: 8,
  IP_MTU_DISCOVER: 10,
  IP_RECVERR: 11,
  IP_RECVTTL: 12,
  IP_RECVTOS: 13,
  IP_MTU: 14,
  IP_FREEBIND: 15,
  IP_TRANSPARENT: 19,
  IP_MULTICAST_IF: 32,
  IP_MULTICAST_TTL: 33,
  IP_MULTICAST_LOOP: 34,
  IP_ADD_MEMBERSHIP: 35,
  IP_DROP_MEMBERSHIP: 36,
  IP_MULTICAST_ALL: 49,
} as const;
export const IPV6 = {
  IPV6_UNICAST_HOPS: 16,
  IPV6_MULTICAST_IF: 17,
  IPV6_MULTICAST_HOPS: 18,
  IPV6_MULTICAST_LOOP: 19,
  IPV6_ADD_MEMBERSHIP: 20,
  IPV6_DROP_MEMBERSHIP: 21,
  IPV6_MTU: 24,
  IPV6_V6ONLY: 26,
  IPV6_RECVPKTINFO: 49,
  IPV6_TCLASS: 67,
} as const;
const CAP_NET_ADMIN = 12;
/** MTU of both interfaces towards anywhere. */
const LOOPBACK_MTU = 65536;

const FLAG: StoredOption = { initial: 0, flag: true };
const ON: StoredOption = { initial: 1, flag: true };

const ipOptions: StoredOptions = {
  [IP.IP_TOS]: { initial: 0 },
  [IP.IP_TTL]: { initial: 64, min: -1, max: 255 },
  5: FLAG, // IP_ROUTER_ALERT
  6: FLAG, // IP_RECVOPTS
  7: FLAG, // IP_RETOPTS
  [IP.IP_PKTINFO]: FLAG,
  [IP.IP_MTU_DISCOVER]: { initial: 1, min: 0, max: 5 },
  [IP.IP_RECVERR]: FLAG,
  [IP.IP_RECVTTL]: FLAG,
  [IP.IP_RECVTOS]: FLAG,
  [IP.IP_FREEBIND]: FLAG,
  18: FLAG, // IP_PASSSEC
  [IP.IP_TRANSPARENT]: FLAG,
  20: FLAG, // IP_ORIGDSTADDR
  21: { initial: 0, min: 0, max: 255 }, // IP_MINTTL
  23: FLAG, // IP_CHECKSUM
  24: FLAG, // IP_BIND_ADDRESS_NO_PORT
  25: FLAG, // IP_RECVFRAGSIZE
  26: FLAG, // IP_RECVERR_RFC4884
  [IP.IP_MULTICAST_TTL]: { initial: 1, min: -1, max: 255 },
  [IP.IP_MULTICAST_LOOP]: ON,
  [IP.IP_MULTICAST_ALL]: { initial: 1, min: 0, max: 1 },
  50: { initial: 0 }, // IP_UNICAST_IF
  51: { initial: 0 }, // IP_LOCAL_PORT_RANGE
};

const ipv6Options: StoredOptions = {
  [IPV6.IPV6_UNICAST_HOPS]: { initial: 64, min: -1, max: 255 },
  [IPV6.IPV6_MULTICAST_IF]: { initial: 0, min: 0 },
  [IPV6.IPV6_MULTICAST_HOPS]: { initial: 1, min: -1, max: 255 },
  [IPV6.IPV6_MULTICAST_LOOP]: { initial: 1, min: 0, max: 1 },
  23: { initial: 1, min: 0, max: 5 }, // IPV6_MTU_DISCOVER
  25: FLAG, // IPV6_RECVERR
  29: { initial: 1, min: 0, max: 1 }, // IPV6_MULTICAST_ALL
  30: FLAG, // IPV6_ROUTER_ALERT_ISOLATE
  31: FLAG, // IPV6_RECVERR_RFC4884
  33: FLAG, // IPV6_FLOWINFO_SEND
  [IPV6.IPV6_RECVPKTINFO]: FLAG,
  51: FLAG, // IPV6_RECVHOPLIMIT
  53: FLAG, // IPV6_RECVHOPOPTS
  56: FLAG, // IPV6_RECVRTHDR
  58: FLAG, // IPV6_RECVDSTOPTS
  60: FLAG, // IPV6_RECVPATHMTU
  62: FLAG, // IPV6_DONTFRAG
  66: FLAG, // IPV6_RECVTCLASS
  [IPV6.IPV6_TCLASS]: { initial: 0, min: -1, max: 255 },
  70: { initial: 1, flag: true }, // IPV6_AUTOFLOWLABEL
  72: { initial: 0x500 }, // IPV6_ADDR_PREFERENCES
  73: { initial: 0, min: 0, max: 255 }, // IPV6_MINHOPCOUNT
  74: FLAG, // IPV6_RECVORIGDSTADDR
  75: FLAG, // IPV6_TRANSPARENT
  76: { initial: 0 }, // IPV6_UNICAST_IF
  77: FLAG, // IPV6_RECVFRAGSIZE
  78: FLAG, // IPV6_FREEBIND
};

export abstract class InetSocket extends Socket {
  readonly domain: number;
  v6only = false;
  /** Address and port it is bound to: the wildcard until it is bound to an address or connected. Null: unbound. */
  bound: Endpoint | null = null;
  /** bind(2) chose the port, which disconnecting keeps. */
  protected boundByUser = false;
  remote: Endpoint | null = null;

  constructor(net: Network, domain: number, task: Task | null, flags: number) {
    super(net, task, flags);
    this.domain = domain;
    net.sockets.add(this);
  }
  protected abstract readonly ports: PortTable;

  get anyAddress(): string {
    return this.domain === AF_INET6 ? ANY6 : ANY4;
  }

  /** A struct sockaddr of this socket's family, or (AF_INET6, not IPV6_V6ONLY) a mapped IPv4 address. */
  protected decode(address: Uint8Array): Endpoint {
    if (this.domain === AF_INET) return decodeV4(address);
    if (isMappedV6(address) && this.v6only) throw sysError(errno.ENETUNREACH);
    return decodeV6(address);
  }

  override bind(_task: Task, address: Uint8Array): void {
    if (address.length < 2) throw sysError(errno.EINVAL);
    let to: Endpoint;
    if (this.domain === AF_INET) {
      // AF_UNSPEC is accepted with the wildcard address, for programs of old (inet_bind).
      const family = familyOf(address);
      if (address.length < 16) throw sysError(errno.EINVAL);
      if (family === AF_UNSPEC && address.subarray(4, 8).every((b) => b === 0)) {
        const copy = address.slice();
        copy[0] = AF_INET;
        to = decodeV4(copy);
      } else to = decodeV4(address);
    } else {
      if (address.length < 24) throw sysError(errno.EINVAL);
      if (isMappedV6(address) && this.v6only) throw sysError(errno.EINVAL);
      to = decodeV6(address);
    }
    if (!this.mayBind) throw sysError(errno.EINVAL);
    this.#checkAddress(to.address);
    if (this.bound) throw sysError(errno.EINVAL);
    this.bound = { address: to.address, port: to.port };
    try {
      this.ports.add(this);
    } catch (e) {
      this.bound = null;
      throw e;
    }
    this.boundByUser = true;
  }
  protected get mayBind(): boolean {
    return true;
  }
  #checkAddress(address: string): void {
    if (isAny(address) || this.net.isLocal(address)) return;
    const udp = this.type !== SOCK_STREAM;
    if (udp && (isMulticast(address) || isBroadcast(address))) return;
    if (storedValue(this, IPPROTO_IP, IP.IP_FREEBIND) === 1 || storedValue(this, IPPROTO_IPV6, 78) === 1) return;
    throw sysError(errno.EADDRNOTAVAIL);
  }
  /** Gives an unbound socket a port. Throws EAGAIN when none is left, as connect(2) and sendto(2) do. */
  protected autobind(): void {
    if (this.bound) return;
    this.bound = { address: this.anyAddress, port: 0 };
    try {
      this.ports.add(this);
    } catch {
      this.bound = null;
      throw sysError(errno.EAGAIN);
    }
  }
  /** Takes it out of the table of ports. */
  protected unbind(): void {
    if (!this.bound) return;
    this.ports.remove(this);
    this.bound = null;
    this.boundByUser = false;
  }

  override localAddress(): Uint8Array {
    return encodeEndpoint(this.domain, this.bound ?? { address: this.anyAddress, port: 0 });
  }

  override getProtocolOption(level: number, name: number, _task: Task): OptionValue {
    if (level === IPPROTO_IP) return this.#getIp(name);
    if (level === IPPROTO_IPV6 && this.domain === AF_INET6) return this.#getIpv6(name);
    throw sysError(this.domain === AF_INET6 ? errno.ENOPROTOOPT : errno.EOPNOTSUPP);
  }
  #getIp(name: number): OptionValue {
    switch (name) {
      case IP.IP_MTU:
        return this.#mtu();
      case IP.IP_HDRINCL:
        return 0;
      case IP.IP_OPTIONS:
        return new Uint8Array(0);
      case IP.IP_MULTICAST_IF:
        return storedValue(this, IPPROTO_IP, name) ?? new Uint8Array(4);
      case IP.IP_MULTICAST_ALL:
        return storedValue(this, IPPROTO_IP, name) ?? (this.domain === AF_INET ? 1 : 0);
      case IP.IP_TTL: {
        const ttl = getStored(this, IPPROTO_IP, name, ipOptions);
        return ttl === -1 ? 64 : ttl;
      }
    }
    return getStored(this, IPPROTO_IP, name, ipOptions);
  }
  #getIpv6(name: number): OptionValue {
    switch (name) {
      case IPV6.IPV6_V6ONLY:
        return this.v6only ? 1 : 0;
      case IPV6.IPV6_MTU:
        return this.#mtu();
      case IPV6.IPV6_UNICAST_HOPS: {
        const hops = getStored(this, IPPROTO_IPV6, name, ipv6Options);
        return hops === -1 ? 64 : hops;
      }
    }
    return getStored(this, IPPROTO_IPV6, name, ipv6Options);
  }
  #mtu(): number {
    if (!this.remote) throw sysError(errno.ENOTCONN);
    return this.net.isLocal(this.remote.address) ? LOOPBACK_MTU : 1500;
  }

  override setProtocolOption(task: Task, level: number, name: number, value: Uint8Array): void {
    if (level === IPPROTO_IP) this.#setIp(task, name, value);
    else if (level === IPPROTO_IPV6 && this.domain === AF_INET6) this.#setIpv6(name, value);
    else throw sysError(errno.ENOPROTOOPT);
  }
  #setIp(task: Task, name: number, value: Uint8Array): void {
    if (name === IP.IP_ADD_MEMBERSHIP || name === IP.IP_DROP_MEMBERSHIP) {
      this.membership(name, value);
      return;
    }
    if (name === IP.IP_MULTICAST_IF) {
      if (value.length < 4) throw sysError(errno.EINVAL);
      this.options.set(IPPROTO_IP * 0x1_0000 + name, value.length >= 8 ? value.slice(4, 8) : value.slice(0, 4));
      return;
    }
    if (name === IP.IP_OPTIONS) {
      if (value.length > 0) throw sysError(errno.EINVAL);
      return;
    }
    if (name === IP.IP_MTU || name === IP.IP_HDRINCL) throw sysError(errno.ENOPROTOOPT);
    if (name === IP.IP_TRANSPARENT && !task.cred.capableIn(task.ns.net.owner!, CAP_NET_ADMIN))
      throw sysError(errno.EPERM);
    // One byte will do for any of them (do_ip_setsockopt).
    let int = value.length >= 4 ? readInt(value) : value.length >= 1 ? value[0]! : 0;
    if (name === IP.IP_TTL && int === 0) throw sysError(errno.EINVAL);
    if (name === IP.IP_TOS) int &= this.type === SOCK_STREAM ? 0xfc : 0xff;
    if (name === IP.IP_MULTICAST_TTL) {
      if (this.type === SOCK_STREAM) throw sysError(errno.EINVAL);
      if (int === -1) int = 1;
    }
    setStored(this, IPPROTO_IP, name, int, ipOptions);
  }
  #setIpv6(name: number, value: Uint8Array): void {
    if (name === IPV6.IPV6_ADD_MEMBERSHIP || name === IPV6.IPV6_DROP_MEMBERSHIP) {
      if (value.length < 20) throw sysError(errno.EINVAL);
      if (this.type === SOCK_STREAM) throw sysError(errno.ENOPROTOOPT);
      return;
    }
    // IPV6_PKTINFO, IPV6_HOPOPTS, IPV6_DSTOPTS: what would be sent along has nowhere to go.
    if (name === 50 || name === 54 || name === 59) return;
    const int = readInt(value);
    if (name === IPV6.IPV6_V6ONLY) {
      if (this.bound) throw sysError(errno.EINVAL);
      this.v6only = int !== 0;
      return;
    }
    if (name === IPV6.IPV6_MTU) return;
    const stream = this.type === SOCK_STREAM;
    if (name === IPV6.IPV6_MULTICAST_HOPS && stream) throw sysError(errno.ENOPROTOOPT);
    // The two bits of ECN are TCP's own.
    const kept = name === IPV6.IPV6_TCLASS && stream && int <= 255 ? int & ~3 : int;
    setStored(this, IPPROTO_IPV6, name, kept, ipv6Options);
  }
  /** IP_ADD_MEMBERSHIP and IP_DROP_MEMBERSHIP with struct ip_mreq or ip_mreqn. */
  protected membership(_name: number, _value: Uint8Array): void {
    throw sysError(errno.EPROTO);
  }

  /** The address a packet to `to` leaves from. Throws ENETUNREACH. */
  protected sourceFor(to: string): string {
    const own = this.bound?.address;
    if (own !== undefined && !isAny(own)) {
      if (isV6(own) !== isV6(to)) throw sysError(isV6(own) ? errno.ENETUNREACH : errno.EINVAL);
      return own;
    }
    return this.net.sourceFor(to);
  }
}
