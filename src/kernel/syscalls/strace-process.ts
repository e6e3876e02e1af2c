/** Printers for signals, times, limits, processes and memory. */
import * as sig from '../abi/signals.ts';
import { signalName } from '../abi/signals.ts';
import type { UserMemory } from '../mm/user-memory.ts';
import type { ArgContext, ArgDecoder, CallDecoder, Decoders } from './strace-decoders.ts';
import {
  constant,
  cString,
  environment,
  flags,
  hex,
  number,
  octal,
  pointer,
  readable,
  sigset,
  timespec,
} from './strace-format.ts';

/** Shows a structure of `size` bytes, or its address where it cannot be read. */
const struct =
  (size: number, show: (mem: UserMemory, at: number, c: ArgContext) => string) =>
  (c: ArgContext): string =>
    c.value !== 0 && readable(c.mem, c.value, size) ? show(c.mem, c.value, c) : pointer(c.value);

export const inStruct = (size: number, show: (mem: UserMemory, at: number, c: ArgContext) => string): ArgDecoder => ({
  in: struct(size, show),
});
export const outStruct = (size: number, show: (mem: UserMemory, at: number, c: ArgContext) => string): ArgDecoder => ({
  out: struct(size, show),
});
export const names = (table: Readonly<Record<string, number>>): ArgDecoder => ({
  in: ({ value }) => constant(value, table),
});
const i64 = (mem: UserMemory, at: number): string => number(mem.readI64(at));

// Signals.

const saFlags = {
  SA_RESTORER: sig.SA_RESTORER,
  SA_ONSTACK: sig.SA_ONSTACK,
  SA_RESTART: sig.SA_RESTART,
  SA_NODEFER: sig.SA_NODEFER,
  SA_RESETHAND: sig.SA_RESETHAND,
  SA_NOCLDSTOP: sig.SA_NOCLDSTOP,
  SA_NOCLDWAIT: sig.SA_NOCLDWAIT,
  SA_SIGINFO: sig.SA_SIGINFO,
};
const ssFlags = { SS_ONSTACK: sig.SS_ONSTACK, SS_DISABLE: sig.SS_DISABLE, SS_AUTODISARM: sig.SS_AUTODISARM };

function sigaction(mem: UserMemory, at: number): string {
  const handler = mem.readU64(at);
  const bits = mem.readU32(at + 8);
  const shown = handler === 0 ? 'SIG_DFL' : handler === 1 ? 'SIG_IGN' : hex(handler);
  const restorer = bits & sig.SA_RESTORER ? `, sa_restorer=${pointer(mem.readU64(at + 16))}` : '';
  return `{sa_handler=${shown}, sa_mask=${sigset(mem, at + 24)}, sa_flags=${flags(bits, saFlags)}${restorer}}`;
}

const stack = (mem: UserMemory, at: number): string =>
  `{ss_sp=${pointer(mem.readU64(at))}, ss_flags=${flags(mem.readU32(at + 8), ssFlags)}, ss_size=${number(mem.readU64(at + 16))}}`;

const codes: Readonly<Record<string, number>> = {
  SI_USER: 0,
  SI_KERNEL: sig.SI_KERNEL,
  SI_QUEUE: sig.SI_QUEUE,
  SI_TIMER: sig.SI_TIMER,
  SI_MESGQ: sig.SI_MESGQ,
  SI_TKILL: sig.SI_TKILL,
};
const childCodes: Readonly<Record<string, number>> = {
  CLD_EXITED: 1,
  CLD_KILLED: 2,
  CLD_DUMPED: 3,
  CLD_TRAPPED: 4,
  CLD_STOPPED: 5,
  CLD_CONTINUED: 6,
};

