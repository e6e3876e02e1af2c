/**
 * The tables of AArch64 switches, as gcc and LLVM compile them: 8, 16 or 32 bits of distance from a base, scaled.
 *
 *     adrp xT, table; add xT, xT, #low     often far in front, once for a loop
 *     ldrb|ldrh|ldr|ldrsw wI, [xT, index]
 *     adr xB, base
 *     add xD, xB, wI, sxtb|sxth|sxtw #2     or: add xD, xB, xI, lsl #2
 *     br xD
 */
import type { Block } from '../ir/block.ts';
import type { BlockAddresses, SwitchTable } from '../region/abi.ts';

/** What a register holds, as far as it concerns tables. */
type Value =
  | { kind: 'address'; address: number }
  | { kind: 'entry'; table: number | null; bytes: 1 | 2 | 4; signed: boolean; index: number }
  | { kind: 'target'; base: number | null; entry: Entry; signed: boolean; shift: number };
type Entry = Extract<Value, { kind: 'entry' }>;

/** Words in front of a block that are searched for the comparison that guards the switch. */
const GUARD_WORDS = 12;

const rd = (word: number): number => word & 31;
const rn = (word: number): number => (word >>> 5) & 31;
const rm = (word: number): number => (word >>> 16) & 31;
/** Signed immediate of ADR and ADRP. */
const adrImmediate = (word: number): number => (((word << 8) >> 13) << 2) | ((word >>> 29) & 3);

/** Register-offset loads (Arm ARM C4.1.94): bytes and sign by bits 31..21. */
const loads: Readonly<Record<number, [bytes: 1 | 2 | 4, signed: boolean]>> = {
  451: [1, false], // LDRB
  453: [1, true], // LDRSB X
  455: [1, true], // LDRSB W
  963: [2, false], // LDRH
  965: [2, true],
  967: [2, true],
  1475: [4, false], // LDR W
  1477: [4, true], // LDRSW
};

/** What the block computes of addresses and, when it ends in an indirect jump through a table, that table. */
export function blockAddresses(code: Uint8Array, block: Block): BlockAddresses {
  const view = new DataView(code.buffer, code.byteOffset, code.byteLength);
  const values = new Map<number, Value>();
  const addresses: number[] = [];
  const addressIn = (r: number): number | null => {
    const v = values.get(r);
    return v?.kind === 'address' ? v.address : null;
  };
  // Not the last: a branch, or of no interest.
  for (let pc = block.pc; pc + 4 < block.end; pc += 4) {
    const word = view.getUint32(pc, true);
    let value: Value | null = null;
    const load = (word & 0xc00) === 0x800 ? loads[word >>> 21] : undefined;
    if ((word & 0x9f00_0000) >>> 0 === 0x1000_0000)
      value = { kind: 'address', address: (pc + adrImmediate(word)) >>> 0 };
    else if ((word & 0x9f00_0000) >>> 0 === 0x9000_0000)
      value = { kind: 'address', address: ((pc & ~0xfff) + adrImmediate(word) * 0x1000) >>> 0 };
    else if ((word & 0xff80_0000) >>> 0 === 0x9100_0000) {
      const base = addressIn(rn(word));
      const add = ((word >>> 10) & 0xfff) << ((word >>> 22) & 1 ? 12 : 0);
      if (base !== null) value = { kind: 'address', address: (base + add) >>> 0 };
    } else if (load) {
      const [bytes, signed] = load;
      value = { kind: 'entry', table: addressIn(rn(word)), bytes, signed, index: rm(word) };
    } else value = targetOf(word, values, addressIn);
    if (value) values.set(rd(word), value);
    else values.delete(rd(word));
    if (value?.kind === 'address') addresses.push(value.address);
  }
  const jump = block.exit.kind === 'indirect' ? view.getUint32(block.end - 4, true) : 0;
  const target = (jump & 0xffff_fc1f) >>> 0 === 0xd61f_0000 ? values.get(rn(jump)) : undefined;
  if (target?.kind !== 'target') return { addresses, table: null };
  const { base, entry, signed, shift } = target;
  const table: SwitchTable = {
    table: entry.table,
    base: base ?? (shift === 0 ? 'table' : null),
    bytes: entry.bytes,
    signed: signed || entry.signed,
    shift,
    entries: entriesOf(view, block, entry.index),
  };
  return { addresses, table };
}

/** ADD (extended or shifted register) of a base and a table's entry. */
function targetOf(
  word: number,
  values: ReadonlyMap<number, Value>,
  addressIn: (r: number) => number | null,
): Value | null {
  const extended = (word & 0xffe0_0000) >>> 0 === 0x8b20_0000;
  const shifted = (word & 0xffe0_0000) >>> 0 === 0x8b00_0000;
  if (!extended && !shifted) return null;
  const [n, m] = [values.get(rn(word)), values.get(rm(word))];
  const shift = extended ? (word >>> 10) & 7 : (word >>> 10) & 63;
  if (shift > 4) return null;
  if (m?.kind === 'entry')
    return { kind: 'target', base: addressIn(rn(word)), entry: m, signed: extended && ((word >>> 13) & 7) >= 4, shift };
  // Without a shift the operands may be exchanged.
  if (n?.kind === 'entry' && shifted && shift === 0)
    return { kind: 'target', base: addressIn(rm(word)), entry: n, signed: false, shift };
  return null;
}

/** Entries by the comparison `cmp index, #n` in front of the jump; null when there is none. */
function entriesOf(view: DataView, block: Block, index: number): number | null {
  const first = Math.max(block.pc - GUARD_WORDS * 4, 0);
  for (let pc = block.end - 4; pc >= first; pc -= 4) {
    const word = view.getUint32(pc, true);
    // SUBS WZR or XZR, index, #imm12
    if ((word & 0x7fc0_001f) >>> 0 === 0x7100_001f && rn(word) === index) return ((word >>> 10) & 0xfff) + 1;
  }
  return null;
}
