/** Who may look into another thread (ptrace(2), "Ptrace access mode checking"). */
import type { GuestTask } from './guest-task.ts';

const CAP_SYS_PTRACE = 19;

/** PTRACE_MODE_READ_REALCREDS: the same user, and what the other may do is no more; or CAP_SYS_PTRACE there. */
export function mayInspect(task: GuestTask, target: GuestTask): boolean {
  if (target.process === task.process) return true;
  const { cred: c } = target;
  const { cred } = task;
  const privileged = cred.capableIn(c.userNs, CAP_SYS_PTRACE);
  const sameUser = [c.uid, c.euid, c.suid].every((id) => id === cred.uid);
  const sameGroup = [c.gid, c.egid, c.sgid].every((id) => id === cred.gid);
  if (!(sameUser && sameGroup && target.process.dumpable === 1) && !privileged) return false;
  return privileged || (c.userNs === cred.userNs && (c.capPermitted & ~cred.capPermitted) === 0n);
}
