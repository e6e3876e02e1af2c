/**
 * PID namespaces (pid_namespaces(7)). The kernel knows every process, thread, group and session by its number in the initial
 * namespace; what programs say and hear is translated here, by the namespace of who asks. In the initial namespace that is
 * the number itself, and no table is looked at.
 */
import { errno, sysError } from '../abi/errno.ts';
import type { Kernel } from '../kernel.ts';
import { Registry } from '../registry.ts';
import { CAP_CHECKPOINT_RESTORE, CAP_SYS_ADMIN, type Credentials } from '../task/credentials.ts';
import type { GuestTask } from '../task/guest-task.ts';
import type { Process } from '../task/process.ts';
import type { Task } from '../task/task.ts';
import { WaitQueue } from '../task/wait-queue.ts';
import { INITIAL_INO, Namespace } from './namespace.ts';
import { initialUserNamespace, type UserNamespace } from './user.ts';

/** kernel.pid_max. */
export const PID_MAX = 4_194_304;
/** Numbers below are for the first processes only, once numbers have been used up. */
const RESERVED_PIDS = 300;
const MAX_LEVEL = 32;

export class PidNamespace extends Namespace {
  readonly kind = 'pid';
  readonly parent: PidNamespace | null;
  readonly level: number;
  /** Process 1, who adopts orphans and whose end is that of the namespace. Null before it is made; unused at level 0. */
  init: Process | null = null;
  /** Process 1 has ended, or is about to: nothing is made here any more. */
  ending = false;
  /** Woken when a process here has ended. */
  readonly ended = new WaitQueue();
  /** Initial number to number here, and back. Empty at level 0. */
  readonly #numbers = new Registry<number, number>();
  readonly #initial = new Registry<number, number>();
  #last = 0;

  constructor(parent: PidNamespace | null, owner: UserNamespace) {
    super(owner, parent ? 0 : INITIAL_INO.pid);
    this.parent = parent;
    this.level = parent ? parent.level + 1 : 0;
  }

