/** Port numbers of one transport: who is bound where, and who hears what is sent to a port. */
import { errno, sysError } from '../abi/errno.ts';
import { AF_INET6 } from './constants.ts';
import { ANY4, ANY6, isAny, isV6 } from './ip.ts';
import type { InetSocket } from './inet.ts';

/** net.ipv4.ip_local_port_range. */
export const EPHEMERAL_FIRST = 32768;
export const EPHEMERAL_LAST = 60999;

/** Whether two bound addresses cover a common one. */
function overlap(a: InetSocket, b: InetSocket): boolean {
  const x = a.bound!.address;
  const y = b.bound!.address;
  if (x === y) return true;
  if (x === ANY6) return !isV6(y) ? !a.v6only : true;
  if (y === ANY6) return !isV6(x) ? !b.v6only : true;
  if (x === ANY4) return !isV6(y);
  if (y === ANY4) return !isV6(x);
  return false;
}

export class PortTable {
  readonly #byPort = new Map<number, Set<InetSocket>>();
  #random: () => number;

  /** `random` gives a number below 2^16. */
  constructor(random: () => number) {
    this.#random = random;
  }

  *sockets(): Generator<InetSocket> {
    for (const set of this.#byPort.values()) yield* set;
  }
  at(port: number): ReadonlySet<InetSocket> | undefined {
    return this.#byPort.get(port);
  }

  /** Whether `socket`, bound to an address, may have the port (inet_csk_get_port, udp_lib_get_port). */
  #conflicts(socket: InetSocket, port: number): boolean {
    for (const other of this.#byPort.get(port) ?? []) {
      if (other === socket || !overlap(socket, other)) continue;
      if (socket.reuseAddress && other.reuseAddress && !socket.listening && !other.listening) continue;
      if (socket.reusePort && other.reusePort && socket.uid === other.uid) continue;
      return true;
    }
    return false;
  }
  /** The port is free for a listener as well: SO_REUSEADDR does not help against another listener. */
  checkListen(socket: InetSocket): void {
    for (const other of this.#byPort.get(socket.bound!.port) ?? []) {
      if (other === socket || !other.listening || !overlap(socket, other)) continue;
      if (socket.reusePort && other.reusePort && socket.uid === other.uid) continue;
      throw sysError(errno.EADDRINUSE);
    }
  }

  /** Enters a socket under its bound address. Port 0: any free one. Throws EADDRINUSE. */
  add(socket: InetSocket): void {
    const { address, port } = socket.bound!;
    if (port === 0) {
      this.#addEphemeral(socket, address);
      return;
    }
    if (this.#conflicts(socket, port)) throw sysError(errno.EADDRINUSE);
    this.#enter(socket, port);
  }
  #addEphemeral(socket: InetSocket, address: string): void {
    const span = EPHEMERAL_LAST - EPHEMERAL_FIRST + 1;
    const start = this.#random() % span;
    for (let i = 0; i < span; i++) {
      const port = EPHEMERAL_FIRST + ((start + i) % span);
      // Nobody at all on it: connections are told apart by it.
      if (this.#byPort.has(port)) continue;
      socket.bound = { address, port };
      this.#enter(socket, port);
      return;
    }
    throw sysError(errno.EADDRINUSE);
  }
  #enter(socket: InetSocket, port: number): void {
    let set = this.#byPort.get(port);
    if (!set) {
      set = new Set();
      this.#byPort.set(port, set);
    }
    set.add(socket);
  }
  /** A connection that lives on its listener's port. */
  share(socket: InetSocket): void {
    this.#enter(socket, socket.bound!.port);
  }
  remove(socket: InetSocket): void {
    const port = socket.bound?.port ?? -1;
    const set = this.#byPort.get(port);
    if (!set?.delete(socket)) return;
    if (set.size === 0) this.#byPort.delete(port);
  }

  /** Those who hear what is sent to an address and port, the most specific ones: more than one under SO_REUSEPORT. */
  listeners(address: string, port: number, score: (s: InetSocket) => number): InetSocket[] {
    let best = 0;
    let found: InetSocket[] = [];
    for (const s of this.#byPort.get(port) ?? []) {
      const base = hears(s, address);
      if (base === 0) continue;
      const extra = score(s);
      if (extra < 0) continue;
      const total = base + extra;
      if (total < best) continue;
      if (total > best) {
        best = total;
        found = [];
      }
      found.push(s);
    }
    return found;
  }
}

/** 0: not at all; more for a more specific address. */
export function hears(s: InetSocket, address: string): number {
  const at = s.bound!.address;
  if (at === address) return 3;
  if (!isAny(at)) return 0;
  if (isV6(address)) return at === ANY6 ? 2 : 0;
  if (at === ANY4) return s.domain === AF_INET6 ? 1 : 2;
  return s.v6only ? 0 : 1;
}
