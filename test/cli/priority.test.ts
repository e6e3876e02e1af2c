/** Which of the process's threads go first. */
import { spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { availableParallelism, getPriority } from 'node:os';
import { join } from 'node:path';
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

it.runIf(process.platform === 'linux')(
  "V8's threads come behind the guest's where processors are few",
  async () => {
    const words = ['run', '/bin/sh', '-c', 'while :; do :; done'];
    const child = spawn(process.execPath, [join(packageRoot(), 'bin/start.cjs'), ...words]);
    try {
      const usual = getPriority();
      const behind = availableParallelism() < 4 ? Math.min(19, usual + 10) : usual;
      const compilers = (): number[] => [...(niceValues(child.pid!).get('V8Worker') ?? [])];
      await expect.poll(compilers, { timeout: 20_000 }).toEqual([behind]);
      expect([...niceValues(child.pid!).get('MainThread')!]).toEqual([usual]);
    } finally {
      child.kill('SIGKILL');
    }
  },
  40_000,
);
