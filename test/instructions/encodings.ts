/**
 * Makes test vectors from the rows of the x86-64 table: encodings with all the prefixes, registers and addressing forms
 * that matter, and states in which the instruction has something to do. Everything follows from the row's key.
 */
import { type Decoded, decode, operandBytes } from '../../src/translator/x86_64/decode.ts';
import type { Row } from '../../src/translator/x86_64/row.ts';
import { CF, OF, PF, SF, ZF } from '../../src/translator/x86_64/state.ts';
import type { Vector } from './fixtures.ts';
import { initialState } from './fixtures.ts';
import {
  CODE,
  DATA,
  DATA_BYTES,
  DATA_OVERRIDE,
  DATA_PAGE,
  FCW_OVERRIDE,
  GS_BASE,
  hash,
  MXCSR_OVERRIDE,
  type Override,
  type Profile,
  Random,
  randomInteger,
  RFLAGS_OVERRIDE,
} from './machine-state.ts';

const [RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI] = [0, 1, 2, 3, 4, 5, 6, 7] as const;

export const keyOf = (row: Row): string =>
  `${row.encoding} ${row.mnemonic} ${row.operands.map((o) => (o.kind === 'fixed' ? o.size : o.kind + o.size)).join(',')}`.trim();

const strings = new Set(['movs', 'stos', 'lods', 'scas', 'cmps']);
const stack = new Set(['push', 'pop', 'pushf', 'popf', 'call', 'ret', 'enter', 'leave']);
export const transfers = new Set(['jmp', 'jcc', 'call', 'ret', 'jrcxz', 'loop', 'loope', 'loopne', 'iret', 'syscall']);
const isX87 = (row: Row): boolean => row.map === 0 && row.opcode >= 0xd8 && row.opcode <= 0xdf;
const isVector = (row: Row): boolean => row.operands.some((o) => 'VWUPQN'.includes(o.kind));
const isFloat = (row: Row): boolean =>
  isVector(row) &&
  ((/(ps|ss|pd|sd)$/.test(row.mnemonic) && !/^(p|mov|unpck|shuf|and|or|xor|blend|insert|extract)/.test(row.mnemonic)) ||
    /^(cvt|u?comis)/.test(row.mnemonic));

/**
 * Rows that user mode may execute to see the exception, although the random tests proper leave them out. Not RDPMC (the
 * kernel may allow it), INT (0x80 is a system call) and ICEBP (virtual machines report the wrong address).
 */
const trapping = (row: Row): boolean =>
  (row.noFuzz === 'privileged' && row.mnemonic !== 'rdpmc') ||
  (row.noFuzz === 'trap' && row.mnemonic !== 'int' && row.mnemonic !== 'icebp');

/**
 * x87 rows have tests of their own as well; here they are in the company of all states. Transcendental
 * results depend on the CPU, what STMXCSR shows on the history of the process (docs/floating-point.md).
 */
const x87WithVectors = (row: Row): boolean =>
  (isX87(row) || row.mnemonic === 'fwait' || row.mnemonic === 'emms' || row.mnemonic === 'ldmxcsr') &&
  !/^(f2xm1|fyl2x|fyl2xp1|fptan|fpatan|fsin|fcos|fsincos)$/.test(row.mnemonic) &&
  row.encoding !== 'd9 /3 reg'; // FSTPNCE is not documented.

const [C0, C1, C2, C3, IE, SFAULT, ES] = [0x100, 0x200, 0x400, 0x4000, 1, 0x40, 0x80];
/** x87 status bits (in rflags' undefined ones: shifted by 16) on which CPUs differ, given the status word afterwards. */
export function undefinedStatus(key: string, fsw: number, sameResult: boolean): number {
  const mnemonic = key.split(' ').at(-2)!.startsWith('f') ? key.split(' ').at(-2)! : key.split(' ').at(-1)!;
  if (/^f(cmov|u?comi)/.test(mnemonic)) return (C1 << 16) | (fsw & ES && /comi/.test(mnemonic) ? 0x8d5 : 0);
  // Where there is nothing to divide the quotient's bits are clear or as before.
  if (/^fprem/.test(mnemonic) && (fsw & IE || sameResult)) return (C0 | C1 | C2 | C3) << 16;
  if (/^f(u?com|icom|tst)/.test(mnemonic) && fsw & ES) return (C0 | C1 | C2 | C3) << 16;
  // Source empty and destination full: underflow or overflow?
  if (key.startsWith('d9 /0 reg') && fsw & SFAULT) return C1 << 16;
  return 0;
}

