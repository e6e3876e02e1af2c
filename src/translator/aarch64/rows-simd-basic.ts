/**
 * Plain Advanced SIMD integer instructions: bitwise, comparisons, sums, extremes, permutations, table lookup, shifts by
 * immediates and narrowing (Arm ARM, C4.1.96). The saturating, rounding, widening and multiplying ones are elsewhere.
 */
import type { Operand } from '../ir/block.ts';
import { CONST } from '../ir/layout.ts';
import type { LiftContext } from './lift.ts';
import { shapes } from './ops-simd-basic.ts';
import { ins } from './row.ts';

/** Writes a vector result whose upper half is cleared if the instruction works on 64 bits. */
export function finish(c: LiftContext, op: string, inputs: Operand[], imm: number | bigint = 0): void {
  c.b.emit(op, c.v(c.d), inputs, imm);
  if (!(c.word & 0x4000_0000)) c.zeroTop(c.d);
}
/** Pairwise ops on 64 bits want both operands' low halves in one vector. */
function halves(c: LiftContext, a: Operand, b: Operand): Operand {
  const t = c.b.vectorTemp();
  c.b.emit('mov.i64', t, [a]);
  c.b.emit('mov.i64', t + 8, [b]);
  return t;
}
const sizes = ['00', '01', '10', '11'] as const;
const q1 = (c: LiftContext): boolean => (c.word & 0x4000_0000) !== 0;

// Three of the same: bitwise.
const bitwise = (u: number, size: string, name: string, act: (c: LiftContext) => void): void =>
  ins(`0 q ${u} 01110 ${size} 1 mmmmm 000111 nnnnn ddddd`, name, act);
const two = (op: string) => (c: LiftContext) => finish(c, op, [c.v(c.n), c.v(c.m)]);
bitwise(0, '00', 'and', two('v128.and'));
bitwise(0, '01', 'bic', two('v128.andnot'));
bitwise(0, '10', 'orr', (c) => (c.n === c.m ? finish(c, 'mov.v128', [c.v(c.n)]) : two('v128.or')(c)));
bitwise(0, '11', 'orn', (c) => finish(c, 'v128.or', [c.v(c.n), c.b.value('v128.not', [c.v(c.m)])]));
bitwise(1, '00', 'eor', two('v128.xor'));
bitwise(1, '01', 'bsl', (c) => finish(c, 'v128.bitselect', [c.v(c.n), c.v(c.m), c.v(c.d)]));
bitwise(1, '10', 'bit', (c) => finish(c, 'v128.bitselect', [c.v(c.n), c.v(c.d), c.v(c.m)]));
bitwise(1, '11', 'bif', (c) => finish(c, 'v128.bitselect', [c.v(c.d), c.v(c.n), c.v(c.m)]));

// Three of the same: lane by lane. `op` null where the size is not there.
function same(u: number, opcode: string, name: string, op: (size: number) => string | null, scalar: boolean): void {
  for (const [size, bits] of sizes.entries()) {
    const ir = op(size);
    if (ir === null) continue;
    ins(`0 q ${u} 01110 ${bits} 1 mmmmm ${opcode} 1 nnnnn ddddd`, name, (c) => {
      if (size === 3 && !q1(c)) return c.undefined();
      finish(c, ir, [c.v(c.n), c.v(c.m)]);
    });
    if (scalar && size === 3)
      ins(`01 ${u} 11110 11 1 mmmmm ${opcode} 1 nnnnn ddddd`, name, (c) => {
        c.b.emit(ir, c.v(c.d), [c.v(c.n), c.v(c.m)]);
        c.zeroTop(c.d);
      });
  }
}
const lane = (op: string) => (size: number) => `${shapes[size]}.${op}`;
const narrow = (op: string) => (size: number) => (size === 3 ? null : `${shapes[size]}.${op}`);
same(0, '10000', 'add', lane('add'), true);
same(1, '10000', 'sub', lane('sub'), true);
same(1, '10001', 'cmeq', lane('eq'), true);
same(0, '10001', 'cmtst', (size) => `a64.cmtst.${8 << size}`, true);
same(0, '00110', 'cmgt', lane('gt_s'), true);
same(0, '00111', 'cmge', lane('ge_s'), true);
same(1, '00110', 'cmhi', (size) => (size === 3 ? 'a64.gt_u.64' : `${shapes[size]}.gt_u`), true);
same(1, '00111', 'cmhs', (size) => (size === 3 ? 'a64.ge_u.64' : `${shapes[size]}.ge_u`), true);
same(0, '01100', 'smax', narrow('max_s'), false);
same(0, '01101', 'smin', narrow('min_s'), false);
same(1, '01100', 'umax', narrow('max_u'), false);
same(1, '01101', 'umin', narrow('min_u'), false);

