/** Errors of the memory calls. The expected column was recorded with the same calls on Linux 6 (as root). */
import { describe, expect, it } from 'vitest';
import { O_PATH, O_RDONLY, O_RDWR, O_WRONLY } from '../../../src/kernel/fs/open-file.ts';
import { Guest } from './calls.ts';
import { MemFile, numberedPages } from './mem-file.ts';

const P = 4096;
const TWO47 = 2 ** 47;
const MAX = 2 ** 64;
const SHARED = 1;
const PRIVATE = 2;
const VALIDATE = 3;
const FIXED = 0x10;
const ANON = 0x20;
const HUGETLB = 0x40000;
const SYNC = 0x80000;
const NOREPLACE = 0x100000;
const GROWSDOWN = 0x100;

class Unmappable extends MemFile {
  override mapKey(): never {
    return null as never;
  }
}

/** Ten pages at `p` with page 4 missing; descriptors: 3 read-only, 4 a directory, 5 write-only, 6 O_PATH, 7 read-write. */
function setUp(): { guest: Guest; p: number; sr: number } {
  const guest = new Guest({ root: true });
  const bytes = numberedPages(20);
  guest.files.set(3, new MemFile(bytes, O_RDONLY));
  guest.files.set(4, new Unmappable(bytes, O_RDONLY));
  guest.files.set(5, new MemFile(bytes, O_WRONLY));
  guest.files.set(6, new MemFile(bytes, O_PATH));
  guest.files.set(7, new MemFile(bytes, O_RDWR));
  const p = guest.mmap(0x3000_0000, 10 * P, 3, PRIVATE | ANON);
  guest.call('munmap', p + 4 * P, P);
  const sr = guest.mmap(0x3800_0000, P, 1, SHARED, 3);
  return { guest, p, sr };
}

type Case = [name: string, args: (p: number, sr: number) => number[], expected: string | number];
const ok = 'ok';

