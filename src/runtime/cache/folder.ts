/**
 * The folder that the code cache lies in, and safe ways to read and write files of it. Whoever can write to the cache can
 * run code in the guest, so folders and files must belong to this user and be writable by nobody else.
 */
import {
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { packageRoot } from '../package-root.ts';

export type CacheMode = 'rw' | 'ro' | 'off';

/** Larger files are damaged, or none of ours. */
const MAX_FILE = 256 * 2 ** 20;
/** Name endings of files that are being written. */
export const TEMPORARY = '.tmp';
let written = 0;
const LOCK = '.lock';
const LOCK_WAIT_MS = 5000;
/** One that is so old is of a process that has been killed, or of another machine's. */
const LOCK_STALE_MS = 10_000;
const never = new Int32Array(new SharedArrayBuffer(4));

/** Where the cache lies unless the user says otherwise: cache/ in a checkout, else the platform's folder for caches. */
export function defaultCacheFolder(env: NodeJS.ProcessEnv): string {
  const root = packageRoot();
  if (isFolder(join(root, '.git')) || isFolder(join(root, 'src'))) return join(root, 'cache');
  const home = env.HOME ?? env.USERPROFILE ?? '/';
  if (process.platform === 'win32') return join(env.LOCALAPPDATA ?? join(home, 'AppData/Local'), 'uktx/cache');
  if (process.platform === 'darwin') return join(home, 'Library/Caches/uktx');
  return join(env.XDG_CACHE_HOME?.startsWith('/') ? env.XDG_CACHE_HOME : join(home, '.cache'), 'uktx');
}

const isFolder = (path: string): boolean => statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;

/** Makes a folder and those above it. Node's own way of doing that never ends where a folder can hold none, as in /proc. */
function makeFolder(path: string): void {
  try {
    mkdirSync(path, { mode: 0o700 });
  } catch (e) {
    if (code(e) === 'EEXIST') return;
    if (code(e) !== 'ENOENT' || dirname(path) === path) throw e;
    makeFolder(dirname(path));
    if (!isFolder(path)) mkdirSync(path, { mode: 0o700 });
  }
}

/** Windows has neither; its user folders are private by their access lists. */
const owner = process.getuid?.() ?? null;

const ours = (stat: { uid: number; mode: number }, others: number): boolean =>
  owner === null || (stat.uid === owner && (stat.mode & others) === 0);

const code = (e: unknown): string => (e as NodeJS.ErrnoException).code ?? (e as Error).message;

/** Time in which who has made a lock writes its number into it. */
const LOCK_MADE_MS = 500;
/** Whether nobody will remove the lock: its process is gone, or it is very old. */
function isAbandoned(lock: string): boolean {
  try {
    const age = Date.now() - lstatSync(lock).mtimeMs;
    if (age > LOCK_STALE_MS) return true;
    const pid = Number.parseInt(readFileSync(lock, 'latin1'), 10);
    if (!(pid > 0)) return age > LOCK_MADE_MS;
    process.kill(pid, 0);
    return false;
  } catch (e) {
    return code(e) === 'ESRCH';
  }
}

/** A file of the cache, open for reading. */
export class CacheFile {
  readonly #fd: number;
  readonly size: number;
  readonly #complain: (e: unknown) => void;

  constructor(fd: number, size: number, complain: (e: unknown) => void) {
    this.#fd = fd;
    this.size = size;
    this.#complain = complain;
  }
  /** At most `length` bytes from `at` on, in a buffer of their own, aligned; null when they cannot be read. */
  read(at: number, length: number): Buffer | null {
    const bytes = Buffer.allocUnsafeSlow(Math.max(0, Math.min(length, this.size - at)));
    try {
      let done = 0;
      for (let n = 1; n > 0 && done < bytes.length; done += n)
        n = readSync(this.#fd, bytes, done, bytes.length - done, at + done);
      return bytes.subarray(0, done);
    } catch (e) {
      this.#complain(e);
      return null;
    }
  }
  /** Reads to `to` what comes at `at`. False when that is less than fits there, or cannot be read. */
  readInto(to: Uint8Array, at: number): boolean {
    try {
      let done = 0;
      for (let n = 1; n > 0 && done < to.length; done += n)
        n = readSync(this.#fd, to, done, to.length - done, at + done);
      return done === to.length;
    } catch (e) {
      this.#complain(e);
      return false;
    }
  }
  close(): void {
    closeSync(this.#fd);
  }
}

export class CacheFolder {
  readonly path: string;
  readonly mode: CacheMode;
  readonly #warn: (message: string) => void;
  #warned = false;
  /** Folders known to exist and to be ours. */
  readonly #known = new Set<string>();

  private constructor(path: string, mode: CacheMode, warn: (message: string) => void) {
    this.path = path;
    this.mode = mode;
    this.#warn = warn;
  }

  /** Null when the folder cannot be used; `warn` has been told why, unless it is only not there. */
  static open(folder: string, mode: CacheMode, warn: (message: string) => void): CacheFolder | null {
    if (mode === 'off') return null;
    // What is trusted is told by how paths begin: no `..`, no `./`, no slash at the end.
    const path = resolve(folder);
    try {
      const stat = statSync(path, { throwIfNoEntry: false });
      if (!stat && mode === 'ro') return null;
      if (!stat) makeFolder(path);
      // A checkout's folder may be writable by the user's group: what is trusted lies in folders below it, made here.
      else if (!stat.isDirectory() || !ours(stat, 0o002)) {
        warn(`the code cache ${path} is not used: it is not a folder that only you can write to`);
        return null;
      }
    } catch (e) {
      warn(`the code cache ${path} is not used: ${code(e)}`);
      return null;
    }
    return new CacheFolder(path, mode, warn);
  }

  get writable(): boolean {
    return this.mode === 'rw';
  }
  /** Reports what is wrong with the cache: the first time only. */
  complain(message: string): void {
    if (this.#warned) return;
    this.#warned = true;
    this.#warn(`code cache: ${message}`);
  }
  /** Absolute path of a file of the cache. */
  file(...names: string[]): string {
    return join(this.path, ...names);
  }

  /** The folder for a file, checked down from the cache's own; made when `create`. False: leave it alone. */
  #checkFolders(file: string, create: boolean): boolean {
    const folder = dirname(file);
    if (folder === this.path || this.#known.has(folder)) return true;
    if (folder.length < this.path.length || !this.#checkFolders(folder, create)) return false;
    let stat = lstatSync(folder, { throwIfNoEntry: false });
    if (!stat && create) {
      makeFolder(folder);
      stat = lstatSync(folder);
    }
    if (!stat) return false;
    if (!stat.isDirectory() || !ours(stat, 0o022)) {
      this.complain(`${folder} is not used: others can write to it`);
      return false;
    }
    this.#known.add(folder);
    return true;
  }

  /** Removes a file, where that is allowed. */
  remove(file: string): void {
    if (this.writable) rmSync(file, { force: true, recursive: true });
  }
  has(file: string): boolean {
    return lstatSync(file, { throwIfNoEntry: false }) !== undefined;
  }

  /** The bytes of a file, in a buffer of their own; null when it is missing or not to be trusted. */
  read(file: string): Buffer | null {
    const opened = this.open(file);
    if (!opened) return null;
    try {
      return opened.read(0, opened.size);
    } finally {
      opened.close();
    }
  }
  /** As `read`, for those who need only parts of a file; it is the same file however long it stays open. */
  open(file: string): CacheFile | null {
    let fd = -1;
    try {
      if (!this.#checkFolders(file, false)) return null;
      fd = openSync(file, constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0));
      const stat = fstatSync(fd);
      if (stat.isFile() && ours(stat, 0o022) && stat.size <= MAX_FILE) {
        const opened = new CacheFile(fd, stat.size, (e) => this.complain(`cannot read ${file}: ${code(e)}`));
        fd = -1;
        return opened;
      }
      this.complain(`${file} is not used: it is no file that only you can write to`);
      return null;
    } catch (e) {
      if (code(e) !== 'ENOENT' && code(e) !== 'ENOTDIR') this.complain(`cannot read ${file}: ${code(e)}`);
      return null;
    } finally {
      if (fd >= 0) closeSync(fd);
    }
  }

  /**
   * Runs `work` while no other process or thread does so for the same file; or, after a while, all the same. The lock of who
   * has been killed is removed. Blocks: not for the guest's thread.
   */
  locked<T>(file: string, work: () => T): T {
    const lock = `${file}${LOCK}`;
    const until = Date.now() + LOCK_WAIT_MS;
    let held = false;
    while (!held && Date.now() < until) {
      try {
        if (!this.#checkFolders(lock, true)) break;
        writeFileSync(lock, `${process.pid}\n`, { flag: 'wx', mode: 0o600 });
        held = true;
      } catch (e) {
        if (code(e) !== 'EEXIST') break;
        if (isAbandoned(lock)) rmSync(lock, { force: true });
        else Atomics.wait(never, 0, 0, 2);
      }
    }
    try {
      return work();
    } finally {
      if (held) rmSync(lock, { force: true });
    }
  }

  /** Writes a file as a whole: readers see the old one or the new one. False when it could not be written. */
  write(file: string, data: Uint8Array | readonly Uint8Array[]): boolean {
    if (!this.writable) return false;
    const temporary = `${file}.${process.pid}-${Date.now().toString(36)}-${written++}${TEMPORARY}`;
    try {
      if (!this.#checkFolders(file, true)) return false;
      const fd = openSync(temporary, 'wx', 0o600);
      try {
        for (const part of data instanceof Uint8Array ? [data] : data)
          for (let at = 0; at < part.length; ) at += writeSync(fd, part, at);
      } finally {
        closeSync(fd);
      }
      renameSync(temporary, file);
      return true;
    } catch (e) {
      this.complain(`cannot write ${file}: ${code(e)}`);
      rmSync(temporary, { force: true });
      return false;
    }
  }
}
