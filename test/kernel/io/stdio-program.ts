/**
 * Runs a few operations on the host's standard descriptors through the kernel's files, as a guest would, and prints what
 * came of it on descriptor 2. Usage: node stdio-program.ts OPERATION...
 */
import { writeSync } from 'node:fs';
import { SIGPIPE } from '../../../src/kernel/abi/signals.ts';
import { openStdio } from '../../../src/kernel/fs/host-stream.ts';
import { type OpenFile, O_NONBLOCK, POLLIN } from '../../../src/kernel/fs/open-file.ts';
import { pollFiles } from '../../../src/kernel/fs/poll.ts';
import { restoreTerminal } from '../../../src/kernel/fs/tty.ts';
import { encodeTermios } from '../../../src/kernel/fs/termios.ts';
import { DATA, Fixture, named } from './fixture.ts';

const { files, terminal } = openStdio();
const f = new Fixture({ stdio: [...files] });
terminal?.attach(f.task.process);
const say = (text: string): number => writeSync(2, `${text}\n`);
const [stdin, stdout] = files as [OpenFile, OpenFile];

async function read(length: number): Promise<string> {
  const dst = new Uint8Array(new SharedArrayBuffer(length));
  const n = await named(() => stdin.read(f.task, dst, null));
  return typeof n === 'number' ? Buffer.from(dst.subarray(0, n)).toString('latin1') : n;
}
async function write(data: Uint8Array): Promise<number | string> {
  return named(() => stdout.write(f.task, data, null));
}

const operations: Record<string, (arg: string) => Promise<void> | void> = {
  async read(n) {
    say(JSON.stringify(await read(Number(n))));
  },
  async write(text) {
    say(`wrote ${await write(Buffer.from(text, 'latin1'))}`);
  },
  async fill(n) {
    say(`wrote ${await write(new Uint8Array(Number(n)).fill(0x61))}, SIGPIPE ${f.task.signals.set.has(SIGPIPE)}`);
  },
  async cat() {
    for (;;) {
      const data = await read(65536);
      if (data === '') break;
      await write(Buffer.from(data, 'latin1'));
    }
  },
  seek(offset) {
    say(`at ${stdin.lseek(Number(offset), offset.startsWith('-') ? 1 : 0)}`);
  },
  tell() {
    say(`at ${stdout.lseek(0, 1)}`);
  },
  async poll(timeout) {
    const item = { file: stdin, events: POLLIN, revents: 0 };
    const { result } = await pollFiles(f.task, [item], timeout === '-1' ? null : Number(timeout));
    say(`${result} ${item.revents}`);
  },
  async nonblock() {
    stdin.flags |= O_NONBLOCK;
    say(JSON.stringify(await read(10)));
    stdin.flags &= ~O_NONBLOCK;
  },
  available() {
    stdin.ioctl(f.task, 0x541b, DATA);
    say(String(f.mem.readU32(DATA)));
  },
  stat() {
    say(files.map((file) => (file ? (file.stat().mode & 0o170000).toString(8) : 'closed')).join(' '));
  },
  flags() {
    say(files.map((file) => (file?.flags ?? 0).toString(8)).join(' '));
  },
  path() {
    say(files.map((file) => file?.path ?? '').join(' '));
  },
  raw() {
    const t = terminal!.termios;
    f.mem.copyOut(DATA, encodeTermios({ ...t, lflag: t.lflag & ~(2 | 8) }));
    stdin.ioctl(f.task, 0x5402, DATA);
    say('raw');
  },
  cooked() {
    const t = terminal!.termios;
    f.mem.copyOut(DATA, encodeTermios({ ...t, lflag: t.lflag | 2 | 8 }));
    stdin.ioctl(f.task, 0x5402, DATA);
    say('cooked');
  },
  size() {
    say(JSON.stringify(terminal!.size));
  },
  /** Leaves a read unanswered. */
  pend() {
    void read(10);
  },
  close() {
    f.task.files.closeAll();
  },
  async sleep(ms) {
    await new Promise((resolve) => setTimeout(resolve, Number(ms)));
  },
};

for (const word of process.argv.slice(2)) {
  const [name, arg = ''] = word.split(/:(.*)/s) as [string, string?];
  await operations[name]!(arg);
}
f.task.files.closeAll();
restoreTerminal();
process.exit(7);
