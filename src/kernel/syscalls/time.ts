/** Clocks, sleeps and interval timers (time(7)). */
import { errno, sysError } from '../abi/errno.ts';
import {
  encodeRusage,
  readItimerval,
  readTimespec,
  readValidTimespec,
  timespecMs,
  writeItimerval,
  writeTimespec,
  writeTimeval,
  NSEC,
} from '../abi/time-structs.ts';
import {
  CLOCK_BOOTTIME,
  CLOCK_MONOTONIC,
  CLOCK_PROCESS_CPUTIME_ID,
  CLOCK_REALTIME,
  CLOCK_TAI,
  clockMs,
  clockResolution,
  processCpuMs,
  readClock,
  threadCpuMs,
} from '../time/clocks.ts';
import { ITIMER_PROF, ITIMER_REAL } from '../time/itimers.ts';
import { sleepRelative, sleepUntil } from '../time/sleep.ts';
import type { GuestTask } from '../task/guest-task.ts';
import { guestRow as row } from './guest-row.ts';
import type { SyscallRow } from './row.ts';

/** Clock ticks per second as times(2) counts (sysconf _SC_CLK_TCK). */
const USER_HZ = 100;
const TIMER_ABSTIME = 1;

export const clockNames = {
  CLOCK_REALTIME: 0,
  CLOCK_MONOTONIC: 1,
  CLOCK_PROCESS_CPUTIME_ID: 2,
  CLOCK_THREAD_CPUTIME_ID: 3,
  CLOCK_MONOTONIC_RAW: 4,
  CLOCK_REALTIME_COARSE: 5,
  CLOCK_MONOTONIC_COARSE: 6,
  CLOCK_BOOTTIME: 7,
  CLOCK_REALTIME_ALARM: 8,
  CLOCK_BOOTTIME_ALARM: 9,
  CLOCK_TAI: 11,
};
const itimerNames = { ITIMER_REAL: 0, ITIMER_VIRTUAL: 1, ITIMER_PROF: 2 };
const rusageNames = { RUSAGE_SELF: 0, RUSAGE_CHILDREN: 0xffff_ffff, RUSAGE_THREAD: 1 };

function clockGettime(task: GuestTask, id: number, tp: number): number {
  const [sec, nsec] = readClock(task, id | 0);
  writeTimespec(task.mem, tp, sec, nsec);
  return 0;
}

function clockSettime(task: GuestTask, id: number, tp: number): number {
  const clock = id | 0;
  // Only the real-time clock can be set at all, and the host's is not the guest's to set.
  if (clock > CLOCK_REALTIME) throw sysError(errno.EINVAL);
  const t = readTimespec(task.mem, tp);
  if (t.sec < 0 || t.nsec < 0 || t.nsec >= NSEC) throw sysError(errno.EINVAL);
  readClock(task, clock);
  throw sysError(errno.EPERM);
}

function clockGetres(task: GuestTask, id: number, res: number): number {
  const nsec = clockResolution(task, id | 0);
  if (res !== 0) writeTimespec(task.mem, res, 0, nsec);
  return 0;
}

function nanosleep(task: GuestTask, req: number, rem: number): number | Promise<number> {
  const t = readValidTimespec(task.mem, req);
  return sleepRelative(task, task.kernel.monotonicMs() + timespecMs(t), rem);
}

/** Clocks of devices (bits 0-2 are 3), coarse, raw and alarm clocks are not. */
const sleepable = (clock: number): boolean =>
  (clock < 0 && (clock & 7) !== 3) ||
  clock === CLOCK_REALTIME ||
  clock === CLOCK_MONOTONIC ||
  clock === CLOCK_BOOTTIME ||
  clock === CLOCK_TAI ||
  clock === CLOCK_PROCESS_CPUTIME_ID;

