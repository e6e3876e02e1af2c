import { describe, expect, it } from 'vitest';
import { errno } from '../../../src/kernel/abi/errno.ts';
import { POLLERR, POLLIN, POLLOUT } from '../../../src/kernel/fs/open-file.ts';
import type { PublishedPort } from '../../../src/kernel/net/host-network.ts';
import { isPending } from '../io/fixture.ts';
import { named } from '../syscalls/harness.ts';
import { AF_INET, BUFFER, DGRAM, FakeHostNetwork, type FakeStream, NetMachine, NONBLOCK, STREAM } from './fake-host.ts';

const peer = { address: '192.0.2.7', port: 5000 };
const publish = (hostPort: number, guestPort: number, protocol: 'tcp' | 'udp' = 'tcp'): PublishedPort => ({
  protocol,
  address: null,
  hostPort,
  guestPort,
});

async function outbound(m: NetMachine, flags = NONBLOCK): Promise<[number, FakeStream]> {
  const fd = m.socket(AF_INET, STREAM | NONBLOCK);
  expect(await m.tryAsync('connect', fd, ...m.putAddress('192.0.2.1', 80))).toBe('EINPROGRESS');
  const stream = m.network!.streams.at(-1)!;
  stream.events.connected();
  if (flags === 0) m.call('fcntl', fd, 4, 0);
  return [fd, stream];
}

describe('connections through the host', () => {
  it('connect when the host has, and fail as it does', async () => {
    const m = new NetMachine(new FakeHostNetwork());
    const fd = m.socket(AF_INET, STREAM);
    const connecting = m.callAsync('connect', fd, ...m.putAddress('192.0.2.1', 80));
    expect(await isPending(connecting)).toBe(true);
    const [stream] = m.network!.streams;
    expect(stream!.to).toEqual({ address: '192.0.2.1', port: 80 });
    stream!.events.connected();
    expect(await connecting).toBe(0);
    expect(m.address('getpeername', fd)).toBe('192.0.2.1:80');
    expect(m.address('getsockname', fd)).toMatch(/^10\.0\.2\.15:\d+$/);

    const other = m.socket();
    expect(m.try('connect', other, ...m.putAddress('192.0.2.1', 81))).toBe('EINPROGRESS');
    expect(m.try('connect', other, ...m.putAddress('192.0.2.1', 81))).toBe('EALREADY');
    expect(m.poll(other)).toBe(0);
    m.network!.streams.at(-1)!.events.failed(errno.EHOSTUNREACH);
    expect(m.poll(other) & (POLLERR | POLLOUT)).toBe(POLLERR | POLLOUT);
    expect(m.option(other, 1, 4)).toBe(errno.EHOSTUNREACH);
  });

  it('hold the guest back when the network takes nothing, and the host back when the guest does not read', async () => {
    const m = new NetMachine(new FakeHostNetwork());
    const [fd, stream] = await outbound(m);
    let sent = 0;
    for (;;) {
      const n = m.try('sendto', fd, BUFFER, 40_000, 0, 0, 0);
      if (n === 'EAGAIN') break;
      sent += n as number;
    }
    expect(sent).toBe(512 * 1024);
    expect(stream.bytes).toBe(sent);
    expect(m.poll(fd) & POLLOUT).toBe(0);
    stream.sendAll();
    expect(m.poll(fd) & POLLOUT).toBe(POLLOUT);

    let given = 0;
    while (!stream.paused) {
      stream.events.data(new Uint8Array(32768).fill(65));
      given += 32768;
    }
    expect(given).toBe(262_144);
    for (let got = 0; got < given; ) {
      const n = m.receive(fd, 30_000).length - 2;
      got += n;
      if (given - got > 131_072) expect(stream.paused).toBe(true);
    }
    expect(stream.paused).toBe(false);
  });

  it('keeps guest memory that changes after send out of what is sent', async () => {
    const m = new NetMachine(new FakeHostNetwork());
    const [fd, stream] = await outbound(m);
    m.send(fd, 'before');
    m.mem.copyOut(BUFFER, Buffer.from('after!'));
    expect(stream.text).toBe('before');
  });

  it('end by halves, by close and by reset', async () => {
    const m = new NetMachine(new FakeHostNetwork());
    const [fd, stream] = await outbound(m);
    m.call('shutdown', fd, 1);
    expect(stream.log).toEqual(['end']);
    stream.events.data(Buffer.from('answer'));
    stream.events.end();
    expect(m.receive(fd)).toBe("'answer'");
    expect(m.receive(fd)).toBe("''");
    m.call('close', fd);
    expect(stream.log).toEqual(['end', 'release']);

    const [second, reset] = await outbound(m);
    reset.events.data(Buffer.from('x'));
    reset.events.failed(errno.ECONNRESET);
    expect(m.receive(second)).toBe("'x'");
    expect(m.receive(second)).toBe('ECONNRESET');
    expect(m.send(second, 'y', 0x4000)).toBe('EPIPE');

    const [third, unread] = await outbound(m);
    unread.events.data(Buffer.from('never read'));
    m.call('close', third);
    expect(unread.log).toEqual(['reset']);

    const [fourth, late] = await outbound(m);
    m.call('close', fourth);
    late.events.data(Buffer.from('too late'));
    expect(late.log).toEqual(['end', 'release', 'reset']);
  });

  it('are not to be had without a network', () => {
    const m = new NetMachine();
    const fd = m.socket();
    expect(m.try('connect', fd, ...m.putAddress('192.0.2.1', 80))).toBe('ENETUNREACH');
    const udp = m.socket(AF_INET, DGRAM);
    expect(m.try('sendto', udp, BUFFER, 1, 0, ...m.putAddress('192.0.2.1', 80))).toBe('ENETUNREACH');
    expect(m.kernel.net.interfaces.map((i) => i.name)).toEqual(['lo']);
  });

  it("never reach the host's own loopback", async () => {
    const m = new NetMachine(new FakeHostNetwork());
    for (const address of ['127.0.0.1', '127.9.9.9', '10.0.2.15', '0.0.0.0']) {
      const fd = m.socket(AF_INET, STREAM);
      expect(await m.tryAsync('connect', fd, ...m.putAddress(address, 80)), address).toBe('ECONNREFUSED');
    }
    expect(m.network!.streams).toEqual([]);
  });
});

