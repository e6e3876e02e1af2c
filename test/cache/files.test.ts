/** The parts of the code cache, without a guest. */
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Packr } from 'msgpackr';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { BlockStore } from '../../src/runtime/cache/block-store.ts';
import { sealed, unsealed } from '../../src/runtime/cache/checked.ts';
import { CacheFolder } from '../../src/runtime/cache/folder.ts';
import { hostTraits } from '../../src/runtime/cache/host-traits.ts';
import {
  type CachedModule,
  IndexView,
  mergeIndexes,
  parseIndex,
  toPacked,
} from '../../src/runtime/cache/index-file.ts';
import { encodeIndex, mergeIntoFile } from '../../src/runtime/cache/index-writer.ts';
import { unpack } from '../../src/runtime/cache/msgpack.ts';
import { encodeProfile, parseProfile } from '../../src/runtime/cache/profile.ts';
import type { Block } from '../../src/translator/ir/block.ts';
import { hostFusesMadd } from '../../src/translator/wasm/fma-probe.ts';
import { hostNansAreX86 } from '../../src/translator/wasm/nan-probe.ts';

let scratch: string;
beforeAll(() => {
  scratch = mkdtempSync(join(tmpdir(), 'uktx-cache-'));
});
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

const module = (wasm: string, ...pcs: number[]): CachedModule => ({
  wasm: wasm.padStart(64, '0'),
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
  links: [1, 2, 0xefff_ffff],
  tables: Uint8Array.of(9, 8),
});

/** Every single bit flipped, and every length cut. */
function* damaged(file: Buffer): Generator<Buffer> {
  for (let at = 0; at < file.length; at++) {
    const copy = Buffer.from(file);
    copy[at]! ^= 1 << (at % 8);
    yield copy;
  }
  for (let length = 0; length < file.length; length++) yield file.subarray(0, length);
}

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
    expect(parsed.map((m) => ({ ...m, guest: [...m.guest], tables: [...m.tables] }))).toEqual(
      index.map((m) => ({ ...m, guest: [...m.guest], tables: [...m.tables] })),
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
    const index = (words: number[], data: Buffer): Buffer =>
      sealed('UKTXIDX2', Buffer.concat([new Uint8Array(Uint32Array.from(words).buffer), data]));
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
    expect(unsealed('UKTXIDX2', file)).toBeNull();
  });
});

