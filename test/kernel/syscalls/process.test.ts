import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { SIGCHLD, SIGRTMIN, SIGUSR1, SIGUSR2 } from '../../../src/kernel/abi/signals.ts';
import { PendingSignals, SignalHandlers } from '../../../src/kernel/signals/state.ts';
import { Credentials } from '../../../src/kernel/task/credentials.ts';
import { GuestTask } from '../../../src/kernel/task/guest-task.ts';
import { Process } from '../../../src/kernel/task/process.ts';
import { BAD, DATA, FakeCpu, Machine, named, RODATA, sigmask } from './harness.ts';

let m: Machine;
beforeEach(() => {
  vi.useFakeTimers();
  m = new Machine();
});
afterEach(() => {
  vi.useRealTimers();
});

/** A child process with one thread that runs nothing. */
function child(): GuestTask {
  const { kernel, task } = m;
  const process = new Process(kernel, kernel.allocPid(), task.process, task.process.pid);
  kernel.processes.set(process.pid, process);
  const { mm, mem, fs, cred } = task;
  return new GuestTask(kernel, process, process.pid, {
    cpu: new FakeCpu(),
    mm,
    mem,
    files: task.files.fork(),
    fs,
    cred,
    sighand: new SignalHandlers(),
    signals: new PendingSignals(),
    comm: 'child',
  });
}
/** A second thread of the process. */
function thread(): GuestTask {
  const { kernel, task } = m;
  const { mm, mem, fs, cred, files, sighand } = task;
  return new GuestTask(kernel, task.process, kernel.allocPid(), {
    cpu: new FakeCpu(),
    mm,
    mem,
    files,
    fs,
    cred,
    sighand,
    signals: new PendingSignals(),
    comm: 'thread',
  });
}

describe('identity', () => {
  it('of the first process', () => {
    expect(['getpid', 'gettid', 'getppid', 'getpgrp'].map((n) => m.call(n))).toEqual([100, 100, 1, 100]);
    expect(m.call('getpgid', 0)).toBe(100);
    expect(m.call('getsid', 100)).toBe(1);
    expect(m.try('getpgid', 77)).toBe('ESRCH');
    expect(m.try('getsid', -1)).toBe('ESRCH');
    expect(m.try('setsid')).toBe('EPERM');
    expect(m.call('set_tid_address', DATA)).toBe(100);
  });
  it('setpgid', () => {
    const c = child().process;
    expect(m.call('setpgid', c.pid, 0)).toBe(0);
    expect(c.pgid).toBe(c.pid);
    expect(m.call('setpgid', c.pid, 100)).toBe(0);
    expect(m.try('setpgid', c.pid, 5555)).toBe('EPERM');
    expect(m.try('setpgid', 5555, 0)).toBe('ESRCH');
    expect(m.try('setpgid', 0, -1)).toBe('EINVAL');
    c.execed = true;
    expect(m.try('setpgid', c.pid, 0)).toBe('EACCES');
  });
});

