/**
 * WebAssembly's instructions, by the names that op semantics use (those of binaryen's JavaScript interface): opcode, and
 * types of operands and result. Source: WebAssembly core specification 2.0, section 5.4; threads and relaxed SIMD proposals.
 */
import type { WasmType } from '../ir/expr.ts';

/** Opcodes with a prefix byte have it here in bits 16 and up. */
export const prefix = { saturating: 0xfc_0000, vector: 0xfd_0000, atomic: 0xfe_0000 } as const;

export type Immediate = 'memory' | 'lane' | 'none';

export interface Opcode {
  /** Path in the builder: namespace, then the names in it. */
  path: string;
  code: number;
  operands: number;
  result: WasmType | 'none';
  immediate: Immediate;
  /** Bytes accessed; of loads and stores only. */
  bytes: number;
}

export const opcodes: Opcode[] = [];

function add(
  path: string,
  code: number,
  operands: number,
  result: WasmType | 'none',
  immediate: Immediate = 'none',
  bytes = 0,
): void {
  opcodes.push({ path, code, operands, result, immediate, bytes });
}
/** Names in a row of successive opcodes; `-` leaves one out. */
function row(space: string, first: number, names: string, operands: number, result: WasmType | 'none'): void {
  names.split(' ').forEach((name, k) => {
    if (name !== '-') add(`${space}.${name}`, first + k, operands, result);
  });
}

const comparisons = 'eq ne lt_s lt_u gt_s gt_u le_s le_u ge_s ge_u';
const arithmetic = 'add sub mul div_s div_u rem_s rem_u and or xor shl shr_s shr_u rotl rotr';
for (const [space, compare, count, binary] of [
  ['i32', 0x45, 0x67, 0x6a],
  ['i64', 0x50, 0x79, 0x7c],
] as const) {
  add(`${space}.eqz`, compare, 1, 'i32');
  row(space, compare + 1, comparisons, 2, 'i32');
  row(space, count, 'clz ctz popcnt', 1, space);
  row(space, binary, arithmetic, 2, space);
}
for (const [space, compare, unary, binary] of [
  ['f32', 0x5b, 0x8b, 0x92],
  ['f64', 0x61, 0x99, 0xa0],
] as const) {
  row(space, compare, 'eq ne lt gt le ge', 2, 'i32');
  row(space, unary, 'abs neg ceil floor trunc nearest sqrt', 1, space);
  row(space, binary, 'add sub mul div min max copysign', 2, space);
}
row('i32', 0xa7, 'wrap trunc_s.f32 trunc_u.f32 trunc_s.f64 trunc_u.f64', 1, 'i32');
row('i64', 0xac, 'extend_s extend_u trunc_s.f32 trunc_u.f32 trunc_s.f64 trunc_u.f64', 1, 'i64');
row('f32', 0xb2, 'convert_s.i32 convert_u.i32 convert_s.i64 convert_u.i64 demote', 1, 'f32');
row('f64', 0xb7, 'convert_s.i32 convert_u.i32 convert_s.i64 convert_u.i64 promote', 1, 'f64');
for (const [k, space] of (['i32', 'i64', 'f32', 'f64'] as const).entries())
  add(`${space}.reinterpret`, 0xbc + k, 1, space);
row('i32', 0xc0, 'extend8_s extend16_s', 1, 'i32');
row('i64', 0xc2, 'extend8_s extend16_s extend32_s', 1, 'i64');
const saturating = 'trunc_s_sat.f32 trunc_u_sat.f32 trunc_s_sat.f64 trunc_u_sat.f64';
row('i32', prefix.saturating, saturating, 1, 'i32');
row('i64', prefix.saturating + 4, saturating, 1, 'i64');

const load = (path: string, code: number, type: WasmType, bytes: number): void =>
  add(path, code, 1, type, 'memory', bytes);
