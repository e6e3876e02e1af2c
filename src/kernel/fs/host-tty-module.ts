/** Node's terminal and socket modules, loaded when first needed: most runs have neither, and loading takes several ms. */
import { fstatSync } from 'node:fs';
import type * as net from 'node:net';
import type * as tty from 'node:tty';

export const ttyModule = (): typeof tty => process.getBuiltinModule('node:tty');
export const netModule = (): typeof net => process.getBuiltinModule('node:net');

/** isatty(3) of a host descriptor. */
export function isTerminal(fd: number): boolean {
  try {
    // Every terminal is a character device where there are such; Windows' consoles say so, too.
    const st = fstatSync(fd);
    if (!st.isCharacterDevice()) return false;
    // Linux: major 1 is /dev/null and its like, what daemons and test runners have for stdin.
    if (process.platform === 'linux' && st.rdev >> 8 === 1) return false;
  } catch {
    return false;
  }
  return ttyModule().isatty(fd);
}
