/** Which calls `--strace=LIST` shows: names and classes as in strace -e (`open,read,%file,%network`, `!futex`). */
import type { SyscallRow } from './row.ts';
import { describeSyscalls, syscallRows } from './table.ts';

const NETWORK =
  'socket socketpair bind connect listen accept accept4 shutdown getsockname getpeername setsockopt getsockopt sendto recvfrom sendmsg recvmsg sendmmsg recvmmsg sendfile';
const PROCESS =
  'fork vfork clone clone3 execve execveat exit exit_group wait4 waitid kill tkill tgkill rt_sigqueueinfo rt_tgsigqueueinfo pidfd_open pidfd_send_signal arch_prctl';
const SIGNAL =
  'rt_sigaction rt_sigprocmask rt_sigpending rt_sigsuspend rt_sigtimedwait rt_sigreturn rt_sigqueueinfo rt_tgsigqueueinfo sigaltstack kill tkill tgkill pause signalfd signalfd4 pidfd_send_signal';
const IPC = 'shmget shmat shmdt shmctl semget semop semtimedop semctl msgget msgsnd msgrcv msgctl';
const MEMORY =
  'mmap munmap mprotect mremap brk madvise msync mincore mlock mlock2 munlock mlockall munlockall shmat shmdt memfd_create remap_file_pages mbind';
const CREDS =
  'getuid geteuid getgid getegid setuid setgid setreuid setregid setresuid setresgid getresuid getresgid setfsuid setfsgid getgroups setgroups capget capset prctl';
const CLOCK = 'clock_gettime clock_getres clock_settime clock_adjtime gettimeofday settimeofday adjtimex time';
const STAT = 'stat lstat fstat newfstatat statx statfs fstatfs ustat';

const lists: Readonly<Record<string, string>> = {
  network: NETWORK,
  net: NETWORK,
  process: PROCESS,
  signal: SIGNAL,
  ipc: IPC,
  memory: MEMORY,
  creds: CREDS,
  clock: CLOCK,
  stat: STAT,
};
/** Classes that follow from the kinds of arguments. */
const byArguments: Readonly<Record<string, (row: SyscallRow) => boolean>> = {
  file: (row) => row.args.some((a) => a.kind === 'path'),
  desc: (row) => row.args.some((a) => a.kind === 'fd' || a.kind === 'dirfd'),
};

export class CallFilter {
  readonly #names: ReadonlySet<string>;
  readonly #inverted: boolean;

  private constructor(names: ReadonlySet<string>, inverted: boolean) {
    this.#names = names;
    this.#inverted = inverted;
  }
  has(name: string): boolean {
    return this.#names.has(name) !== this.#inverted;
  }

  /** Throws an Error with one line for the user when a name is not known. */
  static parse(text: string): CallFilter {
    const inverted = text.startsWith('!');
    const names = new Set<string>();
    const known = new Set(describeSyscalls().map((d) => d.name));
    for (const word of (inverted ? text.slice(1) : text).split(',').filter(Boolean)) {
      if (word.startsWith('%')) {
        for (const name of members(word.slice(1))) names.add(name);
      } else if (word === 'all') for (const name of known) names.add(name);
      else if (word !== 'none') {
        if (!known.has(word)) throw new Error(`no system call is named '${word}'`);
        names.add(word);
      }
    }
    return new CallFilter(names, inverted);
  }
}

function members(name: string): string[] {
  const test = byArguments[name];
  if (test) return syscallRows.filter(test).map((r) => r.name);
  const list = lists[name];
  if (list === undefined) {
    const all = [...Object.keys(byArguments), ...Object.keys(lists)].map((c) => `%${c}`).join(', ');
    throw new Error(`no class of system calls is named '%${name}'; there are ${all}`);
  }
  return list.split(' ');
}
