/** Data processing, register (Arm ARM, C4.1.95). */
import type { Operand } from '../ir/block.ts';
import { CONST } from '../ir/layout.ts';
import type { LiftContext, Width } from './lift.ts';
import { ins, type Lift } from './row.ts';

const shifts = ['shl', 'shr_u', 'shr_s', 'rotr'] as const;

/** Rm shifted by an immediate; null when the amount is reserved. */
function shifted(c: LiftContext): Operand | null {
  const amount = c.u('i');
  if (amount >= c.bits) return null;
  const m = c.x(c.m);
  return amount === 0 ? m : c.b.valueConst(`${shifts[c.u('s')]!}.${c.w}`, [m], amount);
}

// Logical, shifted register. Rows of the same name differ in bit 21, which inverts Rm.
const logical =
  (name: 'and' | 'or' | 'xor', invert: boolean, setFlags: boolean): Lift =>
  (c) => {
    const { w, b } = c;
    let m = shifted(c);
    if (m === null) return c.undefined();
    const n = c.x(c.n);
    if (name === 'or' && c.n === 31) {
      if (invert) b.emit(`xor.${w}`, c.to(c.d), [m, CONST], -1);
      else b.emit(`mov.${w}`, c.to(c.d), [m]);
      return;
    }
    if (invert) m = b.valueConst(`xor.${w}`, [m], -1);
    if (!setFlags) return b.emit(`${name}.${w}`, c.to(c.d), [n, m]);
    const r = n === m ? n : b.value(`${name}.${w}`, [n, m]);
    c.flags('logic', w, [r]);
    if (c.d !== 31) b.emit(`mov.${w}`, c.x(c.d), [r]);
  };
for (const [opc, name, op] of [
  ['00', 'and', 'and'],
  ['01', 'orr', 'or'],
  ['10', 'eor', 'xor'],
  ['11', 'ands', 'and'],
] as const)
  for (const invert of [false, true])
    ins(
      `z ${opc} 01010 ss ${invert ? 1 : 0} mmmmm iiiiii nnnnn ddddd`,
      invert ? { and: 'bic', orr: 'orn', eor: 'eon', ands: 'bics' }[name] : name,
      logical(op, invert, name === 'ands'),
    );

// Add and subtract, shifted and extended register.
function addSub(c: LiftContext, name: 'add' | 'sub', setFlags: boolean, d: Operand, n: Operand, m: Operand): void {
  if (setFlags) c.flags(name, c.w, [n, m]);
  c.b.emit(`${name}.${c.w}`, d, [n, m]);
}
/** Rm extended and shifted left by 0 to 4. */
export function extended(c: LiftContext, option: number, amount: number, w: Width): Operand {
  const m = c.x(c.m);
  const { b } = c;
  let v: Operand;
  switch (option) {
    case 0:
      v = b.valueConst('and.i32', [m], 0xff);
      break;
    case 1:
      v = b.valueConst('and.i32', [m], 0xffff);
      break;
    case 2:
      v = w === 'i64' ? b.value('mov.i32', [m]) : m;
      break;
    case 4:
      v = b.value(`ext.s8.${w}`, [m]);
      break;
    case 5:
      v = b.value(`ext.s16.${w}`, [m]);
      break;
    case 6:
      v = w === 'i64' ? b.value('ext.s32.i64', [m]) : m;
      break;
    default:
      v = m;
  }
  return amount === 0 ? v : b.valueConst(`shl.${w}`, [v], amount);
}
for (const [op, name] of [
  ['0', 'add'],
  ['1', 'sub'],
] as const)
  for (const s of [0, 1]) {
    const mnemonic = s ? `${name}s` : name;
    ins(`z ${op} ${s} 01011 ss 0 mmmmm iiiiii nnnnn ddddd`, mnemonic, (c) => {
      if (c.u('s') === 3) return c.undefined();
      const m = shifted(c);
      if (m === null) return c.undefined();
      addSub(c, name, s === 1, c.to(c.d), c.x(c.n), m);
    });
    ins(`z ${op} ${s} 01011 00 1 mmmmm ooo iii nnnnn ddddd`, mnemonic, (c) => {
      const amount = c.u('i');
      if (amount > 4) return c.undefined();
      const m = extended(c, c.u('o'), amount, c.w);
      addSub(c, name, s === 1, s ? c.to(c.d) : c.xsp(c.d), c.xsp(c.n), m);
    });
  }

// Add and subtract with carry: a - b - !C is a + ~b + C.
for (const subtract of [false, true])
  for (const s of [0, 1])
    ins(
      `z ${subtract ? 1 : 0} ${s} 11010000 mmmmm 000000 nnnnn ddddd`,
      (subtract ? 'sbc' : 'adc') + (s ? 's' : ''),
      (c) => {
        const { w, b } = c;
        const n = c.x(c.n);
        const m = subtract ? b.valueConst(`xor.${w}`, [c.x(c.m)], -1) : c.x(c.m);
        const r = b.value(`add.${w}`, [b.value(`add.${w}`, [n, m]), c.carry()]);
        if (s) c.flags('adc', w, [n, m, r]);
        b.emit(`mov.${w}`, c.to(c.d), [r]);
      },
    );

