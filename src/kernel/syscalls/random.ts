/** getrandom(2). */
import { errno, sysError } from '../abi/errno.ts';
import { PROT_WRITE } from '../mm/guest-memory.ts';
import type { GuestTask } from '../task/guest-task.ts';
import { guestRow as row } from './guest-row.ts';
import type { SyscallRow } from './row.ts';

const flagNames = { GRND_NONBLOCK: 1, GRND_RANDOM: 2, GRND_INSECURE: 4 };
/** Longest single request (random.c: INT_MAX rounded down to a page, as for read). */
const MAX_COUNT = 0x7fff_f000;
const CHUNK = 65_536;

function getrandom(task: GuestTask, buf: number, count: number, flags: number): number {
  const { GRND_NONBLOCK, GRND_RANDOM, GRND_INSECURE } = flagNames;
  if (flags & ~(GRND_NONBLOCK | GRND_RANDOM | GRND_INSECURE)) throw sysError(errno.EINVAL);
  if ((flags & (GRND_RANDOM | GRND_INSECURE)) === (GRND_RANDOM | GRND_INSECURE)) throw sysError(errno.EINVAL);
  const length = Math.min(count, MAX_COUNT);
  const room = task.mem.accessible(buf, length, PROT_WRITE);
  if (length > 0 && room === 0) throw sysError(errno.EFAULT);
  // By way of a buffer of the host's own: not every host generator writes to shared memory.
  const chunk = new Uint8Array(Math.min(room, CHUNK));
  for (let done = 0; done < room; done += chunk.length) {
    const part = chunk.subarray(0, Math.min(chunk.length, room - done));
    task.kernel.host.randomFill(part);
    task.mem.copyOut(buf + done, part);
  }
  return room;
}

export const randomRows: SyscallRow[] = [
  row('getrandom', 318, 278, 'buf:outbuf=1 count:size flags:flags', getrandom, { flagNames: { flags: flagNames } }),
];
