/** One guest system: the processes of a run and what they share. */
import { FdTable } from './fs/fd-table.ts';
import type { FsContext } from './fs/fs-context.ts';
import type { OpenFile } from './fs/open-file.ts';
import type { Vfs } from './fs/vfs.ts';
import { AddressSpace } from './mm/address-space.ts';
import type { GuestMemory } from './mm/guest-memory.ts';
import { UserMemory } from './mm/user-memory.ts';
import type { HostNetwork } from './net/host-network.ts';
import { Network } from './net/network.ts';
import { SI_KERNEL, SIGINT, SIGKILL, SIGQUIT, SIGTSTP } from './abi/signals.ts';
import { sendSignal } from './signals/send.ts';
import type { CallObserver } from './syscalls/observer.ts';
import { PendingSignals, SignalHandlers } from './signals/state.ts';
import type { CpuContext, Isa } from './task/cpu-context.ts';
import { type Credentials, hostCredentials } from './task/credentials.ts';
import { FutexTable } from './task/futex-table.ts';
import { GuestTask } from './task/guest-task.ts';
import type { Host } from './task/host.ts';
import type { Machine } from './task/machine.ts';
import { Process } from './task/process.ts';
import { PidNamespace, releasePid } from './ns/pid.ts';
import { IpcNamespace, mountedQueues } from './ipc/namespace.ts';
import { INITIAL_INO } from './ns/namespace.ts';
import { NetNamespace } from './ns/net.ts';
import { CgroupNamespace, type Namespaces, TimeNamespace } from './ns/proxy.ts';
import { initialUserNamespace } from './ns/user.ts';
import { UtsNamespace } from './ns/uts.ts';
import { Registry } from './registry.ts';
import { KernelStats } from './task/stats.ts';
import { Timers } from './time/timers.ts';

export interface KernelOptions {
  /** Bytes of memory the guest may use; default: what the host says. */
  memoryLimit: number;
  /** Soft RLIMIT_STACK in bytes. */
  stackSize: number;
  /** Receives one line a system call and signal, or null. */
  strace: ((line: string) => void) | null;
  hostname: string;
  domainname: string;
  /** Pid of the first process, and the pid its getppid(2) returns. */
  pid: number;
  ppid: number;
  /** Internal errors are reported with their stack. */
  debug: boolean;
  /** A task needs `beforeUserMode` soon. */
  onAttention: ((task: GuestTask) => void) | null;
  /** A process was stopped by SIGSTOP, SIGTSTP, ... */
  onStop: ((process: Process, signo: number) => void) | null;
}

export interface KernelInit {
  host: Host;
  vfs: Vfs;
  options?: Partial<KernelOptions>;
  /** `program`: map key of the file of the program that will run there, if that is known. */
  createMemory: (program?: object | null) => GuestMemory;
  /** Without it there is one thread only: clone(2) returns ENOSYS. */
  machine?: Machine;
  /** The way out of the guest's own loopback; absent: there is none. */
  network?: HostNetwork | null;
}

export interface SpawnInit {
  /** Registers of the first thread, made over the memory of `mm`. */
  cpu: (mm: AddressSpace) => CpuContext;
  fs: FsContext;
  /** Open file descriptions for descriptors 0, 1, 2...; null leaves a descriptor closed. */
  stdio: readonly (OpenFile | null)[];
  cred?: Credentials;
  comm?: string;
}

const defaultOptions: KernelOptions = {
  memoryLimit: 0,
  stackSize: 8 << 20,
  strace: null,
  hostname: 'uktx',
  domainname: '(none)',
  pid: 2,
  ppid: 1,
  debug: false,
  onAttention: null,
  onStop: null,
};

export class Kernel {
  readonly host: Host;
  readonly vfs: Vfs;
  readonly options: KernelOptions;
  readonly createMemory: (program?: object | null) => GuestMemory;
  readonly machine: Machine | null;
  /** The initial PID namespace. */
  readonly pidNs = new PidNamespace(null, initialUserNamespace);
  readonly processes = new Registry<number, Process>();
  /** Every live thread by tid. */
  readonly tasks = new Registry<number, GuestTask>();
  /** Threads with a real-time policy. */
  realtimeTasks = 0;
  readonly stats = new KernelStats();
  readonly timers: Timers;
  readonly futexes = new FutexTable();
  readonly net: Network;
  /** Monotonic and real time at start, milliseconds. */
  readonly bootMonotonic: number;
  readonly bootRealtime: number;
  /** What the first process is in. */
  readonly initialNs: Namespaces;
  /** The first process. */
  init: Process | null = null;
  /** Process group in the terminal's foreground, 0 without a terminal. Set by whoever has the terminal. */
  foreground: () => number = () => 0;
  #nextPid: number;
  #tracesTids = false;
  /** Sees every system call, or null. */
  observer: CallObserver | null = null;
  #exitListeners: ((process: Process) => void)[] = [];

  constructor(init: KernelInit) {
    this.host = init.host;
    this.vfs = init.vfs;
    this.options = { ...defaultOptions, ...init.options };
    this.options.memoryLimit ||= init.host.memoryTotal;
    this.createMemory = init.createMemory;
    this.machine = init.machine ?? null;
    this.#nextPid = this.options.pid;
    this.timers = new Timers(() => this.monotonicMs());
    this.net = new Network({
      host: init.network ?? null,
      randomFill: (dst) => this.host.randomFill(dst),
      diagnostic: (line) => this.host.diagnostic(line),
    });
    this.initialNs = this.#initialNamespaces();
    this.bootMonotonic = this.monotonicMs();
    const [sec, nsec] = this.host.realtime();
    this.bootRealtime = sec * 1000 + nsec / 1e6;
  }