/**
 * Operands whose difference has the flags `nzcv`, where there are any: so a conditional comparison is a selection of
 * operands, and conditions on its outcome stay single comparisons.
 */
function differenceWith(nzcv: number, bits: 32 | 64): { a: bigint; b: bigint } | null {
  const least = -(1n << BigInt(bits - 1));
  switch (nzcv) {
    case 0:
      return { a: 0n, b: -1n };
    case 2:
      return { a: 1n, b: 0n };
    case 3:
      return { a: least, b: 1n };
    case 6:
      return { a: 0n, b: 0n };
    case 8:
      return { a: 0n, b: 1n };
    case 9:
      return { a: -least - 1n, b: -1n };
    case 10:
      return { a: -1n, b: 0n };
    default:
      return null;
  }
}
function conditionalCompare(c: LiftContext, name: 'add' | 'sub', m: Operand, imm: number): void {
  const { w, b, bits } = c;
  const nzcv = c.u('f');
  const holds = c.conditionValue(c.u('c'));
  const n = c.x(c.n);
  const other = m === CONST ? b.constant(imm) : m;
  const pair = differenceWith(nzcv, bits);
  if (name === 'sub' && pair) {
    const x = b.valueConst(`select.${w}`, [holds, n], pair.a);
    const y = b.valueConst(`select.${w}`, [holds, other], pair.b);
    c.flags('sub', w, [x, y]);
    return;
  }
  const r = b.value(`${name}.${w}`, [n, other]);
  const y = name === 'sub' ? b.valueConst(`xor.${w}`, [other], -1) : other;
  const sum = sumWith(nzcv, bits);
  if (sum) {
    c.flags('adc', w, [
      b.valueConst(`select.${w}`, [holds, n], sum.a),
      b.valueConst(`select.${w}`, [holds, y], sum.b),
      b.valueConst(`select.${w}`, [holds, r], sum.r),
    ]);
    return;
  }
  c.flags('adc', w, [n, y, r]);
  c.setNzcv(b.valueConst('select.i32', [holds, b.value('a64.nzcv', [])], (nzcv << 28) | 0));
}
/** The same for a sum with carry, whose result can be given apart from the operands. */
function sumWith(nzcv: number, bits: 32 | 64): { a: bigint; b: bigint; r: bigint } | null {
  const top = -(1n << BigInt(bits - 1));
  const negative = (nzcv & 8) !== 0;
  const carry = (nzcv & 2) !== 0;
  if (negative && nzcv & 4) return null;
  const r = negative ? top : nzcv & 4 ? 0n : 1n;
  // Overflow: both operands have the other sign than the result, which settles the carry.
  if (nzcv & 1) return carry === negative ? null : negative ? { a: 0n, b: 0n, r } : { a: top, b: top, r };
  // Operands of two signs carry unless the result is negative.
  if (carry !== negative) return { a: top, b: 0n, r };
  return negative ? { a: top, b: top, r } : { a: 0n, b: 0n, r };
}
for (const [op, name, mnemonic] of [
  ['0', 'add', 'ccmn'],
  ['1', 'sub', 'ccmp'],
] as const) {
  ins(`z ${op} 1 11010010 mmmmm cccc 0 0 nnnnn 0 ffff`, mnemonic, (c) => conditionalCompare(c, name, c.x(c.m), 0));
  ins(`z ${op} 1 11010010 iiiii cccc 1 0 nnnnn 0 ffff`, mnemonic, (c) => conditionalCompare(c, name, CONST, c.u('i')));
}

// Conditional select.
const select =
  (increment: boolean, invert: boolean): Lift =>
  (c) => {
    const { w, b } = c;
    const code = c.u('c');
    const d = c.to(c.d);
    // CSET and CSETM.
    if (c.n === 31 && c.m === 31 && increment !== invert) {
      const negative = code < 14 ? code ^ 1 : -1;
      if (negative >= 0) {
        if (increment) c.conditionValue(negative, d);
        else b.emit(`sub.${w}`, d, [c.x(31), c.conditionValue(negative)]);
        return;
      }
    }
    let m = c.x(c.m);
    if (increment && invert) m = b.value(`sub.${w}`, [c.x(31), m]);
    else if (increment) m = b.valueConst(`add.${w}`, [m], 1);
    else if (invert) m = b.valueConst(`xor.${w}`, [m], -1);
    b.emit(`select.${w}`, d, [c.conditionValue(code), c.x(c.n), m]);
  };
ins('z 0 0 11010100 mmmmm cccc 00 nnnnn ddddd', 'csel', select(false, false));
ins('z 0 0 11010100 mmmmm cccc 01 nnnnn ddddd', 'csinc', select(true, false));
ins('z 1 0 11010100 mmmmm cccc 00 nnnnn ddddd', 'csinv', select(false, true));
ins('z 1 0 11010100 mmmmm cccc 01 nnnnn ddddd', 'csneg', select(true, true));