describe('exit and wait', () => {
  it('exit gives its low byte', () => {
    m.call('exit', 0x1_07);
    expect(m.toUserMode()).toEqual({ kind: 'exit', status: { kind: 'exited', code: 7 } });
    expect(m.kernel.processes.size).toBe(0);
  });
  it('the process lives until its last thread ends', () => {
    const t = thread();
    m.call('exit', 3);
    expect(m.toUserMode()).toEqual({ kind: 'exit', status: null });
    t.exit(4);
    expect(t.beforeUserMode()).toEqual({ kind: 'exit', status: { kind: 'exited', code: 3 } });
  });
  it('exit_group ends all threads', () => {
    const t = thread();
    m.call('exit_group', 9);
    expect(t.beforeUserMode()).toEqual({ kind: 'exit', status: null });
    expect(m.toUserMode()).toEqual({ kind: 'exit', status: { kind: 'exited', code: 9 } });
  });
  it('a thread that ends clears its tid and wakes a joiner', async () => {
    const t = thread();
    t.clearChildTid = DATA;
    m.mem.writeU32(DATA, t.tid);
    const join = m.tryAsync('futex', DATA, 0, t.tid, 0);
    t.exit(0);
    t.beforeUserMode();
    expect(await join).toBe(0);
    expect(m.mem.readU32(DATA)).toBe(0);
  });
  it('a thread that ends orphans its robust futexes', () => {
    const t = thread();
    t.robustList = DATA + 0x100;
    m.mem.writeU64(DATA + 0x100, DATA + 0x200);
    m.mem.writeU64(DATA + 0x108, 16);
    m.mem.writeU64(DATA + 0x110, 0);
    m.mem.writeU64(DATA + 0x200, DATA + 0x100);
    m.mem.writeU32(DATA + 0x210, t.tid);
    t.exit(0);
    t.beforeUserMode();
    expect(m.mem.readU32(DATA + 0x210)).toBe(0x4000_0000);
  });
  it('ECHILD without children', async () => {
    expect(m.try('wait4', -1, 0, 0, 0)).toBe('ECHILD');
    expect(await m.tryAsync('waitid', 0, 0, DATA, 4, 0)).toBe('ECHILD');
    expect(await m.tryAsync('waitid', 3, 5, DATA, 4, 0)).toBe('EBADF');
    expect(m.try('wait4', -1, 0, 0x10, 0)).toBe('EINVAL');
  });
  it('wait4 reaps a child that exits later', async () => {
    const c = child();
    expect(await m.callAsync('wait4', -1, DATA, 1, 0)).toBe(0);
    const done = m.callAsync('wait4', -1, DATA, 0, 0);
    c.exit(5);
    c.beforeUserMode();
    expect(await done).toBe(c.tid);
    expect(m.mem.readU32(DATA)).toBe(0x500);
    expect(m.kernel.process(c.tid)).toBeNull();
    expect(m.try('wait4', -1, 0, 0, 0)).toBe('ECHILD');
  });
  it('waitid leaves the child with WNOWAIT and fills siginfo', async () => {
    const c = child();
    c.process.exitGroup({ kind: 'killed', signal: 9, core: false });
    c.beforeUserMode();
    expect(await m.callAsync('waitid', 1, c.tid, DATA, 0x0100_0004, 0)).toBe(0);
    expect([0, 8, 16, 24].map((o) => m.mem.readI32(DATA + o))).toEqual([SIGCHLD, 2, c.tid, 9]);
    expect(await m.callAsync('wait4', c.tid, DATA, 0, 0)).toBe(c.tid);
    expect(m.mem.readU32(DATA)).toBe(9);
  });
  it('a parent that ignores SIGCHLD has no zombies', async () => {
    const c = child();
    m.mem.writeU64(DATA, 1);
    m.mem.copyOut(DATA + 8, new Uint8Array(24));
    m.call('rt_sigaction', SIGCHLD, DATA, 0, 8);
    const done = m.tryAsync('wait4', -1, 0, 0, 0);
    c.exit(0);
    c.beforeUserMode();
    expect(await done).toBe('ECHILD');
    expect(m.kernel.processes.size).toBe(1);
  });
});

