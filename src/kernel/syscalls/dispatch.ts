/**
 * The way from a guest's system-call instruction to its handler and back. The fast path allocates nothing: arguments go
 * as numbers from the CPU's registers into the handler, and only calls that wait make a promise.
 */
import { errno, SysError } from '../abi/errno.ts';
import type { CpuContext, Isa } from '../task/cpu-context.ts';
import type { GuestTask } from '../task/guest-task.ts';
import type { Task } from '../task/task.ts';
import { decode, type Width, widths } from './args.ts';
import type { Handler, SyscallRow } from './row.ts';
import { EXEC_DONE } from './row-results.ts';
import { syscallName, syscallTable } from './table.ts';

type Invoke = (task: Task) => number | Promise<number>;

/** One closure a row, so that the call site of each handler has its own arity and its own inline caches. */
function compile(row: SyscallRow, h: Handler): Invoke {
  const w = row.args.map((a) => widths[a.kind]);
  const [a, b, c, d, e, f] = w as [Width, Width, Width, Width, Width, Width];
  switch (w.length) {
    case 0:
      return (t) => h(t);
    case 1:
      return (t) => h(t, decode(t, 0, a));
    case 2:
      return (t) => h(t, decode(t, 0, a), decode(t, 1, b));
    case 3:
      return (t) => h(t, decode(t, 0, a), decode(t, 1, b), decode(t, 2, c));
    case 4:
      return (t) => h(t, decode(t, 0, a), decode(t, 1, b), decode(t, 2, c), decode(t, 3, d));
    case 5:
      return (t) => h(t, decode(t, 0, a), decode(t, 1, b), decode(t, 2, c), decode(t, 3, d), decode(t, 4, e));
    case 6:
      return (t) =>
        h(t, decode(t, 0, a), decode(t, 1, b), decode(t, 2, c), decode(t, 3, d), decode(t, 4, e), decode(t, 5, f));
    default:
      throw new Error(`${row.name}: ${w.length} arguments`);
  }
}

/** By number, made when a call is first made; null: no handler. */
const compiled: Readonly<Record<Isa, (Invoke | null | undefined)[]>> = { x86_64: [], aarch64: [] };

function invokerOf(isa: Isa, nr: number): Invoke | null {
  const row = syscallTable[isa][nr];
  const call = row?.handler ? compile(row, row.handler) : null;
  // Numbers Linux does not have are not remembered: a guest may try them all.
  if (row) compiled[isa][nr] = call;
  return call;
}

/**
 * Makes the system call that the task's registers describe. On return (or once the promise has settled, which never
 * rejects) the result register is set; `cpu.pc` must stand behind the system-call instruction. The caller then asks
 * `task.beforeUserMode()`, whatever the result is.
 */
export function dispatchSyscall(task: GuestTask): number | Promise<number> {
  const { cpu, kernel } = task;
  const nr = cpu.syscallNumber();
  task.syscallNumber = nr;
  task.restart = 0;
  kernel.stats.countCall(nr);
  const seen = kernel.observer === null ? null : kernel.observer.before(task, nr);
  const result = seen !== null && seen.answer !== null ? seen.answer : invoke(task, cpu, nr);
  if (typeof result === 'number') {
    seen?.done(result);
    return finish(task, result);
  }
  seen?.waits();
  return result.then((value) => {
    seen?.done(value);
    return finish(task, value);
  });
}

function invoke(task: GuestTask, cpu: CpuContext, nr: number): number | Promise<number> {
  let call = compiled[cpu.isa][nr];
  if (call === undefined) call = invokerOf(cpu.isa, nr);
  if (!call) {
    task.kernel.stats.countUnknown(nr);
    return -errno.ENOSYS;
  }
  try {
    const result = call(task);
    if (typeof result !== 'number' && result instanceof Promise) {
      return result.then(
        (v) => checked(task, nr, v),
        (e) => failure(task, nr, e),
      );
    }
    return checked(task, nr, result);
  } catch (e) {
    return failure(task, nr, e);
  }
}

function checked(task: GuestTask, nr: number, result: unknown): number {
  if (typeof result === 'number' && !Number.isNaN(result)) return result;
  return failure(task, nr, new Error(`result ${String(result)}`));
}

/** An exception to a result: `-errno`, or for one that is not the guest's doing, a diagnostic and EIO. */
function failure(task: GuestTask, nr: number, e: unknown): number {
  if (e instanceof SysError) return -e.errno;
  const { kernel } = task;
  kernel.stats.internalErrors++;
  const message = e instanceof Error ? (kernel.options.debug ? (e.stack ?? e.message) : e.message) : String(e);
  kernel.host.diagnostic(`internal error in ${syscallName(task.cpu.isa, nr)}: ${message}`);
  return -errno.EIO;
}

/** ERESTARTSYS .. ERESTART_RESTARTBLOCK. */
const isRestart = (result: number): boolean =>
  result <= -errno.ERESTARTSYS && result >= -errno.ERESTART_RESTARTBLOCK && result !== -515;

function finish(task: GuestTask, result: number): number {
  if (result === EXEC_DONE) {
    // The handler has set all registers itself.
    task.syscallNumber = -1;
    return 0;
  }
  if (isRestart(result)) {
    // The result register keeps what a restart needs; signal delivery writes it or makes the call again.
    task.restart = -result;
    return result;
  }
  task.cpu.setResult(result);
  return result;
}
