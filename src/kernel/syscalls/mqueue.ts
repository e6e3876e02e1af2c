/** POSIX message queues: mq_open(2), mq_timedsend(2), mq_timedreceive(2), mq_notify(2), mq_getsetattr(2), mq_unlink(2). */
import { errno, sysError } from '../abi/errno.ts';
import { NSIG } from '../abi/signals.ts';
import { readValidTimespec, timespecMs } from '../abi/time-structs.ts';
import { isAccessMode, MQ_PRIO_MAX, MqueueFile, type QueueAttributes } from '../fs/mqueue.ts';
import { O_ACCMODE, O_CLOEXEC, O_CREAT, O_EXCL, O_NONBLOCK, O_RDONLY, O_RDWR, O_WRONLY } from '../fs/open-file.ts';
import { checkAccess, checkDelete, R_OK, W_OK } from '../fs/permission.ts';
import { CLOCK_REALTIME, clockMs } from '../time/clocks.ts';
import type { Task } from '../task/task.ts';
import { installFile } from './files.ts';
import { row, type SyscallRow } from './row.ts';

const ATTR_SIZE = 64;
const NAME_MAX = 255;

/** A queue's name: libc has taken the slash off. */
function readName(task: Task, address: number): string {
  const name = task.mem.readCString(address);
  if (name === '') throw sysError(errno.ENOENT);
  if (name.includes('/') || name === '.' || name === '..') throw sysError(errno.EACCES);
  if (name.length > NAME_MAX) throw sysError(errno.ENAMETOOLONG);
  return name;
}

function readAttributes(task: Task, address: number): QueueAttributes | null {
  if (address === 0) return null;
  task.mem.bytes(address, ATTR_SIZE);
  return { maxMessages: task.mem.readI64(address + 8), messageSize: task.mem.readI64(address + 16) };
}

function mqOpen(task: Task, nameAt: number, flags: number, mode: number, attr: number): number {
  const asked = readAttributes(task, attr);
  const name = readName(task, nameAt);
  const fs = task.ns.ipc.queues;
  let inode = fs.queues.get(name);
  if (!inode) {
    if (!(flags & O_CREAT)) throw sysError(errno.ENOENT);
    if (!isAccessMode(flags)) throw sysError(errno.EINVAL);
    const attributes = fs.checkAttributes(task, asked);
    inode = fs.make(name, mode & ~task.fs.umask & 0o7777, task.cred.fsuid, task.cred.fsgid, attributes);
  } else {
    if ((flags & (O_CREAT | O_EXCL)) === (O_CREAT | O_EXCL)) throw sysError(errno.EEXIST);
    if (!isAccessMode(flags)) throw sysError(errno.EINVAL);
    const access = flags & O_ACCMODE;
    const need = access === O_RDWR ? R_OK | W_OK : access === O_WRONLY ? W_OK : R_OK;
    checkAccess(task.cred, inode, need);
  }
  const file = inode.open(flags & (O_ACCMODE | O_NONBLOCK));
  file.path = `/${name}`;
  return installFile(task, file, (flags & O_CLOEXEC) !== 0);
}

function mqUnlink(task: Task, nameAt: number): number {
  const name = readName(task, nameAt);
  const fs = task.ns.ipc.queues;
  const inode = fs.queues.get(name);
  if (!inode) throw sysError(errno.ENOENT);
  checkDelete(task.cred, fs.root(), inode);
  fs.remove(name);
  return 0;
}

/** Time left until an absolute time of CLOCK_REALTIME, milliseconds; null for none. Throws EINVAL, EFAULT. */
function timeLeft(task: Task, address: number): (() => number) | null {
  if (address === 0) return null;
  const deadline = timespecMs(readValidTimespec(task.mem, address));
  return () => deadline - clockMs(task, CLOCK_REALTIME);
}

function queueFile(task: Task, fd: number, forWriting: boolean): MqueueFile {
  const file = task.files.get(fd);
  if (!(file instanceof MqueueFile)) throw sysError(errno.EBADF);
  const access = file.flags & O_ACCMODE;
  if (access === (forWriting ? O_RDONLY : O_WRONLY)) throw sysError(errno.EBADF);
  return file;
}

function mqTimedsend(
  task: Task,
  fd: number,
  message: number,
  length: number,
  priority: number,
  timeout: number,
): number | Promise<number> {
  const left = timeLeft(task, timeout);
  if (priority >= MQ_PRIO_MAX) throw sysError(errno.EINVAL);
  const file = queueFile(task, fd, true);
  const { queue } = file;
  if (length > queue.attributes.messageSize) throw sysError(errno.EMSGSIZE);
  const data = task.mem.copyIn(message, length);
  if (!queue.full) {
    queue.send(task, priority, data);
    return 0;
  }
  if (file.nonblocking) throw sysError(errno.EAGAIN);
  return waitAndSend(task, file, priority, data, left);
}

async function waitAndSend(
  task: Task,
  file: MqueueFile,
  priority: number,
  data: Uint8Array,
  left: (() => number) | null,
): Promise<number> {
  const { queue } = file;
  file.ref();
  try {
    for (;;) {
      const result = await task.wait([queue.departures], () => !queue.full, left?.() ?? null);
      if (!queue.full) {
        queue.send(task, priority, data);
        return 0;
      }
      if (result === 'timeout') throw sysError(errno.ETIMEDOUT);
      if (result === 'signal') throw sysError(errno.ERESTARTSYS);
    }
  } finally {
    file.unref();
  }
}

