/** What language runtimes ask for: threads of every kind, code made at run time; LuaJIT's traces. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { type Case, resolveCommand, runGuest, runNative } from '../apps/run.ts';

const here = import.meta.dirname;
async function same(c: Case, flags: readonly string[] = []): Promise<string | null> {
  const found = resolveCommand(c);
  if ('missing' in found) return found.missing;
  const native = await runNative(found.command, c);
  const guest = await runGuest([...flags, ...found.command], c);
  expect(guest.stdout.toString(), guest.stderr.slice(0, 2000)).toBe(native.stdout.toString());
  expect(guest.status).toBe(native.status);
  expect(native.status).toBe(0);
  return null;
}

const LIMIT = 300;
const timeout = 2 * LIMIT * 1000;

it('pthreads: contention, robust and PI mutexes, time limits, cancellation', { timeout }, async ({ skip }) => {
  const missing = await same({ name: 'pthreads', command: ['guest:pthreads'], limit: LIMIT });
  if (missing) skip(missing);
});

it.each([
  ['as it comes', []],
  ['translated at once', ['--jit-sync', '--jit-threshold=1']],
  ['interpreted', ['--jit=off']],
])('code made at run time: %s', { timeout }, async (_name, flags) => {
  const missing = await same({ name: 'code', command: ['guest:code-generation'], limit: LIMIT }, flags);
  if (missing) process.stderr.write(`skipped: ${missing}\n`);
});

it.skipIf(!existsSync('/usr/bin/luajit'))('LuaJIT', { timeout }, async () => {
  await same({ name: 'luajit', command: ['/usr/bin/luajit', join(here, 'script.lua')], limit: LIMIT });
});