function siginfo(mem: UserMemory, at: number): string {
  const signo = mem.readI32(at);
  const code = mem.readI32(at + 8);
  if (signo === 0) return '{}';
  const child = signo === sig.SIGCHLD && code > 0;
  const known = Object.entries(child ? childCodes : codes).find(([, n]) => n === code)?.[0] ?? String(code);
  const fields = [`si_signo=${signalName(signo)}`, `si_code=${known}`];
  fields.push(`si_pid=${mem.readI32(at + 16)}`, `si_uid=${mem.readU32(at + 20)}`);
  if (child) {
    const status = mem.readI32(at + 24);
    fields.push(`si_status=${code === 1 ? status : signalName(status)}`);
  } else if (code === sig.SI_QUEUE || code === sig.SI_TIMER)
    fields.push(`si_value={sival_int=${mem.readI32(at + 24)}, sival_ptr=${pointer(mem.readU64(at + 24))}}`);
  return `{${fields.join(', ')}}`;
}

const how = names({ SIG_BLOCK: 0, SIG_UNBLOCK: 1, SIG_SETMASK: 2 });
const outSigset = outStruct(8, sigset);
const SIGEV = { SIGEV_SIGNAL: 0, SIGEV_NONE: 1, SIGEV_THREAD: 2, SIGEV_THREAD_ID: 4 };
export const sigevent = (mem: UserMemory, at: number): string =>
  `{sigev_value={sival_int=${mem.readI32(at)}, sival_ptr=${pointer(mem.readU64(at))}}, sigev_signo=${signalName(mem.readI32(at + 8))}, sigev_notify=${constant(mem.readI32(at + 12), SIGEV)}}`;

// Times.

const timeval = (mem: UserMemory, at: number): string => `{tv_sec=${i64(mem, at)}, tv_usec=${i64(mem, at + 8)}}`;
const itimerval = (mem: UserMemory, at: number): string =>
  `{it_interval=${timeval(mem, at)}, it_value=${timeval(mem, at + 16)}}`;
const itimerspec = (mem: UserMemory, at: number): string =>
  `{it_interval=${timespec(mem, at)}, it_value=${timespec(mem, at + 16)}}`;
const outTime = outStruct(16, timespec);
const ITIMERS = { ITIMER_REAL: 0, ITIMER_VIRTUAL: 1, ITIMER_PROF: 2 };

const UTIME_NOW = 0x3fff_ffff;
const UTIME_OMIT = 0x3fff_fffe;
const newTime = (mem: UserMemory, at: number): string => {
  const nsec = mem.readI64(at + 8);
  return nsec === UTIME_NOW ? 'UTIME_NOW' : nsec === UTIME_OMIT ? 'UTIME_OMIT' : timespec(mem, at);
};

// Processes.

/** The status word of wait(2), as the macros that take it apart. */
export function waitStatusText(word: number): string {
  if (word === 0xffff) return 'WIFCONTINUED(s)';
  if ((word & 0xff) === 0x7f) return `WIFSTOPPED(s) && WSTOPSIG(s) == ${signalName((word >> 8) & 0xff)}`;
  if ((word & 0x7f) === 0) return `WIFEXITED(s) && WEXITSTATUS(s) == ${(word >> 8) & 0xff}`;
  return `WIFSIGNALED(s) && WTERMSIG(s) == ${signalName(word & 0x7f)}${word & 0x80 ? ' && WCOREDUMP(s)' : ''}`;
}
const wstatus: ArgDecoder = {
  out: (c) =>
    c.result > 0 && c.value !== 0 && readable(c.mem, c.value, 4)
      ? `[{${waitStatusText(c.mem.readU32(c.value))}}]`
      : pointer(c.value),
};
const rusage = outStruct(144, (mem, at) => `{ru_utime=${timeval(mem, at)}, ru_stime=${timeval(mem, at + 16)}, ...}`);

const RLIMITS = Object.fromEntries(
  'CPU FSIZE DATA STACK CORE RSS NPROC NOFILE MEMLOCK AS LOCKS SIGPENDING MSGQUEUE NICE RTPRIO RTTIME'
    .split(' ')
    .map((name, i) => [`RLIMIT_${name}`, i]),
);
const limit = (n: number): string =>
  n >= 2 ** 64 - 2048 ? 'RLIM64_INFINITY' : n > 1024 && n % 1024 === 0 ? `${n / 1024}*1024` : number(n);
