import { describe, expect, it } from 'vitest';
import { POLLHUP, POLLIN, POLLOUT, POLLRDHUP } from '../../../src/kernel/fs/open-file.ts';
import { SIGPIPE, SIGUSR1 } from '../../../src/kernel/abi/signals.ts';
import { sendSignal } from '../../../src/kernel/signals/send.ts';
import { isPending } from '../io/fixture.ts';
import { named } from '../syscalls/harness.ts';
import { AF_INET, BUFFER, NetMachine, NONBLOCK, STREAM } from './fake-host.ts';

const EPOLLET = 0x8000_0000;

describe('TCP inside the guest', () => {
  it('connects, carries bytes both ways and closes', async () => {
    const m = new NetMachine();
    const [a, b] = await m.pair();
    expect(m.send(a, 'ping')).toBe(4);
    expect(m.receive(b)).toBe("'ping'");
    expect(m.send(b, 'pong')).toBe(4);
    expect(m.receive(a)).toBe("'pong'");
    expect(m.receive(a)).toBe('EAGAIN');
    expect(m.address('getpeername', a)).toBe(m.address('getsockname', b));
    m.call('close', b);
    expect(m.receive(a)).toBe("''");
    expect(m.poll(a) & (POLLIN | POLLRDHUP | POLLHUP)).toBe(POLLIN | POLLRDHUP);
  });

  it('waits for the other side in accept, connect, recv and send, and is woken', async () => {
    const m = new NetMachine();
    const l = await m.listener(80, '127.0.0.1', STREAM);
    const accepting = m.callAsync('accept', l, 0, 0);
    expect(await isPending(accepting)).toBe(true);
    const c = m.socket(AF_INET, STREAM);
    // Another call of the same thread: the registers are its own by now.
    expect(await m.tryAsync('connect', c, ...m.putAddress('127.0.0.1', 80))).toBe(0);
    await accepting;
    const s = [...m.task.files.entries()].at(-1)![0];
    const reading = m.callAsync('recvfrom', s, BUFFER, 100, 0, 0, 0);
    expect(await isPending(reading)).toBe(true);
    m.send(c, 'x');
    expect(await reading).toBe(1);
  });

  it('bounds what a sender may have under way, and lets it go on when the receiver reads', async () => {
    const m = new NetMachine();
    const [a, b] = await m.pair();
    m.setOption(a, 1, 7, 20_000);
    m.setOption(b, 1, 8, 20_000);
    let sent = 0;
    for (;;) {
      const n = m.try('sendto', a, BUFFER, 10_000, 0, 0, 0);
      if (n === 'EAGAIN') break;
      sent += n as number;
    }
    expect(sent).toBe(40_000);
    expect(m.poll(a) & POLLOUT).toBe(0);
    expect(m.receive(b, 9_000).length).toBe(9_002);
    expect(m.poll(a) & POLLOUT).toBe(0);
    expect(m.receive(b, 9_000).length).toBe(9_002);
    expect(m.poll(a) & POLLOUT).toBe(POLLOUT);
  });

  it('is interrupted by signals: restarted without a timeout, EINTR with one', async () => {
    const m = new NetMachine();
    const [a] = await m.pair(STREAM);
    m.handle(SIGUSR1);
    const reading = m.callAsync('recvfrom', a, BUFFER, 1, 0, 0, 0);
    await isPending(reading);
    sendSignal(m.task, SIGUSR1);
    expect(await reading).toBe(-512);
    m.toUserMode();
    m.mem.writeU64(BUFFER, 100);
    m.mem.writeU64(BUFFER + 8, 0);
    expect(m.call('setsockopt', a, 1, 20, BUFFER, 16)).toBe(0);
    m.returnFromHandler();
    const timed = m.callAsync('recvfrom', a, BUFFER, 1, 0, 0, 0);
    await isPending(timed);
    sendSignal(m.task, SIGUSR1);
    expect(named(await timed)).toBe('EINTR');
  });

  it('sends SIGPIPE once, and none with MSG_NOSIGNAL', async () => {
    const m = new NetMachine();
    m.handle(SIGPIPE);
    const [a, b] = await m.pair();
    m.call('shutdown', a, 1);
    expect(m.send(a, 'x', 0x4000)).toBe('EPIPE');
    expect(m.task.signalPending()).toBe(false);
    expect(m.send(a, 'x')).toBe('EPIPE');
    expect(m.task.signalPending()).toBe(true);
    void b;
  });

  it('leaves a connection in the queue when there is no descriptor for it', async () => {
    const m = new NetMachine();
    const l = await m.listener(80);
    const c = m.socket();
    m.try('connect', c, ...m.putAddress('127.0.0.1', 80));
    const limit = m.task.process.rlimits[7]!;
    limit.soft = c + 1;
    expect(m.try('accept', l, 0, 0)).toBe('EMFILE');
    limit.soft = c + 2;
    expect(m.try('accept', l, 0, 0)).toBe(c + 1);
  });

  it('holds back connections beyond the backlog until one is accepted', async () => {
    const m = new NetMachine();
    const l = await m.listener(80, '0.0.0.0', STREAM | NONBLOCK, 0);
    const [a, b] = [m.socket(), m.socket()];
    for (const fd of [a, b]) expect(m.try('connect', fd, ...m.putAddress('127.0.0.1', 80))).toBe('EINPROGRESS');
    expect(m.poll(a) & POLLOUT).toBe(POLLOUT);
    expect(m.poll(b)).toBe(0);
    m.call('accept', l, 0, 0);
    expect(m.poll(b) & POLLOUT).toBe(POLLOUT);
    m.call('accept', l, 0, 0);
    expect(m.try('accept', l, 0, 0)).toBe('EAGAIN');
  });

  it('reports every arrival to an edge-triggered watcher', async () => {
    const m = new NetMachine();
    const [a, b] = await m.pair();
    const ep = m.call('epoll_create1', 0);
    m.mem.writeU32(BUFFER, (EPOLLET | POLLIN) >>> 0);
    m.mem.writeU64(BUFFER + 4, 7);
    expect(m.call('epoll_ctl', ep, 1, b, BUFFER)).toBe(0);
    const wait = (): number => m.call('epoll_wait', ep, BUFFER + 64, 4, 0);
    expect(wait()).toBe(0);
    m.send(a, 'one');
    expect([wait(), wait()]).toEqual([1, 0]);
    m.send(a, 'two');
    expect([wait(), wait()]).toEqual([1, 0]);
    m.call('close', a);
    expect([wait(), wait()]).toEqual([1, 0]);
  });

  it('spreads connections over listeners with SO_REUSEPORT', async () => {
    const m = new NetMachine();
    const listeners = [m.socket(), m.socket()];
    for (const fd of listeners) {
      m.setOption(fd, 1, 15, 1);
      expect(m.try('bind', fd, ...m.putAddress('0.0.0.0', 80))).toBe(0);
      expect(m.try('listen', fd, 5)).toBe(0);
    }
    for (let i = 0; i < 4; i++) m.try('connect', m.socket(), ...m.putAddress('127.0.0.1', 80));
    for (const fd of listeners) {
      expect(m.call('accept', fd, 0, 0)).toBeGreaterThan(0);
      expect(m.call('accept', fd, 0, 0)).toBeGreaterThan(0);
      expect(m.try('accept', fd, 0, 0)).toBe('EAGAIN');
    }
  });

  it('forgets everything when the descriptors are closed', async () => {
    const m = new NetMachine();
    await m.listener(80);
    for (let i = 0; i < 3; i++) m.try('connect', m.socket(), ...m.putAddress('127.0.0.1', 80));
    await m.pair();
    m.task.files.closeAll();
    expect(m.kernel.net.sockets.size).toBe(0);
    expect([...m.kernel.net.tcp.sockets()]).toEqual([]);
  });
});
