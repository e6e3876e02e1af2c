/** procfs (proc(5)): the registry of its entries and the directories that come and go with processes. */
import { errno, sysError } from '../../abi/errno.ts';
import type { Kernel } from '../../kernel.ts';
import type { GuestTask } from '../../task/guest-task.ts';
import type { Process } from '../../task/process.ts';
import type { OfProcess } from '../../task/pidfd.ts';
import type { Task } from '../../task/task.ts';
import { KERNEL_RELEASE, KERNEL_VERSION } from '../../task/version.ts';
import { pathName } from '../fs-context.ts';
import { type DirEntry, type Inode, type MagicTarget, S_IFDIR, S_IFLNK, S_IFMT, type Stat } from '../inode.ts';
import { GeneratedFile, MagicLink, makedev, PROC_SUPER_MAGIC, PseudoDir, PseudoFs, PseudoLink } from '../pseudo.ts';
import { auxv, cmdlineEntry, environ } from './arguments.ts';
import { type CpuDescription, defaultCpu } from './cpu.ts';
import { cpuinfo } from './cpuinfo.ts';
import { type PidEntry, type ProcSettings, shownPid, type Subject, type SystemEntry } from './entry.ts';
import { FdDir, FdInfoDir } from './fd.ts';
import { limits } from './limits.ts';
import { maps, smaps, smapsRollup } from './maps.ts';
import { MemInode } from './mem.ts';
import { meminfo } from './meminfo.ts';
import { mountinfo, mounts, mountstats } from './mounts.ts';
import { netEntries } from './net.ts';
import { pidSmall } from './pid-small.ts';
import { pidStat, schedstat, statm } from './pid-stat.ts';
import { status } from './status.ts';
import { sysctls } from './sysctl.ts';
import { systemInfo } from './system-info.ts';
import { interrupts, loadavg, softirqs, stat, uptime } from './system-stat.ts';
import { vmstat } from './vmstat.ts';
import type { Namespace } from '../../ns/namespace.ts';
import { inodeOf } from '../../ns/nsfs.ts';
import type { PidNamespace } from '../../ns/pid.ts';
import { namespaceOf } from '../../ns/proxy.ts';
import { mayInspect } from '../../task/ptrace-access.ts';
import { anonymousDevice } from '../clock.ts';
import type { ShowsPids } from '../vfs.ts';

const systemEntries: readonly SystemEntry[] = [
  cpuinfo,
  meminfo,
  stat,
  uptime,
  loadavg,
  interrupts,
  softirqs,
  vmstat,
  ...systemInfo,
  ...sysctls,
];

const pidEntries: readonly PidEntry[] = [
  auxv,
  cmdlineEntry,
  environ,
  limits,
  maps,
  mountinfo,
  mounts,
  mountstats,
  pidStat,
  schedstat,
  smaps,
  smapsRollup,
  statm,
  status,
  ...pidSmall,
];

/** Inode numbers of entries registered for good start here (PROC_DYNAMIC_FIRST); those of processes are low. */
const FIRST_STATIC_INO = 4026531840;

export interface ProcFsOptions {
  cpu?: CpuDescription;
  release?: string;
  version?: string;
  dev?: number;
  /** Processes of this PID namespace are shown; absent: all. */
  pidNs?: PidNamespace | null;
}

/** Of those among `systemEntries`. */
const ROOT_DIRECTORIES = new Set(systemEntries.flatMap((e) => (e.path.includes('/') ? [e.path.split('/', 1)[0]] : [])))
  .size;

export class ProcFs extends PseudoFs implements ShowsPids {
  readonly settings: ProcSettings;
  /** Whose processes are shown when a look-up does not say who asks. */
  kernel: Kernel | null = null;
  readonly net: PseudoDir;
  readonly #others = new WeakMap<PidNamespace, ProcFs>();

