/** Slots of the x86-64 vCPU state. */
export const RAX = 0;
export const RCX = 1;
export const RDX = 2;
export const RBX = 3;
export const RSP = 4;
export const RBP = 5;
export const RSI = 6;
export const RDI = 7;

/** General register `n` (0..15), 8 bytes. */
export const gpr = (n: number): number => 0x80 + n * 8;

/** Lazy flags: what produced them and its operands and result. See flags.ts. */
export const CC_OP = 0x100;
export const CC_A = 0x108;
export const CC_B = 0x110;
export const CC_RES = 0x118;

export const FS_BASE = 0x120;
export const GS_BASE = 0x128;
/** Direction flag: 0 or 1. */
export const DF = 0x130;
/** Bits of rflags that are neither arithmetic flags nor DF: TF, IF, AC, ID. */
export const FLAGS_MISC = 0x138;

/** u32. */
export const MXCSR = 0x140;
/** u32: 0 when translated floating point (round to nearest, all masked, sticky flags not kept) is right, 1 when exact. */
export const FP_EXACT = 0x144;

/** XMM register `n` (0..15), 16 bytes. */
export const xmm = (n: number): number => 0x180 + n * 16;

/** x87 physical register `n` (not stack-relative): 8 bytes of significand, then 2 of sign and exponent, 16-byte stride. */
export const fpr = (n: number): number => 0x280 + n * 16;
/** u32 each: control word, status word without TOP, TOP, abridged tag word (bit set: register in use), last opcode. */
export const FCW = 0x300;
export const FSW = 0x304;
export const FTOP = 0x308;
export const FTW = 0x30c;
export const FOP = 0x310;
/** u64 each: last instruction and operand pointers. */
export const FIP = 0x318;
export const FDP = 0x320;
/** MMX register `n` is the significand of physical x87 register `n`. */
export const mmx = fpr;

/** Kinds in CC_OP: `kind * 4 + log2(bytes)`, and the word itself in CC_RES for `eflags`. */
export const cc = { eflags: 0, add: 1, sub: 2, logic: 3, inc: 4, dec: 5, adc: 6, sbb: 7, res: 8, fcmp: 9 } as const;
export type CcKind = keyof typeof cc;

export const CF = 0x001;
export const PF = 0x004;
export const AF = 0x010;
export const ZF = 0x040;
export const SF = 0x080;
export const OF = 0x800;
