/** prctl(2) and arch_prctl(2). */
import { errno, sysError } from '../abi/errno.ts';
import { NSIG } from '../abi/signals.ts';
import { PROT_READ } from '../mm/guest-memory.ts';
import { nameAnonymous } from '../mm/madvise.ts';
import { latin1, latin1Bytes } from '../mm/user-memory.ts';
import { CAP_LAST, CAP_SETPCAP } from '../task/credentials.ts';
import type { GuestTask } from '../task/guest-task.ts';
import { guestRow as row } from './guest-row.ts';
import type { SyscallRow } from './row.ts';

const options = {
  PR_SET_PDEATHSIG: 1,
  PR_GET_PDEATHSIG: 2,
  PR_GET_DUMPABLE: 3,
  PR_SET_DUMPABLE: 4,
  PR_GET_KEEPCAPS: 7,
  PR_SET_KEEPCAPS: 8,
  PR_GET_TIMING: 13,
  PR_SET_TIMING: 14,
  PR_SET_NAME: 15,
  PR_GET_NAME: 16,
  PR_GET_ENDIAN: 19,
  PR_GET_SECCOMP: 21,
  PR_SET_SECCOMP: 22,
  PR_CAPBSET_READ: 23,
  PR_CAPBSET_DROP: 24,
  PR_GET_TSC: 25,
  PR_SET_TSC: 26,
  PR_GET_SECUREBITS: 27,
  PR_SET_SECUREBITS: 28,
  PR_SET_TIMERSLACK: 29,
  PR_GET_TIMERSLACK: 30,
  PR_TASK_PERF_EVENTS_DISABLE: 31,
  PR_TASK_PERF_EVENTS_ENABLE: 32,
  PR_MCE_KILL: 33,
  PR_MCE_KILL_GET: 34,
  PR_SET_MM: 35,
  PR_SET_CHILD_SUBREAPER: 36,
  PR_GET_CHILD_SUBREAPER: 37,
  PR_SET_NO_NEW_PRIVS: 38,
  PR_GET_NO_NEW_PRIVS: 39,
  PR_GET_TID_ADDRESS: 40,
  PR_SET_THP_DISABLE: 41,
  PR_GET_THP_DISABLE: 42,
  PR_CAP_AMBIENT: 47,
  PR_GET_SPECULATION_CTRL: 52,
  PR_SET_SPECULATION_CTRL: 53,
  PR_SET_PTRACER: 0x5961_6d61,
  PR_SET_VMA: 0x5356_4d41,
};

const COMM_LENGTH = 16;
const PR_SET_VMA_ANON_NAME = 0;
/** ANON_VMA_NAME_MAX_LEN. */
const ANON_NAME_SIZE = 80;
const DEFAULT_TIMERSLACK = 50_000;
const PR_TSC_ENABLE = 1;
const PR_MCE_KILL_DEFAULT = 2;
const SECURE_ALL_BITS = 0xff;
const SECURE_ALL_LOCKS = 0xaa;
const KEEP_CAPS = 0x10;
const KEEP_CAPS_LOCKED = 0x20;

const ambient = { IS_SET: 1, RAISE: 2, LOWER: 3, CLEAR_ALL: 4 };

function invalidUnless(ok: boolean): void {
  if (!ok) throw sysError(errno.EINVAL);
}

function writeInt(task: GuestTask, address: number, value: number): number {
  task.mem.writeU32(address, value >>> 0);
  return 0;
}

