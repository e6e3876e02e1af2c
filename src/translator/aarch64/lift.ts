/** From instruction words to IR: operand access for the rows, lazy flags, and the block loop. */
import { type Block, BlockBuilder, type CompareName, type Condition, type Inst, type Operand } from '../ir/block.ts';
import { CONST, SLOT_ZERO, trap, type TrapNumber } from '../ir/layout.ts';
import type { OpTable } from '../ir/op.ts';
import { decode } from './decode.ts';
import { extract, field, type Row } from './row.ts';
import {
  C,
  CC_A,
  CC_B,
  CC_RES,
  type CcKind,
  FLAVOUR_EXACT_FP,
  FLAVOUR_TAGGED,
  gpr,
  N,
  SP,
  V,
  vec,
  Z,
} from './state.ts';

export type Width = 'i32' | 'i64';

/** A lazy kind, or `fcmp`: an nzcv word that a floating-point comparison made (only 8, 6, 2 and 3 occur). */
type KnownFlags = CcKind | 'fcmp';

/** What set the lazy flags last. */
export interface FlagsOrigin {
  kind: KnownFlags;
  width: Width;
}

/** A source: a slot, or CONST with its value. */
export interface Value {
  slot: Operand;
  imm: number | bigint;
}

/** The address mask of Top Byte Ignore. User addresses have bit 55 clear. */
const TAG_MASK = 0x00ff_ffff_ffff_ffffn;

export class LiftContext {
  readonly b: BlockBuilder;
  readonly flavour: number;
  /** The instruction. */
  row!: Row;
  word = 0;
  pc = 0;
  /** A read of FPSR in this block whose result nothing has used yet. */
  #fpsr: { register: number; inst: Inst; index: number; next: number; overwritten: boolean } | null = null;
  readonly #table: OpTable;
  /** What set the flags last in this block, when it is known. */
  #flags: FlagsOrigin | null;
  #flagsTouched = false;
  /** A register the instruction before put a constant into, for MOVK. */
  #constant: { register: number; value: bigint; pc: number } | null = null;

