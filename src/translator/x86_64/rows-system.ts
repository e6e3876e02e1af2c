/**
 * Flags on the stack, CPUID and time stamp, segment registers, traps, hints and fences, and what user mode may not do.
 * SDM volume 2. Far jumps, calls and returns are not there (SIGILL): the guest has one code segment.
 */
import { CONST, trap, type TrapNumber } from '../ir/layout.ts';
import type { LiftContext } from './lift.ts';
import { ins, type Lift } from './row.ts';
import { peek, push, moveSp } from './rows-basic.ts';
import { FS_BASE, GS_BASE, gpr, RAX, RDX, RSP } from './state.ts';

const nop: Lift = () => {};
const trapping =
  (number: TrapNumber): Lift =>
  (c) =>
    c.trap(number);
const privileged = (encoding: string, mnemonic: string, operands = ''): void =>
  ins(encoding, mnemonic, operands, trapping(trap.privileged), { noFuzz: 'privileged' });

ins('9c', 'pushf', '', (c) => push(c, c.i.size === 2 ? 'i16' : 'i64', c.b.value('x86.rflags', [])), { d64: true });
ins(
  '9d',
  'popf',
  '',
  (c) => {
    const { b } = c;
    if (c.i.size === 2) {
      const v = peek(c, 'i16');
      moveSp(c, 2);
      b.emit('x86.set_rflags', 0, [
        b.value('or.i32', [b.valueConst('and.i32', [b.value('x86.rflags', [])], ~0xffff), v]),
      ]);
    } else {
      const v = peek(c, 'i64');
      moveSp(c, 8);
      b.emit('x86.set_rflags', 0, [v]);
    }
    c.flagsUnknown();
  },
  { d64: true },
);

// IRET within one privilege level: RIP, CS, RFLAGS, RSP, SS. Only to the 64-bit user segments.
ins(
  'cf',
  'iret',
  '',
  (c) => {
    const { b } = c;
    if (!c.i.rexW) {
      c.trap(trap.protection);
      return;
    }
    const [rip, cs, flags, rsp, ss] = [0, 8, 16, 24, 32].map((at) => b.value('load.i64', [gpr(RSP)], at)) as [
      number,
      number,
      number,
      number,
      number,
    ];
    const wrong = b.value('or.i32', [b.valueConst('xor.i32', [cs], 0x33), b.valueConst('xor.i32', [ss], 0x2b)]);
    b.emit('x86.guard_zero', 0, [wrong]);
    b.emit('mov.i64', gpr(RSP), [rsp]);
    b.emit('x86.set_rflags', 0, [flags]);
    c.flagsUnknown();
    b.exit = { kind: 'indirect', slot: rip };
  },
  { noFuzz: 'control transfer' },
);

ins('0f a2', 'cpuid', '', (c) => c.b.emit('x86.cpuid', 0, []), { noFuzz: 'the host has other features' });
ins(
  '0f 31',
  'rdtsc',
  '',
  (c) => {
    const { b } = c;
    const t = b.value('x86.rdtsc', []);
    b.emit('mov.i32', gpr(RAX), [t]);
    b.emit('shr_u.i64', gpr(RDX), [t, CONST], 32);
  },
  { noFuzz: 'time' },
);

