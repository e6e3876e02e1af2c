/** The forms of procfs entries. Each file of this folder exports some; index.ts registers them. */
import type { Kernel } from '../../kernel.ts';
import { PAGE_SIZE } from '../../mm/guest-memory.ts';
import type { PidNamespace } from '../../ns/pid.ts';
import type { GuestTask } from '../../task/guest-task.ts';
import type { Process } from '../../task/process.ts';
import type { Task } from '../../task/task.ts';
import type { CpuDescription } from './cpu.ts';

/** What the entries need to know that no kernel object tells. */
export interface ProcSettings {
  readonly cpu: CpuDescription;
  /** uname(2): release (`6.1.0`) and version (`#1 SMP ...`). */
  readonly release: string;
  readonly version: string;
  /** PID namespace whose numbers are shown; null for the initial one. */
  readonly pidNs: PidNamespace | null;
}

/** A number of the kernel's as a procfs shows it. */
export const shownPid = ({ pidNs }: ProcSettings, pid: number): number => (pidNs ? pidNs.number(pid) : pid);

/** A file below /proc that concerns the whole system. */
export interface SystemEntry {
  /** Relative to /proc. */
  readonly path: string;
  /** Permission bits, default 0444. */
  readonly perm?: number;
  /** Contents; `task` is who reads. */
  read(kernel: Kernel, settings: ProcSettings, task: Task): string | Uint8Array;
  write?(kernel: Kernel, text: string, task: Task): void;
}

/** Whom a per-process file is about. `thread` is null for a process that has exited and not been waited for. */
export interface Subject {
  readonly process: Process;
  readonly thread: GuestTask | null;
}

/** A file in /proc/PID and /proc/PID/task/TID. */
export interface PidEntry {
  readonly name: string;
  readonly perm?: number;
  /** Not in /proc/PID/task/TID. */
  readonly processOnly?: boolean;
  /** Not in /proc/PID. */
  readonly threadOnly?: boolean;
  read(subject: Subject, settings: ProcSettings, reader: Task): string | Uint8Array;
  write?(subject: Subject, text: string, writer: Task): void;
}

export const systemEntry = (
  path: string,
  read: SystemEntry['read'],
  extra: Partial<SystemEntry> = {},
): SystemEntry => ({ path, read, ...extra });
export const pidEntry = (name: string, read: PidEntry['read'], extra: Partial<PidEntry> = {}): PidEntry => ({
  name,
  read,
  ...extra,
});

/** Clock ticks in a second (USER_HZ). */
const TICKS_PER_SECOND = 100;
export const ticks = (ms: number): number => Math.floor((ms * TICKS_PER_SECOND) / 1000);
export const kB = (bytes: number): number => Math.floor(bytes / 1024);
export const pages = (bytes: number): number => Math.floor(bytes / PAGE_SIZE);

/** CPU time of the run, milliseconds. */
export function cpuTimeMs(kernel: Kernel): number {
  const [sec, nsec] = kernel.host.cpuTime();
  return sec * 1000 + nsec / 1e6;
}

/** mangle_path: blanks, newlines and backslashes of a name as octal escapes. */
export function escapeName(name: string, also = ''): string {
  const chars = `\\\n${also}`;
  return [...name].map((c) => (chars.includes(c) ? `\\${c.charCodeAt(0).toString(8).padStart(3, '0')}` : c)).join('');
}
