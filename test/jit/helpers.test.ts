/** Helpers are instantiated a second time, once V8 has optimised them; regions made until then go on with the first instance. */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { packageRoot } from '../../src/runtime/package-root.ts';
import { guestProgram } from '../guests/build.ts';

/** What qemu-aarch64 says for 10,000 parts. */
const EXPECTED = '2b0645ead708e0f754587ad257cf44c4 451605866\n';

it('tables of helpers outlast the second instance', { timeout: 60_000 }, (context) => {
  const found = guestProgram('aes-aarch64');
  if ('missing' in found) return context.skip(found.missing);
  const flags = ['--jit-threshold=20', '--jit-sync', '--cache=off'];
  const uktx = join(packageRoot(), 'bin/uktx');
  const { status, stdout, stderr } = spawnSync(uktx, ['run', ...flags, found.path, '10000'], { encoding: 'utf8' });
  expect({ status, stdout, stderr }).toEqual({ status: 0, stdout: EXPECTED, stderr: '' });
});
