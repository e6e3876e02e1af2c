/** Process identity, exit and waiting (man-pages: getpid, _exit, wait, setpgid, setsid). */
import { errno, sysError } from '../abi/errno.ts';
import { CLD_CONTINUED, CLD_DUMPED, CLD_EXITED, CLD_KILLED, CLD_STOPPED, SIGCHLD, SIGCONT } from '../abi/signals.ts';
import { SIGINFO_SIZE } from '../abi/siginfo.ts';
import { encodeRusage } from '../abi/time-structs.ts';
import type { GuestTask } from '../task/guest-task.ts';
import { waitStatus } from '../task/exit-status.ts';
import { PidFd } from '../task/pidfd.ts';
import type { Process } from '../task/process.ts';
import { guestRow as row } from './guest-row.ts';
import type { SyscallRow } from './row.ts';
import { groupNamed, pidSeenBy, processNamed, releasePid } from '../ns/pid.ts';

const WNOHANG = 1;
const WUNTRACED = 2;
const WEXITED = 4;
const WCONTINUED = 8;
const WNOWAIT = 0x0100_0000;
const WNOTHREAD = 0x2000_0000;
const WALL = 0x4000_0000;
const WCLONE = 0x8000_0000;
const LINUX_WAIT_FLAGS = WNOTHREAD | WALL | WCLONE;

const waitNames = {
  WNOHANG,
  WSTOPPED: WUNTRACED,
  WEXITED,
  WCONTINUED,
  WNOWAIT,
  __WNOTHREAD: WNOTHREAD,
  __WALL: WALL,
  __WCLONE: WCLONE,
};
const idTypes = { P_ALL: 0, P_PID: 1, P_PGID: 2, P_PIDFD: 3 };

function exit(task: GuestTask, code: number): number {
  task.exit(code);
  return 0;
}

function exitGroup(task: GuestTask, code: number): number {
  task.process.exitGroup({ kind: 'exited', code: code & 0xff });
  return 0;
}

/** What a wait looks for and how. */
interface WaitFor {
  readonly matches: (child: Process) => boolean;
  readonly options: number;
}

interface WaitFound {
  readonly child: Process;
  /** As the caller knows it: once reaped, it has no number. */
  readonly pid: number;
  /** CLD_*. */
  readonly code: number;
  /** si_status: exit code or signal. */
  readonly value: number;
  /** As waitpid(2) stores it. */
  readonly word: number;
}

/** The first child with something to report; `undefined` when no child matches at all. */
function look(process: Process, w: WaitFor): WaitFound | null | undefined {
  let any = false;
  for (const child of process.children.values()) {
    if (!w.matches(child) || !isOfKind(child, w.options)) continue;
    any = true;
    const pid = process.pidNs.number(child.pid);
    if (child.exitStatus && w.options & WEXITED) {
      const s = child.exitStatus;
      const code = s.kind === 'exited' ? CLD_EXITED : s.core ? CLD_DUMPED : CLD_KILLED;
      return { child, pid, code, value: s.kind === 'exited' ? s.code : s.signal, word: waitStatus(s) };
    }
    if (child.unreported === 'stopped' && w.options & WUNTRACED) {
      return { child, pid, code: CLD_STOPPED, value: child.stopSignal, word: (child.stopSignal << 8) | 0x7f };
    }
    if (child.unreported === 'continued' && w.options & WCONTINUED) {
      return { child, pid, code: CLD_CONTINUED, value: SIGCONT, word: 0xffff };
    }
  }
  return any ? null : undefined;
}

/** Children made by clone(2) with another signal than SIGCHLD are only for those who ask for them (wait(2), __WCLONE). */
function isOfKind(child: Process, options: number): boolean {
  if (options & WALL) return true;
  return (child.exitSignal !== SIGCHLD) === ((options & WCLONE) !== 0);
}

function reap(process: Process, found: WaitFound): void {
  const { child } = found;
  if (found.code === CLD_STOPPED || found.code === CLD_CONTINUED) {
    child.unreported = null;
    return;
  }
  process.children.delete(child.pid);
  process.childrenCpuTime += child.cpuTime + child.childrenCpuTime;
  process.childrenMaxRss = Math.max(process.childrenMaxRss, child.maxRss, child.childrenMaxRss);
  process.kernel.forget(child);
}

