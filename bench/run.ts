/**
 * `npm run bench`: what a run costs, beside native, beside Node's own start-up and, when it is installed, beside qemu-user.
 * Commands of one group are interleaved; medians are reported. `--json FILE` also writes the figures.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { packageRoot } from '../src/runtime/package-root.ts';

const root = packageRoot();
const { values } = parseArgs({ options: { json: { type: 'string' }, runs: { type: 'string', default: '11' } } });
const runs = Number(values.runs);
const uktx = [join(root, 'bin/uktx'), 'run'];
const node = [process.execPath, '-e', '0'];
const qemu = spawnSync('qemu-x86_64', ['--version']).status === 0 ? ['qemu-x86_64'] : null;

/** Wall time of one run in milliseconds. */
function time(command: string[]): number {
  const start = performance.now();
  const r = spawnSync(command[0]!, command.slice(1), { stdio: ['ignore', 'ignore', 'inherit'] });
  if (r.status !== 0) throw new Error(`${command.join(' ')} ended with ${r.status ?? r.signal}`);
  return performance.now() - start;
}

const median = (xs: number[]): number => xs.sort((a, b) => a - b)[xs.length >> 1]!;

/** Medians of several commands, interleaved. */
function compare(commands: Record<string, string[] | null>): Record<string, number> {
  const times: Record<string, number[]> = {};
  for (let k = 0; k < runs; k++)
    for (const [name, c] of Object.entries(commands)) if (c) (times[name] ??= []).push(time(c));
  return Object.fromEntries(Object.entries(times).map(([name, xs]) => [name, median(xs)]));
}

const results: Record<string, Record<string, number>> = {};
const loop = join(root, 'bench/guests/integer-loop');
const LOOPS = 400_000_000;
const INSTRUCTIONS = LOOPS * 5;
const speed = compare({
  native: [loop, String(LOOPS)],
  qemu: qemu && [...qemu, loop, String(LOOPS)],
  uktx: [...uktx, loop, String(LOOPS)],
  'uktx, empty loop': [...uktx, loop, '1'],
});
const work = speed.uktx! - speed['uktx, empty loop']!;
results['integer loop, ms'] = speed;
results['integer loop, million guest instructions a second'] = {
  native: INSTRUCTIONS / speed.native! / 1e3,
  ...(speed.qemu && { qemu: INSTRUCTIONS / speed.qemu / 1e3 }),
  uktx: INSTRUCTIONS / work / 1e3,
};

const scratch = mkdtempSync(join(tmpdir(), 'uktx-bench-'));

/** Static hello worlds: musl's is small and lies here; glibc's is built where there is a compiler. */
function helloPrograms(): [string, string][] {
  const source = join(root, 'bench/guests/hello.c');
  const glibc = join(scratch, 'hello-glibc');
  const built = spawnSync('gcc', ['-O2', '-static', '-o', glibc, source]).status === 0;
  return [['musl', join(root, 'bench/guests/hello')], ...(built ? [['glibc', glibc] as [string, string]] : [])];
}
for (const [libc, hello] of helloPrograms()) {
  const start = compare({ native: [hello], 'node -e 0': node, qemu: qemu && [...qemu, hello], uktx: [...uktx, hello] });
  results[`static hello world (${libc}), ms`] = start;
  results[`static hello world (${libc}), times node -e 0`] = { uktx: start.uktx! / start['node -e 0']! };
}
const programs: Record<string, string[]> = {
  'ls -la /usr': ['/bin/ls', '-la', '/usr'],
  'python3 -c 0': ['/usr/bin/python3', '-c', '0'],
};
for (const [name, command] of Object.entries(programs)) {
  if (!existsSync(command[0]!)) continue;
  results[`${name}, ms`] = compare({
    native: command,
    qemu: qemu && [...qemu, ...command],
    uktx: [...uktx, ...command],
  });
}

for (const [name, row] of Object.entries(results)) {
  console.log(name);
  for (const [who, value] of Object.entries(row))
    console.log(`  ${who.padEnd(20)} ${value.toFixed(value < 10 ? 2 : 0).padStart(10)}`);
}
writeFileSync(
  values.json ?? join(scratch, 'bench.json'),
  `${JSON.stringify({ node: process.version, runs, results }, null, 2)}\n`,
);
