/** Bit tests and scans, POPCNT, BSWAP, CRC32. SDM volume 2. */
import { CONST } from '../ir/layout.ts';
import type { IntWidth, Operand } from '../ir/block.ts';
import type { LiftContext } from './lift.ts';
import { ins, type Lift } from './row.ts';
import { AF, CF, OF, PF, SF } from './state.ts';

const log2Bits: Record<IntWidth, number> = { i8: 3, i16: 4, i32: 5, i64: 6 };
const bits: Record<IntWidth, number> = { i8: 8, i16: 16, i32: 32, i64: 64 };
type BitTest = 'bt' | 'bts' | 'btr' | 'btc';
const combine = { bts: 'or', btr: 'and', btc: 'xor' } as const;

/** Where the bit is: its number within the operand, and for memory the address. */
interface Place {
  bit: number | { slot: Operand };
  base: Operand;
  disp: number | bigint;
}

/** A register bit offset is signed and may lie anywhere around the memory operand (SDM volume 2, section 3.1.1.9). */
function place(c: LiftContext, w: IntWidth): Place {
  const { b } = c;
  if (c.i.row.operands[1]!.kind === 'I') {
    const where = c.isMemory(0) ? c.address() : { base: 0, disp: 0 };
    return { bit: (c.i.imm as number) & (bits[w] - 1), ...where };
  }
  const offset = c.register(1);
  const bit = { slot: b.valueConst('and.i32', [offset], bits[w] - 1) };
  if (!c.isMemory(0)) return { bit, base: 0, disp: 0 };
  const wide = w === 'i64' ? offset : b.value(`ext.s${bits[w]}.i64`, [offset]);
  const unit = b.valueConst('shr_s.i64', [wide], log2Bits[w]);
  const bytes = b.valueConst('shl.i64', [unit], log2Bits[w] - 3);
  if (c.i.addrsize) {
    // The sum is cut to 32 bits, and then comes the segment's base.
    const { segment } = c.i;
    c.i.segment = null;
    const inSegment = b.value('mov.i32', [b.value('add.i64', [c.effectiveAddress(), bytes])]);
    c.i.segment = segment;
    return { bit, base: c.segmented(inSegment), disp: 0 };
  }
  const { base, disp } = c.address();
  return { bit, base: b.value('add.i64', [base, bytes]), disp };
}

function mask(c: LiftContext, name: 'bts' | 'btr' | 'btc', w: IntWidth, bit: Place['bit']): Operand {
  const { b } = c;
  if (typeof bit === 'number')
    return b.constant(BigInt.asIntN(64, name === 'btr' ? ~(1n << BigInt(bit)) : 1n << BigInt(bit)));
  const m = b.value(`shl.${w}`, [b.constant(1), bit.slot]);
  return name === 'btr' ? b.valueConst(`xor.${w}`, [m], -1) : m;
}
const tested = (c: LiftContext, w: IntWidth, value: Operand, bit: Place['bit']): Operand => {
  const shifted =
    typeof bit === 'number' ? c.b.valueConst(`shr_u.${w}`, [value], bit) : c.b.value(`shr_u.${w}`, [value, bit.slot]);
  return c.b.valueConst('and.i32', [shifted], 1);
};

const bitTest =
  (name: BitTest): Lift =>
  (c) => {
    const { b } = c;
    const w = c.width;
    const { bit, base, disp } = place(c, w);
    if (name === 'bt') {
      const value = c.isMemory(0) ? b.value(w === 'i16' ? 'load.u16' : `load.${w}`, [base], disp) : c.register(0);
      c.setCarry(tested(c, w, value, bit));
      return;
    }
    const m = mask(c, name, w, bit);
    const op = combine[name];
    if (c.isMemory(0)) {
      let old: Operand;
      if (c.i.lock) old = b.value(`atomic.${op}.${w}`, [base, m], disp);
      else {
        old = b.value(w === 'i16' ? 'load.u16' : `load.${w}`, [base], disp);
        b.emit(`store.${w}`, 0, [base, b.value(`${op}.${w}`, [old, m])], disp);
      }
      c.setCarry(tested(c, w, old, bit));
      return;
    }
    const d = c.register(0);
    c.setCarry(tested(c, w, d, bit));
    b.emit(`${op}.${w}`, d, [d, m]);
  };
// The manual leaves OF, SF, AF and PF undefined; CPUs keep them, as is done here.
const bitTests: [BitTest, string, number][] = [
  ['bt', 'a3', 4],
  ['bts', 'ab', 5],
  ['btr', 'b3', 6],
  ['btc', 'bb', 7],
];
for (const [name, opcode, n] of bitTests) {
  const lift = bitTest(name);
  const attributes = { lock: name !== 'bt', undefinedFlags: OF | SF | AF | PF };
  ins(`0f ${opcode}`, name, 'Ev Gv', lift, attributes);
  ins(`0f ba /${n}`, name, 'Ev Ib', lift, attributes);
}

/**
 * BSF and BSR leave the destination as it was, high half included, when the source is 0 (AMD's manual says so, Intel's
 * CPUs do it). With F3 these are TZCNT and LZCNT on CPUs that have them; CPUID says there are none, so F3 is ignored.
 */
const scan =
  (name: 'ctz' | 'clz'): Lift =>
  (c) => {
    const { b } = c;
    const w = c.width;
    const d = c.register(0);
    let s = c.read(1);
    if (w === 'i16') s = b.value('ext.u16.i32', [s]);
    const n = w === 'i64' ? 'i64' : 'i32';
    let found = b.value(`${name}.${n}`, [s]);
    if (name === 'clz') found = b.valueConst(`xor.${n}`, [found], n === 'i64' ? 63 : 31);
    const some = b.valueConst(`ne.${n}`, [s], 0);
    c.flags('logic', w, [s]);
    const whole = w === 'i32' ? 'i64' : w;
    b.emit(`select.${whole}`, d, [some, found, d]);
  };
const undefinedAfterScan = CF | OF | SF | AF | PF;
ins('0f bc', 'bsf', 'Gv Ev', scan('ctz'), { undefinedFlags: undefinedAfterScan });
ins('0f bd', 'bsr', 'Gv Ev', scan('clz'), { undefinedFlags: undefinedAfterScan });

ins('f3 0f b8', 'popcnt', 'Gv Ev', (c) => {
  const { b } = c;
  const w = c.width;
  let s = c.read(1);
  if (w === 'i16') s = b.value('ext.u16.i32', [s]);
  const n = w === 'i64' ? 'i64' : 'i32';
  // ZF from the source, the others clear.
  c.setEflags(b.valueConst('shl.i32', [b.valueConst(`eq.${n}`, [s], 0)], 6));
  const count = b.value(`popcnt.${n}`, [s]);
  b.emit(`mov.${w}`, c.register(0), [count]);
});

// A 16-bit BSWAP is undefined; CPUs clear the word.
ins('0f c8+', 'bswap', 'Zv', (c) => {
  const w = c.width;
  const d = c.register(0);
  if (w === 'i16') c.b.emit('mov.i16', d, [CONST], 0);
  else c.b.emit(`bswap.${w}`, d, [d]);
});

// The checksum register is 32 bits, or 64 with REX.W, where the high half becomes 0 as well.
const crc32: Lift = (c) => c.b.emit(`x86.crc32.${c.widthOf(1)}`, c.register(0), [c.register(0), c.read(1)]);
ins('f2 0f38 f0', 'crc32', 'Gy Eb', crc32);
ins('f2 0f38 f1', 'crc32', 'Gy Ev', crc32);
