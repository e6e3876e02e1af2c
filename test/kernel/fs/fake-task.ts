/** A task with just enough around it to make file system calls: memory, descriptors, credentials, and a tree. */
import { SysError, errnoName } from '../../../src/kernel/abi/errno.ts';
import { FdTable } from '../../../src/kernel/fs/fd-table.ts';
import { FsContext } from '../../../src/kernel/fs/fs-context.ts';
import { crossMounts } from '../../../src/kernel/fs/namei.ts';
import type { Vfs } from '../../../src/kernel/fs/vfs.ts';
import { UserMemory } from '../../../src/kernel/mm/user-memory.ts';
import { copyRows } from '../../../src/kernel/syscalls/copy.ts';
import { dirRows } from '../../../src/kernel/syscalls/dirs.ts';
import { fcntlRows } from '../../../src/kernel/syscalls/fcntl.ts';
import { fileRows } from '../../../src/kernel/syscalls/files.ts';
import { linkRows } from '../../../src/kernel/syscalls/links.ts';
import { mountRows } from '../../../src/kernel/syscalls/mounts.ts';
import { permRows } from '../../../src/kernel/syscalls/perms.ts';
import { statRows } from '../../../src/kernel/syscalls/stat.ts';
import { xattrRows } from '../../../src/kernel/syscalls/xattr.ts';
import type { Isa } from '../../../src/kernel/task/cpu-context.ts';
import { Credentials } from '../../../src/kernel/task/credentials.ts';
import { defaultRlimits } from '../../../src/kernel/task/rlimits.ts';
import type { Task, WaitResult } from '../../../src/kernel/task/task.ts';
import type { WaitQueue } from '../../../src/kernel/task/wait-queue.ts';
import { FakeGuestMemory } from '../mm/fake-guest-memory.ts';
import { PidNamespace } from '../../../src/kernel/ns/pid.ts';
import { initialUserNamespace } from '../../../src/kernel/ns/user.ts';

const rows = new Map(
  [
    ...fileRows,
    ...statRows,
    ...dirRows,
    ...linkRows,
    ...permRows,
    ...fcntlRows,
    ...copyRows,
    ...xattrRows,
    ...mountRows,
  ].map((r) => [r.name, r]),
);

/** Memory that may be used: everything else faults. */
export const LOW = 0x10000;
export const HIGH = 0x210000;
/** Buffers tests address themselves. */
export const BUFFER = 0x110000;

export type Arg = number | string | Uint8Array;

/** Waits without signals: until woken and ready. */
function wait(queues: readonly WaitQueue[], ready: () => boolean): Promise<WaitResult> {
  return new Promise((resolve) => {
    const look = (): void => {
      if (!ready()) return;
      for (const q of queues) q.remove(look);
      resolve('ready');
    };
    for (const q of queues) q.add(look);
    look();
  });
}

export interface GuestOptions {
  isa?: Isa;
  uid?: number;
  /** Processes share the tree and, when given, another guest's memory is not needed. */
  parent?: Guest;
  nofile?: number;
}

export class Guest {
  readonly task: Task;
  readonly memory: FakeGuestMemory;
  readonly signals: number[] = [];
  #scratch = LOW;

  constructor(vfs: Vfs, options: GuestOptions = {}) {
    this.memory = new FakeGuestMemory(HIGH);
    this.memory.protect(LOW, HIGH, 3);
    const rlimits = defaultRlimits(8 << 20);
    if (options.nofile) rlimits[7] = { soft: options.nofile, hard: options.nofile };
    const at = crossMounts(vfs.root);
    const { signals } = this;
    const process = {
      pid: 100,
      pidNs: new PidNamespace(null, initialUserNamespace),
      rlimits,
      exitStatus: null,
      tasks: new Map(),
      signals: { discard: () => {} },
      kernel: { stats: { signals: 0 } },
      resume: () => {},
    };
    const task = {
      tid: 100,
      kernel: { vfs, tasks: new Map(), processes: new Map(), stats: { signals: 0 } },
      process,
      cpu: { isa: options.isa ?? 'x86_64' },
      mem: new UserMemory(this.memory),
      files: new FdTable({ rlimits }),
      fs: options.parent ? options.parent.task.fs.fork() : new FsContext(at, at),
      cred: new Credentials(options.uid ?? 0, options.uid ?? 0),
      // Just what sendSignal needs to note a signal.
      signals: {
        push: ({ signo }: { signo: number }) => signals.push(signo),
        blocked: { has: () => true },
        discard: () => {},
      },
      sighand: { ignores: () => false, get: () => ({ handler: 0 }), arrivals: { wake: () => {} } },
      signalArrived: () => {},
      mm: { vmas: () => [] },
      wait: (queues: readonly WaitQueue[], ready: () => boolean) => wait(queues, ready),
    };
    this.task = task as unknown as Task;
  }

