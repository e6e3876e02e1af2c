/** `uktx prewarm` and bundles: what it finds in a stripped program, and that a first run with it is a second one. */
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { findBlocks } from '../../src/cli/prewarm/blocks.ts';
import { functionsOf, pointersOf } from '../../src/cli/prewarm/functions.ts';
import { BlockStore } from '../../src/runtime/cache/block-store.ts';
import { isaRuntime, loadIsa } from '../../src/runtime/isa.ts';
import { LinearMemory } from '../../src/runtime/linear-memory.ts';
import { packageRoot } from '../../src/runtime/package-root.ts';

const uktx = join(packageRoot(), 'bin/uktx');
const program = join(packageRoot(), 'test/guests/prebuilt/files-musl-static');
const ready = existsSync(program) && existsSync(join(packageRoot(), 'dist/worker/version'));
const SLOW = 120_000;

let scratch: string;
const env = (): NodeJS.ProcessEnv => {
  const { UKTX_CACHE: _, UKTX_CACHE_DIR: __, ...rest } = process.env;
  return rest;
};
const call = (...args: string[]) => spawnSync(uktx, args, { encoding: 'utf8', env: env() });

interface Summary {
  functions: number;
  translated: number;
  before: number;
  blocks: number;
  coveredBytes: number;
  failed: number;
}
function prewarm(folder: string): Summary {
  const r = call('prewarm', '--json', '--all', '--jobs=1', `--cache-dir=${folder}`, program);
  expect(r).toMatchObject({ status: 0, stderr: '' });
  return JSON.parse(r.stdout).images[0];
}
/** Blocks made, and taken from the cache, by a run. */
function blocks(folder: string): { blocks: number; stored: number } {
  const file = join(scratch, 'stats.json');
  const { status, stdout } = spawnSync(program, { encoding: 'utf8' });
  expect(call('run', `--cache-dir=${folder}`, `--stats-file=${file}`, program)).toMatchObject({ status, stdout });
  return JSON.parse(readFileSync(file, 'utf8')).translator;
}

beforeAll(() => {
  scratch = mkdtempSync(join(tmpdir(), 'uktx-prewarm-'));
});
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

