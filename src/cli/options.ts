/**
 * Every option of `uktx run`, once: the flag parser, the environment variables, oclif's help and the documentation come
 * from this table. Precedence: flag, then environment variable.
 */

import { errno } from '../kernel/abi/errno.ts';
import { syscallNames } from '../kernel/syscalls/names.ts';

export interface OptionSpec {
  name: string;
  char?: string;
  /** boolean flags take no value; `multiple` ones may be repeated. */
  type: 'boolean' | 'string';
  /** A string flag whose value may be left out: `--strace`, or `--strace=open,read`. */
  optional?: boolean;
  multiple?: boolean;
  /** Placeholder of the value in help. */
  value?: string;
  env?: string;
  /** Allowed values. */
  choices?: readonly string[];
  description: string;
  /** For developers: listed apart in help. */
  debug?: boolean;
}

export const runOptions = [
  {
    name: 'env',
    char: 'e',
    type: 'string',
    multiple: true,
    value: 'K=V',
    description: "set a variable in the guest's environment (K alone: remove it)",
  },
  {
    name: 'workdir',
    char: 'w',
    type: 'string',
    value: 'DIR',
    description: 'working folder of the guest (a guest path)',
  },
  { name: 'argv0', type: 'string', value: 'NAME', description: 'argv[0] of the guest' },
  {
    name: 'rootfs',
    type: 'string',
    value: 'DIR|TAR|CPIO',
    env: 'UKTX_ROOTFS',
    description: "the guest's root: a folder, a tar or a cpio archive (default: the host's root, read-only)",
  },
  {
    name: 'volume',
    char: 'v',
    type: 'string',
    multiple: true,
    value: 'SRC:DST[:ro]',
    description: 'mount a host folder or file in the guest',
  },
  { name: 'rw', type: 'boolean', description: 'mount the working folder read-write' },
  {
    name: 'publish',
    char: 'p',
    type: 'string',
    multiple: true,
    value: '[ADDR:]HOST:GUEST[/udp]',
    description: "lead a port of the host to the guest's port",
  },
  {
    name: 'network',
    type: 'string',
    value: 'MODE',
    choices: ['host', 'none'],
    env: 'UKTX_NETWORK',
    description: 'host: the guest reaches what the host reaches; none: its own loopback only (default: host)',
  },
  {
    name: 'memory',
    type: 'string',
    value: 'SIZE',
    env: 'UKTX_MEMORY',
    description: 'memory the guest may use, e.g. 512M (default: 2G)',
  },
  { name: 'stack-size', type: 'string', value: 'SIZE', description: "size of the guest's main stack (default: 8M)" },
  {
    name: 'strace',
    type: 'string',
    optional: true,
    value: 'CALLS',
    description:
      'trace system calls and signals to stderr: all, or those listed (open,read,%file,%desc,%network,%process,%signal,%ipc,%memory; !LIST for the others)',
  },
  {
    name: 'strace-times',
    type: 'boolean',
    description: 'with --strace: the time of day, and the time spent in each call',
  },
  {
    name: 'stub',
    type: 'string',
    multiple: true,
    value: 'CALL',
    description: 'answer ENOSYS to a system call, to see whether the program does without it',
  },
  {
    name: 'fake',
    type: 'string',
    multiple: true,
    value: 'CALL=VALUE',
    description: 'answer a number, or an error such as EPERM, to a system call without doing it',
  },
  {
    name: 'profile',
    type: 'string',
    value: 'FILE',
    description: "write a profile of the guest's functions, as a .cpuprofile",
  },
  {
    name: 'perf-map',
    type: 'boolean',
    env: 'UKTX_PERF_MAP',
    description: "let perf(1) know the guest's functions by name (/tmp/perf-PID.map)",
  },
  { name: 'stats', type: 'boolean', description: 'print counters to stderr at exit' },
  { name: 'stats-file', type: 'string', value: 'FILE', description: 'write the counters to a file as JSON' },
  {
    name: 'cpu',
    type: 'string',
    value: 'MODEL',
    choices: ['x86-64-v2'],
    description: 'CPU the guest sees (default: x86-64-v2)',
  },
  {
    name: 'jit',
    type: 'string',
    value: 'MODE',
    choices: ['on', 'off', 'verify'],
    env: 'UKTX_JIT',
    description:
      'translate hot code to WebAssembly (on), interpret everything (off), or run both ways and compare (verify) (default: on)',
  },
  {
    name: 'jit-threshold',
    type: 'string',
    value: 'N',
    env: 'UKTX_JIT_THRESHOLD',
    description: 'how often a piece of code runs before it is translated',
  },
  {
    name: 'jit-workers',
    type: 'string',
    value: 'N',
    env: 'UKTX_JIT_WORKERS',
    description: 'threads that translate (default: 1, or 2 on 4 CPUs and more)',
  },
  {
    name: 'jit-sync',
    type: 'boolean',
    env: 'UKTX_JIT_SYNC',
    debug: true,
    description: 'wait for each translation, so that every run translates the same',
  },
  {
    name: 'cache',
    type: 'string',
    value: 'MODE',
    choices: ['rw', 'ro', 'off'],
    env: 'UKTX_CACHE',
    description: 'use and keep translations of earlier runs (rw), only use them (ro), or neither (default: rw)',
  },
  {
    name: 'cache-dir',
    type: 'string',
    value: 'DIR',
    env: 'UKTX_CACHE_DIR',
    description: "where translations are kept (default: cache/ in a checkout, else the user's cache folder)",
  },
  {
    name: 'memory-checks',
    type: 'string',
    value: 'MODE',
    choices: ['none', 'null', 'range', 'full'],
    env: 'UKTX_MEMORY_CHECKS',
    description: 'what translated code checks on memory accesses: none, null, range or full (default: null)',
  },
  {
    name: 'dump',
    type: 'string',
    value: 'asm,ir,wat',
    debug: true,
    description: 'print blocks (asm, ir) and modules of hot code (wat) as they are translated',
  },
  {
    name: 'range',
    type: 'string',
    value: 'FROM-TO',
    debug: true,
    description: 'guest addresses that --dump covers, in hexadecimal',
  },
  {
    name: 'disable-pass',
    type: 'string',
    multiple: true,
    value: 'NAME',
    choices: ['dead-code'],
    debug: true,
    description: 'leave out an optimisation pass',
  },
  {
    name: 'inject-fault',
    type: 'string',
    value: 'NAME',
    env: 'UKTX_INJECT_FAULT',
    choices: ['flags', 'registers', 'liveness', 'stores'],
    debug: true,
    description: 'translate hot code wrongly, which --jit=verify finds',
  },
  {
    name: 'verify-ir',
    type: 'boolean',
    env: 'UKTX_VERIFY_IR',
    debug: true,
    description: 'check the form of every translated block',
  },
  {
    name: 'debug',
    type: 'boolean',
    env: 'UKTX_DEBUG',
    debug: true,
    description: 'show stack traces of internal errors',
  },
] as const satisfies readonly OptionSpec[];

