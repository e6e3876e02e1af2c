/** A guest thread. */
import { errno } from '../abi/errno.ts';
import { SIGCHLD } from '../abi/signals.ts';
import type { FdTable } from '../fs/fd-table.ts';
import type { FsContext } from '../fs/fs-context.ts';
import type { Kernel } from '../kernel.ts';
import type { AddressSpace } from '../mm/address-space.ts';
import type { UserMemory } from '../mm/user-memory.ts';
import { deliverSignals } from '../signals/deliver.ts';
import type { PendingSignals, SignalHandlers } from '../signals/state.ts';
import type { CpuContext } from './cpu-context.ts';
import type { Credentials } from './credentials.ts';
import { exitPi, inheritedPriority } from './futex-pi.ts';
import { type FutexKey, futexKey } from './futex-table.ts';
import type { Namespaces } from '../ns/proxy.ts';
import { pidSeenBy, releasePid } from '../ns/pid.ts';
import { exitRobustList } from './robust-list.ts';
import type { Process } from './process.ts';
import { CONTINUE, type UserModeAction } from './run-control.ts';
import type { Task, WaitResult } from './task.ts';
import { WaitQueue } from './wait-queue.ts';

const READY: Promise<WaitResult> = Promise.resolve('ready');
const TIMEOUT: Promise<WaitResult> = Promise.resolve('timeout');
const SIGNAL: Promise<WaitResult> = Promise.resolve('signal');

export interface TaskParts {
  cpu: CpuContext;
  mm: AddressSpace;
  mem: UserMemory;
  files: FdTable;
  fs: FsContext;
  ns?: Namespaces;
  cred: Credentials;
  sighand: SignalHandlers;
  signals: PendingSignals;
  comm: string;
}

export class GuestTask implements Task {
  readonly kernel: Kernel;
  readonly process: Process;
  /** Changes when another thread than the leader calls execve(2): it becomes the leader. */
  tid: number;
  cpu: CpuContext;
  mm: AddressSpace;
  mem: UserMemory;
  files: FdTable;
  fs: FsContext;
  /** All but the user and the PID namespace, which `cred` and `process` have. See `enterNamespaces`. */
  ns: Namespaces;
  cred: Credentials;
  sighand: SignalHandlers;
  signals: PendingSignals;
  comm: string;
  clearChildTid = 0;
  robustList = 0;
  /** PR_SET_PDEATHSIG. */
  parentDeathSignal = 0;
  /** SCHED_OTHER, SCHED_BATCH, SCHED_IDLE, or with a priority of 1 to 99 SCHED_FIFO or SCHED_RR. See `setScheduling`. */
  schedPolicy = 0;
  rtPriority = 0;
  /** SCHED_RESET_ON_FORK. */
  schedResetOnFork = false;
  /** PR_SET_TIMERSLACK, nanoseconds. */
  timerSlack = 50_000;

  // The system call being made, for restarts (see signals/deliver.ts).
  /** Number of the current call, -1 outside of one. */
  syscallNumber = -1;
  /** ERESTART* (positive) when the call was interrupted and its result register is not written yet; else 0. */
  restart = 0;
  /** What restart_syscall(2) runs after ERESTART_RESTARTBLOCK. */
  restartBlock: (() => number | Promise<number>) | null = null;

  // The last fault, for x86-64 signal frames (thread.trap_nr, thread.error_code, thread.cr2).
  trapno = 0;
  trapErr = 0;
  faultAddress = 0;

  /** Status of exit(2) once the thread is to leave, else null. */
  exitCode: number | null = null;
  /** The thread has been taken out of its process. */
  dead = false;
  /** Shared mappings have been written back for the last time. */
  flushed = false;
  /** CLONE_VFORK: `released` once the thread has left the memory it shares with its maker. */
  readonly vfork = { done: new WaitQueue(), released: false };
  /** CPU time used, milliseconds. Added up by the runtime, up to when the thread was last resumed. */
  cpuTime = 0;
  /** Since when the thread runs, on the monotonic clock in milliseconds; null while it does not. */
  runningSince: number | null = null;
  /** What an untimed wait can only be ended by: another thread's doing. For the search for deadlocks. */
  waitingFor: 'futex' | 'child' | null = null;
  /** Contended PI futexes this thread owns, with their keys (futex-pi.ts). */
  readonly ownedPi = new Map<object, FutexKey>();
  /** What the thread waits in now. `ends`: what interrupts, null for any signal. */
  #waitingIn: { ends: (() => boolean) | null; finish: (result: WaitResult) => void } | null = null;

