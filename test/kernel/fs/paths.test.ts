import { beforeEach, describe, expect, it } from 'vitest';
import { detachedPath } from '../../../src/kernel/fs/fs-context.ts';
import type { Inode, MagicTarget } from '../../../src/kernel/fs/inode.ts';
import { MemSymlink } from '../../../src/kernel/fs/mem-inode.ts';
import { Tmpfs } from '../../../src/kernel/fs/tmpfs.ts';
import { Vfs } from '../../../src/kernel/fs/vfs.ts';
import { BUFFER, Guest } from './fake-task.ts';

const O_CREAT = 0o100;
const O_EXCL = 0o200;
const O_DIRECTORY = 0o200000;
const O_NOFOLLOW = 0o400000;
const O_PATH = 0o10000000;
const O_TMPFILE = 0o20200000;

let fs: Tmpfs;
let vfs: Vfs;
let guest: Guest;
beforeEach(() => {
  fs = new Tmpfs({ mode: 0o755 });
  vfs = new Vfs(fs);
  guest = new Guest(vfs);
});
const mkdirs = (...paths: string[]): void => {
  for (const p of paths) guest.call('mkdir', p, 0o755);
};

describe('path resolution', () => {
  it('follows 40 symlinks and no more', () => {
    guest.writeFile('/end', 'x');
    for (let i = 0; i < 41; i++) guest.call('symlink', i === 0 ? 'end' : `l${i - 1}`, `/l${i}`);
    expect(guest.readFile('/l39')).toBe('x');
    expect(guest.readFile('/l40')).toBe('ELOOP');
  });
  it('limits names to 255 and paths to 4095 bytes', () => {
    expect(guest.show('mkdir', `/${'n'.repeat(255)}`, 0o755)).toBe(0);
    expect(guest.show('mkdir', `/${'n'.repeat(256)}`, 0o755)).toBe('ENAMETOOLONG');
    guest.writeFile('/a', '');
    expect(guest.stat(`${'./'.repeat(2047)}a`)).toMatchObject({ size: 0 });
    expect(guest.stat('./'.repeat(2048))).toBe('ENAMETOOLONG');
  });
  it('resolves `..` at the root and out of mounts', () => {
    mkdirs('/m', '/m/x');
    vfs.mount(new Tmpfs(), '/m');
    mkdirs('/m/sub');
    expect(guest.stat('/m/x')).toBe('ENOENT');
    expect(guest.list('/m/sub/../..')).toContain('m');
    expect(guest.list('/../../m/sub/..')).toContain('sub');
    expect(guest.show('rmdir', '/m')).toBe('EBUSY');
    expect(guest.show('rename', '/m', '/n')).toBe('EBUSY');
    expect(guest.show('rename', '/m/sub', '/sub')).toBe('EXDEV');
    guest.writeFile('/f', '');
    expect(guest.show('link', '/f', '/m/f')).toBe('EXDEV');
  });
  it('creates through a dangling link, but not exclusively', () => {
    guest.call('symlink', 'target', '/link');
    expect(guest.show('open', '/link', O_CREAT | O_EXCL | 1, 0o644)).toBe('EEXIST');
    expect(guest.show('open', '/link', O_CREAT | O_NOFOLLOW | 1, 0o644)).toBe('ELOOP');
    guest.writeFile('/link', 'through');
    expect(guest.readFile('/target')).toBe('through');
  });
  it('stays inside a changed root', () => {
    mkdirs('/jail', '/jail/in', '/out');
    guest.call('symlink', '/out', '/jail/abs');
    expect(guest.show('chroot', '/jail')).toBe(0);
    expect(guest.show('chdir', '/in')).toBe(0);
    expect(guest.cwd()).toBe('/in');
    expect(guest.list('/../../..')).toEqual(guest.list('/'));
    expect(guest.stat('/abs', 0)).toBe('ENOENT');
    expect(guest.show('chdir', '..')).toBe(0);
    expect(guest.cwd()).toBe('/');
  });
  it('tells a directory outside the root', () => {
    mkdirs('/jail', '/out');
    guest.call('chdir', '/out');
    guest.call('chroot', '/jail');
    expect(guest.cwd()).toBe('(unreachable)/out');
  });
  it('takes descriptors of directories as a start', () => {
    mkdirs('/d');
    const fd = guest.open('/d', O_DIRECTORY);
    expect(guest.show('mkdirat', fd, 'e', 0o755)).toBe(0);
    expect(guest.show('mkdirat', 77, 'e', 0o755)).toBe('EBADF');
    expect(guest.show('mkdirat', 77, '/d/f', 0o755)).toBe(0);
    guest.writeFile('/file', '');
    expect(guest.show('mkdirat', guest.open('/file'), 'e', 0o755)).toBe('ENOTDIR');
    expect(guest.list('/d')).toEqual(['.', '..', 'f', 'e']);
  });
});