describe('sending signals', () => {
  it('kill', () => {
    expect(m.call('kill', 100, 0)).toBe(0);
    expect(m.try('kill', 999, 0)).toBe('ESRCH');
    expect(m.try('kill', 100, 65)).toBe('EINVAL');
    expect(m.try('kill', -0x8000_0000, 1)).toBe('ESRCH');
    expect(m.try('kill', -1, SIGUSR1)).toBe('ESRCH');
    expect(m.call('kill', 0, SIGUSR1)).toBe(0);
    expect(m.toUserMode()).toMatchObject({ status: { signal: SIGUSR1 } });
  });
  it('not to another user', () => {
    const c = child();
    c.cred = new Credentials(0, 0);
    expect(m.try('kill', c.tid, SIGUSR1)).toBe('EPERM');
    expect(m.try('kill', c.tid, 18)).toBe(0);
  });
  it('tkill and tgkill', () => {
    expect(m.try('tgkill', 100, 999, 0)).toBe('ESRCH');
    expect(m.try('tgkill', 99, 100, 0)).toBe('ESRCH');
    expect(m.try('tgkill', -1, 100, 0)).toBe('EINVAL');
    expect(m.try('tkill', 0, 0)).toBe('EINVAL');
    expect(m.call('tgkill', 100, 100, 0)).toBe(0);
    expect(m.call('tkill', 100, SIGUSR2)).toBe(0);
    expect(m.task.signals.set.has(SIGUSR2)).toBe(true);
    expect(m.task.process.signals.set.has(SIGUSR2)).toBe(false);
  });
  it('rt_sigqueueinfo carries its value; real-time signals queue, others do not', async () => {
    m.mem.writeBigU64(DATA, sigmask(SIGRTMIN + 2, SIGUSR1));
    m.call('rt_sigprocmask', 0, DATA, 0, 8);
    for (const value of [11, 22]) {
      m.mem.copyOut(DATA + 64, new Uint8Array(128));
      m.mem.writeU32(DATA + 64 + 8, -1 >>> 0);
      m.mem.writeU64(DATA + 64 + 24, value);
      for (const signo of [SIGRTMIN + 2, SIGUSR1]) expect(m.call('rt_sigqueueinfo', 100, signo, DATA + 64)).toBe(0);
    }
    const next = async (): Promise<[number | string, number]> => {
      m.mem.writeBigU64(DATA + 256, 0n);
      m.mem.writeBigU64(DATA + 264, 0n);
      const r = await m.tryAsync('rt_sigtimedwait', DATA, DATA + 300, DATA + 256, 8);
      return [r, m.mem.readU64(DATA + 300 + 24)];
    };
    expect(await next()).toEqual([SIGUSR1, 11]);
    expect(await next()).toEqual([SIGRTMIN + 2, 11]);
    expect(await next()).toEqual([SIGRTMIN + 2, 22]);
    expect((await next())[0]).toBe('EAGAIN');
  });
  it('rt_sigqueueinfo does not let one pose as the kernel to others', () => {
    const c = child();
    m.mem.copyOut(DATA, new Uint8Array(128));
    expect(m.try('rt_sigqueueinfo', c.tid, SIGUSR1, DATA)).toBe('EPERM');
    expect(m.try('rt_sigqueueinfo', 100, SIGUSR1, BAD)).toBe('EFAULT');
  });
  it('rt_sigtimedwait ends when the signal comes, and when another does', async () => {
    m.mem.writeBigU64(DATA, sigmask(SIGUSR1));
    m.call('rt_sigprocmask', 0, DATA, 0, 8);
    const first = m.tryAsync('rt_sigtimedwait', DATA, 0, 0, 8);
    m.kernel.hostSignal(SIGUSR1);
    expect(await first).toBe(SIGUSR1);
    m.handle(SIGUSR2);
    m.mem.writeBigU64(DATA, sigmask(SIGUSR1));
    const second = m.tryAsync('rt_sigtimedwait', DATA, 0, 0, 8);
    m.kernel.hostSignal(SIGUSR2);
    expect(await second).toBe('EINTR');
  });
});

describe('rt_sigaction and rt_sigprocmask', () => {
  it('check their arguments as Linux does', () => {
    expect(m.try('rt_sigaction', 0, 0, DATA, 8)).toBe('EINVAL');
    expect(m.try('rt_sigaction', 65, 0, DATA, 8)).toBe('EINVAL');
    expect(m.try('rt_sigaction', 9, DATA, 0, 8)).toBe('EINVAL');
    expect(m.try('rt_sigaction', 9, 0, DATA, 8)).toBe(0);
    expect(m.try('rt_sigaction', 10, 0, DATA, 4)).toBe('EINVAL');
    expect(m.try('rt_sigaction', 10, BAD, 0, 8)).toBe('EFAULT');
    expect(m.try('rt_sigaction', 10, 0, RODATA, 8)).toBe('EFAULT');
    expect(m.try('rt_sigprocmask', 3, DATA, 0, 8)).toBe('EINVAL');
    expect(m.try('rt_sigprocmask', 77, 0, DATA, 8)).toBe(0);
    expect(m.try('rt_sigpending', DATA, 9)).toBe('EINVAL');
  });
  it('keep what was set, without unknown flags and unblockable signals', () => {
    m.handle(SIGUSR1, 0x8000_0400, sigmask(9, 19, SIGUSR2));
    expect(m.call('rt_sigaction', SIGUSR1, 0, DATA, 8)).toBe(0);
    expect(m.mem.readU64(DATA + 8)).toBe(0x8400_0000);
    expect(m.mem.readBigU64(DATA + 24)).toBe(sigmask(SIGUSR2));
  });
  it('SIG_IGN discards what is pending', () => {
    m.mem.writeBigU64(DATA, sigmask(SIGUSR1));
    m.call('rt_sigprocmask', 0, DATA, 0, 8);
    m.call('kill', 100, SIGUSR1);
    m.call('rt_sigpending', DATA, 8);
    expect(m.mem.readBigU64(DATA)).toBe(sigmask(SIGUSR1));
    m.mem.writeU64(DATA, 1);
    m.mem.copyOut(DATA + 8, new Uint8Array(24));
    m.call('rt_sigaction', SIGUSR1, DATA, 0, 8);
    m.call('rt_sigpending', DATA, 8);
    expect(m.mem.readBigU64(DATA)).toBe(0n);
  });
});