/** Why a row has no vectors, or null. */
export const reasonForNone = (row: Row): string | null =>
  row.noFuzz === undefined || trapping(row) || x87WithVectors(row) ? null : row.noFuzz;

/** Vectors to make for a row. */
function vectorCount(row: Row): number {
  if (trapping(row)) return 2;
  if (strings.has(row.mnemonic)) return 144;
  if (isX87(row)) return 64;
  if (/^(div|idiv|mul|imul|sh[lr]d?|sar|ro[lr]|rc[lr]|cmpxchg.*|bt.?)$/.test(row.mnemonic)) return 96;
  if (/^pcmp.str.$/.test(row.mnemonic)) return 400;
  if (isFloat(row)) return 120;
  if (row.operands.length === 0) return 16;
  if (row.operands.some((o) => o.size === 'v')) return 60;
  return 36;
}

/** Chooses where a memory operand of so many bytes lies: a base register that is set already, and a displacement. */
export type Place = (bytes: number) => { base: number; disp: number };

class Assembler {
  readonly row: Row;
  readonly r: Random;
  readonly place: Place | null;
  readonly overrides = new Map<number, bigint>();
  size: 2 | 4 | 8 = 4;
  memory = false;
  target = 0n;
  /** Bytes of the buffer the memory operand begins at, null when it lies elsewhere. */
  offset: number | null = null;
  addrsize = false;
  segment = false;
  lock = false;
  rep: number | null = null;
  reg = 0;
  rm = 0;
  imm = 0;
  profile: Profile = 'integer';
  /** Registers that addressing may not use: they hold something the instruction needs. */
  reserved = new Set<number>();

  constructor(row: Row, r: Random, place: Place | null) {
    this.row = row;
    this.r = r;
    this.place = place;
  }
  set(place: number, value: bigint | number): void {
    this.overrides.set(place, BigInt.asUintN(64, BigInt(value)));
  }
  setUnless(place: number, value: bigint | number): void {
    if (!this.overrides.has(place)) this.set(place, value);
  }
  /** Writes 8 bytes at an offset of the buffer, which need not be a multiple of 8: overrides may overlap. */
  setData(offset: number, value: bigint | number): void {
    if (offset >= 0 && offset + 8 <= DATA_BYTES) this.set(DATA_OVERRIDE + offset, value);
  }

  memoryBytes(): number {
    const o = this.row.operands.find((x) => 'EMWQ'.includes(x.kind));
    return o ? operandBytes(o.size, this.size) || 16 : 8;
  }

  chooseTarget(): void {
    const { r, row } = this;
    const bytes = this.memoryBytes();
    const how = r.below(100);
    const mayFault = row.mnemonic !== 'lea' && !row.mnemonic.startsWith('f') && !transfers.has(row.mnemonic);
    if (mayFault && how < 4) {
      // Across the end of the page, or beyond it.
      this.target = BigInt(DATA + DATA_BYTES - r.below(bytes + 1));
      if (row.aligned || row.mnemonic === 'cmpxchg8b') this.target &= ~15n;
      this.offset = null;
      return;
    }
    if (mayFault && how < 6) {
      this.target = r.pick([0n, 8n, 0x2000_1000n, 0x1_0000_0000n, 0x7fff_0000_0000n]);
      this.offset = null;
      return;
    }
    if (mayFault && how < 8 && !row.aligned) {
      this.target = 0x1234_5678_9abc_def0n;
      this.offset = null;
      return;
    }
    // FNSAVE's area has 108 bytes, FNSTENV's 28.
    let offset = /^f(nsave|rstor|nstenv|ldenv)$/.test(row.mnemonic) ? 16 + r.below(120) : 48 + r.below(144);
    const alignment = row.aligned || row.mnemonic === 'cmpxchg8b' ? 16 : r.chance(70) ? bytes : 1;
    if (how < 95) offset -= offset % alignment;
    this.target = BigInt(DATA + offset);
    this.offset = offset;
  }

