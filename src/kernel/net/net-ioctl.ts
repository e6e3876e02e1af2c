/** ioctl requests that ask for interfaces (netdevice(7)). Only a loopback interface that can be changed can be brought up and down. */
import { errno, sysError } from '../abi/errno.ts';
import type { Task } from '../task/task.ts';
import { AF_INET } from './constants.ts';
import { IFF_UP, type Interface, setUp } from './interfaces.ts';
import { bytesOfV4, isV6 } from './ip.ts';
import type { Socket } from './socket.ts';

const CAP_NET_ADMIN = 12;
const IFREQ_SIZE = 40;
const IFNAMSIZ = 16;
const SIOCGIFNAME = 0x8910;
const SIOCGIFCONF = 0x8912;
const SIOCGIFFLAGS = 0x8913;
const SIOCSIFFLAGS = 0x8914;
const SIOCGIFADDR = 0x8915;
const SIOCGIFDSTADDR = 0x8917;
const SIOCGIFBRDADDR = 0x8919;
const SIOCGIFNETMASK = 0x891b;
const SIOCGIFMETRIC = 0x891d;
const SIOCGIFMTU = 0x8921;
const SIOCGIFHWADDR = 0x8927;
const SIOCGIFINDEX = 0x8933;
const SIOCGIFTXQLEN = 0x8942;
const SIOCGIFMAP = 0x8970;
const SIOCETHTOOL = 0x8946;
const SIOCGIWNAME = 0x8b01;
/** Requests that would change something: SIOCADDRT .. SIOCDELRT, SIOCSIF*, SIOCDARP ... */
const changing: ReadonlySet<number> = new Set([
  0x890b, 0x890c, 0x8911, 0x8914, 0x8916, 0x8918, 0x891a, 0x891c, 0x891e, 0x8922, 0x8923, 0x8924, 0x8931, 0x8932,
  0x8936, 0x8943, 0x8953, 0x8955, 0x8971, 0x89a0, 0x89a1,
]);

/** struct sockaddr_in in sixteen bytes. */
function socketAddress(address: string): Uint8Array {
  const out = new Uint8Array(16);
  out[0] = AF_INET;
  out.set(bytesOfV4(address), 4);
  return out;
}
const v4Of = (i: Interface) => i.addresses.find((a) => !isV6(a.address));

export function netmask(prefix: number): string {
  const bits = prefix === 0 ? 0 : (0xffff_ffff << (32 - prefix)) >>> 0;
  return [24, 16, 8, 0].map((shift) => (bits >>> shift) & 0xff).join('.');
}

function nameBytes(i: Interface): Uint8Array {
  const out = new Uint8Array(IFNAMSIZ);
  out.set(Buffer.from(i.name, 'latin1'));
  return out;
}

export function interfaceIoctl(socket: Socket, task: Task, request: number, arg: number): number {
  const { mem } = task;
  if (request === SIOCGIFCONF) return listInterfaces(socket, task, arg);
  const { loopback } = socket.net;
  const mayChange = loopback !== null && task.cred.capableIn(socket.net.owner, CAP_NET_ADMIN);
  if (changing.has(request) && !(mayChange && request === SIOCSIFFLAGS)) throw sysError(errno.EPERM);
  if (request === SIOCETHTOOL || request === SIOCGIWNAME) throw sysError(errno.EOPNOTSUPP);
  if (request < 0x8910 || request > 0x89ff) throw sysError(errno.ENOTTY);
  mem.writable(arg, IFREQ_SIZE);
  // Addresses are a matter of IPv4 sockets (inet_ioctl).
  if (addressRequests.has(request) && socket.domain !== AF_INET) throw sysError(errno.ENOTTY);
  const { interfaces } = socket.net;
  if (request === SIOCGIFNAME) {
    const found = interfaces.find((i) => i.index === mem.readI32(arg + IFNAMSIZ));
    if (!found) throw sysError(errno.ENODEV);
    mem.copyOut(arg, nameBytes(found));
    return 0;
  }
  const raw = mem.copyIn(arg, IFNAMSIZ);
  const end = raw.indexOf(0);
  // `eth0:1` names an alias of eth0.
  const name = Buffer.from(raw.slice(0, end < 0 ? IFNAMSIZ - 1 : end))
    .toString('latin1')
    .split(':')[0];
  const found = interfaces.find((i) => i.name === name);
  if (request === SIOCSIFFLAGS) {
    if (!found) throw sysError(errno.ENODEV);
    setUp(found, (mem.readU16(arg + IFNAMSIZ) & IFF_UP) !== 0);
    return 0;
  }
  const value = found && ifreqValue(found, request);
  if (value === undefined && knownRequest(request) && !found) throw sysError(errno.ENODEV);
  if (value === undefined) throw sysError(errno.ENOTTY);
  if (value === null) throw sysError(errno.EADDRNOTAVAIL);
  mem.copyOut(arg + IFNAMSIZ, value);
  return 0;
}

