/** The clock file times are taken from. */
import type { Timespec } from './inode.ts';

let realtime: (() => [number, number]) | null = null;

/** Takes file times from the clock the guest sees (`Host.realtime`), so that they never lie in its future. */
export function setFileClock(clock: () => [number, number]): void {
  realtime = clock;
}

/** CLOCK_REALTIME. */
export function fileTime(): Timespec {
  if (realtime) {
    const [sec, nsec] = realtime();
    return { sec, nsec };
  }
  const ms = Date.now();
  const sec = Math.floor(ms / 1000);
  return { sec, nsec: (ms - sec * 1000) * 1e6 };
}

export const timeBefore = (a: Timespec, b: Timespec): boolean => a.sec < b.sec || (a.sec === b.sec && a.nsec < b.nsec);

const DAY = 86_400;

/** Whether a read is to update the access time under `relatime` (mount(8)). */
export function atimeIsOld(atime: Timespec, mtime: Timespec, ctime: Timespec, now: Timespec): boolean {
  return !timeBefore(mtime, atime) || !timeBefore(ctime, atime) || now.sec - atime.sec >= DAY;
}

let nextDevice = 0x28;
/** Device number for a file system without a device: major 0 (get_anon_bdev). */
export const anonymousDevice = (): number => nextDevice++;
