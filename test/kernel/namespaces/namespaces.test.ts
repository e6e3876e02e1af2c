import { beforeEach, describe, expect, it } from 'vitest';
import { SIGCHLD } from '../../../src/kernel/abi/signals.ts';
import { NS_FLAGS } from '../../../src/kernel/ns/namespace.ts';
import { cloneFlags as f } from '../../../src/kernel/task/clone.ts';
import type { GuestTask } from '../../../src/kernel/task/guest-task.ts';
import { DATA } from '../syscalls/harness.ts';
import { errnoNameOf, Namespaced } from './fixture.ts';

let m: Namespaced;
beforeEach(() => {
  m = new Namespaced();
});
const ALL = Object.values(NS_FLAGS).reduce<number>((a, b) => a | b, 0);
const KINDS = Object.keys(NS_FLAGS).filter((kind) => kind !== 'time');
const openNs = (task: GuestTask, of: string, kind: string) => m.path(task, 'open', `/proc/${of}/ns/${kind}`, 0, 0);

describe('namespaces', () => {
  it('have identities of their own', async () => {
    const { child } = await m.fork(m.task, ALL & ~NS_FLAGS.time);
    for (const kind of KINDS) {
      const [here, there] = ['self', String(child.tid)].map((of) => m.link(m.task, `/proc/${of}/ns/${kind}`));
      expect(here).toMatch(new RegExp(`^${kind}:\\[40265318\\d\\d\\]$`));
      expect(there).toMatch(new RegExp(`^${kind}:\\[4026532\\d\\d\\d\\]$`));
    }
    expect(m.link(m.task, `/proc/${child.tid}/ns/time`)).toBe(m.link(m.task, '/proc/self/ns/time'));
  });

  it('are joined one by one by their files, and all at once by pidfd', async () => {
    const { child } = await m.fork(m.task, f.CLONE_NEWUTS | f.CLONE_NEWIPC | f.CLONE_NEWNET | SIGCHLD);
    const fd = await openNs(m.task, String(child.tid), 'uts');
    expect(await m.by(m.task, 'setns', fd as number, f.CLONE_NEWIPC)).toBe('EINVAL');
    expect(await m.by(m.task, 'setns', fd as number, f.CLONE_NEWUTS)).toBe(0);
    expect(m.task.ns.uts).toBe(child.ns.uts);
    expect(m.task.ns.ipc).not.toBe(child.ns.ipc);
    const pidfd = (await m.by(m.task, 'pidfd_open', child.tid, 0)) as number;
    for (const flags of [0, -1, f.CLONE_VM, f.CLONE_NEWNET | f.CLONE_VM])
      expect(await m.by(m.task, 'setns', pidfd, flags)).toBe('EINVAL');
    expect(await m.by(m.task, 'setns', pidfd, f.CLONE_NEWIPC | f.CLONE_NEWNET)).toBe(0);
    expect([m.task.ns.ipc, m.task.ns.net]).toEqual([child.ns.ipc, child.ns.net]);
    m.end(child);
    expect(await m.by(m.task, 'setns', pidfd, f.CLONE_NEWNET)).toBe('ESRCH');
    const memfd = (await m.path(m.task, 'memfd_create', 'x', 0)) as number;
    expect(await m.by(m.task, 'setns', memfd, 0)).toBe('EINVAL');
    expect(await m.by(m.task, 'setns', 99, 0)).toBe('EBADF');
  });

  it('tell of their relatives (ioctl_ns(2))', async () => {
    const { child } = await m.fork(m.task, f.CLONE_NEWUSER | f.CLONE_NEWPID | f.CLONE_NEWUTS);
    const fd = async (kind: string) => (await openNs(m.task, String(child.tid), kind)) as number;
    const [user, pid, uts] = [await fd('user'), await fd('pid'), await fd('uts')];
    expect(await m.by(m.task, 'ioctl', uts, 0xb703, 0)).toBe(NS_FLAGS.uts);
    expect(await m.by(m.task, 'ioctl', uts, 0xb702, 0)).toBe('EINVAL');
    expect(await m.by(m.task, 'ioctl', user, 0xb704, DATA)).toBe(0);
    const owner = (await m.by(m.task, 'ioctl', uts, 0xb701, 0)) as number;
    const parent = (await m.by(m.task, 'ioctl', pid, 0xb702, 0)) as number;
    const inoOf = (n: number): number => m.task.files.get(n).stat().ino;
    expect([inoOf(owner), inoOf(parent)]).toEqual([child.cred.userNs.ino, m.kernel.pidNs.ino]);
    // From inside nothing above is told of.
    const up = await m.path(child, 'open', '/proc/self/ns/user', 0, 0);
    expect(await m.by(child, 'ioctl', up as number, 0xb702, 0)).toBe('EPERM');
  });

  it('keep host names, System V objects and loopbacks apart', async () => {
    const { child } = await m.fork(m.task, f.CLONE_NEWUTS | f.CLONE_NEWIPC | f.CLONE_NEWNET);
    expect(await m.path(child, 'sethostname', 'inner', 5)).toBe(0);
    expect([m.kernel.initialNs.uts.hostname, child.ns.uts.hostname]).toEqual(['uktx', 'inner']);
    expect(await m.by(m.task, 'msgget', 77, 0o1600)).toBe(0);
    expect(await m.by(child, 'msgget', 77, 0o600)).toBe('ENOENT');
    const bind = async (t: GuestTask) => {
      const s = (await m.by(t, 'socket', 2, 1, 0)) as number;
      t.mem.writeU64(DATA, 0x901f_0002);
      t.mem.writeU64(DATA + 8, 0);
      return m.by(t, 'bind', s, DATA, 16);
    };
    expect([await bind(m.task), await bind(m.task), await bind(child)]).toEqual([0, 'EADDRINUSE', 0]);
  });

  it('begin with a loopback interface that is down, and can be brought up', async () => {
    const { child } = await m.fork(m.task, f.CLONE_NEWNET);
    const s = (await m.by(child, 'socket', 2, 1, 0)) as number;
    const { mem } = child;
    // struct sockaddr_in of 127.0.0.1:80, struct ifreq of lo with IFF_UP.
    mem.writeU64(DATA, 0x5000_0002);
    mem.writeU32(DATA + 4, 0x0100_007f);
    mem.writeU64(DATA + 8, 0);
    mem.copyOut(DATA + 64, Uint8Array.from([0x6c, 0x6f, ...new Array(14).fill(0), 1, ...new Array(23).fill(0)]));
    expect(await m.by(child, 'connect', s, DATA, 16)).toBe('ENETUNREACH');
    expect(await m.by(child, 'bind', s, DATA, 16)).toBe('EADDRNOTAVAIL');
    expect(await m.by(child, 'ioctl', s, 0x8914, DATA + 64)).toBe(0);
    expect(await m.by(child, 'bind', s, DATA, 16)).toBe(0);
    expect(child.ns.net.network.interfaces[0]!.addresses.map((a) => a.address)).toEqual(['127.0.0.1', '::1']);
    // That of the first namespace is not to be changed.
    const outside = (await m.by(m.task, 'socket', 2, 1, 0)) as number;
    m.mem.copyOut(DATA + 64, mem.copyIn(DATA + 64, 40));
    expect(await m.by(m.task, 'ioctl', outside, 0x8914, DATA + 64)).toBe('EPERM');
  });

  it('need CAP_SYS_ADMIN, or a user namespace first', async () => {
    m = new Namespaced(1000);
    for (const kind of ['uts', 'pid', 'mnt'] as const)
      expect(await m.by(m.task, 'unshare', NS_FLAGS[kind])).toBe('EPERM');
    expect(await m.path(m.task, 'mount', 'x', '/a', 'tmpfs', 0, 0)).toBe('EPERM');
    expect(await m.by(m.task, 'unshare', f.CLONE_NEWUSER | f.CLONE_NEWUTS | f.CLONE_NEWNS)).toBe(0);
    expect(await m.path(m.task, 'sethostname', 'mine', 4)).toBe(0);
    expect(await m.path(m.task, 'mount', 'x', '/a', 'tmpfs', 0, 0)).toBe(0);
    // What came along is not to be uncovered.
    expect(await m.path(m.task, 'umount2', '/proc', 0)).toBe('EINVAL');
    expect(await m.path(m.task, 'umount2', '/a', 0)).toBe(0);
  });
});

