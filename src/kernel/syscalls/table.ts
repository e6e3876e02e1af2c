/**
 * The system-call table: every row of every subject, and for the calls that have none, a row that returns ENOSYS, so
 * that traces and `uktx syscalls` know all of Linux 6.1 by name.
 */
import type { Isa } from '../task/cpu-context.ts';
import { cloneRows } from './clone.ts';
import { copyRows } from './copy.ts';
import { dirRows } from './dirs.ts';
import { epollRows } from './epoll.ts';
import { eventfdRows } from './eventfd.ts';
import { execRows } from './exec.ts';
import { fcntlRows } from './fcntl.ts';
import { fileRows } from './files.ts';
import { futexRows } from './futex.ts';
import { idRows } from './ids.ts';
import { inotifyRows } from './inotify.ts';
import { ipcRows } from './ipc.ts';
import { kcmpRows } from './kcmp.ts';
import { linkRows } from './links.ts';
import { mmRows } from './mm.ts';
import { namespaceRows } from './namespaces.ts';
import { mountRows } from './mounts.ts';
import { mqueueRows } from './mqueue.ts';
import { syscallNames } from './names.ts';
import { numaRows } from './numa.ts';
import { permRows } from './perms.ts';
import { pidfdRows } from './pidfd.ts';
import { pipeRows } from './pipe.ts';
import { pollRows } from './poll.ts';
import { prctlRows } from './prctl.ts';
import { privilegedRows } from './privileged.ts';
import { processRows } from './process.ts';
import { randomRows } from './random.ts';
import { rlimitRows } from './rlimit.ts';
import { row, type SyscallRow } from './row.ts';
import { schedRows } from './sched.ts';
import { signalfdRows } from './signalfd.ts';
import { signalRows } from './signals.ts';
import { socketRows } from './socket.ts';
import { socketIoRows } from './socket-io.ts';
import { statRows } from './stat.ts';
import { systemRows } from './system.ts';
import { timeRows } from './time.ts';
import { timerRows } from './timers.ts';
import { ttyRows } from './tty.ts';
import { unsupportedRows } from './unsupported.ts';
import { xattrRows } from './xattr.ts';

/** Every row that has a handler. */
export const syscallRows: readonly SyscallRow[] = [
  ...fileRows,
  ...statRows,
  ...dirRows,
  ...linkRows,
  ...permRows,
  ...fcntlRows,
  ...copyRows,
  ...xattrRows,
  ...mountRows,
  ...namespaceRows,
  ...privilegedRows,
  ...numaRows,
  ...kcmpRows,
  ...mmRows,
  ...execRows,
  ...pipeRows,
  ...pollRows,
  ...epollRows,
  ...eventfdRows,
  ...signalfdRows,
  ...inotifyRows,
  ...ipcRows,
  ...mqueueRows,
  ...ttyRows,
  ...socketRows,
  ...socketIoRows,
  ...processRows,
  ...cloneRows,
  ...pidfdRows,
  ...signalRows,
  ...timeRows,
  ...timerRows,
  ...idRows,
  ...schedRows,
  ...futexRows,
  ...systemRows,
  ...randomRows,
  ...rlimitRows,
  ...prctlRows,
];

function index(isa: Isa): (SyscallRow | undefined)[] {
  const table: (SyscallRow | undefined)[] = [];
  for (const r of syscallRows) {
    const nr = r[isa];
    if (nr === null) continue;
    const other = table[nr];
    if (other) throw new Error(`${isa} system call ${nr} has two rows: ${other.name} and ${r.name}`);
    const known = syscallNames[isa].get(nr);
    if (known !== undefined && known !== r.name) throw new Error(`${isa} system call ${nr} is ${known}, not ${r.name}`);
    table[nr] = r;
  }
  for (const r of unsupportedRows) {
    const nr = r[isa];
    if (nr !== null) table[nr] ??= r;
  }
  for (const [nr, name] of syscallNames[isa]) {
    table[nr] ??= row(name, isa === 'x86_64' ? nr : null, isa === 'aarch64' ? nr : null, '', null);
  }
  return table;
}

/** Made when first asked for: a run needs one ISA's. */
const tables: Partial<Record<Isa, (SyscallRow | undefined)[]>> = {};

/** Row by number; undefined for numbers Linux 6.1 does not have. */
export const syscallTable: Readonly<Record<Isa, readonly (SyscallRow | undefined)[]>> = {
  get x86_64() {
    tables.x86_64 ??= index('x86_64');
    return tables.x86_64;
  },
  get aarch64() {
    tables.aarch64 ??= index('aarch64');
    return tables.aarch64;
  },
};

/** Name by number: `syscall_999` for one Linux does not have, as strace calls it. */
export const syscallName = (isa: Isa, nr: number): string => syscallTable[isa][nr]?.name ?? `syscall_${nr}`;

export interface SyscallDescription {
  readonly name: string;
  readonly x86_64: number | null;
  readonly aarch64: number | null;
  readonly support: SyscallRow['support'];
  readonly note: string;
  /** `fd:fd buf:outbuf`, as the row was written. */
  readonly args: string;
}

/** What `uktx syscalls` lists: one entry a name, in order of name. */
export function describeSyscalls(): SyscallDescription[] {
  const byName = new Map<string, SyscallDescription>();
  for (const isa of ['x86_64', 'aarch64'] as const) {
    syscallTable[isa].forEach((r, nr) => {
      if (!r) return;
      const known = byName.get(r.name);
      const args = r.args.map((a) => `${a.name}:${a.kind}`).join(' ');
      const base = known ?? { name: r.name, x86_64: null, aarch64: null, support: r.support, note: r.note, args };
      byName.set(r.name, { ...base, [isa]: nr });
    });
  }
  return [...byName.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
}
