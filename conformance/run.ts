/**
 * `npm run conformance`: builds gcc's execution tests statically at -O0 and -O2, keeps those that pass natively (or under
 * qemu-user, for AArch64), and runs the same programs under uktx. Exit status 0 when nothing fails that known-failures.json does not list with a reason.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { type Built, Builds, TIME_LIMIT_MS } from './build.ts';
import { GuestPool, type GuestResult } from './guest.ts';
import { cacheFolder, findTarball, isas, type Level, levels, listTests, type SuiteTest, unpack } from './suite.ts';

const usage = `usage: npm run conformance -- [options]
  --filter REGEXP   only tests whose name matches
  --level -O0|-O2   only this level (default: both)
  --isa NAME        x86_64 (default) or aarch64
  --options STRING  further gcc options, e.g. '-O3 -march=x86-64-v2'
  --jobs N          programs at the same time (default 1)
  --json FILE       write the results as JSON ('-': to stdout)
  --flags STRING    flags of uktx run, e.g. '--jit off'
  --separate        start bin/uktx for every program (default: a worker runs many)
  --build-only      build and run natively, nothing else
  --verbose         a line for every test`;

interface Result {
  test: string;
  level: Level;
  /** pass, fail, or why it is not counted. */
  result: 'pass' | 'fail' | 'does not build' | 'fails natively';
  reason?: string;
  milliseconds?: number;
}

/** Calls `work` for every item, `jobs` at a time. */
async function each<T>(items: T[], jobs: number, work: (item: T) => Promise<void>): Promise<void> {
  const queue = [...items];
  const run = async (): Promise<void> => {
    for (let item = queue.shift(); item !== undefined; item = queue.shift()) await work(item);
  };
  await Promise.all(Array.from({ length: jobs }, run));
}

const STDOUT_DIFFERS = 'stdout differs';

function judge(built: Built, got: GuestResult): string | null {
  const want = built.native!;
  if (got.error) return got.error;
  if (got.timedOut) return `no end within ${(TIME_LIMIT_MS * SLOWER) / 1000} s`;
  if (got.status !== want.status)
    return `exit status ${got.status}${got.stderr ? `: ${got.stderr.trim().split('\n').slice(-2).join(' | ').slice(0, 300)}` : ''}`;
  if (want.stdout !== null && got.stdout !== want.stdout) return STDOUT_DIFFERS;
  return null;
}

/** An interpreter is slower than the CPU: its time limit is the native one times this. */
const SLOWER = 6;

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      filter: { type: 'string' },
      level: { type: 'string' },
      isa: { type: 'string', default: 'x86_64' },
      flags: { type: 'string' },
      options: { type: 'string' },
      jobs: { type: 'string' },
      json: { type: 'string' },
      'build-only': { type: 'boolean' },
      separate: { type: 'boolean' },
      verbose: { type: 'boolean' },
      help: { type: 'boolean' },
    },
    // The values of these begin with a hyphen, which parseArgs takes only behind an equals sign.
    args: process.argv.slice(2).flatMap((a, k, all) => {
      const takesNext = (x: string | undefined): boolean => x === '--level' || x === '--options' || x === '--flags';
      return takesNext(all[k - 1]) ? [] : takesNext(a) ? [`${a}=${all[k + 1] ?? ''}`] : [a];
    }),
  });
  if (values.help) {
    console.log(usage);
    return 0;
  }
  const wanted = values.level ? levels.filter((l) => l === values.level || l === `-${values.level}`) : [...levels];
  const jobs = Number(values.jobs ?? 1);
  const isa = isas.find((name) => name === values.isa);
  if (wanted.length === 0 || !(jobs >= 1) || !isa) {
    process.stderr.write(`${usage}\n`);
    return 2;
  }
  const cache = cacheFolder();
  const filter = new RegExp(values.filter ?? '');
  const tests = listTests(unpack(findTarball(), cache), isa).filter((t) => filter.test(t.name));
  for (const t of tests) t.options.push(...(values.options ?? '').split(' ').filter(Boolean));
  const known = JSON.parse(readFileSync(join(import.meta.dirname, 'known-failures.json'), 'utf8')) as Record<
    string,
    string
  >;
  const builds = new Builds(join(cache, isa === 'x86_64' ? 'built' : `built-${isa}`), isa);
  const pool = new GuestPool(
    TIME_LIMIT_MS * SLOWER,
    values.separate === true,
    (values.flags ?? '').split(' ').filter(Boolean),
  );
  const results: Result[] = [];
  const progress = (): void => {
    if (process.stderr.isTTY) process.stderr.write(`\r${results.length} of ${tests.length * wanted.length}\r`);
  };
  const one = async ({ test, level }: { test: SuiteTest; level: Level }): Promise<void> => {
    const built = await builds.get(test, level);
    const result: Result = { test: test.name, level, result: 'pass' };
    results.push(result);
    progress();
    if (!built.program) result.result = 'does not build';
    else if (built.native!.status !== 0 || built.native!.timedOut) result.result = 'fails natively';
    else if (!values['build-only']) {
      const start = performance.now();
      const got = await pool.run(built.program);
      result.milliseconds = Math.round(performance.now() - start);
      const reason = judge(built, got);
      if (reason && (reason !== STDOUT_DIFFERS || (await builds.printsNoAddress(built)))) {
        result.result = 'fail';
        result.reason = reason;
      }
    }
    if (values.verbose)
      console.log(
        `${level} ${test.name}: ${result.result}${result.reason ? ` (${result.reason})` : ''} ${result.milliseconds ?? ''}`,
      );
  };
  try {
    for (const level of wanted)
      await each(
        tests.map((test) => ({ test, level })),
        jobs,
        one,
      );
  } finally {
    builds.save();
    pool.close();
  }

  let unexpected = 0;
  const summary: Record<string, { native: number; pass: number; percent: number }> = {};
  for (const level of wanted) {
    const of = results.filter((r) => r.level === level);
    const counted = of.filter((r) => r.result === 'pass' || r.result === 'fail');
    const pass = counted.filter((r) => r.result === 'pass').length;
    summary[level] = { native: counted.length, pass, percent: counted.length ? (100 * pass) / counted.length : 100 };
    const not = of.length - counted.length;
    if (!values['build-only'])
      console.log(
        `${level}: ${pass} of ${counted.length} pass (${summary[level].percent.toFixed(2)} %); ${not} of ${of.length} do not build or do not pass natively`,
      );
    else console.log(`${level}: ${counted.length} of ${of.length} build and pass natively`);
    for (const r of counted.filter((x) => x.result === 'fail').sort((a, b) => (a.test < b.test ? -1 : 1))) {
      const reason = known[`${r.test} ${level}`] ?? known[r.test];
      if (!reason) unexpected++;
      console.log(`  ${reason ? 'known ' : ''}failure: ${r.test}: ${r.reason}${reason ? ` [${reason}]` : ''}`);
    }
  }
  if (!values['build-only']) {
    for (const name of Object.keys(known)) {
      const of = results.filter((r) => r.test === name || `${r.test} ${r.level}` === name);
      if (of.length && of.every((r) => r.result === 'pass'))
        console.log(`  listed in known-failures.json, but passes: ${name}`);
    }
  }
  if (values.json) {
    const text = `${JSON.stringify({ summary, results }, null, 1)}\n`;
    if (values.json === '-') process.stdout.write(text);
    else writeFileSync(values.json, text);
  }
  return unexpected ? 1 : 0;
}

process.exitCode = await main().catch((e: Error) => {
  process.stderr.write(`conformance: ${e.message}\n`);
  return 2;
});
