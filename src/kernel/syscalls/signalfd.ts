/** signalfd(2). */
import { errno, sysError } from '../abi/errno.ts';
import { O_CLOEXEC, O_NONBLOCK } from '../fs/open-file.ts';
import { SignalFd } from '../fs/signalfd.ts';
import { readSigset, SIGSET_SIZE } from '../signals/sigset.ts';
import type { Task } from '../task/task.ts';
import { installFile } from './files.ts';
import { row, type SyscallRow } from './row.ts';

function signalfd4(task: Task, fd: number, maskAt: number, size: number, flags: number): number {
  if (size !== SIGSET_SIZE) throw sysError(errno.EINVAL);
  const mask = readSigset(task.mem, maskAt).withoutKillStop();
  if (flags & ~(O_CLOEXEC | O_NONBLOCK)) throw sysError(errno.EINVAL);
  if (fd === -1) {
    const file = new SignalFd(task, mask, (flags & O_NONBLOCK) !== 0);
    return installFile(task, file, (flags & O_CLOEXEC) !== 0);
  }
  const file = task.files.get(fd);
  if (!(file instanceof SignalFd)) throw sysError(errno.EINVAL);
  file.setMask(mask);
  return fd;
}

const flagNames = { flags: { SFD_CLOEXEC: O_CLOEXEC, SFD_NONBLOCK: O_NONBLOCK } };

export const signalfdRows: SyscallRow[] = [
  row('signalfd', 282, null, 'fd:fd mask:sigset sizemask:size', (task, fd: number, mask: number, size: number) =>
    signalfd4(task, fd, mask, size, 0),
  ),
  row('signalfd4', 289, 74, 'fd:fd mask:sigset sizemask:size flags:flags', signalfd4, { flagNames }),
];
