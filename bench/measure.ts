/** One run of one command: wall time, the repetition times a kernel reports, and what it printed. */
import { type ChildProcess, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { closeSync, openSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';

export interface Outcome {
  /** From before the process is created to after it has ended, in milliseconds. */
  wallMs: number;
  /** Times the guest measured itself, in nanoseconds; empty when it reports none. */
  repetitionsNs: number[];
  /** SHA-256 of standard output, and its beginning. */
  digest: string;
  output: string;
  /** Why the run does not count; null when it does. */
  error: string | null;
}

export interface RunLimits {
  /** Folder for the output, which programs write to a file: no pipe, no terminal, no reader that competes for the CPU. */
  scratch: string;
  timeoutMs: number;
}

function lastLines(text: string, count: number): string {
  return text.trimEnd().split('\n').slice(-count).join(' | ');
}

let running: ChildProcess | null = null;
process.on('exit', () => running?.kill('SIGKILL'));

interface Ended {
  wallMs: number;
  /** Null at exit status 0. */
  error: string | null;
}

/** Runs a command to its end; `stdio` are its standard descriptors, `started` sees the process. */
async function execute(
  command: readonly string[],
  stdio: ['ignore', number, number],
  { scratch, timeoutMs }: RunLimits,
  started?: (child: ChildProcess) => void,
): Promise<Ended> {
  const start = performance.now();
  const child = spawn(command[0]!, command.slice(1), { stdio, cwd: scratch });
  running = child;
  let late = false;
  const timer = setTimeout(() => {
    late = true;
    child.kill('SIGKILL');
  }, timeoutMs);
  try {
    started?.(child);
    return await new Promise((resolve) => {
      const end = (error: string | null): void => resolve({ wallMs: performance.now() - start, error });
      child.on('error', (e) => end(e.message));
      child.on('exit', (status, signal) => {
        if (late) end(`not done after ${timeoutMs / 1000} s`);
        else end(status === 0 ? null : `ended with ${status ?? signal}`);
      });
    });
  } finally {
    clearTimeout(timer);
    running = null;
  }
}

export async function runOnce(command: readonly string[], limits: RunLimits): Promise<Outcome> {
  const paths = [join(limits.scratch, 'stdout'), join(limits.scratch, 'stderr')] as const;
  const [out, err] = [openSync(paths[0], 'w'), openSync(paths[1], 'w')];
  const { wallMs, error } = await execute(command, ['ignore', out, err], limits);
  closeSync(out);
  closeSync(err);
  const stdout = readFileSync(paths[0]);
  const stderr = readFileSync(paths[1], 'utf8');
  return {
    wallMs,
    repetitionsNs: [...stderr.matchAll(/^repetition \d+ (\d+)$/gm)].map((m) => Number(m[1])),
    digest: createHash('sha256').update(stdout).digest('hex'),
    output: stdout.subarray(0, 200).toString('latin1'),
    error: error === null || stderr.trim() === '' ? error : `${error}: ${lastLines(stderr, 3)}`,
  };
}

/**
 * Peak resident memory of a run in bytes, null where it cannot be had, as on systems without /proc. Looked at each 5 ms: the
 * kernel keeps the peak, but forgets it with the process.
 */
export async function peakResident(
  command: readonly string[],
  limits: RunLimits,
): Promise<{ bytes: number | null; error: string | null }> {
  const out = openSync(join(limits.scratch, 'stdout'), 'w');
  let peak = 0;
  let sampling: NodeJS.Timeout | undefined;
  const { error } = await execute(command, ['ignore', out, out], limits, ({ pid }) => {
    sampling = setInterval(() => {
      try {
        const kib = /^VmHWM:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1];
        if (kib !== undefined) peak = Math.max(peak, Number(kib) * 1024);
      } catch {
        // The process has just ended, or this is not Linux.
      }
    }, 5);
  });
  clearInterval(sampling);
  closeSync(out);
  return { bytes: error === null && peak > 0 ? peak : null, error };
}

/** Whether a file is there and can be run. */
export function isExecutable(path: string): boolean {
  const stat = statSync(path, { throwIfNoEntry: false });
  return stat?.isFile() === true && (stat.mode & 0o111) !== 0;
}
