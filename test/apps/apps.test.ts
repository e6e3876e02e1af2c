/** Real programs under uktx against the same programs run natively: stdout, exit status, files, and stderr where it is fixed. */
import { expect, it } from 'vitest';
import { cases } from './cases.ts';
import { type Case, guestStderr, limitOf, resolveCommand, runGuest, runNative } from './run.ts';

const wanted = process.env.UKTX_SLOW ? cases.filter((c) => c.slow) : cases.filter((c) => !c.slow);

async function compare(c: Case, command: string[]): Promise<void> {
  const native = await runNative(command, c);
  const guest = await runGuest(command, c);
  const normalise = c.normalise ?? ((s: string) => s);
  const explain = `uktx's stderr: ${guest.stderr.slice(0, 2000)}`;
  // The status first: with a wrong one the rest differs, too.
  expect(guest.status, explain).toBe(native.status);
  if (!native.stdout.equals(guest.stdout))
    expect(normalise(guest.stdout.toString('latin1')), explain).toBe(normalise(native.stdout.toString('latin1')));
  for (const [name, want] of Object.entries(native.outputs))
    expect(guest.outputs[name]?.equals(want ?? Buffer.of()) ?? want === null, `file ${name}`).toBe(true);
  if (c.stderr) expect(guestStderr(guest.stderr)).toBe(native.stderr);
}

for (const c of wanted) {
  // Guests that must be built first are looked at when their test runs.
  const known = c.command[0]!.startsWith('guest:') ? null : resolveCommand(c);
  if (known && 'missing' in known) it.skip(`${c.name}: skipped, ${known.missing}`);
  else
    it(
      c.name,
      async (context) => {
        const found = resolveCommand(c);
        if ('missing' in found) context.skip(found.missing);
        else await compare(c, found.command);
      },
      (limitOf(c) * 2 + 10) * 1000,
    );
}
