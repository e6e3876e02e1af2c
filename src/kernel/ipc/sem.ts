/** System V semaphores (ipc/sem.c). */
import { errno, sysError } from '../abi/errno.ts';
import type { Process } from '../task/process.ts';
import type { Task } from '../task/task.ts';
import { WaitQueue } from '../task/wait-queue.ts';
import { IPC_NOWAIT, IPC_PERM_SIZE, IpcObject, IpcTable, nowSeconds } from './ids.ts';

export const SEM_UNDO = 0x1000;
export const SEMMNI = 32000;
export const SEMMSL = 32000;
export const SEMMNS = 1_024_000_000;
export const SEMOPM = 500;
export const SEMVMX = 32767;
const SEMAEM = SEMVMX;

export interface SemOp {
  readonly index: number;
  readonly op: number;
  readonly flags: number;
}

interface Semaphore {
  value: number;
  /** Pid of the last operation. */
  pid: number;
}

/** A semop(2) that waits; `result` is set when it is decided. */
interface Pending {
  readonly task: Task;
  readonly ops: readonly SemOp[];
  readonly queue: WaitQueue;
  result: number | null;
  /** The operation that blocks, for GETNCNT and GETZCNT. */
  blocking: SemOp;
}

export class SemaphoreSet extends IpcObject {
  readonly semaphores: Semaphore[];
  operationTime = 0;
  /** In order of arrival. */
  readonly pending: Pending[] = [];
  /** What a process's exit adds to each semaphore. */
  readonly undo = new Map<Process, Int32Array>();

  constructor(task: Task, key: number, count: number, mode: number) {
    super(task, key, mode);
    this.semaphores = Array.from({ length: count }, () => ({ value: 0, pid: 0 }));
  }
  get count(): number {
    return this.semaphores.length;
  }

  /** struct semid64_ds of x86-64 and of newer ISAs: alike but for padding. */
  encode(reader: Task): Uint8Array {
    const wide = reader.cpu.isa === 'x86_64';
    const out = new Uint8Array(wide ? 104 : 88);
    const view = new DataView(out.buffer);
    this.encodePerm(view, reader);
    view.setBigInt64(IPC_PERM_SIZE, BigInt(this.operationTime), true);
    view.setBigInt64(wide ? 64 : 56, BigInt(this.changeTime), true);
    view.setBigUint64(wide ? 80 : 64, BigInt(this.count), true);
    return out;
  }

