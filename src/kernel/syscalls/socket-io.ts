/** send(2), recv(2), sendmsg(2), recvmsg(2) and their plural forms. */
import { errno, SysError, sysError } from '../abi/errno.ts';
import { readValidTimespec, timespecMs, writeTimespec } from '../abi/time-structs.ts';
import type { MaybePromise } from '../fs/open-file.ts';
import { PROT_READ, PROT_WRITE } from '../mm/guest-memory.ts';
import { TASK_SIZE } from '../mm/mman.ts';
import { after } from '../mm/promise.ts';
import { MSG, SOCK_STREAM } from '../net/constants.ts';
import { Incoming, type Outgoing, type Socket } from '../net/socket.ts';
import type { Task } from '../task/task.ts';
import { MAX_RW, type Segment } from './io.ts';
import { row, type SyscallRow } from './row.ts';
import { readAddress, socketOf, writeAddress } from './socket-args.ts';
import { dropAll, type MessageHeader, readHeader, readOutgoing, writeIncoming } from './socket-message.ts';

/** What several segments are gathered into at most; a stream goes on with the rest in the next call. */
const GATHER_MAX = 4 << 20;
const MMSG_SIZE = 64;
const MMSG_LENGTH = 56;
/** UIO_MAXIOV: no call sends or receives more messages. */
const MMSG_MAX = 1024;

/** A live view of what can be accessed of a buffer. Throws EFAULT when nothing can. */
function view(task: Task, address: number, length: number, prot: number): Uint8Array {
  if (address + length > TASK_SIZE) throw sysError(errno.EFAULT);
  const wanted = Math.min(length, MAX_RW);
  const n = task.mem.accessible(address, wanted, prot);
  if (n === 0 && wanted > 0) throw sysError(errno.EFAULT);
  return task.mem.view(address, n);
}
/** A message is sent as a whole or not at all. */
function checkWhole(s: Socket, have: number, wanted: number): void {
  if (s.type !== SOCK_STREAM && have < Math.min(wanted, MAX_RW)) throw sysError(errno.EFAULT);
}

/** A name on a connected stream is of no account. */
function sendto(
  task: Task,
  fd: number,
  buf: number,
  length: number,
  flags: number,
  address: number,
  addressLength: number,
): MaybePromise<number> {
  const s = socketOf(task, fd);
  const src = view(task, buf, length, PROT_READ);
  checkWhole(s, src.length, length);
  const target = address === 0 ? null : readAddress(task, address, addressLength);
  return s.send(task, src, flags, target && { address: target, rights: null, credentials: null });
}

function recvfrom(
  task: Task,
  fd: number,
  buf: number,
  length: number,
  flags: number,
  address: number,
  addressLength: number,
): MaybePromise<number> {
  const s = socketOf(task, fd);
  const dst = view(task, buf, length, PROT_WRITE);
  const into = address === 0 ? null : new Incoming();
  const got = s.receive(task, dst, flags, into);
  if (typeof got === 'number' && into === null) {
    task.mem.written(buf, Math.min(got, dst.length));
    return got;
  }
  return after(got, (n) => {
    task.mem.written(buf, Math.min(n, dst.length));
    if (into) {
      dropAll(into.rights);
      writeAddress(task, into.address ?? new Uint8Array(0), address, addressLength);
    }
    return n;
  });
}

const totalOf = (segments: readonly Segment[]): number => segments.reduce((sum, x) => sum + x.length, 0);

/** All segments as one buffer: a view where there is one segment, else a copy. */
function gather(task: Task, s: Socket, segments: readonly Segment[]): Uint8Array {
  const used = segments.filter((x) => x.length > 0);
  const only = used[0];
  if (!only) return new Uint8Array(0);
  if (used.length === 1) {
    const src = view(task, only.address, only.length, PROT_READ);
    checkWhole(s, src.length, only.length);
    return src;
  }
  const stream = s.type === SOCK_STREAM;
  const total = totalOf(used);
  if (!stream && total > GATHER_MAX) throw sysError(errno.EMSGSIZE);
  const data = new Uint8Array(Math.min(total, GATHER_MAX));
  let done = 0;
  for (const { address, length } of used) {
    const n = Math.min(length, data.length - done);
    const have = task.mem.accessible(address, n, PROT_READ);
    if (have < n && (!stream || done + have === 0)) throw sysError(errno.EFAULT);
    data.set(task.mem.bytes(have === 0 ? 0 : address, have), done);
    done += have;
    if (have < n || done === data.length) break;
  }
  return data.subarray(0, done);
}

function sendHeader(task: Task, s: Socket, header: MessageHeader, flags: number): MaybePromise<number> {
  const out: Outgoing | null = readOutgoing(task, s, header);
  const failed = (e: unknown): never => {
    dropAll(out?.rights ?? null);
    throw e;
  };
  try {
    const result = s.send(task, gather(task, s, header.segments), flags, out);
    return result instanceof Promise ? result.catch(failed) : result;
  } catch (e) {
    return failed(e);
  }
}
const sendmsg = (task: Task, fd: number, msg: number, flags: number): MaybePromise<number> => {
  const s = socketOf(task, fd);
  return sendHeader(task, s, readHeader(task, msg), flags);
};

