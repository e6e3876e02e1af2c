/**
 * User namespaces (user_namespaces(7)). Inside the kernel all ids are those of the initial namespace; what a program says
 * and hears is translated by its own namespace's maps.
 */
import { errno, sysError } from '../abi/errno.ts';
import { INITIAL_INO, Namespace } from './namespace.ts';

/** `first` here stands for `outside` in the parent, and for `kernel` in the initial namespace, and so on for `count` ids. */
export interface IdRange {
  readonly first: number;
  readonly outside: number;
  readonly kernel: number;
  readonly count: number;
}

/** /proc/sys/kernel/overflowuid: what ids without a mapping are shown as. */
export const OVERFLOW_ID = 65_534;
/** As an argument, "leave as it is"; as a result, no such id. */
const NO_ID = 0xffff_ffff;
const MAX_LEVEL = 32;
const MAX_RANGES = 340;

export type IdKind = 'uid' | 'gid';

export class UserNamespace extends Namespace {
  readonly kind = 'user';
  readonly parent: UserNamespace | null;
  readonly level: number;
  /** Effective ids of who made it, as the kernel has them. */
  readonly ownerUid: number;
  readonly ownerGid: number;
  /** setgroups(2) may be called, once there is a gid map. */
  setgroupsAllowed: boolean;
  /** Null until written. */
  readonly #maps: Record<IdKind, readonly IdRange[] | null> = { uid: null, gid: null };

  constructor(parent: UserNamespace | null, ownerUid: number, ownerGid: number) {
    super(parent, parent ? 0 : INITIAL_INO.user);
    this.parent = parent;
    this.level = parent ? parent.level + 1 : 0;
    this.ownerUid = ownerUid;
    this.ownerGid = ownerGid;
    this.setgroupsAllowed = parent?.setgroupsAllowed ?? true;
  }

  map(kind: IdKind): readonly IdRange[] | null {
    return this.#maps[kind];
  }
  setMap(kind: IdKind, ranges: readonly IdRange[]): void {
    this.#maps[kind] = ranges;
  }

  /** An id as programs here mean it, as the kernel has it; null without a mapping. */
  toKernel(kind: IdKind, id: number): number | null {
    if (this.level === 0) return id === NO_ID ? null : id;
    for (const r of this.#maps[kind] ?? [])
      if (id >= r.first && id - r.first < r.count) return r.kernel + (id - r.first);
    return null;
  }
  /** The other way round. */
  fromKernel(kind: IdKind, id: number): number | null {
    if (this.level === 0) return id;
    for (const r of this.#maps[kind] ?? [])
      if (id >= r.kernel && id - r.kernel < r.count) return r.first + (id - r.kernel);
    return null;
  }
  /** As shown to programs here: ids without a mapping are 65534. */
  shown(kind: IdKind, id: number): number {
    return this.level === 0 ? id : (this.fromKernel(kind, id) ?? OVERFLOW_ID);
  }
  /** `other` is this namespace or one below it. */
  contains(other: UserNamespace): boolean {
    let at: UserNamespace | null = other;
    while (at && at.level > this.level) at = at.parent;
    return at === this;
  }
}

/** The namespace all systems start in, with every id mapped to itself. */
export const initialUserNamespace = new UserNamespace(null, 0, 0);

/** Throws ENOSPC beyond 32 levels, EPERM when the maker's ids have no mapping where they are. */
export function makeUserNamespace(parent: UserNamespace, euid: number, egid: number): UserNamespace {
  if (parent.level > MAX_LEVEL) throw sysError(errno.ENOSPC);
  if (parent.fromKernel('uid', euid) === null || parent.fromKernel('gid', egid) === null) throw sysError(errno.EPERM);
  return new UserNamespace(parent, euid, egid);
}

/**
 * The ranges of a map as written to /proc/PID/uid_map. `toKernel` translates ids of the parent. Throws EINVAL for what is
 * no map, EPERM when an id of the parent's has no mapping there.
 */
export function parseIdMap(text: string, toKernel: (id: number) => number | null): IdRange[] {
  const lines = text.split('\n').filter((line) => line.trim() !== '');
  if (lines.length === 0 || lines.length > MAX_RANGES) throw sysError(errno.EINVAL);
  const ranges = lines.map((line) => {
    const words = line.trim().split(/\s+/);
    if (words.length !== 3 || words.some((w) => !/^\d{1,15}$/.test(w))) throw sysError(errno.EINVAL);
    // Read as longs, kept as 32 bits.
    const [first, outside, count] = words.map((w) => Number(w) % 2 ** 32) as [number, number, number];
    if (count === 0 || first + count > NO_ID || outside + count > NO_ID) throw sysError(errno.EINVAL);
    return { first, outside, count };
  });
  const overlap = (a: number, m: number, b: number, n: number): boolean => a < b + n && b < a + m;
  for (const [i, a] of ranges.entries())
    for (const b of ranges.slice(i + 1))
      if (overlap(a.first, a.count, b.first, b.count) || overlap(a.outside, a.count, b.outside, b.count))
        throw sysError(errno.EINVAL);
  return ranges.map((r) => {
    const kernel = toKernel(r.outside);
    if (kernel === null || toKernel(r.outside + r.count - 1) !== kernel + r.count - 1) throw sysError(errno.EPERM);
    return { ...r, kernel };
  });
}

/** As /proc/PID/uid_map shows it to a reader in namespace `reader`. */
export function showIdMap(ns: UserNamespace, kind: IdKind, reader: UserNamespace): string {
  const row = (first: number, outside: number, count: number): string =>
    `${[first, outside, count].map((n) => String(n).padStart(10)).join(' ')}\n`;
  if (ns.level === 0) return row(0, 0, NO_ID);
  // Who is inside is told in terms of the parent.
  const seenFrom = reader === ns ? ns.parent! : reader;
  const shown = (ns.map(kind) ?? []).map((r) => row(r.first, seenFrom.fromKernel(kind, r.kernel) ?? NO_ID, r.count));
  return shown.join('');
}
