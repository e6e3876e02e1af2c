/** Anonymous files: memfd_create(2) and its seals (fcntl(2), "File Sealing"). */
import { errno, sysError } from '../abi/errno.ts';
import type { Task } from '../task/task.ts';
import { detachedPath } from './fs-context.ts';
import {
  F_SEAL_EXEC,
  F_SEAL_FUTURE_WRITE,
  F_SEAL_GROW,
  F_SEAL_SEAL,
  F_SEAL_SHRINK,
  F_SEAL_WRITE,
  MemFile,
} from './mem-file.ts';
import { O_LARGEFILE, O_RDWR, type OpenFile } from './open-file.ts';
import { Tmpfs } from './tmpfs.ts';

export const MFD_CLOEXEC = 0x01;
export const MFD_ALLOW_SEALING = 0x02;
export const MFD_HUGETLB = 0x04;
export const MFD_NOEXEC_SEAL = 0x08;
export const MFD_EXEC = 0x10;

const ALL_SEALS = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_FUTURE_WRITE | F_SEAL_EXEC;
/** The name without `memfd:` and NUL. */
export const MEMFD_NAME_MAX = 249;

let shm: Tmpfs | null = null;

/** A file without a name; `flags` are MFD_*. */
export function createMemfd(task: Task, name: string, flags: number): OpenFile {
  shm ??= new Tmpfs();
  const noexec = (flags & MFD_NOEXEC_SEAL) !== 0;
  const inode = shm.newFile(noexec ? 0o666 : 0o777, task.cred.fsuid, task.cred.fsgid);
  inode.nlink = 0;
  if (flags & MFD_ALLOW_SEALING) inode.seals = 0;
  if (noexec) inode.seals = F_SEAL_EXEC;
  const file = inode.open(O_RDWR);
  file.flags |= O_LARGEFILE;
  file.location = detachedPath(inode, `/memfd:${name}`);
  file.location.dentry.deleted = true;
  return file;
}

/** F_GET_SEALS. Throws EINVAL for files that are not in memory. */
export function getSeals(file: OpenFile): number {
  if (!(file.inode instanceof MemFile)) throw sysError(errno.EINVAL);
  return file.inode.seals;
}

/**
 * F_ADD_SEALS. Throws EPERM (sealed already, or not open for writing), EINVAL, EBUSY while anybody maps the file shared
 * and writable.
 */
export function addSeals(task: Task, file: OpenFile, seals: number): number {
  const { inode } = file;
  if (!(inode instanceof MemFile)) throw sysError(errno.EINVAL);
  if (!file.writable) throw sysError(errno.EPERM);
  if (seals & ~ALL_SEALS) throw sysError(errno.EINVAL);
  if (inode.seals & F_SEAL_SEAL) throw sysError(errno.EPERM);
  if (seals & F_SEAL_WRITE && (inode.seals & F_SEAL_WRITE) === 0 && isMappedForWriting(task, file))
    throw sysError(errno.EBUSY);
  // An executable that cannot lose that must not change either.
  const implied =
    seals & F_SEAL_EXEC && inode.mode & 0o111 ? F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_FUTURE_WRITE : 0;
  inode.seals |= seals | implied;
  return 0;
}

const PROT_WRITE = 2;
const MAP_SHARED = 1;

function isMappedForWriting(task: Task, file: OpenFile): boolean {
  const key = file.mapKey();
  const spaces = new Set([...task.kernel.tasks.values()].map((t) => t.mm).concat(task.mm ?? []));
  for (const mm of spaces) {
    for (const vma of mm.vmas()) if (vma.object === key && vma.flags & MAP_SHARED && vma.prot & PROT_WRITE) return true;
  }
  return false;
}
