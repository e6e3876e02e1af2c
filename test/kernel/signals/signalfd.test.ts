import { describe, expect, it } from 'vitest';
import { SIGRTMIN, SIGUSR1, SIGUSR2 } from '../../../src/kernel/abi/signals.ts';
import { sendSignal } from '../../../src/kernel/signals/send.ts';
import { BAD, DATA, Machine, sigmask } from '../syscalls/harness.ts';

const MASK = DATA + 64;
const BUFFER = DATA + 256;
const SFD_NONBLOCK = 0o4000;

function open(m: Machine, flags: number, ...signals: number[]): number {
  m.mem.writeBigU64(MASK, sigmask(...signals));
  m.call('rt_sigprocmask', 0, MASK, 0, 8);
  return m.call('signalfd4', -1, MASK, 8, flags);
}

describe('signalfd', () => {
  it('gives pending signals as records, lowest first', () => {
    const m = new Machine();
    const fd = open(m, SFD_NONBLOCK, SIGUSR1, SIGRTMIN + 2);
    expect(m.try('read', fd, BUFFER, 512)).toBe('EAGAIN');
    sendSignal(m.task.process, SIGRTMIN + 2, { code: -1, pid: 5, uid: 6, value: 0xffff_fffen });
    sendSignal(m.task, SIGUSR1, { code: 0, pid: 7, uid: 8 });
    sendSignal(m.task, SIGUSR2, { code: 0 });
    expect(m.try('read', fd, BUFFER, 127)).toBe('EINVAL');
    expect(m.call('read', fd, BUFFER, 512)).toBe(256);
    expect([m.mem.readU32(BUFFER), m.mem.readU32(BUFFER + 12), m.mem.readU32(BUFFER + 16)]).toEqual([SIGUSR1, 7, 8]);
    const second = BUFFER + 128;
    expect([m.mem.readU32(second), m.mem.readI32(second + 8), m.mem.readI32(second + 44)]).toEqual([
      SIGRTMIN + 2,
      -1,
      -2,
    ]);
    expect(m.try('read', fd, BUFFER, 512)).toBe('EAGAIN');
  });
  it('wakes readers, poll and epoll', async () => {
    const m = new Machine();
    const fd = open(m, 0, SIGUSR1);
    const reading = m.tryAsync('read', fd, BUFFER, 128);
    sendSignal(m.task.process, SIGUSR1, { code: 0 });
    expect(await reading).toBe(128);
    const ep = m.call('epoll_create1', 0);
    m.mem.writeU32(DATA, 1);
    m.mem.writeU64(DATA + 4, 3);
    m.call('epoll_ctl', ep, 1, fd, DATA);
    const waiting = m.tryAsync('epoll_wait', ep, BUFFER, 4, -1);
    sendSignal(m.task, SIGUSR1, { code: 0 });
    expect(await waiting).toBe(1);
    m.mem.writeU32(DATA, fd);
    m.mem.writeU32(DATA + 4, 1);
    expect(await m.tryAsync('poll', DATA, 1, 0)).toBe(1);
  });
  it('changes its mask, never holds SIGKILL, and refuses nonsense', () => {
    const m = new Machine();
    const fd = open(m, SFD_NONBLOCK, SIGUSR1);
    sendSignal(m.task, SIGUSR1, { code: 0 });
    m.mem.writeBigU64(MASK, sigmask(SIGUSR2, 9, 19));
    expect(m.call('signalfd4', fd, MASK, 8, 0)).toBe(fd);
    expect(m.try('read', fd, BUFFER, 128)).toBe('EAGAIN');
    expect(m.try('signalfd4', -1, MASK, 4, 0)).toBe('EINVAL');
    expect(m.try('signalfd4', -1, MASK, 8, 1)).toBe('EINVAL');
    expect(m.try('signalfd4', -1, BAD, 8, 0)).toBe('EFAULT');
    expect(m.try('signalfd4', 99, MASK, 8, 0)).toBe('EBADF');
  });
});
