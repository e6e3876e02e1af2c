/** /proc/PID/mounts, mountinfo and mountstats (proc_pid_mountinfo(5)). */
import type { MountInfo } from '../vfs.ts';
import { escapeName, pidEntry, type Subject } from './entry.ts';

const name = (text: string): string => escapeName(text, ' \t#');
const access = (readOnly: boolean): string => (readOnly ? 'ro' : 'rw');

/** As seen from the process's root. */
const mountsOf = ({ process, thread }: Subject): MountInfo[] =>
  thread ? process.kernel.vfs.mounts(thread.fs.root) : [];

export const mounts = pidEntry('mounts', (subject) =>
  mountsOf(subject)
    .map((m) => `${name(m.source)} ${name(m.path)} ${m.type} ${access(m.readOnly)},relatime 0 0\n`)
    .join(''),
);

function device(dev: number): string {
  return `${(dev >>> 8) & 0xfff}:${(dev & 0xff) | (Math.floor(dev / 0x10_0000) << 8)}`;
}

export const mountinfo = pidEntry('mountinfo', (subject) => {
  const row = (m: MountInfo): string => {
    const rights = access(m.readOnly);
    return `${m.id} ${m.parentId} ${device(m.dev)} / ${name(m.path)} ${rights},relatime - ${m.type} ${name(m.source)} ${rights}\n`;
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
