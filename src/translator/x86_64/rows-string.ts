/**
 * String instructions. SDM volume 2, "REP/REPE/REPZ/REPNE/REPNZ". Single steps are inline; repeated ones are helpers
 * (src/helpers/strings.ts), which keep RCX, RSI and RDI exact when a page faults, so that the instruction goes on there.
 */
import { CONST } from '../ir/layout.ts';
import type { IntWidth, Operand } from '../ir/block.ts';
import { type LiftContext, widthOfBytes } from './lift.ts';
import { ins, type Lift } from './row.ts';
import { DF, gpr, RAX, RDI, RSI } from './state.ts';

type Name = 'movs' | 'stos' | 'lods' | 'scas' | 'cmps';

/** The helpers' mode word: log2 of the element size, then these bits. */
export const stringMode = { addrsize: 4, fs: 8, gs: 16, repne: 32 } as const;

const source = (c: LiftContext): Operand => c.segmented(index(c, RSI));
/** The index register as an address: 32 bits of it with an address-size prefix. */
const index = (c: LiftContext, n: number): Operand => (c.i.addrsize ? c.b.value('mov.i32', [gpr(n)]) : gpr(n));

/** Moves index registers by one element, up or down. */
function advance(c: LiftContext, bytes: number, ...registers: number[]): void {
  const { b } = c;
  const step = b.valueConst('add.i64', [b.valueConst('mul.i64', [DF], -2 * bytes)], bytes);
  const w = c.i.addrsize ? 'i32' : 'i64';
  for (const n of registers) b.emit(`add.${w}`, gpr(n), [gpr(n), step]);
}

const single: Record<Name, (c: LiftContext, w: IntWidth, bytes: number) => void> = {
  movs(c, w, bytes) {
    const v = c.b.value(loadOf(w), [source(c)], 0);
    c.b.emit(`store.${w}`, 0, [index(c, RDI), v], 0);
    advance(c, bytes, RSI, RDI);
  },
  stos(c, w, bytes) {
    c.b.emit(`store.${w}`, 0, [index(c, RDI), gpr(RAX)], 0);
    advance(c, bytes, RDI);
  },
  lods(c, w, bytes) {
    const v = c.b.value(loadOf(w), [source(c)], 0);
    advance(c, bytes, RSI);
    c.b.emit(`mov.${w}`, gpr(RAX), [v]);
  },
  scas(c, w, bytes) {
    const v = c.b.value(loadOf(w), [index(c, RDI)], 0);
    c.flags('sub', w, [gpr(RAX), v]);
    advance(c, bytes, RDI);
  },
  cmps(c, w, bytes) {
    const a = c.b.value(loadOf(w), [source(c)], 0);
    const v = c.b.value(loadOf(w), [index(c, RDI)], 0);
    c.flags('sub', w, [a, v]);
    advance(c, bytes, RSI, RDI);
  },
};
const loadOf = (w: IntWidth): string => (w === 'i8' ? 'load.u8' : w === 'i16' ? 'load.u16' : `load.${w}`);

const lift =
  (name: Name, byte: boolean): Lift =>
  (c) => {
    const bytes = byte ? 1 : c.i.size;
    if (!c.i.rep) {
      single[name](c, widthOfBytes(bytes), bytes);
      return;
    }
    let mode = Math.log2(bytes);
    if (c.i.addrsize) mode |= stringMode.addrsize;
    if (c.i.segment) mode |= stringMode[c.i.segment];
    if (c.i.rep === 'f2') mode |= stringMode.repne;
    c.b.emit(`x86.rep_${name}`, 0, [CONST], mode);
    if (name === 'scas' || name === 'cmps') c.flagsUnknown();
  };
const names: [Name, number][] = [
  ['movs', 0xa4],
  ['cmps', 0xa6],
  ['stos', 0xaa],
  ['lods', 0xac],
  ['scas', 0xae],
];
for (const [name, opcode] of names) {
  ins(opcode.toString(16), name, '', lift(name, true));
  ins((opcode + 1).toString(16), name, '', lift(name, false));
}
