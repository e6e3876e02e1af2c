/** signalfd(2): pending signals as records to be read. Whose signals these are is decided at each read (fs/signalfd.c). */
import { errno, sysError } from '../abi/errno.ts';
import type { SigInfo } from '../abi/siginfo.ts';
import { SI_KERNEL, SI_TIMER, SI_USER, SIGBUS, SIGCHLD, SIGFPE, SIGILL, SIGSEGV, SIGTRAP } from '../abi/signals.ts';
import { dequeueSignal } from '../signals/deliver.ts';
import type { SigSet } from '../signals/sigset.ts';
import type { SignalHandlers } from '../signals/state.ts';
import type { GuestTask } from '../task/guest-task.ts';
import type { Task } from '../task/task.ts';
import { type MaybePromise, O_NONBLOCK, O_RDWR, OpenFile, POLLIN, POLLRDNORM } from './open-file.ts';
import { anonInode } from './pseudo.ts';

/** sizeof(struct signalfd_siginfo). */
const RECORD = 128;

export class SignalFd extends OpenFile {
  /** Signals that can be read. Never holds SIGKILL or SIGSTOP. */
  mask: SigSet;
  /** Where the signals that wake this file are announced: the handlers of everybody who has used it. */
  readonly #sources = new Set<SignalHandlers>();
  readonly #arrived = (): void => this.waiters.wake(POLLIN | POLLRDNORM);

  constructor(task: Task, mask: SigSet, nonblocking: boolean) {
    super(O_RDWR | (nonblocking ? O_NONBLOCK : 0));
    this.mask = mask;
    this.inode = anonInode;
    this.path = 'anon_inode:[signalfd]';
    this.#listen(task);
  }
  protected override release(): void {
    for (const source of this.#sources) source.arrivals.remove(this.#arrived);
  }
  #listen(task: Task): void {
    if (this.#sources.has(task.sighand)) return;
    this.#sources.add(task.sighand);
    task.sighand.arrivals.add(this.#arrived);
  }
  setMask(mask: SigSet): void {
    this.mask = mask;
    this.#arrived();
  }

  #ready(task: Task): boolean {
    const { mask } = this;
    return !task.signals.set.intersection(mask).empty || !task.process.signals.set.intersection(mask).empty;
  }
  override read(task: Task, dst: Uint8Array, _position: number | null): MaybePromise<number> {
    if (dst.length < RECORD) throw sysError(errno.EINVAL);
    this.#listen(task);
    const n = this.#take(task, dst);
    if (n > 0) return n;
    if (this.nonblocking) throw sysError(errno.EAGAIN);
    return this.#waitAndRead(task, dst);
  }
  async #waitAndRead(task: Task, dst: Uint8Array): Promise<number> {
    for (;;) {
      const result = await task.wait([this.waiters], () => this.#ready(task), null);
      const n = this.#take(task, dst);
      if (n > 0) return n;
      if (result === 'signal') throw sysError(errno.ERESTARTSYS);
    }
  }
  #take(task: Task, dst: Uint8Array): number {
    const others = this.mask.complement();
    let done = 0;
    while (done + RECORD <= dst.length) {
      // Every task is a GuestTask.
      const info = dequeueSignal(task as GuestTask, others);
      if (!info) break;
      dst.set(encodeRecord(info), done);
      done += RECORD;
    }
    return done;
  }

  /** Without a task nothing can be said; who polls is told by the callers. */
  override poll(task?: Task): number {
    if (!task) return 0;
    this.#listen(task);
    return this.#ready(task) ? POLLIN | POLLRDNORM : 0;
  }
  override lseek(): number {
    return 0;
  }
  /** For /proc/PID/fdinfo. */
  fdinfo(): string {
    return `sigmask:\t${this.mask.hex()}\n`;
  }
}

const isFault = (signo: number): boolean => [SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP].includes(signo);

/** struct signalfd_siginfo (linux/signalfd.h). */
function encodeRecord(info: SigInfo): Uint8Array {
  const out = new Uint8Array(RECORD);
  const view = new DataView(out.buffer);
  const { signo, code } = info;
  view.setUint32(0, signo, true);
  view.setInt32(4, info.errno ?? 0, true);
  view.setInt32(8, code, true);
  if (info.raw) {
    // rt_sigqueueinfo(2): the fields of SI_QUEUE, as the sender gave them.
    const raw = new DataView(info.raw.buffer, info.raw.byteOffset, info.raw.length);
    view.setUint32(12, raw.getUint32(16, true), true);
    view.setUint32(16, raw.getUint32(20, true), true);
    setValue(view, raw.getBigUint64(24, true));
  } else if (code === SI_TIMER) {
    view.setUint32(24, info.timerId ?? 0, true);
    view.setUint32(32, info.overrun ?? 0, true);
    setValue(view, info.value ?? 0n);
  } else if (code > SI_USER && code !== SI_KERNEL && isFault(signo)) {
    view.setBigUint64(72, BigInt(Math.trunc(info.address ?? 0)), true);
  } else if (code !== SI_KERNEL) {
    view.setUint32(12, info.pid ?? 0, true);
    view.setUint32(16, info.uid ?? 0, true);
    if (code > SI_USER && signo === SIGCHLD) {
      view.setInt32(40, info.status ?? 0, true);
      view.setBigUint64(56, BigInt(Math.trunc(info.utime ?? 0)), true);
      view.setBigUint64(64, BigInt(Math.trunc(info.stime ?? 0)), true);
    } else setValue(view, info.value ?? 0n);
  }
  return out;
}

/** ssi_int and ssi_ptr: the two views of sigval. */
function setValue(view: DataView, value: bigint): void {
  view.setInt32(44, Number(BigInt.asIntN(32, value)), true);
  view.setBigUint64(48, value, true);
}