const store = (path: string, code: number, bytes: number): void => add(path, code, 2, 'none', 'memory', bytes);
for (const [k, type] of (['i32', 'i64', 'f32', 'f64'] as const).entries()) {
  const bytes = k & 1 ? 8 : 4;
  load(`${type}.load`, 0x28 + k, type, bytes);
  store(`${type}.store`, 0x36 + k, bytes);
}
for (const [type, code] of [
  ['i32', 0x2c],
  ['i64', 0x30],
] as const)
  for (const [k, bits] of (type === 'i32' ? [8, 16] : [8, 16, 32]).entries())
    for (const [s, sign] of ['s', 'u'].entries()) load(`${type}.load${bits}_${sign}`, code + 2 * k + s, type, bits / 8);
for (const [path, code, bytes] of [
  ['i32.store8', 0x3a, 1],
  ['i32.store16', 0x3b, 2],
  ['i64.store8', 0x3c, 1],
  ['i64.store16', 0x3d, 2],
  ['i64.store32', 0x3e, 4],
] as const)
  store(path, code, bytes);

const widths = [
  ['i32', '', 4],
  ['i64', '', 8],
  ['i32', '8', 1],
  ['i32', '16', 2],
  ['i64', '8', 1],
  ['i64', '16', 2],
  ['i64', '32', 4],
] as const;
for (const [k, [type, bits, bytes]] of widths.entries()) {
  const suffix = bits === '' ? '' : `${bits}_u`;
  load(`${type}.atomic.load${suffix}`, prefix.atomic + 0x10 + k, type, bytes);
  store(`${type}.atomic.store${bits}`, prefix.atomic + 0x17 + k, bytes);
  for (const [n, name] of ['add', 'sub', 'and', 'or', 'xor', 'xchg', 'cmpxchg'].entries())
    add(
      `${type}.atomic.rmw${suffix}.${name}`,
      prefix.atomic + 0x1e + 7 * n + k,
      name === 'cmpxchg' ? 3 : 2,
      type,
      'memory',
      bytes,
    );
}

// Vectors: V is the prefix, all else as the specification numbers it.
const V = prefix.vector;
load('v128.load', V, 'v128', 16);
for (const [k, name] of ['8x8_s', '8x8_u', '16x4_s', '16x4_u', '32x2_s', '32x2_u'].entries())
  load(`v128.load${name}`, V + 1 + k, 'v128', 8);
for (const [k, bits] of [8, 16, 32, 64].entries()) load(`v128.load${bits}_splat`, V + 7 + k, 'v128', bits / 8);
store('v128.store', V + 11, 16);
load('v128.load32_zero', V + 92, 'v128', 4);
load('v128.load64_zero', V + 93, 'v128', 8);
add('i8x16.swizzle', V + 14, 2, 'v128');
for (const [k, shape] of ['i8x16', 'i16x8', 'i32x4', 'i64x2', 'f32x4', 'f64x2'].entries())
  add(`${shape}.splat`, V + 15 + k, 1, 'v128');
for (const [path, code, result] of [
  ['i8x16.extract_lane_s', 21, 'i32'],
  ['i8x16.extract_lane_u', 22, 'i32'],
  ['i16x8.extract_lane_s', 24, 'i32'],
  ['i16x8.extract_lane_u', 25, 'i32'],
  ['i32x4.extract_lane', 27, 'i32'],
  ['i64x2.extract_lane', 29, 'i64'],
  ['f32x4.extract_lane', 31, 'f32'],
  ['f64x2.extract_lane', 33, 'f64'],
] as const)
  add(path, V + code, 1, result, 'lane');
for (const [path, code] of [
  ['i8x16', 23],
  ['i16x8', 26],
  ['i32x4', 28],
  ['i64x2', 30],
  ['f32x4', 32],
  ['f64x2', 34],
] as const)
  add(`${path}.replace_lane`, V + code, 2, 'v128', 'lane');
row('i8x16', V + 35, comparisons, 2, 'v128');
row('i16x8', V + 45, comparisons, 2, 'v128');
row('i32x4', V + 55, comparisons, 2, 'v128');
row('f32x4', V + 65, 'eq ne lt gt le ge', 2, 'v128');
row('f64x2', V + 71, 'eq ne lt gt le ge', 2, 'v128');
add('v128.not', V + 77, 1, 'v128');
row('v128', V + 78, 'and andnot or xor', 2, 'v128');
add('v128.bitselect', V + 82, 3, 'v128');
add('v128.any_true', V + 83, 1, 'i32');
add('f32x4.demote_f64x2_zero', V + 94, 1, 'v128');
add('f64x2.promote_low_f32x4', V + 95, 1, 'v128');

