/** The tables in the terminal. */
import { styleText } from 'node:util';
import { type Bar, bars, perCall } from './bars.ts';
import type { EngineId } from './engines.ts';
import { integerLoopSpeed, jitEngines, meanRatio, problems, type Results } from './results.ts';
import type { MicroResult } from './micro/index.ts';
import { cellOf, figure, overhead, ratio, type TaskResult } from './schedule.ts';
import { LOOP_INSTRUCTIONS, loopCount } from './sections.ts';
import { median } from './statistics.ts';

/** Three significant digits, for people. */
export function short(x: number): string {
  const size = Math.abs(x);
  return x.toFixed(size >= 99.5 ? 0 : size >= 9.95 ? 1 : 2);
}
export const factor = (x: number): string => `${short(x)}x`;

/** Columns aligned; the first to the left, the others to the right. */
function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = head.map((h, k) => Math.max(h.length, ...rows.map((r) => (r[k] ?? '').length)));
  const line = (cells: readonly string[]): string =>
    `  ${cells.map((c, k) => (k === 0 ? c.padEnd(widths[k]!) : c.padStart(widths[k]!))).join('  ')}`.trimEnd();
  return [styleText('dim', line(head)), ...rows.map(line)].join('\n');
}

const title = (text: string): string => `\n${styleText('bold', text)}`;

function cellText(r: TaskResult, engine: EngineId | 'node', show: (ms: number, task: string) => string): string {
  const cell = cellOf(r, engine);
  if (!cell) return '';
  const value = figure(r, cell);
  return value === null ? 'failed' : show(value, r.task.name);
}

const ratioText = (x: number | null): string => (x === null ? '' : factor(x));

/** Column heads are words, so that a table of five engines fits a terminal. */
const head = (id: EngineId): string =>
  ({ native: 'native', qemu: 'qemu', interpreter: 'interp', 'jit-cold': 'cold', 'jit-warm': 'warm' })[id];

/** The engines whose speed is worth comparing with qemu's: those with the JIT, or the interpreter where it is alone. */
function rivals(r: Results): EngineId[] {
  const jit = jitEngines(r);
  return jit.length > 0 ? jit : r.engines.map((e) => e.id).filter((id) => id === 'interpreter');
}

/** One row a task: the time of each engine and how often native's that is; at the end qemu's time by uktx's. */
function comparison(
  r: Results,
  results: readonly TaskResult[],
  show: (ms: number, task: string) => string,
  means: boolean,
): string {
  const others = r.engines.filter((e) => e.id !== 'native');
  const uktx = r.engines.some((e) => e.id === 'qemu') ? rivals(r) : [];
  const hasNode = results.some((t) => cellOf(t, 'node'));
  const heads = ['', 'native', ...others.flatMap((e) => [head(e.id), ''])];
  if (hasNode) heads.push('node -e 0');
  heads.push(...uktx.map((id) => `qemu/${head(id)}`));
  const rows = results.map((t) => [
    t.task.name,
    cellText(t, 'native', show),
    ...others.flatMap((e) => [cellText(t, e.id, show), ratioText(ratio(t, e.id, 'native'))]),
    ...(hasNode ? [cellText(t, 'node', show)] : []),
    ...uktx.map((id) => ratioText(inverse(ratio(t, id, 'qemu')))),
  ]);
  if (means && results.length > 1 && others.length > 0)
    rows.push([
      'geometric mean',
      '',
      ...others.flatMap((e) => ['', ratioText(meanRatio(results, e.id, 'native'))]),
      ...(hasNode ? [''] : []),
      ...uktx.map((id) => ratioText(inverse(meanRatio(results, id, 'qemu')))),
    ]);
  return table(heads, rows);
}

const inverse = (x: number | null): number | null => (x === null ? null : 1 / x);

function warmUpTable(r: Results): string {
  const engines = r.engines.filter((e) => e.id !== 'interpreter');
  const rows = r.kernels.map((t) => [
    t.task.name,
    ...engines.map((e) => {
      const cell = cellOf(t, e.id);
      const value = cell ? overhead(t, cell) : null;
      return value === null ? '' : short(value);
    }),
  ]);
  return table(['', ...engines.map((e) => head(e.id))], rows);
}

