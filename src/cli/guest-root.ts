/** Mounts what the guest sees, from the flags of `run`. */
import { statSync } from 'node:fs';
import { resolve } from 'node:path';
import { SysError } from '../kernel/abi/errno.ts';
import { ArchiveError, openArchive } from '../kernel/fs/archive.ts';
import { DevFs } from '../kernel/fs/devfs.ts';
import type { FsContext, Path } from '../kernel/fs/fs-context.ts';
import { HostFs } from '../kernel/fs/hostfs.ts';
import { type FileSystem, S_IFDIR, S_IFMT } from '../kernel/fs/inode.ts';
import { Overlay } from '../kernel/fs/overlay.ts';
import type { CpuDescription } from '../kernel/fs/procfs/cpu.ts';
import { ProcFs } from '../kernel/fs/procfs/index.ts';
import { SysFs } from '../kernel/fs/sysfs/index.ts';
import { Tmpfs } from '../kernel/fs/tmpfs.ts';
import type { Terminal } from '../kernel/fs/tty.ts';
import { Vfs } from '../kernel/fs/vfs.ts';
import type { Kernel } from '../kernel/kernel.ts';
import { toGuest } from './guest-environment.ts';
import { type RunOptions, UsageError } from './options.ts';

export interface GuestRoot {
  vfs: Vfs;
  /** Root and working directory of the first process. */
  context: FsContext;
  /** Files that were changed in memory only. */
  changes(): number;
  /** Tells procfs whose it is. */
  attach(kernel: Kernel): void;
}

export interface Volume {
  source: string;
  target: string;
  readOnly: boolean;
}

/** `SRC:DST[:ro|:rw]`; SRC is resolved against the host's working folder. Throws UsageError. */
export function parseVolume(text: string): Volume {
  const m = /^(.+?):(\/[^:]*)(?::(ro|rw))?$/.exec(text);
  if (!m) throw new UsageError(`-v takes SRC:DST[:ro] with an absolute DST, not '${text}'`);
  return { source: resolve(m[1]!), target: m[2]!, readOnly: m[3] === 'ro' };
}

function rootFileSystem(rootfs: string | undefined): FileSystem {
  if (rootfs === undefined) return new HostFs('/', { readOnly: true });
  const path = resolve(rootfs);
  const kind = statSync(path, { throwIfNoEntry: false });
  if (!kind) throw new UsageError(`--rootfs: ${rootfs} is not there`);
  try {
    return kind.isDirectory() ? new HostFs(toGuest(path), { readOnly: true }) : openArchive(path);
  } catch (e) {
    if (e instanceof ArchiveError || e instanceof SysError) throw new UsageError(`--rootfs: ${rootfs}: ${e.message}`);
    throw e;
  }
}

/** Makes a place to mount on, in memory. */
function mountPoint(vfs: Vfs, path: string, directory: boolean): void {
  let at: Path = vfs.lookup('/');
  const names = path.split('/').filter(Boolean);
  names.forEach((name, k) => {
    const here = `/${names.slice(0, k + 1).join('/')}`;
    try {
      at = vfs.lookup(here);
    } catch {
      const { inode } = at.dentry;
      if (directory || k < names.length - 1) inode.mkdir(name, 0o755, 0, 0);
      else inode.create(name, 0o644, 0, 0);
      at = vfs.lookup(here);
    }
  });
}

function mountVolume(vfs: Vfs, { source, target, readOnly }: Volume): void {
  const st = statSync(source, { throwIfNoEntry: false });
  if (!st) throw new UsageError(`-v: ${source} is not there`);
  const fs = new HostFs(toGuest(source), { readOnly });
  mountPoint(vfs, toGuest(target), (fs.root().stat().mode & S_IFMT) === S_IFDIR);
  vfs.mount(fs, toGuest(target), { readOnly, source: toGuest(source) });
}

/** Throws UsageError for what the flags ask and the host does not have. */
export function mountGuestRoot(options: RunOptions, cpu: CpuDescription, terminal: Terminal | null): GuestRoot {
  const overlay = new Overlay(rootFileSystem(options.rootfs));
  const vfs = new Vfs(overlay, { source: options.rootfs ?? '/' });
  const procfs = new ProcFs({ cpu });
  const sysfs = new SysFs({ cpu });
  const system: [string, FileSystem][] = [['/proc', procfs], ['/sys', sysfs], ['/dev', new DevFs({ terminal })], ['/dev/shm', new Tmpfs()]];
  for (const [path, fs] of system) {
    mountPoint(vfs, path, true);
    vfs.mount(fs, path);
  }
  const cwd = process.cwd();
  if (options.rw) mountVolume(vfs, { source: cwd, target: cwd, readOnly: false });
  for (const volume of options.volume) mountVolume(vfs, parseVolume(volume));
  overlay.forgetChanges();

  const context = vfs.newContext(process.umask());
  const workdir = options.workdir ?? (options.rootfs === undefined || options.rw ? cwd : '/');
  try {
    context.cwd = vfs.lookup(toGuest(workdir));
  } catch {
    throw new UsageError(`the working folder ${workdir} does not exist in the guest`);
  }
  if ((context.cwd.dentry.inode.stat().mode & S_IFMT) !== S_IFDIR) throw new UsageError(`the working folder ${workdir} is not a folder`);
  return {
    vfs,
    context,
    changes: () => overlay.changes().files,
    attach: (kernel) => {
      procfs.kernel = kernel;
    },
  };
}
