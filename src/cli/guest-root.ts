/** What the guest sees, from the flags of `run`. */
import { resolve } from 'node:path';
import { SysError } from '../kernel/abi/errno.ts';
import { DevFs } from '../kernel/fs/devfs.ts';
import type { FsContext } from '../kernel/fs/fs-context.ts';
import { S_IFDIR, S_IFMT } from '../kernel/fs/inode.ts';
import type { CpuDescription } from '../kernel/fs/procfs/cpu.ts';
import { ProcFs } from '../kernel/fs/procfs/index.ts';
import { buildRoot, type GuestRoot, type Volume } from '../kernel/fs/root.ts';
import { SysFs } from '../kernel/fs/sysfs/index.ts';
import type { Terminal } from '../kernel/fs/tty.ts';
import type { Host } from '../kernel/task/host.ts';
import { toGuest } from './guest-environment.ts';
import { type RunOptions, UsageError } from './options.ts';

export interface MountedRoot extends GuestRoot {
  procfs: ProcFs;
  /** Root and working directory of the first process. */
  context: FsContext;
}

/** `SRC:DST[:ro|:rw]`; SRC is resolved against the host's working folder. Throws UsageError. */
export function parseVolume(text: string): Volume {
  const m = /^(.+?):(\/[^:]*)(?::(ro|rw))?$/.exec(text);
  if (!m) throw new UsageError(`-v takes SRC:DST[:ro] with an absolute DST, not '${text}'`);
  return { src: resolve(m[1]!), dst: m[2]!, readOnly: m[3] === 'ro' };
}

/** Throws UsageError for what the flags ask and the host does not have. */
export function mountGuestRoot(
  options: RunOptions,
  host: Host,
  cpu: CpuDescription,
  terminal: Terminal | null,
): MountedRoot {
  const procfs = new ProcFs({ cpu });
  const cwd = process.cwd();
  const volumes = options.volume.map(parseVolume);
  const dev = new DevFs({ terminal });
  let root: GuestRoot;
  try {
    root = buildRoot({
      rootfs: options.rootfs === undefined ? null : { path: options.rootfs },
      volumes,
      rw: options.rw ? cwd : null,
      proc: procfs,
      sys: new SysFs({ cpu }),
      dev,
      devMounts: dev.mounts,
      guestMemory: host.memoryTotal,
      clock: () => host.realtime(),
    });
  } catch (e) {
    throw new UsageError((e as Error).message);
  }
  const context = root.vfs.newContext(process.umask());
  context.cwd = workingDirectory(root, options.workdir ?? (options.rootfs === undefined || options.rw ? cwd : '/'));
  return { ...root, procfs, context };
}

function workingDirectory({ vfs }: GuestRoot, path: string): FsContext['cwd'] {
  const fail = (reason: string): never => {
    throw new UsageError(`the working folder ${path} ${reason} in the guest`);
  };
  try {
    const place = vfs.lookup(toGuest(resolve('/', path)));
    return (place.dentry.inode.stat().mode & S_IFMT) === S_IFDIR ? place : fail('is not a folder');
  } catch (e) {
    if (e instanceof SysError) return fail('does not exist');
    throw e;
  }
}
