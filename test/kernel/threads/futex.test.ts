import { beforeEach, describe, expect, it } from 'vitest';
import { cloneFlags as f } from '../../../src/kernel/task/clone.ts';
import { findDeadlock } from '../../../src/kernel/task/deadlock.ts';
import type { GuestTask } from '../../../src/kernel/task/guest-task.ts';
import { RLIMIT_RTPRIO } from '../../../src/kernel/task/rlimits.ts';
import { SIGTERM } from '../../../src/kernel/abi/signals.ts';
import { DATA } from '../syscalls/harness.ts';
import { Tasks } from '../process/tasks.ts';

const op = { wait: 0, wake: 1, lockPi: 6, unlockPi: 7, trylockPi: 8 };
const PRIVATE = 128;
const WAITERS = 0x8000_0000;
const OWNER_DIED = 0x4000_0000;
const THREAD = f.CLONE_VM | f.CLONE_FS | f.CLONE_FILES | f.CLONE_SIGHAND | f.CLONE_THREAD;
const at = DATA + 256;

let m: Tasks;
let a: GuestTask;
let b: GuestTask;
beforeEach(async () => {
  m = new Tasks();
  a = m.task;
  b = await m.child(a, 'clone', THREAD, DATA + 4096);
});
const word = (): number => m.mem.readU32(at);
async function leave(t: GuestTask): Promise<void> {
  await m.by(t, 'exit', 0);
  t.beforeUserMode();
}

describe('PI futexes', () => {
  it('are handed over in order', async () => {
    const c = await m.child(a, 'clone', THREAD, DATA + 8192);
    expect(await m.by(a, 'futex', at, op.lockPi)).toBe(0);
    expect(word()).toBe(a.tid);
    expect(await m.by(a, 'futex', at, op.lockPi)).toBe('EDEADLK');
    expect(await m.by(b, 'futex', at, op.trylockPi)).toBe('EAGAIN');
    expect(await m.by(b, 'futex', at, op.unlockPi)).toBe('EPERM');
    const second = m.by(b, 'futex', at, op.lockPi);
    const third = m.by(c, 'futex', at, op.lockPi);
    expect(word()).toBe((WAITERS | a.tid) >>> 0);
    expect(await m.by(a, 'futex', at, op.unlockPi)).toBe(0);
    expect(await second).toBe(0);
    expect(word()).toBe((WAITERS | b.tid) >>> 0);
    expect(await m.by(b, 'futex', at, op.unlockPi)).toBe(0);
    expect(await third).toBe(0);
    expect(word()).toBe(c.tid);
    expect(await m.by(c, 'futex', at, op.unlockPi)).toBe(0);
    expect(word()).toBe(0);
  });
  it('tell of an owner that died', async () => {
    await m.by(a, 'futex', at, op.lockPi | PRIVATE);
    const waiting = m.by(b, 'futex', at, op.lockPi | PRIVATE);
    await leave(a);
    expect(await waiting).toBe(0);
    expect(word()).toBe((OWNER_DIED | b.tid) >>> 0);
  });
  it('refuse an owner that does not exist', async () => {
    m.mem.writeU32(at, 0x3000);
    expect(await m.by(a, 'futex', at, op.lockPi)).toBe('ESRCH');
  });
  it('time out on the real-time clock', async () => {
    await m.by(a, 'futex', at, op.lockPi);
    const now = Math.floor(Date.now() / 1000);
    m.mem.writeU64(DATA, now - 1);
    m.mem.writeU64(DATA + 8, 0);
    expect(await m.by(b, 'futex', at, op.lockPi, 0, DATA)).toBe('ETIMEDOUT');
    expect(await m.by(a, 'futex', at, op.unlockPi)).toBe(0);
    expect(word() & 0x3fff_ffff).toBe(0);
  });
});

