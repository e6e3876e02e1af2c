/**
 * The stack a program starts with (System V ABI x86-64, 3.4.1; fs/binfmt_elf.c, create_elf_tables), from the top down:
 * eight zero bytes, the name of the file executed, environment strings, argument strings, the platform string, sixteen
 * random bytes, the auxiliary vector, envp, argv, argc. The result is built in host memory and copied in one piece.
 */
import { errno } from '../abi/errno.ts';
import type { Isa } from '../task/cpu-context.ts';

export const AT_NULL = 0;
export const AT_PHDR = 3;
export const AT_PHENT = 4;
export const AT_PHNUM = 5;
export const AT_PAGESZ = 6;
export const AT_BASE = 7;
export const AT_FLAGS = 8;
export const AT_ENTRY = 9;
export const AT_UID = 11;
export const AT_EUID = 12;
export const AT_GID = 13;
export const AT_EGID = 14;
export const AT_PLATFORM = 15;
export const AT_HWCAP = 16;
export const AT_CLKTCK = 17;
export const AT_SECURE = 23;
export const AT_RANDOM = 25;
export const AT_HWCAP2 = 26;
export const AT_EXECFN = 31;
export const AT_SYSINFO_EHDR = 33;
export const AT_MINSIGSTKSZ = 51;

/** Longest single string with its NUL (include/uapi/linux/binfmts.h). */
export const MAX_ARG_STRLEN = 131072;
const ARG_MAX = 131072;
const DEFAULT_STACK_LIMIT = 8 << 20;

export interface StackInit {
  readonly isa: Isa;
  /** End of the stack mapping, page-aligned. */
  readonly top: number;
  /** One char per byte. */
  readonly argv: readonly string[];
  readonly envp: readonly string[];
  readonly execfn: string;
  readonly random: Uint8Array;
  readonly hwcap: number;
  readonly hwcap2: number;
  readonly minSigStackSize: number;
  readonly phdr: number;
  readonly phnum: number;
  readonly base: number;
  readonly entry: number;
  readonly uid: number;
  readonly euid: number;
  readonly gid: number;
  readonly egid: number;
  readonly secure: boolean;
  /** Address of the vDSO image, 0 for none. */
  readonly vdso: number;
}

export interface BuiltStack {
  /** Initial stack pointer, 16-byte aligned; `bytes` go there. */
  readonly sp: number;
  readonly bytes: Uint8Array;
  readonly argStart: number;
  readonly argEnd: number;
  readonly envStart: number;
  readonly envEnd: number;
  /** As /proc/self/auxv shows it, AT_NULL included. */
  readonly auxv: Uint8Array;
}

/**
 * E2BIG when the strings and their pointers take more than a quarter of the stack limit (at most 6 MiB, at least
 * 128 KiB), or one string is too long; else 0. `stackLimit` is RLIMIT_STACK in bytes.
 */
export function argumentsError(
  argv: readonly string[],
  envp: readonly string[],
  execfn: string,
  stackLimit: number,
): number {
  const limit = argumentLimit(stackLimit) - (Math.max(argv.length, 1) + envp.length) * 8;
  let total = execfn.length + 1;
  for (const list of [argv, envp]) {
    for (const s of list) {
      if (s.length + 1 > MAX_ARG_STRLEN) return errno.E2BIG;
      total += s.length + 1;
    }
  }
  return limit <= 0 || total > limit ? errno.E2BIG : 0;
}

/** Bytes that argument and environment strings and their pointers may take (execve(2), "Limits on size"). */
export function argumentLimit(stackLimit: number): number {
  return Math.max(Math.min((DEFAULT_STACK_LIMIT / 4) * 3, Math.floor(stackLimit / 4)), ARG_MAX);
}

/** Bytes of stack that the strings and tables need at most. */
export function stackNeed(argv: readonly string[], envp: readonly string[], execfn: string): number {
  let total = execfn.length + 1024;
  for (const s of argv) total += s.length + 9;
  for (const s of envp) total += s.length + 9;
  return total;
}

class TopDown {
  /** Addresses: `p` is the lowest byte written so far. */
  p: number;
  readonly #pieces: { at: number; bytes: Uint8Array }[] = [];
  constructor(top: number) {
    this.p = top;
  }
  push(bytes: Uint8Array): number {
    this.p -= bytes.length;
    this.#pieces.push({ at: this.p, bytes });
    return this.p;
  }
  pushStrings(strings: readonly string[]): number[] {
    const joined = Buffer.from(strings.map((s) => `${s}\0`).join(''), 'latin1');
    let at = this.push(joined);
    return strings.map((s) => {
      const address = at;
      at += s.length + 1;
      return address;
    });
  }
  image(low: number, top: number): Uint8Array {
    const bytes = new Uint8Array(top - low);
    for (const piece of this.#pieces) bytes.set(piece.bytes, piece.at - low);
    return bytes;
  }
}

export function buildStack(init: StackInit): BuiltStack {
  const stack = new TopDown(init.top);
  stack.push(new Uint8Array(8));
  const execfn = stack.pushStrings([init.execfn])[0]!;
  const envEnd = stack.p;
  const envp = stack.pushStrings(init.envp);
  const envStart = stack.p;
  const argv = stack.pushStrings(init.argv);
  const argStart = stack.p;
  stack.p -= stack.p % 16;
  const platform = stack.pushStrings([init.isa])[0]!;
  const random = stack.push(init.random.slice(0, 16));
  const auxv = words(auxiliaryVector(init, execfn, platform, random));
  const pointers = words([argv.length, ...argv, 0, ...envp, 0]);
  // argc is 16-byte aligned; what alignment costs lies between the tables and the strings.
  const lowest = stack.p - auxv.length - pointers.length;
  const sp = lowest - (lowest % 16);
  stack.p = sp + pointers.length + auxv.length;
  stack.push(auxv);
  stack.push(pointers);
  return { sp, bytes: stack.image(sp, init.top), argStart, argEnd: envStart, envStart, envEnd, auxv };
}

/** In the order of the kernel (ARCH_DLINFO first). */
function auxiliaryVector(init: StackInit, execfn: number, platform: number, random: number): number[] {
  return [
    ...(init.vdso ? [AT_SYSINFO_EHDR, init.vdso] : []),
    AT_MINSIGSTKSZ,
    init.minSigStackSize,
    AT_HWCAP,
    init.hwcap,
    AT_PAGESZ,
    4096,
    AT_CLKTCK,
    100,
    AT_PHDR,
    init.phdr,
    AT_PHENT,
    56,
    AT_PHNUM,
    init.phnum,
    AT_BASE,
    init.base,
    AT_FLAGS,
    0,
    AT_ENTRY,
    init.entry,
    AT_UID,
    init.uid,
    AT_EUID,
    init.euid,
    AT_GID,
    init.gid,
    AT_EGID,
    init.egid,
    AT_SECURE,
    init.secure ? 1 : 0,
    AT_RANDOM,
    random,
    AT_HWCAP2,
    init.hwcap2,
    AT_EXECFN,
    execfn,
    AT_PLATFORM,
    platform,
    AT_NULL,
    0,
  ];
}

/** 64-bit little-endian words of unsigned numbers below 2^53. */
function words(values: readonly number[]): Uint8Array {
  const bytes = new Uint8Array(values.length * 8);
  const view = new DataView(bytes.buffer);
  values.forEach((v, i) => {
    view.setUint32(i * 8, v >>> 0, true);
    view.setUint32(i * 8 + 4, Math.floor(v / 0x1_0000_0000), true);
  });
  return bytes;
}
