/** The tables of what is run: kernels of our own, and programs of the distribution. */
import { join } from 'node:path';
import { packageRoot } from '../src/runtime/package-root.ts';
import type { EngineId } from './engines.ts';

export const guestFolder = join(packageRoot(), 'bench/guests');
/** The same kernels as AArch64 programs. */
export const aarch64GuestFolder = join(guestFolder, 'aarch64');
export const scriptFolder = join(packageRoot(), 'bench/scripts');

export interface Kernel {
  name: string;
  /** What it stresses. */
  about: string;
  /** Its size argument: some 100 ms a repetition on the machine the sizes were chosen on, and a fifth of that. */
  size: number;
  quick: number;
}

const kernel = (name: string, size: number, quick: number, about: string): Kernel => ({ name, size, quick, about });

export const kernels: readonly Kernel[] = [
  kernel('fib', 40, 36, 'calls and returns'),
  kernel('nbody', 1_000_000, 200_000, 'double arithmetic, square root'),
  kernel('spectral-norm', 1400, 600, 'double division'),
  kernel('fannkuch', 10, 9, 'small arrays, unpredictable loops'),
  kernel('mandelbrot', 700, 300, 'a tight loop of doubles'),
  kernel('binary-trees', 16, 14, 'malloc and free, pointers'),
  kernel('sha256', 32_768, 6_000, '32-bit rotations and additions'),
  kernel('matmul-double', 560, 320, 'doubles in arrays'),
  kernel('matmul-float', 896, 512, '128-bit SIMD'),
  kernel('qsort', 300_000, 60_000, "libc's qsort with callbacks"),
  kernel('hash-table', 300_000, 60_000, 'hashing, scattered memory'),
  kernel('strings', 1200, 250, "libc's string functions"),
  kernel('vm', 90_000, 18_000, 'a bytecode loop with one big switch'),
  kernel('virtual-call', 3000, 600, 'C++ virtual methods'),
];

/** Repetitions of a kernel in one run: enough for an engine that compiles while it runs to settle. */
export function repetitions(engine: EngineId, quick: boolean): number {
  switch (engine) {
    case 'native':
    case 'jit-cold':
    case 'jit-warm':
      return quick ? 8 : 12;
    case 'qemu':
      return quick ? 2 : 3;
    case 'interpreter':
      return 1;
  }
}

export const kernelCommand = (k: Kernel, engine: EngineId, quick: boolean, folder = guestFolder): string[] => [
  join(folder, k.name),
  String(quick ? k.quick : k.size),
  '--repeat',
  String(repetitions(engine, quick)),
];

/** Sizes of a real program: about two seconds of native time, and a tenth of that, which is what the interpreter gets. */
export type Amount = 'full' | 'small';

export interface RealProgram {
  name: string;
  about: string;
  /** Where the executable may be. */
  paths: readonly string[];
  /** Argument or input size of a full run. */
  size: number;
  /** Words after the executable; `input` makes a file of the scratch folder and returns its path. */
  args(size: number, input: InputMaker): string[];
}

export interface InputMaker {
  /** Text of made-up words, `bytes` long. */
  text(bytes: number): string;
  /** A script of bench/scripts with a word of it replaced. */
  script(name: string, from: string, to: string): string;
}

export const realPrograms: readonly RealProgram[] = [
  {
    name: 'gzip',
    about: 'gzip -6 of text',
    paths: ['/usr/bin/gzip', '/bin/gzip'],
    size: 80_000_000,
    args: (size, input) => ['-6', '-n', '-c', input.text(size)],
  },
  {
    name: 'xz',
    about: 'xz -6 of text, one thread',
    paths: ['/usr/bin/xz', '/bin/xz'],
    size: 3_900_000,
    args: (size, input) => ['-6', '-T1', '-c', input.text(size)],
  },
  {
    name: 'sqlite3',
    about: 'inserts, joins, aggregates in memory',
    paths: ['/usr/bin/sqlite3'],
    size: 600_000,
    args: (size, input) => [':memory:', `.read ${input.script('mix.sql', 'ROWS', String(size))}`],
  },
  {
    name: 'python3',
    about: 'objects, dicts, strings, JSON, re',
    paths: ['/usr/bin/python3'],
    size: 88,
    args: (size) => ['-S', join(scriptFolder, 'mix.py'), String(size)],
  },
  {
    name: 'lua',
    about: 'tables, closures, strings, coroutines',
    paths: ['/usr/bin/lua5.4', '/usr/bin/lua'],
    size: 140,
    args: (size) => [join(scriptFolder, 'mix.lua'), String(size)],
  },
  {
    name: 'perl',
    about: 'regular expressions, hashes, sort',
    paths: ['/usr/bin/perl'],
    size: 100,
    args: (size) => [join(scriptFolder, 'mix.pl'), String(size)],
  },
];

export interface KernelPrice {
  readonly name: string;
  /** Guest program, what its --kind has to be, and how many of these there are in a repetition. */
  readonly program: 'system-calls' | 'tasks';
  readonly kind: number;
  readonly count: number;
  readonly quick: number;
}
const calls = { program: 'system-calls', count: 200_000, quick: 200_000 } as const;
/** What is asked of the kernel: single calls, and hand-overs between threads and processes. */
export const systemCalls: readonly KernelPrice[] = [
  { name: 'getppid', kind: 0, ...calls },
  { name: 'clock_gettime', kind: 1, ...calls },
  { name: 'read a byte', kind: 2, ...calls },
  { name: 'write a byte', kind: 3, ...calls },
  { name: 'pipe ping-pong', program: 'tasks', kind: 0, count: 20_000, quick: 5000 },
  { name: 'mutex hand-off', program: 'tasks', kind: 1, count: 20_000, quick: 5000 },
  { name: 'fork, exec, wait', program: 'tasks', kind: 2, count: 200, quick: 50 },
];
/** How many there are in a repetition, by the name of the task. */
export const priceCount = (name: string, quick: boolean): number => {
  const price = systemCalls.find((p) => p.name === name);
  return price ? (quick ? price.quick : price.count) : 1;
};
