/** Printers for files, descriptors, readiness and terminals. */
import { S_IFBLK, S_IFCHR, S_IFDIR, S_IFIFO, S_IFLNK, S_IFMT, S_IFREG, S_IFSOCK } from '../fs/inode.ts';
import { decodeTermios, TERMIOS_SIZE } from '../fs/termios.ts';
import type { UserMemory } from '../mm/user-memory.ts';
import { openFlagNames, openFlagsFromGuest } from './open-flags.ts';
import type { ArgContext, ArgDecoder, CallDecoder, Decoders } from './strace-decoders.ts';
import {
  constant,
  flags,
  hex,
  number,
  octal,
  pointer,
  quote,
  readable,
  STRING_MAX,
  timespec,
} from './strace-format.ts';
import { inStruct, names, outStruct } from './strace-process.ts';

// Status.

const types = { S_IFSOCK, S_IFLNK, S_IFREG, S_IFBLK, S_IFDIR, S_IFCHR, S_IFIFO };
const mode = (m: number): string => `${constant(m & S_IFMT, types)}|${octal(m & 0o7777)}`;
const major = (dev: number): number => Math.floor(dev / 256) % 4096;
const minor = (dev: number): number => (dev % 256) + Math.floor(dev / 0x10_0000) * 256;

/** struct stat by ISA: what strace shows without -v. */
function stat(mem: UserMemory, at: number, { isa }: ArgContext): string {
  const x86 = isa === 'x86_64';
  const m = mem.readU32(at + (x86 ? 24 : 16));
  const type = m & S_IFMT;
  const rdev = mem.readU64(at + (x86 ? 40 : 32));
  const rest =
    type === S_IFCHR || type === S_IFBLK
      ? `st_rdev=makedev(${hex(major(rdev))}, ${hex(minor(rdev))})`
      : `st_size=${number(mem.readU64(at + 48))}`;
  return `{st_mode=${mode(m)}, ${rest}, ...}`;
}
const statbuf = outStruct(128, stat);
const statx = (mem: UserMemory, at: number): string =>
  `{stx_mask=${hex(mem.readU32(at))}, stx_mode=${mode(mem.readU16(at + 28))}, stx_size=${number(mem.readU64(at + 40))}, ...}`;
const FS_TYPES = {
  OVERLAYFS_SUPER_MAGIC: 0x794c7630,
  EXT2_SUPER_MAGIC: 0xef53,
  TMPFS_MAGIC: 0x0102_1994,
  PROC_SUPER_MAGIC: 0x9fa0,
  SYSFS_MAGIC: 0x6265_6572,
  DEVPTS_SUPER_MAGIC: 0x1cd1,
};
const statfs = outStruct(
  120,
  (mem, at) =>
    `{f_type=${constant(mem.readU64(at), FS_TYPES)}, f_bsize=${number(mem.readU64(at + 8))}, f_blocks=${number(mem.readU64(at + 16))}, ...}`,
);

// Readiness.

const POLL = {
  POLLIN: 1,
  POLLPRI: 2,
  POLLOUT: 4,
  POLLERR: 8,
  POLLHUP: 0x10,
  POLLNVAL: 0x20,
  POLLRDNORM: 0x40,
  POLLRDBAND: 0x80,
  POLLWRNORM: 0x100,
  POLLWRBAND: 0x200,
  POLLRDHUP: 0x2000,
};
const EPOLL = {
  EPOLLIN: 1,
  EPOLLPRI: 2,
  EPOLLOUT: 4,
  EPOLLERR: 8,
  EPOLLHUP: 0x10,
  EPOLLRDNORM: 0x40,
  EPOLLWRNORM: 0x100,
  EPOLLRDHUP: 0x2000,
  EPOLLEXCLUSIVE: 0x1000_0000,
  EPOLLWAKEUP: 0x2000_0000,
  EPOLLONESHOT: 0x4000_0000,
  EPOLLET: 0x8000_0000,
};

