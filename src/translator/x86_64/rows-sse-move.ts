/** Data movement of SSE to SSE4.1: moves, inserts, extracts, masks. SDM volume 1, sections 10.4.1 and 11.4.1. */
import type { LiftContext } from './lift.ts';
import { ins, type Lift } from './row.ts';
import { constantVector, loadVector, storeVector, vectorSource } from './sse-operands.ts';
import { FS_BASE, GS_BASE, gpr, RDI, xmm } from './state.ts';

const aligned = { aligned: true };

// Whole registers.
const moveVector: Lift = (c) => {
  if (c.isMemory(0)) storeVector(c, c.register(1));
  else if (c.isMemory(1)) loadVector(c, c.register(0), 16);
  else c.b.emit('mov.v128', c.register(0), [c.register(1)]);
};
for (const [load, store, mnemonic, attributes] of [
  ['np 0f 10', 'np 0f 11', 'movups', {}],
  ['66 0f 10', '66 0f 11', 'movupd', {}],
  ['np 0f 28', 'np 0f 29', 'movaps', aligned],
  ['66 0f 28', '66 0f 29', 'movapd', aligned],
  ['f3 0f 6f', 'f3 0f 7f', 'movdqu', {}],
  ['66 0f 6f', '66 0f 7f', 'movdqa', aligned],
] as const) {
  ins(load, mnemonic, 'Vdq Wdq', moveVector, attributes);
  ins(store, mnemonic, 'Wdq Vdq', moveVector, attributes);
}
ins('f2 0f f0 mem', 'lddqu', 'Vdq Mdq', moveVector);
ins('66 0f38 2a mem', 'movntdqa', 'Vdq Mdq', moveVector, aligned);
ins('np 0f 2b mem', 'movntps', 'Mdq Vdq', moveVector, aligned);
ins('66 0f 2b mem', 'movntpd', 'Mdq Vdq', moveVector, aligned);
ins('66 0f e7 mem', 'movntdq', 'Mdq Vdq', moveVector, aligned);
ins('np 0f c3 mem', 'movnti', 'My Gy', (c) => c.store(c.widthOf(0), c.register(1)));

// Scalars: a load clears the rest of the register, a move between registers keeps it.
const moveScalar: Lift = (c) => {
  const w = c.widthOf(0);
  if (c.isMemory(0)) c.store(w, c.register(1));
  else if (c.isMemory(1)) loadVector(c, c.register(0), c.bytesOf(1));
  else c.b.emit(w === 'i32' ? 'mov.l32' : 'mov.i64', c.register(0), [c.register(1)]);
};
ins('f3 0f 10', 'movss', 'Vss Wss', moveScalar);
ins('f3 0f 11', 'movss', 'Wss Vss', moveScalar);
ins('f2 0f 10', 'movsd', 'Vsd Wsd', moveScalar);
ins('f2 0f 11', 'movsd', 'Wsd Vsd', moveScalar);

// Between general and vector registers; the high part of the vector becomes zero.
const toVector: Lift = (c) => {
  if (c.isMemory(1)) loadVector(c, c.register(0), c.bytesOf(1));
  else c.b.emit(c.bytesOf(1) === 4 ? 'v128.zext32' : 'v128.zext64', c.register(0), [c.register(1)]);
};
const fromVector: Lift = (c) => c.write(0, { slot: c.register(1), imm: 0 });
ins('66 0f 6e', 'movd', 'Vy Ey', toVector);
ins('66 0f 7e', 'movd', 'Ey Vy', fromVector);
ins('f3 0f 7e', 'movq', 'Vq Wq', toVector);
ins('66 0f d6', 'movq', 'Wq Vq', (c) => {
  if (c.isMemory(0)) c.store('i64', c.register(1));
  else c.b.emit('v128.zext64', c.register(0), [c.register(1)]);
});

