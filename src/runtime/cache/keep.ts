/** The part of the cache that runs in compile workers: keeps what they have made, once the guest's thread says that it was right. */
import type { CompiledModule } from '../../translator/wasm/region-module.ts';
import type { KeepIn } from './code-cache.ts';
import { CacheFolder } from './folder.ts';
import { type CachedModule, dependencies } from './index-file.ts';
import { cachedModule, mergeIntoFile, saveCode } from './index-writer.ts';

interface Unsaved {
  where: KeepIn;
  module: CachedModule;
  bytes: Uint8Array;
}

/** Results that the guest's thread has not looked at yet. */
const MAX_UNSAVED = 16;
const unsaved = new Map<number, Unsaved>();
const folders = new Map<string, CacheFolder | null>();

/** Job `id` has made `compiled` from bytes of `guest`, just now. */
export function holdForSaving(id: number, compiled: CompiledModule, guest: Uint8Array, where: KeepIn): void {
  const inside = dependencies(compiled).every(([from, to]) =>
    where.images.some(([start, end]) => from >= start && to <= end),
  );
  if (!inside) return;
  unsaved.set(id, { where, module: cachedModule(compiled, guest), bytes: compiled.bytes });
  for (const old of unsaved.keys()) {
    if (unsaved.size <= MAX_UNSAVED) break;
    unsaved.delete(old);
  }
}

/** Modules that no index names yet: an index of thousands is not written for each. By file. */
const gathered = new Map<string, { folder: CacheFolder; where: KeepIn; modules: CachedModule[] }>();
/** As many are named at once; more where naming them has taken long, so that it takes no more than a tenth of the time. */
const GATHER = 24;
const SHARE = 10;
let mayFlushAt = 0;

/** The guest code did not change while job `id` was done: its result is kept; with `gather`, by the next `flush` at the latest. */
export function save(id: number, gather: boolean): void {
  const held = unsaved.get(id);
  unsaved.delete(id);
  if (!held) return;
  const { where, module, bytes } = held;
  let folder = folders.get(where.cache);
  if (folder === undefined) {
    // A run that cannot write has said so already, or will: a worker has nobody to tell.
    folder = CacheFolder.open(where.cache, 'rw', () => {});
    folders.set(where.cache, folder);
  }
  if (!folder || !saveCode(folder, where.image, module, bytes)) return;
  const file = folder.file(where.image, where.index);
  const known = gathered.get(file);
  if (known) known.modules.push(module);
  else gathered.set(file, { folder, where, modules: [module] });
  if (!gather || (gathered.get(file)!.modules.length >= GATHER && performance.now() >= mayFlushAt)) flush();
}

/** Has indexes name all that has been saved. */
export function flush(): void {
  const start = performance.now();
  for (const { folder, where, modules } of gathered.values()) mergeIntoFile(folder, where.image, where.index, modules);
  gathered.clear();
  const end = performance.now();
  mayFlushAt = end + SHARE * (end - start);
}