describe('names of open files', () => {
  const nameOf = (fd: number): string => guest.task.files.getAny(fd).path;
  it('follow renames and tell deletion', () => {
    mkdirs('/d');
    guest.writeFile('/d/f', 'x');
    const fd = guest.open('/d/f');
    expect(nameOf(fd)).toBe('/d/f');
    guest.call('rename', '/d', '/e');
    expect(nameOf(fd)).toBe('/e/f');
    guest.call('rename', '/e/f', '/g');
    expect(nameOf(fd)).toBe('/g');
    guest.writeFile('/h', '');
    guest.call('rename', '/h', '/g');
    expect(nameOf(fd)).toBe('/g (deleted)');
    expect(guest.call('read', fd, BUFFER, 10)).toBe(1);
  });
  it('survive the pruning of unused dentries', () => {
    mkdirs('/d');
    guest.writeFile('/d/f', 'x');
    const fd = guest.open('/d/f');
    for (let i = 0; i < 25_000; i++) guest.call('mknod', `/n${i}`, 0o100644, 0);
    guest.call('rename', '/d', '/e');
    guest.call('rename', '/e/f', '/e/g');
    expect(nameOf(fd)).toBe('/e/g');
    expect(guest.stat('/n7')).toMatchObject({ nlink: 1 });
  });
  it('tells a removed working directory', () => {
    mkdirs('/w');
    guest.call('chdir', '/w');
    guest.call('rmdir', '/w');
    expect(guest.cwd()).toBe('ENOENT');
    expect(guest.show('open', 'f', O_CREAT | 1, 0o644)).toBe('ENOENT');
    expect(guest.stat('.')).toMatchObject({ nlink: 0 });
  });
  it('gives an unnamed file a name', () => {
    mkdirs('/d');
    const fd = guest.open('/d', O_TMPFILE | 2, 0o600);
    expect(nameOf(fd)).toMatch(/^\/d\/#\d+ \(deleted\)$/);
    expect((guest.call('fcntl', fd, 3, 0) as number) & O_TMPFILE).toBe(O_TMPFILE);
    guest.call('write', fd, guest.put('hi'), 2);
    expect(guest.show('linkat', fd, '', -100, '/d/named', 0x1000)).toBe(0);
    expect(guest.readFile('/d/named')).toBe('hi');
    expect(guest.show('open', '/d', O_TMPFILE, 0)).toBe('EINVAL');
    expect(guest.show('open', '/d', O_TMPFILE | O_CREAT | 2, 0o600)).toBe('EINVAL');
  });
});

describe('magic links and O_PATH', () => {
  /** A link that leads to `target`, as /proc/self/fd has them. */
  function addMagic(name: string, target: MagicTarget): void {
    const link = new MemSymlink(fs, 'elsewhere', 0, 0) as MemSymlink & { magicTarget: Inode['magicTarget'] };
    link.magicTarget = () => target;
    fs.root().enter(name, link);
  }
  it('lead to the place itself', () => {
    guest.writeFile('/f', 'kept');
    const fd = guest.open('/f', 0);
    guest.call('unlink', '/f');
    addMagic('magic', { kind: 'file', file: guest.task.files.get(fd) });
    expect(guest.readFile('/magic')).toBe('kept');
    expect(guest.readlink('/magic')).toBe('elsewhere');
    expect(guest.show('open', '/magic', O_NOFOLLOW)).toBe('ELOOP');
    addMagic('place', { kind: 'inode', inode: fs.root(), path: '/somewhere' });
    expect(guest.list('/place')).toContain('magic');
    expect(detachedPath(fs.root(), 'x').dentry.name).toBe('x');
  });
  it('O_PATH allows what open(2) lists and nothing else', () => {
    guest.writeFile('/f', 'x');
    guest.call('symlink', 'f', '/l');
    const fd = guest.open('/f', O_PATH);
    expect(guest.show('read', fd, BUFFER, 1)).toBe('EBADF');
    expect(guest.show('fchmod', fd, 0o600)).toBe('EBADF');
    expect(guest.show('ioctl', fd, 0x541b, BUFFER)).toBe('EBADF');
    expect(guest.show('fstat', fd, BUFFER)).toBe(0);
    expect(guest.call('dup', fd)).toBeGreaterThan(fd);
    expect(guest.call('fcntl', fd, 3)).toBe(O_PATH);
    const link = guest.open('/l', O_PATH | O_NOFOLLOW);
    expect(guest.call('readlinkat', link, '', BUFFER, 10)).toBe(1);
  });
});

describe('openat2', () => {
  const open2 = (dirfd: number, path: string, resolve: number, flags = 0): number | string => {
    const how = new BigUint64Array([BigInt(flags), 0n, BigInt(resolve)]);
    return guest.show('openat2', dirfd, path, new Uint8Array(how.buffer), 24);
  };
  it('keeps to the limits it is given', () => {
    mkdirs('/d', '/d/e', '/m');
    vfs.mount(new Tmpfs(), '/m');
    guest.writeFile('/d/f', '');
    guest.call('symlink', '/d/f', '/d/abs');
    guest.call('symlink', 'f', '/d/rel');
    const fd = guest.open('/d', O_DIRECTORY);
    const BENEATH = 8;
    const IN_ROOT = 16;
    expect(open2(fd, 'e/../f', BENEATH)).toBeTypeOf('number');
    expect(open2(fd, '../d/f', BENEATH)).toBe('EXDEV');
    expect(open2(fd, 'abs', BENEATH)).toBe('EXDEV');
    expect(open2(fd, '../f', IN_ROOT)).toBeTypeOf('number');
    expect(open2(fd, '/f', IN_ROOT)).toBeTypeOf('number');
    expect(open2(fd, 'rel', 4)).toBe('ELOOP');
    expect(open2(-100, '/m', 1)).toBe('EXDEV');
    expect(open2(fd, 'f', 0x100)).toBe('EINVAL');
    expect(open2(fd, 'f', BENEATH | IN_ROOT)).toBe('EINVAL');
    expect(open2(fd, 'f', 0, 0x4000_0000)).toBe('EINVAL');
  });
  it('checks the size of its structure', () => {
    expect(guest.show('openat2', -100, '/', new Uint8Array(16), 16)).toBe('EINVAL');
    expect(guest.show('openat2', -100, '/', new Uint8Array(32), 32)).toBeTypeOf('number');
    expect(guest.show('openat2', -100, '/', new Uint8Array(32).fill(1, 24), 32)).toBe('E2BIG');
  });
});

describe('permissions of an ordinary user', () => {
  let user: Guest;
  beforeEach(() => {
    mkdirs('/open', '/priv', '/sticky');
    guest.call('chmod', '/open', 0o777);
    guest.call('chmod', '/priv', 0o700);
    guest.call('chmod', '/sticky', 0o1777);
    guest.writeFile('/open/root', 'r');
    guest.writeFile('/sticky/root', 'r');
    guest.writeFile('/secret', 's');
    guest.call('chmod', '/secret', 0o600);
    user = new Guest(vfs, { uid: 1000 });
  });
  it('are those of path_resolution(7)', () => {
    expect(user.readFile('/secret')).toBe('EACCES');
    expect(user.show('access', '/secret', 4)).toBe('EACCES');
    expect(user.stat('/secret')).toMatchObject({ size: 1 });
    expect(user.stat('/priv/x')).toBe('EACCES');
    expect(user.show('open', '/new', O_CREAT | 1, 0o644)).toBe('EACCES');
    expect(user.show('open', '/open/root', 1)).toBe('EACCES');
    expect(user.show('unlink', '/open/root')).toBe(0);
    expect(user.show('unlink', '/sticky/root')).toBe('EPERM');
    expect(user.show('rename', '/sticky/root', '/sticky/x')).toBe('EPERM');
    expect(user.show('chroot', '/open')).toBe('EPERM');
    expect(user.show('mknod', '/open/dev', 0o020600, 0x103)).toBe('EPERM');
  });
  it('own what they make, and may open it whatever its mode', () => {
    const fd = user.open('/open/mine', O_CREAT | 2, 0o000);
    expect(fd).toBeGreaterThanOrEqual(0);
    expect(user.stat('/open/mine')).toMatchObject({ uid: 1000, mode: 0o100000 });
    expect(user.show('open', '/open/mine', 0)).toBe('EACCES');
    expect(user.show('chmod', '/open/mine', 0o644)).toBe(0);
    expect(user.show('chmod', '/secret', 0o644)).toBe('EPERM');
    expect(user.show('chown', '/open/mine', 0, -1 >>> 0)).toBe('EPERM');
  });
  it('lose set-user-ID by writing', () => {
    user.writeFile('/open/s', 'x');
    user.call('chmod', '/open/s', 0o4755);
    const fd = user.open('/open/s', 1);
    user.call('write', fd, user.put('y'), 1);
    expect(user.stat('/open/s')).toMatchObject({ mode: 0o100755 });
  });
});
