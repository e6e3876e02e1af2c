/**
 * Makes test vectors from the rows of the AArch64 table: random words of each encoding, and states in which they have
 * something to do. Everything follows from the row's encoding.
 */
import { decode } from '../../../src/translator/aarch64/decode.ts';
import { extract, field, type Row, rows } from '../../../src/translator/aarch64/row.ts';
import {
  CODE_PAGE,
  DATA,
  DATA_BYTES,
  FPCR_PLACE,
  hash,
  type Override,
  type Profile,
  Random,
  randomInteger,
  SP_PLACE,
  VECTOR_PLACE,
} from './machine-state.ts';

export interface Vector {
  /** Instruction words, executed in order. */
  words: number[];
  seed: number;
  profile: Profile;
  overrides: Override[];
}

export const keyOf = (row: Row): string => `${row.encoding} ${row.mnemonic}`;

const bits = (row: Row, from: number, count: number): string => row.encoding.slice(31 - from, 32 - from + count - 1);
/** Encoding group by bits 28..25 (Arm ARM, C4.1). */
export function fileOf(row: Row): string {
  const op0 = bits(row, 28, 4);
  if (op0.startsWith('100')) return 'immediate';
  if (op0.startsWith('101')) return 'branch';
  if (/^.1.0$/.test(op0)) return 'load';
  if (op0.endsWith('101')) return 'register';
  return /^[01-]?0/.test(row.encoding) && /111[10]/.test(bits(row, 27, 4)) && row.encoding[31 - 28] === '1'
    ? 'float'
    : 'simd';
}

export const has = (row: Row, letter: string): boolean => row.encoding.includes(letter);
const isMemory = (row: Row): boolean => fileOf(row) === 'load';
/** Loads and stores relative to the pc. */
const isLiteral = (row: Row): boolean => isMemory(row) && bits(row, 29, 3) === '011' && bits(row, 25, 2) === '00';
/** Rows that FPCR is about. */
export const isFloat = (row: Row): boolean =>
  /^(f|scvtf|ucvtf)/.test(row.mnemonic) && !/^fmov/.test(row.mnemonic) && ['simd', 'float'].includes(fileOf(row));

function put(row: Row, word: number, letter: string, value: number): number {
  const f = field(row, letter);
  let left = value;
  let w = word;
  for (const { shift, mask, width } of [...f.runs].reverse()) {
    w = (w & ~(mask << shift)) | ((left & mask) << shift);
    left = Math.floor(left / 2 ** width);
  }
  return w | 0;
}
const setRegister = (overrides: Override[], n: number, value: bigint): void => {
  overrides.push([n === 31 ? SP_PLACE : n, BigInt.asUintN(64, value)]);
};

/** Displacement of an access with immediate offset, in bytes; null when it has none. */
function displacement(row: Row, word: number): number | null {
  if (!has(row, 'i')) return 0;
  const f = field(row, 'i');
  const u = extract(f, word);
  const s = u >= 2 ** (f.width - 1) ? u - 2 ** f.width : u;
  const size = (word >>> 30) & 3;
  const vector = (word >>> 26) & 1;
  if (f.width === 7) {
    // Pairs: opc scales.
    const log2 = vector ? 2 + size : row.mnemonic === 'ldpsw' ? 2 : size === 2 ? 3 : 2;
    const post = ((word >>> 23) & 7) === 1;
    return post ? 0 : s * 2 ** log2;
  }
  if (f.width === 12) return u * 2 ** (vector && (word >>> 23) & 1 ? 4 : size);
  if (f.width === 9) return (word & 0xc00) === 0x400 ? 0 : s;
  return 0;
}

