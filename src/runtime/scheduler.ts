/**
 * Runs all guest threads of all processes on this one JavaScript thread. A thread that waits keeps no host stack: its
 * state is in its vCPU, and the promise of its system call puts it back into the queue. Hand-over between threads costs
 * microtasks only; the event loop gets a turn at least every slice, so that timers, sockets and the host's signals are
 * heard.
 */
import type { AddressSpace } from '../kernel/mm/address-space.ts';
import type { GuestMemory } from '../kernel/mm/guest-memory.ts';
import { enterAddressSpace } from '../kernel/mm/shared-memory.ts';
import type { Kernel } from '../kernel/kernel.ts';
import type { CpuContext } from '../kernel/task/cpu-context.ts';
import { findDeadlock } from '../kernel/task/deadlock.ts';
import type { ExitStatus } from '../kernel/task/exit-status.ts';
import type { GuestTask } from '../kernel/task/guest-task.ts';
import type { Machine } from '../kernel/task/machine.ts';
import type { EngineTable } from './engine-table.ts';
import { nowMs } from './node-host.ts';
import type { Profiler } from './profile.ts';
import { ENDED, SLICE_OVER, ThreadRunner } from './thread.ts';

/** Time after which the host's event loop gets a turn and another thread the processor, in milliseconds. */
const SLICE_MS = 4;
/** How often an idle run looks whether anything can ever wake it, in milliseconds. */
const IDLE_CHECK_MS = 250;

export class Scheduler implements Machine {
  readonly #engines: EngineTable;
  #queue: ThreadRunner[] = [];
  /** Index of the first thread in `#queue`. */
  #head = 0;
  #running = false;
  /** `setImmediate` will go on. */
  #turnDue = false;
  #turnStart = nowMs();
  #current: AddressSpace | null = null;
  /** Whole slices that real-time threads have had since others were given one. */
  #realtimeSlices = 0;
  /** Told where guests are (--profile). */
  profiler: Profiler | null = null;
  /** Steps made, to see whether anything happened. */
  #steps = 0;

  constructor(engines: EngineTable) {
    this.#engines = engines;
  }

  // Machine.

