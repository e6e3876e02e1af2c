import { beforeEach, describe, expect, it } from 'vitest';
import { Tmpfs } from '../../../src/kernel/fs/tmpfs.ts';
import { Vfs } from '../../../src/kernel/fs/vfs.ts';
import { BUFFER, Guest } from './fake-task.ts';

let vfs: Vfs;
let guest: Guest;
beforeEach(() => {
  vfs = new Vfs(new Tmpfs());
  guest = new Guest(vfs, { nofile: 16 });
  guest.writeFile('/f', '0123456789');
});

describe('descriptor table', () => {
  it('gives the lowest free number, and EMFILE at the limit', () => {
    const fds = Array.from({ length: 16 }, () => guest.open('/f'));
    expect(fds).toEqual([...Array(16).keys()]);
    expect(guest.show('open', '/f')).toBe('EMFILE');
    guest.call('close', 5);
    guest.call('close', 3);
    expect(guest.call('dup', 0)).toBe(3);
    expect(guest.show('fcntl', 0, 0, 4)).toBe(5);
    expect(guest.show('fcntl', 0, 0, 16)).toBe('EINVAL');
    expect(guest.show('dup2', 0, 16)).toBe('EBADF');
    expect(guest.show('close', 99)).toBe('EBADF');
    expect(guest.show('close', -1)).toBe('EBADF');
  });
  it('shares offset and flags between duplicates, not close-on-exec', () => {
    const fd = guest.open('/f', 0o2000000);
    expect(guest.call('dup3', fd, 9, 0)).toBe(9);
    guest.call('lseek', fd, 4, 0);
    expect(guest.call('read', 9, BUFFER, 2)).toBe(2);
    expect(guest.text(BUFFER, 2)).toBe('45');
    expect(guest.call('fcntl', fd, 1)).toBe(1);
    expect(guest.call('fcntl', 9, 1)).toBe(0);
    guest.call('fcntl', 9, 4, 0o4000);
    expect(guest.call('fcntl', fd, 3)).toBe(0o104000);
    expect(guest.show('dup3', fd, fd, 0)).toBe('EINVAL');
    expect(guest.call('dup2', fd, fd)).toBe(fd);
    guest.task.files.closeOnExec();
    expect([...guest.task.files.entries()].map(([n]) => n)).toEqual([9]);
  });
  it('is copied by fork', () => {
    const fd = guest.open('/f');
    const copy = guest.task.files.fork();
    guest.call('close', fd);
    expect(copy.get(fd).offset).toBe(0);
    copy.closeAll();
  });
  it('closes ranges', () => {
    for (let i = 0; i < 8; i++) guest.open('/f');
    expect(guest.show('close_range', 6, 0xffff_ffff, 0)).toBe(0);
    expect(guest.show('close_range', 2, 3, 4)).toBe(0);
    expect(guest.call('fcntl', 2, 1)).toBe(1);
    expect([...guest.task.files.entries()].length).toBe(6);
    expect(guest.show('close_range', 3, 2, 0)).toBe('EINVAL');
    expect(guest.show('close_range', 0, 1, 1)).toBe('EINVAL');
  });
  it('speaks the flags of AArch64', () => {
    const arm = new Guest(vfs, { isa: 'aarch64' });
    arm.call('mkdirat', -100, '/d', 0o755);
    expect(arm.show('openat', -100, '/f', 0o40000, 0)).toBe('ENOTDIR');
    const fd = arm.call('openat', -100, '/d', 0o40000, 0);
    expect(arm.call('fcntl', fd, 3)).toBe(0o440000);
  });
});