/** Fills in the free bits of a row so that what it does can be compared. Null when the choice does not fit. */
function assemble(row: Row, r: Random, overrides: Override[], forward = false): number | null {
  let word = (r.word() & ~row.mask) | row.value | 0;
  // Should-be bits: mostly as they should be, since qemu may refuse others.
  const file = fileOf(row);
  for (let k = 0; k < 32; k++)
    if (row.encoding[k] === '-') word |= file === 'load' || /mulh/.test(row.mnemonic) ? 1 << (31 - k) : 0;
  if (file === 'branch') {
    if (has(row, 'i') && row.mnemonic !== 'brk')
      word = put(row, word, 'i', forward || r.chance(50) ? 20 + r.below(400) : -1 - r.below(400));
    if (/^(br|blr|ret)$/.test(row.mnemonic))
      setRegister(overrides, (word >>> 5) & 31, BigInt(CODE_PAGE + r.below(1000) * 4));
    if (row.mnemonic === 'dc zva') setRegister(overrides, word & 31, BigInt(DATA + r.below(DATA_BYTES - 64)));
    else if (/^(dc|ic)/.test(row.mnemonic)) setRegister(overrides, word & 31, BigInt(DATA));
    if (/^(br|blr|ret|d|i)/.test(row.mnemonic) && /zva|^(br|blr|ret)$/.test(row.mnemonic)) {
      const n = row.mnemonic === 'dc zva' ? word & 31 : (word >>> 5) & 31;
      if (n === 31) return null;
    }
    if (row.mnemonic === 'msr fpcr') setRegister(overrides, word & 31, BigInt(r.below(16)) << 22n);
  } else if (file === 'load') {
    if (isLiteral(row)) return put(row, word, 'i', r.below(900) - 450);
    const n = (word >>> 5) & 31;
    const rm = (word >>> 16) & 31;
    // Transfers into the base with writeback, and status into data or base, are constrained unpredictable.
    const t2 = (word >>> 10) & 31;
    const t = word & 31;
    const vector = ((word >>> 26) & 1) === 1;
    const pair = has(row, 'u') || /xp$/.test(row.mnemonic);
    if (!vector && (t === n || (pair && t2 === n))) return null;
    if (pair && t === t2 && row.mnemonic.startsWith('l')) return null;
    if (/^st.*x[rp]/.test(row.mnemonic) && (rm === n || rm === t || (pair && rm === t2))) return null;
    if (/^casp/.test(row.mnemonic)) word &= ~0x10001;
    let disp = displacement(row, word) ?? 0;
    if (Math.abs(disp) > 0x10_0000) return null;
    if (has(row, 'm') && has(row, 'o')) {
      // Register offset.
      if (rm === n) return null;
      const option = extract(field(row, 'o'), word);
      const size = vector && (word >>> 23) & 1 ? 4 : (word >>> 30) & 3;
      const shift = extract(field(row, 'S'), word) ? size : 0;
      const index = BigInt(r.below(64)) * (option >= 6 && r.chance(50) ? -1n : 1n);
      if (rm !== 31) {
        const value = option === 2 || option === 6 ? (BigInt(r.word()) << 32n) | BigInt.asUintN(32, index) : index;
        setRegister(overrides, rm, value);
        disp += Number(index) * 2 ** shift;
      }
    }
    let at = DATA + 96 + r.below(DATA_BYTES - 256);
    if (r.chance(70) || /x[rp]|^ld[a-z]*a|lr|cas|swp|ldadd|ldclr|ldeor|ldset|ld[su]m/.test(row.mnemonic)) at -= at % 16;
    const how = r.below(100);
    // With the monitor open an exclusive store need not look at the address at all.
    if (how < 4 && !/^st.*x[rp]/.test(row.mnemonic)) at = r.pick([0, 8, DATA - 0x1000, DATA + 0x1000]);
    let value = BigInt(at) - BigInt(disp);
    // Top Byte Ignore.
    if (how > 95) value = BigInt.asUintN(56, value) | (BigInt(r.below(256)) << 56n);
    setRegister(overrides, n, value);
  }
  return word;
}

/** Whether modes other than FPCR = 0 are there. */
const MODES = true;

const countOf = (row: Row): number => {
  const file = fileOf(row);
  if (isFloat(row)) return 64;
  return file === 'load' ? 24 : file === 'simd' ? 24 : 32;
};

/** Profiles in turn. */
function profileOf(row: Row, k: number): Profile {
  if (!['simd', 'float'].includes(fileOf(row))) return 'integer';
  if (!isFloat(row)) return k % 8 === 7 ? 'f32' : 'integer';
  if (/cvt[ln]|cvtx/.test(row.mnemonic) || row.mnemonic === 'fcvt') return (['f16', 'f32', 'f64'] as const)[k % 3]!;
  return (['f32', 'f64', 'f32', 'f64', 'integer'] as const)[k % 5]!;
}

