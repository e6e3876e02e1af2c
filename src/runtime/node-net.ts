/** The host's network on Node: connections, published ports, datagrams. node:net and node:dgram load when first needed. */
import type { Socket as DatagramSocket } from 'node:dgram';
import { readFileSync } from 'node:fs';
import type { Server } from 'node:net';
import type {
  HostDatagram,
  HostDatagramEvents,
  HostListener,
  HostListenerEvents,
  HostNetwork,
  HostStream,
  HostStreamEvents,
  PublishedPort,
} from '../kernel/net/host-network.ts';
import { canonical, type Endpoint, isLoopback, isV6 } from '../kernel/net/ip.ts';
import { errorNumber, NodeStream } from './node-stream.ts';

/** At the guest's end: how long what it wrote may take without anything moving. */
const FLUSH_MS = 5000;

const net = (): typeof import('node:net') => process.getBuiltinModule('node:net');
const dgram = (): typeof import('node:dgram') => process.getBuiltinModule('node:dgram');

/** What the user is told of a port that cannot be listened on. */
const reason = (e: NodeJS.ErrnoException): string => {
  if (e.code === 'EADDRINUSE') return 'address already in use';
  if (e.code === 'EACCES') return 'permission denied';
  return e.message;
};

/** One UDP socket. What is sent before it is ready waits. */
class NodeDatagram implements HostDatagram {
  readonly #socket: DatagramSocket;
  readonly #events: HostDatagramEvents;
  #waiting: (() => void)[] | null;
  #closed = false;
  /** Datagrams given to `send` that have not left. */
  pending = 0;

  constructor(socket: DatagramSocket, events: HostDatagramEvents, ready: boolean, gather: () => void) {
    this.#socket = socket;
    this.#events = events;
    this.#waiting = ready ? null : [];
    socket.on('message', (data, from) => {
      gather();
      events.message(data, { address: canonical(from.address), port: from.port });
    });
    socket.on('error', (e) => this.#failed(e));
  }
  ready(): void {
    const waiting = this.#waiting;
    this.#waiting = null;
    for (const send of waiting ?? []) send();
  }
  #failed(e: Error): void {
    if (!this.#closed) this.#events.failed(errorNumber(e));
  }
  send(data: Uint8Array, to: Endpoint | null): void {
    this.pending++;
    if (this.#waiting) this.#waiting.push(() => this.#send(data, to));
    else this.#send(data, to);
  }
  #send(data: Uint8Array, to: Endpoint | null): void {
    const done = (e: Error | null): void => {
      this.pending--;
      this.#events.sent(data.length);
      if (e) this.#failed(e);
    };
    if (to) this.#socket.send(data, to.port, to.address, done);
    else this.#socket.send(data, done);
  }
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    // What is still to be sent goes first.
    if (this.#waiting && this.pending > 0) this.#waiting.push(() => this.#socket.close());
    else this.#socket.close();
  }
}

/** Addresses are never names here: nothing is looked up. */
const lookup = (
  address: string,
  _options: unknown,
  done: (e: Error | null, address: string, family: number) => void,
): void => done(null, address, isV6(address) ? 6 : 4);

export class NodeNetwork implements HostNetwork {
  readonly published: readonly PublishedPort[];
  readonly #streams = new Set<NodeStream>();
  readonly #datagrams = new Set<NodeDatagram>();
  readonly #gather: () => void;
  #ipv6: boolean | null = null;
  #nameServers: readonly string[] | null = null;

  /** `gather` is called before each event. */
  constructor(published: readonly PublishedPort[], gather: () => void) {
    this.published = published;
    this.#gather = gather;
  }

  get ipv6(): boolean {
    this.#ipv6 ??= hasGlobalV6();
    return this.#ipv6;
  }
  get loopbackNameServers(): readonly string[] {
    this.#nameServers ??= readNameServers().filter(isLoopback);
    return this.#nameServers;
  }

