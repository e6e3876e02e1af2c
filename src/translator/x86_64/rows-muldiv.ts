/** MUL, IMUL, DIV, IDIV. SDM volume 2. SF, ZF, AF and PF are undefined after a multiplication, all six after a division. */
import type { IntWidth, Operand } from '../ir/block.ts';
import type { LiftContext } from './lift.ts';
import { ins, type Lift } from './row.ts';
import { AF, CF, gpr, OF, PF, RAX, RDX, SF, ZF } from './state.ts';

const AX = gpr(RAX);
const DX = gpr(RDX);
const AH = AX + 1;
const UNDEFINED = SF | ZF | AF | PF;
const bits: Record<IntWidth, number> = { i8: 8, i16: 16, i32: 32, i64: 64 };

/** The operand sign- or zero-extended into a temporary of the next wider type: i32 for i8 and i16, i64 for i32. */
function extended(c: LiftContext, slot: Operand, w: IntWidth, signed: boolean): Operand {
  if (w === 'i32') return c.b.value(signed ? 'ext.s32.i64' : 'mov.i32', [slot]);
  return c.b.value(`ext.${signed ? 's' : 'u'}${bits[w]}.i32`, [slot]);
}
const doubleOf = (w: IntWidth): IntWidth => (w === 'i32' ? 'i64' : 'i32');
/** 1 if the signed product is not the sign extension of its low half: CF and OF of IMUL. */
function signedOverflow(c: LiftContext, product: Operand, w: IntWidth): Operand {
  return c.b.value(`ne.${doubleOf(w)}`, [extended(c, product, w, true), product]);
}

/** xDX:xAX (AX for bytes) = xAX * operand. */
const multiply =
  (signed: boolean): Lift =>
  (c) => {
    const { b } = c;
    const w = c.widthOf(0);
    const s = c.read(0);
    if (w === 'i64') {
      const high = b.value(`mulh_${signed ? 's' : 'u'}.i64`, [AX, s]);
      const low = b.value('mul.i64', [AX, s]);
      const over = signed
        ? b.value('ne.i64', [high, b.valueConst('shr_s.i64', [low], 63)])
        : b.valueConst('ne.i64', [high], 0);
      c.flags('res', w, [low, over, over]);
      b.emit('mov.i64', AX, [low]);
      b.emit('mov.i64', DX, [high]);
      return;
    }
    const double = doubleOf(w);
    const product = b.value(`mul.${double}`, [extended(c, AX, w, signed), extended(c, s, w, signed)]);
    const over = signed
      ? signedOverflow(c, product, w)
      : b.valueConst(`gt_u.${double}`, [product], w === 'i32' ? 0xffff_ffff : 2 ** bits[w] - 1);
    c.flags('res', w, [product, over, over]);
    if (w === 'i8') b.emit('mov.i16', AX, [product]);
    else {
      b.emit(`mov.${w}`, AX, [product]);
      b.emit(`mov.${w}`, DX, [b.valueConst(`shr_u.${double}`, [product], bits[w])]);
    }
  };
ins('f6 /4', 'mul', 'Eb', multiply(false), { undefinedFlags: UNDEFINED });
ins('f7 /4', 'mul', 'Ev', multiply(false), { undefinedFlags: UNDEFINED });
ins('f6 /5', 'imul', 'Eb', multiply(true), { undefinedFlags: UNDEFINED });
ins('f7 /5', 'imul', 'Ev', multiply(true), { undefinedFlags: UNDEFINED });

/** operand 0 = a * b, truncated. */
function imulTruncated(c: LiftContext, a: Operand, s: Operand): void {
  const { b } = c;
  const w = c.width;
  if (w === 'i64') {
    const low = b.value('mul.i64', [a, s]);
    const over = b.value('ne.i64', [b.value('mulh_s.i64', [a, s]), b.valueConst('shr_s.i64', [low], 63)]);
    c.flags('res', w, [low, over, over]);
    b.emit('mov.i64', c.register(0), [low]);
    return;
  }
  const product = b.value(`mul.${doubleOf(w)}`, [extended(c, a, w, true), extended(c, s, w, true)]);
  const over = signedOverflow(c, product, w);
  c.flags('res', w, [product, over, over]);
  b.emit(`mov.${w}`, c.register(0), [product]);
}
ins('0f af', 'imul', 'Gv Ev', (c) => imulTruncated(c, c.register(0), c.read(1)), { undefinedFlags: UNDEFINED });
for (const [encoding, operands] of [
  ['69', 'Gv Ev Iz'],
  ['6b', 'Gv Ev Ibs'],
] as const)
  ins(encoding, 'imul', operands, (c) => imulTruncated(c, c.read(1), c.b.constant(c.i.imm)), {
    undefinedFlags: UNDEFINED,
  });

/** xAX = quotient, xDX = remainder (AL and AH for bytes) of xDX:xAX by the operand; #DE when it does not fit. */
const divide =
  (signed: boolean): Lift =>
  (c) => {
    const { b } = c;
    const w = c.widthOf(0);
    const d = c.read(0);
    const s = signed ? 's' : 'u';
    if (w === 'i64') {
      b.emit(`x86.guard_div_${s}.i64`, 0, signed ? [DX, AX, d] : [DX, d]);
      const q = b.value(`x86.div_${s}.i128`, [DX, AX, d]);
      b.emit('sub.i64', DX, [AX, b.value('mul.i64', [q, d])]);
      b.emit('mov.i64', AX, [q]);
      return;
    }
    const high = w === 'i8' ? AH : DX;
    // The dividend is put together in i64, where neither the quotient nor a division in range overflows.
    let n: Operand;
    if (w === 'i8') n = b.value(signed ? 'ext.s16.i64' : 'ext.u16.i32', [AX]);
    else if (w === 'i16') {
      n = b.value('or.i32', [b.valueConst('shl.i32', [DX], 16), b.value('ext.u16.i32', [AX])]);
      if (signed) n = b.value('ext.s32.i64', [n]);
    } else n = b.value('or.i64', [b.valueConst('shl.i64', [DX], 32), b.value('mov.i32', [AX])]);
    let divisor: Operand;
    if (signed) divisor = b.value(`ext.s${bits[w]}.i64`, [d]);
    else divisor = w === 'i32' ? b.value('mov.i32', [d]) : b.value(`ext.u${bits[w]}.i32`, [d]);
    b.emit(`x86.guard_div_${s}.${w}`, 0, signed ? [n, divisor] : [high, divisor]);
    const q = b.value(`div_${s}.i64`, [n, divisor]);
    const r = b.value(`rem_${s}.i64`, [n, divisor]);
    b.emit(`mov.${w}`, AX, [q]);
    b.emit(`mov.${w}`, high, [r]);
  };
const ALL = CF | PF | AF | ZF | SF | OF;
ins('f6 /6', 'div', 'Eb', divide(false), { undefinedFlags: ALL });
ins('f7 /6', 'div', 'Ev', divide(false), { undefinedFlags: ALL });
ins('f6 /7', 'idiv', 'Eb', divide(true), { undefinedFlags: ALL });
ins('f7 /7', 'idiv', 'Ev', divide(true), { undefinedFlags: ALL });
