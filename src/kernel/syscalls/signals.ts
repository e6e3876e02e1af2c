/** Signal dispositions, masks, waiting and sending (signal(7)). */
import { errno, SysError, sysError } from '../abi/errno.ts';
import { encodeSigInfo, SIGINFO_SIZE, type SigInfo } from '../abi/siginfo.ts';
import { readSigaction, readStack, writeSigaction, writeStack } from '../abi/signal-structs.ts';
import {
  NSIG,
  SA_EXPOSE_TAGBITS,
  SA_NOCLDSTOP,
  SA_NOCLDWAIT,
  SA_NODEFER,
  SA_ONSTACK,
  SA_RESETHAND,
  SA_RESTART,
  SA_RESTORER,
  SA_SIGINFO,
  SI_KERNEL,
  SI_TKILL,
  SI_USER,
  SIGCONT,
  SIGKILL,
  SIGSEGV,
  SIGSTOP,
  SS_AUTODISARM,
  SS_DISABLE,
  SS_ONSTACK,
} from '../abi/signals.ts';
import { readValidTimespec, timespecMs } from '../abi/time-structs.ts';
import { dequeueSignal, forceSignal } from '../signals/deliver.ts';
import { restoreFrameAarch64 } from '../signals/frame-aarch64.ts';
import { restoreFrameX86_64 } from '../signals/frame-x86_64.ts';
import { setTemporarySet } from '../signals/mask.ts';
import type { AltStack } from '../signals/state.ts';
import { sendSignal } from '../signals/send.ts';
import { readSigset, SIGSET_SIZE, writeSigset } from '../signals/sigset.ts';
import { CAP_KILL } from '../task/credentials.ts';
import type { GuestTask } from '../task/guest-task.ts';
import type { Process } from '../task/process.ts';
import { guestRow as row } from './guest-row.ts';
import { EXEC_DONE } from './row-results.ts';
import type { SyscallRow } from './row.ts';
import { groupNamed, pidSeenBy, processNamed, threadNamed } from '../ns/pid.ts';

/** UAPI_SA_FLAGS: others are cleared, so that programs can probe for them (sigaction(2), "Dynamically probing"). */
const KNOWN_FLAGS =
  SA_NOCLDSTOP |
  SA_NOCLDWAIT |
  SA_SIGINFO |
  SA_EXPOSE_TAGBITS |
  SA_RESTORER |
  SA_ONSTACK |
  SA_RESTART |
  SA_NODEFER |
  SA_RESETHAND;

const how = { SIG_BLOCK: 0, SIG_UNBLOCK: 1, SIG_SETMASK: 2 };

const validSignal = (signo: number): boolean => signo >= 1 && signo <= NSIG;
const never = (): boolean => false;

function checkSetSize(size: number): void {
  if (size !== SIGSET_SIZE) throw sysError(errno.EINVAL);
}

function rtSigaction(task: GuestTask, signo: number, act: number, oldact: number, size: number): number {
  checkSetSize(size);
  const next = act === 0 ? null : readSigaction(task.mem, act);
  if (!validSignal(signo) || (next && (signo === SIGKILL || signo === SIGSTOP))) throw sysError(errno.EINVAL);
  const old = task.sighand.get(signo);
  if (next) {
    const flags = (next.flags & KNOWN_FLAGS) >>> 0;
    task.sighand.set(signo, { ...next, flags, mask: next.mask.withoutKillStop() });
    // POSIX: a pending signal that becomes ignored is discarded, blocked or not.
    if (task.sighand.ignores(signo)) {
      task.process.signals.discard(signo);
      for (const t of task.process.tasks.values()) t.signals.discard(signo);
    }
  }
  if (oldact !== 0) writeSigaction(task.mem, oldact, old);
  return 0;
}