export interface RunOptions {
  program: string;
  args: string[];
  env: string[];
  workdir?: string;
  argv0?: string;
  rootfs?: string;
  volume: string[];
  publish: string[];
  network: 'host' | 'none';
  rw: boolean;
  /** Bytes. */
  memory?: number;
  /** Bytes. */
  stackSize?: number;
  strace: boolean;
  /** What `--strace` lists; empty for everything. */
  straceCalls: string;
  straceTimes: boolean;
  /** Calls not to be made, with their results. */
  answers: ReadonlyMap<string, number>;
  stats: boolean;
  statsFile?: string;
  /** File for the profile. */
  profile?: string;
  perfMap: boolean;
  cpu?: string;
  jit: boolean;
  jitVerify: boolean;
  injectFault?: string;
  jitSync: boolean;
  cache: 'rw' | 'ro' | 'off';
  cacheDir?: string;
  jitThreshold?: number;
  jitWorkers?: number;
  memoryChecks?: 'none' | 'null' | 'range' | 'full';
  dump?: readonly ('asm' | 'ir' | 'wat')[];
  range?: readonly [number, number];
  disabledPasses: string[];
  verifyIr: boolean;
  debug: boolean;
}

/** A mistake of the user's: one line, exit status 2. */
export class UsageError extends Error {}

/**
 * Puts `--` before the first positional argument of `run`, so that everything from PROGRAM on belongs to the guest.
 * `args` are the words after `run`. A `--` the user wrote stays the only one.
 */
export function separateGuestArguments(args: readonly string[], options: readonly OptionSpec[] = runOptions): string[] {
  const takesValue = (word: string): boolean => {
    if (word.startsWith('--'))
      return !word.includes('=') && options.some((o) => o.type === 'string' && !o.optional && `--${o.name}` === word);
    // A short option takes the next word only when it is the whole word: `-e K=V`, but `-eK=V`.
    return word.length === 2 && options.some((o) => o.type === 'string' && 'char' in o && o.char === word[1]);
  };
  for (let k = 0; k < args.length; k++) {
    const word = args[k]!;
    if (word === '--') return [...args];
    if (!word.startsWith('-') || word === '-') return [...args.slice(0, k), '--', ...args.slice(k)];
    if (takesValue(word)) k++;
  }
  return [...args];
}

/** Bytes from `64M`, `1G`, `4096`, `512K`; UsageError naming the flag otherwise. */
export function parseSize(flag: string, text: string): number {
  const m = /^(\d+(?:\.\d+)?)([KMG]?)(?:i?B)?$/i.exec(text);
  const unit = { '': 1, K: 1024, M: 1024 ** 2, G: 1024 ** 3 }[m?.[2]?.toUpperCase() ?? ''];
  const bytes = m ? Math.floor(Number(m[1]) * unit!) : Number.NaN;
  if (!(bytes > 0)) throw new UsageError(`--${flag} takes a size such as 64M or 1G, not '${text}'`);
  return bytes;
}

function parseRange(text: string): [number, number] {
  const m = /^(?:0x)?([0-9a-f]+)-(?:0x)?([0-9a-f]+)$/i.exec(text);
  if (!m) throw new UsageError(`--range takes FROM-TO in hexadecimal, not '${text}'`);
  return [Number.parseInt(m[1]!, 16), Number.parseInt(m[2]!, 16)];
}

