/** --jit=verify: right translations pass, each kind of wrong one is found and shown. */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { packageRoot } from '../../src/runtime/package-root.ts';
import { faultNames } from '../../src/translator/region/faults.ts';
import { guestProgram } from '../guests/build.ts';

const uktx = join(packageRoot(), 'bin/uktx');
const prebuilt = (name: string): string => join(packageRoot(), 'test/guests/prebuilt', name);
const kernels = join(packageRoot(), 'bench/guests');

function run(flags: string[], ...command: string[]) {
  const args = ['run', '--cache=off', ...flags, ...command];
  const { status, stdout, stderr } = spawnSync(uktx, args, { encoding: 'utf8', maxBuffer: 64 << 20 });
  return { status, stdout, stderr };
}
const verified = (stderr: string): Record<string, number> =>
  JSON.parse(stderr.replaceAll('uktx: ', '').replace(/^[^{]*/, '')).verified;

// Seconds each on a free machine, a minute on a busy one.
describe.runIf(process.platform === 'linux' && process.arch === 'x64')('--jit=verify', { timeout: 300_000 }, () => {
  for (const fault of faultNames)
    it(`finds wrong ${fault}`, () => {
      const flags = ['--jit=verify', '--jit-threshold=60', `--inject-fault=${fault}`];
      const { status, stderr } = run(flags, prebuilt('hello-musl-static'));
      expect(status).toBe(70);
      expect(stderr).toMatch(
        /^uktx: --jit=verify: the region at 0x[0-9a-f]+( \(.+\))? does not do what the interpreter does$/m,
      );
      // What differs, the blocks that ran, assembly, IR, and Wasm.
      expect(stderr).toMatch(/^ {2}.*region.*interpreter/m);
      expect(stderr).toMatch(/^blocks run: \d+/m);
      expect(stderr).toMatch(/^[0-9a-f]+: ([0-9a-f]{2} )+ +\w+/m);
      expect(stderr).toMatch(/^before the passes: block 0x/m);
      expect(stderr).toMatch(/^after the passes: region 0x/m);
      expect(stderr).toMatch(/\(func \$/);
    });

  it('takes other programs as they are', () => {
    expect(run(['--inject-fault=stores', '--jit=off'], prebuilt('hello-musl-static')).status).toBe(3);
  });

  const right: [string, string[]][] = [
    ['a loop of floating point', [join(kernels, 'nbody'), '200']],
    ['calls of calls', [join(kernels, 'fib'), '14']],
    ['a bytecode interpreter', [join(kernels, 'vm'), '20']],
    ['a dynamically linked program', [prebuilt('hello-c')]],
  ];
  for (const [name, command] of right)
    it(`agrees with ${name}`, () => {
      const off = run(['--jit=off'], ...command);
      const { status, stdout, stderr } = run(['--jit=verify', '--jit-threshold=60', '--stats'], ...command);
      expect({ status, stdout }).toEqual({ status: off.status, stdout: off.stdout });
      expect(verified(stderr).steps).toBeGreaterThan(10);
    });

  for (const checks of ['null', 'full'])
    it(`agrees where control flow is odd, --memory-checks=${checks}`, (context) => {
      const found = guestProgram('control-flow');
      if ('missing' in found) return context.skip(found.missing);
      const flags = ['--jit=verify', '--jit-threshold=60', `--memory-checks=${checks}`];
      const { status, stdout, stderr } = run(flags, found.path);
      expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
      expect(stdout).toBe(spawnSync(found.path, { encoding: 'utf8' }).stdout);
    });

  it('leaves out flags in r11 that a return has given up', (context) => {
    const found = guestProgram('flags-at-syscall');
    if ('missing' in found) return context.skip(found.missing);
    const { status, stdout, stderr } = run(['--jit=verify', '--jit-threshold=60'], found.path);
    expect({ status, stdout, stderr }).toEqual({ status: 0, stdout: 'asked 30000\n', stderr: '' });
  });

  it('agrees with AArch64 code, and finds a wrong translation of it', () => {
    const program = join(kernels, 'aarch64/fib');
    if (!existsSync(program)) throw new Error('no AArch64 kernels');
    const flags = ['--jit=verify', '--jit-threshold=60'];
    expect(run([...flags, '--stats'], program, '12').status).toBe(0);
    const { status, stderr } = run([...flags, '--inject-fault=registers'], program, '12');
    expect(status).toBe(70);
    expect(stderr).toMatch(/does not do what the interpreter does/);
  });
});
