/**
 * ^Z and fg for a run as a whole: when every process of the guest is stopped, the host's terminal gets its settings back
 * and this process stops itself, so that the shell that started it takes over; SIGCONT goes the other way.
 */
import { SI_KERNEL, SIGCONT } from '../kernel/abi/signals.ts';
import type { Terminal } from '../kernel/fs/tty.ts';
import type { Kernel } from '../kernel/kernel.ts';
import { sendSignal } from '../kernel/signals/send.ts';

const allStopped = (kernel: Kernel): boolean => {
  let any = false;
  for (const process of kernel.processes.values()) {
    if (process.exitStatus !== null) continue;
    if (process.stopSignal === 0) return false;
    any = true;
  }
  return any;
};

/** Continues what the shell would have continued: the first process's group and the foreground. */
function continueGuest(kernel: Kernel, terminal: Terminal | null): void {
  const groups = [kernel.init?.pgid, terminal?.pgrp];
  for (const process of kernel.processes.values())
    if (process.stopSignal !== 0 && groups.includes(process.pgid)) sendSignal(process, SIGCONT, { code: SI_KERNEL });
}

/** Lets the host process stop with its guest. Does nothing on hosts without job control. */
export function followStops(kernel: Kernel, terminal: Terminal | null): void {
  if (process.platform === 'win32') return;
  kernel.options.onStop = () => {
    // Not at once: the process that stopped is still on its way there.
    setImmediate(() => {
      if (!allStopped(kernel)) return;
      terminal?.suspend();
      // Returns when somebody has sent SIGCONT.
      process.kill(process.pid, 'SIGSTOP');
      terminal?.resume();
      continueGuest(kernel, terminal);
    });
  };
  // Stopped from outside while the guest ran: the shell may have changed the terminal.
  process.on('SIGCONT', () => {
    terminal?.suspend();
    terminal?.resume();
  });
}
