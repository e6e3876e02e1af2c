/** /proc/PID/maps, smaps and smaps_rollup (fs/proc/task_mmu.c). */
import { MAP_GROWSDOWN, MAP_LOCKED, MAP_NORESERVE } from '../../mm/mman.ts';
import { PROT_EXEC, PROT_READ, PROT_WRITE } from '../../mm/guest-memory.ts';
import {
  type Vma,
  VM_DONTDUMP,
  VM_DONTFORK,
  VM_HUGEPAGE,
  VM_NOHUGEPAGE,
  VM_NO_WRITE,
  VM_WIPEONFORK,
} from '../../mm/vma.ts';
import { escapeName, kB, pidEntry, type Subject } from './entry.ts';

/** Where the name starts: 25 + 6 words, less one. */
const NAME_COLUMN = 72;

const hex = (n: number, width: number): string => n.toString(16).padStart(width, '0');

export const deviceName = (dev: number): string => {
  const minor = (dev & 0xff) | (Math.floor(dev / 0x10_0000) << 8);
  return `${hex((dev >>> 8) & 0xfff, 2)}:${hex(minor, 2)}`;
};

const permissions = (v: Vma): string =>
  `${v.prot & PROT_READ ? 'r' : '-'}${v.prot & PROT_WRITE ? 'w' : '-'}${v.prot & PROT_EXEC ? 'x' : '-'}${v.shared ? 's' : 'p'}`;

/** A line of maps, with its newline. */
export function mapsLine(v: Vma): string {
  const stat = v.file ? v.file.stat() : null;
  const place = stat ? `${deviceName(stat.dev)} ${stat.ino}` : '00:00 0';
  const offset = v.file || v.shared ? v.offset : 0;
  const head = `${hex(v.start, 8)}-${hex(v.end, 8)} ${permissions(v)} ${hex(offset, 8)} ${place} `;
  const name = v.label || (v.shared && !v.file ? '/dev/zero (deleted)' : '');
  return name ? `${head.padEnd(NAME_COLUMN)} ${escapeName(name)}\n` : `${head}\n`;
}

const vmasOf = ({ thread }: Subject): readonly Vma[] => thread?.mm.vmas() ?? [];

/** What x86-64 shows beyond all mappings (get_gate_vma); syscalls/vsyscall.ts carries its calls out. */
const VSYSCALL = `${'ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0 '.padEnd(NAME_COLUMN)} [vsyscall]\n`;
const hasVsyscall = ({ thread }: Subject): boolean => thread?.cpu.isa === 'x86_64' && thread.mm.vmas().length > 0;

export const maps = pidEntry(
  'maps',
  (subject) => vmasOf(subject).map(mapsLine).join('') + (hasVsyscall(subject) ? VSYSCALL : ''),
);

interface Usage {
  rss: number;
  sharedClean: number;
  privateClean: number;
  privateDirty: number;
  anonymous: number;
  locked: number;
}

/** There is no demand paging: what is accessible is resident. Pages that may have been written count as dirty. */
function usageOf(v: Vma): Usage {
  const rss = v.prot === 0 ? 0 : kB(Math.max(0, v.eof - v.start));
  const dirty = (v.prot & PROT_WRITE) !== 0 || (!v.file && !v.shared);
  return {
    rss,
    sharedClean: v.shared && !dirty ? rss : 0,
    privateClean: !v.shared && !dirty ? rss : 0,
    privateDirty: dirty ? rss : 0,
    anonymous: dirty && !v.shared ? rss : 0,
    locked: v.flags & MAP_LOCKED ? rss : 0,
  };
}

const FLAG_NAMES: readonly [number, string][] = [
  [MAP_GROWSDOWN, 'gd'],
  [MAP_LOCKED, 'lo'],
  [VM_DONTFORK, 'dc'],
  [MAP_NORESERVE, 'nr'],
  [VM_WIPEONFORK, 'wf'],
  [VM_DONTDUMP, 'dd'],
  [VM_HUGEPAGE, 'hg'],
  [VM_NOHUGEPAGE, 'nh'],
];

function vmFlags(v: Vma): string {
  const names: string[] = [];
  if (v.prot & PROT_READ) names.push('rd');
  if (v.prot & PROT_WRITE) names.push('wr');
  if (v.prot & PROT_EXEC) names.push('ex');
  if (v.shared) names.push('sh');
  names.push('mr');
  if (!(v.flags & VM_NO_WRITE)) names.push('mw');
  names.push('me');
  if (v.shared) names.push('ms');
  for (const [bit, name] of FLAG_NAMES) if (v.flags & bit) names.push(name);
  if (v.prot & PROT_WRITE && !v.shared) names.push('ac');
  return names.join(' ');
}

const line = (name: string, n: number): string => `${`${name}:`.padEnd(16)}${String(n).padStart(8)} kB\n`;

function usageLines(u: Usage, rollup: boolean): string {
  const pss = u.rss;
  const rows: [string, number][] = [
    ['Rss', u.rss],
    ['Pss', pss],
    ['Pss_Dirty', u.privateDirty],
    ...(rollup
      ? ([
          ['Pss_Anon', u.anonymous],
          ['Pss_File', pss - u.anonymous],
          ['Pss_Shmem', 0],
        ] as [string, number][])
      : []),
    ['Shared_Clean', u.sharedClean],
    ['Shared_Dirty', 0],
    ['Private_Clean', u.privateClean],
    ['Private_Dirty', u.privateDirty],
    ['Referenced', u.rss],
    ['Anonymous', u.anonymous],
    ['LazyFree', 0],
    ['AnonHugePages', 0],
    ['ShmemPmdMapped', 0],
    ['FilePmdMapped', 0],
    ['Shared_Hugetlb', 0],
    ['Private_Hugetlb', 0],
    ['Swap', 0],
    ['SwapPss', 0],
    ['Locked', u.locked],
  ];
  return rows.map(([name, n]) => line(name, n)).join('');
}

function smapsBlock(v: Vma): string {
  return (
    mapsLine(v) +
    line('Size', kB(v.length)) +
    line('KernelPageSize', 4) +
    line('MMUPageSize', 4) +
    usageLines(usageOf(v), false) +
    `THPeligible:    0\nVmFlags: ${vmFlags(v)} \n`
  );
}

const NO_USAGE: Usage = { rss: 0, sharedClean: 0, privateClean: 0, privateDirty: 0, anonymous: 0, locked: 0 };
const vsyscallBlock = (): string =>
  `${VSYSCALL}${line('Size', 4)}${line('KernelPageSize', 4)}${line('MMUPageSize', 4)}${usageLines(NO_USAGE, false)}` +
  'THPeligible:    0\nVmFlags: ex \n';

export const smaps = pidEntry(
  'smaps',
  (subject) => vmasOf(subject).map(smapsBlock).join('') + (hasVsyscall(subject) ? vsyscallBlock() : ''),
);

export const smapsRollup = pidEntry('smaps_rollup', (subject) => {
  const vmas = vmasOf(subject);
  const first = vmas[0];
  if (!first) return '';
  const sum: Usage = { ...NO_USAGE };
  for (const v of vmas) {
    const u = usageOf(v);
    for (const key of Object.keys(sum) as (keyof Usage)[]) sum[key] += u[key];
  }
  const head = `${hex(first.start, 8)}-${hex(vmas.at(-1)!.end, 8)} ---p 00000000 00:00 0 `;
  return `${head.padEnd(NAME_COLUMN)} [rollup]\n${usageLines(sum, true)}`;
});
