/** Calls by pointer find what they have called last, and what is there now. */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { packageRoot } from '../../src/runtime/package-root.ts';
import { guestProgram } from '../guests/build.ts';

const uktx = join(packageRoot(), 'bin/uktx');

describe.runIf(process.platform === 'linux' && process.arch === 'x64')('calls by pointer', () => {
  for (const flags of [['--jit=off'], ['--jit-sync', '--jit-threshold=60'], ['--jit-sync'], []]) {
    const compare = (command: string[]): void => {
      const native = spawnSync('/bin/sh', ['-c', '"$@"; echo $?', '', ...command], { encoding: 'utf8' });
      const { status, stdout } = spawnSync(uktx, ['run', '--cache=off', ...flags, ...command], { encoding: 'utf8' });
      expect(`${stdout}${status}\n`).toBe(native.stdout);
    };
    const title = flags.join(' ');
    for (const kind of ['call', 'jump'])
      it(`by ${kind}, of what changes: ${title}`, { timeout: 60_000 }, (context) => {
        const found = guestProgram('callbacks');
        if ('missing' in found) return context.skip(found.missing);
        compare([found.path, kind, '200000']);
      });
    it(`of what other programs have at the same address: ${title}`, { timeout: 60_000 }, (context) => {
      const found = ['callbacks', 'callbacks-descending', 'callbacks-elsewhere'].map(guestProgram);
      const paths = found.flatMap((guest) => ('path' in guest ? [guest.path] : []));
      const [up, down, nothing] = paths;
      if (!up || !down || !nothing) return context.skip('no compiler here');
      compare([up, 'sort', '2000', down, 'sort', '2000', up, 'sort', '100', down, 'sort', '1']);
      compare([up, 'sort', '2000', nothing, 'wild', '1']);
    });
  }
});
