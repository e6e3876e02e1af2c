/** What all namespaces have in common (namespaces(7)): a kind, a number, and the user namespace whose capabilities count. */
import type { UserNamespace } from './user.ts';

/** As the files of /proc/PID/ns are called, with the flag of clone(2) that makes one. */
export const NS_FLAGS = {
  time: 0x80,
  mnt: 0x2_0000,
  cgroup: 0x200_0000,
  uts: 0x400_0000,
  ipc: 0x800_0000,
  user: 0x1000_0000,
  pid: 0x2000_0000,
  net: 0x4000_0000,
} as const;

export type NsKind = keyof typeof NS_FLAGS;

/** All of them. */
export const CLONE_NAMESPACES = Object.values(NS_FLAGS).reduce<number>((all, flag) => all | flag, 0);

/** Inode numbers of the initial namespaces (PROC_*_INIT_INO; those of mnt and net are the first that Linux gives out). */
export const INITIAL_INO: Readonly<Record<NsKind, number>> = {
  time: 4026531834,
  cgroup: 4026531835,
  pid: 4026531836,
  user: 4026531837,
  uts: 4026531838,
  ipc: 4026531839,
  net: 4026531840,
  mnt: 4026531841,
};

let nextIno = 4026532200;

export abstract class Namespace {
  abstract readonly kind: NsKind;
  /** Unique among all namespaces; what stat(2) of /proc/PID/ns/KIND shows. */
  readonly ino: number;
  /** Whose capabilities count; null for the initial user namespace alone. */
  readonly owner: UserNamespace | null;

  /** `initialIno`: of the namespaces a system starts with. */
  constructor(owner: UserNamespace | null, initialIno = 0) {
    this.owner = owner;
    this.ino = initialIno || nextIno++;
  }
  /** As the link in /proc/PID/ns reads. */
  get label(): string {
    return `${this.kind}:[${this.ino}]`;
  }
}
