/** IR as text, for --dump, golden tests and the verifier's complaints. */
import type { Block, Condition, Inst, RegionExit } from './block.ts';
import { CONST, SLOT_PC, SLOT_ZERO, TEMPS, VECTOR_TEMPS } from './layout.ts';

/** Names an ISA's slots; null for one it does not know. */
export type SlotNames = (slot: number) => string | null;

export function slotName(slot: number, names: SlotNames): string {
  if (slot >= VECTOR_TEMPS) return offset('v', (slot - VECTOR_TEMPS) >> 4, slot & 15);
  if (slot >= TEMPS) return offset('t', (slot - TEMPS) >> 3, slot & 7);
  if (slot === SLOT_ZERO) return 'zero';
  if (slot === SLOT_PC) return 'pc';
  return names(slot) ?? `[${slot.toString(16)}]`;
}
const offset = (prefix: string, n: number, byte: number): string => `${prefix}${n}${byte ? `+${byte}` : ''}`;
const number = (v: number | bigint): string =>
  v < 10 && v > -10 ? String(v) : v < 0 ? `-0x${(-v).toString(16)}` : `0x${v.toString(16)}`;

export function printInst(inst: Inst, names: SlotNames): string {
  const { op } = inst;
  const memory = op.kind === 'load' || op.kind === 'store' || op.kind === 'rmw';
  const parts: string[] = [];
  if (op.result) parts.push(slotName(inst.d, names));
  inst.inputs.forEach((slot, k) => {
    if (memory && k === 0) {
      const base = slot === SLOT_ZERO ? '' : slotName(slot, names);
      const disp = inst.imm === 0 && base ? '' : number(inst.imm);
      parts.push(`[${base}${base && disp && !disp.startsWith('-') ? '+' : ''}${disp}]`);
    } else parts.push(slot === CONST ? number(inst.imm) : slotName(slot, names));
  });
  return `${op.name} ${parts.join(', ')}`.trimEnd();
}

const printCondition = (c: Condition, names: SlotNames): string =>
  `${c.compare}.${c.width} ${slotName(c.a, names)}, ${c.b === CONST ? number(c.imm) : slotName(c.b, names)}`;

export function printExit(e: RegionExit, names: SlotNames): string {
  const hex = (n: number): string => `0x${n.toString(16)}`;
  switch (e.kind) {
    case 'jump':
      return `jump ${hex(e.target)}`;
    case 'branch':
      return `branch ${printCondition(e.condition, names)} -> ${hex(e.taken)} else ${hex(e.fallthrough)}`;
    case 'call':
      return `call ${e.target === null ? slotName(e.slot, names) : hex(e.target)} returns ${hex(e.returnPc)}${e.guess === undefined ? '' : ` likely ${hex(e.guess)}`}`;
    case 'ret':
      return `ret ${slotName(e.slot, names)}`;
    case 'return':
      return `return ${slotName(e.slot, names)} likely ${hex(e.to)}`;
    case 'indirect':
      return `indirect ${slotName(e.slot, names)}`;
    case 'syscall':
      return `syscall next ${hex(e.next)}`;
    case 'trap':
      return `trap ${e.trap}`;
  }
}

/** One line per op, two-blank indented, exit last. */
export function printBlock(block: Block<RegionExit>, names: SlotNames): string {
  const lines = [`block 0x${block.pc.toString(16)}`];
  for (const inst of block.insts) lines.push(`  ${printInst(inst, names)}`);
  lines.push(`  ${printExit(block.exit, names)}`);
  return lines.join('\n');
}
