/**
 * Long tests of the code cache: `node test/cache/soak.ts [--kills 200] [--corrupt 1000] [--seed N]`. Programs that start together
 * on an empty cache and are killed at random moments, and caches with damaged files: results must be right every time.
 * The short form is in runs.test.ts.
 */
import { spawn, spawnSync } from 'node:child_process';
import {
  appendFileSync,
  chmodSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { packageRoot } from '../../src/runtime/package-root.ts';

const { values } = parseArgs({
  options: {
    kills: { type: 'string', default: '200' },
    corrupt: { type: 'string', default: '1000' },
    seed: { type: 'string', default: String(process.pid) },
  },
});
const uktx = join(packageRoot(), 'bin/uktx');
const TOGETHER = 8;
/** Files damaged before one run. */
const AT_ONCE = 4;

/** Numbers in [0, 1) from a seed (mulberry32), so that a failure can be had again. */
function random(seed: number): () => number {
  let a = seed >>> 0;
  return () => {
    a = (a + 0x6d2b79f5) >>> 0;
    let t = Math.imul(a ^ (a >>> 15), a | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}
const next = random(Number(values.seed));
const below = (n: number): number => Math.floor(next() * n);

const scratch = mkdtempSync(join(tmpdir(), 'uktx-soak-'));
const input = join(scratch, 'input');
writeFileSync(input, Array.from({ length: 8000 }, () => `${below(1e9)} some text\n`).join(''));
const commands = [
  ['/usr/bin/sha256sum', input],
  ['/usr/bin/sort', '-n', input],
  ['/usr/bin/gzip', '-c', '-n', input],
].map((argv) => ({ argv, wanted: spawnSync(argv[0]!, argv.slice(1), { maxBuffer: 2 ** 26 }).stdout }));

const { UKTX_CACHE: _, UKTX_CACHE_DIR: __, ...env } = process.env;
const flags = (folder: string): string[] => ['run', `--cache-dir=${folder}`, '--jit-threshold=300'];
let failures = 0;
function fail(what: string): void {
  failures++;
  console.log(`FAILED: ${what} (seed ${values.seed})`);
}

interface Outcome {
  killed: boolean;
  status: number | null;
  stdout: Buffer;
  stderr: string;
}
/** Runs a command; `killAfter`: milliseconds until it gets SIGKILL. */
function run(folder: string, argv: readonly string[], killAfter?: number): Promise<Outcome> {
  return new Promise((resolve) => {
    const child = spawn(uktx, [...flags(folder), ...argv], { env, stdio: ['ignore', 'pipe', 'pipe'] });
    const out: Buffer[] = [];
    let stderr = '';
    child.stdout.on('data', (d) => out.push(d));
    child.stderr.on('data', (d) => {
      stderr += d;
    });
    const timer = killAfter === undefined ? undefined : setTimeout(() => child.kill('SIGKILL'), killAfter);
    child.on('close', (status, signal) => {
      clearTimeout(timer);
      resolve({ killed: signal === 'SIGKILL', status, stdout: Buffer.concat(out), stderr });
    });
  });
}
/** At most one line, about the cache. */
const quiet = (stderr: string): boolean => /^(uktx: (code cache: |the code cache ).*\n)?$/.test(stderr);

function check(what: string, wanted: Buffer, r: Outcome): void {
  if (r.status !== 0 || !r.stdout.equals(wanted)) fail(`${what}: status ${r.status}, ${r.stdout.length} bytes`);
  if (!quiet(r.stderr)) fail(`${what} says ${JSON.stringify(r.stderr)}`);
}
function verify(folder: string): void {
  const r = spawnSync(uktx, ['cache', 'verify', `--cache-dir=${folder}`], { encoding: 'utf8', env });
  if (r.status !== 0) fail(`cache verify: ${r.stdout}${r.stderr}`);
  else console.log(`  verify: ${r.stdout.trim()}`);
}

async function kills(wanted: number): Promise<void> {
  const folder = join(scratch, 'kills');
  let killed = 0;
  let finished = 0;
  // How long an undisturbed run among as many others takes: kills fall into all of it.
  let span = 3000;
  for (let round = 0; killed < wanted; round++) {
    // Every other round begins with an empty cache.
    if (round % 2 === 0) rmSync(folder, { recursive: true, force: true });
    const { argv, wanted: output } = commands[round % commands.length]!;
    const start = performance.now();
    const results = await Promise.all(
      Array.from({ length: TOGETHER }, (_, k) => run(folder, argv, k === 0 ? undefined : next() * span)),
    );
    span = performance.now() - start;
    for (const r of results)
      if (r.killed) killed++;
      else {
        finished++;
        check(`round ${round}`, output, r);
      }
    const later = await run(folder, argv);
    check(`the run after round ${round}`, output, later);
    if (later.stderr !== '') fail(`the run after round ${round} says ${later.stderr}`);
    verify(folder);
    console.log(`kills: ${killed} of ${wanted}; ${finished} others right so far, ${failures} failures`);
  }
}

const filesIn = (folder: string): string[] =>
  readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .map((f) => join(folder, f))
    .filter((f) => statSync(f).isFile())
    .sort();

const damages: ((file: string, others: readonly string[]) => void)[] = [
  function flipABit(file) {
    const bytes = readFileSync(file);
    if (bytes.length > 0) bytes[below(bytes.length)]! ^= 1 << below(8);
    writeFileSync(file, bytes);
  },
  function flipMany(file) {
    const bytes = readFileSync(file);
    for (let k = 0; k < bytes.length / 50; k++) bytes[below(bytes.length)] = below(256);
    writeFileSync(file, bytes);
  },
  function zeroAPart(file) {
    const bytes = readFileSync(file);
    const at = below(bytes.length);
    writeFileSync(file, bytes.fill(0, at, Math.min(at + 4096, bytes.length)));
  },
  function cutOff(file) {
    truncateSync(file, below(statSync(file).size));
  },
  function lengthen(file) {
    appendFileSync(file, Buffer.alloc(1 + below(5000), below(256)));
  },
  function swap(file, others) {
    const other = others[below(others.length)]!;
    const [a, b] = [readFileSync(file), readFileSync(other)];
    writeFileSync(file, b);
    writeFileSync(other, a);
  },
  function garbage(file) {
    writeFileSync(
      file,
      Buffer.from({ length: below(3000) } as ArrayLike<number>).map(() => below(256)),
    );
  },
  function link(file, others) {
    rmSync(file);
    symlinkSync(others[below(others.length)]!, file);
  },
  function folder(file) {
    rmSync(file);
    mkdirSync(file);
  },
  function gone(file) {
    rmSync(file);
  },
  function forAll(file) {
    chmodSync(file, 0o666);
  },
];

async function corrupt(wanted: number): Promise<void> {
  const good = join(scratch, 'good');
  for (const { argv, wanted: output } of commands)
    for (let k = 0; k < 3; k++) check('filling', output, await run(good, argv));
  verify(good);
  for (let done = 0, round = 0; done < wanted; round++) {
    const folder = join(scratch, 'bad');
    rmSync(folder, { recursive: true, force: true });
    cpSync(good, folder, { recursive: true });
    const files = filesIn(folder);
    const names: string[] = [];
    for (let k = 0; k < AT_ONCE; k++) {
      const [file] = files.splice(below(files.length), 1);
      const damage = damages[below(damages.length)]!;
      damage(file!, files);
      names.push(`${damage.name} ${file!.slice(folder.length + 1)}`);
      done++;
    }
    const { argv, wanted: output } = commands[round % commands.length]!;
    // As it was before the run, to look into a failure.
    const before = join(scratch, `damaged-${round}`);
    cpSync(folder, before, { recursive: true, verbatimSymlinks: true });
    const failed = failures;
    check(`${argv[0]} with ${names.join(', ')}`, output, await run(folder, argv));
    if (failures === failed) rmSync(before, { recursive: true });
    // What the first run has mended, or left alone.
    if (round % 5 === 0) check(`again after ${names.join(', ')}`, output, await run(folder, argv));
    if (round % 25 === 0) console.log(`corrupt: ${done} of ${wanted}, ${failures} failures`);
  }
  console.log(`corrupt: ${wanted} done`);
}

try {
  await kills(Number(values.kills));
  await corrupt(Number(values.corrupt));
  console.log(failures === 0 ? 'all right' : `${failures} failures`);
} finally {
  if (failures === 0) rmSync(scratch, { recursive: true, force: true });
  else console.log(`left: ${scratch}`);
}
process.exitCode = failures === 0 ? 0 : 1;