function pollfds({ mem, value, values }: ArgContext): string {
  const count = Math.min(values[1] ?? 0, STRING_MAX);
  if (!(count > 0) || !readable(mem, value, count * 8)) return pointer(value);
  const shown = Array.from({ length: count }, (_, i) => {
    const at = value + i * 8;
    return `{fd=${mem.readI32(at)}, events=${flags(mem.readU16(at + 4), POLL)}}`;
  });
  return `[${shown.join(', ')}${(values[1] ?? 0) > count ? ', ...' : ''}]`;
}
function pollResult({ mem, values, result }: ArgContext): string {
  if (result === 0) return 'Timeout';
  const [fds, nfds] = values as [number, number];
  if (result < 0 || nfds > 1024 || !readable(mem, fds, nfds * 8)) return '';
  const ready: string[] = [];
  for (let i = 0; i < nfds; i++) {
    const revents = mem.readU16(fds + i * 8 + 6);
    if (revents !== 0) ready.push(`{fd=${mem.readI32(fds + i * 8)}, revents=${flags(revents, POLL)}}`);
  }
  return `[${ready.join(', ')}]`;
}

/** The members of a descriptor set: `[0 3]`. */
function fdSet(mem: UserMemory, address: number, nfds: number): string {
  const n = Math.min(Math.max(nfds, 0), 1024);
  const bytes = Math.ceil(n / 64) * 8;
  if (address === 0 || !readable(mem, address, bytes)) return pointer(address);
  const set = mem.bytes(address, bytes);
  const members: number[] = [];
  for (let fd = 0; fd < n; fd++) if (set[fd >>> 3]! & (1 << (fd & 7))) members.push(fd);
  return `[${members.join(' ')}]`;
}
const inSet: ArgDecoder = { in: ({ mem, value, values }) => fdSet(mem, value, values[0]!) };
function selectResult({ mem, values, result }: ArgContext): string {
  if (result === 0) return 'Timeout';
  if (result < 0) return '';
  const shown = ['in', 'out', 'except'].map((name, i) => {
    const set = fdSet(mem, values[i + 1]!, values[0]!);
    return set.startsWith('[') && set !== '[]' ? `${name} ${set}` : '';
  });
  return shown.filter(Boolean).join(', ');
}
const timevalIn = inStruct(
  16,
  (mem, at) => `{tv_sec=${number(mem.readI64(at))}, tv_usec=${number(mem.readI64(at + 8))}}`,
);

/** struct epoll_event is packed on x86-64. */
const epollEvent = (mem: UserMemory, at: number, { isa }: ArgContext): string => {
  const data = at + (isa === 'x86_64' ? 4 : 8);
  return `{events=${flags(mem.readU32(at), EPOLL)}, data={u32=${mem.readU32(data)}, u64=${mem.readBigU64(data)}}}`;
};
const epollEvents: ArgDecoder = {
  out: (c) => {
    const size = c.isa === 'x86_64' ? 12 : 16;
    const count = Math.min(c.result, STRING_MAX);
    if (count === 0) return '[]';
    if (!readable(c.mem, c.value, count * size)) return pointer(c.value);
    const shown = Array.from({ length: count }, (_, i) => epollEvent(c.mem, c.value + i * size, c));
    return `[${shown.join(', ')}${c.result > count ? ', ...' : ''}]`;
  },
};
const EPOLL_OPS = { EPOLL_CTL_ADD: 1, EPOLL_CTL_DEL: 2, EPOLL_CTL_MOD: 3 };

// ioctl and fcntl.

