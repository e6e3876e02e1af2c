import { beforeEach, describe, expect, it } from 'vitest';
import { cloneFlags as f } from '../../../src/kernel/task/clone.ts';
import type { GuestTask } from '../../../src/kernel/task/guest-task.ts';
import { Namespaced } from './fixture.ts';

const MS = { RDONLY: 1, NODEV: 4, NOEXEC: 8, REMOUNT: 32, BIND: 4096, MOVE: 8192, REC: 16384 };
const PRIVATE = 1 << 18;
const SHARED = 1 << 20;
const SLAVE = 1 << 19;
const UNBINDABLE = 1 << 17;
const O_CREAT_W = 0o101;

let m: Namespaced;
let task: GuestTask;
beforeEach(async () => {
  m = new Namespaced();
  task = (await m.fork(m.task, f.CLONE_NEWNS)).child;
});
const mount = (source: string | number, target: string, type: string | number, flags = 0, data: string | number = 0) =>
  m.path(task, 'mount', source, target, type, flags, data);
const umount = (target: string, flags = 0) => m.path(task, 'umount2', target, flags);
const create = (path: string) => m.path(task, 'open', path, O_CREAT_W, 0o644);
const exists = (path: string, by = task) => m.path(by, 'access', path, 0);
const mounts = (by = task) =>
  m
    .cat(by, '/proc/self/mounts')
    .split('\n')
    .map((line) => line.split(' ').slice(0, 4).join(' '))
    .filter((line) => / \/[abc] /.test(line));