  /** The number here of what has number `pid` in the initial namespace; 0 when it cannot be seen from here. */
  number(pid: number): number {
    return this.level === 0 ? pid : (this.#numbers.get(pid) ?? 0);
  }
  /** The number in the initial namespace of what is called `number` here; 0 when there is nothing. */
  initial(number: number): number {
    return this.level === 0 ? number : (this.#initial.get(number) ?? 0);
  }
  /** `other` is this namespace or one below it. */
  contains(other: PidNamespace): boolean {
    let at: PidNamespace | null = other;
    while (at && at.level > this.level) at = at.parent;
    return at === this;
  }

  /** The next free number here, which is not taken yet. */
  next(): number {
    for (;;) {
      this.#last = this.#last + 1 >= PID_MAX ? RESERVED_PIDS : this.#last + 1;
      if (!this.#initial.has(this.#last)) return this.#last;
    }
  }
  taken(number: number): boolean {
    return this.#initial.has(number);
  }
  enter(pid: number, number: number): void {
    this.#numbers.set(pid, number);
    this.#initial.set(number, pid);
  }
  leave(pid: number): void {
    const number = this.#numbers.get(pid);
    if (number === undefined) return;
    this.#numbers.delete(pid);
    this.#initial.delete(number);
  }
}

/** Throws EINVAL, and ENOSPC beyond 32 levels. `parent` is the namespace children of the caller would be in. */
export function makePidNamespace(task: GuestTask, parent: PidNamespace, owner: UserNamespace): PidNamespace {
  if (task.process.pidNs !== parent || !(parent.owner ?? initialUserNamespace).contains(owner))
    throw sysError(errno.EINVAL);
  if (parent.level >= MAX_LEVEL) throw sysError(errno.ENOSPC);
  return new PidNamespace(parent, owner);
}

/**
 * Takes a number in `ns` and in each above it (kernel/pid.c, alloc_pid): those `wanted`, innermost first, or the next free
 * ones. Returns that of the initial namespace. Throws EINVAL, EPERM, EEXIST, ENOMEM; then nothing has been taken.
 */
export function allocatePid(kernel: Kernel, ns: PidNamespace, wanted: readonly number[], cred: Credentials): number {
  if (ns.level === 0 && wanted.length === 0) return kernel.allocPid();
  if (wanted.length > ns.level + 1) throw sysError(errno.EINVAL);
  const chosen: [PidNamespace, number][] = [];
  let initial = 0;
  let i = 0;
  for (let at: PidNamespace | null = ns; at; at = at.parent, i++) {
    const asked = wanted[i];
    if (asked !== undefined) {
      if (asked < 1 || asked >= PID_MAX) throw sysError(errno.EINVAL);
      if (asked !== 1 && at.level > 0 && !at.init) throw sysError(errno.EINVAL);
      const { owner } = at;
      if (!cred.capableIn(owner!, CAP_CHECKPOINT_RESTORE) && !cred.capableIn(owner!, CAP_SYS_ADMIN))
        throw sysError(errno.EPERM);
      // Whoever started the guest is told of as 1 to those who have lost their parent.
      const taken =
        at.level === 0 ? asked === 1 || kernel.processes.has(asked) || kernel.tasks.has(asked) : at.taken(asked);
      if (taken) throw sysError(errno.EEXIST);
    }
    if (at.level === 0) initial = asked ?? kernel.allocPid();
    else chosen.push([at, asked ?? at.next()]);
  }
  if (ns.ending) throw sysError(errno.ENOMEM);
  for (const [at, number] of chosen) at.enter(initial, number);
  return initial;
}

/**
 * A process or thread has gone: its number is free in the namespaces below the initial one, unless it names a process, a
 * group or a session still.
 */
export function releasePid(kernel: Kernel, ns: PidNamespace, pid: number): void {
  if (ns.level === 0 || kernel.processes.has(pid) || kernel.tasks.has(pid)) return;
  for (const p of kernel.processes.values()) if (p.pgid === pid || p.sid === pid) return;
  for (let at: PidNamespace | null = ns; at && at.level > 0; at = at.parent) at.leave(pid);
}

/** A number of the kernel's as `task` is to see it. */
export const pidSeenBy = (task: Task, pid: number): number => task.process.pidNs.number(pid);

/** The process that `task` calls `number`. */
export const processNamed = (task: Task, number: number): Process | null =>
  task.kernel.process(task.process.pidNs.initial(number));

/** The thread that `task` calls `number`. */
export const threadNamed = (task: Task, number: number): GuestTask | null =>
  task.kernel.task(task.process.pidNs.initial(number));

/** The kernel's number of the group or session that `task` calls `number`; -1, which is nobody's, for none. */
export const groupNamed = (task: Task, number: number): number => task.process.pidNs.initial(number) || -1;

/** Numbers from the namespace `from`, which shows the process, down to that of the process itself (NSpid in /proc/PID/status). */
export function numbersFrom(from: PidNamespace, process: Process, pid: number): number[] {
  const numbers: number[] = [];
  for (let at: PidNamespace | null = process.pidNs; at && at.level >= from.level; at = at.parent)
    numbers.unshift(at.number(pid));
  return numbers;
}

/**
 * Process 1 of a namespace is about to end: everybody else in it is killed (zap_pid_ns_processes). Settles once they have
 * ended; null when nobody is left.
 */
export function endNamespace(process: Process): Promise<void> | null {
  const { kernel, pidNs } = process;
  pidNs.ending = true;
  const others = (): Process[] =>
    [...kernel.processes.values()].filter((p) => p !== process && p.exitStatus === null && pidNs.number(p.pid) !== 0);
  const left = others();
  if (left.length === 0) return null;
  for (const p of left) p.exitGroup({ kind: 'killed', signal: 9, core: false });
  return new Promise((resolve) => {
    const look = (): void => {
      if (others().length > 0) return;
      pidNs.ended.remove(look);
      resolve();
    };
    pidNs.ended.add(look);
  });
}
