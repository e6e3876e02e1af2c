/** One self-contained page: summary, bars, a plot and a table for each section. */
import { bars, perCall } from './bars.ts';
import { isJit } from './engines.ts';
import { type BarGroup, escapeHtml as esc, groupedBars, type Series, sparkline } from './plot.ts';
import { style } from './report-style.ts';
import { factor, short } from './report-text.ts';
import { integerLoopSpeed, jitEngines, meanRatio, problems, type Results, usualEngine } from './results.ts';
import { cellOf, figure, overhead, ratio, type TaskResult } from './schedule.ts';
import { LOOP_INSTRUCTIONS, loopCount } from './sections.ts';
import { median } from './statistics.ts';

type Show = (milliseconds: number, task: string) => string;

const row = (cells: readonly string[], style = ''): string =>
  `<tr${style && ` class="${style}"`}>${cells.map((c) => `<td>${c}</td>`).join('')}</tr>`;
const table = (head: readonly string[], rows: readonly string[]): string =>
  `<div class="wide"><table><thead><tr>${head.map((h) => `<th>${h}</th>`).join('')}</tr></thead><tbody>${rows.join('\n')}</tbody></table></div>`;

const contenders = (r: Results): Series[] =>
  r.engines.filter((e) => e.id !== 'native').map(({ id, label }) => ({ id, label }));

function legend(series: readonly Series[]): string {
  return `<div class="key">${series.map((s) => `<span><i class="s-${s.id}"></i>${esc(s.label)}</span>`).join('')}</div>`;
}

/** Times by native's, as bars. */
function ratioPlot(
  r: Results,
  results: readonly TaskResult[],
  show: Show,
  marks: { value: number; label: string }[],
): string {
  const series = contenders(r);
  const groups: BarGroup[] = results.map((t) => ({
    label: t.task.name,
    values: new Map(
      r.engines.flatMap((e) => {
        const [value, cell] = [ratio(t, e.id, 'native'), cellOf(t, e.id)];
        if (e.id === 'native' || value === null || !cell) return [];
        return [
          [
            e.id,
            {
              value,
              title: `${t.task.name}, ${e.label}: ${show(figure(t, cell)!, t.task.name)}, ${factor(value)} native`,
            },
          ],
        ];
      }),
    ),
  }));
  const plot = groupedBars(groups, series, {
    description: 'Time as a multiple of native, log scale; shorter is better',
    format: (v) => `${Number(v.toPrecision(v < 1 ? 2 : 3))}x`,
    baseline: 1,
    baselineLabel: 'native',
    marks,
  });
  return plot && `<figure>${legend(series)}${plot}</figure>`;
}

function comparison(r: Results, results: readonly TaskResult[], show: Show, means: boolean): string {
  const others = r.engines.filter((e) => e.id !== 'native');
  const jit = others.filter((e) => isJit(e.id));
  const uktx = jit.length > 0 ? jit : others.filter((e) => e.id === 'interpreter');
  const qemu = others.some((e) => e.id === 'qemu');
  const node = results.some((t) => cellOf(t, 'node'));
  const cell = (t: TaskResult, id: (typeof others)[number]['id'] | 'native' | 'node'): string => {
    const c = cellOf(t, id);
    if (!c) return '';
    const value = figure(t, c);
    if (value === null) return `<span class="fail" title="${esc(c.error ?? '')}">failed</span>`;
    const times = id === 'native' || id === 'node' ? null : ratio(t, id, 'native');
    return `${show(value, t.task.name)}${times === null ? '' : ` <small>${factor(times)}</small>`}`;
  };
  const faster = (x: number | null): string => (x === null ? '' : factor(1 / x));
  const rows = results.map((t) =>
    row([
      `${esc(t.task.name)} <small>${esc(t.task.about)}</small>`,
      cell(t, 'native'),
      ...others.map((e) => cell(t, e.id)),
      ...(node ? [cell(t, 'node')] : []),
      ...(qemu ? uktx.map((e) => faster(ratio(t, e.id, 'qemu'))) : []),
    ]),
  );
  if (means && results.length > 1 && others.length > 0)
    rows.push(
      row(
        [
          'geometric mean',
          '',
          ...others.map((e) => {
            const mean = meanRatio(results, e.id, 'native');
            return mean === null ? '' : factor(mean);
          }),
          ...(node ? [''] : []),
          ...(qemu ? uktx.map((e) => faster(meanRatio(results, e.id, 'qemu'))) : []),
        ],
        'mean',
      ),
    );
  const head = ['', 'native', ...others.map((e) => esc(e.label)), ...(node ? ['node -e 0'] : [])];
  if (qemu) head.push(...uktx.map((e) => `${esc(e.label)}<br>faster than qemu`));
  return table(head, rows);
}