export type Format = 'f16' | 'f32' | 'f64';

/** The format of a floating-point row's operands. */
export function formatOf(row: Row): Format {
  const scalar = fileOf(row) === 'float';
  if (/^fcvt(l|n|xn)2?$/.test(row.mnemonic)) {
    // To or from the format of twice or half the width.
    const wide = bits(row, 22, 1) === '1';
    if (row.mnemonic.startsWith('fcvtl')) return wide ? 'f32' : 'f16';
    return wide ? 'f64' : 'f32';
  }
  const type = bits(row, 23, 2);
  if (scalar && type === '11') return 'f16';
  return type[1] === '1' ? 'f64' : 'f32';
}

/** What an operand can be. */
export const kinds = ['zero', 'subnormal', 'normal', 'infinity', 'quiet NaN', 'signalling NaN'] as const;
export type Kind = (typeof kinds)[number];
/** Two of each kind, of either sign; the fractions are arbitrary. */
const examples: Record<Format, Record<Kind, readonly [bigint, bigint]>> = {
  f16: {
    zero: [0n, 0x8000n],
    subnormal: [0x0155n, 0x8001n],
    normal: [0x3e01n, 0xd234n],
    infinity: [0x7c00n, 0xfc00n],
    'quiet NaN': [0x7e12n, 0xfe00n],
    'signalling NaN': [0x7c01n, 0xfd34n],
  },
  f32: {
    zero: [0n, 0x8000_0000n],
    subnormal: [0x0012_3456n, 0x8000_0001n],
    normal: [0x3fc0_0001n, 0xc57a_5a5an],
    infinity: [0x7f80_0000n, 0xff80_0000n],
    'quiet NaN': [0x7fc1_2345n, 0xffc0_0000n],
    'signalling NaN': [0x7f80_0001n, 0xffa1_2345n],
  },
  f64: {
    zero: [0n, 1n << 63n],
    subnormal: [0x0001_2345_6789_abcdn, (1n << 63n) | 1n],
    normal: [0x3ff8_0000_0000_0001n, 0xc0af_4b4b_4b4b_4b4bn],
    infinity: [0x7ff0n << 48n, 0xfff0n << 48n],
    'quiet NaN': [0x7ff8_1234_5678_9abcn, 0xfff8n << 48n],
    'signalling NaN': [(0x7ff0n << 48n) | 1n, 0xfff4_1234_5678_9abcn],
  },
};

/** Every kind of operand with every other, each in another mode: rounding, flush to zero, default NaN. */
function edgeVectors(row: Row, r: Random): Vector[] {
  const format = formatOf(row);
  const width = { f16: 16n, f32: 32n, f64: 64n }[format];
  const vectors: Vector[] = [];
  for (let k = 0; k < kinds.length * kinds.length; k++) {
    const overrides: Override[] = [];
    const seed = r.word();
    let word = assemble(row, r, overrides);
    if (word === null) continue;
    // Three registers that are not the same.
    for (const [letter, n] of [
      ['n', 1],
      ['m', 2],
      ['a', 3],
    ] as const)
      if (has(row, letter)) word = put(row, word, letter, n + r.below(4) * 4);
    if (decode(word) !== row) continue;
    const chosen = [kinds[k % 6]!, kinds[(k + Math.floor(k / 6)) % 6]!, kinds[(k * 5 + 2) % 6]!];
    for (const [n, letter] of ['n', 'm', 'a'].entries()) {
      if (!has(row, letter)) continue;
      const register = extract(field(row, letter), word);
      let half = 0n;
      for (let lane = 0n; lane < 64n; lane += width) half |= examples[format][chosen[n]!][r.below(2)]! << lane;
      overrides.push([VECTOR_PLACE + register * 2, half]);
    }
    if (MODES) overrides.push([FPCR_PLACE, BigInt(k % 17) << 22n]);
    vectors.push({ words: [word], seed, profile: format, overrides });
  }
  return vectors;
}

