/** Finding out that a run can never go on: every thread waits for ever for something only another thread could do. */
import type { Kernel } from '../kernel.ts';
import { SIGALRM, SIGCONT, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2 } from '../abi/signals.ts';

/** Signals that may come from the host: a handler for one can wake its process. */
const FROM_HOST = [SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGALRM, SIGCONT];

/** One line for the user, or null while something may still happen. To be asked when nothing has run for a while. */
export function findDeadlock(kernel: Kernel): string | null {
  if (kernel.tasks.size === 0 || kernel.timers.armed > 0) return null;
  let futexes = 0;
  for (const task of kernel.tasks.values()) {
    if (task.waitingFor === null || !task.waiting || task.signalPending()) return null;
    if (task.waitingFor === 'futex') futexes++;
    if (FROM_HOST.some((signo) => task.sighand.catches(signo))) return null;
  }
  if (futexes === 0) return null;
  const threads = kernel.tasks.size === 1 ? 'the only thread waits' : `all ${kernel.tasks.size} threads wait`;
  return `deadlock: ${threads} for ever, for each other`;
}
