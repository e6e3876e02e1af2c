/** Making threads and processes (clone(2); kernel/fork.c, copy_process). */
import { errno, sysError } from '../abi/errno.ts';
import type { AddressSpace } from '../mm/address-space.ts';
import { UserMemory } from '../mm/user-memory.ts';
import { PendingSignals } from '../signals/state.ts';
import { moveToCopy } from '../ns/mnt.ts';
import { allocatePid, type PidNamespace, pidSeenBy, releasePid } from '../ns/pid.ts';
import { type Namespaces, newNamespaces, newUserNamespace } from '../ns/proxy.ts';
import { CAP_SYS_ADMIN, CAP_SYS_RESOURCE, type Credentials } from './credentials.ts';
import { GuestTask } from './guest-task.ts';
import { PidFd } from './pidfd.ts';
import { Process } from './process.ts';
import { RLIMIT_NPROC } from './rlimits.ts';

export const cloneFlags = {
  CLONE_NEWTIME: 0x80,
  CLONE_VM: 0x100,
  CLONE_FS: 0x200,
  CLONE_FILES: 0x400,
  CLONE_SIGHAND: 0x800,
  CLONE_PIDFD: 0x1000,
  CLONE_PTRACE: 0x2000,
  CLONE_VFORK: 0x4000,
  CLONE_PARENT: 0x8000,
  CLONE_THREAD: 0x1_0000,
  CLONE_NEWNS: 0x2_0000,
  CLONE_SYSVSEM: 0x4_0000,
  CLONE_SETTLS: 0x8_0000,
  CLONE_PARENT_SETTID: 0x10_0000,
  CLONE_CHILD_CLEARTID: 0x20_0000,
  CLONE_DETACHED: 0x40_0000,
  CLONE_UNTRACED: 0x80_0000,
  CLONE_CHILD_SETTID: 0x100_0000,
  CLONE_NEWCGROUP: 0x200_0000,
  CLONE_NEWUTS: 0x400_0000,
  CLONE_NEWIPC: 0x800_0000,
  CLONE_NEWUSER: 0x1000_0000,
  CLONE_NEWPID: 0x2000_0000,
  CLONE_NEWNET: 0x4000_0000,
  CLONE_IO: 0x8000_0000,
} as const;
const f = cloneFlags;

/** kernel.threads-max. */
const MAX_TASKS = 15_000;

export interface CloneRequest {
  /** CLONE_* without the signal and without what needs more than 32 bits. */
  flags: number;
  /** CLONE_CLEAR_SIGHAND. */
  clearSighand: boolean;
  exitSignal: number;
  /** Stack pointer of the child, 0 for the caller's. */
  sp: number;
  tls: number;
  /** Where CLONE_PARENT_SETTID, CLONE_CHILD_SETTID/CLEARTID and CLONE_PIDFD store. */
  parentTid: number;
  childTid: number;
  pidfd: number;
  /** clone3's set_tid: the tids asked for, innermost PID namespace first. */
  wantedTids: readonly number[];
}

/** The combinations that make no sense, in the order of copy_process. */
function checkFlags(task: GuestTask, { flags, clearSighand }: CloneRequest): void {
  const has = (bits: number): boolean => (flags & bits) !== 0;
  const { pidForChildren } = task.ns;
  const bad =
    (has(f.CLONE_THREAD) && pidForChildren !== task.process.pidNs) ||
    (has(f.CLONE_PARENT) && task.process.unkillable) ||
    (has(f.CLONE_NEWIPC) && has(f.CLONE_SYSVSEM)) ||
    (has(f.CLONE_FS) && has(f.CLONE_NEWNS | f.CLONE_NEWUSER)) ||
    (has(f.CLONE_THREAD) && !has(f.CLONE_SIGHAND)) ||
    (has(f.CLONE_SIGHAND) && !has(f.CLONE_VM)) ||
    (has(f.CLONE_THREAD) && has(f.CLONE_NEWUSER | f.CLONE_NEWPID)) ||
    (has(f.CLONE_PIDFD) && has(f.CLONE_DETACHED | f.CLONE_THREAD)) ||
    (clearSighand && has(f.CLONE_SIGHAND));
  if (bad) throw sysError(errno.EINVAL);
  const { kernel } = task;
  const limit = task.process.rlimits[RLIMIT_NPROC]!.soft;
  const privileged = task.cred.capable(CAP_SYS_ADMIN) || task.cred.capable(CAP_SYS_RESOURCE);
  if (kernel.tasks.size >= MAX_TASKS || (kernel.tasks.size >= limit && task.cred.uid !== 0 && !privileged))
    throw sysError(errno.EAGAIN);
}

