/** O_* as the guest's ISA numbers them (asm/fcntl.h): four differ on AArch64. Inside the kernel they are x86-64's. */
import {
  O_ACCMODE,
  O_APPEND,
  O_ASYNC,
  O_CLOEXEC,
  O_CREAT,
  O_DIRECT,
  O_DIRECTORY,
  O_DSYNC,
  O_EXCL,
  O_LARGEFILE,
  O_NOATIME,
  O_NOCTTY,
  O_NOFOLLOW,
  O_NONBLOCK,
  O_PATH,
  O_SYNC,
  O_TMPFILE,
  O_TRUNC,
} from '../fs/open-file.ts';
import type { Isa } from '../task/cpu-context.ts';

const aarch64: readonly (readonly [guest: number, kernel: number])[] = [
  [0o40000, O_DIRECTORY],
  [0o100000, O_NOFOLLOW],
  [0o200000, O_DIRECT],
  [0o400000, O_LARGEFILE],
];
const DIFFERING = 0o740000;

/** All bits open(2) knows; others are ignored by open and refused by openat2. */
export const VALID_OPEN_FLAGS =
  O_ACCMODE |
  O_CREAT |
  O_EXCL |
  O_NOCTTY |
  O_TRUNC |
  O_APPEND |
  O_NONBLOCK |
  O_SYNC |
  O_DSYNC |
  O_ASYNC |
  O_DIRECT |
  O_LARGEFILE |
  O_DIRECTORY |
  O_NOFOLLOW |
  O_NOATIME |
  O_CLOEXEC |
  O_PATH |
  O_TMPFILE;

export function openFlagsFromGuest(isa: Isa, flags: number): number {
  if (isa === 'x86_64') return flags;
  let result = flags & ~DIFFERING;
  for (const [guest, kernel] of aarch64) if (flags & guest) result |= kernel;
  return result;
}

export function openFlagsToGuest(isa: Isa, flags: number): number {
  if (isa === 'x86_64') return flags;
  let result = flags & ~DIFFERING;
  for (const [guest, kernel] of aarch64) if (flags & kernel) result |= guest;
  return result;
}

/** For traces; O_SYNC and O_TMPFILE contain other flags and come first. */
export const openFlagNames = {
  O_RDONLY: 0,
  O_WRONLY: 1,
  O_RDWR: 2,
  O_CREAT,
  O_EXCL,
  O_NOCTTY,
  O_TRUNC,
  O_APPEND,
  O_NONBLOCK,
  O_SYNC,
  O_DSYNC,
  O_ASYNC,
  O_DIRECT,
  O_LARGEFILE,
  O_NOFOLLOW,
  O_NOATIME,
  O_CLOEXEC,
  O_PATH,
  O_TMPFILE,
  O_DIRECTORY,
};
