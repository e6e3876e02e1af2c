/** Instruction decoder: prefixes, opcode, ModRM, SIB, displacement, immediates (SDM volume 2, chapter 2). */
import { immediateForm, type OperandSpec, prefixes, type Row, rows } from './row.ts';

export interface MemoryOperand {
  /** General register number, -1 for none, -2 for RIP (the displacement then is the absolute address). */
  base: number;
  index: number;
  scale: 1 | 2 | 4 | 8;
  disp: number;
}

export interface Decoded {
  row: Row;
  pc: number;
  /** Address of the following instruction. */
  next: number;
  lock: boolean;
  rep: 'f2' | 'f3' | null;
  opsize: boolean;
  addrsize: boolean;
  segment: 'fs' | 'gs' | null;
  rexPresent: boolean;
  rexW: boolean;
  /** ModRM.reg with REX.R, ModRM.rm with REX.B (register form), or the register of a `+` opcode in `rm`. */
  reg: number;
  rm: number;
  mod: number;
  modrm: number;
  mem: MemoryOperand | null;
  /** First immediate or branch target; exact: a bigint only for 64-bit immediates beyond 2^53. */
  imm: number | bigint;
  /** Second immediate (ENTER). */
  imm2: number;
  /** Operand size in bytes: 2, 4 or 8. */
  size: 2 | 4 | 8;
}

/** invalid: no such instruction. fetch: bytes past `limit` are needed. long: over 15 bytes. */
export type DecodeResult = Decoded | 'invalid' | 'fetch' | 'long';

/** The rows of one opcode, in definition order. */
interface OpcodeRows {
  rows: Row[];
  hasModrm: boolean;
}
let index: (OpcodeRows | undefined)[] | null = null;

/** By `map * 256 + opcode`. */
function rowIndex(): (OpcodeRows | undefined)[] {
  if (index) return index;
  index = new Array<OpcodeRows | undefined>(1024).fill(undefined);
  for (const r of rows) {
    for (let k = 0; k < (r.plus ? 8 : 1); k++) {
      const at = r.map * 256 + r.opcode + k;
      const entry = (index[at] ??= { rows: [], hasModrm: false });
      entry.rows.push(r);
      entry.hasModrm ||= r.hasModrm;
    }
  }
  return index;
}

/** Size in bytes of an operand of a row, for the given operand size. */
export function operandBytes(size: string, operandSize: number): number {
  switch (size) {
    case 'b':
    case 'bs':
    case 'al':
    case 'cl':
      return 1;
    case 'w':
    case 'dx':
      return 2;
    case 'd':
    case 'ss':
    case 'eax':
      return 4;
    case 'q':
    case 'sd':
      return 8;
    case 'dq':
    case 'ps':
    case 'pd':
      return 16;
    case 'v':
    case 'z':
    case 'rAX':
      return operandSize;
    case 'y':
      return operandSize === 8 ? 8 : 4;
    default:
      return 0;
  }
}

/** Kinds of prefix bytes; 0 for bytes that are none. */
const PREFIX = new Uint8Array(256);
const [REX, LOCK, REPNE, REP, OPSIZE, ADDRSIZE, FS, GS, IGNORED] = [1, 2, 3, 4, 5, 6, 7, 8, 9];
PREFIX.fill(REX, 0x40, 0x50);
PREFIX[0xf0] = LOCK;
PREFIX[0xf2] = REPNE;
PREFIX[0xf3] = REP;
PREFIX[0x66] = OPSIZE;
PREFIX[0x67] = ADDRSIZE;
PREFIX[0x64] = FS;
PREFIX[0x65] = GS;
for (const segment of [0x2e, 0x36, 0x3e, 0x26]) PREFIX[segment] = IGNORED;

/** Bytes end at `end`, where the fetch limit is or the longest instruction ends. */
const short = (start: number, end: number): 'fetch' | 'long' => (end < start + 15 ? 'fetch' : 'long');

const read32 = (code: Uint8Array, p: number): number =>
  code[p]! | (code[p + 1]! << 8) | (code[p + 2]! << 16) | (code[p + 3]! << 24);

function immediateBytes(o: OperandSpec, size: number, addrsize: boolean): number {
  switch (o.immediate) {
    case immediateForm.unsigned8:
    case immediateForm.signed8:
      return 1;
    case immediateForm.signed32:
      return size === 2 ? 2 : 4;
    case immediateForm.branch32:
      return 4;
    case immediateForm.full:
      return size;
    case immediateForm.unsigned16:
      return 2;
    default:
      return addrsize ? 4 : 8;
  }
}

function immediateValue(o: OperandSpec, bytes: number, code: Uint8Array, p: number): number | bigint {
  switch (bytes) {
    case 1:
      return o.immediate === immediateForm.unsigned8 ? code[p]! : (code[p]! << 24) >> 24;
    case 2: {
      const v = code[p]! | (code[p + 1]! << 8);
      return o.immediate === immediateForm.unsigned16 ? v : (v << 16) >> 16;
    }
    case 4: {
      const v = read32(code, p);
      return o.immediate === immediateForm.offset ? v >>> 0 : v;
    }
    default: {
      const lo = read32(code, p) >>> 0;
      const hi = read32(code, p + 4);
      return hi === 0 ? lo : (BigInt(hi) << 32n) | BigInt(lo);
    }
  }
}

