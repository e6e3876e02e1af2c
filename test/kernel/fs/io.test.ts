import { beforeEach, describe, expect, it } from 'vitest';
import { createPipe } from '../../../src/kernel/fs/pipe.ts';
import { Tmpfs } from '../../../src/kernel/fs/tmpfs.ts';
import { Vfs } from '../../../src/kernel/fs/vfs.ts';
import { BUFFER, Guest, HIGH, LOW } from './fake-task.ts';

const TWO47 = 2 ** 47;
let guest: Guest;
let tmpfs: Tmpfs;
let fd: number;
beforeEach(() => {
  tmpfs = new Tmpfs({ limit: 4 << 20 });
  guest = new Guest(new Vfs(tmpfs));
  guest.writeFile('/f', '0123456789');
  fd = guest.open('/f', 2);
});
const iovec = (...parts: [number, number | bigint][]): Uint8Array => {
  const words = new BigUint64Array(parts.flatMap(([a, n]) => [BigInt(a), BigInt(n)]));
  return new Uint8Array(words.buffer);
};
const pipe = (): [number, number] => createPipe().map((end) => guest.task.files.install(end)) as [number, number];

describe('read and write', () => {
  it('transfer as far as the buffer is accessible', () => {
    expect(guest.show('pread64', fd, HIGH - 4, 10, 0)).toBe(4);
    expect(guest.text(HIGH - 4, 4)).toBe('0123');
    expect(guest.show('pread64', fd, HIGH, 10, 0)).toBe('EFAULT');
    expect(guest.show('pwrite64', fd, HIGH - 2, 10, 0)).toBe(2);
    expect(guest.show('write', fd, 0, 1)).toBe('EFAULT');
    expect(guest.show('read', fd, 0, 0)).toBe(0);
    expect(guest.show('read', fd, LOW, TWO47)).toBe('EFAULT');
    expect(guest.show('read', fd, LOW, 2 ** 64)).toBe('EFAULT');
    guest.memory.protect(BUFFER, BUFFER + 4096, 1);
    expect(guest.show('read', fd, BUFFER, 5)).toBe('EFAULT');
    expect(guest.show('write', fd, BUFFER, 5)).toBe(5);
  });
  it('check descriptors and positions', () => {
    expect(guest.show('pread64', fd, BUFFER, 1, -1)).toBe('EINVAL');
    expect(guest.show('read', guest.open('/f', 1), BUFFER, 1)).toBe('EBADF');
    expect(guest.show('write', guest.open('/f', 0), BUFFER, 1)).toBe('EBADF');
    expect(guest.show('read', guest.open('/'), BUFFER, 1)).toBe('EISDIR');
    const [reader] = pipe();
    expect(guest.show('pread64', reader, BUFFER, 1, 0)).toBe('ESPIPE');
    expect(guest.show('lseek', reader, 0, 0)).toBe('ESPIPE');
    expect(guest.show('lseek', fd, -11, 2)).toBe('EINVAL');
    expect(guest.show('lseek', fd, 0, 5)).toBe('EINVAL');
  });
  it('append wherever the offset is', () => {
    const end = guest.open('/f', 0o2001);
    guest.call('lseek', end, 0, 0);
    guest.call('write', end, guest.put('AB'), 2);
    expect(guest.call('lseek', end, 0, 1)).toBe(12);
    guest.call('pwrite64', end, guest.put('C'), 1, 0);
    expect(guest.call('pwritev2', fd, iovec([guest.put('D'), 1]), 1, 0, 0, 0x10)).toBe(1);
    expect(guest.readFile('/f')).toBe('0123456789ABCD');
  });
  it('stop at RLIMIT_FSIZE with SIGXFSZ', () => {
    guest.task.process.rlimits[1] = { soft: 12, hard: 12 };
    expect(guest.show('pwrite64', fd, BUFFER, 10, 8)).toBe(4);
    expect(guest.signals).toEqual([]);
    expect(guest.show('pwrite64', fd, BUFFER, 1, 12)).toBe('EFBIG');
    expect(guest.show('ftruncate', fd, 13)).toBe('EFBIG');
    expect(guest.signals).toEqual([25, 25]);
    expect(guest.show('ftruncate', fd, 3)).toBe(0);
  });
  it('run out of space, not of memory', () => {
    expect(guest.show('pwrite64', fd, BUFFER, 4096, 2 ** 53 - 2)).toBe(1);
    expect(guest.show('pwrite64', fd, BUFFER, 4096, 2 ** 53)).toBe('EFBIG');
    expect(guest.show('fallocate', fd, 0, 0, 2 ** 40)).toBe('ENOSPC');
    let written = 0;
    for (let n = 1; n > 0; written += n) n = Math.max(0, guest.call('pwrite64', fd, LOW, 1 << 20, written));
    expect(written).toBeGreaterThan(3 << 20);
    expect(guest.show('pwrite64', fd, LOW, 1 << 20, 1 << 30)).toBe('ENOSPC');
    guest.call('ftruncate', fd, 0);
    expect(tmpfs.budget.used).toBe(0);
  });
});