/** Makes a thread or process as asked for and lets it run. The caller waits for CLONE_VFORK. */
export function cloneTask(task: GuestTask, request: CloneRequest): GuestTask {
  const { kernel } = task;
  const { machine } = kernel;
  if (!machine) throw sysError(errno.ENOSYS);
  checkFlags(task, request);
  const { flags } = request;
  if (flags & f.CLONE_PIDFD) task.mem.writable(request.pidfd, 4);
  const cred = flags & f.CLONE_NEWUSER ? newUserNamespace(task) : task.cred.clone();
  const ns = childNamespaces(task, flags, cred);
  const pidNs = ns.pidForChildren;
  let tid = 0;
  try {
    tid = allocatePid(kernel, pidNs, request.wantedTids, task.cred);
    return makeTask(task, request, { tid, ns, cred });
  } catch (e) {
    releasePid(kernel, pidNs, tid);
    if (ns.mnt !== task.ns.mnt) ns.mnt.abandon();
    throw e;
  }
}

/** Those of the child: a time namespace for children begins with it, or with what it executes when it shares memory. */
function childNamespaces(task: GuestTask, flags: number, cred: Credentials): Namespaces {
  const ns = newNamespaces(task, flags, cred, task.ns);
  return ns.timeForChildren !== ns.time && !(flags & f.CLONE_VM) ? { ...ns, time: ns.timeForChildren } : ns;
}

function makeTask(task: GuestTask, request: CloneRequest, own: { tid: number; ns: Namespaces; cred: Credentials }) {
  const { kernel } = task;
  const machine = kernel.machine!;
  const { tid, ns, cred } = own;
  const { flags } = request;
  const sharesMemory = (flags & f.CLONE_VM) !== 0;
  const mm = sharesMemory ? task.mm : forkMemory(task);
  const cpu = machine.cloneCpu(task.cpu, task.mm, mm);
  if (request.sp !== 0) cpu.sp = request.sp;
  if (flags & f.CLONE_SETTLS) cpu.tls = request.tls;
  cpu.setResult(0);

  const process = flags & f.CLONE_THREAD ? task.process : newProcess(task, tid, ns.pidForChildren, request);
  if (sharesMemory && process !== task.process) mm.users++;
  if (!sharesMemory) mm.limits = process;
  const child = new GuestTask(kernel, process, tid, {
    cpu,
    mm,
    mem: sharesMemory ? task.mem : new UserMemory(mm.memory, mm.window),
    files: flags & f.CLONE_FILES ? task.files : task.files.fork(process),
    fs: flags & f.CLONE_FS ? task.fs : task.fs.fork(),
    ns,
    cred,
    sighand: cloneHandlers(task, request),
    signals: cloneSignals(task, flags),
    comm: task.comm,
  });
  moveToCopy(child.fs, ns.mnt);
  if (!task.schedResetOnFork) child.setScheduling(task.schedPolicy, task.rtPriority);
  child.timerSlack = task.timerSlack;
  if (flags & f.CLONE_CHILD_CLEARTID) child.clearChildTid = request.childTid;
  // As in Linux nobody hears of it when these cannot be stored.
  if (flags & f.CLONE_PARENT_SETTID) storeTid(task, request.parentTid, pidSeenBy(task, tid));
  if (flags & f.CLONE_CHILD_SETTID) storeTid(child, request.childTid, child.ownTid);
  if (flags & f.CLONE_PIDFD) {
    const fd = task.files.install(new PidFd(process, 0), true);
    task.mem.writeU32(request.pidfd, fd);
  }
  machine.start(child);
  return child;
}

function storeTid(task: GuestTask, address: number, tid: number): void {
  if (task.mem.accessible(address, 4, 2) >= 4) task.mem.writeU32(address, tid);
}

function forkMemory(task: GuestTask): AddressSpace {
  const memory = task.kernel.createMemory(task.mm.kept.program);
  return task.mm.fork(memory);
}

function newProcess(task: GuestTask, pid: number, pidNs: PidNamespace, request: CloneRequest): Process {
  const { process: self, kernel } = task;
  const sibling = (request.flags & f.CLONE_PARENT) !== 0;
  const process = new Process(kernel, pid, sibling ? self.parent : self, sibling ? self.ppid : self.pid, pidNs);
  if (pidNs.level > 0 && pidNs.number(pid) === 1) {
    pidNs.init = process;
    process.unkillable = true;
  }
  process.inherit(self);
  process.creator = sibling ? null : task;
  process.exitSignal = sibling ? self.exitSignal : request.exitSignal;
  kernel.processes.set(pid, process);
  return process;
}

function cloneHandlers(task: GuestTask, { flags, clearSighand }: CloneRequest) {
  if (flags & f.CLONE_SIGHAND) return task.sighand;
  const copy = task.sighand.fork();
  if (clearSighand) copy.resetForExec();
  return copy;
}

/** The mask is inherited, pending signals are not; a thread with its own stack has no alternate one (sigaltstack(2)). */
function cloneSignals(task: GuestTask, flags: number): PendingSignals {
  const signals = new PendingSignals();
  signals.blocked = task.signals.blocked.clone();
  const ownStack = (flags & (f.CLONE_VM | f.CLONE_VFORK)) === f.CLONE_VM;
  if (!ownStack) signals.altStack = { ...task.signals.altStack };
  return signals;
}