/** How each engine gets to its steady state: repetition times in order, and what a process took beyond steady work. */
function warmUp(r: Results): string {
  const engines = r.engines.filter((e) => e.id !== 'interpreter');
  const rows = r.kernels.map((t) =>
    row([
      esc(t.task.name),
      ...engines.map((e) => {
        const cell = cellOf(t, e.id);
        const extra = cell ? overhead(t, cell) : null;
        if (!cell || extra === null) return '';
        const times = cell.repetitionsNs.at(-1)!;
        const line = isJit(e.id) ? sparkline(times, figure(t, cell)! * 1e6, e.id) : '';
        return `${line} ${short(extra)}`;
      }),
    ]),
  );
  return table(['', ...engines.map((e) => esc(e.label))], rows);
}

function tiles(r: Results): string {
  const tile = (value: string, text: string): string =>
    `<div class="tile"><b>${value}</b><span>${esc(text)}</span></div>`;
  const id = jitEngines(r).at(-1) ?? usualEngine(r);
  const label = r.engines.find((e) => e.id === id)?.label ?? '';
  const out: string[] = [];
  for (const [name, results] of [
    ['kernels', r.kernels],
    ['AArch64 kernels', r.aarch64],
    ['real programs', r.real],
  ] as const) {
    const [native, qemu] = id ? [meanRatio(results, id, 'native'), meanRatio(results, id, 'qemu')] : [null, null];
    if (native !== null) out.push(tile(factor(native), `native's time, ${name}, ${label}, geometric mean`));
    if (qemu !== null) out.push(tile(factor(1 / qemu), `qemu-user's speed, ${name}, ${label}, geometric mean`));
  }
  const checked = bars(r).filter((b) => b.pass !== null);
  if (checked.length > 0)
    out.push(tile(`${checked.filter((b) => b.pass).length} / ${checked.length}`, 'bars reached, of those measured'));
  return `<div class="tiles">${out.join('')}</div>`;
}

function barTable(r: Results): string {
  const mark = (pass: boolean | null): string =>
    pass === null
      ? '<span class="none">not measured</span>'
      : pass
        ? '<span class="pass">pass</span>'
        : '<span class="fail">FAIL</span>';
  const rows = bars(r).map(
    (b) =>
      `<tr><td class="wrap">${esc(b.requirement)}</td><td class="left wrap">${esc(b.measured)}</td><td class="left">${mark(b.pass)}</td></tr>`,
  );
  return `<div class="wide"><table><thead><tr><th>bar</th><th class="left">measured</th><th></th></tr></thead><tbody>${rows.join('\n')}</tbody></table></div>`;
}

function smallTables(r: Results): string[] {
  const out: string[] = [];
  if (r.oneLoop.length > 0)
    out.push(
      '<h2>One loop</h2><p>A loop entered once, against the same work in a thousand calls: an engine without on-stack replacement runs the single call in whatever code it began with. Seconds inside the guest.</p>',
      table(
        ['', 'one call', '1,000 calls', 'speed of one call'],
        r.oneLoop
          .filter((o) => o.error === null)
          .map((o) =>
            row([
              esc(o.engine.label),
              short(median(o.single)),
              short(median(o.thousand)),
              `${Math.round(o.part * 100)} %`,
            ]),
          ),
      ),
    );
  const prewarmed = r.prewarmed.filter((p) => p.error === null);
  if (prewarmed.length > 0)
    out.push(
      '<h2>After prewarm</h2><p>The first run after <code>uktx prewarm</code> on an empty cache, against a second run with what a first one has left. Milliseconds.</p>',
      table(
        ['', 'second run', 'first run, prewarmed', 'that by the second'],
        prewarmed.map((p) => row([esc(p.name), short(median(p.second)), short(median(p.first)), p.part.toFixed(2)])),
      ),
    );
  if (r.integerLoop.length > 0) {
    const instructions = loopCount(r.quick) * LOOP_INSTRUCTIONS;
    out.push(
      '<h2>Integer loop</h2><p>Million guest instructions a second; start-up is taken off.</p>',
      table(
        r.engines.map((e) => esc(e.label)),
        [
          row(
            r.engines.map((e) => {
              const speed = integerLoopSpeed(r.integerLoop, e.id, instructions);
              return speed === null ? '' : String(Math.round(speed));
            }),
          ),
        ],
      ),
    );
  }
  if (r.memory.length > 0)
    out.push(
      '<h2>Peak resident memory</h2>',
      table(
        ['', '', 'MB'],
        r.memory.map((m) => row([esc(m.name), esc(m.label), m.bytes === null ? 'unknown' : short(m.bytes / 1e6)])),
      ),
    );
  return out;
}

