/** Advanced SIMD loads and stores of structures: LD1 to LD4, ST1 to ST4, LD1R to LD4R (Arm ARM, C4.1.94). */
import type { Operand } from '../ir/block.ts';
import { CONST } from '../ir/layout.ts';
import type { LiftContext } from './lift.ts';
import { ins, type Lift } from './row.ts';

/** Plain and post-indexed rows of one form; `bytes` is what the base advances by without Rm. */
function both(
  head: (post: boolean) => string,
  tail: string,
  mnemonic: string,
  lift: (c: LiftContext, base: Operand) => number | null,
): void {
  ins(`${head(false)} 00000 ${tail}`, mnemonic, (c) => {
    if (lift(c, c.xsp(c.n)) === null) c.undefined();
  });
  const post: Lift = (c) => {
    const base = c.xsp(c.n);
    const bytes = lift(c, base);
    if (bytes === null) return c.undefined();
    if (c.m === 31) c.b.emit('add.i64', base, [base, CONST], bytes);
    else c.b.emit('add.i64', base, [base, c.x(c.m)]);
  };
  ins(`${head(true)} mmmmm ${tail}`, mnemonic, post);
}
const register = (c: LiftContext, k: number): Operand => c.v((c.d + k) & 31);

// Multiple structures.
const multiple: [opcode: string, registers: number, structure: number][] = [
  ['0000', 4, 4],
  ['0010', 4, 1],
  ['0100', 3, 3],
  ['0110', 3, 1],
  ['0111', 1, 1],
  ['1000', 2, 2],
  ['1010', 2, 1],
];
for (const load of [true, false])
  for (const [opcode, registers, structure] of multiple)
    both(
      (post) => `0 q 001100${post ? 1 : 0} ${load ? 1 : 0} 0`,
      `${opcode} ss nnnnn ttttt`,
      `${load ? 'ld' : 'st'}${structure}`,
      (c, base) => {
        const q = c.u('q');
        const size = c.u('s');
        if (structure > 1 && size === 3 && !q) return null;
        const at = c.address(base);
        const bytes = registers * (q ? 16 : 8);
        const move = load ? loadMultiple : storeMultiple;
        move(c, at.base, at.disp, registers, structure, size, q === 1);
        return bytes;
      },
    );

function loadMultiple(
  c: LiftContext,
  base: Operand,
  disp: number,
  registers: number,
  structure: number,
  size: number,
  q: boolean,
): void {
  const { b } = c;
  const bits = 8 << size;
  const bytes = registers * (q ? 16 : 8);
  if (structure === 1) {
    // All but the last may not be written before the last is loaded.
    const op = q ? 'load.v128' : 'load.v128.z64';
    const step = q ? 16 : 8;
    const parts: Operand[] = [];
    for (let k = 0; k < registers - 1; k++) parts.push(b.value(op, [base], disp + k * step));
    b.emit(op, register(c, registers - 1), [base], disp + (registers - 1) * step);
    for (const [k, part] of parts.entries()) b.emit('mov.v128', register(c, k), [part]);
    return;
  }
  const parts: Operand[] = [];
  for (let k = 0; k < bytes; k += 16)
    parts.push(b.value(k + 8 === bytes ? 'load.v128.z64' : 'load.v128', [base], disp + k));
  if (structure === 3) {
    // Vector temporaries lie one after the other.
    const count = (q ? 16 : 8) >> size;
    for (let k = 0; k < 3; k++) {
      for (let e = 0; e < count; e++)
        b.emit(laneMoves[size]!, register(c, k) + (e << size), [parts[0]! + ((e * 3 + k) << size)]);
      if (!q) c.zeroTop((c.d + k) & 31);
    }
    return;
  }
  const zero = q ? 0 : b.value('i64x2.splat', [c.x(31)]);
  const split = (half: number, x: Operand, y: Operand): Operand => b.value(`a64.uzp${half}.${bits}`, [x, y]);
  const splitTo = (k: number, half: number, x: Operand, y: Operand): void =>
    b.emit(`a64.uzp${half}.${bits}`, register(c, k), [x, y]);
  if (structure === 2) {
    const second = q ? parts[1]! : zero;
    splitTo(0, 1, parts[0]!, second);
    splitTo(1, 2, parts[0]!, second);
    return;
  }
  const even = split(1, parts[0]!, parts[1]!);
  const odd = split(2, parts[0]!, parts[1]!);
  const evenAfter = q ? split(1, parts[2]!, parts[3]!) : zero;
  const oddAfter = q ? split(2, parts[2]!, parts[3]!) : zero;
  splitTo(0, 1, even, evenAfter);
  splitTo(2, 2, even, evenAfter);
  splitTo(1, 1, odd, oddAfter);
  splitTo(3, 2, odd, oddAfter);
}
/** Copies into one lane, the rest stays. */
const laneMoves = ['mov.i8', 'mov.i16', 'mov.l32', 'mov.i64'] as const;

