/** Runs a command natively and under uktx, each in a folder of its own with the same files, and compares. */
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { guestProgram } from '../guests/build.ts';

export interface Case {
  name: string;
  /** Program (an absolute path, or `guest:NAME` of test/guests/build.ts) and arguments. */
  command: readonly string[];
  stdin?: string | Uint8Array;
  /** Files of the working folder, by name. */
  files?: Readonly<Record<string, string | Uint8Array>>;
  /** Run natively in both folders before. */
  prepare?: readonly string[];
  /** Files to compare afterwards. */
  outputs?: readonly string[];
  env?: Readonly<Record<string, string>>;
  /** stderr is compared, too. */
  stderr?: boolean;
  /** Changes text that differs between any two runs, such as times. */
  normalise?: (stdout: string) => string;
  /** Only under UKTX_SLOW. */
  slow?: boolean;
  /** Seconds. */
  limit?: number;
}

export interface Outcome {
  /** Exit status, or 128 + N. */
  status: number;
  stdout: Buffer;
  stderr: string;
  outputs: Record<string, Buffer | null>;
}

const WAYS = ['UKTX_JIT', 'UKTX_JIT_THRESHOLD', 'UKTX_JIT_SYNC', 'UKTX_MEMORY_CHECKS'];
/** How much longer guests take in the way of translating that the tests are run in. */
export function slowness(): number {
  const { UKTX_JIT, UKTX_JIT_THRESHOLD } = process.env;
  if (UKTX_JIT === 'verify') return 10;
  return Number(UKTX_JIT_THRESHOLD ?? 1000) < 100 ? 4 : 1;
}
/** Seconds that a case may take. */
export const limitOf = (c: Case): number => (c.limit ?? 60) * slowness();
const launcher = join(import.meta.dirname, '../../bin/uktx');
const signals: Record<string, number> = {
  SIGHUP: 1,
  SIGINT: 2,
  SIGQUIT: 3,
  SIGILL: 4,
  SIGTRAP: 5,
  SIGABRT: 6,
  SIGBUS: 7,
  SIGFPE: 8,
  SIGKILL: 9,
  SIGSEGV: 11,
  SIGPIPE: 13,
  SIGTERM: 15,
};

const environment = (c: Case): Record<string, string> => ({
  PATH: '/usr/local/bin:/usr/bin:/bin',
  LANG: 'C.UTF-8',
  HOME: '/',
  TZ: 'UTC',
  PYTHONHASHSEED: '0',
  PERL_HASH_SEED: '0',
  PYTHONDONTWRITEBYTECODE: '1',
  // Every run translates for itself.
  ...c.env,
});

/** The command with its program's path, or why it cannot run here. */
export function resolveCommand(c: Case): { command: string[] } | { missing: string } {
  const [program, ...args] = c.command as [string, ...string[]];
  if (program.startsWith('guest:')) {
    const g = guestProgram(program.slice(6));
    return 'missing' in g ? g : { command: [g.path, ...args] };
  }
  return existsSync(program) ? { command: [program, ...args] } : { missing: `no ${program} here` };
}

function spawnAndCollect(command: readonly string[], cwd: string, c: Case): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    const child = spawn(command[0]!, command.slice(1), { cwd, env: environment(c) });
    const limit = limitOf(c) * 1000;
    const timer = setTimeout(() => {
      child.kill('SIGKILL');
      reject(new Error(`no end within ${limit / 1000} s: ${command.join(' ')}`));
    }, limit);
    const out: Buffer[] = [];
    const err: Buffer[] = [];
    child.stdout.on('data', (d: Buffer) => out.push(d));
    child.stderr.on('data', (d: Buffer) => err.push(d));
    child.stdin.on('error', () => {}); // A program need not read its input.
    child.stdin.end(c.stdin ?? '');
    child.on('error', reject);
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      const outputs: Outcome['outputs'] = {};
      for (const name of c.outputs ?? [])
        outputs[name] = existsSync(join(cwd, name)) ? readFileSync(join(cwd, name)) : null;
      resolve({
        status: code ?? 128 + (signals[signal!] ?? 0),
        stdout: Buffer.concat(out),
        stderr: Buffer.concat(err).toString('latin1'),
        outputs,
      });
    });
  });
}

async function inFolder(command: readonly string[], c: Case): Promise<Outcome> {
  // Both run in folders of the same name, which programs may print.
  const parent = mkdtempSync(join(tmpdir(), 'uktx-apps-'));
  const cwd = join(parent, 'work');
  mkdirSync(cwd);
  try {
    for (const [name, contents] of Object.entries(c.files ?? {})) {
      mkdirSync(dirname(join(cwd, name)), { recursive: true });
      writeFileSync(join(cwd, name), contents);
    }
    if (c.prepare) {
      const { status, stderr } = await spawnAndCollect(c.prepare, cwd, { ...c, outputs: [], stdin: '' });
      if (status !== 0) throw new Error(`${c.prepare.join(' ')}: status ${status}: ${stderr}`);
    }
    return await spawnAndCollect(command, cwd, c);
  } finally {
    rmSync(parent, { recursive: true, force: true });
  }
}

export const runNative = (command: readonly string[], c: Case): Promise<Outcome> => inFolder(command, c);

export async function runGuest(command: readonly string[], c: Case): Promise<Outcome> {
  const flags = c.outputs || c.command[0] === 'guest:files-musl-static' ? ['--rw'] : [];
  // Runs must not depend on what earlier ones left in the code cache. The whole matrix may be run in another way of translating.
  const ways = Object.fromEntries(WAYS.flatMap((name) => (process.env[name] ? [[name, process.env[name]]] : [])));
  return inFolder([launcher, 'run', ...flags, ...command], { ...c, env: { UKTX_CACHE: 'off', ...c.env, ...ways } });
}

/** stderr without uktx's own lines. */
export const guestStderr = (text: string): string => text.replace(/^uktx: .*\n/gm, '');
