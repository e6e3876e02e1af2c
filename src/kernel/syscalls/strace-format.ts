/** How traces show the plain kinds of arguments: numbers, strings, buffers, vectors, flags (as strace(1) does). */
import { signalName } from '../abi/signals.ts';
import { PROT_READ } from '../mm/guest-memory.ts';
import type { UserMemory } from '../mm/user-memory.ts';
import { describeSigset } from '../signals/describe.ts';
import { readSigset } from '../signals/sigset.ts';
import type { Arg } from './row.ts';

/** Strings and buffers are cut here (strace -s). */
export const STRING_MAX = 32;
const PATH_MAX = 4096;
const AT_FDCWD = -100;

export const hex = (n: number): string => `0x${n.toString(16)}`;
export const pointer = (n: number): string => (n === 0 ? 'NULL' : hex(n));
export const readable = (mem: UserMemory, address: number, length: number): boolean =>
  mem.accessible(address, length, PROT_READ) >= length;
export const number = (n: number): string => (Number.isSafeInteger(n) ? String(n) : BigInt(n).toString());

/** An argument without a printer of its own, by the kind its row gives it. `values` are all arguments. */
export function formatArg(mem: UserMemory, arg: Arg, values: readonly number[], i: number): string {
  const value = values[i]!;
  switch (arg.kind) {
    case 'dirfd':
      return value === AT_FDCWD ? 'AT_FDCWD' : String(value);
    case 'signal':
      return signalName(value);
    case 'mode':
    case 'octal':
      return octal(value);
    case 'hex':
      return hex(value);
    case 'flags':
      return flags(value, arg.names ?? {});
    case 'address':
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
      return sigset(mem, value);
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
      return number(value);
  }
}

export const octal = (value: number): string => (value === 0 ? '0' : `0${value.toString(8)}`);

export const sigset = (mem: UserMemory, address: number): string =>
  readable(mem, address, 8) ? describeSigset(readSigset(mem, address)) : pointer(address);

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

/** The name of a value, or the number itself. */
export function constant(value: number, names: Readonly<Record<string, number>>): string {
  const found = Object.entries(names).find(([, n]) => n === value);
  return found ? found[0] : hex(value >>> 0);
}

export function quote(bytes: Uint8Array): string {
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

export function buffer(mem: UserMemory, address: number, length: number): string {
  const shown = Math.min(length, STRING_MAX);
  if (address === 0 || !readable(mem, address, shown)) return pointer(address);
  return `${quote(mem.bytes(address, shown))}${length > shown ? '...' : ''}`;
}

export function cString(mem: UserMemory, address: number, max: number): string {
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
    const p = mem.readPointer(at);
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

export function environment(mem: UserMemory, address: number): string {
  const pointers = vector(mem, address, 10_000);
  if (!pointers) return pointer(address);
  return `${hex(address)} /* ${pointers.length} var${pointers.length === 1 ? '' : 's'} */`;
}

export function timespec(mem: UserMemory, address: number): string {
  if (address === 0 || !readable(mem, address, 16)) return pointer(address);
  return `{tv_sec=${mem.readI64(address)}, tv_nsec=${mem.readI64(address + 8)}}`;
}

export function iovec(mem: UserMemory, address: number, count: number): string {
  const shown = Math.min(count, STRING_MAX);
  if (!(shown > 0) || !readable(mem, address, shown * 16)) return pointer(address);
  const parts: string[] = [];
  for (let i = 0; i < shown; i++) {
    const at = address + i * 16;
    const length = mem.readU64(at + 8);
    parts.push(`{iov_base=${buffer(mem, mem.readPointer(at), length)}, iov_len=${number(length)}}`);
  }
  return `[${parts.join(', ')}${count > shown ? ', ...' : ''}]`;
}
