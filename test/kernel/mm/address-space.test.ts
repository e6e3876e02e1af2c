import { describe, expect, it } from 'vitest';
import { errno, errnoName, type SysError, sysError } from '../../../src/kernel/abi/errno.ts';
import { O_APPEND, O_RDONLY, O_RDWR } from '../../../src/kernel/fs/open-file.ts';
import type { AddressSpace } from '../../../src/kernel/mm/address-space.ts';
import {
  anySharedFiles,
  flushSharedFile,
  sharedFileResized,
  sharedFileWritten,
} from '../../../src/kernel/mm/file-coherence.ts';
import { highestGap } from '../../../src/kernel/mm/gaps.ts';
import { nameAnonymous } from '../../../src/kernel/mm/madvise.ts';
import { RLIMIT_AS, RLIMIT_DATA } from '../../../src/kernel/task/rlimits.ts';
import { Guest } from './calls.ts';
import { FakeGuestMemory } from './fake-guest-memory.ts';
import { MemFile, numberedPages, random } from './mem-file.ts';

const P = 4096;
const SHARED = 1;
const PRIVATE = 2;
const FIXED = 0x10;
const ANON = PRIVATE | 0x20;
const MB = 1 << 20;

describe('placing', () => {
  it('goes down from the top of the mmap area and reuses the highest hole that fits', () => {
    const guest = new Guest();
    const a = guest.mmap(0, 4 * P, 3, ANON);
    const b = guest.mmap(0, 2 * P, 1, ANON);
    expect(a + 4 * P).toBe(guest.mm.layout.mmapBase);
    expect(b).toBe(a - 2 * P);
    guest.call('munmap', a + P, 2 * P);
    expect(guest.mmap(0, 3 * P, 3, ANON)).toBe(b - 3 * P);
    expect(guest.mmap(0, 2 * P, 3, ANON)).toBe(a + P);
  });

  it('fills everything down to vm.mmap_min_addr, then the image window, then fails', () => {
    const guest = new Guest();
    let total = 0;
    for (let size = 1024 * MB; size >= P; ) {
      const result = guest.call('mmap', 0, size, 0, ANON, -1, 0);
      if (result === 'ENOMEM') size = size / 2;
      else total += size;
    }
    expect(total).toBe(guest.mm.layout.mmapTop - 65536);
    expect(guest.maps().length).toBe(1);
  });

  it('remembers where it has looked without missing anything', () => {
    const guest = new Guest();
    const rnd = random(7);
    const { mmapBase } = guest.mm.layout;
    const live: [number, number][] = [];
    for (let i = 0; i < 4000; i++) {
      if (live.length > 30 || (live.length > 0 && rnd(2))) {
        const [[start, size]] = live.splice(rnd(live.length), 1) as [[number, number]];
        guest.call('munmap', start, size);
      } else {
        const size = (1 + rnd(rnd(4) ? 4 : 40)) * P;
        const expected = highestGap(guest.mm.list, size, 65536, mmapBase);
        const start = guest.mmap(0, size, 1 + rnd(3), ANON);
        expect(start).toBe(expected);
        live.push([start, size]);
      }
    }
  });

  it('MAP_32BIT stays below 2 GiB', () => {
    const guest = new Guest();
    expect(guest.mmap(0, P, 3, ANON | 0x40)).toBe(0x8000_0000 - P);
    expect(guest.mmap(0xa000_0000, P, 3, ANON | 0x40)).toBe(0x8000_0000 - 2 * P);
    expect(guest.mmap(0x1000_0000, P, 3, ANON | 0x40)).toBe(0x1000_0000);
  });

  it('is quick: 20,000 small mappings and unmappings among 500 areas', () => {
    const guest = new Guest();
    for (let i = 0; i < 500; i++) guest.mmap(0, P, i % 2 ? 1 : 3, ANON);
    const calls = guest.memory.counts.protect;
    const before = performance.now();
    for (let i = 0; i < 10_000; i++) guest.call('munmap', guest.mmap(0, 64 * P, 3, ANON), 64 * P);
    // 20 us each would be 400 ms; the bound is loose for a busy machine.
    expect(performance.now() - before).toBeLessThan(20_000);
    expect(guest.memory.counts.protect - calls).toBe(20_000);
  });

  it('puts ELF images into the image window, each at a place of its own, the same in every process', () => {
    const first = new Guest();
    const second = new Guest();
    second.mm.book = first.mm.book;
    const elf = numberedPages(10);
    elf.set([0x7f, 0x45, 0x4c, 0x46]);
    const a = new MemFile(elf, O_RDONLY, '/usr/lib/liba.so');
    const b = new MemFile(elf, O_RDONLY, '/usr/lib/libb.so');
    for (const guest of [first, second]) {
      guest.files.set(3, a);
      guest.files.set(4, b);
    }
    const { mmapBase, mmapTop } = first.mm.layout;
    const inFirst = first.mmap(0, 10 * P, 1, PRIVATE, 3);
    expect(inFirst).toBeGreaterThanOrEqual(mmapBase);
    expect(inFirst + 10 * P).toBeLessThanOrEqual(mmapTop);
    second.mmap(0, 10 * P, 1, PRIVATE, 4);
    expect(second.mmap(0, 10 * P, 1, PRIVATE, 3)).toBe(inFirst);
    // A second copy in one process goes elsewhere.
    expect(second.mmap(0, 10 * P, 1, PRIVATE, 3)).not.toBe(inFirst);
    // Another kernel, which knows nothing, mostly agrees: the place comes from name and size.
    const third = new Guest();
    third.files.set(3, new MemFile(elf, O_RDONLY, '/lib/liba.so'));
    expect(third.mmap(0, 10 * P, 1, PRIVATE, 3)).toBe(inFirst);
    // Files that are no ELF images go with the other mappings.
    third.files.set(4, new MemFile(numberedPages(2), O_RDONLY));
    expect(third.mmap(0, 2 * P, 1, PRIVATE, 4)).toBe(mmapBase - 2 * P);
  });
});