describe.runIf(ready)('prewarm', () => {
  let warm: string;
  let first: Summary;
  beforeAll(() => {
    warm = join(scratch, 'warm');
    first = prewarm(warm);
  }, SLOW);

  it('translates functions of a program without symbols', () => {
    expect(first.functions).toBeGreaterThan(20);
    expect(first.translated).toBeGreaterThan(first.functions * 0.9);
    expect(first.coveredBytes).toBeGreaterThan(2000);
  });
  it('leaves next to nothing to be decoded by the first run', { timeout: SLOW }, () => {
    const cold = blocks(join(scratch, 'cold'));
    const now = blocks(warm);
    expect(now.blocks).toBeLessThan(cold.blocks / 5);
    expect(now.stored).toBeGreaterThan(cold.blocks / 2);
  });
  it('leaves nothing to be hashed by the first run', { timeout: SLOW }, () => {
    const folder = join(scratch, 'hashes');
    expect(call('prewarm', '--jobs=1', `--cache-dir=${folder}`, program)).toMatchObject({ status: 0 });
    const times = (): number[] => ['files', 'swept'].map((f) => statSync(join(folder, f)).ctimeMs);
    const before = readFileSync(join(folder, 'files'));
    const then = times();
    expect(call('run', `--cache-dir=${folder}`, program).stdout).toBe(spawnSync(program, { encoding: 'utf8' }).stdout);
    expect(readFileSync(join(folder, 'files'))).toEqual(before);
    expect(times()).toEqual(then);
  });
  it('does nothing twice', { timeout: SLOW }, () => {
    const again = prewarm(warm);
    expect(again.before).toBeGreaterThan(again.functions * 0.9);
    expect(again.translated).toBe(again.before);
  });
  it('makes anew what is damaged, and nothing else', { timeout: SLOW }, () => {
    const [version] = readdirSync(warm).filter((name) => name.startsWith('v1-'));
    for (const image of readdirSync(join(warm, version!)))
      for (const name of readdirSync(join(warm, version!, image))) {
        if (!name.endsWith('.idx')) continue;
        const file = join(warm, version!, image, name);
        const bytes = readFileSync(file);
        bytes[bytes.length - 1]! ^= 1;
        writeFileSync(file, bytes);
      }
    const again = prewarm(warm);
    expect(again.before).toBeGreaterThan(again.functions * 0.8);
    expect(again.before).toBeLessThan(again.translated);
    const third = prewarm(warm);
    expect(third.before).toBe(third.translated);
  });
  // Where the kill falls differs, and rarely one function more or less has a translation of its own then.
  it('goes on where it was killed', { timeout: SLOW, retry: 2 }, async () => {
    rmSync(join(scratch, 'killed'), { recursive: true, force: true });
    const folder = join(scratch, 'killed');
    for (const kill of [1500, 3000]) {
      const child = spawn(uktx, ['prewarm', '--all', `--cache-dir=${folder}`, program], {
        env: env(),
        stdio: 'ignore',
      });
      const timer = setTimeout(() => child.kill('SIGKILL'), kill);
      await new Promise((resolve) => child.on('close', resolve));
      clearTimeout(timer);
    }
    const whole = prewarm(folder);
    expect(whole.translated).toBe(first.translated);
    expect(call('cache', 'verify', `--cache-dir=${folder}`)).toMatchObject({ status: 0 });
  });
  it('serves another machine through a bundle, which is checked', { timeout: SLOW }, () => {
    const bundle = join(scratch, 'all.uktx');
    const other = join(scratch, 'other');
    expect(call('cache', 'export', bundle, `--cache-dir=${warm}`).status).toBe(0);
    expect(call('cache', 'import', bundle, `--cache-dir=${other}`).status).toBe(0);
    expect(call('cache', 'verify', `--cache-dir=${other}`).status).toBe(0);
    expect(blocks(other).blocks).toBe(0);
    const bytes = readFileSync(bundle);
    bytes[bytes.length >> 1]! ^= 4;
    writeFileSync(bundle, bytes);
    const third = join(scratch, 'third');
    expect(call('cache', 'import', bundle, `--cache-dir=${third}`).status).toBe(1);
    expect(JSON.parse(call('cache', 'ls', '--json', `--cache-dir=${third}`).stdout)).toEqual([]);
  });
  it('can have binaryen optimise', { timeout: SLOW }, () => {
    const folder = join(scratch, 'optimised');
    const r = call('prewarm', '--all', '-O', '2', '--json', `--cache-dir=${folder}`, program);
    expect(r.status).toBe(0);
    expect(JSON.parse(r.stdout).images[0].translated).toBe(first.translated);
    // Every entry of a block is hot: the translations run.
    const run = call('run', `--cache-dir=${folder}`, '--jit-sync', '--jit-threshold=1', program);
    expect(run.stdout).toBe(spawnSync(program, { encoding: 'utf8' }).stdout);
  });
});

const library = '/lib/x86_64-linux-gnu/libm.so.6';
describe('addresses of code in the data of a file', () => {
  it('are found in relocations of all kinds', () => {
    const file = Buffer.alloc(0x400);
    const word = (at: number, n: number): void => {
      file.writeBigUInt64LE(BigInt(n), at);
    };
    // A file header; one segment, of addresses from 0x10000 on; a section each for usual and packed relocations.
    file.writeUInt16LE(3, 16);
    word(32, 0x40);
    word(40, 0x100);
    file.writeUInt16LE(1, 56);
    file.writeUInt16LE(64, 58);
    file.writeUInt16LE(2, 60);
    file.writeUInt32LE(1, 0x40);
    for (const [k, n] of [0, 0x10000, 0x10000, 0x400].entries()) word(0x48 + 8 * k, n);
    for (const [k, [type, offset, size]] of [
      [4, 0x200, 72],
      [19, 0x280, 16],
    ].entries()) {
      file.writeUInt32LE(type!, 0x100 + 64 * k + 4);
      word(0x100 + 64 * k + 24, offset!);
      word(0x100 + 64 * k + 32, size!);
    }
    const rela = (at: number, place: number, type: number, symbol: number, addend: number): void => {
      word(at, place);
      word(at + 8, symbol * 2 ** 32 + type);
      word(at + 16, addend);
    };
    rela(0x200, 0x10300, 8, 0, 0x111);
    rela(0x218, 0x10308, 37, 0, 0x222);
    rela(0x230, 0x10310, 7, 5, 0);
    word(0x310, 0x333);
    // An address, and a bitmap: the first word behind it, then the third.
    word(0x280, 0x10320);
    file.writeUInt32LE(0b11, 0x288);
    word(0x320, 0x444);
    word(0x328, 0x555);
    expect([...pointersOf(file)].sort((a, b) => a - b)).toEqual([0x111, 0x222, 0x333, 0x444, 0x555]);
    file.writeUInt32LE(0b1001, 0x288);
    word(0x338, 0x666);
    expect([...pointersOf(file)].sort((a, b) => a - b)).toEqual([0x111, 0x222, 0x333, 0x444, 0x666]);
  });
});