describe('stored blocks', () => {
  const block = (pc: number): Block =>
    ({
      pc,
      end: pc + 7,
      insts: [],
      exit: { kind: 'call', target: 5, slot: 0, returnPc: pc + 7 },
      exitPc: pc,
      guestInstructions: 3,
    }) as Block;
  const guest = Uint8Array.from({ length: 0x4000 }, (_, k) => (k * 7) & 0xff);
  const template = { words: Uint32Array.of(11, 0, 33, 44, 55, 66), links: [{ word: 4, op: 8 }] };
  const store = (): BlockStore => {
    const s = new BlockStore(null);
    for (const pc of [0x1000, 0x1203, 0x1100]) s.add(block(pc), template, pc === 0x1100, guest);
    return s;
  };
  const file = (): Buffer => Buffer.concat(store().encode());
  const aligned = (b: Buffer): Buffer => Buffer.from(new Uint8Array(b).buffer as ArrayBuffer);

  it('come back with their links at the new place', () => {
    for (const s of [store(), new BlockStore(aligned(file()))]) {
      const u32 = new Uint32Array(64);
      expect(s.load(0x1203, guest, u32, 80)).toEqual({
        pc: 0x1203,
        end: 0x120a,
        exit: 'call',
        returnPc: 0x120a,
        guestInstructions: 3,
        float: false,
        words: 6,
        firstLink: 88,
        secondLink: 0,
      });
      // The link word holds the address of its op, and the op that of the word.
      expect([...u32.subarray(20, 26)]).toEqual([11, 88, 33, 84, 55, 66]);
      expect(s.load(0x1100, guest, u32, 80)?.float).toBe(true);
      expect(s.load(0x1100, guest, u32, 80, true)).toBeNull();
      expect(s.load(0x1001, guest, u32, 80)).toBeNull();
    }
  });
  it('come back from a file that is read in parts', () => {
    const s = new BlockStore(null);
    const long = { words: Uint32Array.from({ length: 4000 }, (_, k) => k), links: [] };
    for (let k = 0; k < 1500; k++) s.add(block(0x1000 + k * 8), long, false, guest);
    const whole = aligned(Buffer.concat(s.encode()));
    let read = 0;
    const parts = new BlockStore({
      size: whole.length,
      read(at, length) {
        read += length;
        return aligned(whole.subarray(at, at + length));
      },
    });
    const u32 = new Uint32Array(5000);
    for (const k of [0, 700, 1499]) {
      expect(parts.load(0x1000 + k * 8, guest, u32, 80)?.words).toBe(4000);
      expect(u32[20 + 3999]).toBe(3999);
    }
    expect(read).toBeLessThan(whole.length / 10);
    expect(Buffer.concat(parts.encode()).equals(whole)).toBe(true);
    expect(parts.rejected).toBe(0);
  });
  it('are not used for other guest bytes', () => {
    const s = new BlockStore(aligned(file()));
    for (let k = 0; k < 7; k++) {
      const other = Uint8Array.from(guest);
      other[0x1203 + k]! ^= 1;
      expect(s.load(0x1203, other, new Uint32Array(64), 80)).toBeNull();
    }
    expect(s.rejected).toBe(0);
  });
  it('are not used with two words damaged in their highest bits', () => {
    const good = aligned(file());
    const words = new Uint32Array(good.buffer as ArrayBuffer, good.byteOffset, good.length / 4);
    const first = 4 + 2 * 3;
    const size = (words.length - first) / 3;
    for (let a = 1; a < size; a++)
      for (let b = a + 1; b < size; b++) {
        const bad = Buffer.from(new Uint8Array(good).buffer as ArrayBuffer);
        const changed = new Uint32Array(bad.buffer as ArrayBuffer, bad.byteOffset, bad.length / 4);
        for (let r = first; r < words.length; r += size) for (const k of [a, b]) changed[r + k]! ^= 0x8000_0000;
        const s = new BlockStore(bad);
        for (const pc of [0x1000, 0x1100, 0x1203]) expect(s.load(pc, guest, new Uint32Array(64), 80)).toBeNull();
        expect(s.rejected).toBe(3);
      }
  });
  it('are right or not there when any bit of the file has changed', () => {
    const good = new Map<number, string>();
    const read = (s: BlockStore, pc: number): string | null => {
      const u32 = new Uint32Array(64);
      const found = s.load(pc, guest, u32, 80);
      return found && JSON.stringify([found, ...u32]);
    };
    for (const pc of [0x1000, 0x1100, 0x1203]) good.set(pc, read(store(), pc)!);
    let missing = 0;
    for (const bad of damaged(file())) {
      const s = new BlockStore(aligned(bad));
      for (const [pc, wanted] of good) {
        const found = read(s, pc);
        if (found === null) missing++;
        else expect(found).toBe(wanted);
      }
    }
    expect(missing).toBeGreaterThan(100);
  });
});

describe('the folder', () => {
  const open = (path: string, mode: 'rw' | 'ro' = 'rw'): { folder: CacheFolder | null; said: string[] } => {
    const said: string[] = [];
    return { folder: CacheFolder.open(path, mode, (m) => said.push(m)), said };
  };
  it('is made private', () => {
    const { folder } = open(join(scratch, 'new/deeper'));
    expect(folder!.write(folder!.file('v/i/x'), Buffer.from('y'))).toBe(true);
    expect(folder!.read(folder!.file('v/i/x'))!.toString()).toBe('y');
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
