import { describe, expect, it } from 'vitest';
import { SIGPIPE, SIGUSR1 } from '../../../src/kernel/abi/signals.ts';
import {
  O_DIRECT,
  O_NONBLOCK,
  O_RDONLY,
  O_RDWR,
  O_WRONLY,
  POLLERR,
  POLLHUP,
  POLLIN,
  POLLOUT,
} from '../../../src/kernel/fs/open-file.ts';
import { createPipe, getPipeSize, openFifo, type PipeEnd, setPipeSize } from '../../../src/kernel/fs/pipe.ts';
import { sendSignal } from '../../../src/kernel/signals/send.ts';
import { BAD, bytes, DATA, Fixture, isPending, named, settle } from '../io/fixture.ts';

const read = (f: Fixture, end: PipeEnd, length: number): { dst: Uint8Array; result: Promise<number | string> } => {
  const dst = new Uint8Array(length);
  return { dst, result: named(() => end.read(f.task, dst, null)) };
};
const write = (f: Fixture, end: PipeEnd, data: Uint8Array): Promise<number | string> =>
  named(() => end.write(f.task, data, null));

describe('pipe', () => {
  it('passes bytes in order and reports end of file when the last writer closes', async () => {
    const f = new Fixture();
    const [r, w] = createPipe();
    expect(await write(f, w, bytes('hello '))).toBe(6);
    expect(await write(f, w, bytes('world'))).toBe(5);
    const first = read(f, r, 8);
    expect(await first.result).toBe(8);
    expect(Buffer.from(first.dst).toString()).toBe('hello wo');
    w.ref();
    w.unref();
    expect(await read(f, r, 8).result).toBe(3);
    w.unref();
    expect(await read(f, r, 8).result).toBe(0);
    expect(r.poll()).toBe(POLLHUP);
  });

  it('waits for data, and for the reader to make room', async () => {
    const f = new Fixture();
    const [r, w] = createPipe();
    const waiting = read(f, r, 4);
    expect(await isPending(waiting.result)).toBe(true);
    await write(f, w, bytes('ab'));
    expect(await waiting.result).toBe(2);
    const big = write(f, w, new Uint8Array(100_000).fill(7));
    expect(await isPending(big)).toBe(true);
    let got = 0;
    while (got < 100_000) {
      const n = await read(f, r, 30_000).result;
      got += n as number;
    }
    expect(await big).toBe(100_000);
    expect(got).toBe(100_000);
  });

  it('holds 64 KiB by default and can be resized', async () => {
    const f = new Fixture();
    const [r, w] = createPipe(O_NONBLOCK);
    expect(await write(f, w, new Uint8Array(70_000))).toBe(65_536);
    expect(await write(f, w, new Uint8Array(1))).toBe('EAGAIN');
    expect(w.poll() & POLLOUT).toBe(0);
    expect(getPipeSize(r)).toBe(65_536);
    expect(() => setPipeSize(f.task, r, 4096)).toThrow(expect.objectContaining({ errno: 16 }));
    expect(setPipeSize(f.task, w, 70_000)).toBe(131_072);
    expect(await write(f, w, new Uint8Array(10_000))).toBe(10_000);
    expect(() => setPipeSize(f.task, w, 4 << 20)).toThrow(expect.objectContaining({ errno: 1 }));
    expect(() => setPipeSize(f.task, w, 0xffff_ffff)).toThrow(expect.objectContaining({ errno: 22 }));
  });

  it('writes PIPE_BUF bytes as a whole or not at all', async () => {
    const f = new Fixture();
    const [r, w] = createPipe(O_NONBLOCK);
    expect(await write(f, w, new Uint8Array(65_536 - 4096 + 1))).toBe(61_441);
    // The last page holds one byte: 4096 do not fit into it, and no page is free.
    expect(await write(f, w, new Uint8Array(4096))).toBe('EAGAIN');
    expect(await write(f, w, new Uint8Array(4095))).toBe(4095);
    expect(await write(f, w, new Uint8Array(1))).toBe('EAGAIN');
    // POLLOUT needs a free page.
    expect(await read(f, r, 4095).result).toBe(4095);
    expect(w.poll()).toBe(0);
    expect(await read(f, r, 1).result).toBe(1);
    expect(w.poll() & POLLOUT).toBe(POLLOUT);
  });

  it('raises SIGPIPE and EPIPE without a reader', async () => {
    const f = new Fixture();
    const [r, w] = createPipe();
    const blocked = write(f, w, new Uint8Array(70_000));
    await settle();
    r.unref();
    // What had been written counts; the signal is sent all the same.
    expect(await blocked).toBe(65_536);
    expect(f.task.signals.set.has(SIGPIPE)).toBe(true);
    f.task.signals.take(SIGPIPE);
    expect(await write(f, w, bytes('x'))).toBe('EPIPE');
    expect(f.task.signals.set.has(SIGPIPE)).toBe(true);
    expect(w.poll() & POLLERR).toBe(POLLERR);
    expect(await write(f, w, new Uint8Array(0))).toBe(0);
  });

  it('is interrupted by signals', async () => {
    const f = new Fixture();
    const [r, w] = createPipe();
    const waiting = read(f, r, 4);
    await settle();
    sendSignal(f.task, SIGUSR1);
    expect(await waiting.result).toBe('ERESTARTSYS');
    f.task.signals.take(SIGUSR1);
    const blocked = write(f, w, new Uint8Array(70_000));
    await settle();
    sendSignal(f.task, SIGUSR1);
    expect(await blocked).toBe(65_536);
  });

  it('keeps packets apart with O_DIRECT', async () => {
    const f = new Fixture();
    const [r, w] = createPipe(O_DIRECT);
    await write(f, w, bytes('one'));
    await write(f, w, bytes('second'));
    expect(await read(f, r, 100).result).toBe(3);
    expect(await read(f, r, 2).result).toBe(2);
    await write(f, w, bytes('3'));
    const last = read(f, r, 100);
    expect(await last.result).toBe(1);
    expect(last.dst[0]).toBe(0x33);
  });
});

