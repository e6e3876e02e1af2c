// FXSAVE and FXRSTOR, the 512-byte image (SDM volume 1, table 10-2), and EMMS' like.

import { accessible, EXIT_FAULT, EXIT_MODE, EXIT_NONE, PAGE_READ, PAGE_WRITE, raise, TRAP_PROTECTION } from './memory';
import { restoreMxcsr, visibleMxcsr } from './mxcsr';
import { loadRegisters, setControl, setStatusWord, statusWord, storeRegisters } from './x87-control';
import { FCW, FDP, FIP, FOP, FTW } from './x87-state';

const SLOT_PC: u32 = 0;
const XMM: u32 = 0x180;
/** The bits of MXCSR that exist. */
const MXCSR_MASK: u32 = 0xffff;

/** The forms with and without REX.W differ in the instruction and operand pointers, whose upper halves are always zero here. */
export function x86_fxsave(cpu: u32, address: u64): i32 {
  if (address & 15) return raise(cpu, TRAP_PROTECTION);
  if (!accessible(cpu, address, 512, PAGE_WRITE)) return EXIT_FAULT;
  const p = <u32>address;
  store<u16>(p, load<u32>(cpu + FCW));
  store<u16>(p, statusWord(cpu), 2);
  store<u16>(p, load<u32>(cpu + FTW), 4);
  store<u16>(p, load<u32>(cpu + FOP), 6);
  store<u64>(p, load<u64>(cpu + FIP), 8);
  store<u64>(p, load<u64>(cpu + FDP), 16);
  store<u32>(p, visibleMxcsr(cpu), 24);
  store<u32>(p, MXCSR_MASK, 28);
  // The bytes beside the 10 of each register are stored as zero.
  memory.fill(p + 32, 0, 128);
  storeRegisters(cpu, p + 32, 16);
  memory.copy(p + 160, cpu + XMM, 256);
  return EXIT_NONE;
}

/** `next` is the address of the next instruction. */
export function x86_fxrstor(cpu: u32, address: u64, next: u64): i32 {
  if (address & 15) return raise(cpu, TRAP_PROTECTION);
  if (!accessible(cpu, address, 512, PAGE_READ)) return EXIT_FAULT;
  const p = <u32>address;
  const mxcsr = load<u32>(p, 24);
  if (mxcsr & ~MXCSR_MASK) return raise(cpu, TRAP_PROTECTION);
  setControl(cpu, load<u16>(p));
  setStatusWord(cpu, load<u16>(p, 2));
  store<u32>(cpu + FTW, load<u8>(p, 4));
  store<u32>(cpu + FOP, load<u16>(p, 6) & 0x7ff);
  store<u64>(cpu + FIP, load<u64>(p, 8));
  store<u64>(cpu + FDP, load<u64>(p, 16));
  loadRegisters(cpu, p + 32, 16);
  memory.copy(cpu + XMM, p + 160, 256);
  if (!restoreMxcsr(cpu, mxcsr)) return EXIT_NONE;
  store<u64>(cpu + SLOT_PC, next);
  return EXIT_MODE;
}
