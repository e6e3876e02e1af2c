import { beforeEach, describe, expect, it } from 'vitest';
import { SIGCHLD, SIGHUP, SIGCONT, SIGKILL, SIGSTOP, SIGTERM, SIGUSR1 } from '../../../src/kernel/abi/signals.ts';
import { POLLIN } from '../../../src/kernel/fs/open-file.ts';
import { SIG_IGN } from '../../../src/kernel/signals/state.ts';
import { cloneFlags as f } from '../../../src/kernel/task/clone.ts';
import { BAD, DATA } from '../syscalls/harness.ts';
import { Tasks } from './tasks.ts';

let m: Tasks;
beforeEach(() => {
  m = new Tasks();
});
const PTHREAD =
  f.CLONE_VM | f.CLONE_FS | f.CLONE_FILES | f.CLONE_SIGHAND | f.CLONE_THREAD | f.CLONE_SYSVSEM | f.CLONE_SETTLS;
const TIDS = f.CLONE_PARENT_SETTID | f.CLONE_CHILD_SETTID | f.CLONE_CHILD_CLEARTID;

/** struct clone_args at DATA. */
function cloneArgs(fields: Partial<Record<string, number>>): number {
  const names = 'flags pidfd child_tid parent_tid exit_signal stack stack_size tls set_tid set_tid_size cgroup'.split(
    ' ',
  );
  names.forEach((name, i) => m.mem.writeU64(DATA + i * 8, fields[name] ?? 0));
  return DATA;
}

describe('clone', () => {
  it('makes threads', async () => {
    const { task } = m;
    const t = await m.child(task, 'clone', PTHREAD | TIDS, DATA + 4096, DATA + 8, DATA + 16, 0x7777);
    expect(t.process).toBe(task.process);
    expect([t.mm, t.files, t.fs, t.sighand]).toEqual([task.mm, task.files, task.fs, task.sighand]);
    expect(t.cpu.sp).toBe(DATA + 4096);
    expect(t.cpu.tls).toBe(0x7777);
    expect(t.cpu.result()).toBe(0);
    expect([m.mem.readU32(DATA + 8), m.mem.readU32(DATA + 16)]).toEqual([t.tid, t.tid]);
    expect(task.mm.users).toBe(1);
    // The joiner is woken when it leaves.
    const join = m.by(task, 'futex', DATA + 16, 0, t.tid);
    await m.by(t, 'exit', 3);
    expect(t.beforeUserMode()).toEqual({ kind: 'exit', status: null });
    expect(await join).toBe(0);
    expect(m.mem.readU32(DATA + 16)).toBe(0);
    expect(m.cpusReleased).toBe(1);
  });
  it('makes processes with memory of their own', async () => {
    const { task } = m;
    m.mem.writeU32(DATA, 1);
    const child = await m.child(task, 'fork');
    child.mem.writeU32(DATA, 2);
    expect(m.mem.readU32(DATA)).toBe(1);
    expect(await m.by(child, 'getppid')).toBe(task.process.pid);
    expect(child.process.exitSignal).toBe(SIGCHLD);
    expect(m.end(child, 5)).toEqual([{ kind: 'exit', status: { kind: 'exited', code: 5 } }]);
    expect(m.released).toEqual([child.mm.memory]);
    expect(await m.by(task, 'wait4', -1, DATA, 0, 0)).toBe(child.tid);
    expect(m.mem.readU32(DATA)).toBe(5 << 8);
    expect(await m.by(task, 'wait4', -1, 0, 0, 0)).toBe('ECHILD');
  });
  it('suspends the parent of a vfork until the child has gone', async () => {
    let returned: unknown = null;
    const parent = m.by(m.task, 'vfork').then((tid) => {
      returned = tid;
    });
    const child = m.started[0]!;
    expect(child.mm).toBe(m.task.mm);
    expect(child.mm.users).toBe(2);
    // Signals do not end that wait.
    m.handle(SIGUSR1);
    await m.by(child, 'kill', m.task.tid, SIGUSR1);
    await Promise.resolve();
    expect(returned).toBeNull();
    m.end(child);
    await parent;
    expect(returned).toBe(child.tid);
    expect(m.released).toEqual([]);
    expect(m.task.mm.users).toBe(1);
  });
  it('refuses combinations that make no sense', async () => {
    const tryClone = (flags: number) => m.by(m.task, 'clone', flags);
    expect(await tryClone(f.CLONE_THREAD)).toBe('EINVAL');
    expect(await tryClone(f.CLONE_SIGHAND)).toBe('EINVAL');
    expect(await tryClone(f.CLONE_FS | f.CLONE_NEWNS)).toBe('EINVAL');
    expect(await tryClone(f.CLONE_PIDFD | f.CLONE_PARENT_SETTID)).toBe('EINVAL');
    expect(await tryClone(f.CLONE_NEWNET)).toBe('EPERM');
    expect(await m.by(m.task, 'clone', f.CLONE_PIDFD, 0, BAD)).toBe('EFAULT');
    expect(m.started).toEqual([]);
    expect(m.kernel.processes.size).toBe(1);
  });
  it('has EAGAIN for more than RLIMIT_NPROC', async () => {
    m.task.process.rlimits[6]!.soft = 2;
    await m.child(m.task, 'fork');
    expect(await m.by(m.task, 'fork')).toBe('EAGAIN');
  });
});

