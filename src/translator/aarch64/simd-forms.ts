/** Encodings that Advanced SIMD rows share, and how operands narrower than a register are taken. */
import type { Operand } from '../ir/block.ts';
import type { LiftContext } from './lift.ts';
import { ins } from './row.ts';

export const sizeBits = ['00', '01', '10', '11'] as const;
/** Q: the instruction works on all 128 bits. */
export const isWide = (c: LiftContext): boolean => (c.word & 0x4000_0000) !== 0;

/** The lowest 64 (log2 3) or fewer bits of a vector, zeros above them. */
export function lowest(c: LiftContext, slot: Operand, log2: number): Operand {
  if (log2 === 3) return c.b.value('v128.zext64', [slot]);
  if (log2 === 2) return c.b.value('v128.zext32', [slot]);
  return c.b.value('v128.zext32', [c.b.value(log2 === 1 ? 'ext.u16.i32' : 'ext.u8.i32', [slot])]);
}
/** A vector as the instruction sees it: 64 bits of it, zeros above, unless Q. */
export const operand = (c: LiftContext, slot: Operand): Operand => (isWide(c) ? slot : lowest(c, slot, 3));
/** The half that the "2" forms (Q) of widening instructions take, in the low half of a vector. */
export const halfOf = (c: LiftContext, slot: Operand): Operand =>
  isWide(c) ? c.b.value('v128.zext64', [slot + 8]) : slot;
/** A vector of zeros. */
export const zeros = (c: LiftContext): Operand => c.b.value('i64x2.splat', [c.x(31)]);

/** Emits into the destination from operands that were cut to what the instruction works on. */
export type VectorAct = (c: LiftContext, size: number, a: Operand, b: Operand) => void;

/**
 * Three of the same: vector rows of `sizes`, and scalar ones of `scalars`. The act gets operands with zeros above what is
 * worked on, and must make zeros of zeros.
 */
export function threeSame(
  u: number,
  opcode: string,
  name: string,
  sizes: readonly number[],
  scalars: readonly number[],
  act: VectorAct,
): void {
  for (const size of sizes)
    ins(`0 q ${u} 01110 ${sizeBits[size]} 1 mmmmm ${opcode} 1 nnnnn ddddd`, name, (c) => {
      if (size === 3 && !isWide(c)) return c.undefined();
      act(c, size, operand(c, c.v(c.n)), operand(c, c.v(c.m)));
    });
  for (const size of scalars)
    ins(`01 ${u} 11110 ${sizeBits[size]} 1 mmmmm ${opcode} 1 nnnnn ddddd`, name, (c) =>
      act(c, size, lowest(c, c.v(c.n), size), lowest(c, c.v(c.m), size)),
    );
}

/** Two registers, miscellaneous: the same for one operand. */
export function twoMisc(
  u: number,
  opcode: string,
  name: string,
  sizes: readonly number[],
  scalars: readonly number[],
  act: (c: LiftContext, size: number, a: Operand, scalar: boolean) => void,
): void {
  for (const size of sizes)
    ins(`0 q ${u} 01110 ${sizeBits[size]} 10000 ${opcode} 10 nnnnn ddddd`, name, (c) => {
      if (size === 3 && !isWide(c)) return c.undefined();
      act(c, size, operand(c, c.v(c.n)), false);
    });
  for (const size of scalars)
    ins(`01 ${u} 11110 ${sizeBits[size]} 10000 ${opcode} 10 nnnnn ddddd`, name, (c) =>
      act(c, size, lowest(c, c.v(c.n), size), true),
    );
}

/** Shifts by immediates: immh's highest bit gives the size. */
export const immediateForms = ['0001 iii', '001 iiii', '01 iiiii', '1 iiiiii'] as const;
/** Scalar rows; `sizes` of the lanes named by immh. */
export function scalarShift(
  u: number,
  opcode: string,
  name: string,
  right: boolean,
  sizes: readonly number[],
  act: (c: LiftContext, size: number, count: number) => void,
): void {
  for (const size of sizes)
    ins(`01 ${u} 111110 ${immediateForms[size]} ${opcode} 1 nnnnn ddddd`, name, (c) =>
      act(c, size, right ? (8 << size) - c.u('i') : c.u('i')),
    );
}
