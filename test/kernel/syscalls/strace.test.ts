import { describe, expect, it } from 'vitest';
import { encodeTermios, defaultTermios } from '../../../src/kernel/fs/termios.ts';
import { dispatchSyscall } from '../../../src/kernel/syscalls/dispatch.ts';
import { Observer } from '../../../src/kernel/syscalls/observer.ts';
import { decoders } from '../../../src/kernel/syscalls/strace-decoders.ts';
import { CallFilter } from '../../../src/kernel/syscalls/strace-filter.ts';
import { sockaddr } from '../../../src/kernel/syscalls/strace-network.ts';
import { waitStatusText } from '../../../src/kernel/syscalls/strace-process.ts';
import { describeSyscalls, syscallTable } from '../../../src/kernel/syscalls/table.ts';
import { DATA, HANDLER, Machine, RESTORER } from './harness.ts';

const traced = (): { m: Machine; last: () => string; lines: string[] } => {
  const lines: string[] = [];
  const m = new Machine({ options: { strace: (line) => lines.push(line) } });
  return { m, lines, last: () => lines.at(-1)!.replace(/ +=/, ' =') };
};

describe('structures in traces', () => {
  it('belong to arguments that the rows have', () => {
    const rows = new Map([...syscallTable.x86_64, ...syscallTable.aarch64].filter(Boolean).map((r) => [r!.name, r!]));
    const wrong: string[] = [];
    for (const [name, { args }] of Object.entries(decoders)) {
      const known = rows.get(name)?.args.map((a) => a.name);
      for (const arg of Object.keys(args ?? {})) if (!known?.includes(arg)) wrong.push(`${name}: ${arg}`);
    }
    expect(wrong).toEqual([]);
  });

  it('show signals', () => {
    const { m, last } = traced();
    m.handle(10, 0x1000_0000, 2n);
    expect(last()).toBe(
      `rt_sigaction(SIGUSR1, {sa_handler=0x${HANDLER.toString(16)}, sa_mask=[INT], sa_flags=SA_RESTORER|SA_RESTART, sa_restorer=0x${RESTORER.toString(16)}}, NULL, 8) = 0`,
    );
    m.call('rt_sigaction', 10, 0, DATA, 8);
    expect(last()).toContain('rt_sigaction(SIGUSR1, NULL, {sa_handler=0x402000, sa_mask=[INT],');
    m.call('sigaltstack', 0, DATA);
    expect(last()).toBe('sigaltstack(NULL, {ss_sp=NULL, ss_flags=SS_DISABLE, ss_size=0}) = 0');
  });

  it('show descriptors, events and times', async () => {
    const { m, last } = traced();
    m.call('pipe2', DATA, 0);
    expect(last()).toBe('pipe2([0, 1], 0) = 0');
    m.mem.writeU32(DATA, 0);
    m.mem.writeU32(DATA + 4, 1);
    await m.callAsync('poll', DATA, 1, 0);
    expect(last()).toBe('poll([{fd=0, events=POLLIN}], 1, 0) = 0 (Timeout)');
    m.cString('x', DATA + 64);
    m.call('write', 1, DATA + 64, 1);
    await m.callAsync('poll', DATA, 1, 0);
    expect(last()).toBe('poll([{fd=0, events=POLLIN}], 1, 0) = 1 ([{fd=0, revents=POLLIN}])');
    m.mem.writeU64(DATA + 128, 3);
    m.mem.writeU64(DATA + 192, 0);
    m.mem.writeU64(DATA + 200, 0);
    await m.callAsync('select', 2, DATA + 128, 0, 0, DATA + 192);
    expect(last()).toBe('select(2, [0 1], NULL, NULL, {tv_sec=0, tv_usec=0}) = 1 (in [0])');
    const ep = m.call('epoll_create1', 0);
    m.mem.writeU32(DATA, 0x8000_0001);
    m.mem.writeU64(DATA + 4, 7);
    m.call('epoll_ctl', ep, 1, 0, DATA);
    expect(last()).toBe(`epoll_ctl(${ep}, EPOLL_CTL_ADD, 0, {events=EPOLLIN|EPOLLET, data={u32=7, u64=7}}) = 0`);
    m.call('epoll_wait', ep, DATA, 4, 0);
    expect(last()).toBe(`epoll_wait(${ep}, [{events=EPOLLIN, data={u32=7, u64=7}}], 4, 0) = 1`);
    m.call('clock_gettime', 0, DATA);
    expect(last()).toMatch(/^clock_gettime\(CLOCK_REALTIME, \{tv_sec=\d+, tv_nsec=\d+\}\) = 0$/);
    m.call('fcntl', 1, 3);
    expect(last()).toBe('fcntl(1, F_GETFL) = 1 (flags O_WRONLY)');
    m.call('ioctl', 0, 0x541b, DATA);
    expect(last()).toBe('ioctl(0, FIONREAD, [1]) = 0');
    m.mem.copyOut(DATA, encodeTermios(defaultTermios()));
    m.call('ioctl', 0, 0x5402, DATA);
    expect(last()).toContain(
      'ioctl(0, TCSETS, {c_iflag=0x4500, c_oflag=0x5, c_cflag=0xbf, c_lflag=0x8a3b /* isig icanon echo */, ...}) = -1',
    );
  });

  it('show addresses and how processes ended', () => {
    expect(sockaddr(Uint8Array.of(2, 0, 0, 80, 127, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0))).toBe(
      '{sa_family=AF_INET, sin_port=htons(80), sin_addr=inet_addr("127.0.0.1")}',
    );
    const v6 = new Uint8Array(28);
    v6.set([10, 0, 1, 187]);
    v6[23] = 1;
    expect(sockaddr(v6)).toBe('{sa_family=AF_INET6, sin6_port=htons(443), sin6_addr=inet_pton(AF_INET6, "::1")}');
    v6.set([0x20, 0x01, 0x0d, 0xb8], 8);
    expect(sockaddr(v6)).toContain('"2001:db8::1"');
    expect(sockaddr(Buffer.from('\x01\x00/tmp/s\0'))).toBe('{sa_family=AF_UNIX, sun_path="/tmp/s"}');
    expect(sockaddr(Buffer.from('\x01\x00\0name'))).toBe('{sa_family=AF_UNIX, sun_path=@"name"}');
    expect(sockaddr(Uint8Array.of(2))).toBe('"\\2"');
    expect([0x700, 9, 0x137f, 0xffff].map(waitStatusText)).toEqual([
      'WIFEXITED(s) && WEXITSTATUS(s) == 7',
      'WIFSIGNALED(s) && WTERMSIG(s) == SIGKILL',
      'WIFSTOPPED(s) && WSTOPSIG(s) == SIGSTOP',
      'WIFCONTINUED(s)',
    ]);
  });

  it('never fail, whatever the arguments are', () => {
    const { m } = traced();
    const values = [0, 1, -1, DATA, DATA + 0xfff8, 2 ** 32 - 8, 2 ** 53, 0x5000_0000];
    for (const { name, x86_64 } of describeSyscalls()) {
      if (x86_64 === null || !decoders[name]) continue;
      for (let k = 0; k < 12; k++) {
        m.load(
          name,
          [0, 1, 2, 3, 4, 5].map((i) => BigInt(values[(k * 5 + i * 3) % values.length]!)),
        );
        const call = m.kernel.observer!.before(m.task, x86_64)!;
        call.done(0);
        m.kernel.observer!.before(m.task, x86_64)!.done(5);
        m.kernel.observer!.before(m.task, x86_64)!.done(-14);
      }
    }
  });
});

