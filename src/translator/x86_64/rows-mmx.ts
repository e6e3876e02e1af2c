/** MMX, and the MMX forms that SSE, SSE2 and SSSE3 added. SDM volume 1, chapter 9. */
import type { LiftContext } from './lift.ts';
import { ins, type Lift } from './row.ts';
import { implicitDestination } from './rows-sse-move.ts';
import { absoluteRows, type MmxForm, packedRows, shiftByConstant, shiftRows, wordShuffle } from './rows-sse-integer.ts';
import { constantVector, enterMmx, loadVector } from './sse-operands.ts';

/** Number of the register operand in ModRM.reg or ModRM.rm. */
const registerNumber = (c: LiftContext, k: number): number =>
  (c.i.row.operands[k]!.kind === 'P' ? c.i.reg : c.i.rm) & 7;

/** Writes the low 8 bytes at `value` to MMX register operand `k`, and completes the instruction. */
export function writeMmx(c: LiftContext, k: number, value: number): void {
  enterMmx(c, registerNumber(c, k));
  c.b.emit('mov.i64', c.register(k), [value]);
}
/** Operand `k` (register or memory) in the low half of a vector temporary, zeros above. */
export function widen(c: LiftContext, k: number): number {
  if (c.isMemory(k)) return loadVector(c, c.b.vectorTemp(), c.bytesOf(k));
  return c.b.value('v128.zext64', [c.register(k)]);
}

const packed =
  (op: string, form: MmxForm): Lift =>
  (c) => {
    let r: number;
    if (form === 'pair') {
      const both = c.b.value('x86.mmx.pair', [c.register(0), c.read(1)]);
      r = c.b.value(op, [both, both]);
    } else r = c.b.value(op, [widen(c, 0), widen(c, 1)]);
    writeMmx(c, 0, form === 'high' ? r + 8 : r);
  };
for (const { opcode, mnemonic, mmx, mmxOp } of packedRows)
  if (mmx) ins(`np ${opcode}`, mnemonic, mmx === 'low4' ? 'Pq Qd' : 'Pq Qq', packed(mmxOp, mmx));
ins('np 0f df', 'pandn', 'Pq Qq', (c) => writeMmx(c, 0, c.b.value('v128.andnot', [widen(c, 1), widen(c, 0)])));
for (const { opcode, mnemonic, op } of absoluteRows)
  ins(`np ${opcode}`, mnemonic, 'Pq Qq', (c) => writeMmx(c, 0, c.b.value(op, [widen(c, 1)])));

for (const s of shiftRows) {
  ins(`np 0f ${s.opcode}`, s.name + s.letter, 'Pq Qq', (c) =>
    writeMmx(c, 0, c.b.value(`x86.${s.name}.${s.bits}`, [widen(c, 0), c.read(1)])),
  );
  ins(`np 0f ${s.immediate} reg`, s.name + s.letter, 'Nq Ib', (c) => {
    const r = c.b.vectorTemp();
    shiftByConstant(c, s, r, widen(c, 0), c.i.imm as number);
    writeMmx(c, 0, r);
  });
}
const zeros = new Array<number>(8).fill(0x80);
ins('np 0f 70', 'pshufw', 'Pq Qq Ib', (c) =>
  writeMmx(
    c,
    0,
    c.b.value('i8x16.swizzle', [widen(c, 1), constantVector(c, [...wordShuffle(c.i.imm as number, 0), ...zeros])]),
  ),
);
ins('np 0f3a 0F', 'palignr', 'Pq Qq Ib', (c) => {
  const both = c.b.value('x86.mmx.pair', [c.read(1), c.register(0)]);
  const from = Array.from({ length: 8 }, (_, k) => Math.min(k + (c.i.imm as number), 0x80));
  writeMmx(c, 0, c.b.value('i8x16.swizzle', [both, constantVector(c, [...from, ...zeros])]));
});

// Moves.
ins('np 0f 6e', 'movd', 'Py Ey', (c) => {
  const v = c.read(1);
  writeMmx(c, 0, c.bytesOf(1) === 4 && !c.isMemory(1) ? c.b.value('mov.i32', [v]) : v);
});
const store: Lift = (c) => {
  c.write(0, { slot: c.register(1), imm: 0 });
  enterMmx(c, null);
};
ins('np 0f 7e', 'movd', 'Ey Py', store);
ins('np 0f 6f', 'movq', 'Pq Qq', (c) => writeMmx(c, 0, c.read(1)));
ins('np 0f 7f', 'movq', 'Qq Pq', (c) => (c.isMemory(0) ? store(c) : writeMmx(c, 0, c.register(1))));
ins('np 0f e7 mem', 'movntq', 'Mq Pq', store);
ins('f3 0f d6 reg', 'movq2dq', 'Vdq Nq', (c) => {
  c.b.emit('v128.zext64', c.register(0), [c.register(1)]);
  enterMmx(c, null);
});
ins('f2 0f d6 reg', 'movdq2q', 'Pq Uq', (c) => writeMmx(c, 0, c.register(1)));
ins('np 0f d7 reg', 'pmovmskb', 'Gd Nq', (c) => {
  c.b.emit('i8x16.bitmask', c.register(0), [widen(c, 1)]);
  enterMmx(c, null);
});
const lane = (c: LiftContext): number => ((c.i.imm as number) & 3) * 2;
ins('np 0f c5 reg', 'pextrw', 'Gd Nq Ib', (c) => {
  c.b.emit('ext.u16.i32', c.register(0), [c.register(1) + lane(c)]);
  enterMmx(c, null);
});
const insertWord: Lift = (c) => {
  const word = c.isMemory(1) ? c.load('i16') : c.register(1);
  enterMmx(c, registerNumber(c, 0));
  c.b.emit('mov.i16', c.register(0) + lane(c), [word]);
};
ins('np 0f c4 reg', 'pinsrw', 'Pq Ed Ib', insertWord);
ins('np 0f c4 mem', 'pinsrw', 'Pq Mw Ib', insertWord);
// The helper stores 16 bytes by a mask: that of the high 8 is zero.
ins('np 0f f7 reg', 'maskmovq', 'Pq Nq', (c) => {
  c.b.emit('x86.maskmov', 0, [implicitDestination(c), widen(c, 0), widen(c, 1)]);
  enterMmx(c, null);
});
