/**
 * `node test/servers/soak.ts [--seconds N] [--server redis|nginx] [--clients N] [--uktx FILE] [--seed N]`: a server in a
 * guest under load, with clients that are killed at random in the middle of what they do. Every reply must come and be
 * the right one; at the end no connection and no descriptor may be left, and memory must not have grown.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { toolArguments } from '../../tools/arguments.ts';
import { RespClient } from '../support/resp.ts';
import { nginxWords, redisWords } from '../support/server-configs.ts';
import { dial, freePort, ServerProcess } from '../support/server-process.ts';
import { generator } from './redis-script.ts';

const { values: flags } = toolArguments(
  'usage: node test/servers/soak.ts [--seconds N] [--server redis|nginx] [--clients N] [--uktx FILE] [--seed N]',
  {
    options: {
      seconds: { type: 'string', default: '300' },
      server: { type: 'string', default: 'redis' },
      clients: { type: 'string', default: '30' },
      uktx: { type: 'string', default: join(import.meta.dirname, '../../bin/uktx') },
      seed: { type: 'string', default: '1' },
    },
  },
);
const seconds = Number(flags.seconds);
const random = generator(Number(flags.seed));
const counts = { replies: 0, wrong: 0, lost: 0, killed: 0, connections: 0 };
/** A reply that takes longer is lost. */
const REPLY_MS = 120_000;

let over = false;
const within = <T>(reply: Promise<T>): Promise<T> =>
  Promise.race([
    reply,
    sleep(REPLY_MS, null, { ref: false }).then(() => {
      throw new Error(`no reply within ${REPLY_MS} ms`);
    }),
  ]);

/** What one client does between connecting and its end; `dead` tells that the end is of our own making. */
type Session = (port: number, id: number, dead: () => void) => Promise<void>;

const redisSession: Session = async (port, id, dead) => {
  const client = new RespClient(await dial(port));
  const key = `client:${id}`;
  for (let turns = 1 + Math.floor(random() * 400); turns > 0 && !over; turns--) {
    const value = `${counts.replies}:${'x'.repeat(Math.floor(random() ** 4 * 20_000))}`;
    const [set, got] = await within(Promise.all([client.call('SET', key, value), client.call('GET', key)]));
    counts.replies += 2;
    if (set !== '+OK\r\n' || got !== `$${value.length}\r\n${value}\r\n`) counts.wrong++;
  }
  // In the middle of a reply.
  for (let i = 0; i < 20; i++) client.call('GET', key).catch(() => undefined);
  dead();
  if (random() < 0.5) client.socket.resetAndDestroy();
  else client.socket.destroy();
};

const BODY = 'hello from nginx\n';
const nginxSession: Session = async (port, _id, dead) => {
  const socket = await dial(port);
  let data = '';
  let arrived = (): void => undefined;
  let failed: Error | null = null;
  socket.on('data', (chunk) => {
    data += chunk.toString('latin1');
    arrived();
  });
  socket.on('error', (e) => {
    failed = e;
    arrived();
  });
  socket.on('close', () => {
    failed ??= new Error('the connection was closed');
    arrived();
  });
  const request = 'GET / HTTP/1.1\r\nHost: soak\r\n\r\n';
  const answers = async (count: number): Promise<void> => {
    while (data.split(BODY).length - 1 < count) {
      if (failed) throw failed;
      await new Promise<void>((resolve) => {
        arrived = resolve;
      });
    }
  };
  for (let turns = 1 + Math.floor(random() * 400); turns > 0 && !over; turns--) {
    const count = 1 + Math.floor(random() * 4);
    data = '';
    socket.write(request.repeat(count));
    await within(answers(count));
    counts.replies += count;
    if (data.split('HTTP/1.1 200 OK').length - 1 !== count || !data.endsWith(BODY)) counts.wrong++;
  }
  socket.write(request.repeat(20) + request.slice(0, 10));
  dead();
  if (random() < 0.5) socket.resetAndDestroy();
  else socket.destroy();
};

async function client(session: Session, port: number, id: number): Promise<void> {
  while (!over) {
    let dead = false;
    counts.connections++;
    try {
      await session(port, id, () => {
        dead = true;
        counts.killed++;
      });
    } catch (e) {
      if (dead) continue;
      counts.lost++;
      process.stderr.write(`lost: ${(e as Error).message}\n`);
    }
  }
}

const MIB = 1 << 20;
const folder = mkdtempSync(join(tmpdir(), 'uktx-soak-'));
const redis = flags.server === 'redis';
const port = await freePort();
const words = redis ? redisWords(6379) : nginxWords(folder, 8080);
const publish = `127.0.0.1:${port}:${redis ? 6379 : 8080}`;
const server = new ServerProcess([flags.uktx, 'run', '-p', publish, ...words], port);
await server.ready();
await sleep(1000);
const socketsBefore = server.openSockets();
const started = Date.now();
const resident: number[] = [];
const sample = setInterval(() => {
  resident.push(server.resident() / MIB);
  if (resident.length % 6 === 1) {
    const at = Math.round((Date.now() - started) / 1000);
    console.log(
      `${at} s: ${JSON.stringify(counts)}, ${resident.at(-1)!.toFixed(0)} MiB, ${server.openSockets()} sockets`,
    );
  }
}, 5000);
const stop = setTimeout(() => {
  over = true;
}, seconds * 1000);
await Promise.all(
  Array.from({ length: Number(flags.clients) }, (_, id) => client(redis ? redisSession : nginxSession, port, id)),
);
clearInterval(sample);
clearTimeout(stop);

/** Connections the server itself still counts, our own not among them. */
async function connectionsLeft(): Promise<number> {
  const socket = await dial(port);
  if (redis) {
    const info = await new RespClient(socket).call('INFO', 'clients');
    socket.destroy();
    return Number(/connected_clients:(\d+)/.exec(info)?.[1]) - 1;
  }
  const status = new Promise<string>((resolve) => socket.on('data', (chunk) => resolve(chunk.toString('latin1'))));
  socket.write('GET /status HTTP/1.0\r\n\r\n');
  const active = Number(/Active connections: (\d+)/.exec(await status)?.[1]);
  socket.destroy();
  return active - 1;
}
let left = -1;
let sockets = -1;
for (let i = 0; i < 60 && (left !== 0 || sockets > socketsBefore); i++) {
  await sleep(500);
  // Before the connection that asks for the rest.
  sockets = server.openSockets();
  left = await connectionsLeft();
}
const status = await server.stop();
rmSync(folder, { recursive: true, force: true });

const mean = (list: readonly number[]): number => list.reduce((sum, x) => sum + x, 0) / list.length;
const quarter = Math.max(1, resident.length >> 2);
// In the first half code is still being translated.
const [third, last] = [mean(resident.slice(quarter * 2, quarter * 3)), mean(resident.slice(-quarter))];
console.log(JSON.stringify(counts));
console.log(`connections left ${left}; sockets ${socketsBefore} before, ${sockets} after; exit status ${status}`);
console.log(`resident: ${third.toFixed(0)} MiB in the third quarter, ${last.toFixed(0)} MiB in the last`);
const good =
  counts.wrong === 0 &&
  counts.lost === 0 &&
  left === 0 &&
  sockets <= socketsBefore &&
  status === 0 &&
  (seconds < 60 || last < third * 1.1 + 16);
console.log(good ? 'good' : 'NOT good');
process.exitCode = good ? 0 : 1;