const known = new Set([
  SIOCGIFFLAGS,
  SIOCGIFADDR,
  SIOCGIFDSTADDR,
  SIOCGIFBRDADDR,
  SIOCGIFNETMASK,
  SIOCGIFMETRIC,
  SIOCGIFMTU,
  SIOCGIFHWADDR,
  SIOCGIFINDEX,
  SIOCGIFTXQLEN,
  SIOCGIFMAP,
]);
const addressRequests = new Set([SIOCGIFADDR, SIOCGIFDSTADDR, SIOCGIFBRDADDR, SIOCGIFNETMASK]);
/** Requests that name a device, with those of the device's own (SIOCDEVPRIVATE). */
const knownRequest = (request: number): boolean => known.has(request) || (request >= 0x89f0 && request <= 0x89ff);

/** ifr_ifru; null: it has no address. undefined: no such request. */
function ifreqValue(i: Interface, request: number): Uint8Array | null | undefined {
  const int = (value: number): Uint8Array => {
    const out = new Uint8Array(4);
    new DataView(out.buffer).setInt32(0, value, true);
    return out;
  };
  const v4 = v4Of(i);
  switch (request) {
    case SIOCGIFFLAGS: {
      const out = new Uint8Array(2);
      new DataView(out.buffer).setUint16(0, i.flags & 0xffff, true);
      return out;
    }
    case SIOCGIFADDR:
      return v4 ? socketAddress(v4.address) : null;
    case SIOCGIFDSTADDR:
      return v4 ? socketAddress(v4.address) : null;
    case SIOCGIFBRDADDR:
      return v4 ? socketAddress(v4.broadcast ?? '0.0.0.0') : null;
    case SIOCGIFNETMASK:
      return v4 ? socketAddress(netmask(v4.prefix)) : null;
    case SIOCGIFMETRIC:
      return int(0);
    case SIOCGIFMTU:
      return int(i.mtu);
    case SIOCGIFHWADDR: {
      const out = new Uint8Array(16);
      new DataView(out.buffer).setUint16(0, i.hardwareType, true);
      out.set(i.hardwareAddress, 2);
      return out;
    }
    case SIOCGIFINDEX:
      return int(i.index);
    case SIOCGIFTXQLEN:
      return int(i.txQueue);
    case SIOCGIFMAP:
      return new Uint8Array(16);
    default:
      return undefined;
  }
}

/** struct ifconf: a length and where to put that many bytes of struct ifreq; with a null pointer, how many there are. */
function listInterfaces(socket: Socket, task: Task, arg: number): number {
  const { mem } = task;
  mem.writable(arg, 16);
  const length = mem.readI32(arg);
  const buffer = mem.readU64(arg + 8);
  const entries = socket.net.interfaces.flatMap((i) =>
    i.addresses.filter((a) => !isV6(a.address)).map((a) => ({ i, address: a.address })),
  );
  if (buffer === 0) {
    mem.writeU32(arg, entries.length * IFREQ_SIZE);
    return 0;
  }
  let done = 0;
  for (const { i, address } of entries) {
    if (done + IFREQ_SIZE > length) break;
    const out = new Uint8Array(IFREQ_SIZE);
    out.set(nameBytes(i));
    out.set(socketAddress(address), IFNAMSIZ);
    mem.copyOut(buffer + done, out);
    done += IFREQ_SIZE;
  }
  mem.writeU32(arg, done);
  return 0;
}
