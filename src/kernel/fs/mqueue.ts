/** POSIX message queues (mq_overview(7), ipc/mqueue.c): the queues, their descriptions, and the file system of their names. */
import { errno, sysError } from '../abi/errno.ts';
import { SI_MESGQ } from '../abi/signals.ts';
import { sendSignal } from '../signals/send.ts';
import { CAP_SYS_RESOURCE } from '../task/credentials.ts';
import type { Process } from '../task/process.ts';
import type { Task } from '../task/task.ts';
import { RLIMIT_MSGQUEUE } from '../task/rlimits.ts';
import { WaitQueue } from '../task/wait-queue.ts';
import { type DirEntry, type Inode, S_IFDIR, S_IFREG, type SetAttr } from './inode.ts';
import { O_ACCMODE, OpenFile, POLLIN, POLLOUT, POLLRDNORM, POLLWRNORM } from './open-file.ts';
import { MQUEUE_MAGIC, makedev, now, PseudoDir, PseudoFs, PseudoInode } from './pseudo.ts';
import { pidSeenBy } from '../ns/pid.ts';

/** MQ_PRIO_MAX. */
export const MQ_PRIO_MAX = 32768;
const HARD_MSGMAX = 65536;
const HARD_MSGSIZEMAX = 16 << 20;

/** /proc/sys/fs/mqueue, one set an IPC namespace (ipc/mq_sysctl.c), with what may be written there. */
export const MQUEUE_LIMITS = {
  queues_max: { value: 256, least: 0, most: 0x7fff_ffff },
  msg_max: { value: 10, least: 1, most: HARD_MSGMAX },
  msgsize_max: { value: 8192, least: 128, most: HARD_MSGSIZEMAX },
  msg_default: { value: 10, least: 1, most: HARD_MSGMAX },
  msgsize_default: { value: 8192, least: 128, most: HARD_MSGSIZEMAX },
} as const;
export type MqueueSetting = keyof typeof MQUEUE_LIMITS;
/** What stat(2) shows as the size (FILENT_SIZE). */
const STATUS_SIZE = 80;
/** Per message and per priority in use, what RLIMIT_MSGQUEUE counts besides the contents. */
const MESSAGE_OVERHEAD = 48;
const NODE_OVERHEAD = 48;

export interface QueueAttributes {
  readonly maxMessages: number;
  readonly messageSize: number;
}

interface Message {
  readonly priority: number;
  readonly data: Uint8Array;
}

/** Who wants a signal when a message comes to the empty queue (mq_notify(3)). */
export interface Notification {
  readonly owner: Process;
  /** 0: SIGEV_NONE. */
  readonly signo: number;
  readonly value: bigint;
}

/** Bytes that RLIMIT_MSGQUEUE counts for a queue. */
const footprint = ({ maxMessages, messageSize }: QueueAttributes): number =>
  maxMessages * MESSAGE_OVERHEAD + Math.min(maxMessages, MQ_PRIO_MAX) * NODE_OVERHEAD + maxMessages * messageSize;

export class MessageQueue {
  readonly attributes: QueueAttributes;
  readonly uid: number;
  /** Highest priority first, oldest first among equals. */
  readonly #messages: Message[] = [];
  #bytes = 0;
  notification: Notification | null = null;
  /** Receivers and senders that wait, and pollers by way of the open files. */
  readonly arrivals = new WaitQueue();
  readonly departures = new WaitQueue();
  readonly files = new Set<MqueueFile>();
  receiversWaiting = 0;

  constructor(attributes: QueueAttributes, uid: number) {
    this.attributes = attributes;
    this.uid = uid;
  }
  get count(): number {
    return this.#messages.length;
  }
  get bytes(): number {
    return this.#bytes;
  }
  get full(): boolean {
    return this.count >= this.attributes.maxMessages;
  }

  processEnded(process: Process): void {
    if (this.notification?.owner === process) this.notification = null;
  }

  /** The queue has room. */
  send(task: Task, priority: number, data: Uint8Array): void {
    const wasEmpty = this.count === 0;
    let at = this.#messages.length;
    while (at > 0 && this.#messages[at - 1]!.priority < priority) at--;
    this.#messages.splice(at, 0, { priority, data });
    this.#bytes += data.length;
    if (wasEmpty && this.receiversWaiting === 0) this.#notify(task);
    this.arrivals.wake(POLLIN);
    for (const file of this.files) file.waiters.wake(POLLIN | POLLRDNORM);
  }
  #notify(task: Task): void {
    const n = this.notification;
    if (!n) return;
    this.notification = null;
    if (n.signo === 0) return;
    sendSignal(n.owner, n.signo, {
      code: SI_MESGQ,
      pid: task.process.pid,
      uid: task.cred.uid,
      value: n.value,
    });
  }
  /** The queue is not empty. */
  receive(): Message {
    const message = this.#messages.shift()!;
    this.#bytes -= message.data.length;
    this.departures.wake(POLLOUT);
    for (const file of this.files) file.waiters.wake(POLLOUT | POLLWRNORM);
    return message;
  }
}