describe('vectors', () => {
  it('read and write in one go', () => {
    const out = iovec([guest.put('ab'), 2], [0, 0], [guest.put('cde'), 3]);
    expect(guest.call('pwritev', fd, out, 3, 1)).toBe(5);
    expect(guest.readFile('/f')).toBe('0abcde6789');
    expect(guest.call('readv', fd, iovec([BUFFER, 3], [BUFFER + 100, 100]), 2)).toBe(10);
    expect(guest.text(BUFFER, 3) + guest.text(BUFFER + 100, 7)).toBe('0abcde6789');
    expect(guest.call('preadv2', fd, iovec([BUFFER, 3]), 1, -1, 0, 0)).toBe(0);
    expect(guest.show('preadv2', fd, iovec([BUFFER, 3]), 1, 0, 0, 0x100)).toBe('EOPNOTSUPP');
  });
  it('move large segments one by one', () => {
    guest.memory.u8.fill(7, LOW, LOW + 600_000);
    const big = iovec([LOW, 300_000], [LOW + 300_000, 300_000]);
    expect(guest.call('pwritev', fd, big, 2, 0)).toBe(600_000);
    guest.memory.u8.fill(0, LOW, LOW + 600_000);
    expect(guest.call('preadv', fd, iovec([LOW, 300_000], [LOW + 300_000, 400_000]), 2, 0)).toBe(600_000);
    expect(guest.memory.u8[LOW + 599_999]).toBe(7);
  });
  it('refuse what import_iovec refuses', () => {
    expect(guest.show('writev', fd, iovec([LOW, 1n << 63n]), 1)).toBe('EINVAL');
    expect(guest.show('writev', fd, LOW, 1025)).toBe('EINVAL');
    expect(guest.show('writev', fd, LOW, 2 ** 64)).toBe('EINVAL');
    expect(guest.show('writev', fd, HIGH - 8, 1)).toBe('EFAULT');
    expect(guest.show('writev', fd, 0, 0)).toBe(0);
    expect(guest.show('writev', fd, iovec([TWO47, 1]), 1)).toBe('EFAULT');
    expect(guest.show('writev', fd, iovec([guest.put('a'), 1], [HIGH, 1]), 2)).toBe(1);
    expect(guest.show('writev', fd, iovec([HIGH, 1], [LOW, 1]), 2)).toBe('EFAULT');
  });
  it('reach a pipe as one write', async () => {
    const [reader, writer] = pipe();
    expect(await guest.start('writev', writer, iovec([guest.put('one'), 3], [guest.put('two'), 3]), 2)).toBe(6);
    expect(guest.call('readv', reader, iovec([BUFFER, 4], [BUFFER + 10, 4]), 2)).toBe(6);
    expect(guest.text(BUFFER, 4) + guest.text(BUFFER + 10, 2)).toBe('onetwo');
  });
});

