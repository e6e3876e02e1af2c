/** The inode of a host descriptor: stat(2) of the host's file. */
import * as fs from 'node:fs';
import { errno, sysError } from '../abi/errno.ts';
import type { Task } from '../task/task.ts';
import { hostError } from './host-error.ts';
import { hostStat } from './host-fd.ts';
import { type SetAttr, S_IFIFO, S_IFMT, S_IFREG, type Stat } from './inode.ts';
import type { MaybePromise, OpenFile } from './open-file.ts';
import { makedev, PseudoFs, PseudoInode, TMPFS_MAGIC } from './pseudo.ts';

const hostFs = new PseudoFs('hostfd', makedev(0, 13), TMPFS_MAGIC);

export class HostFdInode extends PseudoInode {
  readonly fd: number;
  /** Opens the file anew (open("/dev/stdin")); set by who made the descriptor's file. */
  reopen: ((flags: number, task?: Task) => MaybePromise<OpenFile>) | null = null;

  constructor(fd: number) {
    super({ fs: hostFs, mode: S_IFIFO | 0o600, ino: fd });
    this.fd = fd;
  }
  override stat(): Stat {
    return hostStat(this.fd);
  }
  override open(flags: number, task?: Task): MaybePromise<OpenFile> {
    if (!this.reopen) throw sysError(errno.ENXIO);
    return this.reopen(flags, task);
  }
  /** Only of regular files, which were given to be written: the host's terminals and devices stay as they are (EPERM). */
  override setattr(attr: SetAttr): void {
    if ((this.stat().mode & S_IFMT) !== S_IFREG) throw sysError(errno.EPERM);
    try {
      if (attr.size !== undefined) fs.ftruncateSync(this.fd, attr.size);
      if (attr.mode !== undefined) fs.fchmodSync(this.fd, attr.mode & 0o7777);
      if (attr.uid !== undefined || attr.gid !== undefined) fs.fchownSync(this.fd, attr.uid ?? -1, attr.gid ?? -1);
      if (attr.atime || attr.mtime) {
        const { atime, mtime } = this.stat();
        const a = attr.atime ?? atime;
        const m = attr.mtime ?? mtime;
        fs.futimesSync(this.fd, a.sec + a.nsec / 1e9, m.sec + m.nsec / 1e9);
      }
    } catch (e) {
      throw hostError(e);
    }
  }
}