// Segment registers. CS is 0x33 and SS 0x2b, as Linux has them; DS, ES, FS and GS read as 0 whatever was loaded.
const selectors = [0, 0x33, 0x2b, 0, 0, 0];
const [ES, SS, DS, FS, GS] = [0, 2, 3, 4, 5] as const;
for (let n = 0; n < 6; n++) {
  ins(`8c /${n} mem`, 'mov', 'Mw', (c) => c.store('i16', c.b.constant(selectors[n]!)), { noFuzz: 'selectors' });
  ins(`8c /${n} reg`, 'mov', 'Rv', (c) => c.b.emit(`mov.${c.width}`, c.register(0), [CONST], selectors[n]!), {
    noFuzz: 'selectors',
  });
}
/** Loads a selector: checks it, and for FS and GS drops the base, since every user segment's base is 0. */
function loadSelector(c: LiftContext, n: number, selector: number): void {
  c.b.emit('x86.guard_selector', 0, [selector, CONST], n === SS ? 1 : 0);
}
function dropBase(c: LiftContext, n: number): void {
  if (n === FS || n === GS) c.b.emit('mov.i64', n === FS ? FS_BASE : GS_BASE, [CONST], 0);
}
for (const n of [ES, SS, DS, FS, GS]) {
  ins(
    `8e /${n}`,
    'mov',
    'Ew',
    (c) => {
      loadSelector(c, n, c.read(0));
      dropBase(c, n);
    },
    { noFuzz: 'selectors' },
  );
}
for (const [n, opcode] of [
  [FS, 0xa0],
  [GS, 0xa8],
] as const) {
  const width = (c: LiftContext): 'i16' | 'i64' => (c.i.size === 2 ? 'i16' : 'i64');
  ins(`0f ${opcode.toString(16)}`, 'push', '', (c) => push(c, width(c), c.b.constant(0)), { d64: true });
  ins(
    `0f ${(opcode + 1).toString(16)}`,
    'pop',
    '',
    (c) => {
      loadSelector(c, n, peek(c, width(c)));
      moveSp(c, width(c) === 'i16' ? 2 : 8);
      dropBase(c, n);
    },
    { d64: true, noFuzz: 'selectors' },
  );
}
// Far pointers in memory: the offset, then the selector.
for (const [n, opcode, name] of [
  [SS, 'b2', 'lss'],
  [FS, 'b4', 'lfs'],
  [GS, 'b5', 'lgs'],
] as const)
  ins(
    `0f ${opcode} mem`,
    name,
    'Gv M',
    (c) => {
      const w = c.width;
      const offset = c.load(w);
      loadSelector(c, n, c.load('i16', c.i.size));
      c.b.emit(`mov.${w}`, c.register(0), [offset]);
      dropBase(c, n);
    },
    { noFuzz: 'selectors' },
  );

// Descriptor queries.
const queryRights =
  (name: 'lar' | 'lsl'): Lift =>
  (c) => {
    const { b } = c;
    const w = c.width;
    const d = c.register(0);
    const r = b.value(`x86.${name}`, [c.read(1)]);
    const known = b.valueConst('ge_s.i64', [r], 0);
    c.flagsOp('flags.zf', 'eflags', 'i32', [known]);
    const whole = w === 'i16' ? 'i16' : 'i64';
    b.emit(`select.${whole}`, d, [known, r, d]);
  };
ins('0f 02', 'lar', 'Gv Ew', queryRights('lar'), { noFuzz: 'depends on the kernel' });
ins('0f 03', 'lsl', 'Gv Ew', queryRights('lsl'), { noFuzz: 'depends on the kernel' });
const verify =
  (write: boolean): Lift =>
  (c) => {
    const { b } = c;
    const r = b.value('x86.lar', [c.read(0)]);
    // Every user segment can be read; data segments (bit 11 clear) can be written.
    const ok = write
      ? b.value('and.i32', [
          b.valueConst('ge_s.i64', [r], 0),
          b.valueConst('eq.i64', [b.valueConst('and.i64', [r], 0xa00)], 0x200),
        ])
      : b.valueConst('ge_s.i64', [r], 0);
    c.flagsOp('flags.zf', 'eflags', 'i32', [ok]);
  };
ins('0f 00 /4', 'verr', 'Ew', verify(false), { noFuzz: 'depends on the kernel' });
ins('0f 00 /5', 'verw', 'Ew', verify(true), { noFuzz: 'depends on the kernel' });

// What Linux emulates for user mode on CPUs with UMIP (arch/x86/kernel/umip.c), and its fixed values.
const TSS_SELECTOR = 0x40;
const CR0 = 0x8005_0033;
const tableWord =
  (value: number): Lift =>
  (c) => {
    if (c.isMemory(0)) c.store('i16', c.b.constant(value));
    else c.b.emit(c.i.size === 2 ? 'mov.i16' : 'mov.l32', c.register(0), [CONST], value);
  };
ins('0f 00 /0', 'sldt', 'Ev', tableWord(0), { noFuzz: 'depends on the kernel' });
ins('0f 00 /1', 'str', 'Ev', tableWord(TSS_SELECTOR), { noFuzz: 'depends on the kernel' });
ins(
  '0f 01 /4',
  'smsw',
  'Ev',
  (c) => {
    if (c.i.size === 8 && !c.isMemory(0)) c.b.emit('mov.i64', c.register(0), [CONST], CR0);
    else tableWord(CR0)(c);
  },
  { noFuzz: 'depends on the kernel' },
);
for (const [n, name, base] of [
  [0, 'sgdt', -0x20000],
  [1, 'sidt', -0x10000],
] as const)
  ins(
    `0f 01 /${n} mem`,
    name,
    'M',
    (c) => {
      // The base first: when the first bytes can be written and the last cannot, none are.
      c.store('i64', c.b.constant(base), 2);
      c.store('i16', c.b.constant(0));
    },
    { noFuzz: 'depends on the kernel' },
  );

