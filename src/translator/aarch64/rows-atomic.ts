/** Exclusive, ordered and LSE atomic accesses (Arm ARM, C4.1.94: "Load/store exclusive ...", "Atomic memory operations"). */
import type { Operand } from '../ir/block.ts';
import { CONST } from '../ir/layout.ts';
import type { LiftContext } from './lift.ts';
import { ins, type Lift } from './row.ts';
import { EXCL_TAG, EXCL_VALUE } from './state.ts';

const accesses = ['i8', 'i16', 'i32', 'i64'] as const;
const suffixes = ['b', 'h', '', ''] as const;
const binary = (n: number): string => n.toString(2).padStart(2, '0');

/** The address with nothing added. */
function base(c: LiftContext): Operand {
  return c.address(c.xsp(c.n)).base;
}
/** What EXCL_TAG is for an access: the lower half of its address, which is all that says where it leads, and above it the size. */
const tagOf = (c: LiftContext, at: Operand, bytes: number): Operand =>
  c.b.value('add.i64', [c.b.value('mov.i32', [at]), CONST], bytes * 2 ** 32);
const setTag = (c: LiftContext, at: Operand, bytes: number): void =>
  c.b.emit('mov.i64', EXCL_TAG, [tagOf(c, at, bytes)]);
const misfit = (c: LiftContext, at: Operand, bytes: number): Operand =>
  c.b.value('xor.i64', [EXCL_TAG, tagOf(c, at, bytes)]);
/** Ends an exclusive store: status to Rs, monitor open. */
function finishStore(c: LiftContext, status: Operand): void {
  c.b.emit('mov.i64', EXCL_TAG, [CONST], 0);
  c.b.emit('mov.i32', c.to(c.m), [status]);
}
/** Two 32-bit registers as one 64-bit temporary. */
function join32(c: LiftContext, low: Operand, high: Operand): Operand {
  const t = c.b.value('mov.i32', [low]);
  c.b.emit('mov.l32', t + 4, [high]);
  return t;
}
function join64(c: LiftContext, low: Operand, high: Operand): Operand {
  const t = c.b.vectorTemp();
  c.b.emit('mov.i64', t, [low]);
  c.b.emit('mov.i64', t + 8, [high]);
  return t;
}

for (const [size, w] of accesses.entries()) {
  const s = binary(size);
  const suffix = suffixes[size]!;
  const bytes = 1 << size;
  // On one host thread every access is ordered.
  for (const o of [0, 1]) {
    ins(`${s} 001000 000 mmmmm ${o} ----- nnnnn ttttt`, `st${o ? 'l' : ''}xr${suffix}`, (c) => {
      const at = base(c);
      finishStore(c, c.b.value(`a64.store_exclusive.${w}`, [at, c.x(c.d), misfit(c, at, bytes), EXCL_VALUE]));
    });
    ins(`${s} 001000 010 ----- ${o} ----- nnnnn ttttt`, `ld${o ? 'a' : ''}xr${suffix}`, (c) => {
      const at = base(c);
      c.b.emit(`a64.load_ordered.${w}`, EXCL_VALUE, [at]);
      setTag(c, at, bytes);
      c.b.emit('mov.i64', c.to(c.d), [EXCL_VALUE]);
    });
  }
  ins(`${s} 001000 100 ----- 1 ----- nnnnn ttttt`, `stlr${suffix}`, (c) =>
    c.b.emit(`a64.store_ordered.${w}`, 0, [base(c), c.x(c.d)]),
  );
  ins(`${s} 001000 110 ----- 1 ----- nnnnn ttttt`, `ldar${suffix}`, (c) =>
    c.b.emit(`a64.load_ordered.${w}`, c.to(c.d), [base(c)]),
  );

  // LSE.
  for (const order of ['00', '01', '10', '11']) {
    const [acquire, release] = order;
    const name = (stem: string): string => `${stem}${acquire === '1' ? 'a' : ''}${release === '1' ? 'l' : ''}${suffix}`;
    ins(`${s} 001000 1 ${acquire} 1 mmmmm ${release} 11111 nnnnn ttttt`, name('cas'), (c) => {
      const old = c.b.value(`a64.atomic_cas.${w}`, [base(c), c.x(c.m), c.x(c.d)]);
      c.b.emit('mov.i64', c.to(c.m), [old]);
    });
    const rmw =
      (op: string, invert: boolean): Lift =>
      (c) => {
        const value = invert ? c.b.valueConst('xor.i64', [c.x(c.m)], -1) : c.x(c.m);
        const old = c.b.value(`a64.atomic_${op}.${w}`, [base(c), value]);
        c.b.emit('mov.i64', c.to(c.d), [old]);
      };
    for (const [opc, stem, op] of [
      ['0 000', 'ldadd', 'add'],
      ['0 001', 'ldclr', 'and'],
      ['0 010', 'ldeor', 'xor'],
      ['0 011', 'ldset', 'or'],
      ['0 100', 'ldsmax', 'smax'],
      ['0 101', 'ldsmin', 'smin'],
      ['0 110', 'ldumax', 'umax'],
      ['0 111', 'ldumin', 'umin'],
      ['1 000', 'swp', 'xchg'],
    ] as const)
      ins(`${s} 111 0 00 ${order} 1 mmmmm ${opc} 00 nnnnn ttttt`, name(stem), rmw(op, stem === 'ldclr'));
  }
}

for (const wide of [0, 1]) {
  for (const o of [0, 1]) {
    ins(`1${wide} 001000 001 mmmmm ${o} aaaaa nnnnn ttttt`, `st${o ? 'l' : ''}xp`, (c) => {
      const at = base(c);
      const [low, high] = [c.x(c.d), c.x(c.a)];
      const status = wide
        ? c.b.value('a64.store_exclusive.v128', [at, join64(c, low, high), misfit(c, at, 16), EXCL_VALUE])
        : c.b.value('a64.store_exclusive.i64', [at, join32(c, low, high), misfit(c, at, 8), EXCL_VALUE]);
      finishStore(c, status);
    });
    ins(`1${wide} 001000 011 ----- ${o} aaaaa nnnnn ttttt`, `ld${o ? 'a' : ''}xp`, (c) => {
      const at = base(c);
      c.b.emit(wide ? 'load.v128.aligned' : 'a64.load_ordered.i64', EXCL_VALUE, [at]);
      setTag(c, at, wide ? 16 : 8);
      const move = wide ? 'mov.i64' : 'mov.i32';
      c.b.emit(move, c.to(c.d), [EXCL_VALUE]);
      c.b.emit(move, c.to(c.a), [EXCL_VALUE + (wide ? 8 : 4)]);
    });
  }
  for (const acquire of [0, 1])
    for (const release of [0, 1])
      ins(
        `0${wide} 001000 0 ${acquire} 1 mmmmm ${release} 11111 nnnnn ttttt`,
        `casp${acquire ? 'a' : ''}${release ? 'l' : ''}`,
        (c) => {
          if ((c.m | c.d) & 1) return c.undefined();
          const join = wide ? join64 : join32;
          const want = join(c, c.x(c.m), c.x(c.m + 1));
          const value = join(c, c.x(c.d), c.x(c.d + 1));
          const old = c.b.value(wide ? 'a64.atomic_cas.v128' : 'a64.atomic_cas.i64', [base(c), want, value]);
          const move = wide ? 'mov.i64' : 'mov.i32';
          c.b.emit(move, c.to(c.m), [old]);
          c.b.emit(move, c.to(c.m + 1), [old + (wide ? 8 : 4)]);
        },
      );
}
