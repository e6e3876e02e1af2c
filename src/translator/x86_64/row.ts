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
  /** In bytes, where it does not depend on the operand size; else 0. */
  bytes: number;
}

export interface Row extends Attributes {
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
  prefix: 'np' | '66' | 'f3' | 'f2' | null;
  reg: number | null;
  mode: 'reg' | 'mem' | null;
  modrm: number | null;
  hasModrm: boolean;
}

export const rows: Row[] = [];

const maps: Record<string, number> = { '0f': 1, '0f38': 2, '0f3a': 3 };

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
};

function operand(spec: string): OperandSpec {
  const kind = /^[EGMRIJZVWUPQNO]/.test(spec) ? (spec[0] as OperandSpec['kind']) : 'fixed';
  const size = kind === 'fixed' ? spec : spec.slice(1);
  return { kind, size, bytes: kind === 'fixed' ? 0 : (fixedSizes[size] ?? 0) };
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
    const all = text.split(' ').filter(Boolean).map(operand);
    known = {
      all,
      immediates: all.filter((o) => 'IJO'.includes(o.kind)),
      needModrm: all.some((o) => 'EGMRVWUPQN'.includes(o.kind)),
    };
    operandLists.set(text, known);
  }
  return known;
}

/** Defines an instruction form; `operands` is blank-separated. */
export function ins(
  encoding: string,
  mnemonic: string,
  operands: string,
  lift: Lift,
  attributes: Attributes = {},
): void {
  const { all, immediates, needModrm } = parseOperands(operands);
  const words = encoding.split(' ');
  const r: Row = {
    encoding,
    mnemonic,
    operands: all,
    immediates,
    lift,
    map: 0,
    opcode: -1,
    plus: false,
    prefix: null,
    reg: null,
    mode: null,
    modrm: null,
    hasModrm: false,
    ...attributes,
  };
  for (const word of words) {
    if (
      r.opcode < 0 &&
      (word === 'np' ||
        ((word === '66' || word === 'f3' || word === 'f2') && words.length > 1 && r.map === 0 && r.prefix === null))
    )
      r.prefix = word as Row['prefix'];
    else if (r.opcode < 0 && r.map === 0 && word in maps) r.map = maps[word]!;
    else if (word === 'reg' || word === 'mem') r.mode = word;
    else if (word.startsWith('/')) r.reg = Number(word.slice(1));
    else if (word.startsWith('=')) r.modrm = Number.parseInt(word.slice(1), 16);
    else {
      r.plus = word.endsWith('+');
      r.opcode = Number.parseInt(word, 16);
    }
  }
  r.hasModrm = r.reg !== null || r.mode !== null || r.modrm !== null || needModrm;
  rows.push(r);
}