/** A queue's descriptor. Messages go by the mq_* calls; reading shows the status line. */
export class MqueueFile extends OpenFile {
  readonly queue: MessageQueue;
  constructor(flags: number, inode: MqueueInode) {
    super(flags);
    this.inode = inode;
    this.queue = inode.queue;
    this.queue.files.add(this);
  }
  protected override release(): void {
    this.queue.files.delete(this);
    // Nobody is left who could have registered, but for forked copies of the descriptor.
    if (this.queue.files.size === 0) this.queue.notification = null;
  }
  override get seekable(): boolean {
    return true;
  }
  override get pollable(): boolean {
    return true;
  }
  override read(task: Task, dst: Uint8Array, position: number | null): number {
    const { bytes, notification: n } = this.queue;
    const cells = [
      `QSIZE:${String(bytes).padEnd(10)}`,
      `NOTIFY:${String(n && n.signo === 0 ? 1 : 0).padEnd(5)}`,
      `SIGNO:${String(n?.signo ?? 0).padEnd(5)}`,
      `NOTIFY_PID:${String(n ? pidSeenBy(task, n.owner.pid) : 0).padEnd(6)}`,
    ];
    const text = Buffer.from(`${cells.join(' ')}\n`, 'latin1');
    const at = position ?? this.offset;
    const part = text.subarray(Math.min(at, text.length), at + dst.length);
    dst.set(part);
    if (position === null) this.offset += part.length;
    return part.length;
  }
  override lseek(offset: number, whence: number): number {
    const target = whence === 0 ? offset : whence === 1 ? this.offset + offset : -1;
    if (!(target >= 0)) throw sysError(errno.EINVAL);
    this.offset = target;
    return target;
  }
  override poll(): number {
    return (this.queue.count > 0 ? POLLIN | POLLRDNORM : 0) | (this.queue.full ? 0 : POLLOUT | POLLWRNORM);
  }
}

export class MqueueInode extends PseudoInode {
  readonly queue: MessageQueue;
  constructor(fs: PseudoFs, queue: MessageQueue, mode: number, uid: number, gid: number) {
    super({ fs, mode: S_IFREG | (mode & 0o7777), uid, gid, size: STATUS_SIZE });
    this.queue = queue;
    const t = now();
    this.times = { atime: t, mtime: t, ctime: t };
  }
  protected override get blksize(): number {
    return 4096;
  }
  override open(flags: number): MqueueFile {
    return new MqueueFile(flags, this);
  }
  override setattr(attr: SetAttr): void {
    const { size: _, ...rest } = attr;
    super.setattr(rest);
  }
}

class MqueueDir extends PseudoDir {
  readonly queues = new Map<string, MqueueInode>();
  readonly #fs: MqueueFs;
  constructor(fs: MqueueFs) {
    super(fs, { mode: S_IFDIR | 0o1777 });
    this.#fs = fs;
  }
  protected override dynamicLookup(name: string): Inode | null {
    return this.queues.get(name) ?? null;
  }
  protected override dynamicEntries(): DirEntry[] {
    return [...this.queues].map(([name, { ino }]) => ({ name, ino, type: S_IFREG }));
  }
  override create(name?: string, mode = 0, uid = 0, gid = 0): Inode {
    return this.#fs.make(name!, mode, uid, gid, this.#fs.defaults);
  }
  override unlink(name?: string): void {
    const inode = this.queues.get(name!);
    if (!inode) throw sysError(errno.ENOENT);
    this.queues.delete(name!);
    inode.nlink = 0;
  }
}

export class MqueueFs extends PseudoFs {
  readonly #dir: MqueueDir;
  readonly settings: Record<MqueueSetting, number>;
  constructor() {
    super('mqueue', makedev(0, 19), MQUEUE_MAGIC);
    const initial = Object.entries(MQUEUE_LIMITS).map(([name, { value }]) => [name, value]);
    this.settings = Object.fromEntries(initial) as Record<MqueueSetting, number>;
    this.#dir = new MqueueDir(this);
    this.setRoot(this.#dir);
  }
  get queues(): ReadonlyMap<string, MqueueInode> {
    return this.#dir.queues;
  }
  make(name: string, mode: number, uid: number, gid: number, attributes: QueueAttributes): MqueueInode {
    if (this.#dir.queues.size >= this.settings.queues_max) throw sysError(errno.ENOSPC);
    const inode = new MqueueInode(this, new MessageQueue(attributes, uid), mode, uid, gid);
    this.#dir.queues.set(name, inode);
    return inode;
  }
  remove(name: string): void {
    this.#dir.unlink(name);
  }

  /** Of a queue made without attributes: the defaults, as far as the limits allow. */
  get defaults(): QueueAttributes {
    const { msg_max, msg_default, msgsize_max, msgsize_default } = this.settings;
    return { maxMessages: Math.min(msg_max, msg_default), messageSize: Math.min(msgsize_max, msgsize_default) };
  }

  /** Attributes a new queue gets; null asks for the defaults. Throws EINVAL, and EMFILE beyond RLIMIT_MSGQUEUE. */
  checkAttributes(task: Task, asked: QueueAttributes | null): QueueAttributes {
    const attributes = asked ?? this.defaults;
    const { maxMessages, messageSize } = attributes;
    const privileged = task.cred.capable(CAP_SYS_RESOURCE);
    if (!(maxMessages > 0 && messageSize > 0)) throw sysError(errno.EINVAL);
    if (maxMessages > (privileged ? HARD_MSGMAX : this.settings.msg_max)) throw sysError(errno.EINVAL);
    if (messageSize > (privileged ? HARD_MSGSIZEMAX : this.settings.msgsize_max)) throw sysError(errno.EINVAL);
    let used = footprint(attributes);
    for (const { queue } of this.queues.values()) if (queue.uid === task.cred.uid) used += footprint(queue.attributes);
    if (used > (task.process.rlimits[RLIMIT_MSGQUEUE]?.soft ?? Infinity)) throw sysError(errno.EMFILE);
    return attributes;
  }
}

/** Access mode 3 means nothing to mq_open(2). */
export const isAccessMode = (flags: number): boolean => (flags & O_ACCMODE) !== O_ACCMODE;
