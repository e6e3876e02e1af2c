/** `row` for handlers that use what `GuestTask` has beyond the `Task` interface (every task is a `GuestTask`). */
import type { GuestTask } from '../task/guest-task.ts';
import { row, type SyscallRow } from './row.ts';

// biome-ignore lint/suspicious/noExplicitAny: as Handler in row.ts.
type GuestHandler = (task: GuestTask, ...args: any[]) => number | Promise<number>;

export const guestRow = row as (
  name: string,
  x86_64: number | null,
  aarch64: number | null,
  args: string,
  handler: GuestHandler | null,
  extra?: Parameters<typeof row>[5],
) => SyscallRow;