const cases: Case[] = [
  ['mmap', () => [0, 0, 1, PRIVATE | ANON, -1, 0], 'EINVAL'],
  ['mmap', () => [0, P, 1, ANON, -1, 0], 'EINVAL'],
  ['mmap', () => [0, P, 1, ANON | VALIDATE, -1, 0], 'EINVAL'],
  ['mmap', () => [0, P, 1, PRIVATE, 99, 0], 'EBADF'],
  ['mmap', () => [0, P, 1, PRIVATE, 4, 0], 'ENODEV'],
  ['mmap', () => [0, P, 1, PRIVATE, 5, 0], 'EACCES'],
  ['mmap', () => [0, P, 1, SHARED, 5, 0], 'EACCES'],
  ['mmap', () => [0, P, 1, PRIVATE, 6, 0], 'EBADF'],
  ['mmap', () => [0, P, 3, SHARED, 3, 0], 'EACCES'],
  ['mmap', () => [0, P, 1, PRIVATE, 3, 1], 'EINVAL'],
  ['mmap', () => [0, MAX, 1, PRIVATE | ANON, -1, 0], 'ENOMEM'],
  ['mmap', () => [0, TWO47, 1, PRIVATE | ANON, -1, 0], 'ENOMEM'],
  ['mmap', () => [4097, P, 1, PRIVATE | ANON | FIXED, -1, 0], 'EINVAL'],
  ['mmap', () => [TWO47, P, 1, PRIVATE | ANON | FIXED, -1, 0], 'ENOMEM'],
  ['mmap', () => [MAX - P, P, 1, PRIVATE | ANON | FIXED, -1, 0], 'ENOMEM'],
  ['mmap', () => [0, P, 1, PRIVATE | ANON | HUGETLB, -1, 0], 'ENOMEM'],
  ['mmap', () => [0, P, 1, SHARED | ANON | HUGETLB, -1, 0], 'ENOMEM'],
  ['mmap', () => [0, P, 1, (PRIVATE | ANON | HUGETLB | (30 << 26)) >>> 0, -1, 0], 'ENOMEM'],
  ['mmap', () => [0, P, 1, PRIVATE | ANON | HUGETLB | (5 << 26), -1, 0], 'EINVAL'],
  ['mmap', () => [0, P, 1, PRIVATE | HUGETLB, 3, 0], 'EINVAL'],
  ['mmap', () => [0, P, 1, PRIVATE | GROWSDOWN, 3, 0], 'EINVAL'],
  ['mmap', () => [0, P, 1, SHARED | ANON | GROWSDOWN, -1, 0], 'EINVAL'],
  ['mmap', () => [0, P, 1, VALIDATE, 3, 0], ok],
  ['mmap', () => [0, P, 1, VALIDATE | (1 << 27), 3, 0], ok],
  ['mmap', () => [0, P, 1, SHARED | (1 << 27), 3, 0], ok],
  ['mmap', () => [0, P, 1, VALIDATE | 0x200000, 3, 0], 'EOPNOTSUPP'],
  ['mmap', () => [0x12000000, P, 1, VALIDATE | NOREPLACE, 3, 0], 'EOPNOTSUPP'],
  ['mmap', () => [0x12000000, P, 1, PRIVATE | NOREPLACE, 3, 0], 0x12000000],
  ['mmap', () => [0, P, 1, PRIVATE | SYNC, 3, 0], 'EOPNOTSUPP'],
  ['mmap', () => [0, P, 1, PRIVATE | ANON | SYNC, -1, 0], ok],
  ['mmap', () => [0, 2 * P, 1, PRIVATE, 3, MAX - P], 'EOVERFLOW'],
  ['mmap', () => [0, 2 * P, 1, PRIVATE, 3, 2 ** 63 - P], 'EOVERFLOW'],
  ['mmap', () => [0, 2 * P, 1, PRIVATE | ANON, -1, MAX - P], ok],
  ['mmap', () => [0, P, 0xfff0, PRIVATE | ANON, -1, 0], ok],
  ['mmap', () => [0, P, 1, 0, 3, 0], 'EINVAL'],
  ['mmap', () => [0, P, 1, 8 | ANON, -1, 0], ok],
  ['mmap', (p) => [p, P, 1, PRIVATE | ANON | NOREPLACE, -1, 0], 'EEXIST'],
  ['mmap', (p) => [p + 1, P, 1, PRIVATE | ANON | NOREPLACE, -1, 0], 'EINVAL'],
  ['mmap', () => [0x100123, P, 1, PRIVATE | ANON, -1, 0], 0x100000],
  ['munmap', (p) => [p + 1, 1], 'EINVAL'],
  ['munmap', (p) => [p, 0], 'EINVAL'],
  ['munmap', (p) => [p, TWO47], 'EINVAL'],
  ['munmap', (p) => [p, MAX], 'EINVAL'],
  ['munmap', () => [TWO47, P], 'EINVAL'],
  ['munmap', () => [P, P], 0],
  ['munmap', () => [TWO47 - 2 * P, P], 0],
  ['mprotect', (p) => [p, 0, 1], 0],
  ['mprotect', (p) => [p + 1, 0, 1], 'EINVAL'],
  ['mprotect', (p) => [p, 10 * P, 1], 'ENOMEM'],
  ['mprotect', (p) => [p + 4 * P, P, 1], 'ENOMEM'],
  ['mprotect', (p) => [p, P, 0x40], 'EINVAL'],
  ['mprotect', (p) => [p, MAX, 1], 'ENOMEM'],
  ['mprotect', (p) => [p, P, 0x01000001], 'EINVAL'],
  ['mprotect', (p) => [p, P, 0x03000001], 'EINVAL'],
  ['mprotect', (p) => [p, TWO47, 1], 'ENOMEM'],
  ['mprotect', () => [MAX - 2 * P, P, 1], 'ENOMEM'],
  ['mprotect', (_p, sr) => [sr, P, 3], 'EACCES'],
  ['mremap', (p) => [p, P, 2 * P, 0, 0], 'ENOMEM'],
  ['mremap', (p) => [p, 4 * P, 5 * P, 0, 0], ok],
  ['mremap', (p) => [p, 0, P, 1, 0], 'EINVAL'],
  ['mremap', (p) => [p, P, 0, 1, 0], 'EINVAL'],
  ['mremap', (p) => [p, P, P, 8, 0], 'EINVAL'],
  ['mremap', (p) => [p, P, P, 2, p + 8 * P], 'EINVAL'],
  ['mremap', (p) => [p, P, 2 * P, 5, 0], 'EINVAL'],
  ['mremap', (p) => [p + 3 * P, 3 * P, 7 * P, 1, 0], 'EFAULT'],
  ['mremap', (p) => [p + 4 * P, P, 2 * P, 1, 0], 'EFAULT'],
  ['mremap', (p) => [p + 1, P, 2 * P, 1, 0], 'EINVAL'],
  ['mremap', (p) => [p, P, 2 ** 48, 1, 0], 'EINVAL'],
  ['mremap', (p) => [p, 2 * P, 2 * P, 3, p + P], 'EINVAL'],
  ['mremap', (p) => [p, P, P, 3, TWO47], 'EINVAL'],
  ['mremap', (_p, sr) => [sr, 0, P, 1, 0], ok],
  ['mremap', (_p, sr) => [sr, 0, P, 0, 0], 'ENOMEM'],
  ['mremap', (p) => [p, MAX, P, 1, 0], 'EINVAL'],
  ['mremap', (p) => [p, P, MAX, 1, 0], 'EINVAL'],
  ['mremap', (p) => [p, 3 * P, P, 0, 0], ok],
  ['mremap', (p) => [p, 9 * P, P, 0, 0], ok],
  ['madvise', (p) => [p, P, 1000], 'EINVAL'],
  ['madvise', (p) => [p + 1, P, 4], 'EINVAL'],
  ['madvise', (p) => [p, 10 * P, 4], 'ENOMEM'],
  ['madvise', (p) => [p, 0, 4], 0],
  ['madvise', (p) => [p, MAX, 4], 'EINVAL'],
  ['madvise', (p) => [p, 0, 1000], 'EINVAL'],
  ['madvise', (_p, sr) => [sr, P, 8], 'EINVAL'],
  ['madvise', (_p, sr) => [sr, P, 9], 'EACCES'],
  ['madvise', (p) => [p, P, 9], 'EINVAL'],
  ['madvise', (_p, sr) => [sr, P, 18], 'EINVAL'],
  ['madvise', (p) => [p, P, 12], 0],
  ['madvise', (p) => [p, P, 14], 0],
  ['madvise', (p) => [p, P, 25], 'EINVAL'],
  ['madvise', (p) => [p, P, 22], 0],
  ['madvise', (_p, sr) => [sr, P, 23], 'EINVAL'],
  ['madvise', (p) => [p, 10 * P, 22], 'ENOMEM'],
  ['madvise', (p) => [p, P, 20], 0],
  ['madvise', (p) => [p, P, 24], 0],
  ['madvise', () => [2 ** 50, P, 4], 'ENOMEM'],
  ['msync', (p) => [p, P, 8], 'EINVAL'],
  ['msync', (p) => [p, P, 5], 'EINVAL'],
  ['msync', (p) => [p + 1, P, 4], 'EINVAL'],
  ['msync', (p) => [p, 10 * P, 4], 'ENOMEM'],
  ['msync', (p) => [p, 0, 4], 0],
  ['msync', (p) => [p, MAX - P, 4], 'ENOMEM'],
  ['msync', (p) => [p, P, 0], 0],
  ['mincore', (p) => [p, 10 * P, p + 9 * P], 'ENOMEM'],
  ['mincore', (p) => [p + 1, P, p], 'EINVAL'],
  ['mincore', (p) => [p, P, 8], 'EFAULT'],
  ['mincore', (p) => [p, 0, 8], 0],
  ['mincore', (p) => [2 ** 48, P, p], 'ENOMEM'],
  ['mincore', (p) => [p, P, p + P], 0],
  ['mlock', (p) => [p, 10 * P], 'ENOMEM'],
  ['mlock', (p) => [p, P], 0],
  ['mlock', (p) => [p + 5, 0], 0],
  ['mlock', () => [MAX - 2 * P, P], 'ENOMEM'],
  ['mlock2', (p) => [p, P, 2], 'EINVAL'],
  ['munlock', (p) => [p, 10 * P], 'ENOMEM'],
  ['mlockall', () => [0], 'EINVAL'],
  ['mlockall', () => [8], 'EINVAL'],
  ['mlockall', () => [4], 'EINVAL'],
  ['mlockall', () => [5], 0],
  ['munlockall', () => [], 0],
  ['membarrier', () => [8, 0, 0], 'EPERM'],
  ['membarrier', () => [0, 1, 0], 'EINVAL'],
  ['membarrier', () => [3, 0, 0], 'EINVAL'],
  ['membarrier', () => [1, 0, 0], 0],
  ['membarrier', () => [32, 0, 0], 'EPERM'],
];

