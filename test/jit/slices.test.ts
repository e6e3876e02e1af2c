/** Time slices that end where code is left for the first time. */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { packageRoot } from '../../src/runtime/package-root.ts';
import { guestProgram } from '../guests/build.ts';

const uktx = join(packageRoot(), 'bin/uktx');

describe.runIf(process.platform === 'linux' && process.arch === 'x64')('the end of a time slice', () => {
  // Slices of 200,000 blocks, and of 200.
  for (const flags of [['--jit=off'], ['--jit=verify', '--jit-threshold=1000000000']])
    it(`repeats no block, ${flags.join(' ')}`, { timeout: 120_000 }, (context) => {
      const found = guestProgram('slice-ends');
      if ('missing' in found) return context.skip(found.missing);
      const { status, stdout, stderr } = spawnSync(uktx, ['run', '--cache=off', ...flags, found.path], {
        encoding: 'utf8',
      });
      expect({ status, stdout, stderr }).toEqual({ status: 0, stdout: 'done\n', stderr: '' });
    });
});