// Three of the same: neighbours of both operands, one after the other.
function pairwise(u: number, opcode: string, name: string, op: (size: number) => string | null): void {
  for (const [size, bits] of sizes.entries()) {
    const ir = op(size);
    if (ir === null) continue;
    ins(`0 q ${u} 01110 ${bits} 1 mmmmm ${opcode} 1 nnnnn ddddd`, name, (c) => {
      const wide = q1(c);
      if (size === 3 && !wide) return c.undefined();
      const both = wide ? null : halves(c, c.v(c.n), c.v(c.m));
      const [a, b] = both === null ? [c.v(c.n), c.v(c.m)] : [both, both];
      const even = c.b.value(`a64.uzp1.${8 << size}`, [a, b]);
      const odd = c.b.value(`a64.uzp2.${8 << size}`, [a, b]);
      finish(c, ir, [even, odd]);
    });
  }
}
pairwise(0, '10111', 'addp', lane('add'));
pairwise(0, '10100', 'smaxp', narrow('max_s'));
pairwise(0, '10101', 'sminp', narrow('min_s'));
pairwise(1, '10100', 'umaxp', narrow('max_u'));
pairwise(1, '10101', 'uminp', narrow('min_u'));
ins('01 0 11110 11 11000 11011 10 nnnnn ddddd', 'addp', (c) => {
  const sum = c.b.value('add.i64', [c.v(c.n), c.v(c.n) + 8]);
  c.b.emit('v128.zext64', c.v(c.d), [sum]);
});

// Two registers: comparisons with zero, counts, reversals.
function compareZero(u: number, opcode: string, name: string, compare: string): void {
  const zero = (c: LiftContext): Operand => c.b.value('i64x2.splat', [c.x(31)]);
  for (const [size, bits] of sizes.entries()) {
    const ir = `${shapes[size]}.${compare}`;
    ins(`0 q ${u} 01110 ${bits} 10000 ${opcode} 10 nnnnn ddddd`, name, (c) => {
      if (size === 3 && !q1(c)) return c.undefined();
      finish(c, ir, [c.v(c.n), zero(c)]);
    });
  }
  ins(`01 ${u} 11110 11 10000 ${opcode} 10 nnnnn ddddd`, name, (c) => {
    c.b.emit(`i64x2.${compare}`, c.v(c.d), [c.v(c.n), zero(c)]);
    c.zeroTop(c.d);
  });
}
compareZero(0, '01000', 'cmgt', 'gt_s');
compareZero(1, '01000', 'cmge', 'ge_s');
compareZero(0, '01001', 'cmeq', 'eq');
compareZero(1, '01001', 'cmle', 'le_s');
compareZero(0, '01010', 'cmlt', 'lt_s');
ins('0 q 1 01110 00 10000 00101 10 nnnnn ddddd', 'not', (c) => finish(c, 'v128.not', [c.v(c.n)]));
ins('0 q 0 01110 00 10000 00101 10 nnnnn ddddd', 'cnt', (c) => finish(c, 'i8x16.popcnt', [c.v(c.n)]));
for (const [u, opcode, container] of [
  [0, '00000', 64],
  [1, '00000', 32],
  [0, '00001', 16],
] as const)
  for (const [size, bits] of sizes.entries())
    if (8 << size < container)
      ins(`0 q ${u} 01110 ${bits} 10000 ${opcode} 10 nnnnn ddddd`, `rev${container}`, (c) =>
        finish(c, `a64.rev${container}.${8 << size}`, [c.v(c.n), c.v(c.n)]),
      );