describe('blocks behind indirect jumps', () => {
  it('are found by tables of distances from a label', async () => {
    await loadIsa('x86_64');
    const start = 0x40_1000;
    const label = start + 0x40;
    const table = 0x40_2000;
    const memory = new LinearMemory();
    const far = (from: number, to: number): number[] => [...new Uint8Array(Int32Array.of(to - from).buffer)];
    // lea rbx, [label]; lea rax, [table]; movsxd rcx, [rax + rdi * 4]; add rcx, rbx; jmp rcx
    const jump = [0x48, 0x8d, 0x1d, ...far(start + 7, label), 0x48, 0x8d, 0x05, ...far(start + 14, table)];
    const code = new Uint8Array(0x1000).fill(0xc3);
    code.set([...jump, 0x48, 0x63, 0x0c, 0xb8, 0x48, 0x01, 0xd9, 0xff, 0xe1]);
    memory.u8.set(code, start);
    memory.protect(start, start + 0x1000, 5);
    const entries = Array.from({ length: 9 }, (_, k) => 4 * k + 1);
    const data = { start: table, bytes: new Uint8Array(Int32Array.from([...entries, 0x7fff_ffff]).buffer) };
    const functions = [start, start + 0x200];
    const image = { file: 'x', start, end: start + 0x1000, offset: 0, key: null, bytes: code, pointers: [] };
    const store = new BlockStore(null);
    const found = await findBlocks(
      isaRuntime('x86_64'),
      memory,
      { ...image, isa: 'x86_64', functions, data: [data] },
      [],
      store,
    );
    expect([...found.jumpTargets].sort()).toEqual(entries.map((n) => label + n));
    for (const n of entries) expect(store.has(label + n)).toBe(true);
    expect(store.has(label + 2)).toBe(false);
  });
});

describe.runIf(ready && existsSync(library))('what prewarm is told', () => {
  it('translates what is likely to be hot, unless told to translate all', { timeout: SLOW }, () => {
    const r = call('prewarm', '--json', `--cache-dir=${join(scratch, 'likely')}`, program);
    const { images } = JSON.parse(r.stdout);
    expect(images[0].chosen).toBeGreaterThan(0);
    expect(images[0].chosen).toBeLessThan(images[0].functions);
    expect(images[0].translated).toBeGreaterThan(images[0].chosen * 0.9);
  });
  it('can be libraries that a program opens while it runs', { timeout: SLOW }, () => {
    const folder = join(scratch, 'opened');
    const inFolder = { ...env(), UKTX_CACHE_DIR: folder };
    const r = spawnSync(uktx, ['prewarm', '--json', program, library], { encoding: 'utf8', env: inFolder });
    // A static program opens none.
    expect(r).toMatchObject({ status: 1 });
    expect(r.stderr).toContain('does not load it');
    const alone = spawnSync(uktx, ['prewarm', library], { encoding: 'utf8', env: inFolder });
    expect(alone).toMatchObject({ status: 2 });
    expect(alone.stderr).toContain('PROGRAM');
  });
  it('is said to be wrong without a trace of the stack', () => {
    const { status, stderr } = call('prewarm', '/no/such/file', `--cache-dir=${join(scratch, 'none')}`);
    expect(status).toBe(1);
    expect(stderr).toContain('ENOENT');
    expect(stderr).not.toMatch(/\n\s+at /);
    expect(call('prewarm', `--cache-dir=${join(scratch, 'none')}`).status).toBe(2);
    expect(call('prewarm', '--rootfs=/no/such', program, `--cache-dir=${join(scratch, 'none')}`).status).toBe(1);
  });
});

describe('function discovery', () => {
  it('survives any bytes', () => {
    const good = existsSync(program) ? readFileSync(program) : Buffer.alloc(1000, 0x7f);
    for (let k = 0; k < 300; k++) {
      const bad = Buffer.from(good.subarray(0, k % 3 === 0 ? k * 37 : good.length));
      for (let j = 0; j < 8 && bad.length > 64; j++)
        bad[(k * 131 + j * 17) % (j < 6 ? 64 : bad.length)]! ^= 0xff >> (j & 3);
      expect(functionsOf(bad).has(Number.NaN)).toBe(false);
      expect(pointersOf(bad).has(Number.NaN)).toBe(false);
    }
  });
});
