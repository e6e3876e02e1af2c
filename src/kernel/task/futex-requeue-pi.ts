/**
 * FUTEX_WAIT_REQUEUE_PI and FUTEX_CMP_REQUEUE_PI (futex(2); kernel/futex/requeue.c): threads that wait for a condition are
 * moved to the PI futex that guards it, and come back owning that.
 */
import { errno, sysError } from '../abi/errno.ts';
import { type PiWaiter, queuePi, tryLockPi, unqueuePi } from './futex-pi.ts';
import { FUTEX_BITSET_MATCH_ANY, type FutexKey, futexKey } from './futex-table.ts';
import type { GuestTask } from './guest-task.ts';

const FUTEX_WAITERS = 0x8000_0000;

/** What a thread that waits to be moved says about the PI futex it expects to be moved to. */
export interface RequeueTarget {
  readonly task: GuestTask;
  /** In the address space of `task`. */
  readonly address: number;
  readonly isPrivate: boolean;
  readonly key: FutexKey;
  /** Has been moved: its place among those who wait for the lock, or null when it got the lock at once. */
  lock: PiWaiter | null;
}

const sameKey = (a: FutexKey, b: FutexKey): boolean => a.space === b.space && a.address === b.address;

/** Waits at `from` to be moved to `to`, and then for the lock there. `left`: milliseconds, null for ever. */
export async function waitRequeuePi(
  task: GuestTask,
  from: FutexKey,
  to: number,
  isPrivate: boolean,
  left: () => number | null,
): Promise<number> {
  const { futexes } = task.kernel;
  const target: RequeueTarget = { task, address: to, isPrivate, key: futexKey(task.mm, to, isPrivate), lock: null };
  if (sameKey(from, target.key)) throw sysError(errno.EINVAL);
  const waiter = futexes.add(from.space, from.address, FUTEX_BITSET_MATCH_ANY, task.rtPriority, target);
  const limit = left();
  task.waitingFor = limit === null ? 'futex' : null;
  try {
    const result = await task.wait([waiter.queue], () => waiter.woken, limit);
    if (!waiter.woken) {
      futexes.remove(waiter);
      return result === 'timeout' ? -errno.ETIMEDOUT : -errno.ERESTARTNOINTR;
    }
    const { lock } = target;
    if (!lock) return 0;
    const second = await task.wait([lock.queue], () => lock.acquired, left());
    if (lock.acquired) return 0;
    unqueuePi(lock, isPrivate);
    // Made again, the call would find that the word has changed.
    return second === 'timeout' ? -errno.ETIMEDOUT : -errno.EAGAIN;
  } finally {
    task.waitingFor = null;
  }
}

/**
 * Gives the lock at `to` to the first who waits at `from` if it is free, and lets up to `count` others wait for it. Returns
 * how many were moved. EINVAL when somebody there does not wait for this.
 */
export function requeuePi(task: GuestTask, from: FutexKey, to: number, isPrivate: boolean, count: number): number {
  const { futexes } = task.kernel;
  const key = futexKey(task.mm, to, isPrivate);
  if (sameKey(from, key)) throw sysError(errno.EINVAL);
  let moved = 0;
  for (const waiter of futexes.waiters(from)) {
    // nr_wake is 1: one comes on top, whether it gets the lock or waits for it.
    if (moved > count) break;
    const target = waiter.target;
    if (!target || !sameKey(target.key, key)) throw sysError(errno.EINVAL);
    const locked = tryLockPi(target.task, target.address, target.isPrivate);
    if (!locked) {
      target.lock = queuePi(target.task, target.address, target.isPrivate);
    } else if (count > 0) {
      const { mem } = target.task;
      mem.writeU32(target.address, (mem.readU32(target.address) | FUTEX_WAITERS) >>> 0);
    }
    futexes.take(waiter);
    moved++;
  }
  return moved;
}
