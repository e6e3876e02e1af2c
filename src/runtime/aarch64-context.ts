/** The kernel's view of an AArch64 vCPU. */
import type { CpuContext } from '../kernel/task/cpu-context.ts';
import { SLOT_PC, VCPU_SIZE } from '../translator/ir/layout.ts';
import {
  CC_A,
  CC_B,
  CC_OP,
  CC_RES,
  EXCL_TAG,
  FLAVOUR_EXACT_FP,
  FLAVOUR_TAGGED,
  FP_EXACT,
  FP_HISTORY,
  FPCR,
  FPSR,
  gpr,
  SP,
  TAGGED,
  TPIDR_EL0,
  vec,
} from '../translator/aarch64/state.ts';
import type { LinearMemory } from './linear-memory.ts';
import { Vcpu } from './vcpu.ts';

const TWO32 = 0x1_0000_0000;
const NZCV = 0xf000_0000n;
/** Bits of FPCR and FPSR that are there: src/helpers/a64-system.ts. */
const FPCR_BITS = 0x07c0_0000;
const FPSR_BITS = 0x0800_009f;
/** In FP_HISTORY: the guest looks at the sticky flags. */
const FP_TRACKED = 2;

/** Computes NZCV of a vCPU (bits 31 to 28) from its lazy form; the engine provides it. */
export type FlagReader = (op: number, a: bigint, b: bigint, res: bigint) => number;

export class AArch64Context extends Vcpu implements CpuContext {
  readonly isa = 'aarch64';
  /** fpsr, fpcr, v0..v31: struct fpsimd_context after its head. */
  readonly fpStateSize = 520;
  readonly gsBase = 0;
  readonly #flags: FlagReader;

  constructor(memory: LinearMemory, home: number, flags: FlagReader) {
    super(memory, home);
    this.#flags = flags;
  }

  get pc(): number {
    return this.get(SLOT_PC);
  }
  set pc(v: number) {
    this.set(SLOT_PC, v);
  }
  get sp(): number {
    return this.get(SP);
  }
  set sp(v: number) {
    this.set(SP, v);
  }
  syscallNumber(): number {
    return this.get32(gpr(8));
  }
  argLo(i: number): number {
    return this.get32(gpr(i));
  }
  argHi(i: number): number {
    return this.get32(gpr(i) + 4);
  }
  setResult(value: number): void {
    this.set(gpr(0), value);
  }
  result(): number {
    const at = this.base32 + (gpr(0) >> 2);
    return (this.u32[at + 1]! | 0) * TWO32 + this.u32[at]!;
  }
  getGpr(i: number): bigint {
    return BigInt.asUintN(64, this.i64[this.base64 + (gpr(i) >> 3)]!);
  }
  setGpr(i: number, value: bigint): void {
    this.i64[this.base64 + (gpr(i) >> 3)] = value;
  }
  getFlags(): bigint {
    const i64 = (slot: number): bigint => this.i64[this.base64 + (slot >> 3)]!;
    return BigInt(this.#flags(Number(i64(CC_OP)), i64(CC_A), i64(CC_B), i64(CC_RES)) >>> 0) & NZCV;
  }
  setFlags(value: bigint): void {
    this.set(CC_OP, 0);
    this.set(CC_RES, Number(value & NZCV));
  }
  get tls(): number {
    return this.get(TPIDR_EL0);
  }
  set tls(v: number) {
    this.set(TPIDR_EL0, v);
  }
  /** Which translations fit: bits FLAVOUR_* of src/translator/aarch64/state.ts. */
  get flavour(): number {
    return (this.get32(FP_EXACT) ? FLAVOUR_EXACT_FP : 0) | (this.get32(TAGGED) ? FLAVOUR_TAGGED : 0);
  }
  /** A data access went to an address with a tag: true if code that masks addresses now is in force, and was not before. */
  useTaggedAddresses(): boolean {
    if (this.get32(TAGGED)) return false;
    this.set32(TAGGED, 1);
    return true;
  }

  saveFpState(dst: Uint8Array): void {
    const v = new DataView(dst.buffer, dst.byteOffset, this.fpStateSize);
    v.setUint32(0, this.get32(FPSR), true);
    v.setUint32(4, this.get32(FPCR), true);
    const from = this.address + vec(0);
    dst.set(this.u8.subarray(from, from + 512), 8);
  }
  restoreFpState(src: Uint8Array): void {
    const v = new DataView(src.buffer, src.byteOffset, this.fpStateSize);
    const fpcr = v.getUint32(4, true) & FPCR_BITS;
    this.set32(FPSR, v.getUint32(0, true) & FPSR_BITS);
    this.set32(FPCR, fpcr);
    this.set32(FP_EXACT, fpcr !== 0 || this.get32(FP_HISTORY) & FP_TRACKED ? 1 : 0);
    this.u8.set(src.subarray(8, 520), this.address + vec(0));
    // The return from an exception clears the monitor.
    this.set(EXCL_TAG, 0);
  }
  reset(pc: number, sp: number): void {
    this.u8.fill(0, this.address, this.address + VCPU_SIZE);
    this.pc = pc;
    this.sp = sp;
  }
}
