/** A kernel with processes whose calls a test makes by handing arguments to the rows' handlers. */
import { errnoName, SysError } from '../../../src/kernel/abi/errno.ts';
import { FsContext } from '../../../src/kernel/fs/fs-context.ts';
import type { OpenFile } from '../../../src/kernel/fs/open-file.ts';
import { Tmpfs } from '../../../src/kernel/fs/tmpfs.ts';
import { Vfs } from '../../../src/kernel/fs/vfs.ts';
import { Kernel, type KernelOptions } from '../../../src/kernel/kernel.ts';
import { PROT_EXEC, PROT_READ, PROT_WRITE } from '../../../src/kernel/mm/guest-memory.ts';
import { epollRows } from '../../../src/kernel/syscalls/epoll.ts';
import { eventfdRows } from '../../../src/kernel/syscalls/eventfd.ts';
import { pipeRows } from '../../../src/kernel/syscalls/pipe.ts';
import { pollRows } from '../../../src/kernel/syscalls/poll.ts';
import type { CpuContext, Isa } from '../../../src/kernel/task/cpu-context.ts';
import { Credentials } from '../../../src/kernel/task/credentials.ts';
import { GuestTask } from '../../../src/kernel/task/guest-task.ts';
import { Process } from '../../../src/kernel/task/process.ts';
import { SignalHandlers, PendingSignals } from '../../../src/kernel/signals/state.ts';
import { FakeGuestMemory } from '../mm/fake-guest-memory.ts';

export const DATA = 0x10_0000;
export const CODE = 0x40_0000;
export const STACK = 0x80_0000;
/** Not mapped. */
export const BAD = 0x5000_0000;

const rows = [...pipeRows, ...pollRows, ...epollRows, ...eventfdRows];

/** Enough of a CPU for calls that only look at the ISA. */
const fakeCpu = (isa: Isa): CpuContext =>
  ({ isa, pc: CODE, sp: STACK, tls: 0, gsBase: 0, fpStateSize: 512 }) as CpuContext;

export interface FixtureInit {
  isa?: Isa;
  cred?: Credentials;
  options?: Partial<KernelOptions>;
  stdio?: (OpenFile | null)[];
}

export class Fixture {
  readonly kernel: Kernel;
  readonly task: GuestTask;
  readonly vfs = new Vfs(new Tmpfs());

  constructor(init: FixtureInit = {}) {
    this.kernel = new Kernel({
      host: {
        monotonic: () => {
          const ms = 5_000_000 + performance.now();
          return [Math.floor(ms / 1000), Math.round((ms % 1000) * 1e6)];
        },
        realtime: () => [1_700_000_000, 0],
        cpuTime: () => [1, 500_000_000],
        randomFill: (dst) => {
          dst.fill(0xa5);
        },
        memoryTotal: 1 << 30,
        diagnostic: () => undefined,
      },
      vfs: this.vfs,
      options: { pid: 100, ppid: 50, hostname: 'box', ...init.options },
      createMemory: () => new FakeGuestMemory(0x100_0000),
    });
    this.task = this.kernel.spawnInit({
      cpu: () => fakeCpu(init.isa ?? 'x86_64'),
      fs: new FsContext(this.vfs.root),
      stdio: init.stdio ?? [],
      cred: init.cred ?? new Credentials(1000, 1000, [1000, 27]),
      comm: 'test',
    });
    const { mm } = this.task;
    mm.mapAnonymous(DATA, DATA + 0x1_0000, PROT_READ | PROT_WRITE);
    mm.mapAnonymous(CODE, CODE + 0x1000, PROT_READ | PROT_EXEC);
    mm.mapAnonymous(STACK - 0x1_0000, STACK, PROT_READ | PROT_WRITE, '[stack]');
  }

  get mem() {
    return this.task.mem;
  }

  /** A child with one thread, sharing memory and descriptors. */
  child(): GuestTask {
    const { kernel, task } = this;
    const process = new Process(kernel, kernel.allocPid(), task.process, task.process.pid);
    kernel.processes.set(process.pid, process);
    const { cpu, mm, mem, files, fs, cred } = task;
    return new GuestTask(kernel, process, process.pid, {
      cpu,
      mm,
      mem,
      files,
      fs,
      cred: cred.clone(),
      sighand: new SignalHandlers(),
      signals: new PendingSignals(),
      comm: 'child',
    });
  }

  /** The result of a call, failures by name: `'EINVAL'`. */
  async call(name: string, ...args: number[]): Promise<number | string> {
    const row = rows.find((r) => r.name === name);
    if (!row?.handler) throw new Error(`no row ${name}`);
    return named(() => row.handler!(this.task, ...args));
  }

  /** Two descriptors. */
  async pipe(flags = 0): Promise<[number, number]> {
    const result = await this.call('pipe2', DATA, flags);
    if (result !== 0) throw new Error(String(result));
    return [this.mem.readI32(DATA), this.mem.readI32(DATA + 4)];
  }
}

export async function named(act: () => number | Promise<number>): Promise<number | string> {
  try {
    const n = await act();
    return n < 0 ? errnoName(-n) : n;
  } catch (e) {
    if (e instanceof SysError) return errnoName(e.errno);
    throw e;
  }
}

export const bytes = (text: string): Uint8Array => Buffer.from(text, 'latin1');

/** Everything that is already due on the event loop has run. */
export const settle = (): Promise<void> => new Promise((resolve) => setImmediate(() => setImmediate(resolve)));

/** Whether a promise is settled by now. */
export async function isPending(promise: Promise<unknown>): Promise<boolean> {
  await settle();
  const mark = {};
  return (await Promise.race([promise.catch(() => undefined), Promise.resolve(mark)])) === mark;
}
