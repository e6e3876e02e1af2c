/** Interval timers: setitimer(2), alarm(2). */
import { SI_KERNEL, SIGALRM, SIGPROF, SIGVTALRM } from '../abi/signals.ts';
import type { ItimerValue } from '../abi/time-structs.ts';
import { sendSignal } from '../signals/send.ts';
import type { Process } from '../task/process.ts';
import { processCpuMs } from './clocks.ts';
import type { Timer } from './timers.ts';

export const ITIMER_REAL = 0;
export const ITIMER_VIRTUAL = 1;
export const ITIMER_PROF = 2;

const signals = [SIGALRM, SIGVTALRM, SIGPROF];

/** One timer of a process. Deadlines are milliseconds of its own clock: monotonic, or CPU time. */
class IntervalTimer {
  readonly #process: Process;
  readonly #which: number;
  #deadline = 0;
  #interval = 0;
  #timer: Timer | null = null;

  constructor(process: Process, which: number) {
    this.#process = process;
    this.#which = which;
  }

  #now(): number {
    const { kernel } = this.#process;
    return this.#which === ITIMER_REAL ? kernel.monotonicMs() : processCpuMs(this.#process);
  }

  get(): ItimerValue {
    if (!this.#timer) return { interval: this.#interval, value: 0 };
    // About to fire is still armed: at least a microsecond.
    return { interval: this.#interval, value: Math.max(0.001, this.#deadline - this.#now()) };
  }

  set({ interval, value }: ItimerValue): void {
    this.cancel();
    this.#interval = interval;
    if (value <= 0) return;
    this.#deadline = this.#now() + value;
    this.#arm();
  }

  cancel(): void {
    this.#timer?.cancel();
    this.#timer = null;
  }

  #arm(): void {
    const { kernel } = this.#process;
    const left = this.#deadline - this.#now();
    // CPU time cannot run faster than the wall clock: look again when it may have got there, at most every millisecond.
    const at = kernel.monotonicMs() + (this.#which === ITIMER_REAL ? left : Math.max(left, 1));
    this.#timer = kernel.timers.at(at, () => this.#expired());
  }

  #expired(): void {
    const now = this.#now();
    if (this.#which !== ITIMER_REAL && now < this.#deadline) {
      this.#arm();
      return;
    }
    this.#timer = null;
    if (this.#interval > 0) {
      // Missed periods are dropped; the phase is kept.
      const periods = Math.max(1, Math.ceil((now - this.#deadline) / this.#interval + 1e-9));
      this.#deadline += periods * this.#interval;
      this.#arm();
    }
    sendSignal(this.#process, signals[this.#which]!, { code: SI_KERNEL });
  }
}

/** The three timers of a process; not inherited by fork, kept by exec. */
export class IntervalTimers {
  readonly #timers: readonly IntervalTimer[];
  constructor(process: Process) {
    this.#timers = [ITIMER_REAL, ITIMER_VIRTUAL, ITIMER_PROF].map((which) => new IntervalTimer(process, which));
  }
  get(which: number): ItimerValue {
    return this.#timers[which]!.get();
  }
  /** Returns what was set before. */
  set(which: number, value: ItimerValue): ItimerValue {
    const old = this.get(which);
    this.#timers[which]!.set(value);
    return old;
  }
  cancel(): void {
    for (const t of this.#timers) t.cancel();
  }
}
