/** The tar format: ustar, with the extensions of pax (POSIX.1-2001) and GNU. See tar(5) of libarchive. */
import { latin1 } from '../mm/user-memory.ts';
import { ArchiveError, type ArchiveSource } from './archive-source.ts';
import { type ArchiveTree, type Member, printable } from './archive-tree.ts';
import { S_IFBLK, S_IFCHR, S_IFDIR, S_IFIFO, S_IFLNK, S_IFREG } from './inode.ts';

const BLOCK = 512;
/** Extension headers longer than this hold nothing we want. */
const EXTENSION_MAX = 1 << 20;

const field = (h: Uint8Array, at: number, length: number): string => {
  const text = latin1(h.subarray(at, at + length));
  const nul = text.indexOf('\0');
  return nul < 0 ? text : text.slice(0, nul);
};

/** Octal digits, or base 256 when the top bit is set (GNU). */
function number(h: Uint8Array, at: number, length: number): number {
  if (h[at]! & 0x80) {
    // Negative times (0xff...) are read as such.
    let value = h[at]! & 0x40 ? (h[at]! & 0x7f) - 128 : h[at]! & 0x7f;
    for (let i = 1; i < length; i++) value = value * 256 + h[at + i]!;
    return value;
  }
  const text = field(h, at, length).trim();
  if (text === '') return 0;
  if (!/^[0-7]+$/.test(text)) throw new ArchiveError('it is damaged: a header holds a bad number');
  return Number.parseInt(text, 8);
}

function checksumFits(h: Uint8Array): boolean {
  let sum = 0;
  for (let i = 0; i < BLOCK; i++) sum += i >= 148 && i < 156 ? 0x20 : h[i]!;
  const text = field(h, 148, 8).trim();
  return /^[0-7]+$/.test(text) && Number.parseInt(text, 8) === sum;
}

/** `LENGTH KEY=VALUE\n` records of a pax header. */
function paxRecords(bytes: Uint8Array, into: Map<string, string>): void {
  const text = latin1(bytes);
  for (let at = 0; at < text.length; ) {
    const blank = text.indexOf(' ', at);
    const length = blank < 0 ? Number.NaN : Number(text.slice(at, blank));
    if (!(Number.isInteger(length) && length > blank - at && at + length <= text.length)) {
      if (/^\0+$/.test(text.slice(at))) return;
      throw new ArchiveError('it is damaged: a bad pax header');
    }
    const record = text.slice(blank + 1, at + length - 1);
    const equals = record.indexOf('=');
    if (equals > 0) into.set(record.slice(0, equals), record.slice(equals + 1));
    at += length;
  }
}

/** File type bits of the type flags; null: something to skip. */
function typeOf(flag: string): number | 'hardlink' | null {
  switch (flag) {
    case '0':
    case '\0':
    case '7':
      return S_IFREG;
    case '1':
      return 'hardlink';
    case '2':
      return S_IFLNK;
    case '3':
      return S_IFCHR;
    case '4':
      return S_IFBLK;
    case '5':
      return S_IFDIR;
    case '6':
      return S_IFIFO;
    default:
      return null;
  }
}

export function readTar(source: ArchiveSource, tree: ArchiveTree): void {
  const global = new Map<string, string>();
  let next = new Map<string, string>();
  for (let at = 0; at + BLOCK <= source.size; ) {
    const h = source.slice(at, BLOCK);
    if (h.every((b) => b === 0)) return;
    if (!checksumFits(h))
      throw new ArchiveError(
        at === 0 ? 'it is neither a tar nor a cpio archive' : 'it is damaged: a header has a bad checksum',
      );
    at += BLOCK;
    const flag = String.fromCharCode(h[156]!);
    const pax = new Map([...global, ...next]);
    const size = 'xgLK'.includes(flag) ? number(h, 124, 12) : (decimal(pax.get('size')) ?? number(h, 124, 12));
    if (!(size >= 0)) throw new ArchiveError('it is damaged: a member has a bad size');
    const type = typeOf(flag);
    // Links and directories have no contents, whatever their size says.
    const stored = type === S_IFREG || type === null ? size : 0;
    if (at + stored > source.size) throw new ArchiveError('it is truncated');
    if ('xgLK'.includes(flag)) {
      if (size > EXTENSION_MAX) throw new ArchiveError('it is damaged: an oversized extended header');
      const bytes = source.slice(at, size);
      if (flag === 'x') paxRecords(bytes, next);
      else if (flag === 'g') paxRecords(bytes, global);
      else next.set(flag === 'L' ? 'path' : 'linkpath', latin1(bytes).replace(/\0.*$/s, ''));
    } else {
      if (type !== null) addMember(tree, h, type, pax, at, size);
      next = new Map();
    }
    at += Math.ceil(stored / BLOCK) * BLOCK;
  }
  // Archives cut off after a whole member have no end marker; GNU tar reads them, too.
}

function decimal(text: string | undefined): number | null {
  if (text === undefined) return null;
  const value = Number(text);
  if (!Number.isFinite(value)) throw new ArchiveError('it is damaged: a bad number in a pax header');
  return value;
}

function addMember(
  tree: ArchiveTree,
  h: Uint8Array,
  type: number | 'hardlink',
  pax: ReadonlyMap<string, string>,
  start: number,
  size: number,
): void {
  const ustar = field(h, 257, 5) === 'ustar';
  // GNU's own magic (`ustar  `) puts other things where POSIX has the prefix.
  const prefix = ustar && h[263] === 0x30 ? field(h, 345, 155) : '';
  const name = field(h, 0, 100);
  const path = pax.get('path') ?? (prefix ? `${prefix}/${name}` : name);
  const target = pax.get('linkpath') ?? field(h, 157, 100);
  if (type === 'hardlink') {
    tree.hardLink(path, target);
    return;
  }
  if (path.includes('\0')) throw new ArchiveError(`it is damaged: bad name '${printable(path)}'`);
  // Old archives mark directories by a slash.
  const kind = type === S_IFREG && path.endsWith('/') ? S_IFDIR : type;
  const mtime = decimal(pax.get('mtime')) ?? number(h, 136, 12);
  const sec = Math.floor(mtime);
  const member: Member = {
    path,
    target,
    start,
    size,
    mode: kind | (number(h, 100, 8) & 0o7777),
    uid: decimal(pax.get('uid')) ?? number(h, 108, 8),
    gid: decimal(pax.get('gid')) ?? number(h, 116, 8),
    mtime: { sec, nsec: nanoseconds(pax.get('mtime')) },
    rdev: kind === S_IFCHR || kind === S_IFBLK ? encodeDevice(number(h, 329, 8), number(h, 337, 8)) : 0,
  };
  tree.add(member);
}

/** The digits behind the point, exactly. Times before 1970 keep whole seconds. */
function nanoseconds(text: string | undefined): number {
  const m = /^\d+\.(\d{1,9})/.exec(text ?? '');
  return m ? Number(m[1]!.padEnd(9, '0')) : 0;
}

/** makedev(3). */
export const encodeDevice = (major: number, minor: number): number =>
  (minor % 256) + (major % 4096) * 256 + Math.floor(minor / 256) * 0x10_0000;
