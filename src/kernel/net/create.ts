/** socket(2) and socketpair(2): the right class for a domain, a type and a protocol. */
import { errno, sysError } from '../abi/errno.ts';
import type { Task } from '../task/task.ts';
import {
  AF_INET,
  AF_INET6,
  AF_MAX,
  AF_NETLINK,
  AF_PACKET,
  AF_UNIX,
  IPPROTO_ICMP,
  IPPROTO_ICMPV6,
  IPPROTO_IP,
  IPPROTO_TCP,
  IPPROTO_UDP,
  IPPROTO_UDPLITE,
  SOCK_DGRAM,
  SOCK_RAW,
  SOCK_SEQPACKET,
  SOCK_STREAM,
} from './constants.ts';
import { NetlinkSocket } from './netlink.ts';
import type { Socket } from './socket.ts';
import { TcpSocket } from './tcp.ts';
import { UdpSocket } from './udp.ts';
import { UnixDatagram, UnixSeqpacket } from './unix-message.ts';
import { UnixStream } from './unix-stream.ts';

const SOCK_MAX = 11;
const IPPROTO_MAX = 263;
const CAP_NET_RAW = 13;
const NETLINK_ROUTE = 0;
const MAX_LINKS = 32;

/** `flags` are O_NONBLOCK or 0. Throws what socket(2) lists. */
export function createSocket(task: Task, domain: number, type: number, protocol: number, flags: number): Socket {
  if (domain < 0 || domain >= AF_MAX) throw sysError(errno.EAFNOSUPPORT);
  if (type < 0 || type >= SOCK_MAX) throw sysError(errno.EINVAL);
  const { network: net } = task.ns.net;
  switch (domain) {
    case AF_UNIX:
      return createUnix(task, type, protocol, flags);
    case AF_INET:
    case AF_INET6:
      return createInet(task, domain, type, protocol, flags);
    case AF_NETLINK:
      if (type !== SOCK_RAW && type !== SOCK_DGRAM) throw sysError(errno.ESOCKTNOSUPPORT);
      if (protocol < 0 || protocol >= MAX_LINKS || protocol !== NETLINK_ROUTE) throw sysError(errno.EPROTONOSUPPORT);
      return new NetlinkSocket(net, task, type, flags);
    case AF_PACKET:
      throw sysError(task.cred.capable(CAP_NET_RAW) ? errno.EAFNOSUPPORT : errno.EPERM);
    default:
      throw sysError(errno.EAFNOSUPPORT);
  }
}

function createUnix(task: Task, type: number, protocol: number, flags: number): Socket {
  const { network: net } = task.ns.net;
  if (protocol !== 0 && protocol !== AF_UNIX) throw sysError(errno.EPROTONOSUPPORT);
  switch (type) {
    case SOCK_STREAM:
      return new UnixStream(net, task, flags);
    // SOCK_RAW is an old name of datagrams here (unix_create).
    case SOCK_RAW:
    case SOCK_DGRAM:
      return new UnixDatagram(net, task, flags);
    case SOCK_SEQPACKET:
      return new UnixSeqpacket(net, task, flags);
    default:
      throw sysError(errno.ESOCKTNOSUPPORT);
  }
}

function createInet(task: Task, domain: number, type: number, protocol: number, flags: number): Socket {
  const { network: net } = task.ns.net;
  if (protocol < 0 || protocol >= IPPROTO_MAX) throw sysError(errno.EINVAL);
  switch (type) {
    case SOCK_STREAM:
      if (protocol !== IPPROTO_IP && protocol !== IPPROTO_TCP) throw sysError(errno.EPROTONOSUPPORT);
      return new TcpSocket(net, domain, task, flags);
    case SOCK_DGRAM:
      // net.ipv4.ping_group_range is empty.
      if (protocol === (domain === AF_INET ? IPPROTO_ICMP : IPPROTO_ICMPV6)) throw sysError(errno.EACCES);
      if (protocol !== IPPROTO_IP && protocol !== IPPROTO_UDP && protocol !== IPPROTO_UDPLITE)
        throw sysError(errno.EPROTONOSUPPORT);
      return new UdpSocket(net, domain, protocol || IPPROTO_UDP, task, flags);
    case SOCK_RAW:
      if (protocol === IPPROTO_IP) throw sysError(errno.EPROTONOSUPPORT);
      // No way out for packets of one's own making, whoever asks.
      throw sysError(errno.EPERM);
    default:
      throw sysError(errno.ESOCKTNOSUPPORT);
  }
}

/** Throws EOPNOTSUPP for a domain that has no pairs. */
export function createPair(
  task: Task,
  domain: number,
  type: number,
  protocol: number,
  flags: number,
): [Socket, Socket] {
  const a = createSocket(task, domain, type, protocol, flags);
  let b: Socket;
  try {
    b = createSocket(task, domain, type, protocol, flags);
  } catch (e) {
    a.unref();
    throw e;
  }
  if (a instanceof UnixStream && b instanceof UnixStream) a.pair(task, b);
  else if (a instanceof UnixSeqpacket && b instanceof UnixSeqpacket) a.pair(task, b);
  else if (a instanceof UnixDatagram && b instanceof UnixDatagram) a.pair(task, b);
  else {
    a.unref();
    b.unref();
    throw sysError(errno.EOPNOTSUPP);
  }
  return [a, b];
}
