/** Advanced SIMD instructions on three registers of different widths, by one element, and the products of four bytes. */
import type { Operand } from '../ir/block.ts';
import type { LiftContext } from './lift.ts';
import { shapes } from './ops-simd-basic.ts';
import { ins } from './row.ts';
import { finish, narrowTo } from './rows-simd-basic.ts';
import { halfOf, isWide, lowest, operand, sizeBits } from './simd-forms.ts';

const signs = [
  [0, 's'],
  [1, 'u'],
] as const;
const q = (c: LiftContext): string => (isWide(c) ? 'high' : 'low');
const result = (c: LiftContext, op: string, inputs: Operand[]): void => c.b.emit(op, c.v(c.d), inputs);

/** Rows of three registers of different widths; `size` is that of the narrow side. */
function different(
  u: number,
  opcode: string,
  name: string,
  sizes: readonly number[],
  act: (c: LiftContext, size: number) => void,
): void {
  for (const size of sizes)
    ins(`0 q ${u} 01110 ${sizeBits[size]} 1 mmmmm ${opcode} 00 nnnnn ddddd`, name, (c) => act(c, size));
}
const three = [0, 1, 2];

for (const [u, sign] of signs) {
  const extended = (c: LiftContext, size: number, slot: Operand): Operand =>
    c.b.value(`${shapes[size + 1]}.extend_${q(c)}_${shapes[size]}_${sign}`, [slot]);
  const product = (c: LiftContext, size: number, a: Operand, b: Operand): Operand =>
    c.b.value(`${shapes[size + 1]}.extmul_${q(c)}_${shapes[size]}_${sign}`, [a, b]);
  for (const [long, wide, name, op] of [
    ['0000', '0001', 'add', 'add'],
    ['0010', '0011', 'sub', 'sub'],
  ] as const) {
    different(u, long, `${sign}${name}l`, three, (c, size) =>
      result(c, `${shapes[size + 1]}.${op}`, [extended(c, size, c.v(c.n)), extended(c, size, c.v(c.m))]),
    );
    different(u, wide, `${sign}${name}w`, three, (c, size) =>
      result(c, `${shapes[size + 1]}.${op}`, [c.v(c.n), extended(c, size, c.v(c.m))]),
    );
  }
  const difference = (c: LiftContext, size: number): Operand => {
    const narrow = c.b.value(`a64.${sign}abd.${8 << size}`, [c.v(c.n), c.v(c.m)]);
    return c.b.value(`${shapes[size + 1]}.extend_${q(c)}_${shapes[size]}_u`, [narrow]);
  };
  different(u, '0101', `${sign}abal`, three, (c, size) =>
    result(c, `${shapes[size + 1]}.add`, [c.v(c.d), difference(c, size)]),
  );
  different(u, '0111', `${sign}abdl`, three, (c, size) => result(c, 'mov.v128', [difference(c, size)]));

  different(u, '1100', `${sign}mull`, three, (c, size) =>
    result(c, `${shapes[size + 1]}.extmul_${q(c)}_${shapes[size]}_${sign}`, [c.v(c.n), c.v(c.m)]),
  );
  for (const [opcode, name, op] of [
    ['1000', 'mlal', 'add'],
    ['1010', 'mlsl', 'sub'],
  ] as const)
    different(u, opcode, `${sign}${name}`, three, (c, size) =>
      result(c, `${shapes[size + 1]}.${op}`, [c.v(c.d), product(c, size, c.v(c.n), c.v(c.m))]),
    );

  // By one element.
  byElement(u, '1010', `${sign}mull`, (c, size, m) => result(c, 'mov.v128', [product(c, size, c.v(c.n), m)]));
  byElement(u, '0010', `${sign}mlal`, (c, size, m) =>
    result(c, `${shapes[size + 1]}.add`, [c.v(c.d), product(c, size, c.v(c.n), m)]),
  );
  byElement(u, '0110', `${sign}mlsl`, (c, size, m) =>
    result(c, `${shapes[size + 1]}.sub`, [c.v(c.d), product(c, size, c.v(c.n), m)]),
  );
}

/** Rows with an element of the third register; the act gets a vector of it. */
function byElement(
  u: number,
  opcode: string,
  name: string,
  act: (c: LiftContext, size: number, m: Operand) => void,
  scalar?: (c: LiftContext, size: number, m: Operand) => void,
): void {
  for (const size of [1, 2]) {
    const of = (c: LiftContext): Operand => {
      // M is the top bit of the register, or the lowest one of the index of 16-bit elements.
      const [l, m, h] = [(c.word >>> 21) & 1, (c.word >>> 20) & 1, (c.word >>> 11) & 1];
      const index = size === 1 ? h * 4 + l * 2 + m : h * 2 + l;
      const register = size === 1 ? c.m & 15 : c.m;
      return c.v(register) + (index << size);
    };
    const fields = 'e mmmmm';
    ins(`0 q ${u} 01111 ${sizeBits[size]} ${fields} ${opcode} f 0 nnnnn ddddd`, name, (c) =>
      act(c, size, c.b.value(`${shapes[size]}.splat`, [of(c)])),
    );
    if (scalar)
      ins(`01 ${u} 11111 ${sizeBits[size]} ${fields} ${opcode} f 0 nnnnn ddddd`, name, (c) =>
        scalar(c, size, lowest(c, of(c), size)),
      );
  }
}
byElement(0, '1000', 'mul', (c, size, m) => finish(c, `${shapes[size]}.mul`, [c.v(c.n), m]));
for (const [opcode, name, op] of [
  ['0000', 'mla', 'add'],
  ['0100', 'mls', 'sub'],
] as const)
  byElement(1, opcode, name, (c, size, m) =>
    finish(c, `${shapes[size]}.${op}`, [c.v(c.d), c.b.value(`${shapes[size]}.mul`, [c.v(c.n), m])]),
  );
