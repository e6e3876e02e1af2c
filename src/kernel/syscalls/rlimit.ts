/** Resource limits (getrlimit(2)). */
import { errno, sysError } from '../abi/errno.ts';
import { CAP_SYS_RESOURCE } from '../task/credentials.ts';
import type { GuestTask } from '../task/guest-task.ts';
import type { Process } from '../task/process.ts';
import { RLIM_NLIMITS, RLIMIT_NOFILE, type Rlimit } from '../task/rlimits.ts';
import { guestRow as row } from './guest-row.ts';
import type { SyscallRow } from './row.ts';
import { threadNamed } from '../ns/pid.ts';

const names = {
  RLIMIT_CPU: 0,
  RLIMIT_FSIZE: 1,
  RLIMIT_DATA: 2,
  RLIMIT_STACK: 3,
  RLIMIT_CORE: 4,
  RLIMIT_RSS: 5,
  RLIMIT_NPROC: 6,
  RLIMIT_NOFILE: 7,
  RLIMIT_MEMLOCK: 8,
  RLIMIT_AS: 9,
  RLIMIT_LOCKS: 10,
  RLIMIT_SIGPENDING: 11,
  RLIMIT_MSGQUEUE: 12,
  RLIMIT_NICE: 13,
  RLIMIT_RTPRIO: 14,
  RLIMIT_RTTIME: 15,
};
/** sysctl fs.nr_open: no process may have more descriptors. */
const NR_OPEN = 1_048_576;
const INFINITY = 2 ** 64 - 1;

/** Values above 2^53 are kept as unlimited or nearly so; nothing tells them apart. */
function readLimit(task: GuestTask, addr: number): number {
  const v = task.mem.readU64(addr);
  return v >= INFINITY ? Infinity : v;
}

function writeLimit(task: GuestTask, addr: number, value: number): void {
  task.mem.writeBigU64(addr, value === Infinity ? 0xffff_ffff_ffff_ffffn : BigInt(value));
}

function readRlimit(task: GuestTask, addr: number): Rlimit {
  task.mem.bytes(addr, 16);
  return { soft: readLimit(task, addr), hard: readLimit(task, addr + 8) };
}

function writeRlimit(task: GuestTask, addr: number, r: Rlimit): void {
  task.mem.writable(addr, 16);
  writeLimit(task, addr, r.soft);
  writeLimit(task, addr + 8, r.hard);
}

/** do_prlimit: checks and sets, returns the old limit. */
function change(task: GuestTask, target: Process, resource: number, next: Rlimit | null): Rlimit {
  if (resource >= RLIM_NLIMITS) throw sysError(errno.EINVAL);
  const old = target.rlimits[resource]!;
  if (next) {
    if (next.soft > next.hard) throw sysError(errno.EINVAL);
    if (resource === RLIMIT_NOFILE && next.hard > NR_OPEN) throw sysError(errno.EPERM);
    if (next.hard > old.hard && !task.cred.capable(CAP_SYS_RESOURCE)) throw sysError(errno.EPERM);
    target.rlimits[resource] = next;
  }
  return old;
}

function getrlimit(task: GuestTask, resource: number, rlim: number): number {
  writeRlimit(task, rlim, change(task, task.process, resource, null));
  return 0;
}

function setrlimit(task: GuestTask, resource: number, rlim: number): number {
  change(task, task.process, resource, readRlimit(task, rlim));
  return 0;
}

function prlimit64(task: GuestTask, pid: number, resource: number, newLimit: number, oldLimit: number): number {
  const next = newLimit === 0 ? null : readRlimit(task, newLimit);
  const target = pid === 0 ? task : threadNamed(task, pid);
  if (!target) throw sysError(errno.ESRCH);
  if (target.process !== task.process && !sameUser(task, target)) throw sysError(errno.EPERM);
  const old = change(task, target.process, resource, next);
  if (oldLimit !== 0) writeRlimit(task, oldLimit, old);
  return 0;
}

/** check_prlimit_permission: all ids of the target are the caller's real ones, or CAP_SYS_RESOURCE. */
function sameUser(task: GuestTask, target: GuestTask): boolean {
  const { uid, gid } = task.cred;
  const t = target.cred;
  const same = [t.uid, t.euid, t.suid].every((id) => id === uid) && [t.gid, t.egid, t.sgid].every((id) => id === gid);
  return same || task.cred.capable(CAP_SYS_RESOURCE);
}

const named = { flagNames: { resource: names } };

export const rlimitRows: SyscallRow[] = [
  row('getrlimit', 97, 163, 'resource:flags rlim:outstruct', getrlimit, named),
  row('setrlimit', 160, 164, 'resource:flags rlim:instruct', setrlimit, named),
  row('prlimit64', 302, 261, 'pid:pid resource:flags new_limit:instruct old_limit:outstruct', prlimit64, named),
];
