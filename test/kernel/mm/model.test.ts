/** Random calls against a model that is an array of pages. */
import { describe, expect, it } from 'vitest';
import type { SysError } from '../../../src/kernel/abi/errno.ts';
import { AddressSpace } from '../../../src/kernel/mm/address-space.ts';
import { PAGE_SIZE } from '../../../src/kernel/mm/guest-memory.ts';
import { MAP_ANONYMOUS, MAP_FIXED, MAP_FIXED_NOREPLACE, MAP_PRIVATE } from '../../../src/kernel/mm/mman.ts';
import { effectiveProt } from '../../../src/kernel/mm/vma.ts';
import { FakeGuestMemory } from './fake-guest-memory.ts';
import { fakeTask, MemFile, numberedPages, random } from './mem-file.ts';

const FIRST = 0x2000_0000 / PAGE_SIZE;
const COUNT = 96;
const FILE_PAGES = 20;
const at = (page: number): number => page * PAGE_SIZE;

interface Page {
  prot: number;
  /** First byte of the page. */
  byte: number;
  /** Page of the file it came from, -1 for anonymous memory. */
  filePage: number;
  shared: boolean;
}

class Model {
  pages = new Map<number, Page>();
  free(first: number, count: number): boolean {
    for (let p = first; p < first + count; p++) if (this.pages.has(p)) return false;
    return true;
  }
}

function step(
  mm: AddressSpace,
  memory: FakeGuestMemory,
  model: Model,
  file: MemFile,
  rnd: (n: number) => number,
): void {
  const task = fakeTask();
  const first = FIRST + rnd(COUNT);
  const count = 1 + rnd(12);
  const prot = [0, 1, 3, 3, 3, 5, 7][rnd(7)]!;
  const end = Math.min(first + count, FIRST + COUNT);
  switch (rnd(9)) {
    case 0:
    case 1: {
      const fixed = rnd(3);
      const fromFile = rnd(3) === 0;
      const offset = rnd(FILE_PAGES);
      const flags =
        (fixed === 0 ? MAP_FIXED : fixed === 1 ? MAP_FIXED_NOREPLACE : 0) |
        MAP_PRIVATE |
        (fromFile ? 0 : MAP_ANONYMOUS);
      const length = at(end - first) - rnd(PAGE_SIZE);
      const request = {
        address: at(first),
        length,
        prot,
        flags,
        file: fromFile ? file : null,
        offset: fromFile ? at(offset) : 0,
      };
      let got: number;
      try {
        got = mm.mmap(task, request) as number;
      } catch (e) {
        expect((e as SysError).message).toBe('EEXIST');
        expect(fixed).toBe(1);
        expect(model.free(first, end - first)).toBe(false);
        return;
      }
      const start = got / PAGE_SIZE;
      if (fixed !== 2 || model.free(first, end - first)) expect(start).toBe(first);
      if (fixed !== 0) expect(model.free(start, end - first)).toBe(true);
      for (let i = 0; i < end - first; i++) {
        const filePage = fromFile ? offset + i : -1;
        model.pages.set(start + i, {
          prot,
          byte: fromFile && filePage < FILE_PAGES ? filePage + 1 : 0,
          filePage,
          shared: false,
        });
      }
      return;
    }
    case 2: {
      mm.munmap(task, at(first), at(end));
      for (let p = first; p < end; p++) model.pages.delete(p);
      return;
    }
    case 3: {
      let ok = true;
      let p = first;
      for (; p < end; p++) {
        if (!model.pages.has(p)) {
          ok = false;
          break;
        }
      }
      const act = (): void => mm.mprotect(at(first), at(end - first), prot);
      if (ok) act();
      else expect(act).toThrow('ENOMEM');
      for (let q = first; q < p; q++) model.pages.get(q)!.prot = prot;
      return;
    }
    case 4:
    case 5: {
      remap(mm, model, rnd, first, end - first);
      return;
    }
    case 6: {
      let holes = false;
      for (let p = first; p < end; p++) holes ||= !model.pages.has(p);
      const act = (): unknown => mm.madvise(task, at(first), at(end - first), 4);
      if (holes) expect(act).toThrow('ENOMEM');
      else act();
      for (let p = first; p < end; p++) {
        const page = model.pages.get(p);
        if (page) page.byte = page.filePage >= 0 && page.filePage < FILE_PAGES ? page.filePage + 1 : 0;
      }
      return;
    }
    default: {
      // The guest writes.
      for (let p = first; p < end; p++) {
        const page = model.pages.get(p);
        if (!page || !(page.prot & 2) || page.filePage >= FILE_PAGES) continue;
        page.byte = 1 + rnd(255);
        memory.u8[at(p)] = page.byte;
      }
    }
  }
}

