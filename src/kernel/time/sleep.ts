/** Sleeping until a deadline, with the restart rules of nanosleep(2) and clock_nanosleep(2). */
import { errno } from '../abi/errno.ts';
import { msToTimespec, writeTimespec } from '../abi/time-structs.ts';
import type { GuestTask } from '../task/guest-task.ts';

const never = (): boolean => false;

/**
 * Relative sleep that ends at `deadline` (monotonic ms). When a signal comes, the rest is stored at `remainder` (unless
 * 0), and restart_syscall(2) goes on with the same deadline if no handler ran.
 */
export async function sleepRelative(task: GuestTask, deadline: number, remainder: number): Promise<number> {
  const { kernel } = task;
  const result = await task.wait([], never, deadline - kernel.monotonicMs());
  if (result !== 'signal') return 0;
  const left = deadline - kernel.monotonicMs();
  if (left <= 0) return 0;
  if (remainder !== 0) {
    const { sec, nsec } = msToTimespec(left);
    writeTimespec(task.mem, remainder, sec, nsec);
  }
  task.restartBlock = () => sleepRelative(task, deadline, remainder);
  return -errno.ERESTART_RESTARTBLOCK;
}

/** Absolute sleep (TIMER_ABSTIME): simply made again after a signal without a handler. `now` reads the clock in ms. */
export async function sleepUntil(task: GuestTask, now: () => number, deadline: number): Promise<number> {
  const result = await task.wait([], never, deadline - now());
  return result === 'signal' ? -errno.ERESTARTNOHAND : 0;
}
