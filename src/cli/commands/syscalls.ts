/** `uktx syscalls`: which system calls there are, from the table that serves them, and which ones a program uses. */
import { Command, Flags } from '@oclif/core';
import { describeSyscalls } from '../../kernel/syscalls/table.ts';

export default class Syscalls extends Command {
  static override summary = 'List system calls and how far each is supported, or those a program uses.';
  static override description =
    'With --used, everything behind it is a command line of `run` (its flags, PROGRAM and ARGS). The program runs to its end; the account of its calls goes to stderr. --stub CALL and --fake CALL=VALUE show what it does without a call.';
  static override usage = 'syscalls [--json] [--support full|partial|none | --used [RUN FLAGS] PROGRAM [ARGS...]]';
  static override examples = [
    '<%= config.bin %> syscalls --support none',
    '<%= config.bin %> syscalls --used /bin/ls -la',
    '<%= config.bin %> syscalls --json --used --stub statx /bin/ls',
  ];
  static override strict = false;
  static override flags = {
    json: Flags.boolean({ description: 'print JSON' }),
    support: Flags.string({ options: ['full', 'partial', 'none'], description: 'only those supported so far' }),
    used: Flags.boolean({ description: 'run a program and list the calls it makes' }),
  };

  override async run(): Promise<void> {
    const at = this.argv.indexOf('--used');
    // What stands before it is ours; behind it comes a command line of `run`.
    const own = at < 0 ? this.argv : this.argv.slice(0, at);
    if (at >= 0 && own.every((word) => word === '--json')) {
      const { used } = await import('../used-calls.ts');
      process.exit(await used(this.argv.slice(at + 1), own.includes('--json')));
    }
    const { flags, argv } = await this.parse(Syscalls);
    if (argv.length > 0) this.error(`unexpected argument: ${String(argv[0])}`, { exit: 2 });
    const rows = describeSyscalls().filter((r) => !flags.support || r.support === flags.support);
    if (flags.json) {
      this.log(JSON.stringify(rows, null, 2));
      return;
    }
    const cell = (n: number | null): string => (n === null ? '-' : String(n)).padStart(6);
    this.log(`${'NAME'.padEnd(26)}${'X86-64'.padStart(6)} ${'ARM64'.padStart(6)}  ${'SUPPORT'.padEnd(8)} NOTE`);
    for (const r of rows)
      this.log(`${r.name.padEnd(26)}${cell(r.x86_64)} ${cell(r.aarch64)}  ${r.support.padEnd(8)} ${r.note}`.trimEnd());
    const count = (s: string): number => rows.filter((r) => r.support === s).length;
    this.log(`${count('full')} full, ${count('partial')} partial, ${count('none')} not supported`);
  }
}
