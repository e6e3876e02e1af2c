/** Copying between descriptors: sendfile(2), copy_file_range(2), splice(2), vmsplice(2). */
import { errno, sysError } from '../abi/errno.ts';
import { S_IFDIR, S_IFMT, S_IFREG } from '../fs/inode.ts';
import { type MaybePromise, O_APPEND, type OpenFile, POLLIN, POLLOUT } from '../fs/open-file.ts';
import { PipeEnd } from '../fs/pipe.ts';
import type { Task } from '../task/task.ts';
import { MAX_RW, readFile, readIovec, readVector, writeFile, writeVector } from './io.ts';
import { row, type SyscallRow } from './row.ts';

const CHUNK = 1 << 20;
/** What one splice moves at most: a pipe's default capacity. */
const SPLICE_MAX = 65536;

/** An in-out offset in guest memory; null pointer: the file's own. */
function readOffset(task: Task, address: number): number | null {
  if (address === 0) return null;
  task.mem.writable(address, 8);
  const offset = task.mem.readI64(address);
  if (offset < 0) throw sysError(errno.EINVAL);
  return offset;
}
function writeOffset(task: Task, address: number, offset: number): void {
  if (address !== 0) task.mem.writeU64(address, offset);
}

const typeOf = (file: OpenFile): number => file.stat().mode & S_IFMT;

/**
 * Moves up to `count` bytes. Only what has been written counts as read: positions are given explicitly, or the offset of
 * a file with one is set back.
 */
async function pumpSlowly(
  task: Task,
  from: OpenFile,
  to: OpenFile,
  position: number | null,
  outPosition: number | null,
  count: number,
  started: number,
  pending: Promise<number>,
  chunk: Uint8Array,
): Promise<number> {
  let done = started;
  let wait: MaybePromise<number> = pending;
  let data = chunk;
  for (;;) {
    let n: number;
    try {
      n = await wait;
    } catch (e) {
      if (done > 0) return done;
      throw e;
    }
    done += n;
    if (n < data.length || done >= count) return done;
    const next = readChunk(task, from, position, done, count);
    data = next instanceof Promise ? await next : next;
    if (data.length === 0) return done;
    wait = writeFile(task, to, data, outPosition === null ? null : outPosition + done);
  }
}

/** The next bytes of a file with positions, read at `position + done` (or its offset + done). */
function readChunk(
  task: Task,
  from: OpenFile,
  position: number | null,
  done: number,
  count: number,
): MaybePromise<Uint8Array> {
  const buffer = new Uint8Array(Math.min(CHUNK, count - done));
  const got = readFile(task, from, buffer, (position ?? from.offset) + done);
  return got instanceof Promise ? got.then((n) => buffer.subarray(0, n)) : buffer.subarray(0, got);
}

/** Copies from a file with positions. The caller moves the source's offset by the result. */
function pump(
  task: Task,
  from: OpenFile,
  to: OpenFile,
  position: number | null,
  outPosition: number | null,
  count: number,
): MaybePromise<number> {
  let done = 0;
  while (done < count) {
    const chunk = readChunk(task, from, position, done, count);
    if (chunk instanceof Promise) throw sysError(errno.EINVAL);
    if (chunk.length === 0) break;
    let n: MaybePromise<number>;
    try {
      n = writeFile(task, to, chunk, outPosition === null ? null : outPosition + done);
    } catch (e) {
      if (done > 0) break;
      throw e;
    }
    if (n instanceof Promise) return pumpSlowly(task, from, to, position, outPosition, count, done, n, chunk);
    done += n;
    if (n < chunk.length) break;
  }
  return done;
}

function finishCopy(result: MaybePromise<number>, done: (n: number) => void): MaybePromise<number> {
  const finish = (n: number): number => {
    done(n);
    return n;
  };
  return result instanceof Promise ? result.then(finish) : finish(result);
}

