/** Packed integer instructions of SSE2 to SSE4.2. Those that MMX has too stand in tables which rows-mmx.ts reads as well. */
import { CONST } from '../ir/layout.ts';
import type { LiftContext } from './lift.ts';
import { ins, type Lift } from './row.ts';
import { constantMask, constantVector, vectorSource } from './sse-operands.ts';
import { gpr, RAX, RCX, RDX, xmm } from './state.ts';

const aligned = { aligned: true };

/**
 * How the MMX form uses the 128-bit op:
 * - lanes: on registers widened with zeros, the low half of the result;
 * - pair: both operands of the op are destination and source side by side (ops that read across lanes);
 * - high: as lanes, but the high half of the result;
 * - low4: as lanes, with a memory operand of 4 bytes.
 */
export type MmxForm = 'lanes' | 'pair' | 'high' | 'low4';
export interface PackedRow {
  /** Opcode map and opcode. */
  opcode: string;
  mnemonic: string;
  op: string;
  /** Null: there is no MMX form. */
  mmx: MmxForm | null;
  /** The op of the MMX form. */
  mmxOp: string;
}
const row = (opcode: string, mnemonic: string, op: string, mmx: MmxForm | null = 'lanes', mmxOp = op): PackedRow => ({
  opcode,
  mnemonic,
  op,
  mmx,
  mmxOp,
});

