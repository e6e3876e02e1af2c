/** Scheduling (sched(7)). All guest threads share one host thread: the guest has one CPU, number 0. */
import { errno, sysError } from '../abi/errno.ts';
import { writeTimespec } from '../abi/time-structs.ts';
import { CAP_SYS_NICE } from '../task/credentials.ts';
import type { GuestTask } from '../task/guest-task.ts';
import type { Process } from '../task/process.ts';
import { RLIMIT_NICE, RLIMIT_RTPRIO } from '../task/rlimits.ts';
import { guestRow as row } from './guest-row.ts';
import type { SyscallRow } from './row.ts';
import { groupNamed, pidSeenBy, threadNamed } from '../ns/pid.ts';

const policies = { SCHED_OTHER: 0, SCHED_FIFO: 1, SCHED_RR: 2, SCHED_BATCH: 3, SCHED_IDLE: 5, SCHED_DEADLINE: 6 };
const SCHED_RESET_ON_FORK = 0x4000_0000;
const whichNames = { PRIO_PROCESS: 0, PRIO_PGRP: 1, PRIO_USER: 2 };

/** sched_yield lets the event loop take a turn: another thread, a timer or a signal may be due. */
const schedYield = (): Promise<number> => new Promise((resolve) => setImmediate(resolve, 0));

function threadOrSelf(task: GuestTask, pid: number): GuestTask {
  const found = pid === 0 ? task : threadNamed(task, pid);
  if (!found) throw sysError(errno.ESRCH);
  return found;
}

function schedGetaffinity(task: GuestTask, pid: number, size: number, mask: number): number {
  // One CPU needs one bit, in whole words.
  if (size < 8 || size % 8 !== 0) throw sysError(errno.EINVAL);
  threadOrSelf(task, pid);
  task.mem.writeU64(mask, 1);
  return 8;
}

function schedSetaffinity(task: GuestTask, pid: number, size: number, mask: number): number {
  const bytes = task.mem.bytes(mask, Math.min(size, 8));
  const hasCpu0 = bytes.length > 0 && (bytes[0]! & 1) === 1;
  threadOrSelf(task, pid);
  if (!hasCpu0) throw sysError(errno.EINVAL);
  return 0;
}

function schedGetparam(task: GuestTask, pid: number, param: number): number {
  if (pid < 0 || param === 0) throw sysError(errno.EINVAL);
  task.mem.writeU32(param, threadOrSelf(task, pid).rtPriority);
  return 0;
}

/** SCHED_OTHER, BATCH and IDLE have priority 0; they are all the same here. */
function checkPolicy(task: GuestTask, target: GuestTask, policy: number, priority: number): void {
  const realtime = policy === policies.SCHED_FIFO || policy === policies.SCHED_RR;
  const normal = policy === policies.SCHED_OTHER || policy === policies.SCHED_BATCH || policy === policies.SCHED_IDLE;
  if (!realtime && !normal) throw sysError(errno.EINVAL);
  if (realtime ? priority < 1 || priority > 99 : priority !== 0) throw sysError(errno.EINVAL);
  if (task.cred.capableIn(target.cred.userNs, CAP_SYS_NICE)) return;
  const { euid } = task.cred;
  if (euid !== target.cred.euid && euid !== target.cred.uid) throw sysError(errno.EPERM);
  if (!realtime) return;
  const limit = target.process.rlimits[RLIMIT_RTPRIO]!.soft;
  if (policy !== target.schedPolicy && limit === 0) throw sysError(errno.EPERM);
  if (priority > target.rtPriority && priority > limit) throw sysError(errno.EPERM);
}

function schedSetparam(task: GuestTask, pid: number, param: number): number {
  if (pid < 0 || param === 0) throw sysError(errno.EINVAL);
  const priority = task.mem.readI32(param);
  const target = threadOrSelf(task, pid);
  checkPolicy(task, target, target.schedPolicy, priority);
  target.setScheduling(target.schedPolicy, priority);
  return 0;
}

