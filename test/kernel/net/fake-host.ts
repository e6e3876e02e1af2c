/** A host network in memory, and a machine with calls for sockets. */
import type {
  HostDatagram,
  HostDatagramEvents,
  HostListener,
  HostListenerEvents,
  HostNetwork,
  HostStream,
  HostStreamEvents,
  PublishedPort,
} from '../../../src/kernel/net/host-network.ts';
import type { Endpoint } from '../../../src/kernel/net/ip.ts';
import { Tmpfs } from '../../../src/kernel/fs/tmpfs.ts';
import { Vfs } from '../../../src/kernel/fs/vfs.ts';
import { Credentials } from '../../../src/kernel/task/credentials.ts';
import { DATA, Machine } from '../syscalls/harness.ts';

/** The host's end of one connection. */
export class FakeStream implements HostStream {
  readonly to: Endpoint;
  readonly events: HostStreamEvents;
  readonly log: string[] = [];
  /** What the guest has sent. */
  readonly received: Uint8Array[] = [];
  paused = false;
  constructor(to: Endpoint, events: HostStreamEvents) {
    this.to = to;
    this.events = events;
  }
  get bytes(): number {
    return this.received.reduce((sum, b) => sum + b.length, 0);
  }
  get text(): string {
    return Buffer.concat(this.received).toString('latin1');
  }
  get held(): number {
    return this.bytes;
  }
  /** The network takes everything that is held. */
  sendAll(): void {
    this.received.length = 0;
    this.events.written();
  }
  write(data: Uint8Array): void {
    this.received.push(data.slice());
  }
  end(): void {
    this.log.push('end');
  }
  release(): void {
    this.log.push('release');
  }
  pause(): void {
    this.paused = true;
  }
  resume(): void {
    this.paused = false;
  }
  destroy(reset: boolean): void {
    this.log.push(reset ? 'reset' : 'destroy');
  }
  setNoDelay(on: boolean): void {
    if (on) this.log.push('nodelay');
  }
  setKeepAlive(): void {
    this.log.push('keepalive');
  }
}

export class FakeDatagram implements HostDatagram {
  readonly peer: Endpoint | null;
  readonly events: HostDatagramEvents;
  readonly sent: { data: string; to: Endpoint | null }[] = [];
  closed = false;
  constructor(peer: Endpoint | null, events: HostDatagramEvents) {
    this.peer = peer;
    this.events = events;
  }
  send(data: Uint8Array, to: Endpoint | null): void {
    this.sent.push({ data: Buffer.from(data).toString('latin1'), to });
  }
  close(): void {
    this.closed = true;
  }
}

export class FakeHostNetwork implements HostNetwork {
  readonly published: readonly PublishedPort[];
  readonly loopbackNameServers: readonly string[] = ['127.0.0.53'];
  readonly ipv6 = false;
  readonly streams: FakeStream[] = [];
  readonly datagrams: FakeDatagram[] = [];
  readonly listeners = new Map<number, HostListenerEvents>();
  constructor(published: readonly PublishedPort[] = []) {
    this.published = published;
  }
  connect(to: Endpoint, events: HostStreamEvents): HostStream {
    const stream = new FakeStream(to, events);
    this.streams.push(stream);
    return stream;
  }
  listen(port: PublishedPort, events: HostListenerEvents): Promise<HostListener> {
    if (this.listeners.has(port.hostPort)) return Promise.reject(new Error('address already in use'));
    this.listeners.set(port.hostPort, events);
    return Promise.resolve({ close: () => this.listeners.delete(port.hostPort) });
  }
  /** A client of the host's, or what became of it. */
  client(hostPort: number, from: Endpoint): FakeStream | 'refused' | 'dropped' {
    const listener = this.listeners.get(hostPort);
    if (!listener) return 'refused';
    let result: FakeStream | 'dropped' | null = null;
    listener.connection(
      from,
      (events) => {
        const stream = new FakeStream(from, events);
        result = stream;
        return stream;
      },
      () => {
        result = 'dropped';
      },
    );
    return result ?? 'dropped';
  }
  datagram(_family: 4 | 6, peer: Endpoint | null, events: HostDatagramEvents): HostDatagram {
    const socket = new FakeDatagram(peer, events);
    this.datagrams.push(socket);
    return socket;
  }
  bindDatagram(_port: PublishedPort, events: HostDatagramEvents): Promise<HostDatagram> {
    return Promise.resolve(this.datagram(4, null, events));
  }
  flush(): Promise<void> {
    return Promise.resolve();
  }
}

