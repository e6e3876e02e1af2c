/** Making threads and processes (clone(2); kernel/fork.c, copy_process). */
import { errno, sysError } from '../abi/errno.ts';
import type { AddressSpace } from '../mm/address-space.ts';
import { UserMemory } from '../mm/user-memory.ts';
import { PendingSignals } from '../signals/state.ts';
import { CAP_CHECKPOINT_RESTORE, CAP_SYS_ADMIN, CAP_SYS_RESOURCE } from './credentials.ts';
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

const NAMESPACES =
  f.CLONE_NEWTIME |
  f.CLONE_NEWNS |
  f.CLONE_NEWCGROUP |
  f.CLONE_NEWUTS |
  f.CLONE_NEWIPC |
  f.CLONE_NEWUSER |
  f.CLONE_NEWPID |
  f.CLONE_NEWNET;

/** kernel.pid_max. */
const PID_MAX = 4_194_304;
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
  /** clone3's set_tid: the tid asked for in each nested PID namespace, of which there is one. */
  wantedTids: readonly number[];
}

/** The combinations that make no sense, in the order of copy_process. */
function checkFlags(task: GuestTask, { flags, clearSighand }: CloneRequest): void {
  const has = (bits: number): boolean => (flags & bits) !== 0;
  const bad =
    (has(f.CLONE_FS) && has(f.CLONE_NEWNS | f.CLONE_NEWUSER)) ||
    (has(f.CLONE_THREAD) && !has(f.CLONE_SIGHAND)) ||
    (has(f.CLONE_SIGHAND) && !has(f.CLONE_VM)) ||
    (has(f.CLONE_THREAD) && has(f.CLONE_NEWUSER | f.CLONE_NEWPID)) ||
    (has(f.CLONE_PIDFD) && has(f.CLONE_DETACHED | f.CLONE_THREAD)) ||
    (clearSighand && has(f.CLONE_SIGHAND));
  if (bad) throw sysError(errno.EINVAL);
  if (has(NAMESPACES)) throw sysError(errno.EPERM);
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
  const tid = chooseTid(task, request.wantedTids);
  const sharesMemory = (flags & f.CLONE_VM) !== 0;
  const mm = sharesMemory ? task.mm : forkMemory(task);
  const cpu = machine.cloneCpu(task.cpu, task.mm, mm);
  if (request.sp !== 0) cpu.sp = request.sp;
  if (flags & f.CLONE_SETTLS) cpu.tls = request.tls;
  cpu.setResult(0);

  const process = flags & f.CLONE_THREAD ? task.process : newProcess(task, tid, request);
  if (sharesMemory && process !== task.process) mm.users++;
  if (!sharesMemory) mm.limits = process;
  const child = new GuestTask(kernel, process, tid, {
    cpu,
    mm,
    mem: sharesMemory ? task.mem : new UserMemory(mm.memory),
    files: flags & f.CLONE_FILES ? task.files : task.files.fork(process),
    fs: flags & f.CLONE_FS ? task.fs : task.fs.fork(),
    cred: task.cred.clone(),
    sighand: cloneHandlers(task, request),
    signals: cloneSignals(task, flags),
    comm: task.comm,
  });
  if (!task.schedResetOnFork) child.setScheduling(task.schedPolicy, task.rtPriority);
  child.timerSlack = task.timerSlack;
  if (flags & f.CLONE_CHILD_CLEARTID) child.clearChildTid = request.childTid;
  // As in Linux nobody hears of it when these cannot be stored.
  if (flags & f.CLONE_PARENT_SETTID) storeTid(task, request.parentTid, tid);
  if (flags & f.CLONE_CHILD_SETTID) storeTid(child, request.childTid, tid);
  if (flags & f.CLONE_PIDFD) {
    const fd = task.files.install(new PidFd(process, 0), true);
    task.mem.writeU32(request.pidfd, fd);
  }
  machine.start(child);
  return child;
}

/** As alloc_pid does: the tids asked for are judged by their number, their values, the caller's rights, and whether they are free. */
function chooseTid(task: GuestTask, wanted: readonly number[]): number {
  const { kernel } = task;
  const [tid] = wanted;
  if (tid === undefined) return kernel.allocPid();
  if (wanted.length > 1 || tid < 1 || tid >= PID_MAX) throw sysError(errno.EINVAL);
  if (!task.cred.capable(CAP_CHECKPOINT_RESTORE) && !task.cred.capable(CAP_SYS_ADMIN)) throw sysError(errno.EPERM);
  if (kernel.processes.has(tid) || kernel.tasks.has(tid)) throw sysError(errno.EEXIST);
  return tid;
}

function storeTid(task: GuestTask, address: number, tid: number): void {
  if (task.mem.accessible(address, 4, 2) >= 4) task.mem.writeU32(address, tid);
}

function forkMemory(task: GuestTask): AddressSpace {
  const memory = task.kernel.createMemory(task.mm.kept.program);
  return task.mm.fork(memory);
}

function newProcess(task: GuestTask, pid: number, request: CloneRequest): Process {
  const { process: self, kernel } = task;
  const sibling = (request.flags & f.CLONE_PARENT) !== 0;
  const process = new Process(kernel, pid, sibling ? self.parent : self, sibling ? self.ppid : self.pid);
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
