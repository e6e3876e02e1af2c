/**
 * V8's threads beside the guest's. Those that compile are four whatever there are of processors, and every module has its own of them at
 * work: on two processors the guest's thread waited for a fifth to a quarter of the first seconds of a warm run. They also
 * collect garbage: while modules are made, a cold run would have some 50 MB more of it if they came last.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { availableParallelism, getPriority, setPriority } from 'node:os';

/** By nice(1): Linux gives a thread a tenth of the time of one that is ten below (sched(7), "The nice value"). */
const NICER_BY = 10;

/** Has V8's threads take what the others leave, on a host with few processors where threads have priorities of their own. */
export function yieldToGuest(): void {
  if (process.platform !== 'linux' || availableParallelism() >= 4) return;
  try {
    const nice = Math.min(19, getPriority() + NICER_BY);
    for (const thread of readdirSync('/proc/self/task'))
      if (readFileSync(`/proc/self/task/${thread}/comm`, 'latin1').includes('V8Worker'))
        setPriority(Number(thread), nice);
  } catch {
    // Without /proc, or the right to: they stay as they are.
  }
}