function rtSigprocmask(task: GuestTask, howTo: number, set: number, oldset: number, size: number): number {
  checkSetSize(size);
  const old = task.signals.blocked;
  if (set !== 0) {
    const given = readSigset(task.mem, set).withoutKillStop();
    if (howTo === how.SIG_BLOCK) task.signals.blocked = old.union(given);
    else if (howTo === how.SIG_UNBLOCK) task.signals.blocked = old.difference(given);
    else if (howTo === how.SIG_SETMASK) task.signals.blocked = given;
    else throw sysError(errno.EINVAL);
  }
  if (oldset !== 0) writeSigset(task.mem, oldset, old);
  return 0;
}

function rtSigpending(task: GuestTask, set: number, size: number): number {
  if (size > SIGSET_SIZE) throw sysError(errno.EINVAL);
  const pending = task.signals.set.union(task.process.signals.set).intersection(task.signals.blocked);
  const bytes = new Uint8Array(SIGSET_SIZE);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, pending.lo, true);
  view.setUint32(4, pending.hi, true);
  task.mem.copyOut(set, bytes.subarray(0, size));
  return 0;
}

async function rtSigsuspend(task: GuestTask, mask: number, size: number): Promise<number> {
  checkSetSize(size);
  setTemporarySet(task, readSigset(task.mem, mask));
  await task.wait([], never, null);
  return -errno.ERESTARTNOHAND;
}

async function pause(task: GuestTask): Promise<number> {
  await task.wait([], never, null);
  return -errno.ERESTARTNOHAND;
}

function rtSigtimedwait(
  task: GuestTask,
  set: number,
  info: number,
  timeout: number,
  size: number,
): number | Promise<number> {
  checkSetSize(size);
  const wanted = readSigset(task.mem, set).withoutKillStop();
  const limit = timeout === 0 ? null : timespecMs(readValidTimespec(task.mem, timeout));
  const take = (): number => {
    const found = dequeueSignal(task, wanted.complement());
    if (!found) return 0;
    if (info !== 0) task.mem.copyOut(info, encodeSigInfo(found));
    return found.signo;
  };
  const atOnce = take();
  if (atOnce !== 0) return atOnce;
  if (limit === 0) return -errno.EAGAIN;
  return waitForSignal(task, wanted, limit, take);
}

async function waitForSignal(
  task: GuestTask,
  wanted: ReturnType<typeof readSigset>,
  limit: number | null,
  take: () => number,
): Promise<number> {
  task.signals.awaited = wanted;
  let result: string;
  try {
    result = await task.wait([], never, limit);
  } finally {
    task.signals.awaited = null;
  }
  const signo = take();
  if (signo !== 0) return signo;
  return result === 'timeout' ? -errno.EAGAIN : -errno.EINTR;
}

/** rt_sigreturn(2). A frame that cannot be read is fatal unless SIGSEGV is caught. */
function rtSigreturn(task: GuestTask): number {
  try {
    if (task.cpu.isa === 'x86_64') restoreFrameX86_64(task);
    else restoreFrameAarch64(task);
  } catch (e) {
    if (!(e instanceof SysError)) throw e;
    forceSignal(task, { signo: SIGSEGV, code: SI_KERNEL });
  }
  task.restartBlock = null;
  return EXEC_DONE;
}

function sigaltstack(task: GuestTask, ss: number, oldSs: number): number {
  const { signals, cpu } = task;
  const next = ss === 0 ? null : readStack(task.mem, ss);
  const current = signals.altStack;
  const onStack = signals.onAltStack(cpu.sp);
  if (next) {
    if (onStack) throw sysError(errno.EPERM);
    const mode = (next.flags & ~SS_AUTODISARM) >>> 0;
    if (mode !== 0 && mode !== SS_DISABLE && mode !== SS_ONSTACK) throw sysError(errno.EINVAL);
    // Nothing asked for: sizes are not looked at.
    const same = next.sp === current.sp && next.size === current.size && next.flags === current.flags;
    if (same) return sigaltstackOut(task, oldSs, current, onStack);
    if (mode === SS_DISABLE) signals.altStack = { sp: 0, flags: next.flags, size: 0 };
    else if (next.size < (cpu.isa === 'x86_64' ? 2048 : 5120)) throw sysError(errno.ENOMEM);
    else signals.altStack = { sp: next.sp, flags: next.flags, size: next.size };
  }
  return sigaltstackOut(task, oldSs, current, onStack);
}