describe('shared futexes', () => {
  it('are named by the object mapped', async () => {
    const shared = (await m.by(a, 'mmap', 0, 4096, 3, 0x21, 0xffff_ffff, 0)) as number;
    const own = (await m.by(a, 'mmap', 0, 4096, 3, 0x22, 0xffff_ffff, 0)) as number;
    await leave(b);
    const child = await m.child(a, 'fork');
    const waits = [m.by(child, 'futex', shared + 8, op.wait), m.by(child, 'futex', own, op.wait)];
    expect(await m.by(a, 'futex', shared + 8, op.wake | PRIVATE, 1)).toBe(0);
    expect(await m.by(a, 'futex', own, op.wake, 1)).toBe(0);
    expect(await m.by(a, 'futex', shared + 8, op.wake, 1)).toBe(1);
    expect(await waits[0]).toBe(0);
    m.end(child);
  });
});

describe('futex_waitv', () => {
  it('returns the index of what was woken', async () => {
    const put = (i: number, val: number, uaddr: number, flags: number): void => {
      m.mem.writeU64(DATA + i * 24, val);
      m.mem.writeU64(DATA + i * 24 + 8, uaddr);
      m.mem.writeU32(DATA + i * 24 + 16, flags);
      m.mem.writeU32(DATA + i * 24 + 20, 0);
    };
    put(0, 0, at, 2 | PRIVATE);
    put(1, 0, at + 4, 2 | PRIVATE);
    const waiting = m.by(b, 'futex_waitv', DATA, 2, 0, 0, 0);
    expect(await m.by(a, 'futex', at + 4, op.wake | PRIVATE, 1)).toBe(1);
    expect(await waiting).toBe(1);
    expect(await m.by(a, 'futex', at, op.wake | PRIVATE, 1)).toBe(0);
    put(1, 1, at + 4, 2);
    expect(await m.by(b, 'futex_waitv', DATA, 2, 0, 0, 0)).toBe('EAGAIN');
    put(1, 0, at + 4, 3);
    expect(await m.by(b, 'futex_waitv', DATA, 2, 0, 0, 0)).toBe('EINVAL');
    expect(await m.by(b, 'futex_waitv', DATA, 129, 0, 0, 0)).toBe('EINVAL');
  });
});

describe('deadlocks', () => {
  it('are those where only a waiting thread could wake another', async () => {
    void m.by(a, 'futex', at, op.wait);
    expect(findDeadlock(m.kernel)).toBeNull();
    void m.by(b, 'futex', at + 4, op.wait);
    expect(findDeadlock(m.kernel)).toMatch(/^deadlock: all 2 threads/);
    m.handle(SIGTERM);
    expect(findDeadlock(m.kernel)).toBeNull();
  });
  it('are none while a timer runs', async () => {
    await leave(b);
    m.mem.writeU64(DATA, 1000);
    m.mem.writeU64(DATA + 8, 0);
    void m.by(a, 'futex', at, op.wait, 0, DATA);
    expect(findDeadlock(m.kernel)).toBeNull();
    m.kernel.killAll();
  });
});

describe('execve', () => {
  it('ends the other threads and takes the place of the leader', async () => {
    const only = b.becomeOnlyThread();
    expect(await a.becomeOnlyThread()).toBe(false);
    expect(a.beforeUserMode()).toEqual({ kind: 'exit', status: null });
    expect(await only).toBe(true);
    expect(b.tid).toBe(a.process.pid);
    expect(m.kernel.task(b.tid)).toBe(b);
    expect(b.process.tasks.size).toBe(1);
    expect(b.exitCode).toBeNull();
  });
});

