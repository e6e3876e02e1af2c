/** pipe(2). */
import { errno, sysError } from '../abi/errno.ts';
import { O_CLOEXEC, O_DIRECT, O_NONBLOCK } from '../fs/open-file.ts';
import { createPipe } from '../fs/pipe.ts';
import type { Task } from '../task/task.ts';
import { row, type SyscallRow } from './row.ts';

/** O_DIRECT has another value on AArch64 (arch/arm64/include/uapi/asm/fcntl.h). */
const O_DIRECT_AARCH64 = 0o200000;

function pipe2(task: Task, fds: number, rawFlags: number): number {
  let flags = rawFlags;
  if (task.cpu.isa === 'aarch64') {
    if (flags & O_DIRECT) throw sysError(errno.EINVAL);
    if (flags & O_DIRECT_AARCH64) flags = (flags & ~O_DIRECT_AARCH64) | O_DIRECT;
  }
  if (flags & ~(O_CLOEXEC | O_NONBLOCK | O_DIRECT)) throw sysError(errno.EINVAL);
  const cloexec = (flags & O_CLOEXEC) !== 0;
  const [reader, writer] = createPipe(flags, task.cred);
  let first = -1;
  let second = -1;
  try {
    first = task.files.install(reader, cloexec);
    second = task.files.install(writer, cloexec);
    const out = new Int32Array([first, second]);
    task.mem.copyOut(fds, new Uint8Array(out.buffer));
    return 0;
  } catch (e) {
    if (first >= 0) task.files.close(first);
    else reader.unref();
    if (second >= 0) task.files.close(second);
    else writer.unref();
    throw e;
  }
}

export const pipeRows: SyscallRow[] = [
  row('pipe', 22, null, 'fildes:ptr', (task, fds: number) => pipe2(task, fds, 0)),
  row('pipe2', 293, 59, 'fildes:ptr flags:flags', pipe2, { flagNames: { flags: { O_CLOEXEC, O_NONBLOCK, O_DIRECT } } }),
];
