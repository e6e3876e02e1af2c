/** A process: a thread group and what its threads share that is not in an object of its own. */
import type { Path } from '../fs/fs-context.ts';
import type { Kernel } from '../kernel.ts';
import {
  CLD_CONTINUED,
  CLD_DUMPED,
  CLD_EXITED,
  CLD_KILLED,
  CLD_STOPPED,
  SA_NOCLDSTOP,
  SA_NOCLDWAIT,
  SI_KERNEL,
  SI_USER,
  SIGCHLD,
  SIGCONT,
  SIGHUP,
} from '../abi/signals.ts';
import { sendSignal } from '../signals/send.ts';
import { SIG_IGN, SignalQueue } from '../signals/state.ts';
import { IntervalTimers } from '../time/itimers.ts';
import { PosixTimers } from '../time/posix-timers.ts';
import type { ExitStatus } from './exit-status.ts';
import type { GuestTask } from './guest-task.ts';
import type { PidNamespace } from '../ns/pid.ts';
import { Registry } from '../registry.ts';
import { defaultRlimits, RLIMIT_STACK, type Rlimit } from './rlimits.ts';
import { WaitQueue } from './wait-queue.ts';

export class Process {
  readonly kernel: Kernel;
  readonly pid: number;
  parent: Process | null;
  /** Parent's pid as the guest sees it: that of `parent`, or what the options say for the first process. */
  ppid: number;
  pgid: number;
  sid: number;
  /** The innermost PID namespace it is in. The numbers here are those of the initial one. */
  readonly pidNs: PidNamespace;
  readonly tasks = new Map<number, GuestTask>();
  /** By pid. */
  readonly children = new Registry<number, Process>();
  /** Signals sent to the process as a whole. */
  readonly signals = new SignalQueue();
  /** Woken when a child exits, stops or continues. */
  readonly childWaiters = new WaitQueue();
  /** Woken when the process has ended (pidfds). */
  readonly endWaiters = new WaitQueue();
  /** Woken when a thread has gone. */
  readonly tasksGone = new WaitQueue();
  /** Thread of the parent that made this process, for PR_SET_PDEATHSIG. */
  creator: GuestTask | null = null;
  /** User id and name of the last thread that left. */
  uid = 0;
  comm = '';
  /** Indexed by RLIMIT_*. */
  rlimits: Rlimit[];

  /** Who wants to know when it has ended, besides those who wait. */
  toldOfEnd: Set<{ processEnded(process: Process): void }> | null = null;

  /** What procfs shows of it, by file system: of the same age, and not in a table of its own that would keep both. */
  views: Map<object, object> | null = null;

  // Set by exec, shown by procfs.
  exe: Path | null = null;
  /** Absolute path of the executable, as /proc/self/exe shows it. */
  exePath = '';
  argStart = 0;
  argEnd = 0;
  envStart = 0;
  envEnd = 0;
  auxv: Uint8Array = new Uint8Array(0);
  /** Address of the vDSO's __kernel_rt_sigreturn (AArch64), set by the loader. */
  sigreturnTrampoline = 0;
  /** A thread is ending the others, to run a new program alone. */
  execing = false;
  /** Process 1 of a PID namespace: from inside nothing kills it that it has not asked for. */
  unkillable = false;
  /** Has called execve since fork (setpgid(2) cares). */
  execed = false;

  dumpable = 1;
  noNewPrivs = false;
  childSubreaper = false;
  thpDisabled = false;
  personality = 0;
  nice = 0;
  oomScoreAdj = 0;
  ioprio = 0;
  /** Controlling terminal's device number, 0 without one. */
  ttyDev = 0;
  readonly itimers = new IntervalTimers(this);
  readonly posixTimers = new PosixTimers();
  /** Start on the monotonic clock, milliseconds. */
  readonly startTime: number;
  /** CPU time of threads that have ended, milliseconds. */
  #endedCpuTime = 0;
  /** CPU time of waited-for children, milliseconds. */
  childrenCpuTime = 0;
  /** Most memory the process has held, and the largest of the waited-for children, bytes. */
  maxRss = 0;
  childrenMaxRss = 0;

  /** Signal the parent gets at exit (0: none). */
  exitSignal = SIGCHLD;
  /** Set once the group is to die; each thread leaves before it would run user code again. */
  groupExit: ExitStatus | null = null;
  /** exit(2) status of the group leader: the process's, when its threads end one by one. */
  leaderExitCode: number | null = null;
  /** Set when the last thread has gone. */
  exitStatus: ExitStatus | null = null;
  /** Signal that stopped the process, 0 while it runs. */
  stopSignal = 0;
  /** A stop or continue not yet reported by wait(2). */
  unreported: 'stopped' | 'continued' | null = null;
  #resumed: { promise: Promise<void>; resolve: () => void } | null = null;