describe('futex', () => {
  const at = DATA + 0x800;
  it('waits for a value and is woken', async () => {
    m.mem.writeU32(at, 5);
    expect(m.try('futex', at, 0, 6, 0)).toBe('EAGAIN');
    const done = m.callAsync('futex', at, 128, 5, 0);
    expect(m.call('futex', at, 129, 10)).toBe(1);
    expect(await done).toBe(0);
    expect(m.call('futex', at, 1, 10)).toBe(0);
  });
  it('times out, relatively and absolutely', async () => {
    m.mem.writeU32(at, 5);
    m.mem.writeU64(DATA, 1);
    m.mem.writeU64(DATA + 8, 0);
    const relative = m.tryAsync('futex', at, 0, 5, DATA);
    await vi.advanceTimersByTimeAsync(1000);
    expect(await relative).toBe('ETIMEDOUT');
    m.mem.writeU64(DATA, Math.floor(Date.now() / 1000) + 3);
    const absolute = m.tryAsync('futex', at, 9 | 256, 5, DATA, 0, 0xffff_ffff);
    await vi.advanceTimersByTimeAsync(3000);
    expect(await absolute).toBe('ETIMEDOUT');
    expect(m.call('futex', at, 1, 10)).toBe(0);
  });
  it('bitsets select, requeue moves', async () => {
    m.mem.writeU32(at, 0);
    m.mem.writeU32(at + 8, 0);
    const { futexes } = m.kernel;
    const [a, b, c] = [1, 2, 4].map((bits) => futexes.add(m.task.mm, at, bits));
    expect(m.call('futex', at, 10, 9, 0, 0, 2)).toBe(1);
    expect([a!.woken, b!.woken, c!.woken]).toEqual([false, true, false]);
    expect(m.call('futex', at, 4, 0, 5, at + 8, 0)).toBe(2);
    expect(m.try('futex', at, 4, 0, 5, at + 8, 1)).toBe('EAGAIN');
    expect(m.call('futex', at, 1, 9)).toBe(0);
    expect(m.call('futex', at + 8, 1, 9)).toBe(2);
  });
  it('FUTEX_WAKE_OP changes, compares and wakes', () => {
    m.mem.writeU32(at + 4, 7);
    const { futexes } = m.kernel;
    futexes.add(m.task.mm, at, 1);
    futexes.add(m.task.mm, at + 4, 1);
    // ADD 3; wake the second when the old value was > 6.
    const encoded = (1 << 28) | (4 << 24) | (3 << 12) | 6;
    expect(m.call('futex', at, 5, 1, 1, at + 4, encoded)).toBe(2);
    expect(m.mem.readU32(at + 4)).toBe(10);
  });
  it('refuses', () => {
    expect(m.try('futex', at + 1, 0, 0, 0)).toBe('EINVAL');
    expect(m.try('futex', BAD, 128, 0, 0)).toBe('EFAULT');
    expect(m.try('futex', BAD, 129, 1, 0)).toBe(0);
    expect(m.try('futex', 0xffff_8000_0000_0000n, 129, 1, 0)).toBe('EFAULT');
    expect(m.try('futex', at, 2, 0, 0)).toBe('ENOSYS');
    expect(m.try('futex', at, 99, 0, 0)).toBe('ENOSYS');
    expect(m.try('futex', at, 0 | 256, 0, 0)).toBe('ENOSYS');
    expect(m.try('futex', at, 9, 0, 0, 0, 0)).toBe('EINVAL');
    expect(named(m.call('set_robust_list', DATA, 23))).toBe('EINVAL');
  });
});