function sendfile(task: Task, outFd: number, inFd: number, offsetAddress: number, count: number): MaybePromise<number> {
  const offset = readOffset(task, offsetAddress);
  const from = task.files.get(inFd);
  if (!from.readable) throw sysError(errno.EBADF);
  if (!from.seekable) throw sysError(offset !== null ? errno.ESPIPE : errno.EINVAL);
  const to = task.files.get(outFd);
  if (!to.writable) throw sysError(errno.EBADF);
  if (to.flags & O_APPEND || typeOf(from) === S_IFDIR) throw sysError(errno.EINVAL);
  const start = from.offset;
  return finishCopy(pump(task, from, to, offset, null, Math.min(count, MAX_RW)), (n) => {
    if (offset === null) from.offset = start + n;
    else writeOffset(task, offsetAddress, offset + n);
  });
}

function copyFileRange(
  task: Task,
  inFd: number,
  inAddress: number,
  outFd: number,
  outAddress: number,
  count: number,
  flags: number,
): MaybePromise<number> {
  const from = task.files.get(inFd);
  const to = task.files.get(outFd);
  const inOffset = readOffset(task, inAddress);
  const outOffset = readOffset(task, outAddress);
  if (flags !== 0) throw sysError(errno.EINVAL);
  const types = [typeOf(from), typeOf(to)];
  if (types.includes(S_IFDIR)) throw sysError(errno.EISDIR);
  if (types.some((t) => t !== S_IFREG)) throw sysError(errno.EINVAL);
  if (!from.readable || !to.writable || to.flags & O_APPEND) throw sysError(errno.EBADF);
  // Between file systems the caller copies by itself (Linux 5.19 and later).
  if (from.inode?.fs !== to.inode?.fs) throw sysError(errno.EXDEV);
  const start = inOffset ?? from.offset;
  const target = outOffset ?? to.offset;
  if (start + count >= 2 ** 63 || target + count >= 2 ** 63) throw sysError(errno.EOVERFLOW);
  const length = Math.max(0, Math.min(count, MAX_RW, from.stat().size - start));
  const same = from.mapKey() !== null && from.mapKey() === to.mapKey();
  if (same && start < target + length && target < start + length) throw sysError(errno.EINVAL);
  if (length === 0) return 0;
  return finishCopy(pump(task, from, to, start, target, length), (n) => {
    if (inOffset === null) from.offset = start + n;
    else writeOffset(task, inAddress, start + n);
    if (outOffset === null) to.offset = target + n;
    else writeOffset(task, outAddress, target + n);
  });
}

const SPLICE = { SPLICE_F_MOVE: 1, SPLICE_F_NONBLOCK: 2, SPLICE_F_MORE: 4, SPLICE_F_GIFT: 8 };
const ALL_SPLICE = 15;

/** Waits until a pipe has data, or room. Throws EAGAIN, ERESTARTSYS. */
async function waitForPipe(task: Task, end: PipeEnd, bits: number, nonblocking: boolean): Promise<void> {
  const ready = (): boolean => (end.poll() & (bits | 0x18)) !== 0;
  if (ready()) return;
  if (nonblocking) throw sysError(errno.EAGAIN);
  if ((await task.wait([end.waiters], ready, null)) === 'signal' && !ready()) throw sysError(errno.ERESTARTSYS);
}

async function splice(
  task: Task,
  inFd: number,
  inAddress: number,
  outFd: number,
  outAddress: number,
  count: number,
  flags: number,
): Promise<number> {
  if (flags & ~ALL_SPLICE) throw sysError(errno.EINVAL);
  if (count === 0) return 0;
  const from = task.files.get(inFd);
  const to = task.files.get(outFd);
  if (!from.readable || !to.writable) throw sysError(errno.EBADF);
  const fromPipe = from instanceof PipeEnd;
  const toPipe = to instanceof PipeEnd;
  if (!fromPipe && !toPipe) throw sysError(errno.EINVAL);
  if ((fromPipe && inAddress !== 0) || (toPipe && outAddress !== 0)) throw sysError(errno.ESPIPE);
  if (fromPipe && toPipe && from.pipe === to.pipe) throw sysError(errno.EINVAL);
  if (!toPipe && to.flags & O_APPEND) throw sysError(errno.EINVAL);
  const inOffset = readOffset(task, inAddress);
  const outOffset = readOffset(task, outAddress);
  if (inOffset !== null && !from.seekable) throw sysError(errno.EINVAL);
  if (outOffset !== null && !to.seekable) throw sysError(errno.EINVAL);
  const nonblocking = (flags & SPLICE.SPLICE_F_NONBLOCK) !== 0;
  let room = Math.min(count, SPLICE_MAX);
  if (toPipe) {
    await waitForPipe(task, to, POLLOUT, nonblocking || to.nonblocking);
    // Whole pages that are free: what is taken must also go in.
    room = Math.min(room, (to.pipe.maxSlots - to.pipe.slots.length) * 4096);
  }
  if (fromPipe) {
    await waitForPipe(task, from, POLLIN, nonblocking || from.nonblocking);
    if (from.pipe.empty) return 0;
  }
  const buffer = new Uint8Array(Math.max(room, 1));
  if (fromPipe && !to.seekable && !toPipe) return drainPipe(task, from, to, buffer);
  const n = await readFile(task, from, buffer, inOffset);
  if (n === 0) return 0;
  let done = 0;
  while (done < n) {
    done += await writeFile(task, to, buffer.subarray(done, n), outOffset === null ? null : outOffset + done);
  }
  if (inOffset !== null) writeOffset(task, inAddress, inOffset + n);
  if (outOffset !== null) writeOffset(task, outAddress, outOffset + n);
  return n;
}

