/** AArch64 programs under uktx against qemu-aarch64; and programs of both instruction sets in one run. */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { guestProgram, guests } from '../guests/build.ts';
import { slowness } from './run.ts';

const uktx = join(import.meta.dirname, '../../bin/uktx');
/** Libraries of the cross compiler, which dynamic programs are linked with. */
const ROOT = '/usr/aarch64-linux-gnu';
const modes: [string, string[]][] = [
  ['as it comes', []],
  ['interpreted', ['--jit=off']],
  ['translated early', ['--jit-sync', '--jit-threshold=100']],
];
const SLOW = 120_000 * slowness();

interface Outcome {
  status: number | null;
  stdout: string;
  stderr: string;
}
const env = { ...process.env, UKTX_CACHE: 'off', LANG: 'C', TZ: 'UTC' };
const call = (command: string, args: string[]): Outcome => {
  const { status, stdout, stderr } = spawnSync(command, args, { encoding: 'latin1', env });
  return { status, stdout, stderr };
};
const hasQemu = spawnSync('qemu-aarch64', ['--version']).status === 0;
// Without SVE: qemu 7 restores its record last, which undoes a handler's changes of vector registers.
const underQemu = (program: string, args: string[]): Outcome =>
  call('qemu-aarch64', ['-cpu', 'cortex-a76', '-L', ROOT, program, ...args]);
const underUktx = (program: string, args: string[], flags: string[]): Outcome => {
  const root = existsSync(ROOT) ? ['--rootfs', ROOT] : [];
  const mount = ['-v', `${dirname(program)}:/programs:ro`];
  return call(uktx, ['run', ...flags, ...root, ...mount, `/programs/${basename(program)}`, ...args]);
};

describe.runIf(hasQemu)('prints and returns what it does under qemu-aarch64', () => {
  const args = ['one', 'two words'];
  for (const name of Object.keys(guests).filter((n) => /^(hello|signal-frame).*-aarch64$/.test(n)))
    it(name, { timeout: SLOW }, ({ skip }) => {
      const found = guestProgram(name);
      if ('missing' in found) return skip(found.missing);
      const want = underQemu(found.path, args);
      expect(want.status).toBeGreaterThan(0);
      for (const [mode, flags] of name.startsWith('hello') ? modes.slice(0, 2) : modes)
        expect(underUktx(found.path, args, flags), mode).toEqual(want);
    });
});

describe('x86-64 and AArch64 programs in one run', () => {
  /** What the chain prints: `work` and signal are alike in both. */
  function expected(steps: string): string[] {
    const lines: string[] = [];
    const ends: string[] = [];
    let [self, other] = ['x86-64', 'aarch64'];
    let from = 'outside';
    let status = 7;
    const started: [string, string, string][] = [];
    for (let k = 0; k <= steps.length; k++) {
      lines.push(`${self}: ${steps.slice(k)}, signal 10, work 5f9f, from ${from}`);
      from = self;
      const step = steps[k]!;
      if ('fpt'.includes(step)) started.push([self, step, steps.slice(k)]);
      if (step !== 's') [self, other] = [other, self];
    }
    for (const [who, step, what] of started.reverse()) {
      const shared = step === 'p' ? '' : `from ${who}'s child`;
      ends.push(`${who}: child of ${what}: status ${(status << 8).toString(16)}, shared '${shared}'`);
      status++;
    }
    return [...lines, ...ends];
  }

  for (const [mode, flags] of modes) {
    // Every program is translated anew.
    const steps = mode === 'translated early' ? 'fept' : 'effpetse';
    it(`exec, fork and exec, posix_spawn: ${mode}`, { timeout: SLOW }, ({ skip }) => {
      const [x86, arm] = ['exec-chain', 'exec-chain-aarch64'].map(guestProgram) as [
        ReturnType<typeof guestProgram>,
        ReturnType<typeof guestProgram>,
      ];
      if ('missing' in x86) return skip(x86.missing);
      if ('missing' in arm) return skip(arm.missing);
      const got = call(uktx, ['run', ...flags, x86.path, steps, x86.path, arm.path]);
      const hashes = new Set(got.stdout.match(/work [0-9a-f]+/g));
      expect(hashes.size).toBe(1);
      const lines = got.stdout
        .trimEnd()
        .replace(/work [0-9a-f]+/g, 'work 5f9f')
        .split('\n');
      expect(lines).toEqual(expected(steps));
      const children = steps.replace(/[es]/g, '').length;
      expect(got).toMatchObject({ status: 7 + children, stderr: '' });
    });
  }
});
