/** Operand access shared by the rows of MMX and SSE. */
import type { Operand } from '../ir/block.ts';
import { CONST } from '../ir/layout.ts';
import type { LiftContext } from './lift.ts';
import { fpr, FTOP, FTW } from './state.ts';

/** Slot of vector operand `k`: the register, or a vector temporary with the memory operand in its low bytes and zeros above. */
export function vectorSource(c: LiftContext, k: number): Operand {
  return c.isMemory(k) ? loadVector(c, c.b.vectorTemp(), c.bytesOf(k)) : c.register(k);
}

/** Loads the memory operand into a vector slot, zeros above. */
export function loadVector(c: LiftContext, d: Operand, size: number): Operand {
  const { base, disp } = c.address();
  if (size === 2) c.b.emit('v128.zext32', d, [c.load('i16')]);
  else {
    const op =
      size === 4 ? 'load.v128.z32' : size === 8 ? 'load.v128.z64' : c.i.row.aligned ? 'load.v128.aligned' : 'load.v128';
    c.b.emit(op, d, [base], disp);
  }
  return d;
}

/** Stores a vector register to the memory operand. */
export function storeVector(c: LiftContext, value: Operand): void {
  const { base, disp } = c.address();
  c.b.emit(c.i.row.aligned ? 'store.v128.aligned' : 'store.v128', 0, [base, value], disp);
}

/** A vector temporary with constant bytes, which are taken modulo 256. */
export function constantVector(c: LiftContext, bytes: readonly number[]): Operand {
  const d = c.b.vectorTemp();
  for (const half of [0, 8]) {
    let word = 0n;
    for (let k = 7; k >= 0; k--) word = (word << 8n) | BigInt(bytes[half + k]! & 0xff);
    c.b.emit('mov.i64', d + half, [CONST], word);
  }
  return d;
}

/** A constant mask: lane `k` of `size` bytes is all ones where bit `k` of `bits` is set. */
export function constantMask(c: LiftContext, size: number, bits: number): Operand {
  return constantVector(
    c,
    Array.from({ length: 16 }, (_, k) => ((bits >> Math.floor(k / size)) & 1 ? 0xff : 0)),
  );
}

/**
 * What every MMX instruction does to the x87 state: the stack top is 0 and all registers are valid; a register it writes
 * gets an exponent of all ones (SDM volume 1, section 9.5.1). Comes after everything in the instruction that can fault.
 */
export function enterMmx(c: LiftContext, written: number | null): void {
  c.b.emit('x86.mmx.enter', 0, []);
  if (written !== null) c.b.emit('mov.i16', fpr(written) + 8, [CONST], 0xffff);
}

/** Slots that `x86.mmx.enter` writes. */
export const mmxEnterSlots = [FTOP, FTW];
