/** futex(2) and robust lists. */
import { errno, sysError } from '../abi/errno.ts';
import { PROT_READ, PROT_WRITE } from '../mm/guest-memory.ts';
import { readValidTimespec, timespecMs } from '../abi/time-structs.ts';
import { FUTEX_BITSET_MATCH_ANY } from '../task/futex-table.ts';
import type { GuestTask } from '../task/guest-task.ts';
import { CLOCK_MONOTONIC, CLOCK_REALTIME, clockMs } from '../time/clocks.ts';
import { guestRow as row } from './guest-row.ts';
import type { SyscallRow } from './row.ts';

const ops = {
  FUTEX_WAIT: 0,
  FUTEX_WAKE: 1,
  FUTEX_FD: 2,
  FUTEX_REQUEUE: 3,
  FUTEX_CMP_REQUEUE: 4,
  FUTEX_WAKE_OP: 5,
  FUTEX_LOCK_PI: 6,
  FUTEX_UNLOCK_PI: 7,
  FUTEX_TRYLOCK_PI: 8,
  FUTEX_WAIT_BITSET: 9,
  FUTEX_WAKE_BITSET: 10,
  FUTEX_WAIT_REQUEUE_PI: 11,
  FUTEX_CMP_REQUEUE_PI: 12,
  FUTEX_LOCK_PI2: 13,
} as const;
const PRIVATE = 128;
const CLOCK_REALTIME_FLAG = 256;
/** End of the user half of the address space: access_ok. */
const TASK_SIZE = 2 ** 47 - 4096;
const INT_MAX = 0x7fff_ffff;

const opNames: Record<string, number> = {};
for (const [name, op] of Object.entries(ops)) {
  for (const [suffix, extra] of [
    ['', 0],
    ['_PRIVATE', PRIVATE],
  ] as const) {
    opNames[name + suffix] = op | extra;
    opNames[`${name}${suffix}|FUTEX_CLOCK_REALTIME`] = op | extra | CLOCK_REALTIME_FLAG;
  }
}

/** get_futex_key: EINVAL when misaligned, EFAULT when it cannot be an address; shared ones must be mapped. */
function checkAddress(task: GuestTask, address: number, op: number): void {
  if (address % 4 !== 0) throw sysError(errno.EINVAL);
  if (address >= TASK_SIZE) throw sysError(errno.EFAULT);
  if (op & PRIVATE) return;
  // A shared futex is named by its page, which must be there: writable, or of a file.
  const rights = task.mm.find(address)?.file ? PROT_READ : PROT_READ | PROT_WRITE;
  if (task.mem.accessible(address, 4, rights) < 4) throw sysError(errno.EFAULT);
}

function futex(
  task: GuestTask,
  uaddr: number,
  op: number,
  val: number,
  timeout: number,
  uaddr2: number,
  val3: number,
): number | Promise<number> {
  const cmd = op & ~(PRIVATE | CLOCK_REALTIME_FLAG);
  const waits = cmd === ops.FUTEX_WAIT || cmd === ops.FUTEX_WAIT_BITSET;
  let limit: number | null = null;
  if (timeout !== 0 && waits) limit = timespecMs(readValidTimespec(task.mem, timeout));
  if (op & CLOCK_REALTIME_FLAG && cmd !== ops.FUTEX_WAIT_BITSET) throw sysError(errno.ENOSYS);

  switch (cmd) {
    case ops.FUTEX_WAIT: {
      const deadline = limit === null ? null : task.kernel.monotonicMs() + limit;
      return wait(task, uaddr, op, val, FUTEX_BITSET_MATCH_ANY, deadline, CLOCK_MONOTONIC);
    }
    case ops.FUTEX_WAIT_BITSET: {
      const clock = op & CLOCK_REALTIME_FLAG ? CLOCK_REALTIME : CLOCK_MONOTONIC;
      return wait(task, uaddr, op, val, val3, limit, clock);
    }
    case ops.FUTEX_WAKE:
      return wake(task, uaddr, op, val, FUTEX_BITSET_MATCH_ANY);
    case ops.FUTEX_WAKE_BITSET:
      return wake(task, uaddr, op, val, val3);
    case ops.FUTEX_REQUEUE:
    case ops.FUTEX_CMP_REQUEUE:
      return requeue(task, uaddr, uaddr2, op, val | 0, timeout | 0, cmd === ops.FUTEX_CMP_REQUEUE ? val3 : null);
    case ops.FUTEX_WAKE_OP:
      return wakeOp(task, uaddr, uaddr2, op, val | 0, timeout | 0, val3 | 0);
    default:
      // Priority inheritance is not there; FUTEX_FD was removed from Linux in 2.6.26.
      throw sysError(errno.ENOSYS);
  }
}

/** `deadline` is on `clock`, in milliseconds; null waits for ever. */
function wait(
  task: GuestTask,
  uaddr: number,
  op: number,
  val: number,
  bitset: number,
  deadline: number | null,
  clock: number,
): number | Promise<number> {
  if (bitset === 0) throw sysError(errno.EINVAL);
  checkAddress(task, uaddr, op);
  if (task.mem.readU32(uaddr) !== val) throw sysError(errno.EAGAIN);
  return waitQueued(task, uaddr, op, val, bitset, deadline, clock);
}

