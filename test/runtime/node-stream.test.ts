/** Connections of the host on Node, against a client on the same host: by the handle's short way, and by Node's streams. */
import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { errno } from '../../src/kernel/abi/errno.ts';
import { NodeStream } from '../../src/runtime/node-stream.ts';

const open: { server?: Server; sockets: Socket[] } = { sockets: [] };
afterEach(() => {
  for (const socket of open.sockets.splice(0)) socket.destroy();
  open.server?.close();
});

interface Seen {
  stream: NodeStream;
  /** The same as `stream`'s, for what it did to it. */
  socket: Socket;
  client: Socket;
  got: Buffer[];
  written: number;
  ended: Promise<void>;
  failed: Promise<number>;
}

/** A connection as a published port gets it; `without`: the handle lacks this. */
async function join(without: string | null): Promise<Seen> {
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true });
  open.server = server;
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  const client = connect({ port: address.port, host: '127.0.0.1', allowHalfOpen: true });
  const [socket] = (await once(server, 'connection')) as [Socket];
  if (!client.readyState.startsWith('open')) await once(client, 'connect');
  open.sockets.push(client, socket);
  client.on('error', () => undefined);
  if (without !== null)
    Object.defineProperty((socket as unknown as { _handle: object })._handle, without, { value: undefined });
  const end = Promise.withResolvers<void>();
  const failed = Promise.withResolvers<number>();
  const seen = { socket, client, got: [] as Buffer[], written: 0, ended: end.promise, failed: failed.promise } as Seen;
  const events = {
    connected: () => undefined,
    data: (chunk: Uint8Array) => void seen.got.push(Buffer.from(chunk)),
    end: () => end.resolve(),
    written: () => void seen.written++,
    failed: failed.resolve,
  };
  seen.stream = new NodeStream(socket, events, new Set(), () => undefined);
  seen.stream.resume();
  return seen;
}

const until = async (ready: () => boolean): Promise<void> => {
  while (!ready()) await new Promise((resolve) => setTimeout(resolve, 2));
};
const total = (chunks: readonly Buffer[]): number => chunks.reduce((sum, c) => sum + c.length, 0);
const pattern = (length: number): Buffer =>
  Buffer.from(Uint8Array.from({ length }, (_, k) => (k * 31 + (k >> 8)) & 255));
/** Guest memory is shared. */
const shared = (data: Buffer): Uint8Array => {
  const memory = new Uint8Array(new SharedArrayBuffer(data.length));
  memory.set(data);
  return memory;
};

for (const without of [null, 'useUserBuffer'])
  describe(`a connection of the host${without ? ` without ${without}` : ''}`, () => {
    it('carries bytes both ways, and the end of either side', async () => {
      const seen = await join(without);
      const back: Buffer[] = [];
      seen.client.on('data', (chunk: Buffer) => back.push(chunk));
      const [there, here] = [pattern(200_000), pattern(3000).reverse()];
      seen.client.end(there);
      await seen.ended;
      expect(Buffer.concat(seen.got).equals(there)).toBe(true);
      const finished = once(seen.client, 'end');
      seen.stream.write(shared(here));
      seen.stream.end();
      await finished;
      expect(Buffer.concat(back).equals(here)).toBe(true);
      expect(seen.stream.sent).toBe(3000);
      await until(() => seen.stream.finished);
    });

    it('keeps the order of what the system does not take at once, and says when that has left', async () => {
      const seen = await join(without);
      seen.client.pause();
      const part = pattern(500_000);
      const memory = shared(part);
      let parts = 0;
      while (seen.stream.held === 0) {
        seen.stream.write(memory);
        parts++;
        expect(parts).toBeLessThan(1000);
      }
      // The guest uses its memory again at once.
      memory.fill(0);
      seen.stream.write(shared(Buffer.from('the last')));
      expect(seen.written).toBe(0);
      const back: Buffer[] = [];
      seen.client.on('data', (chunk: Buffer) => back.push(chunk));
      seen.client.resume();
      await until(() => total(back) === parts * part.length + 8);
      const all = Buffer.concat(back);
      for (let k = 0; k < parts; k++)
        expect(all.subarray(k * part.length, (k + 1) * part.length).equals(part)).toBe(true);
      expect(all.subarray(-8).toString()).toBe('the last');
      await until(() => seen.written > 0 && seen.stream.held === 0);
    });

    it('reads nothing while it is paused', async () => {
      const seen = await join(without);
      seen.client.write('one');
      await until(() => total(seen.got) === 3);
      seen.stream.pause();
      seen.client.end('two');
      for (let k = 0; k < 5; k++) await new Promise((resolve) => setImmediate(resolve));
      expect(total(seen.got)).toBe(3);
      seen.stream.resume();
      await seen.ended;
      expect(Buffer.concat(seen.got).toString()).toBe('onetwo');
    });

    it('tells that the other side has broken it', async () => {
      const seen = await join(without);
      seen.client.resetAndDestroy();
      expect(await seen.failed).toBe(errno.ECONNRESET);
      // Nothing is written to a descriptor that is another file's by now.
      seen.stream.write(pattern(10));
      expect(seen.socket.destroyed).toBe(true);
    });

    it('tells that it cannot be written to, and not before the call has returned', async () => {
      const seen = await join(without);
      let told = 0;
      void seen.failed.then((error) => {
        told = error;
      });
      seen.stream.pause();
      seen.client.resetAndDestroy();
      await until(() => {
        const before = told;
        seen.stream.write(pattern(10));
        expect(told).toBe(before);
        return seen.socket.destroyed;
      });
      expect([errno.ECONNRESET, errno.EPIPE]).toContain(await seen.failed);
    });
  });
