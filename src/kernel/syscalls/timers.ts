/** POSIX timers (timer_create(2)). */
import { errno, sysError } from '../abi/errno.ts';
import { NSIG, SIGALRM } from '../abi/signals.ts';
import { type ItimerValue, msToTimespec, readValidTimespec, timespecMs, writeTimespec } from '../abi/time-structs.ts';
import type { GuestTask } from '../task/guest-task.ts';
import {
  CLOCK_BOOTTIME,
  CLOCK_MONOTONIC,
  CLOCK_PROCESS_CPUTIME_ID,
  CLOCK_REALTIME,
  CLOCK_TAI,
  CLOCK_THREAD_CPUTIME_ID,
  clockMs,
  readClock,
} from '../time/clocks.ts';
import type { PosixTimer } from '../time/posix-timers.ts';
import { guestRow as row } from './guest-row.ts';
import type { SyscallRow } from './row.ts';
import { clockNames } from './time.ts';
import { threadNamed } from '../ns/pid.ts';

const SIGEV_SIGNAL = 0;
const SIGEV_NONE = 1;
const SIGEV_THREAD = 2;
const SIGEV_THREAD_ID = 4;
const TIMER_ABSTIME = 1;
/** Timers count as pending signals (RLIMIT_SIGPENDING). */
const MAX_TIMERS = 15_000;

const isCpuClock = (clock: number): boolean =>
  clock < 0 || clock === CLOCK_PROCESS_CPUTIME_ID || clock === CLOCK_THREAD_CPUTIME_ID;

function checkClock(task: GuestTask, clock: number): void {
  const usable =
    isCpuClock(clock) ||
    clock === CLOCK_REALTIME ||
    clock === CLOCK_MONOTONIC ||
    clock === CLOCK_BOOTTIME ||
    clock === CLOCK_TAI;
  if (!usable) throw sysError(clock > CLOCK_TAI || clock === 10 ? errno.EINVAL : errno.EOPNOTSUPP);
  readClock(task, clock);
}

interface SigEvent {
  signo: number;
  value: bigint;
  thread: GuestTask | null;
}

/** struct sigevent: value, signo, notify, thread id. */
function readSigevent(task: GuestTask, address: number): SigEvent {
  task.mem.bytes(address, 64);
  const value = task.mem.readBigU64(address);
  const signo = task.mem.readI32(address + 8);
  const notify = task.mem.readI32(address + 12);
  if (notify === SIGEV_NONE) return { signo: 0, value, thread: null };
  let thread: GuestTask | null = null;
  if (notify === (SIGEV_SIGNAL | SIGEV_THREAD_ID)) {
    thread = threadNamed(task, task.mem.readI32(address + 16));
    if (thread?.process !== task.process) throw sysError(errno.EINVAL);
  } else if (notify !== SIGEV_SIGNAL && notify !== SIGEV_THREAD) throw sysError(errno.EINVAL);
  if (signo < 1 || signo > NSIG) throw sysError(errno.EINVAL);
  return { signo, value, thread };
}

function timerCreate(task: GuestTask, id: number, sevp: number, timerid: number): number {
  const clock = id | 0;
  const event = sevp === 0 ? null : readSigevent(task, sevp);
  checkClock(task, clock);
  const { process } = task;
  if (process.posixTimers.count >= MAX_TIMERS) throw sysError(errno.EAGAIN);
  task.mem.writable(timerid, 4);
  const timer = process.posixTimers.create(process, (number) => ({
    now: () => clockMs(task, clock),
    cpuClock: isCpuClock(clock),
    ...(event ?? { signo: SIGALRM, value: BigInt(number), thread: null }),
  }));
  task.mem.writeU32(timerid, timer.id);
  return 0;
}

function find(task: GuestTask, id: number): PosixTimer {
  const timer = task.process.posixTimers.get(id);
  if (!timer) throw sysError(errno.EINVAL);
  return timer;
}

/** struct itimerspec: interval, value. */
function writeItimerspec(task: GuestTask, address: number, { interval, value }: ItimerValue): void {
  task.mem.writable(address, 32);
  [interval, value].forEach((ms, i) => {
    const { sec, nsec } = msToTimespec(ms);
    writeTimespec(task.mem, address + i * 16, sec, ms > 0 && sec === 0 ? Math.max(1, nsec) : nsec);
  });
}

function timerSettime(task: GuestTask, id: number, flags: number, next: number, old: number): number {
  if (next === 0) throw sysError(errno.EINVAL);
  task.mem.bytes(next, 32);
  const interval = timespecMs(readValidTimespec(task.mem, next));
  const value = timespecMs(readValidTimespec(task.mem, next + 16));
  const timer = find(task, id);
  const before = timer.get();
  timer.set({ interval, value }, (flags & TIMER_ABSTIME) !== 0);
  if (old !== 0) writeItimerspec(task, old, before);
  return 0;
}

function timerGettime(task: GuestTask, id: number, curr: number): number {
  writeItimerspec(task, curr, find(task, id).get());
  return 0;
}

function timerDelete(task: GuestTask, id: number): number {
  find(task, id);
  task.process.posixTimers.delete(id);
  return 0;
}

export const timerRows: SyscallRow[] = [
  row('timer_create', 222, 107, 'clockid:flags sevp:instruct timerid:outstruct', timerCreate, {
    flagNames: { clockid: clockNames },
  }),
  row('timer_settime', 223, 110, 'timerid:int flags:flags new:instruct old:outstruct', timerSettime, {
    flagNames: { flags: { TIMER_ABSTIME } },
  }),
  row('timer_gettime', 224, 108, 'timerid:int curr:outstruct', timerGettime),
  row('timer_getoverrun', 225, 109, 'timerid:int', (task, id: number) => find(task, id).overrun),
  row('timer_delete', 226, 111, 'timerid:int', timerDelete),
];
