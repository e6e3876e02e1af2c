// MASKMOVDQU and MASKMOVQ.
import { accessible, EXIT_FAULT, EXIT_NONE, PAGE_WRITE } from './memory';

/** Stores byte `k` of `value` at `address + k` where the top bit of that byte in `mask` is set. Other bytes are not touched, nor checked. */
export function x86_maskmov(cpu: u32, address: u64, value: v128, mask: v128): i32 {
  const bits: u32 = i8x16.bitmask(mask);
  for (let k: u32 = 0; k < 16; k++) if ((bits >> k) & 1 && !accessible(cpu, address + k, 1, PAGE_WRITE)) return EXIT_FAULT;
  let low: u64 = i64x2.extract_lane(value, 0);
  let high: u64 = i64x2.extract_lane(value, 1);
  for (let k: u32 = 0; k < 16; k++) {
    const from = k < 8 ? low : high;
    if ((bits >> k) & 1) store<u8>(<u32>address + k, <u8>(from >> ((k & 7) << 3)));
  }
  return EXIT_NONE;
}
