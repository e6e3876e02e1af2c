import { beforeEach, describe, expect, it } from 'vitest';
import type { Stat } from '../../../src/kernel/fs/inode.ts';
import { Tmpfs } from '../../../src/kernel/fs/tmpfs.ts';
import { Vfs } from '../../../src/kernel/fs/vfs.ts';
import { encodeStat } from '../../../src/kernel/syscalls/stat.ts';
import { BUFFER, Guest } from './fake-task.ts';

const sample: Stat = {
  dev: 0xfe01,
  ino: 2 ** 40 + 5,
  mode: 0o100644,
  nlink: 3,
  uid: 1000,
  gid: 1001,
  rdev: 0x103,
  size: 2 ** 33 + 7,
  blksize: 4096,
  blocks: 16,
  atime: { sec: 1, nsec: 2 },
  mtime: { sec: -1, nsec: 999_999_999 },
  ctime: { sec: 2 ** 33, nsec: 6 },
  btime: { sec: 7, nsec: 8 },
};

describe('struct stat', () => {
  // Offsets from asm/stat.h of x86-64 and asm-generic/stat.h.
  it.each([
    ['x86_64', 144, { nlink: [16, 8], mode: [24, 4], uid: [28, 4], gid: [32, 4], rdev: [40, 8], blksize: [56, 8] }],
    ['aarch64', 128, { nlink: [20, 4], mode: [16, 4], uid: [24, 4], gid: [28, 4], rdev: [32, 8], blksize: [56, 4] }],
  ] as const)('of %s', (isa, size, fields) => {
    const bytes = encodeStat(sample, isa);
    const v = new DataView(bytes.buffer);
    expect(bytes.length).toBe(size);
    for (const [name, [at, width]] of Object.entries(fields)) {
      const value = width === 8 ? Number(v.getBigUint64(at, true)) : v.getUint32(at, true);
      expect(value, name).toBe(sample[name as keyof Stat]);
    }
    const at = (n: number): number => Number(v.getBigInt64(n, true));
    expect([0, 8, 48, 64].map(at)).toEqual([sample.dev, sample.ino, sample.size, sample.blocks]);
    expect([72, 80, 88, 96, 104, 112].map(at)).toEqual([1, 2, -1, 999_999_999, 2 ** 33, 6]);
  });
});

describe('status calls', () => {
  let guest: Guest;
  beforeEach(() => {
    guest = new Guest(new Vfs(new Tmpfs()));
    guest.writeFile('/f', 'abc');
    guest.call('symlink', 'f', '/l');
  });
  it('statx', () => {
    expect(guest.show('statx', -100, '/f', 0, 0xfff, BUFFER)).toBe(0);
    const v = new DataView(guest.memory.u8.buffer, BUFFER, 256);
    expect(v.getUint32(0, true) & 0xfff).toBe(0xfff);
    expect(v.getUint16(28, true)).toBe(0o100644);
    expect(Number(v.getBigUint64(40, true))).toBe(3);
    expect(guest.show('statx', -100, '/l', 0x100, 0, BUFFER)).toBe(0);
    expect(v.getUint16(28, true)).toBe(0o120777);
    expect(guest.show('statx', guest.open('/f'), '', 0x1000, 0, BUFFER)).toBe(0);
    expect(guest.show('statx', -100, '/f', 0, 0x8000_0000, BUFFER)).toBe('EINVAL');
    expect(guest.show('statx', -100, '/f', 0x6000, 0, BUFFER)).toBe('EINVAL');
    expect(guest.show('statx', -100, '/f', 1, 0, BUFFER)).toBe('EINVAL');
    expect(guest.show('statx', -100, '/f', 0, 0, 8)).toBe('EFAULT');
  });
  it('newfstatat', () => {
    expect(guest.show('newfstatat', -100, '', BUFFER, 0)).toBe('ENOENT');
    expect(guest.show('newfstatat', -100, '', BUFFER, 0x1000)).toBe(0);
    expect(guest.show('newfstatat', 99, '', BUFFER, 0x1000)).toBe('EBADF');
    expect(guest.show('newfstatat', -100, '/f', BUFFER, 2)).toBe('EINVAL');
    expect(guest.show('newfstatat', -100, 0, BUFFER, 0)).toBe('EFAULT');
    expect(guest.stat('/l', 0)).toMatchObject({ size: 3 });
  });
  it('statfs', () => {
    expect(guest.show('statfs', '/f', BUFFER)).toBe(0);
    expect(guest.task.mem.readU64(BUFFER)).toBe(0x0102_1994);
    expect(guest.show('fstatfs', guest.open('/f'), BUFFER)).toBe(0);
  });
  it('access', () => {
    expect(guest.show('access', '/f', 6)).toBe(0);
    expect(guest.show('access', '/f', 1)).toBe('EACCES');
    expect(guest.show('access', '/f', 8)).toBe('EINVAL');
    expect(guest.show('faccessat2', -100, '/l', 1, 0x100)).toBe(0);
    expect(guest.show('faccessat2', -100, '/l', 1, 0x400)).toBe('EINVAL');
    guest.call('symlink', 'gone', '/dangling');
    expect(guest.show('access', '/dangling', 0)).toBe('ENOENT');
  });
  it('times', () => {
    const at = (...t: bigint[]): Uint8Array => new Uint8Array(new BigInt64Array(t).buffer);
    const OMIT = 0x3fff_fffen;
    expect(guest.show('utimensat', -100, '/f', at(5n, 6n, -7n, 8n), 0)).toBe(0);
    expect(guest.stat('/f')).toMatchObject({ mtime: 2 ** 64 - 7 });
    expect(guest.show('utimensat', -100, '/f', at(0n, OMIT, 9n, 0n), 0)).toBe(0);
    expect(guest.stat('/f')).toMatchObject({ mtime: 9 });
    expect(guest.task.mem.readU64(BUFFER + 72)).toBe(5);
    expect(guest.show('utimensat', -100, '/nowhere', at(0n, OMIT, 0n, OMIT), 0)).toBe(0);
    expect(guest.show('utimensat', -100, '/f', at(0n, 1_000_000_000n, 0n, 0n), 0)).toBe('EINVAL');
    expect(guest.show('utimensat', guest.open('/f'), 0, at(3n, 0n, 4n, 0n), 0)).toBe(0);
    expect(guest.stat('/f')).toMatchObject({ mtime: 4 });
    expect(guest.show('utime', '/f', at(11n, 12n))).toBe(0);
    expect(guest.stat('/f')).toMatchObject({ mtime: 12 });
    expect(guest.show('utimes', '/f', at(1n, 1_000_000n, 1n, 0n))).toBe('EINVAL');
  });
});