describe('user namespaces', () => {
  it('map ids', async () => {
    m = new Namespaced(1000);
    const { task } = m;
    expect(await m.by(task, 'unshare', f.CLONE_NEWUSER)).toBe(0);
    expect([await m.by(task, 'getuid'), await m.by(task, 'getegid')]).toEqual([65534, 65534]);
    expect(await m.by(task, 'setuid', 5)).toBe('EINVAL');
    expect(errnoNameOf(() => m.write(task, '/proc/self/uid_map', '0 999 1'))).toBe('EPERM');
    expect(errnoNameOf(() => m.write(task, '/proc/self/uid_map', '0 1000'))).toBe('EINVAL');
    expect(errnoNameOf(() => m.write(task, '/proc/self/gid_map', '0 1000 1'))).toBe('EPERM');
    m.write(task, '/proc/self/uid_map', '0 1000 1\n');
    m.write(task, '/proc/self/setgroups', 'deny');
    m.write(task, '/proc/self/gid_map', '7 1000 1\n');
    expect(errnoNameOf(() => m.write(task, '/proc/self/uid_map', '1 1000 1'))).toBe('EPERM');
    expect([await m.by(task, 'getuid'), await m.by(task, 'getgid')]).toEqual([0, 7]);
    expect(m.cat(task, '/proc/self/uid_map')).toBe('         0       1000          1\n');
    expect(await m.by(task, 'setgroups', 0, 0)).toBe('EPERM');
    // Root's files are nobody's, and capabilities do not reach them.
    expect(await m.path(task, 'stat', '/a', DATA)).toBe(0);
    expect(task.mem.readU32(DATA + 28)).toBe(65534);
    expect(await m.path(task, 'mkdir', '/a/x', 0o755)).toBe('EACCES');
    expect(await m.path(task, 'chown', '/a', 3, 3)).toBe('EINVAL');
  });

  it('give rights over what is inside, not over what is outside', async () => {
    const { child: a } = await m.fork(m.task, f.CLONE_NEWUSER | f.CLONE_NEWUTS);
    const { child: b } = await m.fork(m.task, f.CLONE_NEWUSER | f.CLONE_NEWUTS);
    expect(a.cred.capableIn(a.cred.userNs, 21)).toBe(true);
    expect(a.cred.capable(21)).toBe(false);
    expect(m.task.cred.capableIn(a.cred.userNs, 21)).toBe(true);
    const of = async (t: GuestTask, kind: string) => (await openNs(m.task, String(t.tid), kind)) as number;
    const [utsB, userA, utsA] = [await of(b, 'uts'), await of(a, 'user'), await of(a, 'uts')];
    expect(await m.by(m.task, 'setns', userA, 0)).toBe(0);
    expect(await m.by(m.task, 'setns', userA, 0)).toBe('EINVAL');
    expect(await m.by(m.task, 'setns', utsA, 0)).toBe(0);
    expect(await m.by(m.task, 'setns', utsB, 0)).toBe('EPERM');
  });
});
