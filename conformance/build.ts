/**
 * Builds the tests with gcc and runs them without uktx: natively, or by qemu-user what is of another instruction set. Both are
 * done once and remembered in the cache folder.
 */
import { execFileSync, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Level, SuiteIsa, SuiteTest } from './suite.ts';

/** What a program did: exit status, or 128 + N for death by signal N; stdout as a hash, null if it is another every time. */
export interface Outcome {
  status: number;
  stdout: string | null;
  timedOut: boolean;
}

export interface Built {
  /** Identifies program and options; changes with either. */
  key: string;
  /** Path of the program, null when it does not build. */
  program: string | null;
  native: Outcome | null;
}

export const TIME_LIMIT_MS = 10_000;

export const hashOf = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex').slice(0, 16);

/** Runs a program to its end or the limit, in an empty folder of its own. */
export async function runProgram(
  command: string,
  args: string[],
  limit = TIME_LIMIT_MS,
  env = process.env,
): Promise<Outcome & { stderr: string }> {
  const cwd = mkdtempSync(join(tmpdir(), 'uktx-conformance-'));
  try {
    return await new Promise((resolve, reject) => {
      const child = spawn(command, args, { cwd, env, stdio: ['ignore', 'pipe', 'pipe'] });
      const out: Buffer[] = [];
      const err: Buffer[] = [];
      let timedOut = false;
      const timer = setTimeout(() => {
        timedOut = true;
        child.kill('SIGKILL');
      }, limit);
      child.stdout.on('data', (d: Buffer) => out.push(d));
      child.stderr.on('data', (d: Buffer) => err.push(d));
      child.on('error', reject);
      child.on('close', (code, signal) => {
        clearTimeout(timer);
        resolve({
          status: code ?? 128 + signalNumber(signal),
          stdout: hashOf(Buffer.concat(out)),
          stderr: Buffer.concat(err).toString('latin1'),
          timedOut,
        });
      });
    });
  } finally {
    rmSync(cwd, { recursive: true, force: true });
  }
}
function signalNumber(name: NodeJS.Signals | null): number {
  const numbers: Record<string, number> = {
    SIGILL: 4,
    SIGTRAP: 5,
    SIGABRT: 6,
    SIGBUS: 7,
    SIGFPE: 8,
    SIGKILL: 9,
    SIGSEGV: 11,
  };
  return name ? (numbers[name] ?? 0) : 0;
}

/** How programs of an instruction set are made, and what runs them to be compared with. */
const toolchains: Record<SuiteIsa, { gcc: string; runner: string[] }> = {
  x86_64: { gcc: 'gcc', runner: [] },
  aarch64: { gcc: 'aarch64-linux-gnu-gcc', runner: ['qemu-aarch64'] },
};

/** Runs it twice, to see whether the output is fixed: some tests print addresses. */
async function runReference(runner: string[], program: string): Promise<Outcome> {
  const [command, ...args] = runner.concat(program);
  const { stderr: _, ...first } = await runProgram(command!, args);
  const { stdout } = await runProgram(command!, args);
  return { ...first, stdout: stdout === first.stdout ? stdout : null };
}

/** The builds of one cache folder, with an index that is written now and then. */
export class Builds {
  readonly #folder: string;
  readonly #indexFile: string;
  readonly #index: Record<string, { ok: boolean; native: Outcome | null }>;
  readonly #tools: { gcc: string; runner: string[] };
  readonly #gcc: string;
  #unsaved = 0;

  constructor(folder: string, isa: SuiteIsa) {
    this.#tools = toolchains[isa];
    this.#folder = folder;
    mkdirSync(folder, { recursive: true });
    this.#indexFile = join(folder, 'index.json');
    this.#index = existsSync(this.#indexFile) ? JSON.parse(readFileSync(this.#indexFile, 'utf8')) : {};
    this.#gcc = execFileSync(this.#tools.gcc, ['--version'], { encoding: 'utf8' }).split('\n')[0]!;
  }

  #arguments(test: SuiteTest, level: Level): string[] {
    return ['-w', '-static', level, ...test.options, ...test.sources];
  }

  /** The test's program and what it does natively. */
  async get(test: SuiteTest, level: Level): Promise<Built> {
    const args = this.#arguments(test, level);
    const key = createHash('sha256')
      .update(JSON.stringify([this.#gcc, args]))
      .digest('hex')
      .slice(0, 24);
    const program = join(this.#folder, key);
    let known = this.#index[key];
    if (!known || (known.ok && !existsSync(program))) {
      const temporary = `${program}.${process.pid}`;
      const built = await runProgram(this.#tools.gcc, [...args, '-o', temporary, '-lm'], 60_000);
      if (built.status === 0) renameSync(temporary, program);
      known = { ok: built.status === 0, native: null };
      if (known.ok) known.native = await runReference(this.#tools.runner, program);
      this.#index[key] = known;
      if (++this.#unsaved >= 50) this.save();
    }
    return { key, program: known.ok ? program : null, native: known.native };
  }

  /**
   * Whether the program prints the same with a longer environment, thus another stack address: qemu-user does not randomise
   * addresses, so that two equal runs do not show that a test prints some.
   */
  async printsNoAddress(built: Built): Promise<boolean> {
    const [command, ...args] = this.#tools.runner.concat(built.program!);
    const env = { ...process.env, UKTX_CONFORMANCE_PADDING: 'x'.repeat(5000) };
    return (await runProgram(command!, args, TIME_LIMIT_MS, env)).stdout === built.native!.stdout;
  }

  save(): void {
    this.#unsaved = 0;
    const temporary = `${this.#indexFile}.${process.pid}`;
    writeFileSync(temporary, JSON.stringify(this.#index));
    renameSync(temporary, this.#indexFile);
  }
}