describe('limits', () => {
  it('accessible memory counts against the memory limit, reservations do not', () => {
    const guest = new Guest();
    guest.mm.memoryLimit = 64 * MB;
    const p = guest.mmap(0, 1024 * MB, 0, ANON | 0x4000);
    expect(guest.call('mprotect', p, 60 * MB, 3)).toBe(0);
    expect(guest.call('mmap', 0, 8 * MB, 3, ANON, -1, 0)).toBe('ENOMEM');
    expect(guest.call('mprotect', p + 60 * MB, 8 * MB, 3)).toBe('ENOMEM');
    // What is replaced does not count twice.
    expect(guest.call('mmap', p, 60 * MB, 1, ANON | FIXED, -1, 0)).toBe(p);
    expect(guest.call('munmap', p, 60 * MB)).toBe(0);
    expect(guest.mmap(0, 64 * MB, 3, ANON)).toBeGreaterThan(0);
    expect(guest.mm.stats.peakAccessible).toBe(64 * MB);
  });

  it('RLIMIT_AS and RLIMIT_DATA', () => {
    const guest = new Guest();
    guest.mm.setBrk(0x1000_0000);
    guest.task.process.rlimits[RLIMIT_AS]!.soft = 10 * MB;
    expect(guest.call('mmap', 0, 11 * MB, 0, ANON, -1, 0)).toBe('ENOMEM');
    const p = guest.mmap(0, 9 * MB, 1, ANON);
    expect(guest.call('mremap', p, 9 * MB, 11 * MB, 1, 0)).toBe('ENOMEM');
    expect(guest.call('brk', 0x1000_0000 + 2 * MB)).toBe(0x1000_0000);
    guest.task.process.rlimits[RLIMIT_AS]!.soft = Infinity;
    guest.task.process.rlimits[RLIMIT_DATA]!.soft = MB;
    expect(guest.call('mprotect', p, 2 * MB, 3)).toBe('ENOMEM');
    expect(guest.call('mprotect', p, MB, 3)).toBe(0);
    expect(guest.call('mmap', 0, P, 3, ANON, -1, 0)).toBe('ENOMEM');
    expect(guest.call('mmap', 0, P, 5, ANON, -1, 0)).toBeGreaterThan(0);
    expect(guest.call('brk', 0x1000_0000 + P)).toBe(0x1000_0000);
  });
});

