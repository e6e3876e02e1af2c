/** Linux error numbers (asm-generic/errno.h; identical on x86-64 and AArch64) and the exception that carries one. */

export const errno = {
  EPERM: 1,
  ENOENT: 2,
  ESRCH: 3,
  EINTR: 4,
  EIO: 5,
  ENXIO: 6,
  E2BIG: 7,
  ENOEXEC: 8,
  EBADF: 9,
  ECHILD: 10,
  EAGAIN: 11,
  ENOMEM: 12,
  EACCES: 13,
  EFAULT: 14,
  ENOTBLK: 15,
  EBUSY: 16,
  EEXIST: 17,
  EXDEV: 18,
  ENODEV: 19,
  ENOTDIR: 20,
  EISDIR: 21,
  EINVAL: 22,
  ENFILE: 23,
  EMFILE: 24,
  ENOTTY: 25,
  ETXTBSY: 26,
  EFBIG: 27,
  ENOSPC: 28,
  ESPIPE: 29,
  EROFS: 30,
  EMLINK: 31,
  EPIPE: 32,
  EDOM: 33,
  ERANGE: 34,
  EDEADLK: 35,
  ENAMETOOLONG: 36,
  ENOLCK: 37,
  ENOSYS: 38,
  ENOTEMPTY: 39,
  ELOOP: 40,
  ENOMSG: 42,
  EIDRM: 43,
  ENODATA: 61,
  ETIME: 62,
  EPROTO: 71,
  EBADMSG: 74,
  EOVERFLOW: 75,
  ELIBBAD: 80,
  EILSEQ: 84,
  EUSERS: 87,
  ENOTSOCK: 88,
  EDESTADDRREQ: 89,
  EMSGSIZE: 90,
  EPROTOTYPE: 91,
  ENOPROTOOPT: 92,
  EPROTONOSUPPORT: 93,
  ESOCKTNOSUPPORT: 94,
  EOPNOTSUPP: 95,
  EPFNOSUPPORT: 96,
  EAFNOSUPPORT: 97,
  EADDRINUSE: 98,
  EADDRNOTAVAIL: 99,
  ENETDOWN: 100,
  ENETUNREACH: 101,
  ENETRESET: 102,
  ECONNABORTED: 103,
  ECONNRESET: 104,
  ENOBUFS: 105,
  EISCONN: 106,
  ENOTCONN: 107,
  ETIMEDOUT: 110,
  ECONNREFUSED: 111,
  EHOSTUNREACH: 113,
  EALREADY: 114,
  EINPROGRESS: 115,
  ESTALE: 116,
  EDQUOT: 122,
  ECANCELED: 125,
  EOWNERDEAD: 130,
  ENOTRECOVERABLE: 131,
  // Kernel-internal (include/linux/errno.h): never seen by the guest; signal delivery turns them into EINTR or a restart.
  ERESTARTSYS: 512,
  ERESTARTNOINTR: 513,
  ERESTARTNOHAND: 514,
  ERESTART_RESTARTBLOCK: 516,
} as const;

export type ErrnoName = keyof typeof errno;

const nameOf = new Map<number, string>(Object.entries(errno).map(([name, n]) => [n, name]));

/** `EINVAL` for 22, or the number itself when Linux has no name for it. */
export const errnoName = (n: number): string => nameOf.get(n) ?? String(n);

/**
 * Thrown inside the kernel to make the current system call fail with `-errno`. It carries no stack trace: one instance
 * per error exists, so throwing costs no allocation. Only the syscall dispatcher catches it.
 */
export class SysError {
  readonly errno: number;
  constructor(n: number) {
    this.errno = n;
  }
  get message(): string {
    return errnoName(this.errno);
  }
}

const instances = new Map<number, SysError>();

/** The one `SysError` for an error number: `throw sysError(errno.ENOENT)`. */
export function sysError(n: number): SysError {
  let e = instances.get(n);
  if (!e) {
    e = new SysError(n);
    instances.set(n, e);
  }
  return e;
}