function parseCount(flag: string, text: string): number {
  const n = Number(text);
  if (!/^\d+$/.test(text) || n < 1 || n > 1_000_000_000)
    throw new UsageError(`--${flag} takes a number from 1 on, not '${text}'`);
  return n;
}

/** From `--stub CALL` and `--fake CALL=VALUE`: results by name of call, negative for errors. */
function parseAnswers(stubs: readonly string[], fakes: readonly string[]): Map<string, number> {
  const answers = new Map<string, number>();
  const known = (flag: string, name: string): string => {
    if (!Object.values(syscallNames).some((byNumber) => [...byNumber.values()].includes(name)))
      throw new UsageError(`--${flag}: no system call is named '${name}'`);
    return name;
  };
  for (const name of stubs) answers.set(known('stub', name), -errno.ENOSYS);
  for (const text of fakes) {
    const [name = '', value] = text.split('=', 2);
    const code = (errno as Readonly<Record<string, number>>)[value?.replace(/^-/, '') ?? ''];
    const number = code === undefined ? Number(value || Number.NaN) : -code;
    if (!Number.isSafeInteger(number))
      throw new UsageError(`--fake takes CALL=VALUE, VALUE a number or an error's name, not '${text}'`);
    answers.set(known('fake', name), number);
  }
  return answers;
}

type RawValues = Record<string, string | boolean | (string | boolean)[] | undefined>;

/** Checked options from parsed flag values and the words from PROGRAM on. */
export function toRunOptions(values: RawValues, rest: readonly string[], environment: NodeJS.ProcessEnv): RunOptions {
  const [program, ...args] = rest;
  if (program === undefined) throw new UsageError('run needs a PROGRAM: uktx run [flags] PROGRAM [ARGS...]');
  const specs: readonly OptionSpec[] = runOptions;
  const raw = (name: string): unknown => {
    const spec = specs.find((o) => o.name === name)!;
    if (values[name] !== undefined) return values[name];
    const fromEnv = spec.env === undefined ? undefined : environment[spec.env];
    if (fromEnv === undefined || fromEnv === '') return undefined;
    return spec.type === 'boolean' ? fromEnv !== '0' : fromEnv;
  };
  const text = (name: string): string | undefined => raw(name) as string | undefined;
  const list = (name: string): string[] => (raw(name) as string[] | undefined) ?? [];
  const flag = (name: string): boolean => raw(name) === true;
  for (const spec of specs) {
    for (const v of spec.choices ? [text(spec.name) ?? []].flat() : [])
      if (!spec.choices!.includes(v))
        throw new UsageError(`--${spec.name} takes one of ${spec.choices!.join(', ')}, not '${v}'`);
  }
  const dump = text('dump')?.split(',');
  for (const what of dump ?? [])
    if (what !== 'asm' && what !== 'ir' && what !== 'wat')
      throw new UsageError(`--dump takes asm, ir, wat or some of them joined by commas, not '${what}'`);
  const optional = <K extends string, V>(key: K, v: V | undefined): { [P in K]?: V } =>
    (v === undefined ? {} : { [key]: v }) as { [P in K]?: V };
  const size = (name: string): number | undefined =>
    text(name) === undefined ? undefined : parseSize(name, text(name)!);
  const count = (name: string): number | undefined =>
    text(name) === undefined ? undefined : parseCount(name, text(name)!);
  return {
    program,
    args,
    env: list('env'),
    volume: list('volume'),
    publish: list('publish'),
    network: text('network') === 'none' ? 'none' : 'host',
    rw: flag('rw'),
    strace: text('strace') !== undefined,
    straceCalls: text('strace') ?? '',
    straceTimes: flag('strace-times'),
    answers: parseAnswers(list('stub'), list('fake')),
    stats: flag('stats'),
    perfMap: flag('perf-map'),
    jit: text('jit') !== 'off',
    jitVerify: text('jit') === 'verify',
    jitSync: flag('jit-sync') || text('jit') === 'verify',
    cache: (text('cache') as RunOptions['cache'] | undefined) ?? 'rw',
    disabledPasses: list('disable-pass'),
    verifyIr: flag('verify-ir'),
    debug: flag('debug'),
    ...optional('workdir', text('workdir')),
    ...optional('argv0', text('argv0')),
    ...optional('rootfs', text('rootfs')),
    ...optional('memory', size('memory')),
    ...optional('stackSize', size('stack-size')),
    ...optional('statsFile', text('stats-file')),
    ...optional('profile', text('profile')),
    ...optional('cpu', text('cpu')),
    ...optional('jitThreshold', count('jit-threshold')),
    ...optional('jitWorkers', count('jit-workers')),
    ...optional('cacheDir', text('cache-dir')),
    ...optional('memoryChecks', text('memory-checks') as RunOptions['memoryChecks'] | undefined),
    ...optional('injectFault', text('inject-fault')),
    ...optional('dump', dump as RunOptions['dump']),
    ...optional('range', text('range') === undefined ? undefined : parseRange(text('range')!)),
  };
}
