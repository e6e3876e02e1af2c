/** The AArch64 instruction set for the runtime; loaded on demand, see isa.ts. */
import { SIGBUS, SIGILL, SIGTRAP } from '../kernel/abi/signals.ts';
import { hwcap, hwcap2 } from '../translator/aarch64/cpu-features.ts';
import { A64FrontEnd } from '../translator/aarch64/front-end.ts';
import { listing } from '../translator/aarch64/listing.ts';
import { slotNames } from '../translator/aarch64/names.ts';
import { CONST, trap } from '../translator/ir/layout.ts';
import { AArch64Context } from './aarch64-context.ts';
import type { IsaRuntime, TrapSite } from './isa.ts';

export const aarch64: IsaRuntime = {
  name: 'aarch64',
  interpreter: 'interpreter-aarch64.wasm',
  flagReader: 'a64_nzcv',
  floatUsed: 'a64_float_used',
  hwcap,
  hwcap2,
  slotNames,
  listing,
  createFrontEnd: (options) => new A64FrontEnd(options),
  createContext: (memory, home, flags) => new AArch64Context(memory, home, flags),
  // Top Byte Ignore: the first address with a tag switches to code that masks them off.
  highAddress: (context, high) =>
    (high & 0x00ff_ffff) === 0 && (context as AArch64Context).useTaggedAddresses() ? 'retry' : 'page',
  /** Synchronous exceptions as the signals Linux makes of them (arch/arm64/kernel/traps.c, mm/fault.c). */
  trap(site) {
    const { pc } = site;
    switch (site.number) {
      case trap.breakpoint:
        return { fault: { signo: SIGTRAP, code: 1 /* TRAP_BRKPT */, address: pc }, pc };
      case trap.protection:
        return { fault: { signo: SIGBUS, code: 1 /* BUS_ADRALN */, address: accessed(site) }, pc };
      default:
        return { fault: { signo: SIGILL, code: 1 /* ILL_ILLOPC */, address: pc }, pc };
    }
  },
};

/** Address of a misaligned access; the pc's own when it is that which is misaligned. */
function accessed({ inst, pc, slot }: TrapSite): number {
  const base = inst?.inputs[0];
  if (!inst || base === undefined || base === CONST) return pc;
  return slot(base + 4) * 0x1_0000_0000 + slot(base) + Number(inst.imm);
}