for (const [shape, first] of [
  ['i8x16', 96],
  ['i16x8', 128],
  ['i32x4', 160],
  ['i64x2', 192],
] as const) {
  row(shape, V + first, 'abs neg', 1, 'v128');
  add(`${shape}.all_true`, V + first + 3, 1, 'i32');
  add(`${shape}.bitmask`, V + first + 4, 1, 'i32');
  row(shape, V + first + 11, 'shl shr_s shr_u add', 2, 'v128');
  add(`${shape}.sub`, V + first + 17, 2, 'v128');
}
add('i8x16.popcnt', V + 98, 1, 'v128');
row('i8x16', V + 101, 'narrow_i16x8_s narrow_i16x8_u', 2, 'v128');
row('i16x8', V + 133, 'narrow_i32x4_s narrow_i32x4_u', 2, 'v128');
for (const [shape, first] of [
  ['i8x16', 96],
  ['i16x8', 128],
] as const) {
  row(shape, V + first + 15, 'add_saturate_s add_saturate_u', 2, 'v128');
  row(shape, V + first + 18, 'sub_saturate_s sub_saturate_u', 2, 'v128');
  add(`${shape}.avgr_u`, V + first + 27, 2, 'v128');
}
row('i8x16', V + 118, 'min_s min_u max_s max_u', 2, 'v128');
row('i16x8', V + 149, 'mul min_s min_u max_s max_u', 2, 'v128');
row('i32x4', V + 181, 'mul min_s min_u max_s max_u dot_i16x8_s', 2, 'v128');
row('i64x2', V + 213, 'mul eq ne lt_s gt_s le_s ge_s', 2, 'v128');
row('i16x8', V + 124, 'extadd_pairwise_i8x16_s extadd_pairwise_i8x16_u', 1, 'v128');
row('i32x4', V + 126, 'extadd_pairwise_i16x8_s extadd_pairwise_i16x8_u', 1, 'v128');
add('i16x8.q15mulr_sat_s', V + 130, 2, 'v128');
for (const [wide, narrow, first] of [
  ['i16x8', 'i8x16', 128],
  ['i32x4', 'i16x8', 160],
  ['i64x2', 'i32x4', 192],
] as const) {
  const ways = ['low_S_s', 'high_S_s', 'low_S_u', 'high_S_u'].map((way) => way.replace('S', narrow));
  row(wide, V + first + 7, ways.map((way) => `extend_${way}`).join(' '), 1, 'v128');
  row(wide, V + first + 28, ways.map((way) => `extmul_${way}`).join(' '), 2, 'v128');
}
row('f32x4', V + 103, 'ceil floor trunc nearest', 1, 'v128');
row('f64x2', V + 116, 'ceil floor', 1, 'v128');
add('f64x2.trunc', V + 122, 1, 'v128');
add('f64x2.nearest', V + 148, 1, 'v128');
for (const [shape, first] of [
  ['f32x4', 224],
  ['f64x2', 236],
] as const) {
  row(shape, V + first, 'abs neg - sqrt', 1, 'v128');
  row(shape, V + first + 4, 'add sub mul div min max pmin pmax', 2, 'v128');
}
row('i32x4', V + 248, 'trunc_sat_f32x4_s trunc_sat_f32x4_u', 1, 'v128');
row('f32x4', V + 250, 'convert_i32x4_s convert_i32x4_u', 1, 'v128');
row('i32x4', V + 252, 'trunc_sat_f64x2_s_zero trunc_sat_f64x2_u_zero', 1, 'v128');
row('f64x2', V + 254, 'convert_low_i32x4_s convert_low_i32x4_u', 1, 'v128');
add('f32x4.relaxed_madd', V + 0x105, 3, 'v128');
add('f64x2.relaxed_madd', V + 0x107, 3, 'v128');