  /** Puts a string (with NUL) or bytes into scratch memory. */
  put(data: string | Uint8Array): number {
    const bytes = typeof data === 'string' ? Buffer.from(`${data}\0`, 'latin1') : data;
    if (this.#scratch + bytes.length > BUFFER) this.#scratch = LOW;
    const at = this.#scratch;
    this.memory.u8.set(bytes, at);
    this.#scratch += Math.ceil((bytes.length + 1) / 16) * 16;
    return at;
  }

  /** The result of a call, negative errno for an error. Strings and bytes become addresses. */
  call(name: string, ...args: Arg[]): number {
    const result = this.start(name, ...args);
    if (result instanceof Promise) throw new Error(`${name} waits`);
    return result;
  }
  /** The same, possibly a promise. */
  start(name: string, ...args: Arg[]): number | Promise<number> {
    const row = rows.get(name);
    if (!row?.handler) throw new Error(`no call ${name}`);
    const numbers = args.map((a) => (typeof a === 'number' ? a : this.put(a)));
    while (numbers.length < row.args.length) numbers.push(0);
    const failed = (e: unknown): number => {
      if (e instanceof SysError) return -e.errno;
      throw e;
    };
    try {
      const result = row.handler(this.task, ...numbers);
      return result instanceof Promise ? result.catch(failed) : result;
    } catch (e) {
      return failed(e);
    }
  }
  /** `ENOENT` for an error, the number itself otherwise. */
  show(name: string, ...args: Arg[]): number | string {
    const result = this.call(name, ...args);
    return result < 0 ? errnoName(-result) : result;
  }

  bytes(address: number, length: number): Uint8Array {
    return this.memory.u8.slice(address, address + length);
  }
  text(address: number, length: number): string {
    return Buffer.from(this.bytes(address, length)).toString('latin1');
  }

  // Things tests do all the time.
  open(path: string, flags = 0, mode = 0o644): number {
    return this.call('openat', -100, path, flags, mode);
  }
  writeFile(path: string, data: string | Uint8Array): void {
    const fd = this.open(path, 0o1101);
    if (fd < 0) throw new Error(`${path}: ${errnoName(-fd)}`);
    const bytes = typeof data === 'string' ? Buffer.from(data, 'latin1') : data;
    if (this.call('write', fd, this.put(bytes), bytes.length) !== bytes.length) throw new Error(`${path}: short write`);
    this.call('close', fd);
  }
  readFile(path: string): string {
    const fd = this.open(path);
    if (fd < 0) return errnoName(-fd);
    let text = '';
    for (let n = 1; n > 0; ) {
      n = this.call('read', fd, BUFFER, 65536);
      if (n > 0) text += this.text(BUFFER, n);
      if (n < 0) text += errnoName(-n);
    }
    this.call('close', fd);
    return text;
  }
  stat(
    path: string,
    flags = 0x100,
  ): { mode: number; nlink: number; size: number; ino: number; dev: number; uid: number; mtime: number } | string {
    const result = this.call('newfstatat', -100, path, BUFFER, flags);
    if (result < 0) return errnoName(-result);
    const v = new DataView(this.memory.u8.buffer, BUFFER, 144);
    const u64 = (at: number): number => Number(v.getBigUint64(at, true));
    return {
      dev: u64(0),
      ino: u64(8),
      nlink: u64(16),
      mode: v.getUint32(24, true),
      uid: v.getUint32(28, true),
      size: u64(48),
      mtime: u64(88),
    };
  }
  /** Names of a directory in its own order, or the error. */
  list(path: string): string[] | string {
    const fd = this.open(path, 0o200000);
    if (fd < 0) return errnoName(-fd);
    const names: string[] = [];
    for (;;) {
      const n = this.call('getdents64', fd, BUFFER, 4096);
      if (n <= 0) {
        this.call('close', fd);
        return n === 0 ? names : errnoName(-n);
      }
      const v = new DataView(this.memory.u8.buffer, BUFFER, n);
      for (let at = 0; at < n; at += v.getUint16(at + 16, true)) {
        const end = this.memory.u8.indexOf(0, BUFFER + at + 19);
        names.push(this.text(BUFFER + at + 19, end - BUFFER - at - 19));
      }
    }
  }
  readlink(path: string): string {
    const n = this.call('readlinkat', -100, path, BUFFER, 4096);
    return n < 0 ? errnoName(-n) : this.text(BUFFER, n);
  }
  cwd(): string {
    const n = this.call('getcwd', BUFFER, 4096);
    return n < 0 ? errnoName(-n) : this.text(BUFFER, n - 1);
  }
}
