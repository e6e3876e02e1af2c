// FPCR and FPSR (Arm ARM, C5.2), slots of src/translator/aarch64/state.ts.
import { EXIT_MODE, EXIT_NONE } from './memory';

const SLOT_PC: u32 = 0x00;
const FPCR: u32 = 0x1a8;
const FPSR: u32 = 0x1ac;
const FP_EXACT: u32 = 0x1b8;

/** AHP, DN, FZ, RMode. Traps and half-precision flush (FZ16) are not there. */
const FPCR_BITS: u32 = 0x07c00000;
/** QC, IDC, IXC, UFC, OFC, DZC, IOC. */
const FPSR_BITS: u32 = 0x0800009f;

export function a64_set_fpcr(cpu: u32, value: u64, next: u64): i32 {
  const fpcr = <u32>value & FPCR_BITS;
  store<u32>(cpu + FPCR, fpcr);
  const exact = u32(fpcr != 0);
  if (load<u32>(cpu + FP_EXACT) == exact) return EXIT_NONE;
  store<u32>(cpu + FP_EXACT, exact);
  store<u64>(cpu + SLOT_PC, next);
  return EXIT_MODE;
}

export function a64_set_fpsr(cpu: u32, value: u64, next: u64): i32 {
  store<u32>(cpu + FPSR, <u32>value & FPSR_BITS);
  return EXIT_NONE;
}
