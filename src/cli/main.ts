/** Entry point. `run` goes straight to the runtime; every other command goes through oclif. */
import { optimiseJavaScript } from '../runtime/jit/v8-flags.ts';
import { usedMs } from '../runtime/node-host.ts';
import { parseRun } from './parse-run.ts';
import { run } from './run.ts';
const [major] = process.versions.node.split('.').map(Number);
if (major! < 24) {
  process.stderr.write(`uktx: Node.js 24 or newer is needed, this is ${process.versions.node}\n`);
  process.exit(1);
}

/** Prints an internal error in one line, or with its stack under UKTX_DEBUG, and ends. */
function fail(e: unknown): never {
  const error = e as Error;
  const text = process.env.UKTX_DEBUG ? error.stack : error.message;
  process.stderr.write(`uktx: ${text ?? String(e)}\n`);
  process.exit(e instanceof Error && error.constructor.name === 'UsageError' ? 2 : 70);
}

/** Processor time after which a program is worth optimised JavaScript, in milliseconds: a small one has ended by then. */
const OPTIMISE_AFTER_MS = 150;
/** The same for a run that keeps its bytecode for later ones (bin/start.cjs). */
const OPTIMISE_AFTER_SAVING_MS = 400;

/** What bin/start.cjs leaves behind. */
const launcher = (globalThis as { uktxLauncher?: { saveCode: (() => void) | null } }).uktxLauncher;

/**
 * Turns V8's optimising compilers for JavaScript on. The launcher turns them off: in the first milliseconds they would
 * compile, on other cores if there are any, for longer than a small program runs.
 */
function optimise(): void {
  launcher?.saveCode?.();
  optimiseJavaScript();
}

function optimiseAfter(ms: number): void {
  const left = ms - usedMs();
  if (left <= 0) optimise();
  // On a machine with more to do it takes longer.
  else setTimeout(() => optimiseAfter(ms), left).unref();
}

async function main(args: string[]): Promise<void> {
  if (args[0] === 'run') {
    optimiseAfter(launcher?.saveCode ? OPTIMISE_AFTER_SAVING_MS : OPTIMISE_AFTER_MS);
    const options = parseRun(args.slice(1), process.env);
    if (options) process.exit(await run(options));
  }
  optimise();
  const { oclifMain } = await import('./oclif.ts');
  await oclifMain(args);
}

// What is thrown in a turn of its own reaches no promise of `main`.
process.on('uncaughtException', fail);
main(process.argv.slice(2)).catch(fail);
