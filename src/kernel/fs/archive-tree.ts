/** Building a tree in memory from the members of an archive, in whatever order they come. */
import { SysError } from '../abi/errno.ts';
import { ArchiveData, ArchiveError, type ArchiveSource } from './archive-source.ts';
import { S_IFDIR, S_IFLNK, S_IFMT, S_IFREG, type Timespec } from './inode.ts';
import { MemDir, type MemInode, MemSpecial, MemSymlink } from './mem-inode.ts';
import { Tmpfs } from './tmpfs.ts';

export interface Member {
  /** Path, one char per byte; `./` and slashes at either end do not matter. */
  path: string;
  /** With file type. */
  mode: number;
  uid: number;
  gid: number;
  mtime: Timespec;
  rdev: number;
  /** Symlinks: the target. */
  target: string;
  /** Regular files: where the contents lie in the archive. */
  start: number;
  size: number;
}

/** Linux's limits; anything longer cannot be named anyway. */
const PATH_MAX = 4096;
const NAME_MAX = 255;

export class ArchiveTree {
  readonly #source: ArchiveSource;
  readonly #fs = new Tmpfs({ mode: 0o755 });
  #count = 0;

  constructor(source: ArchiveSource) {
    this.#source = source;
  }

  /** Components of a member's path. `..` leads nowhere good and is refused. */
  #split(path: string): string[] {
    if (path.length > PATH_MAX) throw new ArchiveError('a name in it is too long');
    const names = path.split('/').filter((n) => n !== '' && n !== '.');
    for (const n of names) {
      if (n === '..') throw new ArchiveError(`it holds a path with '..'`);
      if (n.length > NAME_MAX) throw new ArchiveError('a name in it is too long');
    }
    return names;
  }
  #directory(names: readonly string[]): MemDir {
    let at = this.#fs.root();
    for (const name of names) {
      let next = at.lookup(name);
      // A directory that is implied only, or that replaces something else.
      if (!(next instanceof MemDir)) {
        if (next) at.unlink(name);
        next = at.mkdir(name, 0o755, 0, 0);
      }
      at = next as MemDir;
    }
    return at;
  }
  #find(names: readonly string[]): MemInode | null {
    let at: MemInode | null = this.#fs.root();
    for (const name of names) at = at instanceof MemDir ? at.lookup(name) : null;
    return at;
  }

  add(member: Member): MemInode {
    this.#count++;
    const names = this.#split(member.path);
    const last = names.pop();
    const type = member.mode & S_IFMT;
    if (last === undefined) {
      const root = this.#fs.root();
      if (type === S_IFDIR) this.#attributes(root, member);
      return root;
    }
    const dir = this.#directory(names);
    const old = dir.lookup(last);
    if (old && type === S_IFDIR && old instanceof MemDir) {
      this.#attributes(old, member);
      return old;
    }
    if (old) this.#remove(dir, last, old);
    const inode = dir.enter(last, this.#make(member, type));
    this.#attributes(inode, member);
    return inode;
  }
  /** A later member replaces an earlier one of its name. */
  #remove(dir: MemDir, name: string, old: MemInode): void {
    try {
      if (old instanceof MemDir) dir.rmdir(name);
      else dir.unlink(name);
    } catch (e) {
      if (!(e instanceof SysError)) throw e;
      throw new ArchiveError(`the directory '${printable(name)}' in it is replaced by something else`);
    }
  }
  #make(member: Member, type: number): MemInode {
    const { mode, uid, gid, start, size } = member;
    switch (type) {
      case S_IFDIR:
        return new MemDir(this.#fs, mode & 0o7777, uid, gid);
      case S_IFLNK:
        return new MemSymlink(this.#fs, member.target, uid, gid);
      case S_IFREG:
        return this.#fs.newFile(mode, uid, gid, new ArchiveData(this.#source, start, size));
      default:
        return new MemSpecial(this.#fs, mode, member.rdev, uid, gid);
    }
  }
  #attributes(inode: MemInode, { mode, uid, gid, mtime }: Member): void {
    inode.mode = (inode.mode & S_IFMT) | (mode & 0o7777);
    inode.uid = uid;
    inode.gid = gid;
    inode.atime = inode.mtime = inode.ctime = inode.btime = mtime;
  }

  /** Another name for a member that came before. */
  hardLink(path: string, target: string): void {
    const inode = this.#find(this.#split(target));
    if (!inode || inode instanceof MemDir)
      throw new ArchiveError(`a hard link in it leads to '${printable(target)}', which is not there`);
    this.linkTo(path, inode);
  }
  linkTo(path: string, inode: MemInode): void {
    this.#count++;
    const names = this.#split(path);
    const last = names.pop();
    if (last === undefined) throw new ArchiveError('it holds a hard link without a name');
    const dir = this.#directory(names);
    const old = dir.lookup(last);
    if (old === inode) return;
    if (old) this.#remove(dir, last, old);
    const { ctime, mtime } = inode;
    dir.link(last, inode);
    inode.ctime = ctime;
    dir.mtime = dir.ctime = mtime;
  }

  finish(): Tmpfs {
    if (this.#count === 0) throw new ArchiveError('it is empty');
    this.#fs.readOnly = true;
    return this.#fs;
  }
}

export const printable = (name: string): string => name.slice(0, 80).replace(/[^\x20-\x7e]/g, '?');