/** destination = op(destination, source). */
export const packedRows: PackedRow[] = [
  row('0f 60', 'punpcklbw', 'x86.unpack.low.8', 'low4'),
  row('0f 61', 'punpcklwd', 'x86.unpack.low.16', 'low4'),
  row('0f 62', 'punpckldq', 'x86.unpack.low.32', 'low4'),
  row('0f 6c', 'punpcklqdq', 'x86.unpack.low.64', null),
  row('0f 68', 'punpckhbw', 'x86.unpack.high.8', 'high', 'x86.unpack.low.8'),
  row('0f 69', 'punpckhwd', 'x86.unpack.high.16', 'high', 'x86.unpack.low.16'),
  row('0f 6a', 'punpckhdq', 'x86.unpack.high.32', 'high', 'x86.unpack.low.32'),
  row('0f 6d', 'punpckhqdq', 'x86.unpack.high.64', null),
  row('0f 63', 'packsswb', 'i8x16.narrow_i16x8_s', 'pair'),
  row('0f 67', 'packuswb', 'i8x16.narrow_i16x8_u', 'pair'),
  row('0f 6b', 'packssdw', 'i16x8.narrow_i32x4_s', 'pair'),
  row('0f38 2b', 'packusdw', 'i16x8.narrow_i32x4_u', null),
  row('0f 64', 'pcmpgtb', 'i8x16.gt_s'),
  row('0f 65', 'pcmpgtw', 'i16x8.gt_s'),
  row('0f 66', 'pcmpgtd', 'i32x4.gt_s'),
  row('0f38 37', 'pcmpgtq', 'i64x2.gt_s', null),
  row('0f 74', 'pcmpeqb', 'i8x16.eq'),
  row('0f 75', 'pcmpeqw', 'i16x8.eq'),
  row('0f 76', 'pcmpeqd', 'i32x4.eq'),
  row('0f38 29', 'pcmpeqq', 'i64x2.eq', null),
  row('0f d4', 'paddq', 'i64x2.add'),
  row('0f fc', 'paddb', 'i8x16.add'),
  row('0f fd', 'paddw', 'i16x8.add'),
  row('0f fe', 'paddd', 'i32x4.add'),
  row('0f f8', 'psubb', 'i8x16.sub'),
  row('0f f9', 'psubw', 'i16x8.sub'),
  row('0f fa', 'psubd', 'i32x4.sub'),
  row('0f fb', 'psubq', 'i64x2.sub'),
  row('0f ec', 'paddsb', 'i8x16.add_saturate_s'),
  row('0f ed', 'paddsw', 'i16x8.add_saturate_s'),
  row('0f dc', 'paddusb', 'i8x16.add_saturate_u'),
  row('0f dd', 'paddusw', 'i16x8.add_saturate_u'),
  row('0f e8', 'psubsb', 'i8x16.sub_saturate_s'),
  row('0f e9', 'psubsw', 'i16x8.sub_saturate_s'),
  row('0f d8', 'psubusb', 'i8x16.sub_saturate_u'),
  row('0f d9', 'psubusw', 'i16x8.sub_saturate_u'),
  row('0f d5', 'pmullw', 'i16x8.mul'),
  row('0f e5', 'pmulhw', 'x86.pmulhw'),
  row('0f e4', 'pmulhuw', 'x86.pmulhuw'),
  row('0f f4', 'pmuludq', 'x86.pmuludq'),
  row('0f f5', 'pmaddwd', 'i32x4.dot_i16x8_s'),
  row('0f38 28', 'pmuldq', 'x86.pmuldq', null),
  row('0f38 40', 'pmulld', 'i32x4.mul', null),
  row('0f38 0b', 'pmulhrsw', 'x86.pmulhrsw'),
  row('0f38 04', 'pmaddubsw', 'x86.pmaddubsw'),
  row('0f da', 'pminub', 'i8x16.min_u'),
  row('0f de', 'pmaxub', 'i8x16.max_u'),
  row('0f ea', 'pminsw', 'i16x8.min_s'),
  row('0f ee', 'pmaxsw', 'i16x8.max_s'),
  row('0f38 38', 'pminsb', 'i8x16.min_s', null),
  row('0f38 39', 'pminsd', 'i32x4.min_s', null),
  row('0f38 3a', 'pminuw', 'i16x8.min_u', null),
  row('0f38 3b', 'pminud', 'i32x4.min_u', null),
  row('0f38 3c', 'pmaxsb', 'i8x16.max_s', null),
  row('0f38 3d', 'pmaxsd', 'i32x4.max_s', null),
  row('0f38 3e', 'pmaxuw', 'i16x8.max_u', null),
  row('0f38 3f', 'pmaxud', 'i32x4.max_u', null),
  row('0f e0', 'pavgb', 'i8x16.avgr_u'),
  row('0f e3', 'pavgw', 'i16x8.avgr_u'),
  row('0f f6', 'psadbw', 'x86.psadbw'),
  row('0f db', 'pand', 'v128.and'),
  row('0f eb', 'por', 'v128.or'),
  row('0f ef', 'pxor', 'v128.xor'),
  row('0f38 00', 'pshufb', 'x86.pshufb', 'lanes', 'x86.mmx.pshufb'),
  row('0f38 01', 'phaddw', 'x86.phaddw', 'pair'),
  row('0f38 02', 'phaddd', 'x86.phaddd', 'pair'),
  row('0f38 03', 'phaddsw', 'x86.phaddsw', 'pair'),
  row('0f38 05', 'phsubw', 'x86.phsubw', 'pair'),
  row('0f38 06', 'phsubd', 'x86.phsubd', 'pair'),
  row('0f38 07', 'phsubsw', 'x86.phsubsw', 'pair'),
  row('0f38 08', 'psignb', 'x86.psignb'),
  row('0f38 09', 'psignw', 'x86.psignw'),
  row('0f38 0a', 'psignd', 'x86.psignd'),
];
for (const { opcode, mnemonic, op } of packedRows)
  ins(
    `66 ${opcode}`,
    mnemonic,
    'Vdq Wdq',
    (c) => c.b.emit(op, c.register(0), [c.register(0), vectorSource(c, 1)]),
    aligned,
  );
// The complement of the destination, and the source: WebAssembly's andnot the other way round.
ins(
  '66 0f df',
  'pandn',
  'Vdq Wdq',
  (c) => c.b.emit('v128.andnot', c.register(0), [vectorSource(c, 1), c.register(0)]),
  aligned,
);

