/** What runs the programs: the processor itself, qemu-user, and uktx in each of its modes this build has. */
import { spawnSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';

export type EngineId = 'native' | 'qemu' | 'interpreter' | 'jit-cold' | 'jit-warm';

export interface Engine {
  id: EngineId;
  label: string;
  version: string;
  /** Words before the program's own. */
  prefix: readonly string[];
  /** Needs one run that does not count, to fill its cache. */
  warmUp: boolean;
}

export const engineIds: readonly EngineId[] = ['native', 'qemu', 'interpreter', 'jit-cold', 'jit-warm'];
export const isJit = (id: EngineId): boolean => id === 'jit-cold' || id === 'jit-warm';

function firstLine(command: string, ...args: string[]): string | null {
  const r = spawnSync(command, args, { encoding: 'utf8' });
  return r.status === 0 ? r.stdout.trim().split('\n')[0]! : null;
}

/** Version of the first of these commands that is there, and its name. */
function findQemu(isa: string): { name: string; version: string } | null {
  for (const name of [`qemu-${isa}`, `qemu-${isa}-static`]) {
    const version = firstLine(name, '--version');
    if (version !== null) return { name, version };
  }
  return null;
}

/** The same engines for AArch64 programs: the emulator is qemu-aarch64, and what is native stays native. */
export function aarch64Engines(engines: readonly Engine[]): Engine[] {
  const qemu = findQemu('aarch64');
  return engines.flatMap((e) => {
    if (e.id !== 'qemu') return [e];
    return qemu ? [{ ...e, label: 'qemu-aarch64', version: qemu.version, prefix: [qemu.name] }] : [];
  });
}

/**
 * The engines of this machine. A build of uktx without a translator to WebAssembly has the interpreter alone; one without
 * a code cache on disk starts cold every time.
 */
export function findEngines(uktx: string, scratch: string): Engine[] {
  const engines: Engine[] = [{ id: 'native', label: 'native', version: '', prefix: [], warmUp: false }];
  const qemu = findQemu('x86_64');
  if (qemu)
    engines.push({ id: 'qemu', label: 'qemu-x86_64', version: qemu.version, prefix: [qemu.name], warmUp: false });
  const help = spawnSync(uktx, ['run', '--help'], { encoding: 'utf8' });
  if (help.status !== 0) throw new Error(`${uktx} run --help: ${help.stderr || help.error}`);
  const version = firstLine(uktx, '--version') ?? '';
  const has = (flag: string): boolean => new RegExp(`--${flag}\\b`).test(help.stdout);
  const run = [uktx, 'run'];
  const add = (id: EngineId, label: string, flags: string[], warmUp = false): void => {
    engines.push({ id, label, version, prefix: [...run, ...flags], warmUp });
  };
  add('interpreter', 'uktx interpreter', has('jit') ? ['--jit=off'] : []);
  if (has('jit')) add('jit-cold', 'uktx cold', has('cache') ? ['--cache=off'] : []);
  if (has('jit') && has('cache-dir')) {
    const cache = join(scratch, 'code-cache');
    mkdirSync(cache, { recursive: true });
    add('jit-warm', 'uktx warm', ['--cache=rw', `--cache-dir=${cache}`], true);
  }
  return engines;
}
