/** What the machine under the kernel tells the loader, once per kernel. */
import type { Kernel } from '../kernel.ts';
import type { AddressSpace } from '../mm/address-space.ts';
import { LoadAddressBook } from '../mm/load-address-book.ts';
import type { CpuContext, Isa } from '../task/cpu-context.ts';
import type { Task } from '../task/task.ts';

export interface LoaderOptions {
  /** Whether programs of this ISA can run; by default only those of the task's own CPU. */
  isaSupported: ((isa: Isa) => boolean) | null;
  /** Called, and waited for, before anything else is asked about programs of an ISA. */
  prepareIsa: ((isa: Isa) => Promise<void>) | null;
  /** AT_HWCAP and AT_HWCAP2. On x86-64 AT_HWCAP is EDX of CPUID leaf 1 and must equal what CPUID says. */
  hwcap: ((isa: Isa) => readonly [hwcap: number, hwcap2: number]) | null;
  /** AT_MINSIGSTKSZ: bytes a signal frame may take. */
  minSigStackSize: number;
  /**
   * Registers over another address space's memory, for a program started where the old memory is shared (vfork), or of
   * another ISA. Null: such an execve fails with ENOMEM, or ENOEXEC.
   */
  attachCpu: ((task: Task, mm: AddressSpace, isa: Isa) => CpuContext) | null;
  /** Maps a vDSO into a fresh address space and returns its address, 0 for none. */
  mapVdso: ((mm: AddressSpace, isa: Isa) => number) | null;
}

/** x86-64: what every CPU of the baseline reports (FPU .. SSE2); AArch64: HWCAP_FP | HWCAP_ASIMD. */
export const defaultHwcap: Readonly<Record<Isa, number>> = { x86_64: 0x078bfbff, aarch64: 3 };

interface LoaderState {
  options: LoaderOptions;
  book: LoadAddressBook;
}
const states = new WeakMap<Kernel, LoaderState>();

function state(kernel: Kernel): LoaderState {
  let s = states.get(kernel);
  if (!s) {
    const options: LoaderOptions = {
      isaSupported: null,
      prepareIsa: null,
      hwcap: null,
      minSigStackSize: 2048,
      attachCpu: null,
      mapVdso: null,
    };
    s = { options, book: new LoadAddressBook() };
    states.set(kernel, s);
  }
  return s;
}

export function configureLoader(kernel: Kernel, options: Partial<LoaderOptions>): void {
  Object.assign(state(kernel).options, options);
}
export function loaderOptions(kernel: Kernel): Readonly<LoaderOptions> {
  return state(kernel).options;
}
/** The load addresses all processes of a kernel agree on. */
export function loadAddressBook(kernel: Kernel): LoadAddressBook {
  return state(kernel).book;
}
