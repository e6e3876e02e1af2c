import { describe, expect, it } from 'vitest';
import { EPOLLET } from '../../../src/kernel/fs/epoll.ts';
import { O_NONBLOCK, POLLIN, POLLOUT } from '../../../src/kernel/fs/open-file.ts';
import { BAD, DATA, Fixture, isPending, named } from '../io/fixture.ts';

const write = (f: Fixture, fd: number, value: bigint): Promise<number | string> => {
  const src = new Uint8Array(new BigUint64Array([value]).buffer);
  return named(() => f.task.files.get(fd).write(f.task, src, null));
};
async function read(f: Fixture, fd: number): Promise<bigint | string> {
  const dst = new BigUint64Array(1);
  const n = await named(() => f.task.files.get(fd).read(f.task, new Uint8Array(dst.buffer), null));
  return n === 8 ? dst[0]! : String(n);
}

describe('eventfd', () => {
  it('adds up writes and is emptied by a read', async () => {
    const f = new Fixture();
    const fd = (await f.call('eventfd2', 3, O_NONBLOCK)) as number;
    await write(f, fd, 4n);
    expect(await read(f, fd)).toBe(7n);
    expect(await read(f, fd)).toBe('EAGAIN');
    expect(f.task.files.get(fd).poll()).toBe(POLLOUT);
  });

  it('counts down by one as a semaphore', async () => {
    const f = new Fixture();
    const fd = (await f.call('eventfd2', 2, 1)) as number;
    expect([await read(f, fd), await read(f, fd)]).toEqual([1n, 1n]);
    const waiting = read(f, fd);
    expect(await isPending(waiting)).toBe(true);
    await write(f, fd, 1n);
    expect(await waiting).toBe(1n);
  });

  it('waits instead of overflowing', async () => {
    const f = new Fixture();
    const fd = (await f.call('eventfd', 0)) as number;
    expect(await write(f, fd, 0xffff_ffff_ffff_ffffn)).toBe('EINVAL');
    expect(await write(f, fd, 0xffff_ffff_ffff_fffen)).toBe(8);
    expect(f.task.files.get(fd).poll()).toBe(POLLIN);
    const waiting = write(f, fd, 1n);
    expect(await isPending(waiting)).toBe(true);
    expect(await read(f, fd)).toBe(0xffff_ffff_ffff_fffen);
    expect(await waiting).toBe(8);
    expect(await read(f, fd)).toBe(1n);
  });

  it('gives an edge for every write, and none of input for a read', async () => {
    const f = new Fixture();
    const fd = (await f.call('eventfd2', 2, 1)) as number;
    const ep = (await f.call('epoll_create1', 0)) as number;
    f.mem.writeU32(DATA, (POLLIN | EPOLLET) >>> 0);
    await f.call('epoll_ctl', ep, 1, fd, DATA);
    expect(await f.call('epoll_wait', ep, DATA + 64, 4, 0)).toBe(1);
    await read(f, fd);
    expect(await f.call('epoll_wait', ep, DATA + 64, 4, 0)).toBe(0);
    await write(f, fd, 1n);
    expect(await f.call('epoll_wait', ep, DATA + 64, 4, 0)).toBe(1);
  });

  it('has the inode of all anonymous files', async () => {
    const f = new Fixture();
    const fd = (await f.call('eventfd', 0)) as number;
    expect(f.task.files.get(fd).stat()).toMatchObject({ mode: 0o600, size: 0, nlink: 1, blksize: 4096 });
    expect(f.task.files.get(fd).lseek(5, 0)).toBe(0);
    expect(await f.call('eventfd2', 0, 99)).toBe('EINVAL');
  });
});

describe('timerfd', () => {
  const SPEC = DATA + 0x100;
  const setTime = (
    f: Fixture,
    fd: number,
    flags: number,
    intervalNs: number,
    valueNs: number,
  ): Promise<number | string> => {
    [intervalNs, valueNs].forEach((ns, i) => {
      f.mem.writeU64(SPEC + i * 16, Math.floor(ns / 1e9));
      f.mem.writeU64(SPEC + i * 16 + 8, ns % 1e9);
    });
    return f.call('timerfd_settime', fd, flags, SPEC, SPEC + 64);
  };

  it('expires, counts and can be disarmed', async () => {
    const f = new Fixture();
    const fd = (await f.call('timerfd_create', 1, 0)) as number;
    expect(await setTime(f, fd, 0, 0, 2e6)).toBe(0);
    expect(await read(f, fd)).toBe(1n);
    expect(f.task.files.get(fd).poll()).toBe(0);
    // Absolute times in the past expire at once.
    expect(await setTime(f, fd, 1, 0, 5)).toBe(0);
    expect(await read(f, fd)).toBe(1n);
    await setTime(f, fd, 0, 1e9, 50e9);
    expect(await f.call('timerfd_gettime', fd, SPEC)).toBe(0);
    expect(f.mem.readU64(SPEC)).toBe(1);
    expect(f.mem.readU64(SPEC + 16)).toBe(49);
    expect(await setTime(f, fd, 0, 0, 0)).toBe(0);
    expect(f.mem.readU64(SPEC + 64 + 16)).toBe(49);
    expect(await f.call('timerfd_gettime', fd, SPEC)).toBe(0);
    expect(f.mem.copyIn(SPEC, 32)).toEqual(new Uint8Array(32));
  });

  it('counts the intervals that have passed', async () => {
    const f = new Fixture();
    const fd = (await f.call('timerfd_create', 1, 0)) as number;
    const now = f.kernel.monotonicMs() * 1e6;
    await setTime(f, fd, 1, 1e9, Math.floor(now - 2.5e9));
    expect(await read(f, fd)).toBe(3n);
    f.task.files.close(fd);
  });

  it('refuses bad clocks, flags, times and descriptors', async () => {
    const f = new Fixture();
    expect(await f.call('timerfd_create', 2, 0)).toBe('EINVAL');
    expect(await f.call('timerfd_create', 0, 4)).toBe('EINVAL');
    const fd = (await f.call('timerfd_create', 0, O_NONBLOCK)) as number;
    expect(await read(f, fd)).toBe('EAGAIN');
    expect(await f.call('timerfd_settime', fd, 0, BAD, 0)).toBe('EFAULT');
    expect(await f.call('timerfd_settime', fd, 8, SPEC, 0)).toBe('EINVAL');
    f.mem.writeU64(SPEC + 8, 1e9);
    expect(await f.call('timerfd_settime', fd, 0, SPEC, 0)).toBe('EINVAL');
    const [r] = await f.pipe();
    expect(await f.call('timerfd_gettime', r, SPEC)).toBe('EINVAL');
  });
});