  #undoOf(process: Process): Int32Array {
    let adjustments = this.undo.get(process);
    if (!adjustments) {
      adjustments = new Int32Array(this.count);
      this.undo.set(process, adjustments);
      process.toldOfEnd ??= new Set();
      process.toldOfEnd.add(this);
    }
    return adjustments;
  }

  /** Does all operations or none: null when done, else the operation that would block. Throws ERANGE. */
  tryOperations(task: Task, ops: readonly SemOp[]): SemOp | null {
    const values = new Map<number, number>();
    const adjusted = new Map<number, number>();
    const undo = this.undo.get(task.process);
    for (const o of ops) {
      const old = values.get(o.index) ?? this.semaphores[o.index]!.value;
      if (o.op === 0 ? old !== 0 : old + o.op < 0) return o;
      if (old + o.op > SEMVMX) throw sysError(errno.ERANGE);
      values.set(o.index, old + o.op);
      if (o.flags & SEM_UNDO) {
        const adjustment = (adjusted.get(o.index) ?? undo?.[o.index] ?? 0) - o.op;
        if (adjustment < -SEMAEM - 1 || adjustment > SEMAEM) throw sysError(errno.ERANGE);
        adjusted.set(o.index, adjustment);
      }
    }
    for (const [index, value] of values) this.semaphores[index] = { value, pid: task.process.pid };
    for (const [index, adjustment] of adjusted) this.#undoOf(task.process)[index] = adjustment;
    this.operationTime = nowSeconds(task);
    return null;
  }

  /** Somebody's values have changed: whoever can go on does, in order. */
  settle(): void {
    for (let again = true; again; ) {
      again = false;
      for (const p of [...this.pending]) {
        if (p.result !== null) continue;
        let blocked: SemOp | null = null;
        try {
          blocked = this.tryOperations(p.task, p.ops);
        } catch {
          p.result = -errno.ERANGE;
        }
        if (blocked) {
          p.blocking = blocked;
          continue;
        }
        p.result ??= 0;
        again ||= p.ops.some((o) => o.op !== 0);
        this.pending.splice(this.pending.indexOf(p), 1);
        p.queue.wake();
      }
    }
  }
  /** IPC_RMID: everybody waiting gets EIDRM. */
  destroy(): void {
    for (const p of this.pending.splice(0)) {
      p.result = -errno.EIDRM;
      p.queue.wake();
    }
  }
  processEnded(process: Process): void {
    this.exit(process);
  }
  /** A process has ended: its adjustments are applied, as far as they go. */
  exit(process: Process): void {
    const adjustments = this.undo.get(process);
    if (!adjustments) return;
    this.undo.delete(process);
    adjustments.forEach((n, i) => {
      if (n === 0) return;
      const s = this.semaphores[i]!;
      s.value = Math.min(SEMVMX, Math.max(0, s.value + n));
      s.pid = process.pid;
    });
    this.settle();
  }
  /** SETVAL and SETALL forget adjustments. */
  clearUndo(index: number | null): void {
    for (const adjustments of this.undo.values()) {
      if (index === null) adjustments.fill(0);
      else adjustments[index] = 0;
    }
  }

  /** GETNCNT, GETZCNT: how many wait for the value to grow, or to become zero. */
  countWaiting(index: number, forZero: boolean): number {
    return this.pending.filter((p) => p.blocking.index === index && (p.blocking.op === 0) === forZero).length;
  }
}

export class Semaphores {
  readonly table = new IpcTable<SemaphoreSet>(SEMMNI);

  /** Number of semaphores in all sets. */
  get total(): number {
    let sum = 0;
    for (const set of this.table.objects()) sum += set.count;
    return sum;
  }

  get(task: Task, key: number, count: number, flags: number): number {
    if (count < 0 || count > SEMMSL) throw sysError(errno.EINVAL);
    const set = this.table.get(
      task,
      key,
      flags,
      (have) => {
        if (count > have.count) throw sysError(errno.EINVAL);
      },
      () => {
        if (count === 0) throw sysError(errno.EINVAL);
        if (this.total + count > SEMMNS) throw sysError(errno.ENOSPC);
        return new SemaphoreSet(task, key, count, flags);
      },
    );
    return set.id;
  }

  /** semop(2), semtimedop(2). `timeoutMs` null: for ever. */
  operate(task: Task, id: number, ops: readonly SemOp[], timeoutMs: number | null): number | Promise<number> {
    const set = this.table.find(id);
    if (ops.some((o) => o.index >= set.count)) throw sysError(errno.EFBIG);
    set.check(task, ops.some((o) => o.op !== 0) ? 2 : 4);
    const blocking = set.tryOperations(task, ops);
    if (!blocking) {
      if (ops.some((o) => o.op !== 0)) set.settle();
      return 0;
    }
    if (blocking.flags & IPC_NOWAIT) throw sysError(errno.EAGAIN);
    return this.#wait(task, set, ops, blocking, timeoutMs);
  }
  async #wait(
    task: Task,
    set: SemaphoreSet,
    ops: readonly SemOp[],
    blocking: SemOp,
    timeoutMs: number | null,
  ): Promise<number> {
    const p: Pending = { task, ops, queue: new WaitQueue(), result: null, blocking };
    set.pending.push(p);
    const result = await task.wait([p.queue], () => p.result !== null, timeoutMs);
    const decided = p.result as number | null;
    if (decided !== null) return decided;
    set.pending.splice(set.pending.indexOf(p), 1);
    // A semop is never restarted (signal(7)).
    return result === 'timeout' ? -errno.EAGAIN : -errno.EINTR;
  }

  exit(process: Process): void {
    for (const set of this.table.objects()) set.exit(process);
  }
}
