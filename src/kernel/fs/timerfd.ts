/** timerfd_create(2): the expirations of a timer as a counter that can be read and polled. */
import { errno, sysError } from '../abi/errno.ts';
import type { Kernel } from '../kernel.ts';
import type { Task } from '../task/task.ts';
import type { Timer } from '../time/timers.ts';
import { type MaybePromise, O_NONBLOCK, O_RDWR, OpenFile, POLLIN, POLLRDNORM } from './open-file.ts';
import { anonInode } from './pseudo.ts';

/** Milliseconds, with fractions; `value` 0 is a disarmed timer. */
export interface TimerSetting {
  interval: number;
  value: number;
}

export class TimerFd extends OpenFile {
  readonly clock: number;
  readonly #kernel: Kernel;
  /** Reads the timer's clock, milliseconds. */
  readonly #now: () => number;
  /** Next expiration on the timer's clock, or null when disarmed. */
  #deadline: number | null = null;
  #interval = 0;
  #ticks = 0;
  #timer: Timer | null = null;

  constructor(kernel: Kernel, clock: number, now: () => number, nonblocking: boolean) {
    super(O_RDWR | (nonblocking ? O_NONBLOCK : 0));
    this.#kernel = kernel;
    this.clock = clock;
    this.#now = now;
    this.inode = anonInode;
    this.path = 'anon_inode:[timerfd]';
  }
  protected override release(): void {
    this.#timer?.cancel();
  }

  /** Arms or disarms; `absolute`: `value` is a time of the clock. Returns the former setting. */
  set(next: TimerSetting, absolute: boolean): TimerSetting {
    const old = this.get();
    this.#timer?.cancel();
    this.#timer = null;
    this.#ticks = 0;
    this.#interval = next.interval;
    this.#deadline = next.value > 0 ? (absolute ? next.value : this.#now() + next.value) : null;
    this.#arm();
    return old;
  }
  /** Time left and interval. */
  get(): TimerSetting {
    this.#advance();
    const value = this.#deadline === null ? 0 : Math.max(this.#deadline - this.#now(), 1e-6);
    return { interval: this.#interval, value };
  }

  #arm(): void {
    if (this.#deadline === null) return;
    const left = Math.max(0, this.#deadline - this.#now());
    this.#timer = this.#kernel.timers.at(this.#kernel.monotonicMs() + left, () => {
      this.#timer = null;
      this.#advance();
      // A timer may fire a little early against another clock than the monotonic one.
      if (this.#deadline !== null && !this.#timer && this.#ticks === 0) this.#arm();
    });
  }
  /** Counts the expirations that lie in the past. */
  #advance(): void {
    if (this.#deadline === null) return;
    const late = this.#now() - this.#deadline;
    if (late < 0) return;
    const before = this.#ticks;
    if (this.#interval > 0) {
      const n = Math.floor(late / this.#interval) + 1;
      this.#ticks += n;
      this.#deadline += n * this.#interval;
    } else {
      this.#ticks++;
      this.#deadline = null;
    }
    if (before === 0) this.waiters.wake(POLLIN | POLLRDNORM);
  }

  override read(task: Task, dst: Uint8Array, _position: number | null): MaybePromise<number> {
    if (dst.length < 8) throw sysError(errno.EINVAL);
    this.#advance();
    if (this.#ticks > 0) return this.#take(dst);
    if (this.nonblocking) throw sysError(errno.EAGAIN);
    return this.#waitAndRead(task, dst);
  }
  async #waitAndRead(task: Task, dst: Uint8Array): Promise<number> {
    for (;;) {
      const result = await task.wait([this.waiters], () => this.#ticks > 0, null);
      if (this.#ticks > 0) return this.#take(dst);
      if (result === 'signal') throw sysError(errno.ERESTARTSYS);
    }
  }
  #take(dst: Uint8Array): number {
    new DataView(dst.buffer, dst.byteOffset, 8).setBigUint64(0, BigInt(this.#ticks), true);
    this.#ticks = 0;
    // A periodic timer runs on the host only while nobody has been told of an expiration.
    if (!this.#timer) this.#arm();
    return 8;
  }
  override lseek(): number {
    return 0;
  }
  override poll(): number {
    this.#advance();
    return this.#ticks > 0 ? POLLIN | POLLRDNORM : 0;
  }
}
