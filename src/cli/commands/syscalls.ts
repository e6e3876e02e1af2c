/** `uktx syscalls`: which system calls there are, from the table that serves them. */
import { Command, Flags } from '@oclif/core';
import { describeSyscalls } from '../../kernel/syscalls/table.ts';

export default class Syscalls extends Command {
  static override summary = 'List system calls and how far each is supported.';
  static override flags = {
    json: Flags.boolean({ description: 'print JSON' }),
    support: Flags.string({ options: ['full', 'partial', 'none'], description: 'only those supported so far' }),
  };

  override async run(): Promise<void> {
    const { flags } = await this.parse(Syscalls);
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
