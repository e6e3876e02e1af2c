/** Descriptors for processes: pidfd_open(2), pidfd_send_signal(2), pidfd_getfd(2). */
import { errno, sysError } from '../abi/errno.ts';
import { O_NONBLOCK } from '../fs/open-file.ts';
import { SI_USER } from '../abi/signals.ts';
import type { GuestTask } from '../task/guest-task.ts';
import { type OfProcess, PidFd } from '../task/pidfd.ts';
import type { Process } from '../task/process.ts';
import { guestRow as row } from './guest-row.ts';
import type { SyscallRow } from './row.ts';
import { readQueuedInfo, signalProcess } from './signals.ts';
import { pidSeenBy, processNamed, threadNamed } from '../ns/pid.ts';

const PIDFD_NONBLOCK = O_NONBLOCK;
const CAP_SYS_PTRACE = 19;

function pidfdOpen(task: GuestTask, pid: number, flags: number): number {
  if (flags & ~PIDFD_NONBLOCK || pid <= 0) throw sysError(errno.EINVAL);
  const process = processNamed(task, pid);
  // A thread that is no leader has no descriptor in Linux 6.1.
  if (!process) throw sysError(threadNamed(task, pid) ? errno.EINVAL : errno.ESRCH);
  const file = new PidFd(process, flags);
  try {
    return task.files.install(file, true);
  } catch (e) {
    file.unref();
    throw e;
  }
}

function processOf(task: GuestTask, fd: number): Process {
  const file = task.files.get(fd);
  if (!(file instanceof PidFd)) throw sysError(errno.EBADF);
  return file.process;
}

/** Signals are also sent through a descriptor of /proc/PID. */
function signalled(task: GuestTask, fd: number): Process {
  const named = (task.files.get(fd).inode as Partial<OfProcess> | null)?.namedProcess;
  return named ?? processOf(task, fd);
}

function pidfdSendSignal(task: GuestTask, fd: number, signo: number, info: number, flags: number): number {
  if (flags !== 0) throw sysError(errno.EINVAL);
  const target = signalled(task, fd);
  const sent =
    info === 0
      ? { code: SI_USER, pid: task.process.pid, uid: task.cred.uid }
      : readQueuedInfo(task, pidSeenBy(task, target.pid), signo, info, true);
  // Only from the own PID namespace or one above (access_pidfd_pidns).
  if (!task.process.pidNs.contains(target.pidNs)) throw sysError(errno.EINVAL);
  // A zombie can still be signalled, to no effect; one that was waited for is gone.
  if (task.kernel.process(target.pid) !== target) throw sysError(errno.ESRCH);
  signalProcess(task, target, signo, sent);
  return 0;
}

function pidfdGetfd(task: GuestTask, fd: number, targetFd: number, flags: number): number {
  if (flags !== 0) throw sysError(errno.EINVAL);
  const leader = processOf(task, fd).leader;
  if (!leader) throw sysError(errno.ESRCH);
  const { uid, gid } = task.cred;
  const c = leader.cred;
  const same = [c.uid, c.euid, c.suid].every((id) => id === uid) && [c.gid, c.egid, c.sgid].every((id) => id === gid);
  // PTRACE_MODE_ATTACH_REALCREDS (ptrace(2)).
  const allowed = leader.process === task.process || (same && leader.process.dumpable === 1);
  if (!allowed && !task.cred.capableIn(c.userNs, CAP_SYS_PTRACE)) throw sysError(errno.EPERM);
  const file = leader.files.getAny(targetFd).ref();
  try {
    return task.files.install(file, true);
  } catch (e) {
    file.unref();
    throw e;
  }
}

export const pidfdRows: SyscallRow[] = [
  row('pidfd_open', 434, 434, 'pid:pid flags:flags', pidfdOpen, { flagNames: { flags: { PIDFD_NONBLOCK } } }),
  row('pidfd_send_signal', 424, 424, 'pidfd:fd sig:signal info:instruct flags:hex', pidfdSendSignal),
  row('pidfd_getfd', 438, 438, 'pidfd:fd targetfd:fd flags:hex', pidfdGetfd),
];
