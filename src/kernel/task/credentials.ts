/** Credentials of a thread: user and group ids and capabilities (credentials(7), capabilities(7)). */

import { initialUserNamespace, type UserNamespace } from '../ns/user.ts';

/** Highest capability of Linux 6.1 (CAP_CHECKPOINT_RESTORE). */
export const CAP_LAST = 40;
export const CAP_CHOWN = 0;
export const CAP_DAC_OVERRIDE = 1;
export const CAP_DAC_READ_SEARCH = 2;
export const CAP_FOWNER = 3;
export const CAP_FSETID = 4;
export const CAP_KILL = 5;
export const CAP_SETGID = 6;
export const CAP_SETUID = 7;
export const CAP_SETPCAP = 8;
export const CAP_SYS_CHROOT = 18;
export const CAP_SYS_ADMIN = 21;
export const CAP_SYS_NICE = 23;
export const CAP_SYS_RESOURCE = 24;
export const CAP_SYS_TIME = 25;
export const CAP_CHECKPOINT_RESTORE = 40;

/** Of PR_SET_SECUREBITS. */
const SECURE_NOROOT = 1;
const SECURE_KEEP_CAPS = 0x10;

export const ALL_CAPS = (1n << BigInt(CAP_LAST + 1)) - 1n;

export class Credentials {
  uid: number;
  euid: number;
  suid: number;
  fsuid: number;
  gid: number;
  egid: number;
  sgid: number;
  fsgid: number;
  /** Supplementary groups. */
  groups: number[];
  capPermitted: bigint;
  capEffective: bigint;
  capInheritable = 0n;
  capAmbient = 0n;
  capBounding = ALL_CAPS;
  /** PR_SET_SECUREBITS. */
  securebits = 0;
  /** Where the capabilities count; ids are those of the initial one. */
  userNs: UserNamespace = initialUserNamespace;

  constructor(uid: number, gid: number, groups: readonly number[] = []) {
    this.uid = this.euid = this.suid = this.fsuid = uid;
    this.gid = this.egid = this.sgid = this.fsgid = gid;
    this.groups = [...groups];
    this.capPermitted = this.capEffective = uid === 0 ? ALL_CAPS : 0n;
  }

  #effective(cap: number): boolean {
    return ((this.capEffective >> BigInt(cap)) & 1n) === 1n;
  }
  /** In the initial user namespace: towards the whole system. */
  capable(cap: number): boolean {
    return this.userNs === initialUserNamespace && this.#effective(cap);
  }
  /** Towards what belongs to a user namespace: there, in one above it, or as who made it (user_namespaces(7), "Capabilities"). */
  capableIn(ns: UserNamespace, cap: number): boolean {
    for (let at = ns; ; at = at.parent!) {
      if (at === this.userNs) return this.#effective(cap);
      if (at.level <= this.userNs.level) return false;
      if (at.parent === this.userNs && at.ownerUid === this.euid) return true;
    }
  }
  /** Towards the own user namespace: over the own ids and capabilities. */
  mayInOwn(cap: number): boolean {
    return this.#effective(cap);
  }
  /** Who is root in the user namespace, as the kernel knows him; -1 when nobody is. */
  get rootUid(): number {
    return this.userNs.toKernel('uid', 0) ?? -1;
  }
  /** What execve(2) makes of it: capabilities are root's, or ambient (capabilities(7), "Transformation of capabilities"). No file has any. */
  afterExec(): Credentials {
    const { rootUid, uid, euid, capBounding, capInheritable, capAmbient } = this;
    const next = this.clone();
    const asRoot = (this.securebits & SECURE_NOROOT) === 0 && (uid === rootUid || euid === rootUid);
    next.capPermitted = asRoot ? capBounding | capInheritable : capAmbient;
    next.capEffective = asRoot && euid === rootUid ? next.capPermitted : capAmbient;
    next.securebits &= ~SECURE_KEEP_CAPS;
    return next;
  }
  /** Towards a file of these ids: they need to be known in the own user namespace (capable_wrt_inode_uidgid). */
  capableOver(file: { uid: number; gid: number }, cap: number): boolean {
    const { userNs } = this;
    if (userNs === initialUserNamespace) return this.#effective(cap);
    const known = userNs.fromKernel('uid', file.uid) !== null && userNs.fromKernel('gid', file.gid) !== null;
    return known && this.#effective(cap);
  }
  /** Group membership as permission checks see it. */
  inGroup(gid: number): boolean {
    return gid === this.fsgid || this.groups.includes(gid);
  }
  clone(): Credentials {
    const copy = new Credentials(this.uid, this.gid, this.groups);
    return Object.assign(copy, this, { groups: [...this.groups] });
  }
}

/** The ids the guest runs with: the host user's, or 1000 on hosts without ids. */
export function hostCredentials(): Credentials {
  const uid = process.getuid?.() ?? 1000;
  const gid = process.getgid?.() ?? 1000;
  const groups = process.getgroups?.() ?? [gid];
  return new Credentials(uid, gid, groups);
}
