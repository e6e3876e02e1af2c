/** Leases on files (fcntl(2), "Leases"; fs/locks.c): a process is told before others open the file in a conflicting way. */
import { errno, sysError } from '../abi/errno.ts';
import { SI_KERNEL, SIGIO } from '../abi/signals.ts';
import { sendSignal } from '../signals/send.ts';
import type { GuestTask } from '../task/guest-task.ts';
import type { Process } from '../task/process.ts';
import type { Task } from '../task/task.ts';
import { WaitQueue } from '../task/wait-queue.ts';
import { type Inode, S_IFMT, S_IFREG } from './inode.ts';
import { watchKey } from './notify.ts';
import {
  type MaybePromise,
  O_ACCMODE,
  O_NONBLOCK,
  O_RDONLY,
  O_TRUNC,
  type OpenFile,
  POLLIN,
  POLLRDNORM,
} from './open-file.ts';

export const F_RDLCK = 0;
export const F_WRLCK = 1;
export const F_UNLCK = 2;

const CAP_LEASE = 28;
/** /proc/sys/fs/lease-break-time. */
const BREAK_MS = 45_000;
/** si_code and si_band of a signal chosen with F_SETSIG (fs/fcntl.c, send_sigio_to_task). */
const POLL_MSG = 3;
const MESSAGE = POLLIN | POLLRDNORM | 0x400;

interface AsyncOwner {
  id: number;
  signal: number;
}

interface Lease {
  readonly file: OpenFile;
  readonly process: Process;
  readonly fd: number;
  /** What F_SETOWN and F_SETSIG keep of the description; signal 0 is SIGIO. */
  readonly owner: AsyncOwner;
  type: number;
  /** What it must become, while somebody waits for that; else null. Until when, on the monotonic clock in milliseconds. */
  target: number | null;
  deadline: number;
}

/** By file (watchKey). A file without leases has no entry. */
const leases = new Map<string, Set<Lease>>();
const byFile = new WeakMap<OpenFile, Lease>();
/** Woken when a lease goes or gets weaker. */
const changed = new WaitQueue();

function drop(lease: Lease): void {
  const key = watchKey(lease.file.inode!);
  const held = leases.get(key);
  held?.delete(lease);
  if (held?.size === 0) leases.delete(key);
  byFile.delete(lease.file);
  // As lease_modify does.
  lease.owner.id = 0;
  lease.owner.signal = 0;
  changed.wake();
}

/** How many descriptions of the file, other than `but`, are open for reading only, and for writing. */
function otherOpens(task: Task, but: OpenFile): { readers: number; writers: number } {
  const key = watchKey(but.inode!);
  const found = new Set<OpenFile>();
  for (const table of new Set([...task.kernel.tasks.values()].map((t) => t.files)))
    for (const [, file] of table.entries())
      if (file !== but && (file.readable || file.writable) && file.inode && watchKey(file.inode) === key)
        found.add(file);
  const writers = [...found].filter((f) => f.writable).length;
  return { readers: found.size - writers, writers };
}

/** F_SETLEASE. Throws EACCES, EINVAL, EAGAIN as generic_setlease does. */
export function setLease(task: Task, file: OpenFile, fd: number, type: number, owner: AsyncOwner): number {
  if (type !== F_RDLCK && type !== F_WRLCK && type !== F_UNLCK) throw sysError(errno.EINVAL);
  const own = byFile.get(file);
  if (type === F_UNLCK) {
    if (!own) throw sysError(errno.EAGAIN);
    drop(own);
    return 0;
  }
  const { mode, uid } = file.stat();
  if (task.cred.fsuid !== uid && !task.cred.capable(CAP_LEASE)) throw sysError(errno.EACCES);
  if ((mode & S_IFMT) !== S_IFREG || !file.inode) throw sysError(errno.EINVAL);
  const { readers, writers } = otherOpens(task, file);
  const inUse = type === F_RDLCK ? file.writable || writers > 0 : readers + writers > 0;
  if (inUse) throw sysError(errno.EAGAIN);
  const key = watchKey(file.inode);
  const held = leases.get(key) ?? new Set();
  for (const other of held)
    if ((other === own ? other.target !== null && type === F_WRLCK : type === F_WRLCK) || other.target === F_UNLCK)
      throw sysError(errno.EAGAIN);
  if (own) {
    own.type = type;
    own.target = null;
    changed.wake();
    return 0;
  }
  const { process } = task as GuestTask;
  const lease: Lease = { file, process, fd, owner, type, target: null, deadline: 0 };
  held.add(lease);
  leases.set(key, held);
  byFile.set(file, lease);
  file.onRelease(() => {
    if (byFile.get(file) === lease) drop(lease);
  });
  return 0;
}

/** F_GETLEASE: what is held, or what it must become while somebody waits. */
export function getLease(file: OpenFile): number {
  const lease = byFile.get(file);
  return lease ? (lease.target ?? lease.type) : F_UNLCK;
}

/** Tells the holder, once for each thing that is asked of it. */
function askFor(lease: Lease, target: number, now: number): void {
  if (lease.target === F_UNLCK || lease.target === target) return;
  if (lease.target === null) lease.deadline = now + BREAK_MS;
  lease.target = target;
  const signo = lease.owner.signal;
  if (signo === 0) sendSignal(lease.process, SIGIO, { code: SI_KERNEL });
  else sendSignal(lease.process, signo, { code: POLL_MSG, poll: { band: MESSAGE, fd: lease.fd } });
}

/**
 * The file is about to be opened with these flags, or truncated (O_WRONLY): waits until no lease is in the way, 45 s at most;
 * then leases are taken away. EAGAIN (EWOULDBLOCK) with O_NONBLOCK.
 */
export function breakLeases(task: Task, inode: Inode, flags: number): MaybePromise<void> {
  if (leases.size === 0) return;
  const held = leases.get(watchKey(inode));
  if (!held) return;
  const writes = (flags & O_ACCMODE) !== O_RDONLY || (flags & O_TRUNC) !== 0;
  const conflicts = (): Lease[] => [...held].filter((l) => writes || l.type === F_WRLCK);
  const { kernel } = task as GuestTask;
  const now = kernel.monotonicMs();
  for (const lease of conflicts()) askFor(lease, writes ? F_UNLCK : F_RDLCK, now);
  if (conflicts().length === 0) return;
  if (flags & O_NONBLOCK) throw sysError(errno.EAGAIN);
  const wait = async (): Promise<void> => {
    for (;;) {
      const left = conflicts();
      if (left.length === 0) return;
      const until = Math.min(...left.map((l) => l.deadline)) - kernel.monotonicMs();
      const result = await (task as GuestTask).wait(
        [changed],
        () => conflicts().length < left.length,
        Math.max(until, 0),
      );
      if (result === 'signal') throw sysError(errno.ERESTARTSYS);
      if (result === 'timeout')
        for (const lease of conflicts())
          if (lease.deadline <= kernel.monotonicMs()) {
            if (lease.target === F_RDLCK) lease.type = F_RDLCK;
            else drop(lease);
            lease.target = null;
          }
    }
  };
  return wait();
}
