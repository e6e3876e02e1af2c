/** Names of the x86-64 slots, for IR text. */
import { CC_A, CC_B, CC_OP, CC_RES, DF, FS_BASE, GS_BASE, MXCSR } from './state.ts';

const general = [
  'rax',
  'rcx',
  'rdx',
  'rbx',
  'rsp',
  'rbp',
  'rsi',
  'rdi',
  'r8',
  'r9',
  'r10',
  'r11',
  'r12',
  'r13',
  'r14',
  'r15',
];
const others = new Map([
  [CC_OP, 'cc.op'],
  [CC_A, 'cc.a'],
  [CC_B, 'cc.b'],
  [CC_RES, 'cc.res'],
  [FS_BASE, 'fs'],
  [GS_BASE, 'gs'],
  [DF, 'df'],
  [MXCSR, 'mxcsr'],
]);

export function slotNames(slot: number): string | null {
  const part = (name: string, byte: number): string => (byte ? `${name}+${byte}` : name);
  if (slot >= 0x80 && slot < 0x100) return part(general[(slot - 0x80) >> 3]!, slot & 7);
  if (slot >= 0x180 && slot < 0x280) return part(`xmm${(slot - 0x180) >> 4}`, slot & 15);
  if (slot >= 0x280 && slot < 0x300) return part(`st.${(slot - 0x280) >> 4}`, slot & 15);
  return others.get(slot) ?? null;
}
