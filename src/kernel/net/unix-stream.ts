/** AF_UNIX SOCK_STREAM. */
import { errno, sysError } from '../abi/errno.ts';
import type { MaybePromise } from '../fs/open-file.ts';
import type { Task } from '../task/task.ts';
import { ByteQueue } from './byte-queue.ts';
import { MSG, SOCK_STREAM, WAKE_READ } from './constants.ts';
import type { Incoming, Outgoing, Ucred } from './socket.ts';
import { type Ancillary, dropRights } from './unix.ts';
import { UnixConnected } from './unix-connected.ts';

/** A stretch of the stream that carries something. Positions count all bytes ever received. */
interface Mark {
  readonly start: number;
  end: number;
  rights: Ancillary['rights'];
  readonly credentials: Ucred | null;
}

const sameCredentials = (a: Ucred | null, b: Ucred | null): boolean =>
  a === b || (a !== null && b !== null && a.pid === b.pid && a.uid === b.uid && a.gid === b.gid);

export class UnixStream extends UnixConnected {
  readonly type = SOCK_STREAM;
  readonly #received = new ByteQueue();
  /** Position of the first byte in the queue. */
  #position = 0;
  #marks: Mark[] = [];

  protected override sibling(): UnixStream {
    return new UnixStream(this.net, null, 0);
  }
  protected override get unread(): boolean {
    return this.#received.length > 0;
  }
  protected override discard(): void {
    for (const mark of this.#marks) dropRights(mark.rights);
    this.#marks = [];
    this.#received.clear();
    (this.peer as UnixStream | null)?.drained();
  }
  override available(): number {
    if (this.listening) throw sysError(errno.EINVAL);
    return this.#received.length;
  }
  override outstanding(): number {
    const peer = this.peer as UnixStream | null;
    return peer ? peer.#received.length : 0;
  }
  get #room(): number {
    return Math.max(0, this.sendBuffer - this.outstanding());
  }

