/**
 * Guest programs of the tests. Small ones lie prebuilt in prebuilt/ (`node test/guests/build.ts` makes them); the others
 * are built when a test wants them and the compiler is there.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const here = import.meta.dirname;

export interface Guest {
  source: string;
  compiler: string;
  options: readonly string[];
  prebuilt?: boolean;
}

const gcc = (source: string, compiler: string, ...options: string[]): Guest => ({ source, compiler, options: ['-O2', '-s', '-w', ...options] });
const dynamic = ['-fPIE', '-pie'];
const pinned = ['-fno-pie', '-no-pie'];
const staticPie = ['-fPIE', '-static-pie'];

export const guests: Record<string, Guest> = {
  'hello-c': { ...gcc('hello.c', 'gcc', ...dynamic), prebuilt: true },
  'hello-c-no-pie': { ...gcc('hello.c', 'gcc', ...pinned), prebuilt: true },
  'hello-c-static': gcc('hello.c', 'gcc', '-static', ...pinned),
  'hello-c-static-pie': gcc('hello.c', 'gcc', ...staticPie),
  'hello-musl': { ...gcc('hello.c', 'musl-gcc', ...dynamic), prebuilt: true },
  'hello-musl-static': { ...gcc('hello.c', 'musl-gcc', '-static', ...pinned), prebuilt: true },
  'hello-cpp': { ...gcc('hello.cpp', 'g++', '-std=c++17', ...dynamic), prebuilt: true },
  'hello-cpp-static': gcc('hello.cpp', 'g++', '-std=c++17', '-static', ...pinned),
  'hello-cpp-static-pie': gcc('hello.cpp', 'g++', '-std=c++17', ...staticPie),
  'hello-rust': { source: 'hello.rs', compiler: 'rustc', options: ['-O'] },
  'hello-rust-static': { source: 'hello.rs', compiler: 'rustc', options: ['-O', '-C', 'target-feature=+crt-static', '-C', 'relocation-model=static'] },
  'hello-rust-static-pie': { source: 'hello.rs', compiler: 'rustc', options: ['-O', '-C', 'target-feature=+crt-static'] },
  'fault-musl-static': { ...gcc('fault.c', 'musl-gcc', '-O1', '-static', ...pinned), prebuilt: true },
  'files-musl-static': { ...gcc('files.c', 'musl-gcc', '-static', ...pinned), prebuilt: true },
  'socket-states': gcc('socket-states.c', 'gcc', '-static', ...pinned),
  'socket-messages': gcc('socket-messages.c', 'gcc', '-static', ...pinned),
  'control-flow': gcc('control-flow.c', 'gcc', '-O1', '-fno-optimize-sibling-calls', ...dynamic),
  // Not stripped.
  named: { source: 'named.c', compiler: 'gcc', options: ['-O1', '-fno-optimize-sibling-calls', ...dynamic] },
  wild: gcc('wild.c', 'gcc', '-O1', ...dynamic),
  floats: gcc('floats.c', 'gcc', '-fno-math-errno', ...dynamic),
  threads: gcc('threads.c', 'gcc', ...dynamic, '-pthread'),
  inotify: gcc('inotify.c', 'gcc', ...dynamic),
  mqueue: gcc('mqueue.c', 'gcc', ...dynamic),
  pty: gcc('pty.c', 'gcc', ...dynamic),
  'sysv-ipc': gcc('sysv-ipc.c', 'gcc', ...dynamic),
  pthreads: gcc('pthreads.c', 'gcc', ...dynamic, '-pthread'),
  'code-generation': gcc('code-generation.c', 'gcc', '-O1', ...dynamic, '-pthread'),
  processes: gcc('processes.c', 'gcc', ...dynamic, '-pthread'),
};

function compile(name: string, to: string): string | null {
  const { source, compiler, options } = guests[name]!;
  const libraries = compiler === 'rustc' ? [] : ['-lm'];
  const r = spawnSync(compiler, [...options, join(here, source), '-o', to, ...libraries], { encoding: 'utf8' });
  if (r.error) return `no ${compiler} here`;
  return r.status === 0 ? null : `${compiler} fails: ${r.stderr.trim().split('\n')[0]}`;
}

let folder: string | null = null;

/** Path of a guest program, or why there is none. */
export function guestProgram(name: string): { path: string } | { missing: string } {
  const prebuilt = join(here, 'prebuilt', name);
  if (existsSync(prebuilt)) return { path: prebuilt };
  if (folder === null) {
    const made = mkdtempSync(join(tmpdir(), 'uktx-guests-'));
    folder = made;
    process.on('exit', () => rmSync(made, { recursive: true, force: true }));
  }
  const path = join(folder, name);
  if (existsSync(path)) return { path };
  const missing = compile(name, path);
  return missing === null ? { path } : { missing };
}

if (process.argv[1] === import.meta.filename) {
  mkdirSync(join(here, 'prebuilt'), { recursive: true });
  for (const name of Object.keys(guests).filter((n) => guests[n]!.prebuilt)) {
    const problem = compile(name, join(here, 'prebuilt', name));
    if (problem) {
      process.stderr.write(`${name}: ${problem}\n`);
      process.exitCode = 1;
    }
  }
}