describe('heap', () => {
  it('grows and shrinks to the byte, zeroed each time', () => {
    const guest = new Guest();
    const base = 0x1000_0000;
    guest.mm.setBrk(base);
    expect(guest.call('brk', 0)).toBe(base);
    expect(guest.call('brk', base + 100)).toBe(base + 100);
    expect(guest.maps(base)).toEqual(['0-1 rw-p 0 [heap]']);
    guest.memory.u8[base + 50] = 7;
    expect(guest.call('brk', base + 3 * P)).toBe(base + 3 * P);
    expect(guest.maps(base)).toEqual(['0-3 rw-p 0 [heap]']);
    guest.memory.u8[base + 2 * P] = 9;
    expect(guest.call('brk', base + P)).toBe(base + P);
    expect(guest.memory.protection(base + P)).toBe(-1);
    expect(guest.call('brk', base + 3 * P)).toBe(base + 3 * P);
    expect([guest.memory.u8[base + 50], guest.memory.u8[base + 2 * P]]).toEqual([7, 0]);
    expect(guest.call('brk', base - 1)).toBe(base + 3 * P);
    expect(guest.call('brk', 2 ** 50)).toBe(base + 3 * P);
  });

  it('stops one page below the next mapping', () => {
    const guest = new Guest();
    const base = 0x1000_0000;
    guest.mm.setBrk(base);
    guest.mmap(base + 4 * P, P, 3, ANON | FIXED);
    expect(guest.call('brk', base + 4 * P)).toBe(base);
    expect(guest.call('brk', base + 3 * P)).toBe(base + 3 * P);
  });
});

