/** Robust futexes at thread exit (get_robust_list(2); kernel/futex/core.c, exit_robust_list). */
import { SysError } from '../abi/errno.ts';
import { futexKey } from './futex-table.ts';
import type { GuestTask } from './guest-task.ts';

const FUTEX_WAITERS = 0x8000_0000;
const FUTEX_OWNER_DIED = 0x4000_0000;
const FUTEX_TID_MASK = 0x3fff_ffff;
/** ROBUST_LIST_LIMIT: a list longer than this is taken for a loop. */
const LIMIT = 2048;

/** Marks every robust futex the thread holds as orphaned and wakes one waiter of each. Stops at a bad pointer. */
export function exitRobustList(task: GuestTask): void {
  const head = task.robustList;
  if (head === 0) return;
  task.robustList = 0;
  try {
    walk(task, head);
  } catch (e) {
    if (!(e instanceof SysError)) throw e;
    // A list the guest has broken ends the walk, as in Linux.
  }
}

function walk(task: GuestTask, head: number): void {
  const { mem } = task;
  const offset = mem.readI64(head + 8);
  const pending = mem.readU64(head + 16);
  let entry = mem.readU64(head);
  for (let n = 0; entry !== head && n < LIMIT; n++) {
    // Bit 0 marks a PI futex.
    const next = mem.readU64(entry - (entry % 2));
    if (entry !== pending) orphan(task, entry - (entry % 2) + offset, entry % 2 === 1, false);
    entry = next;
  }
  if (pending !== 0) orphan(task, pending - (pending % 2) + offset, pending % 2 === 1, true);
}

/** handle_futex_death. `pending`: the thread may have died between unlocking and waking the next. */
function orphan(task: GuestTask, address: number, pi: boolean, pending: boolean): void {
  if (address % 4 !== 0) return;
  const word = task.mem.readU32(address);
  const wake = (): void => task.kernel.futexes.wakeOne(futexKey(task.mm, address, false));
  if (pending && !pi && word === 0) wake();
  if ((word & FUTEX_TID_MASK) !== task.ownTid) return;
  task.mem.writeU32(address, ((word & FUTEX_WAITERS) | FUTEX_OWNER_DIED) >>> 0);
  // A PI futex that is waited for goes to the next by exit_pi_state_list.
  if (!pi && word & FUTEX_WAITERS) wake();
}