/** destination = op(source). */
export const absoluteRows: PackedRow[] = [
  row('0f38 1c', 'pabsb', 'i8x16.abs'),
  row('0f38 1d', 'pabsw', 'i16x8.abs'),
  row('0f38 1e', 'pabsd', 'i32x4.abs'),
];
for (const { opcode, mnemonic, op } of [...absoluteRows, row('0f38 41', 'phminposuw', 'x86.phminposuw', null)])
  ins(`66 ${opcode}`, mnemonic, 'Vdq Wdq', (c) => c.b.emit(op, c.register(0), [vectorSource(c, 1)]), aligned);

/** Shifts by the low 64 bits of the source, and (opcode 71 to 73, ModRM.reg) by an immediate. */
export const shiftRows = [
  { opcode: 'd1', immediate: '71 /2', name: 'psrl', letter: 'w', bits: 16 },
  { opcode: 'd2', immediate: '72 /2', name: 'psrl', letter: 'd', bits: 32 },
  { opcode: 'd3', immediate: '73 /2', name: 'psrl', letter: 'q', bits: 64 },
  { opcode: 'e1', immediate: '71 /4', name: 'psra', letter: 'w', bits: 16 },
  { opcode: 'e2', immediate: '72 /4', name: 'psra', letter: 'd', bits: 32 },
  { opcode: 'f1', immediate: '71 /6', name: 'psll', letter: 'w', bits: 16 },
  { opcode: 'f2', immediate: '72 /6', name: 'psll', letter: 'd', bits: 32 },
  { opcode: 'f3', immediate: '73 /6', name: 'psll', letter: 'q', bits: 64 },
] as const;
const shapes = { 16: 'i16x8', 32: 'i32x4', 64: 'i64x2' } as const;
const wasmShifts = { psrl: 'shr_u', psra: 'shr_s', psll: 'shl' } as const;

/** d = a shifted by a constant of any size. */
export function shiftByConstant(
  c: LiftContext,
  { name, bits }: (typeof shiftRows)[number],
  d: number,
  a: number,
  count: number,
): void {
  if (count < bits) c.b.emit(`${shapes[bits]}.${wasmShifts[name]}`, d, [a, CONST], count);
  else if (name === 'psra') c.b.emit(`${shapes[bits]}.shr_s`, d, [a, CONST], bits - 1);
  else c.b.emit('v128.zext64', d, [CONST], 0);
}
for (const s of shiftRows) {
  ins(
    `66 0f ${s.opcode}`,
    s.name + s.letter,
    'Vdq Wdq',
    (c) => c.b.emit(`x86.${s.name}.${s.bits}`, c.register(0), [c.register(0), vectorSource(c, 1)]),
    aligned,
  );
  ins(`66 0f ${s.immediate} reg`, s.name + s.letter, 'Udq Ib', (c) =>
    shiftByConstant(c, s, c.register(0), c.register(0), c.i.imm as number),
  );
}
/** Whole-register byte shifts: `n` towards the low end if positive. */
const shiftBytes =
  (direction: 1 | -1): Lift =>
  (c) => {
    const n = direction * Math.min(c.i.imm as number, 16);
    const from = Array.from({ length: 16 }, (_, k) => (k + n >= 0 && k + n < 16 ? k + n : 0x80));
    c.b.emit('i8x16.swizzle', c.register(0), [c.register(0), constantVector(c, from)]);
  };
ins('66 0f 73 /3 reg', 'psrldq', 'Udq Ib', shiftBytes(1));
ins('66 0f 73 /7 reg', 'pslldq', 'Udq Ib', shiftBytes(-1));

// Shuffles by an immediate.
/** Byte indices for four 16-bit lanes at `base` chosen by the immediate. */
export const wordShuffle = (imm: number, base: number): number[] =>
  [0, 1, 2, 3].flatMap((k) => [0, 1].map((b) => base + ((imm >> (2 * k)) & 3) * 2 + b));