describe('FIFO', () => {
  it('opens when the other end comes', async () => {
    const f = new Fixture();
    const key = {};
    const reader = openFifo(key, O_RDONLY, f.task) as Promise<PipeEnd>;
    expect(await isPending(reader)).toBe(true);
    const writer = openFifo(key, O_WRONLY, f.task) as PipeEnd;
    const r = await reader;
    await write(f, writer, bytes('hi'));
    expect(await read(f, r, 9).result).toBe(2);
    writer.unref();
    expect(await read(f, r, 9).result).toBe(0);
  });

  it('does not wait with O_NONBLOCK or O_RDWR', () => {
    const f = new Fixture();
    const key = {};
    expect(() => openFifo(key, O_WRONLY | O_NONBLOCK, f.task)).toThrow(expect.objectContaining({ errno: 6 }));
    const r = openFifo(key, O_RDONLY | O_NONBLOCK, f.task) as PipeEnd;
    // No writer has been there yet: end of file, but no hang-up.
    expect(r.poll()).toBe(0);
    expect(r.read(f.task, new Uint8Array(4), null)).toBe(0);
    const w = openFifo(key, O_WRONLY | O_NONBLOCK, f.task) as PipeEnd;
    w.unref();
    expect(r.poll()).toBe(POLLHUP);
    r.unref();
    const both = openFifo({}, O_RDWR, f.task) as PipeEnd;
    expect(both.write(f.task, bytes('x'), null)).toBe(1);
    expect(both.poll() & (POLLIN | POLLOUT)).toBe(POLLIN | POLLOUT);
  });

  it('gives up waiting at a signal', async () => {
    const f = new Fixture();
    const key = {};
    const opening = named(async () => {
      await openFifo(key, O_WRONLY, f.task);
      return 0;
    });
    await settle();
    sendSignal(f.task, SIGUSR1);
    expect(await opening).toBe('ERESTARTSYS');
    expect(() => openFifo(key, O_WRONLY | O_NONBLOCK, f.task)).toThrow();
  });
});

describe('pipe2', () => {
  it('installs two descriptors and undoes it on EFAULT', async () => {
    const f = new Fixture();
    expect(await f.call('pipe2', DATA, 0x8_0000)).toBe(0);
    const [r, w] = [f.mem.readI32(DATA), f.mem.readI32(DATA + 4)];
    expect([r, w]).toEqual([0, 1]);
    expect(f.task.files.getCloexec(r)).toBe(true);
    expect(f.task.files.get(w).stat().mode).toBe(0o10600);
    expect(f.task.files.get(r).path).toMatch(/^pipe:\[\d+\]$/);
    expect(await f.call('pipe2', BAD, 0)).toBe('EFAULT');
    expect(f.task.files.tryGet(2)).toBe(null);
    expect(await f.call('pipe2', DATA, 1)).toBe('EINVAL');
  });

  it('takes AArch64 O_DIRECT by its own value', async () => {
    const f = new Fixture({ isa: 'aarch64' });
    expect(await f.call('pipe2', DATA, 0o200000)).toBe(0);
    expect(f.task.files.get(0).flags & O_DIRECT).toBe(O_DIRECT);
    expect(await f.call('pipe2', DATA, O_DIRECT)).toBe('EINVAL');
  });

  it('counts waiting bytes with FIONREAD', async () => {
    const f = new Fixture();
    const [r, w] = await f.pipe();
    f.task.files.get(w).write(f.task, bytes('12345'), null);
    f.task.files.get(r).ioctl(f.task, 0x541b, DATA);
    expect(f.mem.readU32(DATA)).toBe(5);
  });
});
