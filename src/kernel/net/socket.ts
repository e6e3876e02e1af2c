/**
 * Sockets as open files (socket(7)). A subclass a protocol family and type; what they share is here: SOL_SOCKET options,
 * waiting with timeouts, the pending error, and the way read(2) and write(2) reach them.
 */
import { errno, sysError } from '../abi/errno.ts';
import { SI_USER, SIGPIPE } from '../abi/signals.ts';
import { S_IFSOCK } from '../fs/inode.ts';
import { type MaybePromise, O_NONBLOCK, O_RDWR, OpenFile } from '../fs/open-file.ts';
import { makedev, now, PseudoFs, PseudoInode } from '../fs/pseudo.ts';
import { sendSignal } from '../signals/send.ts';
import type { Task } from '../task/task.ts';
import { MEM_DEFAULT, MSG, RCV_SHUTDOWN, SEND_SHUTDOWN } from './constants.ts';
import type { Network } from './network.ts';
import { interfaceIoctl } from './net-ioctl.ts';
import type { OptionValue } from './options.ts';

const SOCKFS_MAGIC = 0x534f_434b;
const FIONREAD = 0x541b;
const TIOCOUTQ = 0x5411;
const SIOCSPGRP = 0x8902;
const FIOSETOWN = 0x8901;
const SIOCGPGRP = 0x8904;
const FIOGETOWN = 0x8903;
const SIOCGSTAMP = 0x8906;
const SIOCGSTAMPNS = 0x8907;

export interface Ucred {
  readonly pid: number;
  readonly uid: number;
  readonly gid: number;
}

export const credentialsOf = (task: Task): Ucred => ({
  pid: task.process.pid,
  uid: task.cred.euid,
  gid: task.cred.egid,
});

/** A control message as recvmsg(2) returns it: the data behind struct cmsghdr. */
export interface ControlMessage {
  readonly level: number;
  readonly type: number;
  readonly data: Uint8Array;
}

/** What goes with bytes that are sent. */
export interface Outgoing {
  /** struct sockaddr as given, or null. */
  readonly address: Uint8Array | null;
  /** SCM_RIGHTS: references of the message's own; whoever takes the message takes them over. */
  readonly rights: readonly OpenFile[] | null;
  /** SCM_CREDENTIALS, already checked. */
  readonly credentials: Ucred | null;
  /** Hop limit and traffic class for this datagram alone. */
  readonly hops?: number;
  readonly trafficClass?: number;
}

/** What comes with bytes that are received; filled in by `receive`. */
export class Incoming {
  /** The sender's struct sockaddr. */
  address: Uint8Array | null = null;
  /** MSG_TRUNC, MSG_EOR, ... */
  flags = 0;
  /** References that the receiver takes over. */
  rights: readonly OpenFile[] | null = null;
  credentials: Ucred | null = null;
  control: ControlMessage[] = [];
}

const sockfs = new PseudoFs('sockfs', makedev(0, 8), SOCKFS_MAGIC, 18_000);

class SocketInode extends PseudoInode {
  constructor(uid: number, gid: number) {
    super({ fs: sockfs, mode: S_IFSOCK | 0o777, uid, gid });
    const t = now();
    this.times = { atime: t, mtime: t, ctime: t };
  }
  override open(): OpenFile {
    throw sysError(errno.ENXIO);
  }
}

export abstract class Socket extends OpenFile {
  readonly net: Network;
  abstract readonly domain: number;
  abstract readonly type: number;
  abstract readonly protocol: number;
  /** Values of options by level and name, where they differ from their defaults. */
  readonly options = new Map<number, OptionValue>();
  /** Bits of RCV_SHUTDOWN and SEND_SHUTDOWN. */
  shut = 0;
  /** sk_err: reported once, by SO_ERROR or the next call. */
  error = 0;
  /** Milliseconds; null: for ever. */
  receiveTimeout: number | null = null;
  sendTimeout: number | null = null;
  /** As getsockopt tells them, with the doubling of socket(7). */
  sendBuffer = MEM_DEFAULT;
  receiveBuffer = MEM_DEFAULT;
  /** The guest has set them. */
  sendBufferLocked = false;
  receiveBufferLocked = false;
  reuseAddress = false;
  reusePort = false;
  lowWater = 1;
  /** Uid of who made it, for SO_REUSEPORT and /proc/net. */
  readonly uid: number;
  readonly cookie: number;

  constructor(net: Network, task: Task | null, flags: number) {
    super(O_RDWR | (flags & O_NONBLOCK));
    this.net = net;
    this.cookie = net.nextCookie();
    this.uid = task?.cred.fsuid ?? 0;
    const inode = new SocketInode(this.uid, task?.cred.fsgid ?? 0);
    this.inode = inode;
    this.path = `socket:[${inode.ino}]`;
  }

  get ino(): number {
    return (this.inode as PseudoInode).ino;
  }

