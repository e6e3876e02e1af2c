/**
 * Priority-inheritance futexes (futex(2), "Priority-inheritance futexes"; kernel/futex/pi.c). The word holds the owner's
 * tid, so that user space locks and unlocks without a call while nobody waits; here are those who wait, by priority and
 * then in order.
 */
import { errno, sysError } from '../abi/errno.ts';
import { type FutexKey, futexKey } from './futex-table.ts';
import type { GuestTask } from './guest-task.ts';
import { WaitQueue } from './wait-queue.ts';
import { threadNamed } from '../ns/pid.ts';

const FUTEX_WAITERS = 0x8000_0000;
const FUTEX_OWNER_DIED = 0x4000_0000;
const FUTEX_TID_MASK = 0x3fff_ffff;

export interface PiWaiter {
  readonly task: GuestTask;
  readonly address: number;
  /** Has become the owner. */
  acquired: boolean;
  readonly queue: WaitQueue;
}

interface PiState {
  owner: GuestTask;
  readonly waiters: PiWaiter[];
}

const spaces = new WeakMap<object, Map<number, PiState>>();

const stateOf = (key: FutexKey): PiState | null => spaces.get(key.space)?.get(key.address) ?? null;

function drop(key: FutexKey): void {
  spaces.get(key.space)?.delete(key.address);
}

/**
 * Tries to lock for `task`. True when it has the lock; else the word says that somebody waits. Throws EDEADLK, ESRCH (an
 * owner that does not exist), EFAULT.
 */
export function tryLockPi(task: GuestTask, address: number, isPrivate: boolean): boolean {
  const { mem, ownTid: tid } = task;
  mem.writable(address, 4);
  const word = mem.readU32(address);
  const holder = word & FUTEX_TID_MASK;
  if (holder === tid) throw sysError(errno.EDEADLK);
  const key = futexKey(task.mm, address, isPrivate);
  const state = stateOf(key);
  if (holder === 0 && !state) {
    mem.writeU32(address, ((word & FUTEX_OWNER_DIED) | tid) >>> 0);
    return true;
  }
  const owner = state?.owner ?? threadNamed(task, holder);
  if (!owner || owner.dead) throw sysError(errno.ESRCH);
  return false;
}

/** Puts `task` behind the others that wait for the lock `tryLockPi` could not get. */
export function queuePi(task: GuestTask, address: number, isPrivate: boolean): PiWaiter {
  const { mem } = task;
  const key = futexKey(task.mm, address, isPrivate);
  const word = mem.readU32(address);
  mem.writeU32(address, (word | FUTEX_WAITERS) >>> 0);
  let states = spaces.get(key.space);
  if (!states) {
    states = new Map();
    spaces.set(key.space, states);
  }
  let state = states.get(key.address);
  if (!state) {
    state = { owner: threadNamed(task, word & FUTEX_TID_MASK)!, waiters: [] };
    states.set(key.address, state);
    state.owner.ownedPi.set(state, key);
  }
  const waiter: PiWaiter = { task, address, acquired: false, queue: new WaitQueue() };
  const before = state.waiters.findIndex((w) => w.task.rtPriority < task.rtPriority);
  state.waiters.splice(before < 0 ? state.waiters.length : before, 0, waiter);
  return waiter;
}

/** A waiter gives up. */
export function unqueuePi(waiter: PiWaiter, isPrivate: boolean): void {
  const key = futexKey(waiter.task.mm, waiter.address, isPrivate);
  const state = stateOf(key);
  const i = state?.waiters.indexOf(waiter) ?? -1;
  if (!state || i < 0) return;
  state.waiters.splice(i, 1);
  if (state.waiters.length > 0) return;
  // The word keeps FUTEX_WAITERS: the owner comes to unlock here and finds nobody.
  state.owner.ownedPi.delete(state);
  drop(key);
}

/** Hands the lock to the first waiter; `extra` is added to the word (FUTEX_OWNER_DIED). */
function handOver(key: FutexKey, state: PiState, extra: number): void {
  state.owner.ownedPi.delete(state);
  const next = state.waiters.shift()!;
  const { task, address } = next;
  const more = state.waiters.length > 0 ? FUTEX_WAITERS : 0;
  if (task.mem.accessible(address, 4, 2) >= 4) task.mem.writeU32(address, (task.ownTid | more | extra) >>> 0);
  state.owner = task;
  if (more) task.ownedPi.set(state, key);
  else drop(key);
  next.acquired = true;
  next.queue.wake();
}

/** FUTEX_UNLOCK_PI. Throws EPERM for somebody else's lock. */
export function unlockPi(task: GuestTask, address: number, isPrivate: boolean): void {
  const { mem, ownTid: tid } = task;
  mem.writable(address, 4);
  if ((mem.readU32(address) & FUTEX_TID_MASK) !== tid) throw sysError(errno.EPERM);
  const key = futexKey(task.mm, address, isPrivate);
  const state = stateOf(key);
  if (state) handOver(key, state, 0);
  else mem.writeU32(address, 0);
}

/** Locks that wait for locks: no chain is followed further (Linux has max_lock_depth, 1,024). */
const MAX_DEPTH = 16;

/** The highest priority of a thread and of all who wait for what it owns, directly or not. */
export function inheritedPriority(task: GuestTask, depth = 0): number {
  let highest = task.rtPriority;
  if (task.ownedPi.size === 0 || depth === MAX_DEPTH) return highest;
  for (const state of task.ownedPi.keys())
    for (const w of (state as PiState).waiters) highest = Math.max(highest, inheritedPriority(w.task, depth + 1));
  return highest;
}

/** exit_pi_state_list: a thread that ends leaves its locks to those who wait for them. */
export function exitPi(task: GuestTask): void {
  for (const [state, key] of [...task.ownedPi]) handOver(key as FutexKey, state as PiState, FUTEX_OWNER_DIED);
}