  constructor(kernel: Kernel, pid: number, parent: Process | null, ppid: number, pidNs: PidNamespace = kernel.pidNs) {
    this.kernel = kernel;
    this.pid = pid;
    this.parent = parent;
    this.ppid = ppid;
    this.pidNs = pidNs;
    this.pgid = parent?.pgid ?? pid;
    // As if a shell had started it: leader of its own group in the session of its parent.
    this.sid = parent?.sid ?? ppid;
    this.rlimits = parent ? parent.rlimits.map((r) => ({ ...r })) : defaultRlimits(kernel.options.stackSize);
    this.startTime = kernel.monotonicMs();
    parent?.children.set(pid, this);
  }

  /** What fork(2) hands on beside what the constructor takes over. `from` is the process that forks. */
  inherit(from: Process): void {
    const { exe, exePath, argStart, argEnd, envStart, envEnd, auxv, sigreturnTrampoline } = from;
    Object.assign(this, { exe, exePath, argStart, argEnd, envStart, envEnd, auxv, sigreturnTrampoline });
    const { pgid, sid, dumpable, noNewPrivs, thpDisabled, personality, nice, oomScoreAdj, ioprio, ttyDev, uid } = from;
    Object.assign(this, {
      pgid,
      sid,
      dumpable,
      noNewPrivs,
      thpDisabled,
      personality,
      nice,
      oomScoreAdj,
      ioprio,
      ttyDev,
    });
    this.uid = uid;
    this.rlimits = from.rlimits.map((r) => ({ ...r }));
  }

  /** Process 1 of a PID namespace other than the initial one. */
  get isNamespaceInit(): boolean {
    return this.pidNs.init === this;
  }

  /** CPU time of all threads, living and gone, milliseconds. */
  get cpuTime(): number {
    let sum = this.#endedCpuTime;
    for (const task of this.tasks.values()) sum += task.cpuTime;
    return sum;
  }
  /** A thread leaves: its time stays with the process. */
  creditCpuTime(task: GuestTask): void {
    this.#endedCpuTime += task.cpuTime;
  }

  /** Time spent on a thread that has just left. */
  addCpuTime(ms: number): void {
    this.#endedCpuTime += ms;
  }

  /** A thread leaves: processes it made that asked for it get their PR_SET_PDEATHSIG. */
  orphanThread(task: GuestTask): void {
    for (const child of this.children.values()) {
      if (child.creator !== task) continue;
      child.creator = this.tasks.values().next().value ?? null;
      for (const t of child.tasks.values()) {
        if (t.parentDeathSignal !== 0)
          sendSignal(child, t.parentDeathSignal, { code: SI_USER, pid: this.pid, uid: task.cred.uid });
      }
    }
  }

  /** The thread-group leader, or another thread when it has exited; null after the last. */
  get leader(): GuestTask | null {
    return this.tasks.get(this.pid) ?? this.tasks.values().next().value ?? null;
  }

  /** Soft stack limit in bytes, for the loader and mmap's base. */
  get stackLimit(): number {
    return this.rlimits[RLIMIT_STACK]!.soft;
  }

  /** exit_group(2) or death by signal: the first caller decides the status. */
  exitGroup(status: ExitStatus): void {
    if (this.groupExit || this.exitStatus) return;
    this.groupExit = status;
    this.resume(false);
    for (const task of this.tasks.values()) task.interrupt();
  }

  /** Stops all threads; they wait at their next return to user mode. */
  stop(signo: number): void {
    if (this.stopSignal !== 0) return;
    this.stopSignal = signo;
    let resolve = (): void => {};
    const promise = new Promise<void>((r) => {
      resolve = r;
    });
    this.#resumed = { promise, resolve };
    this.unreported = 'stopped';
    for (const task of this.tasks.values()) task.interrupt();
    this.#tellParent(CLD_STOPPED, signo);
    this.kernel.options.onStop?.(this, signo);
  }

  /** SIGCONT, or a death that must get past a stop. */
  resume(continued: boolean): void {
    if (this.stopSignal === 0) return;
    this.stopSignal = 0;
    this.#resumed?.resolve();
    this.#resumed = null;
    if (continued) {
      this.unreported = 'continued';
      this.#tellParent(CLD_CONTINUED, SIGCONT);
    }
  }

