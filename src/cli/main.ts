/** Entry point. `run` goes straight to the runtime; every other command goes through oclif. */
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

async function main(args: string[]): Promise<void> {
  if (args[0] === 'run') {
    const options = parseRun(args.slice(1), process.env);
    if (options) process.exit(await run(options));
  }
  const { oclifMain } = await import('./oclif.ts');
  await oclifMain(args);
}

main(process.argv.slice(2)).catch(fail);
