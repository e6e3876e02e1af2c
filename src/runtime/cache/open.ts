/** Opens the code cache as the options of a run or a command say. */
import { CodeCache } from './code-cache.ts';
import { CacheFolder, type CacheMode, defaultCacheFolder } from './folder.ts';
import { translatorVersion } from './version.ts';

export interface CacheOptions {
  cache: CacheMode;
  cacheDir?: string;
  jitSync?: boolean;
  disabledPasses?: readonly string[];
}

/** Null when there is none; `warn` has been told why if that is not what was asked for. */
export function openCodeCache(options: CacheOptions, warn: (message: string) => void): CodeCache | null {
  // Translations made without a pass are for looking into, not for keeping.
  if (options.cache === 'off' || (options.disabledPasses?.length ?? 0) > 0) return null;
  const version = translatorVersion();
  if (version === null) return null;
  const folder = CacheFolder.open(options.cacheDir ?? defaultCacheFolder(process.env), options.cache, warn);
  return folder && new CodeCache(folder, version, options.jitSync);
}
