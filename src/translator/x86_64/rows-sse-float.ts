/**
 * SSE floating point: arithmetic, comparisons, conversions, rounding. SDM volume 1, sections 10.4, 11.4, 12.4 and 12.8.
 * Every row goes through `fp`, which picks the translated op or exact soft floating point.
 */
import type { Operand } from '../ir/block.ts';
import type { LiftContext } from './lift.ts';
import { lanesToBytes } from './ops-sse.ts';
import { exactSse } from './ops-softfloat.ts';
import { predicates } from './ops-sse-float.ts';
import { ins, type Lift } from './row.ts';
import { widen, writeMmx } from './rows-mmx.ts';
import { constantMask, constantVector, enterMmx, vectorSource } from './sse-operands.ts';

const aligned = { aligned: true };

/** d = the floating-point op `name` of the inputs. `imm` is the immediate of the rounding instructions. */
function fp(c: LiftContext, name: string, d: Operand, inputs: Operand[], imm?: number): void {
  if (c.exactFp) exactSse(c, name, d, inputs, imm);
  else c.b.emit(name, d, inputs);
}
/** The same into a vector temporary. */
function fpValue(c: LiftContext, name: string, inputs: Operand[]): Operand {
  const d = c.b.vectorTemp();
  fp(c, name, d, inputs);
  return d;
}

/** The four formats by mandatory prefix, with the operands of a row. */
const formats = [
  { prefix: 'np', suffix: 'ps', format: 'f32x4', operands: 'Vdq Wdq', scalar: false },
  { prefix: '66', suffix: 'pd', format: 'f64x2', operands: 'Vdq Wdq', scalar: false },
  { prefix: 'f3', suffix: 'ss', format: 'f32', operands: 'Vss Wss', scalar: true },
  { prefix: 'f2', suffix: 'sd', format: 'f64', operands: 'Vsd Wsd', scalar: true },
] as const;
const source = (c: LiftContext, scalar: boolean): Operand => (scalar ? c.read(1) : vectorSource(c, 1));

for (const { prefix, suffix, format, operands, scalar } of formats) {
  const attributes = { aligned: !scalar };
  for (const [opcode, name] of [
    ['58', 'add'],
    ['59', 'mul'],
    ['5c', 'sub'],
    ['5d', 'min'],
    ['5e', 'div'],
    ['5f', 'max'],
  ] as const)
    ins(
      `${prefix} 0f ${opcode}`,
      name + suffix,
      operands,
      (c) => fp(c, `x86.${format}.${name}`, c.register(0), [c.register(0), source(c, scalar)]),
      attributes,
    );
  ins(
    `${prefix} 0f 51`,
    `sqrt${suffix}`,
    operands,
    (c) => fp(c, `x86.${format}.sqrt`, c.register(0), [source(c, scalar)]),
    attributes,
  );
  ins(
    `${prefix} 0f c2`,
    `cmp${suffix}`,
    `${operands} Ib`,
    (c) =>
      fp(c, `x86.${format}.cmp.${predicates[(c.i.imm as number) & 7]}`, c.register(0), [
        c.register(0),
        source(c, scalar),
      ]),
    attributes,
  );
}

// Approximations: the same whatever MXCSR says.
for (const [opcode, name] of [
  ['52', 'rsqrt'],
  ['53', 'rcp'],
] as const) {
  ins(`f3 0f ${opcode}`, `${name}ss`, 'Vss Wss', (c) => c.b.emit(`x86.f32.${name}`, c.register(0), [c.read(1)]));
  ins(
    `np 0f ${opcode}`,
    `${name}ps`,
    'Vdq Wdq',
    (c) => {
      const from = vectorSource(c, 1);
      for (const lane of [0, 4, 8, 12]) c.b.emit(`x86.f32.${name}`, c.register(0) + lane, [from + lane]);
    },
    aligned,
  );
}

// Logic, on bits.
for (const prefix of ['np', '66'] as const) {
  const suffix = prefix === 'np' ? 'ps' : 'pd';
  for (const [opcode, name] of [
    ['54', 'and'],
    ['56', 'or'],
    ['57', 'xor'],
  ] as const)
    ins(
      `${prefix} 0f ${opcode}`,
      name + suffix,
      'Vdq Wdq',
      (c) => c.b.emit(`v128.${name}`, c.register(0), [c.register(0), vectorSource(c, 1)]),
      aligned,
    );
  ins(
    `${prefix} 0f 55`,
    `andn${suffix}`,
    'Vdq Wdq',
    (c) => c.b.emit('v128.andnot', c.register(0), [vectorSource(c, 1), c.register(0)]),
    aligned,
  );

  // Shuffles. Lanes 0 and 1 of the result come from the destination, the others from the source.
  const bits = prefix === 'np' ? 32 : 64;
  for (const [opcode, half] of [
    ['14', 'low'],
    ['15', 'high'],
  ] as const)
    ins(
      `${prefix} 0f ${opcode}`,
      `unpck${half[0]}${suffix}`,
      'Vdq Wdq',
      (c) => c.b.emit(`x86.unpack.${half}.${bits}`, c.register(0), [c.register(0), vectorSource(c, 1)]),
      aligned,
    );
}
const shuffleRow =
  (size: 4 | 8): Lift =>
  (c) => {
    const imm = c.i.imm as number;
    const lanes =
      size === 4
        ? [imm & 3, (imm >> 2) & 3, 4 + ((imm >> 4) & 3), 4 + ((imm >> 6) & 3)]
        : [imm & 1, 2 + ((imm >> 1) & 1)];
    const mask = constantVector(c, lanesToBytes(size, lanes));
    c.b.emit('x86.shuffle', c.register(0), [c.register(0), vectorSource(c, 1), mask]);
  };
