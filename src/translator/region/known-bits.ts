/** What is known of the result of an instruction from little or nothing of its inputs. */
import type { Inst } from '../ir/block.ts';
import type { OperandType } from '../ir/expr.ts';
import { CONST } from '../ir/layout.ts';
import { compareNames } from '../ir/ops/integer.ts';

const fixed = new Map<string, number>([
  ['load.u8', 8],
  ['load.u16', 16],
]);
for (const name of compareNames) for (const width of ['i8', 'i16', 'i32', 'i64']) fixed.set(`${name}.${width}`, 1);

const length = (n: bigint): number => n.toString(2).length;

const UNSIGNED: Partial<Record<OperandType, number>> = { i8: 8, i16: 16, i32: 32 };
/** Results that leave nothing of what was there before, but for the parts that are cut to their width. */
const INTEGERS: readonly (OperandType | null)[] = ['i8', 'i16', 'i32', 'i64'];

/**
 * Bits of an instruction's result, from the lowest on, beyond which all are zero; 64: nothing is known. Of a result narrower than 32
 * bits it is the value before it is cut to that width.
 *
 * @param bitsOf the same of what an input's slot holds
 */
export function significantBits({ op, inputs, imm }: Inst, bitsOf: (slot: number) => number): number {
  const { name, result } = op;
  const known = fixed.get(name);
  if (known !== undefined) return known;
  if (!INTEGERS.includes(result)) return 64;
  const most = result === 'i32' ? 32 : 64;
  const bits = (k: number): number => {
    const slot = inputs[k]!;
    const type = op.inputs[k]!;
    if (slot === CONST) return BigInt(imm) < 0n ? 64 : length(BigInt(imm));
    return type === 's8' || type === 's16' ? 64 : Math.min(UNSIGNED[type] ?? 64, bitsOf(slot));
  };
  switch (name.slice(0, name.indexOf('.'))) {
    case 'and':
      return Math.min(most, bits(0), bits(1));
    case 'or':
    case 'xor':
      return Math.min(most, Math.max(bits(0), bits(1)));
    case 'mov':
      return Math.min(most, bits(0));
    case 'ext':
      return name.startsWith('ext.s') && bits(0) >= 32 ? most : Math.min(most, bits(0));
    case 'shr_u': {
      const by = inputs[1] === CONST ? Number(imm) & (most === 32 ? 31 : 63) : 0;
      return Math.max(0, Math.min(most, bits(0)) - by);
    }
    default:
      return most;
  }
}

const narrowFlags = new Map<string, number>();
for (const kind of ['sub', 'add']) for (const width of [8, 16]) narrowFlags.set(`flags.${kind}.i${width}`, width);

/** The same for what flags are computed from later: the operands and the result of an addition or subtraction. */
export const flagBits = ({ op }: Inst): number => narrowFlags.get(op.name) ?? 64;