  constructor(options: ProcFsOptions = {}) {
    super('proc', options.dev ?? makedev(0, 22), PROC_SUPER_MAGIC, FIRST_STATIC_INO);
    this.settings = {
      cpu: options.cpu ?? defaultCpu,
      release: options.release ?? KERNEL_RELEASE,
      version: options.version ?? KERNEL_VERSION,
      pidNs: options.pidNs ?? null,
    };
    const root = new ProcRoot(this);
    this.setRoot(root);
    this.net = new PseudoDir(this);
    this.net.fillLater(0, () => {
      for (const entry of netEntries) this.net.add(entry.path, this.#systemFile(entry));
    });
    root.fillLater(ROOT_DIRECTORIES, () => this.#fill(root));
  }
  get pidNs(): PidNamespace | null {
    return this.settings.pidNs;
  }
  /** A procfs like this one for another PID namespace: the same for each. */
  forNamespace(ns: PidNamespace): ProcFs {
    if (ns.level === 0) return this;
    let made = this.#others.get(ns);
    if (!made) {
      made = new ProcFs({ ...this.settings, dev: anonymousDevice(), pidNs: ns });
      made.kernel = this.kernel;
      this.#others.set(ns, made);
    }
    return made;
  }
  /** The number of a process or thread here, 0 when it is none of this namespace. */
  shown(pid: number): number {
    return shownPid(this.settings, pid);
  }
  initial(number: number): number {
    return this.pidNs ? this.pidNs.initial(number) : number;
  }

  #fill(root: PseudoDir): void {
    for (const entry of systemEntries) root.addPath(entry.path, this.#systemFile(entry));
    root.add('self', new PseudoLink(this, (task) => String(this.#own(this.#asker(task).process.pid))));
    root.add(
      'thread-self',
      new PseudoLink(this, (task) => {
        const { process, tid } = this.#asker(task);
        return `${this.#own(process.pid)}/task/${this.shown(tid)}`;
      }),
    );
    root.add('mounts', new PseudoLink(this, 'self/mounts'));
    root.add('net', new PseudoLink(this, 'self/net'));
  }

  #systemFile(entry: SystemEntry): GeneratedFile {
    const { write } = entry;
    return new GeneratedFile(this, (task) => entry.read(task.kernel, this.settings, task), {
      pollable: true,
      ...(entry.perm !== undefined && { perm: entry.perm }),
      ...(write && { write: (task, text) => write(task.kernel, text, task) }),
    });
  }

  #own(pid: number): number {
    const number = this.shown(pid);
    if (number === 0) throw sysError(errno.ENOENT);
    return number;
  }
  #asker(task?: Task): Task {
    const asker = task ?? this.kernel?.init?.leader;
    if (!asker) throw sysError(errno.ENOENT);
    return asker;
  }
  kernelOf(task?: Task): Kernel | null {
    return task?.kernel ?? this.kernel;
  }

  /** The directory of a process, one as long as it lives. */
  processDir(process: Process): PidDir {
    process.views ??= new Map();
    let dir = process.views.get(this) as PidDir | undefined;
    if (!dir) {
      dir = new PidDir(this, process, null);
      process.views.set(this, dir);
    }
    return dir;
  }
}

/** Names in /proc/PID/ns. */
const namespaceLinks = [
  'cgroup',
  'ipc',
  'mnt',
  'net',
  'pid',
  'pid_for_children',
  'time',
  'time_for_children',
  'user',
  'uts',
] as const;

/** Null for a PID namespace that has no process yet. */
function linkedNamespace(thread: GuestTask, name: (typeof namespaceLinks)[number]): Namespace | null {
  const { pidForChildren, timeForChildren } = thread.ns;
  if (name === 'pid_for_children') return pidForChildren.level === 0 || pidForChildren.init ? pidForChildren : null;
  return name === 'time_for_children' ? timeForChildren : namespaceOf(thread, name);
}

const parsePid = (name: string): number => (/^[1-9]\d{0,9}$/.test(name) ? Number(name) : 0);

class ProcRoot extends PseudoDir {
  readonly #proc: ProcFs;
  constructor(proc: ProcFs) {
    super(proc, { ino: 1 });
    this.#proc = proc;
  }
  override stat(): Stat {
    return { ...super.stat(), nlink: this.nlink + this.#listed(this.#proc.kernel).length };
  }
  protected override dynamicLookup(name: string, task?: Task): Inode | null {
    const kernel = this.#proc.kernelOf(task);
    const pid = this.#proc.initial(parsePid(name));
    if (!kernel || pid === 0) return null;
    // A thread's number leads to its process's files, though it is not listed.
    const process = kernel.process(pid) ?? kernel.task(pid)?.process;
    return process ? this.#proc.processDir(process) : null;
  }
  protected override dynamicEntries(task?: Task): DirEntry[] {
    const proc = this.#proc;
    return this.#listed(proc.kernelOf(task)).map(([p, number]) => ({
      name: String(number),
      ino: proc.processDir(p).ino,
      type: S_IFDIR,
    }));
  }
  /** The processes shown, with their numbers, in order. */
  #listed(kernel: Kernel | null): [Process, number][] {
    const all = [...(kernel?.processes.values() ?? [])].map((p): [Process, number] => [p, this.#proc.shown(p.pid)]);
    return all.filter(([, number]) => number !== 0).sort(([, a], [, b]) => a - b);
  }
}

const pidFiles: ReadonlyMap<string, PidEntry> = new Map(pidEntries.map((entry) => [entry.name, entry]));
/** What else stands in /proc/PID; the last three are directories. */
const PID_NAMES = ['cwd', 'root', 'exe', 'net', 'ns', 'task'];
const PID_DIRECTORIES = 3;

/** /proc/PID, and with a thread /proc/PID/task/TID. */
class PidDir extends PseudoDir implements OfProcess {
  readonly #proc: ProcFs;
  readonly #process: Process;
  readonly #thread: GuestTask | null;
  readonly #made = new Map<string, Inode>();