  /** bind(2) to a struct sockaddr. */
  abstract bind(task: Task, address: Uint8Array): MaybePromise<void>;
  abstract connect(task: Task, address: Uint8Array): MaybePromise<number>;
  listen(_task: Task, _backlog: number): MaybePromise<void> {
    throw sysError(errno.EOPNOTSUPP);
  }
  get listening(): boolean {
    return false;
  }
  /** The first connection that waits, without taking it. Null: none. Throws EINVAL when not listening. */
  waiting(): Socket | null {
    throw sysError(errno.EOPNOTSUPP);
  }
  /** Takes what `waiting` showed out of the queue. */
  accepted(_socket: Socket): void {}
  /** SHUT_RD, SHUT_WR or SHUT_RDWR. */
  abstract shutdown(how: number): void;
  /** struct sockaddr. */
  abstract localAddress(): Uint8Array;
  /** struct sockaddr. Throws ENOTCONN. */
  abstract peerAddress(): Uint8Array;
  /** The other end's struct sockaddr as accept(2) tells it, even when it has hung up by now. */
  acceptedFrom(): Uint8Array {
    return this.peerAddress();
  }
  /** `flags` are MSG_*. `src` may be guest memory: it is copied before the call returns, or when there is room. */
  abstract send(task: Task, src: Uint8Array, flags: number, out: Outgoing | null): MaybePromise<number>;
  abstract receive(task: Task, dst: Uint8Array, flags: number, into: Incoming | null): MaybePromise<number>;

  /** Options of the subclass's own levels. Throws ENOPROTOOPT. */
  getProtocolOption(_level: number, _name: number, _task: Task): OptionValue {
    throw sysError(errno.EOPNOTSUPP);
  }
  setProtocolOption(_task: Task, _level: number, _name: number, _value: Uint8Array): void {
    throw sysError(errno.ENOPROTOOPT);
  }
  /** SO_PEERCRED. */
  get peerCredentials(): Ucred | null {
    return null;
  }
  /** Bytes that can be read at once (FIONREAD). */
  abstract available(): number;
  /** Bytes sent that the receiver has not read (SIOCOUTQ). */
  outstanding(): number {
    return 0;
  }
  /** SO_KEEPALIVE has been set. */
  keepAliveChanged(): void {}
  /** The buffer sizes have been changed. */
  buffersChanged(): void {}

  override read(task: Task, dst: Uint8Array, _position: number | null): MaybePromise<number> {
    return dst.length === 0 ? 0 : this.receive(task, dst, 0, null);
  }
  override write(task: Task, src: Uint8Array, _position: number | null): MaybePromise<number> {
    return this.send(task, src, 0, null);
  }

  protected dontWait(flags: number): boolean {
    return this.nonblocking || (flags & MSG.MSG_DONTWAIT) !== 0;
  }
  /** Takes the pending error. */
  takeError(): number {
    const e = this.error;
    this.error = 0;
    return e;
  }
  protected throwPending(): void {
    if (this.error !== 0) throw sysError(this.takeError());
  }

  /**
   * Waits until `ready`. `deadline` is on the monotonic clock in milliseconds, null: for ever. Throws EAGAIN when the
   * time is up (SO_RCVTIMEO, SO_SNDTIMEO), ERESTARTSYS for a signal, or EINTR when there is a timeout (signal(7)).
   */
  async waitUntil(task: Task, ready: () => boolean, deadline: number | null): Promise<void> {
    // The description outlives a close(2) by another thread.
    this.ref();
    try {
      const left = deadline === null ? null : deadline - task.kernel.monotonicMs();
      const result = await task.wait([this.waiters], ready, left);
      if (result === 'ready' || ready()) return;
      if (result === 'timeout') throw sysError(errno.EAGAIN);
      throw sysError(deadline === null ? errno.ERESTARTSYS : errno.EINTR);
    } finally {
      this.unref();
    }
  }
  deadline(task: Task, timeout: number | null): number | null {
    return timeout === null ? null : task.kernel.monotonicMs() + timeout;
  }

  /** EPIPE, with SIGPIPE unless the call asked for none. */
  protected broken(task: Task, flags: number): never {
    if ((flags & MSG.MSG_NOSIGNAL) === 0)
      sendSignal(task, SIGPIPE, { code: SI_USER, pid: task.process.pid, uid: task.cred.uid });
    throw sysError(errno.EPIPE);
  }
  get receiveShut(): boolean {
    return (this.shut & RCV_SHUTDOWN) !== 0;
  }
  get sendShut(): boolean {
    return (this.shut & SEND_SHUTDOWN) !== 0;
  }

  override ioctl(task: Task, request: number, arg: number): MaybePromise<number> {
    switch (request) {
      case FIONREAD:
        task.mem.writeU32(arg, this.available());
        return 0;
      case TIOCOUTQ:
        if (this.listening) throw sysError(errno.EINVAL);
        task.mem.writeU32(arg, this.outstanding());
        return 0;
      case FIOSETOWN:
      case SIOCSPGRP:
        task.mem.readI32(arg);
        return 0;
      case FIOGETOWN:
      case SIOCGPGRP:
        task.mem.writeU32(arg, 0);
        return 0;
      case SIOCGSTAMP:
      case SIOCGSTAMPNS:
        throw sysError(errno.ENOENT);
      default:
        return interfaceIoctl(this, task, request, arg);
    }
  }
}
