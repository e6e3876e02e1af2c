/** /proc/PID/uid_map, gid_map, projid_map and setgroups (user_namespaces(7)). */
import { errno, sysError } from '../../abi/errno.ts';
import { type IdKind, parseIdMap, showIdMap, type UserNamespace } from '../../ns/user.ts';
import { CAP_SETGID, CAP_SETUID, CAP_SYS_ADMIN } from '../../task/credentials.ts';
import type { Task } from '../../task/task.ts';
import { type PidEntry, pidEntry, type Subject } from './entry.ts';

const nsOf = ({ thread }: Subject): UserNamespace => {
  if (!thread) throw sysError(errno.EINVAL);
  return thread.cred.userNs;
};

/** new_idmap_permitted: with the capability in the parent any ids, else only the own one, by who made the namespace. */
function mayMap(
  ns: UserNamespace,
  kind: IdKind,
  ranges: readonly { outside: number; kernel: number; count: number }[],
  writer: Task,
): boolean {
  const { cred } = writer;
  const cap = kind === 'uid' ? CAP_SETUID : CAP_SETGID;
  const [only] = ranges;
  if (ranges.length === 1 && only!.count === 1 && cred.euid === ns.ownerUid) {
    if (kind === 'uid' && only!.kernel === cred.euid) return true;
    if (kind === 'gid' && only!.kernel === cred.egid && !ns.setgroupsAllowed) return true;
  }
  return ns.parent !== null && cred.capableIn(ns.parent, cap);
}

function writeMap(kind: IdKind, subject: Subject, text: string, writer: Task): void {
  const ns = nsOf(subject);
  const { userNs } = writer.cred;
  if (ns.map(kind) || ns.level === 0) throw sysError(errno.EPERM);
  if (!writer.cred.capableIn(ns, CAP_SYS_ADMIN)) throw sysError(errno.EPERM);
  if (userNs !== ns && userNs !== ns.parent) throw sysError(errno.EPERM);
  const ranges = parseIdMap(text, (id) => ns.parent!.toKernel(kind, id));
  if (!mayMap(ns, kind, ranges, writer)) throw sysError(errno.EPERM);
  ns.setMap(kind, ranges);
}

function writeSetgroups(subject: Subject, text: string, writer: Task): void {
  const ns = nsOf(subject);
  if (!writer.cred.capableIn(ns, CAP_SYS_ADMIN)) throw sysError(errno.EPERM);
  const word = /^(allow|deny)\s*\0?$/.exec(text)?.[1];
  if (!word) throw sysError(errno.EINVAL);
  if (word === 'allow') {
    if (!ns.setgroupsAllowed) throw sysError(errno.EPERM);
    return;
  }
  // Who could call it already keeps that.
  if (ns.map('gid') || ns.level === 0) throw sysError(errno.EPERM);
  ns.setgroupsAllowed = false;
}

const map = (name: string, kind: IdKind): PidEntry =>
  pidEntry(name, (subject, _settings, reader) => showIdMap(nsOf(subject), kind, reader.cred.userNs), {
    perm: 0o644,
    write: (subject, text, writer) => writeMap(kind, subject, text, writer),
  });

export const idMaps: PidEntry[] = [
  map('uid_map', 'uid'),
  map('gid_map', 'gid'),
  pidEntry('projid_map', (subject) => (nsOf(subject).level === 0 ? '         0          0 4294967295\n' : ''), {
    perm: 0o644,
  }),
  pidEntry('setgroups', (subject) => (nsOf(subject).setgroupsAllowed ? 'allow\n' : 'deny\n'), {
    perm: 0o644,
    processOnly: true,
    write: writeSetgroups,
  }),
];
