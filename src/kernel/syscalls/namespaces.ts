/** unshare(2) and setns(2). */
import { errno, sysError } from '../abi/errno.ts';
import { FsContext } from '../fs/fs-context.ts';
import { crossMounts } from '../fs/namei.ts';
import { IpcNamespace } from '../ipc/namespace.ts';
import { MountNamespace, moveToCopy } from '../ns/mnt.ts';
import { CLONE_NAMESPACES, type Namespace, NS_FLAGS, type NsKind } from '../ns/namespace.ts';
import { NetNamespace } from '../ns/net.ts';
import { NsFile } from '../ns/nsfs.ts';
import { PidNamespace } from '../ns/pid.ts';
import {
  CgroupNamespace,
  enterUserNamespace,
  namespaceOf,
  type Namespaces,
  newNamespaces,
  newUserNamespace,
  TimeNamespace,
} from '../ns/proxy.ts';
import { UserNamespace } from '../ns/user.ts';
import { UtsNamespace } from '../ns/uts.ts';
import { cloneFlags } from '../task/clone.ts';
import { CAP_SYS_ADMIN, CAP_SYS_CHROOT, type Credentials } from '../task/credentials.ts';
import type { GuestTask } from '../task/guest-task.ts';
import { PidFd } from '../task/pidfd.ts';
import { mayInspect } from '../task/ptrace-access.ts';
import { guestRow as row } from './guest-row.ts';
import type { SyscallRow } from './row.ts';

const f = cloneFlags;

function unshare(task: GuestTask, asked: number): number {
  const sharing = f.CLONE_THREAD | f.CLONE_SIGHAND | f.CLONE_VM;
  if (asked & ~(f.CLONE_FS | f.CLONE_FILES | f.CLONE_SYSVSEM | sharing | CLONE_NAMESPACES))
    throw sysError(errno.EINVAL);
  let flags = asked;
  if (flags & f.CLONE_NEWUSER) flags |= f.CLONE_THREAD | f.CLONE_FS;
  if (flags & f.CLONE_NEWNS) flags |= f.CLONE_FS;
  if (flags & sharing && task.process.tasks.size > 1) throw sysError(errno.EINVAL);
  const cred = flags & f.CLONE_NEWUSER ? newUserNamespace(task) : task.cred;
  const next = newNamespaces(task, flags, cred, task.ns);
  task.cred = cred;
  if (flags & f.CLONE_FILES) task.files = unsharedCopy(task, task.files, (t) => t.files);
  if (flags & f.CLONE_FS) task.fs = unsharedCopy(task, task.fs, (t) => t.fs);
  if (next !== task.ns) {
    moveToCopy(task.fs, next.mnt);
    task.enterNamespaces(next);
  }
  return 0;
}

/** A copy when another thread uses the object, else the object itself. */
function unsharedCopy<T extends { fork(): T }>(task: GuestTask, own: T, of: (t: GuestTask) => T): T {
  for (const other of task.kernel.tasks.values()) if (other !== task && of(other) === own) return own.fork();
  return own;
}

/** What setns changes, all of it at the end or nothing. */
interface Change {
  cred: Credentials;
  ns: { -readonly [K in keyof Namespaces]: Namespaces[K] };
  fs: FsContext | null;
}

/** The order in which namespaces are joined: with the user namespace come the rights to the others. */
const ORDER: readonly NsKind[] = ['user', 'mnt', 'uts', 'ipc', 'pid', 'cgroup', 'net', 'time'];