function schedSetscheduler(task: GuestTask, pid: number, policy: number, param: number): number {
  if (policy < 0 || pid < 0 || param === 0) throw sysError(errno.EINVAL);
  const priority = task.mem.readI32(param);
  const target = threadOrSelf(task, pid);
  const bare = policy & ~SCHED_RESET_ON_FORK;
  const reset = (policy & SCHED_RESET_ON_FORK) !== 0;
  checkPolicy(task, target, bare, priority);
  if (target.schedResetOnFork && !reset && !task.cred.capable(CAP_SYS_NICE)) throw sysError(errno.EPERM);
  target.setScheduling(bare, priority);
  target.schedResetOnFork = reset;
  return 0;
}

function schedGetscheduler(task: GuestTask, pid: number): number {
  if (pid < 0) throw sysError(errno.EINVAL);
  const { schedPolicy, schedResetOnFork } = threadOrSelf(task, pid);
  return schedPolicy | (schedResetOnFork ? SCHED_RESET_ON_FORK : 0);
}

function priorityLimit(policy: number, realtimeValue: number): number {
  if (policy === policies.SCHED_FIFO || policy === policies.SCHED_RR) return realtimeValue;
  if (policy >= 0 && policy <= 6 && policy !== 4) return 0;
  throw sysError(errno.EINVAL);
}

function schedRrGetInterval(task: GuestTask, pid: number, tp: number): number {
  if (pid < 0) throw sysError(errno.EINVAL);
  const fifo = threadOrSelf(task, pid).schedPolicy === policies.SCHED_FIFO;
  writeTimespec(task.mem, tp, 0, fifo ? 0 : 4_000_000);
  return 0;
}

/** Processes that `which` and `who` of getpriority(2) mean. */
function selected(task: GuestTask, which: number, who: number): Process[] {
  const all = [...task.kernel.processes.values()].filter((p) => p.exitStatus === null && pidSeenBy(task, p.pid) !== 0);
  const { process, cred } = task;
  let found: Process[];
  if (which === whichNames.PRIO_PROCESS) {
    const target = who === 0 ? process : threadNamed(task, who)?.process;
    found = target ? [target] : [];
  } else if (which === whichNames.PRIO_PGRP) {
    const group = who === 0 ? process.pgid : groupNamed(task, who);
    found = all.filter((p) => p.pgid === group);
  } else if (which === whichNames.PRIO_USER) {
    found = all.filter((p) => p.leader?.cred.uid === (who === 0 ? cred.uid : who >>> 0));
  } else throw sysError(errno.EINVAL);
  if (found.length === 0) throw sysError(errno.ESRCH);
  return found;
}

/** The raw call returns 20 - nice, so that no value looks like an error. */
const getpriority = (task: GuestTask, which: number, who: number): number =>
  20 - Math.min(...selected(task, which, who).map((p) => p.nice));

function setpriority(task: GuestTask, which: number, who: number, prio: number): number {
  const nice = Math.max(-20, Math.min(19, prio));
  for (const p of selected(task, which, who)) {
    const lowest = 20 - p.rlimits[RLIMIT_NICE]!.soft;
    if (nice < p.nice && nice < lowest && !task.cred.capable(CAP_SYS_NICE)) throw sysError(errno.EACCES);
    p.nice = nice;
  }
  return 0;
}

const IOPRIO_WHO_PROCESS = 1;

function ioprioTarget(task: GuestTask, which: number, who: number): Process {
  if (which < 1 || which > 3) throw sysError(errno.EINVAL);
  // IOPRIO_WHO_* are PRIO_* plus one.
  if (which !== IOPRIO_WHO_PROCESS) return selected(task, which - 1, who)[0]!;
  const target = who === 0 ? task.process : threadNamed(task, who)?.process;
  if (!target) throw sysError(errno.ESRCH);
  return target;
}

