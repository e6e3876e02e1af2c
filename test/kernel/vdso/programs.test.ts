/** The vDSO and the vsyscall page as programs see them: clocks.c, natively and under uktx, dynamic and static. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { packageRoot } from '../../../src/runtime/package-root.ts';

const uktx = join(packageRoot(), 'bin/uktx');
const possible = process.platform === 'linux' && process.arch === 'x64' && existsSync('/usr/bin/gcc');
const cross = '/usr/bin/aarch64-linux-gnu-gcc';
const parts = ['same', 'pointers', 'vsyscall', 'getrandom', 'maps', 'child', 'cpu'];
/** Parts that ask for what not every Linux has. */
const oursOnly = new Set(['vsyscall', 'getrandom', 'maps']);
let scratch: string;

beforeAll(() => {
  scratch = mkdtempSync(join(tmpdir(), 'uktx-vdso-'));
  const source = join(packageRoot(), 'test/kernel/vdso/clocks.c');
  for (const [name, compiler, flags] of [
    ...(possible
      ? ([
          ['dynamic', 'gcc', []],
          ['static', 'gcc', ['-static']],
        ] as const)
      : []),
    ...(existsSync(cross)
      ? ([
          ['aarch64-static', cross, ['-static']],
          ['aarch64-dynamic', cross, []],
        ] as const)
      : []),
  ]) {
    const r = spawnSync(compiler, ['-O2', '-pthread', ...flags, '-o', join(scratch, name), source], {
      encoding: 'utf8',
    });
    if (r.status !== 0) throw new Error(r.stderr);
  }
});
afterAll(() => rmSync(scratch, { recursive: true }));

const run = (command: string, args: string[]): { status: number | null; output: string } => {
  const { status, stdout, stderr } = spawnSync(command, args, { encoding: 'utf8' });
  return { status, output: stdout + stderr };
};

function million(program: string, ...flags: string[]): void {
  const file = join(scratch, 'stats.json');
  expect(run(uktx, ['run', ...flags, '--stats-file', file, program, 'million'])).toEqual({ status: 0, output: '' });
  const { syscalls } = JSON.parse(readFileSync(file, 'utf8')).kernel;
  expect(syscalls.clock_gettime ?? 0).toBe(0);
  expect(syscalls.gettimeofday ?? 0).toBe(0);
  expect(syscalls.exit_group).toBe(1);
}

describe.runIf(existsSync(cross)).each(['static', 'dynamic'])('aarch64, %s', (kind) => {
  const name = `aarch64-${kind}`;
  // The libraries are those of the cross compiler.
  const flags = (): string[] => ['--rootfs', '/usr/aarch64-linux-gnu', '-v', `${scratch}:/programs:ro`];
  const program = `/programs/${name}`;
  it.each(parts.filter((part) => !oursOnly.has(part)))('%s', (part) => {
    expect(run(uktx, ['run', '--jit=off', ...flags(), program, part])).toEqual({ status: 0, output: '' });
  });
  it('a million calls make no system call, interpreted', () => million(program, '--jit=off', ...flags()), 60_000);
  it('a million calls make no system call, translated', () => million(program, ...flags()), 60_000);
});

describe.runIf(possible).each(['dynamic', 'static'])('%s', (kind) => {
  const program = (): string => join(scratch, kind);
  it.each(parts)('%s', (part) => {
    expect(run(uktx, ['run', program(), part])).toEqual({ status: 0, output: '' });
  });
  it.each(parts.filter((part) => !oursOnly.has(part)))('%s, natively', (part) => {
    expect(run(program(), [part])).toEqual({ status: 0, output: '' });
  });
  it('a million calls make no system call', () => million(program()), 60_000);
  it('without translation of hot code, too', () => {
    for (const part of ['vsyscall', 'pointers'])
      expect(run(uktx, ['run', '--jit=off', program(), part])).toEqual({ status: 0, output: '' });
  });
});
