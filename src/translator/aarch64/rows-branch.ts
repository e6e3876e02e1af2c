/** Branches and exception generation (Arm ARM, C4.1.93). */
import { CONST, trap } from '../ir/layout.ts';
import type { LiftContext } from './lift.ts';
import { ins } from './row.ts';
import { EXCL_TAG, gpr } from './state.ts';

const target = (c: LiftContext): number => c.pc + c.s('i') * 4;
const LR = gpr(30);

ins('0 00101 iiiiiiiiiiiiiiiiiiiiiiiiii', 'b', (c) => {
  c.b.exit = { kind: 'jump', target: target(c) };
});
ins('1 00101 iiiiiiiiiiiiiiiiiiiiiiiiii', 'bl', (c) => {
  c.b.emit('mov.i64', LR, [CONST], c.next);
  c.b.exit = { kind: 'call', target: target(c), slot: 0, returnPc: c.next };
});
ins('0101010 0 iiiiiiiiiiiiiiiiiii 0 cccc', 'b.cond', (c) => {
  const code = c.u('c');
  c.b.exit =
    code >= 14
      ? { kind: 'jump', target: target(c) }
      : { kind: 'branch', condition: c.condition(code), taken: target(c), fallthrough: c.next };
});
for (const [op, name, compare] of [
  ['0', 'cbz', 'eq'],
  ['1', 'cbnz', 'ne'],
] as const) {
  ins(`z 011010 ${op} iiiiiiiiiiiiiiiiiii ttttt`, name, (c) => {
    c.b.exit = {
      kind: 'branch',
      condition: { compare, width: c.w, a: c.x(c.d), b: CONST, imm: 0 },
      taken: target(c),
      fallthrough: c.next,
    };
  });
  ins(`b 011011 ${op} bbbbb iiiiiiiiiiiiii ttttt`, name === 'cbz' ? 'tbz' : 'tbnz', (c) => {
    const bit = c.u('b');
    const width = bit < 32 ? 'i32' : 'i64';
    const sign = bit === 31 || bit === 63;
    const a = sign
      ? c.x(c.d)
      : bit < 32
        ? c.b.valueConst('and.i32', [c.x(c.d)], 1 << bit)
        : c.b.valueConst('and.i64', [c.x(c.d)], 1n << BigInt(bit));
    c.b.exit = {
      kind: 'branch',
      condition: { compare: sign ? (compare === 'eq' ? 'ge_s' : 'lt_s') : compare, width, a, b: CONST, imm: 0 },
      taken: target(c),
      fallthrough: c.next,
    };
  });
}
ins('1101011 0000 11111 000000 nnnnn 00000', 'br', (c) => {
  c.b.exit = { kind: 'indirect', slot: c.x(c.n) };
});
ins('1101011 0001 11111 000000 nnnnn 00000', 'blr', (c) => {
  // BLR X30 takes the target before the return address is written.
  const slot = c.n === 30 ? c.b.value('mov.i64', [LR]) : c.x(c.n);
  c.b.emit('mov.i64', LR, [CONST], c.next);
  c.b.exit = { kind: 'call', target: null, slot, returnPc: c.next };
});
ins('1101011 0010 11111 000000 nnnnn 00000', 'ret', (c) => {
  c.b.exit = { kind: 'ret', slot: c.x(c.n) };
});

ins(
  '11010100 000 iiiiiiiiiiiiiiii 00001',
  'svc',
  (c) => {
    // The return from an exception clears the monitor.
    c.b.emit('mov.i64', EXCL_TAG, [CONST], 0);
    c.b.exit = { kind: 'syscall', next: c.next };
  },
  { noFuzz: 'enters the kernel' },
);
ins('11010100 001 iiiiiiiiiiiiiiii 00000', 'brk', (c) => c.trap(trap.breakpoint));
