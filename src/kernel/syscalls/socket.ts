/** socket(2), bind(2), listen(2), accept(2), connect(2), shutdown(2), getsockname(2), and socket options. */
import { errno, sysError } from '../abi/errno.ts';
import type { MaybePromise } from '../fs/open-file.ts';
import { after } from '../mm/promise.ts';
import { SHUT_RDWR, SO, SOCK_CLOEXEC, SOCK_NONBLOCK, SOCK_TYPE_MASK, SOL_SOCKET } from '../net/constants.ts';
import { createPair, createSocket } from '../net/create.ts';
import { getSocketOption, intBytes, setSocketOption } from '../net/options.ts';
import type { Socket } from '../net/socket.ts';
import type { Task } from '../task/task.ts';
import { installFile } from './files.ts';
import { row, type SyscallRow } from './row.ts';
import { readAddress, socketOf, writeAddress } from './socket-args.ts';

const domains = { AF_UNSPEC: 0, AF_UNIX: 1, AF_INET: 2, AF_INET6: 10, AF_NETLINK: 16, AF_PACKET: 17 };
const types = { SOCK_STREAM: 1, SOCK_DGRAM: 2, SOCK_RAW: 3, SOCK_SEQPACKET: 5, SOCK_CLOEXEC, SOCK_NONBLOCK };
/** An option's value is read no further than this. */
const MAX_OPTION = 4096;

function checkFlags(flags: number): void {
  if (flags & ~(SOCK_CLOEXEC | SOCK_NONBLOCK)) throw sysError(errno.EINVAL);
}

function socket(task: Task, domain: number, typeAndFlags: number, protocol: number): number {
  const flags = typeAndFlags & ~SOCK_TYPE_MASK;
  checkFlags(flags);
  const made = createSocket(task, domain, typeAndFlags & SOCK_TYPE_MASK, protocol, flags & SOCK_NONBLOCK);
  return installFile(task, made, (flags & SOCK_CLOEXEC) !== 0);
}

function socketpair(task: Task, domain: number, typeAndFlags: number, protocol: number, out: number): number {
  const flags = typeAndFlags & ~SOCK_TYPE_MASK;
  checkFlags(flags);
  const cloexec = (flags & SOCK_CLOEXEC) !== 0;
  const [a, b] = createPair(task, domain, typeAndFlags & SOCK_TYPE_MASK, protocol, flags & SOCK_NONBLOCK);
  let first = -1;
  let second = -1;
  try {
    first = task.files.install(a, cloexec);
    second = task.files.install(b, cloexec);
    task.mem.copyOut(out, new Uint8Array(Int32Array.of(first, second).buffer));
    return 0;
  } catch (e) {
    if (first >= 0) task.files.close(first);
    else a.unref();
    if (second >= 0) task.files.close(second);
    else b.unref();
    throw e;
  }
}

function bind(task: Task, fd: number, address: number, length: number): MaybePromise<number> {
  const s = socketOf(task, fd);
  return after(s.bind(task, readAddress(task, address, length)), () => 0);
}

function connect(task: Task, fd: number, address: number, length: number): MaybePromise<number> {
  const s = socketOf(task, fd);
  const target = readAddress(task, address, length);
  if (target.length < 2) throw sysError(errno.EINVAL);
  return s.connect(task, target);
}

const listen = (task: Task, fd: number, backlog: number): MaybePromise<number> =>
  after(socketOf(task, fd).listen(task, backlog), () => 0);

function accept4(task: Task, fd: number, address: number, length: number, flags: number): MaybePromise<number> {
  checkFlags(flags);
  const s = socketOf(task, fd);
  const n = tryAccept(task, s, address, length, flags);
  if (n !== null) return n;
  if (s.nonblocking) throw sysError(errno.EAGAIN);
  return waitAndAccept(task, s, address, length, flags);
}
async function waitAndAccept(task: Task, s: Socket, address: number, length: number, flags: number): Promise<number> {
  const deadline = s.deadline(task, s.receiveTimeout);
  const ready = (): boolean => !s.listening || s.waiting() !== null;
  for (;;) {
    await s.waitUntil(task, ready, deadline);
    const n = tryAccept(task, s, address, length, flags);
    if (n !== null) return n;
  }
}
function tryAccept(task: Task, s: Socket, address: number, length: number, flags: number): number | null {
  const connection = s.waiting();
  if (!connection) return null;
  // Without a free descriptor the connection stays in the queue.
  const fd = task.files.install(connection, (flags & SOCK_CLOEXEC) !== 0);
  s.accepted(connection);
  if (flags & SOCK_NONBLOCK) connection.flags |= SOCK_NONBLOCK;
  if (address !== 0) {
    try {
      writeAddress(task, peerOf(connection), address, length);
    } catch (e) {
      task.files.close(fd);
      throw e;
    }
  }
  return fd;
}
/** The address of the other end, also where it has hung up by now. */
function peerOf(connection: Socket): Uint8Array {
  return connection.acceptedFrom();
}