const rlimit = (mem: UserMemory, at: number): string =>
  `{rlim_cur=${limit(mem.readU64(at))}, rlim_max=${limit(mem.readU64(at + 8))}}`;

const cloneArgs = (mem: UserMemory, at: number): string => {
  const fields = ['flags', 'pidfd', 'child_tid', 'parent_tid', 'exit_signal', 'stack', 'stack_size', 'tls'];
  const shown = fields.map((name, i) => {
    const v = mem.readU64(at + i * 8);
    return name === 'exit_signal' ? `${name}=${v === 0 ? '0' : signalName(v)}` : `${name}=${hex(v)}`;
  });
  return `{${shown.join(', ')}}`;
};

const CLONE = {
  CLONE_VM: 0x100,
  CLONE_FS: 0x200,
  CLONE_FILES: 0x400,
  CLONE_SIGHAND: 0x800,
  CLONE_PIDFD: 0x1000,
  CLONE_PTRACE: 0x2000,
  CLONE_VFORK: 0x4000,
  CLONE_PARENT: 0x8000,
  CLONE_THREAD: 0x1_0000,
  CLONE_NEWNS: 0x2_0000,
  CLONE_SYSVSEM: 0x4_0000,
  CLONE_SETTLS: 0x8_0000,
  CLONE_PARENT_SETTID: 0x10_0000,
  CLONE_CHILD_CLEARTID: 0x20_0000,
  CLONE_DETACHED: 0x40_0000,
  CLONE_UNTRACED: 0x80_0000,
  CLONE_CHILD_SETTID: 0x100_0000,
  CLONE_IO: 0x8000_0000,
};
/** The low byte is the signal the parent gets. */
function cloneFlags(value: number): string {
  const signo = value & 0xff;
  const rest = flags((value & ~0xff) >>> 0, CLONE);
  return signo === 0 ? rest : rest === '0' ? signalName(signo) : `${rest}|${signalName(signo)}`;
}

/** Six strings of 65 bytes. */
const utsname = (mem: UserMemory, at: number): string => {
  const field = (i: number): string => cString(mem, at + i * 65, 64);
  return `{sysname=${field(0)}, nodename=${field(1)}, ...}`;
};

const sembufs: ArgDecoder = {
  in: ({ mem, value, values }) => {
    const count = Math.min(values[2] ?? 0, 32);
    if (!(count > 0) || !readable(mem, value, count * 6)) return pointer(value);
    const shown = Array.from({ length: count }, (_, i) => {
      const at = value + i * 6;
      const op = (mem.readU16(at + 2) << 16) >> 16;
      return `{sem_num=${mem.readU16(at)}, sem_op=${op}, sem_flg=${flags(mem.readU16(at + 4), { IPC_NOWAIT: 0o4000, SEM_UNDO: 0x1000 })}}`;
    });
    return `[${shown.join(', ')}]`;
  },
};
const mqAttr = (mem: UserMemory, at: number): string =>
  `{mq_flags=${flags(mem.readU64(at), { O_NONBLOCK: 0o4000 })}, mq_maxmsg=${i64(mem, at + 8)}, mq_msgsize=${i64(mem, at + 16)}, mq_curmsgs=${i64(mem, at + 24)}}`;
const msgbuf: ArgDecoder['in'] = (c) =>
  readable(c.mem, c.value, 8) ? `{mtype=${i64(c.mem, c.value)}, ...}` : pointer(c.value);

const MADV = {
  MADV_NORMAL: 0,
  MADV_RANDOM: 1,
  MADV_SEQUENTIAL: 2,
  MADV_WILLNEED: 3,
  MADV_DONTNEED: 4,
  MADV_FREE: 8,
  MADV_REMOVE: 9,
  MADV_DONTFORK: 10,
  MADV_DOFORK: 11,
  MADV_MERGEABLE: 12,
  MADV_HUGEPAGE: 14,
  MADV_NOHUGEPAGE: 15,
  MADV_DONTDUMP: 16,
  MADV_DODUMP: 17,
  MADV_WIPEONFORK: 18,
  MADV_COLD: 20,
  MADV_PAGEOUT: 21,
};

