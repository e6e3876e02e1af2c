import { beforeEach, describe, expect, it } from 'vitest';
import { SIGCONT, SIGHUP, SIGINT, SIGWINCH } from '../../../src/kernel/abi/signals.ts';
import { DevPts } from '../../../src/kernel/fs/devpts.ts';
import { O_NOCTTY, O_NONBLOCK, O_RDWR, POLLHUP, POLLIN, POLLOUT } from '../../../src/kernel/fs/open-file.ts';
import { type PtyMaster, ptyRequests as P } from '../../../src/kernel/fs/pty.ts';
import * as t from '../../../src/kernel/fs/termios.ts';
import { controllingTty } from '../../../src/kernel/fs/tty-device.ts';
import type { TtyFile } from '../../../src/kernel/fs/tty-file.ts';
import { ttyRequests as R } from '../../../src/kernel/fs/tty-ioctl.ts';
import { OutputProcessor } from '../../../src/kernel/fs/tty-output.ts';
import { SIGXCPU } from '../../../src/kernel/abi/signals.ts';
import { bytes, DATA, Fixture, isPending, named } from '../io/fixture.ts';

let f: Fixture;
let pts: DevPts;
let master: PtyMaster;

beforeEach(() => {
  f = new Fixture();
  pts = new DevPts();
  master = pts.openMaster(O_RDWR, f.task) as PtyMaster;
});

const openSlave = (flags = O_RDWR | O_NOCTTY): TtyFile =>
  pts.root().lookup(String(master.pty.index), f.task)!.open(flags, f.task) as TtyFile;
const unlocked = (flags?: number): TtyFile => {
  master.pty.locked = false;
  return openSlave(flags);
};
async function read(file: { read: TtyFile['read'] }, length = 100): Promise<string> {
  const dst = new Uint8Array(length);
  const n = await named(() => file.read(f.task, dst, null));
  return typeof n === 'number' ? Buffer.from(dst.subarray(0, n)).toString('latin1') : n;
}

describe('devpts', () => {
  it('numbers terminals from 0, lists them, and forgets them with their master', async () => {
    const second = pts.openMaster(O_RDWR, f.task) as PtyMaster;
    expect([master.pty.index, second.pty.index]).toEqual([0, 1]);
    const names = (): string[] =>
      pts
        .root()
        .readdir(f.task)
        .map((e) => e.name);
    expect(names()).toEqual(['ptmx', '0', '1']);
    master.unref();
    expect(names()).toEqual(['ptmx', '1']);
    expect((pts.openMaster(O_RDWR, f.task) as PtyMaster).pty.index).toBe(0);
    expect(pts.root().lookup('01', f.task)).toBe(null);
  });
  it('keeps the slave locked at first', async () => {
    expect(await named(() => openSlave().stat().ino)).toBe('EIO');
    f.mem.writeU32(DATA, 0);
    expect(await named(() => master.ioctl(f.task, P.TIOCSPTLCK, DATA))).toBe(0);
    expect(openSlave().stat().rdev).toBe(136 << 8);
  });
});

describe('the two sides', () => {
  it('echo, edit and process output', async () => {
    const slave = unlocked();
    master.write(f.task, bytes('helxo\x7f\x7flo\n'), null);
    expect(await read(slave)).toBe('hello\n');
    expect(await read(master)).toBe('helxo\b \b\b \blo\r\n');
    slave.write(f.task, bytes('a\nb'), null);
    expect(await read(master, 3)).toBe('a\r\n');
    expect(await read(master)).toBe('b');
  });
  it('make the writer wait when nobody reads', async () => {
    const slave = unlocked();
    const much = new Uint8Array(70_000).fill(0x78);
    const writing = named(() => slave.write(f.task, much, null));
    expect(await isPending(writing)).toBe(true);
    expect(slave.poll() & POLLOUT).toBe(0);
    expect((await read(master, 100_000)).length).toBe(65536);
    expect(await writing).toBe(70_000);
    slave.flags |= O_NONBLOCK;
    expect(await named(() => slave.write(f.task, much, null))).toBe(65536 - (70_000 - 65536));
    expect(await named(() => slave.write(f.task, much, null))).toBe('EAGAIN');
  });
  it('hold what is typed until the slave has room for it', async () => {
    const slave = unlocked();
    const raw = t.cloneTermios(slave.terminal.termios);
    raw.lflag &= ~(t.ICANON | t.ECHO | t.ISIG);
    slave.terminal.setTermios(raw, false);
    expect(master.write(f.task, new Uint8Array(10_000).fill(0x61), null)).toBe(10_000);
    let got = 0;
    while (got < 10_000) got += (await read(slave, 3000)).length;
    expect(got).toBe(10_000);
  });
  it('know when the other has gone', async () => {
    const slave = unlocked();
    slave.write(f.task, bytes('bye'), null);
    slave.unref();
    expect(master.poll()).toBe(POLLIN | 0x40 | POLLHUP | POLLOUT | 0x100);
    expect(await read(master)).toBe('bye');
    expect(await read(master)).toBe('EIO');
    const again = unlocked();
    const waiting = read(again);
    expect(await isPending(waiting)).toBe(true);
    master.unref();
    expect(await waiting).toBe('EIO');
    expect(await read(again)).toBe('');
    expect(await named(() => again.write(f.task, bytes('x'), null))).toBe('EIO');
    expect(await named(() => again.ioctl(f.task, R.TCGETS, DATA))).toBe('EIO');
    expect(again.poll() & POLLHUP).toBe(POLLHUP);
  });
  it('speak in packets', async () => {
    const slave = unlocked();
    f.mem.writeU32(DATA, 1);
    master.ioctl(f.task, P.TIOCPKT, DATA);
    slave.write(f.task, bytes('data'), null);
    expect(await read(master)).toBe('\0data');
    master.write(f.task, bytes('\x13'), null);
    expect(await read(master)).toBe('\x04');
    expect(slave.poll() & POLLOUT).toBe(0);
    master.write(f.task, bytes('\x11'), null);
    expect(await read(master)).toBe('\x08');
  });
});

