import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { ArchiveError, archiveFromBytes, openArchive } from '../../../src/kernel/fs/archive.ts';
import type { FileSystem } from '../../../src/kernel/fs/inode.ts';
import { Overlay } from '../../../src/kernel/fs/overlay.ts';
import { Vfs } from '../../../src/kernel/fs/vfs.ts';
import { random } from '../mm/mem-file.ts';
import { Guest } from './fake-task.ts';

interface TarMember {
  name: string;
  type?: string;
  data?: string;
  link?: string;
  mode?: number;
  device?: [number, number];
  prefix?: string;
}

const block = (bytes: Buffer): Buffer => Buffer.concat([bytes, Buffer.alloc((512 - (bytes.length % 512)) % 512)]);

function tarMember({
  name,
  type = '0',
  data = '',
  link = '',
  mode = 0o644,
  device = [0, 0],
  prefix = '',
}: TarMember): Buffer {
  const h = Buffer.alloc(512);
  const octal = (n: number, at: number, length: number): unknown =>
    h.write(`${n.toString(8).padStart(length - 1, '0')}\0`, at, 'latin1');
  h.write(name, 0, 100, 'latin1');
  octal(mode, 100, 8);
  octal(7, 108, 8);
  octal(8, 116, 8);
  octal(data.length, 124, 12);
  octal(1_500_000_000, 136, 12);
  h.write(type, 156, 'latin1');
  h.write(link, 157, 100, 'latin1');
  h.write('ustar\x0000', 257, 'latin1');
  octal(device[0], 329, 8);
  octal(device[1], 337, 8);
  h.write(prefix, 345, 155, 'latin1');
  h.fill(' ', 148, 156);
  octal(
    h.reduce((a, b) => a + b, 0),
    148,
    7,
  );
  h[155] = 0x20;
  return Buffer.concat([h, block(Buffer.from(data, 'latin1'))]);
}
const tar = (...members: TarMember[]): Buffer => Buffer.concat([...members.map(tarMember), Buffer.alloc(1024)]);
const paxRecord = (key: string, value: string): string => {
  let length = key.length + value.length + 3;
  while (`${length}`.length + key.length + value.length + 3 !== length)
    length = `${length}`.length + key.length + value.length + 3;
  return `${length} ${key}=${value}\n`;
};

interface CpioMember {
  name: string;
  mode: number;
  data?: string;
  ino?: number;
  nlink?: number;
  rdev?: [number, number];
}
const pad4 = (b: Buffer): Buffer => Buffer.concat([b, Buffer.alloc((4 - (b.length % 4)) % 4)]);
function cpio(...members: CpioMember[]): Buffer {
  const one = ({ name, mode, data = '', ino = 0, nlink = 1, rdev = [0, 0] }: CpioMember): Buffer => {
    const fields = [ino, mode, 1, 2, nlink, 1_500_000_000, data.length, 0, 0, ...rdev, name.length + 1, 0];
    const head = `070701${fields.map((n) => n.toString(16).padStart(8, '0')).join('')}${name}\0`;
    return Buffer.concat([pad4(Buffer.from(head, 'latin1')), pad4(Buffer.from(data, 'latin1'))]);
  };
  return Buffer.concat([...members, { name: 'TRAILER!!!', mode: 0 }].map(one));
}

const view = (archive: FileSystem): Guest => new Guest(new Vfs(archive));
const GOOD_TAR = tar(
  { name: './', type: '5', mode: 0o755 },
  { name: './bin/', type: '5', mode: 0o750 },
  { name: './bin/tool', data: 'x'.repeat(1000), mode: 0o4755 },
  { name: 'bin/again', type: '1', link: './bin/tool' },
  { name: 'bin/sh', type: '2', link: 'tool' },
  { name: 'dev/null', type: '3', mode: 0o666, device: [1, 3] },
  { name: 'long', prefix: 'some/prefix', data: 'p' },
  { name: '././@LongLink', type: 'L', data: `${'d/'.repeat(80)}gnu\0` },
  { name: 'cut', data: 'gnu' },
  {
    name: 'pax',
    type: 'x',
    data: paxRecord('path', `p/${'q'.repeat(120)}`) + paxRecord('mtime', '1234567890.5') + paxRecord('size', '3'),
  },
  { name: 'cut', data: 'pax' },
);

