/** Advanced SIMD integer instructions lane by lane: halving, differences, products, shifts by registers, counts, saturation. */
import type { Operand } from '../ir/block.ts';
import { CONST } from '../ir/layout.ts';
import type { LiftContext } from './lift.ts';
import { shapes } from './ops-simd-basic.ts';
import { ins } from './row.ts';
import { finish, narrowTo, shiftRows } from './rows-simd-basic.ts';
import { isWide, lowest, operand, scalarShift, sizeBits, threeSame, twoMisc } from './simd-forms.ts';

const all = [0, 1, 2, 3];
const upTo32 = [0, 1, 2];
const signs = [
  [0, 's'],
  [1, 'u'],
] as const;
const result = (c: LiftContext, op: string, inputs: Operand[], imm = 0): void => c.b.emit(op, c.v(c.d), inputs, imm);

for (const [u, sign] of signs) {
  for (const [opcode, name] of [
    ['00000', 'hadd'],
    ['00010', 'rhadd'],
    ['00100', 'hsub'],
    ['01110', 'abd'],
  ] as const)
    threeSame(u, opcode, `${sign}${name}`, upTo32, [], (c, size, a, b) =>
      result(c, `a64.${sign}${name}.${8 << size}`, [a, b]),
    );
  threeSame(u, '01111', `${sign}aba`, upTo32, [], (c, size, a, b) =>
    finish(c, `${shapes[size]}.add`, [c.v(c.d), c.b.value(`a64.${sign}abd.${8 << size}`, [a, b])]),
  );
  for (const [opcode, name, scalars] of [
    ['00001', 'qadd', all],
    ['00101', 'qsub', all],
    ['01000', 'shl', [3]],
    ['01001', 'qshl', all],
    ['01010', 'rshl', [3]],
    ['01011', 'qrshl', all],
  ] as const)
    threeSame(u, opcode, `${sign}${name}`, all, scalars, (c, size, a, b) =>
      result(c, `a64.${sign}${name}.${8 << size}`, [a, b]),
    );

  // Sums of neighbours, twice as wide.
  twoMisc(u, '00010', `${sign}addlp`, upTo32, [], (c, size, a) => result(c, `a64.${sign}addlp.${8 << size}`, [a]));
  twoMisc(u, '00110', `${sign}adalp`, upTo32, [], (c, size, a) =>
    finish(c, `${shapes[size + 1]}.add`, [c.v(c.d), c.b.value(`a64.${sign}addlp.${8 << size}`, [a])]),
  );
  twoMisc(u, '00011', u ? 'usqadd' : 'suqadd', all, all, (c, size, a, scalar) => {
    const d = scalar ? lowest(c, c.v(c.d), size) : operand(c, c.v(c.d));
    result(c, `a64.${sign}uqadd.${8 << size}`, [d, a]);
  });
  twoMisc(u, '00111', u ? 'sqneg' : 'sqabs', all, all, (c, size, a) =>
    result(c, `a64.${u ? 'qneg' : 'qabs'}.${8 << size}`, [a]),
  );
  twoMisc(u, '00100', u ? 'clz' : 'cls', upTo32, [], (c, size, a) => {
    // Zeros above 64 bits have leading zeros.
    finish(c, `a64.${u ? 'clz' : 'cls'}.${8 << size}`, [a]);
  });
  twoMisc(u, '11100', u ? 'ursqrte' : 'urecpe', [2], [], (c, _size, a) =>
    finish(c, `a64.${u ? 'ursqrte' : 'urecpe'}.32`, [a]),
  );

  // Shifts right by immediates, rounded, and their sums.
  const rounded = (c: LiftContext, size: number, count: number): Operand =>
    c.b.valueConst(`a64.${sign}rshr.${8 << size}`, [c.v(c.n)], count);
  shiftRows(u, '00100', `${sign}rshr`, true, 3, (c, size, count) => finish(c, 'mov.v128', [rounded(c, size, count)]));
  shiftRows(u, '00110', `${sign}rsra`, true, 3, (c, size, count) =>
    finish(c, `${shapes[size]}.add`, [c.v(c.d), rounded(c, size, count)]),
  );
  scalarShift(u, '00100', `${sign}rshr`, true, [3], (c, size, count) => {
    result(c, 'mov.v128', [rounded(c, size, count)]);
    c.zeroTop(c.d);
  });
  scalarShift(u, '00110', `${sign}rsra`, true, [3], (c, size, count) => {
    result(c, 'i64x2.add', [c.v(c.d), rounded(c, size, count)]);
    c.zeroTop(c.d);
  });
}

// Products.
threeSame(0, '10011', 'mul', upTo32, [], (c, size, a, b) => result(c, `${shapes[size]}.mul`, [a, b]));
threeSame(1, '10011', 'pmul', [0], [], (c, _size, a, b) => result(c, 'a64.pmul.8', [a, b]));
for (const [u, name, op] of [
  [0, 'mla', 'add'],
  [1, 'mls', 'sub'],
] as const)
  threeSame(u, '10010', name, upTo32, [], (c, size, a, b) =>
    finish(c, `${shapes[size]}.${op}`, [c.v(c.d), c.b.value(`${shapes[size]}.mul`, [a, b])]),
  );
for (const [u, name] of [
  [0, 'sqdmulh'],
  [1, 'sqrdmulh'],
] as const)
  threeSame(u, '10110', name, [1, 2], [1, 2], (c, size, a, b) => result(c, `a64.${name}.${8 << size}`, [a, b]));