function sigaltstackOut(task: GuestTask, oldSs: number, current: AltStack, onStack: boolean): number {
  if (oldSs !== 0) {
    const state = current.size === 0 ? SS_DISABLE : onStack ? SS_ONSTACK : 0;
    writeStack(task.mem, oldSs, { ...current, flags: ((current.flags & SS_AUTODISARM) | state) >>> 0 });
  }
  return 0;
}

/** kill(2), "ERRORS": same real or effective user, CAP_KILL, or SIGCONT within a session. */
function mayKill(task: GuestTask, target: Process, signo: number): boolean {
  const other = target.leader?.cred;
  if (target === task.process || !other || task.cred.capableIn(other.userNs, CAP_KILL)) return true;
  const { euid, uid } = task.cred;
  if (euid === other.suid || euid === other.uid || uid === other.suid || uid === other.uid) return true;
  return signo === SIGCONT && target.sid === task.process.sid;
}

const senderInfo = (task: GuestTask, code: number): Omit<SigInfo, 'signo'> => ({
  code,
  pid: task.process.pid,
  uid: task.cred.uid,
});

/** Zero only probes. */
function checkSignal(signo: number): void {
  if (signo < 0 || signo > NSIG) throw sysError(errno.EINVAL);
}

/** Sends to a process after the checks of kill(2). Throws EINVAL, EPERM. */
export function signalProcess(task: GuestTask, target: Process, signo: number, info: Omit<SigInfo, 'signo'>): void {
  checkSignal(signo);
  if (!mayKill(task, target, signo)) throw sysError(errno.EPERM);
  if (signo !== 0) sendSignal(target, signo, info);
}
const killProcess = (task: GuestTask, target: Process, signo: number): void =>
  signalProcess(task, target, signo, senderInfo(task, SI_USER));

function kill(task: GuestTask, pid: number, signo: number): number {
  if (pid === -0x8000_0000) throw sysError(errno.ESRCH);
  const { kernel, process } = task;
  if (pid > 0) {
    const target = processNamed(task, pid) ?? threadNamed(task, pid)?.process;
    if (!target) throw sysError(errno.ESRCH);
    killProcess(task, target, signo);
    return 0;
  }
  const { pidNs } = process;
  const group = pid === 0 ? process.pgid : groupNamed(task, -pid);
  const others = (p: Process): boolean =>
    p !== process && p !== kernel.init && p !== pidNs.init && pidNs.number(p.pid) !== 0;
  const targets = [...kernel.processes.values()].filter((p) => (pid === -1 ? others(p) : p.pgid === group));
  if (targets.length === 0) throw sysError(errno.ESRCH);
  checkSignal(signo);
  const allowed = targets.filter((p) => mayKill(task, p, signo));
  if (allowed.length === 0) throw sysError(errno.EPERM);
  for (const p of allowed) killProcess(task, p, signo);
  return 0;
}

/** The thread to signal; `tgid` -1 for tkill. */
function findThread(task: GuestTask, tgid: number, tid: number, signo: number): GuestTask {
  if (tid <= 0 || (tgid <= 0 && tgid !== -1)) throw sysError(errno.EINVAL);
  const target = threadNamed(task, tid);
  if (!target || (tgid !== -1 && pidSeenBy(task, target.process.pid) !== tgid)) throw sysError(errno.ESRCH);
  checkSignal(signo);
  if (!mayKill(task, target.process, signo)) throw sysError(errno.EPERM);
  return target;
}