describe('sparse files', () => {
  it('have holes of 64 KiB', () => {
    guest.call('ftruncate', fd, 1 << 20);
    guest.call('pwrite64', fd, guest.put('x'), 1, 700_000);
    const [DATA, HOLE] = [3, 4];
    expect(guest.call('lseek', fd, 0, DATA)).toBe(0);
    expect(guest.call('lseek', fd, 0, HOLE)).toBe(65536);
    expect(guest.call('lseek', fd, 65536, DATA)).toBe(Math.floor(700_000 / 65536) * 65536);
    expect(guest.show('lseek', fd, 720_896, DATA)).toBe('ENXIO');
    expect(guest.call('lseek', fd, 720_896, HOLE)).toBe(720_896);
    expect(guest.show('lseek', fd, 1 << 20, HOLE)).toBe('ENXIO');
    expect(guest.call('pread64', fd, BUFFER, 3, 699_999)).toBe(3);
    expect(guest.text(BUFFER, 3)).toBe('\0x\0');
  });
  it('are punched, zeroed and reserved', () => {
    const [KEEP, PUNCH, ZERO] = [1, 2, 0x10];
    expect(guest.show('fallocate', fd, PUNCH | KEEP, 2, 3)).toBe(0);
    expect(guest.readFile('/f')).toBe('01\0\0\x0056789');
    expect(guest.show('fallocate', fd, PUNCH, 2, 3)).toBe('EOPNOTSUPP');
    expect(guest.show('fallocate', fd, ZERO, 8, 4)).toBe(0);
    expect(guest.readFile('/f')).toBe('01\0\0\x00567\0\0\0\0');
    expect(guest.show('fallocate', fd, KEEP, 0, 100_000)).toBe(0);
    expect(guest.stat('/f')).toMatchObject({ size: 12 });
    expect(guest.show('fallocate', fd, 0, 0, 20)).toBe(0);
    expect(guest.stat('/f')).toMatchObject({ size: 20 });
    expect(guest.show('fallocate', fd, 0, -1, 20)).toBe('EINVAL');
    expect(guest.show('fallocate', fd, 0, 0, 0)).toBe('EINVAL');
    expect(guest.show('fallocate', fd, 8, 0, 4096)).toBe('EOPNOTSUPP');
    expect(guest.show('fallocate', pipe()[1], 0, 0, 1)).toBe('ESPIPE');
  });
  it('are zero behind a cut', () => {
    guest.call('ftruncate', fd, 4);
    guest.call('ftruncate', fd, 8);
    expect(guest.readFile('/f')).toBe('0123\0\0\0\0');
    expect(guest.show('truncate', '/f', -1)).toBe('EINVAL');
    expect(guest.show('ftruncate', guest.open('/f'), 1)).toBe('EINVAL');
  });
});

describe('copies between descriptors', () => {
  let out: number;
  beforeEach(() => {
    guest.writeFile('/g', '');
    out = guest.open('/g', 2);
  });
  const offset = (n: number): Uint8Array => new Uint8Array(new BigInt64Array([BigInt(n)]).buffer);
  it('copy_file_range', () => {
    expect(guest.call('copy_file_range', fd, 0, out, 0, 4, 0)).toBe(4);
    expect(guest.call('copy_file_range', fd, offset(8), out, offset(1), 100, 0)).toBe(2);
    expect(guest.readFile('/g')).toBe('0893');
    expect(guest.call('lseek', fd, 0, 1)).toBe(4);
    expect(guest.show('copy_file_range', fd, offset(0), fd, offset(2), 5, 0)).toBe('EINVAL');
    expect(guest.show('copy_file_range', fd, 0, out, 0, 4, 1)).toBe('EINVAL');
    expect(guest.show('copy_file_range', fd, offset(-1), out, 0, 4, 0)).toBe('EINVAL');
    expect(guest.show('copy_file_range', guest.open('/'), 0, out, 0, 4, 0)).toBe('EISDIR');
  });
  it('sendfile', () => {
    const at = guest.put(offset(3));
    expect(guest.call('sendfile', out, fd, at, 4)).toBe(4);
    expect(guest.task.mem.readU64(at)).toBe(7);
    expect(guest.call('sendfile', out, fd, 0, 100)).toBe(10);
    expect(guest.readFile('/g')).toBe('34560123456789');
    expect(guest.show('sendfile', out, pipe()[0], 0, 4)).toBe('EINVAL');
    expect(guest.show('sendfile', guest.open('/g', 0o2001), fd, 0, 4)).toBe('EINVAL');
  });
  it('splice, tee, vmsplice', async () => {
    const [reader, writer] = pipe();
    const [reader2, writer2] = pipe();
    expect(await guest.start('splice', fd, offset(2), writer, 0, 4, 0)).toBe(4);
    expect(await guest.start('tee', reader, writer2, 3, 0)).toBe(3);
    expect(await guest.start('splice', reader, 0, out, offset(1), 100, 0)).toBe(4);
    expect(guest.readFile('/g')).toBe('\x002345');
    expect(guest.call('read', reader2, BUFFER, 10)).toBe(3);
    expect(guest.text(BUFFER, 3)).toBe('234');
    expect(await guest.start('vmsplice', writer, iovec([guest.put('mem'), 3]), 1, 0)).toBe(3);
    expect(guest.call('read', reader, BUFFER, 10)).toBe(3);
    expect(await guest.start('splice', fd, 0, out, 0, 4, 0)).toBe(-22);
    expect(await guest.start('splice', reader, 0, writer, 0, 4, 0)).toBe(-22);
    expect(await guest.start('splice', reader, 0, out, 0, 4, 2)).toBe(-11);
  });
});

