/**
 * The builder that op semantics are written against. Its numeric namespaces carry WebAssembly's own instruction names;
 * `translator/wasm` provides it over its assembler, and over binaryen for the interpreter. Expressions are opaque and must be
 * used exactly once: a value needed twice goes through `bind`.
 */
export type Expr = number;
export type WasmType = 'i32' | 'i64' | 'f32' | 'f64' | 'v128';

// biome-ignore lint/suspicious/noExplicitAny: binaryen nests its namespaces (i64.atomic.rmw.add); building the interpreter calls every row.
type Namespace = any;

/** WebAssembly's instructions, by the type or shape they are of. */
export interface Namespaces {
  i32: Namespace;
  i64: Namespace;
  f32: Namespace;
  f64: Namespace;
  v128: Namespace;
  i8x16: Namespace;
  i16x8: Namespace;
  i32x4: Namespace;
  i64x2: Namespace;
  f32x4: Namespace;
  f64x2: Namespace;
}

export interface ExprBuilder extends Namespaces {
  /** Arithmetic gives the NaNs of x86 processors on this host: results need not be looked at. */
  readonly x86Nans: boolean;
  /** a * b + c of vectors, rounded once; null where the host's does not, or where that is not known. NaNs are the host's. */
  readonly relaxedMadd: ((shape: 'f32x4' | 'f64x2', a: Expr, b: Expr, c: Expr) => Expr) | null;
  constI32(value: number): Expr;
  constI64(value: bigint | number): Expr;
  /** i8x16.shuffle with 16 constant lane numbers. */
  shuffle(a: Expr, b: Expr, lanes: readonly number[]): Expr;
  select(condition: Expr, ifTrue: Expr, ifFalse: Expr): Expr;
  /** Both arms have type `type`; only the chosen one is evaluated. */
  if(condition: Expr, then: Expr, otherwise: Expr): Expr;
  /** Evaluates `value` once; each call of the getter passed to `body` makes a fresh read of it. */
  bind(type: WasmType, value: Expr, body: (get: () => Expr) => Expr): Expr;
  /** Calls a function of the helper module: see src/helpers. */
  helper(name: string, args: Expr[], result: WasmType | 'none'): Expr;
  /** The vCPU pointer, first argument of helpers that work on state. */
  cpu(): Expr;
  /** Reads or writes a slot at a fixed offset of the vCPU state. */
  get(slot: number, type: OperandType): Expr;
  set(slot: number, type: OperandType, value: Expr): Expr;
  /** Statements in order; the last one is the value. */
  block(type: WasmType, statements: Expr[]): Expr;
  /** Statements in order, no value. */
  seq(statements: Expr[]): Expr;
  nop(): Expr;
}

/**
 * How an operand is read from a slot, or a result written to it. Slots are byte offsets in the vCPU state, so a type
 * may address part of a register: `i8` at rax+1 is AH, `i64` at xmm0+8 the high half of XMM0.
 *
 * | type | read as | written |
 * | i8, i16 | i32, zero-extended | low 1 or 2 bytes, the rest of the slot stays |
 * | s8, s16 | i32, sign-extended | - |
 * | i32 | i32 | zero-extended to 64 bits (the rule of both ISAs) |
 * | l32 | i32 | low 4 bytes, the rest stays (vector lanes) |
 * | i64, f64 | 8 bytes | 8 bytes, the rest of a vector stays |
 * | f32 | 4 bytes | 4 bytes, the rest stays |
 * | v128 | 16 bytes | 16 bytes |
 * | z32, z64 | - | f32 or f64, zeros above it in the vector |
 */
export type OperandType = 'i8' | 's8' | 'i16' | 's16' | 'i32' | 'l32' | 'i64' | 'f32' | 'f64' | 'v128' | 'z32' | 'z64';

/** Types of 16 bytes: a whole vector register. */
export const isWhole = (t: OperandType | null): boolean => t === 'v128' || t === 'z32' || t === 'z64';

export const wasmTypeOf = (t: OperandType): WasmType => {
  switch (t) {
    case 'i64':
    case 'f32':
    case 'f64':
    case 'v128':
      return t;
    case 'z32':
      return 'f32';
    case 'z64':
      return 'f64';
    default:
      return 'i32';
  }
};
