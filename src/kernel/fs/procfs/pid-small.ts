/** The one-line files of /proc/PID (proc(5)). */
import { errno, sysError } from '../../abi/errno.ts';
import { CAP_SYS_RESOURCE } from '../../task/credentials.ts';
import { type PidEntry, pidEntry, shownPid, type Subject } from './entry.ts';
import { idMaps } from './id-maps.ts';

const constant = (name: string, text: string, extra: Partial<PidEntry> = {}): PidEntry =>
  pidEntry(name, () => text, extra);

const UNSET_ID = '4294967295';

function setComm({ process, thread }: Subject, text: string, writer: { process: unknown }): void {
  if (writer.process !== process || !thread) throw sysError(errno.EINVAL);
  const nul = text.indexOf('\0');
  thread.comm = (nul < 0 ? text : text.slice(0, nul)).slice(0, 15);
}

/** A decimal number with blanks around it, or EINVAL. */
function parseInteger(text: string): number {
  const m = /^\s*([+-]?\d+)\s*\0?$/.exec(text);
  const n = m ? Number(m[1]) : Number.NaN;
  if (!Number.isSafeInteger(n)) throw sysError(errno.EINVAL);
  return n;
}

export const pidSmall: PidEntry[] = [
  pidEntry('comm', ({ process, thread }) => `${thread?.comm ?? process.comm}\n`, { perm: 0o644, write: setComm }),
  constant('cgroup', '0::/\n'),
  constant('cpuset', '/\n'),
  pidEntry('oom_score_adj', ({ process }) => `${process.oomScoreAdj}\n`, {
    perm: 0o644,
    write: ({ process }, text, writer) => {
      const n = parseInteger(text);
      if (n < -1000 || n > 1000) throw sysError(errno.EINVAL);
      if (n < process.oomScoreAdj && !writer.cred.capable(CAP_SYS_RESOURCE)) throw sysError(errno.EACCES);
      process.oomScoreAdj = n;
    },
  }),
  pidEntry(
    'oom_score',
    ({ process }) => `${Math.max(0, Math.min(2000, 666 + Math.trunc(process.oomScoreAdj * 0.667)))}\n`,
  ),
  pidEntry('oom_adj', ({ process }) => `${Math.trunc((process.oomScoreAdj * 17) / 1000)}\n`, { perm: 0o644 }),
  constant('io', 'rchar: 0\nwchar: 0\nsyscr: 0\nsyscw: 0\nread_bytes: 0\nwrite_bytes: 0\ncancelled_write_bytes: 0\n', {
    perm: 0o400,
  }),
  constant('wchan', '0'),
  constant('loginuid', UNSET_ID, { perm: 0o644 }),
  constant('sessionid', UNSET_ID),
  pidEntry('personality', ({ process }) => `${(process.personality >>> 0).toString(16).padStart(8, '0')}\n`, {
    perm: 0o400,
  }),
  ...idMaps,
  constant('coredump_filter', '00000033\n', { perm: 0o644, processOnly: true }),
  constant('timens_offsets', 'monotonic           0         0\nboottime            0         0\n', {
    perm: 0o644,
    processOnly: true,
  }),
  pidEntry('timerslack_ns', ({ thread }) => `${thread?.timerSlack ?? 0}\n`, { perm: 0o666, processOnly: true }),
  constant('syscall', 'running\n', { perm: 0o400 }),
  constant('stack', '', { perm: 0o400 }),
  constant('arch_status', ''),
  pidEntry(
    'children',
    ({ process, thread }, settings) => {
      const children = thread?.tid === process.pid ? [...process.children.values()] : [];
      return children.map((c) => `${shownPid(settings, c.pid)} `).join('');
    },
    { threadOnly: true },
  ),
  pidEntry(
    'sched',
    ({ process, thread }, settings) => {
      const head = `${thread?.comm ?? ''} (${shownPid(settings, thread?.tid ?? process.pid)}, #threads: ${process.tasks.size})\n`;
      return `${head}-------------------------------------------------------------------\npolicy                                       : ${String(thread?.schedPolicy ?? 0).padStart(20)}\nprio                                         : ${String(120 + process.nice).padStart(20)}\n`;
    },
    { perm: 0o644 },
  ),
];
