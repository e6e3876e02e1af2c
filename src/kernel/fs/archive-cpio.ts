/** The "new ASCII" cpio format of initramfs images (Documentation/driver-api/early-userspace/buffer-format.rst). */
import { latin1 } from '../mm/user-memory.ts';
import { ArchiveError, type ArchiveSource } from './archive-source.ts';
import { encodeDevice } from './archive-tar.ts';
import type { ArchiveTree, Member } from './archive-tree.ts';
import { S_IFBLK, S_IFCHR, S_IFDIR, S_IFIFO, S_IFLNK, S_IFMT, S_IFREG, S_IFSOCK } from './inode.ts';
import type { MemInode } from './mem-inode.ts';

const HEADER = 110;
const NAME_LIMIT = 4097;
const TYPES = new Set([S_IFREG, S_IFDIR, S_IFLNK, S_IFCHR, S_IFBLK, S_IFIFO, S_IFSOCK]);
const align = (n: number): number => Math.ceil(n / 4) * 4;

interface Header {
  ino: number;
  mode: number;
  uid: number;
  gid: number;
  nlink: number;
  mtime: number;
  size: number;
  major: number;
  minor: number;
  rmajor: number;
  rminor: number;
  nameSize: number;
}

function parseHeader(text: string): Header {
  if (!/^07070[12][0-9a-fA-F]{104}$/.test(text)) throw new ArchiveError('it is damaged: a bad cpio header');
  const n = Array.from({ length: 13 }, (_, i) => Number.parseInt(text.slice(6 + i * 8, 14 + i * 8), 16));
  const [ino, mode, uid, gid, nlink, mtime, size, major, minor, rmajor, rminor, nameSize] = n as [
    number,
    number,
    number,
    number,
    number,
    number,
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  return { ino, mode, uid, gid, nlink, mtime, size, major, minor, rmajor, rminor, nameSize };
}

export function readCpio(source: ArchiveSource, tree: ArchiveTree): void {
  /** Files with several names by device and inode number: the last one carries the contents. */
  const links = new Map<string, { inode: MemInode; paths: string[] }>();
  let at = 0;
  for (;;) {
    // Images are often several archives one after the other, padded with zeros.
    at = align(at);
    while (at + 4 <= source.size && source.slice(at, 4).every((b) => b === 0)) at += 4;
    if (at + 4 > source.size) return;
    const h = parseHeader(latin1(source.slice(at, HEADER)));
    if (h.nameSize < 1 || h.nameSize > NAME_LIMIT) throw new ArchiveError('it is damaged: a bad name in a cpio header');
    const name = latin1(source.slice(at + HEADER, h.nameSize));
    const start = align(at + HEADER + h.nameSize);
    if (start + h.size > source.size) throw new ArchiveError('it is truncated');
    at = start + h.size;
    if (!name.endsWith('\0')) throw new ArchiveError('it is damaged: a bad name in a cpio header');
    const path = name.slice(0, name.indexOf('\0'));
    if (path === 'TRAILER!!!') {
      links.clear();
      continue;
    }
    addMember(source, tree, links, h, path, start);
  }
}

function addMember(
  source: ArchiveSource,
  tree: ArchiveTree,
  links: Map<string, { inode: MemInode; paths: string[] }>,
  h: Header,
  path: string,
  start: number,
): void {
  const type = h.mode & S_IFMT;
  if (!TYPES.has(type)) throw new ArchiveError('it is damaged: a member of unknown type');
  if (type === S_IFLNK && h.size > 4095) throw new ArchiveError('it is damaged: a symbolic link is too long');
  const member: Member = {
    path,
    start,
    size: h.size,
    mode: h.mode & 0o177777,
    uid: h.uid,
    gid: h.gid,
    mtime: { sec: h.mtime, nsec: 0 },
    rdev: encodeDevice(h.rmajor, h.rminor),
    target: type === S_IFLNK ? latin1(source.slice(start, h.size)) : '',
  };
  if (h.nlink < 2 || type === S_IFDIR) {
    tree.add(member);
    return;
  }
  const id = `${h.major}:${h.minor}:${h.ino}`;
  const known = links.get(id);
  if (known && h.size === 0) {
    tree.linkTo(path, known.inode);
    known.paths.push(path);
    return;
  }
  const inode = tree.add(member);
  const paths = known?.paths ?? [];
  for (const other of paths) tree.linkTo(other, inode);
  links.set(id, { inode, paths: [...paths, path] });
}
