/** Resource limits (getrlimit(2)). `Infinity` is RLIM_INFINITY. */
import { GUEST_LIMIT } from '../mm/guest-memory.ts';

export const RLIMIT_CPU = 0;
export const RLIMIT_FSIZE = 1;
export const RLIMIT_DATA = 2;
export const RLIMIT_STACK = 3;
export const RLIMIT_CORE = 4;
export const RLIMIT_RSS = 5;
export const RLIMIT_NPROC = 6;
export const RLIMIT_NOFILE = 7;
export const RLIMIT_MEMLOCK = 8;
export const RLIMIT_AS = 9;
export const RLIMIT_LOCKS = 10;
export const RLIMIT_SIGPENDING = 11;
export const RLIMIT_MSGQUEUE = 12;
export const RLIMIT_NICE = 13;
export const RLIMIT_RTPRIO = 14;
export const RLIMIT_RTTIME = 15;
export const RLIM_NLIMITS = 16;

/** Whom limits are set for: a process. */
export interface Limited {
  readonly rlimits: readonly Rlimit[];
}

export interface Rlimit {
  soft: number;
  hard: number;
}

/** What a process starts with: Linux's defaults for a login session (asm-generic/resource.h), NOFILE as systemd sets it. */
export function defaultRlimits(stackSize: number): Rlimit[] {
  const unlimited = (): Rlimit => ({ soft: Infinity, hard: Infinity });
  const limits = Array.from({ length: RLIM_NLIMITS }, unlimited);
  limits[RLIMIT_STACK] = { soft: stackSize, hard: Infinity };
  limits[RLIMIT_CORE] = { soft: 0, hard: Infinity };
  limits[RLIMIT_NPROC] = { soft: 15_000, hard: 15_000 };
  limits[RLIMIT_NOFILE] = { soft: 1024, hard: 1_048_576 };
  limits[RLIMIT_MEMLOCK] = { soft: 8 << 20, hard: 8 << 20 };
  // What there is to map. Runtimes that reserve address space by the terabyte look here first and make do with less (the
  // trap handlers and code cages of V8, the heaps of .NET and Java).
  limits[RLIMIT_AS] = { soft: GUEST_LIMIT, hard: Infinity };
  limits[RLIMIT_SIGPENDING] = { soft: 15_000, hard: 15_000 };
  limits[RLIMIT_MSGQUEUE] = { soft: 819_200, hard: 819_200 };
  limits[RLIMIT_NICE] = { soft: 0, hard: 0 };
  limits[RLIMIT_RTPRIO] = { soft: 0, hard: 0 };
  return limits;
}
