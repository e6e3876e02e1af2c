/** Descriptors that stand for a process (pidfd_open(2)). */
import { errno, sysError } from '../abi/errno.ts';
import { O_RDWR, OpenFile, POLLIN, POLLRDNORM } from '../fs/open-file.ts';
import { anonInode } from '../fs/pseudo.ts';
import { numbersFrom, type PidNamespace } from '../ns/pid.ts';
import type { Process } from './process.ts';

export class PidFd extends OpenFile {
  readonly process: Process;
  readonly #ended = (): void => this.waiters.wake(POLLIN | POLLRDNORM);

  /** `flags`: PIDFD_NONBLOCK (O_NONBLOCK) or 0. */
  constructor(process: Process, flags: number) {
    super(O_RDWR | flags);
    this.process = process;
    this.inode = anonInode;
    this.path = 'anon_inode:[pidfd]';
    process.endWaiters.add(this.#ended);
  }
  protected override release(): void {
    this.process.endWaiters.remove(this.#ended);
  }
  /** Readable once the process has terminated, waited for or not. */
  override poll(): number {
    return this.process.exitStatus === null ? 0 : POLLIN | POLLRDNORM;
  }
  override lseek(): number {
    throw sysError(errno.ESPIPE);
  }
  /** For /proc/PID/fdinfo, as seen from the PID namespace of that file system: 0 for a process outside of it. */
  fdinfo(from: PidNamespace): string {
    const { process } = this;
    if (process.kernel.process(process.pid) !== process) return 'Pid:\t-1\nNSpid:\t-1\n';
    const numbers = from.contains(process.pidNs) ? numbersFrom(from, process, process.pid) : [0];
    return `Pid:\t${numbers[0]}\nNSpid:\t${numbers.join('\t')}\n`;
  }
}

/** What names a process as a pidfd does (/proc/PID, for pidfd_send_signal(2)); null for none. */
export interface OfProcess {
  readonly namedProcess: Process | null;
}
