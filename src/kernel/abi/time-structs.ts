/** timespec, timeval, itimerval, rusage, tms and timex, as 64-bit Linux lays them out. */
import { errno, sysError } from './errno.ts';
import { PROT_WRITE } from '../mm/guest-memory.ts';
import type { UserMemory } from '../mm/user-memory.ts';

export interface TimeSpec {
  /** Seconds, exact within +-2^53. */
  sec: number;
  nsec: number;
}

export const NSEC = 1_000_000_000;

export const readTimespec = (mem: UserMemory, addr: number): TimeSpec => {
  mem.bytes(addr, 16);
  return { sec: mem.readI64(addr), nsec: mem.readI64(addr + 8) };
};

/** A timespec that a sleep or timer accepts: not negative, nanoseconds below a second. Else EINVAL. */
export function readValidTimespec(mem: UserMemory, addr: number): TimeSpec {
  const t = readTimespec(mem, addr);
  if (t.sec < 0 || t.nsec < 0 || t.nsec >= NSEC) throw sysError(errno.EINVAL);
  return t;
}

/** Both below 2^53 and 2^32 and not negative. Throws EFAULT. */
export function writeTimespec(mem: UserMemory, addr: number, sec: number, nsec: number): void {
  if (mem.accessible(addr, 16, PROT_WRITE) < 16) throw sysError(errno.EFAULT);
  const { view } = mem.guest;
  view.setUint32(addr, sec >>> 0, true);
  view.setUint32(addr + 4, Math.floor(sec / 0x1_0000_0000) >>> 0, true);
  view.setUint32(addr + 8, nsec, true);
  view.setUint32(addr + 12, 0, true);
  mem.written(addr, 16);
}

/** struct timeval has the form of a timespec, with microseconds. */
export const writeTimeval: (mem: UserMemory, addr: number, sec: number, usec: number) => void = writeTimespec;

export const timespecMs = (t: TimeSpec): number => t.sec * 1000 + t.nsec / 1e6;

/** Milliseconds to whole seconds and nanoseconds; never negative. */
export function msToTimespec(ms: number): TimeSpec {
  const total = Math.max(0, ms);
  const sec = Math.floor(total / 1000);
  const nsec = Math.floor((total - sec * 1000) * 1e6);
  return { sec, nsec: Math.min(nsec, NSEC - 1) };
}

/** struct itimerval; both in milliseconds. */
export interface ItimerValue {
  interval: number;
  value: number;
}

const timevalMs = (mem: UserMemory, addr: number): number => {
  const sec = mem.readI64(addr);
  const usec = mem.readI64(addr + 8);
  if (sec < 0 || usec < 0 || usec >= 1_000_000) throw sysError(errno.EINVAL);
  return sec * 1000 + usec / 1000;
};

export function readItimerval(mem: UserMemory, addr: number): ItimerValue {
  mem.bytes(addr, 32);
  return { interval: timevalMs(mem, addr), value: timevalMs(mem, addr + 16) };
}

export function writeItimerval(mem: UserMemory, addr: number, v: ItimerValue): void {
  mem.writable(addr, 32);
  [v.interval, v.value].forEach((ms, i) => {
    // A timer that runs never shows as zero, which would mean disarmed.
    const us = ms > 0 ? Math.max(1, Math.round(ms * 1000)) : 0;
    writeTimeval(mem, addr + i * 16, Math.floor(us / 1_000_000), us % 1_000_000);
  });
}

export interface Rusage {
  /** Milliseconds. */
  utime: number;
  stime: number;
  /** Kilobytes. */
  maxrss: number;
}

/** struct rusage, 144 bytes; the fields Linux does not maintain, and page faults, are zero. */
export function encodeRusage(u: Rusage): Uint8Array {
  const out = new Uint8Array(144);
  const view = new DataView(out.buffer);
  [u.utime, u.stime].forEach((ms, i) => {
    const us = Math.floor(ms * 1000);
    view.setBigInt64(i * 16, BigInt(Math.floor(us / 1_000_000)), true);
    view.setBigInt64(i * 16 + 8, BigInt(us % 1_000_000), true);
  });
  view.setBigInt64(32, BigInt(Math.floor(u.maxrss)), true);
  return out;
}