// Three sources.
ins('z 00 11011 000 mmmmm 0 aaaaa nnnnn ddddd', 'madd', (c) => {
  const { w, b } = c;
  if (c.a === 31) return b.emit(`mul.${w}`, c.to(c.d), [c.x(c.n), c.x(c.m)]);
  b.emit(`add.${w}`, c.to(c.d), [c.x(c.a), b.value(`mul.${w}`, [c.x(c.n), c.x(c.m)])]);
});
ins('z 00 11011 000 mmmmm 1 aaaaa nnnnn ddddd', 'msub', (c) => {
  const { w, b } = c;
  b.emit(`sub.${w}`, c.to(c.d), [c.x(c.a), b.value(`mul.${w}`, [c.x(c.n), c.x(c.m)])]);
});
for (const [u, name, ext] of [
  ['0', 's', 'ext.s32.i64'],
  ['1', 'u', 'mov.i32'],
] as const)
  for (const [o, op, suffix] of [
    ['0', 'add', 'maddl'],
    ['1', 'sub', 'msubl'],
  ] as const)
    ins(`1 00 11011 ${u} 01 mmmmm ${o} aaaaa nnnnn ddddd`, `${name}${suffix}`, (c) => {
      const { b } = c;
      const product = [b.value(ext, [c.x(c.n)]), b.value(ext, [c.x(c.m)])];
      if (c.a === 31 && op === 'add') return b.emit('mul.i64', c.to(c.d), product);
      b.emit(`${op}.i64`, c.to(c.d), [c.x(c.a), b.value('mul.i64', product)]);
    });
ins('1 00 11011 010 mmmmm 0 ----- nnnnn ddddd', 'smulh', (c) =>
  c.b.emit('mulh_s.i64', c.to(c.d), [c.x(c.n), c.x(c.m)]),
);
ins('1 00 11011 110 mmmmm 0 ----- nnnnn ddddd', 'umulh', (c) =>
  c.b.emit('mulh_u.i64', c.to(c.d), [c.x(c.n), c.x(c.m)]),
);

// Two sources.
const two = (c: LiftContext, op: string): void => c.b.emit(`${op}.${c.w}`, c.to(c.d), [c.x(c.n), c.x(c.m)]);
ins('z 0 0 11010110 mmmmm 000010 nnnnn ddddd', 'udiv', (c) => two(c, 'a64.udiv'));
ins('z 0 0 11010110 mmmmm 000011 nnnnn ddddd', 'sdiv', (c) => two(c, 'a64.sdiv'));
// Wasm, too, takes shift counts modulo the width.
ins('z 0 0 11010110 mmmmm 001000 nnnnn ddddd', 'lslv', (c) => two(c, 'shl'));
ins('z 0 0 11010110 mmmmm 001001 nnnnn ddddd', 'lsrv', (c) => two(c, 'shr_u'));
ins('z 0 0 11010110 mmmmm 001010 nnnnn ddddd', 'asrv', (c) => two(c, 'shr_s'));
ins('z 0 0 11010110 mmmmm 001011 nnnnn ddddd', 'rorv', (c) => two(c, 'rotr'));
for (const castagnoli of [0, 1])
  for (const size of [0, 1, 2, 3])
    ins(
      `${size === 3 ? 1 : 0} 0 0 11010110 mmmmm 010 ${castagnoli} ${size.toString(2).padStart(2, '0')} nnnnn ddddd`,
      `crc32${castagnoli ? 'c' : ''}${'bhwx'[size]}`,
      (c) => c.b.emit(`a64.crc32${castagnoli ? 'c' : ''}.${8 << size}`, c.to(c.d), [c.x(c.n), c.x(c.m)]),
    );

// One source.
const one = (c: LiftContext, op: string): void => c.b.emit(op, c.to(c.d), [c.x(c.n)]);
ins('z 1 0 11010110 00000 000000 nnnnn ddddd', 'rbit', (c) => one(c, `a64.rbit.${c.w}`));
ins('z 1 0 11010110 00000 000001 nnnnn ddddd', 'rev16', (c) => one(c, `a64.rev16.${c.w}`));
ins('0 1 0 11010110 00000 000010 nnnnn ddddd', 'rev', (c) => one(c, 'bswap.i32'));
ins('1 1 0 11010110 00000 000010 nnnnn ddddd', 'rev32', (c) =>
  c.b.emit('rotl.i64', c.to(c.d), [c.b.value('bswap.i64', [c.x(c.n)]), CONST], 32),
);
ins('1 1 0 11010110 00000 000011 nnnnn ddddd', 'rev', (c) => one(c, 'bswap.i64'));
ins('z 1 0 11010110 00000 000100 nnnnn ddddd', 'clz', (c) => one(c, `clz.${c.w}`));
ins('z 1 0 11010110 00000 000101 nnnnn ddddd', 'cls', (c) => {
  const { w, b } = c;
  const changes = b.value(`xor.${w}`, [c.x(c.n), b.valueConst(`shr_s.${w}`, [c.x(c.n)], 1)]);
  b.emit(`sub.${w}`, c.to(c.d), [b.value(`clz.${w}`, [changes]), CONST], 1);
});
