import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { DevFs } from '../../../src/kernel/fs/devfs.ts';
import { buildRoot } from '../../../src/kernel/fs/root.ts';
import { Tmpfs } from '../../../src/kernel/fs/tmpfs.ts';
import { Guest } from './fake-task.ts';

let folder: string;
beforeEach(() => {
  folder = fs.realpathSync(fs.mkdtempSync(path.join(os.tmpdir(), 'uktx-root-')));
  fs.mkdirSync(`${folder}/rootfs/etc`, { recursive: true });
  fs.mkdirSync(`${folder}/vol`);
  fs.writeFileSync(`${folder}/rootfs/etc/name`, 'inner');
  fs.writeFileSync(`${folder}/vol/v`, 'volume');
});
afterEach(() => fs.rmSync(folder, { recursive: true, force: true }));

describe('buildRoot', () => {
  it('shows the host, and keeps writes to itself', () => {
    const { vfs, overlay } = buildRoot();
    const guest = new Guest(vfs);
    expect(guest.readFile(`${folder}/vol/v`)).toBe('volume');
    guest.writeFile(`${folder}/vol/v`, 'changed');
    expect(fs.readFileSync(`${folder}/vol/v`, 'utf8')).toBe('volume');
    expect(overlay.changes()).toEqual({ files: 1, paths: [`${folder}/vol/v`] });
  });
  it('mounts volumes where they belong', () => {
    const { vfs, overlay } = buildRoot({
      rootfs: { path: `${folder}/rootfs` },
      volumes: [
        { src: `${folder}/vol`, dst: '/data/in', readOnly: true },
        { src: `${folder}/vol`, dst: '/data/rw', readOnly: false },
        { src: `${folder}/vol/v`, dst: '/data/one', readOnly: false },
      ],
      proc: new Tmpfs(),
      dev: new Tmpfs(),
    });
    const guest = new Guest(vfs);
    expect(guest.readFile('/etc/name')).toBe('inner');
    expect(guest.readFile('/data/in/v')).toBe('volume');
    expect(guest.show('unlink', '/data/in/v')).toBe('EROFS');
    guest.writeFile('/data/one', 'new');
    expect(guest.readFile('/data/rw/v')).toBe('new');
    expect(fs.readFileSync(`${folder}/vol/v`, 'utf8')).toBe('new');
    guest.writeFile('/dev/shm/x', '');
    guest.writeFile('/tmp/y', '');
    expect(overlay.changes().paths).toEqual(['/tmp/y']);
    expect(vfs.mounts().map((m) => m.path)).toEqual([
      '/',
      '/proc',
      '/dev',
      '/dev/shm',
      '/data/in',
      '/data/rw',
      '/data/one',
    ]);
    expect(fs.existsSync(`${folder}/rootfs/data`)).toBe(false);
  });
  it('lets /dev/shm hold half of the memory', () => {
    const { vfs } = buildRoot({ rootfs: { path: `${folder}/rootfs` }, dev: new DevFs(), guestMemory: 2 ** 20 });
    const { fs: shm } = vfs.lookup('/dev/shm').mount;
    expect(shm.statfs().blocks * shm.statfs().bsize).toBe(2 ** 19);
  });
  it('mounts the working folder read-write', () => {
    const guest = new Guest(buildRoot({ rw: folder }).vfs);
    guest.writeFile(`${folder}/made`, 'kept');
    expect(fs.readFileSync(`${folder}/made`, 'utf8')).toBe('kept');
    expect(guest.show('rename', `${folder}/made`, '/tmp/made')).toBe('EXDEV');
  });
  it.each([
    [
      'a missing volume',
      { volumes: [{ src: '/nowhere/at/all', dst: '/x', readOnly: false }] },
      'volume /nowhere/at/all at /x: not found',
    ],
    ['a relative place', { volumes: [{ src: '/', dst: 'x', readOnly: false }] }, 'absolute path'],
    ['a missing root', { rootfs: { path: '/nowhere' } }, 'root file system /nowhere: not found'],
    ['a root that is none', { rootfs: { path: process.execPath } }, 'neither a tar nor a cpio archive'],
    ['a device', { rootfs: { path: '/dev/null' } }, 'neither a directory nor an archive'],
    ['dots', { volumes: [{ src: '/', dst: '/a/../b', readOnly: false }] }, "'..'"],
  ])('refuses %s with one line', (_, options, message) => {
    expect(() => buildRoot(options)).toThrow(message);
  });
});
