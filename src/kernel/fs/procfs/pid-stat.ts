/** /proc/PID/stat, statm and schedstat (fs/proc/array.c, proc(5)). */
import { PROT_EXEC, PROT_WRITE } from '../../mm/guest-memory.ts';
import type { Vma } from '../../mm/vma.ts';
import { waitStatus } from '../../task/exit-status.ts';
import { RLIMIT_RSS } from '../../task/rlimits.ts';
import { controllingTty } from '../tty-device.ts';
import { processCpuMs } from '../../time/clocks.ts';
import { pages, pidEntry, type Subject, ticks, type ProcSettings, shownPid } from './entry.ts';

const RLIM_INFINITY = '18446744073709551615';
/** PF_RANDOMIZE, as every ordinary process has it. */
const FLAGS = 0x40_0000;

/** R running, S waiting, T stopped, Z dead. */
export function stateOf({ process, thread }: Subject): string {
  if (!thread || process.exitStatus) return 'Z';
  if (process.stopSignal !== 0) return 'T';
  return thread.waiting ? 'S' : 'R';
}

/** Addresses of the program's own segments, 0 when there are none. */
function segments(subject: Subject): { code: [number, number]; data: [number, number] } {
  const { process, thread } = subject;
  const own: Vma[] = (thread?.mm.vmas() ?? []).filter((v) => v.file && v.file.path === process.exePath);
  const span = (list: Vma[]): [number, number] => (list.length ? [list[0]!.start, list.at(-1)!.end] : [0, 0]);
  return { code: span(own.filter((v) => v.prot & PROT_EXEC)), data: span(own.filter((v) => v.prot & PROT_WRITE)) };
}

/** Lower words of the signal sets, as decimal numbers (the fields are obsolete, but there). */
function signalWords({ process, thread }: Subject): string {
  if (!thread) return '0 0 0 0';
  const pending = thread.signals.set.lo | process.signals.set.lo;
  const words = [pending, thread.signals.blocked.lo, thread.sighand.ignoredSet().lo, thread.sighand.caughtSet().lo];
  return words.map((w) => (w & 0x7fff_ffff) >>> 0).join(' ');
}

function stat(subject: Subject, settings: ProcSettings): string {
  const { process, thread } = subject;
  const mm = thread?.mm;
  const pgrp = controllingTty(process)?.pgrp;
  const foreground = pgrp === undefined ? -1 : shownPid(settings, pgrp);
  const cpu = ticks(processCpuMs(process));
  const { code, data } = segments(subject);
  const rssLimit = process.rlimits[RLIMIT_RSS]?.soft ?? Infinity;
  const exitCode = process.exitStatus ? waitStatus(process.exitStatus) : 0;
  return [
    shownPid(settings, thread?.tid ?? process.pid),
    `(${thread?.comm ?? process.comm})`,
    stateOf(subject),
    shownPid(settings, process.ppid),
    shownPid(settings, process.pgid),
    shownPid(settings, process.sid),
    process.ttyDev,
    foreground,
    FLAGS,
    0,
    0,
    0,
    0,
    cpu,
    0,
    ticks(process.childrenCpuTime),
    0,
    thread && thread.rtPriority > 0 ? -1 - thread.rtPriority : 20 + process.nice,
    process.nice,
    process.tasks.size,
    0,
    ticks(process.startTime),
    mm?.stats.total ?? 0,
    pages(mm?.stats.accessible ?? 0),
    rssLimit === Infinity ? RLIM_INFINITY : rssLimit,
    code[0],
    code[1],
    process.argStart - (process.argStart % 16),
    0,
    0,
    signalWords(subject),
    0,
    0,
    0,
    process.exitSignal,
    0,
    thread?.rtPriority ?? 0,
    thread?.schedPolicy ?? 0,
    0,
    0,
    0,
    data[0],
    data[1],
    mm?.brkStart ?? 0,
    process.argStart,
    process.argEnd,
    process.envStart,
    process.envEnd,
    exitCode,
  ].join(' ');
}

export const pidStat = pidEntry('stat', (subject, settings) => `${stat(subject, settings)}\n`);

export const statm = pidEntry('statm', ({ thread }) => {
  if (!thread) return '0 0 0 0 0 0 0\n';
  const s = thread.mm.stats;
  return `${pages(s.total)} ${pages(s.accessible)} ${pages(s.file)} ${pages(s.exec)} 0 ${pages(s.data + s.stack)} 0\n`;
});

export const schedstat = pidEntry('schedstat', ({ process }) => `${Math.floor(processCpuMs(process) * 1e6)} 0 0\n`);