describe('tar', () => {
  it('becomes a tree', () => {
    const guest = view(archiveFromBytes(GOOD_TAR));
    expect(guest.readFile('/bin/sh')).toBe('x'.repeat(1000));
    expect(guest.stat('/bin/tool')).toMatchObject({
      mode: 0o104755,
      nlink: 2,
      uid: 7,
      size: 1000,
      mtime: 1_500_000_000,
    });
    expect(guest.stat('/bin')).toMatchObject({ mode: 0o40750 });
    expect(guest.stat('/dev/null')).toMatchObject({ mode: 0o20666 });
    expect(guest.readFile('/some/prefix/long')).toBe('p');
    expect(guest.readFile(`/${'d/'.repeat(80)}gnu`)).toBe('gnu');
    expect(guest.readFile(`/p/${'q'.repeat(120)}`)).toBe('pax');
    expect(guest.stat(`/p/${'q'.repeat(120)}`)).toMatchObject({ mtime: 1_234_567_890 });
  });
  it('is read-only, and writable under an overlay', () => {
    const archive = archiveFromBytes(GOOD_TAR);
    expect(view(archive).show('unlink', '/bin/sh')).toBe('EROFS');
    expect(view(archive).show('open', '/bin/tool', 1)).toBe('EROFS');
    const overlay = new Overlay(archive);
    const guest = view(overlay);
    guest.writeFile('/bin/tool', 'mine');
    expect(guest.readFile('/bin/again')).toBe('mine');
    expect(overlay.changes().paths).toEqual(['/bin/tool']);
  });
  it('may be compressed, and stays on disk when it is not', () => {
    const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'uktx-tar-'));
    try {
      fs.writeFileSync(`${dir}/a.tar`, GOOD_TAR);
      fs.writeFileSync(`${dir}/a.tgz`, gzipSync(GOOD_TAR));
      for (const name of ['a.tar', 'a.tgz'])
        expect(view(openArchive(`${dir}/${name}`)).readFile('/bin/tool')).toHaveLength(1000);
    } finally {
      fs.rmSync(dir, { recursive: true });
    }
  });
  it.each([
    ['nothing', Buffer.alloc(0), 'empty'],
    ['only zeros', Buffer.alloc(1024), 'empty'],
    ['text', Buffer.from('not an archive at all'.repeat(100)), 'neither a tar nor a cpio'],
    ['a cut member', GOOD_TAR.subarray(0, 1024 + 512 + 600), 'truncated'],
    ['a way out', tar({ name: '../etc/passwd', data: 'x' }), "'..'"],
    ['a link to nowhere', tar({ name: 'a', type: '1', link: 'b' }), 'hard link'],
    ['bad gzip', Buffer.concat([Buffer.from([0x1f, 0x8b]), Buffer.alloc(50)]), 'gzip'],
    ['a huge size', tar({ name: 'x', type: 'x', data: paxRecord('size', '1e300') }, { name: 'f' }), 'truncated'],
  ])('refuses %s', (_, bytes, reason) => {
    expect(() => archiveFromBytes(bytes)).toThrow(ArchiveError);
    expect(() => archiveFromBytes(bytes)).toThrow(reason);
  });
});

const GOOD_CPIO = cpio(
  { name: '.', mode: 0o40755 },
  { name: 'init', mode: 0o100755, data: 'run' },
  { name: 'sbin/init', mode: 0o120777, data: '../init' },
  { name: 'one', mode: 0o100644, ino: 9, nlink: 2 },
  { name: 'two', mode: 0o100644, ino: 9, nlink: 2, data: 'shared' },
  { name: 'console', mode: 0o20600, rdev: [5, 1] },
);

describe('cpio', () => {
  it('becomes a tree', () => {
    const guest = view(archiveFromBytes(GOOD_CPIO));
    expect(guest.readFile('/sbin/init')).toBe('run');
    expect(guest.readFile('/one')).toBe('shared');
    expect(guest.stat('/two')).toMatchObject({ nlink: 2 });
    expect(guest.stat('/console')).toMatchObject({ mode: 0o20600 });
  });
  it('may be several in a row', () => {
    const both = Buffer.concat([GOOD_CPIO, Buffer.alloc(512), cpio({ name: 'more', mode: 0o100644, data: 'm' })]);
    expect(view(archiveFromBytes(gzipSync(both))).readFile('/more')).toBe('m');
  });
  it.each([
    ['a cut header', GOOD_CPIO.subarray(0, 50)],
    ['a cut member', GOOD_CPIO.subarray(0, GOOD_CPIO.indexOf('run') + 1)],
    ['an unknown type', cpio({ name: 'x', mode: 0o644 })],
  ])('refuses %s', (_, bytes) => {
    expect(() => archiveFromBytes(bytes)).toThrow(ArchiveError);
  });
});

describe('damaged archives', () => {
  it.each([
    ['tar', GOOD_TAR],
    ['cpio', GOOD_CPIO],
  ])('%s: an ArchiveError or a tree, never another exception', (_, good) => {
    const rnd = random(42);
    for (let i = 0; i < 400; i++) {
      const bytes = Buffer.from(good);
      for (let k = 0; k <= rnd(4); k++) bytes[rnd(bytes.length)] = rnd(256);
      try {
        const guest = view(archiveFromBytes(bytes.subarray(0, rnd(8) === 0 ? rnd(bytes.length) : bytes.length)));
        guest.list('/');
      } catch (e) {
        expect(e).toBeInstanceOf(ArchiveError);
      }
    }
  });
});