describe('published ports', () => {
  it('refuse until the guest listens, then lead to it with the address of the client', async () => {
    const network = new FakeHostNetwork([publish(8080, 80)]);
    const m = new NetMachine(network);
    expect(network.client(8080, peer)).toBe('refused');
    const l = await m.listener(80);
    const client = network.client(8080, peer) as FakeStream;
    const s = m.call('accept4', l, 0, 0, NONBLOCK);
    expect(m.address('getpeername', s)).toBe('192.0.2.7:5000');
    expect(m.address('getsockname', s)).toBe('10.0.2.15:80');
    client.events.data(Buffer.from('GET'));
    expect(m.receive(s)).toBe("'GET'");
    m.send(s, 'OK');
    expect(client.text).toBe('OK');
    m.call('close', l);
    await Promise.resolve();
    expect(network.client(8080, peer)).toBe('refused');
    m.send(s, '!');
    expect(client.text).toBe('OK!');
  });

  it('make listen(2) wait for the host, and tell the user of a port that is taken', async () => {
    const network = new FakeHostNetwork([publish(8080, 80), publish(8080, 81)]);
    const m = new NetMachine(network);
    await m.listener(80);
    await m.listener(81);
    expect(m.host.lines).toEqual(['cannot publish port 8080: address already in use']);
  });

  it('queue what the backlog does not hold', async () => {
    const network = new FakeHostNetwork([publish(8080, 80)]);
    const m = new NetMachine(network);
    const l = await m.listener(80, '0.0.0.0', STREAM | NONBLOCK, 0);
    for (let port = 1; port <= 3; port++) network.client(8080, { ...peer, port });
    const ports = [1, 2, 3].map(() => m.address('getpeername', m.call('accept', l, 0, 0)));
    expect(ports).toEqual(['192.0.2.7:1', '192.0.2.7:2', '192.0.2.7:3']);
  });
});

