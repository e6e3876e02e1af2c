import { beforeEach, describe, expect, it } from 'vitest';
import { SIGUSR1 } from '../../../src/kernel/abi/signals.ts';
import { sendSignal } from '../../../src/kernel/signals/send.ts';
import { flags, showResult } from '../../../src/kernel/syscalls/strace.ts';
import { syscallName, syscallTable } from '../../../src/kernel/syscalls/table.ts';
import { BAD, DATA, Machine, RODATA } from './harness.ts';

let lines: string[];
let m: Machine;
beforeEach(() => {
  lines = [];
  m = new Machine({ options: { strace: (line) => lines.push(line) } });
});
const last = (): string => lines.at(-1)!.replace(/ +=/, ' =');

describe('dispatch', () => {
  it('returns ENOSYS for calls that are not there, and counts them', () => {
    expect(m.try(999, 1, 2n ** 40n)).toBe('ENOSYS');
    expect(last()).toBe('syscall_999(0x1, 0x10000000000, 0x0, 0x0, 0x0, 0x0) = -1 ENOSYS (Function not implemented)');
    expect(m.try(101)).toBe('ENOSYS');
    expect(m.try(0xffff_ffff)).toBe('ENOSYS');
    const report = m.kernel.stats.report((nr) => syscallName('x86_64', nr));
    expect(report.unknownSyscalls).toEqual({ syscall_999: 1, ptrace: 1, syscall_4294967295: 1 });
    m.call('getpid');
    m.call('getpid');
    expect(m.kernel.stats.report((nr) => syscallName('x86_64', nr)).syscalls.getpid).toBe(2);
  });
  it('turns a host exception into EIO, one diagnostic and a count', () => {
    const row = syscallTable.x86_64[39]!;
    const broken = Object.assign(Object.create(null), m.task.process);
    Object.defineProperty(broken, 'pid', {
      get(): never {
        throw new Error('a bug');
      },
    });
    Object.defineProperty(m.task, 'process', { value: broken, configurable: true });
    expect(row.name).toBe('getpid');
    expect(m.try('getpid')).toBe('EIO');
    expect(m.kernel.stats.internalErrors).toBe(1);
    expect(m.host.lines).toEqual(['internal error in getpid: a bug']);
  });
  it('decodes arguments by their kinds', () => {
    // fd and int: the upper half is ignored; sizes: it counts.
    expect(m.call('getpgid', 0xdead_beef_0000_0000n)).toBe(100);
    expect(m.try('getrandom', DATA, 2n ** 33n + 5n, 0)).toBe(0x1_0000);
    expect(m.try('getrandom', DATA + 2 ** 33, 5, 0)).toBe('EFAULT');
    expect(m.try('clock_gettime', 0x1_0000_0001n, DATA)).toBe(0);
  });
});

describe('strace lines', () => {
  it.each<[string, (number | bigint)[], string]>([
    ['getpid', [], 'getpid() = 100'],
    ['kill', [999, 0], 'kill(999, 0) = -1 ESRCH (No such process)'],
    ['kill', [100, 28], 'kill(100, SIGWINCH) = 0'],
    ['uname', [0], 'uname(NULL) = -1 EFAULT (Bad address)'],
    ['uname', [BAD], 'uname(0x50000000) = -1 EFAULT (Bad address)'],
    ['prlimit64', [0, 7, 0, DATA], 'prlimit64(0, RLIMIT_NOFILE, NULL, {rlim_cur=1024, rlim_max=1024*1024}) = 0'],
    ['futex', [DATA, 129, 1], 'futex(0x100000, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0) = 0'],
    ['personality', [0xffff_ffff], 'personality(0xffffffff) = 0x0'],
    ['getrandom', [DATA, 4, 1], 'getrandom("\\1\\10\\17\\26", 4, GRND_NONBLOCK) = 4'],
    [
      'getrandom',
      [DATA, 100, 0],
      `getrandom("\\1\\10\\17\\26\\35$+29@GNU\\\\cjqx\\177\\206\\215\\224\\233\\242\\251\\260\\267\\276\\305\\314\\323\\332"..., 100, 0) = 100`,
    ],
    ['sethostname', [RODATA, 3], 'sethostname("\\0\\0\\0", 3) = -1 EPERM (Operation not permitted)'],
    ['rt_sigprocmask', [0, DATA, 0, 8], 'rt_sigprocmask(SIG_BLOCK, [], NULL, 8) = 0'],
    ['exit_group', [3], 'exit_group(3) = ?'],
    ['wait4', [-1, 0, 3, 0], 'wait4(-1, NULL, WNOHANG|WSTOPPED, NULL) = -1 ECHILD (No child processes)'],
  ])('%s %j', (name, args, expected) => {
    m.call(name, ...args);
    expect(last()).toBe(expected);
  });
  it('shows sleeps, interruptions and signals', async () => {
    m.handle(SIGUSR1);
    m.mem.writeU64(DATA, 5);
    m.mem.writeU64(DATA + 8, 0);
    const done = m.callAsync('nanosleep', DATA, 0);
    sendSignal(m.task, SIGUSR1, { code: 0, pid: 1, uid: 2 });
    await done;
    expect(last()).toBe('nanosleep({tv_sec=5, tv_nsec=0}, NULL) = ? ERESTART_RESTARTBLOCK (Interrupted by signal)');
    m.toUserMode();
    expect(last()).toBe('--- SIGUSR1 {si_signo=SIGUSR1, si_code=SI_USER, si_pid=1, si_uid=2} ---');
  });
  it('aligns the equals sign', () => {
    m.call('getpid');
    expect(lines.at(-1)!.indexOf('=')).toBe(40);
  });
  it('flags and results', () => {
    const open = { O_RDONLY: 0, O_WRONLY: 1, O_RDWR: 2, O_CREAT: 0o100, O_CLOEXEC: 0o2000000 };
    expect(flags(0, open)).toBe('O_RDONLY');
    expect(flags(0o2000000, open)).toBe('O_RDONLY|O_CLOEXEC');
    expect(flags(0o2000100, open)).toBe('O_RDONLY|O_CREAT|O_CLOEXEC');
    expect(flags(0o101, open)).toBe('O_WRONLY|O_CREAT');
    expect(flags(0x8000_0001, open)).toBe('O_WRONLY|0x80000000');
    expect(showResult(-2, false)).toBe('-1 ENOENT (No such file or directory)');
    expect(showResult(4096, true)).toBe('0x1000');
    expect(showResult(-512, false)).toBe('? ERESTARTSYS (To be restarted if SA_RESTART is set)');
  });
});
