/**
 * `node conformance/selftests.ts [NAME...]`: builds Linux's own selftests (Debian's linux-source-6.1, or the tarball that
 * UKTX_LINUX_SOURCE names), runs each natively and under uktx, and prints where exit status or TAP results differ. Those
 * that fail natively are not counted. Exit status 0 when nothing differs but what is known.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { toolArguments } from '../tools/arguments.ts';
import { cacheFolder } from './suite.ts';

const usage = `usage: node conformance/selftests.ts [options] [NAME...]
  NAME               a folder of selftests or a program; default all
  --flags=STRING     flags of uktx run, e.g. --flags='--jit off'
  --verbose          a line for what passes, too`;

/** Programs by folder of tools/testing/selftests, with the arguments of each run. Those that set the host's clock, or take minutes, are left out. */
const requeuePi = [
  '',
  '-b',
  '-b -l',
  '-b -o',
  '-l',
  '-o',
  '-b -l -t 5000',
  '-l -t 5000',
  '-b -l -t 500000',
  '-o -t 5000',
];
const SUITE: Record<string, Record<string, string[]>> = {
  'futex/functional': {
    futex_requeue_pi: requeuePi,
    futex_requeue_pi_mismatched_ops: [''],
    futex_requeue_pi_signal_restart: [''],
    futex_wait_timeout: [''],
    futex_wait_wouldblock: [''],
    futex_wait_uninitialized_heap: [''],
    futex_wait_private_mapped_file: [''],
    futex_wait: [''],
    futex_requeue: [''],
    futex_waitv: [''],
  },
  timers: {
    posix_timers: [''],
    nanosleep: [''],
    'inconsistency-check': ['-t 2'],
    threadtest: ['-n 8 -t 4'],
    'mqueue-lat': [''],
  },
  sigaltstack: { sas: [''] },
  vDSO: {
    vdso_test_gettimeofday: [''],
    vdso_test_getcpu: [''],
    vdso_test_abi: [''],
    vdso_test_clock_getres: [''],
    vdso_standalone_test_x86: [''],
    vdso_test_correctness: [''],
  },
  pidfd: {
    pidfd_test: [''],
    pidfd_fdinfo_test: [''],
    pidfd_open_test: [''],
    pidfd_poll_test: ['100'],
    pidfd_wait: [''],
    pidfd_getfd_test: [''],
    pidfd_setns_test: [''],
  },
  clone3: { clone3: [''], clone3_clear_sighand: [''], clone3_set_tid: [''], clone3_cap_checkpoint_restore: [''] },
  core: { close_range_test: [''] },
  kcmp: { kcmp_test: [''] },
  openat2: { openat2_test: [''], resolve_test: [''], rename_attack_test: [''] },
  membarrier: { membarrier_test_single_thread: [''], membarrier_test_multi_thread: [''] },
  tmpfs: { 'bug-link-o-tmpfile': [''] },
  exec: { 'null-argv': [''], 'non-regular': [''], 'recursion-depth': [''] },
  mqueue: { mq_open_tests: ['/test1'] },
  splice: { default_file_splice_read: [''], splice_read: [''] },
};

/** What cannot pass here, and why. */
const KNOWN: Record<string, string> = {};

/** What a program needs besides its own file and the usual libraries. */
const EXTRA: Record<string, string[]> = {
  vdso_test_gettimeofday: ['parse_vdso.c'],
  vdso_test_getcpu: ['parse_vdso.c'],
  vdso_test_abi: ['parse_vdso.c'],
  vdso_standalone_test_x86: ['parse_vdso.c', '-nostdlib', '-fno-asynchronous-unwind-tables', '-fno-stack-protector'],
  openat2_test: ['helpers.c'],
  resolve_test: ['helpers.c'],
  rename_attack_test: ['helpers.c'],
};
const LIBRARIES = ['-pthread', '-lrt', '-lcap', '-ldl', '-lm', '-lpopt'];
const NATIVE_SECONDS = 90;
const GUEST_SECONDS = 180;

const TREE = 'tools/testing/selftests';

function unpack(): string {
  const tarball = process.env.UKTX_LINUX_SOURCE ?? '/usr/src/linux-source-6.1.tar.xz';
  if (!existsSync(tarball))
    throw new Error(`no ${tarball}: install Debian's linux-source-6.1, or set UKTX_LINUX_SOURCE`);
  const name = basename(tarball).replace(/\.tar\..*$/, '');
  const folder = join(cacheFolder(), `${name}-selftests`);
  if (existsSync(folder)) return join(folder, TREE);
  const temporary = `${folder}.${process.pid}`;
  mkdirSync(temporary, { recursive: true });
  const wanted = [`*/${TREE}/*`, '*/tools/include/*'];
  execFileSync('tar', ['-xf', tarball, '-C', temporary, '--strip-components=1', '--wildcards', ...wanted]);
  renameSync(temporary, folder);
  return join(folder, TREE);
}