function prctl(task: GuestTask, option: number, a2: number, a3: number, a4: number, a5: number): number {
  const { process } = task;
  switch (option) {
    case options.PR_SET_PDEATHSIG:
      invalidUnless(a2 <= NSIG);
      task.parentDeathSignal = a2;
      return 0;
    case options.PR_GET_PDEATHSIG:
      return writeInt(task, a2, task.parentDeathSignal);
    case options.PR_GET_DUMPABLE:
      return process.dumpable;
    case options.PR_SET_DUMPABLE:
      invalidUnless(a2 <= 1);
      process.dumpable = a2;
      return 0;
    case options.PR_GET_TIMING:
      return 0;
    case options.PR_SET_TIMING:
      invalidUnless(a2 === 0);
      return 0;
    case options.PR_SET_NAME:
      task.comm = readComm(task, a2);
      return 0;
    case options.PR_GET_NAME: {
      const out = new Uint8Array(COMM_LENGTH);
      out.set(latin1Bytes(task.comm).subarray(0, COMM_LENGTH - 1));
      task.mem.copyOut(a2, out);
      return 0;
    }
    case options.PR_GET_SECCOMP:
      return 0;
    case options.PR_GET_TSC:
      return writeInt(task, a2, PR_TSC_ENABLE);
    case options.PR_SET_TSC:
      invalidUnless(a2 === PR_TSC_ENABLE);
      return 0;
    case options.PR_SET_TIMERSLACK:
      task.timerSlack = a2 > 0 && a2 < 2 ** 63 ? a2 : DEFAULT_TIMERSLACK;
      return 0;
    case options.PR_GET_TIMERSLACK:
      return Math.min(task.timerSlack, Number.MAX_SAFE_INTEGER);
    case options.PR_TASK_PERF_EVENTS_DISABLE:
    case options.PR_TASK_PERF_EVENTS_ENABLE:
      return 0;
    case options.PR_SET_CHILD_SUBREAPER:
      process.childSubreaper = a2 !== 0;
      return 0;
    case options.PR_GET_CHILD_SUBREAPER:
      return writeInt(task, a2, Number(process.childSubreaper));
    case options.PR_SET_NO_NEW_PRIVS:
      invalidUnless(a2 === 1 && a3 === 0 && a4 === 0 && a5 === 0);
      process.noNewPrivs = true;
      return 0;
    case options.PR_GET_NO_NEW_PRIVS:
      invalidUnless(a2 === 0 && a3 === 0 && a4 === 0 && a5 === 0);
      return Number(process.noNewPrivs);
    case options.PR_GET_TID_ADDRESS:
      task.mem.writeU64(a2, task.clearChildTid);
      return 0;
    case options.PR_GET_THP_DISABLE:
      invalidUnless(a2 === 0 && a3 === 0 && a4 === 0 && a5 === 0);
      return Number(process.thpDisabled);
    case options.PR_SET_THP_DISABLE:
      invalidUnless(a3 === 0 && a4 === 0 && a5 === 0);
      process.thpDisabled = a2 !== 0;
      return 0;
    case options.PR_MCE_KILL:
      // Machine checks do not reach guests: the policy is checked and forgotten.
      invalidUnless(a4 === 0 && a5 === 0 && (a2 === 0 ? a3 === 0 : a2 === 1 && a3 <= 2));
      return 0;
    case options.PR_MCE_KILL_GET:
      invalidUnless(a2 === 0 && a3 === 0 && a4 === 0 && a5 === 0);
      return PR_MCE_KILL_DEFAULT;
    case options.PR_SET_VMA:
      invalidUnless(a2 === PR_SET_VMA_ANON_NAME);
      nameAnonymous(task.mm, a3, a4, a5 === 0 ? '' : readAreaName(task, a5));
      return 0;
    default:
      return capabilityPrctl(task, option, a2, a3, a4, a5);
  }
}

/** The options that are about capabilities(7). */
function capabilityPrctl(task: GuestTask, option: number, a2: number, a3: number, a4: number, a5: number): number {
  const { cred } = task;
  switch (option) {
    case options.PR_CAPBSET_READ:
      invalidUnless(a2 <= CAP_LAST);
      return Number((cred.capBounding >> BigInt(a2)) & 1n);
    case options.PR_CAPBSET_DROP: {
      if (!cred.mayInOwn(CAP_SETPCAP)) throw sysError(errno.EPERM);
      invalidUnless(a2 <= CAP_LAST);
      const next = cred.clone();
      next.capBounding &= ~(1n << BigInt(a2));
      task.cred = next;
      return 0;
    }
    case options.PR_GET_SECUREBITS:
      return cred.securebits;
    case options.PR_SET_SECUREBITS:
      return setSecurebits(task, a2);
    case options.PR_GET_KEEPCAPS:
      return cred.securebits & KEEP_CAPS ? 1 : 0;
    case options.PR_SET_KEEPCAPS: {
      invalidUnless(a2 <= 1);
      if (cred.securebits & KEEP_CAPS_LOCKED) throw sysError(errno.EPERM);
      const next = cred.clone();
      next.securebits = a2 ? cred.securebits | KEEP_CAPS : cred.securebits & ~KEEP_CAPS;
      task.cred = next;
      return 0;
    }
    case options.PR_CAP_AMBIENT:
      return ambientCap(task, a2, a3, a4, a5);
    default:
      throw sysError(errno.EINVAL);
  }
}