describe('what memory holds', () => {
  it('zeroes what was used before, and only that', () => {
    const guest = new Guest();
    const p = guest.mmap(0, 4 * P, 3, ANON);
    guest.memory.u8.fill(5, p, p + 4 * P);
    guest.call('munmap', p + P, 2 * P);
    expect(guest.memory.counts.zeroed).toBe(0);
    expect(guest.mmap(0, 2 * P, 1, ANON)).toBe(p + P);
    expect(guest.memory.counts.zeroed).toBe(2 * P);
    expect(guest.memory.u8.subarray(p, p + 4 * P).filter((b) => b !== 0).length).toBe(2 * P);
    guest.mmap(0, 256 * MB, 3, ANON);
    expect(guest.memory.counts.zeroed).toBe(2 * P);
  });

  it('a write-only or executable page can be read, as on the hardware', () => {
    const guest = new Guest();
    expect(guest.memory.protection(guest.mmap(0, P, 2, ANON))).toBe(3);
    expect(guest.memory.protection(guest.mmap(0, P, 4, ANON))).toBe(5);
    expect(guest.memory.protection(guest.mmap(0, P, 0, ANON))).toBe(0);
  });

  it('shared anonymous memory survives MADV_DONTNEED, private does not', () => {
    const guest = new Guest();
    const shared = guest.mmap(0, P, 3, SHARED | 0x20);
    const own = guest.mmap(0, P, 3, ANON);
    for (const p of [shared, own]) {
      guest.memory.u8[p] = 1;
      expect(guest.call('madvise', p, P, 4)).toBe(0);
    }
    expect([guest.memory.u8[shared], guest.memory.u8[own]]).toEqual([1, 0]);
    expect(guest.call('madvise', shared, P, 9)).toBe(0);
    expect(guest.memory.u8[shared]).toBe(0);
  });

  it('anonymous memory can be named', () => {
    const guest = new Guest();
    const p = guest.mmap(0, 4 * P, 3, ANON);
    const shared = guest.mmap(0, P, 3, SHARED | 0x20);
    const name = (at: number, length: number, text: string): string => {
      try {
        nameAnonymous(guest.mm, at, length, text);
        return '';
      } catch (e) {
        return errnoName((e as SysError).errno);
      }
    };
    expect(name(p + P, 2 * P - 1, 'middle')).toBe('');
    expect(
      guest.mm
        .vmas()
        .filter((v) => v.start >= p && v.end <= p + 4 * P)
        .map((v) => v.label),
    ).toEqual(['', '[anon:middle]', '']);
    expect(name(p + P, 2 * P, '')).toBe('');
    expect(guest.mm.vmas().filter((v) => v.start >= p && v.end <= p + 4 * P)).toHaveLength(1);
    expect([name(p + 1, P, 'x'), name(shared, P, 'x'), name(0x1_0000, P, 'x')]).toEqual(['EINVAL', 'EBADF', 'ENOMEM']);
  });

  it('anonymous pieces have no offset', () => {
    const guest = new Guest();
    const p = guest.mmap(0, 4 * P, 3, ANON);
    guest.call('mprotect', p + P, P, 1);
    guest.call('mremap', p + 2 * P, 2 * P, 4 * P, 3, 0x4000_0000);
    expect(guest.maps(p)).toEqual([
      `${(0x4000_0000 - p) / P}-${(0x4000_4000 - p) / P} rw-p 0`,
      '0-1 rw-p 0',
      '1-2 r--p 0',
    ]);
  });

  it('MREMAP_DONTUNMAP leaves zeros behind', () => {
    const guest = new Guest();
    const p = guest.mmap(0, 2 * P, 3, ANON);
    guest.memory.u8[p] = 3;
    const q = guest.call('mremap', p, 2 * P, 2 * P, 5, 0) as number;
    expect([guest.memory.u8[p], guest.memory.u8[q], guest.mm.stats.total]).toEqual([0, 3, 4 * P]);
  });

  it('mprotect(PROT_GROWSDOWN) reaches the whole stack', () => {
    const guest = new Guest();
    const { stackBottom, stackTop } = guest.mm.layout;
    guest.mm.mapAnonymous(stackBottom, stackTop, 3, '[stack]', 0x100);
    expect(guest.call('mprotect', stackTop - P, P, 7 | 0x01000000)).toBe(0);
    expect(guest.memory.protection(stackBottom)).toBe(7);
    expect(guest.maps().length).toBe(1);
  });
});

