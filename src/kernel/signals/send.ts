/** Sending signals: from one process to another, from the kernel to a task, from the host to the first process. */
import type { SigInfo } from '../abi/siginfo.ts';
import { SI_KERNEL, SIGCONT, SIGKILL, SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU } from '../abi/signals.ts';
import type { GuestTask } from '../task/guest-task.ts';
import { Process } from '../task/process.ts';
import type { Task } from '../task/task.ts';
import { SIG_DFL } from './state.ts';

const STOP_SIGNALS = [SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU];

/**
 * Makes a signal pending for a thread (Task) or for a whole process, and wakes who may take it. Signals that are
 * ignored and not blocked vanish here. Never fails; `signo` must be 1..64.
 */
export function sendSignal(target: Task | Process, signo: number, info?: Omit<SigInfo, 'signo'>): void {
  queueSignal(target, { code: SI_KERNEL, ...info, signo });
}

/** As `sendSignal`, for a sender that wants to find its own `info` in the queue again. */
export function queueSignal(target: Task | Process, info: SigInfo): void {
  const process = target instanceof Process ? target : target.process;
  if (process.exitStatus !== null) return;
  const { signo } = info;
  if (process.pidNs?.level > 0 && !reachesInit(process, info)) return;
  process.kernel.stats.signals++;
  cancelOpposites(process, signo);
  // Every task is a GuestTask.
  const candidates = target instanceof Process ? [...target.tasks.values()] : [target as GuestTask];
  if (signo === SIGKILL) {
    // complete_signal: at once for all threads, whatever they wait for.
    process.exitGroup({ kind: 'killed', signal: SIGKILL, core: false });
    return;
  }
  const seen = seenBy(process, candidates[0], info);
  if (isDiscarded(candidates, signo) || !target.signals.push(seen)) return;
  candidates[0]!.sighand.arrivals.wake();
  candidates.find((t) => accepts(t, signo))?.signalArrived();
}

/** The sender's number and user as the receiver knows them: process 0 for one outside of its PID namespace. */
function seenBy({ pidNs }: Process, receiver: GuestTask | undefined, sent: SigInfo): SigInfo {
  const userNs = receiver?.cred.userNs;
  const info =
    userNs && userNs.level > 0 && sent.uid !== undefined ? { ...sent, uid: userNs.shown('uid', sent.uid) } : sent;
  if (info.pid === undefined || !(pidNs?.level > 0)) return info;
  const pid = pidNs.number(info.pid);
  if (!info.raw || pid !== 0) return { ...info, pid };
  const raw = info.raw.slice();
  new DataView(raw.buffer).setInt32(16, 0, true);
  return { ...info, pid, raw };
}

/**
 * sig_task_ignored: process 1 of a PID namespace gets only signals it has a handler for or blocks, and SIGKILL and SIGSTOP from
 * the kernel and from namespaces above.
 */
function reachesInit(process: Process, { signo, code, pid }: SigInfo): boolean {
  if (!process.unkillable) return true;
  const only = signo === SIGKILL || signo === SIGSTOP;
  if (only) return code === SI_KERNEL || (pid !== undefined && process.pidNs.number(pid) === 0);
  return [...process.tasks.values()].some(
    (t) => t.signals.blocked.has(signo) || t.sighand.get(signo).handler !== SIG_DFL,
  );
}

const accepts = (t: GuestTask, signo: number): boolean =>
  !t.signals.blocked.has(signo) || t.signals.awaited?.has(signo) === true;

/** SIGCONT and the stop signals cancel each other when sent (signal(7)); SIGCONT resumes even when blocked or ignored. */
function cancelOpposites(process: Process, signo: number): void {
  const drop = signo === SIGCONT || signo === SIGKILL ? STOP_SIGNALS : STOP_SIGNALS.includes(signo) ? [SIGCONT] : [];
  for (const other of drop) {
    process.signals.discard(other);
    for (const task of process.tasks.values()) task.signals.discard(other);
  }
  if (signo === SIGCONT || signo === SIGKILL) process.resume(signo === SIGCONT);
}

/** Ignored, and blocked by nobody: blocked signals stay, as their disposition may change. */
function isDiscarded(candidates: readonly GuestTask[], signo: number): boolean {
  const first = candidates[0];
  if (!first) return true;
  if (candidates.some((t) => t.signals.blocked.has(signo) || t.signals.awaited?.has(signo))) return false;
  return first.sighand.ignores(signo) || (signo === SIGCONT && first.sighand.get(signo).handler === SIG_DFL);
}
