/** fork(2), vfork(2), clone(2), clone3(2). */
import { errno, sysError } from '../abi/errno.ts';
import { NSIG, SIGCHLD } from '../abi/signals.ts';
import { cloneFlags, type CloneRequest, cloneTask } from '../task/clone.ts';
import type { GuestTask } from '../task/guest-task.ts';
import { guestRow as row } from './guest-row.ts';
import type { SyscallRow } from './row.ts';
import { pidSeenBy } from '../ns/pid.ts';

const f = cloneFlags;
const CSIGNAL = 0xff;
const TWO32 = 0x1_0000_0000;
/** Bits 32 and 33 of clone3's flags. */
const CLEAR_SIGHAND = 1;
const INTO_CGROUP = 2;
/** CLONE_ARGS_SIZE_VER0. */
const CLONE_ARGS_MIN = 64;
const PAGE = 4096;

const nothing = { clearSighand: false, wantedTids: [], sp: 0, tls: 0, parentTid: 0, childTid: 0, pidfd: 0 };

/** The result in the parent: the tid, with CLONE_VFORK once the child has its own memory or is gone. */
function doClone(task: GuestTask, request: CloneRequest): number | Promise<number> {
  const child = cloneTask(task, request);
  const { process } = child;
  // Once it has gone it has no number.
  const tid = pidSeenBy(task, child.tid);
  if (!(request.flags & f.CLONE_VFORK)) return tid;
  const { vfork } = child;
  return task.waitKillable([vfork.done], () => vfork.released || process.exitStatus !== null).then(() => tid);
}

function fork(task: GuestTask): number | Promise<number> {
  return doClone(task, { ...nothing, flags: 0, exitSignal: SIGCHLD });
}

function vfork(task: GuestTask): number | Promise<number> {
  return doClone(task, { ...nothing, flags: f.CLONE_VM | f.CLONE_VFORK, exitSignal: SIGCHLD });
}

/** The last two arguments change places on AArch64 (CONFIG_CLONE_BACKWARDS). */
function clone(task: GuestTask, word: number, stack: number, parentTid: number, fourth: number, fifth: number) {
  const flags = ((word % TWO32) & ~CSIGNAL) >>> 0;
  const x86 = task.cpu.isa === 'x86_64';
  // Here the descriptor goes where the parent's tid would.
  if (flags & f.CLONE_PIDFD && flags & f.CLONE_PARENT_SETTID) throw sysError(errno.EINVAL);
  return doClone(task, {
    ...nothing,
    flags,
    exitSignal: word & CSIGNAL,
    sp: stack,
    parentTid,
    pidfd: parentTid,
    childTid: x86 ? fourth : fifth,
    tls: x86 ? fifth : fourth,
  });
}

/** struct clone_args: flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls, set_tid, set_tid_size, cgroup. */
function clone3(task: GuestTask, address: number, size: number): number | Promise<number> {
  if (size > PAGE) throw sysError(errno.E2BIG);
  if (size < CLONE_ARGS_MIN) throw sysError(errno.EINVAL);
  const bytes = task.mem.copyIn(address, size);
  const known = 88;
  if (bytes.subarray(known).some((b) => b !== 0)) throw sysError(errno.E2BIG);
  const view = new DataView(bytes.buffer, bytes.byteOffset, size);
  const u64 = (i: number): number =>
    i * 8 + 8 > size ? 0 : view.getUint32(i * 8 + 4, true) * TWO32 + view.getUint32(i * 8, true);
  const high = size >= 8 ? view.getUint32(4, true) : 0;
  const flags = view.getUint32(0, true);
  const exitSignal = u64(4);
  const stack = u64(5);
  const stackSize = u64(6);
  const setTid = u64(8);
  const setTidSize = u64(9);
  if (setTidSize > 32 || (setTid === 0) !== (setTidSize === 0)) throw sysError(errno.EINVAL);
  if (exitSignal > NSIG) throw sysError(errno.EINVAL);
  const unknown = (high & ~(CLEAR_SIGHAND | INTO_CGROUP)) !== 0;
  if (unknown || flags & (f.CLONE_DETACHED | (CSIGNAL & ~f.CLONE_NEWTIME))) throw sysError(errno.EINVAL);
  if (flags & (f.CLONE_THREAD | f.CLONE_PARENT) && exitSignal !== 0) throw sysError(errno.EINVAL);
  if ((stack === 0) !== (stackSize === 0)) throw sysError(errno.EINVAL);
  const wanted: number[] = [];
  for (let i = 0; i < setTidSize; i++) wanted.push(task.mem.readI32(setTid + 4 * i));
  if (high & INTO_CGROUP) throw sysError(errno.EBADF);
  return doClone(task, {
    flags,
    wantedTids: wanted,
    clearSighand: (high & CLEAR_SIGHAND) !== 0,
    exitSignal,
    sp: stack + stackSize,
    pidfd: u64(1),
    childTid: u64(2),
    parentTid: u64(3),
    tls: u64(7),
  });
}

const flagNames = { flags: cloneFlags };

export const cloneRows: SyscallRow[] = [
  row('fork', 57, null, '', fork),
  row('vfork', 58, null, '', vfork),
  row('clone', 56, 220, 'flags:flags stack:ptr parent_tid:ptr child_tid:ptr tls:ptr', clone, {
    flagNames,
  }),
  row('clone3', 435, 435, 'cl_args:instruct size:size', clone3, {
    support: 'partial',
    note: 'no control groups: EBADF',
  }),
];
