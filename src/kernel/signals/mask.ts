/** Changing the signal mask: for good (rt_sigprocmask) and for the length of one call (ppoll, pselect6, epoll_pwait). */
import { errno, sysError } from '../abi/errno.ts';
import type { Task } from '../task/task.ts';
import { readSigset, SIGSET_SIZE, type SigSet } from './sigset.ts';

/** set_user_sigmask: `maskAddr` 0 changes nothing. Throws EINVAL for a wrong size, EFAULT. */
export function setTemporaryMask(task: Task, maskAddr: number, size: number): void {
  if (maskAddr === 0) return;
  if (size !== SIGSET_SIZE) throw sysError(errno.EINVAL);
  setTemporarySet(task, readSigset(task.mem, maskAddr));
}

/** Replaces the mask until the signal that ends the call has been delivered. */
export function setTemporarySet(task: Task, set: SigSet): void {
  const { signals } = task;
  signals.saved ??= signals.blocked;
  signals.blocked = set.withoutKillStop();
}

/**
 * restore_saved_sigmask_unless: to be called at the end of the call. `interrupted` leaves the temporary mask in place, so
 * that delivery sees it; delivery restores the old one.
 */
export function restoreTemporaryMask(task: Task, interrupted: boolean): void {
  const { signals } = task;
  if (interrupted || !signals.saved) return;
  signals.blocked = signals.saved;
  signals.saved = null;
}