  connect(to: Endpoint, events: HostStreamEvents): HostStream {
    const socket = net().connect({ host: to.address, port: to.port, allowHalfOpen: true, autoSelectFamily: false });
    const stream = new NodeStream(socket, events, this.#streams, this.#gather);
    socket.once('connect', () => events.connected());
    return stream;
  }

  listen(port: PublishedPort, events: HostListenerEvents): Promise<HostListener> {
    return new Promise((resolve, reject) => {
      const server: Server = net().createServer({ allowHalfOpen: true, pauseOnConnect: true }, (socket) => {
        const from = { address: canonical(socket.remoteAddress ?? ''), port: socket.remotePort ?? 0 };
        // One that has gone already.
        if (socket.remoteAddress === undefined) {
          socket.destroy();
          return;
        }
        const early = (): void => undefined;
        socket.on('error', early);
        const accept = (to: HostStreamEvents): HostStream => {
          socket.off('error', early);
          const stream = new NodeStream(socket, to, this.#streams, this.#gather);
          socket.resume();
          return stream;
        };
        this.#gather();
        events.connection(from, accept, () => socket.resetAndDestroy());
      });
      server.once('error', (e) => reject(new Error(reason(e))));
      const done = (): void => resolve({ close: () => server.close() });
      if (port.address === null) server.listen({ port: port.hostPort, backlog: 511 }, done);
      else server.listen({ port: port.hostPort, host: port.address, backlog: 511 }, done);
    });
  }

  datagram(family: 4 | 6, peer: Endpoint | null, events: HostDatagramEvents): HostDatagram {
    const socket = dgram().createSocket({ type: family === 6 ? 'udp6' : 'udp4', lookup: lookup as never });
    const datagram = new NodeDatagram(socket, events, peer === null, this.#gather);
    this.#datagrams.add(datagram);
    socket.once('close', () => this.#datagrams.delete(datagram));
    if (peer) socket.connect(peer.port, peer.address, () => datagram.ready());
    return datagram;
  }

  bindDatagram(port: PublishedPort, events: HostDatagramEvents): Promise<HostDatagram> {
    return new Promise((resolve, reject) => {
      const v6 = port.address !== null && isV6(port.address);
      const socket = dgram().createSocket({ type: v6 ? 'udp6' : 'udp4', lookup: lookup as never });
      socket.once('error', (e) => reject(new Error(reason(e))));
      const address = port.address === null ? {} : { address: port.address };
      socket.bind({ port: port.hostPort, ...address }, () => {
        socket.removeAllListeners('error');
        resolve(new NodeDatagram(socket, events, true, this.#gather));
      });
    });
  }

  async flush(): Promise<void> {
    let quiet = 0;
    let before = -1;
    for (;;) {
      const open = [...this.#streams].filter((s) => !s.finished);
      const datagrams = [...this.#datagrams].reduce((sum, d) => sum + d.pending, 0);
      if (open.length === 0 && datagrams === 0) break;
      const sent = open.reduce((sum, s) => sum + s.sent - s.held, -datagrams);
      quiet = sent === before ? quiet + 1 : 0;
      before = sent;
      const step = 5;
      if (quiet * step > FLUSH_MS) break;
      await new Promise((resolve) => setTimeout(resolve, step));
    }
    for (const stream of [...this.#streams]) stream.destroy(false);
  }
}

/** Whether some interface has an IPv6 address that reaches beyond its link. */
function hasGlobalV6(): boolean {
  const { networkInterfaces } = process.getBuiltinModule('node:os');
  const all = Object.values(networkInterfaces()).flat();
  return all.some((a) => a !== undefined && a.family === 'IPv6' && !a.internal && !/^fe[89ab]/i.test(a.address));
}

function readNameServers(): string[] {
  try {
    const lines = readFileSync('/etc/resolv.conf', 'latin1').split('\n');
    return lines.flatMap((line) => /^\s*nameserver\s+(\S+)/.exec(line)?.[1] ?? []).map(canonical);
  } catch {
    // No such file on this host: its programs find names in another way, which the guest cannot use.
    return [];
  }
}