ins('np 0f c6', 'shufps', 'Vdq Wdq Ib', shuffleRow(4), aligned);
ins('66 0f c6', 'shufpd', 'Vdq Wdq Ib', shuffleRow(8), aligned);

// Comparisons into flags: OF, SF and AF are cleared.
for (const [opcode, name] of [
  ['2e', 'ucomis'],
  ['2f', 'comis'],
] as const)
  for (const [prefix, suffix, format, operands] of [
    ['np', 's', 'f32', 'Vss Wss'],
    ['66', 'd', 'f64', 'Vsd Wsd'],
  ] as const)
    ins(`${prefix} 0f ${opcode}`, name + suffix, operands, (c) => {
      const op = `x86.${format}.${name}`;
      const inputs = [c.register(0), c.read(1)];
      if (!c.exactFp) return c.flagsOp(op, 'fcmp', 'i64', inputs);
      const word = c.b.temp();
      exactSse(c, op, word, inputs);
      c.setEflags(word);
    });

// Conversions between formats and from integers. What is not written keeps its value.
ins('f2 0f 5a', 'cvtsd2ss', 'Vss Wsd', (c) => fp(c, 'x86.f32.demote', c.register(0), [c.read(1)]));
ins('f3 0f 5a', 'cvtss2sd', 'Vsd Wss', (c) => fp(c, 'x86.f64.promote', c.register(0), [c.read(1)]));
ins('66 0f 5a', 'cvtpd2ps', 'Vdq Wdq', (c) => fp(c, 'x86.f32x4.demote', c.register(0), [vectorSource(c, 1)]), aligned);
ins('np 0f 5a', 'cvtps2pd', 'Vdq Wq', (c) => fp(c, 'x86.f64x2.promote', c.register(0), [vectorSource(c, 1)]));
ins('f3 0f 2a', 'cvtsi2ss', 'Vss Ey', (c) => fp(c, `f32.convert_s.${c.widthOf(1)}`, c.register(0), [c.read(1)]));
ins('f2 0f 2a', 'cvtsi2sd', 'Vsd Ey', (c) => fp(c, `f64.convert_s.${c.widthOf(1)}`, c.register(0), [c.read(1)]));
ins(
  'np 0f 5b',
  'cvtdq2ps',
  'Vdq Wdq',
  (c) => fp(c, 'f32x4.convert_i32x4_s', c.register(0), [vectorSource(c, 1)]),
  aligned,
);
ins('f3 0f e6', 'cvtdq2pd', 'Vdq Wq', (c) => fp(c, 'f64x2.convert_low_i32x4_s', c.register(0), [vectorSource(c, 1)]));

// Conversions to integers.
/** The high half must not raise exceptions in exact mode. */
const lowHalf = (c: LiftContext, slot: Operand): Operand => c.b.value('v128.zext64', [slot]);
for (const [opcode, infix, mode] of [
  ['2c', 't', 'trunc'],
  ['2d', '', 'nearest'],
] as const) {
  ins(`f3 0f ${opcode}`, `cvt${infix}ss2si`, 'Gy Wss', (c) =>
    fp(c, `x86.${c.widthOf(0)}.${mode}.f32`, c.register(0), [c.read(1)]),
  );
  ins(`f2 0f ${opcode}`, `cvt${infix}sd2si`, 'Gy Wsd', (c) =>
    fp(c, `x86.${c.widthOf(0)}.${mode}.f64`, c.register(0), [c.read(1)]),
  );
  ins(`np 0f ${opcode}`, `cvt${infix}ps2pi`, 'Pq Wq', (c) =>
    writeMmx(c, 0, fpValue(c, `x86.i32x4.${mode}.f32x4`, [lowHalf(c, vectorSource(c, 1))])),
  );
  ins(
    `66 0f ${opcode}`,
    `cvt${infix}pd2pi`,
    'Pq Wdq',
    (c) => writeMmx(c, 0, fpValue(c, `x86.i32x4.${mode}.f64x2`, [vectorSource(c, 1)])),
    aligned,
  );
}
ins(
  'f3 0f 5b',
  'cvttps2dq',
  'Vdq Wdq',
  (c) => fp(c, 'x86.i32x4.trunc.f32x4', c.register(0), [vectorSource(c, 1)]),
  aligned,
);
ins(
  '66 0f 5b',
  'cvtps2dq',
  'Vdq Wdq',
  (c) => fp(c, 'x86.i32x4.nearest.f32x4', c.register(0), [vectorSource(c, 1)]),
  aligned,
);
ins(
  '66 0f e6',
  'cvttpd2dq',
  'Vdq Wdq',
  (c) => fp(c, 'x86.i32x4.trunc.f64x2', c.register(0), [vectorSource(c, 1)]),
  aligned,
);
ins(
  'f2 0f e6',
  'cvtpd2dq',
  'Vdq Wdq',
  (c) => fp(c, 'x86.i32x4.nearest.f64x2', c.register(0), [vectorSource(c, 1)]),
  aligned,
);

