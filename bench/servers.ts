/**
 * `node bench/servers.ts`: requests a second of redis and nginx on the bare processor, under qemu-user and under uktx, in
 * turns. The client runs on the host and reaches the guest through a published port, or (`--inside`) it is a guest, too,
 * beside the server in one run. Each engine's first run of a lane does not count: translations are made in it.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { packageRoot } from '../src/runtime/package-root.ts';
import { nginxWords, redisWords } from '../test/support/server-configs.ts';
import { freePort, ServerProcess } from '../test/support/server-process.ts';
import { median } from './statistics.ts';

const { values: flags } = parseArgs({
  options: {
    runs: { type: 'string', default: '3' },
    requests: { type: 'string', default: '30000' },
    seconds: { type: 'string', default: '5' },
    engines: { type: 'string', default: 'native,qemu,uktx' },
    inside: { type: 'boolean', default: false },
    uktx: { type: 'string', default: join(packageRoot(), 'bin/uktx') },
  },
});
const engines = flags.engines.split(',');
const requests = Number(flags.requests);
const folder = mkdtempSync(join(tmpdir(), 'uktx-bench-servers-'));
process.on('exit', () => rmSync(folder, { recursive: true, force: true }));

interface Lane {
  readonly name: string;
  words(port: number): string[];
  client(port: number): string[];
  /** Requests a second, and how many there were, from the client's output. */
  rate(output: string): { rate: number; count: number };
}

const redis = (name: string, test: string): Lane => ({
  name: `redis ${name}`,
  words: redisWords,
  client: (port) => [...['redis-benchmark', '-p', String(port), '-n', String(requests), '-c', '50', '-t', test, '-q']],
  rate: (output) => ({ rate: Number(/([\d.]+) requests per second/.exec(output)?.[1]), count: requests }),
});
const lanes: Lane[] = [
  redis('PING', 'ping_mbulk'),
  redis('SET', 'set'),
  redis('GET', 'get'),
  {
    name: 'nginx',
    words: (port) => nginxWords(folder, port),
    client: (port) => ['wrk', '-t', '1', '-c', '64', '-d', flags.seconds, `http://127.0.0.1:${port}/`],
    rate: (output) => ({
      rate: Number(/Requests\/sec:\s*([\d.]+)/.exec(output)?.[1]),
      count: Number(/(\d+) requests in/.exec(output)?.[1]),
    }),
  },
];

const prefixes: Record<string, (port: number) => string[]> = {
  native: () => [],
  qemu: () => ['qemu-x86_64'],
  uktx: (port) => [flags.uktx, 'run', '-p', `127.0.0.1:${port}:${port}`],
};

interface Sample {
  rate: number;
  /** The server's processor time for a request, in microseconds; NaN where client and server are one process. */
  cpu: number;
}

/** Two runs of the client against a fresh server, of which the second counts. */
async function outside(lane: Lane, engine: string): Promise<Sample> {
  const port = await freePort();
  const server = new ServerProcess([...prefixes[engine]!(port), ...lane.words(port)], port);
  try {
    await server.ready();
    let sample: Sample = { rate: Number.NaN, cpu: Number.NaN };
    for (let i = 0; i < 2; i++) {
      const before = server.cpuMs();
      const [command, ...args] = lane.client(port);
      const { rate, count } = lane.rate(spawnSync(command!, args, { encoding: 'latin1' }).stdout);
      sample = { rate, cpu: ((server.cpuMs() - before) * 1000) / count };
    }
    return sample;
  } finally {
    await server.stop();
  }
}

/** Server and client in one shell; under qemu-user each program gets its own emulator. */
async function inside(lane: Lane, engine: string): Promise<Sample> {
  const port = await freePort();
  const emulator = engine === 'qemu' ? 'qemu-x86_64 ' : '';
  const server =
    emulator +
    lane
      .words(port)
      .map((w) => (w === '' ? "''" : w))
      .join(' ');
  const [program, ...args] = lane.client(port);
  const client = `${emulator}/usr/bin/${program} ${args.join(' ')}`;
  const up = `until (exec 3<>/dev/tcp/127.0.0.1/${port}) 2>/dev/null; do sleep 0.1; done`;
  const script = `${server} >/dev/null 2>&1 & server=$!; ${up}; ${client} >/dev/null; ${client}; kill $server; wait`;
  const shell = ['/bin/bash', '-c', script];
  const [command, ...words] = engine === 'uktx' ? [flags.uktx, 'run', ...shell] : shell;
  const { rate } = lane.rate(spawnSync(command!, words, { encoding: 'latin1' }).stdout);
  return { rate, cpu: Number.NaN };
}

const results = new Map<string, Sample[]>();
for (let run = 0; run < Number(flags.runs); run++) {
  for (const lane of lanes) {
    for (const engine of engines) {
      const key = `${lane.name}\t${engine}`;
      const sample = await (flags.inside ? inside : outside)(lane, engine);
      results.set(key, [...(results.get(key) ?? []), sample]);
    }
  }
}

const of = (lane: Lane, engine: string, what: keyof Sample): number =>
  median((results.get(`${lane.name}\t${engine}`) ?? []).map((s) => s[what]));
console.log(`| requests a second | ${engines.join(' | ')} | uktx / qemu | server CPU us, ${engines.join(' / ')} |`);
console.log(`|${' --- |'.repeat(engines.length + 3)}`);
for (const lane of lanes) {
  const rates = engines.map((e) => of(lane, e, 'rate').toFixed(0));
  const ratio = (of(lane, 'uktx', 'rate') / of(lane, 'qemu', 'rate')).toFixed(2);
  const cpu = engines.map((e) => of(lane, e, 'cpu').toFixed(1));
  console.log(`| ${lane.name} | ${rates.join(' | ')} | ${ratio} | ${cpu.join(' / ')} |`);
}
