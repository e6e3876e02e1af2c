/**
 * Exact SSE floating point: what blocks lifted under FP_EXACT use in place of the translated ops of ops-sse-float.ts, and
 * the control register MXCSR itself. Rounding modes, exception flags, FTZ and DAZ, and unmasked exceptions (which end the op
 * with trap.simd, nothing written but the flags) are those of the processor. See docs/floating-point.md.
 */
import type { Block, Operand } from '../ir/block.ts';
import { CONST, TEMPS } from '../ir/layout.ts';
import { helperOp, type OpTable } from '../ir/op.ts';
import type { LiftContext } from './lift.ts';

/** u32: what MXCSR's sticky flags are worth; the helpers' own (src/helpers/mxcsr.ts). */
export const FP_HISTORY = 0x148;

/** Formats in the low two bits of an operation; packed ones do every lane. Mirrors src/helpers/softfloat-sse.ts. */
const formats = { f32: 0, f64: 1, f32x4: 2, f64x2: 3 } as const;
type Format = keyof typeof formats;
const operationNumbers = {
  add: 0,
  sub: 1,
  mul: 2,
  div: 3,
  min: 4,
  max: 5,
  sqrt: 6,
  cmp: 7,
  comis: 8,
  ucomis: 9,
  round: 10,
  addsub: 11,
  demote: 12,
  promote: 13,
  fromI32: 14,
  fromI64: 15,
  toI32: 16,
  toI64: 17,
} as const;
type Operation = keyof typeof operationNumbers;

interface Exact {
  operation: Operation;
  format: Format;
  /** cmp: predicate. round: immediate of ROUNDSS. toI32, toI64: 1 to truncate whatever MXCSR says. */
  imm: number;
}
const exact = new Map<string, Exact>();
for (const format of ['f32', 'f64', 'f32x4', 'f64x2'] as const) {
  for (const operation of ['add', 'sub', 'mul', 'div', 'min', 'max', 'sqrt', 'addsub', 'comis', 'ucomis'] as const)
    exact.set(`x86.${format}.${operation}`, { operation, format, imm: 0 });
  for (const [imm, name] of ['eq', 'lt', 'le', 'unord', 'neq', 'nlt', 'nle', 'ord'].entries())
    exact.set(`x86.${format}.cmp.${name}`, { operation: 'cmp', format, imm });
  for (const [imm, name] of ['nearest', 'floor', 'ceil', 'trunc'].entries())
    exact.set(`x86.${format}.${name}`, { operation: 'round', format, imm });
}
for (const [imm, mode] of ['nearest', 'trunc'].entries()) {
  for (const format of ['f32', 'f64'] as const) {
    exact.set(`x86.i32.${mode}.${format}`, { operation: 'toI32', format, imm });
    exact.set(`x86.i64.${mode}.${format}`, { operation: 'toI64', format, imm });
  }
  for (const format of ['f32x4', 'f64x2'] as const)
    exact.set(`x86.i32x4.${mode}.${format}`, { operation: 'toI32', format, imm });
}
for (const format of ['f32', 'f64'] as const) {
  exact.set(`${format}.convert_s.i32`, { operation: 'fromI32', format, imm: 0 });
  exact.set(`${format}.convert_s.i64`, { operation: 'fromI64', format, imm: 0 });
}
exact.set('f32x4.convert_i32x4_s', { operation: 'fromI32', format: 'f32x4', imm: 0 });
exact.set('f64x2.convert_low_i32x4_s', { operation: 'fromI32', format: 'f64x2', imm: 0 });
// The format is that of the wider side.
exact.set('x86.f32.demote', { operation: 'demote', format: 'f64', imm: 0 });
exact.set('x86.f32x4.demote', { operation: 'demote', format: 'f64x2', imm: 0 });
exact.set('x86.f64.promote', { operation: 'promote', format: 'f64', imm: 0 });
exact.set('x86.f64x2.promote', { operation: 'promote', format: 'f64x2', imm: 0 });

/** True of the names `exactSse` takes: the ops whose results depend on MXCSR or raise its flags. */
export const hasExact = (name: string): boolean => exact.has(name);
/** True if translated floating point of the block would raise flags in MXCSR. The runtime then calls the helper x86_float_used, once. */
export function raisesFloatFlags({ insts }: Block): boolean {
  for (let k = 0; k < insts.length; k++) if (exact.has(insts[k]!.op.name)) return true;
  return false;
}

/**
 * Emits the exact form of the op `name` of ops-sse-float.ts: the same destination and inputs (slots; registers, temporaries
 * or lanes), the same partial writes. The destination may be one of the inputs. Nothing guest-visible may be written before
 * it in the instruction, since it may trap. `imm` is needed for rounding: the immediate byte of ROUNDSS and its like.
 */
export function exactSse(c: LiftContext, name: string, d: Operand, inputs: readonly Operand[], imm?: number): void {
  const e = exact.get(name);
  if (!e) throw new Error(`${name} has no exact form`);
  const [a = 0, b = 0] = inputs;
  // The helper writes its destination behind the IR's back; this says that the temporary is written.
  if (d >= TEMPS && !inputs.includes(d)) {
    c.b.emit('mov.i64', d, [CONST], 0);
    if (e.format === 'f32x4' || e.format === 'f64x2') c.b.emit('mov.i64', d + 8, [CONST], 0);
  }
  const operation = (operationNumbers[e.operation] << 2) | formats[e.format];
  const word =
    BigInt(operation) | (BigInt(d) << 16n) | (BigInt(a) << 28n) | (BigInt(b) << 40n) | (BigInt(imm ?? e.imm) << 52n);
  c.b.emit('x86.sse.exact', 0, [CONST], word);
}

export function defineSoftFloatOps(t: OpTable): void {
  helperOp(
    t,
    'x86.sse.exact',
    'i64',
    'sse_exact',
    'exact SSE operation: number, format, slots and immediate packed as in exactSse',
  );
  helperOp(
    t,
    'x86.ldmxcsr',
    'i32 i64',
    'x86_ldmxcsr',
    'sets MXCSR; exits with the address of the next instruction (input 1) when the floating-point mode changes',
  );
  helperOp(t, 'x86.stmxcsr', 'i64', 'x86_stmxcsr', 'stores MXCSR at an address', { reads: [], writes: [] });
  helperOp(t, 'x86.fxsave', 'i64', 'x86_fxsave', 'FXSAVE64 at an address');
  helperOp(
    t,
    'x86.fxrstor',
    'i64 i64',
    'x86_fxrstor',
    'FXRSTOR64 from an address (input 0); input 1 as for x86.ldmxcsr',
  );
}
