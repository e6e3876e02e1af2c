/** Parses the command line of `run` without loading oclif, which would take longer than starting a small guest. */
import { parseArgs, type ParseArgsConfig } from 'node:util';
import {
  type OptionSpec,
  type RunOptions,
  runOptions,
  separateGuestArguments,
  toRunOptions,
  UsageError,
} from './options.ts';

/** `--strace` alone is `--strace=`: parseArgs knows no values that may be left out. */
function fillOptional(args: readonly string[]): string[] {
  const end = args.indexOf('--');
  const optional = (runOptions as readonly OptionSpec[]).filter((o) => o.optional).map((o) => `--${o.name}`);
  return args.map((word, i) => ((end < 0 || i < end) && optional.includes(word) ? `${word}=` : word));
}

/** `args` are the words after `run`. Throws UsageError. Null when help is asked for, before PROGRAM. */
export function parseRun(args: readonly string[], environment: NodeJS.ProcessEnv): RunOptions | null {
  const options: NonNullable<ParseArgsConfig['options']> = { help: { type: 'boolean' } };
  for (const o of runOptions as readonly OptionSpec[])
    options[o.name] = { type: o.type, ...(o.char && { short: o.char }), ...(o.multiple && { multiple: true }) };
  const separated = fillOptional(separateGuestArguments(args));
  let parsed: ReturnType<typeof parseArgs>;
  try {
    parsed = parseArgs({ args: separated, options, allowPositionals: true, strict: true });
  } catch (e) {
    // Node's own messages name the flag; what follows the first sentence is about its API.
    throw new UsageError((e as Error).message.split('. ')[0]!);
  }
  if (parsed.values.help) return null;
  return toRunOptions(parsed.values, parsed.positionals, environment);
}