describe('record locks', () => {
  const flock = (type: number, start: number, length: number): Uint8Array => {
    const v = new DataView(new ArrayBuffer(32));
    v.setInt16(0, type, true);
    v.setBigInt64(8, BigInt(start), true);
    v.setBigInt64(16, BigInt(length), true);
    return new Uint8Array(v.buffer);
  };
  const [READ, WRITE, UNLOCK] = [0, 1, 2];
  const [GETLK, SETLK, SETLKW] = [5, 6, 7];
  let other: Guest;
  let mine: number;
  let theirs: number;
  beforeEach(() => {
    other = new Guest(vfs);
    mine = guest.open('/f', 2);
    theirs = other.open('/f', 2);
  });
  /** What F_GETLK tells the other process: type, start, length, pid. */
  const conflict = (start: number, length: number): number[] => {
    const at = other.put(flock(WRITE, start, length));
    expect(other.call('fcntl', theirs, GETLK, at)).toBe(0);
    const v = new DataView(other.memory.u8.buffer, at, 32);
    return [v.getInt16(0, true), Number(v.getBigInt64(8, true)), Number(v.getBigInt64(16, true)), v.getInt32(24, true)];
  };

  it('split and join', () => {
    expect(guest.show('fcntl', mine, SETLK, flock(WRITE, 0, 100))).toBe(0);
    expect(guest.show('fcntl', mine, SETLK, flock(UNLOCK, 40, 20))).toBe(0);
    expect(conflict(0, 0)).toEqual([WRITE, 0, 40, 100]);
    expect(conflict(50, 10)[0]).toBe(UNLOCK);
    expect(conflict(50, 0)).toEqual([WRITE, 60, 40, 100]);
    guest.call('fcntl', mine, SETLK, flock(WRITE, 40, 20));
    expect(conflict(50, 1)).toEqual([WRITE, 0, 100, 100]);
    guest.call('fcntl', mine, SETLK, flock(READ, 90, 0));
    expect(conflict(95, 1)).toEqual([READ, 90, 0, 100]);
    expect(other.show('fcntl', theirs, SETLK, flock(READ, 95, 5))).toBe(0);
    expect(other.show('fcntl', theirs, SETLK, flock(READ, 5, 5))).toBe('EAGAIN');
  });
  it('end with any close of the file', () => {
    guest.call('fcntl', mine, SETLK, flock(WRITE, 0, 0));
    expect(other.show('fcntl', theirs, SETLK, flock(READ, 0, 1))).toBe('EAGAIN');
    guest.call('close', guest.open('/f'));
    expect(other.show('fcntl', theirs, SETLK, flock(READ, 0, 1))).toBe(0);
  });
  it('of descriptions end with the description', () => {
    expect(guest.show('fcntl', mine, 37, flock(WRITE, 0, 0))).toBe(0);
    const dup = guest.call('dup', mine);
    guest.call('close', mine);
    expect(conflict(3, 1)).toEqual([WRITE, 0, 0, -1]);
    guest.call('close', dup);
    expect(conflict(3, 1)[0]).toBe(UNLOCK);
  });
  it('wait for each other, and notice a deadlock', async () => {
    guest.call('fcntl', mine, SETLK, flock(WRITE, 0, 1));
    other.call('fcntl', theirs, SETLK, flock(WRITE, 1, 1));
    const waiting = other.start('fcntl', theirs, SETLKW, flock(WRITE, 0, 1));
    expect(waiting).toBeInstanceOf(Promise);
    expect(await guest.start('fcntl', mine, SETLKW, flock(WRITE, 1, 1))).toBe(-35);
    guest.call('fcntl', mine, SETLK, flock(UNLOCK, 0, 1));
    expect(await waiting).toBe(0);
  });
  it('need the access they lock for, and a sane range', () => {
    const readOnly = guest.open('/f');
    expect(guest.show('fcntl', readOnly, SETLK, flock(WRITE, 0, 1))).toBe('EBADF');
    expect(guest.show('fcntl', mine, SETLK, flock(WRITE, -1, 1))).toBe('EINVAL');
    expect(guest.show('fcntl', mine, SETLK, flock(WRITE, 5, -6))).toBe('EINVAL');
    expect(guest.show('fcntl', mine, SETLK, flock(7, 0, 1))).toBe('EINVAL');
    expect(guest.show('fcntl', mine, SETLK, flock(WRITE, 5, -5))).toBe(0);
    expect(conflict(0, 0)).toEqual([WRITE, 0, 5, 100]);
  });
  it('of flock(2) belong to the description', async () => {
    expect(guest.show('flock', mine, 2)).toBe(0);
    expect(other.show('flock', theirs, 2 | 4)).toBe('EAGAIN');
    const waiting = other.start('flock', theirs, 1);
    guest.call('flock', mine, 1);
    expect(await waiting).toBe(0);
    expect(other.show('flock', theirs, 2 | 4)).toBe('EAGAIN');
    guest.call('close', mine);
    expect(other.show('flock', theirs, 2 | 4)).toBe(0);
    expect(other.show('flock', theirs, 3)).toBe('EINVAL');
  });
});

describe('memfd_create', () => {
  it('has a name only /proc shows, and seals', () => {
    const fd = guest.call('memfd_create', 'box', 2);
    expect(guest.task.files.get(fd).path).toBe('/memfd:box (deleted)');
    guest.call('write', fd, guest.put('abc'), 3);
    expect(guest.call('fcntl', fd, 1034)).toBe(0);
    expect(guest.call('fcntl', fd, 1033, 2 | 4)).toBe(0);
    expect(guest.show('ftruncate', fd, 10)).toBe('EPERM');
    expect(guest.show('ftruncate', fd, 1)).toBe('EPERM');
    expect(guest.show('pwrite64', fd, guest.put('x'), 1, 0)).toBe(1);
    expect(guest.show('pwrite64', fd, guest.put('xx'), 2, 2)).toBe('EPERM');
    expect(guest.show('fallocate', fd, 0, 0, 100)).toBe('EPERM');
    guest.call('fcntl', fd, 1033, 8 | 1);
    expect(guest.show('pwrite64', fd, guest.put('x'), 1, 0)).toBe('EPERM');
    expect(guest.show('fcntl', fd, 1033, 2)).toBe('EPERM');
    const plain = guest.call('memfd_create', 'n', 0);
    expect(guest.call('fcntl', plain, 1034)).toBe(1);
    expect(guest.show('memfd_create', 'n', 0x100)).toBe('EINVAL');
    expect(guest.show('memfd_create', 'n'.repeat(250), 0)).toBe('EINVAL');
  });
});
