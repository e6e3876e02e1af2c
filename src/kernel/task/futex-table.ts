/**
 * Futex wait queues (futex(2)). A futex is named by the address space it lies in and its address there, or in a shared
 * mapping by the object mapped and the offset.
 */
import { errno, sysError } from '../abi/errno.ts';
import type { AddressSpace } from '../mm/address-space.ts';
import type { RequeueTarget } from './futex-requeue-pi.ts';
import { WaitQueue } from './wait-queue.ts';

export const FUTEX_BITSET_MATCH_ANY = 0xffff_ffff;

export interface FutexWaiter {
  /** Where it waits now; FUTEX_REQUEUE changes this. */
  space: object;
  address: number;
  readonly bitset: number;
  woken: boolean;
  /** Real-time threads come before others, by priority. */
  readonly priority: number;
  /** FUTEX_WAIT_REQUEUE_PI: only FUTEX_CMP_REQUEUE_PI may wake it. */
  readonly target: RequeueTarget | null;
  /** Woken together with `woken`. */
  readonly queue: WaitQueue;
}

export interface FutexKey {
  readonly space: object;
  readonly address: number;
}

/** get_futex_key. `isPrivate`: FUTEX_PRIVATE_FLAG was given, so nobody outside the address space waits there. */
export function futexKey(mm: AddressSpace, address: number, isPrivate: boolean): FutexKey {
  const vma = isPrivate ? null : mm.find(address);
  if (!vma?.object || !vma.shared) return { space: mm, address };
  return { space: vma.object, address: vma.offset + (address - vma.start) };
}

export class FutexTable {
  // Not a Map of strings: a space that dies takes its queues with it.
  #spaces = new WeakMap<object, Map<number, FutexWaiter[]>>();

  #list(space: object, address: number): FutexWaiter[] {
    return this.#spaces.get(space)?.get(address) ?? [];
  }

  #insert(w: FutexWaiter): void {
    let byAddress = this.#spaces.get(w.space);
    if (!byAddress) {
      byAddress = new Map();
      this.#spaces.set(w.space, byAddress);
    }
    const list = byAddress.get(w.address);
    const before = list && w.priority > 0 ? list.findIndex((other) => other.priority < w.priority) : -1;
    if (list && before >= 0) list.splice(before, 0, w);
    else if (list) list.push(w);
    else byAddress.set(w.address, [w]);
  }

  /** Queues a waiter behind those of its priority. */
  add(space: object, address: number, bitset: number, priority = 0, target: RequeueTarget | null = null): FutexWaiter {
    const w: FutexWaiter = { space, address, bitset, priority, woken: false, target, queue: new WaitQueue() };
    this.#insert(w);
    return w;
  }

  /** Takes a waiter out, wherever it has been requeued to. Does nothing for one that was woken. */
  remove(w: FutexWaiter): void {
    const byAddress = this.#spaces.get(w.space);
    const list = byAddress?.get(w.address);
    const i = list?.indexOf(w) ?? -1;
    if (i < 0) return;
    list!.splice(i, 1);
    if (list!.length === 0) byAddress!.delete(w.address);
  }

  /** Those who wait at a futex now, in order. */
  waiters({ space, address }: FutexKey): readonly FutexWaiter[] {
    return [...this.#list(space, address)];
  }

  /** Wakes one waiter. */
  take(w: FutexWaiter): void {
    this.remove(w);
    w.woken = true;
    w.queue.wake();
  }

  /**
   * Wakes up to `count` waiters whose bitset meets `bitset`, first in the queue first; returns how many. EINVAL at one
   * that waits for FUTEX_CMP_REQUEUE_PI.
   */
  wake(space: object, address: number, count: number, bitset: number): number {
    let woken = 0;
    for (const w of [...this.#list(space, address)]) {
      if (woken >= count) break;
      if (w.target) throw sysError(errno.EINVAL);
      if ((w.bitset & bitset) === 0) continue;
      this.take(w);
      woken++;
    }
    return woken;
  }

  /** What the end of a thread does: nobody hears of an error. */
  wakeOne({ space, address }: FutexKey): void {
    const [w] = this.#list(space, address);
    if (w && !w.target) this.take(w);
  }

  /** Moves up to `count` waiters to another futex without waking them; returns how many. EINVAL as for `wake`. */
  requeue(from: FutexKey, to: FutexKey, count: number): number {
    let moved = 0;
    for (const w of [...this.#list(from.space, from.address)]) {
      if (moved >= count) break;
      if (w.target) throw sysError(errno.EINVAL);
      this.remove(w);
      w.space = to.space;
      w.address = to.address;
      this.#insert(w);
      moved++;
    }
    return moved;
  }
}