describe('clone3', () => {
  it('takes a structure', async () => {
    const fields = { flags: f.CLONE_PIDFD | f.CLONE_PARENT_SETTID, exit_signal: SIGCHLD, pidfd: DATA + 200 };
    const at = cloneArgs({ ...fields, parent_tid: DATA + 208, stack: 0x1000, stack_size: 0x2000 });
    const child = await m.child(m.task, 'clone3', at, 88);
    expect(child.cpu.sp).toBe(0x3000);
    expect(m.mem.readU32(DATA + 208)).toBe(child.tid);
    const file = m.task.files.get(m.mem.readU32(DATA + 200));
    expect(file.poll()).toBe(0);
    m.end(child);
    expect(file.poll() & POLLIN).toBe(POLLIN);
  });
  it('judges its arguments', async () => {
    const call = (fields: Record<string, number>, size = 88) => m.by(m.task, 'clone3', cloneArgs(fields), size);
    expect(await call({}, 63)).toBe('EINVAL');
    expect(await call({}, 4097)).toBe('E2BIG');
    expect(await m.by(m.task, 'clone3', BAD, 88)).toBe('EFAULT');
    expect(await call({ exit_signal: 65 })).toBe('EINVAL');
    expect(await call({ stack: 4096 })).toBe('EINVAL');
    expect(await call({ flags: f.CLONE_DETACHED })).toBe('EINVAL');
    expect(await call({ flags: 2 ** 40 })).toBe('EINVAL');
    const withTid = (tid: number) => {
      m.mem.writeU32(DATA + 200, tid);
      return call({ set_tid: DATA + 200, set_tid_size: 1 });
    };
    expect(await call({ set_tid: DATA, set_tid_size: 2 })).toBe('EINVAL');
    for (const tid of [0, 0x8000_0000, 2 ** 22]) expect(await withTid(tid)).toBe('EINVAL');
    const unprivileged = m.task.cred.clone();
    unprivileged.capEffective = 0n;
    const { cred } = m.task;
    m.task.cred = unprivileged;
    expect(await withTid(m.task.tid)).toBe('EPERM');
    m.task.cred = cred;
    cred.capEffective = 1n << 40n;
    expect(await withTid(m.task.tid)).toBe('EEXIST');
    expect(await withTid(77_777)).toBe(77_777);
    m.mem.writeU64(DATA + 88, 1);
    expect(await call({}, 96)).toBe('E2BIG');
  });
  it('clears handlers on demand, and keeps them otherwise', async () => {
    m.handle(SIGUSR1);
    const plain = await m.child(m.task, 'fork');
    expect(plain.sighand.catches(SIGUSR1)).toBe(true);
    const cleared = await m.child(m.task, 'clone3', cloneArgs({ flags: 2 ** 32, exit_signal: SIGCHLD }), 88);
    expect(cleared.sighand.catches(SIGUSR1)).toBe(false);
  });
});

