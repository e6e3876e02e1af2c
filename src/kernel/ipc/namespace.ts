/** The System V IPC objects of a run (ipc_namespaces(7)). */
import type { Kernel } from '../kernel.ts';
import { MessageQueues } from './msg.ts';
import { Semaphores } from './sem.ts';
import { SharedMemory } from './shm.ts';

export class IpcNamespace {
  readonly shm = new SharedMemory();
  readonly sem = new Semaphores();
  readonly msg = new MessageQueues();
}

const namespaces = new WeakMap<Kernel, IpcNamespace>();

/** Made when first asked for: most runs need none. */
export function ipcOf(kernel: Kernel): IpcNamespace {
  const have = namespaces.get(kernel);
  if (have) return have;
  const made = new IpcNamespace();
  namespaces.set(kernel, made);
  kernel.onProcessExit((process) => made.sem.exit(process));
  return made;
}
