/**
 * The form of a system-call table row. One row is all that is known about a call: strace output, `uktx syscalls` and the
 * documentation are derived from it.
 */
import type { Task } from '../task/task.ts';

/**
 * How an argument register is decoded into the number a handler gets, and how a trace prints it.
 * - int: low 32 bits, signed. uint: low 32 bits, unsigned.
 * - long: 64 bits signed. ulong: 64 bits unsigned (rounded to a double above 2^53; such values are only ever "too large").
 * - the others are int (fd, dirfd, pid, signal), uint (flags: named bits, mode: octal) or ulong (pointers, sizes).
 */
export type ArgKind =
  | 'int'
  | 'uint'
  | 'long'
  | 'ulong'
  | 'size'
  | 'off'
  | 'fd'
  | 'dirfd'
  | 'pid'
  | 'signal'
  | 'mode'
  | 'octal'
  | 'hex'
  | 'address'
  | 'ptr'
  | 'path'
  | 'string'
  | 'inbuf'
  | 'outbuf'
  | 'instruct'
  | 'outstruct'
  | 'inoutstruct'
  | 'strv'
  | 'timespec'
  | 'sigset'
  | 'iovec'
  | 'flags';

export interface Arg {
  readonly name: string;
  readonly kind: ArgKind;
  /** inbuf and outbuf: index of the argument that holds the length (outbuf prints min(result, length) bytes). */
  readonly length?: number;
  /** flags: name -> bits, printed in this order joined by `|`. */
  readonly names?: Readonly<Record<string, number>>;
}

/** full: as the manual says. partial: the note says what is missing. none: recognised, returns ENOSYS. */
export type Support = 'full' | 'partial' | 'none';

/**
 * A handler gets its decoded arguments in order and returns the result (negative errno for a failure it prefers not to
 * throw) or a promise of it when it must wait. `SysError`s thrown or rejected become `-errno`.
 */
// biome-ignore lint/suspicious/noExplicitAny: rows hold handlers of every arity; `row` checks nothing about them.
export type Handler = (task: Task, ...args: any[]) => number | Promise<number>;

export interface SyscallRow {
  readonly name: string;
  /** Number on x86-64, or null where the ABI has no such call (asm/unistd_64.h). */
  readonly x86_64: number | null;
  /** Number on AArch64 (asm-generic/unistd.h). */
  readonly aarch64: number | null;
  readonly args: readonly Arg[];
  /** Null: ENOSYS. */
  readonly handler: Handler | null;
  readonly support: Support;
  readonly note: string;
  /** The result is an address or a mask: printed in hexadecimal. */
  readonly hexResult?: boolean;
}

/**
 * Builds a row. `args` is a compact spelling, one `name:kind` per argument separated by blanks; `inbuf` and `outbuf`
 * take the index of their length after an `=`: `'fd:fd buf:outbuf=2 count:size'`. Flags with names are given in `flagNames`.
 */
export function row(
  name: string,
  x86_64: number | null,
  aarch64: number | null,
  args: string,
  handler: Handler | null,
  extra: {
    support?: Support;
    note?: string;
    hexResult?: boolean;
    flagNames?: Record<string, Record<string, number>>;
  } = {},
): SyscallRow {
  let parsed: readonly Arg[] | null = null;
  return {
    name,
    x86_64,
    aarch64,
    handler,
    // Few rows of the table are looked at in one run.
    get args() {
      parsed ??= parseArgs(args, extra.flagNames);
      return parsed;
    },
    support: extra.support ?? (handler ? 'full' : 'none'),
    note: extra.note ?? '',
    ...(extra.hexResult && { hexResult: true }),
  };
}

const parseArgs = (args: string, flagNames: Record<string, Record<string, number>> | undefined): Arg[] =>
  args
    .split(' ')
    .filter(Boolean)
    .map((word): Arg => {
      const [argName, spec = 'ulong'] = word.split(':') as [string, string?];
      const [kind, length] = spec.split('=') as [ArgKind, string?];
      const names = flagNames?.[argName];
      return { name: argName, kind, ...(length !== undefined && { length: Number(length) }), ...(names && { names }) };
    });
