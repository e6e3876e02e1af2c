/** futex(2) and robust lists. */
import { errno, sysError } from '../abi/errno.ts';
import { PROT_READ, PROT_WRITE } from '../mm/guest-memory.ts';
import { readValidTimespec, timespecMs } from '../abi/time-structs.ts';
import { FUTEX_BITSET_MATCH_ANY, futexKey } from '../task/futex-table.ts';
import { queuePi, tryLockPi, unlockPi, unqueuePi } from '../task/futex-pi.ts';
import { requeuePi, waitRequeuePi } from '../task/futex-requeue-pi.ts';
import type { GuestTask } from '../task/guest-task.ts';
import { CLOCK_MONOTONIC, CLOCK_REALTIME, clockMs } from '../time/clocks.ts';
import { guestRow as row } from './guest-row.ts';
import type { SyscallRow } from './row.ts';
import { threadNamed } from '../ns/pid.ts';

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
const WAITING: ReadonlySet<number> = new Set([
  ops.FUTEX_WAIT,
  ops.FUTEX_WAIT_BITSET,
  ops.FUTEX_LOCK_PI,
  ops.FUTEX_LOCK_PI2,
  ops.FUTEX_WAIT_REQUEUE_PI,
]);
/** FUTEX_CLOCK_REALTIME may be given to these. */
const CHOOSES_CLOCK: ReadonlySet<number> = new Set([
  ops.FUTEX_WAIT_BITSET,
  ops.FUTEX_WAIT_REQUEUE_PI,
  ops.FUTEX_LOCK_PI2,
]);
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
  const waits = WAITING.has(cmd);
  let limit: number | null = null;
  if (timeout !== 0 && waits) limit = timespecMs(readValidTimespec(task.mem, timeout));
  if (op & CLOCK_REALTIME_FLAG && !CHOOSES_CLOCK.has(cmd)) throw sysError(errno.ENOSYS);
  const clock = op & CLOCK_REALTIME_FLAG ? CLOCK_REALTIME : CLOCK_MONOTONIC;

  switch (cmd) {
    case ops.FUTEX_WAIT: {
      const deadline = limit === null ? null : task.kernel.monotonicMs() + limit;
      return wait(task, uaddr, op, val, FUTEX_BITSET_MATCH_ANY, deadline, CLOCK_MONOTONIC);
    }
    case ops.FUTEX_WAIT_BITSET:
      return wait(task, uaddr, op, val, val3, limit, clock);
    case ops.FUTEX_WAKE:
      return wake(task, uaddr, op, val, FUTEX_BITSET_MATCH_ANY);
    case ops.FUTEX_WAKE_BITSET:
      return wake(task, uaddr, op, val, val3);
    case ops.FUTEX_REQUEUE:
    case ops.FUTEX_CMP_REQUEUE:
      return requeue(task, uaddr, uaddr2, op, val | 0, timeout | 0, cmd === ops.FUTEX_CMP_REQUEUE ? val3 : null);
    case ops.FUTEX_WAKE_OP:
      return wakeOp(task, uaddr, uaddr2, op, val | 0, timeout | 0, val3 | 0);
    case ops.FUTEX_LOCK_PI:
      return lockPi(task, uaddr, op, limit, CLOCK_REALTIME);
    case ops.FUTEX_LOCK_PI2:
      return lockPi(task, uaddr, op, limit, clock);
    case ops.FUTEX_TRYLOCK_PI:
      checkAddress(task, uaddr, op);
      return tryLockPi(task, uaddr, (op & PRIVATE) !== 0) ? 0 : -errno.EAGAIN;
    case ops.FUTEX_UNLOCK_PI:
      checkAddress(task, uaddr, op);
      unlockPi(task, uaddr, (op & PRIVATE) !== 0);
      return 0;
    case ops.FUTEX_WAIT_REQUEUE_PI:
      return waitToBeRequeued(task, uaddr, op, val, limit, uaddr2, clock);
    case ops.FUTEX_CMP_REQUEUE_PI:
      return requeueToPi(task, uaddr, uaddr2, op, val | 0, timeout | 0, val3);
    default:
      // FUTEX_FD was removed from Linux in 2.6.26.
      throw sysError(errno.ENOSYS);
  }
}

