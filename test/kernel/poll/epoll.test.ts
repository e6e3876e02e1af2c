import { describe, expect, it } from 'vitest';
import { SIGUSR1 } from '../../../src/kernel/abi/signals.ts';
import { EPOLLET, EPOLLEXCLUSIVE, EPOLLONESHOT } from '../../../src/kernel/fs/epoll.ts';
import { DevFs } from '../../../src/kernel/fs/devfs.ts';
import type { OpenFile } from '../../../src/kernel/fs/open-file.ts';
import { sendSignal } from '../../../src/kernel/signals/send.ts';
import { BAD, bytes, DATA, Fixture, isPending, settle } from '../io/fixture.ts';

const ADD = 1;
const DEL = 2;
const MOD = 3;
const IN = 1;
const OUT = 4;
const HUP = 0x10;
const EVENT = DATA + 0x100;
const OUTPUT = DATA + 0x200;

async function ctl(
  f: Fixture,
  ep: number,
  op: number,
  fd: number,
  events: number,
  data = fd,
): Promise<number | string> {
  f.mem.writeU32(EVENT, events >>> 0);
  f.mem.writeU32(EVENT + 4, data);
  f.mem.writeU32(EVENT + 8, 0xabcd);
  return f.call('epoll_ctl', ep, op, fd, EVENT);
}
/** Events as [bits, data], without waiting. */
async function look(f: Fixture, ep: number, max = 8): Promise<[number, number][]> {
  const n = (await f.call('epoll_wait', ep, OUTPUT, max, 0)) as number;
  return Array.from({ length: n }, (_, i) => [f.mem.readU32(OUTPUT + i * 12), f.mem.readU32(OUTPUT + i * 12 + 4)]);
}
const put = (f: Fixture, fd: number, text: string): void => {
  f.task.files.get(fd).write(f.task, bytes(text), null);
};
const get = (f: Fixture, fd: number, n: number): void => {
  f.task.files.get(fd).read(f.task, new Uint8Array(n), null);
};