describe('real-time priorities', () => {
  beforeEach(() => {
    a.process.rlimits[RLIMIT_RTPRIO] = { soft: 50, hard: 50 };
  });
  const param = DATA + 640;
  const fifo = async (t: GuestTask, priority: number) => {
    m.mem.writeU32(param, priority);
    return m.by(a, 'sched_setscheduler', t.tid, 1, param);
  };
  it('are set, reported and inherited', async () => {
    expect(await fifo(a, 100)).toBe('EINVAL');
    expect(await fifo(a, 51)).toBe('EPERM');
    expect(await fifo(a, 7)).toBe(0);
    expect(await m.by(a, 'sched_getscheduler', 0)).toBe(1);
    await m.by(a, 'sched_getparam', 0, param);
    expect(m.mem.readU32(param)).toBe(7);
    const c = await m.child(a, 'clone', THREAD, DATA + 8192);
    expect(c.rtPriority).toBe(7);
    expect(m.kernel.realtimeTasks).toBe(2);
    m.mem.writeU32(param, 0);
    expect(await m.by(a, 'sched_setscheduler', 0, 0, param)).toBe(0);
    await leave(c);
    expect(m.kernel.realtimeTasks).toBe(0);
  });
  it('decide who is woken, who gets a lock, and are lent to its owner', async () => {
    const c = await m.child(a, 'clone', THREAD, DATA + 8192);
    await fifo(c, 3);
    const woken: string[] = [];
    const waits = [m.by(b, 'futex', at, op.wait, 0), m.by(c, 'futex', at, op.wait, 0)];
    void waits[0]!.then(() => woken.push('b'));
    void waits[1]!.then(() => woken.push('c'));
    await m.by(a, 'futex', at, op.wake, 1);
    await waits[1];
    await m.by(a, 'futex', at, op.wake, 1);
    await waits[0];
    expect(woken).toEqual(['c', 'b']);
    await m.by(a, 'futex', at, op.lockPi);
    const second = m.by(b, 'futex', at, op.lockPi);
    const first = m.by(c, 'futex', at, op.lockPi);
    expect(a.priority).toBe(3);
    await m.by(a, 'futex', at, op.unlockPi);
    expect(await first).toBe(0);
    expect(a.priority).toBe(0);
    await m.by(c, 'futex', at, op.unlockPi);
    expect(await second).toBe(0);
  });
});

describe('FUTEX_WAIT_REQUEUE_PI', () => {
  const condition = DATA + 512;
  const requeue = { wait: 11, cmp: 12 };
  const move = (t: GuestTask, wakeCount: number, count: number) =>
    m.by(t, 'futex', condition, requeue.cmp, wakeCount, count, at, 5);
  const waitThere = (t: GuestTask, timeout = 0) => m.by(t, 'futex', condition, requeue.wait, 5, timeout, at);
  beforeEach(() => m.mem.writeU32(condition, 5));

  it('gives the lock to the first and lets the others wait for it', async () => {
    const c = await m.child(a, 'clone', THREAD, DATA + 8192);
    const first = waitThere(b);
    const second = waitThere(c);
    expect(await move(a, 1, 100)).toBe(2);
    expect(await first).toBe(0);
    expect(word()).toBe((WAITERS | b.tid) >>> 0);
    expect(await m.by(b, 'futex', at, op.unlockPi)).toBe(0);
    expect(await second).toBe(0);
    expect(word()).toBe(c.tid);
  });
  it('waits for a lock that is taken, one at a time when asked for one', async () => {
    const c = await m.child(a, 'clone', THREAD, DATA + 8192);
    await m.by(a, 'futex', at, op.lockPi);
    const first = waitThere(b);
    const second = waitThere(c);
    expect(await move(a, 1, 0)).toBe(1);
    await m.by(a, 'futex', at, op.unlockPi);
    expect(await first).toBe(0);
    expect(word()).toBe(b.tid);
    expect(await move(a, 1, 0)).toBe(1);
    await m.by(b, 'futex', at, op.unlockPi);
    expect(await second).toBe(0);
  });
  it('refuses what does not go together', async () => {
    expect(await move(a, 2, 0)).toBe('EINVAL');
    expect(await m.by(a, 'futex', at, requeue.cmp, 1, 0, at, 0)).toBe('EINVAL');
    m.mem.writeU32(condition, 6);
    expect(await move(a, 1, 0)).toBe('EAGAIN');
    expect(await waitThere(a)).toBe('EAGAIN');
    m.mem.writeU32(condition, 5);
    const waiting = waitThere(b);
    expect(await m.by(a, 'futex', condition, op.wake, 1)).toBe('EINVAL');
    expect(await m.by(a, 'futex', condition, requeue.cmp, 1, 0, DATA + 1024, 5)).toBe('EINVAL');
    expect(await move(a, 1, 0)).toBe(1);
    expect(await waiting).toBe(0);
    const plain = m.by(a, 'futex', condition, op.wait, 5);
    expect(await move(b, 1, 0)).toBe('EINVAL');
    expect(await m.by(b, 'futex', condition, op.wake, 1)).toBe(1);
    expect(await plain).toBe(0);
  });
});