/** `deadline` is on `clock`, in milliseconds; null waits for ever. */
function lockPi(
  task: GuestTask,
  uaddr: number,
  op: number,
  deadline: number | null,
  clock: number,
): number | Promise<number> {
  checkAddress(task, uaddr, op);
  const isPrivate = (op & PRIVATE) !== 0;
  return tryLockPi(task, uaddr, isPrivate) ? 0 : waitPi(task, uaddr, isPrivate, deadline, clock);
}

async function waitPi(
  task: GuestTask,
  uaddr: number,
  isPrivate: boolean,
  deadline: number | null,
  clock: number,
): Promise<number> {
  const waiter = queuePi(task, uaddr, isPrivate);
  const left = deadline === null ? null : deadline - clockMs(task, clock);
  task.waitingFor = left === null ? 'futex' : null;
  const result = await task.wait([waiter.queue], () => waiter.acquired, left);
  task.waitingFor = null;
  if (waiter.acquired) return 0;
  unqueuePi(waiter, isPrivate);
  return result === 'timeout' ? -errno.ETIMEDOUT : -errno.ERESTARTNOINTR;
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
  const { space, address } = futexKey(task.mm, uaddr, (op & PRIVATE) !== 0);
  const waiter = futexes.add(space, address, bitset, task.rtPriority);
  const left = deadline === null ? null : deadline - clockMs(task, clock);
  task.waitingFor = left === null ? 'futex' : null;
  const result = await task.wait([waiter.queue], () => waiter.woken, left);
  task.waitingFor = null;
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
  const { space, address } = futexKey(task.mm, uaddr, (op & PRIVATE) !== 0);
  return task.kernel.futexes.wake(space, address, Math.max(1, count | 0), bitset);
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
  const isPrivate = (op & PRIVATE) !== 0;
  const source = futexKey(task.mm, from, isPrivate);
  const woken = futexes.wake(source.space, source.address, wakeCount, FUTEX_BITSET_MATCH_ANY);
  return woken + futexes.requeue(source, futexKey(task.mm, to, isPrivate), Math.min(moveCount, INT_MAX));
}

/** FUTEX_WAIT_REQUEUE_PI. `deadline` is on `clock`, in milliseconds; null waits for ever. */
function waitToBeRequeued(
  task: GuestTask,
  from: number,
  op: number,
  val: number,
  deadline: number | null,
  to: number,
  clock: number,
): Promise<number> {
  if (from === to) throw sysError(errno.EINVAL);
  checkAddress(task, to, op);
  checkAddress(task, from, op);
  if (task.mem.readU32(from) !== val) throw sysError(errno.EAGAIN);
  const isPrivate = (op & PRIVATE) !== 0;
  const left = (): number | null => (deadline === null ? null : deadline - clockMs(task, clock));
  return waitRequeuePi(task, futexKey(task.mm, from, isPrivate), to, isPrivate, left);
}

