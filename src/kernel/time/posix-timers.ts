/** POSIX per-process timers (timer_create(2)). */
import { SI_TIMER } from '../abi/signals.ts';
import type { SigInfo } from '../abi/siginfo.ts';
import { queueSignal } from '../signals/send.ts';
import type { GuestTask } from '../task/guest-task.ts';
import type { Process } from '../task/process.ts';
import type { ItimerValue } from '../abi/time-structs.ts';
import type { Timer } from './timers.ts';

export interface TimerInit {
  /** Reads the timer's clock, in milliseconds. */
  now: () => number;
  /** CPU clocks can run slower than the wall clock: a timer on one looks again when it fires. */
  cpuClock: boolean;
  /** Signal to send, 0 for none (SIGEV_NONE). */
  signo: number;
  value: bigint;
  /** SIGEV_THREAD_ID: the thread that gets it; null for the process. */
  thread: GuestTask | null;
}

/** Most an overrun count can be (DELAYTIMER_MAX). */
const OVERRUN_MAX = 0x7fff_ffff;

export class PosixTimer {
  readonly id: number;
  readonly #process: Process;
  readonly #init: TimerInit;
  #deadline = 0;
  #interval = 0;
  #armed = false;
  #timer: Timer | null = null;
  #sent: SigInfo | null = null;
  /** Expirations without a signal of their own since the last one that had one. */
  overrun = 0;

  constructor(process: Process, id: number, init: TimerInit) {
    this.#process = process;
    this.id = id;
    this.#init = init;
  }

  /** Rest and period in milliseconds; rest 0 when disarmed. */
  get(): ItimerValue {
    const left = this.#deadline - this.#init.now();
    if (!this.#armed || (left <= 0 && this.#interval === 0 && this.#init.signo === 0))
      return { interval: this.#interval, value: 0 };
    // A SIGEV_NONE timer has no event to move it on: its period is counted when it is looked at.
    const value = left > 0 || this.#interval === 0 ? left : this.#interval - (-left % this.#interval);
    return { interval: this.#interval, value: Math.max(value, 1e-6) };
  }

  /** `value` is the time left, or with `absolute` a time of the clock. 0 disarms. */
  set({ interval, value }: ItimerValue, absolute: boolean): void {
    this.cancel();
    this.overrun = 0;
    this.#interval = interval;
    if (value <= 0) return;
    this.#armed = true;
    this.#deadline = absolute ? value : this.#init.now() + value;
    if (this.#init.signo !== 0) this.#arm();
  }

  cancel(): void {
    this.#timer?.cancel();
    this.#timer = null;
    this.#armed = false;
  }

  #arm(): void {
    const { kernel } = this.#process;
    const left = this.#deadline - this.#init.now();
    const at = kernel.monotonicMs() + (this.#init.cpuClock ? Math.max(left, 1) : left);
    this.#timer = kernel.timers.at(at, () => this.#expired());
  }

  #expired(): void {
    const now = this.#init.now();
    if (this.#init.cpuClock && now < this.#deadline) {
      this.#arm();
      return;
    }
    let missed = 0;
    if (this.#interval > 0) {
      const periods = Math.max(1, Math.ceil((now - this.#deadline) / this.#interval + 1e-9));
      missed = periods - 1;
      this.#deadline += periods * this.#interval;
      this.#arm();
    } else this.#armed = false;
    this.#signal(missed);
  }

  #signal(missed: number): void {
    const { signo, value, thread } = this.#init;
    const target = thread && !thread.dead ? thread : this.#process;
    if (this.#sent && target.signals.includes(this.#sent)) {
      // One signal of a timer is pending at most.
      this.overrun = Math.min(OVERRUN_MAX, this.overrun + missed + 1);
      return;
    }
    this.overrun = Math.min(OVERRUN_MAX, missed);
    // `overrun` is read when the signal is delivered.
    const info: SigInfo = Object.defineProperty({ signo, code: SI_TIMER, timerId: this.id, value }, 'overrun', {
      get: () => this.overrun,
    });
    this.#sent = info;
    queueSignal(target, info);
  }
}

/** The timers of a process: gone after exec and exit, not inherited. */
export class PosixTimers {
  readonly #timers = new Map<number, PosixTimer>();
  #nextId = 0;

  get count(): number {
    return this.#timers.size;
  }
  create(process: Process, init: (id: number) => TimerInit): PosixTimer {
    const id = this.#nextId;
    this.#nextId = (this.#nextId + 1) & OVERRUN_MAX;
    const timer = new PosixTimer(process, id, init(id));
    this.#timers.set(id, timer);
    return timer;
  }
  get(id: number): PosixTimer | null {
    return this.#timers.get(id) ?? null;
  }
  delete(id: number): void {
    this.#timers.get(id)?.cancel();
    this.#timers.delete(id);
  }
  clear(): void {
    for (const t of this.#timers.values()) t.cancel();
    this.#timers.clear();
    this.#nextId = 0;
  }
}
