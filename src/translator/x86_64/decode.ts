/** Instruction decoder: prefixes, opcode, ModRM, SIB, displacement, immediates (SDM volume 2, chapter 2). */
import { type Row, rows } from './row.ts';

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

/**
 * Decodes the instruction at `pc`. `code` is indexed by guest address; bytes from `limit` on may not be fetched.
 */
export function decode(code: Uint8Array, pc: number, limit: number): DecodeResult {
  let p = pc;
  const end = Math.min(limit, pc + 15);
  const short = (): 'fetch' | 'long' => (end === limit && limit < pc + 15 ? 'fetch' : 'long');
  let lock = false;
  let rep: 'f2' | 'f3' | null = null;
  let opsize = false;
  let addrsize = false;
  let segment: 'fs' | 'gs' | null = null;
  let rex = 0;
  let byte: number;
  for (;;) {
    if (p >= end) return short();
    byte = code[p++]!;
    if (byte >= 0x40 && byte <= 0x4f) {
      rex = byte;
      continue;
    }
    let prefix = true;
    switch (byte) {
      case 0xf0:
        lock = true;
        break;
      case 0xf2:
        rep = 'f2';
        break;
      case 0xf3:
        rep = 'f3';
        break;
      case 0x66:
        opsize = true;
        break;
      case 0x67:
        addrsize = true;
        break;
      case 0x64:
        segment = 'fs';
        break;
      case 0x65:
        segment = 'gs';
        break;
      case 0x2e:
      case 0x36:
      case 0x3e:
      case 0x26:
        break;
      default:
        prefix = false;
    }
    if (!prefix) break;
    rex = 0; // A REX that is not last has no effect.
  }
  let map = 0;
  if (byte === 0x0f) {
    if (p >= end) return short();
    byte = code[p++]!;
    map = 1;
    if (byte === 0x38 || byte === 0x3a) {
      map = byte === 0x38 ? 2 : 3;
      if (p >= end) return short();
      byte = code[p++]!;
    }
  }
  const opcodeRows = rowIndex()[map * 256 + byte];
  if (!opcodeRows) return 'invalid';

  const { hasModrm } = opcodeRows;
  if (hasModrm && p >= end) return short();
  const modrm = hasModrm ? code[p]! : 0;
  const mod = modrm >> 6;
  const mandatory = rep ?? (opsize ? '66' : 'np');
  let row: Row | null = null;
  for (const r of opcodeRows.rows) {
    if (r.prefix !== null && r.prefix !== mandatory) continue;
    if (r.reg !== null && r.reg !== ((modrm >> 3) & 7)) continue;
    if (r.mode !== null && (r.mode === 'reg') !== (mod === 3)) continue;
    if (r.modrm !== null && r.modrm !== modrm) continue;
    row = r;
    break;
  }
  if (!row) return 'invalid';

  const rexW = (rex & 8) !== 0;
  const size = rexW || row.f64 ? 8 : opsize && row.prefix !== '66' ? 2 : row.d64 ? 8 : 4;
  let reg = ((modrm >> 3) & 7) | ((rex & 4) << 1);
  let rm = (modrm & 7) | ((rex & 1) << 3);
  let mem: MemoryOperand | null = null;
  let ripRelative = false;
  if (row.hasModrm) {
    p++;
    if (mod !== 3) {
      mem = { base: -1, index: -1, scale: 1, disp: 0 };
      let dispBytes = mod === 1 ? 1 : mod === 2 ? 4 : 0;
      if ((modrm & 7) === 4) {
        if (p >= end) return short();
        const sib = code[p++]!;
        const idx = ((sib >> 3) & 7) | ((rex & 2) << 2);
        if (idx !== 4) {
          mem.index = idx;
          mem.scale = (1 << (sib >> 6)) as MemoryOperand['scale'];
        }
        if ((sib & 7) === 5 && mod === 0) dispBytes = 4;
        else mem.base = (sib & 7) | ((rex & 1) << 3);
      } else if ((modrm & 7) === 5 && mod === 0) {
        dispBytes = 4;
        ripRelative = true;
      } else mem.base = rm;
      if (p + dispBytes > end) return short();
      if (dispBytes === 1) mem.disp = (code[p]! << 24) >> 24;
      else if (dispBytes === 4) mem.disp = code[p]! | (code[p + 1]! << 8) | (code[p + 2]! << 16) | (code[p + 3]! << 24);
      p += dispBytes;
    }
  } else if (row.plus) {
    rm = (byte & 7) | ((rex & 1) << 3);
    reg = rm;
  }

  let imm: number | bigint = 0;
  let imm2 = 0;
  let first = true;
  for (const o of row.immediates) {
    let bytes: number;
    if (o.kind === 'O') bytes = addrsize ? 4 : 8;
    else if (o.size === 'b' || o.size === 'bs') bytes = 1;
    else if (o.size === 'w') bytes = 2;
    else if (o.size === 'v') bytes = size;
    else bytes = size === 2 && o.kind === 'I' ? 2 : 4;
    if (p + bytes > end) return short();
    let v: number | bigint;
    if (bytes === 1) v = o.size === 'b' && o.kind === 'I' ? code[p]! : (code[p]! << 24) >> 24;
    else if (bytes === 2)
      v = o.size === 'w' ? code[p]! | (code[p + 1]! << 8) : ((code[p]! | (code[p + 1]! << 8)) << 16) >> 16;
    else {
      const lo = code[p]! | (code[p + 1]! << 8) | (code[p + 2]! << 16) | (code[p + 3]! << 24);
      if (bytes === 4) v = o.kind === 'O' ? lo >>> 0 : lo;
      else {
        const hi = code[p + 4]! | (code[p + 5]! << 8) | (code[p + 6]! << 16) | (code[p + 7]! << 24);
        v = hi === 0 ? lo >>> 0 : (BigInt(hi) << 32n) | BigInt(lo >>> 0);
      }
    }
    p += bytes;
    if (o.kind === 'J') imm = p + (v as number);
    else if (first) imm = v;
    else imm2 = Number(v);
    first = false;
  }
  if (mem && ripRelative) {
    mem.base = -2;
    mem.disp += p;
  }
  if (lock && !(row.lock && mem)) return 'invalid';
  return {
    row,
    pc,
    next: p,
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