/** mremap of `count` pages at `first`, to somewhere or in place. */
function remap(mm: AddressSpace, model: Model, rnd: (n: number) => number, first: number, count: number): void {
  const task = fakeTask();
  const newCount = 1 + rnd(14);
  const fixed = rnd(3) === 0;
  const target = FIRST + rnd(COUNT);
  const flags = rnd(4) === 0 ? 0 : fixed ? 3 : 1;
  let got: number;
  try {
    got = mm.mremap(task, at(first), at(count), at(newCount), flags, at(target)) as number;
  } catch (e) {
    const name = (e as SysError).message;
    if (name === 'EINVAL') {
      expect(flags).toBe(3);
      expect(first + count > target && target + newCount > first).toBe(true);
      return;
    }
    if (flags === 3) {
      // What stood at the target and the cut-off end may be gone already, as on Linux.
      for (const p of [...model.pages.keys()]) if (!mm.find(at(p))) model.pages.delete(p);
    }
    expect(['EFAULT', 'ENOMEM']).toContain(name);
    if (name === 'EFAULT') {
      const whole = mm.find(at(first));
      expect(!whole || whole.end < at(first + Math.min(count, newCount))).toBe(true);
    } else {
      expect(flags).toBe(0);
      expect(newCount).toBeGreaterThan(count);
    }
    return;
  }
  const start = got / PAGE_SIZE;
  const kept = Math.min(count, newCount);
  if (flags !== 3 && start !== first) expect(model.free(start, newCount)).toBe(true);
  if (flags === 3) expect(start).toBe(target);
  const old = Array.from({ length: count }, (_, i) => model.pages.get(first + i));
  for (let p = first; p < first + count; p++) if (start !== first || p >= first + newCount) model.pages.delete(p);
  const like = old[0]!;
  for (let i = 0; i < newCount; i++) {
    if (i < kept) {
      if (old[i]) model.pages.set(start + i, old[i]!);
      continue;
    }
    const filePage = like.filePage < 0 ? -1 : like.filePage + i;
    const byte = filePage >= 0 && filePage < FILE_PAGES ? filePage + 1 : 0;
    model.pages.set(start + i, { prot: like.prot, byte, filePage, shared: false });
  }
}

function compare(mm: AddressSpace, memory: FakeGuestMemory, model: Model): void {
  let previousEnd = 0;
  let total = 0;
  for (const vma of mm.vmas()) {
    if (vma.start < previousEnd || vma.end <= vma.start) throw new Error('areas overlap or are out of order');
    previousEnd = vma.end;
    total += vma.end - vma.start;
    for (let p = vma.start / PAGE_SIZE; p < vma.end / PAGE_SIZE; p++) {
      const page = model.pages.get(p);
      if (!page) throw new Error(`page ${p - FIRST} is mapped, the model has none`);
      const beyond = page.filePage >= FILE_PAGES;
      const have = [
        vma.prot,
        memory.protection(at(p)),
        beyond ? 0 : memory.u8[at(p)],
        vma.file ? (vma.offset + at(p) - vma.start) / PAGE_SIZE : -1,
      ];
      const want = [page.prot, beyond ? 0 : effectiveProt(page.prot), beyond ? 0 : page.byte, page.filePage];
      if (have.join() !== want.join())
        throw new Error(`page ${p - FIRST}: prot, table, byte, file page are ${have}, should be ${want}`);
    }
    const next = mm.find(vma.end);
    const like = next && next.prot === vma.prot && next.flags === vma.flags && next.file === vma.file;
    if (like && (!vma.file || vma.offset + vma.length === next.offset))
      throw new Error('equal neighbours are not merged');
  }
  expect(total).toBe(model.pages.size * PAGE_SIZE);
  expect(mm.stats.total).toBe(total);
  for (let p = FIRST; p < FIRST + COUNT; p++)
    if (!model.pages.has(p) && memory.protection(at(p)) !== -1) throw new Error(`page ${p} is open`);
}

describe('address space against a page model', () => {
  for (const seed of [1, 2, 3, 4, 5, 6]) {
    it(`agrees after every one of 1500 random calls (seed ${seed})`, () => {
      const memory = new FakeGuestMemory();
      const mm = new AddressSpace(memory);
      const model = new Model();
      const file = new MemFile(numberedPages(FILE_PAGES, 100));
      const rnd = random(seed);
      for (let i = 0; i < 1500; i++) {
        step(mm, memory, model, file, rnd);
        if (i % 5 === 0) compare(mm, memory, model);
      }
      compare(mm, memory, model);
      // Nothing of the file is held once everything is unmapped.
      mm.reset();
      file.unref();
      expect(file.released).toBe(true);
      expect(mm.stats.total + mm.stats.accessible + mm.stats.data + mm.stats.file).toBe(0);
      expect(memory.pages.every((b) => b === 0)).toBe(true);
    });
  }
});