  /** ModRM.rm, SIB and displacement for the target: sets the registers it uses. */
  address(): { modrm: number; rest: number[]; x: number; b: number; rip: boolean } {
    const { r } = this;
    let target = this.target;
    const d32 = (n: number): number[] => [n & 255, (n >> 8) & 255, (n >> 16) & 255, (n >> 24) & 255];
    if (this.place) {
      const { base, disp } = this.place(this.memoryBytes());
      return {
        modrm: 0x80 | (base & 7),
        rest: [...((base & 7) === 4 ? [0x24] : []), ...d32(disp)],
        x: 0,
        b: base >> 3,
        rip: false,
      };
    }
    if (this.segment) target -= BigInt(GS_BASE);
    const low = target >= 0n && target < 0x7fff_ffffn;
    const how = r.below(100);
    if (low && how < 8) return { modrm: 5, rest: d32(Number(target)), x: 0, b: 0, rip: true };
    if (low && how < 14) return { modrm: 4, rest: [0x25, ...d32(Number(target))], x: 0, b: 0, rip: false };
    const free = (not: number): number => {
      for (;;) {
        const n = r.below(16);
        if (n !== not && !this.reserved.has(n)) return n;
      }
    };
    const garbage = (v: bigint): bigint => (this.addrsize ? (v & 0xffff_ffffn) | (BigInt(r.word()) << 32n) : v);
    if (how < 20) {
      // Index only.
      let index: number;
      do index = free(RSP);
      while (index === RSP);
      const scale = r.below(4);
      const value = r.chance(50) ? BigInt(r.below(64)) : BigInt(r.below(0x100_0000));
      const disp = target - (value << BigInt(scale));
      if (disp > -0x8000_0000n && disp < 0x7fff_ffffn) {
        this.set(index, garbage(value));
        return {
          modrm: 4,
          rest: [(scale << 6) | ((index & 7) << 3) | 5, ...d32(Number(disp))],
          x: index >> 3,
          b: 0,
          rip: false,
        };
      }
    }
    const base = free(-1);
    const withIndex = r.chance(40);
    let index = -1;
    const scale = r.below(4);
    if (withIndex) {
      do index = free(base);
      while (index === RSP);
    }
    const size = r.pick([0, 1, 1, 4]);
    const disp = size === 0 ? 0 : size === 1 ? r.below(256) - 128 : r.word() | 0;
    let value = target - BigInt(disp);
    if (index >= 0) {
      const v = randomInteger(r);
      this.set(index, v);
      value -= v << BigInt(scale);
    }
    this.set(base, garbage(BigInt.asUintN(64, value)));
    const mod = size === 0 && (base & 7) !== 5 ? 0 : size === 4 ? 2 : 1;
    const dispBytes = mod === 0 ? [] : mod === 1 ? [disp & 255] : d32(disp);
    if (index >= 0 || (base & 7) === 4) {
      const sib = (scale << 6) | ((index >= 0 ? index & 7 : 4) << 3) | (base & 7);
      return {
        modrm: (mod << 6) | 4,
        rest: [sib, ...dispBytes],
        x: index >= 0 ? index >> 3 : 0,
        b: base >> 3,
        rip: false,
      };
    }
    return { modrm: (mod << 6) | (base & 7), rest: dispBytes, x: 0, b: base >> 3, rip: false };
  }

  /** The address in a register, for implicit operands. */
  pointer(register: number, offset: number, segment = this.segment): void {
    let v = BigInt(DATA + offset) - (segment ? BigInt(GS_BASE) : 0n);
    if (this.addrsize) v = (v & 0xffff_ffffn) | (BigInt(this.r.word()) << 32n);
    this.set(register, v);
  }
}

/** Where a control transfer may go: into the INT3s of the code page, and for a not-taken one behind the instruction. */
const codeTarget = (r: Random): number => CODE + (r.chance(50) ? 0x20 + r.below(0x40) : -0x10 - r.below(0x40));

