/** What the figures were measured on. */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { cpus, loadavg, release, totalmem, type } from 'node:os';
import { packageRoot } from '../src/runtime/package-root.ts';

export interface Machine {
  cpu: string;
  cores: number;
  memoryBytes: number;
  system: string;
  node: string;
  v8: string;
  /** Of the checkout, `+` when it is changed; null outside one. */
  commit: string | null;
  /** Load average at the start: figures of a busy machine are worth less. */
  load: number;
}

function osName(): string {
  try {
    return /^PRETTY_NAME="?([^"\n]*)/m.exec(readFileSync('/etc/os-release', 'utf8'))?.[1] ?? type();
  } catch {
    return type();
  }
}

export function describeMachine(): Machine {
  const git = (...args: string[]) => spawnSync('git', args, { cwd: packageRoot(), encoding: 'utf8' });
  const head = git('rev-parse', '--short', 'HEAD');
  const changed = head.status === 0 && git('status', '--porcelain', '--', 'src', 'bench').stdout !== '';
  return {
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: cpus().length,
    memoryBytes: totalmem(),
    system: `${osName()}, ${type()} ${release()}`,
    node: process.version,
    v8: process.versions.v8,
    commit: head.status === 0 ? `${head.stdout.trim()}${changed ? '+' : ''}` : null,
    load: loadavg()[0]!,
  };
}
