/** User and group ids and capabilities (credentials(7), capabilities(7)). Ids are unsigned 32-bit; -1 means "leave". */
import { errno, sysError } from '../abi/errno.ts';
import { CAP_LAST, CAP_SETGID, CAP_SETPCAP, CAP_SETUID, type Credentials } from '../task/credentials.ts';
import type { GuestTask } from '../task/guest-task.ts';
import { guestRow as row } from './guest-row.ts';
import type { SyscallRow } from './row.ts';
import { threadNamed } from '../ns/pid.ts';
import type { IdKind } from '../ns/user.ts';
import type { Task } from '../task/task.ts';

const KEEP = 0xffff_ffff;
const NGROUPS_MAX = 65_536;

/** The kernel's id of what the caller calls `id`; -1 stays what it is. Throws EINVAL for one without a mapping. */
function known(task: Task, kind: IdKind, id: number): number {
  if (id === KEEP) return KEEP;
  const kernel = task.cred.userNs.toKernel(kind, id);
  if (kernel === null) throw sysError(errno.EINVAL);
  return kernel;
}
export const kernelUid = (task: Task, uid: number): number => known(task, 'uid', uid);
export const kernelGid = (task: Task, gid: number): number => known(task, 'gid', gid);
/** An id of the kernel's as the caller knows it. */
export const shownUid = (task: Task, uid: number): number => task.cred.userNs.shown('uid', uid);
export const shownGid = (task: Task, gid: number): number => task.cred.userNs.shown('gid', gid);

const SECURE_NO_SETUID_FIXUP = 4;
const SECURE_KEEP_CAPS = 0x10;

/** Copies the credentials, lets `change` work on the copy and installs it: a call that fails changes nothing. */
function commit(task: GuestTask, change: (next: Credentials) => void): number {
  const next = task.cred.clone();
  change(next);
  fixupCapabilities(task.cred, next);
  if (next.euid !== task.cred.euid || next.egid !== task.cred.egid) task.process.dumpable = 0;
  task.cred = next;
  return 0;
}

/** cap_task_fix_setuid: what a change of user ids does to capabilities (capabilities(7)). */
function fixupCapabilities(old: Credentials, next: Credentials): void {
  if (next.securebits & SECURE_NO_SETUID_FIXUP) return;
  const { rootUid } = old;
  const hadRoot = old.uid === rootUid || old.euid === rootUid || old.suid === rootUid;
  const hasRoot = next.uid === rootUid || next.euid === rootUid || next.suid === rootUid;
  if (hadRoot && !hasRoot) {
    if (!(next.securebits & SECURE_KEEP_CAPS)) {
      next.capPermitted = 0n;
      next.capEffective = 0n;
    }
    next.capAmbient = 0n;
  }
  if (old.euid === rootUid && next.euid !== rootUid) next.capEffective = 0n;
  if (old.euid !== rootUid && next.euid === rootUid) next.capEffective = next.capPermitted;
}

function setuid(task: GuestTask, asked: number): number {
  if (asked === KEEP) throw sysError(errno.EINVAL);
  const uid = kernelUid(task, asked);
  const { cred } = task;
  return commit(task, (next) => {
    if (cred.mayInOwn(CAP_SETUID)) next.uid = next.suid = uid;
    else if (uid !== cred.uid && uid !== cred.suid) throw sysError(errno.EPERM);
    next.euid = next.fsuid = uid;
  });
}

function setgid(task: GuestTask, asked: number): number {
  if (asked === KEEP) throw sysError(errno.EINVAL);
  const gid = kernelGid(task, asked);
  const { cred } = task;
  return commit(task, (next) => {
    if (cred.mayInOwn(CAP_SETGID)) next.gid = next.sgid = gid;
    else if (gid !== cred.gid && gid !== cred.sgid) throw sysError(errno.EPERM);
    next.egid = next.fsgid = gid;
  });
}

function setreuid(task: GuestTask, ruidArg: number, euidArg: number): number {
  const ruid = kernelUid(task, ruidArg);
  const euid = kernelUid(task, euidArg);
  const { cred } = task;
  const privileged = cred.mayInOwn(CAP_SETUID);
  return commit(task, (next) => {
    if (ruid !== KEEP) {
      if (!privileged && ruid !== cred.uid && ruid !== cred.euid) throw sysError(errno.EPERM);
      next.uid = ruid;
    }
    if (euid !== KEEP) {
      if (!privileged && euid !== cred.uid && euid !== cred.euid && euid !== cred.suid) throw sysError(errno.EPERM);
      next.euid = euid;
    }
    if (ruid !== KEEP || (euid !== KEEP && euid !== cred.uid)) next.suid = next.euid;
    next.fsuid = next.euid;
  });
}