describe('datagrams through the host', () => {
  it('go out and come back, connected or not', () => {
    const m = new NetMachine(new FakeHostNetwork());
    const fd = m.socket(AF_INET, DGRAM | NONBLOCK);
    m.mem.copyOut(BUFFER, Buffer.from('ask'));
    expect(m.try('sendto', fd, BUFFER, 3, 0, ...m.putAddress('192.0.2.1', 53))).toBe(3);
    const [host] = m.network!.datagrams;
    expect(host!.sent).toEqual([{ data: 'ask', to: { address: '192.0.2.1', port: 53 } }]);
    host!.events.message(Buffer.from('tell'), { address: '192.0.2.1', port: 53 });
    expect(m.receive(fd)).toBe("'tell'");

    const connected = m.socket(AF_INET, DGRAM | NONBLOCK);
    m.try('connect', connected, ...m.putAddress('192.0.2.2', 53));
    m.send(connected, 'hi');
    const second = m.network!.datagrams.at(-1)!;
    expect(second.peer).toEqual({ address: '192.0.2.2', port: 53 });
    second.events.message(Buffer.from('stranger'), { address: '192.0.2.3', port: 53 });
    expect(m.receive(connected)).toBe('EAGAIN');
    second.events.failed(errno.ECONNREFUSED);
    expect(m.send(connected, 'hi')).toBe('ECONNREFUSED');
    m.call('close', connected);
    expect(second.closed).toBe(true);
  });

  it("reach a name server on the host's loopback, unless the guest has its own there", () => {
    const m = new NetMachine(new FakeHostNetwork());
    const fd = m.socket(AF_INET, DGRAM | NONBLOCK);
    expect(m.try('sendto', fd, BUFFER, 3, 0, ...m.putAddress('127.0.0.53', 53))).toBe(3);
    expect(m.network!.datagrams.length).toBe(1);
    expect(m.try('sendto', fd, BUFFER, 3, 0, ...m.putAddress('127.0.0.53', 54))).toBe(3);
    expect(m.try('sendto', fd, BUFFER, 3, 0, ...m.putAddress('127.0.0.1', 53))).toBe(3);
    expect(m.network!.datagrams[0]!.sent.length).toBe(1);
    const own = m.socket(AF_INET, DGRAM | NONBLOCK);
    expect(m.try('bind', own, ...m.putAddress('127.0.0.53', 53))).toBe(0);
    expect(m.try('sendto', fd, BUFFER, 3, 0, ...m.putAddress('127.0.0.53', 53))).toBe(3);
    expect(m.poll(own) & POLLIN).toBe(POLLIN);
  });

  it('stop at the send buffer until the host has sent', async () => {
    const m = new NetMachine(new FakeHostNetwork());
    const fd = m.socket(AF_INET, DGRAM | NONBLOCK);
    m.try('connect', fd, ...m.putAddress('192.0.2.2', 53));
    let n = 0;
    while (m.try('sendto', fd, BUFFER, 10_000, 0, 0, 0) === 10_000) n++;
    expect(n).toBe(20);
    expect(m.poll(fd) & POLLOUT).toBe(0);
    m.call('fcntl', fd, 4, 0);
    const sending = m.callAsync('sendto', fd, BUFFER, 1, 0, 0, 0);
    expect(await isPending(sending)).toBe(true);
    m.network!.datagrams[0]!.events.sent(10_000);
    expect(named(await sending)).toBe(1);
  });

  it('come in by published ports and are answered from there', async () => {
    const network = new FakeHostNetwork([publish(5353, 53, 'udp')]);
    const m = new NetMachine(network);
    const fd = m.socket(AF_INET, DGRAM | NONBLOCK);
    expect(await m.tryAsync('bind', fd, ...m.putAddress('0.0.0.0', 53))).toBe(0);
    const [host] = network.datagrams;
    host!.events.message(Buffer.from('query'), peer);
    expect(m.receive(fd)).toBe("'query'");
    m.mem.copyOut(BUFFER, Buffer.from('reply'));
    m.try('sendto', fd, BUFFER, 5, 0, ...m.putAddress(peer.address, peer.port));
    expect(host!.sent).toEqual([{ data: 'reply', to: peer }]);
    m.call('close', fd);
    expect(host!.closed).toBe(true);
  });
});
