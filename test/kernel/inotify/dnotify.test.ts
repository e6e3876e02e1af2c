import { expect, it } from 'vitest';
import { SIGIO, SIGUSR1 } from '../../../src/kernel/abi/signals.ts';
import { FsContext } from '../../../src/kernel/fs/fs-context.ts';
import { crossMounts } from '../../../src/kernel/fs/namei.ts';
import { watching } from '../../../src/kernel/fs/notify.ts';
import { Tmpfs } from '../../../src/kernel/fs/tmpfs.ts';
import { Vfs } from '../../../src/kernel/fs/vfs.ts';
import { Machine } from '../syscalls/harness.ts';

const F_SETSIG = 10;
const F_NOTIFY = 1026;
const DN_CREATE = 4;
const DN_DELETE = 8;
const DN_MULTISHOT = 0x8000_0000;

it('F_NOTIFY signals changes in a directory, once or for good', () => {
  const vfs = new Vfs(new Tmpfs({ mode: 0o777 }));
  const m = new Machine({ vfs, fs: new FsContext(crossMounts(vfs.root)) });
  m.handle(SIGIO);
  m.handle(SIGUSR1);
  const make = (name: string): number => m.call('open', m.cString(name), 0o101, 0o644);
  const fd = m.call('open', m.cString('/'), 0o200000, 0);
  const take = (signo: number): boolean => m.task.process.signals.take(signo) !== null;
  expect(m.try('fcntl', fd, F_NOTIFY, DN_CREATE)).toBe(0);
  make('/a');
  expect(take(SIGIO)).toBe(true);
  make('/b');
  expect(take(SIGIO)).toBe(false);
  m.call('fcntl', fd, F_SETSIG, SIGUSR1);
  m.call('fcntl', fd, F_NOTIFY, DN_DELETE | DN_MULTISHOT);
  for (const name of ['/a', '/b']) {
    m.call('unlink', m.cString(name));
    expect(take(SIGUSR1)).toBe(true);
  }
  m.call('close', fd);
  expect(watching()).toBe(false);
  expect(m.try('fcntl', make('/c'), F_NOTIFY, DN_CREATE)).toBe('ENOTDIR');
});
