/** IPC namespaces (ipc_namespaces(7)): System V objects and POSIX message queues. */
import { MqueueFs } from '../fs/mqueue.ts';
import type { Kernel } from '../kernel.ts';
import { Namespace } from '../ns/namespace.ts';
import type { UserNamespace } from '../ns/user.ts';
import type { Task } from '../task/task.ts';
import { MessageQueues } from './msg.ts';
import { Semaphores } from './sem.ts';
import { SharedMemory } from './shm.ts';

export class IpcNamespace extends Namespace {
  readonly kind = 'ipc';
  readonly shm = new SharedMemory();
  readonly sem = new Semaphores();
  readonly msg = new MessageQueues();
  #queues: MqueueFs | null = null;
  readonly #mounted: (() => MqueueFs | null) | null;

  /** `mounted` finds the file system of message queues that was mounted before the namespace was made. */
  constructor(owner: UserNamespace, initialIno = 0, mounted: (() => MqueueFs | null) | null = null) {
    super(owner, initialIno);
    this.#mounted = mounted;
  }
  /** Made when first asked for: most namespaces need none. */
  get queues(): MqueueFs {
    this.#queues ??= this.#mounted?.() ?? new MqueueFs();
    return this.#queues;
  }
}

export const ipcOf = (task: Task): IpcNamespace => task.ns.ipc;

/** What is mounted at /dev/mqueue when the guest starts. */
export function mountedQueues(kernel: Kernel): MqueueFs | null {
  for (const { fs } of kernel.vfs?.initial.mounts ?? []) if (fs instanceof MqueueFs) return fs;
  return null;
}
