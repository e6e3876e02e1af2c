import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { SIGALRM, SIGPROF, SIGUSR1 } from '../../../src/kernel/abi/signals.ts';
import { BAD, DATA, HANDLER, Machine, RODATA } from '../syscalls/harness.ts';

let m: Machine;
beforeEach(() => {
  vi.useFakeTimers({ now: 1_700_000_000_123 });
  m = new Machine();
});
afterEach(() => {
  vi.useRealTimers();
});

const timespec = (sec: number, nsec: number, at = DATA): number => {
  m.mem.writeU64(at, sec);
  m.mem.writeU64(at + 8, nsec);
  return at;
};
const pair = (at = DATA): number[] => [m.mem.readI64(at), m.mem.readI64(at + 8)];
const itimer = (interval: [number, number], value: [number, number]): number => {
  for (const [i, v] of [...interval, ...value].entries()) m.mem.writeU64(DATA + i * 8, v);
  return DATA;
};

describe('clocks', () => {
  it('read', () => {
    m.task.cpuTime = 2500;
    expect(m.call('clock_gettime', 0, DATA)).toBe(0);
    expect(pair()).toEqual([1_700_000_000, 123_000_000]);
    m.call('clock_gettime', 1, DATA);
    expect(pair()).toEqual([1000, 0]);
    for (const cpu of [2, 3, -6, -2]) {
      m.call('clock_gettime', cpu, DATA);
      expect(pair()).toEqual([2, 500_000_000]);
    }
    m.call('clock_gettime', 5, DATA);
    expect(pair()).toEqual([1_700_000_000, 120_000_000]);
    m.call('gettimeofday', DATA, 0);
    expect(pair()).toEqual([1_700_000_000, 123_000]);
    expect(m.call('time', DATA)).toBe(1_700_000_000);
    expect(m.call('times', DATA)).toBe(100_000);
    expect(m.mem.readU64(DATA)).toBe(250);
  });
  it('refuse', () => {
    expect(m.try('clock_gettime', 10, DATA)).toBe('EINVAL');
    expect(m.try('clock_gettime', 0, RODATA)).toBe('EFAULT');
    expect(m.try('gettimeofday', 0, BAD)).toBe('EFAULT');
    expect(m.try('gettimeofday', 0, 0)).toBe(0);
    expect(m.try('clock_gettime', ~9999 << 3, DATA)).toBe('EINVAL');
  });
  // What Linux 6.18 without a real-time clock device answers: id, getres (nanoseconds or error), settime.
  it.each([
    [-8, 4_000_000, 'EPERM'],
    [-6, 1, 'EPERM'],
    [-5, 'EINVAL', 'EINVAL'],
    [-1, 'EINVAL', 'EINVAL'],
    [0, 1, 'EPERM'],
    [1, 1, 'EINVAL'],
    [2, 1, 'EINVAL'],
    [5, 4_000_000, 'EINVAL'],
    [6, 4_000_000, 'EINVAL'],
    [7, 1, 'EINVAL'],
    [8, 'EINVAL', 'EINVAL'],
    [10, 'EINVAL', 'EINVAL'],
    [11, 1, 'EINVAL'],
    [16, 'EINVAL', 'EINVAL'],
  ])('clock %i: resolution %s, settime %s', (id, res, set) => {
    const r = m.try('clock_getres', id, DATA);
    expect(r === 0 ? pair()[1] : r).toBe(res);
    expect(m.try('clock_settime', id, timespec(0, 1))).toBe(set);
  });
  it('settime checks its argument first', () => {
    expect(m.try('clock_settime', 0, 0)).toBe('EFAULT');
    expect(m.try('clock_settime', 1, 0)).toBe('EINVAL');
    expect(m.try('clock_settime', 0, timespec(0, 1_000_000_000))).toBe('EINVAL');
    expect(m.try('settimeofday', timespec(1, 2), 0)).toBe('EPERM');
  });
});

