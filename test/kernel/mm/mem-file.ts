/** A regular file in memory and a task that can map it, for tests of the address space. */
import { type MaybePromise, O_RDWR, OpenFile } from '../../../src/kernel/fs/open-file.ts';
import { S_IFREG, type Stat } from '../../../src/kernel/fs/inode.ts';
import { defaultRlimits } from '../../../src/kernel/task/rlimits.ts';
import type { Task } from '../../../src/kernel/task/task.ts';

let nextIno = 100;

export class MemFile extends OpenFile {
  bytes: Uint8Array;
  readonly ino = nextIno++;
  readonly key: object;
  mtime = 1;
  /** Reads answer with a promise. */
  slow = false;
  reads = 0;
  writes: { position: number; length: number }[] = [];
  released = false;
  /** Thrown by reads. */
  failure: unknown = null;

  constructor(bytes: Uint8Array, flags = O_RDWR, path = '/tmp/file', key: object = {}) {
    super(flags);
    this.bytes = bytes;
    this.path = path;
    this.key = key;
  }
  protected override release(): void {
    this.released = true;
  }
  override read(_task: Task, dst: Uint8Array, position: number | null): MaybePromise<number> {
    this.reads++;
    const act = (): number => {
      if (this.failure) throw this.failure;
      const part = this.bytes.subarray(position ?? 0, (position ?? 0) + dst.length);
      dst.set(part);
      return part.length;
    };
    return this.slow
      ? new Promise((resolve, reject) =>
          setImmediate(() => {
            try {
              resolve(act());
            } catch (e) {
              reject(e);
            }
          }),
        )
      : act();
  }
  override write(_task: Task, src: Uint8Array, position: number | null): MaybePromise<number> {
    this.writes.push({ position: position ?? 0, length: src.length });
    this.bytes.set(src, position ?? 0);
    return src.length;
  }
  override stat(): Stat {
    const time = { sec: this.mtime, nsec: 0 };
    return {
      dev: 1,
      ino: this.ino,
      mode: S_IFREG | 0o755,
      nlink: 1,
      uid: 0,
      gid: 0,
      rdev: 0,
      size: this.bytes.length,
      blksize: 4096,
      blocks: 8,
      atime: time,
      mtime: time,
      ctime: time,
    };
  }
  override mapKey(): object {
    return this.key;
  }
}

/** `pages` pages, the bytes of page i being i+1, the last one cut to `tail` bytes. */
export function numberedPages(pages: number, tail = 4096): Uint8Array {
  const bytes = new Uint8Array((pages - 1) * 4096 + tail);
  for (let i = 0; i < bytes.length; i++) bytes[i] = Math.floor(i / 4096) + 1;
  return bytes;
}

export function fakeTask(options: { root?: boolean } = {}): Task & { diagnostics: string[] } {
  const diagnostics: string[] = [];
  return {
    diagnostics,
    kernel: { host: { diagnostic: (line: string) => diagnostics.push(line) } },
    process: { rlimits: defaultRlimits(8 << 20) },
    cred: { capable: () => options.root ?? false },
  } as unknown as Task & { diagnostics: string[] };
}

/** A small seeded generator (mulberry32): integers in [0, n). */
export function random(seed: number): (n: number) => number {
  let state = seed >>> 0;
  return (n) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 4294967296) * n);
  };
}