function clockNanosleep(
  task: GuestTask,
  id: number,
  flags: number,
  req: number,
  rem: number,
): number | Promise<number> {
  const clock = id | 0;
  if (!sleepable(clock)) throw sysError(clock > CLOCK_TAI || clock === 10 ? errno.EINVAL : errno.EOPNOTSUPP);
  const t = timespecMs(readValidTimespec(task.mem, req));
  readClock(task, clock);
  // TIMER_ABSTIME is the only flag; Linux ignores the others.
  if (flags & TIMER_ABSTIME) return sleepUntil(task, () => clockMs(task, clock), t);
  return sleepRelative(task, task.kernel.monotonicMs() + t, rem);
}

export function gettimeofday(task: GuestTask, tv: number, tz: number): number {
  if (tv !== 0) {
    const [sec, nsec] = task.kernel.host.realtime();
    writeTimeval(task.mem, tv, sec, Math.floor(nsec / 1000));
  }
  // The kernel's own time zone is always UTC here.
  if (tz !== 0) task.mem.copyOut(tz, new Uint8Array(8));
  return 0;
}

function settimeofday(task: GuestTask, tv: number, tz: number): number {
  if (tv !== 0) {
    const t = readTimespec(task.mem, tv);
    if (t.sec < 0 || t.nsec < 0 || t.nsec > 1_000_000) throw sysError(errno.EINVAL);
  }
  if (tz !== 0) task.mem.bytes(tz, 8);
  throw sysError(errno.EPERM);
}

export function time(task: GuestTask, tloc: number): number {
  const [sec] = task.kernel.host.realtime();
  if (tloc !== 0) task.mem.writeU64(tloc, sec);
  return sec;
}

function times(task: GuestTask, buf: number): number {
  const { kernel, process } = task;
  if (buf !== 0) {
    const ticks = (ms: number): number => Math.floor((ms * USER_HZ) / 1000);
    task.mem.writable(buf, 32);
    task.mem.writeU64(buf, ticks(processCpuMs(process)));
    task.mem.writeU64(buf + 8, 0);
    task.mem.writeU64(buf + 16, ticks(process.childrenCpuTime));
    task.mem.writeU64(buf + 24, 0);
  }
  return Math.floor((kernel.monotonicMs() * USER_HZ) / 1000);
}

function getrusage(task: GuestTask, who: number, usage: number): number {
  const { process } = task;
  const maxrss = task.mm.stats.peakAccessible / 1024;
  switch (who) {
    case 0:
      task.mem.copyOut(usage, encodeRusage({ utime: processCpuMs(process), stime: 0, maxrss }));
      return 0;
    case 1:
      task.mem.copyOut(usage, encodeRusage({ utime: threadCpuMs(task), stime: 0, maxrss }));
      return 0;
    case -1:
      task.mem.copyOut(usage, encodeRusage({ utime: process.childrenCpuTime, stime: 0, maxrss: 0 }));
      return 0;
    default:
      throw sysError(errno.EINVAL);
  }
}

function getitimer(task: GuestTask, which: number, curr: number): number {
  if (which < ITIMER_REAL || which > ITIMER_PROF) throw sysError(errno.EINVAL);
  writeItimerval(task.mem, curr, task.process.itimers.get(which));
  return 0;
}

function setitimer(task: GuestTask, which: number, next: number, old: number): number {
  // A null new value disarms, as Linux has always let it.
  const value = next === 0 ? { interval: 0, value: 0 } : readItimerval(task.mem, next);
  if (which < ITIMER_REAL || which > ITIMER_PROF) throw sysError(errno.EINVAL);
  const previous = task.process.itimers.set(which, value);
  if (old !== 0) writeItimerval(task.mem, old, previous);
  return 0;
}

function alarm(task: GuestTask, seconds: number): number {
  // alarm_setitimer: the old rest in seconds, never rounded down to nothing.
  const old = task.process.itimers.set(ITIMER_REAL, { interval: 0, value: Math.min(seconds, 0x7fff_ffff) * 1000 });
  if (old.value <= 0) return 0;
  return Math.max(1, Math.round(old.value / 1000));
}

