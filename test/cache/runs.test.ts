/** Runs with a code cache: what is kept is used, and whatever happens to the cache, results are right. */
import { type SpawnSyncReturns, spawn, spawnSync } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { CacheStats } from '../../src/runtime/cache/code-cache.ts';
import { packageRoot } from '../../src/runtime/package-root.ts';

const uktx = join(packageRoot(), 'bin/uktx');
const program = '/usr/bin/sha256sum';
const ready =
  process.platform === 'linux' && existsSync(program) && existsSync(join(packageRoot(), 'dist/worker/version'));

let scratch: string;
let input: string;
let wanted: string;
/** A cache in which all that is hot is. */
let full: string;

interface Stats {
  cache: CacheStats;
  regions: { modules: number; translateMs: number };
  translator: { blocks: number; stored: number };
}

const env = (): NodeJS.ProcessEnv => {
  const { UKTX_CACHE: _, UKTX_CACHE_DIR: __, ...rest } = process.env;
  return rest;
};
const flags = (folder: string, more: readonly string[] = []): string[] => [
  'run',
  `--cache-dir=${folder}`,
  '--jit-sync',
  '--jit-threshold=1500',
  ...more,
  program,
  input,
];
function run(folder: string, ...more: string[]): SpawnSyncReturns<string> {
  return spawnSync(uktx, flags(folder, more), { encoding: 'utf8', env: env() });
}
function stats(folder: string, ...more: string[]): Stats {
  const file = join(scratch, 'stats.json');
  expect(run(folder, `--stats-file=${file}`, ...more)).toMatchObject({ status: 0, stdout: wanted, stderr: '' });
  return JSON.parse(readFileSync(file, 'utf8'));
}
const filesIn = (folder: string): string[] =>
  readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((f) => statSync(join(folder, f)).isFile())
    .sort();

beforeAll(() => {
  if (!ready) return;
  scratch = mkdtempSync(join(tmpdir(), 'uktx-cache-'));
  input = join(scratch, 'input');
  writeFileSync(input, Buffer.alloc(150_000, 'some text to be hashed\n'));
  wanted = spawnSync(program, [input], { encoding: 'utf8' }).stdout;
  full = join(scratch, 'full');
  let last = stats(full);
  expect(last.cache).toMatchObject({ hits: 0, loads: 0, blocksLoaded: 0 });
  expect(last.cache.kept).toBeGreaterThan(0);
  // What a run has made last is lost when it ends before the worker has written it.
  for (let k = 0; k < 8 && last.cache.kept > 0; k++) last = stats(full);
  expect(last.cache.kept).toBe(0);
});
afterAll(() => ready && rmSync(scratch, { recursive: true, force: true }));