function immediates(a: Assembler, o: { kind: string; size: string }): number[] {
  const { r, row } = a;
  if (o.kind === 'J') return [];
  let bytes =
    o.size === 'b' || o.size === 'bs' ? 1 : o.size === 'w' ? 2 : o.size === 'v' ? a.size : a.size === 2 ? 2 : 4;
  let v = randomInteger(r);
  if (/^(sh[lr]d?|sar|ro[lr]|rc[lr])$/.test(row.mnemonic))
    v = BigInt(r.chance(30) ? 1 : r.below(r.chance(70) ? 34 : 256));
  else if (row.mnemonic === 'enter') {
    v = BigInt(o.size === 'w' ? r.below(200) : r.chance(60) ? r.below(3) : r.below(256));
  } else if (row.mnemonic === 'ret') v = BigInt(r.below(64));
  else if (bytes === 1) v = BigInt(r.word());
  a.imm = Number(v & 0xffn);
  const out: number[] = [];
  for (; bytes > 0; bytes--, v >>= 8n) out.push(Number(v & 0xffn));
  return out;
}

/** One encoding of the row and the state it needs; null when the choices do not fit together. */
export function assemble(
  row: Row,
  r: Random,
  k: number,
  place: Place | null = null,
): { code: number[]; a: Assembler } | null {
  const a = new Assembler(row, r, place);
  const m = row.mnemonic;

  // Operand size and prefixes.
  const sized = row.operands.some((o) => o.size === 'v' || o.size === 'z' || o.size === 'y');
  const implicit = row.operands.length === 0 && !isX87(row) && row.prefix === null && !trapping(row);
  const sizes: (2 | 4 | 8)[] = [];
  const may66 = row.prefix !== '66' && row.prefix !== 'np' && !row.f64 && !isX87(row) && row.map !== 2;
  if (sized || implicit) {
    if (row.f64) sizes.push(8);
    else {
      if (may66 && (row.operands.some((o) => o.size === 'v' || o.size === 'z') || implicit)) sizes.push(2);
      if (!row.d64) sizes.push(4);
      sizes.push(8);
    }
    if (row.mnemonic === 'crc32' && row.opcode === 0xf1) sizes.push(2);
  } else sizes.push(4);
  a.size = sizes[k % sizes.length]!;
  const memoryKinds = row.operands.some((o) => 'EWQM'.includes(o.kind));
  const modes: boolean[] = [];
  if (row.hasModrm) {
    if (row.modrm !== null) modes.push(row.modrm < 0xc0);
    else {
      const noRegister = row.operands.some((o) => o.kind === 'M');
      const noMemory = row.operands.some((o) => 'RUN'.includes(o.kind));
      if (row.mode !== 'mem' && !noRegister) modes.push(false);
      if (row.mode !== 'reg' && !noMemory && (memoryKinds || row.mode === 'mem' || isX87(row))) modes.push(true);
    }
  } else modes.push(false);
  a.memory = modes[Math.floor(k / sizes.length) % modes.length]!;
  let opsize = row.prefix === '66' || a.size === 2;
  // Without effect on what has no operand size.
  if (
    !opsize &&
    !transfers.has(m) &&
    m !== 'int3' &&
    !sized &&
    !implicit &&
    row.prefix === null &&
    row.map === 0 &&
    !isX87(row) &&
    !row.f64 &&
    !row.d64 &&
    r.chance(8)
  )
    opsize = true;
  const wideDefault = row.d64 || row.f64;
  let w = a.size === 8 && (sized || implicit) ? (wideDefault ? r.chance(15) : true) : false;
  if (!sized && !implicit && !opsize && r.chance(15) && !isX87(row)) w = true;
  if (!sized && row.prefix === '66' && r.chance(15)) w = true;
  if (m === 'cmpxchg8b') w = k % 2 === 1;
  if (m === 'int3') w = false;
  const repPrefix = row.prefix === 'f2' || row.prefix === 'f3' ? Number.parseInt(row.prefix, 16) : null;
  a.rep = repPrefix;
  if (strings.has(m)) a.rep = [null, 0xf3, 0xf3, 0xf2][Math.floor(k / sizes.length) % 4]!;
  a.segment =
    (a.memory || strings.has(m) || m === 'xlat' || m.startsWith('maskmov')) &&
    place === null &&
    r.chance(10) &&
    m !== 'stos' &&
    m !== 'scas';
  a.addrsize =
    place === null &&
    (a.memory || strings.has(m) || m === 'xlat' || m.startsWith('maskmov') || /^(loop|jrcxz)/.test(m)) &&
    r.chance(12);
  a.lock = row.lock === true && a.memory && r.chance(35);

  // Registers.
  a.reg = row.reg ?? r.below(16);
  a.rm = r.below(16);
  if (row.modrm !== null) {
    a.reg = (row.modrm >> 3) & 7;
    a.rm = row.modrm & 7;
  }
  if (isX87(row)) {
    a.reg &= 7;
    a.rm &= 7;
  }

  // Kind of values.
  if (isX87(row) || m === 'fwait') a.profile = 'x87';
  else if (/^pcmp.str./.test(m)) a.profile = 'alike';
  else if (isFloat(row)) {
    const single = /(ps|ss)$|^cvtt?(ps|ss)|^u?comiss/.test(m);
    a.profile = r.chance(8)
      ? 'integer'
      : /^cvt/.test(m) && !/^cvtt?[ps][sd]/.test(m)
        ? 'integer'
        : (single && r.chance(92)) || (!single && r.chance(8))
          ? 'f32'
          : 'f64';
    if (/^cvt(dq|pi|si)/.test(m)) a.profile = r.chance(70) ? 'integer' : 'small';
  } else if (isVector(row)) a.profile = r.pick(['integer', 'integer', 'small', 'small', 'alike', 'f32'] as const);
  else if (m === 'scas' || m === 'cmps') a.profile = 'alike';
  else a.profile = r.chance(15) ? 'small' : 'integer';

  // Implicit operands.
  if (strings.has(m)) {
    const long = r.chance(30) ? 8 : 0;
    a.pointer(RSI, 60 + r.below(90) + long, a.segment);
    a.pointer(RDI, 60 + r.below(90) + long, false);
    if (r.chance(8)) a.pointer(r.pick([RSI, RDI]), 250 + r.below(8), false);
    const count = r.chance(10) ? 0 : r.chance(85) ? r.below(12) : 40 + r.below(60);
    a.set(RCX, a.addrsize ? BigInt(count) | (BigInt(r.word()) << 32n) : count);
    if (r.chance(30)) a.set(RFLAGS_OVERRIDE, 0x602 | (r.word() & 0x8d5));
    if (m === 'scas')
      a.set(RAX, r.chance(40) ? 0x6161_6161_6161_6161n : BigInt(0x61 + r.below(3)) | (r.u64() & ~0xffn));
    for (const n of [RSI, RDI, RCX]) a.reserved.add(n);
  }
  if (stack.has(m) || (m === 'pop' && row.operands.length === 0)) {
    const offset = r.chance(80) ? 96 + 8 * r.below(12) : 96 + r.below(90);
    // At the edges of the page now and then: what does not fit must leave no trace.
    const edge = r.below(100);
    const sp =
      edge < 3 && m !== 'ret'
        ? DATA_PAGE + r.below(8)
        : edge < 6 && m !== 'ret' && m !== 'popf'
          ? DATA + DATA_BYTES - r.below(8)
          : DATA + offset;
    a.set(RSP, sp);
    a.reserved.add(RSP);
    if (m === 'leave') a.set(RBP, r.chance(95) ? DATA + 64 + r.below(160) : 0x2000_0ffd);
    if (m === 'enter') a.set(RBP, DATA + 64 + r.below(160));
    if (m === 'ret') a.setData(offset, codeTarget(r));
    if (m === 'popf') {
      // Never TF, NT, AC, VIF, VIP or ID: they would disturb the recorder.
      a.setData(offset, (BigInt(r.word()) & ~0x3c_4100n & ~0x20_0000n) | (BigInt(r.word()) << 32n));
    }
  }
  if (m === 'xlat') a.pointer(RBX, 0);
  if (m.startsWith('maskmov')) a.pointer(RDI, 32 + r.below(160));
  if (/^(loop|jrcxz)/.test(m))
    a.set(RCX, r.chance(60) ? r.pick([0n, 1n, 2n, 0x1_0000_0000n, 0x1_0000_0001n]) : r.u64());
  if (/^pcmpestr/.test(m)) for (const n of [RAX, RDX]) a.set(n, BigInt(r.below(46) - 23));
  if (m === 'div' || m === 'idiv') {
    const bits = BigInt(row.operands[0]!.size === 'b' ? 8 : a.size * 8);
    const v = randomInteger(r);
    if (r.chance(75)) {
      const low = BigInt.asUintN(Number(bits), v);
      const sign = m === 'idiv' && (low >> (bits - 1n)) & 1n ? -1n : 0n;
      const high = r.chance(60) ? sign : BigInt(r.below(40) - (m === 'idiv' ? 20 : 0));
      if (bits === 8n) a.set(RAX, (r.u64() & ~0xffffn) | low | ((high & 0xffn) << 8n));
      else {
        a.set(RAX, v);
        a.set(RDX, high);
      }
      a.reserved.add(RAX);
      a.reserved.add(RDX);
    }
  }
  if (row.operands.some((o) => o.kind === 'fixed' && o.size === 'cl')) {
    a.set(RCX, (r.u64() & ~0xffn) | BigInt(r.chance(25) ? r.pick([0, 1]) : r.chance(75) ? r.below(70) : r.below(256)));
    a.reserved.add(RCX);
  }
  const floatRow = isFloat(row);
  if (floatRow && r.chance(35)) {
    // Rounding, flush to zero, denormals are zeros, sticky flags; sometimes exceptions unmasked.
    let mxcsr = 0x1f80 | (r.word() & 0xe040);
    // An unmasked exception before the transition to MMX: CPUs need not agree on the x87 state.
    if (r.chance(20) && !row.operands.some((o) => 'PQN'.includes(o.kind))) mxcsr &= ~(1 << (7 + r.below(6)));
    if (r.chance(30)) mxcsr |= r.word() & 0x3f;
    a.set(MXCSR_OVERRIDE, mxcsr);
  }
  if (isX87(row) && r.chance(45)) {
    let fcw = 0x7f | (r.pick([0, 2, 3]) << 8) | (r.below(4) << 10);
    if (r.chance(25)) fcw &= ~(1 << r.below(6));
    a.set(FCW_OVERRIDE, fcw);
  }

  // Memory operand.
  let modrmBytes: number[] = [];
  let rexX = 0;
  let rexB = a.rm >> 3;
  let ripTarget: number | null = null;
  if (row.hasModrm) {
    if (a.memory) {
      if (!place) a.chooseTarget();
      if (stack.has(m) && r.chance(25) && a.offset !== null) {
        // Based on RSP, which POP moves first.
        const sp = Number(a.overrides.get(RSP));
        const from = a.segment ? null : Number(a.target) - sp;
        if (from !== null && from >= -128 && from < 128 - 8) {
          a.addrsize = false;
          modrmBytes = [0x40 | ((a.reg & 7) << 3) | 4, 0x24, from & 255];
          rexB = 0;
          if (m === 'pop') a.offset = Math.min(a.offset + a.size, DATA_BYTES - 8);
        }
      }
      if (modrmBytes.length === 0) {
        if (m === 'cmpxchg' || m === 'cmpxchg8b') for (const n of [RAX, RBX, RCX, RDX]) a.reserved.add(n);
        if (/^bt/.test(m)) a.reserved.add(a.reg);
        const at = a.address();
        modrmBytes = [at.modrm | ((a.reg & 7) << 3), ...at.rest];
        rexX = at.x;
        rexB = at.b;
        if (at.rip) ripTarget = Number(a.segment ? a.target - BigInt(GS_BASE) : a.target);
      }
    } else modrmBytes = [0xc0 | ((a.reg & 7) << 3) | (a.rm & 7)];
  }

  // Values in which the instruction finds something of interest.
  if (a.memory && a.offset !== null) {
    if (transfers.has(m)) a.setData(a.offset, codeTarget(r));
    else if (m === 'ldmxcsr') a.setData(a.offset, BigInt(r.chance(85) ? r.word() & 0xffff : r.word()));
    else if (!isVector(row) && !isX87(row)) {
      const how = r.below(100);
      if (how < 10 && !a.overrides.has(a.reg) && !/^bt/.test(m)) {
        const v = randomInteger(r);
        a.set(a.reg, v);
        a.setData(a.offset, v);
      } else if (how < 20) a.setData(a.offset, 0);
      else if (how < 60) a.setData(a.offset, randomInteger(r));
    }
  } else if (!a.memory && transfers.has(m) && row.operands[0]?.kind === 'E') {
    if (m === 'call' && a.rm === RSP) return null;
    a.set(a.rm, codeTarget(r));
  } else if (!a.memory && row.hasModrm && row.operands.some((o) => o.kind === 'E') && !isVector(row)) {
    const how = r.below(100);
    if (how < 8) a.setUnless(a.rm, 0);
    else if (how < 16) {
      const v = randomInteger(r);
      a.setUnless(a.rm, v);
      a.setUnless(a.reg, v);
    }
  }
  if (/^bt/.test(m) && a.memory && row.operands[1]!.kind === 'G') {
    // The bit lies around the operand: 200 bits either way stay in the buffer.
    const bit = BigInt(r.below(400) - 200);
    const high = a.size === 2 ? r.u64() & ~0xffffn : a.size === 4 ? r.u64() & ~0xffff_ffffn : 0n;
    a.setUnless(a.reg, a.size === 8 ? bit : high | BigInt.asUintN(a.size * 8, bit));
  }

  // Encoding.
  const code: number[] = [];
  const prefixes: number[] = [];
  if (a.segment) prefixes.push(0x65);
  if (a.addrsize) prefixes.push(0x67);
  if (opsize) prefixes.push(0x66);
  if (a.lock) prefixes.push(0xf0);
  if (a.rep !== null) prefixes.push(a.rep);
  while (prefixes.length) code.push(prefixes.splice(r.below(prefixes.length), 1)[0]!);
  let rexR = a.reg >> 3;
  let opcode = row.opcode;
  if (row.plus) {
    opcode += a.rm & 7;
    rexB = a.rm >> 3;
    rexR = 0;
  } else if (!row.hasModrm) {
    rexR = 0;
    rexB = 0;
  }
  if (row.reg !== null) rexR = 0;
  const rex = (w ? 8 : 0) | (rexR << 2) | (rexX << 1) | rexB;
  if (rex !== 0 || (r.chance(12) && m !== 'int3')) code.push(0x40 | rex);
  if (row.map > 0) code.push(0x0f);
  if (row.map === 2) code.push(0x38);
  if (row.map === 3) code.push(0x3a);
  code.push(opcode);
  const modrmAt = code.length;
  code.push(...modrmBytes);
  for (const o of row.operands) if (o.kind === 'I') code.push(...immediates(a, o));
  const jump = row.operands.find((o) => o.kind === 'J');
  if (jump) {
    const bytes = jump.size === 'b' ? 1 : 4;
    let rel = codeTarget(r) - (CODE + code.length + bytes);
    for (let n = 0; n < bytes; n++, rel >>= 8) code.push(rel & 255);
  }
  if (ripTarget !== null) {
    const disp = ripTarget - (CODE + code.length);
    for (let n = 0; n < 4; n++) code[modrmAt + 1 + n] = (disp >> (n * 8)) & 255;
  }
  return { code, a };
}