  override send(task: Task, src: Uint8Array, flags: number, out: Outgoing | null): MaybePromise<number> {
    if (flags & MSG.MSG_OOB) throw sysError(errno.EOPNOTSUPP);
    if (out?.address) throw sysError(this.connected ? errno.EISCONN : errno.EOPNOTSUPP);
    const peer = this.peer as UnixStream | null;
    if (!peer) throw sysError(errno.ENOTCONN);
    const extra = this.ancillary(task, out, this.passCredentials || peer.passCredentials);
    const n = this.#put(task, src, flags, extra);
    if (n === src.length) return n;
    if (this.dontWait(flags)) {
      if (n === 0) throw sysError(errno.EAGAIN);
      return n;
    }
    return this.#waitAndSend(task, src, n, flags, n > 0 && extra ? { ...extra, rights: null } : extra);
  }
  #put(task: Task, src: Uint8Array, flags: number, extra: Ancillary | null): number {
    const peer = this.peer as UnixStream;
    if (this.sendShut || peer.closed || peer.receiveShut) this.broken(task, flags);
    const n = Math.min(src.length, this.#room);
    if (n > 0) peer.#deliver(n === src.length ? src : src.subarray(0, n), extra);
    return n;
  }
  async #waitAndSend(
    task: Task,
    src: Uint8Array,
    sent: number,
    flags: number,
    extra: Ancillary | null,
  ): Promise<number> {
    let done = sent;
    let rest = extra;
    const deadline = this.deadline(task, this.sendTimeout);
    const peer = this.peer as UnixStream;
    const ready = (): boolean => this.#room > 0 || this.sendShut || peer.closed || peer.receiveShut;
    while (done < src.length) {
      try {
        await this.waitUntil(task, ready, deadline);
        const n = this.#put(task, src.subarray(done), flags, rest);
        if (n > 0 && rest) rest = { ...rest, rights: null };
        done += n;
      } catch (e) {
        if (done > 0) return done;
        throw e;
      }
    }
    return done;
  }
  #deliver(src: Uint8Array, extra: Ancillary | null): void {
    const start = this.#position + this.#received.length;
    this.#received.push(src);
    if (extra) {
      const last = this.#marks.at(-1);
      const end = start + src.length;
      if (
        !extra.rights &&
        last &&
        !last.rights &&
        last.end === start &&
        sameCredentials(last.credentials, extra.credentials)
      )
        last.end = end;
      else this.#marks.push({ start, end, rights: extra.rights, credentials: extra.credentials });
    }
    this.waiters.wake(WAKE_READ);
  }

  override receive(task: Task, dst: Uint8Array, flags: number, into: Incoming | null): MaybePromise<number> {
    if (!this.connected) throw sysError(errno.EINVAL);
    if (flags & MSG.MSG_OOB) throw sysError(errno.EOPNOTSUPP);
    const all = (flags & MSG.MSG_WAITALL) !== 0 && (flags & MSG.MSG_PEEK) === 0;
    const target = all ? dst.length : Math.min(this.lowWater, dst.length);
    const n = this.#take(dst, flags, into);
    if (n >= target && (n > 0 || dst.length === 0)) return n;
    if (n > 0 && (this.#stopped(into) || this.receiveShut || this.dontWait(flags))) return n;
    if (n === 0 && this.#ended()) return 0;
    if (this.dontWait(flags)) throw sysError(errno.EAGAIN);
    return this.#waitAndReceive(task, dst, n, target, flags, into);
  }
  /** A message's descriptors end a read. */
  #stopped(into: Incoming | null): boolean {
    return (into?.rights?.length ?? 0) > 0;
  }
  #ended(): boolean {
    this.throwPending();
    return this.receiveShut;
  }
  async #waitAndReceive(
    task: Task,
    dst: Uint8Array,
    got: number,
    target: number,
    flags: number,
    into: Incoming | null,
  ): Promise<number> {
    let done = got;
    const deadline = this.deadline(task, this.receiveTimeout);
    const ready = (): boolean => this.unread || this.error !== 0 || this.receiveShut;
    for (;;) {
      try {
        await this.waitUntil(task, ready, deadline);
      } catch (e) {
        if (done > 0) return done;
        throw e;
      }
      const n = this.#take(dst.subarray(done), flags, into);
      done += n;
      if (n === 0 && ready()) return done > 0 || this.#ended() ? done : 0;
      if (done > 0 && (done >= target || this.#stopped(into))) return done;
    }
  }

  #take(dst: Uint8Array, flags: number, into: Incoming | null): number {
    const peek = (flags & MSG.MSG_PEEK) !== 0;
    let n = Math.min(dst.length, this.#received.length);
    if (n === 0) return 0;
    const wantsCredentials = this.passCredentials;
    // How far one read goes.
    if (this.#marks.length > 0) n = this.#boundary(n, wantsCredentials);
    const target = n === dst.length ? dst : dst.subarray(0, n);
    if (into) this.#collect(into, n, peek, wantsCredentials);
    if (peek) return this.#received.peek(target);
    this.#received.take(target);
    this.#position += n;
    while (this.#marks[0] && this.#marks[0].end <= this.#position) dropRights(this.#marks.shift()!.rights);
    // Descriptors go with the first byte; a read without room for them loses them.
    const first = this.#marks[0];
    if (first && first.start < this.#position && first.rights) {
      dropRights(first.rights);
      first.rights = null;
    }
    this.peer?.drained();
    return n;
  }
  #boundary(n: number, byCredentials: boolean): number {
    const from = this.#position;
    let credentials: Ucred | null | undefined;
    let at = from;
    for (const mark of this.#marks) {
      if (mark.start >= from + n) break;
      if (byCredentials) {
        if (mark.start > at && at > from) return at - from;
        if (credentials !== undefined && !sameCredentials(credentials, mark.credentials)) return mark.start - from;
        credentials = mark.credentials;
        at = mark.end;
      }
      if (mark.rights) return Math.min(n, mark.end - from);
    }
    return n;
  }
  #collect(into: Incoming, n: number, peek: boolean, credentials: boolean): void {
    const end = this.#position + n;
    for (const mark of this.#marks) {
      if (mark.start >= end) break;
      if (credentials) into.credentials = mark.credentials;
      if (!mark.rights) continue;
      into.rights = peek ? mark.rights.map((f) => f.ref()) : mark.rights;
      if (!peek) mark.rights = null;
    }
  }
}
