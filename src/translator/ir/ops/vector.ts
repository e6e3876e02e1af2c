/** Floating-point and SIMD ops under Wasm's own names, with Wasm's own semantics (NaN bits are the host's). */
import type { ExprBuilder } from '../expr.ts';
import { type OpTable, pure } from '../op.ts';

const words = (s: string): string[] => s.trim().split(/\s+/);
type Shape = 'i8x16' | 'i16x8' | 'i32x4' | 'i64x2' | 'f32x4' | 'f64x2';

const binary: Record<Shape, string[]> = {
  i8x16:
    words(`add add_saturate_s add_saturate_u sub sub_saturate_s sub_saturate_u min_s min_u max_s max_u avgr_u swizzle eq ne lt_s lt_u gt_s gt_u le_s le_u ge_s ge_u
    narrow_i16x8_s narrow_i16x8_u`),
  i16x8:
    words(`add add_saturate_s add_saturate_u sub sub_saturate_s sub_saturate_u mul min_s min_u max_s max_u avgr_u q15mulr_sat_s eq ne lt_s lt_u gt_s gt_u le_s le_u ge_s ge_u
    narrow_i32x4_s narrow_i32x4_u extmul_low_i8x16_s extmul_high_i8x16_s extmul_low_i8x16_u extmul_high_i8x16_u`),
  i32x4: words(`add sub mul min_s min_u max_s max_u dot_i16x8_s eq ne lt_s lt_u gt_s gt_u le_s le_u ge_s ge_u
    extmul_low_i16x8_s extmul_high_i16x8_s extmul_low_i16x8_u extmul_high_i16x8_u`),
  i64x2: words(
    'add sub mul eq ne lt_s gt_s le_s ge_s extmul_low_i32x4_s extmul_high_i32x4_s extmul_low_i32x4_u extmul_high_i32x4_u',
  ),
  f32x4: words('add sub mul div min max pmin pmax eq ne lt gt le ge'),
  f64x2: words('add sub mul div min max pmin pmax eq ne lt gt le ge'),
};
const unary: Record<Shape, string[]> = {
  i8x16: words('abs neg popcnt'),
  i16x8: words(
    'abs neg extadd_pairwise_i8x16_s extadd_pairwise_i8x16_u extend_low_i8x16_s extend_high_i8x16_s extend_low_i8x16_u extend_high_i8x16_u',
  ),
  i32x4:
    words(`abs neg extadd_pairwise_i16x8_s extadd_pairwise_i16x8_u extend_low_i16x8_s extend_high_i16x8_s extend_low_i16x8_u extend_high_i16x8_u
    trunc_sat_f32x4_s trunc_sat_f32x4_u trunc_sat_f64x2_s_zero trunc_sat_f64x2_u_zero`),
  i64x2: words('abs neg extend_low_i32x4_s extend_high_i32x4_s extend_low_i32x4_u extend_high_i32x4_u'),
  f32x4: words('abs neg sqrt ceil floor trunc nearest convert_i32x4_s convert_i32x4_u demote_f64x2_zero'),
  f64x2: words('abs neg sqrt ceil floor trunc nearest convert_low_i32x4_s convert_low_i32x4_u promote_low_f32x4'),
};

