/**
 * The interpreter's code format, shared by its generator and by the encoder.
 *
 * An op is `u16 opcode, u16 slots...` (result first, then the inputs), padded to 8 bytes, then `i64 imm` where the form
 * has one. Exits follow the table ops in number; a link is the u32 address of the code to go on at, which points to a
 * stub (`link`) in the same block until it is resolved.
 */
import { compareNames } from './ops/integer.ts';
import type { CompareName, IntWidth } from './block.ts';
import type { Op, OpTable } from './op.ts';

export interface Form {
  opcode: number;
  op: Op;
  /** The last input is the immediate. */
  constant: boolean;
  /** Byte offset of the result slot, 0 when there is none. */
  resultAt: number;
  /** Byte offsets of the input slots (without the constant one). */
  inputAt: number[];
  /** Byte offset of the i64 immediate, 0 when there is none. */
  immAt: number;
  size: number;
}

export type SimpleExit = 'jump' | 'indirect' | 'syscall' | 'trap' | 'link' | 'stale' | 'count' | 'enter';
export const simpleExits: SimpleExit[] = ['jump', 'indirect', 'syscall', 'trap', 'link', 'stale', 'count', 'enter'];
export const branchWidths: IntWidth[] = ['i8', 'i16', 'i32', 'i64'];

export interface BranchForm {
  opcode: number;
  compare: CompareName;
  width: IntWidth;
  constant: boolean;
}

/** Offsets within exits. jump: ip at 4. branch: a at 2, b at 4, taken at 8, fallthrough at 12, imm at 16. Others: slot or number at 2, link address at 4, pc at 8. */
export const exitLayout = {
  slot: 2,
  b: 4,
  jumpIp: 4,
  linkAddress: 4,
  pc: 8,
  taken: 8,
  fallthrough: 12,
  imm: 16,
} as const;
/**
 * A stub stands before a block that may become hot (the target of a call, an indirect jump or a back edge). `count` takes
 * one from `counter` and goes on at `ip`, or leaves when it reaches zero; `enter` calls the region in table slot `counter`.
 */
export const stubLayout = { counter: 4, ip: 8, pc: 12, size: 16 } as const;
/** Opcodes of the simple exits, of which `first` is the lowest. */
export const exitOpcodes = (first: number): Record<SimpleExit, number> =>
  Object.fromEntries(simpleExits.map((name, k) => [name, first + k])) as Record<SimpleExit, number>;
/** Every block is at least this long, so that its head can be overwritten by `stale`. */
export const MIN_BLOCK = 16;

const align8 = (n: number): number => (n + 7) & ~7;
export const isMemory = (op: Op): boolean => op.kind === 'load' || op.kind === 'store' || op.kind === 'rmw';

export class Bytecode {
  readonly table: OpTable;
  readonly forms: Form[] = [];
  /** Form of op id, slot and constant. */
  readonly slotForm: Form[] = [];
  readonly constantForm: (Form | null)[] = [];
  readonly exits: Record<SimpleExit, number>;
  /** Lowest opcode of an exit. */
  readonly firstExit: number;
  readonly branches: BranchForm[] = [];
  readonly #branch = new Map<string, BranchForm>();
  readonly opcodeCount: number;
  /** Changes with the numbering and form of ops (FNV-1a, i32): code and interpreter must agree on it. */
  readonly hash: number;

  constructor(table: OpTable) {
    this.table = table;
    let opcode = 0;
    for (const op of table.ops) {
      this.slotForm.push(this.#form(op, false, opcode++));
      this.constantForm.push(op.constable ? this.#form(op, true, opcode++) : null);
    }
    this.firstExit = opcode;
    this.exits = exitOpcodes(opcode);
    opcode += simpleExits.length;
    for (const width of branchWidths)
      for (const compare of compareNames)
        for (const constant of [false, true]) {
          const form = { opcode: opcode++, compare, width, constant };
          this.branches.push(form);
          this.#branch.set(`${compare}.${width}.${constant}`, form);
        }
    this.opcodeCount = opcode;
    // Made at every start, so it looks at a few characters of each name only.
    let hash = 0x811c9dc5;
    for (const { name, inputs } of table.ops) {
      const end = name.length - 1;
      const word =
        name.charCodeAt(end) | (name.charCodeAt(end >> 1) << 8) | (name.charCodeAt(0) << 16) | (inputs.length << 24);
      hash = Math.imul(hash ^ word ^ end, 0x01000193);
    }
    this.hash = hash;
  }
  #form(op: Op, constant: boolean, opcode: number): Form {
    let at = 2;
    const resultAt = op.result ? at : 0;
    if (op.result) at += 2;
    const inputAt: number[] = [];
    const slots = op.inputs.length - (constant ? 1 : 0);
    for (let k = 0; k < slots; k++, at += 2) inputAt.push(at);
    const header = align8(at);
    const immAt = constant || isMemory(op) ? header : 0;
    const form = { opcode, op, constant, resultAt, inputAt, immAt, size: immAt ? header + 8 : header };
    this.forms.push(form);
    return form;
  }
  branch(compare: CompareName, width: IntWidth, constant: boolean): BranchForm {
    return this.#branch.get(`${compare}.${width}.${constant}`)!;
  }
}
