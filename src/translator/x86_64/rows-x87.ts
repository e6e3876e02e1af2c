/**
 * x87. SDM volume 1, chapter 8. Every instruction is one call of a helper (src/helpers/x87.ts), which decodes the opcode and
 * ModRM again; the rows say which there are. ST(i) operands stand in the mnemonic's place in ModRM, not in the operand list.
 */
import { CONST } from '../ir/layout.ts';
import type { LiftContext } from './lift.ts';
import { ins, type Lift } from './row.ts';

const attributes = { noFuzz: 'x87 has tests of its own' };

/** What the helpers get: address, operand size bit, low opcode bits, ModRM. */
const word = (c: LiftContext): bigint =>
  (BigInt(c.i.pc) << 32n) | BigInt((c.i.opsize ? 0x800 : 0) | ((c.i.row.opcode & 7) << 8) | c.i.modrm);

const onRegisters: Lift = (c) => c.b.emit('x86.x87', 0, [CONST], word(c));
const onMemory: Lift = (c) => c.b.emit('x86.x87.mem', 0, [c.effectiveAddress(), CONST], word(c));
const intoFlags: Lift = (c) => {
  onRegisters(c);
  c.flagsUnknown();
};
const moveIf =
  (condition: number): Lift =>
  (c) =>
    c.b.emit('x86.fcmov', 0, [c.conditionValue(condition), CONST], word(c));

// Memory forms by opcode and ModRM.reg; t is 80 bits, and M alone an area.
const memoryForms: Record<string, readonly string[]> = {
  d8: ['fadd Md', 'fmul Md', 'fcom Md', 'fcomp Md', 'fsub Md', 'fsubr Md', 'fdiv Md', 'fdivr Md'],
  d9: ['fld Md', '', 'fst Md', 'fstp Md', 'fldenv M', 'fldcw Mw', 'fnstenv M', 'fnstcw Mw'],
  da: ['fiadd Md', 'fimul Md', 'ficom Md', 'ficomp Md', 'fisub Md', 'fisubr Md', 'fidiv Md', 'fidivr Md'],
  db: ['fild Md', 'fisttp Md', 'fist Md', 'fistp Md', '', 'fld Mt', '', 'fstp Mt'],
  dc: ['fadd Mq', 'fmul Mq', 'fcom Mq', 'fcomp Mq', 'fsub Mq', 'fsubr Mq', 'fdiv Mq', 'fdivr Mq'],
  dd: ['fld Mq', 'fisttp Mq', 'fst Mq', 'fstp Mq', 'frstor M', '', 'fnsave M', 'fnstsw Mw'],
  de: ['fiadd Mw', 'fimul Mw', 'ficom Mw', 'ficomp Mw', 'fisub Mw', 'fisubr Mw', 'fidiv Mw', 'fidivr Mw'],
  df: ['fild Mw', 'fisttp Mw', 'fist Mw', 'fistp Mw', 'fbld Mt', 'fild Mq', 'fbstp Mt', 'fistp Mq'],
};
for (const [opcode, forms] of Object.entries(memoryForms))
  for (const [n, form] of forms.entries()) {
    const [mnemonic = '', operands = ''] = form.split(' ');
    if (mnemonic) ins(`${opcode} /${n} mem`, mnemonic, operands, onMemory, attributes);
  }

// Register forms that take any ST(i). Some are other encodings of the same instruction (AMD64 volume 5, appendix A).
const registerForms: Record<string, readonly string[]> = {
  d8: ['fadd', 'fmul', 'fcom', 'fcomp', 'fsub', 'fsubr', 'fdiv', 'fdivr'],
  d9: ['fld', 'fxch', '', 'fstp'],
  dc: ['fadd', 'fmul', 'fcom', 'fcomp', 'fsubr', 'fsub', 'fdivr', 'fdiv'],
  dd: ['ffree', 'fxch', 'fst', 'fstp', 'fucom', 'fucomp'],
  de: ['faddp', 'fmulp', 'fcomp', '', 'fsubrp', 'fsubp', 'fdivrp', 'fdivp'],
  df: ['ffreep', 'fxch', 'fstp', 'fstp'],
};
for (const [opcode, forms] of Object.entries(registerForms))
  for (const [n, mnemonic] of forms.entries())
    if (mnemonic) ins(`${opcode} /${n} reg`, mnemonic, '', onRegisters, attributes);

for (const [opcode, n, mnemonic] of [
  ['db', 5, 'fucomi'],
  ['db', 6, 'fcomi'],
  ['df', 5, 'fucomip'],
  ['df', 6, 'fcomip'],
] as const)
  ins(`${opcode} /${n} reg`, mnemonic, '', intoFlags, attributes);
for (const [opcode, n, suffix, condition] of [
  ['da', 0, 'b', 2],
  ['da', 1, 'e', 4],
  ['da', 2, 'be', 6],
  ['da', 3, 'u', 10],
  ['db', 0, 'nb', 3],
  ['db', 1, 'ne', 5],
  ['db', 2, 'nbe', 7],
  ['db', 3, 'nu', 11],
] as const)
  ins(`${opcode} /${n} reg`, `fcmov${suffix}`, '', moveIf(condition), attributes);

// One ModRM byte each. FENI, FDISI and FSETPM are no-ops since the 80387.
for (const [opcode, modrm, mnemonic] of [
  ['d9', 'd0', 'fnop'],
  ['d9', 'e0', 'fchs'],
  ['d9', 'e1', 'fabs'],
  ['d9', 'e4', 'ftst'],
  ['d9', 'e5', 'fxam'],
  ['d9', 'e8', 'fld1'],
  ['d9', 'e9', 'fldl2t'],
  ['d9', 'ea', 'fldl2e'],
  ['d9', 'eb', 'fldpi'],
  ['d9', 'ec', 'fldlg2'],
  ['d9', 'ed', 'fldln2'],
  ['d9', 'ee', 'fldz'],
  ['d9', 'f0', 'f2xm1'],
  ['d9', 'f1', 'fyl2x'],
  ['d9', 'f2', 'fptan'],
  ['d9', 'f3', 'fpatan'],
  ['d9', 'f4', 'fxtract'],
  ['d9', 'f5', 'fprem1'],
  ['d9', 'f6', 'fdecstp'],
  ['d9', 'f7', 'fincstp'],
  ['d9', 'f8', 'fprem'],
  ['d9', 'f9', 'fyl2xp1'],
  ['d9', 'fa', 'fsqrt'],
  ['d9', 'fb', 'fsincos'],
  ['d9', 'fc', 'frndint'],
  ['d9', 'fd', 'fscale'],
  ['d9', 'fe', 'fsin'],
  ['d9', 'ff', 'fcos'],
  ['da', 'e9', 'fucompp'],
  ['de', 'd9', 'fcompp'],
  ['db', 'e0', 'fneni'],
  ['db', 'e1', 'fndisi'],
  ['db', 'e2', 'fnclex'],
  ['db', 'e3', 'fninit'],
  ['db', 'e4', 'fnsetpm'],
  ['df', 'e0', 'fnstsw'],
] as const)
  ins(`${opcode} =${modrm}`, mnemonic, '', onRegisters, attributes);

ins('9b', 'fwait', '', (c) => c.b.emit('x86.fwait', 0, []), attributes);
ins('np 0f 77', 'emms', '', (c) => c.b.emit('x86.emms', 0, []), attributes);
