/** Memory above 8 GiB for AArch64 programs; test/apps compares x86-64 ones with native runs. */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { packageRoot } from '../../src/runtime/package-root.ts';
import { guestProgram } from '../guests/build.ts';

const uktx = join(packageRoot(), 'bin/uktx');

describe('memory above 8 GiB', () => {
  for (const flags of [['--jit=off'], [], ['--jit=verify', '--jit-threshold=20'], ['--memory-checks=range']])
    it(`AArch64 ${flags.join(' ')}`, { timeout: 60_000 }, (context) => {
      const found = guestProgram('high-heap-aarch64');
      if ('missing' in found) return context.skip(found.missing);
      const run = spawnSync(uktx, ['run', '--cache=off', ...flags, found.path, 'faults'], { encoding: 'utf8' });
      expect(run.stderr).toBe('');
      expect(run.stdout.trim().split('\n')).toEqual([
        'reserved 1',
        'reserved only: 11',
        'committed 1',
        'list 36babe4f918d29c0',
        'copied 7 0',
        'long double 6.250',
        'open 1',
        'writev 24',
        'read 24 across pages, and pieces',
        'nanosleep 0',
        'clock 1',
        'stat 1',
        'getcwd 1',
        'sendmsg 24 recvmsg 24 across pages, ',
        'threads 9000 1',
        'child 9001',
        'parent 9000',
        'moved above 1',
        'discarded 0',
        'mincore 0',
        'protected 0 read 0 write 11',
        'below it 11',
        'unmapped 0',
        'run again with arguments from there',
      ]);
    });
});
