/** Which of the process's threads go first. */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { availableParallelism, getPriority, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { packageRoot } from '../../src/runtime/package-root.ts';

/** Nice values of a process's threads, by name: proc(5), /proc/pid/stat (19). */
function niceValues(pid: number): Map<string, Set<number>> {
  const found = new Map<string, Set<number>>();
  for (const thread of readdirSync(`/proc/${pid}/task`)) {
    const [, name, rest] = /\((?:node-)?(.*)\) (.*)/.exec(readFileSync(`/proc/${pid}/task/${thread}/stat`, 'latin1'))!;
    const nice = Number(rest!.split(' ')[16]);
    found.set(name!, (found.get(name!) ?? new Set()).add(nice));
  }
  return found;
}

const COUNT = 'i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done';

it.runIf(process.platform === 'linux')(
  "V8's threads come behind the guest's in warm runs where processors are few",
  async () => {
    const folder = mkdtempSync(join(tmpdir(), 'uktx-priority-'));
    const start = (script: string): ChildProcess => {
      const words = ['run', '--cache=rw', `--cache-dir=${folder}`, '/bin/sh', '-c', script];
      return spawn(process.execPath, [join(packageRoot(), 'bin/start.cjs'), ...words], { stdio: 'ignore' });
    };
    const usual = getPriority();
    const cold = start(COUNT);
    let warm: ChildProcess | null = null;
    try {
      const before = new Set<number>();
      while (cold.exitCode === null && cold.signalCode === null) {
        for (const nice of niceValues(cold.pid!).get('V8Worker') ?? []) before.add(nice);
        await setTimeout(50);
      }
      expect([cold.exitCode, [...before]]).toEqual([0, [usual]]);
      warm = start(`${COUNT}; while :; do :; done`);
      const { pid } = warm;
      const behind = availableParallelism() < 4 ? Math.min(19, usual + 10) : usual;
      const compilers = (): number[] => [...(niceValues(pid!).get('V8Worker') ?? [])];
      await expect.poll(compilers, { timeout: 20_000 }).toEqual([behind]);
      expect([...niceValues(pid!).get('MainThread')!]).toEqual([usual]);
    } finally {
      cold.kill('SIGKILL');
      warm?.kill('SIGKILL');
      rmSync(folder, { recursive: true });
    }
  },
  60_000,
);
