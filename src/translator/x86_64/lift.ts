/** From decoded instructions to IR: operand access for the rows, lazy flags, and the block loop. */
import {
  type Block,
  BlockBuilder,
  type CompareName,
  type Condition,
  type IntWidth,
  type Operand,
} from '../ir/block.ts';
import { CONST, SLOT_ZERO, trap, type TrapNumber } from '../ir/layout.ts';
import type { OpTable } from '../ir/op.ts';
import { type Decoded, decode, operandBytes } from './decode.ts';
import {
  CC_A,
  CC_B,
  CC_RES,
  type CcKind,
  CF,
  FS_BASE,
  GS_BASE,
  gpr,
  mmx,
  OF,
  PF,
  RAX,
  RCX,
  RDX,
  SF,
  xmm,
  ZF,
} from './state.ts';

/** A source: a slot, or CONST with its value. */
export interface Value {
  slot: Operand;
  imm: number | bigint;
}

/** A lazy kind, or `cf`: a flags word in CC_RES whose CF is also in CC_A. */
type KnownFlags = CcKind | 'cf';

export const widthOfBytes = (bytes: number): IntWidth =>
  bytes === 1 ? 'i8' : bytes === 2 ? 'i16' : bytes === 4 ? 'i32' : 'i64';
const loadName: Record<IntWidth, string> = { i8: 'load.u8', i16: 'load.u16', i32: 'load.i32', i64: 'load.i64' };
const loadPartial: Record<IntWidth, string> = { i8: 'load.i8', i16: 'load.i16', i32: 'load.i32', i64: 'load.i64' };

export class LiftContext {
  readonly b: BlockBuilder;
  i!: Decoded;
  /** Exact floating point (soft float) is wanted: see state.ts, FP_EXACT. */
  readonly exactFp: boolean;
  /** What set the flags last in this block, when it is known. */
  #flags: { kind: KnownFlags; width: IntWidth } | null = null;
  #address: { base: Operand; disp: number | bigint } | null = null;

  constructor(table: OpTable, exactFp: boolean) {
    this.b = new BlockBuilder(table);
    this.exactFp = exactFp;
  }
  begin(i: Decoded): void {
    this.i = i;
    this.#address = null;
    this.b.beginInstruction(i.pc);
  }

  // Operands.

