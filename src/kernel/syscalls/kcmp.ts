/** kcmp(2): whether two processes share something. */
import { errno, sysError } from '../abi/errno.ts';
import { CAP_SYS_ADMIN } from '../task/credentials.ts';
import type { GuestTask } from '../task/guest-task.ts';
import { guestRow as row } from './guest-row.ts';
import type { SyscallRow } from './row.ts';
import { processNamed, threadNamed } from '../ns/pid.ts';

const types = {
  KCMP_FILE: 0,
  KCMP_VM: 1,
  KCMP_FILES: 2,
  KCMP_FS: 3,
  KCMP_SIGHAND: 4,
  KCMP_IO: 5,
  KCMP_SYSVSEM: 6,
};

/** An arbitrary but fixed order of kernel objects. */
const numbers = new WeakMap<object, number>();
let next = 1;
function numberOf(object: object): number {
  let n = numbers.get(object);
  if (n === undefined) {
    n = next++;
    numbers.set(object, n);
  }
  return n;
}

/** 0 for the same, 1 for less, 2 for greater. */
function compare(a: object, b: object): number {
  if (a === b) return 0;
  return numberOf(a) < numberOf(b) ? 1 : 2;
}

function find(task: GuestTask, pid: number): GuestTask {
  const found = threadNamed(task, pid) ?? processNamed(task, pid)?.leader;
  if (!found) throw sysError(errno.ESRCH);
  if (found.cred.uid !== task.cred.uid && !task.cred.capableIn(found.cred.userNs, CAP_SYS_ADMIN))
    throw sysError(errno.EPERM);
  return found;
}

function kcmp(task: GuestTask, pid1: number, pid2: number, type: number, idx1: number, idx2: number): number {
  const a = find(task, pid1);
  const b = find(task, pid2);
  switch (type) {
    case types.KCMP_FILE:
      return compare(a.files.getAny(idx1), b.files.getAny(idx2));
    case types.KCMP_VM:
      return compare(a.mm, b.mm);
    case types.KCMP_FILES:
      return compare(a.files, b.files);
    case types.KCMP_FS:
      return compare(a.fs, b.fs);
    case types.KCMP_SIGHAND:
      return compare(a.sighand, b.sighand);
    case types.KCMP_IO:
    case types.KCMP_SYSVSEM:
      return compare(a.process, b.process);
    default:
      throw sysError(errno.EINVAL);
  }
}

export const kcmpRows: SyscallRow[] = [
  row('kcmp', 312, 272, 'pid1:pid pid2:pid type:flags idx1:ulong idx2:ulong', kcmp, {
    flagNames: { type: types },
    support: 'partial',
    note: 'without KCMP_EPOLL_TFD',
  }),
];
