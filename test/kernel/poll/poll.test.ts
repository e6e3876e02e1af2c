import { describe, expect, it } from 'vitest';
import { SIGUSR1 } from '../../../src/kernel/abi/signals.ts';
import { POLLERR, POLLHUP, POLLIN, POLLNVAL, POLLOUT } from '../../../src/kernel/fs/open-file.ts';
import { sendSignal } from '../../../src/kernel/signals/send.ts';
import { BAD, bytes, DATA, Fixture, isPending, settle } from '../io/fixture.ts';

const FDS = DATA + 0x100;
const TIME = DATA + 0x800;
const MASK = DATA + 0x900;

function pollfds(f: Fixture, ...entries: [fd: number, events: number][]): void {
  entries.forEach(([fd, events], i) => {
    f.mem.writeU32(FDS + i * 8, fd >>> 0);
    f.mem.writeU16(FDS + i * 8 + 4, events);
    f.mem.writeU16(FDS + i * 8 + 6, 0xffff);
  });
}
const revents = (f: Fixture, i: number): number => f.mem.readU16(FDS + i * 8 + 6);
const put = (f: Fixture, fd: number, text: string): void => {
  f.task.files.get(fd).write(f.task, bytes(text), null);
};

describe('poll', () => {
  it('reports what holds, skips negative descriptors and marks closed ones', async () => {
    const f = new Fixture();
    const [r, w] = await f.pipe();
    pollfds(f, [r, POLLIN], [w, POLLOUT | POLLIN], [-1, POLLIN], [77, POLLIN]);
    expect(await f.call('poll', FDS, 4, 0)).toBe(2);
    expect([0, 1, 2, 3].map((i) => revents(f, i))).toEqual([0, POLLOUT, 0, POLLNVAL]);
    put(f, w, 'x');
    f.task.files.close(w);
    pollfds(f, [r, POLLIN]);
    expect(await f.call('poll', FDS, 1, 0)).toBe(1);
    expect(revents(f, 0)).toBe(POLLIN | POLLHUP);
  });

  it('waits until something happens', async () => {
    const f = new Fixture();
    const [r, w] = await f.pipe();
    pollfds(f, [r, POLLIN]);
    const waiting = f.call('poll', FDS, 1, -1);
    expect(await isPending(waiting)).toBe(true);
    put(f, w, 'x');
    expect(await waiting).toBe(1);
    expect(revents(f, 0)).toBe(POLLIN);
  });

  it('ends at a signal and at its time', async () => {
    const f = new Fixture();
    const [r] = await f.pipe();
    pollfds(f, [r, POLLIN]);
    const waiting = f.call('poll', FDS, 1, -1);
    await settle();
    sendSignal(f.task, SIGUSR1);
    expect(await waiting).toBe('ERESTART_RESTARTBLOCK');
    // Linux writes the revents all the same.
    expect(revents(f, 0)).toBe(0);
    f.task.signals.take(SIGUSR1);
    expect(await f.call('poll', FDS, 1, 1)).toBe(0);
  });

  it('refuses too many entries and bad pointers', async () => {
    const f = new Fixture();
    expect(await f.call('poll', 0, 100_000, 0)).toBe('EINVAL');
    expect(await f.call('poll', BAD, 1, 0)).toBe('EFAULT');
    expect(await f.call('poll', 0, 0, 0)).toBe(0);
  });

  it('ppoll swaps the mask for the length of the call and tells the time left', async () => {
    const f = new Fixture();
    const [r, w] = await f.pipe();
    pollfds(f, [r, POLLIN]);
    f.mem.writeBigU64(MASK, 1n << BigInt(SIGUSR1 - 1));
    f.mem.writeU64(TIME, 100);
    f.mem.writeU64(TIME + 8, 0);
    const waiting = f.call('ppoll', FDS, 1, TIME, MASK, 8);
    await settle();
    expect(f.task.signals.blocked.has(SIGUSR1)).toBe(true);
    sendSignal(f.task, SIGUSR1);
    expect(await isPending(waiting)).toBe(true);
    put(f, w, 'x');
    expect(await waiting).toBe(1);
    expect(f.task.signals.blocked.has(SIGUSR1)).toBe(false);
    expect(f.mem.readU64(TIME)).toBe(99);
    expect(await f.call('ppoll', FDS, 1, TIME, MASK, 4)).toBe('EINVAL');
    f.mem.writeU64(TIME + 8, 1_000_000_000);
    expect(await f.call('ppoll', FDS, 1, TIME, 0, 0)).toBe('EINVAL');
  });
});