// From MMX registers. From memory they do not touch the x87 state (SDM says so of CVTPI2PD; CPUs do the same for CVTPI2PS).
ins('np 0f 2a', 'cvtpi2ps', 'Vq Qq', (c) => {
  const r = fpValue(c, 'f32x4.convert_i32x4_s', [widen(c, 1)]);
  c.b.emit('mov.i64', c.register(0), [r]);
  if (!c.isMemory(1)) enterMmx(c, null);
});
ins('66 0f 2a', 'cvtpi2pd', 'Vdq Qq', (c) => {
  fp(c, 'f64x2.convert_low_i32x4_s', c.register(0), [widen(c, 1)]);
  if (!c.isMemory(1)) enterMmx(c, null);
});

// Rounding: bits 0 and 1 of the immediate are the mode unless bit 2 asks for that of MXCSR; bit 3 silences inexact.
const rounding = ['nearest', 'floor', 'ceil', 'trunc'] as const;
for (const [opcode, suffix, format, operands, scalar] of [
  ['08', 'ps', 'f32x4', 'Vdq Wdq', false],
  ['09', 'pd', 'f64x2', 'Vdq Wdq', false],
  ['0a', 'ss', 'f32', 'Vss Wss', true],
  ['0b', 'sd', 'f64', 'Vsd Wsd', true],
] as const)
  ins(
    `66 0f3a ${opcode}`,
    `round${suffix}`,
    `${operands} Ib`,
    (c) => {
      const imm = c.i.imm as number;
      fp(c, `x86.${format}.${imm & 4 ? 'nearest' : rounding[imm & 3]}`, c.register(0), [source(c, scalar)], imm);
    },
    { aligned: !scalar },
  );

// Horizontal.
for (const [prefix, suffix, format, bits] of [
  ['f2', 'ps', 'f32x4', 32],
  ['66', 'pd', 'f64x2', 64],
] as const) {
  for (const [opcode, name] of [
    ['7c', 'add'],
    ['7d', 'sub'],
  ] as const)
    ins(
      `${prefix} 0f ${opcode}`,
      `h${name}${suffix}`,
      'Vdq Wdq',
      (c) => {
        const from = vectorSource(c, 1);
        const pair = ['even', 'odd'].map((which) => c.b.value(`x86.${which}.${bits}`, [c.register(0), from]));
        fp(c, `x86.${format}.${name}`, c.register(0), pair);
      },
      aligned,
    );
  ins(
    `${prefix} 0f d0`,
    `addsub${suffix}`,
    'Vdq Wdq',
    (c) => fp(c, `x86.${format}.addsub`, c.register(0), [c.register(0), vectorSource(c, 1)]),
    aligned,
  );
}
// Dot products: bits 4 to 7 of the immediate choose the products, 0 to 3 the lanes that get the sum. The others are zero.
for (const [opcode, suffix, format, size] of [
  ['40', 'ps', 'f32x4', 4],
  ['41', 'pd', 'f64x2', 8],
] as const)
  ins(
    `66 0f3a ${opcode}`,
    `dp${suffix}`,
    'Vdq Wdq Ib',
    (c) => {
      const imm = c.i.imm as number;
      const bits = size * 8;
      const chosen = constantMask(c, size, imm >> 4);
      const [a, b] = [c.register(0), vectorSource(c, 1)].map((v) => c.b.value('v128.and', [v, chosen])) as [
        Operand,
        Operand,
      ];
      let sum = fpValue(c, `x86.${format}.mul`, [a, b]);
      for (let lanes = 16 / size; lanes > 1; lanes /= 2)
        sum = fpValue(c, `x86.${format}.add`, [
          c.b.value(`x86.even.${bits}`, [sum, sum]),
          c.b.value(`x86.odd.${bits}`, [sum, sum]),
        ]);
      c.b.emit('v128.and', c.register(0), [sum, constantMask(c, size, imm)]);
    },
    aligned,
  );