function mqTimedreceive(
  task: Task,
  fd: number,
  buffer: number,
  length: number,
  priority: number,
  timeout: number,
): number | Promise<number> {
  const left = timeLeft(task, timeout);
  const file = queueFile(task, fd, false);
  const { queue } = file;
  if (length < queue.attributes.messageSize) throw sysError(errno.EMSGSIZE);
  if (queue.count > 0) return receive(task, file, buffer, priority);
  if (file.nonblocking) throw sysError(errno.EAGAIN);
  return waitAndReceive(task, file, buffer, priority, left);
}

/** As Linux does, a message is lost when it cannot be stored. */
function receive(task: Task, file: MqueueFile, buffer: number, priorityAt: number): number {
  const { priority, data } = file.queue.receive();
  if (priorityAt !== 0) task.mem.writeU32(priorityAt, priority);
  task.mem.copyOut(buffer, data);
  return data.length;
}

async function waitAndReceive(
  task: Task,
  file: MqueueFile,
  buffer: number,
  priority: number,
  left: (() => number) | null,
): Promise<number> {
  const { queue } = file;
  file.ref();
  queue.receiversWaiting++;
  try {
    for (;;) {
      const result = await task.wait([queue.arrivals], () => queue.count > 0, left?.() ?? null);
      if (queue.count > 0) return receive(task, file, buffer, priority);
      if (result === 'timeout') throw sysError(errno.ETIMEDOUT);
      if (result === 'signal') throw sysError(errno.ERESTARTSYS);
    }
  } finally {
    queue.receiversWaiting--;
    file.unref();
  }
}

const SIGEV_SIGNAL = 0;
const SIGEV_NONE = 1;
const SIGEV_THREAD = 2;

function mqNotify(task: Task, fd: number, event: number): number {
  let notification: { signo: number; value: bigint } | null = null;
  if (event !== 0) {
    task.mem.bytes(event, 64);
    const how = task.mem.readI32(event + 12);
    const signo = task.mem.readI32(event + 8);
    if (how !== SIGEV_SIGNAL && how !== SIGEV_NONE && how !== SIGEV_THREAD) throw sysError(errno.EINVAL);
    if (how === SIGEV_SIGNAL && !(signo >= 0 && signo <= NSIG)) throw sysError(errno.EINVAL);
    // libc passes a netlink socket, which would be told; no descriptor here is one.
    if (how === SIGEV_THREAD) throw sysError(errno.EBADF);
    notification = { signo: how === SIGEV_SIGNAL ? signo : 0, value: task.mem.readBigU64(event) };
  }
  const file = task.files.get(fd);
  if (!(file instanceof MqueueFile)) throw sysError(errno.EBADF);
  const { queue } = file;
  if (!notification) {
    if (queue.notification?.owner === task.process) queue.notification = null;
    return 0;
  }
  if (queue.notification) throw sysError(errno.EBUSY);
  queue.notification = { owner: task.process, ...notification };
  task.process.toldOfEnd ??= new Set();
  task.process.toldOfEnd.add(queue);
  return 0;
}

function mqGetsetattr(task: Task, fd: number, next: number, old: number): number {
  let flags = 0;
  if (next !== 0) {
    task.mem.bytes(next, ATTR_SIZE);
    flags = task.mem.readU64(next);
    if (flags !== 0 && flags !== O_NONBLOCK) throw sysError(errno.EINVAL);
  }
  const file = task.files.get(fd);
  if (!(file instanceof MqueueFile)) throw sysError(errno.EBADF);
  const { queue } = file;
  const values = [file.flags & O_NONBLOCK, queue.attributes.maxMessages, queue.attributes.messageSize, queue.count];
  if (next !== 0) file.flags = (file.flags & ~O_NONBLOCK) | flags;
  if (old !== 0) {
    const out = new BigInt64Array(ATTR_SIZE / 8);
    values.forEach((v, i) => {
      out[i] = BigInt(v);
    });
    task.mem.copyOut(old, new Uint8Array(out.buffer));
  }
  return 0;
}

const openFlags = { O_RDONLY, O_WRONLY, O_RDWR, O_CREAT, O_EXCL, O_NONBLOCK, O_CLOEXEC };

export const mqueueRows: SyscallRow[] = [
  row('mq_open', 240, 180, 'name:string oflag:flags mode:octal attr:instruct', mqOpen, {
    flagNames: { oflag: openFlags },
  }),
  row('mq_unlink', 241, 181, 'name:string', mqUnlink),
  row(
    'mq_timedsend',
    242,
    182,
    'mqdes:fd msg_ptr:inbuf=2 msg_len:size msg_prio:uint abs_timeout:timespec',
    mqTimedsend,
  ),
  row(
    'mq_timedreceive',
    243,
    183,
    'mqdes:fd msg_ptr:outbuf=2 msg_len:size msg_prio:ptr abs_timeout:timespec',
    mqTimedreceive,
  ),
  row('mq_notify', 244, 184, 'mqdes:fd sevp:instruct', mqNotify, {
    support: 'partial',
    note: 'by signal; SIGEV_THREAD, which libc does over a netlink socket, is EBADF',
  }),
  row('mq_getsetattr', 245, 185, 'mqdes:fd newattr:instruct oldattr:outstruct', mqGetsetattr),
];
