/** XCHG, XADD, CMPXCHG and their wide forms. SDM volume 2; memory forms with LOCK (XCHG always) are IR atomics. */
import type { LiftContext } from './lift.ts';
import { ins, type Lift } from './row.ts';
import { gpr, RAX, RBX, RCX, RDX } from './state.ts';

const xchg: Lift = (c) => {
  const w = c.widthOf(0);
  const s = c.register(1);
  if (c.isMemory(0)) {
    const { base, disp } = c.address();
    const old = c.b.value(`atomic.xchg.${w}`, [base, s], disp);
    c.b.emit(`mov.${w}`, s, [old]);
    return;
  }
  const d = c.register(0);
  const old = c.b.value(`mov.${w}`, [d]);
  c.b.emit(`mov.${w}`, d, [s]);
  c.b.emit(`mov.${w}`, s, [old]);
};
ins('86', 'xchg', 'Eb Gb', xchg, { lock: true });
ins('87', 'xchg', 'Ev Gv', xchg, { lock: true });
// 90 is NOP (and F3 90 PAUSE) unless REX.B names R8; NOP does not zero-extend EAX.
ins('90+', 'xchg', 'Zv rAX', (c) => {
  if (c.i.rm !== RAX) xchg(c);
});

const xadd: Lift = (c) => {
  const w = c.widthOf(0);
  const s = c.register(1);
  if (c.isMemory(0)) {
    const { base, disp } = c.address();
    const old = c.b.value(`atomic.add.${w}`, [base, s], disp);
    c.flags('add', w, [old, s]);
    c.b.emit(`mov.${w}`, s, [old]);
    return;
  }
  const d = c.register(0);
  c.flags('add', w, [d, s]);
  const sum = c.b.value(`add.${w}`, [d, s]);
  c.b.emit(`mov.${w}`, s, [d]);
  c.b.emit(`mov.${w}`, d, [sum]);
};
ins('0f c0', 'xadd', 'Eb Gb', xadd, { lock: true });
ins('0f c1', 'xadd', 'Ev Gv', xadd, { lock: true });

const cmpxchg: Lift = (c) => {
  const w = c.widthOf(0);
  const a = gpr(RAX);
  const s = c.register(1);
  const { base, disp } = c.isMemory(0) ? c.address() : { base: 0, disp: 0 };
  const old = c.isMemory(0)
    ? c.b.value(`atomic.cmpxchg.${w}`, [base, a, s], disp)
    : c.b.value(`mov.${w}`, [c.register(0)]);
  const equal = c.b.value(`eq.${w}`, [a, old]);
  c.flags('sub', w, [a, old]);
  // One of the destination and the accumulator is written; the other keeps the high half of a 32-bit form.
  const whole = w === 'i32' ? 'i64' : w;
  if (!c.isMemory(0)) {
    const d = c.register(0);
    c.b.emit(`select.${whole}`, d, [equal, w === 'i32' ? c.b.value('mov.i32', [s]) : s, d]);
  }
  c.b.emit(`select.${whole}`, a, [equal, a, old]);
};
ins('0f b0', 'cmpxchg', 'Eb Gb', cmpxchg, { lock: true });
ins('0f b1', 'cmpxchg', 'Ev Gv', cmpxchg, { lock: true });

/** Writes the value found to xDX:xAX unless the comparison held. */
function wideResult(c: LiftContext, equal: number, low: number, high: number): void {
  c.flagsOp('flags.zf', 'eflags', 'i32', [equal]);
  c.b.emit('select.i64', gpr(RAX), [equal, gpr(RAX), low]);
  c.b.emit('select.i64', gpr(RDX), [equal, gpr(RDX), high]);
}
const joined = (c: LiftContext, high: number, low: number): number => {
  const { b } = c;
  return b.value('or.i64', [b.valueConst('shl.i64', [gpr(high)], 32), b.value('mov.i32', [gpr(low)])]);
};
const cmpxchg8b: Lift = (c) => {
  const { b } = c;
  const { base, disp } = c.address();
  const expected = joined(c, RDX, RAX);
  const old = b.value('atomic.cmpxchg.i64', [base, expected, joined(c, RCX, RBX)], disp);
  wideResult(c, b.value('eq.i64', [old, expected]), b.value('mov.i32', [old]), b.valueConst('shr_u.i64', [old], 32));
};
const cmpxchg16b: Lift = (c) => {
  const { b } = c;
  const { base, disp } = c.address();
  const old = b.value('load.v128.aligned', [base], disp);
  const equal = b.value('and.i32', [b.value('eq.i64', [old, gpr(RAX)]), b.value('eq.i64', [old + 8, gpr(RDX)])]);
  // Written back either way, as the bus cycle of the CPU does: a read-only page faults.
  const put = b.vectorTemp();
  b.emit('select.i64', put, [equal, gpr(RBX), old]);
  b.emit('select.i64', put + 8, [equal, gpr(RCX), old + 8]);
  b.emit('store.v128.aligned', 0, [base, put], disp);
  wideResult(c, equal, old, old + 8);
};
ins('0f c7 /1 mem', 'cmpxchg8b', 'Mq', (c) => (c.i.rexW ? cmpxchg16b(c) : cmpxchg8b(c)), { lock: true });