function receiveHeader(task: Task, s: Socket, header: MessageHeader, flags: number): MaybePromise<number> {
  const used = header.segments.filter((x) => x.length > 0);
  const only = used.length <= 1;
  const total = totalOf(used);
  const dst = only
    ? used[0]
      ? view(task, used[0].address, used[0].length, PROT_WRITE)
      : new Uint8Array(0)
    : new Uint8Array(Math.min(total, GATHER_MAX));
  const into = new Incoming();
  return after(s.receive(task, dst, flags, into), (n) => {
    const held = Math.min(n, dst.length);
    try {
      if (only) {
        if (used[0]) task.mem.written(used[0].address, held);
      } else scatter(task, used, dst.subarray(0, held));
    } catch (e) {
      dropAll(into.rights);
      throw e;
    }
    writeIncoming(task, header, into, flags);
    return n;
  });
}
function scatter(task: Task, segments: readonly Segment[], data: Uint8Array): void {
  let done = 0;
  for (const { address, length } of segments) {
    if (done >= data.length) return;
    const part = data.subarray(done, done + length);
    task.mem.copyOut(address, part);
    done += part.length;
  }
}
const recvmsg = (task: Task, fd: number, msg: number, flags: number): MaybePromise<number> => {
  const s = socketOf(task, fd);
  return receiveHeader(task, s, readHeader(task, msg), flags);
};

function sendmmsg(task: Task, fd: number, vector: number, count: number, flags: number): MaybePromise<number> {
  const s = socketOf(task, fd);
  const max = Math.min(count, MMSG_MAX);
  const step = (i: number): MaybePromise<number> => {
    for (let k = i; k < max; k++) {
      const at = vector + k * MMSG_SIZE;
      const told = (n: number): void => task.mem.writeU32(at + MMSG_LENGTH, n);
      try {
        const n = sendHeader(task, s, readHeader(task, at), flags);
        if (n instanceof Promise) {
          return n.then(
            (sent) => {
              told(sent);
              return step(k + 1);
            },
            (e) => ended(k, e),
          );
        }
        told(n);
      } catch (e) {
        return ended(k, e);
      }
    }
    return max;
  };
  return step(0);
}
/** What has been done counts; the error is met again by the next call. */
function ended(done: number, e: unknown): number {
  if (done === 0 || !(e instanceof SysError)) throw e;
  return done;
}

function recvmmsg(
  task: Task,
  fd: number,
  vector: number,
  count: number,
  flags: number,
  timeout: number,
): MaybePromise<number> {
  const deadline = timeout === 0 ? null : task.kernel.monotonicMs() + timespecMs(readValidTimespec(task.mem, timeout));
  const s = socketOf(task, fd);
  const pending = s.takeError();
  if (pending !== 0) throw sysError(pending);
  const max = Math.min(count, MMSG_MAX);
  const step = (i: number, stepFlags: number): MaybePromise<number> => {
    let now = stepFlags;
    for (let k = i; k < max; k++) {
      // The time is looked at after each message only (recvmmsg(2), BUGS).
      if (k > 0 && deadline !== null && task.kernel.monotonicMs() >= deadline) return k;
      const at = vector + k * MMSG_SIZE;
      const told = (n: number): void => {
        task.mem.writeU32(at + MMSG_LENGTH, n);
        if (flags & MSG.MSG_WAITFORONE) now |= MSG.MSG_DONTWAIT;
      };
      try {
        const n = receiveHeader(task, s, readHeader(task, at), now & ~MSG.MSG_WAITFORONE);
        if (n instanceof Promise) {
          return n.then(
            (got) => {
              told(got);
              return step(k + 1, now);
            },
            (e) => endedReceiving(s, k, e),
          );
        }
        told(n);
      } catch (e) {
        return endedReceiving(s, k, e);
      }
    }
    return max;
  };
  return after(step(0, flags), (n) => {
    if (deadline !== null) {
      const left = Math.max(0, deadline - task.kernel.monotonicMs());
      writeTimespec(task.mem, timeout, Math.floor(left / 1000), Math.floor((left % 1000) * 1e6));
    }
    return n;
  });
}
function endedReceiving(s: Socket, done: number, e: unknown): number {
  const n = ended(done, e);
  // An error behind messages is told by the next call.
  if (e instanceof SysError && e.errno !== errno.EAGAIN && e.errno < errno.ERESTARTSYS && e.errno !== errno.EINTR)
    s.error = e.errno;
  return n;
}

const flagNames = { flags: MSG };

export const socketIoRows: SyscallRow[] = [
  row('sendto', 44, 206, 'sockfd:fd buf:inbuf=2 len:size flags:flags dest:instruct addrlen:int', sendto, { flagNames }),
  row('recvfrom', 45, 207, 'sockfd:fd buf:outbuf=2 len:size flags:flags src:ptr addrlen:ptr', recvfrom, { flagNames }),
  row('sendmsg', 46, 211, 'sockfd:fd msg:instruct flags:flags', sendmsg, { flagNames }),
  row('recvmsg', 47, 212, 'sockfd:fd msg:inoutstruct flags:flags', recvmsg, { flagNames }),
  row('sendmmsg', 307, 269, 'sockfd:fd msgvec:ptr vlen:uint flags:flags', sendmmsg, { flagNames }),
  row('recvmmsg', 299, 243, 'sockfd:fd msgvec:ptr vlen:uint flags:flags timeout:ptr', recvmmsg, { flagNames }),
];
