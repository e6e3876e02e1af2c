// Linux' user segments (arch/x86/include/asm/segment.h), as LAR, LSL, VERR, VERW and loads of segment registers see them.

/** Access rights as LAR gives them, or -1. The RPL (low two bits) does not matter for user segments. */
export function x86_lar(selector: u32): i64 {
  switch (selector & 0xfffc) {
    case 0x20: // 32-bit code
      return 0x00cffb00;
    case 0x28: // data and stack
      return 0x00cff300;
    case 0x30: // 64-bit code
      return 0x00affb00;
    case 0x78: // CPU and node number in the limit
      return 0x0040f500;
    default:
      return -1;
  }
}

/** Limit in bytes, or -1. */
export function x86_lsl(selector: u32): i64 {
  if (x86_lar(selector) < 0) return -1;
  return (selector & 0xfffc) == 0x78 ? 0 : 0xffffffff;
}

/** 1 if user mode may load the selector; SS takes only the writable data segment, with RPL 3. */
export function x86_loadable(selector: u32, ss: u32): u32 {
  if (ss) return u32(selector == 0x2b);
  return u32(selector < 4 || x86_lar(selector) >= 0);
}
