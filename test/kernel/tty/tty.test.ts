import { beforeEach, describe, expect, it } from 'vitest';
import { SIGINT, SIGQUIT, SIGTSTP, SIGTTIN, SIGTTOU, SIGUSR1, SIGWINCH } from '../../../src/kernel/abi/signals.ts';
import { openControllingTerminal, Terminal, type TtyFile } from '../../../src/kernel/fs/tty.ts';
import * as t from '../../../src/kernel/fs/termios.ts';
import { ttyRequests as R } from '../../../src/kernel/fs/tty-ioctl.ts';
import { O_NONBLOCK, O_RDWR, POLLIN, POLLOUT } from '../../../src/kernel/fs/open-file.ts';
import { sendSignal } from '../../../src/kernel/signals/send.ts';
import type { GuestTask } from '../../../src/kernel/task/guest-task.ts';
import { BAD, bytes, DATA, Fixture, isPending, named, settle } from '../io/fixture.ts';
import { FakePort } from './terminal.ts';

let f: Fixture;
let port: FakePort;
let terminal: Terminal;
let file: TtyFile;

beforeEach(() => {
  f = new Fixture();
  port = new FakePort();
  terminal = new Terminal(port);
  terminal.attach(f.task.process);
  file = terminal.open(O_RDWR);
});

async function read(length = 100, task: GuestTask = f.task): Promise<string> {
  const dst = new Uint8Array(length);
  const n = await named(() => file.read(task, dst, null));
  return typeof n === 'number' ? Buffer.from(dst.subarray(0, n)).toString('latin1') : n;
}
const ioctl = (request: number, arg: number, task: GuestTask = f.task): Promise<number | string> =>
  named(() => file.ioctl(task, request, arg));

/** Changes flags and characters of the settings, as tcsetattr(3) does. */
async function set(change: (s: t.Termios) => void, request: number = R.TCSETS): Promise<void> {
  const next = t.cloneTermios(terminal.termios);
  change(next);
  f.mem.copyOut(DATA, t.encodeTermios(next));
  expect(await ioctl(request, DATA)).toBe(0);
}
/** Keeps line editing but switches the host to raw mode, so that the kernel's discipline does it. */
const emulate = (): Promise<void> =>
  set((s) => {
    s.cc[t.VEOL] = 1;
  });

describe('terminal with default settings', () => {
  it('leaves lines to the host', async () => {
    const waiting = read();
    expect(await isPending(waiting)).toBe(true);
    port.type('hello\n');
    expect(await waiting).toBe('hello\n');
    expect(port.raw).toBe(false);
    expect(port.screen).toBe('');
    port.type('');
    expect(await read()).toBe('');
    expect(file.write(f.task, bytes('out\n'), null)).toBe(4);
    expect(port.screen).toBe('out\n');
  });

  it('hands out settings as struct termios', async () => {
    expect(await ioctl(R.TCGETS, DATA)).toBe(0);
    const got = f.mem.copyIn(DATA, 36);
    expect([...got.subarray(0, 17)]).toEqual([0, 0x45, 0, 0, 5, 0, 0, 0, 0xbf, 0, 0, 0, 0x3b, 0x8a, 0, 0, 0]);
    expect([...got.subarray(17)]).toEqual([3, 28, 127, 21, 4, 0, 1, 0, 17, 19, 26, 0, 18, 15, 23, 22, 0, 0, 0]);
    expect(await ioctl(R.TCGETS, BAD)).toBe('EFAULT');
    expect(await ioctl(R.TCSETS, BAD)).toBe('EFAULT');
    expect(await ioctl(0x1234, DATA)).toBe('ENOTTY');
  });

  it('polls', async () => {
    expect(file.poll() & POLLIN).toBe(0);
    expect(file.poll() & POLLOUT).toBe(POLLOUT);
    let woken = 0;
    file.waiters.add(() => {
      woken++;
    });
    port.type('x\n');
    expect(woken).toBe(1);
    expect(file.poll() & POLLIN).toBe(POLLIN);
  });

  it('does not wait with O_NONBLOCK and is interrupted by signals', async () => {
    file.flags |= O_NONBLOCK;
    expect(await read()).toBe('EAGAIN');
    file.flags &= ~O_NONBLOCK;
    const waiting = read();
    await settle();
    sendSignal(f.task, SIGUSR1);
    expect(await waiting).toBe('ERESTARTSYS');
  });

  it('tells and takes the window size', async () => {
    expect(await ioctl(R.TIOCGWINSZ, DATA)).toBe(0);
    expect([f.mem.readU16(DATA), f.mem.readU16(DATA + 2)]).toEqual([24, 80]);
    f.task.sighand.set(SIGWINCH, { ...f.task.sighand.get(SIGWINCH), handler: 0x1000 });
    port.resize(50, 132);
    expect(f.task.process.signals.take(SIGWINCH)).not.toBe(null);
    await ioctl(R.TIOCGWINSZ, DATA);
    expect([f.mem.readU16(DATA), f.mem.readU16(DATA + 2)]).toEqual([50, 132]);
    f.mem.writeU16(DATA, 10);
    expect(await ioctl(R.TIOCSWINSZ, DATA)).toBe(0);
    expect(terminal.size.rows).toBe(10);
    expect(f.task.process.signals.take(SIGWINCH)).not.toBe(null);
  });
});

