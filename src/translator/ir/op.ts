/** Op table rows and the registry of them. */
import type { Expr, ExprBuilder, OperandType } from './expr.ts';

/**
 * What an op does beyond computing a result.
 * - pure: nothing. load, store: one guest memory access of `bytes` at input 0 plus the displacement in `imm`.
 * - rmw: reads and writes guest memory at the same place.
 * - state: writes fixed slots (`writes`), reads `reads`.
 * - helper: calls a helper that may touch any vCPU state or guest memory and may exit (its i32 result is an exit reason).
 */
export type OpKind = 'pure' | 'load' | 'store' | 'rmw' | 'state' | 'helper';

export interface Op {
  readonly name: string;
  readonly kind: OpKind;
  readonly inputs: readonly OperandType[];
  readonly result: OperandType | null;
  readonly doc: string;
  /** pure, state: inputs -> result (or effect). load: (pointer) -> result. store: (pointer, value). rmw: (pointer, inputs...). */
  readonly sem: (m: ExprBuilder, ...inputs: Expr[]) => Expr;
  /** Memory ops: access size in bytes. */
  readonly bytes: number;
  /** Memory ops: natural alignment demanded (#GP otherwise), 0 for none. */
  readonly align: number;
  /** Fixed slots read and written beside the operands (state ops; helper ops that are not opaque). */
  readonly reads: readonly number[];
  readonly writes: readonly number[];
  /** A helper op that may touch any register: `reads` and `writes` say nothing. */
  readonly opaque: boolean;
  /** The last input may be a constant. */
  readonly constable: boolean;
  /** Dense number in registration order. */
  id: number;
}

export class OpTable {
  readonly ops: Op[] = [];
  readonly byName = new Map<string, Op>();

  add(op: Omit<Op, 'id'>): Op {
    if (this.byName.has(op.name)) throw new Error(`op ${op.name} defined twice`);
    // All rows have one hidden class (fields in one order): the lifter, which runs cold in short programs, reads them all the time.
    const row: Op = {
      name: op.name,
      kind: op.kind,
      inputs: op.inputs,
      result: op.result,
      doc: op.doc,
      sem: op.sem,
      bytes: op.bytes,
      align: op.align,
      reads: op.reads,
      writes: op.writes,
      opaque: op.opaque,
      constable: op.constable,
      id: this.ops.length,
    };
    this.ops.push(row);
    this.byName.set(op.name, row);
    return row;
  }
  get(name: string): Op {
    const op = this.byName.get(name);
    if (!op) throw new Error(`no IR op named ${name}`);
    return op;
  }
  has(name: string): boolean {
    return this.byName.has(name);
  }
}

type Sem = (m: ExprBuilder, ...inputs: Expr[]) => Expr;

interface Signature {
  inputs: readonly OperandType[];
  result: OperandType | null;
  constable: boolean;
}
/** Most of the table's rows share a few signatures, and the table is built at every start. */
const signatures = new Map<string, Signature>();

function parseSignature(text: string): Signature {
  let known = signatures.get(text);
  if (!known) {
    const [ins = '', out = ''] = text.split('->').map((s) => s.trim());
    const inputs = ins === '' ? [] : (ins.split(/ +/) as OperandType[]);
    const last = inputs.at(-1);
    const constable = last !== undefined && last !== 'v128' && last !== 'f32' && last !== 'f64';
    known = { inputs, result: out === '' ? null : (out as OperandType), constable };
    signatures.set(text, known);
  }
  return known;
}

const none: readonly number[] = [];

/** A pure op. `signature` is like `i64 i64 -> i64`. */
export function pure(table: OpTable, name: string, signature: string, doc: string, sem: Sem): void {
  const { inputs, result, constable } = parseSignature(signature);
  table.add({
    name,
    kind: 'pure',
    inputs,
    result,
    doc,
    sem,
    bytes: 0,
    align: 0,
    reads: none,
    writes: none,
    opaque: false,
    constable,
  });
}

/** A guest load; `sem` gets the checked 32-bit pointer. */
export function load(
  table: OpTable,
  name: string,
  bytes: number,
  result: OperandType,
  doc: string,
  sem: Sem,
  align = 0,
): void {
  table.add({
    name,
    kind: 'load',
    inputs: ['i64'],
    result,
    doc,
    sem,
    bytes,
    align,
    reads: none,
    writes: none,
    opaque: false,
    constable: false,
  });
}

/** A guest store; `sem` gets the checked pointer and the value. */
export function store(
  table: OpTable,
  name: string,
  bytes: number,
  value: OperandType,
  doc: string,
  sem: Sem,
  align = 0,
): void {
  table.add({
    name,
    kind: 'store',
    inputs: ['i64', value],
    result: null,
    doc,
    sem,
    bytes,
    align,
    reads: none,
    writes: none,
    opaque: false,
    constable: false,
  });
}

/** An atomic read-modify-write; `sem` gets the checked pointer and the inputs after the address. */
export function rmw(table: OpTable, name: string, bytes: number, signature: string, doc: string, sem: Sem): void {
  const { inputs, result } = parseSignature(signature);
  table.add({
    name,
    kind: 'rmw',
    inputs: ['i64', ...inputs],
    result,
    doc,
    sem,
    bytes,
    align: 0,
    reads: none,
    writes: none,
    opaque: false,
    constable: false,
  });
}

/** An op that reads or writes fixed slots. */
export function state(
  table: OpTable,
  name: string,
  signature: string,
  slots: { reads?: number[]; writes?: number[] },
  doc: string,
  sem: Sem,
): void {
  const { inputs, result, constable } = parseSignature(signature);
  table.add({
    name,
    kind: 'state',
    inputs,
    result,
    doc,
    sem,
    bytes: 0,
    align: 0,
    reads: slots.reads ?? none,
    writes: slots.writes ?? none,
    opaque: false,
    constable,
  });
}

/**
 * An op that calls `helper(cpu, inputs...)`, which may read and write guest memory and all of the vCPU state, or of the
 * registers just those in `slots` (what is written in part counts as read too). It returns an exit reason (0: go on); the
 * instruction can then be run again from its start.
 */
export function helperOp(
  table: OpTable,
  name: string,
  inputs: string,
  helper: string,
  doc: string,
  slots?: { reads: number[]; writes: number[] },
): void {
  const { inputs: types, constable } = parseSignature(inputs);
  table.add({
    name,
    kind: 'helper',
    inputs: types,
    result: null,
    doc,
    sem: (m, ...args) => m.helper(helper, [m.cpu(), ...args], 'i32'),
    bytes: 0,
    align: 0,
    reads: slots?.reads ?? none,
    writes: slots?.writes ?? none,
    opaque: slots === undefined,
    constable,
  });
}
