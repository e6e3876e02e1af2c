/** `uktx run` for oclif: its help and manifest. The command line itself is parsed by parse-run.ts. */
import { Command, Flags, type Interfaces } from '@oclif/core';
import { type OptionSpec, runOptions } from '../options.ts';

export default class Run extends Command {
  static override summary = 'Run a Linux program.';
  static override description =
    "Everything from PROGRAM on belongs to the guest, flags included. The exit status is the guest's; death by signal N gives 128+N; 127: not found, 126: not runnable.";
  static override usage = 'run [FLAGS] PROGRAM [ARGS...]';
  static override examples = [
    '<%= config.bin %> run /bin/ls -la /',
    '<%= config.bin %> run -e LANG=C --rw sort data.txt',
    '<%= config.bin %> run --strace /bin/true',
  ];
  static override strict = false;
  static override flags: Interfaces.FlagInput = Object.fromEntries(
    (runOptions as readonly OptionSpec[]).map((o) => {
      const common = {
        description: o.description,
        ...(o.char && { char: o.char as 'e' }),
        ...(o.env && { env: o.env }),
        ...(o.debug && { helpGroup: 'DEBUGGING' }),
      };
      if (o.type === 'boolean') return [o.name, Flags.boolean(common)];
      const text = { ...common, ...(o.value && { helpValue: o.value }), ...(o.choices && { options: [...o.choices] }) };
      return [o.name, o.multiple ? Flags.string({ ...text, multiple: true }) : Flags.string(text)];
    }),
  );

  override async run(): Promise<void> {
    const { parseRun } = await import('../parse-run.ts');
    const options = parseRun(this.argv, process.env);
    if (!options) return;
    const { run } = await import('../run.ts');
    process.exit(await run(options));
  }
}
