/** System V message queues (ipc/msg.c). */
import { errno, sysError } from '../abi/errno.ts';
import type { Task } from '../task/task.ts';
import { WaitQueue } from '../task/wait-queue.ts';
import { IPC_NOWAIT, IPC_PERM_SIZE, IpcObject, IpcTable, nowSeconds } from './ids.ts';
import { pidSeenBy } from '../ns/pid.ts';

export const MSG_NOERROR = 0o10000;
export const MSG_EXCEPT = 0o20000;
export const MSG_COPY = 0o40000;
export const MSGMNI = 32000;
export const MSGMAX = 8192;
export const MSGMNB = 16384;

export interface QueuedMessage {
  readonly type: number;
  readonly data: Uint8Array;
}

export class MsgQueue extends IpcObject {
  readonly messages: QueuedMessage[] = [];
  bytes = 0;
  /** msg_qbytes. */
  limit = MSGMNB;
  sendTime = 0;
  receiveTime = 0;
  lastSender = 0;
  lastReceiver = 0;
  removed = false;
  readonly arrivals = new WaitQueue();
  readonly departures = new WaitQueue();

  /** Messages without contents are limited by their number. */
  fits(length: number): boolean {
    return this.bytes + length <= this.limit && this.messages.length + 1 <= this.limit;
  }
  send(task: Task, message: QueuedMessage): void {
    this.messages.push(message);
    this.bytes += message.data.length;
    this.sendTime = nowSeconds(task);
    this.lastSender = task.process.pid;
    this.arrivals.wake();
  }
  /** Index of the message msgrcv(2) would take, -1 for none. */
  choose(type: number, flags: number): number {
    if (type === 0) return this.messages.length > 0 ? 0 : -1;
    if (type > 0) return this.messages.findIndex((m) => (m.type === type) !== ((flags & MSG_EXCEPT) !== 0));
    let best = -1;
    this.messages.forEach((m, i) => {
      if (m.type <= -type && (best < 0 || m.type < this.messages[best]!.type)) best = i;
    });
    return best;
  }
  take(task: Task, index: number): void {
    const [message] = this.messages.splice(index, 1);
    this.bytes -= message!.data.length;
    this.receiveTime = nowSeconds(task);
    this.lastReceiver = task.process.pid;
    this.departures.wake();
  }
  destroy(): void {
    this.removed = true;
    this.arrivals.wake();
    this.departures.wake();
  }

  /** struct msqid64_ds. */
  /** As `reader` sees it. */
  encode(reader: Task): Uint8Array {
    const out = new Uint8Array(120);
    const view = new DataView(out.buffer);
    this.encodePerm(view, reader);
    const words = [this.sendTime, this.receiveTime, this.changeTime, this.bytes, this.messages.length, this.limit];
    for (const [i, v] of words.entries()) view.setBigUint64(IPC_PERM_SIZE + i * 8, BigInt(v), true);
    view.setInt32(96, pidSeenBy(reader, this.lastSender), true);
    view.setInt32(100, pidSeenBy(reader, this.lastReceiver), true);
    return out;
  }
}

export class MessageQueues {
  readonly table = new IpcTable<MsgQueue>(MSGMNI);

  get(task: Task, key: number, flags: number): number {
    return this.table.get(
      task,
      key,
      flags,
      () => {},
      () => new MsgQueue(task, key, flags),
    ).id;
  }

  send(task: Task, id: number, message: QueuedMessage, flags: number): number | Promise<number> {
    const queue = this.table.find(id);
    queue.check(task, 2);
    if (queue.fits(message.data.length)) {
      queue.send(task, message);
      return 0;
    }
    if (flags & IPC_NOWAIT) throw sysError(errno.EAGAIN);
    return this.#waitAndSend(task, queue, message);
  }
  async #waitAndSend(task: Task, queue: MsgQueue, message: QueuedMessage): Promise<number> {
    for (;;) {
      const ready = (): boolean => queue.removed || queue.fits(message.data.length);
      const result = await task.wait([queue.departures], ready, null);
      if (queue.removed) throw sysError(errno.EIDRM);
      queue.check(task, 2);
      if (queue.fits(message.data.length)) {
        queue.send(task, message);
        return 0;
      }
      if (result === 'signal') throw sysError(errno.ERESTARTNOHAND);
    }
  }

  /** The message, taken out of its queue (or copied, with MSG_COPY); `length` is what the caller has room for. */
  receive(task: Task, id: number, length: number, type: number, flags: number): QueuedMessage | Promise<QueuedMessage> {
    if (flags & MSG_COPY && (flags & MSG_EXCEPT || !(flags & IPC_NOWAIT))) throw sysError(errno.EINVAL);
    const queue = this.table.find(id);
    queue.check(task, 4);
    const found = this.#take(task, queue, length, type, flags);
    if (found) return found;
    if (flags & IPC_NOWAIT) throw sysError(errno.ENOMSG);
    return this.#waitAndTake(task, queue, length, type, flags);
  }
  #take(task: Task, queue: MsgQueue, length: number, type: number, flags: number): QueuedMessage | null {
    const index = flags & MSG_COPY ? (type < queue.messages.length ? type : -1) : queue.choose(type, flags);
    const message = index >= 0 ? queue.messages[index] : undefined;
    if (!message) return null;
    if (message.data.length > length && !(flags & MSG_NOERROR)) throw sysError(errno.E2BIG);
    if (!(flags & MSG_COPY)) queue.take(task, index);
    return message;
  }
  async #waitAndTake(task: Task, queue: MsgQueue, length: number, type: number, flags: number): Promise<QueuedMessage> {
    for (;;) {
      const ready = (): boolean => queue.removed || queue.choose(type, flags) >= 0;
      const result = await task.wait([queue.arrivals], ready, null);
      if (queue.removed) throw sysError(errno.EIDRM);
      const found = this.#take(task, queue, length, type, flags);
      if (found) return found;
      if (result === 'signal') throw sysError(errno.ERESTARTNOHAND);
    }
  }
}
