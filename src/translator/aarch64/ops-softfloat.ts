/**
 * Floating-point operations, of which each has two forms: the translated one (FPCR zero, nobody looks at the sticky flags)
 * and the exact one, `a64.exact`, that blocks lifted under FP_EXACT use. Rows call `float`, which picks. See
 * docs/floating-point.md.
 */
import type { Operand } from '../ir/block.ts';
import { CONST, TEMPS } from '../ir/layout.ts';
import { helperOp, type OpTable, pure } from '../ir/op.ts';
import type { LiftContext } from './lift.ts';

export type Float = 'f32' | 'f64';

/** Numbers of src/helpers/a64-softfloat-ops.ts. */
const plain = [
  'fadd',
  'fsub',
  'fmul',
  'fdiv',
  'fmax',
  'fmin',
  'fmaxnm',
  'fminnm',
  'fmulx',
  'frecps',
  'frsqrts',
  'fsqrt',
  'frint',
  'frecpe',
  'frsqrte',
  'frecpx',
  'fcmeq',
  'fcmge',
  'fcmgt',
  'facge',
  'facgt',
  'fcmp',
  'fcmpe',
  'fma',
] as const;
export const roundings = ['n', 'm', 'p', 'z', 'a'] as const;
export type Rounding = (typeof roundings)[number];
const integers = ['s32', 'u32', 's64', 'u64'] as const;
export type IntegerKind = (typeof integers)[number];
const between = [
  'fcvt.f64.f32',
  'fcvt.f32.f64',
  'fcvt.f32.f16',
  'fcvt.f64.f16',
  'fcvt.f16.f32',
  'fcvt.f16.f64',
  'fcvtx.f32.f64',
  'fnmul',
  'fabd',
] as const;
/** `frintn`..`frinta`, `frintx`, `frinti`: one operation with an immediate. */
export const integralRoundings = [...roundings, 'x', 'i'] as const;

export type FloatOperation =
  | Exclude<(typeof plain)[number], 'frint'>
  | `frint${(typeof integralRoundings)[number]}`
  | `fcvt${Rounding}.${IntegerKind}`
  | `cvtf.${IntegerKind}`
  | (typeof between)[number];

const numbers = new Map<string, number>();
plain.forEach((name, k) => numbers.set(name, k));
integralRoundings.forEach((r, k) => numbers.set(`frint${r}`, 12 | (k << 9)));
integers.forEach((kind, k) => {
  roundings.forEach((r, n) => numbers.set(`fcvt${r}.${kind}`, 24 + k * 5 + n));
  numbers.set(`cvtf.${kind}`, 44 + k);
});
between.forEach((name, k) => numbers.set(name, 48 + k));

/** What the helpers take: number, width, lanes (0: scalar with a result of 8 bytes) and immediate. */
export function softCode(operation: FloatOperation, f: Float, lanes: 0 | 1 | 2 | 4, imm = 0): number {
  const code = numbers.get(operation);
  if (code === undefined) throw new Error(`no floating-point operation ${operation}`);
  return code | (f === 'f64' ? 64 : 0) | ([0, 1, 2, 0, 3][lanes]! << 7) | (imm << 9);
}

/**
 * The exact form of an operation. `f` is the width of the floating-point numbers (of the wider ones in conversions between
 * widths, which their names tell anyway). Inputs and destination are slots; with lanes the destination is a whole vector,
 * zeros above the result. `imm`: fraction bits of fixed-point numbers.
 */
export function exact(
  c: LiftContext,
  operation: FloatOperation,
  f: Float,
  lanes: 0 | 1 | 2 | 4,
  d: Operand,
  inputs: readonly Operand[],
  imm = 0,
): void {
  // The helper writes its destination behind the IR's back; this says that the temporary is written.
  if (d >= TEMPS && !inputs.includes(d)) {
    c.b.emit('mov.i64', d, [CONST], 0);
    if (lanes > 0) c.b.emit('mov.i64', d + 8, [CONST], 0);
  }
  const word =
    BigInt(softCode(operation, f, lanes, imm)) |
    (BigInt(d) << 16n) |
    inputs.reduce((sum, slot, k) => sum | (BigInt(slot) << BigInt(28 + 12 * k)), 0n);
  c.b.emit('a64.exact', 0, [CONST], BigInt.asIntN(64, word));
}

export function defineA64SoftFloatOps(t: OpTable): void {
  helperOp(t, 'a64.exact', 'i64', 'a64_exact', 'exact floating-point operation: packed as in `exact`');
  pure(
    t,
    'a64.soft',
    'v128 v128 v128 i32 -> v128',
    'floating-point operation (input 3: softCode) for FPCR = 0',
    (m, a, b, c, code) => m.helper('a64_soft', [code, a, b, c], 'v128'),
  );
}
