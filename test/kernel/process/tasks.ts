/** The machine of the system-call tests with more than one thread: nobody runs them but the test, call by call. */
import { GUEST_LIMIT, type GuestMemory } from '../../../src/kernel/mm/guest-memory.ts';
import { dispatchSyscall } from '../../../src/kernel/syscalls/dispatch.ts';
import { syscallRows } from '../../../src/kernel/syscalls/table.ts';
import type { CpuContext } from '../../../src/kernel/task/cpu-context.ts';
import type { GuestTask } from '../../../src/kernel/task/guest-task.ts';
import type { Machine as TaskMachine } from '../../../src/kernel/task/machine.ts';
import type { UserModeAction } from '../../../src/kernel/task/run-control.ts';
import { FakeGuestMemory } from '../mm/fake-guest-memory.ts';
import { FakeCpu, Machine, type MachineInit, named } from '../syscalls/harness.ts';

const numbers = new Map(syscallRows.map((r) => [r.name, r.x86_64]));
const ARGUMENTS = [7, 6, 2, 10, 8, 9];

export class Tasks extends Machine implements TaskMachine {
  /** Threads the kernel has started, in order. */
  readonly started: GuestTask[] = [];
  readonly released: GuestMemory[] = [];
  cpusReleased = 0;

  constructor(init: MachineInit = {}) {
    const fs = { fork: () => fs };
    super({ fs: fs as never, memorySize: GUEST_LIMIT, ...init });
    Object.assign(this.kernel, { machine: this, createMemory: () => new FakeGuestMemory() });
  }
  cloneCpu(cpu: CpuContext): CpuContext {
    const copy = new FakeCpu();
    const from = cpu as FakeCpu;
    copy.gpr.set(from.gpr);
    copy.pc = from.pc;
    copy.tls = from.tls;
    return copy;
  }
  releaseCpu(): void {
    this.cpusReleased++;
  }
  releaseMemory(memory: GuestMemory): void {
    this.released.push(memory);
  }
  forgetCode(): void {}
  start(task: GuestTask): void {
    this.started.push(task);
  }

  /** A call by any thread; what it returns, by name for failures. */
  async by(task: GuestTask, name: string, ...args: (number | bigint)[]): Promise<number | string> {
    const cpu = task.cpu as FakeCpu;
    cpu.gpr[0] = BigInt(numbers.get(name)!);
    ARGUMENTS.forEach((reg, i) => cpu.setGpr(reg, BigInt(args[i] ?? 0)));
    const result = await dispatchSyscall(task);
    return task.restart === 0 ? named(cpu.result()) : named(result);
  }
  /** fork, vfork and the like: the new thread. */
  async child(task: GuestTask, name: string, ...args: (number | bigint)[]): Promise<GuestTask> {
    const result = await this.by(task, name, ...args);
    const child = this.started.at(-1);
    if (typeof result !== 'number' || child?.tid !== result) throw new Error(`${name}: ${result}`);
    return child;
  }
  /** Ends a process, all of whose threads leave at once. */
  end(task: GuestTask, code = 0): UserModeAction[] {
    task.process.exitGroup({ kind: 'exited', code });
    return [...task.process.tasks.values()].map((t) => t.beforeUserMode());
  }
}