  /** Operand size as a width: i16, i32 or i64. */
  get width(): IntWidth {
    return widthOfBytes(this.i.size);
  }
  bytesOf(k: number): number {
    const { bytes, size } = this.i.row.operands[k]!;
    return bytes || operandBytes(size, this.i.size);
  }
  widthOf(k: number): IntWidth {
    return widthOfBytes(this.bytesOf(k));
  }
  isMemory(k: number): boolean {
    const kind = this.i.row.operands[k]!.kind;
    return kind === 'M' || kind === 'O' || ((kind === 'E' || kind === 'W' || kind === 'Q') && this.i.mem !== null);
  }
  /** Slot of general register `n` at a width; without REX, byte registers 4..7 are AH, CH, DH, BH. */
  gprSlot(n: number, w: IntWidth): Operand {
    if (w === 'i8' && !this.i.rexPresent && n >= 4 && n < 8) return gpr(n - 4) + 1;
    return gpr(n);
  }
  /** Slot of a register operand. */
  register(k: number): Operand {
    const spec = this.i.row.operands[k]!;
    switch (spec.kind) {
      case 'G':
        return this.gprSlot(this.i.reg, this.widthOf(k));
      case 'E':
      case 'R':
      case 'Z':
        return this.gprSlot(this.i.rm, this.widthOf(k));
      case 'V':
        return xmm(this.i.reg);
      case 'W':
      case 'U':
        return xmm(this.i.rm);
      case 'P':
        return mmx(this.i.reg & 7);
      case 'Q':
      case 'N':
        return mmx(this.i.rm & 7);
      case 'fixed':
        if (spec.size === 'al' || spec.size === 'ax' || spec.size === 'eax' || spec.size === 'rAX') return gpr(RAX);
        if (spec.size === 'cl') return gpr(RCX);
        if (spec.size === 'dx') return gpr(RDX);
        break;
    }
    throw new Error(`${this.i.row.mnemonic}: operand ${k} is not a register`);
  }
  /** Base slot and displacement of the memory operand: pass as input 0 and imm of a memory op. */
  address(): { base: Operand; disp: number | bigint } {
    if (this.#address) return this.#address;
    const { b, i } = this;
    const spec = i.row.operands.find((o) => o.kind === 'O');
    let base: Operand = SLOT_ZERO;
    let disp: number | bigint = 0;
    if (spec) disp = i.imm;
    else {
      const m = i.mem!;
      disp = m.disp;
      if (m.base >= 0) base = gpr(m.base);
      if (m.index >= 0) {
        base = b.value(`lea.${m.scale}`, [base, gpr(m.index), CONST], disp);
        disp = 0;
      }
    }
    if (i.addrsize && !spec) {
      base = b.value('mov.i32', [this.add64(base, disp)]);
      disp = 0;
    }
    this.#address = { base: this.segmented(base), disp };
    return this.#address;
  }
  /** An offset plus the base of the segment override, if there is one. */
  segmented(offset: Operand): Operand {
    const { segment } = this.i;
    return segment ? this.b.value('add.i64', [segment === 'fs' ? FS_BASE : GS_BASE, offset]) : offset;
  }
  /** base + disp as one slot (for LEA and helpers). */
  effectiveAddress(): Operand {
    const { base, disp } = this.address();
    return this.add64(base, disp);
  }
  add64(a: Operand, n: number | bigint): Operand {
    return n === 0 || n === 0n ? a : this.b.valueConst('add.i64', [a], n);
  }
  /** Reads operand `k` as an integer of its width. Constants stay constants: pass `slot` last and `imm` along. */
  src(k: number): Value {
    const spec = this.i.row.operands[k]!;
    if (spec.kind === 'I') return { slot: CONST, imm: this.i.imm };
    if (spec.kind === 'fixed' && spec.size === '1') return { slot: CONST, imm: 1 };
    return { slot: this.read(k), imm: 0 };
  }
  /** Reads operand `k` (register or memory) as an integer of its width; a memory operand is loaded into a temporary. */
  read(k: number): Operand {
    if (!this.isMemory(k)) return this.register(k);
    return this.load(this.widthOf(k));
  }
  /** Loads from the memory operand into a new temporary, zero-extended. */
  load(w: IntWidth, offset = 0): Operand {
    const { base, disp } = this.address();
    return this.b.value(loadName[w], [base], addDisp(disp, offset));
  }
  store(w: IntWidth, value: Operand, offset = 0): void {
    const { base, disp } = this.address();
    this.b.emit(`store.${w}`, 0, [base, value], addDisp(disp, offset));
  }
  /** Copies a value to operand `k`. */
  write(k: number, v: Value): void {
    const w = this.widthOf(k);
    if (this.isMemory(k)) this.store(w, v.slot === CONST ? this.b.constant(v.imm) : v.slot);
    else this.b.emit(`mov.${w}`, this.register(k), [v.slot], v.imm);
  }
  /** Loads the memory operand straight into a register, as MOV does. */
  loadInto(d: Operand, w: IntWidth): void {
    const { base, disp } = this.address();
    this.b.emit(loadPartial[w], d, [base], disp);
  }
  writeRegister(d: Operand, w: IntWidth, v: Value): void {
    this.b.emit(`mov.${w}`, d, [v.slot], v.imm);
  }

  // Flags.

  /** Emits `flags.kind.width` and remembers it for the conditions that follow in this block. */
  flags(kind: Exclude<CcKind, 'eflags'>, w: IntWidth, inputs: Operand[], imm: number | bigint = 0): void {
    this.b.emit(`flags.${kind}.${w}`, 0, inputs, imm);
    this.#flags = { kind, width: w };
  }
  /** Emits a flag-setting op that leaves the lazy flags in the form of `kind`. */
  flagsOp(name: string, kind: KnownFlags, w: IntWidth, inputs: Operand[], imm: number | bigint = 0): void {
    this.b.emit(name, 0, inputs, imm);
    this.#flags = { kind, width: w };
  }
  /** Sets CF to a value of 0 or 1, keeps the others. */
  setCarry(cf: Operand): void {
    this.flagsOp('flags.cf', 'cf', 'i32', [cf]);
  }
  /** Sets the six flags from a word in rflags layout. */
  setEflags(word: Operand): void {
    this.b.emit('flags.eflags', 0, [word]);
    this.#flags = { kind: 'eflags', width: 'i32' };
  }
  /** What set the flags is no longer known (conditional setters, helpers that write CC_*). */
  flagsUnknown(): void {
    this.#flags = null;
  }
  carry(): Operand {
    const f = this.#flags;
    if (f?.kind === 'sub') return this.b.value(`lt_u.${f.width}`, [CC_A, CC_B]);
    if (f?.kind === 'add') return this.b.value(`lt_u.${f.width}`, [CC_RES, CC_A]);
    if (f?.kind === 'logic') return this.b.constant(0);
    if (f?.kind === 'res' || f?.kind === 'cf') return this.b.value('mov.i32', [CC_A]);
    if (f?.kind === 'inc' || f?.kind === 'dec') return this.b.value('mov.i32', [CC_B]);
    return this.b.value('x86.cf', []);
  }
  /** Condition code 0..15 (low opcode bits of Jcc) as a comparison. */
  condition(code: number): Condition {
    const direct = this.#flags && directCondition(this.#flags.kind, this.#flags.width, code >> 1);
    if (direct) return code & 1 ? { ...direct, compare: negated[direct.compare] } : direct;
    const mask = this.#flags?.kind === 'eflags' ? EFLAGS_MASK[code >> 1] : undefined;
    if (mask !== undefined) {
      const bits = this.b.valueConst('and.i32', [CC_RES], mask);
      return { compare: code & 1 ? 'eq' : 'ne', width: 'i32', a: bits, b: CONST, imm: 0 };
    }
    const value = this.b.valueConst('x86.cond', [], code);
    return { compare: 'ne', width: 'i32', a: value, b: CONST, imm: 0 };
  }
  /** Condition code as a 0-or-1 value. */
  conditionValue(code: number): Operand {
    const c = this.condition(code);
    return this.b.value(`${c.compare}.${c.width}`, [c.a, c.b], c.imm);
  }

  // Exits.

  trap(number: TrapNumber): void {
    this.b.exit = { kind: 'trap', trap: number };
  }
}

function addDisp(disp: number | bigint, offset: number): number | bigint {
  return typeof disp === 'bigint' ? disp + BigInt(offset) : disp + offset;
}

/** rflags bits whose union is the even condition codes O B Z BE S P; L and LE compare two bits. */
const EFLAGS_MASK: readonly (number | undefined)[] = [OF, CF, ZF, CF | ZF, SF, PF];

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
 * The even condition codes (O B Z BE S P L LE as 0..7) as one comparison on the lazy flag slots, where the kind of the
 * last flag setter allows it.
 */
function directCondition(kind: KnownFlags, width: IntWidth, code: number): Condition | null {
  const operands = (compare: CompareName): Condition => ({ compare, width, a: CC_A, b: CC_B, imm: 0 });
  const result = (compare: CompareName): Condition => ({ compare, width, a: CC_RES, b: CONST, imm: 0 });
  const bit = (a: Operand): Condition => ({ compare: 'ne', width: 'i32', a, b: CONST, imm: 0 });
  if (kind === 'eflags') return null;
  if (kind === 'cf') return code === 1 ? bit(CC_A) : null;
  if (code === 1 && kind === 'res') return bit(CC_A);
  if (code === 1 && (kind === 'inc' || kind === 'dec')) return bit(CC_B);
  if (code === 2) return result('eq');
  if (code === 4) return result('lt_s');
  if (kind === 'sub') {
    if (code === 1) return operands('lt_u');
    if (code === 3) return operands('le_u');
    if (code === 6) return operands('lt_s');
    if (code === 7) return operands('le_s');
  } else if (kind === 'logic') {
    if (code === 3) return result('eq');
    if (code === 6) return result('lt_s');
    if (code === 7) return result('le_s');
  } else if (kind === 'add' && code === 1) return { compare: 'lt_u', width, a: CC_RES, b: CC_A, imm: 0 };
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
  exactFp: boolean,
  maxInstructions = MAX_INSTRUCTIONS,
): Block | null {
  const c = new LiftContext(table, exactFp);
  let p = pc;
  let last = pc;
  let count = 0;
  while (!c.b.exit) {
    if (count === maxInstructions) {
      c.b.exit = { kind: 'jump', target: p };
      break;
    }
    const i = decode(code, p, limit);
    if (i === 'fetch') {
      if (count === 0) return null;
      c.b.exit = { kind: 'jump', target: p };
      break;
    }
    last = p;
    count++;
    if (typeof i === 'string') {
      c.b.beginInstruction(p);
      c.b.exit = { kind: 'trap', trap: i === 'long' ? trap.protection : trap.invalidOpcode };
      p++;
      break;
    }
    c.begin(i);
    i.row.lift(c);
    p = i.next;
  }
  return { pc, end: p, insts: c.b.insts, exit: c.b.exit!, exitPc: last, guestInstructions: count };
}