describe('directory streams', () => {
  it('go on where they were', () => {
    guest.call('mkdir', '/d', 0o755);
    const names = Array.from({ length: 50 }, (_, i) => `name-${i}`);
    for (const n of names) guest.writeFile(`/d/${n}`, '');
    const dir = guest.open('/d');
    expect(guest.show('getdents64', dir, BUFFER, 10)).toBe('EINVAL');
    expect(guest.show('getdents64', dir, HIGH - 100, 4096)).toBe('EFAULT');
    const seen: string[] = [];
    for (;;) {
      const n = guest.call('getdents64', dir, BUFFER, 100);
      if (n === 0) break;
      const v = new DataView(guest.memory.u8.buffer, BUFFER, n);
      for (let at = 0; at < n; at += v.getUint16(at + 16, true)) {
        seen.push(guest.text(BUFFER + at + 19, guest.memory.u8.indexOf(0, BUFFER + at + 19) - BUFFER - at - 19));
      }
    }
    expect(seen.slice().sort()).toEqual(['.', '..', ...names].sort());
    guest.call('lseek', dir, 0, 0);
    expect(guest.call('getdents', dir, BUFFER, 100)).toBeGreaterThan(24);
    expect(guest.memory.u8[BUFFER + new DataView(guest.memory.u8.buffer).getUint16(BUFFER + 16, true) - 1]).toBe(4);
    expect(guest.show('getdents64', fd, BUFFER, 100)).toBe('ENOTDIR');
  });
});

describe('extended attributes', () => {
  it('are kept by tmpfs', () => {
    const set = (name: string, value: string, flags = 0): number | string =>
      guest.show('setxattr', '/f', name, guest.put(value), value.length, flags);
    expect(set('user.a', 'one')).toBe(0);
    expect(set('user.a', 'two', 1)).toBe('EEXIST');
    expect(set('user.b', 'two', 2)).toBe('ENODATA');
    expect(set('other.a', 'x')).toBe('EOPNOTSUPP');
    expect(set('', 'x')).toBe('ERANGE');
    expect(set('user.', 'x')).toBe('EINVAL');
    expect(guest.show('getxattr', '/f', 'user.a', 0, 0)).toBe(3);
    expect(guest.show('getxattr', '/f', 'user.a', BUFFER, 2)).toBe('ERANGE');
    expect(guest.show('fgetxattr', fd, 'user.a', BUFFER, 9)).toBe(3);
    expect(guest.show('listxattr', '/f', BUFFER, 100)).toBe(7);
    expect(guest.show('removexattr', '/f', 'user.a')).toBe(0);
    expect(guest.show('getxattr', '/f', 'user.a', 0, 0)).toBe('ENODATA');
    expect(guest.show('setxattr', '/f', 'user.big', LOW, 65537, 0)).toBe('E2BIG');
  });
});
