/** Adds translations to the cache: in compile workers and in prewarm, never on the guest's thread. */
import { Packr } from 'msgpackr';
import type { CompiledModule } from '../../translator/wasm/region-module.ts';
import { checksum, sha256Hex } from './checked.ts';
import type { CacheFolder } from './folder.ts';
import {
  type CachedModule,
  dependencies,
  entriesOf,
  guestChecksum,
  type ImageIndex,
  indexHead,
  IndexView,
  mergeIndexes,
  toPacked,
} from './index-file.ts';

// Plain MessagePack: no records, no extensions.
const packr = new Packr({ useRecords: false, encodeUndefinedAsNil: true, mapsAsObjects: true });

export function cachedModule(compiled: CompiledModule, guest: Uint8Array): CachedModule {
  const { bytes, regions, links, tables, looked } = compiled;
  return {
    wasm: sha256Hex(bytes),
    sum: checksum(bytes),
    guest: guestChecksum(guest, dependencies({ regions, looked })),
    regions,
    looked,
    links,
    tables,
  };
}

export function encodeIndex(index: ImageIndex): Buffer {
  const packed = index.map((m) => packr.pack(toPacked(m)) as Buffer);
  const byPc = new Map<number, number>();
  index.forEach((m, k) => {
    for (const { pc } of entriesOf(m)) byPc.set(pc, k);
  });
  const pcs = Uint32Array.from(byPc.keys()).sort();
  const words = new Uint32Array(2 + 2 * pcs.length + 3 * packed.length);
  words.set([packed.length, pcs.length]);
  words.set(pcs, 2);
  pcs.forEach((pc, k) => {
    words[2 + pcs.length + k] = byPc.get(pc)!;
  });
  let end = 0;
  packed.forEach((bytes, k) => {
    end += bytes.length;
    words[2 + 2 * pcs.length + k] = end;
    const sum = checksum(bytes);
    words.set([sum.readUInt32LE(0), sum.readUInt32LE(4)], 2 + 2 * pcs.length + packed.length + 2 * k);
  });
  return Buffer.concat([indexHead(words), ...packed]);
}

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
    const known = before && IndexView.open(before)?.whole();
    return folder.write(file, encodeIndex(mergeIndexes(known ?? [], index)));
  });
}

/** Keeps the code of a module: before an index names it. */
export const saveCode = (folder: CacheFolder, image: string, module: CachedModule, bytes: Uint8Array): boolean =>
  folder.write(folder.file(image, wasmFile(module.wasm)), bytes);