function tgkill(task: GuestTask, tgid: number, tid: number, signo: number): number {
  if (tgid === -1) throw sysError(errno.EINVAL);
  const target = findThread(task, tgid, tid, signo);
  if (signo !== 0) sendSignal(target, signo, senderInfo(task, SI_TKILL));
  return 0;
}

function tkill(task: GuestTask, tid: number, signo: number): number {
  const target = findThread(task, -1, tid, signo);
  if (signo !== 0) sendSignal(target, signo, senderInfo(task, SI_TKILL));
  return 0;
}

/**
 * The siginfo_t of rt_sigqueueinfo, and of pidfd_send_signal, which wants its si_signo to be right (`sameSignal`): only to oneself may it look as if the kernel or
 * kill(2) had sent it.
 */
export function readQueuedInfo(
  task: GuestTask,
  pid: number,
  signo: number,
  uinfo: number,
  sameSignal = false,
): Omit<SigInfo, 'signo'> {
  const raw = task.mem.copyIn(uinfo, SIGINFO_SIZE);
  const view = new DataView(raw.buffer, raw.byteOffset);
  const code = view.getInt32(8, true);
  if (sameSignal && view.getInt32(0, true) !== signo) throw sysError(errno.EINVAL);
  if ((code >= 0 || code === SI_TKILL) && pid !== pidSeenBy(task, task.process.pid)) throw sysError(errno.EPERM);
  checkSignal(signo);
  return { code, raw, pid: task.process.pid };
}

function rtSigqueueinfo(task: GuestTask, pid: number, signo: number, uinfo: number): number {
  const info = readQueuedInfo(task, pid, signo, uinfo);
  const target = pid > 0 ? (processNamed(task, pid) ?? threadNamed(task, pid)?.process) : null;
  if (!target) throw sysError(errno.ESRCH);
  if (!mayKill(task, target, signo)) throw sysError(errno.EPERM);
  if (signo !== 0) sendSignal(target, signo, info);
  return 0;
}

function rtTgsigqueueinfo(task: GuestTask, tgid: number, tid: number, signo: number, uinfo: number): number {
  task.mem.bytes(uinfo, SIGINFO_SIZE);
  if (tid <= 0 || tgid <= 0) throw sysError(errno.EINVAL);
  const info = readQueuedInfo(task, tgid, signo, uinfo);
  const target = findThread(task, tgid, tid, signo);
  if (signo !== 0) sendSignal(target, signo, info);
  return 0;
}

export const signalRows: SyscallRow[] = [
  row('rt_sigaction', 13, 134, 'signum:signal act:instruct oldact:outstruct sigsetsize:size', rtSigaction),
  row('rt_sigprocmask', 14, 135, 'how:flags set:sigset oldset:outstruct sigsetsize:size', rtSigprocmask, {
    flagNames: { how },
  }),
  row('rt_sigreturn', 15, 139, '', rtSigreturn),
  row('rt_sigpending', 127, 136, 'set:outstruct sigsetsize:size', rtSigpending),
  row('rt_sigtimedwait', 128, 137, 'set:sigset info:outstruct timeout:timespec sigsetsize:size', rtSigtimedwait),
  row('rt_sigqueueinfo', 129, 138, 'pid:pid sig:signal info:instruct', rtSigqueueinfo),
  row('rt_tgsigqueueinfo', 297, 240, 'tgid:pid tid:pid sig:signal info:instruct', rtTgsigqueueinfo),
  row('rt_sigsuspend', 130, 133, 'mask:sigset sigsetsize:size', rtSigsuspend),
  row('sigaltstack', 131, 132, 'ss:instruct old_ss:outstruct', sigaltstack),
  row('pause', 34, null, '', pause),
  row('kill', 62, 129, 'pid:pid sig:signal', kill),
  row('tkill', 200, 130, 'tid:pid sig:signal', tkill),
  row('tgkill', 234, 131, 'tgid:pid tid:pid sig:signal', tgkill),
];