// Traps. INT n reaches the kernel's gates for user mode (3 and 4) or is refused; 32-bit system calls are not there.
ins('cc', 'int3', '', trapping(trap.breakpoint), { noFuzz: 'trap' });
ins('f1', 'icebp', '', trapping(trap.debug), { noFuzz: 'trap' });
ins(
  'cd',
  'int',
  'Ib',
  (c) => c.trap(c.i.imm === 3 ? trap.breakpoint : c.i.imm === 4 ? trap.overflow : trap.protection),
  { noFuzz: 'trap' },
);
ins('0f 0b', 'ud2', '', trapping(trap.invalidOpcode), { noFuzz: 'trap' });
ins('0f b9', 'ud1', 'Gv Ev', trapping(trap.invalidOpcode), { noFuzz: 'trap' });
ins('0f ff', 'ud0', 'Gv Ev', trapping(trap.invalidOpcode), { noFuzz: 'trap' });

privileged('f4', 'hlt');
privileged('fa', 'cli');
privileged('fb', 'sti');
for (const [opcode, name, operands] of [
  ['e4', 'in', 'al Ib'],
  ['e5', 'in', 'eax Ib'],
  ['e6', 'out', 'Ib al'],
  ['e7', 'out', 'Ib eax'],
  ['ec', 'in', 'al dx'],
  ['ed', 'in', 'eax dx'],
  ['ee', 'out', 'dx al'],
  ['ef', 'out', 'dx eax'],
  ['6c', 'ins', ''],
  ['6d', 'ins', ''],
  ['6e', 'outs', ''],
  ['6f', 'outs', ''],
] as const)
  privileged(opcode, name, operands);
for (const [encoding, name, operands] of [
  ['0f 00 /2', 'lldt', 'Ew'],
  ['0f 00 /3', 'ltr', 'Ew'],
  ['0f 01 /2 mem', 'lgdt', 'M'],
  ['0f 01 /3 mem', 'lidt', 'M'],
  ['0f 01 /6', 'lmsw', 'Ew'],
  ['0f 01 /7 mem', 'invlpg', 'M'],
  ['0f 01 =f8', 'swapgs', ''],
  ['0f 06', 'clts', ''],
  ['0f 07', 'sysret', ''],
  ['0f 08', 'invd', ''],
  ['0f 09', 'wbinvd', ''],
  ['0f 30', 'wrmsr', ''],
  ['0f 32', 'rdmsr', ''],
  ['0f 33', 'rdpmc', ''],
] as const)
  privileged(encoding, name, operands);

// CR0, CR2, CR3, CR4, CR8 and DR0 to DR7 exist.
const systemRegister = (c: LiftContext, highest: number): void =>
  c.trap(c.i.reg > highest ? trap.invalidOpcode : trap.privileged);
for (const opcode of ['20', '22'])
  for (const n of [0, 2, 3, 4])
    ins(`0f ${opcode} /${n} reg`, 'mov cr', 'Rq', (c) => systemRegister(c, 8), { noFuzz: 'privileged' });
for (const opcode of ['21', '23'])
  ins(`0f ${opcode} reg`, 'mov dr', 'Rq', (c) => systemRegister(c, 7), { noFuzz: 'privileged' });

// Hints and fences: accesses here are in program order and instant.
ins('f3 0f 1e =fa', 'endbr64', '', nop);
for (let opcode = 0x18; opcode <= 0x1f; opcode++)
  ins(`0f ${opcode.toString(16)}`, opcode === 0x18 ? 'prefetch' : 'nop', 'Ev', nop);
ins('0f 0d mem', 'prefetchw', 'Mv', nop);
ins('np 0f ae /5 reg', 'lfence', '', nop);
ins('np 0f ae /6 reg', 'mfence', '', nop);
ins('np 0f ae /7 reg', 'sfence', '', nop);
// CLFLUSH checks its address as a load does.
ins('np 0f ae /7 mem', 'clflush', 'Mb', (c) => void c.load('i8'));
