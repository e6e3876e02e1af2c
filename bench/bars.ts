/** The speeds this project holds itself to, and whether a run reached them. */
import type { EngineId } from './engines.ts';
import { priceCount } from './programs.ts';
import { integerLoopSpeed, jitEngines, meanRatio, type Results, usualEngine } from './results.ts';
import { cellOf, figure, ratio, type TaskResult } from './schedule.ts';
import { LOOP_INSTRUCTIONS, loopCount } from './sections.ts';

export interface Bar {
  requirement: string;
  /** Empty when it was not measured. */
  measured: string;
  /** Null when it was not measured. Of several engines each has to pass, and no program may have failed. */
  pass: boolean | null;
}

interface Found {
  value: number;
  /** Which program it was, where the worst of several counts. */
  where?: string;
}

interface Rule {
  requirement: string;
  direction: 'at most' | 'at least';
  limit: number;
  engines: readonly EngineId[];
  find: (engine: EngineId) => Found | null;
  /** Programs that have to have run: one that failed has no figure, and would not show. */
  tasks?: readonly TaskResult[];
  /** The same of what is no task. */
  others?: readonly { name: string; engine: EngineId; error: string | null }[];
  show?: (value: number) => string;
}

const plain = (value: number | null): Found | null => (value === null ? null : { value });
const inverse = (f: Found | null): Found | null => f && { ...f, value: 1 / f.value };

function slowest(tasks: readonly TaskResult[], engine: EngineId, than: EngineId): Found | null {
  let worst: Found | null = null;
  for (const t of tasks) {
    const value = ratio(t, engine, than);
    if (value !== null && (worst === null || value > worst.value)) worst = { value, where: t.task.name };
  }
  return worst;
}

/** The ratio of the one task of a name. */
function only(tasks: readonly TaskResult[], name: string, engine: EngineId, than: EngineId): Found | null {
  const task = tasks.find((t) => t.task.name === name);
  return task ? plain(ratio(task, engine, than)) : null;
}

function check(r: Results, { requirement, direction, limit, engines, find, tasks = [], others = [], show }: Rule): Bar {
  const label = (id: EngineId): string => (engines.length > 1 ? `${r.engines.find((e) => e.id === id)!.label} ` : '');
  const ok = (x: number): boolean => (direction === 'at most' ? x <= limit : x >= limit);
  // Close to the limit with one digit more: a failing 0.896 is not to read 0.90.
  const text = show ?? ((x: number) => `${x.toFixed(x !== limit && Math.abs(x - limit) < 0.01 ? 3 : 2)}x`);
  const measured: string[] = [];
  let pass = true;
  for (const id of engines) {
    const failed = tasks.filter((t) => (cellOf(t, id)?.error ?? null) !== null).map((t) => t.task.name);
    failed.push(...others.filter((o) => o.engine === id && o.error !== null).map((o) => o.name));
    const found = find(id);
    if (found) measured.push(`${label(id)}${text(found.value)}${found.where ? ` (${found.where})` : ''}`);
    if (failed.length > 0) measured.push(`${label(id)}failed: ${failed.join(', ')}`);
    if (failed.length > 0 || (found && !ok(found.value))) pass = false;
  }
  return {
    requirement: `${requirement}: ${direction} ${text(limit)}`,
    measured: measured.join('; '),
    pass: measured.length > 0 ? pass : null,
  };
}

