/** eventfd(2) and timerfd_create(2). */
import { errno, sysError } from '../abi/errno.ts';
import { msToTimespec, readValidTimespec, timespecMs } from '../abi/time-structs.ts';
import { EventFd } from '../fs/eventfd.ts';
import { O_CLOEXEC, O_NONBLOCK, type OpenFile } from '../fs/open-file.ts';
import { TimerFd, type TimerSetting } from '../fs/timerfd.ts';
import { CLOCK_BOOTTIME, CLOCK_MONOTONIC, CLOCK_REALTIME, clockMs } from '../time/clocks.ts';
import type { Task } from '../task/task.ts';
import { row, type SyscallRow } from './row.ts';

const EFD_SEMAPHORE = 1;
const TFD_TIMER_ABSTIME = 1;
const TFD_TIMER_CANCEL_ON_SET = 2;

function install(task: Task, file: OpenFile, cloexec: boolean): number {
  try {
    return task.files.install(file, cloexec);
  } catch (e) {
    file.unref();
    throw e;
  }
}

function eventfd2(task: Task, count: number, flags: number): number {
  if (flags & ~(EFD_SEMAPHORE | O_CLOEXEC | O_NONBLOCK)) throw sysError(errno.EINVAL);
  const file = new EventFd(count, (flags & EFD_SEMAPHORE) !== 0, (flags & O_NONBLOCK) !== 0);
  return install(task, file, (flags & O_CLOEXEC) !== 0);
}

function timerfdCreate(task: Task, clock: number, flags: number): number {
  // The alarm clocks (8, 9) need a real-time clock device.
  if (flags & ~(O_CLOEXEC | O_NONBLOCK) || ![CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_BOOTTIME].includes(clock)) {
    throw sysError(errno.EINVAL);
  }
  const file = new TimerFd(task.kernel, clock, () => clockMs(task, clock), (flags & O_NONBLOCK) !== 0);
  return install(task, file, (flags & O_CLOEXEC) !== 0);
}

function timerFile(task: Task, fd: number): TimerFd {
  const file = task.files.get(fd);
  if (!(file instanceof TimerFd)) throw sysError(errno.EINVAL);
  return file;
}

/** Two 64-bit pairs, interval first (struct itimerspec). */
function encode(setting: TimerSetting): Uint8Array {
  const out = new BigInt64Array(4);
  [setting.interval, setting.value].forEach((ms, i) => {
    const { sec, nsec } = msToTimespec(ms);
    out[i * 2] = BigInt(sec);
    // An armed timer never shows as zero, which would mean disarmed.
    out[i * 2 + 1] = BigInt(ms > 0 && sec === 0 && nsec === 0 ? 1 : nsec);
  });
  return new Uint8Array(out.buffer);
}

function timerfdSettime(task: Task, fd: number, flags: number, next: number, old: number): number {
  task.mem.bytes(next, 32);
  if (flags & ~(TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET)) throw sysError(errno.EINVAL);
  const interval = timespecMs(readValidTimespec(task.mem, next));
  const value = timespecMs(readValidTimespec(task.mem, next + 16));
  const file = timerFile(task, fd);
  const before = file.set({ interval, value }, (flags & TFD_TIMER_ABSTIME) !== 0);
  if (old !== 0) task.mem.copyOut(old, encode(before));
  return 0;
}

function timerfdGettime(task: Task, fd: number, current: number): number {
  task.mem.copyOut(current, encode(timerFile(task, fd).get()));
  return 0;
}

const eventfdFlags = { flags: { EFD_SEMAPHORE, EFD_CLOEXEC: O_CLOEXEC, EFD_NONBLOCK: O_NONBLOCK } };
const timerfdFlags = { flags: { TFD_CLOEXEC: O_CLOEXEC, TFD_NONBLOCK: O_NONBLOCK } };
const settimeFlags = { flags: { TFD_TIMER_ABSTIME, TFD_TIMER_CANCEL_ON_SET } };
const noCancel = {
  support: 'partial',
  note: 'TFD_TIMER_CANCEL_ON_SET is accepted, but no change of the clock is ever noticed',
} as const;

export const eventfdRows: SyscallRow[] = [
  row('eventfd', 284, null, 'count:uint', (task, count: number) => eventfd2(task, count, 0)),
  row('eventfd2', 290, 19, 'count:uint flags:flags', eventfd2, { flagNames: eventfdFlags }),
  row('timerfd_create', 283, 85, 'clockid:int flags:flags', timerfdCreate, { flagNames: timerfdFlags }),
  row('timerfd_settime', 286, 86, 'fd:fd flags:flags new_value:instruct old_value:outstruct', timerfdSettime, {
    flagNames: settimeFlags,
    ...noCancel,
  }),
  row('timerfd_gettime', 287, 87, 'fd:fd curr_value:outstruct', timerfdGettime),
];
