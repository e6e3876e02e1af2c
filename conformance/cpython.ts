/**
 * `node conformance/cpython.ts [MODULE...]`: runs modules of CPython's own test suite (Debian's libpython3.11-testsuite)
 * natively and under uktx, test by test, and prints what passes natively and does not here. Exit status 0 when that is
 * nothing but what `cpython-known.json` lists with a reason.
 */
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { toolArguments } from '../tools/arguments.ts';

const usage = `usage: node conformance/cpython.ts [options] [MODULE...]
  --match REGEXP     only tests whose name matches
  --skip REGEXP      not those
  --resources LIST   regrtest's resources (largefile,network,cpu,...; default none)
  --seconds N        time limit of a module under uktx (default 540; a tenth of it natively, at least 60)
  --flags STRING     flags of uktx run, e.g. '--jit off'
  --python FILE      the interpreter (default /usr/bin/python3)
  --json FILE        write the results as JSON
  --verbose          a line for every test`;

/** What the manual names as system calls seen from Python, and what stands on them. */
const MODULES = [
  'test_os',
  'test_posix',
  'test_signal',
  'test_threading',
  'test_subprocess',
  'test_socket',
  'test_select',
  'test_epoll',
  'test_mmap',
  'test_io',
  'test_fcntl',
  'test_time',
  'test_math',
  'test_float',
  'test_struct',
  'test_asyncio',
  'test_multiprocessing_fork',
];

type Kind = 'start' | 'ok' | 'skip' | 'fail' | 'error' | 'xfail' | 'end';
interface Outcome {
  kind: Kind;
  reason: string;
}
type Outcomes = Map<string, Outcome>;

/** Starts the driver and reads its lines. A test that was begun and not ended stays `start`. */
async function run(words: readonly string[], seconds: number, ended: (name: string, outcome: Outcome) => void) {
  const outcomes: Outcomes = new Map();
  const child = spawn(words[0]!, words.slice(1), { stdio: ['ignore', 'pipe', 'pipe'], detached: true });
  let diagnostics = '';
  child.stderr.on('data', (data: Buffer) => {
    diagnostics = (diagnostics + data.toString('latin1')).slice(-4000);
  });
  let late = false;
  const limit = setTimeout(() => {
    late = true;
    process.kill(-child.pid!, 'SIGKILL');
  }, seconds * 1000);
  for await (const line of createInterface({ input: child.stdout })) {
    const [kind, name, reason = ''] = line.split('\t');
    if (!name) continue;
    const outcome: Outcome = { kind: kind as Kind, reason };
    outcomes.set(kind === 'end' ? 'end' : name, outcome);
    if (kind !== 'start') ended(name, outcome);
  }
  if (child.exitCode === null && child.signalCode === null) await new Promise((resolve) => child.once('exit', resolve));
  clearTimeout(limit);
  const trouble = late
    ? `no end within ${seconds} s`
    : (child.signalCode ?? (child.exitCode ? `status ${child.exitCode}` : ''));
  return { outcomes, trouble, diagnostics };
}

const good = (outcome: Outcome | undefined): boolean => outcome?.kind === 'ok' || outcome?.kind === 'xfail';

async function main(): Promise<number> {
  const { values, positionals } = toolArguments(usage, {
    options: {
      match: { type: 'string', default: '' },
      skip: { type: 'string', default: '' },
      resources: { type: 'string', default: '' },
      seconds: { type: 'string', default: '540' },
      flags: { type: 'string', default: '' },
      python: { type: 'string', default: '/usr/bin/python3' },
      json: { type: 'string' },
      verbose: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
    allowPositionals: true,
    args: process.argv
      .slice(2)
      .flatMap((a, k, all) => (all[k - 1] === '--flags' ? [] : a === '--flags' ? [`${a}=${all[k + 1] ?? ''}`] : [a])),
  });
  if (values.help) {
    console.log(usage);
    return 0;
  }
  if (!existsSync(values.python)) {
    process.stderr.write(`${values.python} is not there\n`);
    return 2;
  }
  const knownFile = join(import.meta.dirname, 'cpython-known.json');
  const known = JSON.parse(readFileSync(knownFile, 'utf8')) as Record<string, string>;
  const seconds = Number(values.seconds);
  const driver = join(import.meta.dirname, 'cpython-driver.py');
  const uktx = join(import.meta.dirname, '../bin/uktx');
  const report: Record<string, unknown> = {};
  let unexpected = 0;
  for (const module of positionals.length > 0 ? positionals : MODULES) {
    const words = [values.python, driver, module, values.resources, values.match, values.skip];
    const native = await run(words, Math.max(60, seconds / 10), () => undefined);
    const told = (name: string, outcome: Outcome): void => {
      if (values.verbose) console.log(`  ${outcome.kind} ${name} ${outcome.reason}`);
    };
    const start = performance.now();
    const guest = await run([uktx, 'run', ...values.flags.split(' ').filter(Boolean), ...words], seconds, told);
    const took = Math.round((performance.now() - start) / 1000);
    const names = [...native.outcomes].filter(([name, o]) => name !== 'end' && good(o)).map(([name]) => name);
    const wrong = names.filter((name) => !good(guest.outcomes.get(name)));
    const surprising = wrong.filter((name) => !known[name]);
    unexpected += surprising.length;
    const passed = names.length - wrong.length;
    console.log(
      `${module}: ${passed} of ${names.length} that pass natively (${took} s)${native.trouble ? `; natively ${native.trouble}` : ''}${guest.trouble ? `; ${guest.trouble}` : ''}`,
    );
    for (const name of wrong) {
      const outcome = guest.outcomes.get(name);
      const what = !outcome ? 'not run' : outcome.kind === 'start' ? 'not ended' : `${outcome.kind}: ${outcome.reason}`;
      console.log(`  ${known[name] ? 'known ' : ''}${name.replace(/^test\./, '')}: ${what.slice(0, 400)}`);
    }
    if (guest.trouble || !guest.outcomes.has('end')) {
      unexpected++;
      const open = [...guest.outcomes].filter(([, o]) => o.kind === 'start').map(([name]) => name);
      console.log(
        `  ended in ${open.join(', ') || 'no test'}\n  ${guest.diagnostics.trim().split('\n').slice(-8).join('\n  ')}`,
      );
    }
    report[module] = { native: names.length, passed, wrong, seconds: took };
  }
  if (values.json) writeFileSync(values.json, `${JSON.stringify(report, null, 2)}\n`);
  return unexpected > 0 ? 1 : 0;
}

process.exitCode = await main();
