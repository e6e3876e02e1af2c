/** What the kernel asks of the runtime to have more than one thread: registers, memories, and somebody who runs them. */
import type { AddressSpace } from '../mm/address-space.ts';
import type { GuestMemory } from '../mm/guest-memory.ts';
import type { CpuContext } from './cpu-context.ts';
import type { GuestTask } from './guest-task.ts';

export interface Machine {
  /** Registers of a new thread in `mm`, equal to `cpu` in `from`. Throws EAGAIN when `mm`'s memory has room for no more. */
  cloneCpu(cpu: CpuContext, from: AddressSpace, mm: AddressSpace): CpuContext;
  /** Registers of a thread in `mm` that nobody needs any more. */
  releaseCpu(cpu: CpuContext, mm: AddressSpace): void;
  /** A memory that `createMemory` made; nothing is mapped, and it reads as zeros below GUEST_LIMIT but for what it keeps. */
  releaseMemory(memory: GuestMemory): void;
  /** A new program begins in the memory: of what was translated, only that of bytes it keeps may be used again. */
  forgetCode(memory: GuestMemory): void;
  /** Begins to run a thread. It calls `beforeUserMode` before anything else. */
  start(task: GuestTask): void;
}