const identity = (from: number): number[] => Array.from({ length: 8 }, (_, k) => from + k);
const shuffles: [string, string, (imm: number) => number[]][] = [
  ['66', 'pshufd', (imm) => [0, 1, 2, 3].flatMap((k) => [0, 1, 2, 3].map((b) => ((imm >> (2 * k)) & 3) * 4 + b))],
  ['f2', 'pshuflw', (imm) => [...wordShuffle(imm, 0), ...identity(8)]],
  ['f3', 'pshufhw', (imm) => [...identity(0), ...wordShuffle(imm, 8)]],
];
for (const [prefix, mnemonic, lanes] of shuffles)
  ins(
    `${prefix} 0f 70`,
    mnemonic,
    'Vdq Wdq Ib',
    (c) => c.b.emit('i8x16.swizzle', c.register(0), [vectorSource(c, 1), constantVector(c, lanes(c.i.imm as number))]),
    aligned,
  );
// Upper case: a lower-case 0f would read as the opcode map.
ins(
  '66 0f3a 0F',
  'palignr',
  'Vdq Wdq Ib',
  (c) => {
    const mask = constantVector(
      c,
      Array.from({ length: 16 }, (_, k) => Math.min(k + (c.i.imm as number), 0x80)),
    );
    c.b.emit('x86.shuffle', c.register(0), [vectorSource(c, 1), c.register(0), mask]);
  },
  aligned,
);
for (const [opcode, mnemonic, size] of [
  ['0c', 'blendps', 4],
  ['0d', 'blendpd', 8],
  ['0e', 'pblendw', 2],
] as const)
  ins(
    `66 0f3a ${opcode}`,
    mnemonic,
    'Vdq Wdq Ib',
    (c) =>
      c.b.emit('v128.bitselect', c.register(0), [
        vectorSource(c, 1),
        c.register(0),
        constantMask(c, size, c.i.imm as number),
      ]),
    aligned,
  );
ins(
  '66 0f3a 42',
  'mpsadbw',
  'Vdq Wdq Ib',
  (c) => c.b.emit('x86.mpsadbw', c.register(0), [c.register(0), vectorSource(c, 1), CONST], c.i.imm),
  aligned,
);

ins(
  '66 0f38 17',
  'ptest',
  'Vdq Wdq',
  (c) => c.setEflags(c.b.value('x86.ptest', [c.register(0), vectorSource(c, 1)])),
  aligned,
);

// String compares. Their memory operand may be unaligned.
function compareStrings(c: LiftContext, explicit: boolean): number {
  const imm = c.i.imm as number;
  const a = c.register(0);
  const b = vectorSource(c, 1);
  if (!explicit) return c.b.valueConst('x86.pcmpistr', [a, b], imm);
  const length = (n: number): number => (c.i.rexW ? gpr(n) : c.b.value('ext.s32.i64', [gpr(n)]));
  return c.b.valueConst('x86.pcmpestr', [a, b, length(RAX), length(RDX)], imm);
}
for (const [opcode, mnemonic, explicit, index] of [
  ['60', 'pcmpestrm', true, false],
  ['61', 'pcmpestri', true, true],
  ['62', 'pcmpistrm', false, false],
  ['63', 'pcmpistri', false, true],
] as const)
  ins(`66 0f3a ${opcode}`, mnemonic, 'Vdq Wdq Ib', (c) => {
    const r = compareStrings(c, explicit);
    const imm = c.i.imm as number;
    const size = imm & 1 ? 'w' : 'b';
    if (index) c.b.emit(`x86.pcmpstr.${imm & 0x40 ? 'last' : 'first'}.${size}`, gpr(RCX), [r]);
    else if (imm & 0x40) c.b.emit(`x86.pcmpstr.mask.${size}`, xmm(0), [r]);
    else c.b.emit('v128.zext32', xmm(0), [c.b.valueConst('and.i32', [r], 0xffff)]);
    c.setEflags(c.b.valueConst('shr_u.i32', [r], 16));
  });