describe('mount', () => {
  it('concerns the own namespace alone', async () => {
    expect(await mount(0, '/', 0, PRIVATE | MS.REC)).toBe(0);
    expect(await mount('tm', '/a', 'tmpfs', MS.NODEV, 'size=64k,mode=700')).toBe(0);
    await m.by(task, 'close', (await create('/a/f')) as number);
    expect(mounts()).toEqual(['tm /a tmpfs rw,nodev,relatime,size=64k,mode=700']);
    expect(mounts(m.task)).toEqual([]);
    expect(await exists('/a/f', m.task)).toBe('ENOENT');
    expect(await umount('/a')).toBe(0);
    expect(await exists('/a/f')).toBe('ENOENT');
  });

  it('binds, remounts and moves', async () => {
    await mount('tm', '/a', 'tmpfs');
    for (const name of ['x', 'y']) await m.path(task, 'mkdir', `/a/${name}`, 0o755);
    await m.by(task, 'close', (await create('/a/x/f')) as number);
    expect(await mount('/a/x', '/b', 0, MS.BIND)).toBe(0);
    expect(await exists('/b/f')).toBe(0);
    expect(await mount(0, '/b', 0, MS.REMOUNT | MS.BIND | MS.RDONLY)).toBe(0);
    expect(await create('/b/g')).toBe('EROFS');
    expect(await mount('/b', '/c', 0, MS.MOVE)).toBe(0);
    expect([await exists('/c/f'), await exists('/b/f')]).toEqual([0, 'ENOENT']);
    expect(await mount('/a', '/a/y', 0, MS.MOVE)).toBe('ELOOP');
    expect(m.cat(task, '/proc/self/mountinfo')).toContain(' /x /c ro,relatime - tmpfs tm rw\n');
    // With all that is mounted below.
    expect(await mount('/', '/b', 0, MS.BIND | MS.REC)).toBe(0);
    expect([await exists('/b/c/f'), await exists('/b/proc/self')]).toEqual([0, 0]);
    expect(await umount('/b')).toBe('EBUSY');
    expect(await umount('/b', 2)).toBe(0);
  });

  it('has the errnos of mount(2) and umount(2)', async () => {
    await create('/a/file');
    expect(await mount('x', '/a', 'nosuchfs')).toBe('ENODEV');
    expect(await mount('x', '/a', 0)).toBe('EINVAL');
    expect(await mount('x', '/a', 'tmpfs', 0, 'foo=1')).toBe('EINVAL');
    expect(await mount('x', '/a/file', 'tmpfs')).toBe('ENOTDIR');
    expect(await mount('x', '/none', 'tmpfs')).toBe('ENOENT');
    expect(await mount(0, '/a', 0, PRIVATE)).toBe('EINVAL');
    expect(await mount(0, '/', 0, PRIVATE | SHARED)).toBe('EINVAL');
    expect(await mount('/a', '/b', 0, MS.MOVE)).toBe('EINVAL');
    expect(await umount('/a')).toBe('EINVAL');
    expect(await umount('/', 2)).toBe('EINVAL');
    expect(await umount('/proc', 64)).toBe('EINVAL');
    await mount('x', '/a', 'tmpfs');
    await m.path(task, 'chdir', '/a');
    expect(await umount('/a')).toBe('EBUSY');
    await m.path(task, 'chdir', '/');
    expect([await umount('/a', 4), await umount('/a', 4)]).toEqual(['EAGAIN', 0]);
  });

  it('counts the inodes of a tmpfs', async () => {
    await mount('x', '/a', 'tmpfs', 0, 'nr_inodes=3');
    const fd = await create('/a/1');
    await m.by(task, 'close', (await create('/a/2')) as number);
    expect(await create('/a/3')).toBe('ENOSPC');
    // An open file counts even without a name.
    await m.path(task, 'unlink', '/a/1');
    expect(await create('/a/3')).toBe('ENOSPC');
    await m.by(task, 'close', fd as number);
    expect(await m.path(task, 'mkdir', '/a/3', 0o755)).toBe(0);
    expect(await m.path(task, 'rmdir', '/a/3')).toBe(0);
    expect(await create('/a/3')).toBeTypeOf('number');
  });

  it('changes roots', async () => {
    await mount('x', '/a', 'tmpfs');
    await m.path(task, 'mkdir', '/a/old', 0o755);
    expect(await m.path(task, 'pivot_root', '/b', '/b')).toBe('EBUSY');
    expect(await m.path(task, 'pivot_root', '/a', '/a/old')).toBe(0);
    expect([await exists('/old/b'), await exists('/b')]).toEqual([0, 'ENOENT']);
    expect(await umount('/old', 2)).toBe(0);
    expect(await exists('/old/b')).toBe('ENOENT');
    expect(await exists('/b', m.task)).toBe(0);
  });

  it('does not uncover what a more privileged namespace has mounted', async () => {
    await mount('x', '/a', 'tmpfs', 1);
    task = (await m.fork(task, f.CLONE_NEWUSER | f.CLONE_NEWNS)).child;
    expect(await umount('/a')).toBe('EINVAL');
    expect(await mount(0, '/a', 0, MS.REMOUNT | MS.BIND)).toBe('EPERM');
    expect(await mount('/', '/b', 0, MS.BIND)).toBe('EINVAL');
    expect(await mount('/', '/b', 0, MS.BIND | MS.REC)).toBe(0);
    expect(await umount('/b/a')).toBe('EINVAL');
    expect(await mount(0, '/b/a', 0, MS.REMOUNT | MS.BIND)).toBe('EPERM');
    expect(await umount('/b', 2)).toBe(0);
    // A root that was left may go, as whole.
    await mount('y', '/c', 'tmpfs');
    await m.path(task, 'mkdir', '/c/old', 0o755);
    expect(await m.path(task, 'pivot_root', '/c', '/c/old')).toBe(0);
    expect([await umount('/old/a'), await umount('/old', 2)]).toEqual(['EINVAL', 0]);
  });

  it('happens to peers and slaves, and ends there', async () => {
    await mount('x', '/a', 'tmpfs');
    await m.path(task, 'mkdir', '/a/x', 0o755);
    expect(await mount(0, '/a', 0, SHARED)).toBe(0);
    await mount('/a', '/b', 0, MS.BIND);
    await mount('/a', '/c', 0, MS.BIND);
    expect(await mount(0, '/c', 0, SLAVE)).toBe(0);
    const peer = (await m.fork(task, f.CLONE_NEWNS)).child;
    expect(await mount('y', '/b/x', 'tmpfs')).toBe(0);
    for (const place of ['/a/x', '/b/x', '/c/x'])
      for (const who of [task, peer]) expect(m.cat(who, '/proc/self/mountinfo')).toContain(` / ${place} rw,`);
    const optional = (path: string): string =>
      / ((?:\w+:\d+ )*)- /.exec(
        m
          .cat(task, '/proc/self/mountinfo')
          .split('\n')
          .find((l) => l.includes(` ${path} `))!,
      )![1]!;
    expect(optional('/a')).toMatch(/^shared:\d+ $/);
    expect(optional('/b')).toBe(optional('/a'));
    expect(optional('/c')).toBe(optional('/a').replace('shared', 'master'));
    // What is mounted on the slave concerns nobody else.
    await mount('z', '/c/x', 'tmpfs');
    expect(await umount('/c/x')).toBe(0);
    expect(await umount('/a/x')).toBe(0);
    for (const who of [task, peer]) expect(m.cat(who, '/proc/self/mountinfo')).not.toMatch(/ \/[abc]\/x /);
    expect(await mount(0, '/b', 0, UNBINDABLE)).toBe(0);
    expect(await mount('/b', '/c/x', 0, MS.BIND)).toBe('EINVAL');
  });

  it('ends with the last process of the namespace', async () => {
    await mount('x', '/a', 'tmpfs');
    const a = m.kernel.vfs.lookup('/a').dentry;
    expect(a.mounts).toHaveLength(1);
    m.end(task);
    expect(a.mounts).toBeNull();
  });
});
