/** The x86-64 instruction set for the runtime. */
import { SIGFPE, SIGILL, SIGSEGV, SIGTRAP, SI_KERNEL } from '../kernel/abi/signals.ts';
import type { Fault } from '../kernel/signals/deliver.ts';
import { trap } from '../translator/ir/layout.ts';
import { hwcap } from '../translator/x86_64/cpuid.ts';
import { X86FrontEnd } from '../translator/x86_64/front-end.ts';
import { slotNames } from '../translator/x86_64/names.ts';
import { FCW, FSW, MXCSR } from '../translator/x86_64/state.ts';
import type { IsaRuntime, TrapSite } from './isa.ts';
import { X86Context } from './x86-context.ts';

const TRAP_GENERAL_PROTECTION = 13;

export const x86: IsaRuntime = {
  name: 'x86_64',
  interpreter: 'interpreter-x86_64.wasm',
  flagReader: 'x86_eflags',
  floatUsed: 'x86_float_used',
  hwcap,
  hwcap2: 0,
  slotNames,
  listing: null,
  createFrontEnd: (options) => new X86FrontEnd(options),
  createContext: (memory, home, flags) => new X86Context(memory, home, flags),
  // Addresses that are not canonical are no page faults.
  highAddress: (_context, high) => (high < 0x8000 || high >= 0xffff_8000 ? 'page' : 'protection'),
  trap(site) {
    // INT3 and INT1 are traps: the handler sees the address of the next instruction.
    const behind = site.number === trap.breakpoint || site.number === trap.debug;
    const pc = behind ? site.end : site.pc;
    return { fault: faultOf(site, pc), pc };
  },
};

/** Synchronous exceptions (SDM volume 3, chapter 6) as the signals Linux makes of them. */
function faultOf({ number, slot }: TrapSite, address: number): Fault {
  switch (number) {
    case trap.invalidOpcode:
      return { signo: SIGILL, code: 2 /* ILL_ILLOPN */, address, trapno: 6, err: 0 };
    case trap.divide:
      return { signo: SIGFPE, code: 1 /* FPE_INTDIV */, address, trapno: 0, err: 0 };
    case trap.breakpoint:
      return { signo: SIGTRAP, code: SI_KERNEL, address: 0, trapno: 3, err: 0 };
    case trap.debug:
      return { signo: SIGTRAP, code: 1 /* TRAP_BRKPT */, address, trapno: 1, err: 0 };
    case trap.x87:
      return { signo: SIGFPE, code: floatingPointCode(slot(FSW), slot(FCW)), address, trapno: 16, err: 0 };
    case trap.simd: {
      const mxcsr = slot(MXCSR);
      return { signo: SIGFPE, code: floatingPointCode(mxcsr, mxcsr >> 7), address, trapno: 19, err: 0 };
    }
    case trap.overflow:
      return { signo: SIGSEGV, code: SI_KERNEL, address: 0, trapno: 4, err: 0 };
    default:
      return { signo: SIGSEGV, code: SI_KERNEL, address: 0, trapno: TRAP_GENERAL_PROTECTION, err: 0 };
  }
}

/** si_code of the first unmasked exception flag, in the order Linux looks at them (arch/x86 fpu__exception_code). */
function floatingPointCode(status: number, mask: number): number {
  const raised = status & ~mask & 0x3f;
  if (raised & 0x01) return 7; // FPE_FLTINV
  if (raised & 0x04) return 3; // FPE_FLTDIV
  if (raised & 0x08) return 4; // FPE_FLTOVF
  if (raised & 0x12) return 5; // FPE_FLTUND
  if (raised & 0x20) return 6; // FPE_FLTRES
  return 0;
}