/** struct timex: query only. STA_UNSYNC, and so TIME_ERROR, as on a host nobody disciplines. */
function adjtimex(task: GuestTask, buf: number): number {
  const { mem } = task;
  const modes = mem.readU32(buf);
  if (modes !== 0) throw sysError(errno.EPERM);
  const out = new Uint8Array(208);
  const view = new DataView(out.buffer);
  const [sec, nsec] = task.kernel.host.realtime();
  const setLong = (at: number, v: number): void => view.setBigInt64(at, BigInt(v), true);
  setLong(24, 16_000_000); // maxerror
  setLong(32, 16_000_000); // esterror
  view.setInt32(40, 0x40, true); // status
  setLong(48, 2); // constant
  setLong(56, 1); // precision
  setLong(64, 32_768_000); // tolerance
  setLong(72, sec);
  setLong(80, Math.floor(nsec / 1000));
  setLong(88, 10_000); // tick
  mem.copyOut(buf, out);
  return 5;
}

function clockAdjtime(task: GuestTask, id: number, buf: number): number {
  const clock = id | 0;
  task.mem.bytes(buf, 208);
  if (clock < 0) throw sysError(errno.EOPNOTSUPP);
  if (clock !== CLOCK_REALTIME) {
    readClock(task, clock);
    throw sysError(errno.EOPNOTSUPP);
  }
  return adjtimex(task, buf);
}

/** restart_syscall(2): what is left of the call a signal without handler has interrupted. */
function restartSyscall(task: GuestTask): number | Promise<number> {
  const block = task.restartBlock;
  task.restartBlock = null;
  return block ? block() : -errno.EINTR;
}

export const timeRows: SyscallRow[] = [
  row('clock_gettime', 228, 113, 'clockid:flags tp:outstruct', clockGettime, { flagNames: { clockid: clockNames } }),
  row('clock_settime', 227, 112, 'clockid:flags tp:timespec', clockSettime, {
    flagNames: { clockid: clockNames },
    support: 'partial',
    note: "always EPERM: the clock is the host's",
  }),
  row('clock_getres', 229, 114, 'clockid:flags res:outstruct', clockGetres, { flagNames: { clockid: clockNames } }),
  row('clock_nanosleep', 230, 115, 'clockid:flags flags:flags request:timespec remain:ptr', clockNanosleep, {
    flagNames: { clockid: clockNames, flags: { TIMER_ABSTIME } },
  }),
  row('clock_adjtime', 305, 266, 'clockid:flags buf:inoutstruct', clockAdjtime, {
    flagNames: { clockid: clockNames },
    support: 'partial',
    note: 'query only',
  }),
  row('nanosleep', 35, 101, 'request:timespec remain:ptr', nanosleep),
  row('gettimeofday', 96, 169, 'tv:outstruct tz:outstruct', gettimeofday),
  row('settimeofday', 164, 170, 'tv:instruct tz:instruct', settimeofday, {
    support: 'partial',
    note: "always EPERM: the clock is the host's",
  }),
  row('time', 201, null, 'tloc:ptr', time),
  row('times', 100, 153, 'buf:outstruct', times, { note: 'all CPU time counts as user time' }),
  row('getrusage', 98, 165, 'who:int usage:outstruct', getrusage, {
    flagNames: { who: rusageNames },
    support: 'partial',
    note: 'CPU time (all of it user time) and resident size only',
  }),
  row('getitimer', 36, 102, 'which:int curr:outstruct', getitimer, { flagNames: { which: itimerNames } }),
  row('setitimer', 38, 103, 'which:int new:instruct old:outstruct', setitimer, { flagNames: { which: itimerNames } }),
  row('alarm', 37, null, 'seconds:uint', alarm),
  row('adjtimex', 159, 171, 'buf:inoutstruct', adjtimex, { support: 'partial', note: 'query only' }),
  row('restart_syscall', 219, 128, '', restartSyscall),
];
