/** /proc/PID/limits (fs/proc/base.c, proc_pid_limits). */
import { pidEntry } from './entry.ts';

/** By RLIMIT_* number: name and unit. */
const NAMES: readonly [string, string][] = [
  ['Max cpu time', 'seconds'],
  ['Max file size', 'bytes'],
  ['Max data size', 'bytes'],
  ['Max stack size', 'bytes'],
  ['Max core file size', 'bytes'],
  ['Max resident set', 'bytes'],
  ['Max processes', 'processes'],
  ['Max open files', 'files'],
  ['Max locked memory', 'bytes'],
  ['Max address space', 'bytes'],
  ['Max file locks', 'locks'],
  ['Max pending signals', 'signals'],
  ['Max msgqueue size', 'bytes'],
  ['Max nice priority', ''],
  ['Max realtime priority', ''],
  ['Max realtime timeout', 'us'],
];

const value = (n: number): string => (n === Infinity ? 'unlimited' : String(n)).padEnd(20);

export const limits = pidEntry('limits', ({ process }) => {
  const rows = NAMES.map(([name, unit], i) => {
    const { soft, hard } = process.rlimits[i]!;
    return `${name.padEnd(25)} ${value(soft)} ${value(hard)} ${unit === '' ? '' : unit.padEnd(10)}\n`;
  });
  return `${'Limit'.padEnd(25)} ${'Soft Limit'.padEnd(20)} ${'Hard Limit'.padEnd(20)} ${'Units'.padEnd(10)}\n${rows.join('')}`;
});
