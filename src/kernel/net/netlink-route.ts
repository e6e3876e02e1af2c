/**
 * rtnetlink(7) requests: links, addresses, routes and neighbours can be listed. Only the loopback interface of a network
 * namespace of the guest's making can be changed.
 */
import { errno } from '../abi/errno.ts';
import { AF_INET, AF_INET6, AF_UNSPEC } from './constants.ts';
import { ARPHRD_LOOPBACK, IFF_UP, type Interface, type InterfaceAddress, setUp } from './interfaces.ts';
import { bytesOfV4, bytesOfV6, formatV4, formatV6, isV6, LOOPBACK4 } from './ip.ts';
import { GATEWAY4, type Network } from './network.ts';

const NLMSG_ERROR = 2;
const NLMSG_DONE = 3;
const RTM_NEWLINK = 16;
const RTM_GETLINK = 18;
const RTM_NEWADDR = 20;
const RTM_DELADDR = 21;
const RTM_GETADDR = 22;
const RTM_NEWROUTE = 24;
const RTM_GETROUTE = 26;
const RTM_GETNEIGH = 30;
const RTM_GETRULE = 34;
const RTM_NEWNSID = 88;
const RTM_GETNSID = 90;
const NLM_F_REQUEST = 1;
const NLM_F_MULTI = 2;
const NLM_F_ACK = 4;
const NLM_F_ROOT = 0x100;
/** Of requests that make something. */
const NLM_F_EXCL = 0x200;
const NLM_F_CREATE = 0x400;
const HEADER = 16;
/** Answers are cut into datagrams of about a page, as dumps are. */
const DATAGRAM = 8192;

const align = (n: number): number => (n + 3) & ~3;

/** A message under construction: header, a fixed part, attributes. */
class Message {
  readonly #parts: Uint8Array[] = [];
  #length = 0;

