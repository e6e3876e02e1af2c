/** `--strace`: one line a call, in the format of strace(1), made from the rows' argument kinds. */
import { errno, errnoName } from '../abi/errno.ts';
import { errnoMessage } from '../abi/errno-messages.ts';
import { signalName } from '../abi/signals.ts';
import { PROT_READ } from '../mm/guest-memory.ts';
import type { UserMemory } from '../mm/user-memory.ts';
import { describeSigset } from '../signals/describe.ts';
import { readSigset } from '../signals/sigset.ts';
import type { GuestTask } from '../task/guest-task.ts';
import { decodeArg } from './args.ts';
import type { Arg, ArgKind } from './row.ts';
import { EXEC_DONE } from './row-results.ts';
import { syscallTable } from './table.ts';

/** Strings and buffers are cut here (strace -s). */
const STRING_MAX = 32;
const PATH_MAX = 4096;
/** Column of the equals sign (strace -a). */
const COLUMN = 39;
const AT_FDCWD = -100;
const O_CREAT = 0o100;
const O_TMPFILE_BIT = 0o2000_0000;

/** Kinds whose memory the call fills: looked at after it has returned. */
const OUTPUT: ReadonlySet<ArgKind> = new Set<ArgKind>(['outbuf', 'outstruct', 'inoutstruct']);

/**
 * Takes what must be seen before the call (strings, input buffers) and returns a function that, given the result,
 * prints the line.
 */
export function traceCall(task: GuestTask, nr: number, print: (line: string) => void): (result: number) => void {
  const row = syscallTable[task.cpu.isa][nr];
  const { cpu, mem } = task;
  if (!row || (row.args.length === 0 && !row.handler)) {
    const raw = [0, 1, 2, 3, 4, 5].map((i) => hex(decodeArg(cpu, i, 'ulong')));
    return (result) =>
      print(line(`${row?.name ?? `syscall_${nr}`}(${raw.join(', ')})`, showResult(result, false)));
  }
  const values = row.args.map((a, i) => decodeArg(cpu, i, a.kind));
  const before = row.args.map((a, i) => (OUTPUT.has(a.kind) ? '' : formatArg(mem, a, values, i)));
  const head = row.name;
  if (head === 'exit' || head === 'exit_group') return () => print(line(`${head}(${before.join(', ')})`, '?'));
  return (result) => {
    const args = row.args.map((a, i) => (OUTPUT.has(a.kind) ? formatOutput(mem, a, values, i, result) : before[i]!));
    if (hidesMode(head, values)) args.pop();
    print(line(`${head}(${args.join(', ')})`, showResult(result, row.hexResult === true)));
  };
}

/** open's mode counts, and is shown, only when a file may be made. */
function hidesMode(name: string, values: readonly number[]): boolean {
  const flagsAt = name === 'open' ? 1 : name === 'openat' ? 2 : -1;
  return flagsAt >= 0 && (values[flagsAt]! & (O_CREAT | O_TMPFILE_BIT)) === 0;
}

function line(call: string, result: string): string {
  return `${call.padEnd(COLUMN)} = ${result}`;
}

/** `3`, `0x7f0000000000`, `-1 ENOENT (No such file or directory)`, `? ERESTARTSYS (To be restarted ...)`. */
export function showResult(result: number, asHex: boolean): string {
  if (result === EXEC_DONE) return '0';
  if (result >= 0 || result < -4095) return asHex ? hex(result < 0 ? result + 2 ** 64 : result) : String(result);
  const name = errnoName(-result);
  const message = errnoMessage(-result);
  const head = -result >= errno.ERESTARTSYS ? '?' : '-1';
  return `${head} ${name}${message ? ` (${message})` : ''}`;
}

function formatOutput(mem: UserMemory, arg: Arg, values: readonly number[], i: number, result: number): string {
  const address = values[i]!;
  if (arg.kind !== 'outbuf' || result < 0) return pointer(address);
  const length = arg.length === undefined ? result : Math.min(result, values[arg.length] ?? 0);
  return buffer(mem, address, length);
}

function formatArg(mem: UserMemory, arg: Arg, values: readonly number[], i: number): string {
  const value = values[i]!;
  switch (arg.kind) {
    case 'dirfd':
      return value === AT_FDCWD ? 'AT_FDCWD' : String(value);
    case 'signal':
      return signalName(value);
    case 'mode':
    case 'octal':
      return value === 0 ? '0' : `0${value.toString(8)}`;
    case 'hex':
      return hex(value);
    case 'flags':
      return flags(value, arg.names ?? {});
    case 'ptr':
    case 'instruct':
    case 'outbuf':
    case 'outstruct':
    case 'inoutstruct':
      return pointer(value);
    case 'path':
      return cString(mem, value, PATH_MAX);
    case 'string':
      return cString(mem, value, STRING_MAX);
    case 'inbuf':
      return buffer(mem, value, arg.length === undefined ? 0 : (values[arg.length] ?? 0));
    case 'strv':
      return arg.name === 'envp' ? environment(mem, value) : stringVector(mem, value);
    case 'timespec':
      return timespec(mem, value);
    case 'sigset':
      return readable(mem, value, 8) ? describeSigset(readSigset(mem, value)) : pointer(value);
    case 'iovec':
      return iovec(mem, value, values[i + 1] ?? 0);
    case 'int':
    case 'uint':
    case 'long':
    case 'ulong':
    case 'size':
    case 'off':
    case 'fd':
    case 'pid':
      return Number.isSafeInteger(value) ? String(value) : BigInt(value).toString();
  }
}