/** What wait4(2) tells of the resources of a child and the children it has waited for. */
function childRusage(child: Process): Uint8Array {
  const utime = child.cpuTime + child.childrenCpuTime;
  return encodeRusage({ utime, stime: 0, maxrss: Math.max(child.maxRss, child.childrenMaxRss) / 1024 });
}

/** Waits as told; null for WNOHANG with nothing to report. Throws ECHILD, ERESTARTSYS. */
async function waitForChild(task: GuestTask, w: WaitFor): Promise<WaitFound | null> {
  const { process } = task;
  for (;;) {
    const found = look(process, w);
    if (found === undefined) throw sysError(errno.ECHILD);
    if (found) {
      if (!(w.options & WNOWAIT)) reap(process, found);
      return found;
    }
    if (w.options & WNOHANG) return null;
    task.waitingFor = 'child';
    const result = await task.wait([process.childWaiters], () => look(process, w) !== null, null);
    task.waitingFor = null;
    if (result === 'signal') throw sysError(errno.ERESTARTSYS);
  }
}

function matcher(process: Process, pid: number): (child: Process) => boolean {
  if (pid === -1) return () => true;
  if (pid > 0) {
    const initial = process.pidNs.initial(pid);
    return (c) => c.pid === initial;
  }
  const group = pid === 0 ? process.pgid : process.pidNs.initial(-pid) || -1;
  return (c) => c.pgid === group;
}

function wait4(
  task: GuestTask,
  pid: number,
  status: number,
  options: number,
  rusage: number,
): number | Promise<number> {
  if (options & ~(WNOHANG | WUNTRACED | WCONTINUED | LINUX_WAIT_FLAGS)) throw sysError(errno.EINVAL);
  if (pid === -0x8000_0000) throw sysError(errno.ESRCH);
  if (task.process.children.size === 0) throw sysError(errno.ECHILD);
  const w = { matches: matcher(task.process, pid), options: options | WEXITED };
  return waitForChild(task, w).then((found) => {
    if (!found) return 0;
    if (status !== 0) task.mem.writeU32(status, found.word);
    if (rusage !== 0) task.mem.copyOut(rusage, childRusage(found.child));
    return found.pid;
  });
}

/** The fields of siginfo_t that waitid stores, whether it finds a child, none, or fails. */
function writeWaitInfo(task: GuestTask, info: number, found: WaitFound | null): void {
  const out = task.mem.copyIn(info, SIGINFO_SIZE);
  const view = new DataView(out.buffer, out.byteOffset);
  const uid = found?.child.leader?.cred.uid ?? found?.child.uid ?? 0;
  const fields = found
    ? [SIGCHLD, 0, found.code, found.pid, task.cred.userNs.shown('uid', uid), found.value]
    : [0, 0, 0, 0, 0, 0];
  for (const [i, at] of [0, 4, 8, 16, 20, 24].entries()) view.setInt32(at, fields[i]! | 0, true);
  task.mem.copyOut(info, out);
}

/** waitid on a descriptor with PIDFD_NONBLOCK does not wait. */
const isNonblockingPidfd = (task: GuestTask, idType: number, id: number): boolean =>
  idType === idTypes.P_PIDFD && task.files.get(id).nonblocking;

async function waitid(
  task: GuestTask,
  idType: number,
  id: number,
  info: number,
  options: number,
  rusage: number,
): Promise<number> {
  let found: WaitFound | null = null;
  try {
    const target = waitidTarget(task, idType, id, options);
    const atOnce = isNonblockingPidfd(task, idType, id) && !(options & WNOHANG);
    found = await waitForChild(task, atOnce ? { ...target, options: target.options | WNOHANG } : target);
    if (!found && atOnce) return -errno.EAGAIN;
  } catch (e) {
    if (info !== 0) writeWaitInfo(task, info, null);
    throw e;
  }
  if (rusage !== 0 && found) task.mem.copyOut(rusage, childRusage(found.child));
  if (info !== 0) writeWaitInfo(task, info, found);
  return 0;
}

