/** Sending signals: from one process to another, from the kernel to a task, from the host to the first process. */
import type { SigInfo } from '../abi/siginfo.ts';
import { SI_KERNEL, SIGCONT, SIGKILL, SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU } from '../abi/signals.ts';
import type { GuestTask } from '../task/guest-task.ts';
import { Process } from '../task/process.ts';
import type { Task } from '../task/task.ts';
import { SIG_DFL, type SignalQueue } from './state.ts';

const STOP_SIGNALS = [SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU];

/**
 * Makes a signal pending for a thread (Task) or for a whole process, and wakes who may take it. Signals that are
 * ignored and not blocked vanish here. Never fails; `signo` must be 1..64.
 */
export function sendSignal(target: Task | Process, signo: number, info?: Omit<SigInfo, 'signo'>): void {
  const process = target instanceof Process ? target : target.process;
  if (process.exitStatus !== null) return;
  const full = { code: SI_KERNEL, ...info, signo };
  process.kernel.stats.signals++;
  cancelOpposites(process, signo);
  const queue: SignalQueue = target instanceof Process ? target.signals : target.signals;
  const candidates = target instanceof Process ? [...target.tasks.values()] : [target];
  if (isDiscarded(process, candidates as GuestTask[], signo)) return;
  if (!queue.push(full)) return;
  wakeTaker(candidates as GuestTask[], signo);
}

/** SIGCONT and the stop signals cancel each other when sent (signal(7)); SIGCONT resumes even when blocked or ignored. */
function cancelOpposites(process: Process, signo: number): void {
  const drop = signo === SIGCONT || signo === SIGKILL ? STOP_SIGNALS : STOP_SIGNALS.includes(signo) ? [SIGCONT] : [];
  for (const other of drop) {
    process.signals.discard(other);
    for (const task of process.tasks.values()) task.signals.discard(other);
  }
  if (signo === SIGCONT || signo === SIGKILL) process.resume(signo === SIGCONT);
}

function isDiscarded(process: Process, candidates: GuestTask[], signo: number): boolean {
  const first = candidates[0];
  if (!first) return true;
  if (candidates.some((t) => t.signals.blocked.has(signo) || t.signals.awaited?.has(signo))) return false;
  // The first process of a PID namespace would be immune to signals it does not handle; ours is an ordinary process.
  void process;
  return first.sighand.ignores(signo) || (signo === SIGCONT && first.sighand.get(signo).handler === SIG_DFL);
}

function wakeTaker(candidates: GuestTask[], signo: number): void {
  const taker = candidates.find((t) => !t.signals.blocked.has(signo) || t.signals.awaited?.has(signo));
  taker?.signalArrived();
}