describe('private file mappings', () => {
  it('are copies: bytes, zeros behind the end, no access beyond its page', () => {
    const guest = new Guest();
    guest.files.set(3, new MemFile(numberedPages(3, 10), O_RDONLY, '/tmp/f'));
    const p = guest.mmap(0, 5 * P, 3, PRIVATE, 3, P);
    const { u8 } = guest.memory;
    expect([u8[p], u8[p + P], u8[p + P + 9], u8[p + P + 10]]).toEqual([2, 3, 3, 0]);
    expect([0, 1, 2, 4].map((i) => guest.memory.protection(p + i * P))).toEqual([3, 3, 0, 0]);
    expect(guest.maps(p)).toEqual(['0-5 rw-p 1 /tmp/f']);
    expect(guest.mm.faultInfo(p + 2 * P)).toEqual({ signo: 7, code: 2 });
    expect(guest.mm.faultInfo(p)).toEqual({ signo: 11, code: 2 });
    expect(guest.mm.faultInfo(p + 5 * P)).toEqual({ signo: 11, code: 1 });
    expect(guest.mm.stats.accessible).toBe(2 * P);
    expect(guest.call('mprotect', p, 5 * P, 1)).toBe(0);
    expect([1, 2].map((i) => guest.memory.protection(p + i * P))).toEqual([1, 0]);
  });

  it('have zeros behind the end of the file also where memory was used before', () => {
    const guest = new Guest();
    guest.files.set(3, new MemFile(numberedPages(2, 10)));
    const used = guest.mmap(0x3000_0000, 4 * P, 3, ANON);
    guest.memory.u8.fill(0xee, used, used + 4 * P);
    const p = guest.mmap(used, 4 * P, 3, PRIVATE | FIXED, 3);
    expect(guest.memory.u8.subarray(p + P + 10, p + 2 * P).every((b) => b === 0)).toBe(true);
    // The pages beyond, which nobody could see, are zero for the next mapping.
    guest.mmap(p, 4 * P, 3, ANON | FIXED);
    expect(guest.memory.u8.subarray(p, p + 4 * P).every((b) => b === 0)).toBe(true);
  });

  it('hold their file until the last piece is gone', () => {
    const guest = new Guest();
    const file = new MemFile(numberedPages(8));
    guest.files.set(3, file);
    const p = guest.mmap(0, 8 * P, 1, PRIVATE, 3);
    file.unref();
    guest.call('munmap', p + 2 * P, P);
    guest.call('mprotect', p + 5 * P, P, 3);
    guest.call('mprotect', p + 5 * P, P, 1);
    guest.call('munmap', p, 2 * P);
    expect(file.released).toBe(false);
    guest.call('munmap', p, 8 * P);
    expect(file.released).toBe(true);
  });

  it('are not read again where the same bytes stand already', () => {
    const guest = new Guest();
    const file = new MemFile(numberedPages(8));
    guest.files.set(3, file);
    const p = guest.mmap(0x3000_0000, 8 * P, 1, PRIVATE, 3);
    const { reads } = file;
    guest.mmap(p + 2 * P, 2 * P, 5, PRIVATE | FIXED, 3, 2 * P);
    expect(file.reads).toBe(reads);
    expect(guest.memory.u8[p + 3 * P]).toBe(4);
    // Another offset, or pages that may have been written, are.
    guest.mmap(p + 4 * P, P, 3, PRIVATE | FIXED, 3, 6 * P);
    expect([file.reads, guest.memory.u8[p + 4 * P]]).toEqual([reads + 1, 7]);
    guest.memory.u8[p + 4 * P] = 99;
    guest.mmap(p + 4 * P, P, 1, PRIVATE | FIXED, 3, 6 * P);
    expect([file.reads, guest.memory.u8[p + 4 * P]]).toEqual([reads + 2, 7]);
    file.mtime++;
    guest.mmap(p, P, 1, PRIVATE | FIXED, 3, 0);
    expect(file.reads).toBe(reads + 3);
  });

  it('may take their time', async () => {
    const guest = new Guest();
    const file = new MemFile(numberedPages(3));
    file.slow = true;
    guest.files.set(3, file);
    const waiting = guest.callAsync('mmap', 0x3000_0000, 3 * P, 1, PRIVATE | FIXED, 3, 0);
    expect(await waiting).toBe(0x3000_0000);
    expect([0, 1, 2].map((i) => guest.memory.u8[0x3000_0000 + i * P])).toEqual([1, 2, 3]);
    expect(guest.memory.protection(0x3000_0000)).toBe(1);
    expect(guest.mm.stats.total).toBe(3 * P);
    file.failure = sysError(errno.EIO);
    expect(await guest.callAsync('mmap', 0x3100_0000, 3 * P, 1, PRIVATE | FIXED, 3, 0)).toBe('EIO');
    expect(guest.mm.stats.total).toBe(3 * P);
    expect(guest.memory.protection(0x3100_0000)).toBe(-1);
  });
});