// Halves.
const moveHalf =
  (to: 0 | 8, from: 0 | 8): Lift =>
  (c) => {
    if (c.isMemory(0)) c.store('i64', c.register(1) + from);
    else if (c.isMemory(1)) c.loadInto(c.register(0) + to, 'i64');
    else c.b.emit('mov.i64', c.register(0) + to, [c.register(1) + from]);
  };
ins('np 0f 12 mem', 'movlps', 'Vq Mq', moveHalf(0, 0));
ins('np 0f 12 reg', 'movhlps', 'Vq Uq', moveHalf(0, 8));
ins('66 0f 12 mem', 'movlpd', 'Vq Mq', moveHalf(0, 0));
ins('np 0f 13 mem', 'movlps', 'Mq Vq', moveHalf(0, 0));
ins('66 0f 13 mem', 'movlpd', 'Mq Vq', moveHalf(0, 0));
ins('np 0f 16 mem', 'movhps', 'Vq Mq', moveHalf(8, 0));
ins('np 0f 16 reg', 'movlhps', 'Vq Uq', moveHalf(8, 0));
ins('66 0f 16 mem', 'movhpd', 'Vq Mq', moveHalf(8, 0));
ins('np 0f 17 mem', 'movhps', 'Mq Vq', moveHalf(0, 8));
ins('66 0f 17 mem', 'movhpd', 'Mq Vq', moveHalf(0, 8));

ins('f2 0f 12', 'movddup', 'Vdq Wq', (c) => c.b.emit('i64x2.splat', c.register(0), [c.read(1)]));
for (const [encoding, name] of [
  ['f3 0f 12', 'movsldup'],
  ['f3 0f 16', 'movshdup'],
] as const)
  ins(
    encoding,
    name,
    'Vdq Wdq',
    (c) => {
      const source = vectorSource(c, 1);
      c.b.emit(`x86.${name}`, c.register(0), [source, source]);
    },
    aligned,
  );

// Sign bits.
for (const [encoding, mnemonic, shape] of [
  ['np 0f 50', 'movmskps', 'i32x4'],
  ['66 0f 50', 'movmskpd', 'i64x2'],
  ['66 0f d7', 'pmovmskb', 'i8x16'],
] as const)
  ins(`${encoding} reg`, mnemonic, 'Gd Udq', (c) => c.b.emit(`${shape}.bitmask`, c.register(0), [c.register(1)]));

// One lane in or out. The immediate is taken modulo the number of lanes.
const extract =
  (size: 1 | 2 | 4 | 8): Lift =>
  (c) => {
    const from = c.register(1) + ((c.i.imm as number) & (16 / size - 1)) * size;
    if (c.isMemory(0)) c.store(size === 1 ? 'i8' : size === 2 ? 'i16' : size === 4 ? 'i32' : 'i64', from);
    else
      c.b.emit(
        size === 1 ? 'ext.u8.i32' : size === 2 ? 'ext.u16.i32' : size === 4 ? 'mov.i32' : 'mov.i64',
        c.register(0),
        [from],
      );
  };
const insert =
  (size: 1 | 2 | 4 | 8): Lift =>
  (c) => {
    const to = c.register(0) + ((c.i.imm as number) & (16 / size - 1)) * size;
    const partial = { 1: 'i8', 2: 'i16', 4: 'l32', 8: 'i64' } as const;
    if (c.isMemory(1)) {
      const { base, disp } = c.address();
      c.b.emit(`load.${partial[size]}`, to, [base], disp);
    } else c.b.emit(`mov.${partial[size]}`, to, [c.register(1)]);
  };
