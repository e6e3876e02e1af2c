/** Runs programs under uktx. */
import { join } from 'node:path';
import { type Outcome, runProgram } from './build.ts';

export interface GuestResult extends Outcome {
  stderr: string;
  /** The host failed, not the program. */
  error: string | null;
}

export class GuestPool {
  readonly #limit: number;
  readonly #launcher = join(import.meta.dirname, '..', 'bin', 'uktx');

  /** `limit` in milliseconds, for each program. */
  constructor(limit: number) {
    this.#limit = limit;
  }
  async run(program: string): Promise<GuestResult> {
    const result = await runProgram(this.#launcher, ['run', program], this.#limit);
    const inner = /^uktx: .*$/m.exec(result.stderr);
    return { ...result, error: result.status === 70 && inner ? inner[0] : null };
  }
  close(): void {}
}