describe('sleeping', () => {
  const runs = async (p: Promise<number | string>, ms: number): Promise<string | number> => {
    let result: string | number = 'waiting';
    void p.then((r) => {
      result = r;
    });
    await vi.advanceTimersByTimeAsync(ms);
    return result;
  };
  it('takes its time', async () => {
    expect(await runs(m.tryAsync('nanosleep', timespec(2, 500_000_000), 0), 2499)).toBe('waiting');
    expect(await runs(m.tryAsync('nanosleep', timespec(2, 500_000_000), 0), 2500)).toBe(0);
    expect(await m.tryAsync('nanosleep', timespec(0, 0), 0)).toBe(0);
  });
  it('until a deadline', async () => {
    const deadline = timespec(1_700_000_003, 123_000_000);
    expect(await runs(m.tryAsync('clock_nanosleep', 0, 1, deadline, 0), 2999)).toBe('waiting');
    expect(await m.tryAsync('clock_nanosleep', 1, 1, timespec(999, 0), 0)).toBe(0);
  });
  it('refuses', async () => {
    expect(m.try('nanosleep', timespec(-1, 0), 0)).toBe('EINVAL');
    expect(m.try('nanosleep', timespec(0, 1_000_000_000), 0)).toBe('EINVAL');
    expect(m.try('nanosleep', BAD, 0)).toBe('EFAULT');
    expect(m.try('clock_nanosleep', 3, 0, timespec(0, 1), 0)).toBe('EOPNOTSUPP');
    expect(m.try('clock_nanosleep', 4, 0, timespec(0, 1), 0)).toBe('EOPNOTSUPP');
    expect(m.try('clock_nanosleep', 12, 0, timespec(0, 1), 0)).toBe('EINVAL');
  });
  it('for ever, in effect', async () => {
    const p = m.tryAsync('nanosleep', timespec(2 ** 52, 0), 0);
    expect(await runs(p, 10_000_000_000)).toBe('waiting');
    m.call('kill', 100, SIGUSR1);
    await p;
  });
});

describe('interval timers', () => {
  it('alarm', async () => {
    m.handle(SIGALRM);
    expect(m.call('alarm', 10)).toBe(0);
    await vi.advanceTimersByTimeAsync(3600);
    expect(m.call('alarm', 5)).toBe(6);
    await vi.advanceTimersByTimeAsync(4999);
    expect(m.task.signalPending()).toBe(false);
    await vi.advanceTimersByTimeAsync(1);
    m.toUserMode();
    expect(m.cpu.pc).toBe(HANDLER);
    expect(m.call('alarm', 0)).toBe(0);
  });
  it('setitimer repeats, and tells what is left', async () => {
    m.handle(SIGALRM);
    expect(m.call('setitimer', 0, itimer([0, 250_000], [1, 0]), 0)).toBe(0);
    await vi.advanceTimersByTimeAsync(400);
    expect(m.call('getitimer', 0, DATA)).toBe(0);
    expect([0, 8, 16, 24].map((o) => m.mem.readU64(DATA + o))).toEqual([0, 250_000, 0, 600_000]);
    let fired = 0;
    for (let i = 0; i < 20; i++) {
      await vi.advanceTimersByTimeAsync(100);
      if (!m.task.signalPending()) continue;
      fired++;
      m.toUserMode();
      m.returnFromHandler();
    }
    // At 1000, 1250, ... 2250 ms.
    expect(fired).toBe(6);
    expect(m.call('setitimer', 0, itimer([0, 0], [0, 0]), DATA + 64)).toBe(0);
    expect(m.mem.readU64(DATA + 64 + 8)).toBe(250_000);
    await vi.advanceTimersByTimeAsync(1000);
    expect(m.task.signalPending()).toBe(false);
  });
  it('ITIMER_PROF runs on CPU time', async () => {
    m.call('setitimer', 2, itimer([0, 0], [0, 20_000]), 0);
    await vi.advanceTimersByTimeAsync(500);
    expect(m.task.signalPending()).toBe(false);
    m.task.cpuTime = 20;
    await vi.advanceTimersByTimeAsync(500);
    expect(m.toUserMode()).toMatchObject({ status: { signal: SIGPROF } });
  });
  it('refuse', () => {
    expect(m.try('setitimer', 3, itimer([0, 0], [1, 0]), 0)).toBe('EINVAL');
    expect(m.try('setitimer', 0, itimer([0, 0], [1, 1_000_000]), 0)).toBe('EINVAL');
    expect(m.try('getitimer', -1, DATA)).toBe('EINVAL');
    expect(m.try('getitimer', 0, BAD)).toBe('EFAULT');
  });
  it('end with the process', async () => {
    m.call('alarm', 1);
    m.call('exit_group', 3);
    expect(m.toUserMode()).toEqual({ kind: 'exit', status: { kind: 'exited', code: 3 } });
    expect(m.kernel.timers.armed).toBe(0);
  });
});

describe('adjtimex and getrusage', () => {
  it('query', () => {
    m.mem.writeU32(DATA, 0);
    expect(m.call('adjtimex', DATA)).toBe(5);
    expect(m.mem.readU64(DATA + 88)).toBe(10_000);
    m.mem.writeU32(DATA, 1);
    expect(m.try('adjtimex', DATA)).toBe('EPERM');
  });
  it('getrusage', () => {
    m.task.cpuTime = 1234.5;
    expect(m.call('getrusage', 0, DATA)).toBe(0);
    expect(pair()).toEqual([1, 234_500]);
    expect(m.mem.readU64(DATA + 32)).toBeGreaterThan(64);
    expect(m.try('getrusage', 2, DATA)).toBe('EINVAL');
    expect(m.try('getrusage', -1, BAD)).toBe('EFAULT');
  });
});
