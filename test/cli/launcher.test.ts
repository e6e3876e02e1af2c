/** bin/uktx: which Node.js it starts, with what. A script in its place says how it was called. */
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { packageRoot } from '../../src/runtime/package-root.ts';

let root: string;
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), 'uktx-launcher-'));
  for (const folder of ['bin', 'dist/cli', 'node_modules/node/bin', 'elsewhere'])
    mkdirSync(join(root, folder), { recursive: true });
  cpSync(join(packageRoot(), 'bin/uktx'), join(root, 'bin/uktx'));
  writeFileSync(join(root, 'dist/cli/main.cjs'), '');
  writeFileSync(join(root, 'node_modules/node/bin/node'), '#!/bin/sh\nprintf "%s\\n" "$@"\nexec env\n', {
    mode: 0o755,
  });
  symlinkSync('../bin/uktx', join(root, 'elsewhere/link'));
});
afterAll(() => rmSync(root, { recursive: true }));

/** The lines it prints: its arguments, then its environment. */
const launch = (file: string, args: readonly string[], env: NodeJS.ProcessEnv = {}): string[] =>
  spawnSync(join(root, file), args, { env: { PATH: process.env.PATH, ...env }, encoding: 'utf8' }).stdout.split('\n');

/** Whether Linux uses five processors at most; more may be cut down to that by a control group. */
const areFew = (): boolean => {
  const file = '/sys/devices/system/cpu/online';
  return existsSync(file) && Number(readFileSync(file, 'utf8').trim().split('-').at(-1)) <= 4;
};

describe('bin/uktx', () => {
  it('passes all words on, through a link as well', () => {
    for (const file of ['bin/uktx', 'elsewhere/link']) {
      const lines = launch(file, ['run', '--x', 'a b', '', '*']);
      const at = lines.findIndex((line) => line.endsWith('/bin/start.cjs'));
      expect(lines.slice(at + 1, at + 6)).toEqual(['run', '--x', 'a b', '', '*']);
    }
  });
  it('leaves the environment as it is', () => {
    const env = { root: '1', node: '2', self: '3', threads: '4', quota: '5', link: '6' };
    const lines = launch('elsewhere/link', [], env);
    for (const [name, value] of Object.entries(env)) expect(lines).toContain(`${name}=${value}`);
    expect(lines.filter((line) => /^_?uktx/i.test(line))).toEqual([]);
  });
  it('leaves a processor to the guest where there are few', () => {
    const threads = launch('bin/uktx', ['run']).find((line) => line.startsWith('--v8-pool-size='));
    expect(areFew() ? ['--v8-pool-size=0'] : ['--v8-pool-size=0', '--v8-pool-size=4']).toContain(threads);
  });
  it('says how to build what is not built', () => {
    const start = () => spawnSync(join(root, 'bin/uktx'), [], { encoding: 'utf8' });
    expect(start().status).toBe(0);
    rmSync(join(root, 'dist/cli/main.cjs'));
    const { status, stdout, stderr } = start();
    expect([status, stdout]).toEqual([70, '']);
    expect(stderr).toContain('npm install');
  });
});
