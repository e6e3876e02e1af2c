/** Moving bytes between files and guest memory: what read(2), readv(2), write(2) and their kin share. */
import { errno, sysError } from '../abi/errno.ts';
import type { MaybePromise, OpenFile } from '../fs/open-file.ts';
import { O_APPEND } from '../fs/open-file.ts';
import { IN_ACCESS, IN_MODIFY, notifyFile, watching } from '../fs/notify.ts';
import { anySharedFiles, flushSharedFile, sharedFileWritten } from '../mm/file-coherence.ts';
import { PROT_READ, PROT_WRITE } from '../mm/guest-memory.ts';
import { TASK_SIZE } from '../mm/mman.ts';
import { copyBytes } from '../mm/copy-bytes.ts';
import { after } from '../mm/promise.ts';
import type { Task } from '../task/task.ts';

/** MAX_RW_COUNT: no call moves more. */
export const MAX_RW = 0x7fff_f000;
/** UIO_MAXIOV. */
export const IOV_MAX = 1024;
const TWO63 = 2 ** 63;
/** Segments that together are no longer than this travel as one. */
const GATHER = 256 * 1024;
/** Files without an offset take all segments at once, but no more than this. */
const GATHER_MAX = 64 << 20;

/** access_ok: the range lies in user space at all. */
function checkRange(address: number, length: number): void {
  if (address + length > TASK_SIZE) throw sysError(errno.EFAULT);
}

/** Pages of shared mappings reach the file before it is read. */
function prepareRead(task: Task, file: OpenFile): MaybePromise<void> {
  if (anySharedFiles()) return flushSharedFile(task, file.mapKey());
}

/** Reads into kernel memory or a view of guest memory. */
export function readFile(task: Task, file: OpenFile, dst: Uint8Array, position: number | null): MaybePromise<number> {
  const ready = prepareRead(task, file);
  const n =
    ready instanceof Promise ? ready.then(() => file.read(task, dst, position)) : file.read(task, dst, position);
  return watching() && file.location ? after(n, (got) => told(file, got, IN_ACCESS)) : n;
}

/** Watchers learn of what was read or written. */
function told(file: OpenFile, n: number, mask: number): number {
  if (n > 0) notifyFile(file, mask);
  return n;
}

export function writeFile(task: Task, file: OpenFile, src: Uint8Array, position: number | null): MaybePromise<number> {
  const wrote = file.write(task, src, position);
  const done = watching() && file.location ? after(wrote, (n) => told(file, n, IN_MODIFY)) : wrote;
  if (!anySharedFiles()) return done;
  return after(done, (n) => {
    const key = file.mapKey();
    if (key === null || n <= 0) return n;
    const { size } = file.stat();
    const at = position === null ? file.offset - n : file.flags & O_APPEND ? size - n : position;
    sharedFileWritten(key, at, src.subarray(0, n), size);
    return n;
  });
}

/** Calls `done` with the result as soon as it is there. */
function wrote(task: Task, address: number, result: MaybePromise<number>): MaybePromise<number> {
  if (result instanceof Promise) {
    return result.then((n) => {
      task.mem.written(address, n);
      return n;
    });
  }
  task.mem.written(address, result);
  return result;
}

/** read(2), pread(2): as far as the buffer is accessible. */
export function readUser(
  task: Task,
  file: OpenFile,
  buf: number,
  count: number,
  position: number | null,
): MaybePromise<number> {
  if (!file.readable) throw sysError(errno.EBADF);
  checkRange(buf, count);
  const { mem } = task;
  const wanted = Math.min(count, MAX_RW);
  const length = mem.accessible(buf, wanted, PROT_WRITE);
  if (length === 0 && wanted > 0) throw sysError(errno.EFAULT);
  return wrote(task, buf, readFile(task, file, mem.view(buf, length), position));
}

/** write(2), pwrite(2). */
export function writeUser(
  task: Task,
  file: OpenFile,
  buf: number,
  count: number,
  position: number | null,
): MaybePromise<number> {
  if (!file.writable) throw sysError(errno.EBADF);
  checkRange(buf, count);
  const { mem } = task;
  const wanted = Math.min(count, MAX_RW);
  const length = mem.accessible(buf, wanted, PROT_READ);
  if (length === 0 && wanted > 0) throw sysError(errno.EFAULT);
  return writeFile(task, file, mem.view(buf, length), position);
}

export interface Segment {
  readonly address: number;
  readonly length: number;
}

/** An array of struct iovec, cut to MAX_RW in total. Throws EINVAL (too many, a negative length), EFAULT. */
export function readIovec(task: Task, iov: number, count: number): Segment[] {
  if (count > IOV_MAX) throw sysError(errno.EINVAL);
  task.mem.bytes(iov, count * 16);
  const segments: Segment[] = [];
  let total = 0;
  for (let i = 0; i < count; i++) {
    const address = task.mem.readPointer(iov + i * 16);
    const length = task.mem.readU64(iov + i * 16 + 8);
    if (length >= TWO63) throw sysError(errno.EINVAL);
    checkRange(address, length);
    const taken = Math.min(length, MAX_RW - total);
    total += taken;
    segments.push({ address, length: taken });
  }
  return segments;
}