describe('select', () => {
  const SETS = DATA + 0x200;
  const set = (f: Fixture, at: number, ...fds: number[]): void => {
    f.mem.copyOut(at, new Uint8Array(128));
    for (const fd of fds) f.mem.writeU8(at + (fd >> 3), f.mem.readU8(at + (fd >> 3)) | (1 << (fd & 7)));
  };
  const members = (f: Fixture, at: number): number[] =>
    [...Array(512).keys()].filter((fd) => f.mem.readU8(at + (fd >> 3)) & (1 << (fd & 7)));

  it('counts bits over the three sets', async () => {
    const f = new Fixture();
    const [r, w] = await f.pipe();
    put(f, w, 'x');
    set(f, SETS, r, w);
    set(f, SETS + 128, r, w);
    f.mem.writeU64(TIME, 0);
    f.mem.writeU64(TIME + 8, 0);
    expect(await f.call('select', 2, SETS, SETS + 128, 0, TIME)).toBe(2);
    expect(members(f, SETS)).toEqual([r]);
    expect(members(f, SETS + 128)).toEqual([w]);
  });

  it('does not end for an error nobody asked for', async () => {
    const f = new Fixture();
    const [r, w] = await f.pipe();
    f.task.files.close(r);
    set(f, SETS, w);
    f.mem.writeU64(TIME, 0);
    f.mem.writeU64(TIME + 8, 0);
    expect(await f.call('select', w + 1, 0, 0, SETS, TIME)).toBe(0);
    expect(f.task.files.get(w).poll() & POLLERR).toBe(POLLERR);
    set(f, SETS, w);
    expect(await f.call('select', w + 1, SETS, 0, 0, TIME)).toBe(1);
  });

  it('ignores descriptors beyond the table and refuses closed ones', async () => {
    const f = new Fixture();
    f.mem.writeU64(TIME, 0);
    f.mem.writeU64(TIME + 8, 0);
    set(f, SETS, 320);
    expect(await f.call('select', 400, SETS, 0, 0, TIME)).toBe(0);
    set(f, SETS, 80);
    expect(await f.call('select', 400, SETS, 0, 0, TIME)).toBe('EBADF');
    expect(await f.call('select', -1, 0, 0, 0, TIME)).toBe('EINVAL');
    expect(await f.call('select', 8, BAD, 0, 0, TIME)).toBe('EFAULT');
    f.mem.writeU64(TIME + 8, -1);
    expect(await f.call('select', 0, 0, 0, 0, TIME)).toBe('EINVAL');
  });

  it('leaves the sets alone when a signal ends it, and tells the time left', async () => {
    const f = new Fixture();
    const [r] = await f.pipe();
    set(f, SETS, r);
    f.mem.writeU64(TIME, 5);
    // More than a second of microseconds is carried over.
    f.mem.writeU64(TIME + 8, 2_000_000);
    const waiting = f.call('select', r + 1, SETS, 0, 0, TIME);
    await settle();
    sendSignal(f.task, SIGUSR1);
    expect(await waiting).toBe('ERESTARTNOHAND');
    expect(members(f, SETS)).toEqual([r]);
    expect(f.mem.readU64(TIME)).toBe(6);
  });

  it('pselect6 takes its mask through a pointer to a pair', async () => {
    const f = new Fixture();
    f.mem.writeU64(TIME, 0);
    f.mem.writeU64(TIME + 8, 0);
    f.mem.writeU64(MASK, MASK + 32);
    f.mem.writeU64(MASK + 8, 8);
    expect(await f.call('pselect6', 0, 0, 0, 0, TIME, MASK)).toBe(0);
    f.mem.writeU64(MASK + 8, 16);
    expect(await f.call('pselect6', 0, 0, 0, 0, TIME, MASK)).toBe('EINVAL');
    expect(await f.call('pselect6', 0, 0, 0, 0, TIME, BAD)).toBe('EFAULT');
  });
});