function setregid(task: GuestTask, rgidArg: number, egidArg: number): number {
  const rgid = kernelGid(task, rgidArg);
  const egid = kernelGid(task, egidArg);
  const { cred } = task;
  const privileged = cred.mayInOwn(CAP_SETGID);
  return commit(task, (next) => {
    if (rgid !== KEEP) {
      if (!privileged && rgid !== cred.gid && rgid !== cred.egid) throw sysError(errno.EPERM);
      next.gid = rgid;
    }
    if (egid !== KEEP) {
      if (!privileged && egid !== cred.gid && egid !== cred.egid && egid !== cred.sgid) throw sysError(errno.EPERM);
      next.egid = egid;
    }
    if (rgid !== KEEP || (egid !== KEEP && egid !== cred.gid)) next.sgid = next.egid;
    next.fsgid = next.egid;
  });
}

function setresuid(task: GuestTask, ruidArg: number, euidArg: number, suidArg: number): number {
  const ruid = kernelUid(task, ruidArg);
  const euid = kernelUid(task, euidArg);
  const suid = kernelUid(task, suidArg);
  const { cred } = task;
  const allowed = (id: number): boolean => id === KEEP || id === cred.uid || id === cred.euid || id === cred.suid;
  if (!cred.mayInOwn(CAP_SETUID) && !(allowed(ruid) && allowed(euid) && allowed(suid))) throw sysError(errno.EPERM);
  return commit(task, (next) => {
    if (ruid !== KEEP) next.uid = ruid;
    if (euid !== KEEP) next.euid = euid;
    if (suid !== KEEP) next.suid = suid;
    next.fsuid = next.euid;
  });
}

function setresgid(task: GuestTask, rgidArg: number, egidArg: number, sgidArg: number): number {
  const rgid = kernelGid(task, rgidArg);
  const egid = kernelGid(task, egidArg);
  const sgid = kernelGid(task, sgidArg);
  const { cred } = task;
  const allowed = (id: number): boolean => id === KEEP || id === cred.gid || id === cred.egid || id === cred.sgid;
  if (!cred.mayInOwn(CAP_SETGID) && !(allowed(rgid) && allowed(egid) && allowed(sgid))) throw sysError(errno.EPERM);
  return commit(task, (next) => {
    if (rgid !== KEEP) next.gid = rgid;
    if (egid !== KEEP) next.egid = egid;
    if (sgid !== KEEP) next.sgid = sgid;
    next.fsgid = next.egid;
  });
}

/** Writes three ids; all three places are checked one after the other, as Linux does. */
function writeIds(task: GuestTask, places: readonly number[], ids: readonly number[]): number {
  for (const [i, at] of places.entries()) task.mem.writeU32(at, ids[i]!);
  return 0;
}

/** setfsuid(2): returns the old id whether or not it has changed. */
function setfsuid(task: GuestTask, asked: number): number {
  const { cred } = task;
  const uid = cred.userNs.toKernel('uid', asked) ?? KEEP;
  const old = cred.fsuid;
  if (uid !== KEEP && (cred.mayInOwn(CAP_SETUID) || [cred.uid, cred.euid, cred.suid, old].includes(uid))) {
    commit(task, (next) => {
      next.fsuid = uid;
    });
  }
  return shownUid(task, old);
}

function setfsgid(task: GuestTask, asked: number): number {
  const { cred } = task;
  const gid = cred.userNs.toKernel('gid', asked) ?? KEEP;
  const old = cred.fsgid;
  if (gid !== KEEP && (cred.mayInOwn(CAP_SETGID) || [cred.gid, cred.egid, cred.sgid, old].includes(gid))) {
    commit(task, (next) => {
      next.fsgid = gid;
    });
  }
  return shownGid(task, old);
}

function getgroups(task: GuestTask, size: number, list: number): number {
  const { groups } = task.cred;
  if (size < 0) throw sysError(errno.EINVAL);
  if (size === 0) return groups.length;
  if (size < groups.length) throw sysError(errno.EINVAL);
  const bytes = new Uint8Array(Uint32Array.from(groups, (g) => shownGid(task, g)).buffer);
  task.mem.copyOut(list, bytes);
  return groups.length;
}

function setgroups(task: GuestTask, size: number, list: number): number {
  const { userNs } = task.cred;
  const allowed = userNs.level === 0 || (userNs.setgroupsAllowed && userNs.map('gid') !== null);
  if (!allowed || !task.cred.mayInOwn(CAP_SETGID)) throw sysError(errno.EPERM);
  if (size < 0 || size > NGROUPS_MAX) throw sysError(errno.EINVAL);
  const bytes = task.mem.copyIn(list, size * 4);
  const groups = [...new Uint32Array(bytes.buffer, bytes.byteOffset, size)];
  if (groups.includes(KEEP)) throw sysError(errno.EINVAL);
  const kernel = groups.map((g) => kernelGid(task, g));
  return commit(task, (next) => {
    next.groups = kernel.sort((a, b) => a - b);
  });
}

const CAP_V1 = 0x1998_0330;
const CAP_V2 = 0x2007_1026;
const CAP_V3 = 0x2008_0522;

