/** The benchmark's own arithmetic and reports, and that its guest programs give the results they gave when they were made. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { bars } from '../../bench/bars.ts';
import type { EngineId } from '../../bench/engines.ts';
import { runOnce } from '../../bench/measure.ts';
import { guestFolder, kernels } from '../../bench/programs.ts';
import { htmlReport } from '../../bench/report-html.ts';
import { textReport } from '../../bench/report-text.ts';
import { nothingMeasured, jsonReport, meanRatio, problems, type Results } from '../../bench/results.ts';
import { type Cell, markWrongResults, overhead, ratio, runTasks, type TaskResult } from '../../bench/schedule.ts';
import { geometricMean, median, steadyState } from '../../bench/statistics.ts';

const engines: EngineId[] = ['native', 'qemu', 'interpreter', 'jit-cold', 'jit-warm'];

function cell(engine: EngineId, ms: number, digest = 'same'): Cell {
  return {
    lane: { engine, label: engine, command: [], workload: 'full', warmUp: false },
    wallMs: [4 * ms + 50],
    repetitionsNs: [[5, 2, 1, 1].map((k) => k * ms * 1e6)],
    digest,
    output: digest,
    error: null,
    wrong: false,
  };
}

/** A kernel that takes a millisecond natively; the others' times are given. */
const kernel = (name: string, times: Partial<Record<EngineId, number>>): TaskResult => ({
  task: { name, about: '', lanes: [], measure: 'steady' },
  cells: engines.flatMap((e) => (times[e] === undefined && e !== 'native' ? [] : [cell(e, times[e] ?? 1)])),
});

const resultsOf = (taskResults: TaskResult[]): Results => ({
  date: '2026-01-01T00:00:00Z',
  machine: { cpu: 'a <cpu>', cores: 2, memoryBytes: 2 ** 33, system: 's', node: 'v', v8: 'v', commit: null, load: 0 },
  quick: false,
  rounds: 1,
  engines: engines.map((id) => ({ id, label: id, version: '' })),
  ...nothingMeasured(),
  kernels: taskResults,
});
const bar = (r: Results, text: string) => bars(r).find((b) => b.requirement.startsWith(text))!;

describe('statistics', () => {
  test('median, geometric mean', () => {
    expect(median([3, 1, 2])).toBe(2);
    expect(median([4, 1, 2, 3])).toBe(2.5);
    expect(geometricMean([1, 4])).toBeCloseTo(2);
  });
  test('the steady state leaves out the first half', () => {
    expect(steadyState([100, 50, 2, 1])).toBe(1.5);
    expect(steadyState([7])).toBe(7);
  });
  test('overhead is what a process took beyond its repetitions at steady speed', () => {
    const t = kernel('k', {});
    expect(overhead(t, t.cells[0]!)).toBeCloseTo(50);
  });
});

describe('bars', () => {
  test('each engine with the JIT has to pass', () => {
    const good = { qemu: 9, 'jit-cold': 2, 'jit-warm': 2 };
    const fine = resultsOf([kernel('a', good), kernel('b', good)]);
    for (const name of [
      'kernels, time by native, geometric',
      'kernels, speed by qemu, geometric',
      'kernels, time by native, slowest',
    ])
      expect(bar(fine, name).pass).toBe(true);
    expect(bar(fine, 'python3').pass).toBe(null);
    const slow = resultsOf([kernel('a', good), kernel('b', { ...good, 'jit-warm': 5.5 })]);
    expect(bar(slow, 'kernels, time by native, slowest')).toMatchObject({ pass: false });
    expect(bar(slow, 'kernels, time by native, slowest').measured).toContain('5.50x (b)');
  });
  test('a program that failed fails the bar, though it has no figure', () => {
    const r = resultsOf([kernel('a', { 'jit-cold': 2, 'jit-warm': 2 }), kernel('b', { 'jit-cold': 2, 'jit-warm': 2 })]);
    r.kernels[1]!.cells[2]!.error = 'not done after 120 s';
    expect(meanRatio(r.kernels, 'jit-warm', 'native')).toBeCloseTo(2);
    expect(bar(r, 'kernels, time by native, geometric')).toMatchObject({ pass: false });
    expect(bar(r, 'kernels, time by native, geometric').measured).toContain('failed: b');
  });
  test('a wrong result has no speed', () => {
    const t = kernel('a', { 'jit-cold': 1, 'jit-warm': 1 });
    t.cells[1]!.digest = 'other';
    markWrongResults(t);
    expect(ratio(t, 'jit-cold', 'native')).toBe(null);
    expect(ratio(t, 'jit-warm', 'native')).toBeCloseTo(1);
    expect(problems(resultsOf([t]))).toMatchObject([{ wrong: true }]);
    expect(textReport(resultsOf([t]))).toContain('WRONG RESULT');
  });
});

