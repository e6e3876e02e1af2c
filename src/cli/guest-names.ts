/** Guest names of translated functions. */
import type { Kernel } from '../kernel/kernel.ts';
import type { GuestMemory } from '../kernel/mm/guest-memory.ts';
import { Symbols } from '../runtime/symbols.ts';

/** Name of the code at a guest address, null for code without a symbol; `kernel` is asked for once there is guest code. */
export function guestNames(kernel: () => Kernel): (memory: GuestMemory, pc: number) => string | null {
  const symbols = new Symbols();
  return (memory, pc) => {
    for (const task of kernel().tasks.values()) {
      if (task.mm.memory !== memory) continue;
      const found = symbols.at(task.mm, task, pc);
      if (!found?.known) return null;
      return pc === found.start ? found.name : `${found.name}+0x${(pc - found.start).toString(16)}`;
    }
    return null;
  };
}
