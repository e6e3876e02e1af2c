/** The namespaces of a thread but for its user and PID namespace (struct nsproxy), and how it gets others (nsproxy(9), unshare(2)). */
import { errno, sysError } from '../abi/errno.ts';
import { IpcNamespace } from '../ipc/namespace.ts';
import { ALL_CAPS, CAP_SYS_ADMIN, type Credentials } from '../task/credentials.ts';
import type { GuestTask } from '../task/guest-task.ts';
import { samePath } from '../fs/fs-context.ts';
import { crossMounts } from '../fs/namei.ts';
import type { MountNamespace } from './mnt.ts';
import { CLONE_NAMESPACES, Namespace, NS_FLAGS, type NsKind } from './namespace.ts';
import { NetNamespace } from './net.ts';
import { makePidNamespace, type PidNamespace } from './pid.ts';
import { makeUserNamespace, type UserNamespace } from './user.ts';
import { UtsNamespace } from './uts.ts';

/** There is one control group, the root, so that all such namespaces show the same (cgroup_namespaces(7)). */
export class CgroupNamespace extends Namespace {
  readonly kind = 'cgroup';
}
/** Clocks are not offset here: such namespaces are told apart, and show the same time (time_namespaces(7)). */
export class TimeNamespace extends Namespace {
  readonly kind = 'time';
}

/** Never changed, only replaced: threads share it. */
export interface Namespaces {
  readonly mnt: MountNamespace;
  readonly uts: UtsNamespace;
  readonly ipc: IpcNamespace;
  readonly net: NetNamespace;
  readonly cgroup: CgroupNamespace;
  readonly time: TimeNamespace;
  /** Where the next child process will be. */
  readonly timeForChildren: TimeNamespace;
  readonly pidForChildren: PidNamespace;
}

/** New namespaces for what `flags` (CLONE_NEW*) ask for, on behalf of a thread with these credentials. */
export function newNamespaces(task: GuestTask, flags: number, cred: Credentials, from: Namespaces): Namespaces {
  if ((flags & CLONE_NAMESPACES & ~NS_FLAGS.user) === 0) return from;
  const owner = cred.userNs;
  if (!task.cred.capableIn(owner, CAP_SYS_ADMIN)) throw sysError(errno.EPERM);
  const next: { -readonly [K in keyof Namespaces]: Namespaces[K] } = { ...from };
  if (flags & NS_FLAGS.pid) next.pidForChildren = makePidNamespace(task, from.pidForChildren, owner);
  if (flags & NS_FLAGS.uts) next.uts = new UtsNamespace(owner, from.uts);
  if (flags & NS_FLAGS.ipc) next.ipc = new IpcNamespace(owner);
  if (flags & NS_FLAGS.net) next.net = NetNamespace.isolated(owner, task.kernel.host);
  if (flags & NS_FLAGS.cgroup) next.cgroup = new CgroupNamespace(owner);
  if (flags & NS_FLAGS.time) next.timeForChildren = new TimeNamespace(owner);
  if (flags & NS_FLAGS.mnt) next.mnt = task.kernel.vfs.copyNamespace(from.mnt, owner);
  return next;
}

/** In a namespace just made or joined all capabilities are there, and nothing of what came from elsewhere (set_cred_user_ns). */
export function enterUserNamespace(cred: Credentials, ns: UserNamespace): Credentials {
  const next = cred.clone();
  next.userNs = ns;
  next.securebits = 0;
  next.capInheritable = 0n;
  next.capAmbient = 0n;
  next.capPermitted = next.capEffective = next.capBounding = ALL_CAPS;
  return next;
}

/** Credentials with a user namespace of their own. Throws EPERM in a chroot. */
export function newUserNamespace(task: GuestTask): Credentials {
  const { cred, fs, ns } = task;
  if (!samePath(fs.root, crossMounts({ mount: ns.mnt.root, dentry: ns.mnt.root.root }))) throw sysError(errno.EPERM);
  return enterUserNamespace(cred, makeUserNamespace(cred.userNs, cred.euid, cred.egid));
}

/** The namespaces of a thread, by kind. */
export const namespaceOf = (task: GuestTask, kind: NsKind): Namespace =>
  kind === 'user' ? task.cred.userNs : kind === 'pid' ? task.process.pidNs : task.ns[kind];
