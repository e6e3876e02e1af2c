/** What is known of the result of an instruction without knowing its inputs. */
import type { Inst } from '../ir/block.ts';
import { CONST } from '../ir/layout.ts';
import { compareNames } from '../ir/ops/integer.ts';

const fixed = new Map<string, number>([
  ['load.u8', 8],
  ['load.u16', 16],
  ['ext.u8.i32', 8],
  ['ext.u16.i32', 16],
]);
for (const name of compareNames) for (const width of ['i8', 'i16', 'i32', 'i64']) fixed.set(`${name}.${width}`, 1);

const length = (n: bigint): number => n.toString(2).length;

/** Bits of the register that the result goes to, from the lowest on, beyond which all are zero; 64: nothing is known. */
export function significantBits({ op, inputs, imm }: Inst): number {
  const { name, result } = op;
  const known = fixed.get(name);
  if (known !== undefined) return known;
  const constant = inputs.at(-1) === CONST ? BigInt(imm) : null;
  if (constant !== null && constant >= 0n) {
    if (name === 'and.i32' || name === 'and.i64' || name === 'mov.i32' || name === 'mov.i64') return length(constant);
    if (name === 'shr_u.i32') return 32 - (Number(constant) & 31);
  }
  return result === 'i32' ? 32 : 64;
}

const narrowFlags = new Map<string, number>();
for (const kind of ['sub', 'add']) for (const width of [8, 16]) narrowFlags.set(`flags.${kind}.i${width}`, width);

/** The same for what flags are computed from later: the operands and the result of an addition or subtraction. */
export const flagBits = ({ op }: Inst): number => narrowFlags.get(op.name) ?? 64;
