import { mkdirSync, mkdtempSync, existsSync, readdirSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { CacheFolder } from '../../src/runtime/cache/folder.ts';
import { imageFolders, SIZE_LIMIT, sweep, sweepIfDue, touch } from '../../src/runtime/cache/sweep.ts';

const HOUR = 3600_000;
const NOW = Date.parse('2026-01-02T03:04:05Z');

describe('the size of the cache', () => {
  let path: string;
  let folder: CacheFolder;

  /** An image of 1000 bytes beside its origin, used `hours` ago. */
  function image(name: string, hours: number, version = 'v1-00000000000000aa'): string {
    const at = join(path, version, name);
    mkdirSync(at, { recursive: true, mode: 0o700 });
    writeFileSync(join(at, 'blocks'), Buffer.alloc(998));
    writeFileSync(join(at, 'origin'), '{}');
    const used = (NOW - hours * HOUR) / 1000;
    utimesSync(join(at, 'origin'), used, used);
    return at;
  }
  const left = (): string[] =>
    imageFolders(folder)
      .map((i) => i.name.split('/')[1]!)
      .sort();

  beforeEach(() => {
    path = mkdtempSync(join(tmpdir(), 'uktx-sweep-'));
    folder = CacheFolder.open(path, 'rw', (m) => expect.fail(m))!;
  });
  afterEach(() => rmSync(path, { recursive: true }));

  it('shrinks by the images that were not used for longest, of any version', () => {
    image('a', 5);
    image('b', 1);
    image('c', 9);
    image('d', 7, 'v1-00000000000000bb');
    image('e', 2);
    expect(sweep(folder, 5000, NOW)).toEqual({ images: 0, bytes: 0 });
    expect(sweep(folder, 4000, NOW)).toEqual({ images: 1, bytes: 1000 });
    expect(left()).toEqual(['a', 'b', 'd', 'e']);
    expect(sweep(folder, 2500, NOW)).toEqual({ images: 2, bytes: 2000 });
    expect(left()).toEqual(['b', 'e']);
    // The folder of a version goes with its last image.
    expect(readdirSync(path)).toEqual(['v1-00000000000000aa']);
    expect(sweep(folder, 0, NOW)).toEqual({ images: 2, bytes: 2000 });
    expect(readdirSync(path)).toEqual([]);
  });
  it('keeps an image that is used again', () => {
    const used = image('used', 50);
    image('other', 40);
    touch(used, NOW);
    expect(sweep(folder, 1500, NOW).images).toBe(1);
    expect(left()).toEqual(['used']);
    // That it is in use is noted once an hour.
    touch(used, NOW + HOUR / 2);
    expect(statSync(join(used, 'origin')).mtimeMs).toBe(NOW);
  });
  it('loses files that were never finished, but none that are being written', () => {
    const at = image('a', 1);
    for (const [name, minutes] of [
      ['old.tmp', 90],
      ['new.tmp', 1],
    ] as const) {
      writeFileSync(join(at, name), 'half');
      utimesSync(join(at, name), (NOW - minutes * 60_000) / 1000, (NOW - minutes * 60_000) / 1000);
    }
    expect(sweep(folder, SIZE_LIMIT, NOW)).toEqual({ images: 0, bytes: 4 });
    expect(readdirSync(at).sort()).toEqual(['blocks', 'new.tmp', 'origin']);
  });
  it('is looked at once an hour', () => {
    const at = image('a', 1);
    const stray = join(at, 'x.tmp');
    const again = (now: number): boolean => {
      writeFileSync(stray, '');
      utimesSync(stray, 1, 1);
      sweepIfDue(folder, now);
      return !existsSync(stray);
    };
    const start = Date.now();
    expect(again(start)).toBe(true);
    expect(again(start + HOUR / 2)).toBe(false);
    expect(again(start + 2 * HOUR)).toBe(true);
    expect(again(start + 2 * HOUR + 1)).toBe(false);
  });
});