  constructor(kernel: Kernel, process: Process, tid: number, parts: TaskParts) {
    this.kernel = kernel;
    this.process = process;
    this.tid = tid;
    this.cpu = parts.cpu;
    this.mm = parts.mm;
    this.mem = parts.mem;
    this.files = parts.files;
    this.fs = parts.fs;
    this.ns = parts.ns ?? kernel.initialNs;
    if (this.ns !== kernel.initialNs) this.ns.mnt.joined();
    this.cred = parts.cred;
    this.sighand = parts.sighand;
    this.signals = parts.signals;
    this.comm = parts.comm;
    process.tasks.set(tid, this);
    kernel.tasks.set(tid, this);
  }

  /** An unblocked signal is pending, or the thread is to die or stop: what ends an interruptible wait. */
  signalPending(): boolean {
    const own = this.signals;
    const shared = this.process.signals.set;
    const { blocked } = own;
    if (((own.set.lo | shared.lo) & ~blocked.lo) !== 0 || ((own.set.hi | shared.hi) & ~blocked.hi) !== 0) return true;
    if (this.process.groupExit !== null || this.process.stopSignal !== 0 || this.exitCode !== null) return true;
    const { awaited } = own;
    return (
      awaited !== null && (((own.set.lo | shared.lo) & awaited.lo) | ((own.set.hi | shared.hi) & awaited.hi)) !== 0
    );
  }

  /** A signal has become pending that this thread does not block, or waits for. */
  signalArrived(): void {
    if (this.signalPending()) this.interrupt();
  }

  /** Ends an interruptible wait and makes the runtime ask `beforeUserMode` soon. */
  interrupt(): void {
    const wait = this.#waitingIn;
    if (wait && (!wait.ends || wait.ends())) wait.finish('signal');
    this.kernel.options.onAttention?.(this);
  }

  /** `priority`: 0 for policies that are not real-time ones. */
  setScheduling(policy: number, priority: number): void {
    this.kernel.realtimeTasks += Number(priority > 0) - Number(this.rtPriority > 0);
    this.schedPolicy = policy;
    this.rtPriority = priority;
  }

  /** Real-time priority with what those who wait for its PI futexes lend it. */
  get priority(): number {
    return inheritedPriority(this);
  }

  /** The tid as the thread itself knows it. */
  get ownTid(): number {
    return pidSeenBy(this, this.tid);
  }

  /** Waiting in `wait` now (state S in /proc/self/stat). */
  get waiting(): boolean {
    return this.#waitingIn !== null;
  }

  /** Only death ends it before `ready()` (TASK_KILLABLE). */
  waitKillable(queues: readonly WaitQueue[], ready: () => boolean): Promise<WaitResult> {
    return this.#wait(queues, ready, null, () => this.process.groupExit !== null || this.exitCode !== null);
  }

  wait(queues: readonly WaitQueue[], ready: () => boolean, timeoutMs: number | null): Promise<WaitResult> {
    return this.#wait(queues, ready, timeoutMs, null);
  }

