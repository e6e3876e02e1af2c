/**
 * One row per x86-64 instruction form. Decoder, lifter, and the random-instruction tests read the same row.
 *
 * Encoding: `[np|66|f3|f2] [0f|0f38|0f3a] OPCODE[+] [/n] [reg|mem] [=MM]`
 * - the first word restricts the mandatory prefix (np: none of them; absent: any);
 * - `+` means eight opcodes whose low bits (with REX.B) name a register;
 * - `/n` restricts ModRM.reg; `reg` and `mem` restrict ModRM.mod; `=d1` demands exactly that ModRM byte.
 * More specific rows are listed before less specific ones of the same opcode; the first that matches wins.
 *
 * Operands: SDM volume 2, appendix A.2, as in `Ev Gv`, `Eb Ib`, `Vdq Wdq`:
 * E r/m general, G reg general, M memory only, R register only in r/m, I immediate, J relative, Z register in opcode,
 * V xmm reg, W xmm r/m, U xmm register only in r/m, P mmx reg, Q mmx r/m, N mmx register only in r/m,
 * O absolute offset, and the fixed ones: al cl dx rax(v-sized accumulator: `rAX`), `1`.
 * Sizes: b w d q, v (16, 32 or 64 by operand size), y (32 or 64), z (immediate of 16 or 32, sign-extended), dq (128),
 * ss/sd/ps/pd as d/q/dq, and `bs` (an 8-bit immediate sign-extended to the operand size).
 */
import type { LiftContext } from './lift.ts';

export type Lift = (c: LiftContext) => void;

export interface Attributes {
  /** Operand size is 64 bits by default (push, pop, near branches). */
  d64?: boolean;
  /** Operand size is 64 bits whatever the prefixes say (near branches, as Intel CPUs do). */
  f64?: boolean;
  /** LOCK is allowed (memory destination). */
  lock?: boolean;
  /** rflags bits left undefined by the manual: tests do not compare them. May depend on operands: then a function. */
  undefinedFlags?: number;
  /** Not for the random tests, with the reason. */
  noFuzz?: string;
  /** Memory operand must be 16-byte aligned (legacy SSE). */
  aligned?: boolean;
}

export interface OperandSpec {
  kind: 'E' | 'G' | 'M' | 'R' | 'I' | 'J' | 'Z' | 'V' | 'W' | 'U' | 'P' | 'Q' | 'N' | 'O' | 'fixed';
  size: string;
  // The same as numbers, so that decoder and lifter, which run cold in short programs, compare no strings.
  /** In bytes, where it does not depend on the operand size; else 0. */
  bytes: number;
  /** Where `bytes` is 0: 1 for the operand size (v, z, rAX), 2 for 32 or 64 bits (y), else 0. */
  sized: number;
  /** 1: a memory operand, 2: one if ModRM says so, 0: never. */
  memory: number;
  /** One of `registerFile`. */
  register: number;
  /** One of `immediateForm`. */
  immediate: number;
}

/** Where the number of a register operand comes from. */
export const registerFile = {
  none: 0,
  gprReg: 1,
  gprRm: 2,
  xmmReg: 3,
  xmmRm: 4,
  mmxReg: 5,
  mmxRm: 6,
  rax: 7,
  rcx: 8,
  rdx: 9,
} as const;

/** How an immediate or branch displacement stands in the code. */
export const immediateForm = {
  none: 0,
  /** The constant 1 of the shift opcodes. */
  one: 1,
  unsigned8: 2,
  signed8: 3,
  unsigned16: 4,
  /** As wide as the operand. */
  full: 5,
  /** 32 bits; 16 for a 16-bit operand. */
  signed32: 6,
  /** 32 bits, branch displacement. */
  branch32: 7,
  /** Absolute offset, of the address size. */
  offset: 8,
} as const;

/** Mandatory prefixes as numbers; 0 for any. */
export const prefixes = { np: 1, '66': 2, f3: 3, f2: 4 } as const;
const prefixNames = [null, 'np', '66', 'f3', 'f2'] as const;

type RowAttributes = { [K in keyof Attributes]-?: Attributes[K] | undefined };

export interface Row extends RowAttributes {
  encoding: string;
  mnemonic: string;
  operands: OperandSpec[];
  /** Those of `operands` that stand behind ModRM and displacement; a J is always the last. */
  immediates: OperandSpec[];
  lift: Lift;
  /** 0: one-byte, 1: 0F, 2: 0F 38, 3: 0F 3A. */
  map: number;
  opcode: number;
  plus: boolean;
  prefix: keyof typeof prefixes | null;
  /** `prefix` as in `prefixes`, 0 for null. */
  prefixNumber: number;
  reg: number | null;
  mode: 'reg' | 'mem' | null;
  modrm: number | null;
  /** Bits that ModRM must have under `modrmMask`: `reg` and `modrm` in one comparison. */
  modrmMask: number;
  modrmBits: number;
  hasModrm: boolean;
}

export const rows: Row[] = [];

const fixedSizes: Readonly<Record<string, number>> = {
  b: 1,
  bs: 1,
  w: 2,
  d: 4,
  ss: 4,
  q: 8,
  sd: 8,
  dq: 16,
  ps: 16,
  pd: 16,
  al: 1,
  cl: 1,
  dx: 2,
  eax: 4,
};
const registerFiles: Readonly<Record<string, number>> = {
  G: registerFile.gprReg,
  E: registerFile.gprRm,
  R: registerFile.gprRm,
  Z: registerFile.gprRm,
  V: registerFile.xmmReg,
  W: registerFile.xmmRm,
  U: registerFile.xmmRm,
  P: registerFile.mmxReg,
  Q: registerFile.mmxRm,
  N: registerFile.mmxRm,
  al: registerFile.rax,
  ax: registerFile.rax,
  eax: registerFile.rax,
  rAX: registerFile.rax,
  cl: registerFile.rcx,
  dx: registerFile.rdx,
};