function storeMultiple(
  c: LiftContext,
  base: Operand,
  disp: number,
  registers: number,
  structure: number,
  size: number,
  q: boolean,
): void {
  const { b } = c;
  const bits = 8 << size;
  const bytes = registers * (q ? 16 : 8);
  if (structure === 1) {
    const step = q ? 16 : 8;
    for (let k = 0; k < registers; k++)
      b.emit(q ? 'store.v128' : 'store.i64', 0, [base, register(c, k)], disp + k * step);
    return;
  }
  const zip = (half: number, x: Operand, y: Operand): Operand => b.value(`a64.zip${half}.${bits}`, [x, y]);
  let parts: Operand[];
  if (structure === 3) {
    const count = (q ? 16 : 8) >> size;
    parts = [b.vectorTemp(), b.vectorTemp(), b.vectorTemp()];
    for (let k = 0; k < 3; k++)
      for (let e = 0; e < count; e++)
        b.emit(laneMoves[size]!, parts[0]! + ((e * 3 + k) << size), [register(c, k) + (e << size)]);
  } else if (structure === 2) {
    const [x, y] = [register(c, 0), register(c, 1)];
    parts = [zip(1, x, y), zip(2, x, y)];
  } else {
    const [v0, v1, v2, v3] = [0, 1, 2, 3].map((k) => register(c, k)) as [Operand, Operand, Operand, Operand];
    const even = zip(1, v0, v2);
    const odd = zip(1, v1, v3);
    parts = [zip(1, even, odd), zip(2, even, odd)];
    if (q) {
      const evenHigh = zip(2, v0, v2);
      const oddHigh = zip(2, v1, v3);
      parts.push(zip(1, evenHigh, oddHigh), zip(2, evenHigh, oddHigh));
    }
  }
  for (let k = 0; k < bytes; k += 16)
    b.emit(k + 8 === bytes ? 'store.i64' : 'store.v128', 0, [base, parts[k / 16]!], disp + k);
}

// Single structures: one element of each register, or one element to all lanes.
const elementLoads = ['load.u8', 'load.u16', 'load.i32', 'load.i64'] as const;
const elementStores = ['store.i8', 'store.i16', 'store.i32', 'store.i64'] as const;
const splats = ['i8x16.splat', 'i16x8.splat', 'i32x4.splat', 'i64x2.splat'] as const;
for (const load of [true, false])
  for (let structure = 1; structure <= 4; structure++) {
    const r = (structure - 1) & 1;
    const o = (structure - 1) >> 1;
    const mnemonic = `${load ? 'ld' : 'st'}${structure}`;
    const head = (post: boolean): string => `0 q 001101${post ? 1 : 0} ${load ? 1 : 0} ${r}`;
    // The index is spelled by Q, S and what size leaves over.
    for (const [form, size] of [
      [`00${o} x ii nnnnn ttttt`, 0],
      [`01${o} x i0 nnnnn ttttt`, 1],
      [`10${o} x 00 nnnnn ttttt`, 2],
      [`10${o} 0 01 nnnnn ttttt`, 3],
    ] as const)
      both(head, form, mnemonic, (c, base) => {
        const low = size === 0 ? c.u('i') : size === 1 ? c.u('i') : 0;
        const bitsBelow = size === 0 ? 2 : size === 1 ? 1 : 0;
        const index = size === 3 ? c.u('q') : (((c.u('q') << 1) | c.u('x')) << bitsBelow) | low;
        const { base: slot, disp } = c.address(base);
        const lane = (k: number): Operand => register(c, k) + (index << size);
        const parts: Operand[] = [];
        for (let k = 0; k < structure; k++)
          if (load) parts.push(c.b.value(elementLoads[size]!, [slot], disp + (k << size)));
          else c.b.emit(elementStores[size]!, 0, [slot, lane(k)], disp + (k << size));
        for (const [k, part] of parts.entries()) c.b.emit(laneMoves[size]!, lane(k), [part]);
        return structure << size;
      });
    if (load)
      both(head, `11${o} 0 ss nnnnn ttttt`, `${mnemonic}r`, (c, base) => {
        const size = c.u('s');
        const { base: slot, disp } = c.address(base);
        const parts: Operand[] = [];
        for (let k = 0; k < structure; k++) parts.push(c.b.value(elementLoads[size]!, [slot], disp + (k << size)));
        for (const [k, part] of parts.entries()) {
          c.b.emit(splats[size]!, register(c, k), [part]);
          if (!c.u('q')) c.zeroTop((c.d + k) & 31);
        }
        return structure << size;
      });
  }
