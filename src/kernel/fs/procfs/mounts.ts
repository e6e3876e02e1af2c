/** /proc/PID/mounts, mountinfo and mountstats (proc_pid_mountinfo(5)). */
import type { MountInfo } from '../vfs.ts';
import { escapeName, pidEntry, type Subject } from './entry.ts';

const name = (text: string): string => escapeName(text, ' \t#');
/** MS_NOSUID, MS_NODEV, MS_NOEXEC. */
const FLAGS: readonly [number, string][] = [
  [2, ',nosuid'],
  [4, ',nodev'],
  [8, ',noexec'],
];
const access = (readOnly: boolean, flags = 0): string =>
  (readOnly ? 'ro' : 'rw') + FLAGS.map(([flag, word]) => (flags & flag ? word : '')).join('');

/** As seen from the process's root. */
const mountsOf = ({ process, thread }: Subject): MountInfo[] =>
  thread ? process.kernel.vfs.mounts(thread.fs.root, thread.ns.mnt) : [];

export const mounts = pidEntry('mounts', (subject) =>
  mountsOf(subject)
    .map((m) => `${name(m.source)} ${name(m.path)} ${m.type} ${access(m.readOnly, m.flags)},relatime${m.options} 0 0\n`)
    .join(''),
);

function device(dev: number): string {
  return `${(dev >>> 8) & 0xfff}:${(dev & 0xff) | (Math.floor(dev / 0x10_0000) << 8)}`;
}

export const mountinfo = pidEntry('mountinfo', (subject) => {
  const row = (m: MountInfo): string => {
    const ofFs = access(m.fsReadOnly) + m.options;
    const own = access(m.readOnly, m.flags);
    return `${m.id} ${m.parentId} ${device(m.dev)} ${name(m.root)} ${name(m.path)} ${own},relatime ${m.propagation}- ${m.type} ${name(m.source)} ${ofFs}\n`;
  };
  return mountsOf(subject).map(row).join('');
});

export const mountstats = pidEntry(
  'mountstats',
  (subject) =>
    mountsOf(subject)
      .map((m) => `device ${name(m.source)} mounted on ${name(m.path)} with fstype ${m.type}\n`)
      .join(''),
  { perm: 0o400 },
);