/** FUTEX_CMP_REQUEUE_PI: the first waiter is woken or moved, and up to `moveCount` others. */
function requeueToPi(
  task: GuestTask,
  from: number,
  to: number,
  op: number,
  wakeCount: number,
  moveCount: number,
  expected: number,
): number {
  if (from === to || wakeCount !== 1 || moveCount < 0) throw sysError(errno.EINVAL);
  checkAddress(task, from, op);
  checkAddress(task, to, op);
  task.mem.writable(to, 4);
  if (task.mem.readU32(from) !== expected) throw sysError(errno.EAGAIN);
  const isPrivate = (op & PRIVATE) !== 0;
  return requeuePi(task, futexKey(task.mm, from, isPrivate), to, isPrivate, moveCount);
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
  const isPrivate = (op & PRIVATE) !== 0;
  const at = futexKey(task.mm, first, isPrivate);
  let woken = futexes.wake(at.space, at.address, Math.max(1, count), FUTEX_BITSET_MATCH_ANY);
  if (compare(comparison, old, compareWith)) {
    const other = futexKey(task.mm, second, isPrivate);
    woken += futexes.wake(other.space, other.address, Math.max(1, count2), FUTEX_BITSET_MATCH_ANY);
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

const WAITV_MAX = 128;
const WAITV_SIZE = 24;
const FUTEX_32 = 2;

/** futex_waitv(2): the index of a futex that was woken. */
function futexWaitv(
  task: GuestTask,
  waiters: number,
  count: number,
  flags: number,
  timeout: number,
  clockid: number,
): number | Promise<number> {
  if (flags !== 0 || count === 0 || count > WAITV_MAX || waiters === 0) throw sysError(errno.EINVAL);
  let deadline: number | null = null;
  if (timeout !== 0) {
    if (clockid !== CLOCK_REALTIME && clockid !== CLOCK_MONOTONIC) throw sysError(errno.EINVAL);
    deadline = timespecMs(readValidTimespec(task.mem, timeout));
  }
  const { mem } = task;
  const given = Array.from({ length: count }, (_, i) => {
    const at = waiters + i * WAITV_SIZE;
    const known = mem.readU32(at + 16);
    if (known & ~(FUTEX_32 | PRIVATE) || !(known & FUTEX_32) || mem.readU32(at + 20) !== 0)
      throw sysError(errno.EINVAL);
    return { val: mem.readU64(at), uaddr: mem.readPointer(at + 8), op: known & PRIVATE };
  });
  for (const { uaddr, op, val } of given) {
    checkAddress(task, uaddr, op);
    if (mem.readU32(uaddr) !== val) throw sysError(errno.EAGAIN);
  }
  const { futexes } = task.kernel;
  const queued = given.map(({ uaddr, op }) => {
    const { space, address } = futexKey(task.mm, uaddr, op !== 0);
    return futexes.add(space, address, FUTEX_BITSET_MATCH_ANY, task.rtPriority);
  });
  const left = deadline === null ? null : deadline - clockMs(task, clockid);
  const woken = (): number => queued.findIndex((w) => w.woken);
  const queues = queued.map((w) => w.queue);
  task.waitingFor = left === null ? 'futex' : null;
  return task
    .wait(queues, () => woken() >= 0, left)
    .then((result) => {
      task.waitingFor = null;
      for (const w of queued) futexes.remove(w);
      const index = woken();
      if (index >= 0) return index;
      return result === 'timeout' ? -errno.ETIMEDOUT : -errno.ERESTARTSYS;
    });
}

const ROBUST_HEAD_SIZE = 24;

function setRobustList(task: GuestTask, head: number, length: number): number {
  if (length !== ROBUST_HEAD_SIZE) throw sysError(errno.EINVAL);
  task.robustList = head;
  return 0;
}

function getRobustList(task: GuestTask, pid: number, head: number, length: number): number {
  const target = pid === 0 ? task : threadNamed(task, pid);
  if (!target) throw sysError(errno.ESRCH);
  task.mem.writeU64(length, ROBUST_HEAD_SIZE);
  task.mem.writeU64(head, target.robustList);
  return 0;
}

export const futexRows: SyscallRow[] = [
  row('futex', 202, 98, 'uaddr:ptr op:flags val:uint timeout:ptr uaddr2:ptr val3:uint', futex, {
    flagNames: { op: opNames },
  }),
  row('futex_waitv', 449, 449, 'waiters:instruct nr_futexes:uint flags:uint timeout:timespec clockid:int', futexWaitv),
  row('set_robust_list', 273, 99, 'head:ptr len:size', setRobustList),
  row('get_robust_list', 274, 100, 'pid:pid head_ptr:ptr len_ptr:ptr', getRobustList),
];
