/**
 * File contents into memory and back. Private and read-only mappings are copied in once; shared writable ones are also
 * compared page by page with what is known to be in the file, and what differs is written (msync(2), munmap(2), exit,
 * and before somebody reads the file: file-coherence.ts).
 */
import { SysError } from '../abi/errno.ts';
import { type MaybePromise, O_APPEND, type OpenFile } from '../fs/open-file.ts';
import { S_IFMT, S_IFREG } from '../fs/inode.ts';
import type { Task } from '../task/task.ts';
import type { AddressSpace } from './address-space.ts';
import { PAGE_SIZE } from './guest-memory.ts';
import { pageDown, pageUp } from './layout.ts';
import { forEachInOrder, after } from './promise.ts';
import { settle } from './shared-memory.ts';
import type { Vma } from './vma.ts';

/** Reads until `dst` is full or the file ends. Returns the number of bytes read. */
export function readFully(
  task: Task,
  file: OpenFile,
  dst: Uint8Array,
  position: number,
  done = 0,
): MaybePromise<number> {
  while (done < dst.length) {
    const n = file.read(task, done === 0 ? dst : dst.subarray(done), position + done);
    if (n instanceof Promise) {
      const before = done;
      return n.then((got) => (got > 0 ? readFully(task, file, dst, position, before + got) : before));
    }
    if (n <= 0) break;
    done += n;
  }
  return done;
}

/** Gives the pages `[from, to)` of a file mapping the file's bytes, with zeros behind its end. */
export function readPages(mm: AddressSpace, task: Task, vma: Vma, from: number, to: number): MaybePromise<void> {
  if (!vma.file || !vma.stamp) return;
  const position = vma.offset + (from - vma.start);
  const length = Math.max(0, Math.min(to - from, vma.stamp.size - position));
  const end = pageUp(from + length);
  const dst = mm.memory.u8.subarray(from, from + length);
  return after(readFully(task, vma.file, dst, position), (n) => {
    mm.zeroBytes(from + n, end);
    mm.filled(from, end);
    mm.memory.written(from, end);
  });
}

/** Starts watching a shared mapping that has become writable. */
export function startShadow(mm: AddressSpace, vma: Vma): void {
  if (vma.shadow || !vma.file || !vma.shared) return;
  const shadow = new Uint8Array(vma.length);
  shadow.set(mm.memory.u8.subarray(vma.start, vma.eof));
  vma.shadow = shadow;
}

interface Change {
  readonly position: number;
  readonly from: number;
  readonly to: number;
}

// The global `Buffer` is a getter.
const { compare } = Buffer;
/** Bytes that are compared one by one. */
const FEW = 16;

/** The shortest `[from, to)` outside of which two pieces, which are of one length and not equal, are equal. */
export function difference(a: Uint8Array, b: Uint8Array): [number, number] {
  const same = (from: number, to: number): boolean => compare(a.subarray(from, to), b.subarray(from, to)) === 0;
  // Halves, compared at once: a large mapping has a difference in each of its pages.
  let from = 0;
  for (let end = a.length; end - from > FEW; ) {
    const middle = (from + end) >>> 1;
    if (same(from, middle)) from = middle;
    else end = middle;
  }
  let to = a.length;
  for (let start = from; to - start > FEW; ) {
    const middle = (start + to) >>> 1;
    if (same(middle, to)) to = middle;
    else start = middle;
  }
  while (a[from] === b[from]) from++;
  while (a[to - 1] === b[to - 1]) to--;
  return [from, to];
}

/** Bytes of `[from, to)` that differ from the shadow: at most one stretch a page, none beyond `size`. */
function changes(mm: AddressSpace, vma: Vma, from: number, to: number, size: number): Change[] {
  const found: Change[] = [];
  const { u8 } = mm.memory;
  const shadow = vma.shadow!;
  const stop = Math.min(to, vma.eof, vma.start + Math.max(0, size - vma.offset));
  for (let page = pageDown(from); page < stop; page += PAGE_SIZE) {
    const end = Math.min(page + PAGE_SIZE, stop);
    const known = shadow.subarray(page - vma.start, end - vma.start);
    if (compare(u8.subarray(page, end), known) === 0) continue;
    const [a, b] = difference(u8.subarray(page, end), known);
    found.push({ position: vma.offset + (page - vma.start) + a, from: page + a, to: page + b });
  }
  return found;
}

function writeFully(task: Task, file: OpenFile, data: Uint8Array, position: number): MaybePromise<void> {
  // Write-back goes where the page belongs, also when the description is in append mode.
  const append = file.flags & O_APPEND;
  file.flags &= ~O_APPEND;
  let wait: MaybePromise<number>;
  try {
    wait = file.write(task, data, position);
  } finally {
    file.flags |= append;
  }
  return after(wait, (n) =>
    n > 0 && n < data.length ? writeFully(task, file, data.subarray(n), position + n) : undefined,
  );
}

function flushVma(mm: AddressSpace, task: Task, vma: Vma, from: number, to: number): MaybePromise<void> {
  const file = vma.file!;
  const { size } = file.stat();
  return forEachInOrder(changes(mm, vma, from, to, size), (c) => {
    const data = mm.memory.u8.slice(c.from, c.to);
    vma.shadow!.set(data, c.from - vma.start);
    return writeFully(task, file, data, c.position);
  });
}

/**
 * Writes back what was changed in shared file mappings inside `[start, end)`. A file that cannot be written is told to
 * the user, as Linux tells its log; with `strict` (msync) it is an error.
 */
export function flushRange(
  mm: AddressSpace,
  task: Task | null,
  start: number,
  end: number,
  strict = false,
  object: object | null = null,
): MaybePromise<void> {
  if (!task) return;
  const parts: { vma: Vma; from: number; to: number }[] = [];
  for (const key of mm.coherent) settle(key);
  mm.list.each(start, end, (vma, from, to) => {
    if (vma.shadow && (object === null || vma.object === object)) parts.push({ vma, from, to });
  });
  const failed = (e: unknown): void => {
    if (strict || !(e instanceof SysError)) throw e;
    task.kernel.host.diagnostic(`a shared mapping could not be written back: ${e.message}`);
  };
  return forEachInOrder(parts, ({ vma, from, to }) => {
    try {
      const wait = flushVma(mm, task, vma, from, to);
      return wait instanceof Promise ? wait.catch(failed) : wait;
    } catch (e) {
      failed(e);
    }
  });
}

/** Whether mapping the file reads its bytes (a device's mapping, like /dev/zero's, is plain memory). */
export function hasContents(file: OpenFile): boolean {
  return (file.stat().mode & S_IFMT) === S_IFREG;
}
