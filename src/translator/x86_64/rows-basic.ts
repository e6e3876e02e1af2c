/** Moves, arithmetic and logic of two operands, stack, and control transfer. SDM volume 2. */
import { CONST, SLOT_ZERO } from '../ir/layout.ts';
import type { Condition, IntWidth } from '../ir/block.ts';
import { byWidth, type LiftContext, type Value } from './lift.ts';
import { ins, type Lift } from './row.ts';
import { AF, gpr, RBP, RCX, RSP } from './state.ts';

const R11 = 11;
type Alu = 'add' | 'or' | 'adc' | 'sbb' | 'and' | 'sub' | 'xor' | 'cmp';

/** op operand0, operand1, with flags. Memory destinations write before flags change, so that a fault leaves them. */
const alu = (name: Alu): Lift => {
  const opName = byWidth(name);
  return (c) => {
    const w = c.widthOf(0);
    const b = c.src(1);
    if (name === 'cmp') {
      c.flags('sub', w, [c.read(0), b.slot], b.imm);
      return;
    }
    if (name === 'adc' || name === 'sbb') {
      aluCarry(c, name, w, b);
      return;
    }
    const flags = (a: number): void => {
      if (name === 'add' || name === 'sub') c.flags(name, w, [a, b.slot], b.imm);
    };
    const logic = name === 'and' || name === 'or' || name === 'xor';
    if (c.isMemory(0)) {
      if (c.i.lock) {
        const { base, disp } = c.address();
        const value = b.slot === CONST ? c.b.constant(b.imm) : b.slot;
        // The register may not change before the flags are computed from it; it does not: the result goes to memory.
        const old = c.b.value(`atomic.${name}.${w}`, [base, value], disp);
        if (logic) c.flags('logic', w, [c.b.value(opName[w], [old, value])]);
        else flags(old);
        return;
      }
      const a = c.load(w);
      const r = c.b.value(opName[w], [a, b.slot], b.imm);
      c.store(w, r);
      if (logic) c.flags('logic', w, [r]);
      else flags(a);
      return;
    }
    const d = c.register(0);
    flags(d);
    c.b.emit(opName[w], d, [d, b.slot], b.imm);
    if (logic) c.flags('logic', w, [d]);
  };
};

function aluCarry(c: LiftContext, name: 'adc' | 'sbb', w: IntWidth, b: Value): void {
  const carry = c.carry();
  const op = name === 'adc' ? 'add' : 'sub';
  const source = b.slot === CONST ? c.b.constant(b.imm) : b.slot;
  const compute = (a: number): number => c.b.value(`${op}.${w}`, [c.b.value(`${op}.${w}`, [a, source]), carry]);
  if (!c.isMemory(0)) {
    const d = c.register(0);
    if (name === 'sbb' && source === d) {
      // All bits are the carry: compilers make masks so.
      const mask = c.b.value(`sub.${w}`, [SLOT_ZERO, carry]);
      c.flags(name, w, [SLOT_ZERO, SLOT_ZERO, mask]);
      c.b.emit(`mov.${w}`, d, [mask]);
      return;
    }
    const r = compute(d);
    c.flags(name, w, [d, source, r]);
    c.b.emit(`mov.${w}`, d, [r]);
    return;
  }
  if (c.i.lock) {
    // The old value plus carry is added in one atomic step: a + (b + carry) is the same sum.
    const { base, disp } = c.address();
    const old = c.b.value(`atomic.${op}.${w}`, [base, c.b.value(`add.${w}`, [source, carry])], disp);
    c.flags(name, w, [old, source, compute(old)]);
    return;
  }
  const a = c.load(w);
  const r = compute(a);
  c.store(w, r);
  c.flags(name, w, [a, source, r]);
}

const alus: Alu[] = ['add', 'or', 'adc', 'sbb', 'and', 'sub', 'xor', 'cmp'];
alus.forEach((name, n) => {
  const lift = alu(name);
  const undefinedFlags = name === 'and' || name === 'or' || name === 'xor' ? AF : 0;
  const toRegister = { undefinedFlags };
  const toMemory = { undefinedFlags, lock: name !== 'cmp' };
  const op = (k: number): string => (n * 8 + k).toString(16).padStart(2, '0');
  ins(op(0), name, 'Eb Gb', lift, toMemory);
  ins(op(1), name, 'Ev Gv', lift, toMemory);
  ins(op(2), name, 'Gb Eb', lift, toRegister);
  ins(op(3), name, 'Gv Ev', lift, toRegister);
  ins(op(4), name, 'al Ib', lift, toRegister);
  ins(op(5), name, 'rAX Iz', lift, toRegister);
  ins(`80 /${n}`, name, 'Eb Ib', lift, toMemory);
  ins(`81 /${n}`, name, 'Ev Iz', lift, toMemory);
  ins(`83 /${n}`, name, 'Ev Ibs', lift, toMemory);
});

