/** /proc/PID/status (fs/proc/array.c, fs/proc/task_mmu.c). */
import { RLIMIT_SIGPENDING } from '../../task/rlimits.ts';
import { fdTableSize } from '../fd-table-size.ts';
import { numbersFrom } from '../../ns/pid.ts';
import { escapeName, kB, pages, pidEntry, shownPid, type Subject } from './entry.ts';
import { stateOf } from './pid-stat.ts';

const STATE_NAMES: Record<string, string> = { R: 'running', S: 'sleeping', T: 'stopped', Z: 'zombie' };

const capability = (set: bigint): string => set.toString(16).padStart(16, '0');

function memory({ thread }: Subject): string {
  if (!thread) return '';
  const s = thread.mm.stats;
  const anonymous = Math.max(0, s.accessible - s.file);
  const program = s.exec;
  const rows: [string, number][] = [
    ['VmPeak', s.peakTotal],
    ['VmSize', s.total],
    ['VmLck', s.locked],
    ['VmPin', 0],
    ['VmHWM', s.peakAccessible],
    ['VmRSS', s.accessible],
    ['RssAnon', anonymous],
    ['RssFile', s.file],
    ['RssShmem', 0],
    ['VmData', s.data],
    ['VmStk', s.stack],
    ['VmExe', program],
    ['VmLib', 0],
    ['VmPTE', pages(s.total) * 8],
    ['VmSwap', 0],
    ['HugetlbPages', 0],
  ];
  const lines = rows.map(([name, bytes]) => `${name}:\t${String(kB(bytes)).padStart(8)} kB\n`).join('');
  return `${lines}CoreDumping:\t0\nTHP_enabled:\t0\n`;
}

function signals({ process, thread }: Subject): string {
  const limit = process.rlimits[RLIMIT_SIGPENDING]?.soft ?? 0;
  const queued = process.signals.length + (thread?.signals.length ?? 0);
  const zero = '0'.repeat(16);
  const sets: [string, string][] = [
    ['SigPnd', thread?.signals.set.hex() ?? zero],
    ['ShdPnd', process.signals.set.hex()],
    ['SigBlk', thread?.signals.blocked.hex() ?? zero],
    ['SigIgn', thread?.sighand.ignoredSet().hex() ?? zero],
    ['SigCgt', thread?.sighand.caughtSet().hex() ?? zero],
  ];
  return `SigQ:\t${queued}/${limit === Infinity ? '18446744073709551615' : limit}\n${sets.map(([n, v]) => `${n}:\t${v}\n`).join('')}`;
}

export const status = pidEntry('status', (subject, settings, reader) => {
  const { process, thread } = subject;
  const cred = thread?.cred;
  const state = stateOf(subject);
  const tid = thread?.tid ?? process.pid;
  const { userNs } = reader.cred;
  const ids = (names: ('uid' | 'euid' | 'suid' | 'fsuid' | 'gid' | 'egid' | 'sgid' | 'fsgid')[]): string =>
    names.map((n) => userNs.shown(n.endsWith('uid') ? 'uid' : 'gid', cred?.[n] ?? 0)).join('\t');
  const groups = (cred?.groups ?? []).map((g) => userNs.shown('gid', g));
  const from = settings.pidNs ?? process.kernel.pidNs;
  const numbers = (pid: number): string => numbersFrom(from, process, pid).join('\t');
  const seen = (pid: number): number => shownPid(settings, pid);
  return (
    `Name:\t${escapeName(thread?.comm ?? process.comm)}\n` +
    (thread ? `Umask:\t${thread.fs.umask.toString(8).padStart(4, '0')}\n` : '') +
    `State:\t${state} (${STATE_NAMES[state]})\nTgid:\t${seen(process.pid)}\nNgid:\t0\nPid:\t${seen(tid)}\nPPid:\t${seen(process.ppid)}\nTracerPid:\t0\n` +
    `Uid:\t${ids(['uid', 'euid', 'suid', 'fsuid'])}\nGid:\t${ids(['gid', 'egid', 'sgid', 'fsgid'])}\n` +
    `FDSize:\t${thread ? fdTableSize(thread) : 0}\nGroups:\t${groups.join(' ')} \n` +
    `NStgid:\t${numbers(process.pid)}\nNSpid:\t${numbers(tid)}\nNSpgid:\t${numbers(process.pgid)}\nNSsid:\t${numbers(process.sid)}\n` +
    memory(subject) +
    `Threads:\t${process.tasks.size}\n` +
    signals(subject) +
    `CapInh:\t${capability(cred?.capInheritable ?? 0n)}\nCapPrm:\t${capability(cred?.capPermitted ?? 0n)}\n` +
    `CapEff:\t${capability(cred?.capEffective ?? 0n)}\nCapBnd:\t${capability(cred?.capBounding ?? 0n)}\nCapAmb:\t${capability(cred?.capAmbient ?? 0n)}\n` +
    `NoNewPrivs:\t${process.noNewPrivs ? 1 : 0}\nSeccomp:\t0\nSeccomp_filters:\t0\n` +
    'Speculation_Store_Bypass:\tnot vulnerable\nSpeculationIndirectBranch:\tnot affected\n' +
    'Cpus_allowed:\t1\nCpus_allowed_list:\t0\nMems_allowed:\t00000000,00000001\nMems_allowed_list:\t0\n' +
    'voluntary_ctxt_switches:\t0\nnonvoluntary_ctxt_switches:\t0\n'
  );
});