describe('epoll', () => {
  it('reports level-triggered readiness as long as it lasts', async () => {
    const f = new Fixture();
    const [r, w] = await f.pipe();
    const ep = (await f.call('epoll_create1', 0)) as number;
    expect(await ctl(f, ep, ADD, r, IN, 7)).toBe(0);
    expect(await look(f, ep)).toEqual([]);
    put(f, w, 'ab');
    expect(await look(f, ep)).toEqual([[IN, 7]]);
    expect(f.mem.readU32(OUTPUT + 8)).toBe(0xabcd);
    expect(await look(f, ep)).toEqual([[IN, 7]]);
    get(f, r, 2);
    expect(await look(f, ep)).toEqual([]);
    f.task.files.close(w);
    expect(await look(f, ep)).toEqual([[HUP, 7]]);
  });

  it('reports edges once, and none for what the reader itself does', async () => {
    const f = new Fixture();
    const [r, w] = await f.pipe();
    const ep = (await f.call('epoll_create1', 0)) as number;
    await ctl(f, ep, ADD, r, IN | EPOLLET);
    put(f, w, 'ab');
    expect(await look(f, ep)).toEqual([[IN, r]]);
    expect(await look(f, ep)).toEqual([]);
    get(f, r, 1);
    expect(await look(f, ep)).toEqual([]);
    put(f, w, 'c');
    expect(await look(f, ep)).toEqual([[IN, r]]);
    // EPOLL_CTL_MOD looks again.
    await ctl(f, ep, MOD, r, IN | EPOLLET);
    expect(await look(f, ep)).toEqual([[IN, r]]);
  });

  it('disables an EPOLLONESHOT item until it is modified', async () => {
    const f = new Fixture();
    const [r, w] = await f.pipe();
    const ep = (await f.call('epoll_create1', 0)) as number;
    await ctl(f, ep, ADD, r, IN | EPOLLONESHOT);
    put(f, w, 'a');
    expect(await look(f, ep)).toEqual([[IN, r]]);
    put(f, w, 'b');
    f.task.files.close(w);
    expect(await look(f, ep)).toEqual([]);
    await ctl(f, ep, MOD, r, IN | EPOLLONESHOT);
    expect(await look(f, ep)).toEqual([[IN | HUP, r]]);
  });

  it('takes turns when there are more events than room', async () => {
    const f = new Fixture();
    const ep = (await f.call('epoll_create1', 0)) as number;
    const writers: number[] = [];
    for (let i = 0; i < 3; i++) {
      const [, w] = await f.pipe();
      writers.push(w);
      await ctl(f, ep, ADD, w, OUT);
    }
    const seen = [await look(f, ep, 1), await look(f, ep, 1), await look(f, ep, 1)].map(([e]) => e![1]);
    expect(seen).toEqual(writers);
  });

  it('waits, and is woken by data, time and signals', async () => {
    const f = new Fixture();
    const [r, w] = await f.pipe();
    const ep = (await f.call('epoll_create1', 0)) as number;
    await ctl(f, ep, ADD, r, IN);
    const waiting = f.call('epoll_wait', ep, OUTPUT, 4, -1);
    expect(await isPending(waiting)).toBe(true);
    put(f, w, 'x');
    expect(await waiting).toBe(1);
    get(f, r, 1);
    expect(await f.call('epoll_wait', ep, OUTPUT, 4, 1)).toBe(0);
    const interrupted = f.call('epoll_pwait', ep, OUTPUT, 4, -1, 0, 0);
    await settle();
    sendSignal(f.task, SIGUSR1);
    expect(await interrupted).toBe('EINTR');
  });

  it('forgets a file when its last descriptor is closed', async () => {
    const f = new Fixture();
    const [r, w] = await f.pipe();
    const ep = (await f.call('epoll_create1', 0)) as number;
    const copy = f.task.files.install(f.task.files.get(r).ref());
    await ctl(f, ep, ADD, r, IN);
    put(f, w, 'x');
    f.task.files.close(r);
    expect(await look(f, ep)).toEqual([[IN, r]]);
    f.task.files.close(copy);
    expect(await look(f, ep)).toEqual([]);
  });

  it('nests, but not in circles and not too deep', async () => {
    const f = new Fixture();
    const [r, w] = await f.pipe();
    const eps: number[] = [];
    for (let i = 0; i < 7; i++) eps.push((await f.call('epoll_create1', 0)) as number);
    await ctl(f, eps[0]!, ADD, r, IN);
    const results: (number | string)[] = [];
    for (let i = 1; i < 7; i++) results.push(await ctl(f, eps[i]!, ADD, eps[i - 1]!, IN));
    expect(results).toEqual([0, 0, 0, 0, 'ELOOP', 0]);
    expect(await ctl(f, eps[0]!, ADD, eps[2]!, IN)).toBe('ELOOP');
    expect(await ctl(f, eps[0]!, ADD, eps[0]!, IN)).toBe('EINVAL');
    expect(await look(f, eps[4]!)).toEqual([]);
    put(f, w, 'x');
    expect(await look(f, eps[4]!)).toEqual([[IN, eps[3]]]);
  });

  it('refuses what Linux refuses', async () => {
    const f = new Fixture();
    const [r, w] = await f.pipe();
    const ep = (await f.call('epoll_create1', 0)) as number;
    const dev = new DevFs().root();
    const install = (name: string): number => f.task.files.install(dev.lookup(name)!.open(0, f.task) as OpenFile);
    expect(await ctl(f, ep, ADD, install('null'), IN)).toBe('EPERM');
    expect(await ctl(f, ep, ADD, install('urandom'), IN)).toBe('EPERM');
    expect(await ctl(f, ep, ADD, install('random'), IN)).toBe(0);
    expect(await ctl(f, ep, ADD, 99, IN)).toBe('EBADF');
    expect(await ctl(f, ep, MOD, r, IN)).toBe('ENOENT');
    expect(await f.call('epoll_ctl', ep, DEL, w, 0)).toBe('ENOENT');
    expect(await ctl(f, ep, ADD, r, IN)).toBe(0);
    expect(await ctl(f, ep, ADD, r, IN)).toBe('EEXIST');
    expect(await ctl(f, ep, 9, r, IN)).toBe('EINVAL');
    expect(await ctl(f, r, ADD, w, IN)).toBe('EINVAL');
    expect(await ctl(f, ep, ADD, w, EPOLLEXCLUSIVE | 0x2000)).toBe('EINVAL');
    expect(await ctl(f, ep, ADD, w, EPOLLEXCLUSIVE | OUT)).toBe(0);
    expect(await ctl(f, ep, MOD, w, OUT)).toBe('EINVAL');
    expect(await f.call('epoll_ctl', ep, ADD, w, BAD)).toBe('EFAULT');
    expect(await f.call('epoll_wait', ep, OUTPUT, 0, 0)).toBe('EINVAL');
    expect(await f.call('epoll_wait', ep, OUTPUT, 0x7fff_ffff, 0)).toBe('EINVAL');
    expect(await f.call('epoll_wait', ep, BAD, 1, 0)).toBe('EFAULT');
    expect(await f.call('epoll_wait', r, OUTPUT, 1, 0)).toBe('EINVAL');
    expect(await f.call('epoll_create', 0)).toBe('EINVAL');
    expect(await f.call('epoll_create1', 1)).toBe('EINVAL');
  });

  it('aligns the event on AArch64', async () => {
    const f = new Fixture({ isa: 'aarch64' });
    const [, w] = await f.pipe();
    const ep = (await f.call('epoll_create1', 0)) as number;
    f.mem.writeU32(EVENT, OUT);
    f.mem.writeU32(EVENT + 4, 0xdead);
    f.mem.writeBigU64(EVENT + 8, 0x1122_3344_5566_7788n);
    expect(await f.call('epoll_ctl', ep, ADD, w, EVENT)).toBe(0);
    expect(await f.call('epoll_pwait', ep, OUTPUT, 1, 0, 0, 0)).toBe(1);
    expect(f.mem.readU32(OUTPUT)).toBe(OUT);
    expect(f.mem.readBigU64(OUTPUT + 8)).toBe(0x1122_3344_5566_7788n);
  });
});