const andName = byWidth('and');
const test: Lift = (c) => {
  const w = c.widthOf(0);
  const b = c.src(1);
  const a = c.read(0);
  c.flags('logic', w, [a === b.slot ? a : c.b.value(andName[w], [a, b.slot], b.imm)]);
};
for (const [enc, operands] of [
  ['84', 'Eb Gb'],
  ['85', 'Ev Gv'],
  ['a8', 'al Ib'],
  ['a9', 'rAX Iz'],
  ['f6 /0', 'Eb Ib'],
  ['f6 /1', 'Eb Ib'],
  ['f7 /0', 'Ev Iz'],
  ['f7 /1', 'Ev Iz'],
] as const)
  ins(enc, 'test', operands, test, { undefinedFlags: AF });

const increment =
  (name: 'inc' | 'dec'): Lift =>
  (c) => {
    const w = c.widthOf(0);
    const op = name === 'inc' ? 'add' : 'sub';
    const carry = c.carry();
    if (!c.isMemory(0)) {
      const d = c.register(0);
      c.b.emit(`${op}.${w}`, d, [d, CONST], 1);
      c.flags(name, w, [d, carry]);
      return;
    }
    if (c.i.lock) {
      const { base, disp } = c.address();
      const old = c.b.value(`atomic.${op}.${w}`, [base, c.b.constant(1)], disp);
      c.flags(name, w, [c.b.valueConst(`${op}.${w}`, [old], 1), carry]);
      return;
    }
    const r = c.b.valueConst(`${op}.${w}`, [c.load(w)], 1);
    c.store(w, r);
    c.flags(name, w, [r, carry]);
  };
ins('fe /0', 'inc', 'Eb', increment('inc'), { lock: true });
ins('ff /0', 'inc', 'Ev', increment('inc'), { lock: true });
ins('fe /1', 'dec', 'Eb', increment('dec'), { lock: true });
ins('ff /1', 'dec', 'Ev', increment('dec'), { lock: true });

const not: Lift = (c) => {
  const w = c.widthOf(0);
  if (!c.isMemory(0)) {
    const d = c.register(0);
    c.b.emit(`xor.${w}`, d, [d, CONST], -1);
  } else if (c.i.lock) {
    const { base, disp } = c.address();
    c.b.value(`atomic.xor.${w}`, [base, c.b.constant(-1)], disp);
  } else c.store(w, c.b.valueConst(`xor.${w}`, [c.load(w)], -1));
};
ins('f6 /2', 'not', 'Eb', not, { lock: true });
ins('f7 /2', 'not', 'Ev', not, { lock: true });

// Wasm has no atomic negation: a plain sequence is as atomic, since one thread runs all vCPUs.
const neg: Lift = (c) => {
  const w = c.widthOf(0);
  if (!c.isMemory(0)) {
    const d = c.register(0);
    c.flags('sub', w, [SLOT_ZERO, d]);
    c.b.emit(`sub.${w}`, d, [SLOT_ZERO, d]);
    return;
  }
  const a = c.load(w);
  c.store(w, c.b.value(`sub.${w}`, [SLOT_ZERO, a]));
  c.flags('sub', w, [SLOT_ZERO, a]);
};
ins('f6 /3', 'neg', 'Eb', neg, { lock: true });
ins('f7 /3', 'neg', 'Ev', neg, { lock: true });

const mov: Lift = (c) => {
  const w = c.widthOf(0);
  if (c.i.row.operands[1]!.kind !== 'I' && c.isMemory(1)) c.loadInto(c.register(0), w);
  else c.write(0, c.src(1));
};
for (const [enc, operands] of [
  ['88', 'Eb Gb'],
  ['89', 'Ev Gv'],
  ['8a', 'Gb Eb'],
  ['8b', 'Gv Ev'],
  ['c6 /0', 'Eb Ib'],
  ['c7 /0', 'Ev Iz'],
  ['b0+', 'Zb Ib'],
  ['b8+', 'Zv Iv'],
  ['a0', 'al Ob'],
  ['a1', 'rAX Ov'],
  ['a2', 'Ob al'],
  ['a3', 'Ov rAX'],
] as const)
  ins(enc, 'mov', operands, mov, enc.startsWith('a') ? { noFuzz: 'absolute address' } : {});