const hex = (n: number): string => `0x${n.toString(16)}`;
const pointer = (n: number): string => (n === 0 ? 'NULL' : hex(n));
const readable = (mem: UserMemory, address: number, length: number): boolean =>
  mem.accessible(address, length, PROT_READ) >= length;

/** `O_WRONLY|O_CREAT`, `SEEK_END`, `PROT_NONE`; bits without a name are appended in hexadecimal. */
export function flags(value: number, names: Readonly<Record<string, number>>): string {
  const entries = Object.entries(names);
  const shown: string[] = [];
  let rest = value;
  // O_RDONLY is the zero of a two-bit field: it shows beside other flags, where other zeros do not.
  if ('O_RDONLY' in names && (value & 3) === 0) shown.push('O_RDONLY');
  else {
    const exact = entries.find(([, bits]) => bits >>> 0 === value);
    if (exact) return exact[0];
  }
  for (const [name, bits] of entries) {
    if (bits !== 0 && (rest & bits) >>> 0 === bits >>> 0) {
      shown.push(name);
      rest &= ~bits;
    }
  }
  if (rest !== 0) shown.push(hex(rest >>> 0));
  return shown.join('|') || '0';
}

function quote(bytes: Uint8Array): string {
  let out = '';
  bytes.forEach((b, i) => {
    const next = bytes[i + 1] ?? 0;
    const digitFollows = next >= 0x30 && next <= 0x39;
    if (b === 0x22 || b === 0x5c) out += `\\${String.fromCharCode(b)}`;
    else if (b >= 0x20 && b < 0x7f) out += String.fromCharCode(b);
    else if (b >= 9 && b <= 13) out += `\\${'tnvfr'[b - 9]}`;
    else out += `\\${digitFollows ? b.toString(8).padStart(3, '0') : b.toString(8)}`;
  });
  return `"${out}"`;
}

function buffer(mem: UserMemory, address: number, length: number): string {
  const shown = Math.min(length, STRING_MAX);
  if (address === 0 || !readable(mem, address, shown)) return pointer(address);
  return `${quote(mem.bytes(address, shown))}${length > shown ? '...' : ''}`;
}

function cString(mem: UserMemory, address: number, max: number): string {
  const room = mem.accessible(address, max + 1, PROT_READ);
  if (room === 0) return pointer(address);
  const bytes = mem.bytes(address, room);
  const nul = bytes.indexOf(0);
  if (nul >= 0) return quote(bytes.subarray(0, nul));
  return room <= max ? pointer(address) : `${quote(bytes.subarray(0, max))}...`;
}

/** Pointers of a NULL-terminated vector, at most `max`; null when one cannot be read. */
function vector(mem: UserMemory, address: number, max: number): number[] | null {
  const found: number[] = [];
  for (let at = address; found.length < max; at += 8) {
    if (!readable(mem, at, 8)) return null;
    const p = mem.readU64(at);
    if (p === 0) break;
    found.push(p);
  }
  return found;
}

function stringVector(mem: UserMemory, address: number): string {
  const pointers = vector(mem, address, STRING_MAX + 1);
  if (!pointers) return pointer(address);
  const strings = pointers.slice(0, STRING_MAX).map((p) => cString(mem, p, STRING_MAX));
  return `[${strings.join(', ')}${pointers.length > STRING_MAX ? ', ...' : ''}]`;
}

function environment(mem: UserMemory, address: number): string {
  const pointers = vector(mem, address, 10_000);
  if (!pointers) return pointer(address);
  return `${hex(address)} /* ${pointers.length} var${pointers.length === 1 ? '' : 's'} */`;
}

function timespec(mem: UserMemory, address: number): string {
  if (address === 0 || !readable(mem, address, 16)) return pointer(address);
  return `{tv_sec=${mem.readI64(address)}, tv_nsec=${mem.readI64(address + 8)}}`;
}

function iovec(mem: UserMemory, address: number, count: number): string {
  const shown = Math.min(count, STRING_MAX);
  if (!(shown > 0) || !readable(mem, address, shown * 16)) return pointer(address);
  const parts: string[] = [];
  for (let i = 0; i < shown; i++) {
    const at = address + i * 16;
    const length = mem.readU64(at + 8);
    parts.push(`{iov_base=${buffer(mem, mem.readU64(at), length)}, iov_len=${length}}`);
  }
  return `[${parts.join(', ')}${count > shown ? ', ...' : ''}]`;
}