function join(task: GuestTask, change: Change, target: Namespace): void {
  if (target instanceof UserNamespace) {
    joinUser(task, change, target);
    return;
  }
  const { cred } = task;
  const { userNs } = change.cred;
  // Who has just joined the user namespace has the rights there that the thread will have.
  const admin = change.cred.capableIn(target.owner!, CAP_SYS_ADMIN) || cred.capableIn(target.owner!, CAP_SYS_ADMIN);
  const own = change.cred.capableIn(userNs, CAP_SYS_ADMIN);
  if (!admin || !own) throw sysError(errno.EPERM);
  if (target instanceof MountNamespace) {
    if (!change.cred.capableIn(userNs, CAP_SYS_CHROOT)) throw sysError(errno.EPERM);
    if (sharesFs(task)) throw sysError(errno.EINVAL);
    const root = crossMounts({ mount: target.root, dentry: target.root.root });
    change.fs = new FsContext(root, root, task.fs.umask);
    change.ns.mnt = target;
  } else if (target instanceof PidNamespace) {
    if (!task.process.pidNs.contains(target)) throw sysError(errno.EINVAL);
    change.ns.pidForChildren = target;
  } else if (target instanceof TimeNamespace) {
    if (task.process.tasks.size > 1) throw sysError(errno.EUSERS);
    change.ns.time = change.ns.timeForChildren = target;
  } else if (target instanceof UtsNamespace) change.ns.uts = target;
  else if (target instanceof IpcNamespace) change.ns.ipc = target;
  else if (target instanceof NetNamespace) change.ns.net = target;
  else if (target instanceof CgroupNamespace) change.ns.cgroup = target;
}

function joinUser(task: GuestTask, change: Change, target: UserNamespace): void {
  if (target === task.cred.userNs || task.process.tasks.size > 1 || sharesFs(task)) throw sysError(errno.EINVAL);
  if (!task.cred.capableIn(target, CAP_SYS_ADMIN)) throw sysError(errno.EPERM);
  change.cred = enterUserNamespace(task.cred, target);
}

const sharesFs = (task: GuestTask): boolean =>
  [...task.kernel.tasks.values()].some((t) => t !== task && t.fs === task.fs);

/** `fd`: of a namespace, whose kind `flags` may name, or a pidfd, and then `flags` tells which namespaces of the process. */
function setns(task: GuestTask, fd: number, flags: number): number {
  const file = task.files.get(fd);
  const change: Change = { cred: task.cred, ns: { ...task.ns }, fs: null };
  if (file instanceof NsFile) {
    if (flags !== 0 && flags !== NS_FLAGS[file.ns.kind]) throw sysError(errno.EINVAL);
    join(task, change, file.ns);
  } else if (file instanceof PidFd) {
    if (flags === 0 || flags & ~CLONE_NAMESPACES) throw sysError(errno.EINVAL);
    const { leader } = file.process;
    if (!leader) throw sysError(errno.ESRCH);
    if (!mayInspect(task, leader)) throw sysError(errno.EPERM);
    for (const kind of ORDER) if (flags & NS_FLAGS[kind]) join(task, change, namespaceOf(leader, kind));
  } else throw sysError(errno.EINVAL);
  task.cred = change.cred;
  task.enterNamespaces(change.ns);
  if (change.fs) task.fs = change.fs;
  return 0;
}

const namespaceNames = {
  CLONE_NEWTIME: f.CLONE_NEWTIME,
  CLONE_NEWNS: f.CLONE_NEWNS,
  CLONE_NEWCGROUP: f.CLONE_NEWCGROUP,
  CLONE_NEWUTS: f.CLONE_NEWUTS,
  CLONE_NEWIPC: f.CLONE_NEWIPC,
  CLONE_NEWUSER: f.CLONE_NEWUSER,
  CLONE_NEWPID: f.CLONE_NEWPID,
  CLONE_NEWNET: f.CLONE_NEWNET,
};
const unshareNames = {
  ...namespaceNames,
  CLONE_FILES: f.CLONE_FILES,
  CLONE_FS: f.CLONE_FS,
  CLONE_SYSVSEM: f.CLONE_SYSVSEM,
  CLONE_THREAD: f.CLONE_THREAD,
  CLONE_SIGHAND: f.CLONE_SIGHAND,
  CLONE_VM: f.CLONE_VM,
};

export const namespaceRows: SyscallRow[] = [
  row('unshare', 272, 97, 'flags:flags', unshare, {
    flagNames: { flags: unshareNames },
    note: 'time and cgroup namespaces are told apart, but show the same clocks and control group',
  }),
  row('setns', 308, 268, 'fd:fd nstype:flags', setns, { flagNames: { nstype: namespaceNames } }),
];
