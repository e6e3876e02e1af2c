/** What a memory holds of files from one program to the next. */
import { describe, expect, it } from 'vitest';
import { AddressSpace } from '../../../src/kernel/mm/address-space.ts';
import { Guest } from './calls.ts';
import { MemFile, numberedPages } from './mem-file.ts';

const P = 4096;
const PRIVATE = 2;
const FIXED = 0x10;
const READ = 1;
const WRITE = 3;
const EXEC = 5;
const AT = 0x1000_0000;

/** A guest with an 8-page file as descriptor 3, which the last program had mapped executable as a whole. */
function after(prot = EXEC): { guest: Guest; file: MemFile } {
  const guest = new Guest();
  const file = new MemFile(numberedPages(8));
  guest.files.set(3, file);
  guest.mmap(AT, 8 * P, prot, PRIVATE | FIXED, 3, 0);
  guest.memory.translated.add(AT / P + 2);
  guest.mm.reset();
  return { guest, file };
}
const translated = ({ memory }: Guest): number => memory.translated.size;
const pages = ({ memory }: Guest, n = 8): number[] =>
  Array.from({ length: n }, (_, k) => memory.u32[(AT + k * P) / 4]!);

describe('kept files', () => {
  it('are neither read nor translated again', () => {
    const { guest, file } = after();
    const before = pages(guest);
    expect(guest.memory.protection(AT)).toBe(-1);
    const { reads } = file;
    guest.mmap(AT, 8 * P, EXEC, PRIVATE | FIXED, 3, 0);
    expect(file.reads).toBe(reads);
    expect(pages(guest)).toEqual(before);
    expect(guest.memory.protection(AT)).toBe(EXEC);
    expect(translated(guest)).toBe(1);
  });

  it('serve a mapping of the whole file with segments over it, as ld.so makes them', () => {
    const guest = new Guest();
    const file = new MemFile(numberedPages(8));
    guest.files.set(3, file);
    const load = (): void => {
      guest.mmap(AT, 8 * P, READ, PRIVATE | FIXED, 3, 0);
      guest.mmap(AT + 2 * P, 3 * P, EXEC, PRIVATE | FIXED, 3, 2 * P);
      guest.mmap(AT + 6 * P, 2 * P, WRITE, PRIVATE | FIXED, 3, 6 * P);
      guest.memory.u8[AT + 7 * P] = 99;
    };
    load();
    guest.memory.translated.add(AT / P + 3);
    guest.mm.reset();
    load();
    expect(translated(guest)).toBe(1);
    expect(guest.memory.protection(AT + 3 * P)).toBe(EXEC);
    guest.mm.reset();
    guest.mmap(AT, 8 * P, READ, PRIVATE | FIXED, 3, 0);
    expect(guest.memory.u8[AT + 7 * P]).toBe(file.bytes[7 * P]);
  });

  it('are forgotten as a whole when less is mapped', () => {
    const { guest } = after();
    const before = pages(guest);
    guest.mmap(AT + 4 * P, 4 * P, EXEC, PRIVATE | FIXED, 3, 4 * P);
    expect(translated(guest)).toBe(0);
    expect(pages(guest).slice(4)).toEqual(before.slice(4));
  });

  it('do not become executable in part', () => {
    const { guest } = after();
    guest.mmap(AT, 8 * P, READ, PRIVATE | FIXED, 3, 0);
    expect(translated(guest)).toBe(1);
    guest.mmap(AT, 2 * P, EXEC, PRIVATE | FIXED, 3, 0);
    expect(translated(guest)).toBe(0);
  });

  it('are not executable any more when mapped over without', () => {
    const { guest } = after();
    guest.mmap(AT, 8 * P, EXEC, PRIVATE | FIXED, 3, 0);
    guest.mmap(AT, 8 * P, READ, PRIVATE | FIXED, 3, 0);
    expect(translated(guest)).toBe(0);
  });

  it('make room for zeros and for other files', () => {
    for (const other of [false, true]) {
      const { guest } = after();
      const file = new MemFile(new Uint8Array(3 * P).fill(7));
      guest.files.set(4, file);
      if (other) guest.mmap(AT + P, 3 * P, EXEC, PRIVATE | FIXED, 4, 0);
      else guest.mmap(AT + P, 3 * P, WRITE, PRIVATE | FIXED | 0x20);
      expect(guest.memory.u8[AT + P + 5]).toBe(other ? 7 : 0);
      expect(translated(guest)).toBe(0);
    }
  });

  it('are not believed when the file has changed', () => {
    for (const change of ['time', 'size'] as const) {
      const { guest, file } = after();
      if (change === 'time') file.mtime++;
      else file.bytes = file.bytes.slice(0, 7 * P + 1);
      file.bytes.fill(9, 0, 10);
      guest.mmap(AT, 8 * P, EXEC, PRIVATE | FIXED, 3, 0);
      expect(guest.memory.u8[AT + 1]).toBe(9);
      expect(translated(guest)).toBe(0);
    }
  });

  it('are not kept when the file was changed a moment ago, or the mapping was writable', () => {
    const guest = new Guest();
    const file = new MemFile(numberedPages(8));
    file.mtime = Math.floor(Date.now() / 1000);
    guest.files.set(3, file);
    guest.mmap(AT, 8 * P, EXEC, PRIVATE | FIXED, 3, 0);
    guest.mm.reset();
    expect(guest.mm.kept.ranges).toEqual([]);
    expect(after(WRITE).guest.mm.kept.ranges).toEqual([]);
    expect(after().guest.mm.kept.ranges).toEqual([[AT, AT + 8 * P]]);
  });

  it('serve a fork, which sees nothing else of what was in the memory', () => {
    const { guest, file } = after();
    const left = guest.mmap(AT + 8 * P, 3 * P, WRITE, PRIVATE | FIXED | 0x20);
    guest.memory.u8.fill(7, left, left + 3 * P);
    guest.mm.reset();
    const parent = new Guest();
    parent.files.set(3, file);
    parent.mmap(AT, 8 * P, EXEC, PRIVATE | FIXED, 3, 0);
    const data = parent.mmap(AT + 8 * P, 3 * P, WRITE, PRIVATE | FIXED | 0x20);
    parent.memory.u8[data] = 1;
    parent.memory.u8.fill(7, data + P, data + 2 * P);
    const child = parent.mm.fork(guest.memory);
    expect(translated(guest)).toBe(1);
    expect(pages(guest, 11)).toEqual(pages(parent, 11));
    expect(guest.memory.protection(AT)).toBe(EXEC);
    child.reset();
    expect(new AddressSpace(guest.memory).kept.ranges).toEqual([[AT, AT + 8 * P]]);
  });
});