  cloneCpu(cpu: CpuContext, from: AddressSpace, mm: AddressSpace): CpuContext {
    return this.#engines.cloneContext(cpu, from, mm);
  }
  releaseCpu(cpu: CpuContext, mm: AddressSpace): void {
    this.#engines.releaseContext(cpu, mm);
  }
  releaseMemory(memory: GuestMemory): void {
    if (this.#current?.memory === memory) this.#current = null;
    this.#engines.giveBack(memory);
  }
  forgetCode(memory: GuestMemory): void {
    this.#engines.forgetCode(memory);
  }
  start(task: GuestTask): void {
    this.#enqueue(new ThreadRunner(task, (t) => this.#engines.of(t.mm.memory, t.cpu.isa), this.profiler));
    if (!this.#running) this.#later();
  }

  /** Runs `task`, the first thread of the first process, and all that comes of it, until that process has ended. */
  run(task: GuestTask): Promise<ExitStatus> {
    const { kernel, process } = task;
    return new Promise((resolve) => {
      // Also keeps Node from finding nothing to do and leaving.
      let seen = -1;
      const idle = setInterval(() => {
        const deadlock = this.#steps === seen ? findDeadlock(kernel) : null;
        seen = this.#steps;
        if (deadlock) {
          kernel.host.diagnostic(deadlock);
          process.exitGroup({ kind: 'exited', code: DEADLOCK_STATUS });
        }
      }, IDLE_CHECK_MS);
      const finish = (status: ExitStatus): void => {
        clearInterval(idle);
        resolve(status);
      };
      kernel.onProcessExit((ended) => {
        if (ended === process) this.#end(kernel, ended.exitStatus!, finish);
      });
      this.start(task);
    });
  }

  /** The rest ends with the first process; then the event loop has heard everything. */
  #end(kernel: Kernel, status: ExitStatus, finish: (status: ExitStatus) => void): void {
    kernel.killAll();
    let turns = 0;
    const wait = (): void => {
      // A thread in a call that nothing interrupts (host I/O) is not waited for.
      if (kernel.tasks.size === 0 || turns++ > 100) finish(status);
      else setImmediate(wait);
    };
    // Not within the step that ended the process.
    queueMicrotask(wait);
  }

  // The queue.

  #enqueue(runner: ThreadRunner): void {
    this.#queue.push(runner);
  }
  #dequeue(): ThreadRunner | undefined {
    const first = this.#queue[this.#head];
    if (!first) return undefined;
    // Real-time threads come first, by priority; one may be made urgent while it is in the queue (priority inheritance).
    const runner = first.task.kernel.realtimeTasks > 0 ? this.#takeMostUrgent() : first;
    this.#head++;
    if (this.#head === this.#queue.length) {
      this.#queue = [];
      this.#head = 0;
    } else if (this.#head > 1000) {
      this.#queue = this.#queue.slice(this.#head);
      this.#head = 0;
    }
    return runner;
  }

  /**
   * Moves the first one of the highest priority to the head, and returns it. When real-time threads have run for long, one
   * of the others has a slice (sched(7): sched_rt_runtime_us leaves them 5 %).
   */
  #takeMostUrgent(): ThreadRunner {
    const queue = this.#queue;
    const urgent = this.#realtimeSlices < REALTIME_SLICES;
    let best = this.#head;
    let highest = -Infinity;
    for (let i = best; i < queue.length; i++) {
      const { priority } = queue[i]!.task;
      const rank = urgent ? priority : -priority;
      if (rank <= highest) continue;
      best = i;
      highest = rank;
    }
    if (!urgent) this.#realtimeSlices = 0;
    const runner = queue[best]!;
    queue.copyWithin(this.#head + 1, this.#head, best);
    queue[this.#head] = runner;
    return runner;
  }
  /** The slice of a thread is over: SCHED_FIFO threads do not give way to others of their priority. */
  #preempted(runner: ThreadRunner): void {
    if (runner.task.rtPriority > 0) this.#realtimeSlices++;
    if (runner.task.schedPolicy !== SCHED_FIFO) this.#enqueue(runner);
    else if (this.#head > 0) this.#queue[--this.#head] = runner;
    else this.#queue.unshift(runner);
  }

  /**
   * The host's network is about to report something. Whom that wakes runs after the event loop has told of all the rest
   * there is: a server then finds many requests at once, not one by one.
   */
  gather(): void {
    if (!this.#running) this.#later();
  }

  /** A thread can go on: its call is over, or the process has been continued. */
  #ready(runner: ThreadRunner): void {
    this.#enqueue(runner);
    if (this.#running || this.#turnDue) return;
    if (nowMs() - this.#turnStart > SLICE_MS) this.#later();
    else this.#pump();
  }

  /** Goes on after a turn of the event loop. */
  #later(): void {
    if (this.#turnDue) return;
    this.#turnDue = true;
    setImmediate(() => {
      this.#turnDue = false;
      this.#turnStart = nowMs();
      this.#pump();
    });
  }

  #pump(): void {
    this.#running = true;
    try {
      for (let runner = this.#dequeue(); runner; runner = this.#dequeue()) {
        this.#steps++;
        const { mm } = runner.task;
        if (mm !== this.#current) {
          this.#current = mm;
          if (mm.coherent.size > 0) enterAddressSpace(mm);
        }
        const outcome = runner.step(this.#turnStart + SLICE_MS);
        if (outcome === SLICE_OVER) {
          this.#preempted(runner);
          this.#later();
          return;
        }
        if (outcome !== ENDED) this.#wait(runner, outcome);
      }
    } finally {
      this.#running = false;
    }
  }

  #wait(runner: ThreadRunner, until: Promise<unknown>): void {
    until.then(
      () => this.#ready(runner),
      (e) => {
        // Handlers never reject: this is a bug, and not one to go on after.
        queueMicrotask(() => {
          throw e;
        });
      },
    );
  }
}

const SCHED_FIFO = 1;
/** One slice in twenty is for threads that are not real-time ones. */
const REALTIME_SLICES = 19;

/** Exit status of a run whose threads all wait for each other. */
const DEADLOCK_STATUS = 125;