function immediateOf(kind: string, size: string): number {
  if (kind === 'O') return immediateForm.offset;
  if (size === 'b' || size === 'bs')
    return size === 'b' && kind === 'I' ? immediateForm.unsigned8 : immediateForm.signed8;
  if (size === 'w') return immediateForm.unsigned16;
  if (size === 'v') return immediateForm.full;
  return kind === 'I' ? immediateForm.signed32 : immediateForm.branch32;
}

function operand(spec: string): OperandSpec {
  const kind = /^[EGMRIJZVWUPQNO]/.test(spec) ? (spec[0] as OperandSpec['kind']) : 'fixed';
  const size = kind === 'fixed' ? spec : spec.slice(1);
  return {
    kind,
    size,
    bytes: fixedSizes[size] ?? 0,
    sized: size === 'v' || size === 'z' || size === 'rAX' ? 1 : size === 'y' ? 2 : 0,
    memory: kind === 'M' || kind === 'O' ? 1 : kind === 'E' || kind === 'W' || kind === 'Q' ? 2 : 0,
    register: registerFiles[kind === 'fixed' ? size : kind] ?? registerFile.none,
    immediate:
      kind === 'I' || kind === 'J' || kind === 'O'
        ? immediateOf(kind, size)
        : spec === '1'
          ? immediateForm.one
          : immediateForm.none,
  };
}

interface Operands {
  all: OperandSpec[];
  immediates: OperandSpec[];
  needModrm: boolean;
}
/** Rows share operand lists, and the table is built at every start. */
const operandLists = new Map<string, Operands>();

function parseOperands(text: string): Operands {
  let known = operandLists.get(text);
  if (!known) {
    const all = text === '' ? [] : text.split(' ').map(operand);
    known = {
      all,
      immediates: all.filter((o) => o.immediate > immediateForm.one),
      needModrm: all.some((o) => 'EGMRVWUPQN'.includes(o.kind)),
    };
    operandLists.set(text, known);
  }
  return known;
}

const BLANK = 0x20;
const ZERO = 0x30;
/** Value of a hexadecimal digit's code. */
const digit = (code: number): number => (code < 0x3a ? code - ZERO : (code | 0x20) - 0x57);
const none: Attributes = {};

/** Defines an instruction form; `operands` is blank-separated. */
export function ins(
  encoding: string,
  mnemonic: string,
  operands: string,
  lift: Lift,
  attributes: Attributes = none,
): void {
  const { all, immediates, needModrm } = parseOperands(operands);
  // Some 900 of these at every start: a scan by character code, no substrings.
  let p = 0;
  let prefixNumber = 0;
  if (encoding.charCodeAt(2) === BLANK) {
    const first = encoding.charCodeAt(0);
    if (first === 0x6e) prefixNumber = prefixes.np;
    else if (first === 0x36 && encoding.charCodeAt(1) === 0x36) prefixNumber = prefixes['66'];
    else if (first === 0x66 && encoding.charCodeAt(1) === 0x33) prefixNumber = prefixes.f3;
    else if (first === 0x66 && encoding.charCodeAt(1) === 0x32) prefixNumber = prefixes.f2;
    if (prefixNumber !== 0) p = 3;
  }
  let map = 0;
  if (encoding.charCodeAt(p) === ZERO && encoding.charCodeAt(p + 1) === 0x66) {
    if (encoding.charCodeAt(p + 2) === BLANK) {
      map = 1;
      p += 3;
    } else {
      map = encoding.charCodeAt(p + 3) === 0x38 ? 2 : 3;
      p += 5;
    }
  }
  const opcode = digit(encoding.charCodeAt(p)) * 16 + digit(encoding.charCodeAt(p + 1));
  p += 2;
  const plus = encoding.charCodeAt(p) === 0x2b;
  if (plus) p++;
  let reg: number | null = null;
  let mode: Row['mode'] = null;
  let modrm: number | null = null;
  for (; p < encoding.length; p++) {
    const c = encoding.charCodeAt(p);
    if (c === 0x2f) reg = encoding.charCodeAt(++p) - ZERO;
    else if (c === 0x6d || c === 0x72) {
      mode = c === 0x6d ? 'mem' : 'reg';
      p += 2;
    } else if (c === 0x3d) {
      modrm = digit(encoding.charCodeAt(p + 1)) * 16 + digit(encoding.charCodeAt(p + 2));
      p += 2;
    }
  }
  // One literal, so that all rows have one hidden class.
  rows.push({
    encoding,
    mnemonic,
    operands: all,
    immediates,
    lift,
    map,
    opcode,
    plus,
    prefix: prefixNames[prefixNumber]!,
    prefixNumber,
    reg,
    mode,
    modrm,
    modrmMask: (modrm !== null ? 0xff : 0) | (reg !== null ? 0x38 : 0),
    modrmBits: (modrm ?? 0) | (reg !== null ? reg << 3 : 0),
    hasModrm: reg !== null || mode !== null || modrm !== null || needModrm,
    d64: attributes.d64,
    f64: attributes.f64,
    lock: attributes.lock,
    undefinedFlags: attributes.undefinedFlags,
    noFuzz: attributes.noFuzz,
    aligned: attributes.aligned,
  });
}
