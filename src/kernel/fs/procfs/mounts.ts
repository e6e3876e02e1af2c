/** /proc/PID/mounts, mountinfo and mountstats (proc_pid_mountinfo(5)). */
import type { Mount } from '../dentry.ts';
import { locate } from '../fs-context.ts';
import { escapeName, pidEntry, type Subject } from './entry.ts';

const name = (text: string): string => escapeName(text, ' \t#');

interface Row {
  readonly mount: Mount;
  /** As seen from the process's root. */
  readonly place: string;
}

/** Mounts below the process's root, in order of mounting. */
function visible({ process, thread }: Subject): Row[] {
  if (!thread) return [];
  return process.kernel.vfs.mounts().flatMap((mount: Mount): Row[] => {
    const { name: place, reachable } = locate({ mount, dentry: mount.root }, thread.fs.root);
    return reachable ? [{ mount, place }] : [];
  });
}

const access = (mount: Mount): string => (mount.readOnly ? 'ro' : 'rw');

export const mounts = pidEntry('mounts', (subject) => {
  const row = ({ mount, place }: Row): string => `${name(mount.source)} ${name(place)} ${mount.fs.type} ${access(mount)},relatime 0 0\n`;
  return visible(subject).map(row).join('');
});

function device(dev: number): string {
  return `${(dev >>> 8) & 0xfff}:${(dev & 0xff) | (Math.floor(dev / 0x10_0000) << 8)}`;
}

export const mountinfo = pidEntry('mountinfo', (subject) => {
  const row = ({ mount, place }: Row): string => {
    const { fs } = mount;
    const superblock = fs.readOnly ? 'ro' : 'rw';
    const ids = `${mount.id} ${mount.parent?.id ?? mount.id} ${device(fs.dev)}`;
    return `${ids} / ${name(place)} ${access(mount)},relatime - ${fs.type} ${name(mount.source)} ${superblock}\n`;
  };
  return visible(subject).map(row).join('');
});

export const mountstats = pidEntry('mountstats', (subject) => {
  return visible(subject).map(({ mount, place }) => `device ${name(mount.source)} mounted on ${name(place)} with fstype ${mount.fs.type}\n`).join('');
}, { perm: 0o400 });
