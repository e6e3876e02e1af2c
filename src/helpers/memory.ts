// Checked guest memory access for helpers. Mirrors src/translator/ir/layout.ts.

export const PAGE_TABLE: u32 = 0xf1000000;
const ADDRESS_MASK: u32 = 0xf000;
export const PAGE_READ: u32 = 1;
export const PAGE_WRITE: u32 = 2;

export const EXIT_NONE: i32 = 0;
export const EXIT_TRAP: i32 = 4;
export const EXIT_FAULT: i32 = 5;
export const EXIT_MODE: i32 = 7;

export const TRAP_DIVIDE: u32 = 2;
export const TRAP_X87: u32 = 7;
export const TRAP_SIMD: u32 = 8;
export const TRAP_PROTECTION: u32 = 9;

const SLOT_EXIT_ARG: u32 = 0x14;
const SLOT_FAULT_ADDRESS: u32 = 0x18;
const SLOT_FAULT_ACCESS: u32 = 0x20;

/**
 * True if the guest may access [address, address + size) with all bits of `need`. Otherwise records the fault in the
 * vCPU and returns false: the helper then returns EXIT_FAULT with the guest state as before the instruction.
 */
export function accessible(cpu: u32, address: u64, size: u32, need: u32): bool {
  let a = address & load<u64>(ADDRESS_MASK);
  const end = a + size;
  if (end <= 0x100000000 && end >= a) {
    for (;;) {
      if ((load<u8>(PAGE_TABLE + <u32>(a >> 12)) & need) != need) break;
      a = (a | 4095) + 1;
      if (a >= end) return true;
    }
  }
  store<u64>(cpu + SLOT_FAULT_ADDRESS, a);
  store<u32>(cpu + SLOT_FAULT_ACCESS, need);
  return false;
}

/** Ends a helper with a synchronous exception. */
export function raise(cpu: u32, trap: u32): i32 {
  store<u32>(cpu + SLOT_EXIT_ARG, trap);
  return EXIT_TRAP;
}