const REQUESTS: Readonly<Record<string, number>> = {
  TCGETS: 0x5401,
  TCSETS: 0x5402,
  TCSETSW: 0x5403,
  TCSETSF: 0x5404,
  TCSBRK: 0x5409,
  TCXONC: 0x540a,
  TCFLSH: 0x540b,
  TIOCSCTTY: 0x540e,
  TIOCGPGRP: 0x540f,
  TIOCSPGRP: 0x5410,
  TIOCOUTQ: 0x5411,
  TIOCGWINSZ: 0x5413,
  TIOCSWINSZ: 0x5414,
  FIONREAD: 0x541b,
  TIOCPKT: 0x5420,
  FIONBIO: 0x5421,
  TIOCNOTTY: 0x5422,
  TIOCGSID: 0x5429,
  FIONCLEX: 0x5450,
  FIOCLEX: 0x5451,
  FIOASYNC: 0x5452,
  TIOCGPTN: 0x80045430,
  TIOCSPTLCK: 0x40045431,
  TIOCGPTPEER: 0x5441,
  SIOCGIFCONF: 0x8912,
  SIOCGIFFLAGS: 0x8913,
  SIOCGIFADDR: 0x8915,
  FICLONE: 0x40049409,
};
const LOCAL = { isig: 1, icanon: 2, echo: 8 };
const SETS = [REQUESTS.TCSETS!, REQUESTS.TCSETSW!, REQUESTS.TCSETSF!];
const POINTS_TO_INT = ['TIOCGPGRP', 'TIOCSPGRP', 'FIONREAD', 'FIONBIO', 'TIOCPKT', 'TIOCGPTN', 'TIOCSPTLCK', 'TIOCGSID']
  .concat('TIOCOUTQ')
  .map((name) => REQUESTS[name]!);

function termios(mem: UserMemory, at: number): string {
  const t = decodeTermios(mem.copyIn(at, TERMIOS_SIZE));
  const local = Object.entries(LOCAL).map(([name, bit]) => `${t.lflag & bit ? '' : '-'}${name}`);
  return `{c_iflag=${hex(t.iflag)}, c_oflag=${hex(t.oflag)}, c_cflag=${hex(t.cflag)}, c_lflag=${hex(t.lflag)} /* ${local.join(' ')} */, ...}`;
}
const winsize = (mem: UserMemory, at: number): string =>
  `{ws_row=${mem.readU16(at)}, ws_col=${mem.readU16(at + 2)}, ws_xpixel=${mem.readU16(at + 4)}, ws_ypixel=${mem.readU16(at + 6)}}`;
/** What a request's argument points to; before the call for those that give something, after it for the others. */
function ioctlArgument({ mem, value, values }: ArgContext): string {
  const request = values[1]!;
  if (request === REQUESTS.TCGETS || SETS.includes(request))
    return readable(mem, value, TERMIOS_SIZE) ? termios(mem, value) : pointer(value);
  if (request === REQUESTS.TIOCGWINSZ || request === REQUESTS.TIOCSWINSZ)
    return readable(mem, value, 8) ? winsize(mem, value) : pointer(value);
  if (POINTS_TO_INT.includes(request)) return readable(mem, value, 4) ? `[${mem.readI32(value)}]` : pointer(value);
  return hex(value);
}

const F_DUPFD = 0;
const F_SETFD = 2;
const F_GETFL = 3;
const F_SETFL = 4;
const LOCKS = [5, 6, 7, 36, 37, 38];
const NO_ARGUMENT = [1, F_GETFL, 9, 11, 1025, 1032, 1034];
const F_DUPFD_CLOEXEC = 1030;

