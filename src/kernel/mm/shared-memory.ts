/**
 * MAP_SHARED between processes. Each process has a memory of its own, and all run on one host thread, so an object (a
 * file, or a piece of anonymous shared memory) that several address spaces map is brought up to date when another one
 * of them begins to run: the one that ran last has the truth, and pages that differ are copied from it.
 */
import type { AddressSpace } from './address-space.ts';
import { PAGE_SIZE } from './guest-memory.ts';
import type { Vma } from './vma.ts';

interface SharedObject {
  readonly users: Set<AddressSpace>;
  /** The address space that ran last: its bytes are the object's. Null: all are equal. */
  owner: AddressSpace | null;
}

/** Every object that is mapped shared, by its key (`Vma.object`). */
const objects = new Map<object, SharedObject>();

/** `mm` maps the object, with the object's bytes as they are now. */
export function addUser(key: object, mm: AddressSpace): void {
  const known = objects.get(key);
  if (!known) {
    objects.set(key, { users: new Set([mm]), owner: null });
    return;
  }
  if (known.users.has(mm)) return;
  known.users.add(mm);
  // A new mapping has been filled after `settle`; fork says otherwise afterwards.
  known.owner = null;
  for (const user of known.users) {
    user.coherent.add(key);
    watch(user);
  }
}

/** No VMA of the object is left in `mm`. */
export function dropUser(key: object, mm: AddressSpace): void {
  const object = objects.get(key);
  if (!object?.users.delete(mm)) return;
  mm.coherent.delete(key);
  if (object.owner === mm) object.owner = null;
  if (object.users.size === 1) {
    for (const last of object.users) last.coherent.delete(key);
    object.owner = null;
  }
  if (object.users.size === 0) objects.delete(key);
}

/** The address spaces that map an object. */
export function usersOf(key: object): ReadonlySet<AddressSpace> | null {
  return objects.get(key)?.users ?? null;
}
export function anyObjects(): boolean {
  return objects.size > 0;
}

/** A process with this address space is about to run. */
export function enterAddressSpace(mm: AddressSpace): void {
  for (const key of mm.coherent) {
    const object = objects.get(key)!;
    const { owner } = object;
    if (owner === mm) continue;
    if (owner) handOver(key, object, owner, mm);
    object.owner = mm;
  }
}

/** After fork: the parent, which runs, has what the child has. */
export function claimShared(mm: AddressSpace): void {
  for (const key of mm.coherent) objects.get(key)!.owner = mm;
}

/** Makes all mappings of an object equal. To be called before anything but a load looks at them. */
export function settle(key: object): void {
  const object = objects.get(key);
  if (!object?.owner) return;
  for (const user of object.users) if (user !== object.owner) copyChanges(key, object.owner, user);
}

/** `[start, end)` of `mm` is about to be unmapped: what only it knows goes to the others. */
export function publish(mm: AddressSpace, start: number, end: number): void {
  mm.list.each(start, end, (vma, from, to) => {
    if (!vma.object || !mm.coherent.has(vma.object)) return;
    const object = objects.get(vma.object)!;
    if (object.owner !== mm) return;
    for (const user of object.users) if (user !== mm) copyPart(mm, vma, from, to, user, true);
  });
}

/** From the last owner to the next; what the next does not map goes to the others at once. */
function handOver(key: object, object: SharedObject, from: AddressSpace, to: AddressSpace): void {
  copyChanges(key, from, to);
  if (object.users.size <= 2) return;
  const whole = coverage(key, from);
  const taken = coverage(key, to);
  const covered = whole.every(([a, b]) => taken.some(([c, d]) => c <= a && b <= d));
  if (covered) return;
  for (const user of object.users) if (user !== from && user !== to) copyChanges(key, from, user);
}

/** Offsets of the object that `mm` maps. */
function coverage(key: object, mm: AddressSpace): [number, number][] {
  const ranges: [number, number][] = [];
  for (const vma of mm.list.items) if (vma.object === key) ranges.push([vma.offset, vma.offset + vma.length]);
  return ranges;
}

function copyChanges(key: object, from: AddressSpace, to: AddressSpace): void {
  for (const vma of from.list.items) if (vma.object === key) copyPart(from, vma, vma.start, vma.end, to, true);
}

/**
 * Copies `[start, end)` of `vma` in `from` to where `to` maps the same part of the object. `compare`: by whole pages,
 * and only those that differ.
 */
function copyPart(from: AddressSpace, vma: Vma, start: number, end: number, to: AddressSpace, compare: boolean): void {
  const first = vma.offset + (start - vma.start);
  const last = first + (end - start);
  for (const other of to.list.items) {
    if (other.object !== vma.object) continue;
    const low = Math.max(first, other.offset);
    const high = Math.min(last, other.offset + other.length);
    if (low >= high) continue;
    const source = start + (low - first);
    const target = other.start + (low - other.offset);
    if (compare) copyPages(from, source, to, target, high - low);
    else copyBytes(from, source, to, target, high - low);
  }
}

/** While a copy goes on, the writes it makes are not news. */
let copying = false;

function copyBytes(from: AddressSpace, source: number, to: AddressSpace, target: number, length: number): void {
  to.memory.u8.set(from.memory.u8.subarray(source, source + length), target);
  copying = true;
  to.memory.written(target, target + length);
  copying = false;
}

/** A comparison this long costs little more than one of a page. */
const STRETCH = 16 * PAGE_SIZE;

function copyPages(from: AddressSpace, source: number, to: AddressSpace, target: number, length: number): void {
  const a = from.memory.u8;
  const b = to.memory.u8;
  const differs = (at: number, size: number): boolean =>
    Buffer.compare(a.subarray(source + at, source + at + size), b.subarray(target + at, target + at + size)) !== 0;
  for (let at = 0; at < length; at += STRETCH) {
    const stretch = Math.min(STRETCH, length - at);
    if (!differs(at, stretch)) continue;
    for (let page = at; page < at + stretch; page += PAGE_SIZE) {
      const size = Math.min(PAGE_SIZE, at + stretch - page);
      if (differs(page, size)) copyBytes(from, source + page, to, target + page, size);
    }
  }
}

/** What the kernel writes into a process that does not run now must not be lost when it runs again. */
function watch(mm: AddressSpace): void {
  mm.memory.onWritten = (start, end) => {
    if (copying || mm.coherent.size === 0) return;
    mm.list.each(start, end, (vma, from, to) => {
      if (!vma.object || !mm.coherent.has(vma.object)) return;
      const object = objects.get(vma.object)!;
      if (object.owner === mm) return;
      for (const user of object.users) if (user !== mm) copyPart(mm, vma, from, to, user, false);
    });
  };
}