  bytes(data: Uint8Array): this {
    this.#parts.push(data);
    this.#length += data.length;
    const pad = align(data.length) - data.length;
    if (pad > 0) {
      this.#parts.push(new Uint8Array(pad));
      this.#length += pad;
    }
    return this;
  }
  attribute(type: number, data: Uint8Array): this {
    const head = new Uint8Array(4);
    const view = new DataView(head.buffer);
    view.setUint16(0, 4 + data.length, true);
    view.setUint16(2, type, true);
    const whole = new Uint8Array(4 + data.length);
    whole.set(head);
    whole.set(data, 4);
    return this.bytes(whole);
  }
  u32(type: number, value: number): this {
    const data = new Uint8Array(4);
    new DataView(data.buffer).setUint32(0, value, true);
    return this.attribute(type, data);
  }
  u8(type: number, value: number): this {
    return this.attribute(type, Uint8Array.of(value));
  }
  text(type: number, value: string): this {
    return this.attribute(type, Buffer.from(`${value}\0`, 'latin1'));
  }
  finish(type: number, flags: number, sequence: number, port: number): Uint8Array {
    const out = new Uint8Array(HEADER + this.#length);
    const view = new DataView(out.buffer);
    view.setUint32(0, out.length, true);
    view.setUint16(4, type, true);
    view.setUint16(6, flags, true);
    view.setUint32(8, sequence, true);
    view.setUint32(12, port, true);
    let at = HEADER;
    for (const part of this.#parts) {
      out.set(part, at);
      at += part.length;
    }
    return out;
  }
}

interface Request {
  readonly type: number;
  readonly flags: number;
  readonly sequence: number;
  /** Header and payload as sent. */
  readonly whole: Uint8Array;
  readonly payload: Uint8Array;
}

/** Who asks: the socket's port, whether it wants requests checked strictly, and whether it may change things (CAP_NET_ADMIN). */
export interface Asker {
  readonly port: number;
  readonly strict: boolean;
  readonly admin: boolean;
}

/** The datagrams that answer what was sent. */
export function answerRoute(net: Network, data: Uint8Array, { port, strict, admin }: Asker): Uint8Array[] {
  const answers: Uint8Array[] = [];
  const view = new DataView(data.buffer, data.byteOffset, data.length);
  for (let at = 0; at + HEADER <= data.length; ) {
    const length = view.getUint32(at, true);
    if (length < HEADER || at + length > data.length) break;
    const request: Request = {
      type: view.getUint16(at + 4, true),
      flags: view.getUint16(at + 6, true),
      sequence: view.getUint32(at + 8, true),
      whole: data.subarray(at, at + length),
      payload: data.subarray(at + HEADER, at + length),
    };
    if (request.flags & NLM_F_REQUEST && request.type >= 16)
      answers.push(...answer(net, request, port, { strict, admin }));
    else if (request.flags & NLM_F_ACK) answers.push(acknowledge(request, port, 0));
    at += align(length);
  }
  return answers;
}

function acknowledge(request: Request, port: number, error: number): Uint8Array {
  const code = new Uint8Array(4);
  new DataView(code.buffer).setInt32(0, -error, true);
  // With an error the whole request comes back, otherwise its header.
  const quoted = error === 0 ? request.whole.subarray(0, HEADER) : request.whole;
  return new Message()
    .bytes(code)
    .bytes(quoted)
    .finish(NLMSG_ERROR, error === 0 ? 0x100 : 0, request.sequence, port);
}

type Entry = { type: number; message: Message };

function answer(net: Network, request: Request, port: number, how: { strict: boolean; admin: boolean }): Uint8Array[] {
  // The same bits mean something else with requests that make things.
  const asks = (request.type & 3) === 2;
  const dump = asks && (request.flags & NLM_F_ROOT) !== 0;
  const entries = dump ? dumpOf(net, request, how.strict) : single(net, request, how.admin);
  if (typeof entries === 'number') return [acknowledge(request, port, entries)];
  if (!dump) {
    const out = entries.map((e) => e.message.finish(e.type, 0, request.sequence, port));
    if (request.flags & NLM_F_ACK) out.push(acknowledge(request, port, 0));
    return out;
  }
  const done = new Message().bytes(new Uint8Array(4)).finish(NLMSG_DONE, NLM_F_MULTI, request.sequence, port);
  const messages = entries.map((e) => e.message.finish(e.type, NLM_F_MULTI, request.sequence, port));
  return [...joined(messages), done];
}

function joined(messages: readonly Uint8Array[]): Uint8Array[] {
  const out: Uint8Array[] = [];
  let current: Uint8Array[] = [];
  let size = 0;
  const flush = (): void => {
    if (current.length > 0) out.push(new Uint8Array(Buffer.concat(current)));
    current = [];
    size = 0;
  };
  for (const m of messages) {
    if (size + m.length > DATAGRAM) flush();
    current.push(m);
    size += m.length;
  }
  flush();
  return out;
}

const familyByte = (request: Request): number => request.payload[0] ?? AF_UNSPEC;

/** Entries, or an error number. */
function dumpOf(net: Network, request: Request, strict: boolean): Entry[] | number {
  const family = familyByte(request);
  const wantedIndex = (at: number): number =>
    strict && request.payload.length >= at + 4
      ? new DataView(request.payload.buffer, request.payload.byteOffset).getInt32(at, true)
      : 0;
  switch (request.type) {
    case RTM_GETLINK:
      return net.interfaces.map(link);
    case RTM_GETADDR: {
      const index = wantedIndex(4);
      return net.interfaces
        .filter((i) => index === 0 || i.index === index)
        .flatMap((i) => i.addresses.filter((a) => ofFamily(a, family)).map((a) => address(i, a)));
    }
    case RTM_GETROUTE:
      return routes(net, family);
    case RTM_GETNEIGH:
    case RTM_GETRULE:
      return [];
    default:
      return errno.EOPNOTSUPP;
  }
}

function single(net: Network, request: Request, admin: boolean): Entry[] | number {
  const { payload } = request;
  const view = new DataView(payload.buffer, payload.byteOffset, payload.length);
  if (request.type === RTM_GETLINK) {
    if (payload.length < 16) return errno.EINVAL;
    const index = view.getInt32(4, true);
    const name = attributeText(payload, 16, 3);
    const found = net.interfaces.find((i) => (index > 0 ? i.index === index : i.name === name));
    if (!found) return index > 0 || name !== null ? errno.ENODEV : errno.EINVAL;
    return [link(found)];
  }
  if (request.type === RTM_GETROUTE) {
    if (payload.length < 12) return errno.EINVAL;
    const to = attribute(payload, 12, 1);
    const v6 = payload[0] === AF_INET6;
    if (!to || to.length < (v6 ? 16 : 4)) return errno.EINVAL;
    return routeTo(net, v6 ? formatV6(to) : formatV4(to), v6);
  }
  // No network namespace has a number in another one.
  if (request.type === RTM_GETNSID)
    return [{ type: RTM_NEWNSID, message: new Message().bytes(new Uint8Array(1)).u32(1, 0xffff_ffff) }];
  if ((request.type & 3) === 2) return errno.EOPNOTSUPP;
  // Everything else would change something.
  if (!admin || !net.loopback) return errno.EPERM;
  return change(net.loopback, request);
}

/** The changes there are: the loopback interface up or down, and its addresses. None has entries for an answer. */
function change(lo: Interface, { type, flags, payload }: Request): Entry[] | number {
  const view = new DataView(payload.buffer, payload.byteOffset, payload.length);
  if (type === RTM_NEWLINK) {
    if (payload.length < 16) return errno.EINVAL;
    const index = view.getInt32(4, true);
    // A new interface, of whatever kind.
    if (index === 0 && attributeText(payload, 16, 3) !== lo.name)
      return flags & NLM_F_CREATE ? errno.EOPNOTSUPP : errno.ENODEV;
    if (index > 0 && index !== lo.index) return errno.ENODEV;
    const changed = view.getUint32(12, true) || 0xffff_ffff;
    if (changed & IFF_UP) setUp(lo, (view.getUint32(8, true) & IFF_UP) !== 0);
    return [];
  }
  if (type !== RTM_NEWADDR && type !== RTM_DELADDR) return errno.EOPNOTSUPP;
  if (payload.length < 8) return errno.EINVAL;
  const [family, prefix] = payload as unknown as [number, number];
  const bytes = attribute(payload, 8, 2) ?? attribute(payload, 8, 1);
  const size = family === AF_INET ? 4 : family === AF_INET6 ? 16 : 0;
  if (size === 0) return errno.EAFNOSUPPORT;
  if (!bytes || bytes.length < size || prefix > size * 8) return errno.EINVAL;
  if (view.getUint32(4, true) !== lo.index) return errno.ENODEV;
  const text = family === AF_INET ? formatV4(bytes) : formatV6(bytes);
  const have = lo.addresses.find((a) => a.address === text);
  if (type === RTM_DELADDR) {
    if (!have) return errno.EADDRNOTAVAIL;
    lo.addresses = lo.addresses.filter((a) => a !== have);
    return [];
  }
  if (have) return flags & NLM_F_EXCL ? errno.EEXIST : [];
  const broadcast = attribute(payload, 8, 4);
  const shown = broadcast && family === AF_INET ? { broadcast: formatV4(broadcast) } : {};
  lo.addresses = [...lo.addresses, { address: text, prefix, scope: payload[3]!, ...shown }];
  return [];
}

function attribute(payload: Uint8Array, from: number, type: number): Uint8Array | null {
  const view = new DataView(payload.buffer, payload.byteOffset, payload.length);
  for (let at = from; at + 4 <= payload.length; ) {
    const length = view.getUint16(at, true);
    if (length < 4 || at + length > payload.length) return null;
    if ((view.getUint16(at + 2, true) & 0x3fff) === type) return payload.subarray(at + 4, at + length);
    at += align(length);
  }
  return null;
}
function attributeText(payload: Uint8Array, from: number, type: number): string | null {
  const value = attribute(payload, from, type);
  if (!value) return null;
  const end = value.indexOf(0);
  return Buffer.from(end < 0 ? value : value.slice(0, end)).toString('latin1');
}

const ofFamily = (a: InterfaceAddress, family: number): boolean =>
  family === AF_UNSPEC || family === (isV6(a.address) ? AF_INET6 : AF_INET);
const bytesOf = (a: string): Uint8Array => (isV6(a) ? bytesOfV6(a) : bytesOfV4(a));

/** struct ifinfomsg with its attributes. */
function link(i: Interface): Entry {
  const head = new Uint8Array(16);
  const view = new DataView(head.buffer);
  view.setUint16(2, i.hardwareType, true);
  view.setInt32(4, i.index, true);
  view.setUint32(8, i.flags, true);
  const stats = new Uint8Array(24 * 8);
  const message = new Message()
    .bytes(head)
    .text(3, i.name)
    .u32(13, i.txQueue)
    .u8(16, !(i.flags & IFF_UP) ? 2 : i.hardwareType === ARPHRD_LOOPBACK ? 0 : 6) // operstate: down, unknown, up
    .u8(17, 0) // linkmode
    .u32(4, i.mtu)
    .u32(27, 0) // group
    .u32(30, 0) // promiscuity
    .u32(31, 1) // transmit queues
    .u32(32, 1) // receive queues
    .u8(33, 1) // carrier
    .text(6, !(i.flags & IFF_UP) ? 'noop' : i.hardwareType === ARPHRD_LOOPBACK ? 'noqueue' : 'pfifo_fast')
    .attribute(1, i.hardwareAddress)
    .attribute(2, i.hardwareType === ARPHRD_LOOPBACK ? new Uint8Array(6) : new Uint8Array(6).fill(0xff))
    .attribute(23, stats)
    .attribute(7, new Uint8Array(24 * 4));
  return { type: RTM_NEWLINK, message };
}

const IFA_F_PERMANENT = 0x80;

/** struct ifaddrmsg with its attributes. */
function address(i: Interface, a: InterfaceAddress): Entry {
  const v6 = isV6(a.address);
  const head = new Uint8Array(8);
  head.set([v6 ? AF_INET6 : AF_INET, a.prefix, IFA_F_PERMANENT, a.scope]);
  new DataView(head.buffer).setUint32(4, i.index, true);
  const message = new Message().bytes(head).attribute(1, bytesOf(a.address));
  if (!v6) {
    message.attribute(2, bytesOf(a.address));
    if (a.broadcast) message.attribute(4, bytesOf(a.broadcast));
    message.text(3, i.name);
  }
  const forever = new Uint8Array(16);
  forever.fill(0xff, 0, 8);
  message.u32(8, IFA_F_PERMANENT).attribute(6, forever);
  return { type: RTM_NEWADDR, message };
}

interface Route {
  readonly family: number;
  readonly destination: string | null;
  readonly prefix: number;
  readonly gateway?: string;
  readonly source?: string;
  readonly index: number;
  /** RT_TABLE_MAIN 254, LOCAL 255. */
  readonly table: number;
  /** RTPROT_KERNEL 2, BOOT 3. */
  readonly protocol: number;
  readonly scope: number;
  /** RTN_UNICAST 1, LOCAL 2. */
  readonly kind: number;
}

function allRoutes(net: Network): Route[] {
  const out: Route[] = [];
  for (const i of net.interfaces) {
    for (const a of i.addresses) {
      const family = isV6(a.address) ? AF_INET6 : AF_INET;
      const bits = family === AF_INET6 ? 128 : 32;
      if (i.hardwareType !== ARPHRD_LOOPBACK && family === AF_INET) {
        const common = { family, index: i.index, table: 254, kind: 1 };
        out.push({ ...common, destination: null, prefix: 0, gateway: GATEWAY4, protocol: 3, scope: 0 });
        const network = `${a.address.split('.').slice(0, 3).join('.')}.0`;
        out.push({ ...common, destination: network, prefix: a.prefix, source: a.address, protocol: 2, scope: 253 });
      }
      const host = { destination: a.address, prefix: bits, source: a.address, index: i.index, table: 255, protocol: 2 };
      out.push({ ...host, family, scope: 254, kind: 2 });
    }
  }
  return out;
}
const routes = (net: Network, family: number): Entry[] =>
  allRoutes(net)
    .filter((r) => family === AF_UNSPEC || r.family === family)
    .map(route);

/** struct rtmsg with its attributes. */
function route(r: Route): Entry {
  const head = new Uint8Array(12);
  head.set([r.family, r.prefix, 0, 0, r.table, r.protocol, r.scope, r.kind]);
  const message = new Message().bytes(head).u32(15, r.table);
  if (r.destination) message.attribute(1, bytesOf(r.destination));
  if (r.gateway) message.attribute(5, bytesOf(r.gateway));
  if (r.source) message.attribute(7, bytesOf(r.source));
  message.u32(4, r.index);
  return { type: RTM_NEWROUTE, message };
}

function routeTo(net: Network, to: string, v6: boolean): Entry[] | number {
  const family = v6 ? AF_INET6 : AF_INET;
  let source: string;
  try {
    source = net.sourceFor(to);
  } catch {
    return errno.ENETUNREACH;
  }
  const local = net.isLocal(to);
  const loop = net.interfaces[0]!;
  const out = net.interfaces.at(-1)!;
  const common = { family, destination: to, prefix: v6 ? 128 : 32, source, protocol: 0, scope: 0 };
  if (local)
    return [route({ ...common, source: v6 ? to : source || LOOPBACK4, index: loop.index, table: 255, kind: 2 })];
  return [route({ ...common, ...(!v6 && { gateway: GATEWAY4 }), index: out.index, table: 254, kind: 1 })];
}