/** Number of 32-bit words of each set; a version Linux does not know is answered with the newest, and EINVAL. */
function capWords(task: GuestTask, header: number): number {
  const version = task.mem.readU32(header);
  if (version === CAP_V1) return 1;
  if (version === CAP_V2 || version === CAP_V3) return 2;
  task.mem.writeU32(header, CAP_V3);
  return 0;
}

function capget(task: GuestTask, header: number, data: number): number {
  const words = capWords(task, header);
  if (words === 0) {
    if (data === 0) return 0;
    throw sysError(errno.EINVAL);
  }
  const pid = task.mem.readI32(header + 4);
  if (pid < 0) throw sysError(errno.EINVAL);
  const target = pid === 0 ? task : threadNamed(task, pid);
  if (!target) throw sysError(errno.ESRCH);
  // A null data pointer only asks for the version.
  if (data === 0) return 0;
  const { capEffective, capPermitted, capInheritable } = target.cred;
  const out = new Uint32Array(words * 3);
  [capEffective, capPermitted, capInheritable].forEach((set, field) => {
    for (let w = 0; w < words; w++) out[w * 3 + field] = Number((set >> BigInt(w * 32)) & 0xffff_ffffn);
  });
  task.mem.copyOut(data, new Uint8Array(out.buffer));
  return 0;
}

function capset(task: GuestTask, header: number, data: number): number {
  const words = capWords(task, header);
  if (words === 0) throw sysError(errno.EINVAL);
  const pid = task.mem.readI32(header + 4);
  if (pid !== 0 && pid !== task.ownTid) throw sysError(errno.EPERM);
  const bytes = task.mem.copyIn(data, words * 12);
  const given = new Uint32Array(bytes.buffer, bytes.byteOffset, words * 3);
  const set = (field: number): bigint => {
    let value = 0n;
    for (let w = 0; w < words; w++) value |= BigInt(given[w * 3 + field]!) << BigInt(w * 32);
    return value & ((1n << BigInt(CAP_LAST + 1)) - 1n);
  };
  const [effective, permitted, inheritable] = [set(0), set(1), set(2)];
  const { cred } = task;
  const within = (a: bigint, b: bigint): boolean => (a & ~b) === 0n;
  if (!cred.mayInOwn(CAP_SETPCAP) && !within(inheritable, cred.capInheritable | cred.capPermitted))
    throw sysError(errno.EPERM);
  if (!within(inheritable, cred.capInheritable | cred.capBounding)) throw sysError(errno.EPERM);
  if (!within(permitted, cred.capPermitted) || !within(effective, permitted)) throw sysError(errno.EPERM);
  return commit(task, (next) => {
    next.capEffective = effective;
    next.capPermitted = permitted;
    next.capInheritable = inheritable;
    next.capAmbient &= permitted & inheritable;
  });
}

export const idRows: SyscallRow[] = [
  row('getuid', 102, 174, '', (task) => shownUid(task, task.cred.uid)),
  row('geteuid', 107, 175, '', (task) => shownUid(task, task.cred.euid)),
  row('getgid', 104, 176, '', (task) => shownGid(task, task.cred.gid)),
  row('getegid', 108, 177, '', (task) => shownGid(task, task.cred.egid)),
  row('setuid', 105, 146, 'uid:uint', setuid),
  row('setgid', 106, 144, 'gid:uint', setgid),
  row('setreuid', 113, 145, 'ruid:uint euid:uint', setreuid),
  row('setregid', 114, 143, 'rgid:uint egid:uint', setregid),
  row('setresuid', 117, 147, 'ruid:uint euid:uint suid:uint', setresuid),
  row('setresgid', 119, 149, 'rgid:uint egid:uint sgid:uint', setresgid),
  row('getresuid', 118, 148, 'ruid:ptr euid:ptr suid:ptr', (task, r: number, e: number, s: number) =>
    writeIds(
      task,
      [r, e, s],
      [task.cred.uid, task.cred.euid, task.cred.suid].map((id) => shownUid(task, id)),
    ),
  ),
  row('getresgid', 120, 150, 'rgid:ptr egid:ptr sgid:ptr', (task, r: number, e: number, s: number) =>
    writeIds(
      task,
      [r, e, s],
      [task.cred.gid, task.cred.egid, task.cred.sgid].map((id) => shownGid(task, id)),
    ),
  ),
  row('setfsuid', 122, 151, 'fsuid:uint', setfsuid),
  row('setfsgid', 123, 152, 'fsgid:uint', setfsgid),
  row('getgroups', 115, 158, 'size:int list:outstruct', getgroups),
  row('setgroups', 116, 159, 'size:int list:instruct', setgroups),
  row('capget', 125, 90, 'hdrp:inoutstruct datap:outstruct', capget),
  row('capset', 126, 91, 'hdrp:inoutstruct datap:instruct', capset),
];
