/** epoll_create(2), epoll_ctl(2) and epoll_wait(2). */
import { errno, sysError } from '../abi/errno.ts';
import { readValidTimespec, timespecMs } from '../abi/time-structs.ts';
import { EpollFile, EPOLLET, EPOLLEXCLUSIVE, EPOLLONESHOT, EPOLLWAKEUP } from '../fs/epoll.ts';
import { O_CLOEXEC } from '../fs/open-file.ts';
import { PROT_WRITE } from '../mm/guest-memory.ts';
import { restoreTemporaryMask, setTemporaryMask } from '../signals/mask.ts';
import type { Task } from '../task/task.ts';
import { row, type SyscallRow } from './row.ts';

const EPOLL_CTL_ADD = 1;
const EPOLL_CTL_DEL = 2;
const EPOLL_CTL_MOD = 3;
/** INT_MAX / sizeof(struct epoll_event), by ISA. */
const MAX_EVENTS = 0x7fff_ffff;

const eventNames = {
  EPOLLIN: 1,
  EPOLLPRI: 2,
  EPOLLOUT: 4,
  EPOLLERR: 8,
  EPOLLHUP: 0x10,
  EPOLLRDNORM: 0x40,
  EPOLLRDBAND: 0x80,
  EPOLLWRNORM: 0x100,
  EPOLLWRBAND: 0x200,
  EPOLLMSG: 0x400,
  EPOLLRDHUP: 0x2000,
  EPOLLEXCLUSIVE,
  EPOLLWAKEUP,
  EPOLLONESHOT,
  EPOLLET: EPOLLET >>> 0,
};
export const epollEventNames: Readonly<Record<string, number>> = eventNames;

/** struct epoll_event is packed on x86-64 (12 bytes), naturally aligned elsewhere (16). */
const eventSize = (task: Task): number => (task.cpu.isa === 'x86_64' ? 12 : 16);
const dataOffset = (task: Task): number => (task.cpu.isa === 'x86_64' ? 4 : 8);

function epollCreate1(task: Task, flags: number): number {
  if (flags & ~O_CLOEXEC) throw sysError(errno.EINVAL);
  const file = new EpollFile();
  try {
    return task.files.install(file, (flags & O_CLOEXEC) !== 0);
  } catch (e) {
    file.unref();
    throw e;
  }
}

function epollFile(task: Task, fd: number): EpollFile {
  const file = task.files.get(fd);
  if (!(file instanceof EpollFile)) throw sysError(errno.EINVAL);
  return file;
}

function epollCtl(task: Task, epfd: number, op: number, fd: number, event: number): number {
  let events = 0;
  let dataLo = 0;
  let dataHi = 0;
  if (op !== EPOLL_CTL_DEL) {
    task.mem.bytes(event, eventSize(task));
    events = task.mem.readU32(event);
    dataLo = task.mem.readU32(event + dataOffset(task));
    dataHi = task.mem.readU32(event + dataOffset(task) + 4);
  }
  const outer = task.files.get(epfd);
  const file = task.files.get(fd);
  if (!file.pollable) throw sysError(errno.EPERM);
  if (file === outer || !(outer instanceof EpollFile)) throw sysError(errno.EINVAL);
  switch (op) {
    case EPOLL_CTL_ADD:
      outer.add(file, fd, events, dataLo, dataHi, task);
      return 0;
    case EPOLL_CTL_MOD:
      outer.modify(file, fd, events, dataLo, dataHi, task);
      return 0;
    case EPOLL_CTL_DEL:
      outer.remove(file, fd);
      return 0;
    default:
      throw sysError(errno.EINVAL);
  }
}

/** Events that are collected in a buffer kept for it. */
const KEPT_EVENTS = 512;
let kept: Uint32Array | null = null;

/** Copies events out; the number that fitted. EFAULT only when not even the first did. */
function deliver(task: Task, epoll: EpollFile, out: number, max: number): number {
  const room = Math.min(max, epoll.readyCount);
  if (room === 0) return 0;
  const size = eventSize(task);
  const words =
    room <= KEPT_EVENTS ? (kept ??= new Uint32Array(KEPT_EVENTS * 4)) : new Uint32Array((room * size) >>> 2);
  const count = epoll.collect({ words, stride: size >>> 2, data: dataOffset(task) >>> 2 }, room, task);
  if (count === 0) return 0;
  const bytes = new Uint8Array(words.buffer, 0, count * size);
  if (task.mem.accessible(out, bytes.length, PROT_WRITE) === bytes.length) {
    task.mem.copyOut(out, bytes);
    return count;
  }
  for (let i = 0; i < count; i++) {
    try {
      task.mem.copyOut(out + i * size, bytes.subarray(i * size, (i + 1) * size));
    } catch (e) {
      epoll.uncollect(task);
      if (i === 0) throw e;
      return i;
    }
  }
  return count;
}

