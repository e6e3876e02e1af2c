/** tmpfs(5): a file system in memory. Also what archives are unpacked into, and what holds an overlay's changes. */
import { totalmem } from 'node:os';
import { errno, sysError } from '../abi/errno.ts';
import { anonymousDevice } from './clock.ts';
import { type FileData, MemoryBudget } from './file-data.ts';
import type { FileSystem, StatFs } from './inode.ts';
import { MemFile } from './mem-file.ts';
import { MemDir } from './mem-inode.ts';

const TMPFS_MAGIC = 0x0102_1994;
const PAGE = 4096;
/** Bytes of file contents a file system may hold: half of the machine's memory as on Linux, 4 GiB at most. */
const defaultLimit = (): number => Math.min(totalmem() / 2, 4 * 2 ** 30);

export interface TmpfsOptions {
  /** Name in /proc/mounts, default `tmpfs`. */
  type?: string;
  /** Bytes of contents. */
  limit?: number;
  /** Permission bits of the root directory, default 1777. */
  mode?: number;
  uid?: number;
  gid?: number;
  firstIno?: number;
  /** Most inodes there may be (nr_inodes); 0 or absent: any number. */
  maxInodes?: number;
}

export class Tmpfs implements FileSystem {
  readonly type: string;
  readonly dev = anonymousDevice();
  /** Set once an archive has been unpacked. */
  readOnly = false;
  readonly budget: MemoryBudget;
  readonly #shown: { limit: boolean; mode: boolean };
  /** Inodes there are, and may be (0: any number). */
  inodes = 0;
  maxInodes: number;
  #nextIno: number;
  readonly #root: MemDir;

  constructor(options: TmpfsOptions = {}) {
    this.type = options.type ?? 'tmpfs';
    this.budget = new MemoryBudget(options.limit ?? defaultLimit());
    this.#nextIno = options.firstIno ?? 1;
    this.maxInodes = options.maxInodes ?? 0;
    this.#shown = { limit: options.limit !== undefined, mode: options.mode !== undefined };
    this.#root = new MemDir(this, options.mode ?? 0o1777, options.uid ?? 0, options.gid ?? 0);
  }
  root(): MemDir {
    return this.#root;
  }
  get options(): string {
    const { uid, gid, mode } = this.#root;
    const words = [
      this.#shown.limit ? `size=${Math.ceil(this.budget.limit / 1024)}k` : '',
      this.maxInodes ? `nr_inodes=${this.maxInodes}` : '',
      this.#shown.mode ? `mode=${(mode & 0o7777).toString(8)}` : '',
      uid ? `uid=${uid}` : '',
      gid ? `gid=${gid}` : '',
    ];
    return words.map((w) => w && `,${w}`).join('');
  }
  /** A number for a new inode. Throws ENOSPC. */
  allocIno(): number {
    if (this.maxInodes !== 0 && this.inodes >= this.maxInodes) throw sysError(errno.ENOSPC);
    this.inodes++;
    return this.#nextIno++;
  }
  newFile(mode: number, uid: number, gid: number, data?: FileData): MemFile {
    return new MemFile(this, mode, uid, gid, data);
  }
  statfs(): StatFs {
    const blocks = Math.floor(this.budget.limit / PAGE);
    const bfree = blocks - Math.ceil(this.budget.used / PAGE);
    const files = this.maxInodes || blocks;
    const ffree = Math.max(0, files - this.inodes);
    return { type: TMPFS_MAGIC, bsize: PAGE, blocks, bfree, bavail: bfree, files, ffree, namelen: 255, flags: 0x1020 };
  }
}