function barLine(b: Bar): string {
  const mark =
    b.pass === null ? styleText('dim', '  --  ') : b.pass ? styleText('green', ' pass ') : styleText('red', ' FAIL ');
  return `  ${mark} ${b.requirement}${b.measured ? `; measured ${b.measured}` : styleText('dim', '; not measured')}`;
}

export function textReport(r: Results): string {
  const out: string[] = [];
  const ms = short;
  const { machine } = r;
  out.push(`${machine.cpu}, ${machine.cores} CPUs, ${machine.system}, Node ${machine.node}`);
  if (r.kernels.length > 0) {
    out.push(title('Kernels, steady state (ms a repetition)'), comparison(r, r.kernels, ms, true));
    out.push(
      title('Kernels, what a process took beyond that (ms: start, translation, slower repetitions)'),
      warmUpTable(r),
    );
  }
  if (r.aarch64.length > 0)
    out.push(
      title('Kernels as AArch64 programs (ms a repetition; native: x86-64, qemu: qemu-aarch64)'),
      comparison(r, r.aarch64, ms, true),
    );
  if (r.real.length > 0)
    out.push(
      title('Real programs, whole runs (ms; the interpreter does a tenth, compared with a native tenth)'),
      comparison(r, r.real, ms, true),
    );
  if (r.oneLoop.length > 0) {
    const rows = r.oneLoop
      .filter((o) => o.error === null)
      .map((o) => [
        o.engine.label,
        short(median(o.single)),
        short(median(o.thousand)),
        `${Math.round(o.part * 100)} %`,
      ]);
    out.push(title('One loop (s inside the guest)'), table(['', 'one call', '1,000 calls', 'speed of one call'], rows));
  }
  if (r.startUp.length + r.wholeRuns.length > 0)
    out.push(title('Start-up, whole runs (ms)'), comparison(r, [...r.startUp, ...r.wholeRuns], ms, false));
  const prewarmed = r.prewarmed.filter((p) => p.error === null);
  if (prewarmed.length > 0) {
    const rows = prewarmed.map((p) => [p.name, short(median(p.second)), short(median(p.first)), p.part.toFixed(2)]);
    out.push(
      title('After prewarm (ms)'),
      table(['', 'second run', 'first run, prewarmed', 'that by the second'], rows),
    );
  }
  if (r.integerLoop.length > 0) {
    const instructions = loopCount(r.quick) * LOOP_INSTRUCTIONS;
    const rows = r.engines.map((e) => {
      const speed = integerLoopSpeed(r.integerLoop, e.id, instructions);
      return [e.label, speed === null ? '' : String(Math.round(speed))];
    });
    out.push(title('Integer loop (million guest instructions a second)'), table(['', 'speed'], rows));
  }
  if (r.systemCalls.length > 0)
    out.push(
      title('System calls and hand-overs (ns each)'),
      comparison(r, r.systemCalls, (x, task) => short(perCall(x, task, r.quick)), false),
    );
  if (r.memory.length > 0) {
    const rows = r.memory.map((m) => [m.name, m.label, m.bytes === null ? 'unknown' : short(m.bytes / 1e6)]);
    out.push(title('Peak resident memory (MB)'), table(['', '', ''], rows));
  }
  const checked = bars(r);
  if (checked.some((b) => b.pass !== null)) out.push(title('Bars'), ...checked.map(barLine));
  if (jitEngines(r).length === 0 && r.engines.length > 0)
    out.push(styleText('dim', '  This build has no JIT: bars about it are not measured.'));
  if (r.quick)
    out.push(
      styleText('dim', '  --quick: small sizes, so start-up counts for more; the bars are meant for full runs.'),
    );
  const trouble = problems(r);
  if (trouble.length > 0) {
    out.push(title('Problems'));
    for (const p of trouble)
      out.push(p.wrong ? styleText(['bold', 'red'], `  WRONG RESULT  ${p.what}`) : `  ${p.what}`);
  }
  return out.join('\n');
}

export function microTable(results: readonly MicroResult[]): string {
  return table(
    ['', 'ns', 'per', '+-', 'samples'],
    results.map((m) => [m.name, short(m.ns), m.unit, `${m.error.toFixed(1)} %`, String(m.samples)]),
  );
}
