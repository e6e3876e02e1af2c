/**
 * What the kernel asks of the host's network. The runtime implements it on Node; tests implement it in memory. Addresses
 * are canonical text, errors are Linux error numbers. Nothing here may call back before the method that starts it has
 * returned.
 */
import type { Endpoint } from './ip.ts';

/** One TCP connection of the host's. */
export interface HostStream {
  /** Takes a copy of bytes that may be guest memory. */
  write(data: Uint8Array): void;
  /** Bytes given to `write` that have not left for the network. */
  readonly held: number;
  /** No more will be written: FIN behind what is under way. */
  end(): void;
  /** Closed by the guest after `end`: it stays until the peer closes, too, for a minute at most. */
  release(): void;
  /** Stops and resumes `data`. */
  pause(): void;
  resume(): void;
  /** Closes; `reset` with RST where the host can. No events follow. */
  destroy(reset: boolean): void;
  setNoDelay(on: boolean): void;
  setKeepAlive(on: boolean, delaySeconds: number): void;
}

export interface HostStreamEvents {
  /** Connected: the host's own end. */
  connected(): void;
  /** Bytes that are good until this returns. */
  data(chunk: Uint8Array): void;
  /** The peer sends no more. */
  end(): void;
  /** What `held` counted has left for the network, or much of it. */
  written(): void;
  /** The connection failed or broke; no events follow. */
  failed(error: number): void;
}

/** A UDP socket of the host's. */
export interface HostDatagram {
  /** `to` null: to the peer it is connected to. */
  send(data: Uint8Array, to: Endpoint | null): void;
  close(): void;
}
export interface HostDatagramEvents {
  message(data: Uint8Array, from: Endpoint): void;
  /** So many bytes given to `send` are no longer held. */
  sent(bytes: number): void;
  failed(error: number): void;
}

export interface HostListener {
  close(): void;
}
export interface HostListenerEvents {
  /** A client. It delivers nothing until `accept` is called, or is turned away with `destroy`. */
  connection(from: Endpoint, accept: (events: HostStreamEvents) => HostStream, destroy: () => void): void;
}

/** `-p`: a port of the host's that leads to one of the guest's. */
export interface PublishedPort {
  readonly protocol: 'tcp' | 'udp';
  /** Host address to listen on; null: all. */
  readonly address: string | null;
  readonly hostPort: number;
  readonly guestPort: number;
}

export interface HostNetwork {
  readonly published: readonly PublishedPort[];
  /** Loopback addresses of the host that its resolver configuration names. */
  readonly loopbackNameServers: readonly string[];
  /** Whether the host has a route for IPv6. */
  readonly ipv6: boolean;
  connect(to: Endpoint, events: HostStreamEvents): HostStream;
  /** Rejects with a line for the user. */
  listen(port: PublishedPort, events: HostListenerEvents): Promise<HostListener>;
  /** `peer` null: any. */
  datagram(family: 4 | 6, peer: Endpoint | null, events: HostDatagramEvents): HostDatagram;
  /** A datagram socket on a published port. Rejects with a line for the user. */
  bindDatagram(port: PublishedPort, events: HostDatagramEvents): Promise<HostDatagram>;
  /** Settles when everything written has left, or it is no use waiting any longer. */
  flush(): Promise<void>;
}