describe('sessions', () => {
  it('get the terminal by opening it, signals from its keys, and SIGHUP from its end', async () => {
    const { process } = f.task;
    process.sid = process.pid;
    process.pgid = process.pid;
    const slave = unlocked(O_RDWR);
    expect(controllingTty(process)).toBe(slave.terminal);
    expect(slave.terminal.pgrp).toBe(process.pid);
    for (const signo of [SIGINT, SIGWINCH, SIGHUP, SIGCONT])
      f.task.sighand.set(signo, { ...f.task.sighand.get(signo), handler: 0x1000 });
    master.write(f.task, bytes('\x03'), null);
    expect(process.signals.take(SIGINT)).not.toBe(null);
    expect(await read(master)).toBe('^C');
    f.mem.copyOut(DATA, Uint8Array.of(50, 0, 80, 0, 0, 0, 0, 0));
    expect(await named(() => master.ioctl(f.task, R.TIOCSWINSZ, DATA))).toBe(0);
    expect(process.signals.take(SIGWINCH)).not.toBe(null);
    expect(slave.terminal.size).toMatchObject({ rows: 50, columns: 80 });
    master.unref();
    expect(process.signals.take(SIGHUP)).not.toBe(null);
    expect(process.signals.take(SIGCONT)).not.toBe(null);
    expect(controllingTty(process)).toBe(null);
  });
  it('lose it with their leader', () => {
    const { process } = f.task;
    process.sid = process.pid;
    const slave = unlocked(O_RDWR);
    const child = f.child();
    child.process.sid = process.pid;
    child.process.pgid = child.process.pid;
    child.process.ttyDev = process.ttyDev;
    slave.terminal.pgrp = child.process.pid;
    child.sighand.set(SIGHUP, { ...child.sighand.get(SIGHUP), handler: 0x1000 });
    f.kernel.processExited(process);
    expect(child.process.signals.take(SIGHUP)).not.toBe(null);
    expect([slave.terminal.session, child.process.ttyDev]).toEqual([0, 0]);
  });
  it('are signalled by the master on request', () => {
    const { process } = f.task;
    process.sid = process.pid;
    unlocked(O_RDWR);
    f.task.sighand.set(SIGXCPU, { ...f.task.sighand.get(SIGXCPU), handler: 0x1000 });
    master.ioctl(f.task, P.TIOCSIG, SIGXCPU);
    master.pty.pgrp = process.pgid;
    master.ioctl(f.task, P.TIOCSIG, SIGXCPU);
    expect(process.signals.take(SIGXCPU)).not.toBe(null);
  });
});

describe('output processing', () => {
  const show = (text: string, oflag: number, room = 1000): string => {
    const { out, taken } = new OutputProcessor().process(bytes(text), { ...t.defaultTermios(), oflag }, room);
    return `${Buffer.from(out).toString('latin1')}|${taken}`;
  };
  it('does what c_oflag says', () => {
    expect(show('a\nb', 0)).toBe('a\nb|3');
    expect(show('a\nb', t.OPOST | t.ONLCR)).toBe('a\r\nb|3');
    expect(show('ab\tc', t.OPOST | 0o14000)).toBe('ab      c|4');
    expect(show('\ra\r', t.OPOST | 0o20)).toBe('a\r|3');
    expect(show('x\r', t.OPOST | 0o10)).toBe('x\n|2');
    expect(show('aé', t.OPOST | 0o2)).toBe('Aé|2');
    // A newline that becomes two bytes does not fit into one.
    expect(show('a\nb', t.OPOST | t.ONLCR, 2)).toBe('a|1');
  });
});