  /** `ends`: what interrupts, null for any signal. */
  #wait(
    queues: readonly WaitQueue[],
    ready: () => boolean,
    timeoutMs: number | null,
    ends: (() => boolean) | null,
  ): Promise<WaitResult> {
    const isReady = (): boolean => {
      try {
        return ready();
      } catch {
        // The caller looks at its condition again and meets the same error where it can be reported.
        return true;
      }
    };
    if (isReady()) return READY;
    if (ends ? ends() : this.signalPending()) return SIGNAL;
    if (timeoutMs !== null && !(timeoutMs > 0)) return TIMEOUT;
    return new Promise((resolve) => {
      const finish = (result: WaitResult): void => {
        for (const q of queues) q.remove(waiter);
        timer?.cancel();
        this.#waitingIn = null;
        resolve(result);
      };
      const waiter = (): void => {
        if (isReady()) finish('ready');
      };
      for (const q of queues) q.add(waiter);
      const timer =
        timeoutMs === null
          ? null
          : this.kernel.timers.at(this.kernel.monotonicMs() + timeoutMs, () => finish(isReady() ? 'ready' : 'timeout'));
      // Not a function made here: V8 keeps those that are never called, with all they lead to, until a full collection.
      this.#waitingIn = { ends, finish };
    });
  }

  /**
   * To be called whenever the thread would (again) run guest code: after each system call, fault and attention tick.
   * Delivers signals by building their frames, decides about restarts, and tells of death.
   */
  beforeUserMode(): UserModeAction {
    if (this.restart === 0 && this.signals.saved === null && !this.signalPending()) return CONTINUE;
    return deliverSignals(this);
  }

  /** exit(2): this thread leaves; the process, too, when it is the last. */
  exit(code: number): void {
    this.exitCode ??= code & 0xff;
    if (this.tid === this.process.pid) this.process.leaderExitCode ??= this.exitCode;
  }

  /**
   * Takes the thread out of its process: wakes joiners (CLONE_CHILD_CLEARTID), releases robust futexes, closes what it
   * alone held. Returns true when it was the last one.
   */
  leave(): boolean {
    if (this.dead) return false;
    this.dead = true;
    exitRobustList(this);
    exitPi(this);
    this.#clearChildTid();
    this.setScheduling(0, 0);
    this.process.tasks.delete(this.tid);
    this.kernel.tasks.delete(this.tid);
    releasePid(this.kernel, this.process.pidNs, this.tid);
    this.process.uid = this.cred.uid;
    this.process.comm = this.comm;
    this.process.maxRss = Math.max(this.process.maxRss, this.mm.stats.peakAccessible);
    this.process.creditCpuTime(this);
    this.process.orphanThread(this);
    this.kernel.releaseFiles(this);
    if (this.ns !== this.kernel.initialNs) this.ns.mnt.left();
    this.kernel.machine?.releaseCpu(this.cpu, this.mm);
    this.leaveMemory();
    if (this.process.tasks.size === 0) return true;
    this.process.tasksGone.wake();
    return false;
  }

  /** The thread no longer runs in the memory it was made in (exec, exit): a vfork(2) ends. */
  leaveMemory(): void {
    if (this.vfork.released) return;
    this.vfork.released = true;
    this.vfork.done.wake();
  }

  /** Moves to other namespaces (all but user and PID namespace). Root and working directory are the caller's to change. */
  enterNamespaces(next: Namespaces): void {
    const from = this.ns;
    this.ns = next;
    if (next !== this.kernel.initialNs) next.mnt.joined();
    if (from !== this.kernel.initialNs) from.mnt.left();
  }

  /** Gives the task a descriptor table of its own. */
  unshareFiles(): void {
    for (const other of this.kernel.tasks.values()) {
      if (other === this || other.files !== this.files) continue;
      this.files = this.files.fork();
      return;
    }
  }

  /**
   * de_thread: the other threads of the process die, and this one becomes the leader. False when the process was killed
   * meanwhile, by one of them or from outside.
   */
  async becomeOnlyThread(): Promise<boolean> {
    const { process } = this;
    // Another thread was first: this one is among those that die.
    if (process.execing || this.exitCode !== null) return false;
    process.execing = true;
    try {
      return await this.#endOthers(process);
    } finally {
      process.execing = false;
    }
  }
  async #endOthers(process: Process): Promise<boolean> {
    for (const other of process.tasks.values()) {
      if (other === this) continue;
      other.exitCode ??= 0;
      other.interrupt();
    }
    while (process.tasks.size > 1) {
      const result = await this.waitKillable([process.tasksGone], () => process.tasks.size === 1);
      if (result === 'signal') return false;
    }
    process.leaderExitCode = null;
    if (this.tid !== process.pid) {
      process.tasks.delete(this.tid);
      const { tid } = this;
      this.kernel.tasks.delete(tid);
      releasePid(this.kernel, process.pidNs, tid);
      this.tid = process.pid;
      process.tasks.set(this.tid, this);
      this.kernel.tasks.set(this.tid, this);
    }
    return true;
  }

  #clearChildTid(): void {
    const address = this.clearChildTid;
    this.clearChildTid = 0;
    // Linux does this only while others share the memory; a dead process's memory is nobody's.
    if (address === 0 || (this.process.tasks.size <= 1 && this.mm.users <= 1)) return;
    if (this.mem.accessible(address, 4, 2) < 4) return;
    this.mem.writeU32(address, 0);
    this.kernel.futexes.wakeOne(futexKey(this.mm, address, false));
  }

  /** New program in place (execve(2)): what execve resets that is not in the address space. */
  afterExec(comm: string): void {
    this.comm = comm.slice(0, 15);
    this.cred = this.cred.afterExec();
    const { time, timeForChildren } = this.ns;
    if (time !== timeForChildren) this.enterNamespaces({ ...this.ns, time: timeForChildren });
    this.sighand = this.sighand.fork();
    this.sighand.resetForExec();
    this.signals.altStack = { sp: 0, flags: 2, size: 0 };
    this.clearChildTid = 0;
    this.robustList = 0;
    this.restartBlock = null;
    this.parentDeathSignal = 0;
    this.unshareFiles();
    this.leaveMemory();
    this.process.posixTimers.clear();
    this.process.exitSignal = SIGCHLD;
    this.process.execed = true;
    this.process.dumpable = 1;
  }
}

/** Result of an interrupted wait that is to be restarted when the handler says SA_RESTART. */
export const RESTART = -errno.ERESTARTSYS;