  #initialNamespaces(): Namespaces {
    const owner = initialUserNamespace;
    const time = new TimeNamespace(owner, INITIAL_INO.time);
    return {
      mnt: this.vfs?.initial,
      uts: new UtsNamespace(owner, this.options, INITIAL_INO.uts),
      ipc: new IpcNamespace(owner, INITIAL_INO.ipc, () => mountedQueues(this)),
      net: new NetNamespace(owner, this.net, INITIAL_INO.net),
      cgroup: new CgroupNamespace(owner, INITIAL_INO.cgroup),
      time,
      timeForChildren: time,
      pidForChildren: this.pidNs,
    };
  }

  /** CLOCK_MONOTONIC in milliseconds, with fractions. */
  monotonicMs(): number {
    const [sec, nsec] = this.host.monotonic();
    return sec * 1000 + nsec / 1e6;
  }

  /** The next free pid or tid. */
  allocPid(): number {
    for (;;) {
      const pid = this.#nextPid++;
      if (this.#nextPid > 4_194_303) this.#nextPid = 300;
      if (!this.processes.has(pid) && !this.tasks.has(pid)) return pid;
    }
  }

  /** Creates the first process with its one thread; the loader then gives it a program. */
  spawnInit(init: SpawnInit): GuestTask {
    const process = new Process(this, this.allocPid(), null, this.options.ppid);
    this.processes.set(process.pid, process);
    this.init = process;
    const files = new FdTable(process);
    init.stdio.forEach((file, fd) => {
      if (file) files.installAt(fd, file, false);
    });
    const memory = this.createMemory();
    const mm = new AddressSpace(memory);
    mm.memoryLimit = this.options.memoryLimit;
    mm.limits = process;
    return new GuestTask(this, process, process.pid, {
      cpu: init.cpu(mm),
      mm,
      mem: new UserMemory(memory, mm.window),
      files,
      fs: init.fs,
      ns: this.initialNs,
      cred: init.cred ?? hostCredentials(),
      sighand: new SignalHandlers(),
      signals: new PendingSignals(),
      comm: init.comm ?? '',
    });
  }

  process(pid: number): Process | null {
    return this.processes.get(pid) ?? null;
  }
  task(tid: number): GuestTask | null {
    return this.tasks.get(tid) ?? null;
  }

  /** Takes a process out of the table (it has been waited for, or nobody will). */
  forget(process: Process): void {
    const { pid, pidNs } = process;
    this.processes.delete(pid);
    for (let ns: PidNamespace | null = pidNs; ns; ns = ns.parent) this.vfs.forgetProcess(ns, ns.number(pid));
    if (pidNs.level === 0) return;
    // Its group and session, too, when it was the last one.
    for (const number of new Set([pid, process.pgid, process.sid])) releasePid(this, pidNs, number);
  }
  onProcessExit(listener: (process: Process) => void): void {
    this.#exitListeners.push(listener);
  }
  processExited(process: Process): void {
    for (const listener of this.#exitListeners) listener(process);
  }

  /** Bytes of memory that all processes hold (MemTotal - MemFree). */
  memoryUsed(): number {
    const spaces = new Set([...this.tasks.values()].map((t) => t.mm));
    let sum = 0;
    for (const mm of spaces) sum += mm.stats.accessible;
    return sum;
  }

  /** The last thread of a process has gone. The memory is reused once no process uses it. */
  releaseMemory(mm: AddressSpace): void {
    if (--mm.users > 0 || !this.machine) return;
    mm.reset();
    this.machine.releaseMemory(mm.memory);
  }

  /** A thread has gone: close its descriptors unless another thread uses the same table. */
  releaseFiles(task: GuestTask): void {
    for (const other of task.process.tasks.values()) if (other.files === task.files) return;
    for (const other of this.tasks.values()) if (other.files === task.files) return;
    task.files.closeAll();
  }

  /**
   * A signal that reached the host process: what keys make goes to the terminal's foreground group, the rest to the first
   * process, which is what the host knows as this run.
   */
  hostSignal(signo: number): void {
    const { init } = this;
    if (!init) return;
    const fromKeys = signo === SIGINT || signo === SIGQUIT || signo === SIGTSTP;
    const group = (fromKeys && this.foreground()) || 0;
    const targets = group ? [...this.processes.values()].filter((p) => p.pgid === group) : [init];
    for (const process of targets) if (process.exitStatus === null) sendSignal(process, signo, { code: SI_KERNEL });
  }

  /** The first process has ended: like those of a container, the others end with it. */
  killAll(): void {
    for (const process of this.processes.values()) process.exitGroup({ kind: 'killed', signal: SIGKILL, core: false });
  }

  /** As `trace`, of a process that may have no thread any more. */
  traceProcess(process: Process, text: string): void {
    this.options.strace?.(this.#tracesTids ? `[pid ${process.pid}] ${text}` : text);
  }

  /** One line for --strace, with the thread in front once there is more than one. */
  trace(task: GuestTask, text: string): void {
    const { strace } = this.options;
    if (!strace) return;
    this.#tracesTids ||= this.tasks.size > 1;
    strace(this.#tracesTids ? `[pid ${task.tid}] ${text}` : text);
  }

  get isa(): Isa {
    return this.init?.leader?.cpu.isa ?? 'x86_64';
  }
}
