/** What the command line shows of threads and processes. */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { packageRoot } from '../../src/runtime/package-root.ts';
import { guestProgram } from '../guests/build.ts';

const uktx = join(packageRoot(), 'bin/uktx');
const run = (...args: string[]) => spawnSync(uktx, ['run', ...args], { encoding: 'utf8', timeout: 30_000 });

it('reports a deadlock and ends', (context) => {
  const guest = guestProgram('threads');
  if ('missing' in guest) return context.skip(guest.missing);
  const { status, stderr } = run(guest.path, 'deadlock');
  expect(stderr).toBe('uktx: deadlock: all 2 threads wait for ever, for each other\n');
  expect(status).toBe(125);
}, 40_000);

it('traces every process, with its number', () => {
  const { status, stderr } = run('--strace', '/bin/sh', '-c', 'echo a | cat');
  expect(status).toBe(0);
  const pids = new Set([...stderr.matchAll(/^\[pid (\d+)\] /gm)].map((m) => m[1]));
  expect(pids.size).toBe(3);
  expect(stderr).toMatch(/^\[pid \d+\] execve\("\/(usr\/)?bin\/cat", \["cat"\]/m);
  expect(stderr).toMatch(/^\[pid \d+\] exit_group\(0\) += \?$/m);
}, 40_000);

it('ends the other processes with the first', () => {
  const started = Date.now();
  const { status, stdout } = run('/bin/sh', '-c', 'sleep 100 & sh -c "trap : TERM; while :; do :; done" & echo $!');
  expect(status).toBe(0);
  expect(stdout).toMatch(/^\d+\n$/);
  expect(Date.now() - started).toBeLessThan(20_000);
}, 40_000);