function waitidTarget(task: GuestTask, idType: number, id: number, options: number): WaitFor {
  const known = WNOHANG | WNOWAIT | WEXITED | WUNTRACED | WCONTINUED | LINUX_WAIT_FLAGS;
  if (options & ~known || !(options & (WEXITED | WUNTRACED | WCONTINUED))) throw sysError(errno.EINVAL);
  return { matches: idMatcher(task, idType, id), options };
}

function idMatcher(task: GuestTask, idType: number, id: number): (child: Process) => boolean {
  switch (idType) {
    case idTypes.P_ALL:
      return () => true;
    case idTypes.P_PID:
      if (id <= 0) throw sysError(errno.EINVAL);
      return matcher(task.process, id);
    case idTypes.P_PGID:
      if (id < 0) throw sysError(errno.EINVAL);
      return matcher(task.process, id === 0 ? 0 : -id);
    case idTypes.P_PIDFD: {
      if (id < 0) throw sysError(errno.EINVAL);
      const file = task.files.get(id);
      if (!(file instanceof PidFd)) throw sysError(errno.EBADF);
      return (c) => c === file.process;
    }
    default:
      throw sysError(errno.EINVAL);
  }
}

/** A process by pid, 0 meaning the caller. Throws ESRCH. */
function processOrSelf(task: GuestTask, pid: number): Process {
  const found = pid === 0 ? task.process : processNamed(task, pid);
  if (!found) throw sysError(errno.ESRCH);
  return found;
}

function setpgid(task: GuestTask, pid: number, pgid: number): number {
  if (pgid < 0) throw sysError(errno.EINVAL);
  const self = task.process;
  const target = processOrSelf(task, pid);
  const group = pgid === 0 ? target.pid : groupNamed(task, pgid);
  if (target.parent === self && target !== self) {
    if (target.sid !== self.sid) throw sysError(errno.EPERM);
    if (target.execed) throw sysError(errno.EACCES);
  } else if (target !== self) throw sysError(errno.ESRCH);
  if (target.sid === target.pid) throw sysError(errno.EPERM);
  if (group !== target.pid) {
    const exists = [...task.kernel.processes.values()].some((p) => p.pgid === group && p.sid === self.sid);
    if (!exists) throw sysError(errno.EPERM);
  }
  const old = target.pgid;
  target.pgid = group;
  releasePid(task.kernel, target.pidNs, old);
  return 0;
}

function setsid(task: GuestTask): number {
  const self = task.process;
  if ([...task.kernel.processes.values()].some((p) => p.pgid === self.pid)) throw sysError(errno.EPERM);
  const old = [self.pgid, self.sid];
  self.sid = self.pid;
  self.pgid = self.pid;
  self.ttyDev = 0;
  for (const pid of old) releasePid(task.kernel, self.pidNs, pid);
  return pidSeenBy(task, self.sid);
}

export const processRows: SyscallRow[] = [
  row('exit', 60, 93, 'status:int', exit),
  row('exit_group', 231, 94, 'status:int', exitGroup),
  row('wait4', 61, 260, 'pid:pid wstatus:ptr options:flags rusage:outstruct', wait4, {
    flagNames: { options: waitNames },
  }),
  row('waitid', 247, 95, 'idtype:flags id:pid infop:outstruct options:flags rusage:outstruct', waitid, {
    flagNames: { idtype: idTypes, options: waitNames },
  }),
  row('getpid', 39, 172, '', (task) => pidSeenBy(task, task.process.pid)),
  row('gettid', 186, 178, '', (task) => task.ownTid),
  row('getppid', 110, 173, '', (task) => pidSeenBy(task, task.process.ppid)),
  row('getpgrp', 111, null, '', (task) => pidSeenBy(task, task.process.pgid)),
  row('getpgid', 121, 155, 'pid:pid', (task, pid: number) => pidSeenBy(task, processOrSelf(task, pid).pgid)),
  row('setpgid', 109, 154, 'pid:pid pgid:pid', setpgid),
  row('getsid', 124, 156, 'pid:pid', (task, pid: number) => pidSeenBy(task, processOrSelf(task, pid).sid)),
  row('setsid', 112, 157, '', setsid),
  row('set_tid_address', 218, 96, 'tidptr:ptr', (task, tidptr: number) => {
    task.clearChildTid = tidptr;
    return task.ownTid;
  }),
];