describe('line discipline', () => {
  it('edits lines, echoes, and gives one line a read', async () => {
    await emulate();
    expect(port.raw).toBe(true);
    port.type('helxo\x7f\x7flo\r');
    expect(await read()).toBe('hello\n');
    expect(port.screen).toBe('helxo\b \b\b \blo\n');
    port.screen = '';
    port.type('one two\x17three\rnext\r');
    expect(await read(4)).toBe('one ');
    expect(await read()).toBe('three\n');
    expect(await read()).toBe('next\n');
    port.screen = '';
    port.type('gone\x15ok\x01');
    expect(await read()).toBe('ok\x01');
    expect(port.screen).toBe(`gone${'\b \b'.repeat(4)}ok^A`);
  });

  it('erases whole UTF-8 characters', async () => {
    await emulate();
    port.type('a\xc3\xa9\x7fb\r');
    expect(await read()).toBe('ab\n');
    expect(port.screen).toBe('a\xc3\xa9\b \bb\n');
  });

  it('ends a line or the file with ^D', async () => {
    await emulate();
    port.type('part\x04');
    expect(await read()).toBe('part');
    port.type('\x04');
    expect(await read()).toBe('');
    const waiting = read();
    expect(await isPending(waiting)).toBe(true);
    port.type('\x16\x04\r');
    expect(await waiting).toBe('\x04\n');
  });

  it('turns ^C, ^\\ and ^Z into signals and drops the line', async () => {
    await emulate();
    for (const [key, signo] of [
      ['\x03', SIGINT],
      ['\x1c', SIGQUIT],
      ['\x1a', SIGTSTP],
    ] as const) {
      // The line discipline listens even while nobody reads.
      f.task.sighand.set(signo, { ...f.task.sighand.get(signo), handler: 0x1000 });
      port.type(`abc${key}`);
      await settle();
      expect(f.task.process.signals.take(signo)?.signo).toBe(signo);
    }
    expect(port.screen).toBe('abc^Cabc^\\abc^Z');
    port.type('rest\r');
    expect(await read()).toBe('rest\n');
  });

  it('stops output between ^S and ^Q', async () => {
    await emulate();
    port.type('\x13');
    await settle();
    const writing = named(() => file.write(f.task, bytes('x'), null));
    expect(await isPending(writing)).toBe(true);
    expect(file.poll() & POLLOUT).toBe(0);
    port.type('\x11');
    expect(await writing).toBe(1);
    expect(port.screen).toBe('x');
  });

  it('gives keys as they come in raw mode', async () => {
    await set((s) => {
      s.lflag &= ~(t.ICANON | t.ECHO | t.ISIG | t.IEXTEN);
      s.iflag &= ~(t.ICRNL | t.IXON);
    });
    const waiting = read();
    expect(await isPending(waiting)).toBe(true);
    port.type('\x03');
    expect(await waiting).toBe('\x03');
    port.type('a\r\x1b[A');
    expect(await read()).toBe('a\r\x1b[A');
    expect(port.screen).toBe('');
  });

  it('honours VMIN and VTIME', async () => {
    const raw = (min: number, time: number): Promise<void> =>
      set((s) => {
        s.lflag &= ~(t.ICANON | t.ECHO);
        s.cc[t.VMIN] = min;
        s.cc[t.VTIME] = time;
      });
    await raw(0, 0);
    expect(await read()).toBe('');
    await raw(3, 0);
    port.type('ab');
    const waiting = read();
    expect(await isPending(waiting)).toBe(true);
    expect(file.poll() & POLLIN).toBe(0);
    port.type('cd');
    expect(await waiting).toBe('abcd');
    await raw(0, 1);
    expect(await read()).toBe('');
    await raw(5, 1);
    port.type('x');
    // The time between bytes has passed.
    expect(await read()).toBe('x');
  });

  it('keeps unread input over a change of mode, unless TCSETSF drops it', async () => {
    await emulate();
    port.type('line\rpart');
    await settle();
    await set((s) => {
      s.lflag &= ~t.ICANON;
    });
    expect(await read()).toBe('line\npart');
    port.type('typed');
    await settle();
    await set((s) => {
      s.lflag |= t.ICANON;
    }, R.TCSETSF);
    file.flags |= O_NONBLOCK;
    expect(await read()).toBe('EAGAIN');
  });

  it('gives the terminal back to the host with the default settings', async () => {
    const before = t.cloneTermios(terminal.termios);
    await emulate();
    port.type('typed ahead\r');
    await settle();
    await set((s) => Object.assign(s, t.cloneTermios(before)));
    expect(port.raw).toBe(false);
    expect(await read()).toBe('typed ahead\n');
    port.type('cooked\n');
    expect(await read()).toBe('cooked\n');
    await emulate();
    await set((s) => {
      s.oflag &= ~t.OPOST;
    });
    expect([port.raw, port.outputProcessing]).toEqual([true, false]);
    terminal.suspend();
    expect([port.raw, port.outputProcessing]).toEqual([false, true]);
    terminal.resume();
    expect([port.raw, port.outputProcessing]).toEqual([true, false]);
  });
});