async function waitQueued(
  task: GuestTask,
  uaddr: number,
  op: number,
  val: number,
  bitset: number,
  deadline: number | null,
  clock: number,
): Promise<number> {
  const { futexes } = task.kernel;
  const waiter = futexes.add(task.mm, uaddr, bitset);
  const left = deadline === null ? null : deadline - clockMs(task, clock);
  const result = await task.wait([waiter.queue], () => waiter.woken, left);
  futexes.remove(waiter);
  if (waiter.woken) return 0;
  if (result === 'timeout') return -errno.ETIMEDOUT;
  if (deadline === null) return -errno.ERESTARTSYS;
  task.restartBlock = () => wait(task, uaddr, op, val, bitset, deadline, clock);
  return -errno.ERESTART_RESTARTBLOCK;
}

function wake(task: GuestTask, uaddr: number, op: number, count: number, bitset: number): number {
  if (bitset === 0) throw sysError(errno.EINVAL);
  checkAddress(task, uaddr, op);
  // Linux looks at the count after it has woken one: zero and less wake one.
  return task.kernel.futexes.wake(task.mm, uaddr, Math.max(1, count | 0), bitset);
}

function requeue(
  task: GuestTask,
  from: number,
  to: number,
  op: number,
  wakeCount: number,
  moveCount: number,
  expected: number | null,
): number {
  if (wakeCount < 0 || moveCount < 0) throw sysError(errno.EINVAL);
  checkAddress(task, from, op);
  checkAddress(task, to, op);
  if (expected !== null && task.mem.readU32(from) !== expected) throw sysError(errno.EAGAIN);
  const { futexes } = task.kernel;
  const woken = futexes.wake(task.mm, from, wakeCount, FUTEX_BITSET_MATCH_ANY);
  return woken + futexes.requeue(task.mm, from, to, Math.min(moveCount, INT_MAX));
}

/** FUTEX_WAKE_OP: changes the second word, wakes at the first, and at the second when its old value compares true. */
function wakeOp(
  task: GuestTask,
  first: number,
  second: number,
  op: number,
  count: number,
  count2: number,
  encoded: number,
): number {
  checkAddress(task, first, op);
  checkAddress(task, second, op);
  const operation = (encoded >>> 28) & 7;
  const comparison = (encoded >>> 24) & 15;
  let operand = (encoded << 8) >> 20;
  const compareWith = (encoded << 20) >> 20;
  // FUTEX_OP_OPARG_SHIFT; amounts outside 0..31 are taken modulo 32.
  if (encoded < 0) operand = 1 << (operand & 31);
  const old = task.mem.readU32(second) | 0;
  task.mem.writeU32(second, applyOp(operation, old, operand) >>> 0);
  const { futexes } = task.kernel;
  let woken = futexes.wake(task.mm, first, Math.max(1, count), FUTEX_BITSET_MATCH_ANY);
  if (compare(comparison, old, compareWith)) {
    woken += futexes.wake(task.mm, second, Math.max(1, count2), FUTEX_BITSET_MATCH_ANY);
  }
  return woken;
}

function applyOp(operation: number, old: number, operand: number): number {
  switch (operation) {
    case 0:
      return operand;
    case 1:
      return (old + operand) | 0;
    case 2:
      return old | operand;
    case 3:
      return old & ~operand;
    case 4:
      return old ^ operand;
    default:
      throw sysError(errno.ENOSYS);
  }
}

function compare(comparison: number, a: number, b: number): boolean {
  switch (comparison) {
    case 0:
      return a === b;
    case 1:
      return a !== b;
    case 2:
      return a < b;
    case 3:
      return a <= b;
    case 4:
      return a > b;
    case 5:
      return a >= b;
    default:
      throw sysError(errno.ENOSYS);
  }
}

const ROBUST_HEAD_SIZE = 24;

function setRobustList(task: GuestTask, head: number, length: number): number {
  if (length !== ROBUST_HEAD_SIZE) throw sysError(errno.EINVAL);
  task.robustList = head;
  return 0;
}

function getRobustList(task: GuestTask, pid: number, head: number, length: number): number {
  const target = pid === 0 ? task : task.kernel.task(pid);
  if (!target) throw sysError(errno.ESRCH);
  task.mem.writeU64(length, ROBUST_HEAD_SIZE);
  task.mem.writeU64(head, target.robustList);
  return 0;
}

export const futexRows: SyscallRow[] = [
  row('futex', 202, 98, 'uaddr:ptr op:flags val:uint timeout:ptr uaddr2:ptr val3:uint', futex, {
    flagNames: { op: opNames },
    support: 'partial',
    note: 'no priority inheritance',
  }),
  row('set_robust_list', 273, 99, 'head:ptr len:size', setRobustList),
  row('get_robust_list', 274, 100, 'pid:pid head_ptr:ptr len_ptr:ptr', getRobustList),
];
