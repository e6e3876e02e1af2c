/** Keeps the cache below its size: the images that no run has used for the longest time go first. */
import { lstatSync, readdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type CacheFolder, TEMPORARY } from './folder.ts';
import { ORIGIN } from './images.ts';

/** Bytes the cache may take. */
export const SIZE_LIMIT = 1024 * 2 ** 20;
/** Time between looks at the size, and until the last use of an image is noted anew, in milliseconds. */
const INTERVAL_MS = 3600_000;
/** Age at which a file that was never finished is known to be given up. */
const GIVEN_UP_MS = 3600_000;
const STAMP = 'swept';

export interface ImageFolder {
  /** Below the cache's folder. */
  name: string;
  bytes: number;
  files: number;
  /** Milliseconds since 1970. */
  lastUse: number;
  version: string;
}

const list = (path: string): string[] => {
  try {
    return readdirSync(path);
  } catch {
    // Gone in the meantime, or not a folder.
    return [];
  }
};

/** All images in the cache, of every version of the translator. */
export function imageFolders(folder: CacheFolder): ImageFolder[] {
  const out: ImageFolder[] = [];
  for (const version of list(folder.path).filter((n) => /^v\d+-[0-9a-f]+$/.test(n)))
    for (const image of list(folder.file(version))) {
      const path = folder.file(version, image);
      const stat = lstatSync(path, { throwIfNoEntry: false });
      if (!stat?.isDirectory()) continue;
      const noted = lstatSync(join(path, ORIGIN), { throwIfNoEntry: false });
      let bytes = 0;
      const names = list(path);
      for (const name of names) bytes += lstatSync(join(path, name), { throwIfNoEntry: false })?.size ?? 0;
      out.push({
        name: `${version}/${image}`,
        bytes,
        files: names.length,
        lastUse: noted?.mtimeMs ?? stat.mtimeMs,
        version,
      });
    }
  return out;
}

export interface Swept {
  images: number;
  bytes: number;
}

/** Removes images, the least recently used first, until the rest takes at most `limit` bytes; and files never finished. */
export function sweep(folder: CacheFolder, limit: number, now = Date.now()): Swept {
  const swept: Swept = { images: 0, bytes: 0 };
  const images = imageFolders(folder).sort((a, b) => a.lastUse - b.lastUse);
  let total = images.reduce((sum, i) => sum + i.bytes, 0);
  for (const { name, bytes } of images) {
    if (total > limit) {
      rmSync(folder.file(name), { recursive: true, force: true });
      total -= bytes;
      swept.images++;
      swept.bytes += bytes;
      continue;
    }
    for (const file of list(folder.file(name)).filter((f) => f.endsWith(TEMPORARY))) {
      const path = folder.file(name, file);
      const stat = lstatSync(path, { throwIfNoEntry: false });
      if (!stat || now - stat.mtimeMs < GIVEN_UP_MS) continue;
      rmSync(path, { force: true });
      swept.bytes += stat.size;
    }
  }
  for (const version of list(folder.path).filter((n) => /^v\d+-[0-9a-f]+$/.test(n)))
    if (list(folder.file(version)).length === 0) rmSync(folder.file(version), { recursive: true, force: true });
  return swept;
}

/** As `sweep` with the usual limit, but at most once an hour. */
export function sweepIfDue(folder: CacheFolder, now = Date.now()): void {
  const stamp = folder.file(STAMP);
  const stat = lstatSync(stamp, { throwIfNoEntry: false });
  if (stat && now - stat.mtimeMs < INTERVAL_MS) return;
  try {
    if (stat) utimesSync(stamp, now / 1000, now / 1000);
    else writeFileSync(stamp, '', { mode: 0o600, flag: 'wx' });
    sweep(folder, SIZE_LIMIT, now);
  } catch (e) {
    folder.complain(`cannot be kept small: ${(e as Error).message}`);
  }
}

/** Notes that an image is in use (the time of the file about its origin), if that was not noted lately. */
export function touch(folder: string, now = Date.now()): void {
  const path = join(folder, ORIGIN);
  const stat = lstatSync(path, { throwIfNoEntry: false });
  if (!stat?.isFile() || now - stat.mtimeMs < INTERVAL_MS) return;
  try {
    utimesSync(path, now / 1000, now / 1000);
  } catch {
    // Removed in the meantime, or on a file system that cannot be written to.
  }
}