const movName = byWidth('mov');
const addName = byWidth('add');
ins('8d mem', 'lea', 'Gv M', (c) => {
  const w = c.width;
  c.i.segment = null; // LEA ignores segment overrides.
  const { base, disp } = c.address();
  if (base === SLOT_ZERO) c.b.emit(movName[w], c.register(0), [CONST], disp);
  else if (disp === 0) c.b.emit(movName[w], c.register(0), [base]);
  else c.b.emit(addName[w], c.register(0), [base, CONST], disp);
});

// Stack. The store comes first: a fault must leave RSP.
export function push(c: LiftContext, w: 'i16' | 'i64', value: number): void {
  const bytes = w === 'i16' ? 2 : 8;
  c.b.emit(w === 'i16' ? 'store.i16' : 'store.i64', 0, [gpr(RSP), value], -bytes);
  c.b.emit('add.i64', gpr(RSP), [gpr(RSP), CONST], -bytes);
}
/** Pops into a new temporary without moving RSP: the caller moves it when nothing can fault any more. */
export function peek(c: LiftContext, w: 'i16' | 'i64'): number {
  return c.b.value(w === 'i16' ? 'load.u16' : 'load.i64', [gpr(RSP)], 0);
}
export function moveSp(c: LiftContext, bytes: number): void {
  c.b.emit('add.i64', gpr(RSP), [gpr(RSP), CONST], bytes);
}
const stackWidth = (c: LiftContext): 'i16' | 'i64' => (c.i.size === 2 ? 'i16' : 'i64');
ins(
  '50+',
  'push',
  'Zv',
  (c) => {
    // PUSH RSP stores the value before the decrement, which the store-first order gives.
    push(c, stackWidth(c), c.register(0));
  },
  { d64: true },
);
ins('ff /6', 'push', 'Ev', (c) => push(c, stackWidth(c), c.read(0)), { d64: true });
ins('68', 'push', 'Iz', (c) => push(c, stackWidth(c), c.b.constant(c.i.imm)), { d64: true });
ins('6a', 'push', 'Ibs', (c) => push(c, stackWidth(c), c.b.constant(c.i.imm)), { d64: true });
const pop: Lift = (c) => {
  const w = stackWidth(c);
  const v = peek(c, w);
  const bytes = w === 'i16' ? 2 : 8;
  if (!c.isMemory(0)) {
    moveSp(c, bytes);
    c.b.emit(w === 'i16' ? 'mov.i16' : 'mov.i64', c.register(0), [v]);
    return;
  }
  // An RSP-based destination is computed after the increment (SDM, POP).
  const { base, disp } = c.address();
  const usesSp = c.i.mem!.base === RSP;
  c.b.emit(`store.${w}`, 0, [base, v], usesSp ? (disp as number) + bytes : disp);
  moveSp(c, bytes);
};
ins('58+', 'pop', 'Zv', pop, { d64: true });
ins('8f /0', 'pop', 'Ev', pop, { d64: true });

