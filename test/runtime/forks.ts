/**
 * `node test/runtime/forks.ts [--rounds N] [--node FILE] [--exec no]`: one guest process forks, executes and waits for child after
 * child (`bench/guests/tasks`). Prints the host process's memory on the way, and the pauses the guest has seen. Exits with 1
 * when memory grows after the first fifth by more than `--growth` percent. Pauses are those of the machine, too: for
 * figures it must be idle.
 */
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { toolArguments } from '../../tools/arguments.ts';

const root = join(import.meta.dirname, '../..');
const { values: flags } = toolArguments(
  'usage: node test/runtime/forks.ts [--rounds N] [--exec no] [--node FILE] [--growth PERCENT]',
  {
    options: {
      rounds: { type: 'string', default: '5000' },
      exec: { type: 'string', default: 'yes' },
      node: { type: 'string', default: join(root, 'node_modules/node/bin/node') },
      growth: { type: 'string', default: '10' },
    },
  },
);

/** As bin/uktx has them where processors are few. */
const NODE_FLAGS = ['--v8-pool-size=0', '--min-semi-space-size=32', '--max-semi-space-size=32'];
const INTERVAL_MS = 100;

interface Sample {
  at: number;
  residentMb: number;
  virtualMb: number;
}
const samples: Sample[] = [];
const guest = ['bench/guests/tasks', flags.rounds, '--kind', flags.exec === 'no' ? '3' : '2', '--pauses', '1'];
const child = spawn(flags.node, [...NODE_FLAGS, 'bin/start.cjs', 'run', ...guest], {
  cwd: root,
  stdio: ['ignore', 'ignore', 'pipe'],
});
let stderr = '';
child.stderr.on('data', (text) => {
  stderr += text;
});
const started = performance.now();
const timer = setInterval(() => {
  let status: string;
  try {
    status = readFileSync(`/proc/${child.pid}/status`, 'utf8');
  } catch {
    return;
  }
  const mb = (name: string): number =>
    Math.round(Number(new RegExp(`${name}:\\s+(\\d+)`).exec(status)?.[1] ?? 0) / 1024);
  if (mb('VmRSS') > 0) {
    samples.push({ at: performance.now() - started, residentMb: mb('VmRSS'), virtualMb: mb('VmSize') });
  }
}, INTERVAL_MS);
const status = await new Promise<number>((resolve) => child.on('exit', (code) => resolve(code ?? 255)));
clearInterval(timer);

const early = samples[Math.floor(samples.length / 5)];
const last = samples.at(-1);
if (status !== 0 || !early || !last) {
  process.stderr.write(`${stderr}the guest ended with ${status}\n`);
  process.exit(2);
}
for (let i = 0; i <= 10; i++) {
  const { at, residentMb, virtualMb } = samples[Math.min(samples.length - 1, Math.floor((samples.length * i) / 10))]!;
  console.log(`${(at / 1000).toFixed(1)} s: resident ${residentMb} MiB, virtual ${virtualMb} MiB`);
}
console.log(stderr.trim());
const grown = Math.max(last.residentMb / early.residentMb, last.virtualMb / early.virtualMb) * 100 - 100;
console.log(`grown by ${grown.toFixed(0)} % since the first fifth`);
process.exit(grown > Number(flags.growth) ? 1 : 0);
