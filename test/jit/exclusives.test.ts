/** Exclusive and other atomic accesses of AArch64 in translated code, which knows addresses by other numbers than the guest does. */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { packageRoot } from '../../src/runtime/package-root.ts';
import { guestProgram } from '../guests/build.ts';

const uktx = join(packageRoot(), 'bin/uktx');

/** What qemu-aarch64 says for 1,000 rounds: none refused, none wrong. */
const EXPECTED = '0 0 4286375614908 220 0 4294963796 249500 5\n';

describe('exclusive accesses', () => {
  for (const checks of ['none', 'null', 'range', 'full'])
    for (const jit of ['off', 'on', 'verify'])
      it(`--memory-checks=${checks} --jit=${jit}`, { timeout: 60_000 }, (context) => {
        const found = guestProgram('exclusives-aarch64');
        if ('missing' in found) return context.skip(found.missing);
        const flags = [`--memory-checks=${checks}`, `--jit=${jit}`, '--jit-threshold=20', '--jit-sync', '--cache=off'];
        const { status, stdout, stderr } = spawnSync(uktx, ['run', ...flags, found.path, '1000'], { encoding: 'utf8' });
        expect(stderr).toBe('');
        expect(stdout).toBe(EXPECTED);
        expect(status).toBe(0);
      });
});

describe('atomic accesses that are not aligned', () => {
  for (const checks of ['none', 'null', 'range', 'full'])
    it(`--memory-checks=${checks}`, { timeout: 60_000 }, (context) => {
      const found = guestProgram('misaligned-aarch64');
      if ('missing' in found) return context.skip(found.missing);
      const flags = [`--memory-checks=${checks}`, '--jit-threshold=20', '--jit-sync', '--cache=off'];
      const run = (...args: string[]) =>
        spawnSync(uktx, ['run', ...flags, found.path, ...args], {
          encoding: 'utf8',
          env: { ...process.env, LC_ALL: 'C' },
        });
      const ended = run();
      expect(ended).toMatchObject({ stdout: '1122189250\n', stderr: '', status: 128 + 7 });
      expect(run('caught')).toMatchObject({ stdout: '1122189250\n7 1 1\n', stderr: '', status: 0 });
    });
});