const totalLength = (segments: readonly Segment[]): number => segments.reduce((sum, s) => sum + s.length, 0);

/** The segments up to the first byte that cannot be accessed. Throws EFAULT when that is the very first. */
function accessible(task: Task, segments: readonly Segment[], prot: number): Segment[] {
  const usable: Segment[] = [];
  for (const { address, length } of segments) {
    if (length === 0) continue;
    const n = task.mem.accessible(address, length, prot);
    if (n > 0) usable.push({ address, length: n });
    if (n < length) {
      if (usable.length === 0) throw sysError(errno.EFAULT);
      break;
    }
  }
  return usable;
}

/** readv(2), preadv(2). */
export function readVector(
  task: Task,
  file: OpenFile,
  iov: readonly Segment[],
  position: number | null,
): MaybePromise<number> {
  if (!file.readable) throw sysError(errno.EBADF);
  const segments = accessible(task, iov, PROT_WRITE);
  const first = segments[0] ?? { address: 0, length: 0 };
  if (segments.length <= 1) return readUser(task, file, first.address, first.length, position);
  const total = totalLength(segments);
  // One read, so that it waits once and takes one record; large ones of files with an offset go segment by segment.
  if (file.seekable && total > GATHER) return readEach(task, file, segments, position, 0, 0);
  const buffer = new Uint8Array(Math.min(total, GATHER_MAX));
  return after(readFile(task, file, buffer, position), (n) => {
    scatter(task, segments, buffer.subarray(0, n));
    return n;
  });
}

function scatter(task: Task, segments: readonly Segment[], data: Uint8Array): void {
  let done = 0;
  for (const { address, length } of segments) {
    if (done >= data.length) return;
    const part = data.subarray(done, done + length);
    task.mem.copyOut(address, part);
    done += part.length;
  }
}

function readEach(
  task: Task,
  file: OpenFile,
  segments: readonly Segment[],
  position: number | null,
  from: number,
  before: number,
): MaybePromise<number> {
  let done = before;
  for (let i = from; i < segments.length; i++) {
    const { address, length } = segments[i]!;
    const n = readUser(task, file, address, length, position === null ? null : position + done);
    if (n instanceof Promise) {
      return n.then((got) => (got < length ? done + got : readEach(task, file, segments, position, i + 1, done + got)));
    }
    done += n;
    if (n < length) break;
  }
  return done;
}

/** What is gathered for the next call, if it is no longer than that: kept, since a fresh one is dear. */
const SCRATCH_SIZE = 65_536;
let scratch: Uint8Array | null = null;

function gather(task: Task, segments: readonly Segment[], data: Uint8Array): Uint8Array {
  const total = data.length;
  let done = 0;
  for (const { address, length } of segments) {
    const part = Math.min(length, total - done);
    copyBytes(task.mem.guest.u8, address, part, data, done);
    done += part;
  }
  return data;
}

/** writev(2), pwritev(2). */
export function writeVector(
  task: Task,
  file: OpenFile,
  iov: readonly Segment[],
  position: number | null,
): MaybePromise<number> {
  if (!file.writable) throw sysError(errno.EBADF);
  const segments = accessible(task, iov, PROT_READ);
  const first = segments[0] ?? { address: 0, length: 0 };
  if (segments.length <= 1) return writeUser(task, file, first.address, first.length, position);
  const total = totalLength(segments);
  if (file.seekable && total > GATHER) return writeEach(task, file, segments, position, 0, 0);
  if (total > SCRATCH_SIZE)
    return writeFile(task, file, gather(task, segments, new Uint8Array(Math.min(total, GATHER_MAX))), position);
  // Who has to wait keeps it.
  const buffer = scratch ?? new Uint8Array(SCRATCH_SIZE);
  scratch = null;
  const n = writeFile(task, file, gather(task, segments, buffer.subarray(0, total)), position);
  if (typeof n === 'number') scratch = buffer;
  return n;
}

function writeEach(
  task: Task,
  file: OpenFile,
  segments: readonly Segment[],
  position: number | null,
  from: number,
  before: number,
): MaybePromise<number> {
  let done = before;
  for (let i = from; i < segments.length; i++) {
    const { address, length } = segments[i]!;
    let n: MaybePromise<number>;
    try {
      n = writeUser(task, file, address, length, position === null ? null : position + done);
    } catch (e) {
      // What has been written counts; the error comes back on the next call.
      if (done > 0) return done;
      throw e;
    }
    if (n instanceof Promise) {
      return n.then((got) =>
        got < length ? done + got : writeEach(task, file, segments, position, i + 1, done + got),
      );
    }
    done += n;
    if (n < length) break;
  }
  return done;
}
