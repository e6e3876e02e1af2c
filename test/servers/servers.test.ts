/** Servers of the distribution as guests: through published ports, and with their clients beside them in one run. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { Agent, get } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, describe, expect, it } from 'vitest';
import { RespClient } from '../support/resp.ts';
import { HAPROXY, haproxyWords, NGINX, nginxWords, REDIS, redisWords } from '../support/server-configs.ts';
import { dial, freePort, ServerProcess } from '../support/server-process.ts';
import { redisScript } from './redis-script.ts';

const uktx = join(import.meta.dirname, '../../bin/uktx');
const folder = mkdtempSync(join(tmpdir(), 'uktx-servers-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const running: ServerProcess[] = [];
afterEach(async () => {
  for (const server of running.splice(0)) await server.stop();
});
async function start(prefix: readonly string[], words: readonly string[], port: number): Promise<ServerProcess> {
  const server = new ServerProcess([...prefix, ...words], port);
  running.push(server);
  await server.ready();
  return server;
}
const guest = (words: readonly string[], port: number, guestPort: number): Promise<ServerProcess> =>
  start([uktx, 'run', '-p', `127.0.0.1:${port}:${guestPort}`], words, port);

/** The body of an answer. */
function fetchText(agent: Agent, port: number, path: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const request = get({ agent, port, host: '127.0.0.1', path }, (response) => {
      let body = '';
      response.setEncoding('latin1');
      response.on('data', (part: string) => {
        body += part;
      });
      response.on('end', () => resolve(`${response.statusCode} ${body}`));
      response.on('error', reject);
    });
    request.on('error', reject);
  });
}

describe.skipIf(!existsSync(REDIS))('redis-server', () => {
  it('answers as it does natively, saves in a child, and leaves when told', { timeout: 240_000 }, async () => {
    const [port, nativePort] = [await freePort(), await freePort()];
    const server = await guest(redisWords(6379), port, 6379);
    await start([], redisWords(nativePort), nativePort);
    const [here, there] = [new RespClient(await dial(port)), new RespClient(await dial(nativePort))];
    const script = redisScript(1, 600);
    const replies = await Promise.all(script.map((words) => here.call(...words)));
    const expected = await Promise.all(script.map((words) => there.call(...words)));
    const shown = (list: readonly string[]): string[] => list.map((reply, i) => `${script[i]!.join(' ')} -> ${reply}`);
    expect(shown(replies)).toEqual(shown(expected));

    expect(await here.call('BGSAVE')).toBe('+Background saving started\r\n');
    await expect
      .poll(() => here.call('INFO', 'persistence'), { timeout: 60_000, interval: 200 })
      .toMatch(/rdb_bgsave_in_progress:0\r\n[\s\S]*rdb_last_bgsave_status:ok\r\n[\s\S]*rdb_saves:1\r\n/);
    here.call('SHUTDOWN', 'NOSAVE').catch(() => undefined);
    expect(await server.ended).toBe(0);
  });
});

describe.skipIf(!existsSync(NGINX))('nginx', () => {
  it('serves many connections with two workers', { timeout: 240_000 }, async () => {
    const port = await freePort();
    const server = await guest(nginxWords(folder, 8080), port, 8080);
    const agent = new Agent({ keepAlive: true, maxSockets: 16 });
    const answers = await Promise.all(Array.from({ length: 400 }, () => fetchText(agent, port, '/')));
    expect(new Set(answers)).toEqual(new Set(['200 hello from nginx\n']));
    agent.destroy();
    const single = new Agent();
    await expect
      .poll(() => fetchText(single, port, '/status'), { timeout: 20_000 })
      .toMatch(/^200 Active connections: 1 \n/);
    expect(await server.stop()).toBe(0);
  });
});

describe.skipIf(![NGINX, HAPROXY, '/usr/bin/curl'].every((path) => existsSync(path)))('haproxy', () => {
  it('stands in front of nginx, with curl as the client, all in one run', { timeout: 240_000 }, () => {
    const nginx = nginxWords(folder, 8081).join(' ');
    const script = `
      ${nginx} & nginx=$!
      ${haproxyWords(folder, 8000, 8081).join(' ')} & haproxy=$!
      until curl -sf http://127.0.0.1:8000/ > /tmp/first; do sleep 0.2; done
      for i in 1 2 3 4 5; do curl -s http://127.0.0.1:8000/; done
      kill $haproxy $nginx; wait $haproxy $nginx 2> /dev/null`;
    const result = spawnSync(uktx, ['run', '/bin/bash', '--norc', '-c', script], {
      encoding: 'latin1',
      timeout: 200_000,
    });
    expect(result.stdout).toBe('hello from nginx\n'.repeat(5));
  });
});