ins('66 0f3a 14 reg', 'pextrb', 'Ed Vdq Ib', extract(1));
ins('66 0f3a 14 mem', 'pextrb', 'Mb Vdq Ib', extract(1));
ins('66 0f c5 reg', 'pextrw', 'Gd Udq Ib', extract(2));
ins('66 0f3a 15 reg', 'pextrw', 'Ed Vdq Ib', extract(2));
ins('66 0f3a 15 mem', 'pextrw', 'Mw Vdq Ib', extract(2));
const extractWord: Lift = (c) => extract(c.i.rexW ? 8 : 4)(c);
ins('66 0f3a 16', 'pextrd', 'Ey Vdq Ib', extractWord);
ins('66 0f3a 17', 'extractps', 'Ed Vdq Ib', extract(4));
ins('66 0f3a 20 reg', 'pinsrb', 'Vdq Ed Ib', insert(1));
ins('66 0f3a 20 mem', 'pinsrb', 'Vdq Mb Ib', insert(1));
ins('66 0f c4 reg', 'pinsrw', 'Vdq Ed Ib', insert(2));
ins('66 0f c4 mem', 'pinsrw', 'Vdq Mw Ib', insert(2));
ins('66 0f3a 22', 'pinsrd', 'Vdq Ey Ib', (c) => insert(c.i.rexW ? 8 : 4)(c));
// Immediate: source lane in bits 6 and 7 (registers only), destination lane in 4 and 5, lanes to clear in 0 to 3.
ins('66 0f3a 21', 'insertps', 'Vdq Wd Ib', (c) => {
  const imm = c.i.imm as number;
  const from = c.isMemory(1) ? 0 : imm >> 6;
  const lanes = [0, 1, 2, 3].map((lane) => ((imm >> lane) & 1 ? -1 : lane === ((imm >> 4) & 3) ? 4 + from : lane));
  const mask = constantVector(
    c,
    lanes.flatMap((lane) => [0, 1, 2, 3].map((k) => (lane < 0 ? 0x80 : lane * 4 + k))),
  );
  c.b.emit('x86.shuffle', c.register(0), [c.register(0), vectorSource(c, 1), mask]);
});

/** Address in rDI of the implicit operand of MASKMOVQ and MASKMOVDQU. */
export function implicitDestination(c: LiftContext): number {
  const base = c.i.addrsize ? c.b.value('mov.i32', [gpr(RDI)]) : gpr(RDI);
  return c.i.segment ? c.b.value('add.i64', [c.i.segment === 'fs' ? FS_BASE : GS_BASE, base]) : base;
}
ins('66 0f f7 reg', 'maskmovdqu', 'Vdq Udq', (c) =>
  c.b.emit('x86.maskmov', 0, [implicitDestination(c), c.register(0), c.register(1)]),
);

// Widening.
for (const [n, from, to] of [
  [0, 8, 16],
  [1, 8, 32],
  [2, 8, 64],
  [3, 16, 32],
  [4, 16, 64],
  [5, 32, 64],
] as const) {
  const letter = { 8: 'b', 16: 'w', 32: 'd', 64: 'q' } as const;
  const source = { 2: 'Wq', 4: 'Wd', 8: 'Ww' }[to / from]!;
  for (const [encoding, name, sign] of [
    [`66 0f38 2${n}`, 'pmovsx', 's'],
    [`66 0f38 3${n}`, 'pmovzx', 'u'],
  ] as const)
    ins(encoding, `${name}${letter[from]}${letter[to]}`, `Vdq ${source}`, (c) => {
      let value = vectorSource(c, 1);
      for (let bits: number = from; bits < to; bits *= 2) {
        const op = `i${bits * 2}x${64 / bits}.extend_low_i${bits}x${128 / bits}_${sign}`;
        if (bits * 2 === to) c.b.emit(op, c.register(0), [value]);
        else value = c.b.value(op, [value]);
      }
    });
}

/** Implicit XMM0 of the variable blends. */
export const XMM0 = xmm(0);
for (const [opcode, mnemonic, bits] of [
  ['10', 'pblendvb', 8],
  ['14', 'blendvps', 32],
  ['15', 'blendvpd', 64],
] as const)
  ins(
    `66 0f38 ${opcode}`,
    mnemonic,
    'Vdq Wdq',
    (c) => c.b.emit(`x86.blendv.${bits}`, c.register(0), [c.register(0), vectorSource(c, 1), XMM0]),
    aligned,
  );