for (const [opcode, name] of [
  ['1100', 'sqdmulh'],
  ['1101', 'sqrdmulh'],
] as const) {
  byElement(
    0,
    opcode,
    name,
    (c, size, m) => finish(c, `a64.${name}.${8 << size}`, [operand(c, c.v(c.n)), m]),
    (c, size, m) => result(c, `a64.${name}.${8 << size}`, [lowest(c, c.v(c.n), size), m]),
  );
}

// Saturating products: twice the product, in twice the width.
for (const [opcode, element, name] of [
  ['1001', '0011', 'sqdmlal'],
  ['1011', '0111', 'sqdmlsl'],
  ['1101', '1011', 'sqdmull'],
] as const) {
  different(0, opcode, name, [1, 2], (c, size) =>
    result(c, `a64.${name}.${8 << size}`, [halfOf(c, c.v(c.n)), halfOf(c, c.v(c.m)), c.v(c.d)]),
  );
  const scalar = (c: LiftContext, size: number, m: Operand): void =>
    result(c, `a64.${name}.${8 << size}`, [lowest(c, c.v(c.n), size), m, lowest(c, c.v(c.d), size + 1)]);
  for (const size of [1, 2])
    ins(`01 0 11110 ${sizeBits[size]} 1 mmmmm ${opcode} 00 nnnnn ddddd`, name, (c) =>
      scalar(c, size, lowest(c, c.v(c.m), size)),
    );
  byElement(
    0,
    element,
    name,
    (c, size, m) => result(c, `a64.${name}.${8 << size}`, [halfOf(c, c.v(c.n)), m, c.v(c.d)]),
    scalar,
  );
}

// Upper halves of sums and differences.
for (const [u, rounding] of [
  [0, ''],
  [1, 'r'],
] as const)
  for (const [opcode, name, op] of [
    ['0100', 'addhn', 'add'],
    ['0110', 'subhn', 'sub'],
  ] as const)
    different(u, opcode, `${rounding}${name}`, three, (c, size) => {
      const wide = shapes[size + 1];
      let sum = c.b.value(`${wide}.${op}`, [c.v(c.n), c.v(c.m)]);
      if (u) {
        const half = c.b.value(`${wide}.splat`, [c.b.constant(1n << BigInt((8 << size) - 1))]);
        sum = c.b.value(`${wide}.add`, [sum, half]);
      }
      narrowTo(c, size, c.b.valueConst(`${wide}.shr_u`, [sum], 8 << size));
    });

different(0, '1110', 'pmull', [0], (c) => result(c, 'a64.pmull.8', [halfOf(c, c.v(c.n)), halfOf(c, c.v(c.m))]));

// Rounding doubling products, accumulated (FEAT_RDM).
for (const [bit, name, element] of [
  ['0', 'sqrdmlah', '1101'],
  ['1', 'sqrdmlsh', '1111'],
] as const) {
  const scalar = (c: LiftContext, size: number, m: Operand): void =>
    result(c, `a64.${name}.${8 << size}`, [lowest(c, c.v(c.n), size), m, lowest(c, c.v(c.d), size)]);
  const vector = (c: LiftContext, size: number, m: Operand): void =>
    finish(c, `a64.${name}.${8 << size}`, [operand(c, c.v(c.n)), m, operand(c, c.v(c.d))]);
  for (const size of [1, 2]) {
    ins(`0 q 1 01110 ${sizeBits[size]} 0 mmmmm 1000 ${bit} 1 nnnnn ddddd`, name, (c) =>
      vector(c, size, operand(c, c.v(c.m))),
    );
    ins(`01 1 11110 ${sizeBits[size]} 0 mmmmm 1000 ${bit} 1 nnnnn ddddd`, name, (c) =>
      scalar(c, size, lowest(c, c.v(c.m), size)),
    );
  }
  byElement(1, element, name, vector, scalar);
}

// Sums of four products of bytes (FEAT_DotProd).
for (const [u, sign] of signs) {
  const dot = (c: LiftContext, m: Operand): void => finish(c, `a64.${sign}dot`, [c.v(c.d), c.v(c.n), m]);
  ins(`0 q ${u} 01110 10 0 mmmmm 1001 0 1 nnnnn ddddd`, `${sign}dot`, (c) => dot(c, c.v(c.m)));
  ins(`0 q ${u} 01111 10 L mmmmm 1110 H 0 nnnnn ddddd`, `${sign}dot`, (c) => {
    const index = c.u('H') * 2 + c.u('L');
    dot(c, c.b.value('i32x4.splat', [c.v(c.m) + index * 4]));
  });
}
