/** Where this package lies, from source, from dist/ and from a bundle alike. */
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

let root: string | null = null;

/** Absolute path of the folder that holds package.json. */
export function packageRoot(): string {
  if (root !== null) return root;
  // The bundle of the command line is CommonJS, which loads faster; everything else is an ES module.
  let dir = typeof __dirname === 'string' ? __dirname : dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(dir, 'package.json'))) {
    const up = dirname(dir);
    if (up === dir) throw new Error('the uktx package is incomplete: no package.json above the program');
    dir = up;
  }
  root = dir;
  return dir;
}