function shutdown(task: Task, fd: number, how: number): number {
  const s = socketOf(task, fd);
  if (how < 0 || how > SHUT_RDWR) throw sysError(errno.EINVAL);
  s.shutdown(how);
  return 0;
}

function getsockname(task: Task, fd: number, address: number, length: number): number {
  writeAddress(task, socketOf(task, fd).localAddress(), address, length);
  return 0;
}
function getpeername(task: Task, fd: number, address: number, length: number): number {
  writeAddress(task, socketOf(task, fd).peerAddress(), address, length);
  return 0;
}

function setsockopt(task: Task, fd: number, level: number, name: number, value: number, length: number): number {
  const s = socketOf(task, fd);
  if (length < 0) throw sysError(errno.EINVAL);
  const bytes = task.mem.copyIn(value, Math.min(length, MAX_OPTION));
  if (level === SOL_SOCKET) setSocketOption(task, s, name, bytes);
  else s.setProtocolOption(task, level, name, bytes);
  return 0;
}

function getsockopt(task: Task, fd: number, level: number, name: number, value: number, lengthAddress: number): number {
  const s = socketOf(task, fd);
  const room = task.mem.readI32(lengthAddress);
  if (room < 0) throw sysError(errno.EINVAL);
  const result = level === SOL_SOCKET ? getSocketOption(s, name, task) : s.getProtocolOption(level, name, task);
  const bytes = typeof result === 'number' ? intBytes(result) : result;
  if (level === SOL_SOCKET && name === SO.SO_PEERNAME && bytes.length < room) throw sysError(errno.EINVAL);
  const shown = bytes.subarray(0, Math.min(room, bytes.length));
  task.mem.copyOut(value, shown);
  task.mem.writeU32(lengthAddress, shown.length);
  return 0;
}

const levels = { SOL_IP: 0, SOL_SOCKET: 1, SOL_TCP: 6, SOL_UDP: 17, SOL_IPV6: 41, SOL_NETLINK: 270 };

export const socketRows: SyscallRow[] = [
  row('socket', 41, 198, 'domain:flags type:flags protocol:int', socket, {
    support: 'partial',
    note: 'AF_UNIX, AF_INET, AF_INET6 (TCP, UDP), AF_NETLINK (routing, read only)',
    flagNames: { domain: domains, type: types },
  }),
  row('socketpair', 53, 199, 'domain:flags type:flags protocol:int sv:ptr', socketpair, {
    flagNames: { domain: domains, type: types },
  }),
  row('bind', 49, 200, 'sockfd:fd addr:instruct addrlen:int', bind),
  row('connect', 42, 203, 'sockfd:fd addr:instruct addrlen:int', connect),
  row('listen', 50, 201, 'sockfd:fd backlog:int', listen),
  row('accept', 43, 202, 'sockfd:fd addr:outstruct addrlen:ptr', (task, fd: number, addr: number, len: number) =>
    accept4(task, fd, addr, len, 0),
  ),
  row('accept4', 288, 242, 'sockfd:fd addr:outstruct addrlen:ptr flags:flags', accept4, {
    flagNames: { flags: { SOCK_CLOEXEC, SOCK_NONBLOCK } },
  }),
  row('shutdown', 48, 210, 'sockfd:fd how:flags', shutdown, {
    flagNames: { how: { SHUT_RD: 0, SHUT_WR: 1, SHUT_RDWR } },
  }),
  row('getsockname', 51, 204, 'sockfd:fd addr:outstruct addrlen:ptr', getsockname),
  row('getpeername', 52, 205, 'sockfd:fd addr:outstruct addrlen:ptr', getpeername),
  row('setsockopt', 54, 208, 'sockfd:fd level:flags optname:int optval:ptr optlen:int', setsockopt, {
    support: 'partial',
    note: 'options of segments and queues that do not exist here are kept and told, without effect',
    flagNames: { level: levels },
  }),
  row('getsockopt', 55, 209, 'sockfd:fd level:flags optname:int optval:ptr optlen:ptr', getsockopt, {
    support: 'partial',
    note: 'as setsockopt',
    flagNames: { level: levels },
  }),
];
