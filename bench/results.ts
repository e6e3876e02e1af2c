/** Everything one run of the benchmark found, and what the reports derive from it. */
import { type EngineId, isJit } from './engines.ts';
import type { Machine } from './machine.ts';
import type { OneLoopResult } from './one-loop.ts';
import type { PrewarmedResult } from './prewarmed.ts';
import { cellOf, figure, ratio, type TaskResult } from './schedule.ts';
import { geometricMean } from './statistics.ts';

export type SectionId =
  | 'kernels'
  | 'aarch64'
  | 'real'
  | 'start-up'
  | 'system-calls'
  | 'one-loop'
  | 'prewarm'
  | 'memory';
export const sectionIds: readonly SectionId[] = [
  'kernels',
  'aarch64',
  'real',
  'one-loop',
  'start-up',
  'system-calls',
  'prewarm',
  'memory',
];

export interface MemoryResult {
  name: string;
  label: string;
  engine: EngineId;
  /** Peak resident set, null when it could not be had. */
  bytes: number | null;
  error: string | null;
}

export interface Results {
  date: string;
  machine: Machine;
  quick: boolean;
  rounds: number;
  engines: { id: EngineId; label: string; version: string }[];
  kernels: TaskResult[];
  /** The kernels as AArch64 programs; native is the x86-64 program, qemu is qemu-aarch64. */
  aarch64: TaskResult[];
  real: TaskResult[];
  wholeRuns: TaskResult[];
  startUp: TaskResult[];
  integerLoop: TaskResult[];
  systemCalls: TaskResult[];
  oneLoop: OneLoopResult[];
  prewarmed: PrewarmedResult[];
  memory: MemoryResult[];
}

/** The sections before anything is measured. */
export const nothingMeasured = (): Omit<Results, 'date' | 'machine' | 'quick' | 'rounds' | 'engines'> => ({
  kernels: [],
  aarch64: [],
  real: [],
  wholeRuns: [],
  startUp: [],
  integerLoop: [],
  systemCalls: [],
  oneLoop: [],
  prewarmed: [],
  memory: [],
});

export const allTasks = (r: Results): TaskResult[] => [
  ...r.kernels,
  ...r.aarch64,
  ...r.real,
  ...r.wholeRuns,
  ...r.startUp,
  ...r.integerLoop,
  ...r.systemCalls,
];

/** Geometric mean of an engine's ratios over those tasks that have one; null when none has. */
export function meanRatio(results: readonly TaskResult[], engine: EngineId, than: EngineId): number | null {
  const ratios = results.map((r) => ratio(r, engine, than)).filter((x) => x !== null);
  return ratios.length > 0 ? geometricMean(ratios) : null;
}

/** Million guest instructions a second on the integer loop, the empty run taken off. */
export function integerLoopSpeed(
  results: readonly TaskResult[],
  engine: EngineId,
  instructions: number,
): number | null {
  const [long, empty] = results.map((r) => {
    const cell = cellOf(r, engine);
    return cell ? figure(r, cell) : null;
  });
  return long && empty && long > empty ? instructions / (long - empty) / 1e3 : null;
}

export interface Problem {
  what: string;
  /** A wrong result, not just a missing figure. */
  wrong: boolean;
}

export function problems(r: Results): Problem[] {
  const failed = allTasks(r).flatMap(({ task, cells }) =>
    cells
      .filter((c) => c.error !== null)
      .map((c) => ({ what: `${task.name}, ${c.lane.label}: ${c.error}`, wrong: c.wrong })),
  );
  const loops = r.oneLoop
    .filter((o) => o.error !== null)
    .map((o) => ({ what: `one loop, ${o.engine.label}: ${o.error}`, wrong: false }));
  const memory = r.memory
    .filter((m) => m.error !== null)
    .map((m) => ({ what: `memory of ${m.name}, ${m.label}: ${m.error}`, wrong: false }));
  const prewarmed = r.prewarmed
    .filter((p) => p.error !== null)
    .map((p) => ({ what: `prewarmed ${p.name}: ${p.error}`, wrong: false }));
  return [...failed, ...loops, ...prewarmed, ...memory].sort((a, b) => Number(b.wrong) - Number(a.wrong));
}

/** The uktx engines whose speed the bars are about: those with the JIT, else none. */
export const jitEngines = (r: Results): EngineId[] => r.engines.map((e) => e.id).filter(isJit);
/** What a plain `uktx run` of this build is: the last of its engines. */
export const usualEngine = (r: Results): EngineId | null =>
  r.engines.map((e) => e.id).findLast((id) => id !== 'native' && id !== 'qemu') ?? null;

/** Everything, samples included; `figure` is what the tables show: milliseconds, steady state or whole run. */
export function jsonReport(r: Results, bars: unknown): string {
  const tasks = (results: readonly TaskResult[]): unknown =>
    results.map((t) => ({
      name: t.task.name,
      measure: t.task.measure,
      engines: t.cells.map((c) => ({
        engine: c.lane.engine,
        workload: c.lane.workload,
        figure: figure(t, c),
        overNative: c.lane.engine === 'node' ? null : ratio(t, c.lane.engine, 'native'),
        error: c.error,
        digest: c.digest,
        wallMs: c.wallMs,
        repetitionsNs: c.repetitionsNs,
      })),
    }));
  const { kernels, aarch64, real, wholeRuns, startUp, integerLoop, systemCalls, ...rest } = r;
  const sections = { kernels, aarch64, real, wholeRuns, startUp, integerLoop, systemCalls };
  const oneLoop = r.oneLoop.map(({ engine, ...o }) => ({ engine: engine.id, ...o }));
  const json = {
    format: 1,
    ...rest,
    oneLoop,
    ...Object.fromEntries(Object.entries(sections).map(([name, results]) => [name, tasks(results)])),
    bars,
    problems: problems(r),
  };
  return `${JSON.stringify(json, null, 2)}\n`;
}