/** Equal comparands for half of the compare-and-exchanges: this needs the state that the seed gives. */
function equalComparands(row: Row, vector: Vector, key: string, a: Assembler, code: Decoded): void {
  const s = initialState(key, vector);
  const d = new DataView(s.data.buffer);
  const at = a.offset ?? -1;
  if (row.mnemonic === 'cmpxchg8b') {
    if (at < 0 || at > DATA_BYTES - 16) return;
    const q = d.getBigUint64(at, true);
    if (code.rexW) vector.overrides.push({ place: RAX, value: q }, { place: RDX, value: d.getBigUint64(at + 8, true) });
    else {
      const garbage = a.r.chance(50) ? 0xabcd_0000_0000n : 0n;
      vector.overrides.push(
        { place: RAX, value: (q & 0xffff_ffffn) | garbage },
        { place: RDX, value: (q >> 32n) | garbage },
      );
    }
    return;
  }
  if (a.memory) {
    if (at >= 0 && at <= DATA_BYTES - 8) vector.overrides.push({ place: RAX, value: d.getBigUint64(at, true) });
  } else {
    const high = row.operands[0]!.size === 'b' && !code.rexPresent && a.rm >= 4;
    vector.overrides.push({
      place: RAX,
      value: high
        ? s.gpr[(a.rm & 7) - 4]! >> 8n
        : s.gpr[a.rm & (row.operands[0]!.size === 'b' && !code.rexPresent ? 7 : 15)]!,
    });
  }
}

