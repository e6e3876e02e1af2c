/** A kernel with one process whose registers and memory a test writes itself: no translated code runs. */
import { errnoName } from '../../../src/kernel/abi/errno.ts';
import type { FsContext } from '../../../src/kernel/fs/fs-context.ts';
import type { OpenFile } from '../../../src/kernel/fs/open-file.ts';
import { Tmpfs } from '../../../src/kernel/fs/tmpfs.ts';
import { Vfs } from '../../../src/kernel/fs/vfs.ts';
import { Kernel, type KernelOptions } from '../../../src/kernel/kernel.ts';
import { PROT_EXEC, PROT_READ, PROT_WRITE } from '../../../src/kernel/mm/guest-memory.ts';
import { Observer } from '../../../src/kernel/syscalls/observer.ts';
import type { HostNetwork } from '../../../src/kernel/net/host-network.ts';
import { dispatchSyscall } from '../../../src/kernel/syscalls/dispatch.ts';
import { syscallRows } from '../../../src/kernel/syscalls/table.ts';
import type { CpuContext } from '../../../src/kernel/task/cpu-context.ts';
import { Credentials } from '../../../src/kernel/task/credentials.ts';
import type { GuestTask } from '../../../src/kernel/task/guest-task.ts';
import type { Host } from '../../../src/kernel/task/host.ts';
import type { UserModeAction } from '../../../src/kernel/task/run-control.ts';
import { FakeGuestMemory } from '../mm/fake-guest-memory.ts';

/** rdi rsi rdx r10 r8 r9. */
const ARGUMENTS = [7, 6, 2, 10, 8, 9];
const RAX = 0;
const RSP = 4;

/** x86-64 registers in plain fields; the FP state is 512 bytes as they are. */
export class FakeCpu implements CpuContext {
  readonly isa = 'x86_64';
  readonly fpStateSize = 512;
  readonly gpr = new BigUint64Array(16);
  readonly fp = new Uint8Array(512);
  pc = 0x40_1000;
  tls = 0;
  gsBase = 0;
  flags = 0x202n;

  get sp(): number {
    return Number(this.gpr[RSP]);
  }
  set sp(v: number) {
    this.gpr[RSP] = BigInt(v);
  }
  syscallNumber(): number {
    return Number(this.gpr[RAX]! & 0xffff_ffffn);
  }
  argLo(i: number): number {
    return Number(this.gpr[ARGUMENTS[i]!]! & 0xffff_ffffn);
  }
  argHi(i: number): number {
    return Number(this.gpr[ARGUMENTS[i]!]! >> 32n);
  }
  setResult(value: number): void {
    // Offsets beyond 2^53 are doubles, and rounded.
    if (!Number.isInteger(value)) throw new RangeError(`result ${value}`);
    this.gpr[RAX] = BigInt.asUintN(64, BigInt(value));
  }
  result(): number {
    return Number(BigInt.asIntN(64, this.gpr[RAX]!));
  }
  getGpr(i: number): bigint {
    return this.gpr[i]!;
  }
  setGpr(i: number, value: bigint): void {
    this.gpr[i] = BigInt.asUintN(64, value);
  }
  getFlags(): bigint {
    return this.flags;
  }
  setFlags(value: bigint): void {
    this.flags = value;
  }
  saveFpState(dst: Uint8Array): void {
    dst.set(this.fp);
  }
  restoreFpState(src: Uint8Array): void {
    this.fp.set(src.subarray(0, 512));
  }
  reset(pc: number, sp: number): void {
    this.gpr.fill(0n);
    this.pc = pc;
    this.sp = sp;
  }
}

/** A host whose clock is the (possibly faked) Date: 1000 s after boot when the date is `bootDate`. */
export class FakeHost implements Host {
  readonly memoryTotal = 1 << 30;
  readonly lines: string[] = [];
  readonly boot = Date.now();
  /** CPU time used, milliseconds. */
  cpu = 0;
  #ms(ms: number): [number, number] {
    return [Math.floor(ms / 1000), (ms % 1000) * 1e6];
  }
  monotonic(): [number, number] {
    return this.#ms(1_000_000 + Date.now() - this.boot);
  }
  realtime(): [number, number] {
    return this.#ms(Date.now());
  }
  cpuTime(): [number, number] {
    return this.#ms(this.cpu);
  }
  randomFill(dst: Uint8Array): void {
    dst.forEach((_, i) => {
      dst[i] = (i * 7 + 1) & 0xff;
    });
  }
  diagnostic(line: string): void {
    this.lines.push(line);
  }
}

export const DATA = 0x10_0000;
export const DATA_SIZE = 0x1_0000;
export const STACK_TOP = 0x80_0000;
export const STACK_SIZE = 0x2_0000;
/** Readable only. */
export const RODATA = 0x20_0000;
/** Not mapped. */
export const BAD = 0x5000_0000;
export const HANDLER = 0x40_2000;
export const RESTORER = 0x40_3000;