describe.runIf(ready)('a run with a code cache', () => {
  it('translates nothing that is in it', () => {
    const { cache, regions, translator } = stats(full, '--cache=ro');
    expect(cache.hits).toBeGreaterThan(0);
    expect(cache).toMatchObject({ rejected: 0, kept: 0 });
    expect(regions).toMatchObject({ translateMs: 0, modules: cache.loads });
    expect(translator.blocks).toBeLessThan(translator.stored / 50);
  });
  it.runIf(existsSync('/bin/bash'))("keeps what has copies of another file's functions in it", () => {
    const folder = join(scratch, 'copies');
    const file = join(scratch, 'copies.json');
    const bash = (): Stats => {
      // Each word takes bash to strlen and the like, in the C library.
      const script = 'for ((k = 0; k < 1500; k++)); do w="$k and more"; [ "$w" = other ] && echo "$w"; done';
      const how = [`--cache-dir=${folder}`, `--stats-file=${file}`, '--jit-sync', '--jit-threshold=1500'];
      // Node's pipes are sockets, which have bash take itself for a remote shell, and read ~/.bashrc.
      const { status, stderr } = spawnSync(uktx, ['run', ...how, '/bin/bash', '--norc', '-c', script], {
        encoding: 'utf8',
        env: env(),
      });
      expect({ status, stderr }).toEqual({ status: 1, stderr: '' });
      return JSON.parse(readFileSync(file, 'utf8'));
    };
    let last = bash();
    for (let k = 0; k < 8 && last.cache.kept > 0; k++) last = bash();
    expect(last.cache.hits).toBeGreaterThan(0);
    expect(last.cache).toMatchObject({ rejected: 0, kept: 0 });
    expect(last.regions.translateMs).toBe(0);
  });
  it('writes nothing in mode ro, and does nothing in mode off', () => {
    const folder = join(scratch, 'ro');
    mkdirSync(folder);
    expect(stats(folder, '--cache=ro').cache.kept).toBe(0);
    expect(filesIn(folder)).toEqual([]);
    expect(stats(folder, '--cache=off').cache).toBeUndefined();
    expect(filesIn(folder)).toEqual([]);
  });
  it('has its translations for each way of checking memory accesses apart', () => {
    const folder = join(scratch, 'modes');
    cpSync(full, folder, { recursive: true });
    const { cache } = stats(folder, '--memory-checks=full');
    expect(cache.hits).toBe(0);
    expect(cache.blocksLoaded).toBeGreaterThan(0);
  });

  /** One damage each, to a copy of the full cache. */
  const damages: Record<string, (folder: string, files: string[]) => void> = {
    'flipped bits in every file': (folder, files) => {
      for (const f of files) {
        const bytes = readFileSync(join(folder, f));
        for (let k = 1; k <= 9; k++) bytes[Math.floor((bytes.length * k) / 10)]! ^= 0x10;
        writeFileSync(join(folder, f), bytes);
      }
    },
    'cut off files': (folder, files) => {
      for (const f of files) truncateSync(join(folder, f), statSync(join(folder, f)).size >> 1);
    },
    'empty files': (folder, files) => {
      for (const f of files) truncateSync(join(folder, f), 0);
    },
    'images with the files of another': (folder) => {
      const version = join(folder, readdirSync(folder).find((f) => f.startsWith('v'))!);
      const images = readdirSync(version).map((f) => join(version, f));
      const contents = images.map((_, k) => join(folder, `moved${k}`));
      images.forEach((image, k) => {
        renameSync(image, contents[k]!);
      });
      images.forEach((image, k) => {
        renameSync(contents[(k + 1) % images.length]!, image);
      });
    },
    'no code files': (folder, files) => {
      for (const f of files) if (f.endsWith('.wasm')) rmSync(join(folder, f));
    },
    'code files with the names of others': (folder, files) => {
      const code = files.filter((f) => f.endsWith('.wasm')).map((f) => join(folder, f));
      const contents = code.map((f) => readFileSync(f));
      code.forEach((f, k) => {
        writeFileSync(f, contents[(k + 1) % code.length]!);
      });
    },
    'folders where files should be': (folder, files) => {
      for (const f of files) {
        rmSync(join(folder, f));
        mkdirSync(join(folder, f));
      }
    },
    'files that others can write to': (folder, files) => {
      for (const f of files) chmodSync(join(folder, f), 0o666);
    },
  };
  for (const [name, damage] of Object.entries(damages))
    it(`is right with ${name}, and says at most one line`, () => {
      const folder = join(scratch, 'damaged');
      rmSync(folder, { recursive: true, force: true });
      cpSync(full, folder, { recursive: true });
      damage(folder, filesIn(folder));
      const r = run(folder);
      expect(r).toMatchObject({ status: 0, stdout: wanted });
      expect(r.stderr).toMatch(/^(uktx: code cache: .*\n)?$/);
    });

  it('shares the cache with others that begin at the same moment, and are killed', async () => {
    const folder = join(scratch, 'together');
    const one = (kill: number): Promise<string | null> =>
      new Promise((resolve) => {
        const child = spawn(uktx, flags(folder), { env: env() });
        let out = '';
        child.stdout.on('data', (d) => {
          out += d;
          if (kill === 2) child.kill('SIGKILL');
        });
        if (kill === 1) setImmediate(() => child.kill('SIGKILL'));
        child.on('close', (status) => resolve(status === 0 ? out : null));
      });
    const results = await Promise.all([0, 1, 0, 2, 0].map(one));
    for (const out of results) if (out !== null) expect(out).toBe(wanted);
    expect(results.filter((out) => out !== null).length).toBeGreaterThanOrEqual(3);
    expect(stats(folder).cache.rejected).toBe(0);
  });
});
