/** The kernel's view of an x86-64 vCPU. */
import type { CpuContext } from '../kernel/task/cpu-context.ts';
import { SLOT_PC, VCPU_SIZE } from '../translator/ir/layout.ts';
import {
  CC_A,
  CC_B,
  CC_OP,
  CC_RES,
  CF,
  DF,
  FCW,
  FLAGS_MISC,
  FOP,
  FP_EXACT,
  FS_BASE,
  FSW,
  FTOP,
  FTW,
  FIP,
  FDP,
  fpr,
  GS_BASE,
  gpr,
  MXCSR,
  RAX,
  RSP,
  xmm,
  AF,
  OF,
  PF,
  SF,
  ZF,
} from '../translator/x86_64/state.ts';
import type { LinearMemory } from './linear-memory.ts';
import { Vcpu } from './vcpu.ts';

const ARGUMENTS = [7, 6, 2, 10, 8, 9]; // rdi rsi rdx r10 r8 r9
const ARITHMETIC = CF | PF | AF | ZF | SF | OF;
const TWO32 = 0x1_0000_0000;
/** rflags bits user mode can change beside the arithmetic ones: TF, DF, AC, ID. */
const DIRECTION = 0x400;
const MISC = 0x0024_0100;
const MXCSR_DEFAULT = 0x1f80;

/** Computes the six arithmetic flags of a vCPU from their lazy form; the engine provides it. */
export type FlagReader = (op: number, a: bigint, b: bigint, res: bigint) => number;

export class X86Context extends Vcpu implements CpuContext {
  readonly isa = 'x86_64';
  readonly fpStateSize = 512;
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
    return this.get(gpr(RSP));
  }
  set sp(v: number) {
    this.set(gpr(RSP), v);
  }
  syscallNumber(): number {
    return this.get32(gpr(RAX));
  }
  argLo(i: number): number {
    return this.get32(gpr(ARGUMENTS[i]!));
  }
  argHi(i: number): number {
    return this.get32(gpr(ARGUMENTS[i]!) + 4);
  }
  setResult(value: number): void {
    this.set(gpr(RAX), value);
  }
  result(): number {
    const at = this.base32 + (gpr(RAX) >> 2);
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
    const arithmetic = this.#flags(Number(i64(CC_OP)), i64(CC_A), i64(CC_B), i64(CC_RES));
    return BigInt(arithmetic | (this.get32(DF) ? DIRECTION : 0) | (this.get32(FLAGS_MISC) & MISC) | 0x202);
  }
  setFlags(value: bigint): void {
    const f = Number(value & 0xffff_ffffn);
    this.set(CC_OP, 0);
    this.set(CC_RES, f & ARITHMETIC);
    this.set(DF, f & DIRECTION ? 1 : 0);
    this.set(FLAGS_MISC, f & MISC & ~0x100);
  }
  get tls(): number {
    return this.get(FS_BASE);
  }
  set tls(v: number) {
    this.set(FS_BASE, v);
  }
  get gsBase(): number {
    return this.get(GS_BASE);
  }
  set gsBase(v: number) {
    this.set(GS_BASE, v);
  }
  /** 1 when exact floating point is in force: picks the translation flavour. */
  get flavour(): number {
    return this.get32(FP_EXACT) ? 1 : 0;
  }

  /** FXSAVE image (SDM volume 1, table 10-2). */
  saveFpState(dst: Uint8Array): void {
    const v = new DataView(dst.buffer, dst.byteOffset, 512);
    dst.fill(0, 0, 512);
    const top = this.get32(FTOP) & 7;
    v.setUint16(0, this.get32(FCW), true);
    v.setUint16(2, (this.get32(FSW) & ~0x3800) | (top << 11), true);
    v.setUint8(4, this.get32(FTW));
    v.setUint16(6, this.get32(FOP), true);
    v.setBigUint64(8, BigInt.asUintN(64, this.i64[this.base64 + (FIP >> 3)]!), true);
    v.setBigUint64(16, BigInt.asUintN(64, this.i64[this.base64 + (FDP >> 3)]!), true);
    v.setUint32(24, this.get32(MXCSR), true);
    v.setUint32(28, 0xffff, true);
    for (let k = 0; k < 8; k++) {
      const from = this.address + fpr((top + k) & 7);
      dst.set(this.u8.subarray(from, from + 10), 32 + k * 16);
    }
    const from = this.address + xmm(0);
    dst.set(this.u8.subarray(from, from + 256), 160);
  }
  restoreFpState(src: Uint8Array): void {
    const v = new DataView(src.buffer, src.byteOffset, 512);
    const fsw = v.getUint16(2, true);
    const top = (fsw >> 11) & 7;
    this.set32(FCW, v.getUint16(0, true));
    this.set32(FSW, fsw & ~0x3800);
    this.set32(FTOP, top);
    this.set32(FTW, v.getUint8(4));
    this.set32(FOP, v.getUint16(6, true));
    this.i64[this.base64 + (FIP >> 3)] = v.getBigInt64(8, true);
    this.i64[this.base64 + (FDP >> 3)] = v.getBigInt64(16, true);
    const mxcsr = v.getUint32(24, true) & 0xffff;
    this.set32(MXCSR, mxcsr);
    // Modes and unmasked exceptions need exact arithmetic; sticky flags alone do not bring it on.
    if ((mxcsr & ~0x3f) !== MXCSR_DEFAULT) this.set32(FP_EXACT, 1);
    for (let k = 0; k < 8; k++) this.u8.set(src.subarray(32 + k * 16, 42 + k * 16), this.address + fpr((top + k) & 7));
    this.u8.set(src.subarray(160, 416), this.address + xmm(0));
  }
  reset(pc: number, sp: number): void {
    this.u8.fill(0, this.address, this.address + VCPU_SIZE);
    this.pc = pc;
    this.sp = sp;
    this.set32(MXCSR, MXCSR_DEFAULT);
    this.set32(FCW, 0x37f);
  }
}
