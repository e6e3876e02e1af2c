/**
 * The first run of a program after `uktx prewarm` on an empty cache, against the second run that begins with what a first one
 * has left. Both begin each time with a copy of that cache, since a run adds to it.
 */
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { type RunLimits, runOnce } from './measure.ts';
import { median } from './statistics.ts';

export interface PrewarmedResult {
  name: string;
  /** Milliseconds, one figure a round. */
  second: number[];
  first: number[];
  /** Time of the prewarmed first run by that of the second one. */
  part: number;
  error: string | null;
}

const IMPORTS = 'import json,re,hashlib';

interface Program {
  name: string;
  command: readonly string[];
  /** Prints /proc/self/maps when all libraries that the program opens while it runs are loaded: prewarm has to be told of them. */
  maps?: readonly string[];
}

export const prewarmedPrograms: readonly Program[] = [
  {
    name: 'python3 import',
    command: ['/usr/bin/python3', '-c', IMPORTS],
    maps: ['/usr/bin/python3', '-c', `${IMPORTS}; print(open('/proc/self/maps').read())`],
  },
  { name: 'ls', command: ['/bin/ls', '-la', '/'] },
  { name: 'bash', command: ['/bin/bash', '-c', 'for k in 1 2 3; do echo $k; done'] },
].filter(({ command }) => existsSync(command[0]!));

function libraries({ maps }: Program): string[] {
  if (!maps) return [];
  const { stdout } = spawnSync(maps[0]!, maps.slice(1), { encoding: 'utf8' });
  const all = [...stdout.matchAll(/ r-xp .* (\/\S+\.so[.\d]*)$/gm)].map((m) => m[1]!);
  return all.filter((path) => !/\/ld-linux[^/]*$/.test(path));
}

/** Seconds that prewarming a program with its libraries may take. */
const PREWARM_LIMIT = 900;

/** `uktx`: the launcher. */
export async function runPrewarmed(
  uktx: string,
  program: Program,
  rounds: number,
  limits: RunLimits,
  progress: (text: string) => void,
): Promise<PrewarmedResult> {
  const { name, command } = program;
  const result: PrewarmedResult = { name, second: [], first: [], part: Number.NaN, error: null };
  const [ran, prewarmed, used] = ['ran', 'prewarmed', 'used'].map((f) => join(limits.scratch, `cache-${f}`));
  const folders = [ran!, prewarmed!, used!];
  const run = async (cache: string): Promise<number> => {
    const outcome = await runOnce([uktx, 'run', `--cache-dir=${cache}`, ...command], limits);
    result.error ??= outcome.error;
    return outcome.wallMs;
  };
  const from = async (cache: string): Promise<number> => {
    rmSync(used!, { recursive: true, force: true });
    cpSync(cache, used!, { recursive: true, preserveTimestamps: true });
    return await run(used!);
  };
  try {
    progress(`${name}: a first run`);
    await run(ran!);
    progress(`${name}: prewarm`);
    const made = await runOnce(
      [uktx, 'prewarm', '--libs', '--json', `--cache-dir=${prewarmed}`, command[0]!, ...libraries(program)],
      { ...limits, timeoutMs: PREWARM_LIMIT * 1000 },
    );
    result.error ??= made.error;
    for (let round = 1; round <= rounds && result.error === null; round++) {
      progress(`round ${round} of ${rounds}: ${name}, prewarmed`);
      result.second.push(await from(ran!));
      result.first.push(await from(prewarmed!));
    }
  } finally {
    for (const folder of folders) rmSync(folder, { recursive: true, force: true });
  }
  if (result.error === null) result.part = median(result.first) / median(result.second);
  return result;
}
