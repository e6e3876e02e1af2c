/** /proc/PID/fd and /proc/PID/fdinfo. */
import { pathName } from '../fs-context.ts';
import { EpollFile } from '../epoll.ts';
import { EventFd } from '../eventfd.ts';
import { type DirEntry, type Inode, S_IFDIR, S_IFLNK, S_IFREG } from '../inode.ts';
import { O_ACCMODE, O_CLOEXEC, O_RDONLY, O_WRONLY, type OpenFile } from '../open-file.ts';
import { GeneratedFile, MagicLink, PseudoDir, type PseudoFs } from '../pseudo.ts';
import type { GuestTask } from '../../task/guest-task.ts';
import type { PidNamespace } from '../../ns/pid.ts';
import { PidFd } from '../../task/pidfd.ts';
import type { ProcFs } from './index.ts';

/** Mount of things that have none of their own (pipes, eventfds). */
const ANONYMOUS_MOUNT = 15;

/** What a descriptor is called: a path, seen from the process's root, or `pipe:[12]`. */
export function fileName(file: OpenFile, thread: GuestTask): string {
  return file.location ? pathName(file.location, thread.fs.root) : file.path;
}

const parseFd = (name: string): number => (/^(0|[1-9]\d{0,9})$/.test(name) ? Number(name) : -1);

function fileOf(thread: GuestTask, fd: number): OpenFile | null {
  for (const [n, file] of thread.files.entries()) if (n === fd) return file;
  return null;
}

/** Owner bits of the link tell how the file is open. */
function linkMode(file: OpenFile): number {
  const mode = file.flags & O_ACCMODE;
  return S_IFLNK | 0o100 | (mode !== O_WRONLY ? 0o400 : 0) | (mode !== O_RDONLY ? 0o200 : 0);
}

/** Both directories list the open descriptors; what an entry is differs. */
abstract class DescriptorDir extends PseudoDir {
  protected readonly thread: GuestTask;
  readonly #key: string;
  readonly #type: number;

  constructor(
    fs: PseudoFs,
    thread: GuestTask,
    kind: string,
    perm: number,
    type: number,
    uid: number,
    gid: number,
    ino: number,
  ) {
    super(fs, { mode: S_IFDIR | perm, uid, gid, ino });
    this.thread = thread;
    this.#key = `${kind}/${this.ino}`;
    this.#type = type;
  }
  protected abstract make(fd: number, file: OpenFile, ino: number): Inode;

  protected override dynamicLookup(name: string): Inode | null {
    const fd = parseFd(name);
    const file = fd < 0 ? null : fileOf(this.thread, fd);
    return file && this.make(fd, file, this.fs.inoOf(`${this.#key}/${fd}`));
  }
  protected override dynamicEntries(): DirEntry[] {
    return [...this.thread.files.entries()].map(([fd]) => {
      return { name: String(fd), ino: this.fs.inoOf(`${this.#key}/${fd}`), type: this.#type };
    });
  }
}

export class FdDir extends DescriptorDir {
  constructor(fs: PseudoFs, thread: GuestTask, uid: number, gid: number, ino: number) {
    super(fs, thread, 'fd', 0o500, S_IFLNK, uid, gid, ino);
  }
  protected override make(fd: number, file: OpenFile, ino: number): Inode {
    const { thread, uid, gid } = this;
    const current = (): OpenFile => fileOf(thread, fd) ?? file;
    const init = { ino, uid, gid, mode: linkMode(file), size: 64 };
    return new MagicLink(
      this.fs,
      () => fileName(current(), thread),
      () => ({ kind: 'file', file: current() }),
      init,
    );
  }
}

export class FdInfoDir extends DescriptorDir {
  constructor(fs: PseudoFs, thread: GuestTask, uid: number, gid: number, ino: number) {
    super(fs, thread, 'fdinfo', 0o555, S_IFREG, uid, gid, ino);
  }
  protected override make(fd: number, file: OpenFile, ino: number): Inode {
    const { thread, uid, gid } = this;
    const fs = this.fs as ProcFs;
    return new GeneratedFile(
      fs,
      () => fdInfo(fs.pidNs ?? thread.kernel.pidNs, thread, fd, fileOf(thread, fd) ?? file),
      { ino, uid, gid },
    );
  }
}

function fdInfo(ns: PidNamespace, thread: GuestTask, fd: number, file: OpenFile): string {
  const flags = file.flags | (thread.files.getCloexec(fd) ? O_CLOEXEC : 0);
  const mount = file.location?.mount.id ?? ANONYMOUS_MOUNT;
  const ino = file.inode?.stat().ino ?? 0;
  return `pos:\t${file.offset}\nflags:\t0${flags.toString(8)}\nmnt_id:\t${mount}\nino:\t${ino}\n${details(ns, file)}`;
}

function details(ns: PidNamespace, file: OpenFile): string {
  if (file instanceof PidFd) return file.fdinfo(ns);
  if (file instanceof EventFd) return file.fdinfo();
  if (!(file instanceof EpollFile)) return '';
  return [...file.watched()]
    .map((item) => {
      const data = item.dataHi * 0x1_0000_0000 + item.dataLo;
      const { ino, dev } = item.file.inode?.stat() ?? { ino: 0, dev: 0 };
      const events = (item.events >>> 0).toString(16).padStart(8);
      return `tfd: ${String(item.fd).padStart(8)} events: ${events} data: ${data.toString(16).padStart(16)}  pos:${item.file.offset} ino:${ino.toString(16)} sdev:${dev.toString(16)}\n`;
    })
    .join('');
}