/** What a condition code reads: O B Z BE S P L LE. */
export const conditionReads = [OF, CF, ZF, CF | ZF, SF, PF, SF | OF, ZF | SF | OF];

interface Follower {
  code: number[];
  reads: number;
  /** Undefined flags after it, from those before. */
  after: (undefinedFlags: number) => number;
}
/** Instructions that look at the flags the one before left: the translator treats such pairs specially. */
function follower(r: Random): Follower {
  const kept = (u: number): number => u;
  const how = r.below(14);
  const condition = r.below(16);
  const reads = conditionReads[condition >> 1]!;
  if (how < 5) return { code: [0x41, 0x0f, 0x90 + condition, 0xc0 | r.below(8)], reads, after: kept };
  if (how < 7) return { code: [0x4d, 0x0f, 0x40 + condition, 0xc0 | r.below(64)], reads, after: kept };
  if (how < 9) return { code: [0x70 + condition, 0x10 + r.below(16)], reads, after: kept };
  if (how === 9) return { code: [0x4d, r.pick([0x11, 0x19]), 0xc0 | r.below(64)], reads: CF, after: () => 0 };
  if (how === 10) return { code: [0x45, r.pick([0x10, 0x18]), 0xc0 | r.below(64)], reads: CF, after: () => 0 };
  if (how === 11)
    return { code: [0x49, 0xd1, (r.chance(50) ? 0xd0 : 0xd8) | r.below(8)], reads: CF, after: (u) => u & ~(CF | OF) };
  if (how === 12)
    return { code: [0x49, 0xff, (r.chance(50) ? 0xc0 : 0xc8) | r.below(8)], reads: 0, after: (u) => u & CF };
  return { code: [r.pick([0xf5, 0x9f])], reads: 0x8d5, after: kept };
}

