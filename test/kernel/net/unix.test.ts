import { describe, expect, it } from 'vitest';
import { createPipe, type PipeEnd } from '../../../src/kernel/fs/pipe.ts';
import { isPending } from '../io/fixture.ts';
import { named } from '../syscalls/harness.ts';
import { AF_UNIX, BUFFER, DGRAM, NetMachine, NONBLOCK, STREAM } from './fake-host.ts';

/** struct msghdr with one descriptor in its control message, at BUFFER + 0x400. */
function putMessage(m: NetMachine, fd: number, text: string): number {
  const at = BUFFER + 0x400;
  const iov = at + 64;
  const control = at + 128;
  const data = at + 256;
  m.mem.copyOut(at, new Uint8Array(256));
  m.mem.copyOut(data, Buffer.from(text));
  m.mem.writeU64(iov, data);
  m.mem.writeU64(iov + 8, text.length);
  m.mem.writeU64(control, 20);
  m.mem.writeU32(control + 8, 1);
  m.mem.writeU32(control + 12, 1);
  m.mem.writeU32(control + 16, fd);
  m.mem.writeU64(at + 16, iov);
  m.mem.writeU64(at + 24, 1);
  m.mem.writeU64(at + 32, control);
  m.mem.writeU64(at + 40, 24);
  return at;
}

function pair(m: NetMachine, type: number): [number, number] {
  expect(m.call('socketpair', AF_UNIX, type, 0, BUFFER)).toBe(0);
  return [m.mem.readI32(BUFFER), m.mem.readI32(BUFFER + 4)];
}
const install = (m: NetMachine, end: PipeEnd): number => m.task.files.install(end);

describe('AF_UNIX sockets', () => {
  it('keep a descriptor that is under way open, and close it when nobody takes it', () => {
    const m = new NetMachine();
    const [a, b] = pair(m, STREAM | NONBLOCK);
    const [reader, writer] = createPipe();
    const fd = install(m, writer);
    expect(m.try('sendmsg', a, putMessage(m, fd, 'x'), 0)).toBe(1);
    m.call('close', fd);
    expect(reader.pipe.writers).toBe(1);
    m.call('close', b);
    expect(reader.pipe.writers).toBe(0);
  });

  it('drop the descriptors of a message that could not be sent', () => {
    const m = new NetMachine();
    const [a, b] = pair(m, DGRAM | NONBLOCK);
    m.call('close', b);
    const [reader, writer] = createPipe();
    const fd = install(m, writer);
    expect(m.try('sendmsg', a, putMessage(m, fd, 'x'), 0)).toBe('ECONNREFUSED');
    m.call('close', fd);
    expect(reader.pipe.writers).toBe(0);
  });

  it('have names in the file system with its permissions', () => {
    const m = new NetMachine();
    const s = m.socket(AF_UNIX, DGRAM);
    expect(m.try('bind', s, ...m.putUnix('/missing/s'))).toBe('ENOENT');
    expect(m.try('bind', s, ...m.putUnix('/s'))).toBe(0);
    const c = m.socket(AF_UNIX, DGRAM | NONBLOCK);
    expect(m.try('connect', c, ...m.putUnix('/s'))).toBe(0);
    expect(m.try('chmod', m.cString('/s', BUFFER), 0)).toBe(0);
    expect(m.try('connect', c, ...m.putUnix('/s'))).toBe('EACCES');
    expect(m.try('open', m.cString('/s', BUFFER), 0)).toBe('ENXIO');
    m.call('chmod', m.cString('/s', BUFFER), 0o777);
    expect(m.try('rename', m.cString('/s', BUFFER), m.cString('/t', BUFFER + 64))).toBe(0);
    expect(m.try('connect', c, ...m.putUnix('/t'))).toBe(0);
    m.call('close', s);
    expect(m.send(c, 'x')).toBe('ECONNREFUSED');
    expect(m.try('connect', c, ...m.putUnix('/t'))).toBe('ECONNREFUSED');
  });

  it('wait for room and for the queue of a listener', async () => {
    const m = new NetMachine();
    const l = m.socket(AF_UNIX, STREAM | NONBLOCK);
    m.try('bind', l, ...m.putUnix('\0l'));
    m.try('listen', l, 0);
    expect(m.try('connect', m.socket(AF_UNIX, STREAM), ...m.putUnix('\0l'))).toBe(0);
    const late = m.callAsync('connect', m.socket(AF_UNIX, STREAM), ...m.putUnix('\0l'));
    expect(await isPending(late)).toBe(true);
    m.call('accept', l, 0, 0);
    expect(await late).toBe(0);

    const [a, b] = pair(m, STREAM);
    const big = m.callAsync('sendto', a, 0x10_0000, 0x1_0000, 0, 0, 0);
    expect(await big).toBe(0x1_0000);
    for (let i = 0; i < 2; i++) await m.callAsync('sendto', a, 0x10_0000, 0x1_0000, 0, 0, 0);
    const blocked = m.callAsync('sendto', a, 0x10_0000, 0x1_0000, 0, 0, 0);
    expect(await isPending(blocked)).toBe(true);
    // As on Linux, a sender that waits goes on when no more than a quarter of its buffer is in use.
    for (let i = 0; i < 3; i++) {
      expect(await isPending(blocked)).toBe(true);
      expect(m.call('recvfrom', b, 0x10_0000, 0x1_0000, 0, 0, 0)).toBe(0x1_0000);
    }
    expect(named(await blocked)).toBe(0x1_0000);
  });
});