describe('shared file mappings', () => {
  function shared(flags = O_RDWR): { guest: Guest; file: MemFile; p: number } {
    const guest = new Guest();
    const file = new MemFile(numberedPages(4, 100), flags);
    guest.files.set(3, file);
    const p = guest.mmap(0x3000_0000, 4 * P, 3, SHARED, 3);
    return { guest, file, p };
  }

  it('msync writes what was changed, and nothing else', () => {
    const { guest, file, p } = shared();
    guest.memory.u8[p + P + 5] = 77;
    guest.memory.u8[p + P + 9] = 78;
    expect(guest.call('msync', p, 4 * P, 4)).toBe(0);
    expect(file.writes).toEqual([{ position: P + 5, length: 5 }]);
    expect([file.bytes[P + 5], file.bytes[P + 9]]).toEqual([77, 78]);
    expect(guest.call('msync', p, 4 * P, 4)).toBe(0);
    expect(file.writes.length).toBe(1);
  });

  it('munmap, replacement and release write back, never behind the end of the file, never appending', async () => {
    const { guest, file, p } = shared(O_RDWR | O_APPEND);
    expect(anySharedFiles(file.key)).toBe(true);
    guest.memory.u8[p] = 1 + 64;
    guest.call('munmap', p, P);
    expect(file.bytes[0]).toBe(65);
    guest.memory.u8[p + P] = 66;
    guest.mmap(p + P, P, 3, ANON | FIXED);
    expect(file.bytes[P]).toBe(66);
    guest.memory.u8[p + 3 * P + 99] = 67;
    guest.memory.u8[p + 3 * P + 100] = 68;
    await guest.mm.release(guest.task);
    expect(file.bytes[3 * P + 99]).toBe(67);
    expect(file.bytes.length).toBe(3 * P + 100);
    expect(file.flags & O_APPEND).toBe(O_APPEND);
    expect(anySharedFiles(file.key)).toBe(false);
  });

  it('become writable by mprotect, keep their changes through mremap and splits', () => {
    const guest = new Guest();
    const file = new MemFile(numberedPages(4));
    guest.files.set(3, file);
    const p = guest.mmap(0x3000_0000, 4 * P, 1, SHARED, 3);
    expect(guest.call('mprotect', p + P, 2 * P, 3)).toBe(0);
    guest.memory.u8[p + P] = 70;
    guest.memory.u8[p + 2 * P] = 71;
    const q = guest.call('mremap', p + P, P, P, 3, 0x4000_0000);
    expect(q).toBe(0x4000_0000);
    expect(file.writes).toEqual([]);
    expect(guest.call('msync', 0x4000_0000, P, 4)).toBe(0);
    expect(file.bytes[P]).toBe(70);
    expect(guest.call('mprotect', p + 2 * P, P, 1)).toBe(0);
    guest.call('munmap', p, 4 * P);
    expect(file.bytes[2 * P]).toBe(71);
    expect(file.writes.length).toBe(2);
  });

  it('a second alias is refused when either may be written', () => {
    const { guest, p } = shared();
    expect(guest.call('mmap', 0, P, 1, SHARED, 3, P)).toBe('ENOMEM');
    expect(guest.call('mremap', p, 0, P, 1, 0)).toBe('ENOMEM');
    // In the place of the first one there is no alias; other parts of the file are free, too.
    expect(guest.call('mmap', p, 4 * P, 3, SHARED | FIXED, 3, 0)).toBe(p);
    guest.call('munmap', p + 2 * P, 2 * P);
    expect(guest.mmap(0, 2 * P, 3, SHARED, 3, 2 * P)).toBeGreaterThan(0);
    // Growing into a part of the file that is mapped elsewhere would be an alias, too.
    expect(guest.call('mremap', p, 2 * P, 3 * P, 1, 0)).toBe('ENOMEM');
    const reader = new Guest();
    reader.files.set(3, new MemFile(numberedPages(2)));
    const a = reader.mmap(0, P, 1, SHARED, 3);
    expect(reader.mmap(0, P, 1, SHARED, 3)).not.toBe(a);
    expect(reader.call('mprotect', a, P, 3)).toBe('ENOMEM');
  });

  it('agree with the file calls through the hooks', () => {
    const { guest, file, p } = shared();
    guest.memory.u8[p] = 50;
    flushSharedFile(guest.task, file.key);
    expect(file.bytes[0]).toBe(50);
    const longer = new Uint8Array(5 * P);
    longer.set(file.bytes);
    longer.fill(9, 3 * P + 200, 3 * P + 300);
    file.bytes = longer;
    sharedFileWritten(file.key, 3 * P + 200, longer.slice(3 * P + 200, 3 * P + 300), longer.length);
    expect([guest.memory.u8[p + 3 * P + 199], guest.memory.u8[p + 3 * P + 200]]).toEqual([0, 9]);
    file.bytes = file.bytes.slice(0, P + 10);
    sharedFileResized(file.key, P + 10);
    expect([0, 1, 2].map((i) => guest.memory.protection(p + i * P))).toEqual([3, 3, 0]);
    expect([guest.memory.u8[p + P + 9], guest.memory.u8[p + P + 10]]).toEqual([2, 0]);
    guest.call('munmap', p, 4 * P);
    expect(file.writes).toEqual([{ position: 0, length: 1 }]);
  });

  it('tell the user when the file cannot be written', () => {
    const { guest, file, p } = shared();
    file.write = () => {
      throw sysError(errno.ENOSPC);
    };
    guest.memory.u8[p] = 50;
    expect(guest.call('munmap', p, 4 * P)).toBe(0);
    expect(guest.task.diagnostics).toEqual(['a shared mapping could not be written back: ENOSPC']);
  });
});