export function bars(r: Results): Bar[] {
  const jit = jitEngines(r);
  const ours = r.engines.map((e) => e.id).filter((id) => id !== 'native' && id !== 'qemu');
  const usual = usualEngine(r);
  const run = usual ? [usual] : [];
  const cold = jit.filter((id) => id === 'jit-cold');
  const warm = jit.filter((id) => id === 'jit-warm');
  const instructions = loopCount(r.quick) * LOOP_INSTRUCTIONS;
  const most = (requirement: string, limit: number): Pick<Rule, 'requirement' | 'direction' | 'limit'> => ({
    requirement,
    direction: 'at most',
    limit,
  });
  const least = (requirement: string, limit: number): Pick<Rule, 'requirement' | 'direction' | 'limit'> => ({
    requirement,
    direction: 'at least',
    limit,
  });
  const kernels = { engines: jit, tasks: r.kernels };
  const aarch64 = { engines: jit, tasks: r.aarch64 };
  const real = { engines: jit, tasks: r.real };
  const calls = { engines: run, tasks: r.systemCalls };
  const call = (name: string, than: EngineId) => (e: EngineId) => only(r.systemCalls, name, e, than);
  const rules: Rule[] = [
    {
      ...most('kernels, time by native, geometric mean', 2.5),
      ...kernels,
      find: (e) => plain(meanRatio(r.kernels, e, 'native')),
    },
    { ...most('kernels, time by native, slowest', 5), ...kernels, find: (e) => slowest(r.kernels, e, 'native') },
    {
      ...least('kernels, speed by qemu, geometric mean', 3),
      ...kernels,
      find: (e) => inverse(plain(meanRatio(r.kernels, e, 'qemu'))),
    },
    {
      ...least('kernels, speed by qemu, slowest', 0.9),
      ...kernels,
      find: (e) => inverse(slowest(r.kernels, e, 'qemu')),
    },
    {
      ...most('AArch64 kernels, time by native x86-64, geometric mean', 2.8),
      ...aarch64,
      find: (e) => plain(meanRatio(r.aarch64, e, 'native')),
    },
    {
      ...least('AArch64 kernels, speed by qemu-aarch64, geometric mean', 3),
      ...aarch64,
      find: (e) => inverse(plain(meanRatio(r.aarch64, e, 'qemu'))),
    },
    { ...most('real programs, time by native, slowest', 4), ...real, find: (e) => slowest(r.real, e, 'native') },
    {
      ...least('real programs, speed by qemu, slowest', 1.5),
      ...real,
      find: (e) => inverse(slowest(r.real, e, 'qemu')),
    },
    {
      ...most('fib(40), steady state, time by native', 3),
      engines: jit,
      find: (e) => only(r.kernels, 'fib', e, 'native'),
    },
    {
      ...least('one ten-second call, speed by a thousand calls', 0.9),
      engines: jit,
      others: r.oneLoop.map((o) => ({ name: 'one-loop', engine: o.engine.id, error: o.error })),
      find: (e) => oneLoop(r, e),
    },
    {
      ...most('first run after prewarm, time by a second run, slowest', 1.2),
      engines: warm,
      others: r.prewarmed.map((p) => ({ name: `prewarmed ${p.name}`, engine: 'jit-warm' as const, error: p.error })),
      find: () => prewarmed(r),
    },
    {
      ...most('python3, peak resident memory', 400e6),
      engines: ours,
      others: r.memory,
      find: (e) => plain(r.memory.find((m) => m.engine === e)?.bytes ?? null),
      show: (x) => `${Math.round(x / 1e6)} MB`,
    },
    {
      ...least('interpreter, guest instructions of an integer loop', 100),
      engines: ours.filter((id) => id === 'interpreter'),
      find: (e) => plain(integerLoopSpeed(r.integerLoop, e, instructions)),
      show: (x) => `${Math.round(x)} million/s`,
    },
    {
      ...most('hello (static) without a cache, time by node -e 0', 4),
      engines: cold,
      find: (e) => byNode(r, 'hello, static', e),
    },
    {
      ...most('hello (static) with a warm cache, time by node -e 0', 2.5),
      engines: warm,
      find: (e) => byNode(r, 'hello, static', e),
    },
    {
      ...most('ls (dynamic) with a warm cache, time by node -e 0', 4),
      engines: warm,
      find: (e) => byNode(r, 'ls -la', e),
    },
    { ...most('clock_gettime, time by native', 3), ...calls, find: call('clock_gettime', 'native') },
    {
      ...least('clock_gettime, speed by qemu', 3),
      ...calls,
      find: (e) => inverse(call('clock_gettime', 'qemu')(e)),
    },
    { ...most('getppid, time by native', 1), ...calls, find: call('getppid', 'native') },
    { ...most('read of a byte, time by native', 2), ...calls, find: call('read a byte', 'native') },
    { ...most('write of a byte, time by native', 2), ...calls, find: call('write a byte', 'native') },
    ...handOvers.map((name) => ({
      ...least(`${name}, speed by qemu`, 1),
      ...calls,
      find: (e: EngineId) => inverse(call(name, 'qemu')(e)),
    })),
    { ...most('mutex hand-off, time by native', 1), ...calls, find: call('mutex hand-off', 'native') },
  ];
  return rules.map((rule) => check(r, rule));
}

/** Threads and processes that wait for each other. */
const handOvers = ['pipe ping-pong', 'mutex hand-off', 'fork, exec, wait'];

function oneLoop(r: Results, engine: EngineId): Found | null {
  const found = r.oneLoop.find((o) => o.engine.id === engine && o.error === null);
  return found ? { value: found.part } : null;
}

function prewarmed(r: Results): Found | null {
  const [worst] = r.prewarmed.filter((p) => p.error === null).sort((a, b) => b.part - a.part);
  return worst ? { value: worst.part, where: worst.name } : null;
}

/** The slowest of the short programs with names that begin so, by Node's own start. */
function byNode(r: Results, name: string, engine: EngineId): Found | null {
  let worst: Found | null = null;
  for (const task of r.startUp.filter((t) => t.task.name.startsWith(name))) {
    const [cell, node] = [cellOf(task, engine), cellOf(task, 'node')];
    const [a, b] = [cell && figure(task, cell), node && figure(task, node)];
    if (!a || !b) return null;
    if (!worst || a / b > worst.value) worst = { value: a / b, where: task.task.name };
  }
  return worst;
}

/** Nanoseconds a call. */
export const perCall = (milliseconds: number, task: string, quick: boolean): number =>
  (milliseconds * 1e6) / priceCount(task, quick);
