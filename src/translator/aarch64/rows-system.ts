/** System instructions and registers that user mode may use (Arm ARM, C4.1.93, C5). */
import { CONST } from '../ir/layout.ts';
import { COUNTER_HZ, CTR, DCZID, idRegisters, ZVA_BYTES } from './cpu-features.ts';
import type { LiftContext } from './lift.ts';
import { ins, type Lift } from './row.ts';
import { EXCL_TAG, TPIDR_EL0 } from './state.ts';

const nothing: Lift = () => {};
const bits = (n: number, width: number): string => n.toString(2).padStart(width, '0');

// Hints. Those that are not known do nothing either: BTI, pointer authentication of LR, and so on.
ins('11010101000000110010 ------- 11111', 'hint', nothing);

// Barriers.
ins('11010101000000110011 ---- 010 11111', 'clrex', (c) => c.b.emit('mov.i64', EXCL_TAG, [CONST], 0));
ins('11010101000000110011 ---- 100 11111', 'dsb', nothing);
ins('11010101000000110011 ---- 101 11111', 'dmb', nothing);
// What follows must see code as it is now.
const endBlock: Lift = (c) => {
  c.b.exit = { kind: 'jump', target: c.next };
};
ins('11010101000000110011 ---- 110 11111', 'isb', endBlock);

// Cache maintenance. Stores to translated code are noticed by themselves, so that only the block has to end.
const sys = (op1: number, crn: number, crm: number, op2: number): string =>
  `1101010100001 ${bits(op1, 3)} ${bits(crn, 4)} ${bits(crm, 4)} ${bits(op2, 3)} ttttt`;
ins(sys(3, 7, 5, 1), 'ic ivau', endBlock);
ins(sys(3, 7, 10, 1), 'dc cvac', nothing);
ins(sys(3, 7, 11, 1), 'dc cvau', nothing);
ins(sys(3, 7, 14, 1), 'dc civac', nothing);
ins(sys(3, 7, 4, 1), 'dc zva', (c) => {
  const { b } = c;
  const { base } = c.address(c.x(c.d));
  const at = b.valueConst('and.i64', [base], -ZVA_BYTES);
  const zero = b.value('i64x2.splat', [c.x(31)]);
  for (let k = 0; k < ZVA_BYTES; k += 16) b.emit('store.v128', 0, [at, zero], k);
});

// System registers.
type Place = readonly [op0: number, op1: number, crn: number, crm: number, op2: number];
const register = (read: boolean, [op0, op1, crn, crm, op2]: Place): string =>
  `1101010100 ${read ? 1 : 0} ${bits(op0, 2)} ${bits(op1, 3)} ${bits(crn, 4)} ${bits(crm, 4)} ${bits(op2, 3)} ttttt`;
const mrs = (name: string, place: Place, lift: Lift, noFuzz?: string): void =>
  ins(register(true, place), `mrs ${name}`, lift, noFuzz === undefined ? {} : { noFuzz });
const msr = (name: string, place: Place, lift: Lift, noFuzz?: string): void =>
  ins(register(false, place), `msr ${name}`, lift, noFuzz === undefined ? {} : { noFuzz });
const constant =
  (value: bigint): Lift =>
  (c) =>
    c.setConstant(c.d, value);

const differs = 'depends on the machine';
mrs('tpidr_el0', [3, 3, 13, 0, 2], (c) => c.b.emit('mov.i64', c.to(c.d), [TPIDR_EL0]), 'the thread pointer');
msr('tpidr_el0', [3, 3, 13, 0, 2], (c) => c.b.emit('mov.i64', TPIDR_EL0, [c.x(c.d)]), 'the thread pointer');
mrs('tpidrro_el0', [3, 3, 13, 0, 3], constant(0n));
mrs('cntvct_el0', [3, 3, 14, 0, 2], (c) => c.b.emit('a64.counter', c.to(c.d), []), 'time');
mrs('cntfrq_el0', [3, 3, 14, 0, 0], constant(COUNTER_HZ), differs);
mrs('ctr_el0', [3, 3, 0, 0, 1], constant(CTR), differs);
mrs('dczid_el0', [3, 3, 0, 0, 7], constant(DCZID), differs);
mrs('nzcv', [3, 3, 4, 2, 0], (c) => c.b.emit('a64.nzcv', c.to(c.d), []));
msr('nzcv', [3, 3, 4, 2, 0], (c) => c.setNzcv(c.x(c.d)));
mrs('fpcr', [3, 3, 4, 4, 0], (c) => c.b.emit('a64.fpcr', c.to(c.d), []));
mrs('fpsr', [3, 3, 4, 4, 1], (c) => c.readFpsr(c.d), 'sticky flags');
const set = (c: LiftContext, op: string): void => c.b.emit(op, 0, [c.x(c.d), CONST], c.next);
msr('fpcr', [3, 3, 4, 4, 0], (c) => set(c, 'a64.set_fpcr'));
msr('fpsr', [3, 3, 4, 4, 1], (c) => set(c, 'a64.set_fpsr'));

// Identification registers, which Linux emulates: CRm 0 only those that exist, of CRm 2 to 7 the others read as zero.
for (const [place, value] of idRegisters) {
  const p = place.split(' ').map(Number) as unknown as Place;
  if (p[3] === 0) mrs(`id ${place}`, p, constant(value), differs);
}
for (let crm = 2; crm < 8; crm++)
  for (let op2 = 0; op2 < 8; op2++)
    mrs(`id ${crm} ${op2}`, [3, 0, 0, crm, op2], constant(idRegisters.get(`3 0 0 ${crm} ${op2}`) ?? 0n), differs);
