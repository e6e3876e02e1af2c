import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { HostFs } from '../../../src/kernel/fs/hostfs.ts';
import { Overlay } from '../../../src/kernel/fs/overlay.ts';
import { Vfs } from '../../../src/kernel/fs/vfs.ts';
import { BUFFER, Guest } from './fake-task.ts';

let lower: string;
let overlay: Overlay;
let guest: Guest;
beforeEach(() => {
  lower = fs.mkdtempSync(path.join(os.tmpdir(), 'uktx-overlay-'));
  fs.mkdirSync(`${lower}/dir/sub`, { recursive: true });
  fs.writeFileSync(`${lower}/file`, 'lower');
  fs.writeFileSync(`${lower}/dir/a`, 'a');
  fs.writeFileSync(`${lower}/dir/sub/deep`, 'deep');
  fs.linkSync(`${lower}/file`, `${lower}/twin`);
  fs.symlinkSync('file', `${lower}/link`);
  overlay = new Overlay(new HostFs(lower, { readOnly: true }));
  guest = new Guest(new Vfs(overlay));
});
afterEach(() => fs.rmSync(lower, { recursive: true, force: true }));
const changes = (): string[] => overlay.changes().paths;
type Status = { ino: number; dev: number; nlink: number; mode: number; size: number };
const stat = (p: string): Status => guest.stat(p) as Status;

describe('overlay', () => {
  it('changes nothing by reading', () => {
    expect(guest.readFile('/link')).toBe('lower');
    expect(guest.list('/dir')).toContain('sub');
    expect(overlay.changes()).toEqual({ files: 0, paths: [] });
  });
  it('copies up on write and keeps numbers', () => {
    const before = stat('/dir/a');
    const fd = guest.open('/dir/a', 0o2001);
    guest.call('write', fd, guest.put('+'), 1);
    expect(guest.readFile('/dir/a')).toBe('a+');
    expect(fs.readFileSync(`${lower}/dir/a`, 'utf8')).toBe('a');
    expect(stat('/dir/a')).toMatchObject({ ino: before.ino, dev: before.dev, nlink: 1, size: 2 });
    expect(overlay.changes()).toEqual({ files: 1, paths: ['/dir/a'] });
  });
  it('shows a reader what is written later', () => {
    const reader = guest.open('/dir/a');
    guest.writeFile('/dir/a', 'new text');
    expect(guest.call('read', reader, BUFFER, 100)).toBe(8);
    guest.call('unlink', '/dir/a');
    expect(guest.call('pread64', reader, BUFFER, 3, 0)).toBe(3);
    expect(guest.text(BUFFER, 3)).toBe('new');
    expect(guest.call('fstat', reader, BUFFER)).toBe(0);
  });
  it('keeps a removed lower file readable', () => {
    const reader = guest.open('/dir/a');
    guest.call('unlink', '/dir/a');
    expect(guest.stat('/dir/a')).toBe('ENOENT');
    expect(guest.call('read', reader, BUFFER, 100)).toBe(1);
    expect(changes()).toEqual(['/dir/a']);
    guest.writeFile('/dir/a', 'again');
    expect(guest.readFile('/dir/a')).toBe('again');
    expect(fs.readFileSync(`${lower}/dir/a`, 'utf8')).toBe('a');
  });
  it('changes attributes without the lower file noticing', () => {
    guest.call('chmod', '/file', 0o600);
    guest.call('chown', '/dir', 12, 34);
    expect(stat('/file').mode & 0o777).toBe(0o600);
    expect(guest.stat('/dir')).toMatchObject({ uid: 12 });
    expect(guest.readFile('/file')).toBe('lower');
    expect(fs.statSync(`${lower}/file`).mode & 0o777).not.toBe(0o600);
  });
  it('keeps hard links of the lower tree together', () => {
    expect(stat('/twin')).toMatchObject({ nlink: 2, ino: stat('/file').ino });
    guest.writeFile('/file', 'both');
    expect(guest.readFile('/twin')).toBe('both');
    guest.call('unlink', '/file');
    expect(guest.readFile('/twin')).toBe('both');
    expect(stat('/twin').nlink).toBe(1);
    guest.call('link', '/twin', '/third');
    expect(stat('/third')).toMatchObject({ nlink: 2 });
  });
  it('moves directories without copying them', () => {
    guest.writeFile('/dir/sub/new', 'n');
    expect(guest.show('rename', '/dir', '/moved')).toBe(0);
    expect(guest.stat('/dir')).toBe('ENOENT');
    expect(guest.readFile('/moved/sub/deep')).toBe('deep');
    expect(guest.readFile('/moved/sub/new')).toBe('n');
    expect(overlay.budget.used).toBeLessThanOrEqual(4096);
    guest.call('mkdir', '/dir', 0o755);
    expect(guest.list('/dir')).toEqual(['.', '..']);
    guest.writeFile('/moved/sub/deep', 'changed');
    expect(guest.readFile('/moved/sub/deep')).toBe('changed');
    expect(fs.readFileSync(`${lower}/dir/sub/deep`, 'utf8')).toBe('deep');
  });
  it('removes directories only when they look empty', () => {
    expect(guest.show('rmdir', '/dir/sub')).toBe('ENOTEMPTY');
    guest.call('unlink', '/dir/sub/deep');
    expect(guest.show('rmdir', '/dir/sub')).toBe(0);
    expect(stat('/dir').nlink).toBe(2);
    guest.call('mkdir', '/dir/sub', 0o755);
    expect(guest.list('/dir/sub')).toEqual(['.', '..']);
    expect(stat('/dir').nlink).toBe(3);
  });
  it('sees what the host changes below', () => {
    fs.writeFileSync(`${lower}/dir/late`, 'late');
    expect(guest.readFile('/dir/late')).toBe('late');
    fs.writeFileSync(`${lower}/dir/late`, 'later');
    expect(guest.readFile('/dir/late')).toBe('later');
    fs.rmSync(`${lower}/dir/late`);
    expect(guest.stat('/dir/late')).toBe('ENOENT');
  });
  it('stops at its limit', () => {
    fs.writeFileSync(`${lower}/big`, new Uint8Array(200_000));
    const small = new Guest(new Vfs(new Overlay(new HostFs(lower, { readOnly: true }), 100_000)));
    expect(small.show('open', '/big', 1)).toBe('ENOSPC');
    expect(small.show('open', '/big', 0o1001)).toBe(0);
    expect(small.stat('/big')).toMatchObject({ size: 0 });
  });
  it('counts what is left at the end, and not what was there before', () => {
    guest.call('mkdir', '/mountpoint', 0o755);
    overlay.forgetChanges();
    guest.writeFile('/tmp', 'x');
    guest.call('unlink', '/tmp');
    guest.call('mkdir', '/empty', 0o755);
    guest.call('mkdir', '/full', 0o755);
    guest.writeFile('/full/f', '');
    guest.call('symlink', 'x', '/s');
    expect(changes()).toEqual(['/empty', '/full/f', '/s']);
  });
  it('holds names that are not UTF-8, and attributes of lower files', () => {
    fs.writeFileSync(Buffer.from(`${lower}/\xff\xfe`, 'latin1'), 'bytes');
    expect(guest.list('/')).toContain('\xff\xfe');
    expect(guest.readFile('/\xff\xfe')).toBe('bytes');
    expect(guest.show('setxattr', '/file', 'user.x', guest.put('1'), 1, 0)).toBe(0);
    expect(guest.show('getxattr', '/file', 'user.x', 0, 0)).toBe(1);
  });
});

