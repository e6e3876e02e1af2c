/**
 * Futex wait queues (futex(2)). A futex is named by the address space it lies in and its address there, or in a shared
 * mapping by the object mapped and the offset.
 */
import type { AddressSpace } from '../mm/address-space.ts';
import { WaitQueue } from './wait-queue.ts';

export const FUTEX_BITSET_MATCH_ANY = 0xffff_ffff;

export interface FutexWaiter {
  /** Where it waits now; FUTEX_REQUEUE changes this. */
  space: object;
  address: number;
  readonly bitset: number;
  woken: boolean;
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
    if (list) list.push(w);
    else byAddress.set(w.address, [w]);
  }

  /** Queues a waiter at the end. */
  add(space: object, address: number, bitset: number): FutexWaiter {
    const w: FutexWaiter = { space, address, bitset, woken: false, queue: new WaitQueue() };
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

  /** Wakes up to `count` waiters whose bitset meets `bitset`, oldest first; returns how many. */
  wake(space: object, address: number, count: number, bitset: number): number {
    let woken = 0;
    for (const w of [...this.#list(space, address)]) {
      if (woken >= count) break;
      if ((w.bitset & bitset) === 0) continue;
      this.remove(w);
      w.woken = true;
      w.queue.wake();
      woken++;
    }
    return woken;
  }

  /** Moves up to `count` waiters to another futex without waking them; returns how many. */
  requeue(from: FutexKey, to: FutexKey, count: number): number {
    let moved = 0;
    for (const w of [...this.#list(from.space, from.address)]) {
      if (moved >= count) break;
      this.remove(w);
      w.space = to.space;
      w.address = to.address;
      this.#insert(w);
      moved++;
    }
    return moved;
  }
}