function ioprioSet(task: GuestTask, which: number, who: number, ioprio: number): number {
  const ioClass = (ioprio >> 13) & 7;
  const level = ioprio & 0x1fff;
  if (ioClass > 3 || level > 7 || (ioClass === 0 && level !== 0)) throw sysError(errno.EINVAL);
  if (ioClass === 1 && !task.cred.capable(CAP_SYS_NICE)) throw sysError(errno.EPERM);
  ioprioTarget(task, which, who).ioprio = ioprio & 0xffff;
  return 0;
}

export function getcpu(task: GuestTask, cpu: number, node: number): number {
  if (cpu !== 0) task.mem.writeU32(cpu, 0);
  if (node !== 0) task.mem.writeU32(node, 0);
  return 0;
}

/** struct sched_attr, first published size 48. */
function schedGetattr(task: GuestTask, pid: number, attr: number, size: number, flags: number): number {
  if (attr === 0 || pid < 0 || size < 48 || size > 4096 || flags !== 0) throw sysError(errno.EINVAL);
  const target = threadOrSelf(task, pid);
  const out = new Uint8Array(Math.min(size, 56));
  const view = new DataView(out.buffer);
  view.setUint32(0, out.length, true);
  view.setUint32(4, target.schedPolicy, true);
  view.setUint32(8, target.schedResetOnFork ? 1 : 0, true);
  view.setInt32(16, target.rtPriority > 0 ? 0 : target.process.nice, true);
  view.setUint32(20, target.rtPriority, true);
  if (out.length >= 56) view.setUint32(52, 1024, true);
  task.mem.copyOut(attr, out);
  return 0;
}

const policyFlag = { flagNames: { policy: policies } };

export const schedRows: SyscallRow[] = [
  row('sched_yield', 24, 124, '', schedYield),
  row('sched_getaffinity', 204, 123, 'pid:pid cpusetsize:uint mask:outstruct', schedGetaffinity, { note: 'one CPU' }),
  row('sched_setaffinity', 203, 122, 'pid:pid cpusetsize:uint mask:instruct', schedSetaffinity, {
    note: 'the mask must have CPU 0',
  }),
  row('sched_getparam', 143, 121, 'pid:pid param:outstruct', schedGetparam),
  row('sched_setparam', 142, 118, 'pid:pid param:instruct', schedSetparam),
  row('sched_getscheduler', 145, 120, 'pid:pid', schedGetscheduler),
  row('sched_setscheduler', 144, 119, 'pid:pid policy:int param:instruct', schedSetscheduler, {
    ...policyFlag,
    note: 'real-time threads run before the others; the policies of those are all alike',
  }),
  row(
    'sched_get_priority_max',
    146,
    125,
    'policy:int',
    (_task, policy: number) => priorityLimit(policy, 99),
    policyFlag,
  ),
  row(
    'sched_get_priority_min',
    147,
    126,
    'policy:int',
    (_task, policy: number) => priorityLimit(policy, 1),
    policyFlag,
  ),
  row('sched_rr_get_interval', 148, 127, 'pid:pid tp:outstruct', schedRrGetInterval),
  row('sched_getattr', 315, 275, 'pid:pid attr:outstruct size:uint flags:uint', schedGetattr),
  row('getpriority', 140, 141, 'which:flags who:int', getpriority, { flagNames: { which: whichNames } }),
  row('setpriority', 141, 140, 'which:flags who:int prio:int', setpriority, {
    flagNames: { which: whichNames },
    note: 'kept and reported; it changes no scheduling',
  }),
  row(
    'ioprio_get',
    252,
    31,
    'which:int who:int',
    (task, which: number, who: number) => ioprioTarget(task, which, who).ioprio,
  ),
  row('ioprio_set', 251, 30, 'which:int who:int ioprio:int', ioprioSet, { note: 'kept and reported; without effect' }),
  row('getcpu', 309, 168, 'cpu:ptr node:ptr tcache:ptr', getcpu),
];
