import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { SIGALRM, SIGUSR1 } from '../../../src/kernel/abi/signals.ts';
import { Timers } from '../../../src/kernel/time/timers.ts';
import { BAD, DATA, HANDLER, Machine, sigmask } from '../syscalls/harness.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

describe('host timers', () => {
  const now = (): number => performance.now();
  it('fire at their deadline, not before', async () => {
    const timers = new Timers(now);
    const fired: number[] = [];
    const start = now();
    timers.at(start + 30.5, () => fired.push(now() - start));
    timers.at(start - 5, () => fired.push(now() - start));
    timers.at(start + 10, () => fired.push(-1)).cancel();
    expect(fired).toEqual([]);
    await vi.advanceTimersByTimeAsync(30);
    expect(fired.length).toBe(1);
    await vi.advanceTimersByTimeAsync(1);
    expect(fired.length).toBe(2);
    expect(fired[1]).toBeGreaterThanOrEqual(30.5);
  });
  it('reach beyond what setTimeout can', async () => {
    const timers = new Timers(now);
    let fired = false;
    timers.at(now() + 2 ** 32, () => {
      fired = true;
    });
    await vi.advanceTimersByTimeAsync(2 ** 32 - 1);
    expect(fired).toBe(false);
    await vi.advanceTimersByTimeAsync(2);
    expect(fired).toBe(true);
  });
  it('fire in order, whatever was cancelled, and with one timer of the host', async () => {
    const timers = new Timers(now);
    const start = now();
    const fired: number[] = [];
    let seed = 1;
    const wanted: { deadline: number; k: number }[] = [];
    for (let k = 0; k < 2000; k++) {
      seed = (seed * 1103515245 + 12345) % 2 ** 31;
      const deadline = start + (seed % 500);
      const timer = timers.at(deadline, () => fired.push(k));
      if (seed % 4 !== 0) timer.cancel();
      else wanted.push({ deadline, k });
    }
    expect(timers.armed).toBe(wanted.length);
    expect(vi.getTimerCount()).toBe(1);
    await vi.advanceTimersByTimeAsync(600);
    expect(fired).toEqual(wanted.sort((a, b) => a.deadline - b.deadline || a.k - b.k).map(({ k }) => k));
    expect(timers.armed).toBe(0);
    expect(vi.getTimerCount()).toBe(0);
  });
  it('may cancel and set others', async () => {
    const timers = new Timers(now);
    const start = now();
    const fired: string[] = [];
    timers.at(start + 5, () => {
      fired.push('first');
      second.cancel();
      timers.at(start + 5, () => fired.push('set by the first'));
      timers.at(start + 2, () => fired.push('late'));
    });
    const second = timers.at(start + 5, () => fired.push('second'));
    await vi.advanceTimersByTimeAsync(20);
    expect(fired).toEqual(['first', 'late', 'set by the first']);
  });
  it('never fire at infinity', () => {
    new Timers(now).at(Infinity, () => undefined);
    expect(vi.getTimerCount()).toBe(0);
  });
});

describe('timer_create', () => {
  let m: Machine;
  beforeEach(() => {
    m = new Machine();
  });
  const sigevent = (value: number, signo: number, notify: number, tid = 0): number => {
    m.mem.writeU64(DATA, value);
    for (const [i, v] of [signo, notify, tid].entries()) m.mem.writeU32(DATA + 8 + i * 4, v);
    return DATA;
  };
  const spec = (interval: [number, number], value: [number, number]): number => {
    for (const [i, v] of [...interval, ...value].entries()) m.mem.writeU64(DATA + 128 + i * 8, v);
    return DATA + 128;
  };
  const create = (clock: number, sevp: number): number => {
    expect(m.try('timer_create', clock, sevp, DATA + 96)).toBe(0);
    return m.mem.readU32(DATA + 96);
  };

  it('sends its signal with its value and counts overruns', async () => {
    m.handle(SIGUSR1, 4);
    const id = create(1, sigevent(0x1234, SIGUSR1, 0));
    expect(m.call('timer_settime', id, 0, spec([1, 0], [2, 500_000_000]), 0)).toBe(0);
    await vi.advanceTimersByTimeAsync(1000);
    expect(m.call('timer_gettime', id, DATA + 256)).toBe(0);
    expect([0, 8, 16, 24].map((o) => m.mem.readU64(DATA + 256 + o))).toEqual([1, 0, 1, 500_000_000]);
    await vi.advanceTimersByTimeAsync(1500);
    m.toUserMode();
    expect(m.cpu.pc).toBe(HANDLER);
    const info = m.cpu.sp + 312;
    expect([0, 8, 16, 20].map((o) => m.mem.readI32(info + o))).toEqual([SIGUSR1, -2, id, 0]);
    expect(m.mem.readU64(info + 24)).toBe(0x1234);
    // Blocked while the handler runs: three more expirations are one signal and two overruns.
    await vi.advanceTimersByTimeAsync(3000);
    m.returnFromHandler();
    m.toUserMode();
    expect(m.mem.readI32(m.cpu.sp + 312 + 20)).toBe(2);
    expect(m.call('timer_getoverrun', id)).toBe(2);
    expect(m.call('timer_delete', id)).toBe(0);
    expect(m.try('timer_delete', id)).toBe('EINVAL');
    expect(m.kernel.timers.armed).toBe(0);
  });
  it('by default sends SIGALRM with its id', async () => {
    m.mem.writeBigU64(DATA, sigmask(SIGALRM));
    m.call('rt_sigprocmask', 0, DATA, 0, 8);
    create(0, 0);
    const id = create(0, 0);
    m.call('timer_settime', id, 1, spec([0, 0], [Math.floor(Date.now() / 1000) + 5, 0]), 0);
    await vi.advanceTimersByTimeAsync(6000);
    expect(await m.callAsync('rt_sigtimedwait', DATA, DATA + 512, 0, 8)).toBe(SIGALRM);
    expect(m.mem.readU64(DATA + 512 + 24)).toBe(id);
  });
  it('SIGEV_NONE only tells the time', async () => {
    const id = create(1, sigevent(0, 0, 1));
    m.call('timer_settime', id, 0, spec([2, 0], [3, 0]), 0);
    await vi.advanceTimersByTimeAsync(4000);
    m.call('timer_gettime', id, DATA + 256);
    expect(m.mem.readU64(DATA + 256 + 16)).toBe(1);
    expect(m.task.signalPending()).toBe(false);
  });
  it('refuses', () => {
    expect(m.try('timer_create', 4, 0, DATA + 96)).toBe('EOPNOTSUPP');
    expect(m.try('timer_create', 99, 0, DATA + 96)).toBe('EINVAL');
    expect(m.try('timer_create', 0, sigevent(0, 65, 0), DATA + 96)).toBe('EINVAL');
    expect(m.try('timer_create', 0, sigevent(0, 10, 7), DATA + 96)).toBe('EINVAL');
    expect(m.try('timer_create', 0, sigevent(0, 10, 4, 999), DATA + 96)).toBe('EINVAL');
    expect(m.try('timer_create', 0, 0, BAD)).toBe('EFAULT');
    expect(m.try('timer_create', 0, BAD, DATA + 96)).toBe('EFAULT');
    const id = create(0, 0);
    expect(m.try('timer_settime', id, 0, 0, 0)).toBe('EINVAL');
    expect(m.try('timer_settime', id, 0, spec([0, 0], [0, 1_000_000_000]), 0)).toBe('EINVAL');
    expect(m.try('timer_settime', 77, 0, spec([0, 0], [1, 0]), 0)).toBe('EINVAL');
  });
});