function setSecurebits(task: GuestTask, bits: number): number {
  const { cred } = task;
  const locked = (cred.securebits & SECURE_ALL_LOCKS) >>> 1;
  const changed = bits > SECURE_ALL_BITS ? -1 : cred.securebits ^ bits;
  const unlocks = (cred.securebits & SECURE_ALL_LOCKS & ~bits) !== 0;
  if (changed === -1 || (changed & locked) !== 0 || unlocks || !cred.mayInOwn(CAP_SETPCAP)) throw sysError(errno.EPERM);
  const next = cred.clone();
  next.securebits = bits;
  task.cred = next;
  return 0;
}

function ambientCap(task: GuestTask, action: number, cap: number, a4: number, a5: number): number {
  const { cred } = task;
  if (action === ambient.CLEAR_ALL) {
    invalidUnless(cap === 0 && a4 === 0 && a5 === 0);
    const next = cred.clone();
    next.capAmbient = 0n;
    task.cred = next;
    return 0;
  }
  invalidUnless(cap <= CAP_LAST && a4 === 0 && a5 === 0);
  const bit = 1n << BigInt(cap);
  if (action === ambient.IS_SET) return cred.capAmbient & bit ? 1 : 0;
  invalidUnless(action === ambient.RAISE || action === ambient.LOWER);
  const raise = action === ambient.RAISE;
  if (raise && (cred.capPermitted & cred.capInheritable & bit) === 0n) throw sysError(errno.EPERM);
  const next = cred.clone();
  next.capAmbient = raise ? cred.capAmbient | bit : cred.capAmbient & ~bit;
  task.cred = next;
  return 0;
}

/** strncpy_from_user of at most 15 bytes: a longer name is cut, a fault within them is EFAULT. */
function readComm(task: GuestTask, address: number): string {
  const room = task.mem.accessible(address, COMM_LENGTH - 1, PROT_READ);
  const text = latin1(task.mem.bytes(address, room));
  const nul = text.indexOf('\0');
  if (nul < 0 && room < COMM_LENGTH - 1) throw sysError(errno.EFAULT);
  return nul < 0 ? text : text.slice(0, nul);
}

/** strndup_user of at most 80 bytes with the NUL, printable and without what /proc/PID/maps would have to escape. */
function readAreaName(task: GuestTask, address: number): string {
  const room = task.mem.accessible(address, ANON_NAME_SIZE, PROT_READ);
  const text = latin1(task.mem.bytes(address, room));
  const nul = text.indexOf('\0');
  if (nul < 0) throw sysError(room < ANON_NAME_SIZE ? errno.EFAULT : errno.EINVAL);
  const name = text.slice(0, nul);
  invalidUnless(/^[ -~]*$/.test(name) && !/[\\`$[\]]/.test(name));
  return name;
}

const archOptions = {
  ARCH_SET_GS: 0x1001,
  ARCH_SET_FS: 0x1002,
  ARCH_GET_FS: 0x1003,
  ARCH_GET_GS: 0x1004,
  ARCH_GET_CPUID: 0x1011,
  ARCH_SET_CPUID: 0x1012,
  ARCH_CET_STATUS: 0x3001,
};
/** Bases must lie in the user half (TASK_SIZE_MAX). */
const TASK_SIZE = 2 ** 47 - 4096;

function archPrctl(task: GuestTask, code: number, address: number): number {
  const { cpu, mem } = task;
  switch (code) {
    case archOptions.ARCH_SET_FS:
    case archOptions.ARCH_SET_GS:
      if (address >= TASK_SIZE) throw sysError(errno.EPERM);
      if (code === archOptions.ARCH_SET_FS) cpu.tls = address;
      else cpu.gsBase = address;
      return 0;
    case archOptions.ARCH_GET_FS:
      mem.writeU64(address, cpu.tls);
      return 0;
    case archOptions.ARCH_GET_GS:
      mem.writeU64(address, cpu.gsBase);
      return 0;
    case archOptions.ARCH_GET_CPUID:
      return 1;
    case archOptions.ARCH_SET_CPUID:
      // CPUID faulting is a feature of Intel CPUs that CPUID does not report here.
      throw sysError(errno.ENODEV);
    default:
      throw sysError(errno.EINVAL);
  }
}

export const prctlRows: SyscallRow[] = [
  row('prctl', 157, 167, 'option:flags arg2:ulong arg3:ulong arg4:ulong arg5:ulong', prctl, {
    flagNames: { option: options },
    support: 'partial',
    note: 'what is not about a single process is EINVAL; no seccomp, no PR_SET_MM',
  }),
  row('arch_prctl', 158, null, 'code:flags addr:ptr', archPrctl, { flagNames: { code: archOptions } }),
];
