/** Names of the AArch64 slots, for IR text. */
import { CC_A, CC_B, CC_OP, CC_RES, EXCL_TAG, EXCL_VALUE, FPCR, FPSR, SP, TPIDR_EL0, vec } from './state.ts';

const others = new Map([
  [SP, 'sp'],
  [CC_OP, 'cc.op'],
  [CC_A, 'cc.a'],
  [CC_B, 'cc.b'],
  [CC_RES, 'cc.res'],
  [TPIDR_EL0, 'tpidr'],
  [FPCR, 'fpcr'],
  [FPSR, 'fpsr'],
  [EXCL_TAG, 'excl.tag'],
  [EXCL_VALUE, 'excl.value'],
  [EXCL_VALUE + 8, 'excl.value+8'],
]);

export function slotNames(slot: number): string | null {
  const part = (name: string, byte: number): string => (byte ? `${name}+${byte}` : name);
  if (slot >= 0x80 && slot < SP) return part(`x${(slot - 0x80) >> 3}`, slot & 7);
  if (slot >= vec(0) && slot < vec(32)) return part(`v${(slot - vec(0)) >> 4}`, slot & 15);
  return others.get(slot) ?? null;
}