const call = (args: CallDecoder['args']): CallDecoder => (args ? { args } : {});

export const processDecoders: Decoders = {
  rt_sigaction: call({ act: inStruct(32, sigaction), oldact: outStruct(32, sigaction) }),
  rt_sigprocmask: call({ how, oldset: outSigset }),
  rt_sigpending: call({ set: outSigset }),
  rt_sigtimedwait: call({ info: outStruct(128, siginfo) }),
  rt_sigqueueinfo: call({ info: inStruct(128, siginfo) }),
  rt_tgsigqueueinfo: call({ info: inStruct(128, siginfo) }),
  pidfd_send_signal: call({ info: inStruct(128, siginfo) }),
  sigaltstack: call({ ss: inStruct(24, stack), old_ss: outStruct(24, stack) }),
  clock_gettime: call({ tp: outTime }),
  clock_getres: call({ res: outTime }),
  nanosleep: call({ remain: { in: ({ value }) => pointer(value) } }),
  gettimeofday: call({ tv: outStruct(16, timeval) }),
  getitimer: call({ which: names(ITIMERS), curr: outStruct(32, itimerval) }),
  setitimer: call({ which: names(ITIMERS), new: inStruct(32, itimerval), old: outStruct(32, itimerval) }),
  timer_create: call({
    sevp: inStruct(64, sigevent),
    timerid: outStruct(4, (mem, at) => `[${mem.readI32(at)}]`),
  }),
  timer_settime: call({ new: inStruct(32, itimerspec), old: outStruct(32, itimerspec) }),
  timer_gettime: call({ curr: outStruct(32, itimerspec) }),
  timerfd_settime: call({ new_value: inStruct(32, itimerspec), old_value: outStruct(32, itimerspec) }),
  timerfd_gettime: call({ curr_value: outStruct(32, itimerspec) }),
  utimensat: call({ times: inStruct(32, (mem, at) => `[${newTime(mem, at)}, ${newTime(mem, at + 16)}]`) }),
  wait4: call({ wstatus, rusage }),
  waitid: call({ infop: outStruct(128, siginfo), rusage }),
  getrusage: call({ who: names({ RUSAGE_SELF: 0, RUSAGE_CHILDREN: -1, RUSAGE_THREAD: 1 }), usage: rusage }),
  getrlimit: call({ resource: names(RLIMITS), rlim: outStruct(16, rlimit) }),
  setrlimit: call({ resource: names(RLIMITS), rlim: inStruct(16, rlimit) }),
  prlimit64: call({
    resource: names(RLIMITS),
    new_limit: inStruct(16, rlimit),
    old_limit: outStruct(16, rlimit),
  }),
  execve: call({ envp: { in: ({ mem, value }) => environment(mem, value) } }),
  execveat: call({ envp: { in: ({ mem, value }) => environment(mem, value) } }),
  clone: call({ flags: { in: ({ value }) => cloneFlags(value) } }),
  clone3: call({ cl_args: inStruct(64, cloneArgs) }),
  uname: call({ buf: outStruct(390, utsname) }),
  semop: call({ sops: sembufs }),
  semtimedop: call({ sops: sembufs }),
  msgsnd: call({ msgp: { in: msgbuf } }),
  msgrcv: call({ msgp: { out: msgbuf } }),
  mq_open: call({ attr: inStruct(32, mqAttr) }),
  mq_getsetattr: call({ newattr: inStruct(32, mqAttr), oldattr: outStruct(32, mqAttr) }),
  mq_notify: call({ sevp: inStruct(64, sigevent) }),
  mq_timedreceive: call({ msg_prio: outStruct(4, (mem, at) => `[${mem.readU32(at)}]`) }),
  madvise: call({ advice: names(MADV) }),
  chmod: call({ mode: { in: ({ value }) => octal(value) } }),
};