for (const [u, name] of [
  [0, 'abs'],
  [1, 'neg'],
] as const) {
  for (const [size, bits] of sizes.entries())
    ins(`0 q ${u} 01110 ${bits} 10000 01011 10 nnnnn ddddd`, name, (c) => {
      if (size === 3 && !q1(c)) return c.undefined();
      finish(c, `${shapes[size]}.${name}`, [c.v(c.n)]);
    });
  ins(`01 ${u} 11110 11 10000 01011 10 nnnnn ddddd`, name, (c) => {
    c.b.emit(`i64x2.${name}`, c.v(c.d), [c.v(c.n)]);
    c.zeroTop(c.d);
  });
}
// Narrowing: the even parts; the second form writes the upper half and leaves the lower one.
/** Low halves of the lanes of `from` to the lower or upper half of the destination. */
export function narrowTo(c: LiftContext, size: number, from: Operand): void {
  const parts = c.b.value(`a64.uzp1.${8 << size}`, [from, from]);
  if (q1(c)) c.b.emit('mov.i64', c.v(c.d) + 8, [parts]);
  else c.b.emit('v128.zext64', c.v(c.d), [parts]);
}
for (const [size, bits] of ['00', '01', '10'].entries())
  ins(`0 q 0 01110 ${bits} 10000 10010 10 nnnnn ddddd`, 'xtn', (c) => narrowTo(c, size, c.v(c.n)));

// Across lanes.
for (const [size, bits] of ['00', '01', '10'].entries())
  for (const [u, opcode, name, op] of [
    [0, '11011', 'addv', 'addv'],
    [0, '00011', 'saddlv', 'addlv_s'],
    [1, '00011', 'uaddlv', 'addlv_u'],
    [0, '01010', 'smaxv', 'smaxv'],
    [1, '01010', 'umaxv', 'umaxv'],
    [0, '11010', 'sminv', 'sminv'],
    [1, '11010', 'uminv', 'uminv'],
  ] as const)
    ins(`0 q ${u} 01110 ${bits} 11000 ${opcode} 10 nnnnn ddddd`, name, (c) => {
      if (size === 2 && !q1(c)) return c.undefined();
      const r = c.b.value(`a64.${op}.${8 << size}.${q1(c) ? 1 : 0}`, [c.v(c.n)]);
      // The result has the size of a lane, of two for sums "long".
      const log2 = op.startsWith('addlv') ? size + 1 : size;
      const cut = log2 < 2 ? c.b.valueConst('and.i32', [r], log2 === 0 ? 0xff : 0xffff) : r;
      c.b.emit(log2 === 3 ? 'v128.zext64' : 'v128.zext32', c.v(c.d), [cut]);
    });

// Permutations.
for (const [size, bits] of sizes.entries())
  for (const [opcode, name] of [
    ['001', 'uzp1'],
    ['010', 'trn1'],
    ['011', 'zip1'],
    ['101', 'uzp2'],
    ['110', 'trn2'],
    ['111', 'zip2'],
  ] as const)
    ins(`0 q 0 01110 ${bits} 0 mmmmm 0 ${opcode} 10 nnnnn ddddd`, name, (c) => {
      if (size === 3 && !q1(c)) return c.undefined();
      const op = `a64.${name}.${8 << size}`;
      if (q1(c) || name.startsWith('trn')) return finish(c, op, [c.v(c.n), c.v(c.m)]);
      if (name === 'zip1') return finish(c, op, [c.v(c.n), c.v(c.m)]);
      if (name === 'zip2') {
        // The upper halves of 64 bits are the second 64 bits of the full interleaving of the lower halves.
        const all = c.b.value(`a64.zip1.${8 << size}`, [c.v(c.n), c.v(c.m)]);
        return c.b.emit('v128.zext64', c.v(c.d), [all + 8]);
      }
      const both = halves(c, c.v(c.n), c.v(c.m));
      finish(c, op, [both, both]);
    });
ins('0 q 1 01110 00 0 mmmmm 0 iiii 0 nnnnn ddddd', 'ext', (c) => {
  const at = c.u('i');
  if (!q1(c)) {
    if (at > 7) return c.undefined();
    const both = halves(c, c.v(c.n), c.v(c.m));
    if (at === 0) return finish(c, 'mov.v128', [c.v(c.n)]);
    return finish(c, `a64.ext.${at}`, [both, both]);
  }
  if (at === 0) c.b.emit('mov.v128', c.v(c.d), [c.v(c.n)]);
  else c.b.emit(`a64.ext.${at}`, c.v(c.d), [c.v(c.n), c.v(c.m)]);
});

