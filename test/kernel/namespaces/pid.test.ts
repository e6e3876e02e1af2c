import { beforeEach, describe, expect, it } from 'vitest';
import { SI_USER, SIGCHLD, SIGKILL, SIGTERM, SIGUSR1 } from '../../../src/kernel/abi/signals.ts';
import { cloneFlags as f } from '../../../src/kernel/task/clone.ts';
import type { GuestTask } from '../../../src/kernel/task/guest-task.ts';
import { PidFd } from '../../../src/kernel/task/pidfd.ts';
import { DATA } from '../syscalls/harness.ts';
import { Namespaced } from './fixture.ts';

let m: Namespaced;
beforeEach(() => {
  m = new Namespaced();
});
const line = (text: string, name: string): string => text.split('\n').find((l) => l.startsWith(`${name}:`)) ?? '';

describe('PID namespaces', () => {
  it('number processes anew, and are seen from outside under other numbers', async () => {
    const { task } = m;
    const { child: init, number } = await m.fork(task, f.CLONE_NEWPID | SIGCHLD);
    expect(number).toBe(init.tid);
    expect([await m.by(init, 'getpid'), await m.by(init, 'gettid'), await m.by(init, 'getppid')]).toEqual([1, 1, 0]);
    const { child, number: inside } = await m.fork(init, SIGCHLD);
    expect(inside).toBe(2);
    expect([await m.by(child, 'getpid'), await m.by(child, 'getppid')]).toEqual([2, 1]);
    // The group came from outside, and has no number here.
    expect(await m.by(child, 'getpgrp')).toBe(0);
    expect(await m.by(child, 'setsid')).toBe(2);
    expect(await m.by(init, 'getsid', 2)).toBe(2);
    // Nobody outside is known by name.
    expect(await m.by(child, 'kill', task.tid, 0)).toBe('ESRCH');
    expect(await m.by(task, 'kill', child.tid, 0)).toBe(0);
    expect(await m.by(child, 'pidfd_open', task.tid, 0)).toBe('ESRCH');
    const status = m.cat(task, `/proc/${child.tid}/status`);
    expect(line(status, 'NSpid')).toBe(`NSpid:\t${child.tid}\t2`);
    expect(line(status, 'NSsid')).toBe(`NSsid:\t${child.tid}\t2`);
    expect(line(status, 'PPid')).toBe(`PPid:\t${init.tid}`);
    m.end(child, 7);
    expect(await m.by(init, 'wait4', 2, DATA, 0, 0)).toBe(2);
    expect(init.mem.readU32(DATA)).toBe(7 << 8);
  });

  it('nest', async () => {
    const { child: outer } = await m.fork(m.task, f.CLONE_NEWPID);
    const { child: inner, number } = await m.fork(outer, f.CLONE_NEWPID);
    expect(number).toBe(2);
    expect(await m.by(inner, 'getpid')).toBe(1);
    expect(line(m.cat(m.task, `/proc/${inner.tid}/status`), 'NStgid')).toBe(`NStgid:\t${inner.tid}\t2\t1`);
    const { child: leaf } = await m.fork(inner);
    expect(leaf.process.pidNs).toBe(inner.process.pidNs);
    expect(outer.process.pidNs.number(leaf.tid)).toBe(3);
  });

  it('take the numbers asked for, with the errnos of alloc_pid', async () => {
    const { task } = m;
    expect(await m.clone3(task, f.CLONE_NEWPID, [2])).toBe('EINVAL');
    expect(await m.clone3(task, 0, [1])).toBe('EEXIST');
    expect(await m.clone3(task, 0, [4_194_304])).toBe('EINVAL');
    expect(await m.clone3(task, 0, [-1])).toBe('EINVAL');
    expect(await m.clone3(task, 0, [500, 501])).toBe('EINVAL');
    expect(await m.clone3(task, f.CLONE_NEWPID, [1, 777])).toBe(777);
    const init = m.started.at(-1)!;
    expect(await m.by(init, 'getpid')).toBe(1);
    expect(await m.clone3(init, 0, [43, 777])).toBe('EEXIST');
    expect(await m.clone3(init, 0, [43, 778])).toBe(43);
    expect(await m.clone3(init, 0, [43])).toBe('EEXIST');
    expect(await m.clone3(init, f.CLONE_NEWPID, [1, 42, 800, 9])).toBe('EINVAL');
    expect(await m.clone3(init, f.CLONE_NEWPID, [1, 42, 800])).toBe(42);
    expect(m.started.at(-1)!.tid).toBe(800);
  });

  it('need no number any more once it names neither process nor group', async () => {
    const { child: init } = await m.fork(m.task, f.CLONE_NEWPID);
    const { child: leader } = await m.fork(init, SIGCHLD);
    await m.by(leader, 'setpgid', 0, 0);
    const { child: member } = await m.fork(leader, SIGCHLD);
    m.end(leader);
    await m.by(init, 'wait4', 2, 0, 0, 0);
    // 2 is the name of a group still.
    expect(await m.clone3(init, 0, [2])).toBe('EEXIST');
    expect(await m.by(member, 'getpgrp')).toBe(2);
    await m.by(member, 'setpgid', 0, 0);
    expect(await m.clone3(init, 0, [2])).toBe(2);
  });

  it('have a first process that only what it handles, and SIGKILL from outside, reaches', async () => {
    const { task } = m;
    const { child: init } = await m.fork(task, f.CLONE_NEWPID);
    const { child } = await m.fork(init);
    const pending = (t: GuestTask, signo: number) => t.process.signals.set.has(signo);
    for (const signo of [SIGTERM, SIGKILL]) expect(await m.by(child, 'kill', 1, signo)).toBe(0);
    expect([init.process.groupExit, pending(init, SIGTERM)]).toEqual([null, false]);
    expect(await m.by(task, 'kill', init.tid, SIGTERM)).toBe(0);
    expect(pending(init, SIGTERM)).toBe(false);
    expect(await m.by(task, 'kill', init.tid, SIGKILL)).toBe(0);
    expect(init.process.groupExit).toEqual({ kind: 'killed', signal: SIGKILL, core: false });
  });

  it('tell of senders by their numbers, and of those outside as 0', async () => {
    const { task } = m;
    const { child: init } = await m.fork(task, f.CLONE_NEWPID);
    const { child } = await m.fork(init);
    const { child: other } = await m.fork(init);
    await m.by(other, 'kill', 2, SIGUSR1);
    expect(child.process.signals.take(SIGUSR1)).toMatchObject({ code: SI_USER, pid: 3 });
    await m.by(task, 'kill', child.tid, SIGUSR1);
    expect(child.process.signals.take(SIGUSR1)).toMatchObject({ code: SI_USER, pid: 0 });
  });

  it('reap orphans in their first process', async () => {
    const { child: init } = await m.fork(m.task, f.CLONE_NEWPID);
    const { child } = await m.fork(init, SIGCHLD);
    const { child: orphan } = await m.fork(child, SIGCHLD);
    m.end(child);
    expect(await m.by(orphan, 'getppid')).toBe(1);
    m.end(orphan, 4);
    const reaped = [await m.by(init, 'wait4', -1, 0, 0, 0), await m.by(init, 'wait4', -1, 0, 0, 0)];
    expect(reaped).toEqual([2, 3]);
    expect(await m.by(init, 'wait4', -1, 0, 0, 0)).toBe('ECHILD');
  });

  it('end with their first process', async () => {
    const { task } = m;
    const { child: init, number } = await m.fork(task, f.CLONE_NEWPID | SIGCHLD);
    const { child } = await m.fork(init, SIGCHLD);
    const { child: inner } = await m.fork(child, f.CLONE_NEWPID | SIGCHLD);
    const [action] = m.end(init, 3);
    expect(action!.kind).toBe('wait');
    expect(child.process.groupExit).toMatchObject({ signal: SIGKILL });
    // Nobody outside hears of it before they have gone.
    expect(await m.by(task, 'wait4', -1, 0, 1, 0)).toBe(0);
    expect(await m.by(init, 'clone', 0)).toBe('ENOMEM');
    inner.beforeUserMode();
    child.beforeUserMode();
    if (action!.kind === 'wait') await action!.until;
    expect(init.beforeUserMode().kind).toBe('exit');
    expect(await m.by(task, 'wait4', -1, DATA, 0, 0)).toBe(number);
    expect(task.mem.readU32(DATA)).toBe(3 << 8);
    expect(m.kernel.processes.size).toBe(1);
  });

  it('are entered by the children of who unshares or joins one', async () => {
    const { task } = m;
    expect(await m.by(task, 'unshare', f.CLONE_NEWPID)).toBe(0);
    expect(await m.by(task, 'getpid')).toBe(100);
    expect(await m.by(task, 'unshare', f.CLONE_NEWPID)).toBe('EINVAL');
    expect(await m.by(task, 'clone', f.CLONE_VM | f.CLONE_SIGHAND | f.CLONE_THREAD)).toBe('EINVAL');
    const { child } = await m.fork(task);
    expect(await m.by(child, 'getpid')).toBe(1);
    expect(await m.by((await m.fork(task)).child, 'getpid')).toBe(2);
    m.end(child);
    for (const t of m.started) t.beforeUserMode();
    await m.by(task, 'wait4', -1, 0, 0x8000_0000, 0);
  });

  it('show in the fdinfo of a pidfd', async () => {
    const { task } = m;
    const { child: init } = await m.fork(task, f.CLONE_NEWPID);
    const { child: sibling } = await m.fork(task, f.CLONE_NEWPID);
    const fd = new PidFd(init.process, 0);
    expect(fd.fdinfo(m.kernel.pidNs)).toBe(`Pid:\t${init.tid}\nNSpid:\t${init.tid}\t1\n`);
    expect(fd.fdinfo(init.process.pidNs)).toBe('Pid:\t1\nNSpid:\t1\n');
    expect(fd.fdinfo(sibling.process.pidNs)).toBe('Pid:\t0\nNSpid:\t0\n');
    m.end(init);
    await m.by(task, 'wait4', init.tid, 0, 0x8000_0000, 0);
    expect(fd.fdinfo(m.kernel.pidNs)).toBe('Pid:\t-1\nNSpid:\t-1\n');
  });

  it('are what a procfs mounted inside shows', async () => {
    const { child: init } = await m.fork(m.task, f.CLONE_NEWPID | f.CLONE_NEWNS);
    const { child } = await m.fork(init);
    expect(await m.path(init, 'mount', 'proc', '/proc', 'proc', 0, 0)).toBe(0);
    expect(m.link(child, '/proc/self')).toBe('2');
    expect(line(m.cat(child, '/proc/self/status'), 'NSpid')).toBe('NSpid:\t2');
    expect(m.cat(child, '/proc/1/stat')).toMatch(/^1 \(test\) \S 0 /);
    // Outside nothing has changed.
    expect(m.link(m.task, '/proc/self')).toBe('100');
    const { child: forked } = await m.fork(m.task);
    expect(m.link(forked, '/proc/self')).toBe(String(forked.tid));
  });
});
