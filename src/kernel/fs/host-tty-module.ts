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
    if (!fstatSync(fd).isCharacterDevice()) return false;
  } catch {
    return false;
  }
  return ttyModule().isatty(fd);
}
