/** The code cache for AArch64 programs: a second run uses what the first has kept, and what `uktx prewarm` makes. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { CacheStats } from '../../src/runtime/cache/code-cache.ts';
import { packageRoot } from '../../src/runtime/package-root.ts';

const uktx = join(packageRoot(), 'bin/uktx');
const program = join(packageRoot(), 'test/guests/prebuilt/hello-musl-static-aarch64');
const ready = existsSync(join(packageRoot(), 'dist/worker/version'));
const SLOW = 120_000;
let scratch: string;

interface Stats {
  cache: CacheStats;
  regions: { modules: number; translateMs: number };
  translator: { blocks: number; stored: number };
}
const call = (...args: string[]) => {
  const { UKTX_CACHE: _, UKTX_CACHE_DIR: __, ...env } = process.env;
  return spawnSync(uktx, args, { encoding: 'utf8', env });
};
function run(folder: string, ...flags: string[]): Stats {
  const file = join(scratch, 'stats.json');
  const r = call('run', `--cache-dir=${folder}`, `--stats-file=${file}`, ...flags, program, 'argument');
  expect(r).toMatchObject({ status: 3, stderr: 'a line on stderr\n' });
  expect(r.stdout).toContain('[argument]');
  return JSON.parse(readFileSync(file, 'utf8'));
}

beforeAll(() => {
  scratch = mkdtempSync(join(tmpdir(), 'uktx-cache-aarch64-'));
});
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

describe.runIf(ready)('AArch64', () => {
  it('a second run decodes and translates what is new alone', { timeout: SLOW }, () => {
    const folder = join(scratch, 'runs');
    const hot = ['--jit-sync', '--jit-threshold=1500'];
    const first = run(folder, ...hot);
    expect(first.cache).toMatchObject({ hits: 0, loads: 0, blocksLoaded: 0 });
    expect(first.regions.translateMs).toBeGreaterThan(0);
    // What a run has made last is lost when it ends before the worker has written it.
    for (let k = 0; k < 8 && run(folder, ...hot).cache.kept > 0; k++);
    const { cache, regions, translator } = run(folder, ...hot, '--cache=ro');
    expect(cache.hits).toBeGreaterThan(0);
    expect(cache).toMatchObject({ rejected: 0, kept: 0 });
    expect(regions).toMatchObject({ translateMs: 0, modules: cache.loads });
    expect(translator.blocks).toBeLessThan(first.translator.blocks / 50);
    expect(translator.stored).toBeGreaterThan(first.translator.blocks / 2);
  });
  it('prewarm', { timeout: SLOW }, () => {
    const folder = join(scratch, 'prewarm');
    const r = call('prewarm', '--all', '--json', '--jobs=1', `--cache-dir=${folder}`, program);
    expect(r).toMatchObject({ status: 0, stderr: '' });
    const image = JSON.parse(r.stdout).images[0];
    expect(image.functions).toBeGreaterThan(50);
    expect(image).toMatchObject({ translated: image.functions, failed: 0 });
    const cold = run(join(scratch, 'cold'));
    const { cache, translator } = run(folder);
    expect(translator.blocks).toBeLessThan(cold.translator.blocks / 5);
    expect(cache.rejected).toBe(0);
    const hot = run(folder, '--jit-sync', '--jit-threshold=1500', '--cache=ro');
    expect(hot.cache.hits).toBeGreaterThan(0);
  });
});
