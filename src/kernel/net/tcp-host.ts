/** The other end of a TCP connection that leaves through the host, or came in through a published port. */
import { errno } from '../abi/errno.ts';
import type { HostNetwork, HostStream, HostStreamEvents } from './host-network.ts';
import type { Endpoint } from './ip.ts';
import { SO, SOL_SOCKET } from './constants.ts';
import { storedValue } from './options.ts';
import type { TcpSocket } from './tcp.ts';
import type { TcpOptions } from './tcp-options.ts';
import type { TcpPeer } from './tcp-peer.ts';

/** Bytes the host may hold that it has not sent. */
const SEND_LIMIT = 512 * 1024;

export class HostPeer implements TcpPeer {
  readonly #socket: TcpSocket;
  #stream!: HostStream;
  #paused = false;
  #gone = false;

  private constructor(socket: TcpSocket) {
    this.#socket = socket;
  }
  static connect(host: HostNetwork, socket: TcpSocket, to: Endpoint): HostPeer {
    const peer = new HostPeer(socket);
    peer.#stream = host.connect(to, peer.#events());
    peer.optionsChanged(socket.tcp);
    return peer;
  }
  /** For a connection that a published port has accepted. */
  static accept(socket: TcpSocket, accept: (events: HostStreamEvents) => HostStream): HostPeer {
    const peer = new HostPeer(socket);
    peer.#stream = accept(peer.#events());
    peer.optionsChanged(socket.tcp);
    return peer;
  }

  #events(): HostStreamEvents {
    const socket = this.#socket;
    return {
      connected: () => {
        if (socket.peer === this) socket.establish(this);
      },
      data: (chunk) => {
        if (socket.peer !== this) return;
        if (socket.orphan) {
          socket.peer = null;
          this.reset();
          return;
        }
        socket.deliver(chunk);
        if (socket.unread < socket.receiveCapacity || this.#paused) return;
        this.#paused = true;
        this.#stream.pause();
      },
      end: () => {
        if (socket.peer === this) socket.finish();
      },
      written: () => {
        if (socket.peer === this) socket.consumed();
      },
      failed: (error) => {
        this.#gone = true;
        if (socket.peer !== this) return;
        if (socket.state === 'connecting') socket.fail(error);
        else if (error === errno.ECONNRESET || error === errno.EPIPE) socket.reset();
        else if (!socket.orphan) socket.fail(error);
      },
    };
  }

  room(from: TcpSocket): number {
    const limit = from.sendBufferLocked ? Math.min(from.sendBuffer, SEND_LIMIT) : SEND_LIMIT;
    return Math.max(0, limit - this.#stream.held);
  }
  held(): number {
    return this.#stream.held;
  }
  deliver(src: Uint8Array): void {
    if (this.#gone) return;
    this.#stream.write(src);
  }
  finish(): void {
    if (!this.#gone) this.#stream.end();
  }
  reset(): void {
    if (this.#gone) return;
    this.#gone = true;
    this.#stream.destroy(true);
  }
  consumed(): void {
    if (!this.#paused || this.#socket.unread * 2 > this.#socket.receiveCapacity) return;
    this.#paused = false;
    if (!this.#gone) this.#stream.resume();
  }
  released(): void {
    // What still comes is answered with RST; the host forgets a peer that never closes.
    if (!this.#gone) this.#stream.release();
  }
  optionsChanged(options: TcpOptions): void {
    if (this.#gone) return;
    this.#stream.setNoDelay(options.noDelay);
    const keepAlive = storedValue(this.#socket, SOL_SOCKET, SO.SO_KEEPALIVE);
    if (keepAlive !== undefined) this.#stream.setKeepAlive(keepAlive === 1, options.keepIdle);
  }
}