const flock = (mem: UserMemory, at: number): string => {
  const type = ['F_RDLCK', 'F_WRLCK', 'F_UNLCK'][mem.readU16(at)] ?? String(mem.readU16(at));
  const whence = ['SEEK_SET', 'SEEK_CUR', 'SEEK_END'][mem.readU16(at + 2)] ?? String(mem.readU16(at + 2));
  return `{l_type=${type}, l_whence=${whence}, l_start=${number(mem.readI64(at + 8))}, l_len=${number(mem.readI64(at + 16))}}`;
};
function fcntlArgument({ mem, value, values, isa }: ArgContext): string {
  const command = values[1]!;
  if (NO_ARGUMENT.includes(command)) return '';
  if (command === F_SETFD) return value === 1 ? 'FD_CLOEXEC' : hex(value);
  if (command === F_SETFL) return flags(openFlagsFromGuest(isa, value % 2 ** 32), openFlagNames);
  if (LOCKS.includes(command)) return readable(mem, value, 32) ? flock(mem, value) : pointer(value);
  return command === F_DUPFD || command === F_DUPFD_CLOEXEC ? number(value) : hex(value);
}
function fcntlResult({ values, result, isa }: ArgContext): string {
  if (result < 0) return '';
  if (values[1] === F_GETFL) return `flags ${flags(openFlagsFromGuest(isa, result), openFlagNames)}`;
  return values[1] === 1 && result === 1 ? 'flags FD_CLOEXEC' : '';
}

// Others.

const twoFds = outStruct(8, (mem, at) => `[${mem.readI32(at)}, ${mem.readI32(at + 4)}]`);
const cwd: ArgDecoder = {
  out: ({ mem, value, result }) =>
    result > 0 && readable(mem, value, result) ? quote(mem.bytes(value, result - 1)) : pointer(value),
};
const entries: ArgDecoder = {
  out: ({ mem, value, result }) => {
    if (result < 0 || !readable(mem, value, result)) return pointer(value);
    let count = 0;
    for (let at = 0; at < result; count++) {
      const length = mem.readU16(value + at + 16);
      if (length === 0) break;
      at += length;
    }
    return `${hex(value)} /* ${count} entr${count === 1 ? 'y' : 'ies'} */`;
  },
};
const openHow = inStruct(24, (mem, at, { isa }) => {
  const f = flags(openFlagsFromGuest(isa, mem.readU32(at)), openFlagNames);
  return `{flags=${f}, mode=${octal(mem.readU64(at + 8))}, resolve=${hex(mem.readU64(at + 16))}}`;
});
const seek = names({ SEEK_SET: 0, SEEK_CUR: 1, SEEK_END: 2, SEEK_DATA: 3, SEEK_HOLE: 4 });

const call = (args: CallDecoder['args'], result?: CallDecoder['result']): CallDecoder => ({
  ...(args && { args }),
  ...(result && { result }),
});

export const ioDecoders: Decoders = {
  stat: call({ statbuf }),
  lstat: call({ statbuf }),
  fstat: call({ statbuf }),
  newfstatat: call({ statbuf }),
  statx: call({ statxbuf: outStruct(256, statx) }),
  statfs: call({ buf: statfs }),
  fstatfs: call({ buf: statfs }),
  poll: call({ fds: { in: pollfds } }, pollResult),
  ppoll: call({ fds: { in: pollfds } }, pollResult),
  select: call({ readfds: inSet, writefds: inSet, exceptfds: inSet, timeout: timevalIn }, selectResult),
  pselect6: call({ readfds: inSet, writefds: inSet, exceptfds: inSet, timeout: inStruct(16, timespec) }, selectResult),
  epoll_ctl: call({ op: names(EPOLL_OPS), event: inStruct(12, epollEvent) }),
  epoll_wait: call({ events: epollEvents }),
  epoll_pwait: call({ events: epollEvents }),
  epoll_pwait2: call({ events: epollEvents }),
  ioctl: call({
    request: { in: ({ value }) => constant(value, REQUESTS) },
    argp: { in: (c) => (SETS.includes(c.values[1]!) ? ioctlArgument(c) : ''), out: ioctlArgument },
  }),
  fcntl: call({ arg: { in: fcntlArgument } }, fcntlResult),
  pipe: call({ fildes: twoFds }),
  pipe2: call({ fildes: twoFds }),
  socketpair: call({ sv: twoFds }),
  getcwd: call({ buf: cwd }),
  getdents64: call({ dirp: entries }),
  getdents: call({ dirp: entries }),
  openat2: call({ how: openHow }),
  lseek: call({ whence: seek }),
};
