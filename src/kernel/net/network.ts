/** The network of one kernel: interfaces, ports, names, and the way to the host's network. */
import { errno, sysError } from '../abi/errno.ts';
import { initialUserNamespace, type UserNamespace } from '../ns/user.ts';
import type { HostNetwork } from './host-network.ts';
import { hasAddress, IFF_UP, type Interface, interfacesFor, newLoopback } from './interfaces.ts';
import {
  type Endpoint,
  isAny,
  isBroadcast,
  isLinkLocal6,
  isLoopback,
  isMulticast,
  isV6,
  LOOPBACK4,
  LOOPBACK6,
} from './ip.ts';
import { PortTable } from './ports.ts';
import { Publisher } from './publish.ts';
import type { Socket } from './socket.ts';
import type { TcpSocket } from './tcp.ts';
import type { UdpSocket } from './udp.ts';
import { UnixNames } from './unix-names.ts';

/** The guest's side of the way out, as user-mode networks number it; the gateway stands for the host. */
export const GUEST_ADDRESS4 = '10.0.2.15';
export const GATEWAY4 = '10.0.2.2';
export const GUEST_ADDRESS6 = 'fec0::15';
const DNS_PORT = 53;

export interface NetworkInit {
  /** Null: the guest's own loopback is all there is. */
  host: HostNetwork | null;
  randomFill(dst: Uint8Array): void;
  /** Something the user should know. */
  diagnostic(line: string): void;
  /** Of a network namespace of the guest's making: it begins with a loopback interface that is down, and can be changed. */
  owner?: UserNamespace;
}

export class Network {
  readonly host: HostNetwork | null;
  /** Whose capabilities count. */
  readonly owner: UserNamespace;
  /** The loopback interface where it can be changed, else null. */
  readonly loopback: Interface | null;
  readonly unixNames = new UnixNames();
  readonly tcp: PortTable;
  readonly udp: PortTable;
  readonly udplite: PortTable;
  /** Every socket there is, for /proc/net. */
  readonly sockets = new Set<Socket>();
  readonly publisher: Publisher;
  #interfaces: readonly Interface[] | null = null;
  #cookie = 0;
  /** SO_REUSEPORT: whose turn it is. */
  #turn = 0;

  constructor(init: NetworkInit) {
    this.host = init.host;
    this.owner = init.owner ?? initialUserNamespace;
    this.loopback = init.owner ? newLoopback() : null;
    const random = (): number => {
      const bytes = new Uint8Array(2);
      init.randomFill(bytes);
      return bytes[0]! * 256 + bytes[1]!;
    };
    this.tcp = new PortTable(random);
    this.udp = new PortTable(random);
    this.udplite = new PortTable(random);
    this.publisher = new Publisher(this, init.diagnostic);
  }

  nextCookie(): number {
    return ++this.#cookie;
  }
  get interfaces(): readonly Interface[] {
    this.#interfaces ??= this.loopback ? [this.loopback] : interfacesFor(this.host);
    return this.#interfaces;
  }

  /** Whether an address is the guest's own: what is sent there stays inside. */
  isLocal(address: string): boolean {
    if (this.loopback) return hasAddress(this.loopback, address);
    if (isLoopback(address)) return true;
    return this.host !== null && this.interfaces.some((i) => i.addresses.some((a) => a.address === address));
  }

  /** Source address of what goes to `to`, which is no wildcard. Throws ENETUNREACH. */
  sourceFor(to: string): string {
    if (this.loopback && !(this.loopback.flags & IFF_UP)) throw sysError(errno.ENETUNREACH);
    if (this.isLocal(to)) {
      if (isLoopback(to)) return isV6(to) ? LOOPBACK6 : LOOPBACK4;
      return to;
    }
    if (!this.host || isLinkLocal6(to) || (isV6(to) && !this.host.ipv6)) throw sysError(errno.ENETUNREACH);
    return isV6(to) ? GUEST_ADDRESS6 : GUEST_ADDRESS4;
  }

  /**
   * Whether a packet leaves through the host. Loopback never does, but for name servers of the host that only its own
   * loopback reaches, while nothing of the guest's answers there.
   */
  viaHost(to: Endpoint, ports: PortTable): boolean {
    if (!this.host) return false;
    if (!this.isLocal(to.address)) return true;
    return (
      to.port === DNS_PORT &&
      this.host.loopbackNameServers.includes(to.address) &&
      ports.listeners(to.address, to.port, (s) => (s.remote ? -1 : 0)).length === 0
    );
  }

  /** Who accepts a connection to an address. */
  tcpListener(to: Endpoint): TcpSocket | null {
    const found = this.tcp.listeners(to.address, to.port, (s) => (s.listening ? 0 : -1));
    return (this.#pick(found) as TcpSocket | undefined) ?? null;
  }
  /** Who accepts what comes through a published port: any listener, one for all addresses first. */
  publishedListener(port: number): TcpSocket | null {
    const at = [...(this.tcp.at(port) ?? [])].filter((s) => s.listening);
    at.sort((a, b) => Number(isLoopback(a.bound!.address)) - Number(isLoopback(b.bound!.address)));
    const best = at.filter((s) => isLoopback(s.bound!.address) === isLoopback(at[0]!.bound!.address));
    return (this.#pick(best) as TcpSocket | undefined) ?? null;
  }
  /** Who hears a datagram. */
  udpReceiver(to: Endpoint, from: Endpoint, ports = this.udp): UdpSocket | null {
    const found = ports.listeners(to.address, to.port, (s) => {
      if (!s.remote) return 0;
      return s.remote.address === from.address && s.remote.port === from.port ? 4 : -1;
    });
    return (this.#pick(found) as UdpSocket | undefined) ?? null;
  }
  /** Everybody who hears a datagram to a group or to all. */
  udpGroup(to: Endpoint, ports = this.udp): UdpSocket[] {
    return [...(ports.at(to.port) ?? [])].filter((s) => {
      const at = s.bound!.address;
      if (!isAny(at) && at !== to.address) return false;
      return isBroadcast(to.address) || !isMulticast(to.address) || (s as UdpSocket).inGroup(to.address);
    }) as UdpSocket[];
  }
  #pick<T>(found: readonly T[]): T | undefined {
    return found.length <= 1 ? found[0] : found[this.#turn++ % found.length];
  }

  /** The guest has ended: what it wrote still leaves. */
  async shutdown(): Promise<void> {
    this.publisher.close();
    await this.host?.flush();
  }
}