/**
 * Decodes the instruction at `pc`. `code` begins with the byte at guest address `base`; bytes from `limit` on may not be fetched.
 * (Indices from the start of a guest's memory go beyond 2^31, for which V8 makes code again and again that does not expect them.)
 */
export function decode(code: Uint8Array, pc: number, limit: number, base = 0): DecodeResult {
  const start = pc - base;
  let p = start;
  const end = Math.min(limit - base, start + 15);
  let lock = false;
  let rep: 'f2' | 'f3' | null = null;
  let opsize = false;
  let addrsize = false;
  let segment: 'fs' | 'gs' | null = null;
  let rex = 0;
  let mandatory: number = prefixes.np;
  let byte: number;
  for (;;) {
    if (p >= end) return short(start, end);
    byte = code[p++]!;
    const prefix = PREFIX[byte]!;
    if (prefix === 0) break;
    if (prefix === REX) {
      rex = byte;
      continue;
    }
    rex = 0; // A REX that is not last has no effect.
    if (prefix === OPSIZE) {
      opsize = true;
      if (rep === null) mandatory = prefixes['66'];
    } else if (prefix === REP) {
      rep = 'f3';
      mandatory = prefixes.f3;
    } else if (prefix === REPNE) {
      rep = 'f2';
      mandatory = prefixes.f2;
    } else if (prefix === FS) segment = 'fs';
    else if (prefix === GS) segment = 'gs';
    else if (prefix === LOCK) lock = true;
    else if (prefix === ADDRSIZE) addrsize = true;
  }
  let at = byte;
  if (byte === 0x0f) {
    if (p >= end) return short(start, end);
    byte = code[p++]!;
    at = 256 + byte;
    if (byte === 0x38 || byte === 0x3a) {
      const map = byte === 0x38 ? 512 : 768;
      if (p >= end) return short(start, end);
      byte = code[p++]!;
      at = map + byte;
    }
  }
  const opcodeRows = (index ?? rowIndex())[at];
  if (opcodeRows === undefined) return 'invalid';

  let modrm = 0;
  if (opcodeRows.hasModrm) {
    if (p >= end) return short(start, end);
    modrm = code[p]!;
  }
  const mod = modrm >> 6;
  const candidates = opcodeRows.rows;
  let row: Row | undefined;
  for (let k = 0; ; k++) {
    row = candidates[k];
    if (row === undefined) return 'invalid';
    if (row.prefixNumber !== 0 && row.prefixNumber !== mandatory) continue;
    if ((modrm & row.modrmMask) !== row.modrmBits) continue;
    if (row.mode === null || (row.mode === 'reg') === (mod === 3)) break;
  }

  const rexW = (rex & 8) !== 0;
  const size = rexW || row.f64 ? 8 : opsize && row.prefixNumber !== prefixes['66'] ? 2 : row.d64 ? 8 : 4;
  let reg = ((modrm >> 3) & 7) | ((rex & 4) << 1);
  let rm = (modrm & 7) | ((rex & 1) << 3);
  let mem: MemoryOperand | null = null;
  if (row.hasModrm) {
    p++;
    if (mod !== 3) {
      let base = rm;
      let memIndex = -1;
      let scale = 1;
      let disp = 0;
      let dispBytes = mod === 1 ? 1 : mod === 2 ? 4 : 0;
      if ((modrm & 7) === 4) {
        if (p >= end) return short(start, end);
        const sib = code[p++]!;
        const n = ((sib >> 3) & 7) | ((rex & 2) << 2);
        if (n !== 4) {
          memIndex = n;
          scale = 1 << (sib >> 6);
        }
        if ((sib & 7) === 5 && mod === 0) {
          dispBytes = 4;
          base = -1;
        } else base = (sib & 7) | ((rex & 1) << 3);
      } else if ((modrm & 7) === 5 && mod === 0) {
        dispBytes = 4;
        base = -2;
      }
      if (dispBytes !== 0) {
        if (p + dispBytes > end) return short(start, end);
        disp = dispBytes === 1 ? (code[p]! << 24) >> 24 : read32(code, p);
        p += dispBytes;
      }
      mem = { base, index: memIndex, scale: scale as MemoryOperand['scale'], disp };
    }
  } else if (row.plus) {
    rm = (byte & 7) | ((rex & 1) << 3);
    reg = rm;
  }

  let imm: number | bigint = 0;
  let imm2 = 0;
  const { immediates } = row;
  for (let k = 0; k < immediates.length; k++) {
    const o = immediates[k]!;
    const bytes = immediateBytes(o, size, addrsize);
    if (p + bytes > end) return short(start, end);
    const v = immediateValue(o, bytes, code, p);
    p += bytes;
    if (o.kind === 'J') imm = base + p + (v as number);
    else if (k === 0) imm = v;
    else imm2 = Number(v);
  }
  if (mem !== null && mem.base === -2) mem.disp += base + p;
  if (lock && !(row.lock && mem)) return 'invalid';
  return {
    row,
    pc,
    next: base + p,
    lock,
    rep,
    opsize,
    addrsize,
    segment,
    rexPresent: rex !== 0,
    rexW,
    reg,
    rm,
    mod,
    modrm,
    mem,
    imm,
    imm2,
    size,
  };
}
