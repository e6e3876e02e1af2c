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
  /** For the compiler. */
  env?: Record<string, string>;
}

const gcc = (source: string, compiler: string, ...options: string[]): Guest => ({ source, compiler, options: ['-O2', '-s', '-w', ...options] });
const dynamic = ['-fPIE', '-pie'];
const pinned = ['-fno-pie', '-no-pie'];
const staticPie = ['-fPIE', '-static-pie'];
/** Of callbacks.c, whose comparison has a place of its own. */
const compareAt = (address: string): string[] => [...pinned, `-Wl,--section-start=.compare=${address}`];

/** Debian's musl-dev:arm64 (or its unpacked root) with the cross compiler; there is no musl-gcc for it. */
const muslRoot = process.env.UKTX_MUSL_AARCH64 ?? '';
const musl = (name: string): string => `${muslRoot}/usr/lib/aarch64-linux-musl/${name}`;
const aarch64Musl = (start: string, ...options: string[]): Guest =>
  gcc(
    'hello.c',
    'aarch64-linux-gnu-gcc',
    ...['-nostdinc', '-isystem', `${muslRoot}/usr/include/aarch64-linux-musl`],
    ...['-isystem', '/usr/lib/gcc-cross/aarch64-linux-gnu/12/include', '-nostdlib', ...options],
    ...[musl(start), musl('crti.o'), musl('crtn.o'), '-Wl,--start-group', musl('libc.a'), '-lgcc', '-Wl,--end-group'],
  );
/** A rustc that has the target (rustup target add aarch64-unknown-linux-gnu). */
const aarch64Rust = (linker: string, ...options: string[]): Guest => ({
  source: 'hello.rs',
  compiler: process.env.UKTX_RUSTC ?? 'rustc',
  options: [
    ...['-O', '-C', 'strip=symbols', '--target', 'aarch64-unknown-linux-gnu'],
    ...['-C', `linker=${linker}`, ...options],
  ],
});
const staticPieLinker = join(here, 'aarch64-static-pie-linker.sh');
const go = (env: Record<string, string>, ...options: string[]): Guest => ({
  source: 'hello.go',
  compiler: 'go',
  options: ['build', '-trimpath', ...options],
  env: { GO111MODULE: 'off', GOFLAGS: '', ...env },
});
const arm64 = { GOARCH: 'arm64', CGO_ENABLED: '1', CC: 'aarch64-linux-gnu-gcc' };
const cross = 'aarch64-linux-gnu-gcc';
const crossCpp = 'aarch64-linux-gnu-g++';

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
  'calls-in-place': gcc('calls-in-place.c', 'gcc', '-pthread', ...dynamic),
  'calls-in-place-aarch64': gcc('calls-in-place.c', cross, '-pthread', '-static'),
  'exclusives-aarch64': gcc('exclusives.c', cross, '-static', '-mno-outline-atomics', '-march=armv8-a'),
  'flags-at-syscall': gcc('flags-at-syscall.c', 'gcc', '-O1', ...dynamic),
  'control-flow': gcc('control-flow.c', 'gcc', '-O1', '-fno-optimize-sibling-calls', ...dynamic),
  // Not stripped.
  named: { source: 'named.c', compiler: 'gcc', options: ['-O1', '-fno-optimize-sibling-calls', ...dynamic] },
  generator: gcc('generator.c', 'gcc', '-O1', ...dynamic),
  'high-heap-aarch64': gcc('high-heap.c', cross, '-static', '-pthread'),
  'high-heap': gcc('high-heap.c', 'gcc', ...dynamic, '-pthread'),
  'odd-control': gcc('odd-control.cpp', 'g++', '-std=c++17', ...dynamic),
  'aes-aarch64': gcc('aes.c', cross, '-static', '-march=armv8-a+crypto'),
  'misaligned-aarch64': gcc('misaligned.c', cross, '-static'),
  'split-lock': gcc('split-lock.c', 'gcc', '-O1', ...dynamic),
  edge: gcc('edge.c', 'gcc', '-O1', ...dynamic),
  'far-jumps': gcc('far-jumps.c', 'gcc', '-O1', ...dynamic),
  'slice-ends': gcc('slice-ends.c', 'gcc', '-static', ...pinned),
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
  'code-changes': gcc('code-changes.c', 'gcc', ...dynamic),
  callbacks: gcc('callbacks.c', 'gcc', ...compareAt('0x600000')),
  'callbacks-descending': gcc('callbacks.c', 'gcc', ...compareAt('0x600000'), '-DDESCENDING'),
  'callbacks-elsewhere': gcc('callbacks.c', 'gcc', ...compareAt('0x700000')),
  'exec-chain': gcc('exec-chain.c', 'gcc', '-static', ...pinned),
  'exec-chain-aarch64': gcc('exec-chain.c', cross, '-static', ...pinned),
  'signal-frame-aarch64': gcc('signal-frame-aarch64.c', cross, '-static', ...pinned),
  'hello-c-aarch64': gcc('hello.c', cross, ...dynamic),
  'hello-c-no-pie-aarch64': gcc('hello.c', cross, ...pinned),
  'hello-c-static-aarch64': gcc('hello.c', cross, '-static', ...pinned),
  'hello-c-static-pie-aarch64': gcc('hello.c', cross, ...staticPie),
  'hello-musl-static-aarch64': { ...aarch64Musl('crt1.o', '-static', ...pinned), prebuilt: true },
  'hello-musl-static-pie-aarch64': { ...aarch64Musl('rcrt1.o', ...staticPie), prebuilt: true },
  'hello-cpp-aarch64': gcc('hello.cpp', crossCpp, '-std=c++17', ...dynamic),
  'hello-cpp-static-aarch64': gcc('hello.cpp', crossCpp, '-std=c++17', '-static', ...pinned),
  'hello-cpp-static-pie-aarch64': gcc('hello.cpp', crossCpp, '-std=c++17', ...staticPie),
  'hello-rust-aarch64': aarch64Rust(cross),
  'hello-rust-static-aarch64': aarch64Rust(cross, '-C', 'target-feature=+crt-static', '-C', 'relocation-model=static'),
  'hello-rust-static-pie-aarch64': aarch64Rust(staticPieLinker, '-C', 'target-feature=+crt-static', '-C', 'relocation-model=pie'),
  'hello-go-static-aarch64': go({ GOARCH: 'arm64', CGO_ENABLED: '0' }, '-ldflags=-s -w'),
  'hello-go-static-pie-aarch64': go(arm64, '-buildmode=pie', '-ldflags=-s -w -linkmode=external -extldflags "-static-pie"'),
  'hello-go-aarch64': go(arm64, '-ldflags=-s -w -linkmode=external'),
  'hello-go-pie-aarch64': go(arm64, '-buildmode=pie', '-ldflags=-s -w -linkmode=external'),
};

function compile(name: string, to: string): string | null {
  const { source, compiler, options, env } = guests[name]!;
  const libraries = /\.c(pp)?$/.test(source) && !options.includes('-nostdlib') ? ['-lm'] : [];
  // `go build` wants its options before the files.
  const words = compiler === 'go' ? [...options, '-o', to, join(here, source)] : [...options, join(here, source), '-o', to, ...libraries];
  const r = spawnSync(compiler, words, { encoding: 'utf8', env: { ...process.env, ...env } });
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