describe('reports', () => {
  const r = resultsOf([
    kernel('a', { qemu: 8, interpreter: 40, 'jit-cold': 2, 'jit-warm': 0.5 }),
    kernel('b', { qemu: 6 }),
  ]);
  test('the page stands alone and is escaped', () => {
    const page = htmlReport(r);
    expect(page).not.toMatch(/https?:|<script|<link|url\(/);
    expect(page).toContain('a &lt;cpu&gt;');
    expect(page).toContain('prefers-color-scheme: dark');
    expect(page).not.toMatch(/NaN|Infinity|undefined/);
    expect(page.match(/<rect/g)).toHaveLength(5);
  });
  test('the table and the JSON', () => {
    expect(textReport(r)).toMatch(/a +1\.00 +8\.00 +8\.00x +40\.0 +40\.0x/);
    const { kernels: json } = JSON.parse(jsonReport(r, bars(r)));
    expect(json[0].engines[1]).toMatchObject({ engine: 'qemu', figure: 8, overNative: 8 });
  });
});

describe('running', () => {
  test('rounds are interleaved; a failed lane stops; a late one is killed', async () => {
    const scratch = mkdtempSync(join(tmpdir(), 'uktx-bench-test-'));
    try {
      const seen: string[] = [];
      const lane = (label: string, ...command: string[]) => ({
        ...{ engine: 'native' as const, label, command, workload: label, warmUp: false },
      });
      const [result] = await runTasks(
        [
          {
            name: 't',
            about: '',
            measure: 'wall',
            lanes: [lane('one', process.execPath, '-e', '0'), lane('two', process.execPath, '-e', 'process.exit(7)')],
          },
        ],
        2,
        { scratch, timeoutMs: 60_000 },
        (text) => seen.push(text),
      );
      expect(seen).toEqual(['round 1 of 2: t, one', 'round 1 of 2: t, two', 'round 2 of 2: t, one']);
      expect(result!.cells.map((c) => c.error)).toEqual([null, 'ended with 7']);
      const late = await runOnce([process.execPath, '-e', 'setInterval(() => {}, 1000)'], { scratch, timeoutMs: 100 });
      expect(late.error).toContain('not done');
    } finally {
      rmSync(scratch, { recursive: true });
    }
  });
});

/** Sizes that take milliseconds, and what x86-64 gives. */
const small: Record<string, [size: number, checksum: string]> = {
  fib: [15, '0000000000000262'],
  nbody: [1000, 'bfc5a4a9a3522249'],
  'spectral-norm': [50, '3ff4631913a9b6d9'],
  fannkuch: [6, '000041fe00005343'],
  mandelbrot: [20, 'd76f91bc2340b69c'],
  'binary-trees': [6, '1a567f0016607c0d'],
  sha256: [8, '1bcd13e0f56e373a'],
  'matmul-double': [24, 'c00c9c2b20000000'],
  'matmul-float': [24, '2b85563200000000'],
  qsort: [500, '6d03c04c151e6649'],
  'hash-table': [500, 'c629b0dc7d167a54'],
  strings: [1, '0c28b3152e815b71'],
  vm: [300, 'bad210304130e5e0'],
  'virtual-call': [2, 'aaac95ca76fd8c16'],
};

describe.runIf(process.platform === 'linux' && process.arch === 'x64')('guest programs', () => {
  test.each(kernels.map((k) => k.name))('%s', (name) => {
    const [size, checksum] = small[name]!;
    const native = spawnSync(join(guestFolder, name), [String(size), '--repeat', '3'], { encoding: 'utf8' });
    expect(native.stdout).toBe(`${checksum}\n`);
    expect(native.stderr).toMatch(/^(repetition \d \d+\n){3}$/);
  });
  test('the one loop gives the same in one call and in many', () => {
    const run = (calls: string) =>
      spawnSync(join(guestFolder, 'one-loop'), ['1', '--calls', calls], { encoding: 'utf8' });
    expect(run('1000').stdout).toBe(run('1').stdout);
  });
});
