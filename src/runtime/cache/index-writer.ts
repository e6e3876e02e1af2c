/** Adds translations to the cache: in compile workers and in prewarm, never on the guest's thread. */
import { Packr } from 'msgpackr';
import type { CompiledModule } from '../../translator/wasm/region-module.ts';
import { sealed, sha256, sha256Hex } from './checked.ts';
import type { CacheFolder } from './folder.ts';
import {
  type CachedModule,
  dependencies,
  type ImageIndex,
  INDEX_FORMAT,
  mergeIndexes,
  parseIndex,
  toPacked,
} from './index-file.ts';

// Plain MessagePack: no records, no extensions.
const packr = new Packr({ useRecords: false, encodeUndefinedAsNil: true, mapsAsObjects: true });

/** SHA-256 of guest bytes at `ranges`. */
export function guestHash(guest: Uint8Array, ranges: readonly (readonly [number, number])[]): Buffer {
  return sha256(...ranges.map(([start, end]) => guest.subarray(start, end)));
}

export function cachedModule(compiled: CompiledModule, guest: Uint8Array): CachedModule {
  const { bytes, regions, links, tables, looked } = compiled;
  return {
    wasm: sha256Hex(bytes),
    guest: guestHash(guest, dependencies({ regions, looked })),
    regions,
    looked,
    links,
    tables,
  };
}

export const encodeIndex = (index: ImageIndex): Buffer => sealed(INDEX_FORMAT, packr.pack(toPacked(index)));

/** Name of the file for a module's code. */
export const wasmFile = (wasm: string): string => `${wasm}.wasm`;

/**
 * Merges `index` into the file `name` of the image's folder. Two processes take turns, but none waits for long: should one
 * lose an entry, that costs a translation; a file is always whole.
 */
export function mergeIntoFile(folder: CacheFolder, image: string, name: string, index: ImageIndex): boolean {
  const file = folder.file(image, name);
  return folder.locked(file, () => {
    const before = folder.read(file);
    const known = before ? parseIndex(before) : null;
    return folder.write(file, encodeIndex(mergeIndexes(known ?? [], index)));
  });
}

/** Keeps a module: its code first, so that an index never names what is not there. */
export function saveModule(
  folder: CacheFolder,
  image: string,
  indexName: string,
  module: CachedModule,
  bytes: Uint8Array,
): boolean {
  return (
    folder.write(folder.file(image, wasmFile(module.wasm)), bytes) && mergeIntoFile(folder, image, indexName, [module])
  );
}