describe('a host folder mounted read-write', () => {
  let host: Guest;
  beforeEach(() => {
    host = new Guest(new Vfs(new HostFs(lower)));
  });
  it('is written to', () => {
    host.writeFile('/dir/a', 'written');
    host.call('symlink', 'x', '/dir/s\xff');
    host.call('mkdir', '/dir/new', 0o700);
    expect(fs.readFileSync(`${lower}/dir/a`, 'utf8')).toBe('written');
    expect(fs.readlinkSync(Buffer.from(`${lower}/dir/s\xff`, 'latin1'))).toBe('x');
    expect(fs.statSync(`${lower}/dir/new`).mode & 0o777).toBe(0o700);
  });
  it('makes files of any mode and still writes them', () => {
    const fd = host.open('/secret', 0o301, 0o400);
    expect(host.call('write', fd, host.put('x'), 1)).toBe(1);
    expect(fs.statSync(`${lower}/secret`).mode & 0o777).toBe(0o400);
  });
  it('shows times to the nanosecond and sets them to the microsecond', () => {
    const times = new BigInt64Array([1_600_000_000n, 123_456_000n, 1_600_000_001n, 5_000n]);
    expect(host.show('utimensat', -100, '/dir/a', new Uint8Array(times.buffer), 0)).toBe(0);
    expect(host.stat('/dir/a')).toMatchObject({ mtime: 1_600_000_001 });
    const { atimeNs } = fs.statSync(`${lower}/dir/a`, { bigint: true });
    expect(Math.abs(Number(atimeNs - 1_600_000_000_123_456_000n))).toBeLessThan(1000);
  });
  it('keeps removed files that are open', () => {
    const fd = host.open('/dir/a', 2);
    host.call('unlink', '/dir/a');
    expect(host.call('read', fd, BUFFER, 10)).toBe(1);
    expect(host.call('fstat', fd, BUFFER)).toBe(0);
    expect(host.show('ftruncate', fd, 5)).toBe(0);
  });
  it('refuses what Node cannot do', () => {
    expect(host.show('mknod', '/device', 0o020644, 0x103)).toBe('EPERM');
    expect(host.show('mknod', '/fifo', 0o010644, 0)).toBe(0);
    expect(host.show('setxattr', '/file', 'user.x', host.put('1'), 1, 0)).toBe('EOPNOTSUPP');
  });
  it('read-only refuses every change', () => {
    const ro = new Guest(new Vfs(new HostFs(lower, { readOnly: true })));
    for (const [name, ...args] of [
      ['unlink', '/file'],
      ['mkdir', '/n', 0o755],
      ['rename', '/file', '/g'],
      ['chmod', '/file', 0o600],
      ['truncate', '/file', 0],
      ['open', '/file', 1],
      ['open', '/new', 0o101, 0o644],
      ['symlink', 'x', '/y'],
      ['link', '/file', '/z'],
      ['access', '/file', 2],
    ] as [string, ...(string | number)[]][]) {
      expect(ro.show(name, ...args), name).toBe('EROFS');
    }
    expect(ro.show('mkdir', '/dir', 0o755)).toBe('EEXIST');
  });
});