  constructor(table: OpTable, flavour: number, flags: FlagsOrigin | null = null) {
    this.b = new BlockBuilder(table);
    this.#table = table;
    this.flavour = flavour;
    this.#flags = flags;
  }
  begin(row: Row, word: number, pc: number): void {
    this.row = row;
    this.word = word;
    this.pc = pc;
    this.b.beginInstruction(pc);
    if (this.#fpsr?.overwritten) this.#fpsr = null;
  }
  /** Exact floating point (soft float) is wanted: see state.ts, FP_EXACT. */
  get exactFp(): boolean {
    return (this.flavour & FLAVOUR_EXACT_FP) !== 0;
  }
  /** At the end of the block: what set the flags, null when that is not known, undefined when nothing in it did. */
  get flagsOrigin(): FlagsOrigin | null | undefined {
    return this.#flagsTouched ? this.#flags : undefined;
  }

  // Fields.

  /** Register numbers in their usual places. */
  get d(): number {
    return this.word & 31;
  }
  get n(): number {
    return (this.word >>> 5) & 31;
  }
  get a(): number {
    return (this.word >>> 10) & 31;
  }
  get m(): number {
    return (this.word >>> 16) & 31;
  }
  /** A field of the encoding, unsigned or signed. */
  u(letter: string): number {
    return extract(field(this.row, letter), this.word);
  }
  s(letter: string): number {
    const f = field(this.row, letter);
    const v = extract(f, this.word);
    return v >= 2 ** (f.width - 1) ? v - 2 ** f.width : v;
  }
  /** Width by bit 31 (`sf`). */
  get w(): Width {
    return this.word < 0 ? 'i64' : 'i32';
  }
  get bits(): 32 | 64 {
    return this.word < 0 ? 64 : 32;
  }
  get next(): number {
    return this.pc + 4;
  }

  // Registers.

  /** Register 0..30, or the zero register: to read. */
  x(n: number): Operand {
    if (this.#fpsr?.register === n) this.#watchFpsr();
    return n === 31 ? SLOT_ZERO : gpr(n);
  }
  /** Register 0..30, or SP: to read or write. */
  xsp(n: number): Operand {
    if (this.#fpsr?.register === n) this.#watchFpsr();
    return n === 31 ? SP : gpr(n);
  }
  /** Register 0..30 to write; writes to the zero register go to a temporary. */
  to(n: number): Operand {
    if (this.#fpsr?.register === n) this.#fpsr.overwritten = true;
    return n === 31 ? this.b.temp() : gpr(n);
  }
  /** Vector register, 16 bytes. */
  v(n: number): Operand {
    return vec(n);
  }
  /** Clears the upper 8 bytes of vector register `n`, as results of 64 bits do. */
  zeroTop(n: number): void {
    this.b.emit('mov.i64', vec(n) + 8, [CONST], 0);
  }
  add64(a: Operand, n: number | bigint): Operand {
    return n === 0 || n === 0n ? a : this.b.valueConst('add.i64', [a], n);
  }

  /**
   * FPSR into register `n`. The C library's software floating point reads it after every inexact operation, for nothing; so
   * only where a later instruction of the block uses the value does somebody want to know the flags (docs/floating-point.md).
   */
  readFpsr(n: number): void {
    const { b } = this;
    b.emit('a64.fpsr', this.to(n), []);
    if (n === 31) return;
    const index = b.insts.length - 1;
    this.#fpsr = { register: n, inst: b.insts[index]!, index, next: this.next, overwritten: false };
  }
  #watchFpsr(): void {
    const { inst, index, next, register } = this.#fpsr!;
    this.#fpsr = null;
    this.b.insts[index] = {
      op: this.#table.get('a64.watch_fpsr'),
      d: 0,
      inputs: [CONST],
      imm: BigInt(next) | (BigInt(gpr(register)) << 48n),
      pc: inst.pc,
    };
  }

  // Memory.

  /**
   * Makes an address ready for memory ops: base slot and displacement, for input 0 and `imm`. In code for tagged addresses
   * the top byte is masked off.
   */
  address(base: Operand, disp = 0): { base: Operand; disp: number } {
    if (!(this.flavour & FLAVOUR_TAGGED) || base === SLOT_ZERO) return { base, disp };
    return { base: this.b.valueConst('and.i64', [this.add64(base, disp)], TAG_MASK), disp: 0 };
  }

  // Constants that the next instruction may complete.

  /** Puts a constant into register `n`. */
  setConstant(n: number, value: bigint): void {
    this.b.emit('mov.i64', this.to(n), [CONST], BigInt.asIntN(64, value));
    if (n !== 31) this.#constant = { register: n, value: BigInt.asUintN(64, value), pc: this.pc };
  }
  /** The constant that the instruction before put into register `n`. */
  constantIn(n: number): bigint | null {
    const k = this.#constant;
    return k && k.register === n && k.pc === this.pc - 4 ? k.value : null;
  }

  // Flags.

  /** Emits `a64.flags.kind.width` and remembers it for the conditions that follow in this block. */
  flags(kind: Exclude<CcKind, 'nzcv'>, w: Width, inputs: Operand[], imm: number | bigint = 0): void {
    this.b.emit(`a64.flags.${kind}.${w}`, 0, inputs, imm);
    this.#known({ kind, width: w });
  }
  /** Sets the flags from bits 31..28 of a 32-bit value; `fcmp`: it is the outcome of a floating-point comparison. */
  setNzcv(word: Operand, imm: number | bigint = 0, kind: 'nzcv' | 'fcmp' = 'nzcv'): void {
    this.b.emit('a64.flags.nzcv', 0, [word], imm);
    this.#known({ kind, width: 'i32' });
  }
  /** Flags of a floating-point comparison. */
  compareFloats(type: 'f32' | 'f64', a: Operand, b: Operand): void {
    this.b.emit(`a64.flags.fcmp.${type}`, 0, [a, b]);
    this.#known({ kind: 'fcmp', width: 'i32' });
  }
  /** What set the flags is not known (helpers that write CC_*). */
  flagsUnknown(): void {
    this.#known(null);
  }
  #known(origin: FlagsOrigin | null): void {
    this.#flags = origin;
    this.#flagsTouched = true;
  }
  /** C as 0 or 1. */
  carry(): Operand {
    const f = this.#flags;
    if (f?.kind === 'sub') return this.b.value(`ge_u.${f.width}`, [CC_A, CC_B]);
    if (f?.kind === 'add') return this.b.value(`lt_u.${f.width}`, [CC_RES, CC_A]);
    if (f?.kind === 'logic') return this.b.constant(0);
    return this.b.value('a64.carry', []);
  }
  /** Condition code 0..15 as a comparison. */
  condition(code: number): Condition {
    if (code >= 14) return ALWAYS;
    const direct = this.#flags && directCondition(this.#flags.kind, this.#flags.width, code >> 1);
    if (direct === 'never') return code & 1 ? ALWAYS : { ...ALWAYS, compare: 'ne' };
    if (direct) return code & 1 ? { ...direct, compare: negated[direct.compare] } : direct;
    const bits = this.#flags && bitCondition(this.#flags.kind, code >> 1);
    if (bits) {
      const a = this.b.valueConst('and.i32', [CC_RES], bits.mask);
      return {
        compare: (code & 1) !== 0 ? negated[bits.compare] : bits.compare,
        width: 'i32',
        a,
        b: CONST,
        imm: bits.value,
      };
    }
    const value = this.b.valueConst('a64.cond', [], code);
    return { compare: 'ne', width: 'i32', a: value, b: CONST, imm: 0 };
  }
  /** Condition code as a 0-or-1 value, in `d` if given. */
  conditionValue(code: number, d?: Operand): Operand {
    const c = this.condition(code);
    const name = `${c.compare}.${c.width}`;
    if (d === undefined) return this.b.value(name, [c.a, c.b], c.imm);
    this.b.emit(name, d, [c.a, c.b], c.imm);
    return d;
  }

  // Exits.

  trap(number: TrapNumber): void {
    this.b.exit = { kind: 'trap', trap: number };
  }
  /** The word is unallocated after all. Nothing may have been emitted for it. */
  undefined(): void {
    this.trap(trap.invalidOpcode);
  }
}

const ALWAYS: Condition = { compare: 'eq', width: 'i64', a: SLOT_ZERO, b: CONST, imm: 0 };

const negated: Record<CompareName, CompareName> = {
  eq: 'ne',
  ne: 'eq',
  lt_s: 'ge_s',
  ge_s: 'lt_s',
  lt_u: 'ge_u',
  ge_u: 'lt_u',
  le_s: 'gt_s',
  gt_s: 'le_s',
  le_u: 'gt_u',
  gt_u: 'le_u',
};

/**
 * The even condition codes (EQ CS MI VS HI GE GT as 0..6) as one comparison on the lazy flag slots, where the kind of the
 * last flag setter allows it.
 */
function directCondition(kind: KnownFlags, width: Width, code: number): Condition | 'never' | null {
  if (kind === 'nzcv' || kind === 'fcmp') return null;
  const operands = (compare: CompareName): Condition => ({ compare, width, a: CC_A, b: CC_B, imm: 0 });
  const result = (compare: CompareName): Condition => ({ compare, width, a: CC_RES, b: CONST, imm: 0 });
  if (code === 0) return result('eq');
  if (code === 2) return result('lt_s');
  if (kind === 'sub') {
    if (code === 1) return operands('ge_u');
    if (code === 4) return operands('gt_u');
    if (code === 5) return operands('ge_s');
    if (code === 6) return operands('gt_s');
  } else if (kind === 'logic') {
    if (code === 5) return result('ge_s');
    if (code === 6) return result('gt_s');
    return 'never';
  } else if (kind === 'add' && code === 1) return { compare: 'lt_u', width, a: CC_RES, b: CC_A, imm: 0 };
  return null;
}

/** The same on an nzcv word: masked bits compared with a value. */
function bitCondition(kind: KnownFlags, code: number): { mask: number; compare: 'eq' | 'ne'; value: number } | null {
  if (kind !== 'nzcv' && kind !== 'fcmp') return null;
  if (code < 4) return { mask: [Z, C, N, V][code]! | 0, compare: 'ne', value: 0 };
  if (code === 4) return { mask: C | Z | 0, compare: 'eq', value: C };
  // After a comparison N and V are never set both.
  if (kind === 'fcmp') return { mask: (code === 5 ? N | V : N | V | Z) | 0, compare: 'eq', value: 0 };
  return null;
}

const MAX_INSTRUCTIONS = 64;

/**
 * Lifts the basic block at `pc`. `code` is indexed by guest address; `limit` is the end of the executable bytes that
 * begin at `pc`. Null when not even the first instruction can be fetched.
 */
export function liftBlock(
  table: OpTable,
  code: Uint8Array,
  pc: number,
  limit: number,
  flavour: number,
  maxInstructions = MAX_INSTRUCTIONS,
): Block | null {
  return lift(new LiftContext(table, flavour), code, pc, limit, maxInstructions, null);
}

/**
 * Lifts a block of a region: it ends before the address of another block (`leaders`), and begins with flags known to come
 * from `flags`. `flagsOrigin` is as in LiftContext.
 */
export function liftRegionBlock(
  table: OpTable,
  code: Uint8Array,
  pc: number,
  limit: number,
  leaders: ReadonlySet<number> | null,
  flags: FlagsOrigin | null,
): { block: Block; flagsOrigin: FlagsOrigin | null | undefined } | null {
  const c = new LiftContext(table, 0, flags);
  const block = lift(c, code, pc, limit, MAX_INSTRUCTIONS, leaders);
  return block && { block, flagsOrigin: c.flagsOrigin };
}

function lift(
  c: LiftContext,
  code: Uint8Array,
  pc: number,
  limit: number,
  maxInstructions: number,
  leaders: ReadonlySet<number> | null,
): Block | null {
  let p = pc;
  let last = pc;
  let count = 0;
  if (pc % 4 !== 0) {
    // PC alignment fault (Arm ARM, D1.3.6): before anything is fetched.
    c.b.exit = { kind: 'trap', trap: trap.protection };
    return { pc, end: pc + 1, insts: c.b.insts, exit: c.b.exit, exitPc: pc, guestInstructions: 1 };
  }
  const window = code.subarray(pc, Math.min(limit, pc + 4 * maxInstructions));
  while (!c.b.exit) {
    if (count === maxInstructions || (count > 0 && leaders?.has(p))) {
      c.b.exit = { kind: 'jump', target: p };
      break;
    }
    if (p + 4 > limit) {
      if (count === 0) return null;
      c.b.exit = { kind: 'jump', target: p };
      break;
    }
    last = p;
    count++;
    // An index from the start of the memory goes beyond 2^31, for which V8 makes code again and again that does not expect it.
    const at = p - pc;
    const word = window[at]! | (window[at + 1]! << 8) | (window[at + 2]! << 16) | (window[at + 3]! << 24);
    const row = decode(word);
    if (row) {
      c.begin(row, word, p);
      row.lift(c);
    } else {
      c.b.beginInstruction(p);
      c.undefined();
    }
    p += 4;
  }
  return { pc, end: p, insts: c.b.insts, exit: c.b.exit!, exitPc: last, guestInstructions: count };
}
