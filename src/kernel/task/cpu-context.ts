/**
 * The registers of one guest thread, as the kernel sees them. The runtime implements it for each ISA over the vCPU
 * state in linear memory; the kernel never learns where that is.
 */

export type Isa = 'x86_64' | 'aarch64';

export interface CpuContext {
  readonly isa: Isa;
  pc: number;
  sp: number;
  /** System-call number and raw arguments 0..5 of the call being made, as unsigned 32-bit halves. */
  syscallNumber(): number;
  argLo(i: number): number;
  argHi(i: number): number;
  /** Sets the result register: an integer of magnitude below 2^53, negative for errors. */
  setResult(value: number): void;
  /** Result register as it stands, for restarts and traces. */
  result(): number;
  /** General register by the ISA's own number (x86-64: rax rcx rdx rbx rsp rbp rsi rdi r8..r15). */
  getGpr(i: number): bigint;
  setGpr(i: number, value: bigint): void;
  /** rflags on x86-64, NZCV (bits 31..28) on AArch64. */
  getFlags(): bigint;
  setFlags(value: bigint): void;
  /** Thread pointer: the FS base on x86-64, TPIDR_EL0 on AArch64. */
  tls: number;
  /** GS base on x86-64. */
  gsBase: number;
  /** Size in bytes of the floating-point save area (x86-64: 512, FXSAVE layout without XSAVE). */
  readonly fpStateSize: number;
  saveFpState(dst: Uint8Array): void;
  /** Reserved or ill-formed bits are masked away as the kernel does when it sanitises a signal frame. */
  restoreFpState(src: Uint8Array): void;
  /** Everything zero but pc and sp, FP state as the ABI wants it at process start. */
  reset(pc: number, sp: number): void;
}
