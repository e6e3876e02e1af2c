/** Published ports (`-p`): listeners of the host that exist while the guest listens on the port they lead to. */
import { AF_INET } from './constants.ts';
import type { HostDatagram, HostListener, HostListenerEvents, PublishedPort } from './host-network.ts';
import { type Endpoint, isAny, isV6 } from './ip.ts';
import { GATEWAY4, GUEST_ADDRESS4, GUEST_ADDRESS6, type Network } from './network.ts';
import { HostPeer } from './tcp-host.ts';

export class Publisher {
  readonly #net: Network;
  readonly #diagnostic: (line: string) => void;
  readonly #listeners = new Map<PublishedPort, Promise<HostListener | null>>();
  readonly #datagrams = new Map<PublishedPort, { socket: HostDatagram | null; ready: Promise<void> }>();

  constructor(net: Network, diagnostic: (line: string) => void) {
    this.#net = net;
    this.#diagnostic = diagnostic;
  }
  #ports(protocol: 'tcp' | 'udp', guestPort: number): PublishedPort[] {
    return this.#net.host?.published.filter((p) => p.protocol === protocol && p.guestPort === guestPort) ?? [];
  }

  /** The guest listens on a port. A promise where one of the host's leads to it: until it listens, too. */
  listening(guestPort: number): Promise<void> | undefined {
    const ports = this.#ports('tcp', guestPort);
    if (ports.length === 0) return undefined;
    return Promise.all(ports.map((p) => this.#listen(p))).then(() => undefined);
  }
  #listen(port: PublishedPort): Promise<HostListener | null> {
    let listener = this.#listeners.get(port);
    if (!listener) {
      const failed = (e: unknown): null => {
        this.#diagnostic(`cannot publish port ${port.hostPort}: ${e instanceof Error ? e.message : String(e)}`);
        return null;
      };
      listener = this.#net.host!.listen(port, this.#events(port)).catch(failed);
      this.#listeners.set(port, listener);
    }
    return listener;
  }
  /** A listener of the guest's has gone: with the last one, those of the host go. */
  stopped(guestPort: number): void {
    if (this.#net.publishedListener(guestPort)) return;
    for (const port of this.#ports('tcp', guestPort)) {
      const listener = this.#listeners.get(port);
      this.#listeners.delete(port);
      void listener?.then((l) => l?.close());
    }
  }

  #events(port: PublishedPort): HostListenerEvents {
    return {
      connection: (from, accept, destroy) => {
        const listener = this.#net.publishedListener(port.guestPort);
        if (!listener) {
          destroy();
          return;
        }
        listener.whenRoom(() => {
          if (!listener.listening) {
            destroy();
            return;
          }
          const v4 = listener.domain === AF_INET || listener.v6only === false;
          const remote = isV6(from.address) && listener.domain === AF_INET ? { ...from, address: GATEWAY4 } : from;
          const own = listener.bound!.address;
          const local = isAny(own) ? (v4 && !isV6(remote.address) ? GUEST_ADDRESS4 : GUEST_ADDRESS6) : own;
          const child = listener.newConnection({ address: local, port: port.guestPort }, remote);
          listener.enqueue(child, HostPeer.accept(child, accept));
        });
      },
    };
  }

  /** The guest has bound a UDP port. */
  bound(guestPort: number): Promise<void> | undefined {
    const ports = this.#ports('udp', guestPort);
    if (ports.length === 0) return undefined;
    return Promise.all(ports.map((p) => this.#bind(p))).then(() => undefined);
  }
  #bind(port: PublishedPort): Promise<void> {
    const known = this.#datagrams.get(port);
    if (known) return known.ready;
    const entry: { socket: HostDatagram | null; ready: Promise<void> } = { socket: null, ready: Promise.resolve() };
    this.#datagrams.set(port, entry);
    const host = this.#net.host!;
    const opened = host.bindDatagram(port, {
      message: (data, from) => this.#arrived(port, data, from),
      sent: () => undefined,
      failed: () => undefined,
    });
    entry.ready = opened.then(
      (socket) => {
        if (this.#datagrams.get(port) === entry) entry.socket = socket;
        else socket.close();
      },
      (e: unknown) => {
        this.#diagnostic(`cannot publish port ${port.hostPort}/udp: ${e instanceof Error ? e.message : String(e)}`);
      },
    );
    return entry.ready;
  }
  #arrived(port: PublishedPort, data: Uint8Array, from: Endpoint): void {
    const to = { address: isV6(from.address) ? GUEST_ADDRESS6 : GUEST_ADDRESS4, port: port.guestPort };
    const any = [...(this.#net.udp.at(port.guestPort) ?? [])][0];
    const receiver = this.#net.udpReceiver(to, from) ?? (any && !any.remote ? any : null);
    // Answers to the sender go back the way it came.
    (receiver as import('./udp.ts').UdpSocket | null)?.arrived(data, from, to);
  }
  unbound(guestPort: number): void {
    if ((this.#net.udp.at(guestPort)?.size ?? 0) > 0) return;
    for (const port of this.#ports('udp', guestPort)) {
      const entry = this.#datagrams.get(port);
      this.#datagrams.delete(port);
      entry?.socket?.close();
    }
  }
  /** The host's socket that a datagram from a published port leaves by. */
  datagramFor(guestPort: number, to: Endpoint): HostDatagram | null {
    for (const port of this.#ports('udp', guestPort)) {
      const socket = this.#datagrams.get(port)?.socket;
      if (socket && (port.address === null || isV6(port.address) === isV6(to.address))) return socket;
    }
    return null;
  }

  close(): void {
    for (const listener of this.#listeners.values()) void listener.then((l) => l?.close());
    for (const { socket } of this.#datagrams.values()) socket?.close();
    this.#listeners.clear();
    this.#datagrams.clear();
  }
}