/** From a pipe into a socket or the like, which may take less than there is: what it did not take stays in the pipe. */
async function drainPipe(task: Task, from: PipeEnd, to: OpenFile, buffer: Uint8Array): Promise<number> {
  const n = from.pipe.peek(buffer);
  const done = await writeFile(task, to, buffer.subarray(0, n), null);
  from.pipe.take(buffer.subarray(0, done));
  return done;
}

/** Duplicates what is in a pipe without taking it out. */
async function tee(task: Task, inFd: number, outFd: number, count: number, flags: number): Promise<number> {
  if (flags & ~ALL_SPLICE) throw sysError(errno.EINVAL);
  if (count === 0) return 0;
  const from = task.files.get(inFd);
  const to = task.files.get(outFd);
  if (!from.readable || !to.writable) throw sysError(errno.EBADF);
  if (!(from instanceof PipeEnd) || !(to instanceof PipeEnd) || from.pipe === to.pipe) throw sysError(errno.EINVAL);
  const nonblocking = (flags & SPLICE.SPLICE_F_NONBLOCK) !== 0;
  await waitForPipe(task, from, POLLIN, nonblocking || from.nonblocking);
  if (from.pipe.empty) return 0;
  await waitForPipe(task, to, POLLOUT, nonblocking || to.nonblocking);
  let done = 0;
  for (const slot of from.pipe.slots) {
    const part = slot.page.slice(slot.start, Math.min(slot.end, slot.start + count - done));
    if (part.length === 0 || to.pipe.full) break;
    const n = await writeFile(task, to, part, null);
    done += n;
    if (n < part.length) break;
  }
  return done;
}

/** Memory into a pipe (copied, whatever the flags say), or out of it. */
function vmsplice(task: Task, fd: number, iov: number, count: number, flags: number): MaybePromise<number> {
  if (flags & ~ALL_SPLICE) throw sysError(errno.EINVAL);
  const file = task.files.get(fd);
  if (!(file instanceof PipeEnd)) throw sysError(errno.EBADF);
  const segments = readIovec(task, iov, count);
  if (segments.every((s) => s.length === 0)) return 0;
  return file.writable ? writeVector(task, file, segments, null) : readVector(task, file, segments, null);
}

const flagNames = { flags: SPLICE };

export const copyRows: SyscallRow[] = [
  row('sendfile', 40, 71, 'out_fd:fd in_fd:fd offset:ptr count:size', sendfile),
  row('copy_file_range', 326, 285, 'fd_in:fd off_in:ptr fd_out:fd off_out:ptr len:size flags:hex', copyFileRange),
  row('splice', 275, 76, 'fd_in:fd off_in:ptr fd_out:fd off_out:ptr len:size flags:flags', splice, {
    note: 'by copying',
    flagNames,
  }),
  row('vmsplice', 278, 75, 'fd:fd iov:iovec nr_segs:ulong flags:flags', vmsplice, { note: 'by copying', flagNames }),
  row('tee', 276, 77, 'fd_in:fd fd_out:fd len:size flags:flags', tee, { note: 'by copying', flagNames }),
];
