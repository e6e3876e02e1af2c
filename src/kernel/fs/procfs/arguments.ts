/** /proc/PID/cmdline, environ and auxv: the strings execve(2) put on the stack, as they are now. */
import type { GuestTask } from '../../task/guest-task.ts';
import { pidEntry, type Subject } from './entry.ts';

/** As much as one read of these files gives at most. */
const LIMIT = 1 << 20;

function range(thread: GuestTask, start: number, end: number): Uint8Array {
  const length = thread.mem.accessible(start, Math.min(Math.max(0, end - start), LIMIT), 0);
  return thread.mem.guest.u8.slice(start, start + length);
}

/** get_mm_cmdline: a program that has overwritten the last NUL (setproctitle) shows one string, into the environment. */
function cmdline({ process, thread }: Subject): Uint8Array | string {
  if (!thread) return '';
  const { argStart, argEnd, envStart, envEnd } = process;
  const args = range(thread, argStart, argEnd);
  if (args.length === 0 || args.at(-1) === 0 || envStart !== argEnd) return args;
  const title = range(thread, argStart, Math.max(argEnd, envEnd));
  const nul = title.indexOf(0);
  return nul < 0 ? title : title.subarray(0, nul);
}

export const cmdlineEntry = pidEntry('cmdline', cmdline);
export const environ = pidEntry(
  'environ',
  ({ process, thread }) => (thread ? range(thread, process.envStart, process.envEnd) : ''),
  { perm: 0o400 },
);
export const auxv = pidEntry('auxv', ({ process, thread }) => (thread ? process.auxv : ''), { perm: 0o400 });
