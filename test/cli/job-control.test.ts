/** ^Z and fg: a run stops as a whole, with the terminal as the shell wants it, and goes on. */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';

const launcher = join(import.meta.dirname, '../../bin/uktx');
const driver = join(import.meta.dirname, 'job-control.py');
const python = spawnSync('python3', ['-c', 'import pty']).status === 0 && process.platform === 'linux';

/** Lines the shell and the guest have written. */
function play(keys: [string, string][], script: string): string[] {
  const r = spawnSync('python3', [driver, JSON.stringify(keys), launcher, 'run', '/bin/sh', '-c', script], {
    encoding: 'utf8',
    timeout: 60_000,
  });
  return r.stdout.split(/\r?\n/).filter((line) => /STOPPED|EXIT|got/.test(line));
}

describe.skipIf(!python)('^Z', () => {
  it.each([
    ['while the host edits lines', ''],
    ['in raw mode', 'stty eol x; '],
  ])('%s stops the run, and SIGCONT continues it', (_name, setup) => {
    const keys: [string, string][] = [
      ['ready\r\n', '\x1a'],
      // The whole line: the terminal's echo must not come into it.
      ['STOPPED cooked\r\n', 'foo\n'],
    ];
    const lines = play(keys, `${setup}echo ready; read x; echo got $x; exit 3`);
    expect(lines.map((l) => l.replace(/^.*(?=STOPPED)/, ''))).toEqual(['STOPPED cooked', 'got foo', 'EXIT 3']);
  });
  it('does not stop a run that ignores it', () => {
    const lines = play([['ready\r\n', '\x1afoo\n']], "trap '' TSTP; echo ready; read x; echo got $x; exit 4");
    expect(lines).toEqual(['got foo', 'EXIT 4']);
  });
});
