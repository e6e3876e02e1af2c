/**
 * Who looks over the dispatcher's shoulder: traces, statistics of a program's use of calls, and answers given in the
 * kernel's place. A run without an observer pays for one comparison a call.
 */
import { errno } from '../abi/errno.ts';
import type { Kernel } from '../kernel.ts';
import type { GuestTask } from '../task/guest-task.ts';
import { CallUsage } from './call-usage.ts';
import { type TraceOptions, Tracer } from './strace.ts';
import { syscallTable } from './table.ts';

/** One call, as its observer sees it. */
export interface ObservedCall {
  /** The result, when the call is not to be made. */
  readonly answer: number | null;
  /** It has not returned at once. */
  waits(): void;
  done(result: number): void;
}

/** Told of every call; null: this one is of no interest. */
export interface CallObserver {
  before(task: GuestTask, nr: number): ObservedCall | null;
}

export interface ObserverOptions {
  /** Null: no trace. Lines go to the kernel's `strace` option. */
  trace?: TraceOptions | null;
  /** Results by name of call: such calls are not made. */
  answers?: ReadonlyMap<string, number>;
  /** Keeps account of what is used. */
  usage?: boolean;
}

export class Observer implements CallObserver {
  readonly #tracer: Tracer | null;
  readonly #answers: ReadonlyMap<string, number>;
  readonly usage: CallUsage | null;

  constructor(kernel: Kernel, options: ObserverOptions) {
    this.#tracer = options.trace ? new Tracer(kernel, options.trace) : null;
    this.#answers = options.answers ?? new Map();
    this.usage = options.usage ? new CallUsage() : null;
  }

  before(task: GuestTask, nr: number): ObservedCall | null {
    const row = syscallTable[task.cpu.isa][nr];
    const name = row?.name ?? `syscall_${nr}`;
    const answer = this.#answers.get(name) ?? null;
    const traced = this.#tracer?.begin(task, nr) ?? null;
    const { usage } = this;
    if (answer === null && !traced && !usage) return null;
    usage?.began(name, answer !== null ? 'answered' : row?.handler ? row.support : 'none');
    return {
      answer,
      waits: () => traced?.waits(),
      done: (result) => {
        usage?.ended(name, result);
        traced?.done(result);
      },
    };
  }
}

/** The answer of a call that is left out. */
export const NOT_THERE = -errno.ENOSYS;
