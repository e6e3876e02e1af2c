/**
 * `npm run bench`: our own kernels and real programs on the bare processor, under qemu-user and under uktx in each of its
 * modes. docs/benchmarks.md says what is measured and how.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { packageRoot } from '../src/runtime/package-root.ts';
import { bars } from './bars.ts';
import { type Engine, engineIds, findEngines } from './engines.ts';
import { inputMaker } from './inputs.ts';
import { describeMachine } from './machine.ts';
import { peakResident, type RunLimits } from './measure.ts';
import { runMicro } from './micro/index.ts';
import { runOneLoop } from './one-loop.ts';
import { prewarmedPrograms, runPrewarmed } from './prewarmed.ts';
import { htmlReport } from './report-html.ts';
import { microTable, textReport } from './report-text.ts';
import { jsonReport, nothingMeasured, problems, type Results, type SectionId, sectionIds } from './results.ts';
import { runTasks, type Task, type TaskResult } from './schedule.ts';
import * as sections from './sections.ts';

const USAGE = `usage: npm run bench -- [options]
  --runs N          rounds, of which the median counts (default 5; 1 with --quick)
  --quick           small sizes, one round
  --sections A,B    of ${sectionIds.join(', ')} (default: all)
  --only PATTERN    regular expression on SECTION/PROGRAM, as in kernels/fib
  --engines A,B     of ${engineIds.join(', ')} (default: all there are)
  --timeout S       seconds after which a run is given up (default 120)
  --scale F         multiplies the work of the real programs
  --micro           benchmark.js on the parts of the translator, and nothing else
  --uktx FILE       the launcher to measure (default: bin/uktx of this checkout)
  --json FILE       all figures; written anew after each section
  --html FILE       report with plots, likewise`;

function usageError(text: string): never {
  process.stderr.write(`${text}\n${USAGE}\n`);
  process.exit(2);
}

function parse() {
  try {
    return parseArgs({
      options: {
        runs: { type: 'string' },
        quick: { type: 'boolean', default: false },
        sections: { type: 'string' },
        only: { type: 'string' },
        engines: { type: 'string' },
        timeout: { type: 'string', default: '120' },
        scale: { type: 'string', default: '1' },
        micro: { type: 'boolean', default: false },
        uktx: { type: 'string', default: join(packageRoot(), 'bin/uktx') },
        json: { type: 'string' },
        html: { type: 'string' },
        help: { type: 'boolean', default: false },
      },
    }).values;
  } catch (e) {
    return usageError((e as Error).message);
  }
}
const flags = parse();

/** Null without a pattern. */
function pattern(text: string | undefined): RegExp | null {
  try {
    return text === undefined ? null : new RegExp(text);
  } catch (e) {
    return usageError(`--only: ${(e as Error).message}`);
  }
}

/** Words of a comma-separated list, each of which must be one of `allowed`. */
function list<T extends string>(name: string, text: string | undefined, allowed: readonly T[]): readonly T[] {
  if (text === undefined) return allowed;
  const words = text.split(',');
  for (const w of words)
    if (!allowed.includes(w as T)) usageError(`--${name}: no ${w}; there are ${allowed.join(', ')}`);
  return words as T[];
}

function positive(name: string, text: string): number {
  const n = Number(text);
  if (!(n > 0)) usageError(`--${name}: ${text} is no positive number`);
  return n;
}

if (flags.help) {
  console.log(USAGE);
  process.exit(0);
}
const rounds = Math.ceil(positive('runs', flags.runs ?? (flags.quick ? '1' : '5')));
const chosenSections = new Set<SectionId>(list('sections', flags.sections, sectionIds));
const chosenEngines = list('engines', flags.engines, engineIds);
const only = pattern(flags.only);
const started = performance.now();

/** One line that is overwritten on a terminal; nothing when the output goes to a file. */
function progress(text: string): void {
  if (!process.stderr.isTTY) return;
  const minutes = ((performance.now() - started) / 60_000).toFixed(1);
  process.stderr.write(`\r\x1b[K${text.slice(0, (process.stderr.columns || 80) - 12)} (${minutes} min)`);
}
const clearProgress = (): void => void (process.stderr.isTTY && process.stderr.write('\r\x1b[K'));

