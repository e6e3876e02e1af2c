/** How a process ended, and the status word of wait(2). */

export type ExitStatus =
  | { readonly kind: 'exited'; readonly code: number }
  | { readonly kind: 'killed'; readonly signal: number; readonly core: boolean };

/** Status word as waitpid(2) stores it. */
export function waitStatus(status: ExitStatus): number {
  if (status.kind === 'exited') return (status.code & 0xff) << 8;
  return (status.signal & 0x7f) | (status.core ? 0x80 : 0);
}

/** What a shell would put into `$?`. */
export function shellStatus(status: ExitStatus): number {
  return status.kind === 'exited' ? status.code & 0xff : 128 + status.signal;
}
