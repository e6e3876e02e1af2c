/** Opening what a file system only holds the name of: FIFOs, devices, sockets. */
import { errno, sysError } from '../abi/errno.ts';
import type { Task } from '../task/task.ts';
import { type Inode, S_IFBLK, S_IFCHR, S_IFIFO, S_IFMT } from './inode.ts';
import type { MaybePromise, OpenFile } from './open-file.ts';
import { openFifo } from './pipe.ts';

/** Opens device `rdev`; throws ENXIO for one that does not exist. */
export type DeviceOpener = (rdev: number, kind: 'char' | 'block', flags: number, task?: Task) => MaybePromise<OpenFile>;

let openDevice: DeviceOpener = () => {
  throw sysError(errno.ENXIO);
};

/** Lets device nodes outside /dev (mknod(2), root archives) lead to the kernel's devices. */
export function setDeviceOpener(opener: DeviceOpener): void {
  openDevice = opener;
}

/** `inode` identifies a FIFO: all opens of the same inode share one pipe. */
export function openSpecial(
  inode: Inode,
  mode: number,
  rdev: number,
  flags: number,
  task?: Task,
): MaybePromise<OpenFile> {
  const attach = (file: OpenFile): OpenFile => {
    file.inode = inode;
    return file;
  };
  const opened = open(inode, mode, rdev, flags, task);
  return opened instanceof Promise ? opened.then(attach) : attach(opened);
}

function open(inode: Inode, mode: number, rdev: number, flags: number, task?: Task): MaybePromise<OpenFile> {
  switch (mode & S_IFMT) {
    case S_IFIFO:
      return openFifo(inode, flags, task);
    case S_IFCHR:
      return openDevice(rdev, 'char', flags, task);
    case S_IFBLK:
      return openDevice(rdev, 'block', flags, task);
    default:
      throw sysError(errno.ENXIO);
  }
}
