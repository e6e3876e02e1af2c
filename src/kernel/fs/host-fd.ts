/** What Node cannot tell about a host descriptor but Linux's /proc can. */
import * as fs from 'node:fs';
import { utf8ToLatin1 } from '../mm/user-memory.ts';
import { hostError } from './host-error.ts';
import type { Stat, Timespec } from './inode.ts';
import { O_RDONLY, O_RDWR, O_WRONLY } from './open-file.ts';

/** The largest piece moved between host and guest in one go. */
export const HOST_CHUNK = 65536;

export const isHostCode = (e: unknown, code: string): boolean => (e as { code?: unknown }).code === code;

/** Flags (as open(2) and F_GETFL have them) and offset of a host descriptor, null where /proc does not tell. */
export function hostFdInfo(fd: number): { flags: number; pos: number } | null {
  if (process.platform !== 'linux') return null;
  try {
    const text = fs.readFileSync(`/proc/self/fdinfo/${fd}`, 'latin1');
    const pos = /^pos:\s*(\d+)/m.exec(text);
    const flags = /^flags:\s*([0-7]+)/m.exec(text);
    return pos && flags ? { pos: Number(pos[1]), flags: Number.parseInt(flags[1]!, 8) } : null;
  } catch {
    return null;
  }
}

/** `/tmp/x`, `pipe:[12]`: what the host calls the file, as a guest string; empty when it does not say. */
export function hostFdName(fd: number): string {
  if (process.platform !== 'linux') return '';
  try {
    return utf8ToLatin1(fs.readlinkSync(`/proc/self/fd/${fd}`));
  } catch {
    return '';
  }
}

/**
 * A second, independent description of the same file, so that O_NONBLOCK on it is seen by nobody else (open(2) of
 * /proc/self/fd/N). Null where that is impossible: sockets, other hosts than Linux, files of other users.
 */
export function reopenHostFd(fd: number, flags: number): number | null {
  if (process.platform !== 'linux') return null;
  try {
    return fs.openSync(`/proc/self/fd/${fd}`, flags);
  } catch {
    return null;
  }
}

/** Access mode of a standard descriptor when the host does not tell. */
export function defaultFlags(fd: number, tty: boolean): number {
  if (tty) return O_RDWR;
  return fd === 0 ? O_RDONLY : O_WRONLY;
}

const timespec = (ns: bigint): Timespec => {
  const sec = ns / 1_000_000_000n;
  return { sec: Number(sec), nsec: Number(ns - sec * 1_000_000_000n) };
};

/** fstat(2) of a host descriptor. */
export function hostStat(fd: number): Stat {
  let s: fs.BigIntStats;
  try {
    s = fs.fstatSync(fd, { bigint: true });
  } catch (e) {
    throw hostError(e);
  }
  return {
    dev: Number(s.dev),
    ino: Number(s.ino),
    mode: Number(s.mode),
    nlink: Number(s.nlink),
    uid: Number(s.uid),
    gid: Number(s.gid),
    rdev: Number(s.rdev),
    size: Number(s.size),
    blksize: Number(s.blksize ?? 4096n),
    blocks: Number(s.blocks ?? 0n),
    atime: timespec(s.atimeNs),
    mtime: timespec(s.mtimeNs),
    ctime: timespec(s.ctimeNs),
    btime: timespec(s.birthtimeNs),
  };
}

/** Whether the host process has other threads, which open descriptors at any moment. The runtime says so. */
export const hostThreads = { running: false };

/**
 * Closes a standard descriptor of the host without letting its number become free: /dev/null takes its place. So the
 * other end of a pipe learns of the close, and nothing the runtime opens later becomes the guest's stdout.
 */
export function retireHostFd(fd: number): void {
  // Between the two calls another thread could get the number, and Node dies when it closes it. So it stays open.
  if (fd <= 2 && hostThreads.running) return;
  try {
    fs.closeSync(fd);
    if (fd <= 2) fs.openSync('/dev/null', fd === 0 ? 'r' : 'w');
  } catch {
    // Nobody is left to be told.
  }
}