function alarm(r: Results): string {
  const found = problems(r);
  if (found.length === 0) return '';
  const items = found
    .map((p) => `<li>${p.wrong ? '<b class="fail">wrong result</b> ' : ''}${esc(p.what)}</li>`)
    .join('');
  return `<div class="alarm"><h2>Problems</h2><ul>${items}</ul></div>`;
}

export function htmlReport(r: Results): string {
  const { machine } = r;
  const ms: Show = (x) => `${short(x)} ms`;
  const call: Show = (x, task) => `${short(perCall(x, task, r.quick))} ns`;
  const memory = `${Math.round(machine.memoryBytes / 2 ** 30)} GiB`;
  const body: string[] = [
    '<h1>uktx benchmark</h1>',
    `<p>${esc(r.date.slice(0, 16).replace('T', ' '))} UTC. ${esc(machine.cpu)}, ${machine.cores} CPUs, ${memory}; ${esc(machine.system)}; Node ${esc(machine.node)}${
      machine.commit ? `; commit ${esc(machine.commit)}` : ''
    }. Load at the start ${short(machine.load)}. ${r.rounds} interleaved round${r.rounds > 1 ? 's' : ''}, medians.${
      r.quick ? ' <b>Quick run: small sizes, for orientation only.</b>' : ''
    }</p>`,
    tiles(r),
    alarm(r),
    '<h2>Bars</h2>',
    barTable(r),
  ];
  const limit = (value: number) => [{ value, label: `limit ${value}x` }];
  if (r.kernels.length > 0)
    body.push(
      '<h2>Kernels, steady state</h2><p>Time of one repetition once everything is warm, as a multiple of native; log scale, shorter is better.</p>',
      ratioPlot(r, r.kernels, ms, limit(5)),
      comparison(r, r.kernels, ms, true),
      '<h2>Kernels, until then</h2><p>Milliseconds a process took beyond its steady-state work: start, translation, slower first repetitions. The lines are the repetitions of one run in order.</p>',
      warmUp(r),
    );
  if (r.aarch64.length > 0)
    body.push(
      '<h2>Kernels as AArch64 programs</h2><p>The same programs built for AArch64, as a multiple of the x86-64 program on the bare processor; qemu is qemu-aarch64.</p>',
      ratioPlot(r, r.aarch64, ms, limit(5)),
      comparison(r, r.aarch64, ms, true),
    );
  if (r.real.length > 0)
    body.push(
      '<h2>Real programs</h2><p>Whole runs of the distribution’s programs, start-up and translation included. The interpreter does a tenth of the work and is compared with a native run of that tenth.</p>',
      ratioPlot(r, r.real, ms, limit(4)),
      comparison(r, r.real, ms, true),
    );
  if (r.startUp.length + r.wholeRuns.length > 0)
    body.push(
      '<h2>Start-up</h2><p>Whole runs of short programs.</p>',
      comparison(r, [...r.startUp, ...r.wholeRuns], ms, false),
    );
  if (r.systemCalls.length > 0)
    body.push(
      '<h2>System calls</h2><p>Time of one call, through libc; of a byte there and back between two processes, of a turn of two threads, and of a process.</p>',
      ratioPlot(r, r.systemCalls, call, []),
      comparison(r, r.systemCalls, call, false),
    );
  body.push(...smallTables(r));
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>uktx benchmark</title>
<style>${style}</style>
<main>
${body.join('\n')}
</main>
</html>
`;
}
