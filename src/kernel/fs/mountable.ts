/** What mount(2) can mount: the file systems a guest may make, by type, and their options. */
import { errno, sysError } from '../abi/errno.ts';
import type { GuestTask } from '../task/guest-task.ts';
import type { FileSystem } from './inode.ts';
import { ProcFs } from './procfs/index.ts';
import { Tmpfs, type TmpfsOptions } from './tmpfs.ts';

const PAGE = 4096;
const UNITS: Readonly<Record<string, number>> = { k: 2 ** 10, m: 2 ** 20, g: 2 ** 30, t: 2 ** 40 };

/** memparse: a number with k, m, g, or for `size` a share of the memory in %. Throws EINVAL. */
function bytesOf(text: string, memory: number): number {
  const m = /^(\d{1,15})([kmgt%]?)$/i.exec(text);
  if (!m) throw sysError(errno.EINVAL);
  const n = Number(m[1]);
  return m[2] === '%' ? Math.floor((memory * n) / 100) : n * (UNITS[m[2]!.toLowerCase()] ?? 1);
}

function numberOf(text: string, pattern: RegExp, radix: number): number {
  if (!pattern.test(text)) throw sysError(errno.EINVAL);
  return Number.parseInt(text, radix);
}

/** tmpfs(5), "Mount options". Throws EINVAL for those it does not know. */
export function tmpfsOptions(task: GuestTask, data: string): TmpfsOptions {
  const options: TmpfsOptions = {};
  const { userNs } = task.cred;
  for (const word of data.split(',').filter(Boolean)) {
    const [name, value = ''] = word.split('=', 2) as [string, string?];
    switch (name) {
      case 'size':
        options.limit = bytesOf(value, task.kernel.options.memoryLimit);
        break;
      case 'nr_blocks':
        options.limit = bytesOf(value, 0) * PAGE;
        break;
      case 'nr_inodes':
        options.maxInodes = bytesOf(value, 0);
        break;
      case 'mode':
        options.mode = numberOf(value, /^[0-7]{1,5}$/, 8) & 0o7777;
        break;
      case 'uid':
      case 'gid': {
        const id = userNs.toKernel(name, numberOf(value, /^\d{1,10}$/, 10));
        if (id === null) throw sysError(errno.EINVAL);
        options[name] = id;
        break;
      }
      case 'huge':
      case 'mpol':
      case 'inode32':
      case 'inode64':
        break;
      default:
        throw sysError(errno.EINVAL);
    }
  }
  // 0 is no limit (but that of the memory).
  if (options.limit === 0) delete options.limit;
  return options;
}

/** A file system of `type`, new or the one there is. Throws ENODEV, EINVAL. */
export function fileSystemOf(task: GuestTask, type: string, data: string): FileSystem {
  const { ns } = task;
  switch (type) {
    case 'tmpfs':
      return new Tmpfs({ uid: task.cred.fsuid, gid: task.cred.fsgid, ...tmpfsOptions(task, data) });
    case 'ramfs': {
      // Options it does not know are passed over.
      const mode = /(?:^|,)mode=([0-7]{1,5})(?:,|$)/.exec(data)?.[1];
      return new Tmpfs({ type, mode: mode === undefined ? 0o755 : Number.parseInt(mode, 8) & 0o7777 });
    }
    case 'proc': {
      const proc = mounted(task, (fs): fs is ProcFs => fs instanceof ProcFs);
      return proc.forNamespace(task.process.pidNs);
    }
    case 'mqueue':
      return ns.ipc.queues;
    case 'sysfs':
    case 'devtmpfs':
    case 'devpts':
      return mounted(task, (fs): fs is FileSystem => fs.type === type);
    default:
      throw sysError(errno.ENODEV);
  }
}

/** A file system of the kernel's own, of which there is one. */
function mounted<T extends FileSystem>(task: GuestTask, is: (fs: FileSystem) => fs is T): T {
  const found = task.kernel.vfs.initial.filesystems.find(is);
  if (!found) throw sysError(errno.ENODEV);
  return found as T;
}

/** A change of options on a mounted tmpfs. Throws EINVAL for less than what is used. */
export function remountTmpfs(task: GuestTask, fs: Tmpfs, data: string): void {
  const { limit, maxInodes } = tmpfsOptions(task, data);
  if (limit !== undefined && limit < fs.budget.used) throw sysError(errno.EINVAL);
  if (maxInodes !== undefined && maxInodes !== 0 && maxInodes < fs.inodes) throw sysError(errno.EINVAL);
  if (limit !== undefined) fs.budget.limit = limit;
  if (maxInodes !== undefined) fs.maxInodes = maxInodes;
}
