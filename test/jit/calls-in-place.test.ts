/** System calls that regions make with their callers' frames in place. */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { packageRoot } from '../../src/runtime/package-root.ts';
import { guestProgram } from '../guests/build.ts';

const uktx = join(packageRoot(), 'bin/uktx');

describe.runIf(process.platform === 'linux' && process.arch === 'x64')('system calls in regions', () => {
  const portable = ['results', 'signals', 'jumps out of handlers', 'forks', 'waits'];
  const programs: [string, string[]][] = [
    ['calls-in-place', [...portable, 'code that a call changes', 'code that a call forbids']],
    ['calls-in-place-aarch64', portable],
  ];
  for (const [name, checks] of programs)
    for (const flags of [['--jit=off'], ['--jit-sync', '--jit-threshold=60'], []])
      it(`${name} ${flags.join(' ')}`, { timeout: 120_000 }, (context) => {
        const found = guestProgram(name);
        if ('missing' in found) return context.skip(found.missing);
        const { status, stdout, stderr } = spawnSync(uktx, ['run', '--cache=off', ...flags, found.path], {
          encoding: 'utf8',
        });
        expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
        expect(stdout).toBe(checks.map((check) => `${check}: ok\n`).join(''));
      });

  it('leaves its code for few of them', (context) => {
    const found = guestProgram('calls-in-place');
    if ('missing' in found) return context.skip(found.missing);
    const args = ['run', '--cache=off', '--jit-sync', '--jit-threshold=60', '--stats', found.path];
    const { stderr } = spawnSync(uktx, args, { encoding: 'utf8' });
    const { exits, kernel } = JSON.parse(stderr.replaceAll('uktx: ', ''));
    // Handlers of signals and jumps out of them are a system call each that sets all registers, and leaves.
    expect(kernel.syscallTotal).toBeGreaterThan(20_000);
    expect(exits.syscall).toBeLessThan(kernel.syscallTotal * 0.8);
  });
});