describe('process_vm_readv and writev', () => {
  it('copy between lists of pieces and stop at what is not accessible', () => {
    const guest = new Guest();
    const p = guest.mmap(0x3000_0000, 4 * P, 3, ANON);
    const { mem } = guest;
    const iov = (at: number, ...pairs: number[]): void => {
      for (const [i, v] of pairs.entries()) mem.writeU64(at + i * 8, v);
    };
    mem.copyOut(p + P, Buffer.from('hello world'));
    iov(p, p + 2 * P, 3, p + 2 * P + 10, 100);
    iov(p + 256, p + P, 5, p + P + 6, 5);
    expect(guest.call('process_vm_readv', 1, p, 2, p + 256, 2, 0)).toBe(10);
    expect(mem.readCString(p + 2 * P)).toBe('hel');
    expect(mem.readCString(p + 2 * P + 10)).toBe('loworld');
    iov(p + 256, p + 4 * P - 4, 100);
    expect(guest.call('process_vm_readv', 1, p, 2, p + 256, 1, 0)).toBe(4);
    expect(guest.call('process_vm_writev', 1, p, 2, p + 256, 1, 0)).toBe(4);
    iov(p + 256, 0x10, 100);
    expect(guest.call('process_vm_readv', 1, p, 2, p + 256, 1, 0)).toBe('EFAULT');
    expect(guest.call('process_vm_readv', 2, p, 2, p + 256, 1, 0)).toBe('ESRCH');
    expect(guest.call('process_vm_readv', 1, p, 2000, p + 256, 1, 0)).toBe('EINVAL');
    expect(guest.call('process_vm_readv', 1, p, 2, p + 256, 1, 1)).toBe('EINVAL');
    iov(p, p, 2 ** 63);
    expect(guest.call('process_vm_readv', 1, p, 1, p + 256, 1, 0)).toBe('EINVAL');
  });
});

describe('fork', () => {
  it('copies what is mapped and used', () => {
    const guest = new Guest();
    const p = guest.mmap(0x3000_0000, 4 * P, 3, ANON);
    guest.memory.u8[p] = 1;
    guest.call('madvise', p + P, P, 10);
    guest.memory.u8[p + 2 * P] = 3;
    guest.call('madvise', p + 2 * P, P, 18);
    const memory = new FakeGuestMemory();
    const child: AddressSpace = guest.mm.fork(memory);
    expect([memory.u8[p], memory.u8[p + 2 * P]]).toEqual([1, 0]);
    expect([0, 1, 2].map((i) => memory.protection(p + i * P))).toEqual([3, -1, 3]);
    expect(child.stats.total).toBe(3 * P);
    memory.u8[p] = 9;
    expect(guest.memory.u8[p]).toBe(1);
  });
});
