/** As much of a redis client as tests need: commands as arrays of bulk strings, replies as they come (RESP2). */
import type { Socket } from 'node:net';

export function encodeCommand(words: readonly string[]): Buffer {
  const parts = [`*${words.length}\r\n`, ...words.map((w) => `$${Buffer.byteLength(w)}\r\n${w}\r\n`)];
  return Buffer.from(parts.join(''));
}

/** Where the reply that begins at `at` ends; -1 when it is not all there. */
function endOfReply(data: string, at: number): number {
  const line = data.indexOf('\r\n', at);
  if (line < 0) return -1;
  const count = Number(data.slice(at + 1, line));
  const next = line + 2;
  switch (data[at]) {
    case '$': {
      const end = count < 0 ? next : next + count + 2;
      return end <= data.length ? end : -1;
    }
    case '*': {
      let end = next;
      for (let i = 0; i < count && end >= 0; i++) end = end < data.length ? endOfReply(data, end) : -1;
      return end;
    }
    default:
      return next;
  }
}

export class RespClient {
  readonly socket: Socket;
  #data = '';
  #waiting: { resolve(reply: string): void; reject(e: Error): void }[] = [];
  #broken: Error | null = null;

  constructor(socket: Socket) {
    this.socket = socket;
    socket.on('data', (chunk: Buffer) => {
      this.#data += chunk.toString('latin1');
      let at = 0;
      for (
        let end = endOfReply(this.#data, 0);
        end > 0;
        end = at < this.#data.length ? endOfReply(this.#data, at) : -1
      ) {
        this.#waiting.shift()?.resolve(this.#data.slice(at, end));
        at = end;
      }
      this.#data = this.#data.slice(at);
    });
    socket.on('error', (e) => this.#fail(e));
    socket.on('close', () => this.#fail(new Error('the connection was closed')));
  }
  #fail(e: Error): void {
    this.#broken ??= e;
    for (const { reject } of this.#waiting.splice(0)) reject(e);
  }
  /** The reply as it stands in the protocol. Rejects when the connection breaks first. */
  call(...words: string[]): Promise<string> {
    if (this.#broken) return Promise.reject(this.#broken);
    return new Promise((resolve, reject) => {
      this.#waiting.push({ resolve, reject });
      this.socket.write(encodeCommand(words));
    });
  }
}
