/** A machine with several threads, a tree with /proc, and root's rights. */
import { FsContext } from '../../../src/kernel/fs/fs-context.ts';
import { crossMounts } from '../../../src/kernel/fs/namei.ts';
import { ProcFs } from '../../../src/kernel/fs/procfs/index.ts';
import { Tmpfs } from '../../../src/kernel/fs/tmpfs.ts';
import { AT_FDCWD, Vfs } from '../../../src/kernel/fs/vfs.ts';
import { Credentials } from '../../../src/kernel/task/credentials.ts';
import type { GuestTask } from '../../../src/kernel/task/guest-task.ts';
import { Tasks } from '../process/tasks.ts';
import { DATA } from '../syscalls/harness.ts';

export class Namespaced extends Tasks {
  constructor(uid = 0) {
    const vfs = new Vfs(new Tmpfs({ mode: 0o755 }));
    for (const name of ['proc', 'a', 'b', 'c']) vfs.root.dentry.inode.mkdir(name, 0o755, 0, 0);
    const proc = new ProcFs();
    vfs.mount(proc, '/proc');
    super({ vfs, fs: new FsContext(crossMounts(vfs.root)), cred: new Credentials(uid, uid) });
    proc.kernel = this.kernel;
  }

  /** A child by any thread, which may be in a PID namespace: the thread and its number as the caller knows it. */
  async fork(task: GuestTask, flags = 0): Promise<{ child: GuestTask; number: number }> {
    const number = await this.by(task, 'clone', flags);
    if (typeof number !== 'number') throw new Error(`clone: ${number}`);
    return { child: this.started.at(-1)!, number };
  }
  /** clone3 with set_tid: the number, or the errno's name. */
  clone3(task: GuestTask, flags: number, tids: readonly number[]): Promise<number | string> {
    const { mem } = task;
    for (let i = 0; i < 11; i++) mem.writeU64(DATA + i * 8, 0);
    mem.writeU64(DATA, flags);
    mem.writeU64(DATA + 64, tids.length > 0 ? DATA + 256 : 0);
    mem.writeU64(DATA + 72, tids.length);
    for (const [i, tid] of tids.entries()) mem.writeU32(DATA + 256 + i * 4, tid >>> 0);
    return this.by(task, 'clone3', DATA, 88);
  }
  /** A call with strings among its arguments. */
  path(task: GuestTask, name: string, ...args: (number | string)[]): Promise<number | string> {
    let at = DATA + 4096;
    const words = args.map((a) => {
      if (typeof a === 'number') return a;
      const place = at;
      task.mem.copyOut(place, Buffer.from(`${a}\0`, 'latin1'));
      at += a.length + 8;
      return place;
    });
    return this.by(task, name, ...words);
  }
  cat(task: GuestTask, path: string): string {
    const file = this.kernel.vfs.open(task, AT_FDCWD, path, 0, 0);
    if (file instanceof Promise) throw new Error(`${path}: waits`);
    const dst = new Uint8Array(8192);
    const n = file.read(task, dst, null) as number;
    file.unref();
    return Buffer.from(dst.slice(0, n)).toString('latin1');
  }
  write(task: GuestTask, path: string, text: string): void {
    const file = this.kernel.vfs.open(task, AT_FDCWD, path, 1, 0);
    if (file instanceof Promise) throw new Error(`${path}: waits`);
    try {
      file.write(task, Buffer.from(text, 'latin1'), null);
    } finally {
      file.unref();
    }
  }
  link(task: GuestTask, path: string): string {
    return this.kernel.vfs.resolve(task, AT_FDCWD, path, { followLast: false }).dentry.inode.readlink(task);
  }
}

export const errnoNameOf = (act: () => unknown): string => {
  try {
    act();
    return 'nothing thrown';
  } catch (e) {
    return (e as Error).message;
  }
};