// Table lookup. Wasm's swizzle gives 0 for every index of 16 and more, so that each register of the table has its turn.
for (const extend of [0, 1])
  for (let registers = 1; registers <= 4; registers++)
    ins(
      `0 q 0 01110 00 0 mmmmm 0 ${(registers - 1).toString(2).padStart(2, '0')} ${extend} 00 nnnnn ddddd`,
      extend ? 'tbx' : 'tbl',
      (c) => {
        const { b } = c;
        const index = c.v(c.m);
        let result: Operand | null = null;
        for (let k = 0; k < registers; k++) {
          const at = k === 0 ? index : b.value('i8x16.sub', [index, b.value('i8x16.splat', [b.constant(k * 16)])]);
          const part = b.value('i8x16.swizzle', [c.v((c.n + k) & 31), at]);
          result = result === null ? part : b.value('v128.or', [result, part]);
        }
        if (!extend) return finish(c, 'mov.v128', [result!]);
        const inside = b.value('i8x16.lt_u', [index, b.value('i8x16.splat', [b.constant(registers * 16)])]);
        finish(c, 'v128.bitselect', [result!, c.v(c.d), inside]);
      },
    );

// Shifts by immediates: immh's highest bit gives the size, and the count is in the rest.
const immediateForms = [
  ['0001 iii', 0],
  ['001 iiii', 1],
  ['01 iiiii', 2],
  ['1 iiiiii', 3],
] as const;
/** Rows for a vector shift; `act` gets the size, and the count to the right or left. */
export function shiftRows(
  u: number,
  opcode: string,
  name: string,
  right: boolean,
  most: number,
  act: (c: LiftContext, size: number, count: number) => void,
): void {
  for (const [form, size] of immediateForms) {
    if (size > most) continue;
    const bits = 8 << size;
    ins(`0 q ${u} 011110 ${form} ${opcode} 1 nnnnn ddddd`, name, (c) => {
      if (size === 3 && !q1(c)) return c.undefined();
      act(c, size, right ? bits - c.u('i') : c.u('i'));
    });
  }
}
/** A lane shift to the right that may be by the whole width. */
export function shiftRight(c: LiftContext, size: number, signed: boolean, from: Operand, count: number): Operand {
  const bits = 8 << size;
  if (count === bits && !signed) return c.b.value('i64x2.splat', [c.x(31)]);
  return c.b.valueConst(`${shapes[size]}.shr_${signed ? 's' : 'u'}`, [from], Math.min(count, bits - 1));
}
for (const [u, name] of [
  [0, 'sshr'],
  [1, 'ushr'],
] as const) {
  shiftRows(u, '00000', name, true, 3, (c, size, count) =>
    finish(c, 'mov.v128', [shiftRight(c, size, u === 0, c.v(c.n), count)]),
  );
  ins(`01 ${u} 111110 1 iiiiii 00000 1 nnnnn ddddd`, name, (c) => {
    c.b.emit('mov.v128', c.v(c.d), [shiftRight(c, 3, u === 0, c.v(c.n), 64 - c.u('i'))]);
    c.zeroTop(c.d);
  });
  const accumulate = u === 0 ? 'ssra' : 'usra';
  shiftRows(u, '00010', accumulate, true, 3, (c, size, count) =>
    finish(c, `${shapes[size]}.add`, [c.v(c.d), shiftRight(c, size, u === 0, c.v(c.n), count)]),
  );
  ins(`01 ${u} 111110 1 iiiiii 00010 1 nnnnn ddddd`, accumulate, (c) => {
    c.b.emit('i64x2.add', c.v(c.d), [c.v(c.d), shiftRight(c, 3, u === 0, c.v(c.n), 64 - c.u('i'))]);
    c.zeroTop(c.d);
  });
  // Widening: the lower or the upper half.
  shiftRows(u, '10100', u === 0 ? 'sshll' : 'ushll', false, 2, (c, size, count) => {
    const op = `${shapes[size + 1]}.extend_${q1(c) ? 'high' : 'low'}_${shapes[size]}_${u === 0 ? 's' : 'u'}`;
    if (count === 0) c.b.emit(op, c.v(c.d), [c.v(c.n)]);
    else c.b.emit(`${shapes[size + 1]}.shl`, c.v(c.d), [c.b.value(op, [c.v(c.n)]), CONST], count);
  });
}
shiftRows(0, '01010', 'shl', false, 3, (c, size, count) => finish(c, `${shapes[size]}.shl`, [c.v(c.n), CONST], count));
ins('01 0 111110 1 iiiiii 01010 1 nnnnn ddddd', 'shl', (c) => {
  c.b.emit('i64x2.shl', c.v(c.d), [c.v(c.n), CONST], c.u('i'));
  c.zeroTop(c.d);
});
shiftRows(0, '10000', 'shrn', true, 2, (c, size, count) =>
  narrowTo(c, size, c.b.valueConst(`${shapes[size + 1]}.shr_u`, [c.v(c.n)], count)),
);