export const AF_UNIX = 1;
export const AF_INET = 2;
export const AF_INET6 = 10;
export const STREAM = 1;
export const DGRAM = 2;
export const NONBLOCK = 0o4000;

/** Scratch addresses: sockaddr, its length, buffers. */
const ADDRESS = DATA;
const LENGTH = DATA + 0x100;
export const BUFFER = DATA + 0x1000;

export class NetMachine extends Machine {
  readonly network: FakeHostNetwork | null;
  constructor(network: FakeHostNetwork | null = null) {
    const vfs = new Vfs(new Tmpfs());
    super({ vfs, fs: vfs.newContext(), cred: new Credentials(1000, 1000), network });
    this.network = network;
  }

  putAddress(address: string, port: number): [number, number] {
    const bytes = new Uint8Array(16);
    bytes[0] = AF_INET;
    bytes[2] = port >> 8;
    bytes[3] = port & 0xff;
    bytes.set(address.split('.').map(Number), 4);
    this.mem.copyOut(ADDRESS, bytes);
    return [ADDRESS, 16];
  }
  putUnix(path: string): [number, number] {
    this.mem.copyOut(ADDRESS, Buffer.concat([Buffer.from([1, 0]), Buffer.from(path, 'latin1')]));
    return [ADDRESS, 2 + path.length];
  }
  /** The address a call gives out. */
  address(name: 'getsockname' | 'getpeername', fd: number): string {
    this.mem.writeU32(LENGTH, 128);
    const result = this.try(name, fd, ADDRESS, LENGTH);
    if (result !== 0) return String(result);
    const b = this.mem.copyIn(ADDRESS, this.mem.readU32(LENGTH));
    return `${b[4]}.${b[5]}.${b[6]}.${b[7]}:${(b[2]! << 8) | b[3]!}`;
  }
  socket(domain = AF_INET, type = STREAM | NONBLOCK): number {
    return this.call('socket', domain, type, 0);
  }
  async listener(port: number, address = '0.0.0.0', type = STREAM | NONBLOCK, backlog = 5): Promise<number> {
    const fd = this.socket(AF_INET, type);
    const bound = this.try('bind', fd, ...this.putAddress(address, port));
    if (bound !== 0) throw new Error(`bind: ${bound}`);
    const listening = await this.tryAsync('listen', fd, backlog);
    if (listening !== 0) throw new Error(`listen: ${listening}`);
    return fd;
  }
  /** Two connected TCP sockets inside the guest. */
  async pair(type = STREAM | NONBLOCK): Promise<[number, number]> {
    const l = await this.listener(0);
    const port = Number(this.address('getsockname', l).split(':')[1]);
    const a = this.socket(AF_INET, type);
    await this.tryAsync('connect', a, ...this.putAddress('127.0.0.1', port));
    const b = this.call('accept4', l, 0, 0, type & NONBLOCK);
    this.call('close', l);
    return [a, b];
  }
  option(fd: number, level: number, name: number): number {
    this.mem.writeU32(LENGTH, 4);
    const result = this.call('getsockopt', fd, level, name, ADDRESS, LENGTH);
    return result < 0 ? result : this.mem.readI32(ADDRESS);
  }
  setOption(fd: number, level: number, name: number, value: number): number | string {
    this.mem.writeU32(ADDRESS, value);
    return this.try('setsockopt', fd, level, name, ADDRESS, 4);
  }
  send(fd: number, text: string, flags = 0): number | string {
    this.mem.copyOut(BUFFER, Buffer.from(text, 'latin1'));
    return this.try('sendto', fd, BUFFER, text.length, flags, 0, 0);
  }
  receive(fd: number, length = 4096, flags = 0): string {
    const n = this.try('recvfrom', fd, BUFFER, length, flags, 0, 0);
    return typeof n === 'string' ? n : `'${Buffer.from(this.mem.copyIn(BUFFER, n)).toString('latin1')}'`;
  }
  /** POLL* bits that hold. */
  poll(fd: number): number {
    return this.task.files.get(fd).poll();
  }
}