// Control transfer.
const jump: Lift = (c) => {
  c.b.exit = { kind: 'jump', target: c.i.imm as number };
};
ins('eb', 'jmp', 'Jb', jump, { f64: true });
ins('e9', 'jmp', 'Jz', jump, { f64: true });
ins(
  'ff /4',
  'jmp',
  'Ev',
  (c) => {
    c.b.exit = { kind: 'indirect', slot: copyTarget(c) };
  },
  { f64: true },
);
/** The target in a slot that later ops of this instruction do not write. */
function copyTarget(c: LiftContext): number {
  return c.isMemory(0) ? c.read(0) : c.b.value('mov.i64', [c.register(0)]);
}
for (let code = 0; code < 16; code++) {
  const jcc: Lift = (c) => {
    c.b.exit = { kind: 'branch', condition: c.condition(code), taken: c.i.imm as number, fallthrough: c.i.next };
  };
  ins((0x70 + code).toString(16), 'jcc', 'Jb', jcc, { f64: true });
  ins(`0f ${(0x80 + code).toString(16)}`, 'jcc', 'Jz', jcc, { f64: true });
}
ins('e3', 'jrcxz', 'Jb', (c) => {
  const width = c.i.addrsize ? 'i32' : 'i64';
  c.b.exit = {
    kind: 'branch',
    condition: { compare: 'eq', width, a: gpr(RCX), b: CONST, imm: 0 },
    taken: c.i.imm as number,
    fallthrough: c.i.next,
  };
});
ins(
  'e8',
  'call',
  'Jz',
  (c) => {
    push(c, 'i64', c.b.constant(c.i.next));
    c.b.exit = { kind: 'call', target: c.i.imm as number, slot: 0, returnPc: c.i.next };
  },
  { f64: true },
);
ins(
  'ff /2',
  'call',
  'Ev',
  (c) => {
    const target = copyTarget(c);
    push(c, 'i64', c.b.constant(c.i.next));
    c.b.exit = { kind: 'call', target: null, slot: target, returnPc: c.i.next };
  },
  { f64: true },
);
const ret: Lift = (c) => {
  const target = peek(c, 'i64');
  moveSp(c, 8 + (c.i.row.operands.length > 0 ? (c.i.imm as number) : 0));
  c.b.exit = { kind: 'ret', slot: target };
};
ins('c3', 'ret', '', ret, { f64: true });
ins('c2', 'ret', 'Iw', ret, { f64: true });
// LOOP: the count register has the address size; flags stay.
const loop =
  (zf: boolean | null): Lift =>
  (c) => {
    const width = c.i.addrsize ? 'i32' : 'i64';
    c.b.emit(`sub.${width}`, gpr(RCX), [gpr(RCX), CONST], 1);
    const more: Condition = { compare: 'ne', width, a: gpr(RCX), b: CONST, imm: 0 };
    let condition = more;
    if (zf !== null) {
      const a = c.b.value('and.i32', [c.b.valueConst(`ne.${width}`, [gpr(RCX)], 0), c.conditionValue(zf ? 4 : 5)]);
      condition = { compare: 'ne', width: 'i32', a, b: CONST, imm: 0 };
    }
    c.b.exit = { kind: 'branch', condition, taken: c.i.imm as number, fallthrough: c.i.next };
  };
ins('e0', 'loopne', 'Jb', loop(false), { f64: true });
ins('e1', 'loope', 'Jb', loop(true), { f64: true });
ins('e2', 'loop', 'Jb', loop(null), { f64: true });

// ENTER and LEAVE.
ins(
  'c9',
  'leave',
  '',
  (c) => {
    const w = stackWidth(c);
    const v = c.b.value(w === 'i16' ? 'load.u16' : 'load.i64', [gpr(RBP)], 0);
    c.b.emit('add.i64', gpr(RSP), [gpr(RBP), CONST], w === 'i16' ? 2 : 8);
    c.b.emit(`mov.${w}`, gpr(RBP), [v]);
  },
  { d64: true },
);
ins(
  'c8',
  'enter',
  'Iw Ib',
  (c) => {
    const w = stackWidth(c);
    const bytes = w === 'i16' ? 2 : 8;
    const level = c.i.imm2 & 31;
    const sp = gpr(RSP);
    c.b.emit(`store.${w}`, 0, [sp, gpr(RBP)], -bytes);
    const frame = c.add64(sp, -bytes);
    // The display: level - 1 frame pointers of the enclosing procedures, then this frame's own.
    for (let k = 1; k < level; k++)
      c.b.emit(
        `store.${w}`,
        0,
        [sp, c.b.value(w === 'i16' ? 'load.u16' : 'load.i64', [gpr(RBP)], -bytes * k)],
        -bytes * (k + 1),
      );
    if (level > 0) c.b.emit(`store.${w}`, 0, [sp, frame], -bytes * (level + 1));
    // The CPU checks that the new top of stack can be written.
    const room = -bytes * (level + 1) - (c.i.imm as number);
    c.b.emit(`store.${w}`, 0, [sp, c.b.value(w === 'i16' ? 'load.u16' : 'load.i64', [sp], room)], room);
    c.b.emit('add.i64', sp, [sp, CONST], room);
    c.b.emit(`mov.${w}`, gpr(RBP), [frame]);
  },
  { d64: true },
);

ins(
  '0f 05',
  'syscall',
  '',
  (c) => {
    c.b.emit('mov.i64', gpr(RCX), [CONST], c.i.next);
    c.b.emit('mov.i64', gpr(R11), [c.b.value('x86.rflags', [])]);
    c.b.exit = { kind: 'syscall', next: c.i.next };
  },
  { noFuzz: 'enters the kernel' },
);
