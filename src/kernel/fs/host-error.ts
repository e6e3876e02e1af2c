/** Node's error codes to Linux's numbers. */
import { errno, type ErrnoName, SysError, sysError } from '../abi/errno.ts';

/** Runs a call of node:fs; what it throws becomes a SysError, EIO when Linux has no such error. */
export function hostCall<T>(act: () => T): T {
  try {
    return act();
  } catch (e) {
    throw hostError(e);
  }
}

export function hostError(e: unknown): SysError {
  if (e instanceof SysError) return e;
  const code = (e as NodeJS.ErrnoException | null)?.code;
  if (code === 'ENOTSUP') return sysError(errno.EOPNOTSUPP);
  // Out-of-range positions and names with NUL are refused by Node before the host sees them.
  if (code?.startsWith('ERR_')) return sysError(errno.EINVAL);
  return sysError(errno[code as ErrnoName] ?? errno.EIO);
}
