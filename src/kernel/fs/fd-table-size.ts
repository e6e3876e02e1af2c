/** How many slots Linux would have given a descriptor table. */
import type { Task } from '../task/task.ts';

/** FDSize in /proc/PID/status, and the most descriptors select(2) looks at: a power of two, at least 256. */
export function fdTableSize(task: Task): number {
  let highest = 0;
  for (const [fd] of task.files.entries()) highest = Math.max(highest, fd);
  let size = 256;
  while (size <= highest) size *= 2;
  return size;
}
