/** The clocks of clock_gettime(2). */
import { errno, sysError } from '../abi/errno.ts';
import { msToTimespec } from '../abi/time-structs.ts';
import type { GuestTask } from '../task/guest-task.ts';
import type { Process } from '../task/process.ts';
import type { Task } from '../task/task.ts';
import { processNamed, threadNamed } from '../ns/pid.ts';

export const CLOCK_REALTIME = 0;
export const CLOCK_MONOTONIC = 1;
export const CLOCK_PROCESS_CPUTIME_ID = 2;
export const CLOCK_THREAD_CPUTIME_ID = 3;
export const CLOCK_MONOTONIC_RAW = 4;
export const CLOCK_REALTIME_COARSE = 5;
export const CLOCK_MONOTONIC_COARSE = 6;
export const CLOCK_BOOTTIME = 7;
// 8 and 9 (CLOCK_REALTIME_ALARM, CLOCK_BOOTTIME_ALARM) need a real-time clock device; without one they are EINVAL.
export const CLOCK_TAI = 11;

/** One tick of a kernel with HZ=250: what the coarse clocks resolve. */
export const TICK_NSEC = 4_000_000;

/** [seconds, nanoseconds] of a clock. Throws EINVAL for ids that do not exist. */
export function readClock(task: Task, id: number): [number, number] {
  const { host } = task.kernel;
  switch (id) {
    case CLOCK_REALTIME:
    case CLOCK_TAI:
      return host.realtime();
    case CLOCK_MONOTONIC:
    case CLOCK_MONOTONIC_RAW:
    case CLOCK_BOOTTIME:
      return host.monotonic();
    case CLOCK_PROCESS_CPUTIME_ID:
      return msToClock(processCpuMs(task.process));
    case CLOCK_THREAD_CPUTIME_ID:
      return msToClock(threadCpuMs(task));
    case CLOCK_REALTIME_COARSE:
      return coarse(host.realtime());
    case CLOCK_MONOTONIC_COARSE:
      return coarse(host.monotonic());
    default:
      return msToClock(cpuClock(task, id));
  }
}

function coarse([sec, nsec]: [number, number]): [number, number] {
  return [sec, nsec - (nsec % TICK_NSEC)];
}

const msToClock = (ms: number): [number, number] => {
  const { sec, nsec } = msToTimespec(ms);
  return [sec, nsec];
};

/**
 * clock_getcpuclockid(3) and pthread_getcpuclockid(3) ids: ~pid << 3, bit 2 for threads, bits 0-1 the kind (3: a device's
 * descriptor). Any process, but only threads of the caller's own (kernel/time/posix-cpu-timers.c, pid_for_clock).
 */
function cpuClock(task: Task, id: number): number {
  if (id >= 0 || (id & 3) === 3) throw sysError(errno.EINVAL);
  const pid = ~(id >> 3);
  if ((id & 4) !== 0) {
    const thread = pid === 0 ? task : threadNamed(task, pid);
    if (thread?.process !== task.process) throw sysError(errno.EINVAL);
    return threadCpuMs(thread);
  }
  const process = pid === 0 ? task.process : processNamed(task, pid);
  if (!process) throw sysError(errno.EINVAL);
  return processCpuMs(process);
}

/** Milliseconds since the thread was resumed, 0 while it does not run. */
const sinceResumed = (task: Task): number => {
  const { runningSince } = task as GuestTask;
  return runningSince === null ? 0 : task.kernel.monotonicMs() - runningSince;
};
/** CPU time of a thread, all of it user time, in milliseconds. */
export const threadCpuMs = (task: Task): number => (task as GuestTask).cpuTime + sinceResumed(task);
/** CPU time of a process's threads, living and gone, in milliseconds. */
export function processCpuMs(process: Process): number {
  let sum = process.cpuTime;
  for (const task of process.tasks.values()) sum += sinceResumed(task);
  return sum;
}

/** Resolution in nanoseconds. */
export function clockResolution(task: Task, id: number): number {
  if (id === CLOCK_REALTIME_COARSE || id === CLOCK_MONOTONIC_COARSE) return TICK_NSEC;
  readClock(task, id);
  // CPUCLOCK_PROF and CPUCLOCK_VIRT count ticks.
  return id < 0 && (id & 3) < 2 ? TICK_NSEC : 1;
}

/** The clock in milliseconds, with fractions. */
export function clockMs(task: Task, id: number): number {
  const [sec, nsec] = readClock(task, id);
  return sec * 1000 + nsec / 1e6;
}
