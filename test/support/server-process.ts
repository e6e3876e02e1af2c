/** A server as a process of the host's, bare or in a guest, that tests, the soak and the benchmark talk to. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

/** A port of the host's that nobody listens on now. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}

/** Rejects with the host's error. */
export async function dial(port: number): Promise<Socket> {
  const socket = connect({ port, host: '127.0.0.1', noDelay: true });
  await once(socket, 'connect');
  return socket;
}

/** Ticks of /proc/PID/stat, in milliseconds. */
const TICK_MS = 10;

export class ServerProcess {
  readonly child: ChildProcess;
  readonly port: number;
  /** What it has printed, the last part. */
  output = '';
  readonly ended: Promise<number | null>;

  constructor(words: readonly string[], port: number, env: NodeJS.ProcessEnv = process.env) {
    this.port = port;
    this.child = spawn(words[0]!, words.slice(1), { stdio: ['ignore', 'pipe', 'pipe'], env });
    const keep = (data: Buffer): void => {
      this.output = (this.output + data.toString('latin1')).slice(-20_000);
    };
    this.child.stdout!.on('data', keep);
    this.child.stderr!.on('data', keep);
    this.ended = new Promise((resolve) => {
      this.child.once('error', () => resolve(null));
      this.child.once('exit', (code) => resolve(code));
    });
  }

  /** Waits until it accepts connections. Throws when it ends first, or takes longer than `timeoutMs`. */
  async ready(timeoutMs = 60_000): Promise<void> {
    const until = Date.now() + timeoutMs;
    for (;;) {
      if (this.child.exitCode !== null || this.child.signalCode !== null)
        throw new Error(`it ended before it listened:\n${this.output}`);
      try {
        (await dial(this.port)).destroy();
        return;
      } catch {
        if (Date.now() > until) throw new Error(`not listening after ${timeoutMs} ms:\n${this.output}`);
      }
      await sleep(100);
    }
  }
  /** SIGTERM, and SIGKILL where that is not heard. The exit status. */
  async stop(): Promise<number | null> {
    this.child.kill('SIGTERM');
    const timer = setTimeout(() => this.child.kill('SIGKILL'), 60_000);
    const status = await this.ended;
    clearTimeout(timer);
    return status;
  }

  /** The process and its children. */
  #pids(): number[] {
    const all = [this.child.pid!];
    for (const pid of all) {
      try {
        const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim();
        if (children !== '') all.push(...children.split(' ').map(Number));
      } catch {
        // It has gone meanwhile.
      }
    }
    return all;
  }
  /** Processor time of all its threads, in milliseconds. */
  cpuMs(): number {
    let ticks = 0;
    for (const pid of this.#pids()) {
      const fields = readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ')[1]!.split(' ');
      ticks += Number(fields[11]) + Number(fields[12]);
    }
    return ticks * TICK_MS;
  }
  /** Resident memory, in bytes. */
  resident(): number {
    return this.#pids().reduce((sum, pid) => {
      const kib = /^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1] ?? '0';
      return sum + Number(kib) * 1024;
    }, 0);
  }
  /** Sockets of the host's that it holds. */
  openSockets(): number {
    const isSocket = (path: string): boolean => {
      try {
        return readlinkSync(path).startsWith('socket:');
      } catch {
        // Closed meanwhile.
        return false;
      }
    };
    const paths = this.#pids().flatMap((pid) => readdirSync(`/proc/${pid}/fd`).map((fd) => `/proc/${pid}/fd/${fd}`));
    return paths.filter(isSocket).length;
  }
}
