/** Hands a command line to oclif. */
import { execute } from '@oclif/core';
import { packageRoot } from '../runtime/package-root.ts';

export async function oclifMain(args: string[]): Promise<void> {
  await execute({ dir: packageRoot(), args: args[0] === 'run' ? ['run', '--help'] : args });
}
