/** The ExprBuilder of op semantics, over what makes expressions: the assembler, or a binaryen module. */
import type { Expr, ExprBuilder, Namespaces, OperandType, WasmType } from '../ir/expr.ts';
import { CACHE_SHIFT, REGION_CACHE, REGION_CACHE_MASK, REGION_CACHE_SHIFT } from '../ir/layout.ts';

export type ValueType = number;

/** What the assembler and binaryen's modules have in common. */
export interface Emitter extends Namespaces {
  readonly types: Readonly<Record<WasmType | 'none', ValueType>>;
  typeOf(e: Expr): ValueType;
  local: { get(index: number, type: ValueType): Expr; set(index: number, value: Expr): Expr };
  select(condition: Expr, ifTrue: Expr, ifFalse: Expr): Expr;
  if(condition: Expr, then: Expr, otherwise?: Expr): Expr;
  block(label: string | null, children: Expr[], type?: ValueType): Expr;
  call(name: string, args: Expr[], type: ValueType): Expr;
  nop(): Expr;
}

/** Where fixed slots and operand slots live: memory in the interpreter, locals in translated regions. */
export interface SlotAccess {
  cpu(): Expr;
  read(slot: number, type: OperandType): Expr;
  write(slot: number, type: OperandType, value: Expr): Expr;
}

/** Locals of the function being built. Those taken by `bind` are given back by `reset`, between ops. */
export class Locals {
  readonly vars: ValueType[] = [];
  readonly #types: Emitter['types'];
  readonly #first: number;
  readonly #free: Record<WasmType, number[]> = { i32: [], i64: [], f32: [], f64: [], v128: [] };
  #taken: [WasmType, number][] = [];

  constructor(types: Emitter['types'], parameterCount: number) {
    this.#types = types;
    this.#first = parameterCount;
  }
  /** A local that is never given back. */
  add(type: WasmType): number {
    this.vars.push(this.#types[type]);
    return this.#first + this.vars.length - 1;
  }
  take(type: WasmType): number {
    const index = this.#free[type].pop() ?? this.add(type);
    this.#taken.push([type, index]);
    return index;
  }
  reset(): void {
    for (const [type, index] of this.#taken) this.#free[type].push(index);
    this.#taken = [];
  }
}

export interface ImportedHelper {
  name: string;
  params: ValueType[];
  result: ValueType;
}

/** Makes the builder. Helpers called are collected in `helpers` and declared by the caller. */
export function createBuilder(
  m: Emitter,
  locals: Locals,
  slots: SlotAccess,
  helpers: Map<string, ImportedHelper>,
  x86Nans = false,
  fusedMadd = false,
): ExprBuilder {
  const { types } = m;
  return {
    x86Nans,
    relaxedMadd: fusedMadd ? (shape, a, b, c) => m[shape].relaxed_madd(a, b, c) : null,
    i32: m.i32,
    i64: m.i64,
    f32: m.f32,
    f64: m.f64,
    v128: m.v128,
    i8x16: m.i8x16,
    i16x8: m.i16x8,
    i32x4: m.i32x4,
    i64x2: m.i64x2,
    f32x4: m.f32x4,
    f64x2: m.f64x2,
    constI32: (v) => m.i32.const(v | 0),
    constI64: (v) => m.i64.const(BigInt.asIntN(64, BigInt(v))),
    shuffle: (a, b, lanes) => m.i8x16.shuffle(a, b, [...lanes]),
    select: (c, a, b) => m.select(c, a, b),
    if: (c, a, b) => m.if(c, a, b),
    bind(type, value, body) {
      const index = locals.take(type);
      const set = m.local.set(index, value);
      const result = body(() => m.local.get(index, types[type]));
      return m.block(null, [set, result], m.typeOf(result));
    },
    helper(name, args, result) {
      const params = args.map((a) => m.typeOf(a));
      const type = types[result];
      const known = helpers.get(name);
      if (!known) helpers.set(name, { name, params, result: type });
      else if (known.result !== type || known.params.join() !== params.join())
        throw new Error(`helper ${name} is called with two signatures`);
      return m.call(name, args, type);
    },
    cpu: () => slots.cpu(),
    get: (slot, type) => slots.read(slot, type),
    set: (slot, type, value) => slots.write(slot, type, value),
    block: (type, statements) => m.block(null, statements, types[type]),
    seq: (statements) => m.block(null, statements, types.none),
    nop: () => m.nop(),
  };
}

/** Offset of the entry for a pc, which `pc` makes an expression of, in the interpreter's cache. */
export function cacheOffset(m: Emitter, pc: () => Expr, entries: number): Expr {
  const { i32 } = m;
  const mixed = i32.xor(i32.wrap(pc()), i32.shr_u(i32.wrap(pc()), i32.const(CACHE_SHIFT)));
  return i32.shl(i32.and(mixed, i32.const(entries - 1)), i32.const(3));
}

/** Address of the region cache's entry for a pc, which `pc` makes an expression of. */
export function regionEntry(m: Emitter, pc: () => Expr): Expr {
  const { i32 } = m;
  const mixed = i32.xor(i32.wrap(pc()), i32.shr_u(i32.wrap(pc()), i32.const(REGION_CACHE_SHIFT)));
  return i32.or(i32.and(mixed, i32.const(REGION_CACHE_MASK)), i32.const(REGION_CACHE | 0));
}

/** A load of a slot kept in memory at `pointer + offset`. */
export function slotLoad(m: Emitter, type: OperandType, offset: number, pointer: Expr): Expr {
  switch (type) {
    case 'i8':
      return m.i32.load8_u(offset, 1, pointer);
    case 's8':
      return m.i32.load8_s(offset, 1, pointer);
    case 'i16':
      return m.i32.load16_u(offset, 1, pointer);
    case 's16':
      return m.i32.load16_s(offset, 1, pointer);
    case 'i32':
    case 'l32':
      return m.i32.load(offset, 1, pointer);
    case 'i64':
      return m.i64.load(offset, 1, pointer);
    case 'f32':
      return m.f32.load(offset, 1, pointer);
    case 'f64':
      return m.f64.load(offset, 1, pointer);
    case 'v128':
      return m.v128.load(offset, 1, pointer);
    case 'z32':
    case 'z64':
      throw new Error(`${type} is a type of results only`);
  }
}

/** A store to a slot kept in memory, by the rules of OperandType. */
export function slotStore(m: Emitter, type: OperandType, offset: number, pointer: Expr, value: Expr): Expr {
  switch (type) {
    case 'i8':
      return m.i32.store8(offset, 1, pointer, value);
    case 'i16':
      return m.i32.store16(offset, 1, pointer, value);
    case 'i32':
      return m.i64.store(offset, 1, pointer, m.i64.extend_u(value));
    case 'l32':
      return m.i32.store(offset, 1, pointer, value);
    case 'i64':
      return m.i64.store(offset, 1, pointer, value);
    case 'f32':
      return m.f32.store(offset, 1, pointer, value);
    case 'f64':
      return m.f64.store(offset, 1, pointer, value);
    case 'v128':
      return m.v128.store(offset, 1, pointer, value);
    case 'z32':
      return m.v128.store(
        offset,
        1,
        pointer,
        m.f32x4.replace_lane(m.v128.const(new Array<number>(16).fill(0)), 0, value),
      );
    case 'z64':
      return m.v128.store(
        offset,
        1,
        pointer,
        m.f64x2.replace_lane(m.v128.const(new Array<number>(16).fill(0)), 0, value),
      );
    case 's8':
    case 's16':
      throw new Error(`${type} is a read-only operand type`);
  }
}