export function defineVectorOps(t: OpTable): void {
  for (const shape of Object.keys(binary) as Shape[]) {
    for (const name of binary[shape])
      pure(t, `${shape}.${name}`, 'v128 v128 -> v128', 'as in WebAssembly', (m, a, b) => m[shape][name](a, b));
    for (const name of unary[shape])
      pure(t, `${shape}.${name}`, 'v128 -> v128', 'as in WebAssembly', (m, a) => m[shape][name](a));
  }
  for (const shape of ['i8x16', 'i16x8', 'i32x4', 'i64x2'] as const) {
    for (const name of ['shl', 'shr_s', 'shr_u'])
      pure(t, `${shape}.${name}`, 'v128 i32 -> v128', 'as in WebAssembly (count modulo the lane width)', (m, a, n) =>
        m[shape][name](a, n),
      );
    pure(t, `${shape}.bitmask`, 'v128 -> i32', 'top bit of each lane', (m, a) => m[shape].bitmask(a));
    pure(t, `${shape}.all_true`, 'v128 -> i32', '1 if no lane is zero', (m, a) => m[shape].all_true(a));
  }
  for (const name of ['and', 'or', 'xor', 'andnot'])
    pure(t, `v128.${name}`, 'v128 v128 -> v128', 'as in WebAssembly', (m, a, b) => m.v128[name](a, b));
  pure(t, 'v128.not', 'v128 -> v128', 'as in WebAssembly', (m, a) => m.v128.not(a));
  pure(t, 'v128.any_true', 'v128 -> i32', '1 if any bit is set', (m, a) => m.v128.any_true(a));
  pure(
    t,
    'v128.bitselect',
    'v128 v128 v128 -> v128',
    'bits of input 0 where input 2 is set, else of input 1',
    (m, a, b, c) => m.v128.bitselect(a, b, c),
  );
  for (const [shape, type] of [
    ['i8x16', 'i8'],
    ['i16x8', 'i16'],
    ['i32x4', 'i32'],
    ['i64x2', 'i64'],
    ['f32x4', 'f32'],
    ['f64x2', 'f64'],
  ] as const)
    pure(t, `${shape}.splat`, `${type} -> v128`, 'as in WebAssembly', (m, a) => m[shape].splat(a));
  pure(t, 'v128.zext64', 'i64 -> z64', 'low 8 bytes from the input, the high ones zero', (m, a) =>
    m.f64.reinterpret(a),
  );
  pure(t, 'v128.zext32', 'i32 -> z32', 'low 4 bytes from the input, the rest zero', (m, a) => m.f32.reinterpret(a));

  for (const f of ['f32', 'f64'] as const) {
    const i = f === 'f32' ? 'i32' : 'i64';
    for (const name of words('add sub mul div min max copysign'))
      pure(t, `${f}.${name}`, `${f} ${f} -> ${f}`, 'as in WebAssembly', (m, a, b) => m[f][name](a, b));
    for (const name of words('abs neg sqrt ceil floor trunc nearest'))
      pure(t, `${f}.${name}`, `${f} -> ${f}`, 'as in WebAssembly', (m, a) => m[f][name](a));
    for (const name of words('eq ne lt gt le ge'))
      pure(t, `${f}.${name}`, `${f} ${f} -> i32`, 'as in WebAssembly', (m, a, b) => m[f][name](a, b));
    pure(t, `mov.${f}`, `${f} -> ${f}`, 'copy into the low lane, the rest stays', (_m, a) => a);
    for (const [from, sem] of [
      ['i32', (m: ExprBuilder, a: number) => m[f].convert_s.i32(a)],
      ['i64', (m: ExprBuilder, a: number) => m[f].convert_s.i64(a)],
    ] as const)
      pure(t, `${f}.convert_s.${from}`, `${from} -> ${f}`, 'signed integer to float, nearest even', sem);
    for (const from of ['i32', 'i64'] as const)
      pure(t, `${f}.convert_u.${from}`, `${from} -> ${f}`, 'unsigned integer to float, nearest even', (m, a) =>
        m[f].convert_u[from](a),
      );
    for (const to of ['i32', 'i64'] as const)
      for (const s of ['s', 'u'] as const)
        pure(
          t,
          `${to}.trunc_sat_${s}.${f}`,
          `${f} -> ${to}`,
          'float to integer toward zero, saturating, NaN to 0',
          (m, a) => m[to][`trunc_${s}_sat`][f](a),
        );
    pure(t, `${i}.reinterpret.${f}`, `${f} -> ${i}`, 'the bits', (m, a) => m[i].reinterpret(a));
  }
  pure(t, 'f32.demote', 'f64 -> f32', 'as in WebAssembly', (m, a) => m.f32.demote(a));
  pure(t, 'f64.promote', 'f32 -> f64', 'as in WebAssembly', (m, a) => m.f64.promote(a));
}

/** An op for one `i8x16.shuffle` pattern; ISA folders define those their instructions need. */
export function defineShuffle(t: OpTable, name: string, lanes: readonly number[], doc: string): void {
  pure(t, name, 'v128 v128 -> v128', doc, (m, a, b) => m.shuffle(a, b, lanes));
}
