/** Extensions, sign conversions, conditional moves and sets, flag transfers, XLAT. SDM volume 2. */
import { CONST } from '../ir/layout.ts';
import type { Operand } from '../ir/block.ts';
import { ins, type Lift } from './row.ts';
import { DF, gpr, RAX, RBX, RDX } from './state.ts';

const AX = gpr(RAX);
const AH = AX + 1;

/** MOVZX and MOVSX: operand 1 is a byte or word, operand 0 of the operand size. */
const extend =
  (signed: boolean): Lift =>
  (c) => {
    const { b } = c;
    const from = c.widthOf(1);
    const to = c.width;
    const d = c.register(0);
    const letter = signed ? 's' : 'u';
    // A 32-bit zero extension clears the high half too.
    const target = !signed && to === 'i64' ? 'i32' : to;
    const name = `${letter}${from.slice(1)}`;
    if (c.isMemory(1)) {
      const { base, disp } = c.address();
      if (from === to) c.loadInto(d, to);
      else if (!signed && target === 'i32') b.emit(`load.${name}`, d, [base], disp);
      else b.emit(`load.${name}.${target}`, d, [base], disp);
    } else if (from === to) b.emit(`mov.${to}`, d, [c.register(1)]);
    else b.emit(`ext.${name}.${target}`, d, [c.register(1)]);
  };
ins('0f b6', 'movzx', 'Gv Eb', extend(false));
ins('0f b7', 'movzx', 'Gv Ew', extend(false));
ins('0f be', 'movsx', 'Gv Eb', extend(true));
ins('0f bf', 'movsx', 'Gv Ew', extend(true));

// Without REX.W a plain move; with 66 of 16 bits, as Intel's CPUs do it.
ins('63', 'movsxd', 'Gv Ez', (c) => {
  const { b } = c;
  const d = c.register(0);
  const w = c.width;
  if (w === 'i64') {
    if (c.isMemory(1)) {
      const { base, disp } = c.address();
      b.emit('load.s32.i64', d, [base], disp);
    } else b.emit('ext.s32.i64', d, [c.register(1)]);
  } else if (c.isMemory(1)) c.loadInto(d, w);
  else b.emit(`mov.${w}`, d, [c.register(1)]);
});

const toWider = { 2: 'ext.s8.i16', 4: 'ext.s16.i32', 8: 'ext.s32.i64' } as const;
ins('98', 'cwde', '', (c) => c.b.emit(toWider[c.i.size], AX, [AX]));
ins('99', 'cdq', '', (c) => {
  const w = c.width;
  c.b.emit(`shr_s.${w}`, gpr(RDX), [AX, CONST], c.i.size * 8 - 1);
});

for (let code = 0; code < 16; code++) {
  const low = code.toString(16);
  ins(`0f 9${low}`, 'setcc', 'Eb', (c) => {
    const v = c.conditionValue(code);
    c.write(0, { slot: v, imm: 0 });
  });
  // The source is read, and a 32-bit destination zero-extended, whether or not the condition holds.
  ins(`0f 4${low}`, 'cmovcc', 'Gv Ev', (c) => {
    const w = c.width;
    const s = c.read(1);
    const d = c.register(0);
    c.b.emit(`select.${w}`, d, [c.conditionValue(code), s, d]);
  });
}

// LAHF and SAHF: the low byte of rflags, where bit 1 is set and bits 3 and 5 are clear.
const LOW = 0xd5;
ins('9f', 'lahf', '', (c) => {
  const { b } = c;
  const word = b.valueConst('and.i32', [b.value('x86.eflags', [])], LOW);
  b.emit('or.i8', AH, [word, CONST], 2);
});
ins('9e', 'sahf', '', (c) => {
  const { b } = c;
  const kept = b.valueConst('and.i32', [b.value('x86.eflags', [])], 0x8d5 & ~LOW);
  c.setEflags(b.value('or.i32', [kept, b.valueConst('and.i32', [b.value('ext.u8.i32', [AH])], LOW)]));
});

ins('f8', 'clc', '', (c) => c.setCarry(c.b.constant(0)));
ins('f9', 'stc', '', (c) => c.setCarry(c.b.constant(1)));
ins('f5', 'cmc', '', (c) => c.setCarry(c.b.valueConst('xor.i32', [c.carry()], 1)));
ins('fc', 'cld', '', (c) => c.b.emit('mov.i64', DF, [CONST], 0));
ins('fd', 'std', '', (c) => c.b.emit('mov.i64', DF, [CONST], 1));

ins('d7', 'xlat', '', (c) => {
  const { b } = c;
  let at: Operand = b.value('add.i64', [gpr(RBX), b.value('ext.u8.i32', [AX])]);
  if (c.i.addrsize) at = b.value('mov.i32', [at]);
  b.emit('load.i8', AX, [c.segmented(at)], 0);
});
