/**
 * A fuzzer for the whole system-call table: seeded random numbers and arguments on a kernel whose files are in memory.
 * What it looks for: exceptions inside handlers, results no call may have, and calls that a signal cannot end.
 */
import { SIGALRM, SIGCONT, SIGUSR1 } from '../../../src/kernel/abi/signals.ts';
import { DevFs } from '../../../src/kernel/fs/devfs.ts';
import { ProcFs } from '../../../src/kernel/fs/procfs/index.ts';
import { Tmpfs } from '../../../src/kernel/fs/tmpfs.ts';
import { Vfs } from '../../../src/kernel/fs/vfs.ts';
import { sendSignal } from '../../../src/kernel/signals/send.ts';
import { SigSet } from '../../../src/kernel/signals/sigset.ts';
import { dispatchSyscall } from '../../../src/kernel/syscalls/dispatch.ts';
import type { Arg, SyscallRow } from '../../../src/kernel/syscalls/row.ts';
import { EXEC_DONE } from '../../../src/kernel/syscalls/row-results.ts';
import { syscallName, syscallRows } from '../../../src/kernel/syscalls/table.ts';
import { Credentials } from '../../../src/kernel/task/credentials.ts';
import { BAD, DATA, DATA_SIZE, HANDLER, Machine, RESTORER, RODATA, STACK_TOP } from './harness.ts';

/** Calls that are not made, and why. */
export const skipped: Readonly<Record<string, string>> = {
  exit: 'ends the process, as it should',
  exit_group: 'ends the process, as it should',
};

export interface FuzzReport {
  calls: number;
  /** Calls that had to be ended by a signal. */
  interrupted: number;
  /** Processes killed by what their calls did (a bad signal frame, an alarm). */
  killed: number;
  /** Calls by name that ended without an error. */
  succeeded: Map<string, number>;
  /** What is wrong, one line each. */
  findings: string[];
}

