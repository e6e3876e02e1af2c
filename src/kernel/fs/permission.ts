/** Who may do what with a file (path_resolution(7), capabilities(7)). */
import { errno, sysError } from '../abi/errno.ts';
import { CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH, CAP_FOWNER, type Credentials } from '../task/credentials.ts';
import { type AccessAttr, type Inode, S_IFDIR, S_IFMT } from './inode.ts';

export const X_OK = 1;
export const W_OK = 2;
export const R_OK = 4;

export const S_ISUID = 0o4000;
export const S_ISGID = 0o2000;
export const S_ISVTX = 0o1000;

/** Type, permission bits and owner of an inode, as cheaply as it can be had. */
export const accessOf = (inode: Inode): AccessAttr => inode.access?.() ?? inode.stat();

export const fileType = (inode: Inode): number => accessOf(inode).mode & S_IFMT;

/** Whether `mask` (R_OK, W_OK, X_OK) is granted. */
export function mayAccess(cred: Credentials, file: AccessAttr, mask: number): boolean {
  const { mode, uid, gid } = file;
  const granted = uid === cred.fsuid ? mode >> 6 : cred.inGroup(gid) ? mode >> 3 : mode;
  if ((granted & mask) === mask) return true;
  const isDir = (mode & S_IFMT) === S_IFDIR;
  if (cred.capableOver(file, CAP_DAC_OVERRIDE) && (isDir || (mask & X_OK) === 0 || (mode & 0o111) !== 0)) return true;
  const readOnly = (mask & ~(isDir ? R_OK | X_OK : R_OK)) === 0;
  return readOnly && cred.capableOver(file, CAP_DAC_READ_SEARCH);
}

/** Throws EACCES unless `mask` is granted. */
export function checkAccess(cred: Credentials, inode: Inode, mask: number): void {
  if (mask !== 0 && !mayAccess(cred, accessOf(inode), mask)) throw sysError(errno.EACCES);
}

/** The owner, and who has CAP_FOWNER, may change permissions and times. */
export const isOwner = (cred: Credentials, file: { uid: number; gid: number }): boolean =>
  cred.fsuid === file.uid || cred.capableOver(file, CAP_FOWNER);

/** Whether `victim` may be removed from the directory `dir`: EACCES, or EPERM in a sticky directory of others. */
export function checkDelete(cred: Credentials, dir: Inode, victim: Inode): void {
  const attr = accessOf(dir);
  if (!mayAccess(cred, attr, W_OK | X_OK)) throw sysError(errno.EACCES);
  if ((attr.mode & S_ISVTX) === 0 || cred.fsuid === attr.uid) return;
  if (!isOwner(cred, accessOf(victim))) throw sysError(errno.EPERM);
}