describe('errors as on Linux', () => {
  it.each(cases)('%s %#', (name, args, expected) => {
    const { guest, p, sr } = setUp();
    const result = guest.call(name, ...args(p, sr));
    expect(expected === ok && typeof result === 'number' ? ok : result, `${name}(${args(p, sr).join(', ')})`).toBe(
      expected,
    );
  });

  it('a locked range refuses MADV_DONTNEED and MS_INVALIDATE', () => {
    const { guest, p } = setUp();
    expect(guest.call('mlock', p, 2 * P)).toBe(0);
    expect(guest.call('madvise', p, P, 4)).toBe('EINVAL');
    expect(guest.call('madvise', p, P, 24)).toBe(0);
    expect(guest.call('msync', p, P, 2)).toBe('EBUSY');
    expect(guest.mm.stats.locked).toBe(2 * P);
    expect(guest.call('munlock', p, 2 * P)).toBe(0);
    expect(guest.call('madvise', p, P, 4)).toBe(0);
  });

  it('without privileges mlock stops at RLIMIT_MEMLOCK', () => {
    const guest = new Guest();
    const p = guest.mmap(0, 16 << 20, 3, PRIVATE | ANON);
    expect(guest.call('mlock', p, 8 << 20)).toBe(0);
    expect(guest.call('mlock', p + (8 << 20), P)).toBe('ENOMEM');
    expect(guest.call('mmap', 0, P, 3, PRIVATE | ANON | 0x2000, -1, 0)).toBe('EAGAIN');
    guest.task.process.rlimits[8]!.soft = 0;
    expect(guest.call('mlock', p, P)).toBe('EPERM');
  });

  it('the quirks of this address space', () => {
    const { guest } = setUp();
    expect(guest.call('mmap', 0xf000_0000, P, 1, PRIVATE | ANON | FIXED, -1, 0)).toBe('ENOMEM');
    expect(guest.call('mmap', 0xefff_f000, P, 1, PRIVATE | ANON | FIXED, -1, 0)).toBe(0xefff_f000);
    expect(guest.call('mmap', 0xf000, P, 1, PRIVATE | ANON | FIXED, -1, 0)).toBe('EPERM');
    expect(guest.mmap(0x7fff_0000_0000, P, 1, PRIVATE | ANON)).toBeLessThan(0xf000_0000);
    expect(guest.mmap(0x1000, P, 1, PRIVATE | ANON)).toBe(0x1_0000);
  });
});
