/** Random arguments for pipe, poll, select, epoll, eventfd and timerfd calls: errors, never a host exception, never a hang. */
import { describe, expect, it } from 'vitest';
import { SysError } from '../../../src/kernel/abi/errno.ts';
import { decodeArg } from '../../../src/kernel/syscalls/args.ts';
import { epollRows } from '../../../src/kernel/syscalls/epoll.ts';
import { eventfdRows } from '../../../src/kernel/syscalls/eventfd.ts';
import { pipeRows } from '../../../src/kernel/syscalls/pipe.ts';
import { pollRows } from '../../../src/kernel/syscalls/poll.ts';
import type { CpuContext } from '../../../src/kernel/task/cpu-context.ts';
import { BAD, DATA, Fixture } from '../io/fixture.ts';

const rows = [...pipeRows, ...pollRows, ...epollRows, ...eventfdRows];

/** xorshift32: the same numbers in every run. */
function randomizer(seed: number): () => number {
  let x = seed;
  return () => {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    return x >>> 0;
  };
}

const interesting = [
  0,
  1,
  2,
  3,
  4,
  7,
  8,
  64,
  255,
  1023,
  4096,
  0x7fff_ffff,
  0x8000_0000,
  0xffff_ffff,
  DATA,
  DATA + 1,
  DATA + 0xfff8,
  DATA + 0xffff,
  BAD,
  0xf000_0000,
];

describe('hostile arguments', () => {
  it('come to nothing worse than an error', async () => {
    const f = new Fixture();
    // Whatever would wait is interrupted.
    f.task.process.stopSignal = 19;
    const random = randomizer(20_240_601);
    const pick = (): number => (random() % 4 === 0 ? random() : interesting[random() % interesting.length]!);
    const results = new Set<string>();
    for (let i = 0; i < 6000; i++) {
      if (i % 100 === 0) {
        const fill = new Uint8Array(0x1_0000);
        for (let k = 0; k < fill.length; k += 4)
          fill.set([pick() & 255, random() % 8 ? 0 : 255, random() % 8 ? 0 : 3, random() % 8 ? 0 : 128], k);
        f.mem.copyOut(DATA, fill);
      }
      if (i % 500 === 0) f.task.files.closeAll();
      const row = rows[random() % rows.length]!;
      const regs = Array.from({ length: 6 }, () => [pick(), random() % 5 === 0 ? pick() : 0]);
      const cpu = { argLo: (n: number) => regs[n]![0]!, argHi: (n: number) => regs[n]![1]! } as CpuContext;
      const args = row.args.map((a, n) => decodeArg({ cpu, mm: f.task.mm }, n, a.kind));
      try {
        const result = await row.handler!(f.task, ...args);
        expect(Number.isInteger(result), `${row.name}(${args})`).toBe(true);
        results.add(result < 0 ? 'interrupted' : 'done');
      } catch (e) {
        if (!(e instanceof SysError)) throw new Error(`${row.name}(${args}): ${(e as Error).stack}`);
        results.add(e.message);
      }
    }
    f.task.files.closeAll();
    expect([...results]).toEqual(
      expect.arrayContaining(['done', 'interrupted', 'EINVAL', 'EFAULT', 'EBADF', 'ENOENT']),
    );
  });
});