describe('the end of a process', () => {
  it('gives its children to the nearest reaper', async () => {
    await m.by(m.task, 'prctl', 36, 1);
    const middle = await m.child(m.task, 'fork');
    const leaf = await m.child(middle, 'fork');
    await m.by(leaf, 'prctl', 1, SIGTERM);
    m.end(middle);
    expect(leaf.process.parent).toBe(m.task.process);
    expect(leaf.signals.set.has(SIGTERM) || leaf.process.signals.set.has(SIGTERM)).toBe(true);
    expect(await m.by(m.task, 'wait4', middle.tid, 0, 0, 0)).toBe(middle.tid);
    m.end(leaf);
    expect(await m.by(m.task, 'wait4', -1, 0, 0, 0)).toBe(leaf.tid);
  });
  it('reaps what nobody waits for', async () => {
    const middle = await m.child(m.task, 'fork');
    const leaf = await m.child(middle, 'fork');
    m.end(middle);
    expect(leaf.process.ppid).toBe(1);
    m.end(leaf);
    expect(m.kernel.process(leaf.tid)).toBeNull();
    m.task.sighand.set(SIGCHLD, { ...m.task.sighand.get(SIGCHLD), handler: SIG_IGN });
    const ignored = await m.child(m.task, 'fork');
    const wait = m.by(m.task, 'wait4', ignored.tid, 0, 0, 0);
    m.end(ignored);
    expect(await wait).toBe('ECHILD');
  });
  it('hangs stopped orphaned groups up', async () => {
    const shell = await m.child(m.task, 'fork');
    const job = await m.child(shell, 'fork');
    await m.by(job, 'setpgid', 0, 0);
    await m.by(m.task, 'setpgid', shell.tid, shell.tid);
    await m.by(m.task, 'kill', job.tid, SIGSTOP);
    expect(job.beforeUserMode().kind).toBe('wait');
    expect(job.process.stopSignal).toBe(SIGSTOP);
    m.end(shell);
    expect(job.process.stopSignal).toBe(0);
    expect(job.process.signals.set.has(SIGHUP)).toBe(true);
    expect(SIGCONT).toBe(18);
  });
  it('is told once for all threads', async () => {
    const child = await m.child(m.task, 'fork');
    const second = await m.child(child, 'clone', PTHREAD, DATA + 4096);
    await m.by(child, 'exit', 7);
    expect(child.beforeUserMode()).toEqual({ kind: 'exit', status: null });
    expect(await m.by(m.task, 'wait4', -1, 0, 1, 0)).toBe(0);
    await m.by(second, 'exit', 8);
    expect(second.beforeUserMode()).toEqual({ kind: 'exit', status: { kind: 'exited', code: 7 } });
    expect(await m.by(m.task, 'wait4', -1, DATA, 0, 0)).toBe(child.tid);
    expect(m.mem.readU32(DATA)).toBe(7 << 8);
  });
});

describe('waiting', () => {
  it('tells of stops and continues when asked to', async () => {
    const child = await m.child(m.task, 'fork');
    await m.by(m.task, 'kill', child.tid, SIGSTOP);
    child.beforeUserMode();
    expect(await m.by(m.task, 'wait4', -1, DATA, 1, 0)).toBe(0);
    expect(await m.by(m.task, 'wait4', -1, DATA, 2, 0)).toBe(child.tid);
    expect(m.mem.readU32(DATA)).toBe((SIGSTOP << 8) | 0x7f);
    await m.by(m.task, 'kill', child.tid, SIGCONT);
    expect(await m.by(m.task, 'wait4', -1, DATA, 8, 0)).toBe(child.tid);
    expect(m.mem.readU32(DATA)).toBe(0xffff);
    await m.by(m.task, 'kill', child.tid, SIGKILL);
    expect(child.beforeUserMode()).toEqual({ kind: 'exit', status: { kind: 'killed', signal: SIGKILL, core: false } });
    expect(await m.by(m.task, 'waitid', 0, 0, DATA, 4, 0)).toBe(0);
    const words = [0, 8, 16, 24].map((at) => m.mem.readU32(DATA + at));
    expect(words).toEqual([SIGCHLD, 2, child.tid, SIGKILL]);
  });
  it('leaves children with another signal to those who ask', async () => {
    const child = await m.child(m.task, 'clone', SIGUSR1);
    m.handle(SIGUSR1);
    m.end(child);
    expect(m.task.process.signals.set.has(SIGUSR1)).toBe(true);
    m.task.process.signals.clear();
    expect(await m.by(m.task, 'wait4', -1, 0, 0, 0)).toBe('ECHILD');
    expect(await m.by(m.task, 'wait4', -1, 0, 0x8000_0000, 0)).toBe(child.tid);
  });
  it('works on pidfds', async () => {
    const child = await m.child(m.task, 'fork');
    const fd = (await m.by(m.task, 'pidfd_open', child.tid, 0o4000)) as number;
    expect(await m.by(m.task, 'pidfd_open', child.tid, 1)).toBe('EINVAL');
    expect(await m.by(m.task, 'pidfd_open', 4000, 0)).toBe('ESRCH');
    expect(await m.by(m.task, 'waitid', 3, fd, 0, 4, 0)).toBe('EAGAIN');
    expect(await m.by(m.task, 'pidfd_send_signal', fd, SIGTERM, 0, 0)).toBe(0);
    child.beforeUserMode();
    expect(await m.by(m.task, 'pidfd_send_signal', fd, 0, 0, 0)).toBe(0);
    expect(await m.by(m.task, 'waitid', 3, fd, 0, 4, 0)).toBe(0);
    expect(await m.by(m.task, 'pidfd_send_signal', fd, 0, 0, 0)).toBe('ESRCH');
    expect(await m.by(m.task, 'pidfd_getfd', fd, 0, 0)).toBe('ESRCH');
  });
});