interface Run {
  status: number | null;
  signal: string | null;
  /** `ok` and `not ok` lines, without what differs from run to run. */
  results: string[];
  text: string;
}

/** A line of results without numbers that differ from run to run, and without why something was skipped. */
const comparable = (line: string): string => line.replace(/(# SKIP [^:]*):.*/, '$1').replace(/\d{3,}/g, 'N');

function run(words: readonly string[], seconds: number): Run {
  const folder = mkdtempSync(join(tmpdir(), 'selftest-'));
  const child = spawnSync(words[0]!, words.slice(1), { cwd: folder, timeout: seconds * 1000, encoding: 'latin1' });
  rmSync(folder, { recursive: true, force: true });
  const text = child.stdout + child.stderr;
  const results = text.split('\n').filter((line) => /^\s*(not )?ok\b/.test(line));
  return { status: child.status, signal: child.signal, results: results.map(comparable), text };
}

/** The program's path, or what the compiler says. */
function build(tree: string, folder: string, name: string): { program: string } | { trouble: string } {
  const source = join(tree, folder);
  const program = join(source, `${name}.built`);
  if (existsSync(program)) return { program };
  const include = ['-I../include', '-I..', '-I../..', '-I../../include', '-idirafter', '../../../include/uapi'];
  const extra = EXTRA[name] ?? [];
  const libraries = extra.includes('-nostdlib') ? [] : LIBRARIES;
  const words = ['-O2', '-w', '-std=gnu99', '-D_GNU_SOURCE=', '-Wl,-no-as-needed', ...include, `${name}.c`, ...extra];
  const made = spawnSync('gcc', [...words, '-o', program, ...libraries], { cwd: source, encoding: 'utf8' });
  return made.status === 0 ? { program } : { trouble: made.stderr.split('\n').slice(0, 3).join(' | ') };
}

function main(): number {
  const { values, positionals } = toolArguments(usage, {
    options: {
      verbose: { type: 'boolean', default: false },
      flags: { type: 'string', default: '' },
      help: { type: 'boolean', default: false },
    },
    allowPositionals: true,
  });
  if (values.help) {
    console.log(usage);
    return 0;
  }
  const names = Object.entries(SUITE).flatMap(([folder, programs]) => [folder, ...Object.keys(programs)]);
  const unknown = positionals.filter((name) => !names.includes(name));
  if (unknown.length > 0) {
    process.stderr.write(`no such test: ${unknown.join(', ')}; there are\n  ${names.join('\n  ')}\n`);
    return 2;
  }
  const tree = unpack();
  const uktx = join(import.meta.dirname, '../bin/uktx');
  let passed = 0;
  let differing = 0;
  let expected = 0;
  const notCounted: string[] = [];
  for (const [folder, programs] of Object.entries(SUITE))
    for (const [name, runs] of Object.entries(programs)) {
      if (positionals.length > 0 && !positionals.includes(name) && !positionals.includes(folder)) continue;
      const built = build(tree, folder, name);
      if ('trouble' in built) {
        notCounted.push(`${folder}/${name}: does not build: ${built.trouble}`);
        continue;
      }
      for (const line of runs) {
        const words = [built.program, ...line.split(' ').filter(Boolean)];
        const label = [`${folder}/${name}`, line].join(' ').trim();
        const native = run(words, NATIVE_SECONDS);
        if (native.status !== 0) {
          notCounted.push(`${label}: natively ${native.signal ?? `status ${native.status}`}`);
          continue;
        }
        const guest = run([uktx, 'run', ...values.flags.split(' ').filter(Boolean), ...words], GUEST_SECONDS);
        const lost = native.results.filter((l) => !/^\s*not/.test(l) && !guest.results.includes(l));
        if (guest.status === 0 && lost.length === 0) {
          passed++;
          if (values.verbose) console.log(`${label}: passes`);
          continue;
        }
        const known = KNOWN[`${folder}/${name}`];
        if (known) {
          console.log(`${label}: known: ${known}`);
          expected++;
          continue;
        }
        differing++;
        console.log(`${label}: ${guest.signal ?? `status ${guest.status}`}; lost: ${lost.join(', ').slice(0, 300)}`);
        console.log(`  ${guest.text.trim().split('\n').slice(-12).join('\n  ')}`);
      }
    }
  for (const line of notCounted) console.log(`not counted: ${line.slice(0, 250)}`);
  console.log(`${passed} of ${passed + differing + expected} that pass natively; ${expected} are known`);
  return differing > 0 ? 1 : 0;
}

process.exitCode = main();
