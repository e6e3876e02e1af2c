/** Which translator made a translation: the build writes it down (tools/build.ts), as a hash of all that decides about its output. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { packageRoot } from '../package-root.ts';

/** Of the layout of folders and files. */
const FORMAT = 1;
let version: string | null = null;

/** Name of the folder of this translator's output; null when the build has left none. */
export function translatorVersion(): string | null {
  if (version !== null) return version;
  try {
    const hash = readFileSync(join(packageRoot(), 'dist/worker/version'), 'latin1').trim();
    if (/^[0-9a-f]{16,64}$/.test(hash)) version = `v${FORMAT}-${hash.slice(0, 16)}`;
  } catch {
    // A build without one: nothing can be kept.
  }
  return version;
}