const numbers = new Map(syscallRows.map((r) => [r.name, r.x86_64]));

export interface MachineInit {
  cred?: Credentials;
  vfs?: Vfs;
  network?: HostNetwork | null;
  fs?: FsContext;
  stdio?: (OpenFile | null)[];
  options?: Partial<KernelOptions>;
  /** Bytes of guest memory behind the addresses; enough for the constants above by default. */
  memorySize?: number;
}

export class Machine {
  readonly host = new FakeHost();
  readonly kernel: Kernel;
  readonly task: GuestTask;
  readonly cpu = new FakeCpu();
  readonly memory: FakeGuestMemory;

  constructor(init: MachineInit = {}) {
    this.memory = new FakeGuestMemory(init.memorySize ?? 0x100_0000);
    this.kernel = new Kernel({
      host: this.host,
      vfs: init.vfs ?? new Vfs(new Tmpfs()),
      options: { pid: 100, ...init.options },
      createMemory: () => this.memory,
      network: init.network ?? null,
    });
    if (init.options?.strace) this.kernel.observer = new Observer(this.kernel, { trace: {} });
    this.task = this.kernel.spawnInit({
      cpu: () => this.cpu,
      fs: init.fs as FsContext,
      stdio: init.stdio ?? [],
      cred: init.cred ?? new Credentials(1000, 1000, [1000, 27]),
      comm: 'test',
    });
    const { mm } = this.task;
    mm.mapAnonymous(DATA, DATA + DATA_SIZE, PROT_READ | PROT_WRITE);
    mm.mapAnonymous(STACK_TOP - STACK_SIZE, STACK_TOP, PROT_READ | PROT_WRITE);
    mm.mapAnonymous(RODATA, RODATA + 0x1000, PROT_READ);
    mm.mapAnonymous(0x40_0000, 0x41_0000, PROT_READ | PROT_EXEC);
    this.cpu.sp = STACK_TOP - 0x1000;
  }

  get mem() {
    return this.task.mem;
  }

  /** Loads the registers for a call, by name or number, as if the instruction stood before `pc`. */
  load(name: string | number, args: readonly (number | bigint)[]): void {
    const nr = typeof name === 'number' ? name : numbers.get(name);
    if (nr === undefined || nr === null) throw new Error(`no x86-64 number for ${name}`);
    this.cpu.setGpr(RAX, BigInt(nr));
    for (const [i, reg] of ARGUMENTS.entries()) this.cpu.setGpr(reg, BigInt(args[i] ?? 0));
  }

  /** Makes a call that must not wait and returns its result, without going back to user mode. */
  call(name: string | number, ...args: (number | bigint)[]): number {
    this.load(name, args);
    const result = dispatchSyscall(this.task);
    if (typeof result !== 'number') throw new Error(`${name} waits`);
    return this.task.restart === 0 ? this.cpu.result() : result;
  }

  /** Makes a call that may wait. */
  async callAsync(name: string | number, ...args: (number | bigint)[]): Promise<number> {
    this.load(name, args);
    const result = await dispatchSyscall(this.task);
    return this.task.restart === 0 ? this.cpu.result() : result;
  }

  /** As `call`, with failures by name: `'EINVAL'`. */
  try(name: string | number, ...args: (number | bigint)[]): number | string {
    return named(this.call(name, ...args));
  }
  async tryAsync(name: string | number, ...args: (number | bigint)[]): Promise<number | string> {
    return named(await this.callAsync(name, ...args));
  }

  toUserMode(): UserModeAction {
    return this.task.beforeUserMode();
  }

  /** Installs a handler at HANDLER. */
  handle(signo: number, flags = 0, mask = 0n): void {
    const at = DATA + DATA_SIZE - 64;
    const { mem } = this;
    mem.writeU64(at, HANDLER);
    mem.writeU64(at + 8, (flags | 0x0400_0000) >>> 0);
    mem.writeU64(at + 16, RESTORER);
    mem.writeBigU64(at + 24, mask);
    const result = this.call('rt_sigaction', signo, at, 0, 8);
    if (result !== 0) throw new Error(`rt_sigaction ${signo}: ${result}`);
  }

  /** What the handler's `ret` and the restorer do: pops the return address and calls rt_sigreturn. */
  returnFromHandler(): void {
    this.cpu.sp += 8;
    this.cpu.setGpr(RAX, 15n);
    dispatchSyscall(this.task);
  }

  cString(text: string, at = DATA): number {
    this.mem.copyOut(at, Buffer.from(`${text}\0`, 'latin1'));
    return at;
  }
}

export const named = (result: number): number | string => (result < 0 && result > -4096 ? errnoName(-result) : result);

export const sigmask = (...signals: number[]): bigint => signals.reduce((set, n) => set | (1n << BigInt(n - 1)), 0n);
