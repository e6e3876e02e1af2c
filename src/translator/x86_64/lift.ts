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
import { type Decoded, decode } from './decode.ts';
import { immediateForm, registerFile } from './row.ts';
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

/** What set the lazy flags last. */
export interface FlagsOrigin {
  kind: KnownFlags;
  width: IntWidth;
}

export const widthOfBytes = (bytes: number): IntWidth =>
  bytes === 1 ? 'i8' : bytes === 2 ? 'i16' : bytes === 4 ? 'i32' : 'i64';
// Names of ops by width, and of flag ops by kind too: made once, since hashing a new string costs more than looking it up.
export const byWidth = (name: string): Record<IntWidth, string> => ({
  i8: `${name}.i8`,
  i16: `${name}.i16`,
  i32: `${name}.i32`,
  i64: `${name}.i64`,
});
const movName = byWidth('mov');
const storeName = byWidth('store');
const flagsName = {
  add: byWidth('flags.add'),
  sub: byWidth('flags.sub'),
  logic: byWidth('flags.logic'),
  inc: byWidth('flags.inc'),
  dec: byWidth('flags.dec'),
  adc: byWidth('flags.adc'),
  sbb: byWidth('flags.sbb'),
  res: byWidth('flags.res'),
} satisfies Record<Exclude<CcKind, 'eflags' | 'fcmp'>, Record<IntWidth, string>>;
const loadName: Record<IntWidth, string> = { i8: 'load.u8', i16: 'load.u16', i32: 'load.i32', i64: 'load.i64' };
const loadPartial: Record<IntWidth, string> = { i8: 'load.i8', i16: 'load.i16', i32: 'load.i32', i64: 'load.i64' };

export class LiftContext {
  readonly b: BlockBuilder;
  i!: Decoded;
  /** Exact floating point (soft float) is wanted: see state.ts, FP_EXACT. */
  readonly exactFp: boolean;
  /** What set the flags last in this block, when it is known. */
  #flags: FlagsOrigin | null = null;
  /** The flags were set, by whatever. */
  #flagsTouched = false;
  #address: { base: Operand; disp: number | bigint } | null = null;