  /** Settles when a stopped process goes on. */
  get resumed(): Promise<void> {
    return this.#resumed?.promise ?? Promise.resolve();
  }

  /** The last thread has gone. */
  finish(status: ExitStatus): void {
    this.exitStatus = status;
    this.itimers.cancel();
    this.posixTimers.clear();
    this.signals.clear();
    const orphans = this.#giveAwayChildren();
    this.kernel.processExited(this);
    for (const listener of this.toldOfEnd ?? []) listener.processEnded(this);
    this.toldOfEnd = null;
    hangUpOrphans(this.kernel, [this, ...orphans]);
    const { parent } = this;
    if (!parent || this.#parentIgnoresExit()) {
      if (parent) parent.childrenCpuTime += this.cpuTime + this.childrenCpuTime;
      parent?.children.delete(this.pid);
      this.kernel.forget(this);
    }
    const code = status.kind === 'exited' ? CLD_EXITED : status.core ? CLD_DUMPED : CLD_KILLED;
    this.#tellParent(code, status.kind === 'exited' ? status.code : status.signal);
    this.endWaiters.wake();
    for (let ns: PidNamespace | null = this.pidNs; ns && ns.level > 0; ns = ns.parent) ns.ended.wake();
  }

  /**
   * Children go to the nearest ancestor in the PID namespace that reaps (PR_SET_CHILD_SUBREAPER), to its process 1, or in the
   * initial one to nobody, who reaps at once.
   */
  #giveAwayChildren(): Process[] {
    const orphans = [...this.children.values()];
    const { init } = this.pidNs;
    let reaper = this.parent;
    while (reaper && (!reaper.childSubreaper || reaper.exitStatus))
      reaper = reaper.pidNs === this.pidNs ? reaper.parent : null;
    if (reaper?.pidNs !== this.pidNs) reaper = init && init !== this && !init.exitStatus ? init : null;
    this.children.clear();
    for (const child of orphans) {
      child.parent = reaper;
      child.ppid = reaper?.pid ?? 1;
      child.creator = reaper?.leader ?? null;
      reaper?.children.set(child.pid, child);
      if (!child.exitStatus) continue;
      if (reaper && !child.#parentIgnoresExit()) child.#tellParent(CLD_EXITED, 0);
      else {
        reaper?.children.delete(child.pid);
        this.kernel.forget(child);
      }
    }
    return orphans;
  }

  #parentIgnoresExit(): boolean {
    if (this.parent?.isNamespaceInit && this.parent.pidNs.ending) return true;
    const action = this.parent?.leader?.sighand.get(SIGCHLD);
    return action !== undefined && (action.handler === SIG_IGN || (action.flags & SA_NOCLDWAIT) !== 0);
  }

  #tellParent(code: number, status: number): void {
    const { parent } = this;
    if (!parent) return;
    const stopping = code === CLD_STOPPED || code === CLD_CONTINUED;
    const flags = parent.leader?.sighand.get(SIGCHLD).flags ?? 0;
    const signo = stopping ? SIGCHLD : this.exitSignal;
    if (signo > 0 && !(stopping && flags & SA_NOCLDSTOP)) {
      const uid = this.leader?.cred.uid ?? this.uid;
      sendSignal(parent, signo, { code, pid: this.pid, uid, status, utime: Math.floor(this.cpuTime / 10) });
    }
    parent.childWaiters.wake();
  }
}

/**
 * A group is orphaned when no member has a parent in another group of the session (setpgid(2)). The first process's parent
 * is outside, and taken for a shell.
 */
export function isOrphanedGroup(kernel: Kernel, pgid: number): boolean {
  for (const p of kernel.processes.values()) {
    if (p.pgid === pgid && p === kernel.init && p.exitStatus === null) return false;
    if (p.pgid === pgid && p.exitStatus === null && p.parent && p.parent.pgid !== pgid && p.parent.sid === p.sid)
      return false;
  }
  return true;
}

/** kill_orphaned_pgrp: stopped members of groups that have just lost their last tie are told, and go on. */
function hangUpOrphans(kernel: Kernel, candidates: readonly Process[]): void {
  const groups = new Set(candidates.map((p) => p.pgid));
  for (const pgid of groups) {
    const members = [...kernel.processes.values()].filter((p) => p.pgid === pgid && p.exitStatus === null);
    if (!members.some((p) => p.stopSignal !== 0) || !isOrphanedGroup(kernel, pgid)) continue;
    for (const p of members) {
      sendSignal(p, SIGHUP, { code: SI_KERNEL });
      sendSignal(p, SIGCONT, { code: SI_KERNEL });
    }
  }
}