  get namedProcess(): Process | null {
    return this.#thread ? null : this.#process;
  }

  constructor(proc: ProcFs, process: Process, thread: GuestTask | null) {
    super(proc, {});
    this.#proc = proc;
    this.#process = process;
    this.#thread = thread;
    this.nlink += thread ? PID_DIRECTORIES - 1 : PID_DIRECTORIES;
  }

  /** What stands in the directory of a process is made when it is asked for: most processes look at one file of theirs. */
  override lookup(name: string, task?: Task): Inode | null {
    const have = this.#made.get(name);
    if (have) return have;
    const made = this.#make(name);
    if (!made) return super.lookup(name, task);
    this.#made.set(name, made);
    return made;
  }
  override readdir(task?: Task): DirEntry[] {
    const entries: DirEntry[] = [];
    for (const name of [...pidFiles.keys(), ...PID_NAMES]) {
      const inode = this.lookup(name, task);
      if (!inode) continue;
      const { ino, mode } = inode.stat();
      entries.push({ name, ino, type: mode & S_IFMT });
    }
    return [...entries, ...super.readdir(task)];
  }
  #make(name: string): Inode | null {
    const entry = pidFiles.get(name);
    if (entry) return (this.#thread ? entry.processOnly : entry.threadOnly) ? null : this.#file(entry);
    const rootOf = (reader: Task | undefined, t: GuestTask): GuestTask['fs']['root'] => (reader ?? t).fs.root;
    switch (name) {
      case 'cwd':
        return this.#link(
          (t, reader) => pathName(t.fs.cwd, rootOf(reader, t)),
          (t) => t.fs.cwd,
        );
      case 'root':
        return this.#link(
          (t, reader) => pathName(t.fs.root, rootOf(reader, t)),
          (t) => t.fs.root,
        );
      case 'exe':
        return this.#link(
          (t, reader) => exeName(t, rootOf(reader, t)),
          (t) => t.process.exe,
        );
      case 'net':
        return this.#proc.net;
      case 'ns':
        return this.#namespaces();
      case 'task':
        return this.#thread ? null : new TaskDir(this.#proc, this.#process);
      default:
        return null;
    }
  }
  #link(
    text: (t: GuestTask, task?: Task) => string,
    place: (t: GuestTask) => GuestTask['fs']['cwd'] | null,
  ): OwnedLink {
    const find = (): MagicTarget | null => {
      const where = place(this.#living());
      return where ? { kind: 'place', place: where } : null;
    };
    return new OwnedLink(this, (task) => text(this.#living(), task), find);
  }
  #namespaces(): PseudoDir {
    const ns = new PseudoDir(this.#proc, { mode: S_IFDIR | 0o511, ...this.#owner() });
    for (const name of namespaceLinks) {
      const find = (reader?: Task): Namespace => {
        const thread = this.#living();
        if (reader && !mayInspect(reader as GuestTask, thread)) throw sysError(errno.EACCES);
        const found = linkedNamespace(thread, name);
        if (!found) throw sysError(errno.ENOENT);
        return found;
      };
      const label = (reader?: Task): string => {
        const { ino, kind } = find(reader);
        return `${kind}:[${ino}]`;
      };
      ns.add(
        name,
        new OwnedLink(this, label, (reader) => {
          const target = find(reader);
          return { kind: 'inode', inode: inodeOf(target), path: target.label };
        }),
      );
    }
    return ns;
  }

  #subject(): Subject {
    const process = this.#process;
    return { process, thread: this.#thread ?? process.leader };
  }
  /** The thread meant. Throws ESRCH when it is gone. */
  #living(): GuestTask {
    const { thread } = this.#subject();
    if (!thread || thread.dead) throw sysError(errno.ENOENT);
    return thread;
  }
  /** The process's effective ids; root's when it is not dumpable. */
  #owner(): { uid: number; gid: number } {
    const cred = this.#subject().thread?.cred;
    return cred && this.#process.dumpable === 1 ? { uid: cred.euid, gid: cred.egid } : { uid: 0, gid: 0 };
  }
  get owner(): { uid: number; gid: number } {
    return this.#owner();
  }
  override stat(): Stat {
    return { ...super.stat(), ...this.#owner() };
  }

  #file(entry: PidEntry): GeneratedFile {
    const { write } = entry;
    return new OwnedFile(this, (reader) => this.#read(entry, reader), {
      pollable: entry.name.startsWith('mount'),
      ...(entry.perm !== undefined && { perm: entry.perm }),
      ...(write && { write: (task: Task, text: string) => write(this.#subject(), text, task) }),
    });
  }
  #read(entry: PidEntry, reader: Task): string | Uint8Array {
    const gone = this.#thread ? this.#thread.dead : !this.#process.kernel.processes.has(this.#process.pid);
    if (gone) throw sysError(errno.ESRCH);
    return entry.read(this.#subject(), this.#proc.settings, reader);
  }

  /** Directories and files over the living thread's tables, made at each look-up. */
  protected override dynamicLookup(name: string): Inode | null {
    const { thread } = this.#subject();
    if (!thread) return null;
    const { uid, gid } = this.#owner();
    const key = `${this.ino}/${name}`;
    switch (name) {
      case 'fd':
        return new FdDir(this.#proc, thread, uid, gid, this.#proc.inoOf(key));
      case 'fdinfo':
        return new FdInfoDir(this.#proc, thread, uid, gid, this.#proc.inoOf(key));
      case 'mem':
        return new MemInode(this.#proc, thread, { uid, gid, ino: this.#proc.inoOf(key) });
      default:
        return null;
    }
  }
  protected override dynamicEntries(): DirEntry[] {
    if (!this.#subject().thread) return [];
    const entry = (name: string, type: number): DirEntry => ({
      name,
      ino: this.#proc.inoOf(`${this.ino}/${name}`),
      type,
    });
    return [entry('fd', S_IFDIR), entry('fdinfo', S_IFDIR), entry('mem', 0o100000)];
  }
}

function exeName(thread: GuestTask, root: GuestTask['fs']['root']): string {
  const { exe, exePath } = thread.process;
  return exe ? pathName(exe, root) : exePath;
}

/** Files and links of a process belong to whom the process belongs to now. */
class OwnedFile extends GeneratedFile {
  readonly #dir: PidDir;
  constructor(dir: PidDir, generate: GeneratedFile['generate'], init: ConstructorParameters<typeof GeneratedFile>[2]) {
    super(dir.fs, generate, init);
    this.#dir = dir;
  }
  override stat(): Stat {
    return { ...super.stat(), ...this.#dir.owner };
  }
}
class OwnedLink extends MagicLink {
  readonly #dir: PidDir;
  constructor(dir: PidDir, text: (task?: Task) => string, place: ConstructorParameters<typeof MagicLink>[2]) {
    super(dir.fs, text, place, { mode: S_IFLNK | 0o777 });
    this.#dir = dir;
  }
  override stat(): Stat {
    return { ...super.stat(), ...this.#dir.owner };
  }
}

/** /proc/PID/task. */
class TaskDir extends PseudoDir {
  readonly #proc: ProcFs;
  readonly #process: Process;
  readonly #dirs = new WeakMap<GuestTask, PidDir>();
  constructor(proc: ProcFs, process: Process) {
    super(proc);
    this.#proc = proc;
    this.#process = process;
  }
  #dir(thread: GuestTask): PidDir {
    let dir = this.#dirs.get(thread);
    if (!dir) {
      dir = new PidDir(this.#proc, this.#process, thread);
      this.#dirs.set(thread, dir);
    }
    return dir;
  }
  override stat(): Stat {
    return { ...super.stat(), nlink: 2 + this.#process.tasks.size };
  }
  protected override dynamicLookup(name: string): Inode | null {
    const thread = this.#process.tasks.get(this.#proc.initial(parsePid(name)));
    return thread ? this.#dir(thread) : null;
  }
  protected override dynamicEntries(): DirEntry[] {
    return [...this.#process.tasks.values()].map((t) => ({
      name: String(this.#proc.shown(t.tid)),
      ino: this.#dir(t).ino,
      type: S_IFDIR,
    }));
  }
}
