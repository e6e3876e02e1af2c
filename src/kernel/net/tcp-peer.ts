/** What stands at the other end of a TCP connection: another socket of the guest's, or a connection of the host's. */
import type { TcpOptions } from './tcp-options.ts';
import type { TcpSocket } from './tcp.ts';

/** Where a connection's bytes go. */
export interface TcpPeer {
  /** Bytes it would take now. */
  room(from: TcpSocket): number;
  /** Takes all of `src`, which is no more than `room`. */
  deliver(src: Uint8Array): void;
  /** Bytes taken and not yet read, or not yet sent to the network. */
  held(): number;
  /** FIN. */
  finish(): void;
  /** RST. */
  reset(): void;
  /** The guest has read some of what came from here. */
  consumed(): void;
  /** The guest has closed its end; no more is read. */
  released(): void;
  optionsChanged(options: TcpOptions): void;
}
