/**
 * Telling watchers what happens to files (fs/notify/fsnotify.c): marks on inodes, and the calls by which the VFS and the
 * system calls report. Callers ask `watching()` first, so that a run without watches pays for one comparison.
 * Only what guests do is seen; changes another program of the host makes are not.
 */
import type { Dentry } from './dentry.ts';
import type { Path } from './fs-context.ts';
import { type Inode, S_IFDIR, S_IFMT, type SetAttr } from './inode.ts';
import type { OpenFile } from './open-file.ts';

// inotify(7). The bits of an event.
export const IN_ACCESS = 0x001;
export const IN_MODIFY = 0x002;
export const IN_ATTRIB = 0x004;
export const IN_CLOSE_WRITE = 0x008;
export const IN_CLOSE_NOWRITE = 0x010;
export const IN_OPEN = 0x020;
export const IN_MOVED_FROM = 0x040;
export const IN_MOVED_TO = 0x080;
export const IN_CREATE = 0x100;
export const IN_DELETE = 0x200;
export const IN_DELETE_SELF = 0x400;
export const IN_MOVE_SELF = 0x800;
export const IN_ISDIR = 0x4000_0000;

export interface FileEvent {
  /** One IN_* bit, perhaps with IN_ISDIR. */
  readonly mask: number;
  /** Joins the two halves of a rename; 0 for other events. */
  readonly cookie: number;
  /** Of the child, for events of a watched directory. */
  readonly name: string | null;
  /** The child has no name any more. */
  readonly unlinked: boolean;
}

/** A watch on one inode. */
export interface Mark {
  /** The inode's last name has gone, but this many descriptions are open. */
  orphan: number;
  tell(event: FileEvent): void;
  /** The inode is gone: the mark has been taken out. */
  gone(): void;
}

/** By device and inode number: some file systems make their inode objects anew. */
const marks = new Map<string, Set<Mark>>();
const keys = new WeakMap<Inode, string>();
let nextCookie = 1;

/** Whether anything is watched at all. */
export const watching = (): boolean => marks.size > 0;

/** What marks of an inode are filed under. Asked while the inode still exists, and remembered. */
export function watchKey(inode: Inode): string {
  let key = keys.get(inode);
  if (key === undefined) {
    const { dev, ino } = inode.stat();
    key = `${dev}:${ino}`;
    keys.set(inode, key);
  }
  return key;
}

export function addMark(key: string, mark: Mark): void {
  const set = marks.get(key);
  if (set) set.add(mark);
  else marks.set(key, new Set([mark]));
}
export function removeMark(key: string, mark: Mark): void {
  const set = marks.get(key);
  set?.delete(mark);
  if (set?.size === 0) marks.delete(key);
}

/** Null for an inode that cannot be asked for its numbers any more. */
function marksOf(inode: Inode): Set<Mark> | undefined {
  try {
    return marks.get(watchKey(inode));
  } catch {
    // Removed behind the kernel's back: nothing that is watched.
    return undefined;
  }
}

function tell(inode: Inode, event: FileEvent): void {
  for (const mark of [...(marksOf(inode) ?? [])]) mark.tell(event);
}

const isDir = (inode: Inode): boolean => ((inode.access?.() ?? inode.stat()).mode & S_IFMT) === S_IFDIR;
const typeBit = (inode: Inode): number => {
  try {
    return isDir(inode) ? IN_ISDIR : 0;
  } catch {
    return 0;
  }
};

/** An event of the inode alone. */
export function notifyInode(inode: Inode, mask: number): void {
  tell(inode, { mask: mask | typeBit(inode), cookie: 0, name: null, unlinked: false });
}

/** An event of a name in a directory. `child` decides about IN_ISDIR. */
export function notifyName(dir: Inode, name: string, mask: number, child: Inode, cookie = 0): void {
  tell(dir, { mask: mask | typeBit(child), cookie, name, unlinked: false });
}

/** An event of a place: its directory is told with the name, then the inode itself. */
export function notifyDentry(dentry: Dentry, mask: number): void {
  const { inode, parent, name, deleted } = dentry;
  const bits = mask | typeBit(inode);
  if (parent) tell(parent.inode, { mask: bits, cookie: 0, name, unlinked: deleted });
  tell(inode, { mask: bits, cookie: 0, name: null, unlinked: deleted });
}
export const notifyPath = (path: Path, mask: number): void => notifyDentry(path.dentry, mask);

/** An event of an open file, where it has a place. */
export function notifyFile(file: OpenFile, mask: number): void {
  if (file.location) notifyDentry(file.location.dentry, mask);
}

/** What a change of attributes tells (fsnotify_change); 0 for nothing. */
export function maskOfChange(attr: SetAttr): number {
  let mask = 0;
  if (attr.uid !== undefined || attr.gid !== undefined || attr.mode !== undefined) mask |= IN_ATTRIB;
  if (attr.size !== undefined) mask |= IN_MODIFY;
  if (attr.atime && attr.mtime) mask |= IN_ATTRIB;
  else if (attr.atime) mask |= IN_ACCESS;
  else if (attr.mtime && attr.size === undefined) mask |= IN_MODIFY;
  return mask;
}
/** The links of a watched inode have changed; `last`: it has no name any more, but `open` descriptions. */
export function notifyUnlinked(inode: Inode, last: boolean, open: number): void {
  if (last && open === 0) notifyGone(inode);
  else if (last) for (const mark of marksOf(inode) ?? []) mark.orphan = open;
}

/** The inode is gone for good: its marks go, too. */
export function notifyGone(inode: Inode): void {
  const set = marksOf(inode);
  if (!set) return;
  for (const mark of [...set]) {
    mark.tell({ mask: IN_DELETE_SELF, cookie: 0, name: null, unlinked: false });
    mark.gone();
  }
}

/** A description of an inode without a name is closed: the last one ends its watches. */
export function notifyOrphanClosed(inode: Inode): void {
  let last = false;
  for (const mark of marksOf(inode) ?? []) if (mark.orphan > 0 && --mark.orphan === 0) last = true;
  if (last) notifyGone(inode);
}

/** One half of a rename(2) (fsnotify_move). The caller reports what was replaced. */
export function notifyMove(
  from: { dir: Inode; name: string },
  to: { dir: Inode; name: string },
  moved: Inode,
  replaced: () => void,
): void {
  const cookie = nextCookie;
  nextCookie = (nextCookie % 0xffff_ffff) + 1;
  notifyName(from.dir, from.name, IN_MOVED_FROM, moved, cookie);
  notifyName(to.dir, to.name, IN_MOVED_TO, moved, cookie);
  replaced();
  notifyInode(moved, IN_MOVE_SELF);
}

/** How many descriptions of the file are open in these tables. */
export function countOpen(inode: Inode, tables: Iterable<{ entries(): Iterable<[number, OpenFile]> }>): number {
  const key = watchKey(inode);
  const found = new Set<OpenFile>();
  for (const table of new Set(tables)) {
    for (const [, file] of table.entries())
      if (file.inode && (file.inode === inode || keys.get(file.inode) === key)) found.add(file);
  }
  return found.size;
}