/** Mulberry32: 32 random bits a call. */
export function random(seed: number): () => number {
  let a = seed >>> 0;
  return () => {
    a = (a + 0x6d2b79f5) >>> 0;
    let t = Math.imul(a ^ (a >>> 15), a | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return (t ^ (t >>> 14)) >>> 0;
  };
}

const PATHS = [
  '/',
  '/tmp',
  '/tmp/f',
  '/tmp/d',
  '/tmp/d/x',
  'f',
  '.',
  '..',
  '',
  '/dev/null',
  '/dev/zero',
  '/proc/self/maps',
  '/proc/self/fd/3',
  '/proc/1/../self/status',
  '/tmp/link',
  '/nonexistent/x',
  'a'.repeat(300),
  '/tmp/\xff\xfe',
];

const PAGES = [0, DATA, DATA + 4096, DATA + 0x8000, 0x60_0000, 0x100_0000, 0x4000_0000, 0xefff_f000];
const LENGTHS = [1, 4096, 8192, 0x1_0000, 1 << 20, 32 << 20, 2 ** 31];
const SMALL = [0, 0, 1, 2, 100, 4096, 10_000];

/** Arguments for calls that need several of them to fit together. */
const goodArguments: Readonly<Record<string, readonly (readonly number[])[]>> = {
  mmap: [
    PAGES,
    LENGTHS,
    [0, 1, 3, 5, 7],
    [0x22, 0x21, 0x02, 0x01, 0x32, 0x8022, 0x10_0032, 0x4022],
    [-1, 1, 8, 9],
    [0, 0, 4096],
  ],
  mremap: [PAGES, LENGTHS, LENGTHS, [0, 1, 3, 5], PAGES],
  mprotect: [PAGES, LENGTHS, [0, 1, 3, 5, 7]],
  munmap: [PAGES, LENGTHS],
  madvise: [PAGES, LENGTHS, [0, 1, 2, 3, 4, 8, 9, 10, 14, 18, 21]],
  msync: [PAGES, LENGTHS, [1, 2, 4, 6]],
  mincore: [PAGES, LENGTHS.slice(0, 4), [DATA]],
  brk: [[0, 0x300_0000, 0x310_0000, 0x2f0_0000, 2 ** 40]],
  fallocate: [[1, 8], [0, 1, 3, 0x10, 0x20], SMALL, SMALL],
  copy_file_range: [[1, 8], [0], [1, 8], [0], SMALL, [0]],
  splice: [[1, 2, 3, 8], [0], [1, 2, 3, 8], [0], SMALL, [0, 2]],
  tee: [[2], [3], SMALL, [2]],
  vmsplice: [[3], [DATA], [0, 1, 4], [0, 2]],
  sendfile: [[1, 3, 8, 10], [1, 8, 9], [0], SMALL],
  epoll_ctl: [[5], [1, 2, 3], [0, 2, 3, 4, 6, 8, 9], [DATA]],
  epoll_wait: [[5], [DATA], [1, 10], [0, 1, -1]],
  ioctl: [[0, 1, 2, 4, 6, 9], [0x5401, 0x5413, 0x5421, 0x541b, 0x5451, 0x5452, 0x4004_6601], [DATA]],
  fcntl: [
    [0, 1, 2, 8],
    [0, 1, 2, 3, 4, 5, 6, 7, 36, 37, 38, 1030, 1031, 1032, 1033, 1034],
    [0, 1, 0x800, DATA],
  ],
  futex: [
    [DATA, DATA + 4, DATA + 64],
    [0, 1, 3, 4, 5, 9, 10, 128, 129, 137],
    [0, 1, 2],
    [0, 0, DATA],
    [DATA + 8, DATA + 64],
    [0, 1, -1],
  ],
  getdents64: [[0], [DATA], [0, 24, 100, 4096]],
  unlinkat: [[0, -100], [DATA], [0, 0x200]],
  timer_settime: [[0, 1], [0, 1], [DATA], [0, DATA]],
  lseek: [
    [0, 1, 8],
    [0, -1, 100, 2 ** 40],
    [0, 1, 2, 3, 4],
  ],
  rt_sigaction: [[10, 11, 14, 17], [0, DATA], [0, DATA + 64], [8]],
};

/** Makes `count` calls. `trace` gets each one before it is made, for reproducing a crash. */
export async function fuzzSyscalls(
  seed: number,
  count: number,
  options: { only?: readonly string[]; trace?: (line: string) => void } = {},
): Promise<FuzzReport> {
  const rnd = random(seed);
  const below = (n: number): number => rnd() % n;
  const pick = <T>(list: readonly T[]): T => list[below(list.length)]!;
  const rows = syscallRows.filter(
    (r) => r.x86_64 !== null && r.handler && !skipped[r.name] && (!options.only || options.only.includes(r.name)),
  );
  const report: FuzzReport = { calls: 0, interrupted: 0, killed: 0, succeeded: new Map(), findings: [] };

  /** Half of the calls are careful: all arguments fit, so that they get past the first checks. */
  let careful = false;
  const pointer = (): number => {
    if (careful && below(16) !== 0) return DATA + below(DATA_SIZE / 8 - 64) * 8;
    switch (below(8)) {
      case 0:
        return 0;
      case 1:
        return BAD + below(3);
      case 2:
        return RODATA + below(4096);
      case 3:
        return DATA + DATA_SIZE - below(40);
      case 4:
        return pick([0xefff_fff0, 0xf000_0000, 0xffff_ffff, 2 ** 47, 1, 4095]);
      default:
        return DATA + below(DATA_SIZE / 8) * 8;
    }
  };
  const wild = (): number | bigint => {
    switch (below(10)) {
      case 0:
        return 0;
      case 1:
        return -1;
      case 2:
        return below(16);
      case 3:
        return 1 << below(32);
      case 4:
        return rnd();
      case 5:
        return (BigInt(rnd()) << 32n) | BigInt(rnd());
      case 6:
        return pick([
          0x7fff_ffff,
          0x8000_0000,
          0xffff_ffff,
          0x7fff_ffff_ffff_ffffn,
          0x8000_0000_0000_0000n,
          4096,
          65536,
          -4096,
          -100,
        ]);
      case 7:
        return below(4096) * 4096;
      default:
        return pointer();
    }
  };
  const path = (m: Machine): number => {
    if (!careful && below(6) === 0) return pointer();
    const at = DATA + 0x8000 + below(16) * 512;
    if (m.mem.accessible(at, 512, 3) === 512) m.cString(pick(PATHS), at);
    return at;
  };
  /** An argument of the row's own kind. */
  const fitting = (m: Machine, arg: Arg): number | bigint => {
    switch (arg.kind) {
      case 'fd':
        return below(careful ? 10 : 20);
      case 'dirfd':
        return pick([-100, 0, 0, below(20)]);
      case 'path':
      case 'string':
        return path(m);
      case 'size':
        return pick([0, 1, 8, below(64), below(4096), below(100_000), 2 ** 31, -1]);
      case 'off':
        return pick([0, 1, below(100_000), -1, 4096, 2 ** 33]);
      case 'signal':
        return below(66);
      case 'pid':
        return pick([0, m.task.tid, -1, 1, below(1000), -m.task.tid]);
      case 'mode':
      case 'octal':
        return below(0o10000);
      case 'flags': {
        const values = Object.values(arg.names ?? {});
        if (values.length === 0) return wild();
        return below(2) ? pick(values) : pick(values) | pick(values) | pick(values);
      }
      case 'int':
      case 'uint':
      case 'long':
      case 'ulong':
      case 'hex':
        return careful || below(2) ? below(24) : wild();
      default:
        return pointer();
    }
  };

  let m = await newMachine();
  for (let n = 0; n < count; n++) {
    if (n % 250 === 249 || m.mem.accessible(DATA, DATA_SIZE, 3) < DATA_SIZE) {
      await retire(m);
      m = await newMachine();
    }
    careful = below(2) === 0;
    if (below(4) === 0) scribble(m, rnd, pointer);
    const row: SyscallRow | null = below(12) === 0 ? null : pick(rows);
    const nr = row ? row.x86_64! : pick([below(512), rnd(), 0x4000_0000 | below(512), -1]) >>> 0;
    const name = syscallName('x86_64', nr);
    if (skipped[name] || (!row && options.only)) continue;
    const good = careful ? goodArguments[name] : undefined;
    const args = Array.from({ length: 6 }, (_, i) => {
      if (good?.[i] && below(20) !== 0) return pick(good[i]);
      const arg = row?.args[i];
      return arg && (careful || below(3)) ? fitting(m, arg) : wild();
    });
    const line = `#${n} ${name}(${args.map((a) => (typeof a === 'number' && a < 0 ? a : `0x${a.toString(16)}`)).join(', ')})`;
    options.trace?.(line);
    report.calls++;
    m.load(nr, args);
    const errorsBefore = m.kernel.stats.internalErrors;
    const result = await settle(m, report, line);
    if (m.kernel.stats.internalErrors > errorsBefore) report.findings.push(`${line}: ${m.host.lines.at(-1)}`);
    if (result === null) {
      m = await newMachine();
      continue;
    }
    if (!Number.isInteger(result) || (result < 0 && result < -4095 && result !== EXEC_DONE)) {
      report.findings.push(`${line}: result ${result}`);
    }
    if (result >= 0) report.succeeded.set(name, (report.succeeded.get(name) ?? 0) + 1);
    if (!backToUser(m, report, line)) m = await newMachine();
  }
  await retire(m);
  return report;
}

/** Random words in the data area: pointers, lengths and small numbers, as structures have them. */
function scribble(m: Machine, rnd: () => number, pointer: () => number): void {
  if (m.mem.accessible(DATA, DATA_SIZE, 3) < DATA_SIZE) return;
  for (let i = 0; i < 64; i++) {
    const at = DATA + (rnd() % (DATA_SIZE / 8)) * 8;
    const kind = rnd() % 4;
    m.mem.writeU64(at, kind === 0 ? pointer() : kind === 1 ? rnd() % 16 : kind === 2 ? rnd() : 0);
  }
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** Makes the call; one that waits is given some turns of the event loop and then a signal. Null when it cannot be ended. */
async function settle(m: Machine, report: FuzzReport, line: string): Promise<number | null> {
  const made = dispatchSyscall(m.task);
  if (typeof made === 'number') return made;
  let result: number | null = null;
  void made.then((r) => {
    result = r;
  });
  const settled = (): boolean => result !== null;
  for (let i = 0; i < 3 && !settled(); i++) await turn();
  if (settled()) return result;
  report.interrupted++;
  catchSignal(m);
  m.task.signals.blocked = new SigSet();
  sendSignal(m.task, SIGUSR1);
  // It may have been pending, and blocked.
  m.task.signalArrived();
  // File work on the host's side may need more than a turn; nothing else may.
  for (let i = 0; i < 200 && !settled(); i++) await turn();
  if (!settled()) report.findings.push(`${line}: a signal does not end it`);
  return result;
}

function catchSignal(m: Machine): void {
  m.task.sighand.set(SIGUSR1, { handler: HANDLER, flags: 0x0400_0000, restorer: RESTORER, mask: new SigSet() });
}

/** What the runtime does after a call. False when the process is gone. */
function backToUser(m: Machine, report: FuzzReport, line: string): boolean {
  m.cpu.pc = 0x40_1000;
  for (let i = 0; i < 10; i++) {
    let action: ReturnType<Machine['toUserMode']>;
    try {
      action = m.toUserMode();
    } catch (e) {
      report.findings.push(`${line}: going back to user mode: ${(e as Error).stack}`);
      return false;
    }
    if (action.kind === 'continue') {
      // A handler "returns" by the stack pointer alone; every call starts from a fresh frame.
      m.cpu.sp = STACK_TOP - 0x1000;
      return true;
    }
    if (action.kind === 'exit') {
      report.killed++;
      return false;
    }
    sendSignal(m.task.process, SIGCONT);
  }
  report.findings.push(`${line}: stays stopped`);
  return false;
}

async function newMachine(): Promise<Machine> {
  const vfs = new Vfs(new Tmpfs({ limit: 16 << 20, mode: 0o755 }));
  const m = new Machine({
    vfs,
    fs: vfs.newContext(),
    cred: new Credentials(1000, 1000, [1000]),
    memorySize: 0xf000_0000,
    options: { memoryLimit: 64 << 20 },
  });
  m.task.process.sid = m.task.process.pid;
  const { cred } = m.task;
  m.task.cred = new Credentials(0, 0);
  await setUp(m, vfs);
  m.task.cred = cred;
  catchSignal(m);
  // An alarm that was set must not make the outcome depend on how fast the test runs.
  m.task.sighand.set(SIGALRM, { handler: 1, flags: 0, restorer: 0, mask: new SigSet() });
  return m;
}

/** A small tree, and descriptors 0 to 9 of every kind. */
async function setUp(m: Machine, vfs: Vfs): Promise<void> {
  const call = async (name: string, ...args: number[]): Promise<number> => {
    const r = await m.callAsync(name, ...args);
    if (r < 0) throw new Error(`${name}: ${r}`);
    return r;
  };
  await call('umask', 0);
  for (const dir of ['/tmp', '/tmp/d', '/dev', '/proc']) await call('mkdir', m.cString(dir), 0o777);
  vfs.mount(new DevFs(), '/dev');
  const proc = new ProcFs();
  proc.kernel = m.kernel;
  vfs.mount(proc, '/proc');
  await call('chmod', m.cString('/tmp'), 0o1777);
  await call('open', m.cString('/tmp'), 0o200000);
  const file = await call('open', m.cString('/tmp/f'), 0o102, 0o666);
  await call('write', file, RODATA, 1000);
  await call('symlink', m.cString('/tmp/f'), m.cString('/tmp/link', DATA + 256));
  await call('chdir', m.cString('/tmp'));
  await call('pipe2', DATA, 0);
  await call('eventfd2', 0, 0);
  await call('epoll_create1', 0);
  await call('timerfd_create', 1, 0);
  await call('memfd_create', m.cString('m'), 0);
  await call('open', m.cString('/dev/zero'), 2);
  await call('open', m.cString('/dev/null'), 2);
}

/** Ends the process, so that its timers and waits end. */
async function retire(m: Machine): Promise<void> {
  m.task.process.exitGroup({ kind: 'exited', code: 0 });
  m.toUserMode();
  await turn();
}