/** Vectors of a row; `salt` other than 0 makes other ones. */
export function vectorsOf(row: Row, salt = 0): Vector[] {
  const r = new Random(hash(keyOf(row)) + salt * 7919);
  const vectors: Vector[] = [];
  const count = countOf(row);
  for (let tries = 0; vectors.length < count && tries < count * 10; tries++) {
    const overrides: Override[] = [];
    const seed = r.word();
    const word = assemble(row, r, overrides);
    if (word === null || decode(word) !== row) continue;
    // Every rounding mode, flush to zero, default NaN.
    if (MODES && isFloat(row) && r.chance(40)) overrides.push([FPCR_PLACE, BigInt(r.below(32)) << 22n]);
    vectors.push({ words: [word], seed, profile: profileOf(row, vectors.length), overrides });
  }
  if (isFloat(row)) vectors.push(...edgeVectors(row, r));
  return vectors;
}

export const SEQUENCES = 'sequences';

/** Runs of a few integer instructions on registers, whose flags depend on one another. */
export function sequenceVectors(count: number, salt = 0): Vector[] {
  const setters = rows.filter(
    (row) =>
      ['immediate', 'register'].includes(fileOf(row)) && /^(adds|subs|ands|bics|ccm|adcs|sbcs)/.test(row.mnemonic),
  );
  const users = rows.filter(
    (row) =>
      ['immediate', 'register', 'branch'].includes(fileOf(row)) &&
      /^(ccm|adc|sbc|cs|b\.cond|mrs nzcv)/.test(row.mnemonic),
  );
  const others = rows.filter((row) => ['immediate', 'register'].includes(fileOf(row)));
  const r = new Random(hash(SEQUENCES) + salt * 7919);
  const vectors: Vector[] = [];
  while (vectors.length < count) {
    const overrides: Override[] = [];
    const words: number[] = [];
    for (let n = 2 + r.below(6); n > 0; n--) {
      const row = r.pick(r.chance(40) ? setters : r.chance(70) ? users : others);
      const word = assemble(row, r, overrides, true);
      if (word !== null && decode(word) === row) words.push(word);
    }
    for (let k = 0; k < 8; k++) overrides.push([r.below(31), randomInteger(r)]);
    vectors.push({ words, seed: r.word(), profile: 'integer', overrides });
  }
  return vectors;
}

export const EXCLUSIVES = 'exclusives';

/** Exclusive loads followed by exclusive stores: that fit, and that do not. */
export function exclusiveVectors(count: number): Vector[] {
  const loads = rows.filter((row) => /^lda?x[rp]/.test(row.mnemonic));
  const stores = rows.filter((row) => /^stl?x[rp]/.test(row.mnemonic));
  const plain = rows.filter((row) => /^str[bh]?$/.test(row.mnemonic) && row.encoding.slice(2, 10) === '11100100');
  const r = new Random(hash(EXCLUSIVES));
  const vectors: Vector[] = [];
  while (vectors.length < count) {
    const overrides: Override[] = [];
    // x1 is the base, x2.. take part.
    const fill = (row: Row, fields: Record<string, number>): number => {
      let word = row.value;
      for (let k = 0; k < 32; k++) if (row.encoding[k] === '-') word |= 1 << (31 - k);
      for (const [letter, value] of Object.entries(fields)) if (has(row, letter)) word = put(row, word, letter, value);
      return word | 0;
    };
    // A store of another size than the load's is constrained unpredictable.
    const load = r.pick(loads);
    const store = r.pick(
      stores.filter(
        (s) => s.encoding.slice(0, 2) === load.encoding.slice(0, 2) && s.mnemonic.at(-1) === load.mnemonic.at(-1),
      ),
    );
    const words = [fill(load, { n: 1, t: 2, a: 3 })];
    if (r.chance(30)) words.push(fill(r.pick(plain), { n: 4, t: 5, i: r.below(2) }));
    if (r.chance(10)) words.push(0xd503_3f5f | 0); // CLREX
    words.push(fill(store, { n: r.chance(85) ? 1 : 4, t: 6, a: 7, m: 8 }));
    if (r.chance(20)) words.push(fill(store, { n: 1, t: 9, a: 10, m: 11 }));
    const at = BigInt(DATA + 64 + r.below(8) * 16);
    overrides.push([1, at], [4, at + BigInt(r.below(2) * 16)]);
    vectors.push({ words, seed: r.word(), profile: 'integer', overrides });
  }
  return vectors;
}
