/**
 * Runs programs under uktx: in a worker process that runs one after the other (worker.ts), which saves the start-up, or
 * each by bin/uktx.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { closeSync, fstatSync, mkdtempSync, openSync, readSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { hashOf, type Outcome, runProgram } from './build.ts';

export interface GuestResult extends Outcome {
  stderr: string;
  /** The host failed, not the program. */
  error: string | null;
}

/** Programs after which a worker is replaced: what it has mapped is not all given back. */
const PROGRAMS_PER_WORKER = 100;

class Worker {
  readonly #folder = mkdtempSync(join(tmpdir(), 'uktx-conformance-'));
  readonly #files = [openSync(`${this.#folder}/stdout`, 'w+'), openSync(`${this.#folder}/stderr`, 'w+')] as const;
  readonly #positions = [0, 0];
  readonly #child: ChildProcess;
  runs = 0;
  dead = false;

  constructor(flags: readonly string[]) {
    this.#child = fork(join(import.meta.dirname, 'worker.ts'), [...flags], {
      cwd: this.#folder,
      stdio: ['ignore', this.#files[0], this.#files[1], 'ipc'],
      execArgv: ['--disable-warning=ExperimentalWarning'],
    });
  }

  /** What was written to stdout or stderr since the last call. */
  #output(n: 0 | 1): Uint8Array {
    const size = fstatSync(this.#files[n]).size;
    const bytes = new Uint8Array(size - this.#positions[n]!);
    readSync(this.#files[n], bytes, 0, bytes.length, this.#positions[n]!);
    this.#positions[n] = size;
    return bytes;
  }

  async run(program: string, limit: number): Promise<GuestResult> {
    this.runs++;
    const end = await new Promise<{ status: number; timedOut: boolean; error: string | null }>((resolve) => {
      const finish = (r: { status: number; timedOut: boolean; error: string | null }): void => {
        clearTimeout(timer);
        this.#child.removeAllListeners();
        resolve(r);
      };
      const timer = setTimeout(() => {
        this.dead = true;
        this.#child.kill('SIGKILL');
        finish({ status: 137, timedOut: true, error: null });
      }, limit);
      this.#child.on('message', (m: { status: number; error: string | null }) => finish({ ...m, timedOut: false }));
      this.#child.on('exit', (code, signal) => {
        this.dead = true;
        finish({ status: code ?? 0, timedOut: false, error: `the worker ended: ${signal ?? `status ${code}`}` });
      });
      this.#child.send(program);
    });
    const stdout = hashOf(this.#output(0));
    return { ...end, stdout, stderr: Buffer.from(this.#output(1)).toString('latin1') };
  }

  kill(): void {
    this.dead = true;
    this.#child.kill('SIGKILL');
    for (const f of this.#files) closeSync(f);
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

export class GuestPool {
  readonly #limit: number;
  readonly #separate: boolean;
  readonly #flags: readonly string[];
  readonly #idle: Worker[] = [];
  readonly #launcher = join(import.meta.dirname, '..', 'bin', 'uktx');

  /** `limit` in milliseconds, for each program. `separate`: each program by bin/uktx. `flags`: of `uktx run`. */
  constructor(limit: number, separate: boolean, flags: readonly string[]) {
    this.#flags = flags;
    this.#limit = limit;
    this.#separate = separate;
  }

  async run(program: string): Promise<GuestResult> {
    if (this.#separate) {
      const result = await runProgram(this.#launcher, ['run', ...this.#flags, program], this.#limit);
      const inner = /^uktx: .*$/m.exec(result.stderr);
      return { ...result, error: result.status === 70 && inner ? inner[0] : null };
    }
    const worker = this.#idle.pop() ?? new Worker(this.#flags);
    const result = await worker.run(program, this.#limit);
    if (worker.dead || result.error !== null || worker.runs >= PROGRAMS_PER_WORKER) {
      worker.kill();
    } else this.#idle.push(worker);
    return result;
  }

  close(): void {
    for (const w of this.#idle.splice(0)) w.kill();
  }
}
