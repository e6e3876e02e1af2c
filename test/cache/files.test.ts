/** The parts of the code cache, without a guest. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  existsSync,
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join, relative } from 'node:path';
import { Packr } from 'msgpackr';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { damaged } from '../support/damaged.ts';
import { checksum, unsealed } from '../../src/runtime/cache/checked.ts';
import { CacheFolder } from '../../src/runtime/cache/folder.ts';
import { hostTraits } from '../../src/runtime/cache/host-traits.ts';
import {
  type CachedModule,
  indexHead,
  IndexView,
  mergeIndexes,
  parseIndex,
  toPacked,
} from '../../src/runtime/cache/index-file.ts';
import { encodeIndex, mergeIntoFile } from '../../src/runtime/cache/index-writer.ts';
import { unpack } from '../../src/runtime/cache/msgpack.ts';
import { encodeProfile, parseProfile } from '../../src/runtime/cache/profile.ts';
import { hostFusesMadd } from '../../src/translator/wasm/fma-probe.ts';
import { hostNansAreX86 } from '../../src/translator/wasm/nan-probe.ts';

let scratch: string;
beforeAll(() => {
  scratch = mkdtempSync(join(tmpdir(), 'uktx-cache-'));
});
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

const module = (wasm: string, ...pcs: number[]): CachedModule => ({
  wasm: wasm.padStart(64, '0'),
  sum: Uint8Array.of(4, 5),
  guest: Uint8Array.of(1, 2, 3),
  regions: pcs.map((pc) => ({
    pc,
    name: `g${pc.toString(16)}`,
    ranges: [
      [pc, pc + 20],
      [pc + 30, pc + 40],
    ],
    guestInstructions: 7,
    raisesFloatFlags: pc % 2 === 1,
    entries: [{ pc: pc + 4, name: 'further' }],
  })),
  looked: [[0xe000_0000, 0xe000_0010]],
  // What lies behind a branch may be no code, and call whatever.
  links: [1, 2, 0xefff_ffff, 2 ** 40],
  tables: Uint8Array.of(9, 8),
});

describe('MessagePack', () => {
  it('reads what msgpackr writes', () => {
    const values = [
      [0, 127, 128, 255, 256, 65535, 65536, 2 ** 32 - 1, 2 ** 40, -1, -32, -33, -200, -40000, 1.5, -0.25],
      ['', 'a', 'x'.repeat(31), 'y'.repeat(32), 'ü'.repeat(300), 'z'.repeat(70_000)],
      Array.from({ length: 20 }, (_, k) => k),
      Array.from({ length: 70_000 }, (_, k) => k & 7),
      [null, true, false],
      { a: 1, b: { c: [2] } },
    ];
    const packr = new Packr({ useRecords: false });
    for (const value of values) expect(unpack(packr.pack(value) as Buffer)).toEqual(value);
    expect(unpack(packr.pack(Buffer.from([1, 2, 3])) as Buffer)).toEqual(Buffer.from([1, 2, 3]));
  });
  it('refuses what is cut off, too deep or too long, and allocates nothing for it', () => {
    for (const hostile of [
      [0xdd, 0xff, 0xff, 0xff, 0xff],
      [0xdf, 0xff, 0xff, 0xff, 0xff],
      [0xc6, 0x7f, 0, 0, 0],
      [0xc1],
      [1, 1],
      [],
    ])
      expect(() => unpack(Buffer.from(hostile))).toThrow(RangeError);
    expect(() => unpack(Buffer.alloc(100, 0x91))).toThrow(RangeError);
  });
});

describe('the index', () => {
  it('comes back as it was written', () => {
    const index = [module('a', 0x1000, 0x2001), module('b', 0xefff_0000)];
    const parsed = parseIndex(encodeIndex(index))!;
    expect(parsed.map((m) => ({ ...m, sum: [...m.sum], guest: [...m.guest], tables: [...m.tables] }))).toEqual(
      index.map((m) => ({ ...m, sum: [...m.sum], guest: [...m.guest], tables: [...m.tables] })),
    );
  });
  it('is refused when any bit or its length has changed', () => {
    for (const file of damaged(encodeIndex([module('a', 0x1000)]))) expect(parseIndex(file)).toBeNull();
  });
  it('is refused when it is well sealed and makes no sense', () => {
    const packr = new Packr({ useRecords: false });
    const hostile = [
      null,
      5,
      [5],
      [1, 2, 3],
      ['x'.repeat(64)],
      ['a'.repeat(64), Buffer.of(1), [[-1]], [], [], Buffer.of()],
    ];
    const index = (words: number[], data: Buffer): Buffer => {
      const sum = checksum(data);
      const sums = words.length === 5 ? [sum.readUInt32LE(0), sum.readUInt32LE(4)] : [];
      return Buffer.concat([indexHead(Uint32Array.from([...words, ...sums])), data]);
    };
    for (const value of hostile) {
      const data = packr.pack(value) as Buffer;
      const view = IndexView.open(index([1, 1, 0x1000, 0, data.length], data))!;
      expect(view.get(0x1000)).toBeNull();
      expect(view.all()).toBeNull();
    }
    const good = packr.pack(toPacked(module('a', 0x1000))) as Buffer;
    expect(IndexView.open(index([1, 1, 0x1000, 0, good.length], good))!.get(0x1000)).not.toBeNull();
    for (const words of [
      [1, 1, 0x1000, 7, good.length],
      [1, 1, 0x1000, 0, 0xffff_ffff],
      [1, 1, 0x1000, 0, good.length - 1],
      [1, 1, 0x1001, 0, good.length],
    ])
      expect(IndexView.open(index(words, good))?.get(0x1000) ?? null).toBeNull();
    for (const words of [[], [1], [0xffff_ffff, 0xffff_ffff], [1, 0xffff_ffff, 1, 2]])
      expect(IndexView.open(index(words, Buffer.alloc(0)))).toBeNull();
  });
  it('prefers newer modules, and drops those that nothing is left of', () => {
    const a = module('a', 0x1000);
    const both = module('b', 0x1000, 0x2000);
    expect(mergeIndexes([a], [both])).toEqual([both]);
    expect(mergeIndexes([both], [a]).map((m) => m.wasm)).toEqual([both.wasm, a.wasm]);
    expect(mergeIndexes([a], [a])).toEqual([a]);
  });
  it('waits for who writes to it, unless nobody does', async () => {
    const folder = CacheFolder.open(join(scratch, 'turns'), 'rw', () => {})!;
    const file = folder.file('image', 'null.idx');
    expect(folder.locked(file, () => existsSync(`${file}.lock`))).toBe(true);
    expect(existsSync(`${file}.lock`)).toBe(false);
    const made = `printf '%s\\n' $$ > "$1.lock"; touch -d '-3 seconds' "$1.lock"`;
    const sh = (script: string): ChildProcess =>
      spawn('sh', ['-c', script, 'sh', file], { stdio: ['pipe', 'pipe', 'ignore'] });
    const slow = sh(`${made}; echo; sleep 0.3; touch "$1.written"; rm "$1.lock"`);
    await once(slow.stdout!, 'data');
    expect(folder.locked(file, () => existsSync(`${file}.written`))).toBe(true);
    const killed = sh(`${made}; kill -9 $$`);
    await once(killed, 'exit');
    expect(existsSync(`${file}.lock`)).toBe(true);
    const start = performance.now();
    folder.locked(file, () => {});
    expect(performance.now() - start).toBeLessThan(4000);
    expect(existsSync(`${file}.lock`)).toBe(false);
  });
  it('keeps what several writers have added', async () => {
    const folder = CacheFolder.open(join(scratch, 'merge'), 'rw', () => {})!;
    for (let k = 0; k < 20; k++)
      expect(mergeIntoFile(folder, 'v/i', 'x.idx', [module(k.toString(16), 0x1000 * k)])).toBe(true);
    expect(parseIndex(folder.read(folder.file('v/i', 'x.idx'))!)).toHaveLength(20);
    expect(readdirSync(join(scratch, 'merge/v/i'))).toEqual(['x.idx']);
  });
});

describe('other files', () => {
  it('have checksums', () => {
    const profile = { hot: new Set([1, 2, 0xffff_ffff]), jumpTargets: new Set([7]) };
    const file = encodeProfile(profile);
    expect(parseProfile(file)).toEqual(profile);
    for (const bad of damaged(file)) expect(parseProfile(bad)).toBeNull();
    expect(unsealed('UKTXIDX4', file)).toBeNull();
  });
});

describe('the folder', () => {
  const open = (path: string, mode: 'rw' | 'ro' = 'rw'): { folder: CacheFolder | null; said: string[] } => {
    const said: string[] = [];
    return { folder: CacheFolder.open(path, mode, (m) => said.push(m)), said };
  };
  it.runIf(existsSync('/proc/self'))('is not used where none can be made, and that is said once', () => {
    const { folder, said } = open('/proc/no-such-folder/below');
    expect(folder).toBeNull();
    expect(said).toHaveLength(1);
    expect(open(join(scratch, 'some/way/down')).folder).not.toBeNull();
  });
  it('is made private', () => {
    const { folder } = open(join(scratch, 'new/deeper'));
    expect(folder!.write(folder!.file('v/i/x'), Buffer.from('y'))).toBe(true);
    expect(folder!.read(folder!.file('v/i/x'))!.toString()).toBe('y');
  });
  it.each(['', './', '../'])('may be given by a path that is relative or not in its shortest form: %s', (way) => {
    const name = relative(process.cwd(), join(scratch, 'relative'));
    for (const path of [
      `${way}${way === '../' ? join(basename(process.cwd()), name) : name}`,
      `${scratch}/below/${way}other/`,
    ]) {
      const { folder, said } = open(path);
      expect(folder!.write(folder!.file('v/i/x'), Buffer.from(way))).toBe(true);
      expect(folder!.read(folder!.file('v/i/x'))!.toString()).toBe(way);
      expect(said).toEqual([]);
      rmSync(folder!.path, { recursive: true });
    }
  });
  it('is not used when others can write to it, or to a file or folder in it', () => {
    const path = join(scratch, 'shared');
    mkdirSync(path);
    chmodSync(path, 0o777);
    expect(open(path)).toMatchObject({ folder: null, said: [expect.stringContaining('only you')] });
    chmodSync(path, 0o755);
    const { folder, said } = open(path);
    mkdirSync(join(path, 'v'));
    chmodSync(join(path, 'v'), 0o775);
    writeFileSync(join(path, 'v/x'), 'y', { mode: 0o600 });
    writeFileSync(join(path, 'z'), 'y');
    chmodSync(join(path, 'z'), 0o666);
    expect(folder!.read(folder!.file('v/x'))).toBeNull();
    expect(folder!.read(folder!.file('z'))).toBeNull();
    expect(folder!.write(folder!.file('v/y'), Buffer.from('y'))).toBe(false);
    expect(said).toHaveLength(1);
  });
  it('does not follow symbolic links', () => {
    const path = join(scratch, 'links');
    const { folder } = open(path);
    writeFileSync(join(path, 'real'), 'y', { mode: 0o600 });
    symlinkSync('real', join(path, 'link'));
    mkdirSync(join(path, 'folder'), { mode: 0o700 });
    writeFileSync(join(path, 'folder/x'), 'y', { mode: 0o600 });
    symlinkSync('folder', join(path, 'other'));
    expect(folder!.read(folder!.file('link'))).toBeNull();
    expect(folder!.read(folder!.file('other/x'))).toBeNull();
    expect(folder!.read(folder!.file('folder/x'))).not.toBeNull();
  });
  it('stays as it is in mode ro', () => {
    expect(open(join(scratch, 'absent'), 'ro')).toEqual({ folder: null, said: [] });
    const path = join(scratch, 'ro');
    mkdirSync(path);
    const { folder } = open(path, 'ro');
    expect(folder!.write(folder!.file('x'), Buffer.from('y'))).toBe(false);
    expect(readdirSync(path)).toEqual([]);
  });
  it('does no harm when it is a file', () => {
    const path = join(scratch, 'file');
    writeFileSync(path, '');
    expect(open(path).folder).toBeNull();
    expect(open(join(path, 'below'))).toMatchObject({ folder: null, said: [expect.stringContaining('ENOTDIR')] });
  });
});

it('knows of the host what the translator knows', () => {
  expect(hostTraits()).toBe(`${hostNansAreX86() ? 'n' : '-'}${hostFusesMadd() ? 'f' : '-'}`);
});