/** `timeoutMs` null: for ever. */
function wait(task: Task, epfd: number, out: number, max: number, timeoutMs: number | null): number | Promise<number> {
  const size = eventSize(task);
  if (max <= 0 || max > MAX_EVENTS / size) throw sysError(errno.EINVAL);
  // access_ok: the whole array must lie below the end of user space, mapped or not.
  if (out + max * size > 0x7fff_ffff_f000) throw sysError(errno.EFAULT);
  const epoll = epollFile(task, epfd);
  const found = deliver(task, epoll, out, max);
  if (found > 0) return found;
  if (timeoutMs !== null && timeoutMs <= 0) return 0;
  return waitReady(task, epoll, out, max, timeoutMs);
}

async function waitReady(
  task: Task,
  epoll: EpollFile,
  out: number,
  max: number,
  timeoutMs: number | null,
): Promise<number> {
  const deadline = timeoutMs === null ? null : task.kernel.monotonicMs() + timeoutMs;
  epoll.ref();
  try {
    for (;;) {
      const left = deadline === null ? null : deadline - task.kernel.monotonicMs();
      const result = await task.wait([epoll.waiters], () => epoll.hasReady(task), left);
      const n = deliver(task, epoll, out, max);
      if (n > 0) return n;
      if (result === 'timeout') return 0;
      if (result === 'signal') return -errno.EINTR;
    }
  } finally {
    epoll.unref();
  }
}

/** A wait under a temporary signal mask. */
function pwait(
  task: Task,
  epfd: number,
  out: number,
  max: number,
  timeoutMs: number | null,
  mask: number,
  size: number,
): number | Promise<number> {
  setTemporaryMask(task, mask, size);
  let result: number | Promise<number>;
  try {
    result = wait(task, epfd, out, max, timeoutMs);
  } catch (e) {
    restoreTemporaryMask(task, false);
    throw e;
  }
  const finish = (n: number): number => {
    restoreTemporaryMask(task, n === -errno.EINTR);
    return n;
  };
  if (typeof result === 'number') return finish(result);
  return result.then(finish, (e) => {
    restoreTemporaryMask(task, false);
    throw e;
  });
}

const fromInt = (timeout: number): number | null => (timeout < 0 ? null : timeout);

function epollPwait2(task: Task, epfd: number, out: number, max: number, timeout: number, mask: number, size: number) {
  const ms = timeout === 0 ? null : timespecMs(readValidTimespec(task.mem, timeout));
  return pwait(task, epfd, out, max, ms, mask, size);
}

const ops = { op: { EPOLL_CTL_ADD, EPOLL_CTL_DEL, EPOLL_CTL_MOD } };

export const epollRows: SyscallRow[] = [
  row('epoll_create', 213, null, 'size:int', (task, size: number) => {
    if (size <= 0) throw sysError(errno.EINVAL);
    return epollCreate1(task, 0);
  }),
  row('epoll_create1', 291, 20, 'flags:flags', epollCreate1, { flagNames: { flags: { EPOLL_CLOEXEC: O_CLOEXEC } } }),
  row('epoll_ctl', 233, 21, 'epfd:fd op:int fd:fd event:instruct', epollCtl, { flagNames: ops }),
  row(
    'epoll_wait',
    232,
    null,
    'epfd:fd events:outstruct maxevents:int timeout:int',
    (task, epfd: number, out: number, max: number, timeout: number) => wait(task, epfd, out, max, fromInt(timeout)),
  ),
  row(
    'epoll_pwait',
    281,
    22,
    'epfd:fd events:outstruct maxevents:int timeout:int sigmask:sigset sigsetsize:size',
    (task, epfd: number, out: number, max: number, timeout: number, mask: number, size: number) =>
      pwait(task, epfd, out, max, fromInt(timeout), mask, size),
  ),
  row(
    'epoll_pwait2',
    441,
    441,
    'epfd:fd events:outstruct maxevents:int timeout:timespec sigmask:sigset sigsetsize:size',
    epollPwait2,
  ),
];
