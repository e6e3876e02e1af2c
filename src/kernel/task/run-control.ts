/** What the runtime's loop is told before it lets a guest thread run on. */
import type { ExitStatus } from './exit-status.ts';

/**
 * - continue: run guest code from `task.cpu.pc`.
 * - wait: the process is stopped (SIGSTOP); await `until`, then ask again.
 * - exit: the thread is gone; drop its host stack. `status` is the process's result, null while other threads of it live.
 */
export type UserModeAction =
  | { readonly kind: 'continue' }
  | { readonly kind: 'wait'; readonly until: Promise<void> }
  | { readonly kind: 'exit'; readonly status: ExitStatus | null };

export const CONTINUE: UserModeAction = { kind: 'continue' };