const scratch = mkdtempSync(join(tmpdir(), 'uktx-bench-'));
process.on('exit', () => rmSync(scratch, { recursive: true, force: true }));
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => process.exit(130));

const limits: RunLimits = { scratch, timeoutMs: positive('timeout', flags.timeout) * 1000 };

function write(path: string, text: string): void {
  mkdirSync(dirname(resolve(path)), { recursive: true });
  writeFileSync(path, text);
}

async function measureMemory(engines: readonly Engine[], choice: sections.Choice): Promise<Results['memory']> {
  const memory: Results['memory'] = [];
  const input = inputMaker(scratch);
  for (const task of sections.realTasks({ ...choice, engines, only: /real\/python3/ }, input))
    for (const lane of task.lanes) {
      if (lane.engine === 'node' || (lane.engine === 'native' && lane.workload !== 'full')) continue;
      progress(`memory: ${task.name}, ${lane.label}`);
      // Where this section is measured alone nothing has filled the cache yet.
      if (lane.warmUp) await peakResident(lane.command, limits);
      const found = await peakResident(lane.command, limits);
      memory.push({ name: task.name, label: lane.label, engine: lane.engine, ...found });
    }
  return memory;
}

async function main(): Promise<number> {
  if (flags.micro) {
    const micro = await runMicro(only, flags.quick, progress);
    clearProgress();
    console.log(microTable(micro));
    if (flags.json) write(flags.json, `${JSON.stringify({ machine: describeMachine(), micro }, null, 2)}\n`);
    return 0;
  }
  const machine = describeMachine();
  const engines = findEngines(resolve(flags.uktx), scratch).filter((e) => chosenEngines.includes(e.id));
  const choice: sections.Choice = { engines, quick: flags.quick, scale: positive('scale', flags.scale), only };
  const results: Results = {
    date: new Date().toISOString(),
    machine,
    quick: flags.quick,
    rounds,
    engines: engines.map(({ id, label, version }) => ({ id, label, version })),
    ...nothingMeasured(),
  };
  const measure = async (section: SectionId, tasks: () => Task[], times = rounds): Promise<TaskResult[]> =>
    chosenSections.has(section) ? await runTasks(tasks(), times, limits, progress) : [];
  const chosen = (id: SectionId, name: string): boolean =>
    chosenSections.has(id) && (only?.test(`${id}/${name}`) ?? true);
  const save = (): void => {
    if (flags.json) write(flags.json, jsonReport(results, bars(results)));
    if (flags.html) write(flags.html, htmlReport(results));
  };

  results.kernels = await measure('kernels', () => sections.kernelTasks(choice));
  save();
  results.aarch64 = await measure('aarch64', () => sections.aarch64Tasks(choice));
  save();
  results.real = await measure('real', () => sections.realTasks(choice, inputMaker(scratch)));
  save();
  if (chosen('one-loop', 'one-loop'))
    for (const e of engines.filter(({ id }) => id !== 'qemu' && id !== 'interpreter'))
      results.oneLoop.push(await runOneLoop(e, flags.quick ? 1 : 10, Math.min(rounds, 3), limits, progress));
  results.wholeRuns = await measure('start-up', () => sections.wholeRunTasks(choice));
  results.startUp = await measure(
    'start-up',
    () => sections.startUpTasks(choice),
    flags.quick ? 3 : Math.max(rounds, 11),
  );
  results.integerLoop = await measure('start-up', () => sections.integerLoopTasks(choice));
  results.systemCalls = await measure('system-calls', () => sections.systemCallTasks(choice));
  if (engines.some(({ id }) => id === 'jit-warm'))
    for (const program of prewarmedPrograms.filter(({ name }) => chosen('prewarm', name)))
      results.prewarmed.push(
        await runPrewarmed(resolve(flags.uktx), program, flags.quick ? 3 : Math.max(rounds, 11), limits, progress),
      );
  if (chosen('memory', 'python3')) results.memory = await measureMemory(engines, choice);
  save();
  clearProgress();
  console.log(textReport(results));
  for (const file of [flags.json, flags.html]) if (file) process.stderr.write(`written: ${file}\n`);
  return problems(results).some((p) => p.wrong) ? 1 : 0;
}

process.exitCode = await main();