  constructor(table: OpTable, exactFp: boolean, flags: FlagsOrigin | null = null) {
    this.b = new BlockBuilder(table);
    this.exactFp = exactFp;
    this.#flags = flags;
  }
  /** At the end of the block: what set the flags, null when that is not known, undefined when nothing in it did. */
  get flagsOrigin(): FlagsOrigin | null | undefined {
    return this.#flagsTouched ? this.#flags : undefined;
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
    const { i } = this;
    const { bytes, sized } = i.row.operands[k]!;
    return bytes !== 0 ? bytes : sized === 1 ? i.size : sized === 2 ? (i.size === 8 ? 8 : 4) : 0;
  }
  widthOf(k: number): IntWidth {
    const bytes = this.bytesOf(k);
    return bytes === 8 ? 'i64' : bytes === 4 ? 'i32' : bytes === 1 ? 'i8' : bytes === 2 ? 'i16' : 'i64';
  }
  isMemory(k: number): boolean {
    const { i } = this;
    const { memory } = i.row.operands[k]!;
    return memory === 2 ? i.mem !== null : memory !== 0;
  }
  /** Slot of general register `n` at a width; without REX, byte registers 4..7 are AH, CH, DH, BH. */
  gprSlot(n: number, w: IntWidth): Operand {
    if (w === 'i8' && !this.i.rexPresent && n >= 4 && n < 8) return gpr(n - 4) + 1;
    return gpr(n);
  }
  /** Slot of a register operand. */
  register(k: number): Operand {
    const { i } = this;
    const spec = i.row.operands[k]!;
    switch (spec.register) {
      case registerFile.gprReg:
        return spec.bytes === 1 ? this.gprSlot(i.reg, 'i8') : gpr(i.reg);
      case registerFile.gprRm:
        return spec.bytes === 1 ? this.gprSlot(i.rm, 'i8') : gpr(i.rm);
      case registerFile.xmmReg:
        return xmm(i.reg);
      case registerFile.xmmRm:
        return xmm(i.rm);
      case registerFile.mmxReg:
        return mmx(i.reg & 7);
      case registerFile.mmxRm:
        return mmx(i.rm & 7);
      case registerFile.rax:
        return gpr(RAX);
      case registerFile.rcx:
        return gpr(RCX);
      case registerFile.rdx:
        return gpr(RDX);
    }
    throw new Error(`${this.i.row.mnemonic}: operand ${k} is not a register`);
  }
  /** Base slot and displacement of the memory operand: pass as input 0 and imm of a memory op. */
  address(): { base: Operand; disp: number | bigint } {
    if (this.#address) return this.#address;
    const { b, i } = this;
    const m = i.mem;
    let base: Operand = SLOT_ZERO;
    let disp: number | bigint;
    // Without ModRM: an absolute offset (MOV with operand O).
    if (m === null) disp = i.imm;
    else {
      disp = m.disp;
      if (m.base >= 0) base = gpr(m.base);
      if (m.index >= 0) {
        base = b.value(`lea.${m.scale}`, [base, gpr(m.index), CONST], disp);
        disp = 0;
      }
    }
    if (i.addrsize && m !== null) {
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
    const { immediate } = this.i.row.operands[k]!;
    if (immediate === immediateForm.one) return { slot: CONST, imm: 1 };
    if (immediate !== immediateForm.none && immediate !== immediateForm.offset) return { slot: CONST, imm: this.i.imm };
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
    this.b.emit(storeName[w], 0, [base, value], addDisp(disp, offset));
  }
  /** Copies a value to operand `k`. */
  write(k: number, v: Value): void {
    const w = this.widthOf(k);
    if (this.isMemory(k)) this.store(w, v.slot === CONST ? this.b.constant(v.imm) : v.slot);
    else this.b.emit(movName[w], this.register(k), [v.slot], v.imm);
  }
  /** Loads the memory operand straight into a register, as MOV does. */
  loadInto(d: Operand, w: IntWidth): void {
    const { base, disp } = this.address();
    this.b.emit(loadPartial[w], d, [base], disp);
  }
  writeRegister(d: Operand, w: IntWidth, v: Value): void {
    this.b.emit(movName[w], d, [v.slot], v.imm);
  }

  // Flags.

  /** Emits `flags.kind.width` and remembers it for the conditions that follow in this block. */
  flags(kind: Exclude<CcKind, 'eflags' | 'fcmp'>, w: IntWidth, inputs: Operand[], imm: number | bigint = 0): void {
    this.b.emit(flagsName[kind][w], 0, inputs, imm);
    this.#flags = { kind, width: w };
    this.#flagsTouched = true;
  }
  /** Emits a flag-setting op that leaves the lazy flags in the form of `kind`. */
  flagsOp(name: string, kind: KnownFlags, w: IntWidth, inputs: Operand[], imm: number | bigint = 0): void {
    this.b.emit(name, 0, inputs, imm);
    this.#flags = { kind, width: w };
    this.#flagsTouched = true;
  }
  /** Sets CF to a value of 0 or 1, keeps the others. */
  setCarry(cf: Operand): void {
    this.b.emit('flags.word', 0, [cf]);
    this.flagsOp('flags.cf', 'cf', 'i32', [cf]);
  }
  /** Sets the six flags from a word in rflags layout. */
  setEflags(word: Operand): void {
    this.b.emit('flags.eflags', 0, [word]);
    this.#flags = { kind: 'eflags', width: 'i32' };
    this.#flagsTouched = true;
  }
  /** What set the flags is no longer known (conditional setters, helpers that write CC_*). */
  flagsUnknown(): void {
    this.#flags = null;
    this.#flagsTouched = true;
  }
  carry(): Operand {
    const f = this.#flags;
    if (f?.kind === 'sub') return this.b.value(`lt_u.${f.width}`, [CC_A, CC_B]);
    if (f?.kind === 'add') return this.b.value(`lt_u.${f.width}`, [CC_RES, CC_A]);
    if (f?.kind === 'logic') return this.b.constant(0);
    if (f?.kind === 'res' || f?.kind === 'cf') return this.b.value('mov.i32', [CC_A]);
    if (f?.kind === 'inc' || f?.kind === 'dec') return this.b.value('mov.i32', [CC_B]);
    if (f?.kind === 'fcmp') return this.b.valueConst('eq.i32', [this.b.value('x86.fcmp.ge', [])], 0);
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
    if (this.#flags?.kind === 'fcmp') {
      // Each of these holds when the flags of the even condition code are clear; OF and SF always are.
      const clear = FCMP_CLEAR[code >> 1];
      const value = clear ? this.b.value(clear, []) : this.b.constant(1);
      return { compare: code & 1 ? 'ne' : 'eq', width: 'i32', a: value, b: CONST, imm: 0 };
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
  return offset === 0 ? disp : typeof disp === 'bigint' ? disp + BigInt(offset) : disp + offset;
}

/** rflags bits whose union is the even condition codes O B Z BE S P; L and LE compare two bits. */
const EFLAGS_MASK: readonly (number | undefined)[] = [OF, CF, ZF, CF | ZF, SF, PF];

/** For the even condition codes O B Z BE S P L LE after a comparison of floats: see ops-sse-float.ts. */
const FCMP_CLEAR = [
  null,
  'x86.fcmp.ge',
  'x86.fcmp.differ',
  'x86.fcmp.gt',
  null,
  'x86.fcmp.ordered',
  null,
  'x86.fcmp.differ',
] as const;

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
  if (kind === 'eflags' || kind === 'fcmp') return null;
  if (kind === 'cf') return code === 1 ? bit(CC_A) : null;
  if (code === 1 && kind === 'res') return bit(CC_A);
  if (code === 1 && (kind === 'inc' || kind === 'dec')) return bit(CC_B);
  // Of narrow operands the difference would have to be cut to size first.
  if (code === 2) return kind === 'sub' && (width === 'i8' || width === 'i16') ? operands('eq') : result('eq');
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
const LONGEST_INSTRUCTION = 15;

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
  return lift(new LiftContext(table, exactFp), code, pc, limit, maxInstructions, null);
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
  const c = new LiftContext(table, false, flags);
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
  const window = code.subarray(pc, Math.min(limit, pc + (maxInstructions + 1) * LONGEST_INSTRUCTION));
  let p = pc;
  let last = pc;
  let count = 0;
  while (!c.b.exit) {
    if (count === maxInstructions || (count > 0 && leaders?.has(p))) {
      c.b.exit = { kind: 'jump', target: p };
      break;
    }
    const i = decode(window, p, limit, pc);
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
      // All bytes that may have been looked at: with others there, it may be an instruction.
      p = Math.min(p + LONGEST_INSTRUCTION, limit);
      break;
    }
    c.begin(i);
    i.row.lift(c);
    p = i.next;
  }
  return { pc, end: p, insts: c.b.insts, exit: c.b.exit!, exitPc: last, guestInstructions: count };
}
