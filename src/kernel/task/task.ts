/**
 * A guest thread and what it shares with others, split as Linux splits it (clone(2)): the address space, the descriptor
 * table, the filesystem context, signal dispositions and the thread group are objects that tasks point to.
 */
import type { AddressSpace } from '../mm/address-space.ts';
import type { UserMemory } from '../mm/user-memory.ts';
import type { FdTable } from '../fs/fd-table.ts';
import type { FsContext } from '../fs/fs-context.ts';
import type { Kernel } from '../kernel.ts';
import type { Namespaces } from '../ns/proxy.ts';
import type { SignalHandlers, PendingSignals } from '../signals/state.ts';
import type { CpuContext } from './cpu-context.ts';
import type { Credentials } from './credentials.ts';
import type { Process } from './process.ts';
import type { WaitQueue } from './wait-queue.ts';

export type WaitResult = 'ready' | 'timeout' | 'signal';

export interface Task {
  readonly kernel: Kernel;
  readonly process: Process;
  tid: number;
  cpu: CpuContext;
  mm: AddressSpace;
  /** Checked access to `mm`'s memory. */
  mem: UserMemory;
  files: FdTable;
  fs: FsContext;
  /** Namespaces but for the user and the PID namespace. */
  ns: Namespaces;
  cred: Credentials;
  sighand: SignalHandlers;
  signals: PendingSignals;
  /** comm, as in /proc/self/comm: at most 15 bytes. */
  comm: string;
  clearChildTid: number;
  robustList: number;

  /**
   * Waits until `ready()` is true, a queue being woken meaning "look again". Resolves `signal` when an unblocked signal
   * is pending, `timeout` after `timeoutMs` (a float; null: for ever). Never rejects. When `ready()` is true at once the
   * promise is already settled.
   */
  wait(queues: readonly WaitQueue[], ready: () => boolean, timeoutMs: number | null): Promise<WaitResult>;
}
