/** Code that the guest changes goes alone: what is translated of the rest stays. */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { packageRoot } from '../../src/runtime/package-root.ts';
import { guestProgram } from '../guests/build.ts';

const uktx = join(packageRoot(), 'bin/uktx');

describe.runIf(process.platform === 'linux' && process.arch === 'x64')('code that changes', () => {
  it('takes no region of other code with it', { timeout: 60_000 }, (context) => {
    const found = guestProgram('code-changes');
    if ('missing' in found) return context.skip(found.missing);
    const { stdout, stderr } = spawnSync(uktx, ['run', '--cache=off', '--stats', found.path], { encoding: 'utf8' });
    expect(stdout).toBe('1415076573\n');
    const { regions } = JSON.parse(stderr.replaceAll('uktx: ', '')) as {
      regions: { regions: number; dropped: number };
    };
    expect(regions.dropped).toBeGreaterThan(0);
    expect(regions.regions).toBeGreaterThan(regions.dropped);
  });
});