describe('traces of several threads', () => {
  it('split a call that waits', async () => {
    const { m, lines } = traced();
    m.call('pipe2', DATA, 0);
    const reading = m.callAsync('read', 0, DATA + 256, 10);
    // Another thread in the same process: its line comes in between.
    const other = Object.assign(Object.create(m.task), { tid: 101 });
    m.kernel.observer!.before(other, 39)!.done(100);
    m.task.files.get(1).write(m.task, Buffer.from('hi'), null);
    await reading;
    expect(lines.slice(1).map((l) => l.replace(/ +=/, ' ='))).toEqual([
      'read(0, <unfinished ...>',
      'getpid() = 100',
      '<... read resumed>"hi", 10) = 2',
    ]);
  });
  it('tell the end of a process', () => {
    const { m, lines } = traced();
    m.call('exit_group', 3);
    m.toUserMode();
    expect(lines.at(-1)).toBe('+++ exited with 3 +++');
  });
});

describe('filters', () => {
  it('take names, classes and their complement', () => {
    const f = CallFilter.parse('getpid,%file');
    expect(['getpid', 'openat', 'read', 'execve'].map((n) => f.has(n))).toEqual([true, true, false, true]);
    const not = CallFilter.parse('!%desc,futex');
    expect(['read', 'futex', 'getpid'].map((n) => not.has(n))).toEqual([false, false, true]);
    expect(CallFilter.parse('%network').has('accept4')).toBe(true);
    expect(() => CallFilter.parse('opne')).toThrow("no system call is named 'opne'");
    expect(() => CallFilter.parse('%nets')).toThrow("no class of system calls is named '%nets'");
  });
  it('name only calls that exist', () => {
    const known = new Set(describeSyscalls().map((d) => d.name));
    for (const c of ['network', 'process', 'signal', 'ipc', 'memory', 'creds', 'clock', 'stat']) {
      const f = CallFilter.parse(`%${c}`);
      expect([...known].some((n) => f.has(n))).toBe(true);
    }
  });
  it('keep other calls out', () => {
    const lines: string[] = [];
    const m = new Machine({ options: { strace: (line) => lines.push(line) } });
    m.kernel.observer = new Observer(m.kernel, { trace: { filter: CallFilter.parse('getppid') } });
    m.call('getpid');
    m.call('getppid');
    expect(lines.map((l) => l.slice(0, 9))).toEqual(['getppid()']);
  });
});

describe('answers and usage', () => {
  it('answer in the place of a call', () => {
    const m = new Machine();
    const answers = new Map([
      ['getpid', 42],
      ['pipe2', -38],
    ]);
    const observer = new Observer(m.kernel, { answers, usage: true });
    m.kernel.observer = observer;
    expect(m.call('getpid')).toBe(42);
    expect(m.try('pipe2', DATA, 0)).toBe('ENOSYS');
    expect(m.call('getppid')).toBeGreaterThanOrEqual(0);
    m.try('kill', 9999, 0);
    m.try(101);
    const report = observer.usage!.report();
    expect(report.find((c) => c.name === 'getpid')).toMatchObject({ calls: 1, errors: 0, support: 'answered' });
    expect(report.find((c) => c.name === 'pipe2')).toMatchObject({ errors: 1, byError: { ENOSYS: 1 } });
    expect(report.find((c) => c.name === 'kill')).toMatchObject({ byError: { ESRCH: 1 }, support: 'full' });
    expect(report.find((c) => c.name === 'ptrace')).toMatchObject({ support: 'none' });
  });
  it('cost nothing without an observer', () => {
    const m = new Machine();
    m.load('getpid', []);
    expect(m.kernel.observer).toBe(null);
    expect(dispatchSyscall(m.task)).toBe(100);
  });
});
