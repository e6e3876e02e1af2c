/**
 * Shared file mappings and the file calls. Linux has one page cache; here a mapping is a copy. Whoever reads a file
 * calls `flushSharedFile` first, whoever writes or truncates it calls `sharedFileWritten` or `sharedFileResized`
 * afterwards. All three return at once while no file is mapped shared (`anySharedFiles()` is false).
 * `key` is the file's `OpenFile.mapKey()`.
 */
import type { MaybePromise } from '../fs/open-file.ts';
import type { Task } from '../task/task.ts';
import type { AddressSpace } from './address-space.ts';
import { GUEST_LIMIT } from './guest-memory.ts';
import { pageDown } from './layout.ts';
import { forEachInOrder } from './promise.ts';
import { addUser, anyObjects, dropUser, usersOf } from './shared-memory.ts';
import type { Vma } from './vma.ts';
import { flushRange } from './writeback.ts';

/** A shared mapping has come to `mm`. */
export function registerShared(key: object, mm: AddressSpace): void {
  addUser(key, mm);
}

/** A VMA of the object has gone from `mm`. */
export function forgetShared(key: object, mm: AddressSpace): void {
  if (!mm.list.items.some((vma) => vma.object === key)) dropUser(key, mm);
}

/** Whether any file (or the one with this key) is mapped shared. */
export function anySharedFiles(key?: object): boolean {
  return key ? usersOf(key) !== null : anyObjects();
}

/** Writes dirty pages of all shared mappings of the file into it. */
export function flushSharedFile(task: Task, key: object | null): MaybePromise<void> {
  if (!anyObjects() || key === null) return;
  const users = usersOf(key);
  if (users) return forEachInOrder([...users], (mm) => flushRange(mm, task, 0, GUEST_LIMIT, false, key));
}

/** Bytes were written to the file at `position`: mappings show them. `size` is the file's size now. */
export function sharedFileWritten(key: object | null, position: number, data: Uint8Array, size: number): void {
  eachMapping(key, (mm, vma) => {
    mm.resize(vma, size);
    const at = vma.start + (position - vma.offset);
    const from = Math.max(at, vma.start);
    const to = Math.min(at + data.length, vma.end);
    if (from >= to) return;
    const part = data.subarray(from - at, to - at);
    mm.memory.u8.set(part, from);
    vma.shadow?.set(part, from - vma.start);
    mm.memory.written(from, to);
  });
}

/** The file has a new size: what lies beyond it is zero, and whole pages beyond it are not accessible. */
export function sharedFileResized(key: object | null, size: number): void {
  eachMapping(key, (mm, vma) => {
    const gone = Math.max(vma.start, vma.start + (size - vma.offset));
    if (vma.stamp && size < vma.stamp.size && gone < vma.end) {
      mm.zeroBytes(gone, vma.end);
      vma.shadow?.fill(0, gone - vma.start);
      mm.memory.written(pageDown(gone), vma.end);
    }
    mm.resize(vma, size);
  });
}

function eachMapping(key: object | null, visit: (mm: AddressSpace, vma: Vma) => void): void {
  if (!anyObjects() || key === null) return;
  for (const mm of usersOf(key) ?? []) {
    for (const vma of mm.list.items) if (vma.object === key && vma.file) visit(mm, vma);
  }
}
