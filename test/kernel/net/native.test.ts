/** Guest programs that make socket calls one after another and print every result: the same natively and here. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { guestProgram } from '../../guests/build.ts';

const launcher = join(import.meta.dirname, '../../../bin/uktx');

function output(command: string, args: string[]): string[] {
  const cwd = mkdtempSync(join(tmpdir(), 'uktx-sockets-'));
  try {
    return spawnSync(command, args, { cwd, encoding: 'utf8', timeout: 30_000 }).stdout.split('\n');
  } finally {
    rmSync(cwd, { recursive: true, force: true });
  }
}

describe('sockets, compared with the host', () => {
  for (const name of ['socket-states', 'socket-messages']) {
    const guest = guestProgram(name);
    it.skipIf('missing' in guest)(name, { timeout: 60_000 }, () => {
      const { path } = guest as { path: string };
      const native = output(path, []);
      expect(native.length).toBeGreaterThan(400);
      expect(output(launcher, ['run', path])).toEqual(native);
    });
  }
});