/** Seeds of other vectors than those of the fixtures begin here, `salt` times. */
export const SALT = 100_000;

/** All vectors of a row: the instruction alone, then (integer rows) with a reader of flags after it. */
export function vectorsOf(row: Row, salt = 0): Vector[] {
  const key = keyOf(row);
  const vectors: Vector[] = [];
  const r = new Random(hash(`vectors of ${key}`) + salt);
  const count = vectorCount(row);
  const mayFollow = !isVector(row) && !isX87(row) && !transfers.has(row.mnemonic) && row.noFuzz === undefined;
  const followed = mayFollow ? Math.ceil(count / 3) : 0;
  for (let k = 0, tries = 0; vectors.length < count + followed && tries < count * 6; k++, tries++) {
    const made = assemble(row, r, k);
    if (!made) continue;
    const { code, a } = made;
    const bytes = Uint8Array.from(code);
    const decoded = decode(bytes, 0, bytes.length);
    if (typeof decoded === 'string' || decoded.row !== row || decoded.next !== bytes.length) continue;
    const overrides: Override[] = [...a.overrides].map(([place, value]) => ({ place, value }));
    const vector: Vector = {
      index: k + salt * SALT,
      profile: a.profile,
      code: bytes,
      overrides,
      undefinedFlags: row.undefinedFlags ?? 0,
    };
    if (/^cmpxchg/.test(row.mnemonic) && k % 2 === 0) equalComparands(row, vector, key, a, decoded);
    if (vectors.length >= count) {
      const f = follower(r);
      if (f.reads & vector.undefinedFlags) continue;
      vector.code = Uint8Array.from([...code, ...f.code]);
      vector.undefinedFlags = f.after(vector.undefinedFlags);
    }
    vectors.push(vector);
  }
  return vectors;
}

/** Name of the fixture file of a row. */
export function fileOf(row: Row): string {
  if (isX87(row) || row.mnemonic === 'fwait' || row.mnemonic === 'emms') return 'x87';
  if (isVector(row))
    return isFloat(row) ? 'sse-float' : row.operands.some((o) => 'PQN'.includes(o.kind)) ? 'mmx' : 'sse';
  return 'integer';
}
