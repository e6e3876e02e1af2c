/** Signal dispositions (shared by the threads of a process) and pending sets (one per thread, one per process). */
import type { SigInfo } from '../abi/siginfo.ts';
import { defaultAction, NSIG, SA_RESETHAND, SIGRTMIN, SS_DISABLE } from '../abi/signals.ts';
import { WaitQueue } from '../task/wait-queue.ts';
import { SigSet } from './sigset.ts';

export const SIG_DFL = 0;
export const SIG_IGN = 1;

/**
 * struct sigaction as the kernel keeps it. `handler` and `restorer` are signed 64-bit integers. Never changed, only replaced:
 * tables share them.
 */
export interface SigAction {
  readonly handler: number;
  /** SA_* bits, unsigned 32-bit. */
  readonly flags: number;
  readonly restorer: number;
  readonly mask: SigSet;
}

const plainAction = (handler: number): SigAction => ({ handler, flags: 0, restorer: 0, mask: new SigSet() });
const DEFAULT = plainAction(SIG_DFL);
const IGNORED = plainAction(SIG_IGN);

/** The table of dispositions: shared under CLONE_SIGHAND, copied by fork, reset by exec. */
export class SignalHandlers {
  /** Woken at every signal that becomes pending for a user of this table (signalfd). */
  readonly arrivals = new WaitQueue();
  #actions: SigAction[] = new Array<SigAction>(NSIG + 1).fill(DEFAULT);

  /** Disposition of signal 1..64. */
  get(signo: number): SigAction {
    return this.#actions[signo]!;
  }
  set(signo: number, action: SigAction): void {
    this.#actions[signo] = action;
  }
  fork(): SignalHandlers {
    const copy = new SignalHandlers();
    copy.#actions = this.#actions.slice();
    return copy;
  }
  /** execve(2): caught signals go back to the default, ignored ones stay ignored. */
  resetForExec(): void {
    for (let n = 1; n <= NSIG; n++) this.set(n, this.get(n).handler === SIG_IGN ? IGNORED : DEFAULT);
  }
  /** True when sending the signal has no effect on a thread that does not block it. */
  ignores(signo: number): boolean {
    const { handler } = this.get(signo);
    if (handler === SIG_IGN) return true;
    return handler === SIG_DFL && defaultAction(signo) === 'ignore';
  }
  /** A handler is installed (neither SIG_DFL nor SIG_IGN). */
  catches(signo: number): boolean {
    const { handler } = this.get(signo);
    return handler !== SIG_DFL && handler !== SIG_IGN;
  }
  /** SA_RESETHAND: back to the default after one delivery. */
  afterDelivery(signo: number): void {
    const a = this.get(signo);
    if (a.flags & SA_RESETHAND) this.set(signo, { ...a, handler: SIG_DFL });
  }
  /** The sets shown in /proc/self/status as SigIgn and SigCgt. */
  ignoredSet(): SigSet {
    const set = new SigSet();
    for (let n = 1; n <= NSIG; n++) if (this.get(n).handler === SIG_IGN) set.add(n);
    return set;
  }
  caughtSet(): SigSet {
    const set = new SigSet();
    for (let n = 1; n <= NSIG; n++) if (this.catches(n)) set.add(n);
    return set;
  }
}

/** A queue of pending signals: standard signals are kept once, real-time ones as often as sent (signal(7)). */
export class SignalQueue {
  readonly set = new SigSet();
  #infos: SigInfo[] = [];

  /** Number of queued instances (SigQ in /proc/self/status). */
  get length(): number {
    return this.#infos.length;
  }
  /** False when a standard signal was pending already and the new instance is dropped. */
  push(info: SigInfo): boolean {
    if (info.signo < SIGRTMIN && this.set.has(info.signo)) return false;
    this.set.add(info.signo);
    this.#infos.push(info);
    return true;
  }
  includes(info: SigInfo): boolean {
    return this.#infos.includes(info);
  }
  /** Takes the oldest instance of a signal in the set. */
  take(signo: number): SigInfo | null {
    const i = this.#infos.findIndex((info) => info.signo === signo);
    if (i < 0) return null;
    const [info] = this.#infos.splice(i, 1);
    if (!this.#infos.some((other) => other.signo === signo)) this.set.remove(signo);
    return info!;
  }
  /** Drops all instances of a signal. */
  discard(signo: number): void {
    if (!this.set.has(signo)) return;
    this.set.remove(signo);
    this.#infos = this.#infos.filter((info) => info.signo !== signo);
  }
  clear(): void {
    this.set.clear();
    this.#infos = [];
  }
}

/** sigaltstack(2); `flags` holds SS_DISABLE or SS_AUTODISARM as set, never SS_ONSTACK. */
export interface AltStack {
  sp: number;
  flags: number;
  size: number;
}

/** Per-thread signal state. */
export class PendingSignals extends SignalQueue {
  /** The thread's signal mask. Never holds SIGKILL or SIGSTOP. */
  blocked = new SigSet();
  /** Mask to come back to after sigsuspend, ppoll, pselect and epoll_pwait; null outside of them. */
  saved: SigSet | null = null;
  /** While rt_sigtimedwait waits: blocked signals that end the wait all the same. */
  awaited: SigSet | null = null;
  altStack: AltStack = { sp: 0, flags: 0, size: 0 };

  /** Alternate stack in use for this stack pointer (sas_ss_flags: always false under SS_AUTODISARM). */
  onAltStack(sp: number): boolean {
    const s = this.altStack;
    return (s.flags & ~SS_DISABLE) === 0 && s.size > 0 && sp > s.sp && sp - s.sp <= s.size;
  }
}
