/** `uktx syscalls --used`: runs a program and tells which system calls it made, and how they ended. */
import type { UsedCall } from '../kernel/syscalls/call-usage.ts';
import { UsageError } from './options.ts';
import { parseRun } from './parse-run.ts';
import { run } from './run.ts';

const describeErrors = (call: UsedCall): string =>
  Object.entries(call.byError)
    .sort(([, a], [, b]) => b - a)
    .map(([name, n]) => (n === 1 ? name : `${name} x${n}`))
    .join(', ');

/** The table for a terminal. */
export function usageTable(calls: readonly UsedCall[]): string {
  const lines = [
    `${'NAME'.padEnd(24)}${'CALLS'.padStart(10)} ${'ERRORS'.padStart(8)}  ${'SUPPORT'.padEnd(9)} HOW IT FAILED`,
  ];
  for (const c of calls) {
    const cells = `${c.name.padEnd(24)}${String(c.calls).padStart(10)} ${String(c.errors).padStart(8)}`;
    lines.push(`${cells}  ${c.support.padEnd(9)} ${describeErrors(c)}`.trimEnd());
  }
  const total = calls.reduce((sum, c) => sum + c.calls, 0);
  const missing = calls.filter((c) => c.support === 'none');
  lines.push(`${calls.length} calls by name, ${total} made, ${missing.length} of them not supported`);
  if (missing.length > 0) lines.push(`not supported: ${missing.map((c) => c.name).join(', ')}`);
  return `${lines.join('\n')}\n`;
}

/** `args` is a command line of `run`. The result is the program's exit status. */
export async function used(args: readonly string[], json: boolean): Promise<number> {
  let options: ReturnType<typeof parseRun>;
  try {
    options = parseRun(args, process.env);
    if (!options) throw new UsageError('--used takes a PROGRAM: uktx syscalls --used [run flags] PROGRAM [ARGS...]');
    return await run(options, {
      onUsage: (calls) => process.stderr.write(json ? `${JSON.stringify(calls, null, 2)}\n` : usageTable(calls)),
    });
  } catch (e) {
    if (!(e instanceof UsageError)) throw e;
    process.stderr.write(`uktx: ${e.message}\n`);
    return 2;
  }
}
