/** /dev: the devices every program may expect (null(4), random(4), full(4), tty(4)). */
import { errno, sysError } from '../abi/errno.ts';
import type { Task } from '../task/task.ts';
import { type FileSystem, type Inode, S_IFCHR, S_IFDIR, type SetAttr } from './inode.ts';
import { type MaybePromise, OpenFile } from './open-file.ts';
import { makedev, PseudoDir, PseudoFs, PseudoInode, PseudoLink, TMPFS_MAGIC } from './pseudo.ts';
import { DevPts } from './devpts.ts';
import { MqueueFs } from './mqueue.ts';
import { setDeviceOpener } from './special.ts';
import { openControllingTerminal, type Terminal } from './tty.ts';

/** Random bytes made in one go. */
const RANDOM_CHUNK = 256 * 1024;
const RNDGETENTCNT = 0x8004_5200;
const ENTROPY_BITS = 256;

/** A character device whose file is made by a function. */
export class DeviceInode extends PseudoInode {
  readonly #open: (flags: number, task?: Task) => MaybePromise<OpenFile>;

  constructor(fs: PseudoFs, rdev: number, perm: number, open: (flags: number, task?: Task) => MaybePromise<OpenFile>) {
    super({ fs, mode: S_IFCHR | perm, rdev });
    this.#open = open;
  }
  override open(flags: number, task?: Task): MaybePromise<OpenFile> {
    const file = this.#open(flags, task);
    if (!(file instanceof Promise)) file.inode ??= this;
    return file;
  }
  override setattr(attr: SetAttr): void {
    // O_TRUNC on a device does nothing.
    const { size: _, ...rest } = attr;
    super.setattr(rest);
  }
}

/** A device that is always ready and has no contents of its own; its offset stays 0. */
abstract class MemoryDevice extends OpenFile {
  override get seekable(): boolean {
    return true;
  }
  override lseek(_offset: number, _whence: number): number {
    return 0;
  }
  override write(_task: Task, src: Uint8Array, _position: number | null): number {
    return src.length;
  }
}

class NullFile extends MemoryDevice {
  override read(): number {
    return 0;
  }
}

/** Stands for all mappings of /dev/zero: each is memory of its own. */
const zeroKey = {};

class ZeroFile extends MemoryDevice {
  override read(_task: Task, dst: Uint8Array, _position: number | null): number {
    dst.fill(0);
    return dst.length;
  }
  override mapKey(): object | null {
    return zeroKey;
  }
}

class FullFile extends MemoryDevice {
  override read(_task: Task, dst: Uint8Array, _position: number | null): number {
    dst.fill(0);
    return dst.length;
  }
  override write(): number {
    throw sysError(errno.ENOSPC);
  }
}

class RandomFile extends MemoryDevice {
  readonly #blocking: boolean;
  /** `blocking`: /dev/random, which has readiness; /dev/urandom has none. */
  constructor(flags: number, blocking: boolean) {
    super(flags);
    this.#blocking = blocking;
  }
  override get pollable(): boolean {
    return this.#blocking;
  }
  override read(task: Task, dst: Uint8Array, _position: number | null): number {
    for (let at = 0; at < dst.length; at += RANDOM_CHUNK)
      task.kernel.host.randomFill(dst.subarray(at, at + RANDOM_CHUNK));
    return dst.length;
  }
  override ioctl(task: Task, request: number, arg: number): number {
    if (request >>> 0 !== RNDGETENTCNT) throw sysError(errno.EINVAL);
    task.mem.writeU32(arg, ENTROPY_BITS);
    return 0;
  }
}

export interface DevFsOptions {
  /** The host's terminal: gets its name (/dev/pts/3) in the tree. */
  terminal?: Terminal | null;
  dev?: number;
}

export class DevFs extends PseudoFs {
  readonly pts = new DevPts();
  /** File systems to be mounted below, by relative path. */
  readonly mounts: readonly { path: string; fs: FileSystem; source: string }[] = [
    { path: 'pts', fs: this.pts, source: 'devpts' },
    { path: 'mqueue', fs: new MqueueFs(), source: 'mqueue' },
  ];
  readonly #dir: PseudoDir;
  readonly #devices = new Map<number, DeviceInode>();

  constructor(options: DevFsOptions = {}) {
    super('devtmpfs', options.dev ?? makedev(0, 6), TMPFS_MAGIC);
    this.#dir = new PseudoDir(this, { mode: S_IFDIR | 0o755 });
    this.setRoot(this.#dir);
    const device = (name: string, minor: number, open: (flags: number) => OpenFile): void =>
      this.register(name, new DeviceInode(this, makedev(1, minor), 0o666, open));
    device('null', 3, (flags) => new NullFile(flags));
    device('zero', 5, (flags) => new ZeroFile(flags));
    device('full', 7, (flags) => new FullFile(flags));
    device('random', 8, (flags) => new RandomFile(flags, true));
    device('urandom', 9, (flags) => new RandomFile(flags, false));
    const refuse = (): never => {
      throw sysError(errno.ENXIO);
    };
    this.register(
      'tty',
      new DeviceInode(this, makedev(5, 0), 0o666, (flags, task) => {
        const file = openControllingTerminal(flags, task);
        // fstat(2) shows this device, not the terminal behind it.
        file.inode = null;
        return file;
      }),
    );
    this.register('console', new DeviceInode(this, makedev(5, 1), 0o600, refuse));
    this.register(
      'ptmx',
      new DeviceInode(this, makedev(5, 2), 0o666, (flags, task) => this.pts.openMaster(flags, task)),
    );
    const links = {
      fd: '/proc/self/fd',
      stdin: '/proc/self/fd/0',
      stdout: '/proc/self/fd/1',
      stderr: '/proc/self/fd/2',
    };
    for (const [name, target] of Object.entries(links)) this.register(name, new PseudoLink(this, target));
    // Places for a tmpfs and for terminals.
    this.register('shm', new PseudoDir(this, { mode: S_IFDIR | 0o1777 }));
    this.register('pts', new PseudoDir(this, { mode: S_IFDIR | 0o755 }));
    this.register('mqueue', new PseudoDir(this, { mode: S_IFDIR | 0o1777 }));
    if (options.terminal) this.addTerminal(options.terminal);
    setDeviceOpener((rdev, kind, flags, task) => {
      const device = kind === 'char' ? this.#devices.get(rdev) : undefined;
      if (!device) throw sysError(errno.ENXIO);
      return device.open(flags, task);
    });
  }

  /** Adds a device under a relative path. */
  register(path: string, inode: Inode): void {
    if (inode instanceof DeviceInode) this.#devices.set(inode.rdev, inode);
    this.#dir.addPath(path, inode);
  }
  /** Gives a terminal the name it has on the host, if that is below /dev. */
  addTerminal(terminal: Terminal): void {
    const [, name, index] = /^\/dev\/(pts\/(\d+)|[\w.-]+)$/.exec(terminal.port.path) ?? [];
    if (index !== undefined) this.pts.reserve(Number(index), terminal.inode);
    else if (name && this.#dir.lookup(name) === null) this.register(name, terminal.inode);
  }
}
