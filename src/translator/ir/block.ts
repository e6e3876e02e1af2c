/** IR blocks, their exits, and the builder lifters write with. */
import { isWhole } from './expr.ts';
import { CONST, TEMP_COUNT, TEMPS, type TrapNumber, VECTOR_TEMP_COUNT, VECTOR_TEMPS } from './layout.ts';
import type { Op, OpTable } from './op.ts';

/** A slot (byte offset in the vCPU state), or CONST. */
export type Operand = number;

export interface Inst {
  op: Op;
  /** Result slot, unused (0) when the op has none. */
  d: number;
  inputs: Operand[];
  /** Displacement of a memory op, or the value of a CONST operand. */
  imm: number | bigint;
  /** Address of the guest instruction it came from. */
  pc: number;
}

export type CompareName = 'eq' | 'ne' | 'lt_s' | 'lt_u' | 'le_s' | 'le_u' | 'gt_s' | 'gt_u' | 'ge_s' | 'ge_u';
export type IntWidth = 'i8' | 'i16' | 'i32' | 'i64';

/** A comparison of two integers of one width; `b` may be CONST with the value in `imm`. */
export interface Condition {
  compare: CompareName;
  width: IntWidth;
  a: Operand;
  b: Operand;
  imm: number | bigint;
}

/** How a block ends. Targets are guest addresses; `slot` holds one. */
export type Exit =
  | { kind: 'jump'; target: number }
  | { kind: 'branch'; condition: Condition; taken: number; fallthrough: number }
  /** `guess`: what the slot is likely to hold. */
  | { kind: 'call'; target: number | null; slot: Operand; returnPc: number; guess?: number }
  | { kind: 'ret'; slot: Operand }
  | { kind: 'indirect'; slot: Operand }
  | { kind: 'syscall'; next: number }
  | { kind: 'trap'; trap: TrapNumber };

/** Also the return of a function that stands in its caller's block: it goes to `to` unless the guest meddled with it. */
export type RegionExit = Exit | { kind: 'return'; slot: Operand; to: number };

export interface Block<E = Exit> {
  pc: number;
  /** Guest bytes [pc, end) were read to make the block. */
  end: number;
  insts: Inst[];
  exit: E;
  /** Address of the last guest instruction, to which the exit belongs. */
  exitPc: number;
  guestInstructions: number;
  /** In regions: further guest code in the block, of the function that its own code calls. */
  callee?: { pc: number; end: number };
}

/** Collects one block. Temporaries live until the next `beginInstruction`. */
export class BlockBuilder {
  readonly #table: OpTable;
  readonly #ops: ReadonlyMap<string, Op>;
  readonly insts: Inst[] = [];
  exit: Exit | null = null;
  pc = 0;
  #temp = 0;
  #vectorTemp = 0;

  constructor(table: OpTable) {
    this.#table = table;
    this.#ops = table.byName;
  }
  beginInstruction(pc: number): void {
    this.pc = pc;
    this.#temp = 0;
    this.#vectorTemp = 0;
  }
  temp(): Operand {
    if (this.#temp === TEMP_COUNT) throw new Error('a guest instruction needs too many temporaries');
    return TEMPS + this.#temp++ * 8;
  }
  vectorTemp(): Operand {
    if (this.#vectorTemp === VECTOR_TEMP_COUNT)
      throw new Error('a guest instruction needs too many vector temporaries');
    return VECTOR_TEMPS + this.#vectorTemp++ * 16;
  }
  /** Emits `name d, inputs...`; `imm` is the displacement, or the value where the last input is CONST. */
  emit(name: string, d: Operand, inputs: Operand[], imm: number | bigint = 0): void {
    const op = this.#ops.get(name) ?? this.#table.get(name);
    this.insts.push({ op, d, inputs, imm, pc: this.pc });
  }
  /** Emits a pure op into a new temporary (a vector one if the result is v128) and returns it. */
  value(name: string, inputs: Operand[], imm: number | bigint = 0): Operand {
    const op = this.#ops.get(name) ?? this.#table.get(name);
    const d = isWhole(op.result) ? this.vectorTemp() : this.temp();
    this.insts.push({ op, d, inputs, imm, pc: this.pc });
    return d;
  }
  /** `value` with a constant as last input. */
  valueConst(name: string, inputs: Operand[], value: number | bigint): Operand {
    return this.value(name, inputs.length === 1 ? [inputs[0]!, CONST] : [...inputs, CONST], value);
  }
  /** A temporary holding a 64-bit constant. */
  constant(value: number | bigint): Operand {
    return this.value('mov.i64', [CONST], value);
  }
}