describe('job control', () => {
  it('belongs to the session of the first process', async () => {
    expect(await ioctl(R.TIOCGPGRP, DATA)).toBe(0);
    expect(f.mem.readI32(DATA)).toBe(100);
    expect(await ioctl(R.TIOCGSID, DATA)).toBe(0);
    expect(f.mem.readI32(DATA)).toBe(50);
    expect(f.task.process.ttyDev).toBe(0x8803);
    const tty = openControllingTerminal(O_RDWR, f.task);
    expect(tty.path).toBe('/dev/tty');
    f.task.process.ttyDev = 0;
    expect(() => openControllingTerminal(O_RDWR, f.task)).toThrow(expect.objectContaining({ errno: 6 }));
    expect(await ioctl(R.TIOCGPGRP, DATA)).toBe('ENOTTY');
  });

  function background(): GuestTask {
    const child = f.child();
    child.process.ttyDev = f.task.process.ttyDev;
    child.process.pgid = child.process.pid;
    return child;
  }

  it('stops a background process that reads, or changes settings', async () => {
    const child = background();
    expect(await read(10, child)).toBe('ERESTARTSYS');
    expect(child.process.signals.set.has(SIGTTIN)).toBe(true);
    child.process.signals.take(SIGTTIN);
    expect(await ioctl(R.TCFLSH, 0, child)).toBe('ERESTARTSYS');
    expect(child.process.signals.set.has(SIGTTOU)).toBe(true);
    expect(file.write(child, bytes('w'), null)).toBe(1);
    await set((s) => {
      s.lflag |= t.TOSTOP;
    });
    expect(await named(() => file.write(child, bytes('w'), null))).toBe('ERESTARTSYS');
    // Ignoring SIGTTOU lets it pass; ignoring SIGTTIN makes reading fail.
    for (const signo of [SIGTTIN, SIGTTOU]) child.sighand.set(signo, { ...child.sighand.get(signo), handler: 1 });
    expect(file.write(child, bytes('w'), null)).toBe(1);
    expect(await read(10, child)).toBe('EIO');
  });

  it('moves the foreground with TIOCSPGRP', async () => {
    const child = background();
    f.mem.writeU32(DATA, child.process.pgid);
    expect(await ioctl(R.TIOCSPGRP, DATA)).toBe(0);
    expect(await named(() => file.read(child, new Uint8Array(0), null))).toBe(0);
    // The former foreground's parent is outside: nobody could continue it.
    expect(await read()).toBe('EIO');
    f.mem.writeU32(DATA, 4242);
    expect(await ioctl(R.TIOCSPGRP, DATA, child)).toBe('ESRCH');
    f.mem.writeU32(DATA, -3 >>> 0);
    expect(await ioctl(R.TIOCSPGRP, DATA, child)).toBe('EINVAL');
  });

  it('can be given up and taken by another session', async () => {
    const leader = background();
    leader.process.sid = leader.process.pid;
    leader.process.ttyDev = 0;
    expect(await ioctl(R.TIOCSCTTY, 0, leader)).toBe('EPERM');
    f.task.process.sid = 100;
    terminal.session = 100;
    expect(await ioctl(R.TIOCNOTTY, 0)).toBe(0);
    expect(await ioctl(R.TIOCSCTTY, 0, leader)).toBe(0);
    expect([terminal.session, terminal.pgrp]).toEqual([leader.process.pid, leader.process.pid]);
  });
});
