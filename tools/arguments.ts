/** The command lines of tools that people run by hand. */
import { parseArgs, type ParseArgsConfig } from 'node:util';

/** As `parseArgs`; what it does not take ends the process with one line, the usage and status 2. */
export function toolArguments<T extends ParseArgsConfig>(usage: string, config: T): ReturnType<typeof parseArgs<T>> {
  try {
    return parseArgs(config);
  } catch (e) {
    process.stderr.write(`${(e as Error).message}\n${usage}\n`);
    process.exit(2);
  }
}
