/** Copying between files without the guest's memory: sendfile(2), copy_file_range(2). */
import { errno, sysError } from '../abi/errno.ts';
import { S_IFDIR, S_IFMT, S_IFREG } from '../fs/inode.ts';
import { O_APPEND, type OpenFile } from '../fs/open-file.ts';
import type { Task } from '../task/task.ts';
import { MAX_RW, readFile, writeFile } from './io.ts';
import { row, type SyscallRow } from './row.ts';

const CHUNK = 1 << 18;

/** A position in a file: the guest's variable, or the file's own offset when its address is null. */
class Position {
  readonly #task: Task;
  readonly #file: OpenFile;
  readonly #addr: number;
  value: number;

  constructor(task: Task, file: OpenFile, addr: number) {
    this.#task = task;
    this.#file = file;
    this.#addr = addr;
    this.value = addr === 0 ? file.offset : task.mem.readI64(addr);
    if (addr !== 0) task.mem.writable(addr, 8);
    if (this.value < 0) throw sysError(errno.EINVAL);
  }
  store(): void {
    if (this.#addr === 0) this.#file.offset = this.value;
    else this.#task.mem.writeU64(this.#addr, this.value);
  }
}

/**
 * Copies until `count`, the end of `from` or a short write. `to` null writes at the file's own offset. An error after
 * the first bytes ends the copy and is told by the next call.
 */
async function copy(task: Task, source: OpenFile, from: Position, target: OpenFile, to: Position | null, count: number): Promise<number> {
  const buffer = new Uint8Array(Math.min(count, CHUNK));
  let done = 0;
  try {
    while (done < count) {
      const n = await readFile(task, source, buffer.subarray(0, Math.min(buffer.length, count - done)), from.value);
      if (n === 0) break;
      const written = await writeFile(task, target, buffer.subarray(0, n), to ? to.value : null);
      from.value += written;
      if (to) to.value += written;
      done += written;
      if (written < n) break;
    }
  } catch (e) {
    if (done === 0) throw e;
  }
  from.store();
  to?.store();
  return done;
}

function readableFile(task: Task, fd: number): OpenFile {
  const file = task.files.get(fd);
  if (!file.readable) throw sysError(errno.EBADF);
  return file;
}
function writableFile(task: Task, fd: number): OpenFile {
  const file = task.files.get(fd);
  if (!file.writable) throw sysError(errno.EBADF);
  return file;
}

async function sendfile(task: Task, outFd: number, inFd: number, offset: number, count: number): Promise<number> {
  const source = readableFile(task, inFd);
  if (offset !== 0 && !source.seekable) throw sysError(errno.ESPIPE);
  const target = writableFile(task, outFd);
  const type = source.inode ? source.stat().mode & S_IFMT : 0;
  // Pipes, sockets and terminals cannot be sent from; directories have no bytes.
  if (!source.seekable || type === S_IFDIR) throw sysError(errno.EINVAL);
  if (target.flags & O_APPEND) throw sysError(errno.EINVAL);
  const from = new Position(task, source, offset);
  return copy(task, source, from, target, null, Math.min(count, MAX_RW));
}

async function copyFileRange(
  task: Task, inFd: number, inOffset: number, outFd: number, outOffset: number, length: number, flags: number,
): Promise<number> {
  if (flags !== 0) throw sysError(errno.EINVAL);
  const source = task.files.get(inFd);
  const target = task.files.get(outFd);
  const types = [source, target].map((f) => (f.inode ? f.stat().mode & S_IFMT : 0));
  const from = new Position(task, source, inOffset);
  const to = new Position(task, target, outOffset);
  if (types.includes(S_IFDIR)) throw sysError(errno.EISDIR);
  if (types.some((t) => t !== S_IFREG)) throw sysError(errno.EINVAL);
  if (!source.readable || !target.writable || target.flags & O_APPEND) throw sysError(errno.EBADF);
  // Between file systems the caller copies by itself (Linux 5.19 and later).
  if (source.inode!.fs !== target.inode!.fs) throw sysError(errno.EXDEV);
  if (from.value + length >= 2 ** 63 || to.value + length >= 2 ** 63) throw sysError(errno.EOVERFLOW);
  const count = Math.max(0, Math.min(length, MAX_RW, source.stat().size - from.value));
  const overlap = from.value < to.value + count && to.value < from.value + count;
  if (source.mapKey() === target.mapKey() && overlap && count > 0) throw sysError(errno.EINVAL);
  return copy(task, source, from, target, to, count);
}

const splicing = (name: string, x86_64: number, aarch64: number, args: string): SyscallRow =>
  row(name, x86_64, aarch64, args, null, { note: 'callers copy with read and write' });

export const copyRows: SyscallRow[] = [
  row('sendfile', 40, 71, 'out_fd:fd in_fd:fd offset:ptr count:size', sendfile),
  row('copy_file_range', 326, 285, 'fd_in:fd off_in:ptr fd_out:fd off_out:ptr len:size flags:hex', copyFileRange),
  splicing('splice', 275, 76, 'fd_in:fd off_in:ptr fd_out:fd off_out:ptr len:size flags:hex'),
  splicing('tee', 276, 77, 'fd_in:fd fd_out:fd len:size flags:hex'),
  splicing('vmsplice', 278, 75, 'fd:fd iov:iovec nr_segs:ulong flags:hex'),
];
