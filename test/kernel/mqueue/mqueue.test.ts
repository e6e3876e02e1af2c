import { describe, expect, it } from 'vitest';
import { SIGALRM, SIGUSR1 } from '../../../src/kernel/abi/signals.ts';
import { FsContext } from '../../../src/kernel/fs/fs-context.ts';
import { crossMounts } from '../../../src/kernel/fs/namei.ts';
import { MqueueFs } from '../../../src/kernel/fs/mqueue.ts';
import { Tmpfs } from '../../../src/kernel/fs/tmpfs.ts';
import { Vfs } from '../../../src/kernel/fs/vfs.ts';
import { sendSignal } from '../../../src/kernel/signals/send.ts';
import { Credentials } from '../../../src/kernel/task/credentials.ts';
import { BAD, DATA, Machine } from '../syscalls/harness.ts';

const O_RDWR_CREAT = 0o102;
const O_NONBLOCK = 0o4000;

function machine(): Machine {
  const vfs = new Vfs(new Tmpfs());
  const root = vfs.root.dentry.inode;
  root.mkdir('dev', 0o755, 0, 0).mkdir('mqueue', 0o755, 0, 0);
  vfs.mount(new MqueueFs(), '/dev/mqueue');
  return new Machine({ vfs, fs: new FsContext(crossMounts(vfs.root)) });
}
function open(m: Machine, name: string, flags = O_RDWR_CREAT | O_NONBLOCK, max = 2, size = 8): number | string {
  m.mem.copyOut(DATA + 512, new Uint8Array(64));
  m.mem.writeU64(DATA + 520, max);
  m.mem.writeU64(DATA + 528, size);
  return m.try('mq_open', m.cString(name, DATA + 600), flags, 0o600, DATA + 512);
}
const send = (m: Machine, fd: number, text: string, priority = 0): number | string =>
  m.try('mq_timedsend', fd, m.cString(text, DATA + 700), text.length, priority, 0);
function receive(m: Machine, fd: number): string {
  const n = m.try('mq_timedreceive', fd, DATA + 800, 100, DATA + 900, 0);
  return typeof n === 'number'
    ? `${Buffer.from(m.mem.copyIn(DATA + 800, n)).toString()} ${m.mem.readU32(DATA + 900)}`
    : n;
}

describe('POSIX message queues', () => {
  it('hand over by priority, then age', () => {
    const m = machine();
    const fd = open(m, 'q', undefined, 3) as number;
    expect([send(m, fd, 'low', 1), send(m, fd, 'high', 9), send(m, fd, 'low2', 1), send(m, fd, 'x')]).toEqual([
      0,
      0,
      0,
      'EAGAIN',
    ]);
    expect([receive(m, fd), receive(m, fd), receive(m, fd), receive(m, fd)]).toEqual([
      'high 9',
      'low 1',
      'low2 1',
      'EAGAIN',
    ]);
    expect(send(m, fd, 'far too long')).toBe('EMSGSIZE');
    expect(send(m, fd, 'x', 32768)).toBe('EINVAL');
    expect(m.try('mq_timedsend', fd, BAD, 4, 0, 0)).toBe('EFAULT');
  });
  it('have names in a file system', () => {
    const m = machine();
    expect(open(m, 'q')).toBe(0);
    expect(open(m, 'q', O_RDWR_CREAT | 0o200)).toBe('EEXIST');
    expect([open(m, 'a/b'), open(m, ''), open(m, 'none', 2)]).toEqual(['EACCES', 'ENOENT', 'ENOENT']);
    const dir = m.kernel.vfs.lookup('/dev/mqueue').dentry.inode;
    expect(dir.readdir().map((e) => e.name)).toEqual(['q']);
    const file = m.kernel.vfs.lookup('/dev/mqueue/q').dentry.inode;
    expect(file.stat()).toMatchObject({ mode: 0o100600, size: 80 });
    m.task.cred = new Credentials(2000, 2000);
    expect([open(m, 'q', 2), m.try('mq_unlink', m.cString('q', DATA + 600))]).toEqual(['EACCES', 'EPERM']);
    m.task.cred = new Credentials(1000, 1000);
    expect(m.try('mq_unlink', m.cString('q', DATA + 600))).toBe(0);
    expect(send(m, 0, 'still')).toBe(0);
    expect(dir.readdir()).toEqual([]);
  });
  it('have limits', () => {
    const m = machine();
    expect([open(m, 'a', undefined, 0), open(m, 'a', undefined, 11), open(m, 'a', undefined, 1, 8193)]).toEqual([
      'EINVAL',
      'EINVAL',
      'EINVAL',
    ]);
    const results = Array.from({ length: 12 }, (_, i) => open(m, `q${i}`, undefined, 10, 8192));
    expect(results.indexOf('EMFILE')).toBe(9);
  });
  it('wait, time out and are interrupted', async () => {
    const m = machine();
    const fd = open(m, 'q', O_RDWR_CREAT) as number;
    const waiting = m.tryAsync('mq_timedreceive', fd, DATA + 800, 100, 0, 0);
    expect(send(m, fd, 'hi')).toBe(0);
    expect(await waiting).toBe(2);
    m.mem.writeU64(DATA, 1);
    m.mem.writeU64(DATA + 8, 0);
    expect(await m.tryAsync('mq_timedreceive', fd, DATA + 800, 100, 0, DATA)).toBe('ETIMEDOUT');
    m.mem.writeU64(DATA + 8, 1e9);
    expect(m.try('mq_timedreceive', fd, DATA + 800, 100, 0, DATA)).toBe('EINVAL');
    m.handle(SIGALRM);
    const interrupted = m.tryAsync('mq_timedreceive', fd, DATA + 800, 100, 0, 0);
    sendSignal(m.task, SIGALRM);
    expect(await interrupted).toBe('ERESTARTSYS');
  });
  it('notify once, by a signal', () => {
    const m = machine();
    const fd = open(m, 'q') as number;
    m.handle(SIGUSR1, 4);
    m.mem.copyOut(DATA, new Uint8Array(64));
    m.mem.writeU64(DATA, 77);
    m.mem.writeU32(DATA + 8, SIGUSR1);
    expect([m.try('mq_notify', fd, DATA), m.try('mq_notify', fd, DATA)]).toEqual([0, 'EBUSY']);
    send(m, fd, 'a');
    expect(m.task.process.signals.take(SIGUSR1)).toMatchObject({ code: -3, value: 77n });
    expect(m.try('mq_notify', fd, DATA)).toBe(0);
    // Not empty before: no signal.
    send(m, fd, 'b');
    expect(m.task.process.signals.take(SIGUSR1)).toBe(null);
    expect(m.try('mq_notify', fd, 0)).toBe(0);
  });
});
