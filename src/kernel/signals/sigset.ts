/** A set of signals 1..64, as the two 32-bit words of the kernel's sigset_t (bit n-1 stands for signal n). */
import { errno, sysError } from '../abi/errno.ts';
import { SIGKILL, SIGSTOP } from '../abi/signals.ts';
import { PROT_READ, PROT_WRITE } from '../mm/guest-memory.ts';
import type { UserMemory } from '../mm/user-memory.ts';

const KILL_STOP = (1 << (SIGKILL - 1)) | (1 << (SIGSTOP - 1));

/** Size in bytes of sigset_t as the system calls want it in their `sigsetsize` argument. */
export const SIGSET_SIZE = 8;

export class SigSet {
  lo: number;
  hi: number;
  constructor(lo = 0, hi = 0) {
    this.lo = lo >>> 0;
    this.hi = hi >>> 0;
  }
  has(signo: number): boolean {
    return signo <= 32 ? ((this.lo >>> (signo - 1)) & 1) === 1 : ((this.hi >>> (signo - 33)) & 1) === 1;
  }
  add(signo: number): void {
    if (signo <= 32) this.lo = (this.lo | (1 << (signo - 1))) >>> 0;
    else this.hi = (this.hi | (1 << (signo - 33))) >>> 0;
  }
  remove(signo: number): void {
    if (signo <= 32) this.lo = (this.lo & ~(1 << (signo - 1))) >>> 0;
    else this.hi = (this.hi & ~(1 << (signo - 33))) >>> 0;
  }
  get empty(): boolean {
    return this.lo === 0 && this.hi === 0;
  }
  clear(): void {
    this.lo = 0;
    this.hi = 0;
  }
  clone(): SigSet {
    return new SigSet(this.lo, this.hi);
  }
  set(other: SigSet): void {
    this.lo = other.lo;
    this.hi = other.hi;
  }
  union(other: SigSet): SigSet {
    return new SigSet(this.lo | other.lo, this.hi | other.hi);
  }
  intersection(other: SigSet): SigSet {
    return new SigSet(this.lo & other.lo, this.hi & other.hi);
  }
  difference(other: SigSet): SigSet {
    return new SigSet(this.lo & ~other.lo, this.hi & ~other.hi);
  }
  complement(): SigSet {
    return new SigSet(~this.lo, ~this.hi);
  }
  /** The same set without SIGKILL and SIGSTOP, which nothing can block. */
  withoutKillStop(): SigSet {
    return new SigSet(this.lo & ~KILL_STOP, this.hi);
  }
  /** Lowest signal in the set, 0 when it is empty. */
  lowest(): number {
    if (this.lo !== 0) return 32 - Math.clz32(this.lo & -this.lo);
    if (this.hi !== 0) return 64 - Math.clz32(this.hi & -this.hi);
    return 0;
  }
  /** 16 hexadecimal digits, as in /proc/self/status. */
  hex(): string {
    return this.hi.toString(16).padStart(8, '0') + this.lo.toString(16).padStart(8, '0');
  }
  *[Symbol.iterator](): Generator<number> {
    for (let n = 1; n <= 64; n++) if (this.has(n)) yield n;
  }
}

// Views are made by nobody here: these calls are frequent, and a DataView costs more than the rest of them.

export function readSigset(mem: UserMemory, addr: number): SigSet {
  if (mem.accessible(addr, SIGSET_SIZE, PROT_READ) < SIGSET_SIZE) throw sysError(errno.EFAULT);
  const { view } = mem.guest;
  return new SigSet(view.getUint32(addr, true), view.getUint32(addr + 4, true));
}

export function writeSigset(mem: UserMemory, addr: number, set: SigSet): void {
  if (mem.accessible(addr, SIGSET_SIZE, PROT_WRITE) < SIGSET_SIZE) throw sysError(errno.EFAULT);
  const { view } = mem.guest;
  view.setUint32(addr, set.lo, true);
  view.setUint32(addr + 4, set.hi, true);
  mem.written(addr, SIGSET_SIZE);
}
