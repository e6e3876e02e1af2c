/**
 * Runs tasks in rounds: in each round every lane of every task runs once, so that what the machine does meanwhile hits all
 * engines alike. Medians over the rounds are what counts.
 */
import type { Engine, EngineId } from './engines.ts';
import { type Outcome, type RunLimits, runOnce } from './measure.ts';
import { median, steadyState } from './statistics.ts';

/** One way to run a task. */
export interface Lane {
  engine: EngineId | 'node';
  label: string;
  command: readonly string[];
  /** Lanes of one workload have to print the same, and are compared with the native lane of it. */
  workload: string;
  warmUp: boolean;
}

export interface Task {
  name: string;
  about: string;
  lanes: readonly Lane[];
  /** `steady`: repetition times the guest reports; `wall`: the whole process. */
  measure: 'steady' | 'wall';
}

export interface Cell {
  lane: Lane;
  wallMs: number[];
  /** One list a run, in nanoseconds. */
  repetitionsNs: number[][];
  digest: string | null;
  output: string;
  error: string | null;
  /** The error is a wrong result, not just a missing one. */
  wrong: boolean;
}

export interface TaskResult {
  task: Task;
  cells: Cell[];
}

export const lane = (engine: Engine, program: readonly string[], workload = 'full'): Lane => ({
  engine: engine.id,
  label: engine.label,
  command: [...engine.prefix, ...program],
  workload,
  warmUp: engine.warmUp,
});

/** The figure of a cell in milliseconds, null when there is none. */
export function figure(result: TaskResult, cell: Cell): number | null {
  if (cell.error !== null || cell.wallMs.length === 0) return null;
  if (result.task.measure === 'wall') return median(cell.wallMs);
  return median(cell.repetitionsNs.map(steadyState)) / 1e6;
}

export const cellOf = (r: TaskResult, engine: Lane['engine'], workload?: string): Cell | undefined =>
  r.cells.find((c) => c.lane.engine === engine && (workload === undefined || c.lane.workload === workload));

/** How many times as long as `than` an engine took over the same workload. */
export function ratio(r: TaskResult, engine: Lane['engine'], than: Lane['engine']): number | null {
  const cell = cellOf(r, engine);
  const base = cell && cellOf(r, than, cell.lane.workload);
  const [a, b] = [cell && figure(r, cell), base && figure(r, base)];
  return a && b ? a / b : null;
}

/**
 * Time of one process that is not steady-state work: start-up, translation, and the slower first repetitions. Null for
 * what reports no repetitions.
 */
export function overhead(r: TaskResult, cell: Cell): number | null {
  if (figure(r, cell) === null || r.task.measure !== 'steady') return null;
  return median(
    cell.wallMs.map((wall, k) => wall - (steadyState(cell.repetitionsNs[k]!) * cell.repetitionsNs[k]!.length) / 1e6),
  );
}

function accept(cell: Cell, outcome: Outcome, measure: Task['measure']): void {
  cell.error = outcome.error;
  if (outcome.error !== null) {
    // What a kernel says when its repetitions disagree: see harness.h.
    cell.wrong = /repetition \d+ gives/.test(outcome.error);
    return;
  }
  if (measure === 'steady' && outcome.repetitionsNs.length === 0) cell.error = 'reports no repetition';
  else if (cell.digest !== null && cell.digest !== outcome.digest) {
    cell.wrong = true;
    cell.error = 'does not print the same in each run';
  }
  cell.wallMs.push(outcome.wallMs);
  cell.repetitionsNs.push(outcome.repetitionsNs);
  cell.digest = outcome.digest;
  cell.output = outcome.output;
}

/**
 * Marks the cells whose output is not the native one's (where there is none, the first lane's) of the same workload. Their
 * figures do not count: a wrong result has no speed.
 */
export function markWrongResults({ cells }: TaskResult): void {
  const reference = new Map<string, Cell>();
  const compared = cells.filter((c) => c.digest !== null && c.lane.engine !== 'node');
  for (const cell of [...compared.filter((c) => c.lane.engine === 'native'), ...compared]) {
    const expected = reference.get(cell.lane.workload);
    if (expected === undefined) reference.set(cell.lane.workload, cell);
    else if (expected.digest !== cell.digest) {
      cell.wrong = true;
      cell.error = `prints ${JSON.stringify(cell.output)} instead of ${JSON.stringify(expected.output)}`;
    }
  }
}

/** A lane that failed once takes no part in the rounds that follow. `progress` is told what runs next. */
export async function runTasks(
  tasks: readonly Task[],
  rounds: number,
  limits: RunLimits,
  progress: (text: string) => void,
): Promise<TaskResult[]> {
  const results: TaskResult[] = tasks.map((task) => ({
    task,
    cells: task.lanes.map((l) => ({
      lane: l,
      wallMs: [],
      repetitionsNs: [],
      digest: null,
      output: '',
      error: null,
      wrong: false,
    })),
  }));
  const each = async (visit: (cell: Cell, task: Task) => Promise<void>): Promise<void> => {
    for (const { task, cells } of results) for (const cell of cells) if (cell.error === null) await visit(cell, task);
  };
  await each(async (cell, task) => {
    if (!cell.lane.warmUp) return;
    progress(`filling the cache: ${task.name}`);
    cell.error = (await runOnce(cell.lane.command, limits)).error;
  });
  for (let round = 1; round <= rounds; round++)
    await each(async (cell, task) => {
      progress(`round ${round} of ${rounds}: ${task.name}, ${cell.lane.label}`);
      accept(cell, await runOnce(cell.lane.command, limits), task.measure);
    });
  for (const r of results) markWrongResults(r);
  return results;
}