ins('0 q 1 01110 01 10000 00101 10 nnnnn ddddd', 'rbit', (c) => finish(c, 'a64.rbit.v', [c.v(c.n)]));

// Saturating and narrowing.
for (const [u, opcode, name] of [
  [1, '10010', 'sqxtun'],
  [0, '10100', 'sqxtn'],
  [1, '10100', 'uqxtn'],
] as const)
  for (const size of upTo32) {
    const bits = sizeBits[size];
    const op = `a64.${name}.${8 << size}`;
    ins(`0 q ${u} 01110 ${bits} 10000 ${opcode} 10 nnnnn ddddd`, name, (c) => narrowed(c, c.b.value(op, [c.v(c.n)])));
    ins(`01 ${u} 11110 ${bits} 10000 ${opcode} 10 nnnnn ddddd`, name, (c) =>
      result(c, op, [lowest(c, c.v(c.n), size + 1)]),
    );
  }
/** A result in the low half of `from` to the half of the destination that Q says. */
function narrowed(c: LiftContext, from: Operand): void {
  if (isWide(c)) c.b.emit('mov.i64', c.v(c.d) + 8, [from]);
  else c.b.emit('v128.zext64', c.v(c.d), [from]);
}
// The same after a shift to the right in the wide lanes, whose sign and rounding the third column tells.
for (const [u, opcode, name, shift, narrow] of [
  [0, '10010', 'sqshrn', 's', 'sqxtn'],
  [1, '10010', 'uqshrn', 'u', 'uqxtn'],
  [1, '10000', 'sqshrun', 's', 'sqxtun'],
  [0, '10011', 'sqrshrn', 'sr', 'sqxtn'],
  [1, '10011', 'uqrshrn', 'ur', 'uqxtn'],
  [1, '10001', 'sqrshrun', 'sr', 'sqxtun'],
] as const) {
  const shifted = (c: LiftContext, size: number, from: Operand, count: number): Operand =>
    c.b.valueConst(
      shift.length > 1 ? `a64.${shift[0]}rshr.${16 << size}` : `${shapes[size + 1]}.shr_${shift}`,
      [from],
      count,
    );
  shiftRows(u, opcode, name, true, 2, (c, size, count) =>
    narrowed(c, c.b.value(`a64.${narrow}.${8 << size}`, [shifted(c, size, c.v(c.n), count)])),
  );
  scalarShift(u, opcode, name, true, upTo32, (c, size, count) =>
    result(c, `a64.${narrow}.${8 << size}`, [shifted(c, size, lowest(c, c.v(c.n), size + 1), count)]),
  );
}
shiftRows(0, '10001', 'rshrn', true, 2, (c, size, count) => {
  const wide = shapes[size + 1];
  const half = c.b.value(`${wide}.splat`, [c.b.constant(1n << BigInt(count - 1))]);
  const sum = c.b.value(`${wide}.add`, [c.v(c.n), half]);
  narrowTo(c, size, c.b.valueConst(`${wide}.shr_u`, [sum], count));
});

// Saturating shifts to the left.
for (const [u, opcode, name] of [
  [0, '01110', 'sqshl'],
  [1, '01110', 'uqshl'],
  [1, '01100', 'sqshlu'],
] as const) {
  shiftRows(u, opcode, name, false, 3, (c, size, count) =>
    result(c, `a64.${name}.imm.${8 << size}`, [operand(c, c.v(c.n)), CONST], count),
  );
  scalarShift(u, opcode, name, false, all, (c, size, count) =>
    result(c, `a64.${name}.imm.${8 << size}`, [lowest(c, c.v(c.n), size), CONST], count),
  );
}

// Shifts that leave the destination's other bits.
const insertion = (c: LiftContext, size: number, count: number, right: boolean): void => {
  const bits = BigInt(8 << size);
  const ones = (1n << bits) - 1n;
  const n = BigInt(count);
  const mask = right ? ones >> n : (ones << n) & ones;
  if (mask === 0n) {
    // Shifted out altogether.
    finish(c, 'mov.v128', [c.v(c.d)]);
    return;
  }
  const shifted =
    count === 0 ? c.v(c.n) : c.b.valueConst(`${shapes[size]}.${right ? 'shr_u' : 'shl'}`, [c.v(c.n)], count);
  const where = c.b.value(`${shapes[size]}.splat`, [c.b.constant(BigInt.asIntN(64, mask))]);
  finish(c, 'v128.bitselect', [shifted, c.v(c.d), where]);
};
for (const [opcode, name, right] of [
  ['01000', 'sri', true],
  ['01010', 'sli', false],
] as const) {
  shiftRows(1, opcode, name, right, 3, (c, size, count) => insertion(c, size, count, right));
  scalarShift(1, opcode, name, right, [3], (c, size, count) => {
    insertion(c, size, count, right);
    c.zeroTop(c.d);
  });
}
// SHLL shifts by the width of the lane.
for (const size of upTo32)
  ins(`0 q 1 01110 ${sizeBits[size]} 10000 10011 10 nnnnn ddddd`, 'shll', (c) => {
    const wide = c.b.value(`${shapes[size + 1]}.extend_${isWide(c) ? 'high' : 'low'}_${shapes[size]}_u`, [c.v(c.n)]);
    result(c, `${shapes[size + 1]}.shl`, [wide, CONST], 8 << size);
  });
